//! Why a line is there: the explanations of `assets/why.toml`, told in the files, by the command line and in the
//! wizard.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// One explanation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// A few words, as they stand in the file itself.
    pub short: String,
    /// One or two sentences for a person who wants to know.
    pub text: String,
    /// The page of PostgreSQL's documentation it comes from, below `https://www.postgresql.org/docs/current/`.
    pub doc: String,
}

/// The explanation of a key, as found in [`super::Line::why`].
#[must_use]
pub fn why(key: &str) -> Option<&'static Why> {
    all().get(key)
}

/// The few words for a key that this room itself uses.
pub(super) fn short(key: &str) -> &'static str {
    why(key).map_or("", |why| &why.short)
}

fn all() -> &'static BTreeMap<String, Why> {
    static ALL: OnceLock<BTreeMap<String, Why>> = OnceLock::new();
    // A test reads the file: it cannot be malformed in a released program.
    ALL.get_or_init(|| toml::from_str(include_str!("../../assets/why.toml")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_explanation_is_whole() {
        let all: BTreeMap<String, Why> = toml::from_str(include_str!("../../assets/why.toml")).unwrap();
        for (key, why) in all {
            assert!(
                !why.short.is_empty() && why.short.len() <= 105 && !why.short.ends_with('.'),
                "{key}"
            );
            assert!(
                !why.short.contains(['\n', '#']) && why.text.ends_with('.'),
                "{key}"
            );
            assert!(why.doc.contains(".html"), "{key}");
        }
    }
}
