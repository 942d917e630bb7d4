//! A role that is no superuser and was granted what a stage needs (PostgreSQL 15 on): it does what it may, and what is
//! missing is said so that it can be typed. The witness is PostgreSQL.

use std::fs;

use crate::live::Live;
use crate::support::{Account, Ca, Outcome, Postgres, TestServer, skip};

const PARAMETERS: &str =
    "ssl, ssl_min_protocol_version, ssl_max_protocol_version, ssl_ciphers, ssl_prefer_server_ciphers";

struct Granted(Live);

impl Granted {
    fn run(&self, args: &[&str]) -> Outcome {
        let conninfo = format!(
            "host=localhost port={} user=ops dbname=postgres sslrootcert=company.crt",
            self.0.server.port
        );
        let mut all = vec![args[0]];
        if args[0] == "harden" {
            all.push(&conninfo);
        }
        all.extend_from_slice(&args[1..]);
        self.0
            .pgtls(&all)
            .account(&Account::ordinary())
            .dir(&self.0.kit)
            .env("PGPASSWORD", "pw")
            .run()
    }

    fn auto(&self) -> Vec<u8> {
        fs::read(self.0.server.data.join("postgresql.auto.conf")).unwrap()
    }
}

/// What a remedy says to grant, as statements.
fn grants(said: &str) -> Vec<String> {
    let parts = said.split("GRANT ").skip(1);
    parts
        .map(|part| {
            format!(
                "GRANT {}",
                part.split(';').next().unwrap().split('\n').next().unwrap()
            )
        })
        .collect()
}

#[test]
fn a_role_that_was_granted_it_hardens_over_sql() {
    if Account::ordinary() == Account::server() {
        return skip("only root can be another account", false);
    }
    std::thread::scope(|scope| {
        for major in [15, 17, 18] {
            scope.spawn(move || {
                if let Some(postgres) = Postgres::find(major) {
                    granted(&postgres);
                }
            });
        }
    });
}

fn granted(postgres: &Postgres) {
    let ca = Ca::new("company");
    let server = TestServer::builder(postgres)
        .tls(&ca.server(&["localhost"]))
        .conf("ssl = off\npassword_encryption = 'scram-sha-256'\nssl_ciphers = 'HIGH'")
        .hba("host all all all scram-sha-256")
        .sql("create role app login password 'pw'")
        .sql("create role ops login password 'pw'")
        .start();
    let live = Live::new(server);
    std::os::unix::fs::chown(
        &live.kit,
        Some(Account::ordinary().uid),
        Some(Account::ordinary().gid),
    )
    .unwrap();
    fs::copy(&ca.cert, live.kit.join("company.crt")).unwrap();
    let ops = Granted(live);
    let server = &ops.0.server;
    let before = ops.auto();

    // Nothing is granted: all that is missing is named, and that it is so is PostgreSQL's to say.
    let refused = ops.run(&["harden", "--stage", "on", "--yes"]).expect_status(3);
    assert!(
        refused.stderr.contains("ops is no superuser"),
        "{}",
        refused.stderr
    );
    let needed = grants(&refused.stderr);
    assert!(needed.len() > 8, "{}", refused.stderr);
    for grant in &needed {
        server.sql(grant);
    }
    // Then the settings.
    let refused = ops.run(&["harden", "--stage", "on", "--yes"]).expect_status(3);
    assert!(
        refused.stderr.contains("GRANT ALTER SYSTEM ON PARAMETER ssl TO"),
        "{}",
        refused.stderr
    );
    let overview = ops.run(&["harden"]).expect_status(0).json();
    assert!(
        overview["stages"][0]["hindrance"]["what"]
            .to_string()
            .contains("may not alter ssl"),
        "{overview:#}"
    );
    for grant in grants(&refused.stderr) {
        server.sql(&grant);
    }
    assert!(ops.auto() == before);
    let report = ops
        .run(&["harden", "--stage", "on", "--yes"])
        .expect_status(0)
        .json();
    assert_eq!(report["in_force"], true, "{report:#}");
    let mode = format!("sslmode=verify-full sslrootcert={}", ca.cert.display());
    ops.0.app(&mode).expect_ok("verify-full");
    let on = ops.auto();

    let refused = ops.run(&["harden", "--stage", "floor", "--yes"]).expect_status(3);
    assert!(refused.stderr.contains("ssl_ciphers"), "{}", refused.stderr);
    server.sql(&format!("grant alter system on parameter {PARAMETERS} to ops"));
    ops.run(&["harden", "--stage", "floor", "--yes"]).expect_status(0);
    ops.0.app(&mode).expect_ok("verify-full");
    ops.run(&["undo"]).expect_status(0);
    assert!(ops.auto() == on);
    ops.run(&["undo"]).expect_status(0);
    assert!(ops.auto() == before);

    // Rules are files.
    let refused = ops
        .run(&["harden", "--stage", "require", "--yes"])
        .expect_status(3);
    assert!(refused.stderr.contains("bundle"), "{}", refused.stderr);
    assert!(ops.auto() == before);
}
