//! Every scene for real, on a server of the lesson's own.

use super::*;

#[test]
fn every_scene_holds_and_the_wire_says_so() {
    let Some(postgres) = Postgres::any() else { return };
    let (programs, record) = programs(&postgres);
    let tmp = temporary(&Account::current());
    let run = pgtls(["demo", "--json", "--pg-bin"])
        .arg(&programs)
        .env("TMPDIR", &tmp)
        .run()
        .expect_status(0);
    let report = run.json();
    let ids: Vec<_> = report["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["id"])
        .collect();
    assert_eq!(
        ids,
        [
            "plaintext",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
            "mutual-tls",
            "renewal",
            "matrix"
        ]
    );
    for scene in report["scenes"].as_array().unwrap() {
        assert_eq!(scene["holds"], true, "{scene:#}");
    }
    // Its port is none that somebody's own server is expected on.
    let server = report["server"].as_str().unwrap();
    let (_, port) = server.split_once("127.0.0.1 port ").unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    assert!(port.parse::<u16>().unwrap() >= 25432, "{server}");

    // What the eavesdropper has, looked through by ourselves.
    let plain = captured(scene(&report, "plaintext"));
    assert!(contains(&plain[0], QUERY) && contains(&plain[0], TRUTH));
    let prefer = captured(scene(&report, "prefer"));
    assert!(!contains(&prefer[0], QUERY) && contains(&prefer[1], QUERY));
    assert_eq!(
        &prefer[1][..9],
        b"\0\0\0\x08\x04\xd2\x16\x2fN",
        "asked, and told no"
    );
    for id in ["require", "verify-ca", "verify-full", "mutual-tls", "renewal"] {
        let connections = captured(scene(&report, id));
        assert!(connections.len() >= 2, "{id}");
        for bytes in connections {
            assert_eq!(&bytes[..9], b"\0\0\0\x08\x04\xd2\x16\x2fS", "{id}");
            assert!(bytes.len() > 500, "{id}: {} bytes", bytes.len());
            for words in [QUERY, "SELECT", "balance", "database"] {
                assert!(!contains(&bytes, words), "{id}: {words} is on the wire");
            }
        }
    }

    // What psql printed, by its own record.
    let record = fs::read_to_string(record).unwrap();
    let runs: Vec<(&str, &str, &str)> = record
        .lines()
        .map(|line| {
            let mut columns = line.splitn(3, '\t');
            let mut next = || columns.next().unwrap();
            (next(), next(), next())
        })
        .collect();
    let printed = |mode: &str| -> Vec<&str> {
        runs.iter()
            .filter(|(_, _, arguments)| {
                arguments
                    .split_whitespace()
                    .any(|word| word == format!("sslmode={mode}"))
            })
            .map(|(_, printed, _)| *printed)
            .collect()
    };
    assert!(printed("require").contains(&FORGED), "{record}");
    assert!(printed("verify-ca").contains(&FORGED), "{record}");
    let strict = printed("verify-full");
    assert!(strict.contains(&TRUTH) && !strict.contains(&FORGED), "{record}");
    let bound = runs
        .iter()
        .find(|(_, _, arguments)| arguments.contains("channel_binding=require"));
    assert_eq!(
        bound.map(|(status, printed, _)| (*status != "0", *printed)),
        Some((true, ""))
    );

    // Whose words they are.
    assert!(evidence(scene(&report, "verify-full")).contains(
        "server certificate for \"mail.bank.example\" does not match host name \"db.bank.example\""
    ));
    assert!(evidence(scene(&report, "verify-full")).contains("alert 48 (unknown_ca)"));
    the_server_demands_the_certificate_of_the_role(scene(&report, "mutual-tls"), &record);
    assert!(evidence(scene(&report, "renewal")).contains("certificate verify failed"));
    the_matrix_is_that_of_the_documentation(scene(&report, "matrix"));
    // A password is counted, and never told.
    let passwords = run.stdout.matches("read it: ").count();
    assert!(passwords >= 4, "{passwords}");
    nothing_is_left(&tmp, &[]);
}

/// By the server's words, and psql's own record of whose certificate it was.
fn the_server_demands_the_certificate_of_the_role(scene: &Value, record: &str) {
    let evidence = evidence(scene);
    for words in [
        "connection requires a valid client certificate",
        "it was not even asked for",
        "unknown ca",
        "FATAL:  password authentication failed for user \"ann\"",
    ] {
        assert!(evidence.contains(words), "{words}: {evidence}");
    }
    let mut runs = record.lines();
    let of_another = runs.find(|run| run.contains("impostor/bob.crt")).unwrap();
    assert!(!of_another.starts_with("0\t"), "{of_another}");
    assert_eq!(of_another.split('\t').nth(1), Some(""));
}

/// "SSL Mode Descriptions" (<https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>): which mode protects
/// from eavesdropping, and which from somebody in the middle.
fn the_matrix_is_that_of_the_documentation(scene: &Value) {
    let evidence = evidence(scene);
    for (mode, eavesdropping, in_the_middle) in [
        ("disable", "no", "no"),
        ("allow", "maybe", "no"),
        ("prefer", "maybe", "no"),
        ("require", "yes", "no"),
        ("verify-ca", "yes", "depends on CA policy"),
        ("verify-full", "yes", "yes"),
    ] {
        let line = evidence
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{mode}: ")))
            .unwrap_or_else(|| panic!("{mode}: {evidence}"));
        let does = |meets: &str, what: &str| line.split(", ").any(|cell| cell == format!("{meets} {what}"));
        // Without TLS somebody on the way reads along; with it he must first be taken for the server.
        let read_by = |meets: &str| does(meets, "UNPROTECTED");
        match eavesdropping {
            "no" => assert!(read_by("as-it-is") && read_by("plaintext"), "{mode}: {line}"),
            "maybe" => assert!(read_by("plaintext"), "{mode}: {line}"),
            _ => assert!(
                does("as-it-is", "connects") && does("plaintext", "refuses"),
                "{mode}: {line}"
            ),
        }
        match in_the_middle {
            "no" => assert!(read_by("self-signed") && read_by("wrong-name"), "{mode}: {line}"),
            "yes" => {
                for meets in ["self-signed", "other-ca", "wrong-name"] {
                    assert!(does(meets, "refuses"), "{mode}: {line}");
                }
            }
            _ => assert!(
                does("other-ca", "refuses") && read_by("wrong-name"),
                "{mode}: {line}"
            ),
        }
    }
}

/// Without a psql our own client shows the same, as an ordinary account, on other servers.
#[test]
fn without_psql_it_is_the_same() {
    let account = Account::ordinary();
    std::thread::scope(|scope| {
        for major in [13, 18] {
            let account = &account;
            scope.spawn(move || {
                let Some(postgres) = Postgres::find(major) else {
                    return;
                };
                let programs = scratch("programs");
                for program in ["postgres", "initdb"] {
                    symlink(postgres.bin.join(program), programs.join(program)).unwrap();
                }
                let tmp = temporary(account);
                let report = pgtls(["demo", "--json", "--pg-bin"])
                    .arg(&postgres.bin)
                    .env("PATH", "/nonexistent")
                    .env("TMPDIR", &tmp)
                    .account(account)
                    .run()
                    .expect_status(0)
                    .json();
                assert_eq!(report["holds"], true);
                let connections = captured(scene(&report, "require"));
                assert!(!contains(&connections[0], QUERY));
                nothing_is_left(&tmp, &[]);
            });
        }
    });
}

#[test]
fn a_scene_can_be_picked_and_a_wrong_name_is_told() {
    if Postgres::any().is_none() {
        return;
    }
    let tmp = temporary(&Account::current());
    let run = pgtls(["demo", "--scene", "verify-full"])
        .env("TMPDIR", &tmp)
        .run()
        .expect_status(0);
    for words in [
        "5 of 8: verify-full",
        "sslmode=verify-full sslrootcert=root.crt",
        "client to server: SSLRequest may we speak TLS?",
        "client: refused: server certificate for \"mail.bank.example\" does not match",
        "1 of 1 scenes went as they were expected to",
    ] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    let wrong = pgtls(["demo", "--scene", "verify-some", "--json"])
        .run()
        .expect_status(2);
    assert!(
        wrong.stderr.contains("plaintext, prefer, require"),
        "{}",
        wrong.stderr
    );
    nothing_is_left(&tmp, &[]);
}

/// The keeper removes nothing that no lesson made.
#[test]
fn the_keeper_leaves_alone_what_is_not_a_lesson() {
    let dir = scratch("pgtls-lesson-not");
    open_to_all(&dir);
    fs::write(dir.join("mine"), "x").unwrap();
    let run = Job::new(support::pgtls_bin())
        .args(["keep-lesson"])
        .arg(&dir)
        .run();
    assert!(!run.ok && dir.join("mine").exists(), "{}", run.stderr);
}

#[test]
fn the_notes_can_be_printed() {
    let notes = pgtls(["demo", "--notes"]).run().expect_status(0).stdout;
    for words in ["1 of 8  disable", "8 of 8  All six modes", "Next: verify-ca."] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
}
