//! Starting the server, and answering for it until somebody else does.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

use crate::plan::socket_directories;

use super::files::{remove, write_copy};
use super::log::Tail;
use super::postmaster::PidFile;
use super::process::postgres_environment;
use super::sandbox::POLL;
use super::{Account, Binaries, Cluster, Event, Events, Sandbox, Server, ServerError, diagnose, words};

/// How long a starting server may be silent. While it recovers from a crash it says so every ten seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a server that nobody wants may take for each of its three ways to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// The most lines of a failed start that are shown.
const SHOWN: usize = 20;
/// A log that has grown beyond this is set aside before the next start.
const LOG_LIMIT: u64 = 8 << 20;

/// A server that was started and that nobody answers for yet: dropping it stops it.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct Running {
    server: Server,
    mark: PathBuf,
    postmaster: Option<Postmaster>,
}

impl Running {
    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Lets the server run on without us.
    pub fn keep(mut self) -> Result<Server, ServerError> {
        remove(&self.mark)?;
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.release();
        }
        Ok(self.server.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            drop(postmaster);
            let _ = remove(&self.mark);
        }
    }
}

impl Sandbox {
    /// Starts the server with the project's `server/postgresql.conf` and waits until it is ready and new data
    /// is on the disk. Dropping the future, or the [`Running`], leaves no server.
    ///
    /// A server that could not listen on all its addresses does not count as started: the port would be
    /// somebody else's on one of them.
    pub async fn start(
        &self,
        cluster: Cluster,
        binaries: &Binaries,
        events: Events<'_>,
    ) -> Result<Running, ServerError> {
        if let Some(server) = self.running() {
            return Err(ServerError::AlreadyRunning {
                pid: server.pid,
                port: server.port,
            });
        }
        self.make()?;
        self.copy_files()?;
        let log = self.log_file();
        let data = self.data_dir();
        // A file left by a crash names a process that is not this server: PostgreSQL itself refuses to start if
        // that number now belongs to anybody.
        remove(&data.join("postmaster.pid"))?;
        let mark = self.inner("starting");
        write_copy(&mark, format!("{}\n", std::process::id()).as_bytes(), 0o644, None)?;
        let output = open_log(&log, self.account.as_ref())?;
        let mut tail = Tail::at_end(&log);
        let postmaster = Postmaster::spawn(self.command(binaries, output)?, binaries)?;
        events(Event::Starting { pid: postmaster.pid });
        let mut running = Running {
            server: Server {
                pid: postmaster.pid,
                port: 0,
                socket_dir: self.place.socket_dir.clone(),
                version: binaries.version.major,
            },
            mark,
            postmaster: Some(postmaster),
        };
        let mut lines = Vec::new();
        let waited = self.ready(&mut running, &mut tail, &mut lines, events).await;
        let complaint = diagnose::all(&lines)
            .into_iter()
            .find(|found| found.slug == "port-taken");
        match (waited, complaint) {
            (Ok(()), None) => {}
            (Err(error), _) => return Err(error),
            (Ok(()), Some(found)) => return Err(failed(&log, &lines, Some(found))),
        }
        self.settle(cluster).await?;
        events(Event::Ready);
        Ok(running)
    }

