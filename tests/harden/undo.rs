//! `undo` takes back the last write, of whatever kind, and says beforehand what that is.

use std::fs;

use serde_json::Value;

use crate::live::plain;
use crate::support::{Postgres, Pty};

fn says(undone: &Value, word: &str) -> bool {
    undone["no_longer"]
        .as_str()
        .is_some_and(|text| text.contains(word))
}

#[test]
fn the_last_write_is_taken_back_whichever_book_it_is_in() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on", "require"]);
    let refuses_plaintext = || !live.app("sslmode=disable").ok;
    let required = live.files();
    assert!(refuses_plaintext());

    // A write of the kit alone.
    live.pgtls(&["csr"]).run().expect_status(0);
    let undone = live.undo();
    assert!(undone["what"].as_str().unwrap().contains("csr"), "{undone:#}");
    assert!(live.files() == required && refuses_plaintext());

    // The server's own files, by renew; then a stage of a new CA, which without client certificates is the kit's alone.
    let renew = |more: &[&str]| {
        live.pgtls(&["renew", &live.server.socket(), "--yes"])
            .arg("--config-dir")
            .arg(&live.server.data)
            .args(more)
            .run()
            .expect_status(0)
    };
    renew(&[]);
    assert!(live.files() != required);
    let undone = live.undo();
    assert!(says(&undone, "certificate from before"), "{undone:#}");
    assert!(live.files() == required && refuses_plaintext());
    renew(&["--ca", "--stage", "trust"]);
    assert!(live.kit.join("ca/next.key").exists());
    let undone = live.undo();
    assert!(
        undone["what"]
            .as_str()
            .unwrap()
            .contains("renew --ca --stage trust"),
        "{undone:#}"
    );
    assert!(!live.kit.join("ca/next.key").exists());
    assert!(live.files() == required && refuses_plaintext());

    // A stage, with what it put into the kit; it was written after the request, and goes first.
    live.pgtls(&["csr"]).run().expect_status(0);
    live.in_force("mtls", &[]);
    let key = live.kit.join("clients/app/client.key");
    assert!(key.exists());
    let undone = live.pgtls(&["undo"]).run().expect_status(0);
    let report = undone.json();
    assert!(
        report["stage"] == "mtls" && says(&report, "without a certificate"),
        "{report:#}"
    );
    assert!(!key.exists());
    assert!(live.files() == required && refuses_plaintext());
    live.app(&live.full()).expect_ok("without a certificate");
    assert!(live.undo()["what"].as_str().unwrap().contains("csr"));

    let report = live.undo();
    assert!(
        report["stage"] == "require" && says(&report, "plaintext"),
        "{report:#}"
    );
    assert!(!refuses_plaintext());
    assert_eq!(live.undo()["stage"], "on");
    assert!(!live.app("sslmode=require").ok);
    assert!(!live.kit.join("ca/ca.key").exists());
    // Nothing is left.
    live.pgtls(&["undo"]).run().expect_status(3);
}

/// On a terminal it is named and asked for; scripts go on without a question.
/// Where somebody else has demanded TLS meanwhile, TLS does not go.
#[test]
fn tls_does_not_go_where_the_rules_let_nobody_in_without_it() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    let hba = live.server.data.join("pg_hba.conf");
    let open = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, open.replace("host ", "hostssl ")).unwrap();
    live.server.sql("select pg_reload_conf()");
    let before = live.files();
    live.ends_as(&before, false, "TLS is demanded");
    let refused = live.pgtls(&["undo"]).run().expect_status(1);
    assert!(
        refused.stderr.contains("would be locked out") && refused.stderr.contains("hostssl"),
        "{}",
        refused.stderr
    );
    assert!(live.files() == before);
    live.app("sslmode=require").expect_ok("with TLS");

    // With somebody let in without it goes.
    fs::write(&hba, open).unwrap();
    live.server.sql("select pg_reload_conf()");
    live.undo();
    assert!(!live.app("sslmode=require").ok);
    live.app("sslmode=disable").expect_ok("without TLS");
}

#[test]
fn on_a_terminal_it_is_asked_for() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    let on = live.files();
    let undo = |answer: &str| {
        let kit = live.kit.to_str().unwrap();
        let mut pty = Pty::pgtls(&["undo", "--dir", kit], &live.kit, (200, 40), &[]);
        pty.expect("Take it back?");
        let text = pty.text();
        assert!(
            text.contains("the stage on") && text.contains("ca/ca.key"),
            "{text}"
        );
        pty.send(answer);
        pty.wait()
    };
    assert_eq!(undo("n\r"), 2);
    assert!(live.files() == on && live.kit.join("ca/ca.key").exists());
    live.app("sslmode=require").expect_ok("nothing was taken back");
    assert_eq!(undo("y\r"), 0);
    assert!(live.files() != on);
    assert!(!fs::exists(live.kit.join("ca/ca.key")).unwrap());
}
