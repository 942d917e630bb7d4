//! `pgtls harden` on real servers: at every stage those who should come in do, others do not, and `undo` gives back the
//! bytes. The witness is psql.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use serde_json::Value;
use support::{Account, Outcome, Postgres, TestServer, pgtls, psql_as, scratch};

const MAJORS: [u16; 4] = [13, 15, 17, 18];

/// A server and the directory that is kept beside it.
struct Live {
    server: TestServer,
    kit: PathBuf,
    account: Account,
}

impl Live {
    fn new(server: TestServer) -> Self {
        let account = Account::server();
        let kit = scratch("kit");
        account.own(&kit);
        Self { server, kit, account }
    }

    fn pgtls(&self, args: &[&str]) -> support::Job {
        pgtls(args)
            .arg("--dir")
            .arg(&self.kit)
            .arg("--json")
            .account(&self.account)
    }

    fn stage(&self, stage: &str, more: &[&str]) -> Outcome {
        self.pgtls(&["harden", &self.server.socket(), "--yes", "--stage", stage])
            .arg("--config-dir")
            .arg(&self.server.data)
            .args(more)
            .run()
    }

    #[track_caller]
    fn in_force(&self, stage: &str, more: &[&str]) -> Value {
        let report = self.stage(stage, more).expect_status(0).json();
        assert_eq!(report["in_force"], true, "{report:#}");
        report
    }

    /// psql over TCP as `app`.
    fn app(&self, more: &str) -> Outcome {
        let conninfo = format!(
            "host=localhost port={} user=app password=pw dbname=postgres {more}",
            self.server.port
        );
        psql_as(
            &self.account,
            &conninfo,
            "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
        )
    }

    fn full(&self) -> String {
        format!(
            "sslmode=verify-full sslrootcert={}",
            self.kit.join("ca/root.crt").display()
        )
    }

    fn certificate(&self) -> String {
        let kit = self.kit.join("clients/app");
        format!(
            "sslcert={} sslkey={}",
            kit.join("client.crt").display(),
            kit.join("client.key").display()
        )
    }

    /// Every file of the configuration: content, mode and owner.
    fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, u32)> {
        fs::read_dir(&self.server.data)
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_type().unwrap().is_file())
            .filter(|entry| !entry.file_name().to_str().unwrap().starts_with("postmaster."))
            .map(|entry| {
                let meta = entry.metadata().unwrap();
                let state = (
                    fs::read(entry.path()).unwrap(),
                    meta.permissions().mode() & 0o7777,
                    meta.uid(),
                );
                (entry.path(), state)
            })
            .collect()
    }

    #[track_caller]
    fn undo(&self) -> Value {
        self.pgtls(&["undo"]).run().expect_status(0).json()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.kit));
    }
}

fn plain(postgres: &Postgres) -> Live {
    Live::new(
        TestServer::builder(postgres)
            .conf("#ssl = off\t\t# not yet\npassword_encryption = 'scram-sha-256'")
            .hba("# everybody\nhost    all             all             127.0.0.1/32            scram-sha-256\nhost all all ::1/128 scram-sha-256 # six")
            .sql("create role app login password 'pw'")
            .start(),
    )
}

#[test]
fn every_stage_holds_and_can_be_undone() {
    std::thread::scope(|scope| {
        for major in MAJORS {
            scope.spawn(move || {
                let Some(postgres) = Postgres::find(major) else {
                    return;
                };
                stages(&plain(&postgres));
            });
        }
    });
}

fn stages(live: &Live) {
    let before = live.files();
    assert!(!live.app("sslmode=require").ok);
    live.in_force("on", &[]);
    let full = live.full();
    assert!(live.app(&full).expect_ok("verify-full").stdout.contains('t'));
    live.app("sslmode=disable").expect_ok("not required yet");
    let on = live.files();

    live.in_force("require", &[]);
    live.app(&full).expect_ok("verify-full");
    assert!(!live.app("sslmode=disable").ok);
    let require = live.files();
    let hba = fs::read_to_string(live.server.data.join("pg_hba.conf")).unwrap();
    assert!(
        hba.contains("hostssl all             all             127.0.0.1/32            scram-sha-256"),
        "{hba}"
    );
    assert!(
        hba.contains("# six") && hba.contains("local all all trust"),
        "{hba}"
    );

    live.in_force("mtls", &[]);
    assert!(!live.app(&full).ok);
    live.app(&format!("{full} {}", live.certificate()))
        .expect_ok("with the certificate of the kit");
    assert!(!live.app("sslmode=disable").ok);

    live.in_force("floor", &[]);
    live.app(&format!("{full} {}", live.certificate()))
        .expect_ok("floor");

    live.undo();
    live.undo();
    assert!(live.files() == require);
    live.app(&full).expect_ok("without a certificate again");
    live.undo();
    assert!(live.files() == on);
    live.app("sslmode=disable").expect_ok("not required again");
    live.undo();
    assert!(live.files() == before);
    assert!(!live.app("sslmode=require").ok);
}
