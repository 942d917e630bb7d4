//! Servers as they are found: each of `tests/corpus/*.case` is a live server whose files somebody else wrote. It is
//! hardened stage by stage with psql as the witness, and taken back to the last byte.
//!
//! Every case runs on one of the versions whose grammar takes it, in turn, and every eighth one on all of them;
//! `PGTLS_TEST_CORPUS=all` runs all on all, `PGTLS_TEST_CORPUS=NAME[@VERSION]` one.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod case;
mod generated;
mod site;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod witness;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use case::Case;
use stage::Transcript;
use support::Postgres;

const MAJORS: [u16; 4] = [13, 15, 17, 18];
/// Servers at a time: most of the time each waits for a process.
const AT_ONCE: usize = 3;

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

/// Which case runs on which version.
fn table(cases: &[Case]) -> Vec<(&Case, u16)> {
    let wanted = std::env::var("PGTLS_TEST_CORPUS").unwrap_or_default();
    let mut table = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let majors: Vec<u16> = MAJORS
            .into_iter()
            .filter(|major| case.versions.contains(major))
            .collect();
        assert!(!majors.is_empty(), "{}: no version takes it", case.name);
        let (name, major) = match wanted.split_once('@') {
            Some((name, major)) => (name, major.parse::<u16>().ok()),
            None => (wanted.as_str(), None),
        };
        match name {
            "" if at % 8 != 0 => table.push((case, majors[at % majors.len()])),
            "" | "all" => table.extend(majors.into_iter().map(|major| (case, major))),
            name if case.name.contains(name) => {
                table.extend(
                    majors
                        .into_iter()
                        .filter(|of| major.is_none_or(|major| major == *of))
                        .map(|of| (case, of)),
                );
            }
            _ => {}
        }
    }
    table
}

/// What a panic says.
fn why(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

#[test]
fn servers_put_together_at_random_are_hardened_and_taken_back() {
    generated::run();
}

#[test]
fn every_server_of_the_corpus_is_hardened_and_taken_back() {
    let cases = cases();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let table = table(&cases);
    let queue = Mutex::new(VecDeque::from(table));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((case, major)) = queue.lock().unwrap().pop_front() else {
                        return;
                    };
                    let Some(postgres) = Postgres::find(major) else {
                        continue;
                    };
                    let transcript = Transcript::default();
                    let begun = Instant::now();
                    let result = catch_unwind(AssertUnwindSafe(|| stage::run(case, &postgres, &transcript)));
                    println!("{:>5.1} s  {}@{major}", begun.elapsed().as_secs_f32(), case.name);
                    if let Err(panic) = result {
                        let why = why(&*panic);
                        failures.lock().unwrap().push(format!(
                            "#### {}@{major}: {}\n{}{}#### {}@{major}: {why}\n",
                            case.name,
                            case.about,
                            case.show(),
                            transcript.text(),
                            case.name
                        ));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{}\n{} of the corpus failed",
        failures.join("\n"),
        failures.len()
    );
}
