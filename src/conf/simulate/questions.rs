//! Before and after: whose way in changes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Channel, Connection, Outcome, Simulator, outcome};
use crate::conf::address::{bits, from_bits};
use crate::conf::hba::{Addresses, Database, Kind, Record, Role, Rule};

/// A connection that fares otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which of those that were asked about.
    pub connection: usize,
    /// What the old rules did: the deciding record, and what it meant.
    pub before: (Option<usize>, Outcome),
    /// What the new ones do.
    pub after: (Option<usize>, Outcome),
}

/// The connections of a list that fare otherwise under other rules. That another record decides the same is no change.
#[must_use]
pub fn changes(before: &Simulator<'_>, after: &Simulator<'_>, connections: &[Connection]) -> Vec<Change> {
    let fate = |simulator: &Simulator<'_>, connection: &Connection| {
        let decision = simulator.decide(connection);
        let outcome = outcome(simulator.rules, &decision, connection, simulator.world);
        (decision.record, outcome)
    };
    connections
        .iter()
        .enumerate()
        .filter_map(|(at, connection)| {
            let (before, after) = (fate(before, connection), fate(after, connection));
            (before.1 != after.1).then_some(Change {
                connection: at,
                before,
                after,
            })
        })
        .collect()
}

/// Connections that stand for those that each record is about: one for each channel and item, no more than `most` a
/// record. Records that ask for names or expressions alone are left out where none can be made up.
#[must_use]
pub fn samples(rules: &[Rule], most: usize) -> Vec<Connection> {
    rules
        .iter()
        .flat_map(|rule| of_record(&rule.record, most))
        .collect()
}

fn of_record(record: &Record, most: usize) -> Vec<Connection> {
    let roles: Vec<_> = record
        .roles
        .iter()
        .filter_map(|item| match item {
            Role::All => Some("somebody".to_owned()),
            Role::Named(name) | Role::MemberOf(name) => String::from_utf8(name.to_vec()).ok(),
            Role::Pattern(_) => None,
        })
        .collect();
    let mut connections = Vec::new();
    for channel in channels(record) {
        for role in &roles {
            for item in &record.databases {
                let database = match item {
                    Database::All | Database::Replication => "anything".to_owned(),
                    Database::SameUser | Database::SameRole => role.clone(),
                    Database::Named(name) => String::from_utf8_lossy(name).into_owned(),
                    Database::Pattern(_) => continue,
                };
                if connections.len() == most {
                    return connections;
                }
                connections.push(Connection {
                    channel: channel.clone(),
                    user: role.clone(),
                    database,
                    replication: *item == Database::Replication,
                });
            }
        }
    }
    connections
}

fn channels(record: &Record) -> Vec<Channel> {
    let ips = match &record.addresses {
        Addresses::Net(net) => {
            let first = bits(net.address()) & bits(net.mask());
            vec![from_bits(net.address(), first)]
        }
        Addresses::All => vec![
            // Addresses for documentation (RFC 5737, RFC 3849): nobody's.
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        ],
        Addresses::SameHost => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        Addresses::SameNet | Addresses::Host(_) => Vec::new(),
    };
    if record.kind == Kind::Local {
        return vec![Channel::Socket];
    }
    ips.into_iter()
        .flat_map(|ip| [Channel::Plain(ip), Channel::Tls(ip, None), Channel::Gss(ip)])
        .filter(|channel| super::test::channel_matches(record.kind, channel))
        .collect()
}
