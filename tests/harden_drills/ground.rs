//! A server without TLS, and what must hold at the end of every drill.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::support::{
    Account, Builder, Job, Outcome, Postgres, TestServer, Tree, differences, pgtls, processes_in, psql_as,
    scratch, tree, wait_for,
};

/// Slow machines, and `strace`.
pub const BOUND: Duration = Duration::from_secs(120);

/// The ground of a drill.
pub struct Ground {
    pub server: TestServer,
    /// The directory with `postgresql.conf`.
    pub etc: PathBuf,
    pub kit: PathBuf,
    pub account: Account,
    /// What clients trust once TLS is on; `None`: the kit's own CA.
    pub root: Option<PathBuf>,
    before: Tree,
}

/// How a drill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    AsItWas,
    AsPlanned,
}

/// A server that lets everybody in with a password, TLS or not, and offers none.
pub fn plaintext(postgres: &Postgres) -> Builder {
    TestServer::builder(postgres)
        .hba("# the office\nhost all all 127.0.0.1/32 scram-sha-256")
        .sql(
            "set password_encryption = 'scram-sha-256'; create role app login password 'secret'; \
              create role dba superuser login password 'secret'",
        )
}

impl Ground {
    /// Over the server that the system has; `None`, with a skip noted, where there is none.
    pub fn new() -> Option<Self> {
        Some(Self::of(plaintext(&Postgres::any()?).start()))
    }

    pub fn of(server: TestServer) -> Self {
        let account = Account::server();
        let kit = scratch("kit");
        account.own(&kit);
        let ground = Self {
            etc: server.data.clone(),
            before: tree(&server),
            server,
            kit,
            account,
            root: None,
        };
        ground.is_as_it_was("at the beginning");
        ground
    }

    /// What lies there now is how it was.
    pub fn remember(&mut self) {
        self.before = tree(&self.server);
    }

    pub fn pgtls(&self, args: &[&str]) -> Job {
        pgtls(args).arg("--dir").arg(&self.kit).account(&self.account)
    }

    pub fn harden(&self, stage: &str, more: &[&str]) -> Job {
        self.harden_as(&self.server.socket(), stage, more)
    }

    pub fn harden_as(&self, admin: &str, stage: &str, more: &[&str]) -> Job {
        self.pgtls(&["harden", admin, "--stage", stage, "--yes", "--json"])
            .arg("--config-dir")
            .arg(&self.etc)
            .args(more)
    }

    /// `strace` around it; only the program itself is traced with `options` that do not say `-f`.
    pub fn strace(&self, options: &[&str], stage: &str, more: &[&str]) -> Job {
        let harden = self.harden(stage, more);
        Job::new("strace")
            .args(options)
            .arg(harden.program())
            .args(harden.arguments())
            .account(&self.account)
            .limit(BOUND)
    }

    /// Waits until nothing that works over the kit runs any more.
    #[track_caller]
    pub fn settles(&self, when: &str) {
        wait_for(
            &format!("{when}: no process is left over {}", self.kit.display()),
            BOUND,
            || processes_in(&self.kit).is_empty().then_some(()),
        );
    }

