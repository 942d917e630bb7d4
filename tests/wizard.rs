//! The wizard in a real terminal, on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;

use support::{Account, Postgres, Project, Pty, psql};

/// Enter, and nothing but Enter, from an empty directory: a database that is proven, as psql sees too.
#[test]
fn enter_alone_leads_to_a_verified_database() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::current());
    let path = format!("{}:/usr/bin:/bin", postgres.bin.display());
    let mut pty = Pty::pgtls(&[], &project.dir, (80, 24), &[("PATH", &path)]);
    for shown in [
        "no project yet",
        "Who has to prove who they are?",
        "Clients dial",
        "Who issues the certificates?",
        "Nothing is written yet",
        "PostgreSQL runs on port",
        "Verified: verify-full",
    ] {
        pty.expect(shown);
        pty.send("\r");
    }
    pty.expect("The same in one command");
    let conninfo = fs::read_to_string(project.dir.join("clients/app/conninfo")).unwrap();
    let conninfo: Vec<_> = conninfo.lines().filter(|line| !line.starts_with('#')).collect();
    let says = psql(
        &conninfo.join(" "),
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
    );
    assert_eq!(says.expect_ok("psql").stdout.trim(), "t");
    pty.send("\r");
    assert_eq!(pty.wait(), 0);
    assert!(
        !pty.screen(vt100::Screen::alternate_screen),
        "the terminal was not given back"
    );
}

/// Without a terminal there is no wizard, and it is said what there is instead.
#[test]
fn without_a_terminal_it_is_a_usage_error() {
    let outcome = support::pgtls([] as [&str; 0]).run().expect_status(2);
    assert!(outcome.stderr.contains("pgtls up"), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
}
