//! Lock-out drills: whatever goes wrong, the server ends as it was or as planned, and the admin can log in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::live::{Files, Live, injected, plain, traced, wait_until};
use crate::support::{
    Account, Ca, Job, Leaf, Outcome, Postgres, TestServer, pgtls, pgtls_bin, psql_as, skip,
};

fn newest() -> Option<Postgres> {
    Postgres::find(18)
}

/// A stage that must not come into force, and leaves everything as it was.
#[track_caller]
fn fails(live: &Live, stage: &str, more: &[&str], status: i32, says: &str) {
    let before = live.files();
    let plaintext = live.app("sslmode=disable").ok;
    let outcome = live.stage(stage, more).expect_status(status);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains(says), "{said}");
    live.ends_as(&before, plaintext, says);
    let left: Vec<_> = live
        .files()
        .into_keys()
        .filter(|path| path.file_name().unwrap().to_str().unwrap().contains("pgtls-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_role_that_another_encoding_made_is_in_nobodys_way() {
    let Some(postgres) = newest() else { return };
    let live = plain(&postgres);
    let server = &live.server;
    server.sql("create database old encoding 'LATIN1' locale 'C' template template0");
    let old = server.socket().replace("dbname=postgres", "dbname=old");
    let sql = "create role \"k\u{e4}se\" login; create role more in role \"k\u{e4}se\"";
    psql_as(&Account::server(), &old, sql).expect_ok(sql);
    // In this database its name is no text.
    for stage in ["on", "require", "mtls"] {
        live.in_force(stage, &[]);
    }
    let report = pgtls(["audit", &server.socket(), "--json"])
        .account(&Account::server())
        .run();
    assert!(matches!(report.status, Some(0 | 1)), "{report:?}");
    assert!(report.json()["findings"].is_array());
}

#[test]
fn what_others_changed_and_nobody_had_the_server_read_is_said() {
    let Some(postgres) = newest() else { return };
    let live = plain(&postgres);
    let hba = live.server.data.join("pg_hba.conf");
    let notes = |report: &serde_json::Value| report["notes"].to_string();
    let report = live.in_force("on", &[]);
    assert!(!notes(&report).contains("not in force yet"), "{report:#}");
    let text = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, text + "hostssl all all 10.0.0.0/8 scram-sha-256\n").unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(10);
    let file = fs::File::options().write(true).open(&hba).unwrap();
    file.set_modified(later).unwrap();
    let report = live.in_force("floor", &[]);
    let said = notes(&report);
    assert!(
        said.contains("not in force yet: ") && said.contains("pg_hba.conf (at "),
        "{report:#}"
    );
}

