//! Programs that are run to their end: bounded in time and output, killed with their children when dropped.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::log::printable;
use super::{Account, ServerError, words};

/// The most that is kept of what a program says.
const KEPT: usize = 4 << 20;
/// The longest line that is passed on while a program runs.
const LINE: u64 = 4096;

/// A program about to be run.
pub(super) struct Program {
    command: Command,
    name: String,
    limit: Duration,
}

/// What a program left when it ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    pub(super) fn success(&self) -> bool {
        self.status.success()
    }

    /// The last lines of what it complained about, made printable.
    pub(super) fn last_lines(&self, most: usize) -> Vec<String> {
        let text = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(most)..]
            .iter()
            .map(|line| printable(line))
            .collect()
    }
}

impl Program {
    /// A program in a process group of its own, so that it and its children can be ended together.
    pub(super) fn new(program: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Self {
            command,
            name: program.display().to_string(),
            limit: Duration::from_secs(60),
        }
    }

    /// One of PostgreSQL's own programs: nothing of the person's environment reaches it (`PGDATA`, `PGPORT`,
    /// a locale that translates messages).
    pub(super) fn of_postgres(program: &Path, libraries: Option<&OsStr>, account: Option<&Account>) -> Self {
        let mut this = Self::new(program);
        this.command
            .env_clear()
            .envs(postgres_environment(libraries))
            .current_dir("/");
        this.account(account)
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Takes variables of the person's environment away.
    pub(super) fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.command.env_remove(name);
        }
        self
    }

    pub(super) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it as `account`; supplementary groups are dropped by the standard library.
    pub(super) fn account(mut self, account: Option<&Account>) -> Self {
        if let Some(account) = account {
            self.command.uid(account.uid).gid(account.gid);
        }
        self
    }

    /// Begins to talk with it: lines go in, and lines come out.
    pub(super) fn converse(mut self) -> Result<Conversation, ServerError> {
        self.command.stdin(Stdio::piped());
        let child = self.command.spawn().map_err(|error| ServerError::Spawn {
            program: self.name.clone(),
            why: words(&error),
        })?;
        let mut group = Group(child);
        let (stdin, stdout) = (group.0.stdin.take(), group.0.stdout.take());
        let stderr = group.0.stderr.take();
        // Read from the beginning on, so that it never waits for a reader.
        let complaints = tokio::spawn(collect(stderr));
        Ok(Conversation {
            group,
            stdin,
            stdout: stdout.map(BufReader::new),
            complaints,
            name: self.name,
            limit: self.limit,
        })
    }

    /// Runs it to its end.
    pub(super) async fn run(self) -> Result<Ended, ServerError> {
        self.run_telling(|_| ()).await
    }

    /// Runs it to its end, passing on each line of its standard error as it comes.
    pub(super) async fn run_telling(self, tell: impl Fn(String)) -> Result<Ended, ServerError> {
        self.run_with(collect, |stream| collect_lines(stream, &tell))
            .await
    }

    /// Runs it to its end, passing on each line of both its outputs as it comes.
    pub(super) async fn run_telling_all(self, tell: impl Fn(String)) -> Result<Ended, ServerError> {
        self.run_with(
            |stream| collect_lines(stream, &tell),
            |stream| collect_lines(stream, &tell),
        )
        .await
    }

    async fn run_with<O, E>(
        mut self,
        out: impl FnOnce(Option<ChildStdout>) -> O,
        err: impl FnOnce(Option<ChildStderr>) -> E,
    ) -> Result<Ended, ServerError>
    where
        O: Future<Output = String>,
        E: Future<Output = String>,
    {
        let child = self.command.spawn().map_err(|error| ServerError::Spawn {
            program: self.name.clone(),
            why: words(&error),
        })?;
        let mut group = Group(child);
        let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
        let (name, limit) = (self.name, self.limit);
        let work = async {
            let (stdout, stderr, status) = tokio::join!(out(stdout), err(stderr), group.0.wait());
            Ok(Ended {
                status: status.map_err(|error| ServerError::Spawn {
                    program: name.clone(),
                    why: words(&error),
                })?,
                stdout,
                stderr,
            })
        };
        match tokio::time::timeout(limit, work).await {
            Ok(ended) => ended,
            Err(_) => Err(ServerError::TooSlow { program: name, limit }),
        }
    }
}

