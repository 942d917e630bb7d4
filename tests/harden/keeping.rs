//! `harden --confirm` keeps what is in force, and nothing else; what is said of a try that waits is true.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::live::{Live, plain, wait_until};
use crate::support::{Job, Outcome, Postgres};

/// A server at `on`, at which `require` waits to be confirmed; with what its `pg_hba.conf` said before and says now.
fn waits() -> Option<(Live, [Vec<u8>; 2])> {
    let live = plain(&Postgres::find(15)?).at(&["on"]);
    let before = fs::read(hba(&live)).unwrap();
    live.in_force("require", &["--confirm-within", "120"]);
    assert!(!live.app("sslmode=disable").ok);
    let now = fs::read(hba(&live)).unwrap();
    Some((live, [before, now]))
}

fn hba(live: &Live) -> std::path::PathBuf {
    live.server.data.join("pg_hba.conf")
}

fn put(live: &Live, bytes: &[u8]) {
    fs::write(hba(live), bytes).unwrap();
    live.account.own(&hba(live));
}

fn reload(live: &Live, plaintext: bool) {
    live.server.sql("select pg_reload_conf()");
    let read = wait_until(Duration::from_secs(60), || {
        live.app("sslmode=disable").ok == plaintext
    });
    assert!(read, "{}", live.server.log());
}

fn confirm(live: &Live) -> Outcome {
    live.pgtls(&["harden", "--confirm"]).run()
}

#[track_caller]
fn is_not_kept(live: &Live, says: &str) {
    let said = confirm(live).expect_status(1).stderr;
    assert!(
        said.contains("is not kept") && said.contains(says) && said.contains("`pgtls undo"),
        "{said}"
    );
}

#[test]
fn what_is_in_force_is_kept_once() {
    let Some((live, _)) = waits() else { return };
    let kept = confirm(&live).expect_status(0).json();
    assert_eq!(kept["stage"], "require");
    assert_eq!(kept["notes"].as_array().unwrap().len(), 0, "{kept:#}");
    assert!(!live.app("sslmode=disable").ok);
    confirm(&live).expect_status(1);
    assert!(!live.app("sslmode=disable").ok);
}

#[test]
fn what_somebody_put_back_is_not_kept() {
    let Some((live, [before, now])) = waits() else {
        return;
    };
    put(&live, &before);
    reload(&live, true);
    is_not_kept(&live, "pg_hba.conf is as it was before the stage");
    put(&live, &[&now[..], b"# mine\n"].concat());
    is_not_kept(&live, "pg_hba.conf was changed since");
    // The bytes are those of the stage, and the server has not read them.
    put(&live, &now);
    is_not_kept(&live, "plaintext-refused is not proven");
    reload(&live, false);
    confirm(&live).expect_status(0);
}

/// What is in force differs where no probe looks: only the times tell.
#[test]
fn what_the_server_read_in_between_is_not_kept() {
    let Some((live, [_, now])) = waits() else { return };
    let other = String::from_utf8(now.clone()).unwrap().replace(
        "hostnossl all all all reject",
        "hostnossl all other all trust\nhostnossl all all all reject",
    );
    assert_ne!(other.as_bytes(), now);
    put(&live, other.as_bytes());
    let read = live.server.sql("select pg_conf_load_time()").stdout;
    live.server.sql("select pg_reload_conf()");
    // By its own clock, in a second of its own.
    let is_read = format!(
        "select pg_conf_load_time() > '{}' and pg_conf_load_time() < clock_timestamp() - interval '2 s'",
        read.trim()
    );
    assert!(wait_until(Duration::from_secs(60), || live
        .server
        .sql(&is_read)
        .stdout
        .trim()
        == "t"));
    put(&live, &now);
    is_not_kept(&live, "the server last read its files at");
    live.server.sql("select pg_reload_conf()");
    let kept = wait_until(Duration::from_secs(60), || confirm(&live).ok);
    assert!(kept);
}

#[test]
fn what_another_changed_over_sql_is_not_kept() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let live = plain(&postgres);
    live.in_force("on", &["--confirm-within", "120"]);
    live.server.sql("alter system set ssl = off");
    live.server.sql("select pg_reload_conf()");
    assert!(wait_until(Duration::from_secs(60), || !live
        .app("sslmode=require")
        .ok));
    is_not_kept(&live, "ssl is off");
}

/// A directory that is moved: the watchdog goes back, and can write that down nowhere.
#[test]
fn a_try_whose_directory_was_moved_is_known_to_be_over() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let mut live = plain(&postgres).at(&["on"]);
    let before = live.files();
    live.in_force("require", &["--confirm-within", "120"]);
    let moved = live.kit.with_extension("moved");
    fs::rename(&live.kit, &moved).unwrap();
    live.ends_as(&before, true, "moved");
    live.kit = moved;
    let pending = stands(&live)["pending"].clone();
    let says = pending.as_str().unwrap();
    assert!(
        says.contains("was taken back") && !says.contains("seconds"),
        "{says}"
    );
    let late = confirm(&live).expect_status(1).stderr;
    assert!(late.contains("has been taken back"), "{late}");
    assert!(stands(&live)["pending"].is_null());
    assert!(live.files() == before);
    live.in_force("require", &[]);
    live.undo();
    live.ends_as(&before, true, "undone");
}

fn stands(live: &Live) -> serde_json::Value {
    live.pgtls(&["harden", &live.server.socket()])
        .arg("--config-dir")
        .arg(&live.server.data)
        .run()
        .expect_status(0)
        .json()
}

fn kill_the_watchdog(kit: &Path) {
    Job::new("pkill")
        .args(["-KILL", "-f", &format!("watchdog --dir {}", kit.display())])
        .run()
        .expect_ok("pkill");
}

#[test]
fn a_watchdog_that_is_gone_is_said_to_be() {
    let Some((live, _)) = waits() else { return };
    let pending = |live: &Live| stands(live)["pending"].as_str().unwrap().to_owned();
    assert!(pending(&live).contains("seconds are left"));
    kill_the_watchdog(&live.kit);
    let gone = wait_until(Duration::from_secs(60), || {
        pending(&live).contains("its watchdog is gone")
    });
    assert!(gone, "{}", pending(&live));
    for verb in ["--confirm", "pgtls undo"] {
        assert!(pending(&live).contains(verb), "{}", pending(&live));
    }
    let verify = live.pgtls(&["verify"]).run();
    assert!(
        verify.stderr.contains("its watchdog is gone"),
        "{}",
        verify.stderr
    );
    let next = live.stage("mtls", &[]).expect_status(2).stderr;
    assert!(next.contains("its watchdog is gone"), "{next}");
    // It is in force all the same, and may be kept.
    confirm(&live).expect_status(0);
    assert!(!live.app("sslmode=disable").ok);
}
