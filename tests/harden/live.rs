//! A server to harden, and the directory that is kept beside it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Account, Job, Outcome, Postgres, TestServer, pgtls, psql_as, scratch};

/// Content, mode and owner of each file of the configuration.
pub type Files = BTreeMap<PathBuf, (Vec<u8>, u32, u32)>;

/// A server and the directory that is kept beside it.
pub struct Live {
    pub server: TestServer,
    pub kit: PathBuf,
    pub account: Account,
}

impl Live {
    pub fn new(server: TestServer) -> Self {
        let account = Account::server();
        let kit = scratch("kit");
        account.own(&kit);
        Self { server, kit, account }
    }

    pub fn pgtls(&self, args: &[&str]) -> Job {
        pgtls(args)
            .arg("--dir")
            .arg(&self.kit)
            .arg("--json")
            .account(&self.account)
    }

    pub fn stage(&self, stage: &str, more: &[&str]) -> Outcome {
        self.pgtls(&["harden", &self.server.socket(), "--yes", "--stage", stage])
            .arg("--config-dir")
            .arg(&self.server.data)
            .args(more)
            .run()
    }

    #[track_caller]
    pub fn in_force(&self, stage: &str, more: &[&str]) -> Value {
        let report = self.stage(stage, more).expect_status(0).json();
        assert_eq!(report["in_force"], true, "{report:#}");
        report
    }

    /// psql over TCP as `app`.
    pub fn app(&self, more: &str) -> Outcome {
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

    pub fn full(&self) -> String {
        format!(
            "sslmode=verify-full sslrootcert={}",
            self.kit.join("ca/root.crt").display()
        )
    }

    pub fn certificate(&self) -> String {
        let kit = self.kit.join("clients/app");
        format!(
            "sslcert={} sslkey={}",
            kit.join("client.crt").display(),
            kit.join("client.key").display()
        )
    }

    /// Every file of the configuration: content, mode and owner.
    pub fn files(&self) -> Files {
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
    pub fn undo(&self) -> Value {
        self.pgtls(&["undo"]).run().expect_status(0).json()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.kit));
    }
}

/// TLS is off, and everybody on this machine comes in with a password.
pub fn plain(postgres: &Postgres) -> Live {
    Live::new(
        TestServer::builder(postgres)
            .conf("#ssl = off\t\t# not yet\npassword_encryption = 'scram-sha-256'")
            .hba("# everybody\nhost    all             all             127.0.0.1/32            scram-sha-256\nhost all all ::1/128 scram-sha-256 # six")
            .sql("create role app login password 'pw'")
            .start(),
    )
}

impl Live {
    /// The same with `ssl` on and required or not.
    pub fn at(self, stages: &[&str]) -> Self {
        for stage in stages {
            self.in_force(stage, &[]);
        }
        self
    }

    /// Waits until the files are these again, and the server has read them: whether plaintext is let in.
    #[track_caller]
    pub fn ends_as(&self, files: &Files, plaintext: bool, what: &str) {
        let mut last = String::new();
        let ended = wait_until(Duration::from_secs(60), || {
            let now = self.files();
            let other: Vec<_> = now
                .keys()
                .chain(files.keys())
                .filter(|path| now.get(*path) != files.get(*path))
                .collect();
            let lets_in = self.app("sslmode=disable").ok;
            last = format!("{what}: differs: {other:?}, plaintext is let in: {lets_in}");
            other.is_empty() && lets_in == plaintext
        });
        assert!(ended, "{last}\n{}", self.server.log());
        // The admin can log in.
        self.server.sql("select 1");
    }
}

/// What a run of pgtls asks of the system, line by line; `strace` runs it with these options more.
pub fn traced(kit: &Path, strace: impl Fn(&[&str]) -> Outcome) -> String {
    let log = kit.join("trace");
    strace(&["-o", log.to_str().unwrap()]).expect_status(0);
    let trace = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    trace
}

/// The same run with a fault (strace(1), `-e inject`) at that call, the one of that number.
pub fn injected(call: &str, fault: &str, when: usize, strace: impl Fn(&[&str]) -> Outcome) -> Outcome {
    let inject = format!("inject={call}:{fault}:when={when}");
    strace(&["-o", "/dev/null", "-e", &inject])
}

/// Whether it comes true before the time is up.
pub fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = std::time::Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if std::time::Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
