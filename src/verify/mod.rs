//! Proving what a server promises: probes, what each found, and the verdict over them.
//!
//! A promise is `true` only when its expected sign was seen, `false` only when the opposite was seen, and
//! open otherwise. Sockets are opened through `dial` alone; whether a certificate holds is asked of `judge`.

mod cause;
mod client;
mod connect;
mod expiry;
mod finding;
mod languages;
mod lookup;
pub mod modes;
mod over_sql;
mod refusals;
mod report;
mod run;
mod serving;
mod settings;
mod sql;
mod target;
mod tls_files;
mod unread;
mod verdict;

use time::OffsetDateTime;

use crate::pki::Certificate;

pub(crate) use crate::plan::literal;
pub use cause::{Cause, Words, causes_page};
pub use client::{Choice, Client, Dialler, FileFault, Peer, Place, Root, Server, Versions};
pub use connect::{Entry, NoEntry, connect, enter, enter_as_admin, enter_or_why, socket_owner};
pub use expiry::{Dated, Part, dates};
#[cfg(test)]
pub use lookup::TlsArrival;
pub use lookup::{Arrival, Arrivals, Origin};
pub use over_sql::{Fetched, OverSql};
pub use report::{Group, Outcome, Probe, ProbeId, Report, Verdict};
pub use run::{prove, superuser};
pub use target::{Admin, Answer, Inside, Target};
pub use tls_files::{KeyFault, TLS_FILES, UNLOCK, Unloadable, locked, pair_fault};
pub use unread::{ServerFile, Unread, unread};

/// A day as it is told: `2026-11-22`.
fn day(at: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

/// The names of a certificate as a person reads them.
fn names_of(certificate: &Certificate) -> String {
    let dns = certificate
        .dns_names()
        .iter()
        .map(|name| crate::pki::printable(name));
    let names: Vec<_> = dns
        .chain(certificate.ip_addresses().iter().map(ToString::to_string))
        .take(20)
        .collect();
    match (names.is_empty(), certificate.common_name()) {
        (false, _) => names.join(", "),
        (true, Some(cn)) => format!("{} (a common name, no SAN)", crate::pki::printable(cn)),
        (true, None) => "nobody: it carries no name".to_owned(),
    }
}

/// At most `most` characters of a text.
fn shorten(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
