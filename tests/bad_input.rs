//! Every bad answer is refused in words, by its flag, before anything is written.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::{Account, Ca, Outcome, Project, pgtls, scratch};

/// `plan` in an empty directory with these flags; it must not succeed, nor write, nor panic.
#[track_caller]
fn plan(args: &[&str]) -> Outcome {
    let project = Project::new(&Account::current());
    let outcome = project.pgtls(&["plan"]).args(args).run();
    assert!(
        !outcome.stderr.contains("panicked"),
        "{args:?}: {}",
        outcome.stderr
    );
    assert_eq!(
        project.files().keys().collect::<Vec<_>>(),
        Vec::<&PathBuf>::new(),
        "{args:?} wrote"
    );
    outcome
}

/// Refused as usage, naming the flag and the reason.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let outcome = plan(args);
    assert_eq!(
        outcome.status,
        Some(2),
        "{args:?}: {}\n{}",
        outcome.stderr,
        outcome.stdout
    );
    for word in words {
        assert!(
            outcome.stderr.contains(word),
            "{args:?} should say {word:?}: {}",
            outcome.stderr
        );
    }
    for jargon in ["os error", "Err(", "Some(", "ParseIntError"] {
        assert!(
            !outcome.stderr.contains(jargon),
            "{args:?} speaks in {jargon:?}: {}",
            outcome.stderr
        );
    }
}

/// A minimal good line, so that what follows is the only fault.
const GOOD: [&str; 4] = ["--mode", "mtls", "--run", "none"];

#[track_caller]
fn refused_with(args: &[&str], words: &[&str]) {
    refused(&[&GOOD, args].concat(), words);
}

#[test]
fn good_line_is_planned() {
    plan(&GOOD).expect_status(0);
}

#[test]
fn mode_unknown() {
    refused(
        &["--mode", "twoway", "--run", "none"],
        &["--mode", "one-way", "mtls"],
    );
}

#[test]
fn mode_missing_without_a_terminal_names_the_flag() {
    refused(&["--run", "none"], &["--mode"]);
}

#[test]
fn auth_that_does_not_go_with_the_mode() {
    refused(
        &["--mode", "one-way", "--auth", "cert", "--run", "none"],
        &["--auth", "one-way"],
    );
}

#[test]
fn hosts() {
    let long = "a".repeat(300);
    for host in [
        "",
        "https://db.example.org",
        "postgres://db",
        "db.example.org:5432",
        &long,
        "*.example.org",
        "a b",
        "-db",
    ] {
        refused_with(&[&format!("--host={host}")], &["--host"]);
    }
}

#[test]
fn ports() {
    for port in ["0", "70000", "http", "-1", ""] {
        refused_with(&[&format!("--port={port}")], &["--port"]);
    }
}

#[test]
fn days() {
    for days in ["0", "-3", "soon", "99999999999"] {
        refused_with(&[&format!("--days={days}")], &["--days"]);
    }
    refused_with(&["--days", "400", "--ca-days", "30"], &["--days", "--ca-days"]);
}

#[test]
fn algorithm_unknown() {
    refused_with(&["--algorithm", "rsa1024"], &["--algorithm", "rsa2048"]);
}

/// PostgreSQL cuts names at 63 bytes: a longer one would be another role.
#[test]
fn role_too_long() {
    refused_with(&["--user", &"r".repeat(64)], &["--user", "63"]);
    refused_with(&["--user", &"é".repeat(32)], &["--user", "63"]);
    refused_with(&["--user", ""], &["--user"]);
}

