//! `pg_hba.conf`: who may come in, and how
//! (<https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>).
//!
//! [`Rules`] is what the file means, its includes followed; [`super::Lines`] is what stands in it, byte by byte.

mod options;
mod record;
mod rules;
mod write;

use std::borrow::Cow;

pub use options::{ClientCert, ClientName, Options};
pub use record::{Addresses, Database, Kind, Method, Name, Record, Role, shown};
pub use rules::{Broken, Rule, Rules};

pub(super) use record::{lossy, role};
pub(super) use rules::excerpt;

/// Why PostgreSQL refuses a line, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    text: Cow<'static, str>,
    hidden: bool,
}

impl Problem {
    pub(super) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into(),
            hidden: false,
        }
    }

    fn hidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into(),
            hidden: true,
        }
    }

    /// Whether `pg_hba_file_rules` keeps silent about it: every column of the line is NULL, `error` too.
    #[must_use]
    pub const fn is_hidden(&self) -> bool {
        self.hidden
    }
}
