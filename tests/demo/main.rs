//! `pgtls demo`: every scene for real, with a psql that keeps its own record; and nothing is left, whatever ends it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod left;
mod recording;
mod scenes;
mod screen;
#[path = "../support/mod.rs"]
mod support;
mod yours;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::{Account, Job, Outcome, Postgres, Pty, open_to_all, pgtls, processes_in, scratch, wait_for};

const QUERY: &str = "SELECT balance FROM accounts WHERE owner = 'ann'";
const TRUTH: &str = "4217";
const FORGED: &str = "13";

/// A directory of programs: the server's own, and a psql that writes down what it was asked and what it printed.
fn programs(postgres: &Postgres) -> (PathBuf, PathBuf) {
    let dir = scratch("programs");
    let record = scratch("record").join("psql");
    for program in ["postgres", "initdb"] {
        let real = postgres.bin.join(program);
        // PostgreSQL finds its own files from where its program lies.
        let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
        executable(&dir.join(program), &script);
    }
    let psql = ["/usr/lib/postgresql/15/bin/psql", "/usr/bin/psql"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("psql is here");
    let script = format!(
        "#!/bin/bash\n[[ \" $* \" == *' -c '* ]] || exec '{psql}' \"$@\"\nout=$('{psql}' \"$@\")\nstatus=$?\nprintf '%s\\n' \"$out\"\n\
         printf '%s\\t%s\\t%s\\n' $status \"$out\" \"$*\" >>'{}'\nexit $status\n",
        record.display()
    );
    executable(&dir.join("psql"), &script);
    (dir, record)
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn scene<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|scene| scene["id"] == id)
        .unwrap()
}

/// The eavesdropper's bytes, one for each connection.
fn captured(scene: &Value) -> Vec<Vec<u8>> {
    let all = scene["captured"].as_array().unwrap().iter();
    all.map(|bytes| STANDARD.decode(bytes.as_str().unwrap()).unwrap())
        .collect()
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes
        .windows(words.len())
        .any(|window| window == words.as_bytes())
}

fn evidence(scene: &Value) -> String {
    let lines = scene["evidence"].as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Waits until the screen shows these words, however the lines are broken.
#[track_caller]
fn shows_words(screen: &Pty, words: &str) {
    screen.until(&format!("the screen says {words:?}"), |screen| {
        let all: Vec<_> = screen.split_whitespace().collect();
        all.join(" ").contains(words)
    });
}

/// Whether a scene has been played to its end.
fn is_over(shown: &str) -> bool {
    shown.contains("Enter next scene") || shown.contains("The end. ")
}

/// Plays a scene to its end: every act is shown at once, and waits at its end. `seen` is called there.
#[track_caller]
fn play(screen: &mut Pty, number: usize, mut seen: impl FnMut(&str)) {
    // Which act is on.
    let act = |shown: &str| -> String {
        let line = shown.lines().find(|line| line.starts_with(" ▸ "));
        line.unwrap_or_default().trim_end().to_owned()
    };
    let of = format!("{number} of 8");
    let mut keys = format!("{number}\r");
    let mut before = String::new();
    loop {
        screen.send(&keys);
        screen.until(
            &format!("scene {number}: an act ends after {before:?}"),
            |shown| {
                let waits = shown.contains("Enter next act") || is_over(shown);
                waits && shown.contains(&of) && act(shown) != before
            },
        );
        let shown = screen.text();
        seen(&shown);
        if is_over(&shown) {
            return;
        }
        before = act(&shown);
        // The next act, and all of it.
        "\r\r".clone_into(&mut keys);
    }
}

/// A place for temporary files where nothing else is.
fn temporary(account: &Account) -> PathBuf {
    let dir = scratch(&format!("tmp{}", support::tag()));
    if *account != Account::current() {
        std::os::unix::fs::chown(&dir, Some(account.uid), Some(account.gid)).unwrap();
    }
    dir
}

/// No process, no directory, and nothing that is kept elsewhere for root.
#[track_caller]
fn nothing_is_left(tmp: &Path, homes: &[PathBuf]) {
    wait_for("nothing is left", Duration::from_secs(60), || {
        let empty = fs::read_dir(tmp).unwrap().next().is_none();
        (empty && processes_in(tmp).is_empty()).then_some(())
    });
    wait_for("no home is left", Duration::from_secs(60), || {
        homes
            .iter()
            .all(|home| !home.exists() && processes_in(home).is_empty())
            .then_some(())
    });
}

/// The homes of lessons below that place for temporary files that root's servers have now.
fn homes(tmp: &Path) -> Vec<PathBuf> {
    let homes = fs::read_dir("/var/lib/pgtls").into_iter().flatten().flatten();
    homes
        .map(|home| home.path())
        .filter(|home| {
            // Whose it is stands in it.
            let project = fs::read_to_string(home.join("project")).unwrap_or_default();
            Path::new(project.trim_end()).starts_with(tmp)
        })
        .collect()
}
