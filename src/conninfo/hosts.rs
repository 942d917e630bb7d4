//! The servers to try, in order: `host`, `hostaddr` and `port`, and how their lists go together.

use std::path::PathBuf;

use secrecy::SecretString;

use super::settings::Settings;
use super::values::parse_integer;
use super::{Environment, Error, HostAddr, Keyword};

/// PostgreSQL's port.
const DEFAULT_PORT: &str = "5432";

/// One server to try.
#[derive(Debug, Clone)]
pub struct Host {
    /// The `host` of the person: a name, a numeric address, or a socket directory (`/…`, or `@…` for Linux's
    /// abstract sockets). The default socket directory where neither `host` nor `hostaddr` is given; `None` if
    /// only `hostaddr` is, and then verify-full has no name to compare.
    pub host: Option<String>,
    /// The address to dial instead of looking `host` up.
    pub hostaddr: Option<HostAddr>,
    /// The port; 0 where [`Self::fault`] says that it is none.
    pub port: u16,
    /// The password that the password file has for this server, where the parameters gave none.
    pub password: Option<SecretString>,
    /// Why libpq passes over this server when its turn comes.
    pub fault: Option<Error>,
    /// The port as written: password files are compared with the text.
    pub(super) port_text: String,
}

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// A Unix socket. TLS is never used there. A path that begins with `@` is in Linux's abstract namespace.
    Socket(PathBuf),
    /// A numeric address.
    Address(&'a HostAddr),
    /// A name to look up (or a numeric address given as `host`).
    Name(&'a str),
}

impl Host {
    /// Where to connect to: `hostaddr` before `host`.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint<'_> {
        match (&self.hostaddr, self.host.as_deref()) {
            (Some(address), _) => Endpoint::Address(address),
            (None, Some(host)) if is_socket(host) => {
                Endpoint::Socket(PathBuf::from(format!("{host}/.s.PGSQL.{}", self.port)))
            }
            (None, host) => Endpoint::Name(host.unwrap_or_default()),
        }
    }

    /// Whether it is reached over a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        matches!(self.endpoint(), Endpoint::Socket(_))
    }

    /// What a message calls it: the name, else the address, as `PQhost` does.
    #[must_use]
    pub fn label(&self) -> &str {
        self.host
            .as_deref()
            .or(self.hostaddr.as_ref().map(|address| address.text.as_str()))
            .unwrap_or_default()
    }
}

fn is_socket(host: &str) -> bool {
    host.starts_with(['/', '@'])
}

/// Splits the lists and pairs them: as many `host` as `hostaddr` entries, and one port, or as many.
pub(super) fn read(settings: &Settings, env: &Environment) -> Result<Vec<Host>, Error> {
    let list = |keyword| {
        settings
            .filled(keyword)
            .map(|text| text.split(',').collect::<Vec<_>>())
    };
    let (hosts, addresses) = (list(Keyword::Host), list(Keyword::Hostaddr));
    let (count, leader) = match (&hosts, &addresses) {
        (_, Some(addresses)) => (addresses.len(), Keyword::Hostaddr),
        (Some(hosts), None) => (hosts.len(), Keyword::Host),
        (None, None) => (1, Keyword::Host),
    };
    let counts = |keyword, found| Error::Counts {
        keyword,
        origin: Box::new(settings.origin(keyword).clone()),
        found,
        other: leader,
        expected: count,
    };
    if let Some(hosts) = hosts.as_ref().filter(|hosts| hosts.len() != count) {
        return Err(counts(Keyword::Host, hosts.len()));
    }
    let ports = list(Keyword::Port).unwrap_or_else(|| vec![""]);
    if ports.len() != 1 && ports.len() != count {
        return Err(counts(Keyword::Port, ports.len()));
    }
    let entry = |list: Option<&Vec<&'_ str>>, index: usize| -> Option<String> {
        list?
            .get(index)
            .filter(|text| !text.is_empty())
            .map(|text| (*text).to_owned())
    };
    let hosts = (0..count)
        .map(|index| {
            let port = if ports.len() == 1 { ports[0] } else { ports[index] };
            one(
                settings,
                env,
                entry(hosts.as_ref(), index).as_deref(),
                entry(addresses.as_ref(), index).as_deref(),
                port,
            )
        })
        .collect();
    usable(hosts)
}

fn one(
    settings: &Settings,
    env: &Environment,
    host: Option<&str>,
    address: Option<&str>,
    port: &str,
) -> Host {
    let port_text = if port.is_empty() { DEFAULT_PORT } else { port }.to_owned();
    let port = parse_integer(&port_text)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0);
    let mut fault = port.is_none().then(|| {
        // `user:pass/word@host`: the slash ends the host part, and the port is a piece of the password.
        let torn = settings
            .get(Keyword::Dbname)
            .is_some_and(|dbname| dbname.contains('@'));
        let (shown, hint) = if torn {
            (
                "(withheld)",
                "; a \"/\" in a password of a URI must be written %2F",
            )
        } else {
            (port_text.as_str(), "")
        };
        settings.bad_value(
            Keyword::Port,
            shown,
            "a number from 1 to 65535".to_owned(),
            hint.to_owned(),
        )
    });
    let hostaddr = address.and_then(HostAddr::parse);
    if let (Some(address), None, None) = (address, &hostaddr, &fault) {
        let expected = "a numeric IPv4 or IPv6 address (a name goes into host)".to_owned();
        fault = Some(settings.bad_value(Keyword::Hostaddr, address, expected, String::new()));
    }
    let host = host.map(str::to_owned).or_else(|| {
        address
            .is_none()
            .then(|| env.socket_dir.to_string_lossy().into_owned())
    });
    Host {
        host,
        hostaddr,
        port: port.unwrap_or_default(),
        password: None,
        fault,
        port_text,
    }
}

/// libpq notices a bad port or address only when that server's turn comes: a port that is no number ends the
/// attempt there, anything else only passes over the server. Only where nothing usable is left, refuse.
fn usable(mut hosts: Vec<Host>) -> Result<Vec<Host>, Error> {
    let fatal = |host: &Host| host.fault.is_some() && parse_integer(&host.port_text).is_none();
    if let Some(end) = hosts.iter().position(fatal) {
        hosts.truncate(end + 1);
    }
    match hosts.iter().find_map(|host| host.fault.clone()) {
        Some(fault) if hosts.iter().all(|host| host.fault.is_some()) => Err(fault),
        _ => Ok(hosts),
    }
}
