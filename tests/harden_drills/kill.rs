//! Killed: by SIGKILL at each call that changes the disk, by the loss of the terminal, alone or together with the watchdog.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::ground::{End, Ground, plaintext};
use super::support::{Account, Postgres, has_strace, scratch, wait_for};

/// The calls by which a program changes a disk, a process or a server.
const CALLS: [&str; 12] = [
    "mkdirat",
    "mkdir",
    "write",
    "fsync",
    "fchmod",
    "fchown",
    "linkat",
    "renameat",
    "renameat2",
    "rename",
    "unlinkat",
    "unlink",
];

/// Kills at so many places, evenly among all; `PGTLS_TEST_CORPUS=all` kills at every one.
const PLACES: usize = 18;
const AT_ONCE: usize = 3;

/// How often the stage makes each of these calls, the kit being there already.
fn calls(ground: &Ground, follow: &[&str]) -> Vec<(&'static str, usize)> {
    let log = log_of(&ground.account);
    let trace = format!("trace={}", CALLS.join(","));
    let mut options = follow.to_vec();
    options.extend(["-e", &trace, "-o", log.to_str().unwrap()]);
    ground.strace(&options, "on", &[]).run().expect_status(0);
    ground.settles("traced");
    ground.undo("traced");
    let log = fs::read_to_string(log).unwrap();
    let made = |call: &str, line: &&str| {
        // With `-f` the process comes first.
        line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            .starts_with(&format!("{call}("))
    };
    CALLS
        .into_iter()
        .map(|call| (call, log.lines().filter(|line| made(call, line)).count()))
        .collect()
}

/// The stage is broken off by `fault` at the places chosen, on several servers side by side; `check` says how it is then.
fn at_places(follow: &[&str], fault: &str, more: &[&str], check: impl Fn(&mut Ground, &str) + Sync) {
    if !has_strace() {
        return;
    }
    let Some(postgres) = Postgres::any() else { return };
    let new = || {
        let ground = Ground::of(plaintext(&postgres).start());
        // The kit is complete from here on: what is traced is about the server.
        ground.harden("on", &[]).run().expect_status(0);
        ground.undo("at first");
        ground
    };
    let first = new();
    let every: Vec<(&str, usize)> = calls(&first, follow)
        .into_iter()
        .flat_map(|(call, count)| (1..=count).map(move |at| (call, at)))
        .collect();
    assert!(every.len() > 20, "only {} places to break it off", every.len());
    let is_all = std::env::var("PGTLS_TEST_CORPUS").is_ok_and(|value| value == "all");
    let step = if is_all { 1 } else { every.len().div_ceil(PLACES) };
    let queue: Mutex<VecDeque<_>> = Mutex::new(every.into_iter().step_by(step).collect());
    std::thread::scope(|scope| {
        let mut grounds = vec![first];
        grounds.extend((1..AT_ONCE).map(|_| new()));
        for mut ground in grounds {
            let (queue, check) = (&queue, &check);
            scope.spawn(move || {
                loop {
                    let Some((call, at)) = queue.lock().unwrap().pop_front() else {
                        return;
                    };
                    let when = format!("{fault} at {call} {at}");
                    let inject = format!("inject={call}:{fault}:when={at}");
                    let log = log_of(&ground.account);
                    let mut options = follow.to_vec();
                    options.extend(["-y", "-o", log.to_str().unwrap(), "-e", &inject]);
                    let outcome = ground.strace(&options, "on", more).run();
                    if fault.starts_with("error") && !met_no_disk(&log) {
                        ground.ends_as_said("on", &when, &outcome);
                    }
                    check(&mut ground, &when);
                }
            });
        }
    });
}

/// A file for strace's log.
fn log_of(account: &Account) -> PathBuf {
    let log = scratch("trace").join("log");
    fs::write(&log, "").unwrap();
    account.own(&log);
    log
}

/// Whether the fault met a descriptor that is on no disk: by which the threads of the program wake each other, and which is
/// never full. Which write is which differs from run to run.
fn met_no_disk(log: &Path) -> bool {
    let log = fs::read_to_string(log).unwrap();
    let injected = log.lines().find(|line| line.contains("(INJECTED)"));
    injected.is_some_and(|line| line.contains("<anon_inode:"))
}

/// The next run finds everything in order, and its way back is exact.
fn goes_on(ground: &mut Ground, when: &str) {
    if ground.ends("on", when) == End::AsPlanned {
        ground.undo(when);
    }
}

/// The program dies: its watchdog takes everything back, or all of it was done.
#[test]
fn killed_at_a_write() {
    at_places(&[], "signal=SIGKILL", &[], |ground, when| {
        ground.ends("on", when);
        ground.restarts(when);
        goes_on(ground, when);
    });
}

/// The same where somebody is asked to confirm, and does not.
#[test]
fn killed_at_a_write_of_what_nobody_confirms() {
    at_places(
        &[],
        "signal=SIGKILL",
        &["--confirm-within", "1"],
        |ground, when| {
            // Until it is over no process of it runs, and nothing is planned any more.
            ground.settles(when);
            ground.is_as_it_was(when);
        },
    );
}

/// The machine dies, watchdog and all: the server comes up over whatever lies there, and the next run puts it in order.
#[test]
fn killed_with_its_watchdog() {
    at_places(&["-f"], "signal=SIGKILL", &[], |ground, when| {
        ground.settles(when);
        ground.restarts(when);
        ground.server.sql("select 1");
        let again = ground.harden("on", &[]).run();
        assert_eq!(again.status, Some(0), "{when}, again:\n{}", again.stderr);
        ground.settles(when);
        ground.is_as_planned("on", when);
        ground.restarts(when);
        ground.undo(when);
    });
}

/// The kernel says that the disk is full.
#[test]
fn no_room_at_a_write() {
    at_places(&[], "error=ENOSPC", &[], |ground, when| {
        ground.restarts(when);
        goes_on(ground, when);
    });
}

/// The connection to the machine is lost while it is tried: the shell tells everything it started.
#[test]
fn the_terminal_is_lost_in_the_middle() {
    let Some(mut ground) = Ground::new() else { return };
    for signal in ["HUP", "INT", "TERM", "KILL"] {
        let mut running = ground.harden("on", &["--confirm-within", "600"]).start();
        wait_for("the server's files change", Duration::from_secs(120), || {
            (ground.has_changed() || !running.is_running()).then_some(())
        });
        running.signal_group(signal);
        let outcome = running.wait();
        // It may have been too late for the signal: then it waits to be confirmed.
        if outcome.status == Some(0) {
            ground.is_as_planned("on", signal);
            ground.undo(signal);
        } else {
            ground.settles(signal);
            ground.is_as_it_was(signal);
        }
        ground.restarts(signal);
    }
}

/// The connection is lost after it: the watchdog does not hear of it, and goes back in time.
#[test]
fn the_terminal_is_lost_before_it_is_confirmed() {
    let Some(ground) = Ground::new() else { return };
    let outcome = super::support::Job::new("sh")
        .arg("-c")
        // A login shell that ends tells its jobs: the whole process group.
        .arg("\"$@\"; status=$?; kill -HUP 0; exit $status")
        .arg("sh")
        .arg(ground.harden("on", &[]).program())
        .args(ground.harden("on", &["--confirm-within", "3"]).arguments())
        .account(&ground.account)
        .run();
    assert!(!outcome.stdout.is_empty(), "{}", outcome.stderr);
    ground.settles("nobody confirmed");
    ground.is_as_it_was("nobody confirmed");
}