#[test]
fn what_cannot_hold_is_never_in_force() {
    let Some(postgres) = newest() else { return };
    let live = plain(&postgres);
    let hba = live.server.data.join("pg_hba.conf");
    let conf = live.server.data.join("postgresql.conf");
    let good = fs::read(&hba).unwrap();
    let append = |path: &Path, text: &str| {
        let mut bytes = fs::read(path).unwrap();
        bytes.extend_from_slice(text.as_bytes());
        fs::write(path, bytes).unwrap();
    };

    append(&hba, "hostssl all all 10.0.0.0/8 scram-sha256\n");
    fails(&live, "on", &[], 1, "pg_hba.conf:5");
    fs::write(&hba, &good).unwrap();

    let conf_was = fs::read(&conf).unwrap();
    append(&conf, "work_mem == 4MB\n");
    fails(&live, "on", &[], 1, "syntax error");
    fs::write(&conf, &conf_was).unwrap();
    append(&conf, "wrok_mem = 4MB\n");
    fails(&live, "on", &[], 1, "wrok_mem");
    fs::write(&conf, &conf_was).unwrap();

    // The reload that fails in silence: SQL says that all is well.
    append(&conf, "ssl_crl_file = 'missing.crl'\n");
    fails(&live, "on", &[], 1, "ssl_crl_file = 'missing.crl'");
    fs::write(&conf, &conf_was).unwrap();

    // Certificates that clients would refuse.
    let ca = Ca::new("ca");
    let here = |file: &Path, name: &str| {
        let to = live.kit.join(name);
        fs::copy(file, &to).unwrap();
        live.account.own(&to);
        to.to_str().unwrap().to_owned()
    };
    let root = here(&ca.cert, "given-root.crt");
    let pair = |leaf: &Leaf| [here(&leaf.cert, "given.crt"), here(&leaf.key, "given.key")];
    let flags = |pair: &[String; 2]| {
        [
            "--host",
            "localhost",
            "--server-cert",
            &pair[0],
            "--server-key",
            &pair[1],
            "--root",
            &root,
        ]
        .map(str::to_owned)
    };
    for leaf in [&ca.expired(), &Leaf::self_signed(&["elsewhere"])] {
        let flags = flags(&pair(leaf));
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        fails(&live, "on", &flags, 2, "server certificate");
    }
    // A key with a mode of its own is given its own here.
    let pair = pair(&ca.server(&["localhost"]));
    fs::set_permissions(&pair[1], fs::Permissions::from_mode(0o644)).unwrap();
    let flags = flags(&pair);
    live.in_force("on", &flags.iter().map(String::as_str).collect::<Vec<_>>());
    live.app(&format!("sslmode=verify-full sslrootcert={root}"))
        .expect_ok("the certificate that was given");
    let mode = fs::metadata(live.server.data.join("server.key"))
        .unwrap()
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o600);

    // What is somebody else's to write.
    let sign = live.server.data.join("patroni.dynamic.json");
    fs::write(&sign, "{}").unwrap();
    fails(&live, "require", &[], 3, "patronictl edit-config");
    fs::remove_file(&sign).unwrap();
    live.server.sql("create role rds_superuser");
    fails(&live, "require", &[], 3, "rds.force_ssl");
}

#[test]
fn the_command_line_beats_every_file_and_that_is_said() {
    let Some(postgres) = newest() else { return };
    let server = TestServer::builder(&postgres)
        .argument("-c")
        .argument("ssl=off")
        .hba("host all all all scram-sha-256")
        .sql("create role app login password 'pw'")
        .start();
    fails(&Live::new(server), "on", &[], 3, "-c ssl=off");
}

#[test]
fn the_admins_own_way_in_is_never_closed() {
    let Some(postgres) = newest() else { return };
    let live = Live::new(
        TestServer::builder(&postgres)
            .hba("hostssl all boss all reject\nhost all all all scram-sha-256")
            .sql("create role app login password 'pw'")
            .sql("create role boss superuser login password 'pw'")
            .start(),
    );
    live.in_force("on", &[]);
    let before = live.files();
    let run = |more: &str| -> Outcome {
        let conninfo = format!(
            "host=localhost port={} user=boss password=pw dbname=postgres {more}",
            live.server.port
        );
        live.pgtls(&[
            "harden",
            &conninfo,
            "--yes",
            "--stage",
            "require",
            "--accept-lockout",
        ])
        .run()
    };
    for mode in ["", "sslmode=disable"] {
        let said = run(mode).expect_status(1).stderr;
        assert!(said.contains("your own way in"), "{said}");
        live.ends_as(&before, true, "the admin's own way in");
    }
}

