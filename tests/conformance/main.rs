//! `pgtls verify --probes connect` against its witness, libpq: the same verdict on every server, under every conninfo.
//!
//! The table of cases ([`cases`]) is easy to grow: a server is a line of [`servers`], a case is a line of conninfo.
//! Whichever servers and libpq are on this machine take part. A verdict of `undetermined` counts as agreement only
//! for the cases that say so, and [`causes`] asks for the words of each refusal.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cases;
mod causes;
mod generated;
mod lookup;
mod scripted;
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod witness;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cases::Case;
use servers::Running;
use support::{Outcome, pgtls};
use witness::Witness;
use world::World;

/// What somebody says under a conninfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Connects,
    Refuses,
    Undetermined,
}

/// pgtls's verdict, and all that it says.
fn ours(world: &World, conninfo: &str, home: &str) -> (Verdict, Outcome) {
    let outcome = pgtls(["verify", "--probes", "connect", "--json", "--dir"])
        .arg(world.path("nothing"))
        .arg(conninfo)
        .env("HOME", world.home(home))
        .run();
    let verdict = match outcome.status {
        Some(0) => Verdict::Connects,
        Some(1 | 2) => Verdict::Refuses,
        Some(4) => Verdict::Undetermined,
        other => panic!("status {other:?} under {conninfo}: {}", outcome.stderr),
    };
    (verdict, outcome)
}

/// Every server once, several at a time; what each case brings is collected.
fn each_case<T: Send>(
    world: &World,
    cases: &[Case],
    act: impl Fn(&Running, &Case, &mut Witness) -> Option<T> + Sync,
) -> Vec<T> {
    let mut by_server: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        by_server.entry(case.server).or_default().push(case);
    }
    let groups: Vec<_> = by_server.into_iter().collect();
    let next = AtomicUsize::new(0);
    let collected = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let Some(mut witness) = Witness::start() else {
                    return;
                };
                while let Some((name, cases)) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(server) = servers::start(world, name) else {
                        continue;
                    };
                    for case in cases {
                        let found = act(&server, case, &mut witness);
                        collected.lock().unwrap().extend(found);
                    }
                }
            });
        }
    });
    collected.into_inner().unwrap()
}

#[test]
fn the_verdict_is_libpqs_on_every_server_and_conninfo() {
    let world = World::new();
    let cases = cases::all();
    assert!(cases.len() >= 300, "{} cases", cases.len());
    agree(&world, &cases);
}

#[test]
fn the_verdict_is_libpqs_on_connections_put_together_at_random() {
    agree(&World::new(), &generated::all());
}

fn agree(world: &World, cases: &[Case]) {
    let asked = AtomicUsize::new(0);
    let differences = each_case(world, cases, |server, case, witness| {
        asked.fetch_add(1, Ordering::Relaxed);
        let conninfo = server.fill(world, &case.conninfo);
        let (ours, outcome) = ours(world, &conninfo, case.home);
        let theirs = witness.verdict(&conninfo, &world.home(case.home));
        let agrees = match ours {
            Verdict::Undetermined => case.unspoken,
            ours => ours == theirs.verdict && !case.unspoken,
        };
        (!agrees).then(|| {
            format!(
                "{} under {conninfo:?} (home: {:?})\n  ours   {ours:?}: {}\n  libpq  {:?}: {}",
                case.server,
                case.home,
                outcome
                    .stdout
                    .lines()
                    .find(|line| line.contains("headline"))
                    .unwrap_or(&outcome.stderr),
                theirs.verdict,
                theirs.says
            )
        })
    });
    assert!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        asked.into_inner(),
        differences.join("\n")
    );
}
