//! Processes with a clean environment, a time limit and an account; and the program under test.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::{Account, MARK, mark, tmp, wait_for};

/// What a finished process did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Whether it ended with status 0.
    pub ok: bool,
    /// Its exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Itself, if the process ended with status 0.
    #[track_caller]
    pub fn expect_ok(self, what: &str) -> Self {
        assert!(
            self.ok,
            "{what}: status {:?}\n{}\n{}",
            self.status, self.stdout, self.stderr
        );
        self
    }

    /// Itself, if the process ended with that status.
    #[track_caller]
    pub fn expect_status(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            Some(status),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as one JSON value and nothing else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "standard output is not one JSON value ({error}):\n{}\nstderr: {}",
                self.stdout, self.stderr
            )
        })
    }
}

/// A process about to be run.
pub struct Job {
    command: Command,
    account: Account,
    limit: Duration,
}

impl Job {
    /// A program with only `PATH`, `HOME` (private), `LC_ALL=C.UTF-8` and the tests' mark in its environment, no standard
    /// input, and the test directory as its working directory.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            )
            .env("LC_ALL", "C.UTF-8")
            .env(MARK, mark())
            .current_dir(tmp())
            .stdin(Stdio::null());
        Self {
            command,
            account: Account::current(),
            limit: Duration::from_secs(120),
        }
    }

    /// The program that is run.
    pub fn program(&self) -> PathBuf {
        self.command.get_program().into()
    }

    /// Its arguments.
    pub fn arguments(&self) -> Vec<OsString> {
        self.command.get_args().map(OsStr::to_owned).collect()
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it as another account (which takes root).
    pub fn account(mut self, account: &Account) -> Self {
        self.account = account.clone();
        self
    }

    /// How long it may take before it is killed and the test fails (default 120 s).
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it; its output is collected by [`Running::wait`].
    pub fn start(mut self) -> Running {
        if self.account != Account::current() {
            self.command.uid(self.account.uid).gid(self.account.gid);
        }
        if !self.command.get_envs().any(|(name, _)| name == "HOME") {
            self.command.env("HOME", self.account.home());
        }
        let what = self.command.get_program().to_string_lossy().into_owned();
        // Its own process group: a signal to it is not a signal to the tests.
        self.command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
            limit: self.limit,
            what,
        }
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Outcome {
        self.start().wait()
    }
}

/// A process that runs; killed when dropped.
pub struct Running {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    limit: Duration,
    what: String,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal to it and to all that it started and that stayed in its process group, as a terminal does.
    pub fn signal_group(&self, signal: &str) {
        Job::new("kill")
            .arg(format!("-{signal}"))
            .arg("--")
            .arg(format!("-{}", self.pid()))
            .run();
    }

    /// Sends it a signal, such as `INT`.
    pub fn signal(&self, signal: &str) {
        Job::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.pid().to_string())
            .run();
    }

    /// Waits for its end and forgets its output; never panics, so that a `Drop` may call it.
    pub fn finish(mut self) {
        let bound = Instant::now() + self.limit;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < bound {
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    /// Waits for its end and collects its output.
    ///
    /// # Panics
    /// If it takes longer than its limit, or if a process that it left behind still holds its output: a shell that
    /// captures the output would hang.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let status: ExitStatus = wait_for(&format!("{} ends", self.what), self.limit, || {
            self.child.try_wait().unwrap()
        });
        let text = |output: &Receiver<Vec<u8>>| {
            let bytes = output
                .recv_timeout(Duration::from_secs(10))
                .unwrap_or_else(|_| panic!("{} left a process behind that holds its output", self.what));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Outcome {
            ok: status.success(),
            status: status.code(),
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads a pipe to its end in a thread.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(pipe.read_to_end(&mut bytes));
        drop(send.send(bytes));
    });
    receive
}

/// Starts a long-lived process that receives SIGQUIT when this process ends, however it ends.
///
/// The kernel ties that signal to the *thread* that started the process, and test threads end with their test: so one
/// thread that lives as long as the process starts them all.
pub fn spawn_tied(command: Command) -> Child {
    type Order = (Command, Sender<Child>);
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (send, orders) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let what = command.get_program().to_string_lossy().into_owned();
                drop(answer.send(command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"))));
            }
        });
        Mutex::new(send)
    });
    let (send, child) = channel();
    starter.lock().unwrap().send((command, send)).unwrap();
    child.recv().unwrap()
}

/// The program under test, where every account can run it (a checkout may lie below a closed home).
pub fn pgtls_bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let copy = tmp().join("pgtls");
        // By another process: a descriptor of this one that writes to it, inherited for a moment by a child that another
        // thread starts, would make it "text file busy".
        Job::new("cp")
            .arg(env!("CARGO_BIN_EXE_pgtls"))
            .arg(&copy)
            .run()
            .expect_ok("cp");
        super::open_to_all(&copy);
        copy
    })
}

/// The program under test with these arguments, not yet run.
pub fn pgtls(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Job {
    Job::new(pgtls_bin()).args(args)
}
