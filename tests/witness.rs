//! The main journey, judged by libpq: what `pgtls up` promises, `psql` and psycopg see, on every version and in both modes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::{Account, Ca, Postgres, Project, processes_in, psql_as, psycopg, skip, wait_for};

const TLS: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
const STARTED: &str = "select pg_postmaster_start_time()";

/// What `up` reports, and the account that asks libpq about it.
struct Up {
    project: Project,
    report: Value,
    conninfo: String,
}

impl Up {
    fn new(major: u16, mode: &str, account: &Account) -> Option<Self> {
        let postgres = Postgres::find(major)?;
        let project = Project::new(account);
        let report = project.up(mode, &postgres).run().expect_status(0).json();
        let conninfo = report["connect"]["conninfo"].as_str().unwrap().to_owned();
        Some(Self {
            project,
            report,
            conninfo,
        })
    }

    /// psql under the emitted conninfo with other keywords after it: the last one counts.
    #[track_caller]
    fn psql(&self, other: &str, query: &str) -> support::Outcome {
        psql_as(
            &self.project.account,
            &format!("{} {other}", self.conninfo),
            query,
        )
    }

    #[track_caller]
    fn refused(&self, other: &str, words: &[&str]) {
        let outcome = self.psql(other, TLS);
        assert!(!outcome.ok, "psql connected with {other}");
        let fits = words.iter().any(|word| outcome.stderr.contains(word));
        assert!(
            fits,
            "psql with {other} should say one of {words:?}: {}",
            outcome.stderr
        );
    }
}

/// `up`, everything libpq must and must not do, `up` again, `down`, `undo`.
fn journey(major: u16, mode: &str, account: &Account) {
    let Some(up) = Up::new(major, mode, account) else {
        return;
    };
    shape(&up, major, mode);
    admitted(&up);
    turned_away(&up, mode);
    changes_nothing(&up, mode, &Postgres::find(major).unwrap());
    up.project.pgtls(&["down", "--yes"]).run().expect_status(0);
    up.refused("", &["Connection refused"]);
    up.project.pgtls(&["undo", "--yes"]).run().expect_status(0);
    assert!(
        up.project.files().is_empty(),
        "undo left {:?}",
        up.project.files().keys()
    );
    // The answers are gone with the files; the data can still be found and deleted.
    up.project
        .pgtls(&["down", "--volumes", "--yes"])
        .run()
        .expect_status(0);
}

/// The object of `up --json` is the contract's, and what it says of itself is so.
fn shape(up: &Up, major: u16, mode: &str) {
    let report = &up.report;
    let mut keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["connect", "dir", "files", "mode", "server", "verify"]);
    assert_eq!(Path::new(report["dir"].as_str().unwrap()), up.project.dir);
    assert_eq!(report["mode"], mode);
    assert_eq!(report["server"]["kind"], "sandbox");
    assert!(
        report["server"]["version"]
            .to_string()
            .contains(&major.to_string()),
        "{}",
        report["server"]
    );
    assert!(report["server"]["port"].as_u64().is_some_and(|port| port > 0));

    let files = up.project.files();
    for file in report["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        assert!(
            files.contains_key(Path::new(path)),
            "{path} is reported but not there"
        );
    }
    for (path, (mode, content)) in &files {
        let secret = content.windows(11).any(|text| text == b"PRIVATE KEY") || path.ends_with("passfile");
        assert!(
            !secret || mode & !0o700 == 0,
            "{} has mode {mode:o}",
            path.display()
        );
    }

    let connect = &report["connect"];
    assert!(up.conninfo.contains("sslmode=verify-full"), "{}", up.conninfo);
    assert!(
        !connect.to_string().to_lowercase().contains("password="),
        "{connect}"
    );
    for keyword in ["sslrootcert=", "sslcert=", "sslkey=", "passfile="] {
        if let Some((_, value)) = up.conninfo.split_once(keyword) {
            assert!(
                value.trim_start_matches('\'').starts_with('/'),
                "{keyword} is not absolute: {}",
                up.conninfo
            );
        }
    }
    assert_eq!(report["verify"]["verdict"], "verified");
    for probe in report["verify"]["probes"].as_array().unwrap() {
        assert_ne!(probe["holds"], false, "{probe}");
    }
}

