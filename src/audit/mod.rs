//! Grading a running server, without changing anything: what it says of itself over SQL, what stands in its files, what
//! it shows on the wire, and what the code of its clients does; or files alone, before any server runs ([`grade_tree`]).
//!
//! [`ask`] collects [`Facts`] over a session; everything after it is pure: [`grade`] turns facts into [`Finding`]s, whose
//! texts stand in `assets/findings.toml`. What could not be seen is listed, never taken for good.

mod ask;
mod catalogue;
mod checks;
mod clients;
mod facts;
mod group;
mod page;
mod tree;

use serde::Serialize;

pub use ask::ask;
pub use catalogue::Severity;
pub use clients::{Hit, scan};
pub use facts::{Facts, KeyFile, Reading, Served, ServerFacts, SessionRow};
pub use group::{Group, groups};
pub use page::{html, markdown};
pub use tree::{Entry, Tree, grade_tree};

/// The finding that the rules on the disk are not those in force.
const NOT_READ: &str = "rules-not-read";

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its key in the catalogue.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// In a few words.
    pub title: &'static str,
    /// Where: a file and line, a setting, a role.
    #[serde(rename = "where")]
    pub place: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub remedy: String,
    /// The item of the CIS PostgreSQL 17 Benchmark v1.0.0 that is about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cis: Option<&'static str>,
}

impl Finding {
    /// Something of the catalogue, found in a place.
    fn new(id: &'static str, place: impl Into<String>) -> Option<Self> {
        let entry = catalogue::entry(id)?;
        let place = place.into();
        Some(Self {
            id,
            severity: entry.severity,
            title: &entry.title,
            remedy: entry.remedy.replace("{what}", &place),
            why: &entry.why,
            cis: entry.cis.as_deref(),
            evidence: Vec::new(),
            place,
        })
    }

    fn evidence(mut self, line: impl AsRef<str>) -> Self {
        const MOST: usize = 300;
        let line: String = line.as_ref().chars().take(MOST).collect();
        self.evidence.push(crate::pki::printable(&line));
        self
    }

    fn told(mut self, name: &str, value: &str) -> Self {
        self.remedy = self.remedy.replace(name, value);
        self
    }
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// What.
    pub what: String,
    /// Why, and what would show it.
    pub why: String,
}

/// What follows from it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing was found that breaks what TLS promises, and what decides over that was seen.
    Holds,
    /// Something was found that does.
    Broken,
    /// Nothing was found, but what decides was not all seen.
    Undetermined,
}

impl Verdict {
    /// One sentence about a server.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Holds => "Nothing was found that breaks what TLS promises",
            Self::Broken => "What TLS promises does not hold on this server",
            Self::Undetermined => {
                "It cannot be told: nothing was found, but what decides could not all be seen"
            }
        }
    }
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Which server.
    pub server: ServerFacts,
    /// What follows.
    pub verdict: Verdict,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Who is connected now.
    pub sessions: Vec<SessionRow>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
}

impl Audit {
    /// What follows, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        match (self.verdict, self.server.files) {
            (Verdict::Undetermined, _) if self.findings.iter().any(|finding| finding.id == NOT_READ) => {
                "It cannot be told: the server's rules were changed since it last read them, and which are in force is not known"
            }
            (Verdict::Broken, Some(_)) => {
                "What TLS promises would not hold with these files, or no server would start"
            }
            (verdict, _) => verdict.sentence(),
        }
    }
}

/// Grades what was collected; `code` is what a scan of the clients' code found, if there was one.
#[must_use]
pub fn grade(facts: Facts, code: Option<&[Hit]>) -> Audit {
    let mut findings = checks::all(&facts);
    let mut unseen = facts.unseen.clone();
    if let Some(issuer) = checks::certificate::unknown_issuer(&facts) {
        unseen.push(Unseen {
            what: "whether what the server sends leads to a root that clients trust".to_owned(),
            why: format!(
                "the last certificate is issued by {}; give sslrootcert=FILE with the root that they have",
                crate::pki::printable(issuer)
            ),
        });
    }
    match code {
        Some(hits) => findings.extend(hits.iter().filter_map(clients::finding)),
        None => unseen.push(Unseen {
            what: "the clients: sslmode, verification, passwords in their code".to_owned(),
            why: "no code was given; name a tree with --clients PATH".to_owned(),
        }),
    }
    findings.sort_by_key(|finding| finding.severity);
    // That is why it cannot be told, and says nothing else.
    let is_broken = findings
        .iter()
        .any(|finding| finding.severity.breaks() && finding.id != NOT_READ);
    let verdict = match (is_broken, facts.decides()) {
        (true, _) => Verdict::Broken,
        (false, true) => Verdict::Holds,
        (false, false) => Verdict::Undetermined,
    };
    Audit {
        server: facts.server,
        verdict,
        findings,
        sessions: facts.sessions,
        unseen,
    }
}

#[cfg(test)]
mod tests;
