//! Which records may match at all: each stands in the list of its rarest trait, so that a file of a hundred thousand
//! records is not walked for every connection.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::{Connection, World};
use crate::conf::address::bits;
use crate::conf::hba::{Addresses, Database, Record, Role, Rule};

/// Lists of records, each in the order of the file. A record is in one kind of list alone.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    roles: HashMap<&'a [u8], Vec<u32>>,
    groups: HashMap<&'a [u8], Vec<u32>>,
    databases: HashMap<&'a [u8], Vec<u32>>,
    /// By family and length of the prefix, then by its bits.
    nets: BTreeMap<(bool, u8), HashMap<u128, Vec<u32>>>,
    others: Vec<u32>,
}

/// What is known of a connection, or of several at once; what is not known of it finds the records that do not ask.
#[derive(Debug, Default)]
pub(super) struct Key<'a> {
    pub role: Option<&'a [u8]>,
    pub groups: Vec<&'a [u8]>,
    pub database: Option<&'a [u8]>,
    pub ip: Option<IpAddr>,
}

impl<'a> Key<'a> {
    pub fn of(connection: &'a Connection, world: &'a World) -> Self {
        let groups = world
            .memberships
            .iter()
            .flat_map(|all| all.groups(&connection.user));
        Self {
            role: Some(connection.user.as_bytes()),
            groups: groups.map(str::as_bytes).collect(),
            database: (!connection.replication).then_some(connection.database.as_bytes()),
            ip: connection.channel.address(),
        }
    }
}

/// A net that can be looked up: a contiguous prefix that is not empty.
fn net_key(record: &Record) -> Option<((bool, u8), u128)> {
    let Addresses::Net(net) = &record.addresses else {
        return None;
    };
    let length = net.prefix_len().filter(|length| *length > 0)?;
    Some((
        (net.address().is_ipv4(), length),
        bits(net.address()) & bits(net.mask()),
    ))
}

/// The database names of a record, if it is about nothing else.
fn names(record: &Record) -> Option<Vec<&[u8]>> {
    record
        .databases
        .iter()
        .map(|item| match item {
            Database::Named(name) => Some(&**name),
            _ => None,
        })
        .collect()
}

/// Whether all roles of a record are named, directly or by a group whose members are known.
fn has_named_roles(record: &Record, world: &World) -> bool {
    record.roles.iter().all(|item| match item {
        Role::Named(_) => true,
        Role::MemberOf(_) => world.memberships.is_some(),
        Role::All | Role::Pattern(_) => false,
    })
}

impl<'a> Index<'a> {
    pub fn new(rules: &'a [Rule], world: &World) -> Self {
        let mut counts = Counts::default();
        for rule in rules {
            counts.add(&rule.record);
        }
        let mut index = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            // More records than that do not fit into any file that is read.
            let Ok(at) = u32::try_from(at) else { break };
            index.add(at, &rule.record, world, &counts);
        }
        index
    }

    fn add(&mut self, at: u32, record: &'a Record, world: &World, counts: &Counts) {
        let by_role = has_named_roles(record, world).then(|| counts.roles(record));
        let names = names(record);
        let by_name = names.as_ref().map(|names| counts.names(names));
        let net = net_key(record);
        let by_net = net.map(|key| counts.net(key));
        let rarest = [by_role, by_name, by_net].into_iter().flatten().min();
        let push = |list: &mut Vec<u32>| {
            if list.last() != Some(&at) {
                list.push(at);
            }
        };
        if rarest.is_none() {
            self.others.push(at);
        } else if by_role == rarest {
            for item in &record.roles {
                match item {
                    Role::Named(name) => push(self.roles.entry(name).or_default()),
                    Role::MemberOf(group) => push(self.groups.entry(group).or_default()),
                    Role::All | Role::Pattern(_) => {}
                }
            }
        } else if by_name == rarest {
            for name in names.into_iter().flatten() {
                push(self.databases.entry(name).or_default());
            }
        } else if let Some((family, bits)) = net {
            push(self.nets.entry(family).or_default().entry(bits).or_default());
        }
    }

    /// The lists in which every record stands that may match.
    pub fn lists(&self, key: &Key<'_>) -> Vec<&[u32]> {
        let mut lists = vec![self.others.as_slice()];
        lists.extend(key.role.and_then(|role| self.roles.get(role)).map(Vec::as_slice));
        lists.extend(
            key.groups
                .iter()
                .filter_map(|group| self.groups.get(*group))
                .map(Vec::as_slice),
        );
        lists.extend(
            key.database
                .and_then(|name| self.databases.get(name))
                .map(Vec::as_slice),
        );
        if let Some(ip) = key.ip {
            let family = ip.is_ipv4();
            let width = if family { 32 } else { 128 };
            for ((_, length), nets) in self.nets.range((family, 0)..=(family, 128)) {
                // The length is not 0, so the shift is less than the width.
                let low = u32::from(width - length);
                lists.extend(nets.get(&(bits(ip) >> low << low)).map(Vec::as_slice));
            }
        }
        lists
    }
}

/// How often each trait occurs.
#[derive(Default)]
struct Counts<'a> {
    roles: HashMap<&'a [u8], usize>,
    databases: HashMap<&'a [u8], usize>,
    nets: HashMap<((bool, u8), u128), usize>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, record: &'a Record) {
        for item in &record.roles {
            if let Role::Named(name) | Role::MemberOf(name) = item {
                *self.roles.entry(name).or_default() += 1;
            }
        }
        for item in &record.databases {
            if let Database::Named(name) = item {
                *self.databases.entry(name).or_default() += 1;
            }
        }
        if let Some(key) = net_key(record) {
            *self.nets.entry(key).or_default() += 1;
        }
    }

    fn roles(&self, record: &Record) -> usize {
        let count = |item: &Role| match item {
            Role::Named(name) | Role::MemberOf(name) => self.roles.get(&**name).copied(),
            Role::All | Role::Pattern(_) => None,
        };
        record.roles.iter().filter_map(count).max().unwrap_or(usize::MAX)
    }

    fn names(&self, names: &[&[u8]]) -> usize {
        let count = |name: &&[u8]| self.databases.get(*name).copied();
        names.iter().filter_map(count).max().unwrap_or(usize::MAX)
    }

    fn net(&self, key: ((bool, u8), u128)) -> usize {
        self.nets.get(&key).copied().unwrap_or(usize::MAX)
    }
}