/// Both libpqs connect, over TLS, with the conninfo as it is; `psql URI` too.
fn admitted(up: &Up) {
    assert_eq!(up.psql("", TLS).expect_ok("psql").stdout, "t\n");
    let uri = up.report["connect"]["uri"].as_str().unwrap();
    assert_eq!(
        psql_as(&up.project.account, uri, TLS)
            .expect_ok("psql URI")
            .stdout,
        "t\n"
    );
    if let Some(outcome) = psycopg(&up.project.account, &up.conninfo, TLS) {
        assert_eq!(outcome.expect_ok("psycopg").stdout, "True\n");
    }
}

/// What the mode forbids, libpq is refused, and for that reason.
fn turned_away(up: &Up, mode: &str) {
    let foreign = Ca::new("foreign");
    let give = |leaf: &support::Leaf| {
        up.project.account.own(&leaf.key);
        format!("sslcert={} sslkey={}", leaf.cert.display(), leaf.key.display())
    };
    up.refused(
        "sslmode=disable",
        &["no pg_hba.conf entry", "pg_hba.conf rejects connection"],
    );
    up.refused(
        "host=wrong.example.test hostaddr=127.0.0.1",
        &["does not match host name"],
    );
    up.refused(
        &format!("sslrootcert={}", foreign.cert.display()),
        &["certificate verify failed"],
    );
    up.refused(
        "user=postgres",
        &["no pg_hba.conf entry", "pg_hba.conf rejects connection"],
    );
    if mode == "mtls" {
        let own = Ca::existing(
            &up.project.dir.join("ca/root.crt"),
            &up.project.dir.join("ca/ca.key"),
        );
        up.refused(
            "sslcert=/nonexistent sslkey=/nonexistent",
            &["requires a valid client certificate"],
        );
        up.refused(&give(&foreign.client("app")), &["unknown ca"]);
        up.refused(
            &give(&own.client("mallory")),
            &["certificate authentication failed"],
        );
    } else {
        up.refused("passfile=/nonexistent", &["no password supplied"]);
    }
}

/// A second `up` leaves every byte and the running server alone.
fn changes_nothing(up: &Up, mode: &str, postgres: &Postgres) {
    let files = up.project.files();
    let started = up.psql("", STARTED).expect_ok("psql").stdout;
    let again = up.project.up(mode, postgres).run().expect_status(0).json();
    let after = up.project.files();
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, file)| files.get(*path) != Some(file))
        .map(|(path, _)| path)
        .collect();
    assert!(
        changed.is_empty() && files.len() == after.len(),
        "the second run changed {changed:?}"
    );
    assert_eq!(
        up.psql("", STARTED).expect_ok("psql").stdout,
        started,
        "the second run restarted the server"
    );
    assert_eq!(again["connect"], up.report["connect"]);
}

macro_rules! journeys {
    ($($name:ident: $major:literal $mode:literal;)*) => {
        mod as_ordinary_user {
            use super::*;
            $(#[test] fn $name() { journey($major, $mode, &Account::ordinary()); })*
        }
        /// The server then runs as another account, in a directory of its own.
        mod as_root {
            use super::*;
            $(#[test] fn $name() {
                if Account::is_root() {
                    journey($major, $mode, &Account::current());
                } else {
                    skip("these tests do not run as root", false);
                }
            })*
        }
    };
}

journeys! {
    one_way_13: 13 "one-way";
    one_way_15: 15 "one-way";
    one_way_17: 17 "one-way";
    one_way_18: 18 "one-way";
    mtls_13: 13 "mtls";
    mtls_15: 15 "mtls";
    mtls_17: 17 "mtls";
    mtls_18: 18 "mtls";
}

/// Every certificate that `up` issues passes OpenSSL's strict reading of X.509 for its purpose, whatever the algorithm.
fn strictly_valid(algorithm: &str) {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::ordinary());
    let up = project
        .up("mtls", &postgres)
        .args(["--algorithm", algorithm])
        .run()
        .expect_status(0)
        .json();
    for (certificate, purpose) in [
        ("server/server.crt", "sslserver"),
        ("clients/app/client.crt", "sslclient"),
    ] {
        support::Job::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
            .arg(project.dir.join("ca/root.crt"))
            .arg(project.dir.join(certificate))
            .run()
            .expect_ok(certificate);
    }
    let conninfo = up["connect"]["conninfo"].as_str().unwrap();
    assert_eq!(
        psql_as(&project.account, conninfo, TLS).expect_ok("psql").stdout,
        "t\n"
    );
}