#[test]
fn a_try_lasts_only_if_it_is_confirmed_in_time() {
    let Some(postgres) = newest() else { return };
    let live = plain(&postgres).at(&["on"]);
    let before = live.files();
    let confirm = || live.pgtls(&["harden", "--confirm"]).run();

    confirm().expect_status(1);
    let report = live.in_force("require", &["--confirm-within", "600"]);
    assert_eq!(report["confirm_within"], 600);
    assert!(!live.app("sslmode=disable").ok);
    let planned = without_ours(live.files());
    // Another stage waits until it is decided.
    live.stage("floor", &[]).expect_status(2);
    confirm().expect_status(0);
    live.pgtls(&["undo"]).run().expect_status(0);
    live.ends_as(&before, true, "confirmed, then undone");

    // Nobody confirms.
    live.in_force("require", &["--confirm-within", "1"]);
    live.ends_as(&before, true, "not confirmed");
    let late = confirm().expect_status(1);
    assert!(late.stderr.contains("too late"), "{}", late.stderr);

    // Undone while it waits.
    live.in_force("require", &["--confirm-within", "600"]);
    live.pgtls(&["undo"]).run().expect_status(0);
    live.ends_as(&before, true, "undone while it waits");

    // The watchdog is killed: the next run notices once the time is over.
    live.in_force("require", &["--confirm-within", "2"]);
    let watchdog = Job::new("pkill")
        .args(["-KILL", "-f", &format!("watchdog --dir {}", live.kit.display())])
        .run();
    watchdog.expect_ok("there was a watchdog");
    assert!(without_ours(live.files()) == planned);
    let gone = wait_until(Duration::from_secs(60), || {
        live.stage("watch", &["--for", "0"]).status == Some(0)
    });
    assert!(gone);
    live.ends_as(&before, true, "without a watchdog");

    // A shutdown, or a logout that ends everything of the account: back at once.
    live.in_force("require", &["--confirm-within", "600"]);
    Job::new("pkill")
        .args(["-TERM", "-f", &format!("watchdog --dir {}", live.kit.display())])
        .run()
        .expect_ok("there was a watchdog");
    live.ends_as(&before, true, "the watchdog was ended");
}

/// The machine is started again while a try waits: its watchdog is gone, and the clock that counted begins anew.
#[test]
fn a_machine_that_is_started_again_meanwhile_is_noticed() {
    let Some(postgres) = newest() else { return };
    let live = plain(&postgres).at(&["on"]);
    let before = live.files();
    let start_again = || {
        live.in_force("require", &["--confirm-within", "600"]);
        Job::new("pkill")
            .args(["-KILL", "-f", &format!("watchdog --dir {}", live.kit.display())])
            .run()
            .expect_ok("there was a watchdog");
        let books = fs::read_dir(live.kit.join(".pgtls/live")).unwrap().flatten();
        let tried = books
            .map(|entry| entry.path().join("record.json"))
            .find(|path| path.to_str().unwrap().contains(".try/"))
            .unwrap();
        let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&tried).unwrap()).unwrap();
        record["until"]["boot"] = "00000000-0000-0000-0000-000000000000".into();
        fs::write(&tried, record.to_string()).unwrap();
        assert!(!live.app("sslmode=disable").ok, "it is in force still");
    };

    start_again();
    let verify = || {
        let conninfo = format!(
            "host=localhost port={} user=app password=pw dbname=postgres {}",
            live.server.port,
            live.full()
        );
        live.pgtls(&["verify", &conninfo, "--probes", "connect"])
            .run()
            .expect_status(0)
    };
    let said = verify().stderr;
    assert!(
        said.contains("was not confirmed in time") && said.contains("pgtls undo"),
        "{said}"
    );
    let stands = live
        .pgtls(&["harden", &live.server.socket()])
        .run()
        .expect_status(0)
        .json();
    let pending = stands["pending"].as_str().unwrap_or_default().to_owned();
    assert!(
        pending.contains("require") && pending.contains("started"),
        "{stands:#}"
    );
    live.pgtls(&["undo"]).run().expect_status(0);
    live.ends_as(&before, true, "undone after the start");
    assert!(!verify().stderr.contains("confirm"));

    start_again();
    let late = live.pgtls(&["harden", "--confirm"]).run().expect_status(1);
    assert!(late.stderr.contains("too late"), "{}", late.stderr);
    live.ends_as(&before, true, "confirmed after the start");

    start_again();
    live.stage("watch", &["--for", "0"]).expect_status(0);
    live.ends_as(&before, true, "the next run after the start");
}

