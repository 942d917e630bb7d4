//! Which records leave nothing for a later one, and what is left of those that admit plaintext.
//!
//! A record is taken apart into atoms: one channel, one address item, one database item, one role item each. An atom is
//! gone if one earlier record covers it whole. This never calls a record shadowed that is not; a record that only
//! several others together shadow within one atom may go unnoticed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::index::{Index, Key};
use super::test::channel_matches;
use super::{Channel, World};
use crate::conf::Net;
use crate::conf::hba::{Addresses, Database, Kind, Method, Record, Role, Rule};

/// The earlier records that leave nothing for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// They, in the order of the file.
    pub by: Vec<usize>,
}

/// A record that lets somebody in over TCP without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayIn {
    /// The record.
    pub record: usize,
    /// Whether earlier records decide over some of those it is about.
    pub is_narrowed: bool,
    /// Whether whoever is left comes from the server's own machine.
    pub is_loopback: bool,
}

/// More atoms than a record of a real file has.
const MOST_ATOMS: usize = 4096;

struct Atom<'a> {
    channel: &'a Channel,
    place: Source<'a>,
    database: &'a Database,
    role: &'a Role,
}

/// Where an atom comes from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Socket,
    Net(Net),
    Named(&'a Addresses),
}

/// Channels as they are compared: where from is asked apart.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const SOCKET: Channel = Channel::Socket;
const PLAIN: Channel = Channel::Plain(HERE);
const TLS: Channel = Channel::Tls(HERE, None);
const GSS: Channel = Channel::Gss(HERE);

fn sources(record: &Record) -> Vec<Source<'_>> {
    match &record.addresses {
        _ if record.kind == Kind::Local => vec![Source::Socket],
        Addresses::All => [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ]
        .into_iter()
        .filter_map(|ip| Net::with_prefix(ip, 0))
        .map(Source::Net)
        .collect(),
        Addresses::Net(net) => vec![Source::Net(*net)],
        named => vec![Source::Named(named)],
    }
}

/// The atoms of a record over some channels; `None` if there are too many.
fn atoms<'a>(record: &'a Record, channels: &'a [&'a Channel]) -> Option<impl Iterator<Item = Atom<'a>>> {
    let sources = sources(record);
    let count = channels.len() * sources.len() * record.databases.len() * record.roles.len();
    (count <= MOST_ATOMS).then(|| {
        channels
            .iter()
            .filter(|channel| channel_matches(record.kind, channel))
            .flat_map(move |channel| {
                sources.clone().into_iter().flat_map(move |place| {
                    record.databases.iter().flat_map(move |database| {
                        record.roles.iter().map(move |role| Atom {
                            channel,
                            place,
                            database,
                            role,
                        })
                    })
                })
            })
    })
}

/// The first record before `end` that covers an atom whole.
fn coverer(rules: &[Rule], index: &Index<'_>, world: &World, atom: &Atom<'_>, end: usize) -> Option<usize> {
    let mut key = Key::default();
    match atom.role {
        Role::Named(name) => {
            key.role = Some(name);
            if let (Some(memberships), Ok(name)) = (&world.memberships, std::str::from_utf8(name)) {
                key.groups = memberships.groups(name).map(str::as_bytes).collect();
            }
        }
        Role::MemberOf(group) => key.groups.push(group),
        Role::All | Role::Pattern(_) => {}
    }
    if let Database::Named(name) = atom.database {
        key.database = Some(name);
    }
    if let Source::Net(net) = atom.place {
        key.ip = Some(net.address());
    }
    let mut first = end;
    for list in index.lists(&key) {
        for &at in list {
            let at = at as usize;
            if at >= first {
                break;
            }
            if covers(&rules[at].record, atom, world) {
                first = at;
            }
        }
    }
    (first < end).then_some(first)
}

fn covers(record: &Record, atom: &Atom<'_>, world: &World) -> bool {
    channel_matches(record.kind, atom.channel)
        && covers_source(&record.addresses, atom.place)
        && record
            .databases
            .iter()
            .any(|item| covers_database(item, atom.database))
        && record
            .roles
            .iter()
            .any(|item| covers_role(item, atom.role, world))
}

fn covers_source(addresses: &Addresses, place: Source<'_>) -> bool {
    match (addresses, place) {
        // The server's own addresses are in its own networks.
        (Addresses::All, _)
        | (_, Source::Socket)
        | (Addresses::SameNet, Source::Named(Addresses::SameHost)) => true,
        (Addresses::Net(net), Source::Net(other)) => net.covers(&other),
        (addresses, Source::Named(other)) => addresses == other,
        _ => false,
    }
}

fn covers_database(item: &Database, other: &Database) -> bool {
    match (item, other) {
        // Every database, but no replication.
        (Database::All, other) => *other != Database::Replication,
        (Database::Pattern(pattern), Database::Named(name)) => {
            std::str::from_utf8(name).is_ok_and(|name| pattern.matches(name) == Some(true))
        }
        (item, other) => item == other,
    }
}

fn covers_role(item: &Role, other: &Role, world: &World) -> bool {
    match (item, other) {
        (Role::All, _) => true,
        (Role::Pattern(pattern), Role::Named(name)) => {
            std::str::from_utf8(name).is_ok_and(|name| pattern.matches(name) == Some(true))
        }
        (Role::MemberOf(group), Role::Named(name)) => world.memberships.as_ref().is_some_and(|memberships| {
            std::str::from_utf8(name).is_ok_and(|name| memberships.is_member(name, group))
        }),
        (item, other) => item == other,
    }
}

pub(super) fn shadow(rules: &[Rule], index: &Index<'_>, world: &World, record: usize) -> Option<Shadow> {
    let channels = [&SOCKET, &PLAIN, &TLS, &GSS];
    let mut by = Vec::new();
    for atom in atoms(&rules.get(record)?.record, &channels)? {
        by.push(coverer(rules, index, world, &atom, record)?);
    }
    by.sort_unstable();
    by.dedup();
    // A record about nothing (`hostgssenc` over a socket) has no atoms, and is shadowed by nobody.
    (!by.is_empty()).then_some(Shadow { by })
}

pub(super) fn ways_in_without_tls(rules: &[Rule], index: &Index<'_>, world: &World) -> Vec<WayIn> {
    let channels = [&PLAIN];
    let mut ways = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let record = &rule.record;
        if record.method == Method::Reject || !channel_matches(record.kind, &PLAIN) {
            continue;
        }
        let mut left = Vec::new();
        let mut gone = 0;
        match atoms(record, &channels) {
            Some(atoms) => {
                for atom in atoms {
                    if coverer(rules, index, world, &atom, at).is_some() {
                        gone += 1;
                    } else {
                        left.push(atom.place);
                    }
                }
            }
            // Too many to look at each: it is said to be open.
            None => left = sources(record),
        }
        if !left.is_empty() {
            ways.push(WayIn {
                record: at,
                is_narrowed: gone > 0,
                is_loopback: left.iter().all(|place| match place {
                    Source::Net(net) => net.is_loopback(),
                    Source::Named(addresses) => addresses.is_loopback(),
                    Source::Socket => true,
                }),
            });
        }
    }
    ways
}
