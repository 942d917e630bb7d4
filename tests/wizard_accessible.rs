//! The wizard line by line, in a real terminal, on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::time::Duration;

use support::{Account, Job, Postgres, Project, Pty, pgtls, processes_in, psql, scratch, wait_for};

/// Tall, so that everything that was said stays on the screen.
const PAPER: (u16, u16) = (200, 400);

/// Presses Enter at every prompt until this was said; only prompts are answered.
#[track_caller]
fn enter_until(pty: &mut Pty, said: &str) {
    for _ in 0..60 {
        pty.until("a prompt", |screen| screen.contains(said) || prompts(screen));
        if pty.text().contains(said) {
            return;
        }
        let before = pty.text();
        pty.send("\r");
        pty.until("something is said", |screen| screen != before);
    }
    panic!("{said:?} was never said\n{}", pty.text());
}

fn prompts(screen: &str) -> bool {
    screen.trim_end().ends_with(':') && screen.contains("Step ")
}

/// Nothing moves a cursor, clears, colours, or takes the other screen.
#[track_caller]
fn only_lines(pty: &Pty) {
    let bytes = pty.bytes();
    assert!(
        !bytes.contains(&0x1b),
        "an escape sequence: {}",
        String::from_utf8_lossy(&bytes).escape_debug()
    );
}

/// Enter, and nothing but Enter, from an empty directory, on a terminal that cannot be drawn to.
#[test]
fn enter_alone_leads_to_a_verified_database() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::current());
    let path = format!("{}:/usr/bin:/bin", postgres.bin.display());
    let env = [("PATH", path.as_str()), ("TERM", "dumb")];
    let mut pty = Pty::pgtls(&[], &project.dir, PAPER, &env);
    enter_until(&mut pty, "Verified: verify-full");
    enter_until(&mut pty, "The same in one command");
    pty.expect("Enter ends.");
    let screen = pty.text();
    assert!(screen.contains("pgtls up --mode one-way"), "{screen}");
    assert!(screen.contains("sslmode=verify-full"), "{screen}");
    pty.send("\r");
    assert_eq!(pty.wait(), 0);
    only_lines(&pty);
    let conninfo = fs::read_to_string(project.dir.join("clients/app/conninfo")).unwrap();
    let conninfo: Vec<_> = conninfo.lines().filter(|line| !line.starts_with('#')).collect();
    let says = psql(
        &conninfo.join(" "),
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
    );
    assert_eq!(says.expect_ok("psql").stdout.trim(), "t");
}

/// From the proof on: what each sslmode is worth, in sentences, with what the server's log says in the JSON of the same.
#[test]
fn every_sslmode_is_told_in_sentences() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::current());
    let path = format!("{}:/usr/bin:/bin", postgres.bin.display());
    let env = [("PATH", path.as_str())];
    let mut pty = Pty::pgtls(&["--accessible"], &project.dir, PAPER, &env);
    enter_until(&mut pty, "Verified: verify-full");
    pty.expect("\"modes\" connects under every sslmode");
    pty.send("modes\r");
    pty.expect("verify-full connects to the server as it is");
    pty.expect(
        "verify-ca connects UNPROTECTED to an impostor with a certificate of the right CA for another name.",
    );
    pty.expect("require without a root file connects UNPROTECTED to");
    pty.expect("verify-full connects to the server and refuses 4 impostors");
    pty.expect("\"back\" to the proof:");
    pty.send("back\r");
    pty.expect("Step 7 of 8: Verify.");
    pty.send("quit\r");
    assert_eq!(pty.wait(), 0);
    only_lines(&pty);
    // The sandbox is ours, whoever it runs as: its log is within reach.
    let outcome = pgtls(["verify", "--modes", "--json", "--dir"])
        .arg(&project.dir)
        .run()
        .expect_status(0);
    assert!(
        outcome.stdout.contains("connection authorized: user=app"),
        "{}",
        outcome.stdout
    );
}

/// Wrong answers are told and asked again; what is asked is explained; one goes back; what was answered stays.
#[test]
fn wrong_answers_are_told_and_asked_again() {
    let dir = scratch(&support::tag());
    let mut pty = Pty::pgtls(&["--accessible"], &dir, PAPER, &[]);
    pty.expect("What do you want?");
    enter_until(&mut pty, "Who has to prove who they are?");
    pty.expect("A number, or Enter for 1, One-way TLS:");
    pty.send("7\r");
    pty.expect("Type a number from 1 to 2.");
    pty.send("?\r");
    pty.expect("With one-way TLS the server shows a certificate");
    pty.send("2\r");
    pty.expect("How do people log in?");
    pty.send("back\r");
    pty.expect("A number, or Enter for 2, Mutual TLS:");
    pty.send("\r");
    enter_until(&mut pty, "Clients dial. Enter for localhost");
    pty.send("bad name, db.example.org\r");
    pty.expect("Not right yet");
    pty.send("db.example.org, 10.0.0.7\r");
    pty.expect("Port. Enter for the first free one from 5432:");
    pty.send("99999\r");
    pty.until("the port is asked again", |screen| {
        screen.matches("Port. Enter for").count() == 2
    });
    pty.send("5455\r");
    pty.expect("Database. Enter for");
    pty.send("back\r");
    pty.expect("Port. Enter keeps 5455:");
    pty.send("quit\r");
    assert_eq!(pty.wait(), 0);
    only_lines(&pty);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing is written");
    // And the next time it goes on from there.
    let mut pty = Pty::pgtls(&["--accessible"], &dir, PAPER, &[]);
    pty.expect("You were here before");
    enter_until(&mut pty, "Port. Enter keeps 5455:");
    pty.send("\x04");
    assert_eq!(pty.wait(), 0, "the end of the input leaves");
}