macro_rules! algorithms {
    ($($name:ident)*) => { mod algorithm { $(#[test] fn $name() { super::strictly_valid(stringify!($name)); })* } };
}

algorithms! { p256 p384 rsa2048 rsa3072 rsa4096 ed25519 }

/// SIGINT while `up` works: no server stays, and the next `up` succeeds as if nothing had been.
fn interrupted(sign: &str) {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::ordinary());
    let mut up = project.up("mtls", &postgres).start();
    let awaited = project.dir.join(sign);
    let reached = wait_for(sign, Duration::from_secs(60), || {
        if awaited.exists() {
            Some(true)
        } else {
            (!up.is_running()).then_some(false)
        }
    });
    assert!(reached, "up ended before {sign} was there: {:?}", up.wait());
    up.signal("INT");
    let outcome = up.wait();
    assert_ne!(
        outcome.status,
        Some(0),
        "up ended well before SIGINT reached it: choose an earlier sign than {sign}"
    );
    wait_for("no process is left", Duration::from_secs(60), || {
        processes_in(&project.dir).is_empty().then_some(())
    });
    project.up("mtls", &postgres).run().expect_status(0);
}

#[test]
fn interrupted_when_it_begins() {
    interrupted(".pgtls");
}

#[test]
fn interrupted_when_files_are_written() {
    interrupted("server/server.crt");
}

#[test]
fn interrupted_in_initdb() {
    interrupted(".pgtls/data/PG_VERSION");
}

#[test]
fn interrupted_when_the_server_starts() {
    interrupted(".pgtls/data/postmaster.pid");
}

/// Two that look for the first free port at the same time are not given the same one.
#[test]
fn two_at_once_find_a_port_each() {
    let Some(postgres) = Postgres::any() else { return };
    let projects = [(); 3].map(|()| Project::new(&Account::ordinary()));
    let running: Vec<_> = projects
        .iter()
        .map(|project| {
            project
                .pgtls(&["up", "--mode", "one-way", "--run", "sandbox", "--yes", "--json"])
                .arg("--pg-bin")
                .arg(&postgres.bin)
                .start()
        })
        .collect();
    let mut ports: Vec<_> = running
        .into_iter()
        .map(|up| up.wait().expect_status(0).json()["server"]["port"].as_u64())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), projects.len(), "{ports:?}");
}

/// A name that no DNS has yet is proven all the same, over loopback, and psql agrees.
#[test]
fn a_name_that_is_not_known_yet_is_proven() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::ordinary());
    let up = project
        .up("mtls", &postgres)
        .args(["--host", "db.example.test", "--host", "localhost"])
        .run()
        .expect_status(0);
    assert!(
        up.stderr.contains("does not know the name db.example.test"),
        "{}",
        up.stderr
    );
    let report = up.json();
    assert_eq!(report["verify"]["verdict"], "verified");
    let conninfo = report["connect"]["conninfo"].as_str().unwrap();
    let over_loopback = format!("{conninfo} hostaddr=127.0.0.1");
    assert_eq!(
        psql_as(&project.account, &over_loopback, TLS)
            .expect_ok("psql")
            .stdout,
        "t\n"
    );
    // And again, any time.
    for again in [&["verify", "--json"][..], &["verify", "--modes", "--json"]] {
        let run = project.pgtls(again).run().expect_status(0);
        assert!(
            run.stderr.contains("does not know the name db.example.test"),
            "{again:?}: {}",
            run.stderr
        );
    }
    // What psql would do is another question: its user has no such address.
    let psql = psql_as(&project.account, conninfo, TLS);
    assert!(
        psql.stderr.contains("could not translate host name"),
        "{}",
        psql.stderr
    );
    project
        .pgtls(&["verify", "--probes", "connect"])
        .run()
        .expect_status(1);
    // Nor is there anything here of a server that runs elsewhere.
    let elsewhere = Project::new(&project.account);
    elsewhere
        .pgtls(&[
            "apply",
            "--mode",
            "one-way",
            "--run",
            "none",
            "--host",
            "db.example.test",
        ])
        .args(["--port", &report["server"]["port"].to_string(), "--yes"])
        .run()
        .expect_status(0);
    let run = elsewhere.pgtls(&["verify"]).run().expect_status(1);
    assert!(
        run.stdout.contains("host name \"db.example.test\" is not known"),
        "{}",
        run.stdout
    );
    let run = elsewhere.pgtls(&["verify", "--modes"]).run().expect_status(2);
    assert!(
        run.stderr
            .contains("this machine does not know the name db.example.test"),
        "{}",
        run.stderr
    );
}

