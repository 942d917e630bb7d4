//! Where the server's files are out of reach, its settings are altered over SQL, with the same way back. The witness is
//! psql, and what PostgreSQL itself says of its files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::live::{Live, injected, traced, wait_until};
use crate::support::{Account, Ca, Job, Outcome, Postgres, TestServer, pgtls_bin, skip};

/// A server whose files belong to another account, and whoever hardens it: a superuser with a password.
struct Remote {
    live: Live,
    ca: Ca,
}

impl Remote {
    /// The certificate and the key are there, TLS is off.
    fn new(postgres: &Postgres, conf: &str, arguments: &[&str]) -> Option<Self> {
        if Account::ordinary() == Account::server() {
            skip("only root can be another account", false);
            return None;
        }
        let ca = Ca::new("company");
        let builder = arguments
            .iter()
            .fold(TestServer::builder(postgres), |builder, argument| {
                builder.argument(argument)
            });
        let server = builder
            .tls(&ca.server(&["localhost"]))
            .conf("ssl = off\npassword_encryption = 'scram-sha-256'")
            .conf(conf)
            .hba("host all all all scram-sha-256")
            .sql("create role app login password 'pw'")
            .sql("create role boss superuser login password 'pw'")
            .start();
        let live = Live::new(server);
        let stranger = Account::ordinary();
        chown(&live.kit, Some(stranger.uid), Some(stranger.gid)).unwrap();
        let root = live.kit.join("company.crt");
        fs::copy(&ca.cert, &root).unwrap();
        Some(Self { live, ca })
    }

    fn conninfo(&self) -> String {
        format!(
            "host=localhost port={} user=boss dbname=postgres sslrootcert=company.crt",
            self.live.server.port
        )
    }

    fn pgtls(&self, args: &[&str]) -> Job {
        self.live
            .pgtls(args)
            .account(&Account::ordinary())
            .dir(&self.live.kit)
            .env("PGPASSWORD", "pw")
    }

    fn stage(&self, stage: &str, more: &[&str]) -> Outcome {
        self.pgtls(&["harden", &self.conninfo(), "--yes", "--stage", stage])
            .args(more)
            .run()
    }

    #[track_caller]
    fn in_force(&self, stage: &str, more: &[&str]) -> Value {
        let report = self.stage(stage, more).expect_status(0).json();
        assert_eq!(report["in_force"], true, "{report:#}");
        assert_eq!(report["files"], Value::Array(Vec::new()), "{report:#}");
        report
    }

    fn auto(&self) -> (PathBuf, Vec<u8>) {
        let path = self.live.server.data.join("postgresql.auto.conf");
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    }

    /// Whether psql gets in over TLS, and verifies it.
    fn is_verified(&self) -> bool {
        let mode = format!("sslmode=verify-full sslrootcert={}", self.ca.cert.display());
        self.live.app(&mode).ok
    }

    fn setting(&self, name: &str) -> String {
        let shown = self.live.server.sql(&format!("show {name}")).stdout;
        shown.trim().to_owned()
    }
}

const MAJORS: [u16; 4] = [13, 15, 17, 18];

#[test]
fn settings_are_altered_and_undone_over_sql_alone() {
    std::thread::scope(|scope| {
        for major in MAJORS {
            scope.spawn(move || {
                let Some(postgres) = Postgres::find(major) else {
                    return;
                };
                let Some(remote) = Remote::new(&postgres, "ssl_max_protocol_version = 'TLSv1.2'", &[]) else {
                    return;
                };
                altered_and_undone(&remote);
            });
        }
    });
}

