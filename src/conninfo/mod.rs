//! libpq's connection parameters: read, written and put together by libpq 18's rules.
//!
//! A [`Conninfo`] is what a person wrote; [`resolve`] adds what libpq would add (service file, `PG*`
//! variables, defaults, password file) and gives a [`Resolved`] with typed fields. This is the one place that
//! builds connection strings, and the one that reads service and password files. It opens no connection.
//!
//! Source of the rules: <https://www.postgresql.org/docs/18/libpq-connect.html> and its neighbours
//! `libpq-envars`, `libpq-pgpass`, `libpq-pgservice`. Where the pages leave something open, libpq 18's own
//! behaviour decides; `tests/conninfo_libpq.rs` compares with it. Known differences, all of them refusals:
//! values that are not UTF-8, NUL bytes, and LDAP lookups in service files.

mod address;
mod environment;
mod error;
mod hosts;
mod keyword;
mod passfile;
mod quote;
mod require_auth;
mod resolve;
mod resolved;
mod service;
mod settings;
mod text;
mod tls;
mod uri;
mod values;
mod write;

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

pub use address::HostAddr;
pub use environment::Environment;
pub use error::{Error, Origin, UriError};
pub use hosts::{Endpoint, Host};
pub use keyword::Keyword;
pub use require_auth::RequireAuth;
pub use resolve::{resolve, resolve_with_default};
pub use resolved::{Located, Resolved, RootCert};
pub use values::{
    AuthMethod, ChannelBinding, GssEncMode, LoadBalanceHosts, ProtocolVersion, SslCertMode, SslMode,
    SslNegotiation, TargetSessionAttrs, Tcp, TlsVersion,
};

/// Connection parameters as written: each keyword once, in the order it was first given.
///
/// Values of [secret keywords](Keyword::is_secret) never show in `Debug`, are wiped from memory on drop, and
/// are left out by the writers unless they are asked for by name.
#[derive(Clone, Default)]
pub struct Conninfo {
    entries: Vec<(Keyword, SecretString)>,
}

impl Conninfo {
    /// No parameters at all.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Reads a connection string: `key=value` pairs, or a `postgresql://` or `postgres://` URI.
    ///
    /// Values are not judged here (libpq does that when it connects, and so does [`resolve`]), only the form and
    /// the keywords.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.contains('\0') {
            return Err(Error::NulByte);
        }
        match uri::without_scheme(text) {
            Some(rest) => uri::parse(rest),
            None => text::parse(text),
        }
    }

    /// Whether a database name given to psql (`-d`, or the first argument) would be read as a connection
    /// string instead: it starts like a URI, or has an `=` in it.
    #[must_use]
    pub fn is_conninfo(dbname: &str) -> bool {
        uri::without_scheme(dbname).is_some() || dbname.contains('=')
    }

    /// Sets a parameter; an earlier value of the same keyword is replaced.
    pub fn set(&mut self, keyword: Keyword, value: impl Into<String>) -> &mut Self {
        self.set_secret(keyword, SecretString::from(value.into()))
    }

    /// Sets a parameter from a value that is already a secret.
    pub fn set_secret(&mut self, keyword: Keyword, value: SecretString) -> &mut Self {
        match self.entries.iter_mut().find(|(known, _)| *known == keyword) {
            Some((_, old)) => *old = value,
            None => self.entries.push((keyword, value)),
        }
        self
    }

    /// [`Self::set`], for building in one expression.
    #[must_use]
    pub fn with(mut self, keyword: Keyword, value: impl Into<String>) -> Self {
        self.set(keyword, value);
        self
    }

    /// Takes a parameter out.
    pub fn remove(&mut self, keyword: Keyword) -> &mut Self {
        self.entries.retain(|(known, _)| *known != keyword);
        self
    }

    /// The value of a keyword that is not secret; `None` for secret ones, see [`Self::secret`].
    #[must_use]
    pub fn get(&self, keyword: Keyword) -> Option<&str> {
        if keyword.is_secret() {
            return None;
        }
        self.secret(keyword).map(ExposeSecret::expose_secret)
    }

    /// The value of any keyword, guarded.
    #[must_use]
    pub fn secret(&self, keyword: Keyword) -> Option<&SecretString> {
        self.entries
            .iter()
            .find(|(known, _)| *known == keyword)
            .map(|(_, value)| value)
    }

    /// The keywords that are set, in order.
    pub fn keywords(&self) -> impl Iterator<Item = Keyword> + '_ {
        self.entries.iter().map(|(keyword, _)| *keyword)
    }

    /// Whether nothing is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl FromStr for Conninfo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Equal when the same keywords have the same values, in whatever order.
impl PartialEq for Conninfo {
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|(keyword, value)| {
                other
                    .secret(*keyword)
                    .is_some_and(|theirs| theirs.expose_secret() == value.expose_secret())
            })
    }
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (keyword, value) in &self.entries {
            let shown = if keyword.is_secret() {
                "(secret)"
            } else {
                value.expose_secret()
            };
            map.entry(&keyword.name(), &shown);
        }
        map.finish()
    }
}