    fn command(&self, binaries: &Binaries, output: File) -> Result<Command, ServerError> {
        let program = binaries.dir.join("postgres");
        // A session of its own: neither Ctrl-C nor the end of this terminal reaches it. Where there is no
        // setsid(1), a process group of its own does for Ctrl-C.
        let setsid = ["/usr/bin/setsid", "/bin/setsid"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let mut command = Command::new(setsid.map_or(program.as_path(), Path::new));
        if setsid.is_some() {
            command.arg(&program);
        } else {
            command.process_group(0);
        }
        let errors = output
            .try_clone()
            .map_err(|error| ServerError::file("open", &self.log_file(), &error))?;
        let files = self.server_dir();
        // Word for word what postgresql.conf says, or each reload would complain that it cannot change it.
        let sockets = OsString::from(socket_directories(&self.data_dir(), &self.place.socket_dir));
        // On the command line, so that no edit moves the socket out of the directory that guards it; and these
        // files, since a relative `hba_file` in postgresql.conf is taken for a change by every reload
        // (PostgreSQL keeps it as an absolute path and compares).
        let settings = [
            ("config_file=", files.join("postgresql.conf").into_os_string()),
            ("hba_file=", files.join("pg_hba.conf").into_os_string()),
            ("unix_socket_directories=", sockets),
        ];
        let ident = files.join("pg_ident.conf");
        let ident = ident.exists().then(|| ("ident_file=", ident.into_os_string()));
        for (name, value) in settings.into_iter().chain(ident) {
            let mut setting = OsString::from(name);
            setting.push(value);
            command.arg("-c").arg(setting);
        }
        command
            .arg("-D")
            .arg(self.data_dir())
            .env_clear()
            .envs(postgres_environment(binaries.libraries.as_deref()))
            .current_dir(self.data_dir())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        Ok(command)
    }

    async fn ready(
        &self,
        running: &mut Running,
        tail: &mut Tail,
        lines: &mut Vec<String>,
        events: Events<'_>,
    ) -> Result<(), ServerError> {
        let Some(mut ended) = running
            .postmaster
            .as_ref()
            .map(|postmaster| postmaster.ended.clone())
        else {
            return Ok(());
        };
        let data = self.data_dir();
        let mut heard = Instant::now();
        loop {
            let over = ended.borrow().is_some();
            let ready = PidFile::read(&data).filter(|file| file.ready && file.pid == running.server.pid);
            for line in tail.lines() {
                heard = Instant::now();
                events(Event::Log(line.clone()));
                lines.push(line);
            }
            if over {
                let found = diagnose(lines);
                return Err(failed(&self.log_file(), lines, found));
            }
            if let Some(file) = ready {
                running.server.port = file.port;
                return Ok(());
            }
            if heard.elapsed() > SILENCE {
                return Err(ServerError::TooSlow {
                    program: "the PostgreSQL server".into(),
                    limit: SILENCE,
                });
            }
            let _ = tokio::time::timeout(POLL, ended.changed()).await;
        }
    }
}

fn failed(log: &Path, lines: &[String], diagnosis: Option<super::Diagnosis>) -> ServerError {
    ServerError::Start {
        log: log.to_owned(),
        lines: lines[lines.len().saturating_sub(SHOWN)..].to_vec(),
        diagnosis: diagnosis.map(Box::new),
    }
}

/// The log belongs to the server's account, which writes it: so a superuser may read it over SQL, too.
fn open_log(log: &Path, account: Option<&Account>) -> Result<File, ServerError> {
    let fail = |error: std::io::Error| ServerError::file("open", log, &error);
    if std::fs::metadata(log).is_ok_and(|found| found.len() > LOG_LIMIT) {
        std::fs::rename(log, log.with_extension("log.1")).map_err(fail)?;
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log)
        .map_err(fail)?;
    if let Some(account) = account {
        fchown(&file, Some(account.uid), Some(account.gid)).map_err(fail)?;
    }
    Ok(file)
}

/// The server's process, our child, ended on drop.
///
/// A thread waits for it, so that it is never a zombie; a lock makes sure that it is not signalled after its
/// number was given back to the system.
#[derive(Debug)]
struct Postmaster {
    pid: u32,
    ended: watch::Receiver<Option<ExitStatus>>,
    reaped: Arc<Mutex<bool>>,
    released: bool,
}

impl Postmaster {
    fn spawn(mut command: Command, binaries: &Binaries) -> Result<Self, ServerError> {
        let child = command.spawn().map_err(|error| ServerError::Spawn {
            program: binaries.dir.join("postgres").display().to_string(),
            why: words(&error),
        })?;
        let pid = child.id();
        let (tell, ended) = watch::channel(None);
        let reaped = Arc::new(Mutex::new(false));
        let flag = Arc::clone(&reaped);
        std::thread::spawn(move || {
            let status = reap(child, &flag);
            let _ = tell.send(status);
        });
        Ok(Self {
            pid,
            ended,
            reaped,
            released: false,
        })
    }

    fn release(mut self) {
        self.released = true;
    }

    fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = process(self.pid).filter(|_| !*reaped) {
            let _ = kill_process(pid, signal);
        }
    }

    fn is_over(&self) -> bool {
        *self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
            self.signal(signal);
            let begun = Instant::now();
            while begun.elapsed() < FAREWELL {
                if self.is_over() {
                    return;
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

fn process(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Waits for the end, then takes the child's number off the system's list under the lock.
fn reap(mut child: Child, reaped: &Mutex<bool>) -> Option<ExitStatus> {
    if let Some(pid) = process(child.id()) {
        while matches!(
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT),
            Err(rustix::io::Errno::INTR)
        ) {}
    }
    let mut reaped = reaped.lock().unwrap_or_else(PoisonError::into_inner);
    let status = child.wait().ok();
    *reaped = true;
    status
}
