//! Who would be turned away: every session that was seen, against the rules and the floor to come.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::seen::moment;
use super::{Draft, Prevented, Seen, Stage, Watched, Wish, is_garbled};
use crate::conf::simulate::{Channel, Connection, Outcome, Refusal, Simulator, World, outcome};

/// A kind of session that would fare otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// Who.
    #[serde(flatten)]
    pub seen: Seen,
    /// How many sessions of it were seen.
    pub sessions: u64,
    /// When last, seconds since 1970.
    pub last: i64,
    /// Why it would be refused.
    pub why: String,
    /// The line that decides.
    pub line: Option<String>,
    /// Whether the same client would be let in with TLS.
    pub with_tls: Option<bool>,
}

/// What a stage would do to those who were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// Sessions that would be refused.
    pub refused: Vec<Affected>,
    /// Sessions of which it cannot be told.
    pub unsure: Vec<Affected>,
    /// Sessions of which the log alone tells, and that would be refused if they came without a certificate.
    pub may_be_refused: Vec<Affected>,
    /// How many kinds of sessions were looked at.
    pub looked_at: usize,
}

impl Impact {
    /// Sessions that would be refused.
    #[must_use]
    pub fn would_refuse(&self) -> u64 {
        self.refused.iter().map(|affected| affected.sessions).sum()
    }

    /// Sessions of which it is not known whether they would be refused.
    #[must_use]
    pub fn may_refuse(&self) -> u64 {
        self.may_be_refused.iter().map(|affected| affected.sessions).sum()
    }
}

impl Affected {
    /// One sentence, with the line that decides.
    #[must_use]
    pub fn sentence(&self) -> String {
        let line = self
            .line
            .as_ref()
            .map(|line| format!(" [{line}]"))
            .unwrap_or_default();
        // Where TLS is the cure, the stage says so itself.
        let with_tls = match self.with_tls {
            Some(false) => ", and with TLS it would not come in either",
            _ => "",
        };
        format!(
            "{}{with_tls}; last seen {}{line}",
            self.short(),
            moment(self.last)
        )
    }

    /// The same without the line.
    #[must_use]
    pub fn short(&self) -> String {
        let seen = &self.seen;
        let count = if self.sessions == 1 {
            "1 session".to_owned()
        } else {
            format!("{} sessions", self.sessions)
        };
        let place = seen
            .address
            .map_or_else(|| "the server's socket".to_owned(), |ip| ip.to_string());
        let application = match crate::pki::printable(&seen.application) {
            name if name.is_empty() => String::new(),
            name => format!(" ({name})"),
        };
        format!(
            "{count} of {} from {place}{application}: {}",
            crate::pki::printable(&seen.user),
            self.why
        )
    }
}

/// Asks what becomes of everybody who was seen. Whom the rules in force refuse already (`are_read`: those that stand in
/// the files are in force) the stage does not turn away.
pub fn impact(
    draft: &Draft<'_>,
    wish: &Wish,
    world: &World,
    watched: &Watched,
    are_read: bool,
) -> Result<Impact, Prevented> {
    let rules = draft.rules()?;
    let world = World {
        maps: Some(draft.maps()?),
        ..world.clone()
    };
    let simulator = Simulator::new(rules.rules(), &world);
    let before = are_read.then(|| Simulator::new(draft.before().rules(), &world));
    let is_refused = |connection: &Connection| {
        before
            .as_ref()
            .is_some_and(|before| matches!(fate(before, connection, &world).1, Outcome::Refused(_)))
    };
    let mut impact = Impact::default();
    // When each client was last seen in a way that would do.
    let mut let_in = BTreeMap::new();
    for (seen, sightings) in watched.iter() {
        impact.looked_at += 1;
        let connection = seen.connection();
        let (record, outcome) = fate(&simulator, &connection, &world);
        let line = record.map(|at| {
            let rule = &simulator.rules()[at];
            format!("{} {}", rule.place, rule.record)
        });
        let affected = |why: String, with_tls| Affected {
            seen: seen.clone(),
            sessions: sightings.sessions,
            last: sightings.last,
            why,
            line: line.clone(),
            with_tls,
        };
        if is_garbled(&seen.user) || is_garbled(&seen.database) {
            let why = "it cannot be told: the name of its role or database is no UTF-8";
            impact.unsure.push(affected(why.to_owned(), None));
            continue;
        }
        match outcome {
            Outcome::Refused(_) if is_refused(&connection) => {}
            Outcome::Refused(Refusal::NoCertificate) if seen.is_by_log() => impact.may_be_refused.push(affected(
                "it came over TLS and went; whether with a client certificate, which would be required, is not known".to_owned(),
                None,
            )),
            Outcome::Refused(refusal) => {
                let with_tls = seen.address.filter(|_| seen.tls.is_none()).map(|ip| {
                    let in_tls = Connection {
                        channel: Channel::Tls(ip, None),
                        ..connection.clone()
                    };
                    !matches!(fate(&simulator, &in_tls, &world).1, Outcome::Refused(_))
                });
                impact
                    .refused
                    .push(affected(words(refusal, seen).to_owned(), with_tls));
            }
            Outcome::Unsure => impact.unsure.push(affected(
                "it cannot be told from here which line decides (a host name, samehost or samenet, or an expression)".to_owned(),
                None,
            )),
            Outcome::LetIn | Outcome::Asks(_) => {
                if wish.stage == Stage::Floor
                    && let Some(tls) = seen.tls.as_ref().filter(|tls| tls.is_below(wish.only_tls13))
                {
                    impact.refused.push(affected(
                        format!(
                            "it speaks {} with {}, which would no longer do",
                            tls.version, tls.cipher
                        ),
                        None,
                    ));
                } else {
                    let last = let_in.entry(seen.client()).or_insert(sightings.last);
                    *last = sightings.last.max(*last);
                }
            }
        }
    }
    // Of whoever was looked at while it was there it is known.
    let unknown: BTreeSet<_> = watched
        .certificate_unknown()
        .into_iter()
        .map(|(seen, _)| seen)
        .collect();
    impact
        .may_be_refused
        .retain(|affected| unknown.contains(&affected.seen));
    // Whoever has come since in a way that would do has learned it.
    impact.refused.retain(|affected| {
        let_in
            .get(&affected.seen.client())
            .is_none_or(|last| *last <= affected.last)
    });
    Ok(impact)
}

/// The record that decides, and what comes of it.
fn fate(simulator: &Simulator<'_>, connection: &Connection, world: &World) -> (Option<usize>, Outcome) {
    let decision = simulator.decide(connection);
    (
        decision.record,
        outcome(simulator.rules(), &decision, connection, world),
    )
}

const fn words(refusal: Refusal, seen: &Seen) -> &'static str {
    match refusal {
        Refusal::NoRecord if seen.tls.is_none() => "no line would let it in without TLS",
        Refusal::NoRecord => "no line would let it in",
        Refusal::Rejected if seen.tls.is_none() => "it came without TLS, which would be rejected",
        Refusal::Rejected => "it would be rejected",
        Refusal::NoCertificate => "it showed no client certificate, which would be required",
        Refusal::OtherName => "its certificate names another role",
    }
}
