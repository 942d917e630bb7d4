//! A PostgreSQL server of a test's own, configured line by line, gone when dropped.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::{Account, Job, Leaf, MARK, Outcome, Postgres, mark, psql_as, scratch, spawn_tied, tmp, wait_for};

/// A running server: TCP on `127.0.0.1` and `::1`, and a socket that lets the superuser `postgres` in.
pub struct TestServer {
    /// The TCP port.
    pub port: u16,
    /// Its data directory.
    pub data: PathBuf,
    dir: PathBuf,
    child: Child,
    builder: Builder,
}

/// A server about to be started.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    postgres: Postgres,
    conf: String,
    hba: String,
    ident: String,
    sql: Vec<String>,
    files: Vec<(PathBuf, &'static str)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: Option<u16>,
    apart: Option<(&'static str, String)>,
    is_standby: bool,
    is_bare: bool,
}

impl TestServer {
    /// A server of that version that nobody can enter but the superuser over the socket: add what it should have.
    pub fn builder(postgres: &Postgres) -> Builder {
        Builder {
            postgres: postgres.clone(),
            conf: String::new(),
            hba: "local all all trust\n".to_owned(),
            ident: String::new(),
            sql: Vec::new(),
            files: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            port: None,
            apart: None,
            is_standby: false,
            is_bare: false,
        }
    }

    /// Stops it as `pg_ctl stop -m fast` does, and starts it again over its files as they are now: true if it came up.
    pub fn restart(&mut self) -> bool {
        self.stop();
        self.child = self.builder.launch(&self.dir, &self.data, self.port);
        is_ready(&mut self.child, &self.data)
    }

    /// Stops it as `pg_ctl stop -m fast` does, if it runs.
    pub fn stop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            Job::new("kill").arg("-INT").arg(self.pid().to_string()).run();
        }
        wait_for("PostgreSQL ends", Duration::from_secs(60), || {
            self.child.try_wait().unwrap()
        });
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory of its socket and its log.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a statement as the superuser.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> Outcome {
        psql_as(&Account::server(), &self.socket(), statement).expect_ok(statement)
    }

    /// A conninfo for the superuser over the socket.
    pub fn socket(&self) -> String {
        format!(
            "host={} port={} user=postgres dbname=postgres",
            self.dir.display(),
            self.port
        )
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap()
    }

    /// Replaces `pg_hba.conf` (the socket line is kept) and reloads.
    pub fn set_hba(&self, lines: &str) {
        let hba = self.data.join("pg_hba.conf");
        fs::write(&hba, format!("local all all trust\n{lines}\n")).unwrap();
        Account::server().own(&hba);
        self.sql("select pg_reload_conf()");
    }
}

impl Builder {
    /// Adds lines to `postgresql.conf`.
    pub fn conf(mut self, lines: &str) -> Self {
        writeln!(self.conf, "{lines}").unwrap();
        self
    }

    /// Adds lines to `pg_hba.conf`, after the one for the socket.
    pub fn hba(mut self, lines: &str) -> Self {
        writeln!(self.hba, "{lines}").unwrap();
        self
    }

    /// Adds lines to `pg_ident.conf`.
    pub fn ident(mut self, lines: &str) -> Self {
        writeln!(self.ident, "{lines}").unwrap();
        self
    }

    /// Runs a statement as the superuser once it is up.
    pub fn sql(mut self, statement: &str) -> Self {
        self.sql.push(statement.to_owned());
        self
    }

    /// Turns TLS on with that certificate and key.
    pub fn tls(mut self, leaf: &Leaf) -> Self {
        self.files.push((leaf.cert.clone(), "server.crt"));
        self.files.push((leaf.key.clone(), "server.key"));
        self.conf("ssl = on")
    }

    /// Asks clients for certificates of that CA.
    pub fn client_ca(mut self, ca: &Path) -> Self {
        self.files.push((ca.to_owned(), "root.crt"));
        self.conf("ssl_ca_file = 'root.crt'")
    }

    /// Refuses the client certificates that this list revokes.
    pub fn client_crl(mut self, list: &Path) -> Self {
        self.files.push((list.to_owned(), "root.crl"));
        self.conf("ssl_crl_file = 'root.crl'")
    }

    /// A standby that takes no sessions: it follows a primary that never comes
    /// (<https://www.postgresql.org/docs/current/runtime-config-replication.html>, `hot_standby`).
    pub fn standby(mut self) -> Self {
        self.is_standby = true;
        self.conf("hot_standby = off")
    }

    /// Takes where it listens from its files, not from the command line.
    pub fn bare(mut self) -> Self {
        self.is_bare = true;
        self
    }

    /// Adds an argument of `postgres`, which beats every file.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable of the server.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it in a mount namespace of its own, where that file of its data directory is a mount, as `docker run -v
    /// FILE:FILE` makes one. Takes root.
    pub fn mounted(mut self, name: &str) -> Self {
        self.apart = Some(("-m", format!("mount --bind \"$1/{name}\" \"$1/{name}\"")));
        self
    }

    /// Runs it in a network of its own, in which there is nothing but loopback. Takes root.
    pub fn in_a_network_of_its_own(mut self) -> Self {
        self.apart = Some(("-n", "ip link set lo up".to_owned()));
        self
    }

