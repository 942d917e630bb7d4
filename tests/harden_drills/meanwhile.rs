//! What happens between a try and its end: a restart, a stop, somebody's edit, a word too late, another run.

use std::fs;
use std::time::Duration;

use super::ground::{BOUND, End, Ground, put};
use super::support::{Running, has_strace, scratch, wait_for};

/// A try that waits to be confirmed for longer than the drill takes.
#[track_caller]
fn tried(ground: &Ground, stage: &str) {
    tried_within(ground, stage, "600");
    ground.is_as_planned(stage, "tried");
    assert_eq!(ground.watchdogs().len(), 1, "{:?}", ground.watchdogs());
}

#[track_caller]
fn tried_within(ground: &Ground, stage: &str, seconds: &str) {
    let outcome = ground.harden(stage, &["--confirm-within", seconds]).run();
    assert_eq!(outcome.status, Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
}

#[test]
fn confirmed_in_time_and_twice() {
    let Some(mut ground) = Ground::new() else { return };
    tried(&ground, "on");
    ground
        .pgtls(&["harden", "--confirm", "--json"])
        .run()
        .expect_status(0);
    ground.settles("confirmed");
    ground.is_tidy("confirmed");
    ground.is_as_planned("on", "confirmed");
    let again = ground.pgtls(&["harden", "--confirm", "--json"]).run();
    assert!(matches!(again.status, Some(0..=3)), "{:?}", again.status);
    ground.is_as_planned("on", "confirmed twice");
    ground.restarts("confirmed");
    ground.is_as_planned("on", "restarted");

    // The next stage, over the first.
    tried(&ground, "require");
    ground.pgtls(&["harden", "--confirm"]).run().expect_status(0);
    ground.is_as_planned("require", "required");
    ground.pgtls(&["undo"]).run().expect_status(0);
    ground.is_as_planned("on", "require undone");
    ground.undo("both");
}

#[test]
fn a_word_that_comes_too_late_is_told_so() {
    let Some(ground) = Ground::new() else { return };
    tried_within(&ground, "on", "1");
    ground.settles("the time is over");
    ground.is_as_it_was("the time is over");
    let late = ground.pgtls(&["harden", "--confirm"]).run();
    assert!(
        matches!(late.status, Some(1..=3)),
        "{:?} {}",
        late.status,
        late.stderr
    );
    ground.is_as_it_was("too late");
    // Nor is there anything to undo, or what an undo does is nothing.
    ground.pgtls(&["undo"]).run();
    ground.is_as_it_was("undone after all");
}

#[test]
fn nothing_was_tried() {
    let Some(ground) = Ground::new() else { return };
    let outcome = ground.pgtls(&["harden", "--confirm"]).run();
    assert!(matches!(outcome.status, Some(1..=3)), "{:?}", outcome.status);
    ground.is_as_it_was("nothing was tried");
}

/// The server is started again meanwhile: it comes up in the new state, and is told to go back all the same.
#[test]
fn restarted_meanwhile() {
    let Some(mut ground) = Ground::new() else { return };
    tried(&ground, "on");
    ground.restarts("while it is tried");
    ground.is_as_planned("on", "restarted while it is tried");
    ground.pgtls(&["harden", "--confirm"]).run().expect_status(0);
    ground.is_as_planned("on", "restarted, confirmed");
    ground.undo("restarted, confirmed");

    tried_within(&ground, "on", "10");
    ground.restarts("while it is tried");
    ground.settles("restarted, not confirmed");
    ground.is_as_it_was("restarted, not confirmed");
}

/// The server is not running when the time is over: the files go back, and it comes up as it was.
#[test]
fn stopped_meanwhile() {
    let Some(mut ground) = Ground::new() else { return };
    tried_within(&ground, "on", "8");
    ground.server.stop();
    ground.settles("stopped");
    ground.restarts("after the time");
    ground.is_as_it_was("stopped meanwhile");
}

/// `undo` need not wait.
#[test]
fn undone_before_it_is_confirmed() {
    let Some(ground) = Ground::new() else { return };
    tried(&ground, "on");
    ground.undo("before it is confirmed");
}

/// Somebody edits a file while it is tried: going back does not lose what they wrote.
#[test]
fn edited_meanwhile() {
    let Some(ground) = Ground::new() else { return };
    tried(&ground, "on");
    let path = ground.etc.join("postgresql.conf");
    let edited = format!("{}work_mem = '5MB' # mine\n", fs::read_to_string(&path).unwrap());
    put(&path, &edited);
    ground.pgtls(&["undo"]).run().expect_status(0);
    ground.settles("edited");
    ground.lets_in_plaintext("edited");
    let kept = fs::read_dir(&ground.etc)
        .unwrap()
        .chain(fs::read_dir(&ground.kit).unwrap())
        .flatten()
        .filter(|entry| entry.file_type().unwrap().is_file())
        .any(|entry| fs::read(entry.path()).unwrap() == edited.as_bytes());
    assert!(kept, "the edit is lost");
}

/// Another run while one waits to be confirmed: it is told so, or the first one is settled; never half of each.
#[test]
fn a_second_stage_while_one_is_tried() {
    let Some(ground) = Ground::new() else { return };
    tried(&ground, "on");
    let second = ground.harden("require", &[]).run();
    assert!(
        matches!(second.status, Some(1..=3)),
        "{:?} {}",
        second.status,
        second.stderr
    );
    assert!(second.stderr.contains("--confirm"), "{}", second.stderr);
    ground.is_as_planned("on", "a second stage");
    ground.pgtls(&["harden", "--confirm"]).run().expect_status(0);
    ground.undo("a second stage");
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let Some(ground) = Ground::new() else { return };
    for round in 0..3 {
        let when = format!("round {round}");
        let running: Vec<_> = (0..3).map(|_| ground.harden("on", &[]).start()).collect();
        let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
        for outcome in &outcomes {
            assert!(
                matches!(outcome.status, Some(0..=3)),
                "{when}: {:?}: {}",
                outcome.status,
                outcome.stderr
            );
        }
        assert!(outcomes.iter().any(|outcome| outcome.ok), "{when}: {outcomes:#?}");
        assert_eq!(ground.ends("on", &when), End::AsPlanned, "{when}: {outcomes:#?}");
        ground.undo(&when);
    }
}

/// A run that was killed while it wrote the kit is finished, or taken back, by the next.
#[test]
fn the_kit_was_left_unfinished() {
    if !has_strace() {
        return;
    }
    let Some(ground) = Ground::new() else { return };
    for at in [1, 4, 8, 12] {
        let when = format!("killed at renameat {at}");
        for call in ["renameat", "renameat2"] {
            let inject = format!("inject={call}:signal=SIGKILL:when={at}");
            ground
                .strace(&["-o", "/dev/null", "-e", &inject], "on", &[])
                .run();
            ground.settles(&when);
        }
        let outcome = ground.harden("on", &[]).run();
        assert_eq!(outcome.status, Some(0), "{when}: {}", outcome.stderr);
        ground.is_as_planned("on", &when);
        ground.undo(&when);
        for entry in fs::read_dir(&ground.kit).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// A session that the administrator holds lives through the stages, and through the way back.
#[test]
fn a_held_session_is_not_dropped() {
    let Some(ground) = Ground::new() else { return };
    let conninfo = format!(
        "host=127.0.0.1 port={} user=dba password=secret dbname=postgres sslmode=disable application_name=held",
        ground.server.port
    );
    let flag = scratch("flag").join("go");
    let query = format!(
        "do $$ begin loop exit when (pg_stat_file('{}', true)).size >= 0; perform pg_sleep(0.05); end loop; end $$",
        flag.display()
    );
    let mut held = super::support::psql_job(&ground.account, &conninfo, &query)
        .limit(BOUND)
        .start();
    wait_for("the session is there", Duration::from_secs(60), || {
        let count = "select count(*) from pg_stat_activity where application_name = 'held'";
        (ground.server.sql(count).stdout == "1\n").then_some(())
    });
    ground.harden("on", &[]).run().expect_status(0);
    ground
        .harden("require", &["--accept-lockout"])
        .run()
        .expect_status(0);
    ground.is_as_planned("require", "with a session held");
    ground.pgtls(&["undo"]).run().expect_status(0);
    ground.undo("with a session held");
    assert!(held.is_running(), "the session was dropped");
    fs::write(&flag, "").unwrap();
    held.wait().expect_ok("the held session");
}