#[test]
fn a_server_that_is_restarted_meanwhile_is_found_again() {
    let Some(postgres) = newest() else { return };
    let live = plain(&postgres).at(&["on"]);
    let before = live.files();
    live.in_force("require", &["--confirm-within", "4"]);
    let control = |args: &[&str]| {
        Job::new(postgres.bin.join("pg_ctl"))
            .args(args)
            .arg("-D")
            .arg(&live.server.data)
            .args(["-l", "/dev/null"])
            .account(&Account::server())
            .run()
    };
    control(&["restart", "-m", "fast", "-w"]).expect_ok("restart");
    live.ends_as(&before, true, "restarted meanwhile");
    control(&["stop", "-m", "immediate"]).expect_ok("stop");
}

#[test]
fn killed_or_out_of_room_at_every_step_it_ends_as_before_or_as_planned() {
    let works = Job::new("sh")
        .args(["-c", "command -v strace >/dev/null && strace -o /dev/null true"])
        .run()
        .ok;
    if !works {
        return skip("strace is not here, or may not trace", true);
    }
    let Some(postgres) = newest() else { return };
    std::thread::scope(|scope| {
        // Calls by which pgtls changes a disk: it may be killed before any, and lack room at those that take some.
        for (fault, calls) in [
            (
                "signal=KILL",
                &["mkdir", "write", "fsync", "link", "rename", "unlink"][..],
            ),
            ("error=ENOSPC", &["mkdir", "write", "fsync", "link"]),
        ] {
            let postgres = postgres.clone();
            scope.spawn(move || at_every_call(&postgres, fault, calls));
        }
    });
}

/// Without the second names that a killed run leaves beside the files.
fn without_ours(mut files: Files) -> Files {
    files.retain(|path, _| !path.file_name().unwrap().to_str().unwrap().contains(".pgtls-"));
    files
}

fn at_every_call(postgres: &Postgres, fault: &str, calls: &[&str]) {
    let live = plain(postgres).at(&["on", "require"]);
    let planned = live.files();
    live.pgtls(&["undo"]).run().expect_status(0);
    let before = live.files();
    // The main thread alone: the watchdog is a process of its own, which a kill of pgtls does not reach.
    let strace = |options: &[&str]| {
        Job::new("strace")
            .args(["-e", &format!("trace={}", calls.join(","))])
            .args(options)
            .arg(pgtls_bin())
            .args([
                "harden",
                &live.server.socket(),
                "--yes",
                "--stage",
                "require",
                "--json",
            ])
            .arg("--config-dir")
            .arg(&live.server.data)
            .arg("--dir")
            .arg(&live.kit)
            .account(&live.account)
            .run()
    };
    let trace = traced(&live.kit, strace);
    live.pgtls(&["undo"]).run().expect_status(0);
    let mut tried = 0;
    for call in calls {
        let lines = trace.lines().filter(|line| line.starts_with(&format!("{call}(")));
        for (at, line) in lines.enumerate() {
            // Words on the terminal change no disk.
            if line.starts_with("write(1,") || line.starts_with("write(2,") {
                continue;
            }
            let when = at + 1;
            let what = format!("{fault} at {call} {when}");
            let outcome = injected(call, fault, when, strace);
            tried += 1;
            // After the decision it is as planned, else as before; whichever, files and server agree.
            let is_decided = wait_until(Duration::from_secs(60), || {
                let now = without_ours(live.files());
                now == before || now == planned
            });
            assert!(
                is_decided,
                "{what}: {}\n{:?}",
                outcome.stderr,
                live.files().keys()
            );
            // The next run finds everything in order, and removes what a killed one could not.
            if live.files() != without_ours(live.files()) {
                live.stage("watch", &["--for", "0"]).expect_status(0);
            }
            let now = live.files();
            live.ends_as(&now, now == before, &what);
            assert!(outcome.status != Some(0) || now == planned, "{what}");
            if now == planned {
                live.pgtls(&["undo"]).run().expect_status(0);
            }
        }
    }
    live.ends_as(&before, true, fault);
    assert!(tried > 15, "only {tried} faults were tried");
}