    /// Listens on that port, where another server was before.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts it and waits until it accepts connections.
    ///
    /// # Panics
    /// With its log, if it does not come up.
    #[track_caller]
    pub fn start(self) -> TestServer {
        let dir = scratch("server");
        Account::server().own(&dir);
        let data = dir.join("data");
        Job::new("cp")
            .arg("-a")
            .arg(template(&self.postgres))
            .arg(&data)
            .run()
            .expect_ok("cp");
        self.configure(&data);
        self.start_in(dir, data)
    }

    /// Starts it over files that are there already: `dir` is where its socket and its log lie, and goes with it.
    ///
    /// # Panics
    /// With its log, if it does not come up.
    #[track_caller]
    pub fn start_in(self, dir: PathBuf, data: PathBuf) -> TestServer {
        // A free port may be taken before the server gets it.
        let mut attempts = 5;
        let (port, child) = loop {
            let port = self.port.unwrap_or_else(super::free_port);
            let mut child = self.launch(&dir, &data, port);
            if is_ready(&mut child, &data) {
                break (port, child);
            }
            let log = fs::read_to_string(dir.join("log")).unwrap();
            attempts -= 1;
            let again = attempts > 0 && log.contains("in use");
            assert!(again, "PostgreSQL {} did not start:\n{log}", self.postgres.major);
        };
        let server = TestServer {
            port,
            data,
            dir,
            child,
            builder: self,
        };
        if !server.builder.is_standby {
            for statement in &server.builder.sql {
                server.sql(statement);
            }
        }
        server
    }

    fn configure(&self, data: &Path) {
        let put = |name: &str, text: &str| {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            Account::server().own(&path);
        };
        // No checkpoint, no fsync: these servers live for seconds.
        let base = "fsync = off\nmax_connections = 20\nshared_buffers = 8MB\nunix_socket_permissions = 0700\n\
                    dynamic_shared_memory_type = mmap\n\
                    log_connections = on\n";
        put("postgresql.conf", &format!("{base}{}", self.conf));
        put("pg_hba.conf", &self.hba);
        put("pg_ident.conf", &self.ident);
        if self.is_standby {
            put("standby.signal", "");
        }
        for (from, name) in &self.files {
            let to = data.join(name);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            Account::server().own(&to);
        }
    }

    fn launch(&self, dir: &Path, data: &Path, port: u16) -> Child {
        let account = Account::server();
        let mut command = match &self.apart {
            Some((what, first)) => {
                let mut command = Command::new("unshare");
                command
                    .args([what, "sh", "-c"])
                    .arg(format!("{first} && shift && exec \"$@\""))
                    .arg("sh")
                    .arg(data)
                    .arg("setpriv");
                command
            }
            None => Command::new("setpriv"),
        };
        // SIGQUIT, immediate shutdown, if the tests are killed.
        command.args(["--pdeathsig", "QUIT"]);
        if Account::is_root() {
            command.arg(format!("--reuid={}", account.uid));
            command
                .arg(format!("--regid={}", account.gid))
                .arg("--clear-groups");
        }
        let log = File::options()
            .append(true)
            .create(true)
            .open(dir.join("log"))
            .unwrap();
        command
            .arg(self.postgres.bin.join("postgres"))
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(dir);
        if !self.is_bare {
            command.args(["-p", &port.to_string()]);
            command.args(["-c", "listen_addresses=127.0.0.1,::1"]);
        }
        command
            .args(&self.arguments)
            .env_clear()
            .env("LC_ALL", "C")
            // What its files do not set: https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-PORT
            .env("PGPORT", port.to_string())
            .env(MARK, mark())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        spawn_tied(command)
    }
}

/// Waits until it accepts connections (true) or has ended (false).
fn is_ready(child: &mut Child, data: &Path) -> bool {
    let pidfile = data.join("postmaster.pid");
    wait_for("PostgreSQL is ready", Duration::from_secs(60), || {
        if child.try_wait().unwrap().is_some() {
            return Some(false);
        }
        // Its first line is whose it is, its last the postmaster's state:
        // https://www.postgresql.org/docs/current/storage-file-layout.html
        let text = fs::read_to_string(&pidfile).ok()?;
        let mut lines = text.lines();
        let is_own = lines.next()? == child.id().to_string();
        let state = lines.nth(6)?;
        // "standby" is a standby that takes no sessions.
        (is_own && (state.starts_with("ready") || state.starts_with("standby"))).then_some(true)
    })
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Immediate shutdown first: the postmaster takes its children with it, SIGKILL would orphan them.
        if matches!(self.child.try_wait(), Ok(None)) {
            Job::new("kill")
                .arg("-QUIT")
                .arg(self.child.id().to_string())
                .run();
            let bound = std::time::Instant::now() + Duration::from_secs(10);
            while matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < bound {
                std::thread::sleep(Duration::from_millis(4));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// A data directory fresh from `initdb`, made once for each version and process: copying it is quicker.
pub fn template(postgres: &Postgres) -> PathBuf {
    type Templates = Mutex<HashMap<u16, Arc<OnceLock<PathBuf>>>>;
    static TEMPLATES: OnceLock<Templates> = OnceLock::new();
    let templates = TEMPLATES.get_or_init(Templates::default);
    let own = Arc::clone(
        templates
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .entry(postgres.major)
            .or_default(),
    );
    own.get_or_init(|| {
        let account = Account::server();
        let dir = tmp().join(format!("initdb-{}", postgres.major));
        fs::create_dir(&dir).unwrap();
        account.own(&dir);
        Job::new(postgres.bin.join("initdb"))
            .args([
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(dir.join("data"))
            .account(&account)
            .run()
            .expect_ok("initdb");
        dir.join("data")
    })
    .clone()
}
