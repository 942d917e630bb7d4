//! A process of its own that takes a change of a server's files back when nobody confirms it.
//!
//! It is started, and says that it is ready, before the first byte is written. A pipe leads from whoever started it: when
//! that ends before the proof is done, for whatever reason, the change is taken back at once. Afterwards a deadline
//! counts, on a clock that nobody sets. It has a session of its own, so that a lost terminal does not end it, and a
//! request to end it (SIGTERM, as at a logout or a shutdown) has it go back first. Over files it needs no login to the
//! database: old names are put back, and the postmaster is told by a signal. Where only SQL leads back, it is handed what a
//! login takes, over the pipe, and has one before it says that it is ready.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use zeroize::Zeroizing;

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
/// Bytes of what it says in the place of "ready".
const LONGEST_ANSWER: u64 = 4096;
/// Bytes of what is handed over to it.
const LONGEST_SECRET: u32 = 1 << 20;

/// The process, seen from the run that makes the change.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
    line: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts it over the change that is under way in a project directory.
    pub fn start(project: &Path) -> Result<Self, ServerError> {
        Self::start_with(project, None)
    }

    /// The same with a secret that is handed over to it, and that [`handed_over`] takes there. It has our own environment
    /// and directory then, which complete what the secret says.
    pub fn start_with(project: &Path, secret: Option<&[u8]>) -> Result<Self, ServerError> {
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
        let mut command = Command::new(program);
        command.arg("watchdog").arg("--dir").arg(project);
        if secret.is_none() {
            command.env_clear().current_dir("/");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| fail(words(&error)))?;
        let mut line = child.stdin.take();
        let handed = secret.is_none_or(|secret| {
            let length = u32::try_from(secret.len()).unwrap_or(u32::MAX).to_be_bytes();
            line.as_mut().is_some_and(|line| {
                line.write_all(&length)
                    .and_then(|()| line.write_all(secret))
                    .is_ok()
            })
        });
        let mut answer = Vec::new();
        let said = child
            .stdout
            .take()
            .filter(|_| handed)
            .map(|out| BufReader::new(out.take(LONGEST_ANSWER)).read_until(b'\n', &mut answer));
        if !matches!(said, Some(Ok(_))) || answer != READY {
            drop(line);
            let _ = child.wait();
            let why = crate::pki::printable(String::from_utf8_lossy(&answer).trim_end());
            return Err(fail(match why.as_str() {
                "" => "it ended at once; nothing of the server was changed".to_owned(),
                why => format!("{why}; nothing of the server was changed"),
            }));
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

/// The project directories over which such processes watch now, as far as that can be seen.
#[must_use]
pub fn watched_projects() -> Vec<PathBuf> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let lines = processes
        .flatten()
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let project = |line: Vec<u8>| {
        let mut words = line.split(|byte| *byte == 0).skip(1);
        let is_ours = words.next()? == b"watchdog" && words.next()? == b"--dir";
        is_ours.then(|| words.next().map(|path| PathBuf::from(OsStr::from_bytes(path))))?
    };
    lines.filter_map(project).collect()
}

/// What the process does over files, to its end.
pub fn keep_watch(project: &Path) -> Result<(), ServerError> {
    let trial = watched(project)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(words(&error)))?;
    runtime.block_on(async {
        let mut lookout = Lookout::new()?;
        let _watch = lookout.ready(&trial)?;
        if lookout.must_go_back(&trial, async || ()).await {
            go_back(&trial).await;
        }
        Ok(())
    })
}

/// The change that is under way in a project directory, for the process that watches over it.
pub fn watched(project: &Path) -> Result<Trial, ServerError> {
    Live::of(project)
        .unfinished()
        .ok()
        .flatten()
        .ok_or_else(|| failed("there is nothing to watch over".to_owned()))
}

/// What was handed over to this process, byte by byte: nothing but the secret's own place holds it.
pub fn handed_over() -> Result<Zeroizing<Vec<u8>>, ServerError> {
    let lost = |_| failed("nothing was handed over".to_owned());
    let mut length = [0; 4];
    exactly(&mut length).map_err(lost)?;
    let length = u32::from_be_bytes(length).min(LONGEST_SECRET);
    let mut secret = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or_default()]);
    exactly(&mut secret).map_err(lost)?;
    Ok(secret)
}

/// Without the standard library's buffer, which keeps what it has read.
fn exactly(mut bytes: &mut [u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::read(rustix::stdio::stdin(), &mut *bytes) {
            Ok(0) => return Err(rustix::io::Errno::PIPE),
            Ok(read) => bytes = &mut bytes[read..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says in the place of "ready" why it is not.
#[must_use]
pub fn not_ready(why: &str) -> ServerError {
    let _ = writeln!(std::io::stdout(), "{}", crate::pki::printable(why));
    failed(why.to_owned())
}

fn failed(why: String) -> ServerError {
    ServerError::Spawn {
        program: "pgtls watchdog".to_owned(),
        why,
    }
}

/// The process's ears: signals, and whoever started it.
#[derive(Debug)]
pub struct Lookout {
    term: Signal,
    int: Signal,
    hup: Signal,
    words: mpsc::Receiver<String>,
}

impl Lookout {
    /// Out of the terminal's reach, and listening; in a runtime.
    pub fn new() -> Result<Self, ServerError> {
        // Where it fails we lead a session already.
        let _ = rustix::process::setsid();
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ];
        let [Ok(term), Ok(int), Ok(hup)] = kinds.map(signal) else {
            return Err(failed("no signals can be heard".to_owned()));
        };
        Ok(Self {
            term,
            int,
            hup,
            words: heard(),
        })
    }

    /// Says that everything is ready to go back; whoever holds what this gives goes on saying that it is there.
    pub fn ready(&self, trial: &Trial) -> Result<File, ServerError> {
        let watch = trial.watch().map_err(|error| not_ready(&error.to_string()))?;
        std::io::stdout()
            .write_all(READY)
            .and_then(|()| std::io::stdout().flush())
            .map_err(|error| failed(words(&error)))?;
        Ok(watch)
    }

    /// Waits until the change is decided (`false`), or has to be taken back. Every now and then it does what `beat` does.
    pub async fn must_go_back(&mut self, trial: &Trial, mut beat: impl AsyncFnMut()) -> bool {
        let begun = Instant::now();
        let mut proven = false;
        loop {
            tokio::select! {
                _ = self.term.recv() => return true,
                // A terminal that is lost is what it is there for.
                _ = self.int.recv() => {}
                _ = self.hup.recv() => {}
                word = self.words.recv(), if !proven => match word.as_deref() {
                    Some(DONE) => return false,
                    Some(WAIT) => proven = true,
                    // Whoever started it is gone, and the proof is not done.
                    _ => return true,
                },
                () = tokio::time::sleep(LOOK) => {}
            }
            match trial.again() {
                // Where the books are gone, whoever goes back sees by other signs whether it was decided.
                Ok(None) => return !trial.has_books(),
                Ok(Some(now)) if proven && now.record().until.as_ref().is_none_or(Moment::is_over) => {
                    return true;
                }
                _ if !proven && begun.elapsed() > LONGEST_PROOF => return true,
                _ => beat().await,
            }
        }
    }
}

/// Until it is done: a disk may be out of reach for a while.
async fn go_back(trial: &Trial) {
    const PAUSE: Duration = Duration::from_secs(1);
    let data = &trial.record().data;
    loop {
        match trial.go_back(|| _ = postmaster::reload(data)) {
            Ok(Some(_)) => break,
            // Whoever decided has told the server.
            Ok(None) => return,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
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
