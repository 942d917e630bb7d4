//! A place for a sandbox that lasts no longer than the process that made it, also when that is killed.
//!
//! The directory lies among the system's temporary files, with a name that nobody can foresee, for its owner alone. A
//! keeper watches over it: this program once more, in a session of its own, that waits for the end of a pipe whose other
//! end dies with us. It then stops the server, ends what works in the data directory, and removes everything. What it is to
//! do beside that, it is told through the same pipe.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::files::{remove, remove_tree, write};
use super::process::{end_those, names};
use super::{Places, Sandbox, ServerError, words};
use crate::plan::Layout;

/// What every such directory's name begins with.
const PREFIX: &str = "pgtls-lesson-";
/// What marks one as ours, and as one that may be removed with all that is in it.
const MARK: &str = ".pgtls-temporary";
/// How long the keeper may take once we are done ourselves.
const FAREWELL: Duration = Duration::from_secs(60);
/// How long what another process is still making is removed again and again.
const STUBBORN: Duration = Duration::from_secs(20);
/// The longest thing that the keeper is told.
const LONGEST: usize = 64 * 1024;

/// The place; dropping it removes it. A server in it must be stopped before.
#[derive(Debug)]
pub struct Temporary {
    dir: PathBuf,
    keeper: Child,
}

impl Temporary {
    /// Makes one. `keeper` is a command that calls [`wait_for_the_end`], and then [`leave_nothing`], with the directory that
    /// it gets as its last argument.
    pub fn make(mut keeper: Vec<PathBuf>) -> Result<Self, ServerError> {
        let base = std::env::temp_dir();
        let base = base.canonicalize().unwrap_or(base);
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&base)
            .map_err(|error| ServerError::file("make a directory in", &base, &error))?;
        write(&made.path().join(MARK), b"", 0o600, None)?;
        keeper.push(made.path().to_owned());
        let keeper = watch(&keeper)?;
        Ok(Self {
            dir: made.keep(),
            keeper,
        })
    }

    /// The directory: absolute, empty but for its mark, for its owner alone.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tells the keeper what it is to know at the end. It stays in memory.
    pub fn tell_keeper(&mut self, message: &[u8]) -> Result<(), ServerError> {
        let failed = |why: String| ServerError::Spawn {
            program: "the keeper".to_owned(),
            why,
        };
        if message.len() > LONGEST {
            return Err(failed("too much to tell it".to_owned()));
        }
        let pipe = self.keeper.stdin.as_mut();
        pipe.map_or(Ok(()), |pipe| pipe.write_all(message))
            .map_err(|error| failed(words(&error)))
    }

    /// Removes it, and waits for the keeper; whether that one did what it was to do.
    #[must_use]
    pub fn close(mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        // A container is taken down by its files, which the keeper does. What cannot be removed now, it tries again.
        if !self.dir.join(Layout::COMPOSE).exists() {
            let _ = clear(&self.dir);
        }
        drop(self.keeper.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < FAREWELL {
            match self.keeper.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(3)),
                Ok(Some(status)) => return status.success(),
                Err(_) => return false,
            }
        }
        false
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.end();
    }
}

