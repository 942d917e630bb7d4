//! What may be found: severity, title, reason and remedy from `assets/findings.toml`, once for every face.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody comes in, or everybody is shut out, as it is.
    Critical,
    /// What TLS promises does not hold.
    High,
    /// A way to lose it.
    Medium,
    /// Not as it should be.
    Low,
    /// Good to know.
    Info,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// Its word, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }

    /// Whether what TLS promises is broken by it.
    #[must_use]
    pub const fn breaks(self) -> bool {
        matches!(self, Self::Critical | Self::High)
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub severity: Severity,
    pub title: String,
    pub why: String,
    pub remedy: String,
    pub cis: Option<String>,
}

/// The entry of an id.
pub(super) fn entry(id: &str) -> Option<&'static Entry> {
    static ALL: OnceLock<BTreeMap<String, Entry>> = OnceLock::new();
    // A test reads the file: it cannot be malformed in a released program.
    ALL.get_or_init(|| toml::from_str(TEXT).unwrap_or_default())
        .get(id)
}

const TEXT: &str = include_str!("../../assets/findings.toml");

#[cfg(test)]
mod tests {
    use super::*;

    /// The source of every check: an id that is found must be in the catalogue, and one in the catalogue be found.
    const SOURCES: [&str; 14] = [
        include_str!("checks/settings.rs"),
        include_str!("checks/certificate.rs"),
        include_str!("checks/hba.rs"),
        include_str!("checks/maps.rs"),
        include_str!("checks/people.rs"),
        include_str!("clients/mod.rs"),
        include_str!("clients/sign.rs"),
        include_str!("tree/container.rs"),
        include_str!("tree/image.rs"),
        include_str!("tree/keys.rs"),
        include_str!("tree/server/mod.rs"),
        include_str!("tree/server/contained.rs"),
        include_str!("tree/server/tls.rs"),
        include_str!("tree/url.rs"),
    ];

    #[test]
    fn every_entry_is_whole_and_can_be_found() {
        let all: BTreeMap<String, Entry> = toml::from_str(TEXT).unwrap();
        for (id, entry) in all {
            assert!(!entry.title.ends_with('.') && entry.why.ends_with('.'), "{id}");
            assert!(!entry.remedy.is_empty(), "{id}");
            let quoted = format!("\"{id}\"");
            assert!(
                SOURCES.iter().any(|source| source.contains(&quoted)),
                "{id} is found by no check"
            );
        }
    }
}
