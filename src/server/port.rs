//! A TCP port that is free on every loopback address.
//!
//! `localhost` is `::1` as well as `127.0.0.1`: a port that is free on one only would send half of the clients
//! to somebody else's server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::ServerError;
use super::diagnose::{Diagnosis, told};
use super::log::printable;

/// A free port, kept for whoever found it until this is dropped, and what was passed over to find it.
#[derive(Debug)]
pub struct FreePort {
    /// The port.
    pub port: u16,
    /// The ports before it that were taken, first to last.
    pub taken: Vec<u16>,
    /// Two runs at once would otherwise both be given the first free one, long before either of their servers has it.
    _held: Vec<TcpListener>,
}

/// The first port from `preferred` upward that is free on `127.0.0.1` and, where the machine has it, on `::1`.
pub fn free_port(preferred: u16) -> Result<FreePort, ServerError> {
    let addresses = loopbacks();
    let mut taken = Vec::new();
    for port in preferred.max(1)..=u16::MAX {
        let held: io::Result<Vec<_>> = addresses.iter().map(|&address| hold(address, port)).collect();
        if let Ok(held) = held {
            return Ok(FreePort {
                port,
                taken,
                _held: held,
            });
        }
        taken.push(port);
    }
    Err(ServerError::NoFreePort { from: preferred })
}

/// The same for a server that all addresses of this machine lead to.
pub fn free_port_anywhere(preferred: u16) -> Result<FreePort, ServerError> {
    let mut passed: Vec<u16> = Vec::new();
    for port in preferred.max(1)..=u16::MAX {
        if port_taken_anywhere(port).is_none() {
            let mut free = free_port(port)?;
            passed.append(&mut free.taken);
            return Ok(FreePort {
                taken: passed,
                ..free
            });
        }
        passed.push(port);
    }
    Err(ServerError::NoFreePort { from: preferred })
}

/// Who has `port` on a loopback address, in words; `None` if it is free.
#[must_use]
pub fn port_taken_by(port: u16) -> Option<String> {
    taken(loopbacks(), port)
}

/// Who has `port` on any address of this machine, in words; `None` if all of them can be listened on.
#[must_use]
pub fn port_taken_anywhere(port: u16) -> Option<String> {
    let all = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    let known = all
        .into_iter()
        .filter(|&address| TcpListener::bind((address, 0)).is_ok());
    taken(loopbacks().into_iter().chain(known).collect(), port)
}

fn taken(addresses: Vec<IpAddr>, port: u16) -> Option<String> {
    let address = addresses
        .into_iter()
        .find(|&address| hold(address, port).is_err_and(|error| !is_denial(&error)))?;
    let address = if address.is_unspecified() {
        "an address of this machine".to_owned()
    } else {
        address.to_string()
    };
    let whom = owner::of(port).map_or_else(
        || "another program".to_owned(),
        |(name, pid)| format!("`{}` (process {pid})", printable(&name)),
    );
    Some(format!("port {port} on {address} is in use by {whom}"))
}

fn loopbacks() -> Vec<IpAddr> {
    let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    both.into_iter()
        .filter(|&address| TcpListener::bind((address, 0)).is_ok())
        .collect()
}

/// Why this account may not listen on the port, if it may not (`net.ipv4.ip_unprivileged_port_start`).
#[must_use]
pub fn port_forbidden(port: u16) -> Option<Diagnosis> {
    loopbacks()
        .into_iter()
        .any(|address| hold(address, port).is_err_and(|error| is_denial(&error)))
        .then(|| told("port-forbidden", "", ""))
}

fn is_denial(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Takes the port on an address; an error if somebody else has it, or if it is not for this account.
fn hold(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    // Only Linux refuses a loopback address while somebody listens on the wildcard one; elsewhere, ask.
    let answers =
        || TcpStream::connect_timeout(&SocketAddr::new(address, port), Duration::from_millis(100)).is_ok();
    if !cfg!(target_os = "linux") && answers() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    TcpListener::bind((address, port))
}

#[cfg(target_os = "linux")]
mod owner {
    use std::path::Path;

    /// Name and number of the process that listens on `port`, as far as we may look.
    pub(super) fn of(port: u16) -> Option<(String, u32)> {
        let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .flat_map(|table| listeners(table, port))
            .collect();
        let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
        for process in std::fs::read_dir("/proc").ok()?.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if holds(&process.path(), &links) {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some((name.trim().to_owned(), pid));
            }
        }
        None
    }

    /// proc(5): column 2 is the local address in hex, column 4 the state (0A listens), column 10 the inode.
    fn listeners(table: &str, port: u16) -> Vec<String> {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        let ending = format!(":{port:04X}");
        text.lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            .filter(|columns| columns.len() > 9 && columns[1].ends_with(&ending) && columns[3] == "0A")
            .map(|columns| columns[9].to_owned())
            .collect()
    }

    fn holds(process: &Path, links: &[String]) -> bool {
        let Ok(open) = std::fs::read_dir(process.join("fd")) else {
            return false;
        };
        open.flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
    }
}

#[cfg(not(target_os = "linux"))]
mod owner {
    pub(super) const fn of(_: u16) -> Option<(String, u32)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_over_a_port_taken_on_either_address() {
        for address in loopbacks() {
            let taken = TcpListener::bind((address, 0)).unwrap();
            let port = taken.local_addr().unwrap().port();
            let found = free_port(port).unwrap();
            assert!(found.port > port);
            assert_eq!(found.taken[0], port);
            let says = port_taken_by(port).unwrap();
            assert!(says.contains(&format!("port {port} on {address}")), "{says}");
            if cfg!(target_os = "linux") {
                assert!(
                    says.contains(&format!("process {}", std::process::id())),
                    "{says}"
                );
            }
        }
    }

    #[test]
    fn a_port_is_found_once_while_it_is_held() {
        let first = free_port(30_000).unwrap();
        let second = free_port(first.port).unwrap();
        assert_ne!(first.port, second.port);
        let port = second.port;
        drop(second);
        assert_eq!(port_taken_by(port), None);
    }

    #[test]
    fn passes_over_a_port_taken_on_the_wildcard() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(free_port(port).unwrap().port, port);
    }
}
