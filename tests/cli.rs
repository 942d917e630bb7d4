//! The command line as scripts meet it: help, exit statuses, one JSON object, no prompts, no secrets.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;

use support::{Account, Project, pgtls};

/// The least that `plan` and `apply` need.
const GOOD: [&str; 4] = ["--mode", "mtls", "--run", "none"];

#[test]
fn help_names_every_command_on_standard_output() {
    let help = pgtls(["--help"]).run().expect_status(0);
    for command in [
        "up",
        "plan",
        "apply",
        "undo",
        "down",
        "verify",
        "inspect",
        "renew",
        "connect",
        "completions",
        "man",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {command}")),
            "{command} is not in:\n{}",
            help.stdout
        );
        let own = pgtls([command, "--help"]).run().expect_status(0);
        assert!(
            own.stdout.contains("Usage: pgtls"),
            "{command} --help:\n{}",
            own.stdout
        );
    }
    assert_eq!(help.stderr, "");
}

#[test]
fn version_is_the_package_version() {
    let version = pgtls(["--version"]).run().expect_status(0);
    assert_eq!(version.stdout, format!("pgtls {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn usage_errors_are_2_and_on_standard_error() {
    for line in [
        &["frobnicate"][..],
        &["plan", "--no-such-flag"],
        &["verify", "--probes", "some"],
        &["verify", "--timeout", "soon"],
        &["inspect"],
        &["up", "--color", "plaid"],
    ] {
        let outcome = pgtls(line).run().expect_status(2);
        assert_eq!(outcome.stdout, "", "{line:?}");
        assert!(outcome.stderr.contains("error:"), "{line:?}: {}", outcome.stderr);
    }
}

#[test]
fn nearest_flag_is_named() {
    let outcome = pgtls(["plan", "--moed", "mtls"]).run().expect_status(2);
    assert!(outcome.stderr.contains("--mode"), "{}", outcome.stderr);
}

/// A reader that has gone away (`pgtls completions bash | head -1`) changes nothing: the end is the same, and quiet.
#[test]
fn a_reader_that_has_gone_away_changes_nothing() {
    let project = Project::new(&Account::current());
    let run = |command: &str, before: &str| {
        let script = format!("{before} exec '{}' {command}", support::pgtls_bin().display());
        support::Job::new("bash")
            .args(["-c", &script])
            .dir(&project.dir)
            .run()
    };
    // The other end of standard output is closed before anything is written to it.
    let closed = "exec > >(:); wait $!;";
    for command in [
        "--help",
        "--version",
        "up --help",
        "completions bash",
        "completions zsh",
        "completions fish",
        "man",
        "plan --mode mtls --run none",
        "plan --mode mtls --run none --json",
        "apply --mode mtls --run none",
        "apply --json --yes",
        "plan",
        "connect",
        "connect --list",
        "connect --list --json",
        "connect jdbc",
        "inspect server/server.crt",
        "inspect server/server.crt --json",
        "verify host=127.0.0.1\\ port=1",
        "verify host=127.0.0.1\\ port=1 --json",
        "verify --targets /dev/null",
        "audit .",
        "audit . --json",
        "harden",
        "renew",
        "csr --host db.example.org --dir csr",
        "demo --notes",
        "demo --scene none",
        "down",
        "undo",
        "undo --json",
        "frobnicate",
    ] {
        let gone = run(command, closed);
        assert_eq!(gone.stdout, "", "{command}");
        for word in ["panic", "crash", "roken pipe"] {
            assert!(!gone.stderr.contains(word), "{command}: {}", gone.stderr);
        }
        assert!(matches!(gone.status, Some(0..=4)), "{command}: {:?}", gone.status);
        // Nor if nobody hears the rest either.
        let deaf = run(command, &format!("{closed} exec 2>&1;"));
        assert!(matches!(deaf.status, Some(0..=4)), "{command}: {:?}", deaf.status);
    }
}

/// `--json` is one object on standard output, also for a failure; what people read is on standard error.
#[test]
fn json_is_one_object() {
    let project = Project::new(&Account::current());
    assert!(
        project
            .pgtls(&["plan", "--json"])
            .args(GOOD)
            .run()
            .expect_status(0)
            .json()
            .is_object()
    );
    assert!(
        project
            .pgtls(&["apply", "--json", "--yes"])
            .args(GOOD)
            .run()
            .expect_status(0)
            .json()
            .is_object()
    );
    let certificate = project.dir.join("server/server.crt");
    assert!(
        pgtls(["inspect", "--json"])
            .arg(&certificate)
            .run()
            .expect_status(0)
            .json()
            .is_object()
    );
    let verdict = pgtls(["verify", "--json", "host=127.0.0.1 port=1 sslmode=require"])
        .run()
        .expect_status(1);
    assert!(verdict.json()["probes"].is_array());
}

/// No terminal, no question: what would have been asked is an error at once.
#[test]
fn nothing_prompts_without_a_terminal() {
    let project = Project::new(&Account::current());
    project
        .pgtls(&["apply"])
        .args(GOOD)
        .limit(std::time::Duration::from_secs(20))
        .run();
    fs::write(project.dir.join("server/pg_hba.conf"), "# mine\n").unwrap_or_default();
    let outcome = project.pgtls(&["apply"]).args(GOOD).args(["--days", "30"]).run();
    assert_ne!(outcome.status, None, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

/// A file of the person's own where one of pgtls's would be: said with its name, why, and what to do; and nothing is written.
#[test]
fn a_file_of_ones_own_stops_it_with_words() {
    let project = Project::new(&Account::current());
    let own = project.dir.join(".gitignore");
    fs::write(&own, "target/\n").unwrap();
    let stopped = project.pgtls(&["apply"]).args(GOOD).run().expect_status(2);
    for says in [
        &format!("{}.", own.display()),
        "was edited since pgtls wrote it, or was never pgtls's",
        "Nothing was written",
        &format!("`pgtls plan --dir {}`", project.dir.display()),
        "--yes",
    ] {
        assert!(stopped.stderr.contains(says), "{says:?}: {}", stopped.stderr);
    }
    assert_eq!(fs::read_dir(&project.dir).unwrap().count(), 1);
    let written = project
        .pgtls(&["apply", "--yes"])
        .args(GOOD)
        .run()
        .expect_status(0);
    assert!(written.stderr.contains("kept a copy"), "{}", written.stderr);
    // One edited since is the same, and so is a second.
    fs::write(&own, "target/\n").unwrap();
    fs::write(project.dir.join("CONNECT.md"), "mine\n").unwrap();
    let stopped = project.pgtls(&["apply"]).run().expect_status(2);
    for says in ["files were edited", ".gitignore, ", "CONNECT.md", "replace them"] {
        assert!(stopped.stderr.contains(says), "{says:?}: {}", stopped.stderr);
    }
}

/// A number that is none is all that is wrong where the project has the rest.
#[test]
fn a_wrong_number_is_not_told_of_other_answers() {
    let project = Project::new(&Account::current());
    project
        .pgtls(&["apply", "--yes"])
        .args(GOOD)
        .run()
        .expect_status(0);
    for flag in ["--days", "--port", "--ca-days"] {
        let wrong = project.pgtls(&["plan", flag, "abc"]).run().expect_status(2);
        assert!(wrong.stderr.contains(flag), "{}", wrong.stderr);
        assert!(!wrong.stderr.contains("--mode"), "{flag}: {}", wrong.stderr);
    }
    let empty = Project::new(&Account::current());
    let wrong = empty.pgtls(&["plan", "--days", "abc"]).run().expect_status(2);
    assert!(
        wrong.stderr.contains("--days") && wrong.stderr.contains("--mode"),
        "both are wrong: {}",
        wrong.stderr
    );
}

#[test]
fn the_command_that_runs_a_snippet_is_whole() {
    let project = Project::new(&Account::current());
    project
        .pgtls(&["apply", "--yes"])
        .args(GOOD)
        .run()
        .expect_status(0);
    let service = project.pgtls(&["connect", "service"]).run().expect_status(0);
    assert!(
        service.stderr.contains("psql 'service=app'"),
        "{}",
        service.stderr
    );
    let told = project
        .pgtls(&["connect", "service", "--json"])
        .run()
        .expect_status(0);
    assert_eq!(
        told.json()["run"],
        "PGSERVICEFILE=pg_service.conf psql 'service=app'"
    );
    let here = format!("--dotenv={}", project.dir.display());
    let inside = project.pgtls(&["connect", &here]).run().expect_status(2);
    assert!(inside.stderr.contains("remove it"), "why not: {}", inside.stderr);
}

/// A port that only root may have is no port that somebody has.
#[test]
fn a_port_that_is_not_for_this_account_is_said_to_be_so() {
    let lowest = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    let Some(port) = lowest
        .trim()
        .parse::<u16>()
        .unwrap()
        .checked_sub(1)
        .filter(|port| *port > 0)
    else {
        // On this machine every port is for everybody.
        return;
    };
    let project = Project::new(&Account::ordinary());
    let flag = format!("--port={port}");
    let line = ["plan", "--mode", "one-way", "--run", "sandbox", &flag];
    let refused = project.pgtls(&line).run().expect_status(3);
    for says in [
        &format!("port {port}: the server's account may not use this port"),
        "--port",
    ] {
        assert!(refused.stderr.contains(says), "{says:?}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("in use"), "{}", refused.stderr);
}

/// An error begins on a line of its own, below the step that it broke off.
#[test]
fn an_error_ends_the_line_of_progress() {
    let project = Project::new(&Account::current());
    project
        .pgtls(&["apply", "--yes"])
        .args(GOOD)
        .run()
        .expect_status(0);
    fs::write(project.dir.join("ca/ca.key"), "damaged\n").unwrap();
    let mut pty = support::Pty::pgtls(
        &["plan", "--host", "db.example.org"],
        &project.dir,
        (100, 30),
        &[],
    );
    assert_ne!(pty.wait(), 0);
    let text = pty.text();
    let line = text.lines().find(|line| line.contains("error:")).unwrap();
    assert!(line.starts_with("✗ error:"), "{text}");
    assert!(text.contains("◐ making certificates…\n"), "{text}");
}

#[test]
fn completions_and_man_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            pgtls(["completions", shell])
                .run()
                .expect_status(0)
                .stdout
                .contains("pgtls")
        );
    }
    assert!(pgtls(["man"]).run().expect_status(0).stdout.contains(".TH pgtls"));
}

/// No secret of a project is ever on standard output or error.
#[test]
fn secrets_are_not_shown() {
    let project = Project::new(&Account::current());
    let line = ["--mode", "mtls", "--auth", "scram+cert", "--run", "none"];
    let mut shown = String::new();
    for command in [
        &["plan"][..],
        &["apply", "--yes", "-vv"],
        &["plan", "-v"],
        &["plan", "--json"],
    ] {
        let outcome = project.pgtls(command).args(line).run().expect_status(0);
        shown += &outcome.stdout;
        shown += &outcome.stderr;
    }
    let passfile = fs::read_to_string(project.dir.join("clients/app/passfile")).unwrap();
    let password = passfile.lines().last().unwrap().rsplit(':').next().unwrap();
    assert!(
        password.len() >= 22,
        "too short for 128 bits: {} characters",
        password.len()
    );
    assert!(!shown.contains(password), "the password was shown");
    assert!(!shown.contains("PRIVATE KEY"), "a key was shown");
    for (path, (_, content)) in project.files() {
        let holds = String::from_utf8_lossy(&content).contains(password);
        assert!(
            !holds || path.ends_with("passfile"),
            "{} holds the password",
            path.display()
        );
    }
}

/// The plan for a directory that is still to be made is the one that is carried out there, and makes nothing.
#[test]
fn a_directory_to_be_made_can_be_planned() {
    for run in ["sandbox", "none"] {
        let parent = support::scratch("parent");
        let dir = parent.join("new");
        let outcome = pgtls(["plan", "--mode", "mtls", "--run", run, "--json"])
            .arg("--dir")
            .arg(&dir)
            .run()
            .expect_status(0);
        assert!(
            outcome.json()["files"]
                .as_array()
                .is_some_and(|files| files.len() > 10)
        );
        assert!(!dir.exists());
    }
}

#[test]
fn verify_without_a_server_says_how_to_name_one() {
    let empty = tempfile::tempdir().unwrap();
    let dir = empty.path().to_str().unwrap();
    let outcome = pgtls(["verify", "--dir", dir]).run().expect_status(2);
    for word in ["no server is named", "pgtls verify 'host=", "--dir"] {
        assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
    }
}

/// Port 1: nobody answers there.
#[test]
fn why_a_server_is_not_reached_is_said_once() {
    let empty = tempfile::tempdir().unwrap();
    let dir = empty.path().to_str().unwrap();
    let outcome = pgtls(["verify", "host=127.0.0.1 port=1", "--dir", dir])
        .run()
        .expect_status(1);
    let said = outcome
        .stdout
        .matches("nothing listens on 127.0.0.1 port 1")
        .count();
    // In the headline, and at the probe that found it.
    assert_eq!(said, 2, "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("? plaintext-refused"),
        "{}",
        outcome.stdout
    );
}

/// On a terminal nothing is written that was not shown, and a no leaves things as they are.
#[test]
fn on_a_terminal_it_is_asked_before_anything_is_written() {
    let dir = support::scratch("asked");
    let apply = || {
        support::Pty::pgtls(
            &["apply", "--mode", "mtls", "--run", "none", "--dir", "here"],
            &dir,
            (120, 50),
            &[],
        )
    };
    let mut no = apply();
    no.expect("0600  ca/ca.key");
    no.expect("Write them?");
    no.send("d\n");
    no.expect("+## Undo");
    no.expect("Write them?");
    no.send("n\n");
    assert_eq!(no.wait(), 2);
    assert!(!dir.join("here/pgtls.toml").exists());
    let mut yes = apply();
    yes.expect("Write them?");
    yes.send("y\n");
    assert_eq!(yes.wait(), 0);
    assert!(dir.join("here/ca/ca.key").exists());
    // Nothing is due any more: there is nothing to ask.
    assert_eq!(apply().wait(), 0);
}