fn altered_and_undone(remote: &Remote) {
    let server = &remote.live.server;
    let before = remote.auto();
    assert!(!remote.is_verified());
    let report = remote.in_force("on", &[]);
    assert_eq!(report["settings"][0]["name"], "ssl", "{report:#}");
    assert_eq!(report["settings"][0]["was"], "off", "{report:#}");
    assert!(remote.is_verified());
    let on = remote.auto();

    // A value that stood there already comes back.
    server.sql("alter system set ssl_min_protocol_version = 'TLSv1.1'");
    server.sql("select pg_reload_conf()");
    let report = remote.in_force("floor", &[]);
    // What is so by default is left.
    let names = report["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap());
    assert!(
        !names.collect::<Vec<_>>().contains(&"ssl_prefer_server_ciphers"),
        "{report:#}"
    );
    assert!(remote.is_verified());
    assert!(["TLSv1.2", "TLSv1.3"].contains(&remote.setting("ssl_min_protocol_version").as_str()));
    assert_eq!(remote.setting("ssl_max_protocol_version"), "");
    let errors = server.sql("select count(*) from pg_file_settings where error is not null");
    assert_eq!(errors.stdout.trim(), "0");

    let undone = remote.pgtls(&["undo"]).run().expect_status(0).json();
    assert_eq!(undone["stage"], "floor", "{undone:#}");
    assert!(wait_until(Duration::from_secs(60), || remote
        .setting("ssl_max_protocol_version")
        == "TLSv1.2"));
    assert_eq!(remote.setting("ssl_min_protocol_version"), "TLSv1.1");
    server.sql("alter system reset ssl_min_protocol_version");
    assert!(remote.auto() == on);
    // Where the rules let nobody in without TLS it stays on.
    let hba = server.data.join("pg_hba.conf");
    let open = fs::read_to_string(&hba).unwrap();
    let put = |rules: &str| {
        fs::write(&hba, rules).unwrap();
        server.sql("select pg_reload_conf()");
    };
    put(&open.replace("host all", "hostssl all"));
    let refused = remote.pgtls(&["undo"]).run().expect_status(1);
    assert!(
        refused.stderr.contains("would be locked out"),
        "{}",
        refused.stderr
    );
    assert!(remote.auto() == on && remote.is_verified());
    put(&open);
    remote.pgtls(&["undo"]).run().expect_status(0);
    assert!(remote.auto() == before);
    assert!(wait_until(Duration::from_secs(60), || remote.setting("ssl")
        == "off"
        && !remote.is_verified()));
}

#[test]
fn a_try_over_sql_goes_back_by_itself() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let Some(mut remote) = Remote::new(&postgres, "", &[]) else {
        return;
    };
    let before = remote.auto();
    let is_back = |remote: &Remote, what: &str| {
        let back = wait_until(Duration::from_secs(60), || {
            remote.auto() == before && remote.setting("ssl") == "off"
        });
        assert!(back, "{what}");
        assert!(!remote.is_verified(), "{what}");
    };

    // Nobody confirms.
    remote.in_force("on", &["--confirm-within", "1"]);
    is_back(&remote, "not confirmed");
    let late = remote.pgtls(&["harden", "--confirm"]).run().expect_status(1);
    assert!(late.stderr.contains("too late"), "{}", late.stderr);

    // Confirmed, and undone by another way in. The watchdog's own session is nobody's whom a stage could turn away.
    remote.in_force("on", &["--confirm-within", "600"]);
    assert!(remote.is_verified());
    let stands = remote
        .pgtls(&["harden", &remote.conninfo()])
        .run()
        .expect_status(0)
        .json();
    let refused = stands["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["would_refuse"].as_u64().unwrap());
    assert_eq!(refused.sum::<u64>(), 0, "{stands:#}");
    remote.pgtls(&["harden", "--confirm"]).run().expect_status(0);
    let refused = remote
        .pgtls(&["undo"])
        .env("PGPASSWORD", "wrong")
        .run()
        .expect_status(1);
    assert!(refused.stderr.contains("--admin"), "{}", refused.stderr);
    let admin = format!(
        "host=localhost port={} user=boss dbname=postgres",
        remote.live.server.port
    );
    remote.pgtls(&["undo", "--admin", &admin]).run().expect_status(0);
    is_back(&remote, "undone");

    // Every session is ended, the watchdog's too, and nobody can log in for a while: once it can it goes back.
    remote.in_force("on", &["--confirm-within", "600"]);
    remote.live.server.sql("alter role boss nologin");
    remote
        .live
        .server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'boss'");
    Job::new("pkill")
        .args([
            "-TERM",
            "-f",
            &format!("watchdog --dir {}", remote.live.kit.display()),
        ])
        .run()
        .expect_ok("there was a watchdog");
    remote.live.server.sql("alter role boss login");
    is_back(&remote, "the watchdog was ended");

    // The server is restarted meanwhile.
    remote.in_force("on", &["--confirm-within", "2"]);
    assert!(remote.live.server.restart());
    is_back(&remote, "restarted");

    // The watchdog is killed: the next run goes back.
    remote.in_force("on", &["--confirm-within", "600"]);
    Job::new("pkill")
        .args([
            "-KILL",
            "-f",
            &format!("watchdog --dir {}", remote.live.kit.display()),
        ])
        .run()
        .expect_ok("there was a watchdog");
    remote.pgtls(&["undo"]).run().expect_status(0);
    is_back(&remote, "without a watchdog");

    // A key that is none of the certificate's: SQL says that all is well, and TLS is not there.
    let key = remote.ca.server(&["localhost"]).key;
    fs::copy(&key, remote.live.server.data.join("server.key")).unwrap();
    let failed = remote.stage("on", &[]).expect_status(1).json();
    assert_eq!(failed["in_force"], false, "{failed:#}");
    is_back(&remote, "another key");
}

/// Wherever pgtls is killed, everything is as it was or as planned, and in the end as it was.
#[test]
fn killed_at_any_word_to_the_server_its_watchdog_goes_back() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let Some(remote) = Remote::new(&postgres, "", &[]) else {
        return;
    };
    let works = Job::new("sh")
        .args(["-c", "command -v strace >/dev/null && strace -o /dev/null true"])
        .run()
        .ok;
    if !works {
        return skip("strace is not here, or may not trace", true);
    }
    let before = remote.auto();
    // What it says to the server, and what it writes down.
    let calls = "sendto,rename";
    let strace = |options: &[&str]| {
        Job::new("strace")
            .args(["-e", &format!("trace={calls}")])
            .args(options)
            .arg(pgtls_bin())
            .args([
                "harden",
                &remote.conninfo(),
                "--yes",
                "--stage",
                "on",
                "--json",
                "--dir",
            ])
            .arg(&remote.live.kit)
            .account(&Account::ordinary())
            .dir(&remote.live.kit)
            .env("PGPASSWORD", "pw")
            .run()
    };
    let trace = traced(&remote.live.kit, strace);
    assert!(remote.is_verified());
    remote.pgtls(&["undo"]).run().expect_status(0);
    assert!(remote.auto() == before);

    // From the record on: the statements, the reload, the proof, the decision.
    let altered = trace
        .lines()
        .position(|line| line.contains("ALTER SYSTEM SET"))
        .unwrap();
    let (mut at, mut tried) = (BTreeMap::new(), 0);
    for (line, text) in trace.lines().enumerate() {
        let Some((call, _)) = text.split_once('(') else {
            continue;
        };
        let when = at
            .entry(call.to_owned())
            .and_modify(|when| *when += 1)
            .or_insert(1);
        // Each step around the change, and every fourth of the long proof.
        if line + 4 < altered || (line > altered + 4 && line % 4 != 0 && call == "sendto") {
            continue;
        }
        let what = format!("killed at {call} {when}: {text}");
        let outcome = injected(call, "signal=KILL", *when, strace);
        tried += 1;
        let mut is_on = false;
        let ended = wait_until(Duration::from_secs(60), || {
            let undecided = fs::read_dir(remote.live.kit.join(".pgtls/live"))
                .unwrap()
                .flatten()
                .any(|entry| entry.path().extension().is_some_and(|state| state == "try"));
            is_on = remote.setting("ssl") == "on";
            !undecided && is_on == (remote.auto() != before)
        });
        assert!(ended, "{what}\n{}", outcome.stderr);
        if is_on {
            assert!(remote.is_verified(), "{what}");
            remote.pgtls(&["undo"]).run().expect_status(0);
        }
        assert!(remote.auto() == before, "{what}");
        assert!(
            wait_until(Duration::from_secs(60), || remote.setting("ssl") == "off"),
            "{what}"
        );
    }
    assert!(tried > 8, "only {tried} places were tried");
}

