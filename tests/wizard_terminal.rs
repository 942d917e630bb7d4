//! The wizard and the terminal: it is given back in every case, and everything a terminal sends is understood.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use support::{Account, Job, Project, Pty, pgtls_bin, processes_in, scratch, wait_for};

const STEP_TWO: &str = "Who has to prove who they are?";

/// An empty directory of its own, so that nothing is gone on with.
fn empty() -> PathBuf {
    scratch(&support::tag())
}

/// The terminal is as a shell expects it.
#[track_caller]
fn given_back(pty: &Pty) {
    pty.until("the terminal is given back", |screen| screen.contains("AFTER"));
    pty.screen(|screen| {
        assert!(!screen.alternate_screen(), "the other screen");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.bracketed_paste(), "pastes are bracketed");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    });
    let modes = pty.text();
    for mode in ["echo", "icanon", "isig", "icrnl", "opost"] {
        assert!(
            modes
                .split_whitespace()
                .any(|word| word.trim_end_matches(';') == mode),
            "{mode} is off in\n{modes}"
        );
    }
}

/// A shell that runs this and then tells the terminal's modes.
fn shell(script: &str, dir: &Path) -> Pty {
    let script = format!("{script}; echo STATUS $?; stty -a; echo AFTER");
    Pty::program("sh", &["-c", &script], dir, (100, 30), &[])
}

fn signal(pty: &Pty, name: &str) {
    let shell = pty.pid();
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    Job::new("kill")
        .args([&format!("-{name}"), children.trim()])
        .run()
        .expect_ok("kill");
}

#[test]
fn signals_give_the_terminal_back() {
    for name in ["TERM", "INT", "HUP"] {
        let dir = empty();
        let mut pty = shell(&pgtls_bin().display().to_string(), &dir);
        pty.expect("What do you want?");
        pty.send("\r");
        pty.expect(STEP_TWO);
        signal(&pty, name);
        given_back(&pty);
        assert!(pty.text().contains("STATUS 4"), "{name}: {}", pty.text());
    }
}

#[test]
fn leaving_gives_the_terminal_back() {
    let mut pty = shell(&pgtls_bin().display().to_string(), &empty());
    pty.expect("What do you want?");
    pty.send("q");
    given_back(&pty);
    assert!(pty.text().contains("STATUS 0"), "{}", pty.text());
}

/// Not a test: what a defect would do. The other test runs it in a terminal of its own.
#[test]
#[ignore = "it panics on purpose, and is run by the test below"]
fn a_defect() {
    let mut model = pgtls::wizard::model::Model::new(
        ".".into(),
        "",
        pgtls::setup::Answers::default(),
        pgtls::wizard::theme::Theme::FULL,
        (80, 24),
    );
    model.at = usize::MAX;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _ = runtime.block_on(pgtls::wizard::terminal::run(model, Vec::new(), None));
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    let own = std::env::current_exe().unwrap();
    let pty = shell(
        &format!("'{}' --ignored --exact a_defect --nocapture", own.display()),
        &empty(),
    );
    given_back(&pty);
    let bytes = String::from_utf8_lossy(&pty.bytes()).into_owned();
    let back = bytes.find("\x1b[?1049l").unwrap();
    let report = bytes.find("panicked at").unwrap();
    assert!(
        back < report,
        "the report would have been lost on the other screen"
    );
}

#[test]
fn stopped_and_continued_by_the_shell() {
    let dir = empty();
    let mut pty = Pty::program("bash", &["--norc", "-i"], &dir, (100, 30), &[("PS1", "READY> ")]);
    pty.expect("READY>");
    pty.send(&format!("{}\r", pgtls_bin().display()));
    pty.expect("What do you want?");
    pty.send("\r");
    pty.expect(STEP_TWO);
    pty.send("\x1a");
    pty.until("the shell is there again", |screen| screen.contains("Stopped"));
    wait_for(
        "the screen is the shell's",
        std::time::Duration::from_secs(20),
        || (!pty.screen(vt100::Screen::alternate_screen)).then_some(()),
    );
    pty.send("fg\r");
    pty.expect(STEP_TWO);
    pty.send("\r");
    pty.expect("Clients dial");
    pty.send("\x03");
    pty.expect("READY>");
}

