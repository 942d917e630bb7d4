//! The texts that teach, from `assets/`, where they stand once.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::field::Field;

/// One of libpq's sslmodes, and whom it stops.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SslMode {
    /// Its name.
    pub name: String,
    /// Whether somebody who listens learns nothing.
    pub eavesdropper: bool,
    /// Whether somebody who answers in the server's place is noticed.
    pub impostor: bool,
    /// Whether such a one is noticed also with a certificate of the same CA.
    pub impostor_with_certificate: bool,
    /// What it adds to the mode before it, in a few words.
    pub adds: String,
    /// In a sentence or two.
    pub text: String,
}

/// The sslmodes, weakest first.
#[must_use]
pub fn sslmodes() -> &'static [SslMode] {
    #[derive(Default, Deserialize)]
    struct All {
        mode: Vec<SslMode>,
    }
    static ALL: OnceLock<All> = OnceLock::new();
    // A test reads the file: it cannot be malformed in a released program.
    &ALL.get_or_init(|| toml::from_str(include_str!("../../assets/sslmodes.toml")).unwrap_or_default())
        .mode
}

/// What there is to say about a question.
#[must_use]
pub fn about(field: Field) -> &'static str {
    static ALL: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let all =
        ALL.get_or_init(|| toml::from_str(include_str!("../../assets/questions.toml")).unwrap_or_default());
    all.get(field.spec().key).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_and_every_sslmode_is_explained() {
        for field in Field::ALL {
            assert!(about(field).ends_with('.'), "{field:?}");
        }
        let names: Vec<_> = sslmodes().iter().map(|mode| mode.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "disable",
                "allow",
                "prefer",
                "require",
                "verify-ca",
                "verify-full"
            ]
        );
    }
}
