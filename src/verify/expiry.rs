//! When the certificates that a connection rests on end.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::judge::{Purpose, judge_chain};
use crate::pki::{Certificate, printable};

use super::report::Report;
use super::target::Target;

/// What a certificate is to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The server's own.
    Server,
    /// One above it, up to the root that the client trusts.
    Issuer,
    /// The client's.
    Client,
    /// A revocation list that the client judges by.
    List,
}

impl Part {
    /// The stable name that scripts see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Issuer => "issuer",
            Self::Client => "client",
            Self::List => "list",
        }
    }
}

/// A certificate or revocation list, and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dated {
    /// What it is to the connection.
    pub part: Part,
    /// Its subject, safe to print.
    pub subject: String,
    /// Its last moment.
    #[serde(serialize_with = "moment")]
    pub not_after: OffsetDateTime,
    /// Whole days until then; negative once it is over.
    pub days_left: i64,
}

fn moment<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.format(&Rfc3339).unwrap_or_default())
}

/// The certificates of a connection that was proven, or tried: the server's, those above it, the client's.
#[must_use]
pub fn dates(target: &Target, report: &Report) -> Vec<Dated> {
    let dated = |part, certificate: &Certificate| Dated {
        part,
        subject: printable(certificate.subject()),
        not_after: certificate.not_after(),
        days_left: certificate.days_left(target.now),
    };
    let read = |der: &[u8]| Certificate::from_der(der).ok();
    let mut all: Vec<Dated> = report
        .presented
        .iter()
        .enumerate()
        .filter_map(|(depth, der)| {
            let part = if depth == 0 { Part::Server } else { Part::Issuer };
            read(der).map(|certificate| dated(part, &certificate))
        })
        .collect();
    // The root is the client's own copy, and when it ends so does everything.
    if let Ok(path) = judge_chain(&report.presented, &target.trust, Purpose::Server, target.now)
        && let Some(root) = path.certificates.last().filter(|_| path.certificates.len() > 1)
        && let Some(not_after) = root.not_after
    {
        let subject = printable(&root.subject);
        if all
            .iter()
            .all(|known| (&known.subject, known.not_after) != (&subject, not_after))
        {
            all.push(Dated {
                part: Part::Issuer,
                subject,
                not_after,
                days_left: (not_after - target.now).whole_days(),
            });
        }
    }
    let ours = target.identity.as_ref().and_then(|identity| identity.leaf());
    all.extend(
        ours.and_then(|der| read(der))
            .map(|certificate| dated(Part::Client, &certificate)),
    );
    all.extend(target.trust.list_ends().into_iter().map(|(issuer, end)| Dated {
        part: Part::List,
        subject: printable(&issuer),
        not_after: end,
        days_left: (end - target.now).whole_seconds().div_euclid(86_400),
    }));
    all
}
