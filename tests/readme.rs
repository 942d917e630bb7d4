//! What README shows is what pgtls prints.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::{Account, Postgres, Project};

/// The words that are the same in every run: no numbers, no times, no paths, nothing of this machine.
fn words(text: &str) -> Vec<Vec<&str>> {
    let same = |word: &&str| {
        !word.contains(|c: char| c.is_ascii_digit() || c == '/') && !["ms", "s", "µs"].contains(word)
    };
    text.lines()
        .map(|line| line.split_whitespace().filter(same).collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
        .collect()
}

/// The captured run is the command above it, today.
#[test]
fn the_captured_run_is_current() {
    if Postgres::any().is_none() {
        return;
    }
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("<!-- captured run: begin -->\n```\n").unwrap();
    let (shown, _) = rest.split_once("```\n<!-- captured run: end -->").unwrap();
    // The name of the directory is in what it prints.
    let mut project = Project::new(&Account::ordinary());
    project.dir = project.dir.join("demo");
    let run = project
        .pgtls(&["up", "--mode", "mtls", "--run", "sandbox", "--yes"])
        .run()
        .expect_status(0);
    let printed = format!("{}{}", run.stderr, run.stdout);
    assert_eq!(
        words(shown),
        words(&printed),
        "README's captured run is not current:\n{printed}"
    );
}