#[test]
fn pastes_clicks_and_sizes() {
    let mut pty = Pty::pgtls(&[], &empty(), (80, 24), &[]);
    pty.expect("What do you want?");
    pty.send("\r");
    pty.expect(STEP_TWO);
    pty.click("Mutual TLS");
    pty.expect("How do people log in?");
    pty.send("\r");
    pty.expect("They come from");
    pty.send("\x1b[B\x1b[B\x1b[B\x1b[200~db.example.org\nbad name\x1b[201~");
    pty.expect("db.example.org");
    pty.expect("bad name");
    pty.expect("✗");
    for (columns, rows) in [(300, 80), (60, 18), (80, 24)] {
        pty.resize(columns, rows);
        pty.expect("db.example.org");
    }
    pty.resize(59, 17);
    pty.expect("59 columns and 17 rows");
    pty.resize(80, 24);
    pty.expect("db.example.org");
    pty.click("Protection");
    pty.expect(STEP_TWO);
    pty.send("q");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn without_colour_nothing_is_coloured_and_the_rest_stays() {
    let mut pty = Pty::pgtls(&[], &empty(), (80, 24), &[("NO_COLOR", "1")]);
    pty.expect("What do you want?");
    pty.send("\r\x1b[B");
    pty.expect("How do people log in?");
    pty.is_without_colour();
}

#[test]
fn without_utf8_only_ascii_is_sent() {
    let mut pty = Pty::pgtls(&[], &empty(), (80, 24), &[("LC_ALL", "C")]);
    pty.expect("What do you want?");
    pty.send("\r");
    pty.expect(STEP_TWO);
    assert!(pty.bytes().is_ascii());
}

#[test]
fn what_was_answered_is_there_the_next_time() {
    let dir = empty();
    let mut pty = Pty::pgtls(&[], &dir, (80, 24), &[]);
    pty.expect("What do you want?");
    pty.send("\r\x1b[B\r");
    pty.expect("They come from");
    pty.send("\t54321");
    pty.expect("54321");
    pty.send("\x03");
    assert_eq!(pty.wait(), 0);
    assert_eq!(
        fs::read_dir(&dir).unwrap().count(),
        0,
        "nothing is in the directory"
    );
    let mut pty = Pty::pgtls(&[], &dir, (80, 24), &[]);
    pty.expect("You were here before");
    pty.expect("54321");
    pty.send("\x1b");
    pty.expect("▸ Mutual TLS");
}

/// Through the questions of a database on this machine.
fn to_the_review(pty: &mut Pty, project: &Project) {
    for shown in ["no project yet", STEP_TWO] {
        pty.expect(shown);
        pty.send("\r");
    }
    pty.expect("Clients dial");
    pty.send(&format!("\t{}\r", project.port));
    pty.expect("Who issues");
    pty.send("\r");
    pty.expect("Files: ");
}

/// Broken off while the cluster is made: the directory is as it was, and no process is left.
#[test]
fn cancelled_things_are_as_they_were() {
    let project = Project::new(&Account::current());
    let mut pty = Pty::pgtls(&[], &project.dir, (80, 24), &[]);
    to_the_review(&mut pty, &project);
    pty.send("\r");
    pty.expect("making the database cluster");
    pty.send("c");
    pty.expect("What was written is taken back");
    let left: Vec<_> = fs::read_dir(&project.dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    wait_for("no process is left", std::time::Duration::from_secs(20), || {
        let own = format!("{} ", pty.pid());
        let left = processes_in(&project.dir);
        left.iter().all(|line| line.starts_with(&own)).then_some(())
    });
    // And it can be done after all.
    pty.send("r");
    pty.expect("PostgreSQL runs on port");
}

/// Terminals go in two ways: with a signal, or without one for whoever is in a session of its own (below `runuser`).
const LOST: [(&str, &str); 2] = [("with SIGHUP", ""), ("without a signal", "setsid --wait ")];

/// This command in a terminal of its own inside this one, which a KILL of the process in between takes away; its exit status
/// is then in the file.
fn in_a_terminal_to_lose(command: &str, dir: &Path, status: &Path) -> Pty {
    let script = format!("trap : HUP; {command}; echo $? > '{}'", status.display());
    let script = format!("sh -c '{}'", script.replace('\'', r"'\''"));
    Pty::program("script", &["-qfc", &script, "/dev/null"], dir, (100, 30), &[])
}

/// Takes the terminal away, and waits for the exit status.
#[track_caller]
fn lose(pty: &Pty, status: &Path) -> String {
    Job::new("kill")
        .args(["-KILL", &pty.pid().to_string()])
        .run()
        .expect_ok("kill");
    let told = wait_for("the program ends", std::time::Duration::from_secs(60), || {
        fs::read_to_string(status)
            .ok()
            .filter(|told| told.ends_with('\n'))
    });
    told.trim_end().to_owned()
}

#[test]
fn a_lost_terminal_ends_it_quietly() {
    let pgtls = pgtls_bin().display();
    for (how, before) in LOST {
        for (what, command, shown) in [
            ("the wizard", format!("{pgtls}"), "What do you want?"),
            ("on lines", format!("{pgtls} --accessible"), "Step 1 of"),
            ("the lesson", format!("{pgtls} demo"), "Enter"),
            ("its notes", format!("{pgtls} demo --notes"), "Ctrl-C ends them"),
        ] {
            let dir = empty();
            let status = scratch(&support::tag()).join("status");
            let pty = in_a_terminal_to_lose(&format!("{before}{command}"), &dir, &status);
            pty.expect(shown);
            let ended = lose(&pty, &status);
            let expected = if what == "its notes" { "0" } else { "4" };
            assert_eq!(ended, expected, "{what}, {how}");
        }
    }
}

/// The same while the cluster is made: the directory is as it was, and no process is left.
#[test]
fn a_terminal_lost_while_it_works_leaves_things_as_they_were() {
    for (how, before) in LOST {
        let project = Project::new(&Account::current());
        let status = scratch(&support::tag()).join("status");
        let command = format!("{before}{}", pgtls_bin().display());
        let mut pty = in_a_terminal_to_lose(&command, &project.dir, &status);
        to_the_review(&mut pty, &project);
        pty.send("\r");
        pty.expect("making the database cluster");
        assert_eq!(lose(&pty, &status), "4", "{how}");
        let left: Vec<_> = fs::read_dir(&project.dir).unwrap().flatten().collect();
        assert!(left.is_empty(), "{how}: {left:?}");
        wait_for("no process is left", std::time::Duration::from_secs(20), || {
            processes_in(&project.dir).is_empty().then_some(())
        });
    }
}

/// A server that takes connections and says nothing holds up no key, and is not mistaken for anything.
#[test]
fn a_server_that_hangs_holds_nothing_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut pty = Pty::pgtls(&[], &empty(), (100, 30), &[]);
    pty.expect("On this machine");
    pty.send(&format!("\x1b[B\x1b[B\thost=127.0.0.1 port={port} user=app\r"));
    pty.expect("Trying every promise");
    pty.send("?");
    pty.expect("Keys here");
    assert!(pty.text().contains("Keys here"));
    pty.send("\x1b");
    pty.until("the verdict", |screen| {
        screen.contains("ould not be found out") || screen.contains("ndetermined")
    });
    pty.send("q");
    assert_eq!(pty.wait(), 0);
}

/// A person's own compose file is seen, and said to be left alone.
#[test]
fn a_compose_file_is_seen() {
    let dir = empty();
    fs::write(dir.join("compose.yaml"), "services: {}\n").unwrap();
    let mut pty = Pty::pgtls(&[], &dir, (100, 30), &[]);
    pty.expect("yours: it stays as it is");
    pty.expect("compose.yaml");
    pty.send("q");
    assert_eq!(pty.wait(), 0);
}
