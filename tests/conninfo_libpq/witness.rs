//! libpq in a Python process, as a witness.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// More than any answer takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running witness; ended on drop.
pub struct Witness {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

impl Witness {
    /// Starts one. `None`, with a note on stderr, where psycopg with libpq 18 is not at hand; with `CI=true` that
    /// is a failure.
    pub fn start() -> Option<Self> {
        match Self::try_start() {
            Ok(witness) => Some(witness),
            Err(why) => {
                eprintln!("SKIP conninfo_libpq: {why}");
                assert_ne!(
                    std::env::var("CI").as_deref(),
                    Ok("true"),
                    "the witness is required in CI: {why}"
                );
                None
            }
        }
    }

    fn try_start() -> Result<Self, String> {
        let python = std::env::var("PGTLS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(&python)
            .args(["-c", include_str!("witness.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{python} does not start ({error}); set PGTLS_TEST_PYTHON"))?;
        let questions = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = channel();
        // Ends with the child's stdout.
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let witness = Self {
            child,
            questions,
            answers,
        };
        let hello = witness.answers.recv_timeout(PATIENCE).map_err(|_| {
            format!("{python} has no psycopg: pip install 'psycopg[binary]', set PGTLS_TEST_PYTHON")
        })?;
        let version = serde_json::from_str::<Value>(&hello).map_err(|error| error.to_string())?["version"]
            .as_u64()
            .unwrap_or_default();
        if version / 10_000 != 18 {
            return Err(format!(
                "{python} has libpq {version}, and the rules tested are those of 18"
            ));
        }
        Ok(witness)
    }

    /// Asks one question and waits for the answer.
    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        let answer = self
            .answers
            .recv_timeout(PATIENCE)
            .expect("the witness fell silent");
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
