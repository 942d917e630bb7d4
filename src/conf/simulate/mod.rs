//! Who comes in under which record: `pg_hba.conf` as the server asks it, the first record that matches deciding
//! (<https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>).
//!
//! What cannot be known here (the name that an address resolves to, an expression that is beyond [`super::Pattern`])
//! is never guessed: a [`Decision`] then says which records may decide instead.

mod connection;
mod cover;
mod index;
mod outcome;
mod questions;
mod test;
#[cfg(test)]
mod tests;

pub use connection::{Channel, Connection, HostName, Memberships, World};
pub use cover::{Shadow, WayIn};
pub use outcome::{Outcome, Refusal, outcome};
pub use questions::{Change, changes, samples};
pub use test::{Doubt, Mismatch, Test};

use super::hba::Rule;
use index::Index;

/// Rules made ready to be asked many times.
#[derive(Debug)]
pub struct Simulator<'a> {
    rules: &'a [Rule],
    world: &'a World,
    index: Index<'a>,
}

/// Which record decides over a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The first record that certainly matches, by its place in the list; `None`: there is none, which refuses.
    pub record: Option<usize>,
    /// Records before it that may match, which would then decide.
    pub unsure: Vec<usize>,
}

impl Decision {
    /// Whether nothing is left open.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.unsure.is_empty()
    }
}

impl<'a> Simulator<'a> {
    /// Makes rules ready, in a world.
    #[must_use]
    pub fn new(rules: &'a [Rule], world: &'a World) -> Self {
        Self {
            rules,
            world,
            index: Index::new(rules, world),
        }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &'a [Rule] {
        self.rules
    }

    /// Which record decides over that connection.
    #[must_use]
    pub fn decide(&self, connection: &Connection) -> Decision {
        let mut record = usize::MAX;
        let mut unsure = Vec::new();
        for list in self.index.lists(&index::Key::of(connection, self.world)) {
            for &at in list {
                let at = at as usize;
                if at >= record {
                    break;
                }
                match test::test(&self.rules[at].record, connection, self.world) {
                    Test::Matches => record = at,
                    Test::Unsure(_) => unsure.push(at),
                    Test::Differs(_) => {}
                }
            }
        }
        unsure.retain(|at| *at < record);
        unsure.sort_unstable();
        unsure.dedup();
        Decision {
            record: (record != usize::MAX).then_some(record),
            unsure,
        }
    }

    /// Why each record up to the deciding one (or to the end) does or does not match.
    pub fn explain(&self, connection: &Connection) -> impl Iterator<Item = (usize, Test)> + use<'_> {
        let last = self
            .decide(connection)
            .record
            .unwrap_or(self.rules.len().saturating_sub(1));
        let connection = connection.clone();
        self.rules
            .iter()
            .enumerate()
            .take(last + 1)
            .map(move |(at, rule)| (at, test::test(&rule.record, &connection, self.world)))
    }

    /// The records before this one that leave nothing for it to decide; `None` where something may be left.
    #[must_use]
    pub fn shadow(&self, record: usize) -> Option<Shadow> {
        cover::shadow(self.rules, &self.index, self.world, record)
    }

    /// Every record that lets somebody in over TCP without TLS.
    #[must_use]
    pub fn ways_in_without_tls(&self) -> Vec<WayIn> {
        cover::ways_in_without_tls(self.rules, &self.index, self.world)
    }
}
