//! A container engine and compose for tests, both brought by `tests/run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Account, Job, Outcome, Project, skip};

/// How tests reach an engine and a version of compose.
#[derive(Debug, Clone)]
pub struct Docker {
    /// The engine's address.
    pub host: String,
    /// The client's configuration directory: compose is a plugin in it.
    pub config: PathBuf,
}

impl Docker {
    /// The engine with the newest compose. `None`, with a skip noted, where there is none.
    pub fn find() -> Option<Self> {
        Self::with_compose(5)
    }

    /// The engine with that major version of compose.
    pub fn with_compose(major: u32) -> Option<Self> {
        let needed = Account::is_root();
        let Ok(host) = std::env::var("PGTLS_TEST_DOCKER") else {
            skip("no container engine here: tests/run brings one as root", needed);
            return None;
        };
        let config = PathBuf::from(std::env::var_os("PGTLS_TEST_COMPOSE")?).join(major.to_string());
        if !config.join("cli-plugins/docker-compose").exists() {
            skip("no compose plugin here: tests/run installs it", needed);
            return None;
        }
        Some(Self { host, config })
    }

    /// Whether that image is here; a skip is noted where it is not.
    pub fn has(&self, image: &str) -> bool {
        // Not while the engine restarts.
        let _quiet = users();
        let there = self.run(&["image", "inspect", "--format", "{{.Id}}", image]).ok;
        if !there {
            skip(&format!("no image {image} here"), Account::is_root());
        }
        there
    }

    /// The environment by which a process uses this engine.
    pub fn given(&self, job: Job) -> Job {
        job.env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", self.config.as_os_str())
    }

    /// `docker ARGS`.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.given(Job::new("docker")).args(args).run()
    }

    /// `docker compose ARGS` in a directory, as a person would type it.
    pub fn compose(&self, dir: &Path, args: &[&str]) -> Outcome {
        self.given(Job::new("docker"))
            .arg("compose")
            .args(args)
            .dir(dir)
            .run()
    }
}

/// How many projects use the engine, and what to wait on for that to change.
static USERS: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

fn users() -> MutexGuard<'static, usize> {
    USERS.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that uses the engine, until this is dropped.
pub struct Using(());

impl Using {
    /// Waits while somebody has it alone.
    pub fn begin() -> Self {
        *users() += 1;
        Self(())
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        *users() -= 1;
        USERS.1.notify_all();
    }
}

/// The engine for one test alone: nobody else begins to use it until this is dropped.
pub struct Alone(MutexGuard<'static, usize>);

impl Alone {
    /// Waits until nobody uses the engine.
    pub fn wait() -> Self {
        let mut users = users();
        while *users > 0 {
            users = USERS.1.wait(users).unwrap_or_else(PoisonError::into_inner);
        }
        Self(users)
    }

    /// A project, as [`Contained::new`] makes one.
    pub fn project(&mut self, docker: &Docker, account: &Account) -> Contained {
        assert_eq!(*self.0, 0);
        Contained {
            project: Project::new(account),
            docker: docker.clone(),
            using: None,
        }
    }

    /// Restarts the engine as a service manager would; `None`, with a skip noted, where it is not ours.
    pub fn restart(&self, docker: &Docker) -> Option<()> {
        assert_eq!(*self.0, 0, "somebody uses the engine");
        let Some(engine) = std::env::var_os("PGTLS_TEST_ENGINE").map(PathBuf::from) else {
            skip("the engine is this machine's own: it is not restarted", false);
            return None;
        };
        let pid = fs::read_to_string(engine.join("pid")).unwrap().trim().to_owned();
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let words: Vec<String> = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let until = |what: &str, is_so: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !is_so() {
                assert!(begun.elapsed() < Duration::from_secs(120), "never: {what}");
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        Job::new("kill").args(["-TERM", &pid]).run().expect_ok("kill");
        until("the engine's end", &|| {
            !Path::new(&format!("/proc/{pid}")).exists()
        });
        let log = fs::OpenOptions::new()
            .append(true)
            .open(engine.join("log"))
            .unwrap();
        // It outlives this process, as the one before did, and its pid file says which it is.
        let started = Command::new("setsid")
            .arg("--fork")
            .args(&words)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap();
        assert!(started.success());
        until("the engine's return", &|| docker.run(&["info"]).ok);
        let socket = engine.join("docker.sock");
        fs::set_permissions(socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        Some(())
    }
}

/// A project whose server runs in a container; taken down with its data when dropped.
pub struct Contained {
    /// The directory and who works in it.
    pub project: Project,
    /// The engine.
    pub docker: Docker,
    /// Until everything is taken down.
    using: Option<Using>,
}

impl Contained {
    /// An empty directory.
    pub fn new(docker: &Docker, account: &Account) -> Self {
        Self {
            using: Some(Using::begin()),
            project: Project::new(account),
            docker: docker.clone(),
        }
    }

    /// The project's directory.
    pub fn dir(&self) -> &Path {
        &self.project.dir
    }

    /// `pgtls COMMAND ARGS --dir DIR` with the engine at hand.
    pub fn pgtls(&self, args: &[&str]) -> Job {
        self.docker.given(self.project.pgtls(args))
    }

    /// `pgtls up --mode MODE --run compose --image IMAGE --port PORT --yes --json ARGS`.
    pub fn up(&self, mode: &str, image: &str, args: &[&str]) -> Outcome {
        self.pgtls(&["up", "--mode", mode, "--run", "compose", "--image", image])
            .args(["--port", &self.project.port.to_string(), "--yes", "--json"])
            .args(args)
            .run()
    }

    /// The compose project's name: the directory's, as compose makes it.
    pub fn name(&self) -> String {
        let name = self.dir().file_name().unwrap().to_string_lossy().to_lowercase();
        name.trim_start_matches(['-', '_']).to_owned()
    }

    /// The engine's filter for everything that bears this project's name. It is a pattern: without its ends it would be that
    /// of every project whose name begins like this one's.
    pub fn mark(&self) -> String {
        format!("name=^/?{}([-_]|$)", self.name())
    }

    /// The number of the service's container; empty if there is none.
    pub fn container(&self) -> String {
        let dir = self.dir().display();
        let filter = format!("label=com.docker.compose.project.working_dir={dir}");
        self.docker
            .run(&["ps", "-aq", "--no-trunc", "--filter", &filter])
            .stdout
            .trim()
            .to_owned()
    }

    /// The conninfo of a client kit.
    pub fn conninfo(&self, kit: &str) -> String {
        let file = self.dir().join("clients").join(kit).join("conninfo");
        fs::read_to_string(file).unwrap().trim().to_owned()
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.pgtls(&["down", "--volumes", "--yes"]).start().finish();
        // Where pgtls itself is at fault, nothing of its stays all the same.
        let mark = self.mark();
        let all = |args: &[&str]| self.docker.given(Job::new("docker")).args(args).run().stdout;
        for container in all(&["ps", "-aq", "--filter", &mark]).lines() {
            all(&["rm", "--force", "--volumes", container]);
        }
        for volume in all(&["volume", "ls", "-q", "--filter", &mark]).lines() {
            all(&["volume", "rm", "--force", volume]);
        }
        for network in all(&["network", "ls", "-q", "--filter", &mark]).lines() {
            all(&["network", "rm", network]);
        }
        drop(self.using.take());
    }
}
