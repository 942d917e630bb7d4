//! `pgtls demo`: every scene for real, with a psql that keeps its own record; and nothing is left, whatever ends it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::{Account, Job, Outcome, Postgres, open_to_all, pgtls, processes_in, scratch, wait_for};

const QUERY: &str = "SELECT balance FROM accounts WHERE owner = 'ann'";
const TRUTH: &str = "4217";
const FORGED: &str = "13";

/// A directory of programs: the server's own, and a psql that writes down what it was asked and what it printed.
fn programs(postgres: &Postgres) -> (PathBuf, PathBuf) {
    let dir = scratch("programs");
    let record = scratch("record").join("psql");
    for program in ["postgres", "initdb"] {
        let real = postgres.bin.join(program);
        // PostgreSQL finds its own files from where its program lies.
        let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
        executable(&dir.join(program), &script);
    }
    let psql = ["/usr/lib/postgresql/15/bin/psql", "/usr/bin/psql"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("psql is here");
    let script = format!(
        "#!/bin/bash\n[[ \" $* \" == *' -c '* ]] || exec '{psql}' \"$@\"\nout=$('{psql}' \"$@\")\nstatus=$?\nprintf '%s\\n' \"$out\"\n\
         printf '%s\\t%s\\t%s\\n' $status \"$out\" \"$*\" >>'{}'\nexit $status\n",
        record.display()
    );
    executable(&dir.join("psql"), &script);
    (dir, record)
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn scene<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|scene| scene["id"] == id)
        .unwrap()
}

/// The eavesdropper's bytes, one for each connection.
fn captured(scene: &Value) -> Vec<Vec<u8>> {
    let all = scene["captured"].as_array().unwrap().iter();
    all.map(|bytes| STANDARD.decode(bytes.as_str().unwrap()).unwrap())
        .collect()
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes
        .windows(words.len())
        .any(|window| window == words.as_bytes())
}

fn evidence(scene: &Value) -> String {
    let lines = scene["evidence"].as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A place for temporary files where nothing else is.
fn temporary(account: &Account) -> PathBuf {
    let dir = scratch(&format!("tmp{}", support::tag()));
    if *account != Account::current() {
        std::os::unix::fs::chown(&dir, Some(account.uid), Some(account.gid)).unwrap();
    }
    dir
}

/// No process, no directory, and nothing that is kept elsewhere for root.
#[track_caller]
fn nothing_is_left(tmp: &Path, homes: &[PathBuf]) {
    wait_for("nothing is left", Duration::from_secs(60), || {
        let empty = fs::read_dir(tmp).unwrap().next().is_none();
        (empty && processes_in(tmp).is_empty()).then_some(())
    });
    wait_for("no home is left", Duration::from_secs(60), || {
        homes
            .iter()
            .all(|home| !home.exists() && processes_in(home).is_empty())
            .then_some(())
    });
}

/// The homes of lessons that root's servers have now.
fn homes() -> Vec<PathBuf> {
    let homes = fs::read_dir("/var/lib/pgtls").into_iter().flatten().flatten();
    homes
        .map(|home| home.path())
        .filter(|home| {
            let name = home.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("pgtlslesson")
        })
        .collect()
}

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
    assert!(
        evidence(scene(&report, "mutual-tls")).contains("connection requires a valid client certificate")
    );
    assert!(evidence(scene(&report, "renewal")).contains("certificate verify failed"));
    // A password is counted, and never told.
    let passwords = run.stdout.matches("read it: ").count();
    assert!(passwords >= 4, "{passwords}");
    nothing_is_left(&tmp, &[]);
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

/// However it ends, and whenever: no process and no directory is left.
#[test]
fn whatever_ends_it_nothing_is_left() {
    if Postgres::any().is_none() {
        return;
    }
    let cases = [
        ("INT", "initdb", Account::ordinary()),
        ("KILL", "initdb", Account::ordinary()),
        ("TERM", "postmaster.pid", Account::ordinary()),
        ("KILL", "postmaster.pid", Account::ordinary()),
        ("HUP", "clients/ann/anywhere", Account::ordinary()),
        ("KILL", "clients/ann/anywhere", Account::current()),
    ];
    std::thread::scope(|scope| {
        for (signal, moment, account) in cases {
            scope.spawn(move || ended(signal, moment, &account));
        }
    });
}

fn ended(signal: &str, moment: &str, account: &Account) {
    let tmp = temporary(account);
    let mut lesson = pgtls(["demo", "--json"])
        .env("TMPDIR", &tmp)
        .account(account)
        .start();
    let file = wait_for(&format!("{signal}: {moment}"), Duration::from_secs(60), || {
        let dir = fs::read_dir(&tmp).unwrap().flatten().next()?.path();
        let found = match moment {
            "initdb" => dir.join(".pgtls/data").exists() || processes_in(&dir).len() > 1,
            "postmaster.pid" => dir.join(".pgtls/data/postmaster.pid").exists(),
            below => dir.join(below).exists(),
        };
        found.then_some(dir)
    });
    let root = if Account::is_root() && account.uid == 0 {
        homes()
    } else {
        Vec::new()
    };
    assert!(lesson.is_running(), "{signal} at {moment}: it was over already");
    lesson.signal(signal);
    let outcome: Outcome = lesson.wait();
    assert!(!outcome.ok, "{signal} at {moment}");
    assert!(file.starts_with(&tmp));
    nothing_is_left(&tmp, &root);
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
