//! What is on this machine already: looked up in the background, once.

use std::path::Path;
use std::time::Duration;

use crate::engine::{self, Error};
use crate::plan::Layout;
use crate::server::{Binaries, Places, Sandbox, Status, compose, fetch, port_taken_by};
use crate::setup::Answers;

/// How long Docker may take to answer.
const DOCKER: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The versions of PostgreSQL that are here, newest first.
    pub postgres: Vec<String>,
    /// How a private copy would be fetched, where there are none.
    pub fetch: Option<String>,
    /// Whether it is still looked up how one could be fetched: package clients take their time.
    pub asking: bool,
    /// The Docker engine that containers can be run with.
    pub docker: Option<String>,
    /// The person's own compose file in the directory.
    pub compose_file: Option<&'static str>,
    /// How many things in the person's own files there break what TLS promises, or are unsafe.
    pub faults_beside: usize,
    /// Who listens on PostgreSQL's usual port.
    pub usual_port: Option<String>,
    /// The project's server, if it runs: its port.
    pub running: Option<u16>,
    /// Names of this machine that clients may dial.
    pub names: Vec<String>,
    /// How a superuser would log in to the servers that listen on this machine's sockets.
    pub admins: Vec<String>,
}

impl Seen {
    /// Whether a server can be run here at all.
    #[must_use]
    pub fn can_run_here(&self) -> bool {
        !self.postgres.is_empty() || self.fetch.is_some() || self.asking
    }
}

/// The project's answers, where there is a project.
pub fn saved(dir: &Path) -> Result<Option<Answers>, Error> {
    if dir.join(Layout::SETUP).exists() {
        engine::saved(dir)
    } else {
        Ok(None)
    }
}

/// Looks around, and tells what it sees as it sees it.
pub async fn look(dir: &Path, tell: impl Fn(Seen)) {
    let places = Places::of_this_machine();
    let (all, docker) = tokio::join!(Binaries::all(&places), docker());
    let running = Sandbox::locate(&engine::absolute(dir), &places)
        .ok()
        .and_then(|sandbox| match sandbox.status() {
            Status::Running(server) => Some(server.port),
            _ => None,
        });
    let mut seen = Seen {
        postgres: all.iter().map(|binaries| binaries.version.text.clone()).collect(),
        fetch: None,
        asking: all.is_empty(),
        docker,
        compose_file: engine::compose_file(dir),
        faults_beside: engine::found_beside(dir, time::OffsetDateTime::now_utc()).len(),
        usual_port: port_taken_by(5432),
        running,
        names: names(),
        admins: admins(),
    };
    tell(seen.clone());
    if seen.asking {
        let plans = fetch::plans(None, &places).await;
        seen.fetch = plans
            .first()
            .map(|plan| format!("{} through {}", plan.package, plan.client.name()));
        seen.asking = false;
        tell(seen);
    }
}

/// The engine, if containers can be run with it; one that does not answer soon cannot.
async fn docker() -> Option<String> {
    let look = tokio::time::timeout(DOCKER, compose::look()).await.ok()?;
    let (_, engine) = look.ready().ok()?;
    Some(format!("engine {}, {}", engine.version, engine.system))
}

/// Servers in the directories that nobody but the system's own accounts can put a socket into.
fn admins() -> Vec<String> {
    let mut found = Vec::new();
    for dir in ["/run/postgresql", "/var/run/postgresql"] {
        let Ok(real) = std::fs::canonicalize(dir) else {
            continue;
        };
        let names = std::fs::read_dir(&real).into_iter().flatten().flatten();
        let ports = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(".s.PGSQL.")?.parse::<u16>().ok()
        });
        for port in ports {
            let port = match port {
                5432 => String::new(),
                other => format!(" port={other}"),
            };
            let admin = format!("host={}{port} user=postgres", real.display());
            if !found.contains(&admin) {
                found.push(admin);
            }
        }
    }
    found.sort();
    found
}

/// The machine's name and the address by which the network reaches it.
fn names() -> Vec<String> {
    let host = whoami::hostname().ok();
    let address = lan();
    host.into_iter()
        .chain(address)
        .filter(|name| name.parse::<crate::pki::HostName>().is_ok() && name != "localhost")
        .collect()
}

/// The address that the kernel would send from; nothing is sent (RFC 5737 keeps 192.0.2.0/24 for nobody).
fn lan() -> Option<String> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}
