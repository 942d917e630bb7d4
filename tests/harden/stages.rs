//! At every stage those who should come in do, others do not, and `undo` gives back the bytes.

use std::fs;
use std::time::Duration;

use crate::live::{Live, plain, wait_until};
use crate::support::{Account, Job, Postgres, scratch, skip};

const MAJORS: [u16; 4] = [13, 15, 17, 18];

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

#[test]
fn where_it_stands_is_told_and_nothing_is_written() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres);
    let before = live.files();
    let stands = || {
        let report = live
            .pgtls(&["harden", &live.server.socket()])
            .arg("--config-dir")
            .arg(&live.server.data)
            .run()
            .expect_status(0)
            .json();
        let done = report["stages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["in_files"] == true);
        (done.count(), report["next"].clone())
    };
    assert_eq!(stands(), (0, "on".into()));
    assert!(live.files() == before);
    live.in_force("on", &[]);
    assert_eq!(stands(), (1, "require".into()));
    live.in_force("require", &[]);
    assert_eq!(stands(), (2, "mtls".into()));
}

#[test]
fn out_of_reach_its_administrator_gets_a_bundle() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let live = plain(&postgres);
    live.server.sql("create role boss superuser login password 'pw'");
    let stranger = Account::ordinary();
    if stranger == live.account {
        return skip("only root can be another account", false);
    }
    let before = live.files();
    stranger.own(&live.kit);
    let conninfo = format!(
        "host=localhost port={} user=boss password=pw dbname=postgres",
        live.server.port
    );
    let report = live
        .pgtls(&["harden", &conninfo, "--yes", "--stage", "require"])
        .account(&stranger)
        .run()
        .expect_status(3)
        .json();
    assert_eq!(report["in_force"], false);
    assert!(live.files() == before);
    let made = live.kit.join("bundle/require");
    for script in ["apply.sh", "rollback.sh"] {
        Job::new("shellcheck")
            .arg(made.join(script))
            .run()
            .expect_ok(script);
    }
    assert!(
        fs::read_to_string(made.join("RUNBOOK.md"))
            .unwrap()
            .contains("+hostnossl all all all reject")
    );

    // As the administrator would have it there.
    let there = scratch("bundle");
    Job::new("cp")
        .arg("-r")
        .arg(made.join("."))
        .arg(&there)
        .run()
        .expect_ok("cp");
    Job::new("chown")
        .args(["-R", &live.account.name])
        .arg(&there)
        .run()
        .expect_ok("chown");
    let run = |script: &str, more: &[&str]| {
        Job::new("sh")
            .arg(there.join(script))
            .args(more)
            .account(&live.account)
            .run()
            .expect_ok(script)
    };
    run("apply.sh", &[]);
    let root = format!(
        "sslmode=verify-full sslrootcert={}",
        live.kit.join("ca/root.crt").display()
    );
    Job::new("chmod").args(["-R", "a+rX"]).arg(&live.kit).run();
    let holds = wait_until(Duration::from_secs(60), || {
        live.app(&root).ok && !live.app("sslmode=disable").ok
    });
    assert!(holds, "{}", live.server.log());
    run("rollback.sh", &[]);
    live.ends_as(&before, true, "rolled back");

    // Nobody says that it may stay.
    run("apply.sh", &["1"]);
    live.ends_as(&before, true, "nobody kept it");
    fs::remove_dir_all(&there).unwrap();
}
