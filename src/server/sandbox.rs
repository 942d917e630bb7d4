//! One project's server: where it is, whether it runs, and its reload, stop and deletion.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::files::{remove, remove_tree};
use super::log::Tail;
use super::place::Place;
use super::postmaster::{self, PidFile};
use super::{Account, Diagnosis, Event, Events, Places, ServerError, diagnose, mirror, words};

/// The bootstrap superuser of every sandbox.
pub const SUPERUSER: &str = "postgres";

/// How often a server is looked at while something is awaited.
pub(super) const POLL: Duration = Duration::from_millis(3);
/// How long a fast shutdown may take before an immediate one is tried.
const FAST: Duration = Duration::from_secs(30);
/// How long an immediate shutdown may take.
const IMMEDIATE: Duration = Duration::from_secs(10);
/// How long a reload may take.
const RELOAD: Duration = Duration::from_secs(5);

/// A project's own PostgreSQL: its data, its socket, its log.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub(super) project: PathBuf,
    pub(super) place: Place,
    pub(super) account: Option<Account>,
}

/// A running server, and how to reach it over its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The process.
    pub pid: u32,
    /// Its TCP port, which is in its socket's name too.
    pub port: u16,
    /// The directory of its Unix socket: absolute, mode 0700, of the server's account.
    pub socket_dir: PathBuf,
    /// Major version of its data.
    pub version: u16,
}

/// What is the matter in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is no data yet, or only what an interrupted `initdb` left.
    Empty,
    /// There is data, and no server runs.
    Stopped,
    /// A server runs.
    Running(Server),
    /// A server runs, left behind by an `up` that was interrupted before it could answer for it.
    Leftover(Server),
}

/// What a reload did.
#[derive(Debug, Clone)]
pub struct Reload {
    /// What the server logged, printable.
    pub lines: Vec<String>,
    /// What it complained about: anything here means that something old is still in force.
    pub complaints: Vec<Diagnosis>,
}

impl Sandbox {
    /// The sandbox of a project directory, which need not exist yet; the one that holds it must. Nothing is made.
    pub fn locate(project: &Path, places: &Places) -> Result<Self, ServerError> {
        let account = Account::for_server()?;
        let project = canonical(project).map_err(|error| ServerError::file("open", project, &error))?;
        let place = Place::decide(&project, account.as_ref(), places)?;
        Ok(Self {
            project,
            place,
            account,
        })
    }

