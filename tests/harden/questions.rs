//! What is asked: each thing by a word of its own, a no is an answer, and what is said afterwards is so.

use std::fs;

use crate::live::{Live, plain, wait_until};
use crate::support::{Ca, Postgres, Pty, TestServer};

/// A certificate of a company's CA, which nobody told pgtls of, is not replaced by whoever accepts that sessions are refused.
#[test]
fn a_companys_certificate_is_replaced_by_a_word_of_its_own() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let company = Ca::new("company");
    let live = Live::new(
        TestServer::builder(&postgres)
            .tls(&company.server(&["localhost"]))
            .conf("password_encryption = 'scram-sha-256'")
            .hba("host all all all scram-sha-256")
            .sql("create role app login password 'pw'")
            .start(),
    );
    let root = live.kit.join("company.crt");
    fs::copy(&company.cert, &root).unwrap();
    live.account.own(&root);
    let verifies = || {
        live.app(&format!("sslmode=verify-full sslrootcert={}", root.display()))
            .ok
    };
    let before = live.files();
    for stage in ["on", "require"] {
        for more in [&[][..], &["--accept-lockout"]] {
            let refused = live.stage(stage, more).expect_status(1);
            assert!(refused.stderr.contains("was issued by"), "{}", refused.stderr);
            assert!(
                refused.stderr.contains("--replace-certificate"),
                "{}",
                refused.stderr
            );
            assert!(
                !refused.stderr.contains("issued a certificate"),
                "{}",
                refused.stderr
            );
            assert!(live.files() == before && verifies());
        }
    }
    let report = live.in_force("on", &["--replace-certificate"]);
    let said = report["notes"].to_string();
    assert!(
        said.contains("is replaced by one that") && said.contains("company"),
        "{said}"
    );
    assert!(!verifies());
    live.undo();
    assert!(wait_until(std::time::Duration::from_secs(60), verifies));
}

fn at_the_question(live: &Live) -> Pty {
    let args = [
        "harden",
        &live.server.socket(),
        "--dir",
        live.kit.to_str().unwrap(),
        "--stage",
        "require",
    ];
    let pty = Pty::pgtls(&args, &live.kit, (200, 200), &[]);
    pty.expect("Try it? [y/N]");
    pty
}

/// An earlier stage was kept: nobody is sent to take that one back.
#[test]
fn a_no_is_an_answer_and_ctrl_c_one_too() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    let before = live.files();
    for keys in ["n\r", "\r", "\x03"] {
        let mut pty = at_the_question(&live);
        pty.send(keys);
        pty.expect("Nothing was written.");
        assert_eq!(pty.wait(), 2, "{keys:?}");
        let said = pty.text();
        for word in ["error", "undo", "made the CA", "issued a certificate"] {
            assert!(!said.contains(word), "{keys:?}: {word}: {said}");
        }
        assert!(live.files() == before);
    }
}

#[test]
fn what_is_broken_off_before_anything_was_written_is_said_to_be_so() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    let kit = live.kit.to_str().unwrap();
    let args = [
        "harden",
        &live.server.socket(),
        "--dir",
        kit,
        "--stage",
        "watch",
        "--for",
        "600",
    ];
    let mut pty = Pty::pgtls(&args, &live.kit, (200, 60), &[]);
    // It looks by now.
    let looks = wait_until(std::time::Duration::from_secs(60), || {
        let count = "select count(*) from pg_stat_activity where usename = 'postgres' and state = 'idle'";
        live.server.sql(count).stdout.trim() != "0"
    });
    assert!(looks);
    pty.send("\x03");
    assert_eq!(pty.wait(), 4);
    let said = pty.text();
    assert!(
        said.contains("broken off by Ctrl-C; nothing was written"),
        "{said}"
    );
    assert!(!said.contains("undo"), "{said}");
}

/// What is said of a server that is not there, and over a socket, is so.
#[test]
fn what_cannot_be_is_said_in_sentences() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    let gone = format!("{}s", live.server.dir().display());
    let said = live
        .pgtls(&["harden", &format!("host={gone} user=postgres")])
        .run()
        .expect_status(1)
        .stderr;
    assert!(
        said.contains("unix_socket_directories? Start the server"),
        "{said}"
    );

    let report = live.pgtls(&["verify", &live.server.socket()]).run().json();
    let probes = report["probes"].as_array().unwrap();
    let plaintext = probes
        .iter()
        .find(|probe| probe["id"] == "plaintext-refused")
        .unwrap();
    assert!(plaintext["holds"].is_null(), "{plaintext:#}");
    assert!(
        plaintext["observed"]
            .as_str()
            .unwrap()
            .contains("no TLS to ask for"),
        "{plaintext:#}"
    );

    live.undo();
    let words = crate::support::pgtls(["harden", &live.server.socket(), "--dir"])
        .arg(&live.kit)
        .account(&live.account)
        .run()
        .expect_status(0);
    assert!(
        words.stderr.contains("not with a certificate that holds"),
        "{}",
        words.stderr
    );
}