/// A list that is given takes the place of the one before: who would be shut out by that is named, and asked about.
#[test]
fn nobody_is_shut_out_unasked() {
    let Some(up) = Up::new(18, "mtls", &Account::server()) else {
        return;
    };
    let before = up.project.files();
    let declined: [(&[&str], &str); 3] = [
        (&["--client", "reporting=app"], "client app can log in no longer"),
        (&["--user", "web"], "client app can log in no longer"),
        (
            &["--host", "db.example.org"],
            "whoever dials the server as localhost or 127.0.0.1 or ::1 refuses it",
        ),
    ];
    for command in ["up", "apply"] {
        for (change, words) in declined {
            let run = up.project.pgtls(&[command]).args(change).run().expect_status(2);
            assert!(run.stderr.contains(words), "{change:?}: {}", run.stderr);
            assert!(run.stderr.contains("name those that stay"), "{}", run.stderr);
            assert!(up.project.files() == before, "{change:?} wrote something");
        }
    }
    up.psql("", TLS).expect_ok("nothing has changed");

    // Who is added to those that are there shuts nobody out.
    let both = ["up", "--client", "app", "--client", "reporting=app"];
    let run = up.project.pgtls(&both).run().expect_status(0);
    assert!(!run.stderr.contains("no longer"), "{}", run.stderr);
    up.psql("", TLS).expect_ok("the first client");
    let kit = support::scratch("kept").join("app");
    std::process::Command::new("cp")
        .arg("-a")
        .args([&up.project.dir.join("clients/app"), &kit])
        .status()
        .unwrap();
    let run = up
        .project
        .pgtls(&["up", "--yes", "--client", "reporting=app"])
        .run()
        .expect_status(0);
    assert!(
        run.stderr.contains("client app can log in no longer"),
        "{}",
        run.stderr
    );
    let kept = format!(
        "sslcert={0}/client.crt sslkey={0}/client.key sslrootcert={0}/root.crt",
        kit.display()
    );
    up.refused(&kept, &["authentication failed"]);
}

/// A careful person keeps the CA elsewhere: what it issued goes on, and no other is made unless somebody says so.
#[test]
fn a_ca_that_is_kept_elsewhere_is_never_remade_unasked() {
    let Some(up) = Up::new(18, "mtls", &Account::server()) else {
        return;
    };
    let (ca, offline) = (up.project.dir.join("ca"), support::scratch("offline"));
    let away = offline.join("ca");
    let moved = |from: &Path, to: &Path| {
        let moved = std::process::Command::new("mv")
            .args([from, to])
            .status()
            .unwrap();
        assert!(moved.success());
    };
    let run = |args: &[&str], status| up.project.pgtls(args).run().expect_status(status);
    let psql = |when: &str| up.psql("", TLS).expect_ok(when);

    // The whole directory, then the key alone: everything fits, so that nothing has to be issued.
    moved(&ca, &away);
    let files = up.project.files();
    for missing in ["the CA", "its key"] {
        let said = run(&["up"], 0).stderr;
        assert!(
            said.contains("the CA's key is not here, and was not needed"),
            "{missing}: {said}"
        );
        psql(missing);
        let refused = run(&["renew"], 3).stderr;
        for words in [
            "the CA's key is not here to issue another",
            "ca/ca.key",
            "pgtls renew --ca",
        ] {
            assert!(refused.contains(words), "{missing}: {words}: {refused}");
        }
        if missing == "the CA" {
            assert!(up.project.files() == files);
            moved(&away, &ca);
            moved(&ca.join("ca.key"), &offline.join("ca.key"));
        }
    }
    moved(&offline.join("ca.key"), &ca.join("ca.key"));

    // Its certificate alone: every client has a copy.
    std::fs::remove_file(ca.join("root.crt")).unwrap();
    run(&["up"], 0);
    assert!(ca.join("root.crt").exists(), "it is there again");
    run(&["renew"], 0);
    psql("renewed by the same CA");

    // A damaged key is named, and a lost one is followed by a new CA only where that is said.
    let key = std::fs::read(ca.join("ca.key")).unwrap();
    std::fs::write(ca.join("ca.key"), &key[..60]).unwrap();
    let damaged = run(&["renew"], 2).stderr;
    assert!(
        damaged.contains("ca/ca.key") && damaged.contains("pgtls renew --ca"),
        "{damaged}"
    );
    std::fs::remove_file(ca.join("ca.key")).unwrap();
    let old = std::fs::read(up.project.kit().join("root.crt")).unwrap();
    run(&["renew", "--ca", "--yes"], 0);
    psql("of the new CA");
    let old_root = offline.join("root.crt");
    std::fs::write(&old_root, old).unwrap();
    up.refused(
        &format!("sslrootcert={}", old_root.display()),
        &["certificate verify failed"],
    );
}
