//! Where a server listens: a name with its addresses and a port, or a Unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Deadline;
use super::words::{io_words, printable};

/// A place to connect to, already resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port at every address of a name, in the order in which they are tried.
    Tcp {
        /// What the person wrote; used for messages only.
        host: String,
        /// In the order of the resolver, as libpq tries them.
        addresses: Vec<SocketAddr>,
    },
    /// The path of a Unix-domain socket, such as `/run/postgresql/.s.PGSQL.5432`.
    Unix(PathBuf),
}

/// Why there is no connection. Each names the address it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The name has no address.
    #[error("host name \"{host}\" is not known: {reason}; check its spelling, DNS and /etc/hosts")]
    NoSuchHost {
        /// The name as given.
        host: String,
        /// The resolver's answer.
        reason: String,
    },
    /// Nothing listens there (TCP RST, or a socket file without a server).
    #[error(
        "nothing listens on {address}: connection refused; is the server running, on that address and port?"
    )]
    Refused {
        /// What was dialled.
        address: String,
    },
    /// No answer in time.
    #[error("{stage} {address}: no answer within {:.1} seconds; is a firewall in between?", .allowed.as_secs_f64())]
    TimedOut {
        /// What was dialled.
        address: String,
        /// What we waited for.
        stage: OpenStage,
        /// The time allowed.
        allowed: Duration,
    },
    /// The operating system forbids it (the mode of a socket or its directory, a local firewall).
    #[error("no permission to connect to {address}; check the mode of the socket and of its directories")]
    Permission {
        /// What was dialled.
        address: String,
    },
    /// There is no socket file.
    #[error("there is no socket {}; is the server running, and is this its unix_socket_directories?", .path.display())]
    NoSuchSocket {
        /// The path dialled.
        path: PathBuf,
    },
    /// The kernel does not take what the conninfo wants to be set on the socket.
    #[error("the operating system does not take the value of {keyword}: {reason}")]
    Option {
        /// The conninfo's keyword.
        keyword: &'static str,
        /// The operating system's reason.
        reason: String,
    },
    /// Anything else, in words.
    #[error("cannot connect to {address}: {reason}")]
    Other {
        /// What was dialled.
        address: String,
        /// The operating system's reason.
        reason: String,
    },
}

/// What was being waited for when the time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenStage {
    /// The resolver.
    Resolving,
    /// The TCP handshake, or a place in the socket's queue.
    Connecting,
}

impl fmt::Display for OpenStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "looking up",
            Self::Connecting => "connecting to",
        })
    }
}

impl Address {
    /// Looks a name up. An IP literal needs no lookup; a name is asked of the system's resolver, which
    /// runs on a blocking thread: a runtime that ends meanwhile should end with `shutdown_background`.
    pub async fn resolve(host: &str, port: u16, deadline: Deadline) -> Result<Self, OpenError> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Self::Tcp {
                host: host.to_owned(),
                addresses: vec![SocketAddr::new(ip, port)],
            });
        }
        let shown = printable(host, 255);
        let no_such_host = |reason: &str| OpenError::NoSuchHost {
            host: shown.clone(),
            reason: reason.to_owned(),
        };
        let found = match deadline.bound(tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => found.collect::<Vec<_>>(),
            // The resolver's own failures have no error kind: "uncategorized" would tell nobody anything.
            Ok(Err(error)) if error.raw_os_error().is_none() => {
                return Err(no_such_host("the resolver found no address"));
            }
            Ok(Err(error)) => return Err(no_such_host(&io_words(&error))),
            Err(late) => {
                return Err(OpenError::TimedOut {
                    address: shown,
                    stage: OpenStage::Resolving,
                    allowed: late.0,
                });
            }
        };
        if found.is_empty() {
            return Err(no_such_host("the resolver found no address"));
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            addresses: found,
        })
    }

    /// One address that is already known (libpq's `hostaddr`).
    #[must_use]
    pub fn known(host: &str, address: SocketAddr) -> Self {
        Self::Tcp {
            host: host.to_owned(),
            addresses: vec![address],
        }
    }

    /// The socket that a server with this port makes in a directory of `unix_socket_directories`.
    #[must_use]
    pub fn unix(directory: &Path, port: u16) -> Self {
        Self::Unix(directory.join(format!(".s.PGSQL.{port}")))
    }

    /// The port that a socket's file is named after: `5433` of `/run/postgresql/.s.PGSQL.5433`.
    #[must_use]
    pub fn port_of_socket(socket: &Path) -> Option<u16> {
        socket.extension()?.to_str()?.parse().ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, addresses } => {
                f.write_str(&printable(host, 255))?;
                match addresses.first() {
                    Some(first) => write!(f, " port {}", first.port()),
                    None => Ok(()),
                }
            }
            Self::Unix(path) => write!(f, "socket {}", printable(&path.to_string_lossy(), 255)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_says_its_port() {
        let Address::Unix(socket) = Address::unix(Path::new("/run/postgresql"), 5477) else {
            panic!("a socket is one");
        };
        assert_eq!(Address::port_of_socket(&socket), Some(5477));
        for other in ["/run/postgresql", "/run/.s.PGSQL.", "/run/.s.PGSQL.70000", "/"] {
            assert_eq!(Address::port_of_socket(Path::new(other)), None, "{other}");
        }
    }
}