    /// What the person should know about where data, socket and copies of files are, if it is not the project
    /// directory; and as whom the server runs, if it is not they.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.place.notice.as_deref()
    }

    /// The account the server runs as; `None` is our own.
    #[must_use]
    pub const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.inner("data")
    }

    /// The directory of the Unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.place.socket_dir
    }

    /// The server's log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.inner("log/server.log")
    }

    /// The `server/` directory that the server itself reads: the project's, or the copy of it.
    #[must_use]
    pub fn server_dir(&self) -> PathBuf {
        self.place.home.join("server")
    }

    /// Major version of the data, once there is any.
    #[must_use]
    pub fn data_version(&self) -> Option<u16> {
        let (text, _) = super::files::read(&self.data_dir().join("PG_VERSION"), 64).ok()?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok()
    }

    /// What is the matter here now.
    #[must_use]
    pub fn status(&self) -> Status {
        if let Some(server) = self.running() {
            if self.inner("starting").exists() {
                return Status::Leftover(server);
            }
            return Status::Running(server);
        }
        if self.inner("initialized").exists() && self.data_version().is_some() {
            Status::Stopped
        } else {
            Status::Empty
        }
    }

    /// Brings the server's copies of `server/` up to date, where it has copies.
    pub fn copy_files(&self) -> Result<(), ServerError> {
        if self.place.home == self.project {
            return Ok(());
        }
        self.place.note(&self.project)?;
        mirror::copy(&self.project, &self.place.home, self.account.as_ref())
    }

    /// Whether the server runs and its directory was moved since: it looks for its files where they were.
    #[must_use]
    pub fn was_moved(&self) -> bool {
        PidFile::alive(&self.data_dir()).is_some_and(|file| !file.data.exists())
    }

    /// Has the running server read its files again (SIGHUP), and tells what it said about them.
    ///
    /// PostgreSQL keeps the old settings and the old certificate when the new ones are bad, and says so only
    /// in its log (<https://www.postgresql.org/docs/current/ssl-tcp.html>): see [`Reload::complaints`].
    pub async fn reload(&self, events: Events<'_>) -> Result<Reload, ServerError> {
        let server = self.running().ok_or_else(|| self.not_running())?;
        self.copy_files()?;
        let mut tail = Tail::at_end(&self.log_file());
        if !postmaster::signal(server.pid, &self.data_dir(), Signal::HUP) {
            return Err(self.not_running());
        }
        let begun = Instant::now();
        let mut lines = Vec::new();
        while begun.elapsed() < RELOAD && !lines.iter().any(|line: &String| line.contains("received SIGHUP"))
        {
            tokio::time::sleep(POLL).await;
            lines.extend(tail.lines());
        }
        // The server takes no connection before it is done with the reload: an answer means that it is.
        let socket = server.socket_dir.join(format!(".s.PGSQL.{}", server.port));
        let _ = tokio::task::spawn_blocking(move || answer(&socket)).await;
        lines.extend(tail.lines());
        for line in &lines {
            events(Event::Log(line.clone()));
        }
        Ok(Reload {
            complaints: complaints(&lines),
            lines,
        })
    }

    /// Stops the server (a fast shutdown: sessions end, everything is written); returns what was stopped,
    /// `None` if nothing ran.
    pub async fn stop(&self, events: Events<'_>) -> Result<Option<Server>, ServerError> {
        let Some(server) = self.running() else {
            remove(&self.inner("starting"))?;
            return Ok(None);
        };
        let data = self.data_dir();
        for (signal, limit) in [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE)] {
            if signal == Signal::QUIT {
                events(Event::Notice(
                    "the server takes long to stop; it is now stopped at once".into(),
                ));
            }
            postmaster::signal(server.pid, &data, signal);
            let begun = Instant::now();
            while begun.elapsed() < limit {
                if !postmaster::is_server_of(server.pid, &data) {
                    remove(&self.inner("starting"))?;
                    return Ok(Some(server));
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Err(ServerError::WillNotStop { pid: server.pid })
    }

    /// What [`Sandbox::delete`] would delete, for the question before it; empty if there is nothing.
    #[must_use]
    pub fn volumes(&self) -> Vec<PathBuf> {
        let mut found = if self.place.home == self.project {
            ["data", "run", "log"]
                .iter()
                .map(|name| self.inner(name))
                .collect()
        } else {
            vec![self.place.home.clone()]
        };
        if !self.place.socket_dir.starts_with(&self.place.home) {
            found.push(self.place.socket_dir.clone());
        }
        found.retain(|path| path.exists());
        found
    }

    /// Deletes the data, the socket's directory and the log of a stopped server; returns what was deleted.
    pub fn delete(&self) -> Result<Vec<PathBuf>, ServerError> {
        if let Some(server) = self.running() {
            return Err(ServerError::AlreadyRunning {
                pid: server.pid,
                port: server.port,
            });
        }
        let volumes = self.volumes();
        // The mark goes first: data without it is not taken for whole.
        remove(&self.inner("initialized"))?;
        remove(&self.inner("starting"))?;
        for path in &volumes {
            remove_tree(path)?;
        }
        self.place.forget(&self.project)?;
        Ok(volumes)
    }

    pub(super) fn running(&self) -> Option<Server> {
        let file = PidFile::alive(&self.data_dir())?;
        Some(Server {
            pid: file.pid,
            port: file.port,
            socket_dir: file.socket_dir,
            version: self.data_version().unwrap_or_default(),
        })
    }

    pub(super) fn inner(&self, name: &str) -> PathBuf {
        self.place.home.join(".pgtls").join(name)
    }

    fn not_running(&self) -> ServerError {
        ServerError::NotRunning {
            project: self.project.clone(),
        }
    }

    /// Stops what an interrupted `up` left running.
    pub(super) async fn clear_leftover(&self, events: Events<'_>) -> Result<(), ServerError> {
        if let Status::Leftover(server) = self.status() {
            self.stop(events).await?;
            events(Event::StoppedLeftover { pid: server.pid });
        }
        remove(&self.inner("starting"))
    }

    /// Makes the directories this sandbox needs.
    pub(super) fn make(&self) -> Result<(), ServerError> {
        self.place.make(&self.project, self.account.as_ref())
    }
}

/// The one name of a directory, whichever way it was named, also before it is made.
fn canonical(dir: &Path) -> std::io::Result<PathBuf> {
    dir.canonicalize().or_else(|error| {
        let dir = std::path::absolute(dir)?;
        match (dir.parent(), dir.file_name()) {
            (Some(parent), Some(name)) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(parent.canonicalize()?.join(name))
            }
            _ => Err(error),
        }
    })
}

/// What a server complained about while it reloaded.
///
/// Where a file names an `hba_file` or `ident_file` too, the command line of `start` wins and the server says
/// so at every reload: that is no complaint.
fn complaints(lines: &[String]) -> Vec<Diagnosis> {
    let fixed = ["parameter \"hba_file\" cannot", "parameter \"ident_file\" cannot"];
    let told: Vec<String> = lines
        .iter()
        .filter(|line| !fixed.iter().any(|name| line.contains(name)))
        .cloned()
        .collect();
    let found = diagnose::all(&told);
    let only_sums_up = found.iter().all(|one| one.slug == "config-errors");
    if told.len() < lines.len() && only_sums_up {
        Vec::new()
    } else {
        found
    }
}

/// Asks the server at `socket` for TLS, which it answers with one byte over any socket, in TLS or not
/// (<https://www.postgresql.org/docs/current/protocol-flow.html>), and hangs up.
fn answer(socket: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(RELOAD))?;
    stream.set_write_timeout(Some(RELOAD))?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47])?;
    stream
        .read_exact(&mut [0])
        .map_err(|error| std::io::Error::other(words(&error)))
}
