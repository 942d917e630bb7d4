//! What is wrong with one answer, told so that a person can put it right.

use std::fmt;

use crate::pki::printable;

/// One thing that is wrong with the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The flag that gives this answer (`--host`); empty where only the answers file can.
    pub flag: &'static str,
    /// Where it stands in an answers file (`hosts`, `access[2].role`; counted from 1).
    pub key: String,
    /// The answer as given, quoted and with control characters escaped; `None` where nothing was given.
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.flag, self.key.as_str()) {
            ("", key) => f.write_str(key)?,
            (flag, key) if key.contains('[') => write!(f, "{key} ({flag})")?,
            (flag, _) => f.write_str(flag)?,
        }
        if let Some(value) = &self.value {
            write!(f, " {value}")?;
        }
        write!(f, ": {}; {}", self.reason, self.remedy)
    }
}

/// Where an answer can be given: its flag, and its key in an answers file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub flag: &'static str,
    pub key: &'static str,
}

impl Field {
    const fn new(flag: &'static str, key: &'static str) -> Self {
        Self { flag, key }
    }

    /// A problem with this answer.
    pub fn problem(
        self,
        value: Option<&str>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem {
            flag: self.flag,
            key: self.key.to_owned(),
            value: value.map(quote),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

/// A number that was typed, for an answer that is one.
///
/// # Errors
/// That it is none, for this flag and key.
pub fn whole_number(flag: &'static str, key: &'static str, text: &str) -> Result<i64, Problem> {
    text.parse()
        .map_err(|_| Field::new(flag, key).problem(Some(text), "it is no whole number", "give digits only"))
}

pub(super) const MODE: Field = Field::new("--mode", "mode");
pub(super) const AUTH: Field = Field::new("--auth", "auth");
pub(super) const RUN: Field = Field::new("--run", "run");
pub(super) const HOST: Field = Field::new("--host", "hosts");
pub(super) const PORT: Field = Field::new("--port", "port");
pub(super) const USER: Field = Field::new("--user", "user");
pub(super) const DATABASE: Field = Field::new("--database", "database");
pub(super) const ALLOW: Field = Field::new("--allow", "allow");
pub(super) const CLIENT: Field = Field::new("--client", "client");
pub(super) const ACCESS: Field = Field::new("", "access");
pub(super) const PG_VERSION: Field = Field::new("--pg-version", "pg-version");
pub(super) const PG_BIN: Field = Field::new("--pg-bin", "pg-bin");
pub(super) const IMAGE: Field = Field::new("--image", "image");
pub(super) const ALGORITHM: Field = Field::new("--algorithm", "algorithm");
pub(super) const DAYS: Field = Field::new("--days", "days");
pub(super) const CA_DAYS: Field = Field::new("--ca-days", "ca-days");
pub(super) const CA_CERT: Field = Field::new("--ca-cert", "ca-cert");
pub(super) const CA_KEY: Field = Field::new("--ca-key", "ca-key");
pub(super) const CLIENT_CA: Field = Field::new("--client-ca", "client-ca");
pub(super) const SERVER_CERT: Field = Field::new("--server-cert", "server-cert");
pub(super) const SERVER_KEY: Field = Field::new("--server-key", "server-key");
pub(super) const ROOT: Field = Field::new("--root", "root");
pub(super) const PASSWORD_FILE: Field = Field::new("--password-file", "password-file");

/// Quotes a person's text for a message: control and bidirectional formatting characters are escaped, so that
/// what is read is what was given, and long text is cut.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 80;
    let cut = text.char_indices().nth(LONGEST).map(|(end, _)| &text[..end]);
    let shown = printable(cut.unwrap_or(text)).replace('"', "\\\"");
    format!("\"{shown}{}\"", if cut.is_some() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_one_sentence_and_hides_nothing() {
        let problem = PORT.problem(Some("7\u{202e}0"), "is no port", "give one from 1 to 65535");
        assert_eq!(
            problem.to_string(),
            "--port \"7\\u{202e}0\": is no port; give one from 1 to 65535"
        );
    }

    #[test]
    fn long_values_are_cut() {
        assert!(quote(&"x".repeat(300)).chars().count() < 90);
    }
}