/// A program that is talked with line by line; killed with its children when dropped.
pub struct Conversation {
    group: Group,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    complaints: tokio::task::JoinHandle<String>,
    name: String,
    limit: Duration,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation")
            .field("with", &self.name)
            .finish_non_exhaustive()
    }
}

impl Conversation {
    /// Says a line, and gives the line that answers it, printable; `None` if the program has ended.
    pub async fn say(&mut self, line: &str) -> Result<Option<String>, ServerError> {
        let (Some(stdin), Some(stdout)) = (&mut self.stdin, &mut self.stdout) else {
            return Ok(None);
        };
        let talk = async {
            stdin.write_all(format!("{line}\n").as_bytes()).await?;
            stdin.flush().await?;
            let mut answer = Vec::new();
            stdout.take(LINE).read_until(b'\n', &mut answer).await?;
            std::io::Result::Ok(answer)
        };
        match tokio::time::timeout(self.limit, talk).await {
            Ok(Ok(answer)) if !answer.is_empty() => {
                Ok(Some(printable(String::from_utf8_lossy(&answer).trim_end())))
            }
            // It ended: with a broken pipe, or the end of its output.
            Ok(_) => Ok(None),
            Err(_) => Err(ServerError::TooSlow {
                program: self.name.clone(),
                limit: self.limit,
            }),
        }
    }

    /// Ends it; gives what it complained of, printable.
    pub async fn end(mut self) -> Vec<String> {
        drop(self.stdin.take());
        let ended = tokio::time::timeout(self.limit, self.group.0.wait()).await;
        if ended.is_err() {
            return Vec::new();
        }
        let complaints = self.complaints.await.unwrap_or_default();
        complaints
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(printable)
            .collect()
    }
}

/// The environment PostgreSQL's programs get: a plain locale, so that log lines can be read, and nothing that
/// configures them behind our back.
pub(super) fn postgres_environment(libraries: Option<&OsStr>) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut environment = vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("LC_ALL", "C".into()),
    ];
    if let Some(zone) = std::env::var_os("TZ") {
        environment.push(("TZ", zone));
    }
    if let Some(libraries) = libraries {
        environment.push(("LD_LIBRARY_PATH", libraries.to_owned()));
    }
    environment
}

/// A child that leads its own process group; what is left of the group is killed on drop.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // `id` is None once the leader has been waited for: then its number may belong to another.
        if let Some(pid) = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
        {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Kills the other processes of this machine of which this is so, by their number and their arguments; whether there were any.
pub(super) fn end_those(is_one: impl Fn(u32, &[u8]) -> bool) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    let mut any = false;
    for process in processes.flatten() {
        let Some(number) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        if number != std::process::id() && is_one(number, &arguments) {
            let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
            any |= pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
        }
    }
    any
}

/// Whether this is one of the arguments, as `/proc` has them.
pub(super) fn names(arguments: &[u8], argument: &OsStr) -> bool {
    arguments
        .split(|byte| *byte == 0)
        .any(|one| one == argument.as_encoded_bytes())
}

async fn collect(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut kept = Vec::new();
    let _ = (&mut stream).take(KEPT as u64).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

async fn collect_lines(stream: Option<impl AsyncRead + Unpin>, tell: impl Fn(String)) -> String {
    let Some(stream) = stream else {
        return String::new();
    };
    let mut stream = BufReader::new(stream);
    let mut kept = String::new();
    loop {
        let mut line = Vec::new();
        match (&mut stream).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return kept,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line);
                if kept.len() < KEPT {
                    kept.push_str(&line);
                }
                if !line.trim().is_empty() {
                    tell(printable(line.trim_end()));
                }
            }
        }
    }
}
