//! A real PostgreSQL for a test: its own directory, port and account; gone when dropped.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::openssl::Ca;
use crate::dial::Address;

#[path = "../../../tests/support/port.rs"]
mod port;

pub use port::free_port;

const BIN: &str = "/usr/lib/postgresql/15/bin";

pub struct Cluster {
    dir: TempDir,
    child: Child,
    port: u16,
    _template: Arc<TempDir>,
}

/// What a cluster is to be like.
pub struct Wanted<'a> {
    pub ca: Option<&'a Ca>,
    pub conf: &'a str,
    pub hba: &'a str,
    /// The text of an openssl.cnf for the server.
    pub openssl_cnf: Option<&'a str>,
}

impl Wanted<'_> {
    pub const PLAIN: Self = Self {
        ca: None,
        conf: "",
        hba: "host all all all trust\n",
        openssl_cnf: None,
    };
}

/// The account that runs servers: PostgreSQL refuses to run as root.
fn account() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("postgres:")).unwrap();
    let ids: Vec<u32> = line
        .split(':')
        .skip(2)
        .take(2)
        .map(|id| id.parse().unwrap())
        .collect();
    Some((ids[0], ids[1]))
}

fn give(path: &Path) {
    if let Some((uid, gid)) = account() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(Path::new(BIN).join(program));
    command.current_dir(dir).stdin(Stdio::null()).env("LC_ALL", "C");
    if let Some((uid, gid)) = account() {
        command.uid(uid).gid(gid);
    }
    command
}

impl Cluster {
    pub fn start(wanted: &Wanted<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        give(dir.path());
        let data = dir.path().join("data");
        let template = template();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(template.path().join("data"))
            .arg(&data)
            .status()
            .unwrap();
        assert!(copied.success());
        let port = free_port();
        write_files(dir.path(), &data, port, wanted);
        let mut server = command("postgres", dir.path());
        server.args(["-D", data.to_str().unwrap()]);
        server
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap());
        if wanted.openssl_cnf.is_some() {
            server.env("OPENSSL_CONF", dir.path().join("openssl.cnf"));
        }
        let mut cluster = Self {
            child: server.spawn().unwrap(),
            dir,
            port,
            _template: template,
        };
        cluster.await_ready();
        cluster
    }

    fn await_ready(&mut self) {
        let pidfile = self.dir.path().join("data/postmaster.pid");
        self.poll("the server to be ready", |_| {
            fs::read_to_string(&pidfile)
                .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
        });
    }

    /// Asks again and again, for as long as the server lives and 30 seconds at most.
    fn poll(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", self.log());
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "waited in vain for {what}: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> Address {
        Address::known("localhost", ([127, 0, 0, 1], self.port).into())
    }

    pub fn socket(&self) -> Address {
        Address::unix(self.dir.path(), self.port)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Waits until the server's log says so.
    pub fn await_log(&mut self, text: &str) {
        self.poll(text, |cluster| cluster.log().contains(text));
    }

    /// Runs SQL over the socket with psql, as the superuser.
    pub fn psql(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let output = Command::new("psql")
            .args([
                "-XAtq",
                "-h",
                self.dir.path().to_str().unwrap(),
                "-p",
                &port,
                "-U",
                "postgres",
                "-c",
                sql,
                "postgres",
            ])
            .env_remove("PGSERVICE")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "psql: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Immediate shutdown: there is nothing to keep.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = self.child.wait();
    }
}

/// initdb is slow: made once, and kept for as long as some cluster lives.
fn template() -> Arc<TempDir> {
    static TEMPLATE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut made = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(template) = made.upgrade() {
        return template;
    }
    let dir = tempfile::tempdir().unwrap();
    give(dir.path());
    let output = command("initdb", dir.path())
        .args([
            "-D",
            "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-N",
            "--no-instructions",
        ])
        .args(["-E", "UTF8", "--locale=C"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let template = Arc::new(dir);
    *made = Arc::downgrade(&template);
    template
}

fn write_files(dir: &Path, data: &Path, port: u16, wanted: &Wanted<'_>) {
    let socket = dir.display();
    let mut conf = format!(
        "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{socket}'\nfsync = off\n\
         log_connections = on\nlog_min_messages = info\n"
    );
    if let Some(ca) = wanted.ca {
        for (from, to) in [
            ("server.crt", "server.crt"),
            ("server.key", "server.key"),
            ("ca.crt", "root.crt"),
        ] {
            install(&ca.file(from), &data.join(to));
        }
        conf += "ssl = on\nssl_ca_file = 'root.crt'\n";
    }
    conf += wanted.conf;
    let path = data.join("postgresql.conf");
    let mut whole = fs::read_to_string(&path).unwrap();
    whole += &conf;
    fs::write(&path, whole).unwrap();
    fs::write(
        data.join("pg_hba.conf"),
        format!("local all all trust\n{}", wanted.hba),
    )
    .unwrap();
    if let Some(text) = wanted.openssl_cnf {
        let path = dir.join("openssl.cnf");
        fs::write(&path, text).unwrap();
        give(&path);
    }
}

fn install(from: &Path, to: &PathBuf) {
    fs::copy(from, to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o600)).unwrap();
    give(to);
}