/// Ctrl-C while the cluster is made: the directory is as it was, and no process is left.
#[test]
fn an_interrupt_leaves_nothing_half_done() {
    let project = Project::new(&Account::current());
    let mut pty = Pty::pgtls(&["--accessible"], &project.dir, PAPER, &[]);
    enter_until(&mut pty, "Port. Enter for");
    pty.send(&format!("{}\r", project.port));
    enter_until(&mut pty, "Now making the database cluster");
    pty.send("\x03");
    assert_eq!(pty.wait(), 4);
    let left: Vec<_> = fs::read_dir(&project.dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(left.is_empty(), "{left:?}\n{}", pty.text());
    wait_for("no process is left", Duration::from_secs(20), || {
        processes_in(&project.dir).is_empty().then_some(())
    });
    assert!(
        pty.text().contains("What was written is taken back"),
        "{}",
        pty.text()
    );
}

/// "save" keeps the answers and nothing else; "cancel" in the middle takes back what was written.
#[test]
fn answers_are_kept_and_what_is_broken_off_is_taken_back() {
    if Postgres::any().is_none() {
        return;
    }
    let project = Project::new(&Account::current());
    let files = || {
        let files = fs::read_dir(&project.dir).unwrap().flatten();
        files
            .map(|file| file.file_name().into_string().unwrap())
            // The books of `undo`.
            .filter(|name| name != ".pgtls")
            .collect::<Vec<_>>()
    };
    let mut pty = Pty::pgtls(&["--accessible"], &project.dir, PAPER, &[]);
    enter_until(&mut pty, "Port. Enter for");
    pty.send(&format!("{}\r", project.port));
    enter_until(&mut pty, "Enter carries this out.");
    pty.send("save\r");
    pty.until("it is asked again", |screen| {
        screen.matches("Enter carries this out.").count() == 2
    });
    assert_eq!(files(), ["pgtls.toml"], "{}", pty.text());
    let answers = fs::read_to_string(project.dir.join("pgtls.toml")).unwrap();
    assert!(answers.contains(&project.port.to_string()), "{answers}");

    pty.send("\r");
    pty.expect("Now making the database cluster");
    pty.send("cancel\r");
    pty.expect("Enter tries again;");
    let screen = pty.text();
    assert!(screen.contains("What was written is taken back"), "{screen}");
    assert_eq!(files(), ["pgtls.toml"], "{screen}");
    pty.send("quit\r");
    assert_eq!(pty.wait(), 0);
    only_lines(&pty);
    wait_for("no process is left", Duration::from_secs(20), || {
        processes_in(&project.dir).is_empty().then_some(())
    });
}

/// "again" proves again, and is not content with what was true before; "fix" puts it right.
#[test]
fn a_server_that_went_away_is_noticed_and_started_again() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::current());
    let path = format!("{}:/usr/bin:/bin", postgres.bin.display());
    let mut pty = Pty::pgtls(&["--accessible"], &project.dir, PAPER, &[("PATH", &path)]);
    enter_until(&mut pty, "Port. Enter for");
    pty.send(&format!("{}\r", project.port));
    enter_until(&mut pty, "Verified: verify-full");
    let asked = |pty: &Pty, times: usize| {
        pty.until("what to do is asked", |screen| {
            screen.matches("\"again\" tries every promise again").count() == times
        });
    };
    asked(&pty, 1);
    pty.send("again\r");
    asked(&pty, 2);
    assert_eq!(
        pty.text().matches("Verified: verify-full").count(),
        2,
        "{}",
        pty.text()
    );

    project.pgtls(&["down", "--yes"]).run().expect_status(0);
    pty.send("again\r");
    asked(&pty, 3);
    let screen = pty.text();
    assert_eq!(screen.matches("Verified: verify-full").count(), 2, "{screen}");
    assert!(screen.contains("\"fix\" writes and starts it again"), "{screen}");
    pty.send("fix\r");
    asked(&pty, 4);
    assert_eq!(
        pty.text().matches("Verified: verify-full").count(),
        3,
        "{}",
        pty.text()
    );
    pty.send("quit\r");
    assert_eq!(pty.wait(), 0);
    only_lines(&pty);
}

/// A server that is only checked: what is wrong with its address is told, nothing is written, and nobody there is no
/// "verified".
#[test]
fn a_server_that_is_not_there_is_not_verified() {
    let dir = scratch(&support::tag());
    let port = support::free_port();
    let mut pty = Pty::pgtls(&["--accessible"], &dir, PAPER, &[]);
    pty.expect("What do you want?");
    pty.expect("A number, or Enter");
    pty.send("check\r");
    pty.expect("Server. Enter for");
    pty.send("host=127.0.0.1 prot=1\r");
    pty.expect("Not right yet");
    pty.send(&format!("host=127.0.0.1 port={port} user=app dbname=app\r"));
    pty.expect("Enter goes on.");
    let screen = pty.text();
    assert!(screen.contains("Step 2 of 2: Verify."), "{screen}");
    assert!(!screen.contains("Verified"), "{screen}");
    assert!(
        screen.contains("Could not be found out") || screen.contains("Does not hold"),
        "{screen}"
    );
    pty.send("\r");
    assert_eq!(pty.wait(), 0);
    only_lines(&pty);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing is written");
}

/// Nothing ever asks without a terminal; and a command is not the wizard.
#[test]
fn without_a_terminal_it_is_a_usage_error() {
    let outcome = pgtls(["--accessible"]).run().expect_status(2);
    assert!(outcome.stderr.contains("needs a terminal"), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    pgtls(["--accessible", "down"]).run().expect_status(2);
    let piped = Job::new("sh")
        .args(["-c", "yes '' | \"$0\" --accessible"])
        .arg(support::pgtls_bin())
        .run();
    piped.expect_status(2);
}
