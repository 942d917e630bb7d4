//! Sessions that were seen: what is kept of them says who came, from where and how, and holds no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::conf::simulate::{Channel, Connection};
use crate::pki::printable;

/// Somebody who came in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// The role.
    pub user: String,
    /// The database; empty in physical replication.
    pub database: String,
    /// From where; `None`: over the server's socket.
    pub address: Option<IpAddr>,
    /// Whether for physical replication.
    pub replication: bool,
    /// `application_name`.
    pub application: String,
    /// The TLS of the session; `None`: it has none.
    pub tls: Option<TlsSeen>,
    /// Whether GSSAPI encrypts it.
    pub gss: bool,
}

/// Role, database, address, whether for replication, and `application_name`.
pub type Client<'a> = (&'a str, &'a str, Option<IpAddr>, bool, &'a str);

/// The TLS of a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TlsSeen {
    /// Its version, as PostgreSQL names it.
    pub version: String,
    /// Its cipher, as OpenSSL names it.
    pub cipher: String,
    /// The common name of the client's certificate, if it showed one.
    pub cn: Option<String>,
    /// Whether the server's log alone tells of it, which does not say whether a certificate was shown.
    #[serde(default)]
    pub by_log: bool,
}

/// How often a kind of session was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// Sessions.
    pub sessions: u64,
    /// When last, seconds since 1970.
    pub last: i64,
}

/// All that were seen, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    seen: BTreeMap<Seen, Sightings>,
}

/// One of them as it is kept and told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    seen: Seen,
    #[serde(flatten)]
    sightings: Sightings,
}

impl Serialize for Watched {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.seen.iter().map(|(seen, sightings)| Row {
            seen: seen.clone(),
            sightings: *sightings,
        }))
    }
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<Row>::deserialize(deserializer)?;
        let mut watched = Self::default();
        for row in rows {
            watched.add(row.seen, row.sightings);
        }
        Ok(watched)
    }
}

/// More kinds of sessions than a person could judge.
const MOST: usize = 20_000;

impl Watched {
    /// Adds what was seen so often.
    pub fn add(&mut self, seen: Seen, more: Sightings) {
        if self.seen.len() < MOST || self.seen.contains_key(&seen) {
            let known = self.seen.entry(seen).or_default();
            known.sessions = known.sessions.saturating_add(more.sessions);
            known.last = known.last.max(more.last);
        }
    }

    /// Adds those of another look: of what both saw, the higher number counts, since one session may be in both.
    pub fn merge(&mut self, other: &Self) {
        for (seen, more) in &other.seen {
            let known = self.seen.get(seen).map_or(0, |known| known.sessions);
            self.add(
                seen.clone(),
                Sightings {
                    sessions: more.sessions.saturating_sub(known),
                    last: more.last,
                },
            );
        }
    }

    /// Each kind, and how often it was seen.
    pub fn iter(&self) -> impl Iterator<Item = (&Seen, Sightings)> {
        self.seen.iter().map(|(seen, sightings)| (seen, *sightings))
    }

    /// Those who came over TLS without a client certificate, and have not come with one since.
    #[must_use]
    pub fn without_certificate(&self) -> Vec<(&Seen, Sightings)> {
        let mut last_with = BTreeMap::new();
        for (seen, sightings) in self
            .iter()
            .filter(|(seen, _)| seen.shows_certificate() == Some(true))
        {
            let last = last_with.entry(seen.client()).or_insert(sightings.last);
            *last = sightings.last.max(*last);
        }
        let is_without = |seen: &Seen| seen.address.is_some() && seen.shows_certificate() == Some(false);
        self.iter()
            .filter(|(seen, sightings)| {
                is_without(seen)
                    && last_with
                        .get(&seen.client())
                        .is_none_or(|last| *last <= sightings.last)
            })
            .collect()
    }

    /// Those of whom the server's log alone tells that they came over TLS, so that it is not known whether with a
    /// certificate, and who were never looked at while they were there.
    #[must_use]
    pub fn certificate_unknown(&self) -> Vec<(&Seen, Sightings)> {
        let known: BTreeSet<_> = self
            .iter()
            .filter(|(seen, _)| seen.shows_certificate().is_some())
            .map(|(seen, _)| seen.client())
            .collect();
        self.iter()
            .filter(|(seen, _)| seen.is_by_log() && !known.contains(&seen.client()))
            .collect()
    }

    /// Whether nobody was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// A moment, seconds since 1970, to the minute.
#[must_use]
pub fn moment(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| "at an unknown time".to_owned(),
        |at| format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute()),
    )
}

/// Whether a name is no UTF-8, and so not known to the letter.
#[must_use]
pub fn is_garbled(name: &str) -> bool {
    name.contains(char::REPLACEMENT_CHARACTER)
}

impl Seen {
    /// Whether it came over TCP without any encryption.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.address.is_some() && self.tls.is_none() && !self.gss
    }

    /// Whether it showed a client certificate over its TLS; `None`: it has no TLS, or that is not known.
    fn shows_certificate(&self) -> Option<bool> {
        let tls = self.tls.as_ref().filter(|tls| !tls.by_log)?;
        Some(tls.cn.is_some())
    }

    /// Whether the server's log alone tells of its TLS.
    #[must_use]
    pub fn is_by_log(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.by_log)
    }

    /// So many sessions of it, in words.
    #[must_use]
    pub fn words(&self, sessions: u64) -> String {
        let count = match sessions {
            1 => "1 session".to_owned(),
            many => format!("{many} sessions"),
        };
        let place = self
            .address
            .map_or_else(|| "[local]".to_owned(), |ip| ip.to_string());
        let application = match printable(&self.application) {
            name if name.is_empty() => String::new(),
            name => format!(" ({name})"),
        };
        format!(
            "{count} of {} on {} from {place}{application}",
            printable(&self.user),
            printable(&self.database),
        )
    }

    /// What makes it the same client, however it came.
    #[must_use]
    pub fn client(&self) -> Client<'_> {
        (
            &self.user,
            &self.database,
            self.address,
            self.replication,
            &self.application,
        )
    }

    /// The connection as rules see it.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let channel = match (self.address, &self.tls) {
            (None, _) => Channel::Socket,
            (Some(ip), Some(tls)) => Channel::Tls(ip, tls.cn.clone()),
            (Some(ip), None) if self.gss => Channel::Gss(ip),
            (Some(ip), None) => Channel::Plain(ip),
        };
        Connection {
            channel,
            user: self.user.clone(),
            database: self.database.clone(),
            replication: self.replication,
        }
    }
}

impl TlsSeen {
    /// Whether a version or cipher below the floor was spoken.
    #[must_use]
    pub fn is_below(&self, only_tls13: bool) -> bool {
        match self.version.as_str() {
            "TLSv1.3" => false,
            "TLSv1.2" => {
                let strong = self.cipher.starts_with("ECDHE-")
                    && (self.cipher.contains("GCM") || self.cipher.contains("CHACHA20"));
                only_tls13 || !strong
            }
            _ => true,
        }
    }
}