fn watch(command: &[PathBuf]) -> Result<Child, ServerError> {
    let spawn = |error: std::io::Error| ServerError::Spawn {
        program: command
            .first()
            .map_or_else(String::new, |path| path.display().to_string()),
        why: words(&error),
    };
    let setsid = ["/usr/bin/setsid", "/bin/setsid"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    let alone = setsid.is_none();
    let mut words = setsid.into_iter().chain(command.iter().cloned());
    let program = words.next().unwrap_or_default();
    let mut keeper = Command::new(program);
    keeper
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    // Without setsid(1) a process group of its own does for Ctrl-C.
    if alone {
        keeper.process_group(0);
    }
    keeper.spawn().map_err(spawn)
}

/// The keeper waits until the other end of its standard input is gone; gives what it was told through it.
///
/// No directory is looked at: on a busy machine the keeper may begin only when everything is over and that is gone.
pub async fn wait_for_the_end() -> Zeroizing<Vec<u8>> {
    let waiting = tokio::task::spawn_blocking(|| {
        // Room for all of it from the start: a buffer that grows leaves copies behind.
        let mut told = Zeroizing::new(Vec::with_capacity(LONGEST));
        let mut pipe = std::io::stdin().lock();
        let mut piece = Zeroizing::new([0; 1024]);
        while let Ok(read @ 1..) = pipe.read(&mut *piece) {
            let room = LONGEST - told.len();
            told.extend_from_slice(&piece[..read.min(room)]);
        }
        told
    });
    waiting.await.unwrap_or_default()
}

/// The keeper leaves nothing of the directory.
///
/// One that is not marked as such a place is left alone.
pub async fn leave_nothing(dir: &Path) -> Result<(), ServerError> {
    check(dir)?;
    let begun = Instant::now();
    loop {
        let sandbox = Sandbox::locate(dir, &Places::of_this_machine())?;
        // A server that still runs ends with its sessions; what begins anew while we look is found in the next round.
        let stopped = sandbox.stop(&|_| ()).await;
        end_workers(&sandbox.data_dir());
        match clear(dir) {
            Ok(()) if stopped.is_ok() => return Ok(()),
            Err(error) if begun.elapsed() > STUBBORN => return Err(error),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn check(dir: &Path) -> Result<(), ServerError> {
    if is_temporary(dir) || (is_named(dir) && is_empty(dir)) {
        return Ok(());
    }
    Err(ServerError::File {
        doing: "remove",
        path: dir.to_owned(),
        why: "it is no temporary place of pgtls's own".to_owned(),
    })
}

/// Whether this is such a place, which is to go with all that is in it.
#[must_use]
pub fn is_temporary(dir: &Path) -> bool {
    is_named(dir) && dir.join(MARK).is_file()
}

fn is_named(dir: &Path) -> bool {
    let named = dir
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    named && dir.is_absolute()
}

/// Whether nothing is in it that could be lost. Whoever made it may have removed it already, but for what works in it.
fn is_empty(dir: &Path) -> bool {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Removes what lies elsewhere, then the directory; its mark last, so that whoever is killed here leaves one that is marked.
fn clear(dir: &Path) -> Result<(), ServerError> {
    if !dir.exists() {
        return Ok(());
    }
    let sandbox = Sandbox::locate(dir, &Places::of_this_machine())?;
    sandbox.delete()?;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => remove_tree(&entry.path())?,
            _ if entry.file_name() == MARK => {}
            _ => remove(&entry.path())?,
        }
    }
    remove_tree(dir)
}

/// Ends the processes that make or serve this data: a killed run's `initdb` is nobody's child any more.
fn end_workers(data: &Path) {
    end_those(|pid, arguments| {
        names(arguments, data.as_os_str()) || super::postmaster::is_server_of(pid, data)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_marked_stays() {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();
        std::fs::write(dir.path().join("a person's"), "").unwrap();
        let error = leave_nothing(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("no temporary place"), "{error}");
        assert!(dir.path().join("a person's").exists());
        let named_otherwise = tempfile::tempdir().unwrap();
        std::fs::write(named_otherwise.path().join(MARK), "").unwrap();
        assert!(!is_temporary(named_otherwise.path()));
    }

    #[tokio::test]
    async fn what_is_marked_or_gone_already_is_left_without_a_trace() {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();
        std::fs::write(dir.path().join(MARK), "").unwrap();
        std::fs::create_dir(dir.path().join("clients")).unwrap();
        std::fs::write(dir.path().join("clients/key"), "").unwrap();
        for state in ["marked", "gone"] {
            leave_nothing(dir.path()).await.unwrap();
            assert!(!dir.path().exists(), "{state}");
        }
        // Whoever was killed between the mark and the directory left this.
        std::fs::create_dir(dir.path()).unwrap();
        leave_nothing(dir.path()).await.unwrap();
        assert!(!dir.path().exists());
    }
}