#[test]
fn what_sql_may_not_alter_is_said_and_left() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let Some(remote) = Remote::new(&postgres, "", &[]) else {
        return;
    };
    let before = remote.auto();
    let refused = |stage: &str, conninfo: &str, status: i32, says: &str| {
        let outcome = remote
            .pgtls(&["harden", conninfo, "--yes", "--stage", stage])
            .run()
            .expect_status(status);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(says), "{said}");
        assert!(remote.auto() == before, "{says}");
    };
    let own = remote.conninfo();
    // Rules are files.
    refused("require", &own, 3, "cannot be changed over SQL");
    // Nothing says that clients could verify the certificate that is there.
    let unknown = own.replace("sslrootcert=company.crt", "");
    refused("on", &unknown, 1, "sslrootcert=FILE");
    // No superuser.
    refused("on", &own.replace("user=boss", "user=app"), 3, "superuser");
    // Somebody makes the settings elsewhere.
    let conf = remote.live.server.data.join("postgresql.conf");
    let was = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, format!("{was}\nallow_alter_system = off\n")).unwrap();
    remote.live.server.sql("select pg_reload_conf()");
    assert!(wait_until(Duration::from_secs(60), || remote
        .setting("allow_alter_system")
        == "off"));
    refused("on", &own, 3, "allow_alter_system is off");
    fs::write(&conf, &was).unwrap();
}

#[test]
fn what_the_command_line_says_no_sql_alters() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let Some(remote) = Remote::new(&postgres, "", &["-c", "ssl=off"]) else {
        return;
    };
    let before = remote.auto();
    let said = remote.stage("on", &[]).expect_status(3).stderr;
    assert!(said.contains("-c ssl=off"), "{said}");
    assert!(remote.auto() == before);
}
