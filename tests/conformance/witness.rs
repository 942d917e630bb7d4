//! libpq 18, as psycopg brings it, in one process that answers many questions.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::Verdict;
use super::support::{self, skip};

/// More than any connection takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running witness; ended on drop.
pub struct Witness {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

/// What libpq said.
pub struct Theirs {
    pub verdict: Verdict,
    pub says: String,
}

impl Witness {
    /// Starts one; `None`, with a skip noted, where there is no psycopg with libpq 18.
    pub fn start() -> Option<Self> {
        // A session of its own: libpq must find no terminal on which to ask for a key's passphrase.
        let mut child = Command::new("setsid")
            .arg(python())
            .args(["-c", include_str!("witness.py")])
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env(support::MARK, support::mark())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, answers) = channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let witness = Self {
            child,
            questions,
            answers,
        };
        let version = witness
            .answers
            .recv_timeout(PATIENCE)
            .ok()
            .and_then(|hello| serde_json::from_str::<Value>(&hello).ok()?["version"].as_u64());
        if version.is_none_or(|version| version / 10_000 < 18) {
            skip("no psycopg with libpq 18 here: tests/run installs it", true);
            return None;
        }
        Some(witness)
    }

    /// Connects under this conninfo with that home.
    pub fn verdict(&mut self, conninfo: &str, home: &Path) -> Theirs {
        writeln!(self.questions, "{}", json!({ "connect": conninfo, "home": home })).unwrap();
        let answer = self.answers.recv_timeout(PATIENCE).expect("libpq fell silent");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        Theirs {
            verdict: if answer["connects"] == true {
                Verdict::Connects
            } else {
                Verdict::Refuses
            },
            says: answer["says"].as_str().unwrap_or_default().trim().to_owned(),
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python() -> PathBuf {
    std::env::var_os("PGTLS_TEST_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}
