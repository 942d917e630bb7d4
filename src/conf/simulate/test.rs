//! Does a record match a connection? In `check_hba`'s order: how it comes in, from where, to which database, as whom.

use std::fmt;
use std::net::IpAddr;

use super::{Channel, Connection, HostName, World};
use crate::conf::hba::{Addresses, Database, Kind, Record, Role};

/// What a record says to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// It decides.
    Matches,
    /// It is about other connections.
    Differs(Mismatch),
    /// It cannot be told.
    Unsure(Doubt),
}

/// The first thing in which they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// Socket or TCP, TLS or not.
    Channel,
    /// Where it comes from.
    Address,
    /// The database, or replication.
    Database,
    /// The role.
    Role,
}

/// Why it cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// What the address resolves to is not known.
    HostName,
    /// The server's own addresses are not known.
    Interfaces,
    /// Who is a member of the group is not known.
    Membership,
    /// The expression is beyond what is followed here.
    Pattern,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channel => "it is about another kind of connection",
            Self::Address => "the address is not among its own",
            Self::Database => "the database is not among its own",
            Self::Role => "the role is not among its own",
        })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostName => "what the address resolves to is not known",
            Self::Interfaces => "the server's own addresses are not known",
            Self::Membership => "who is a member of the group is not known",
            Self::Pattern => "the regular expression is not followed here",
        })
    }
}

/// Yes, no, or why it cannot be told.
type Answer = Result<bool, Doubt>;

pub(super) fn test(record: &Record, connection: &Connection, world: &World) -> Test {
    if !channel_matches(record.kind, &connection.channel) {
        return Test::Differs(Mismatch::Channel);
    }
    let mut doubt = None;
    let answers: [(Mismatch, &dyn Fn() -> Answer); 3] = [
        (Mismatch::Address, &|| {
            connection
                .channel
                .address()
                .map_or(Ok(true), |ip| address(&record.addresses, ip, world))
        }),
        (Mismatch::Database, &|| {
            any(record
                .databases
                .iter()
                .map(|item| database(item, connection, world)))
        }),
        (Mismatch::Role, &|| {
            any(record
                .roles
                .iter()
                .map(|item| role(item, &connection.user, world)))
        }),
    ];
    for (mismatch, answer) in answers {
        match answer() {
            Ok(true) => {}
            Ok(false) => return Test::Differs(mismatch),
            Err(why) => doubt = doubt.or(Some(why)),
        }
    }
    doubt.map_or(Test::Matches, Test::Unsure)
}

/// One that says yes is enough; otherwise one that is unsure leaves it open.
fn any(answers: impl Iterator<Item = Answer>) -> Answer {
    let mut doubt = None;
    for answer in answers {
        match answer {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(why) => doubt = doubt.or(Some(why)),
        }
    }
    doubt.map_or(Ok(false), Err)
}

pub(super) const fn channel_matches(kind: Kind, channel: &Channel) -> bool {
    match (kind, channel) {
        (Kind::Local, Channel::Socket) => true,
        (Kind::Local, _) | (_, Channel::Socket) => false,
        (Kind::Host, _) => true,
        (Kind::HostSsl, channel) => matches!(channel, Channel::Tls(..)),
        (Kind::HostNoSsl, channel) => !matches!(channel, Channel::Tls(..)),
        (Kind::HostGssEnc, channel) => matches!(channel, Channel::Gss(_)),
        (Kind::HostNoGssEnc, channel) => !matches!(channel, Channel::Gss(_)),
    }
}

fn address(addresses: &Addresses, ip: IpAddr, world: &World) -> Answer {
    let interfaces = || world.interfaces.as_deref().ok_or(Doubt::Interfaces);
    match addresses {
        Addresses::All => Ok(true),
        Addresses::Net(net) => Ok(net.contains(ip)),
        Addresses::SameHost => Ok(interfaces()?.iter().any(|net| net.address() == ip)),
        Addresses::SameNet => Ok(interfaces()?.iter().any(|net| net.contains(ip))),
        Addresses::Host(pattern) => match world.host_names.get(&ip).ok_or(Doubt::HostName)? {
            HostName::Nothing => Ok(false),
            HostName::Confirmed(name) => Ok(host_matches(pattern, name.as_bytes())),
        },
    }
}

/// `hostname_match`: a leading dot means the names below.
fn host_matches(pattern: &[u8], name: &[u8]) -> bool {
    if pattern.first() == Some(&b'.') {
        name.len() >= pattern.len() && name[name.len() - pattern.len()..].eq_ignore_ascii_case(pattern)
    } else {
        name.eq_ignore_ascii_case(pattern)
    }
}

fn database(item: &Database, connection: &Connection, world: &World) -> Answer {
    if connection.replication {
        return Ok(*item == Database::Replication);
    }
    match item {
        Database::All => Ok(true),
        Database::SameUser => Ok(connection.database == connection.user),
        Database::SameRole => member(&connection.user, connection.database.as_bytes(), world),
        Database::Replication => Ok(false),
        Database::Named(name) => Ok(**name == *connection.database.as_bytes()),
        Database::Pattern(pattern) => pattern.matches(&connection.database).ok_or(Doubt::Pattern),
    }
}

pub(super) fn role(item: &Role, user: &str, world: &World) -> Answer {
    match item {
        Role::All => Ok(true),
        Role::MemberOf(group) => member(user, group, world),
        Role::Named(name) => Ok(**name == *user.as_bytes()),
        Role::Pattern(pattern) => pattern.matches(user).ok_or(Doubt::Pattern),
    }
}

fn member(user: &str, group: &[u8], world: &World) -> Answer {
    world
        .memberships
        .as_ref()
        .map(|memberships| memberships.is_member(user, group))
        .ok_or(Doubt::Membership)
}