/// Quotes, spaces and other scripts are legal in a role's name, and reach the files as one name.
#[test]
fn role_with_quotes_spaces_and_other_scripts() {
    for role in [
        "o'brien",
        "say \"hi\"",
        "two words",
        "élodie",
        "Пётр",
        "all",
        "a,b",
        "#role",
        "+group",
        "/^.*$",
    ] {
        let outcome = plan(&[&GOOD[..], &["--user", role]].concat());
        assert!(
            matches!(outcome.status, Some(0 | 2)),
            "{role}: {:?} {}",
            outcome.status,
            outcome.stderr
        );
        assert!(
            outcome.status == Some(0)
                || outcome.stderr.contains("--user")
                || outcome.stderr.contains("--pg-version"),
            "{role}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn cidrs() {
    for (cidr, word) in [
        ("10.0.0.5/8", "10.0.0.0/8"),
        ("10.0.0.0/33", "--allow"),
        ("fd00::/129", "--allow"),
        ("10.0.0.0/8/8", "--allow"),
        ("example.org", "--allow"),
        ("", "--allow"),
    ] {
        refused_with(&["--allow", cidr], &["--allow", word]);
    }
}

#[test]
fn every_problem_at_once() {
    refused(
        &[
            "--mode",
            "mtls",
            "--run",
            "none",
            "--port",
            "0",
            "--days",
            "0",
            "--host",
            "https://x",
        ],
        &["--port", "--days", "--host"],
    );
}

#[test]
fn answers_with_an_unknown_key_name_the_nearest() {
    let dir = scratch("answers");
    let file = dir.join("answers.toml");
    fs::write(&file, "mode = \"mtls\"\nhots = [\"localhost\"]\n").unwrap();
    refused(&["--answers", file.to_str().unwrap()], &["hots", "host"]);
    fs::write(&file, "mode = \n").unwrap();
    refused(&["--answers", file.to_str().unwrap()], &["answers.toml"]);
    refused(
        &["--answers", dir.join("none.toml").to_str().unwrap()],
        &["none.toml"],
    );
}

#[test]
fn password_file_missing_or_readable_by_others() {
    let one_way = ["--mode", "one-way", "--run", "none", "--password-file"];
    let file = scratch("password").join("password");
    let path = file.to_str().unwrap();
    refused(&[&one_way[..], &[path]].concat(), &["--password-file", path]);
    fs::write(&file, "correct horse\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    refused(
        &[&one_way[..], &[path]].concat(),
        &["--password-file", "chmod 600"],
    );
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    refused(&[&one_way[..], &[path]].concat(), &["--password-file", "empty"]);
}

/// `--ca-cert` and `--ca-key` that cannot be used: told before anything is made with them.
#[track_caller]
fn ca_refused(cert: &Path, key: &Path, words: &[&str]) {
    refused_with(
        &[
            "--ca-cert",
            cert.to_str().unwrap(),
            "--ca-key",
            key.to_str().unwrap(),
        ],
        words,
    );
}

#[test]
fn held_ca() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    plan(
        &[
            &GOOD[..],
            &[
                "--ca-cert",
                one.cert.to_str().unwrap(),
                "--ca-key",
                one.key.to_str().unwrap(),
            ],
        ]
        .concat(),
    )
    .expect_status(0);
    ca_refused(&one.cert, &two.key, &["CA key", "does not fit"]);
    let leaf = one.server(&["localhost"]);
    ca_refused(&leaf.cert, &leaf.key, &["is no CA"]);
    let expired = one.expired();
    ca_refused(&expired.cert, &expired.key, &["CA", "expired"]);
    ca_refused(&one.key, &one.key, &["certificate"]);
    refused_with(&["--ca-cert", one.cert.to_str().unwrap()], &["--ca-key"]);
}

#[test]
fn leaves_do_not_outlive_a_held_ca() {
    let ca = Ca::new("ten years");
    let (cert, key) = (ca.cert.to_str().unwrap(), ca.key.to_str().unwrap());
    refused_with(
        &["--ca-cert", cert, "--ca-key", key, "--days", "4000"],
        &["--days"],
    );
}

#[test]
fn given_server_certificate_is_checked_before_use() {
    let ca = Ca::new("their ca");
    let leaf = ca.server(&["localhost"]);
    let given = |cert: &Path, key: &Path, root: &Path| {
        let paths = [cert, key, root].map(|path| path.to_str().unwrap().to_owned());
        let mut line = vec![
            "--mode".to_owned(),
            "one-way".into(),
            "--run".into(),
            "none".into(),
        ];
        line.extend(["--host".into(), "localhost".into()]);
        for (flag, path) in ["--server-cert", "--server-key", "--root"].into_iter().zip(paths) {
            line.extend([flag.into(), path]);
        }
        line
    };
    let refuse = |line: Vec<String>, words: &[&str]| {
        refused(&line.iter().map(String::as_str).collect::<Vec<_>>(), words);
    };
    let good = given(&leaf.cert, &leaf.key, &ca.cert);
    plan(&good.iter().map(String::as_str).collect::<Vec<_>>()).expect_status(0);
    let stranger = Ca::new("another ca");
    refuse(given(&leaf.cert, &leaf.key, &stranger.cert), &["--root"]);
    refuse(given(&leaf.cert, &stranger.key, &ca.cert), &["--server-key"]);
    let elsewhere = ca.server(&["db.example.test"]);
    refuse(
        given(&elsewhere.cert, &elsewhere.key, &ca.cert),
        &["localhost", "db.example.test"],
    );
    let expired = ca.server_between(&["localhost"], -30, -2);
    refuse(
        given(&expired.cert, &expired.key, &ca.cert),
        &["--server-cert", "expired"],
    );
}

#[test]
fn directories() {
    let dir = scratch("directories");
    let file = dir.join("file");
    fs::write(&file, "").unwrap();
    let missing = dir.join("missing");
    for (command, path) in [
        ("down", &missing),
        ("undo", &missing),
        ("renew", &missing),
        ("up", &file),
        ("apply", &file),
    ] {
        let mut job = pgtls([command, "--yes", "--dir"]).arg(path);
        if matches!(command, "up" | "apply") {
            job = job.args(GOOD);
        }
        let outcome = job.run();
        assert!(
            matches!(outcome.status, Some(2 | 3)),
            "{command}: {:?} {}",
            outcome.status,
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains(path.to_str().unwrap()),
            "{command}: {}",
            outcome.stderr
        );
        assert!(!missing.exists(), "{command} made the directory");
    }
}

/// A directory that another account owns, or that already holds something else, is not written into.
#[test]
fn directory_that_is_not_ours() {
    let project = Project::new(&Account::ordinary());
    fs::set_permissions(&project.dir, fs::Permissions::from_mode(0o555)).unwrap();
    if Account::is_root() {
        support::Job::new("chown")
            .arg("root")
            .arg(&project.dir)
            .run()
            .expect_ok("chown");
    }
    let outcome = project.pgtls(&["apply", "--yes"]).args(GOOD).run();
    assert!(
        matches!(outcome.status, Some(2 | 3)),
        "{:?} {}",
        outcome.status,
        outcome.stderr
    );
    assert!(
        (outcome.stderr.contains("permission") || outcome.stderr.contains("belongs to"))
            && !outcome.stderr.contains("os error"),
        "{}",
        outcome.stderr
    );
    fs::set_permissions(&project.dir, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(project.files().is_empty());
}

/// Of a file alone nothing can be told: what counts is what lies beside it.
#[test]
fn an_audit_wants_the_directory_of_a_file() {
    let project = Project::new(&Account::current());
    fs::write(project.dir.join("docker-compose.yml"), "services: {}\n").unwrap();
    let run = project
        .pgtls(&["audit", "docker-compose.yml"])
        .dir(&project.dir)
        .run()
        .expect_status(2);
    assert!(run.stderr.contains("pgtls audit . "), "{}", run.stderr);
}