    /// psql over TCP.
    fn comes_in(&self, role: &str, more: &str) -> Outcome {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={role} password=secret dbname=postgres connect_timeout=60 {more}",
            self.server.port
        );
        psql_as(
            &self.account,
            &conninfo,
            "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
        )
    }

    fn full(&self) -> String {
        let own = self.kit.join("ca/root.crt");
        let root = self.root.as_ref().unwrap_or(&own);
        format!("sslmode=verify-full sslrootcert={}", root.display())
    }

    /// The bytes, modes and owners, and who comes in.
    #[track_caller]
    pub fn is_as_it_was(&self, when: &str) {
        let left = differences(&self.before, &tree(&self.server));
        assert!(left.is_empty(), "{when}: not as it was: {}", left.join("\n"));
        self.lets_in_plaintext(when);
    }

    /// The rules in force are those of before, whatever lies on the disk.
    #[track_caller]
    pub fn lets_in_plaintext(&self, when: &str) {
        self.server.sql("select 1");
        for role in ["app", "dba"] {
            let plain = self.comes_in(role, "sslmode=disable");
            assert_eq!(
                plain.stdout, "f\n",
                "{when}: {role} is not let in: {}",
                plain.stderr
            );
        }
        let tls = self.comes_in("app", "sslmode=require");
        assert!(
            tls.stderr.contains("does not support SSL"),
            "{when}: TLS is still on: {}{}",
            tls.stdout,
            tls.stderr
        );
    }

    /// TLS is served by the kit's certificate; with `require` plaintext is refused, else it is not.
    #[track_caller]
    pub fn is_as_planned(&self, stage: &str, when: &str) {
        self.server.sql("select 1");
        for role in ["app", "dba"] {
            let tls = self.comes_in(role, &self.full());
            assert_eq!(tls.stdout, "t\n", "{when}: {role} over TLS: {}", tls.stderr);
            let plain = self.comes_in(role, "sslmode=disable");
            if stage == "require" {
                assert!(
                    plain.stderr.contains("pg_hba.conf"),
                    "{when}: {role} in plaintext: {}{}",
                    plain.stdout,
                    plain.stderr
                );
            } else {
                assert_eq!(
                    plain.stdout, "f\n",
                    "{when}: {role} in plaintext: {}",
                    plain.stderr
                );
            }
        }
    }

    /// No names of the try's own beside the server's files.
    #[track_caller]
    pub fn is_tidy(&self, when: &str) {
        let over: Vec<_> = tree(&self.server)
            .into_keys()
            .filter(|path| path.to_string_lossy().contains(".pgtls-"))
            .collect();
        assert!(over.is_empty(), "{when}: left over {over:?}");
    }

    /// Whichever it is, it is that altogether.
    #[track_caller]
    pub fn ends(&self, stage: &str, when: &str) -> End {
        self.settles(when);
        if differences(&self.before, &tree(&self.server)).is_empty() {
            self.lets_in_plaintext(when);
            End::AsItWas
        } else {
            self.is_as_planned(stage, when);
            End::AsPlanned
        }
    }

    /// The same, where the program came to an end of its own and said which.
    #[track_caller]
    pub fn ends_as_said(&self, stage: &str, when: &str, outcome: &Outcome) -> End {
        let end = self.ends(stage, when);
        let said = match outcome.status {
            Some(0) => End::AsPlanned,
            Some(1..=4) => End::AsItWas,
            status => panic!("{when}: status {status:?}\n{}", outcome.stderr),
        };
        assert_eq!(end, said, "{when}:\n{}\n{}", outcome.stdout, outcome.stderr);
        if said == End::AsItWas {
            for jargon in ["os error", "Os {", "panicked", "RUST_BACKTRACE"] {
                assert!(!outcome.stderr.contains(jargon), "{when}: {}", outcome.stderr);
            }
        }
        end
    }

    /// It comes up again over its files: no reload hid that they are bad.
    #[track_caller]
    pub fn restarts(&mut self, when: &str) {
        assert!(
            self.server.restart(),
            "{when}: the server does not come up again:\n{}",
            self.server.log()
        );
    }

    /// Back to the beginning, by the program's own way back.
    #[track_caller]
    pub fn undo(&self, when: &str) {
        let undone = self.pgtls(&["undo"]).run();
        assert_eq!(undone.status, Some(0), "{when}: undo: {}", undone.stderr);
        self.settles(when);
        self.is_as_it_was(&format!("{when}, undone"));
    }

    /// Whether the trial has changed files of the server's.
    pub fn has_changed(&self) -> bool {
        !differences(&self.before, &tree(&self.server)).is_empty()
    }

    pub fn watchdogs(&self) -> Vec<String> {
        let mut found = processes_in(&self.kit);
        found.retain(|process| process.contains(" watchdog "));
        found
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.kit));
    }
}

/// Gives a file to the server's account.
pub fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    Account::server().own(path);
}
