//! What stands in the server's files and what is in force are two things: nothing is called done by the files alone.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::live::{Live, plain, wait_until};
use crate::support::{Account, Postgres, pgtls};

fn stands(live: &Live) -> Value {
    live.pgtls(&["harden", &live.server.socket()])
        .arg("--config-dir")
        .arg(&live.server.data)
        .run()
        .expect_status(0)
        .json()
}

fn row<'a>(report: &'a Value, stage: &str) -> &'a Value {
    let rows = report["stages"].as_array().unwrap();
    rows.iter().find(|row| row["stage"] == stage).unwrap()
}

#[test]
fn what_the_server_has_not_read_is_never_done() {
    for major in [13, 15, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let live = plain(&postgres).at(&["on", "require"]);
        let hba = live.server.data.join("pg_hba.conf");
        let required = live.kit.join("required");
        fs::copy(&hba, &required).unwrap();
        live.undo();
        let lets_in = wait_until(Duration::from_secs(60), || live.app("sslmode=disable").ok);
        assert!(lets_in, "{}", live.server.log());
        assert_eq!(stands(&live)["unread"].as_array().unwrap().len(), 0);

        // A file that is older, moved there: only the time of its move says that it is new there. The server tells times in
        // whole seconds.
        wait_until(Duration::from_millis(1500), || false);
        let beside = live.server.data.join("pg_hba.conf.mine");
        fs::copy(&required, &beside).unwrap();
        live.account.own(&beside);
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(86_400);
        let file = fs::File::options().write(true).open(&beside).unwrap();
        file.set_modified(long_ago).unwrap();
        fs::rename(&beside, &hba).unwrap();
        assert!(live.app("sslmode=disable").ok, "it is not in force");

        let report = stands(&live);
        assert_eq!(row(&report, "require")["in_files"], true, "{report:#}");
        assert_eq!(row(&report, "require")["done"], false, "{report:#}");
        assert!(report["next"].is_null(), "{report:#}");
        let unread = report["unread"].to_string();
        assert!(
            unread.contains("pg_hba.conf") && !unread.contains("postgresql.conf"),
            "{unread}"
        );
        let words = pgtls(["harden", &live.server.socket(), "--dir"])
            .arg(&live.kit)
            .account(&live.account)
            .run()
            .expect_status(0);
        assert!(!words.stdout.contains("done  require"), "{}", words.stdout);
        assert!(
            words.stdout.contains("the server has not read them"),
            "{}",
            words.stdout
        );
        assert!(
            words.stderr.contains("SELECT pg_reload_conf()"),
            "{}",
            words.stderr
        );

        let tried = live.stage("require", &[]).expect_status(1).json();
        let why = tried["why"].as_str().unwrap();
        assert!(
            why.contains("plaintext-refused") && why.contains("not in force yet"),
            "{why}"
        );
        assert!(
            tried["remedies"].to_string().contains("SELECT pg_reload_conf()"),
            "{tried:#}"
        );
        // Of TLS that is offered this is no proof either.
        live.stage("on", &[]).expect_status(1);

        let audit = || {
            pgtls(["audit", &live.server.socket(), "--json"])
                .account(&Account::server())
                .run()
                .json()
        };
        let ids = |report: &Value| report["findings"].to_string();
        assert!(ids(&audit()).contains("rules-not-read"), "{:#}", audit());

        live.server.sql("select pg_reload_conf()");
        assert!(wait_until(Duration::from_secs(60), || !live
            .app("sslmode=disable")
            .ok));
        assert_eq!(row(&stands(&live), "require")["done"], true);
        live.in_force("require", &[]);
        assert!(!ids(&audit()).contains("rules-not-read"));
    }
}
