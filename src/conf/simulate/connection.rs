//! A connection as `pg_hba.conf` sees it, and what else its records ask about.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::conf::Net;
use crate::conf::ident::Maps;

/// How a connection comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// Over the Unix socket.
    Socket,
    /// Over TCP, unprotected.
    Plain(IpAddr),
    /// Over TCP with TLS, and with the common name of the certificate that the client shows, if it shows one.
    Tls(IpAddr, Option<String>),
    /// Over TCP, encrypted by GSSAPI.
    Gss(IpAddr),
}

impl Channel {
    /// Where it comes from.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Socket => None,
            Self::Plain(ip) | Self::Tls(ip, _) | Self::Gss(ip) => Some(*ip),
        }
    }
}

/// A connection that asks to come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// How.
    pub channel: Channel,
    /// As which role.
    pub user: String,
    /// To which database; of no meaning in physical replication.
    pub database: String,
    /// Whether for physical replication (`replication=true`); logical replication is a connection to its database.
    pub replication: bool,
}

/// What reverse and forward lookup of an address give to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// That name, confirmed.
    Confirmed(String),
    /// None that leads back to the address.
    Nothing,
}

/// Who is a member of which group, directly or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memberships {
    groups: HashMap<String, HashSet<String>>,
}

impl Memberships {
    /// From all roles of the server, and who is directly a member of what (`pg_auth_members`). Every role is a member of
    /// itself, and a superuser of nothing more than anybody else.
    pub fn new(
        roles: impl IntoIterator<Item = String>,
        direct: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut above: HashMap<String, Vec<String>> = HashMap::new();
        for (member, group) in direct {
            above.entry(member).or_default().push(group);
        }
        let mut groups = HashMap::new();
        for role in roles {
            let mut found = HashSet::new();
            let mut open = vec![role.clone()];
            while let Some(group) = open.pop() {
                if let Some(more) = above.get(&group).filter(|_| !found.contains(&group)) {
                    open.extend(more.iter().cloned());
                }
                found.insert(group);
            }
            groups.insert(role, found);
        }
        Self { groups }
    }

    /// Whether a role is a member of a group; names of no role are members of nothing.
    #[must_use]
    pub fn is_member(&self, role: &str, group: &[u8]) -> bool {
        std::str::from_utf8(group)
            .is_ok_and(|group| self.groups.get(role).is_some_and(|groups| groups.contains(group)))
    }

    /// All groups of a role, itself included.
    pub(super) fn groups(&self, role: &str) -> impl Iterator<Item = &str> {
        self.groups.get(role).into_iter().flatten().map(String::as_str)
    }
}

/// What records ask of the server and its surroundings; what is not known stays open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// Who is a member of what, for `+group` and `samerole`.
    pub memberships: Option<Memberships>,
    /// The addresses of the server's interfaces with their masks, for `samehost` and `samenet`.
    pub interfaces: Option<Vec<Net>>,
    /// What addresses resolve to, for host names.
    pub host_names: HashMap<IpAddr, HostName>,
    /// The maps of `pg_ident.conf`.
    pub maps: Option<Maps>,
}
