//! A person's own server in the place of the lesson's: only on this machine, and by a login of theirs.

use std::net::SocketAddr;
use std::path::Path;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::guest::loopback;
use super::stage::BRIEF;
use crate::conninfo::{Conninfo, Environment, Keyword, Resolved, SslMode, resolve_with_default};
use crate::dial::{Address, Deadline, Session};
use crate::engine::audit::as_psql;
use crate::engine::target::{Means, caller, servers};
use crate::engine::{Error, locked_key};
use crate::pki::printable;
use crate::verify::{self, Place, Server};

/// A server of a person's own.
#[derive(Debug, Clone)]
pub struct Yours {
    /// How they log in.
    pub conninfo: Conninfo,
    /// Passphrase of their client key.
    pub key_passphrase: Option<SecretString>,
}

impl Yours {
    /// Whether it is on this machine's loopback, all of it; an error that says what is not. Nothing is dialled.
    pub async fn is_here(&self) -> Result<(), Error> {
        self.ways().await.map(drop)
    }

    async fn ways(&self) -> Result<Vec<Way>, Error> {
        let env = Environment::current();
        let mut conninfo = self.conninfo.clone();
        as_psql(&mut conninfo, &env);
        let mut ways = Vec::new();
        for server in servers(conninfo.clone(), &env, self.key_passphrase.as_ref())? {
            ways.extend(ways_to(&server, &conninfo).await?);
        }
        Ok(ways)
    }

    /// The client key whose passphrase somebody has to say.
    #[must_use]
    pub fn locked_key(&self) -> Option<std::path::PathBuf> {
        locked_key(self.conninfo.clone(), &Environment::current())
    }
}

/// The passphrase is no part of which server it is.
impl PartialEq for Yours {
    fn eq(&self, other: &Self) -> bool {
        self.conninfo == other.conninfo
    }
}

impl Eq for Yours {}

/// A login.
pub(super) struct Entered {
    pub session: Session,
    /// To this one server.
    pub conninfo: Conninfo,
    /// What the person calls it.
    pub label: String,
    /// The name that was dialled.
    pub dialled: Option<String>,
    /// Where it is to be reached over TCP.
    pub addresses: Vec<SocketAddr>,
    pub resolved: Resolved,
}

/// Logs in to the first server of a connection string that lets it in. All of them must be on this machine, which is looked
/// at before any is dialled.
pub(super) async fn enter(yours: &Yours, now: OffsetDateTime) -> Result<Entered, Error> {
    let ways = yours.ways().await?;
    let env = Environment::current();
    let means = Means {
        expect: None,
        other: None,
        admin: None,
        dir: Path::new("/nonexistent/pgtls").to_owned(),
        key_passphrase: yours.key_passphrase.clone(),
        timeout: BRIEF,
        now,
    };
    let mut refusals: Vec<String> = Vec::new();
    let labels: Vec<String> = ways.iter().map(|way| way.label.clone()).collect();
    for way in ways {
        let target = caller(way.conninfo.clone(), &env, &means).await?;
        match verify::enter(&target).await {
            Ok(session) => {
                return Ok(Entered {
                    session,
                    label: way.label,
                    dialled: way.dialled,
                    addresses: way.addresses,
                    resolved: resolve_with_default(way.conninfo.clone(), &env, SslMode::Prefer)?,
                    conninfo: way.conninfo,
                });
            }
            Err(why) if refusals.contains(&why) => {}
            Err(why) => refusals.push(why),
        }
    }
    Err(Error::Database {
        doing: format!("logging in to {}", labels.join(", ")),
        why: refusals.join("; "),
    })
}

/// A way to one address of a server.
struct Way {
    conninfo: Conninfo,
    label: String,
    dialled: Option<String>,
    addresses: Vec<SocketAddr>,
}

async fn ways_to(server: &Server, conninfo: &Conninfo) -> Result<Vec<Way>, Error> {
    let addresses = match &server.place {
        Place::Socket(path) => {
            let directory = path.parent().unwrap_or(path).to_string_lossy().into_owned();
            let port = Address::port_of_socket(path).unwrap_or(5432);
            let mut one = conninfo.clone();
            one.set(Keyword::Host, directory)
                .set(Keyword::Port, port.to_string())
                .remove(Keyword::Hostaddr);
            return Ok(vec![Way {
                conninfo: one,
                label: format!("socket {}", printable(&path.to_string_lossy())),
                dialled: None,
                addresses: loopback(port),
            }]);
        }
        Place::Address(address) => vec![*address],
        Place::Name(name, port) => match Address::resolve(name, *port, Deadline::after(BRIEF)).await? {
            Address::Tcp { addresses, .. } => addresses,
            Address::Unix(_) => Vec::new(),
        },
        Place::Fault(why) => {
            return Err(Error::DoesNotFit {
                what: why.clone(),
                remedy: "name a server on this machine".to_owned(),
            });
        }
    };
    must_be_here(&server.label, &addresses)?;
    let way = |address: &SocketAddr| {
        let mut one = conninfo.clone();
        one.set(Keyword::Hostaddr, address.ip().to_string())
            .set(Keyword::Port, address.port().to_string());
        match &server.name {
            Some(name) => one.set(Keyword::Host, name.clone()),
            None => one.remove(Keyword::Host),
        };
        Way {
            conninfo: one,
            label: printable(&server.label),
            dialled: server.name.clone(),
            addresses: vec![*address],
        }
    };
    Ok(addresses.iter().map(way).collect())
}

/// A name may have several addresses: one elsewhere is one too many.
fn must_be_here(label: &str, addresses: &[SocketAddr]) -> Result<(), Error> {
    let Some(elsewhere) = addresses.iter().find(|address| !address.ip().is_loopback()) else {
        return Ok(());
    };
    Err(Error::DoesNotFit {
        what: format!(
            "the lesson puts an impostor in front of the server, which it does on this machine's loopback only: {} is {}",
            printable(label),
            elsewhere.ip()
        ),
        remedy: "run it on the server's own machine with host=localhost or its socket, or without a connection string, with a \
                 server of the lesson's own"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_address_elsewhere_is_elsewhere() {
        let here = |addresses: &[&str]| {
            let addresses: Vec<SocketAddr> = addresses.iter().map(|one| one.parse().unwrap()).collect();
            must_be_here("db.example.org", &addresses)
        };
        for near in [
            &["127.0.0.1:5432"][..],
            &["[::1]:5432", "127.0.0.1:5432"],
            &["127.8.9.1:1"],
        ] {
            assert!(here(near).is_ok(), "{near:?}");
        }
        for far in [
            &["192.0.2.1:5432"][..],
            &["127.0.0.1:5432", "192.0.2.1:5432"],
            &["[::1]:5432", "[2001:db8::1]:5432"],
            &["0.0.0.0:5432"],
            &["[::]:5432"],
            &["[::ffff:192.0.2.1]:5432"],
            &["[fe80::1]:5432"],
        ] {
            let error = here(far).unwrap_err();
            assert!(error.to_string().contains("db.example.org is "), "{error}");
            assert_eq!(error.kind(), crate::engine::Kind::Usage);
        }
    }
}
