//! A process of its own that takes a change of a server's files back when nobody confirms it.
//!
//! It is started, and says that it is ready, before the first byte is written. A pipe leads from whoever started it: when
//! that ends before the proof is done, for whatever reason, the change is taken back at once. Afterwards a deadline
//! counts, on a clock that nobody sets. It has a session of its own, so that a lost terminal does not end it, and a
//! request to end it (SIGTERM, as at a logout or a shutdown) has it go back first. It needs no login to the database:
//! old names are put back, and the postmaster is told by a signal.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{ServerError, postmaster, words};
use crate::apply::live::{Live, Moment, Trial};

/// What it says once it is ready.
const READY: &[u8] = b"ready\n";
/// It is told: the proof is done, the deadline counts from now on.
const WAIT: &str = "wait";
/// It is told: all is decided.
const DONE: &str = "done";
/// No proof takes as long; whoever makes it hangs.
const LONGEST_PROOF: Duration = Duration::from_secs(600);
/// How often it looks whether somebody has decided.
const LOOK: Duration = Duration::from_millis(100);

/// The process, seen from the run that makes the change.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
    line: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts it over the change that is under way in a project directory.
    pub fn start(project: &Path) -> Result<Self, ServerError> {
        const NAME: &str = "pgtls watchdog";
        let fail = |why: String| ServerError::Spawn {
            program: NAME.to_owned(),
            why,
        };
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() {
            own.to_path_buf()
        } else {
            std::env::current_exe().map_err(|error| fail(words(&error)))?
        };
        let mut child = Command::new(program)
            .arg("watchdog")
            .arg("--dir")
            .arg(project)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| fail(words(&error)))?;
        let line = child.stdin.take();
        let mut answer = Vec::new();
        let said = child
            .stdout
            .take()
            .map(|out| out.take(READY.len() as u64).read_to_end(&mut answer));
        if !matches!(said, Some(Ok(_))) || answer != READY {
            drop(line);
            let _ = child.wait();
            return Err(fail(
                "it ended at once; nothing of the server was changed".to_owned(),
            ));
        }
        Ok(Self { child, line })
    }

    /// Whether it still watches.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The proof is done: from now on it goes back when the deadline of the change passes. It outlives this process.
    #[must_use]
    pub fn wait_for_confirmation(mut self) -> bool {
        self.is_alive() && self.tell(WAIT)
    }

    /// All is decided, and it ends.
    pub fn dismiss(mut self) {
        self.tell(DONE);
        drop(self.line.take());
        let _ = self.child.wait();
    }

    fn tell(&mut self, word: &str) -> bool {
        self.line
            .as_mut()
            .is_some_and(|line| writeln!(line, "{word}").and_then(|()| line.flush()).is_ok())
    }
}

/// What the process does, to its end.
pub fn keep_watch(project: &Path) -> Result<(), ServerError> {
    let fail = |why: String| ServerError::Spawn {
        program: "pgtls watchdog".to_owned(),
        why,
    };
    let trial = Live::of(project)
        .unfinished()
        .ok()
        .flatten()
        .ok_or_else(|| fail("there is nothing to watch over".to_owned()))?;
    // Out of the terminal's reach. Where it fails we lead a session already.
    let _ = rustix::process::setsid();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| fail(words(&error)))?;
    runtime.block_on(async {
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ];
        let [Ok(mut term), Ok(mut int), Ok(mut hup)] = kinds.map(signal) else {
            return Err(fail("no signals can be heard".to_owned()));
        };
        let mut words = heard();
        // Only now is everything ready to go back.
        std::io::stdout()
            .write_all(READY)
            .and_then(|()| std::io::stdout().flush())
            .map_err(|error| fail(super::words(&error)))?;
        let begun = Instant::now();
        let mut proven = false;
        loop {
            tokio::select! {
                _ = term.recv() => break,
                // A terminal that is lost is what it is there for.
                _ = int.recv() => {}
                _ = hup.recv() => {}
                word = words.recv(), if !proven => match word.as_deref() {
                    Some(DONE) => return Ok(()),
                    Some(WAIT) => proven = true,
                    // Whoever started it is gone, and the proof is not done.
                    _ => break,
                },
                () = tokio::time::sleep(LOOK) => {}
            }
            match trial.again() {
                Ok(None) => return Ok(()),
                Ok(Some(now)) if proven && now.record().until.as_ref().is_none_or(Moment::is_over) => {
                    break;
                }
                _ if !proven && begun.elapsed() > LONGEST_PROOF => break,
                _ => {}
            }
        }
        go_back(&trial).await;
        Ok(())
    })
}

/// Until it is done: a disk may be out of reach for a while.
async fn go_back(trial: &Trial) {
    const PAUSE: Duration = Duration::from_secs(1);
    let data = &trial.record().data;
    while trial.go_back(|| _ = postmaster::reload(data)).is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    // A server that was just starting may have read the new files and not have been there to be told.
    for _ in 0..20 {
        if postmaster::reload(data) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The words that come over the pipe; closed with it.
fn heard() -> mpsc::Receiver<String> {
    let (sender, words) = mpsc::channel(4);
    std::thread::spawn(move || {
        for line in BufReader::new(std::io::stdin()).lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    words
}
