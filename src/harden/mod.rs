//! Hardening a server that is there: which lines of its own files change at each stage, and who would be turned away.
//!
//! All of it is pure. [`Draft`] lays changes over the files as they were read, line by line, through the lossless editors
//! of `conf`; [`Wish`] says what a stage wants; [`impact()`] asks the simulator what becomes of every session that was
//! seen. Reading, writing and proving is the engine's.

mod diff;
mod draft;
mod impact;
mod place;
mod rules;
mod seen;
mod settings;
mod shut_out;

use std::fmt;
use std::path::PathBuf;

pub use diff::unified;
pub use draft::{Altered, Draft, ServerFiles};
pub use impact::{Affected, Impact, impact};
pub use place::{Managed, managed, patroni};
pub use seen::{Client, Seen, Sightings, TlsSeen, Watched, is_garbled, moment};
pub use settings::is_same;
pub use shut_out::shut_out;

/// A stage on the way to a server that lets nobody in without TLS; a person goes through them over days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// TLS is offered, not required.
    On,
    /// Nothing changes: who still comes in without TLS is looked at for a while, and kept.
    Watch,
    /// Nobody comes in without TLS.
    Require,
    /// Clients are asked for a certificate, and come in without one too.
    Ask,
    /// Nobody comes in without a client certificate.
    Mtls,
    /// No old version of TLS, no weak cipher.
    Floor,
}

impl Stage {
    /// All of them, in order; to ask for certificates is the first half of demanding them.
    pub const ALL: [Self; 5] = [Self::On, Self::Watch, Self::Require, Self::Mtls, Self::Floor];

    /// What a person chooses from, in order.
    pub const CHOICES: [Self; 6] = [
        Self::On,
        Self::Watch,
        Self::Require,
        Self::Ask,
        Self::Mtls,
        Self::Floor,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Watch => "watch",
            Self::Require => "require",
            Self::Ask => "mtls --ask",
            Self::Mtls => "mtls",
            Self::Floor => "floor",
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::On => "TLS is offered, not required",
            Self::Watch => "who still comes without TLS is seen",
            Self::Require => "nobody comes in without TLS",
            Self::Ask => "certificates are asked for, not demanded",
            Self::Mtls => "nobody comes in without a client certificate",
            Self::Floor => "no old TLS, no weak cipher",
        }
    }

    /// What no longer holds once it is taken back.
    #[must_use]
    pub const fn without(self) -> &'static str {
        match self {
            Self::On => {
                "the server's TLS will be as it was before: where it was off, clients that ask for it are refused again"
            }
            Self::Watch => "nothing changes",
            Self::Require => "plaintext will be let in again",
            Self::Ask => "clients are asked for no certificate any more, and none that is shown is looked at",
            Self::Mtls => "clients without a certificate will be let in again",
            Self::Floor => "old TLS and weak ciphers will be accepted again",
        }
    }

    /// The stage of a change, by the name under which it was written down.
    #[must_use]
    pub fn of_change(name: &str) -> Option<Self> {
        Self::CHOICES.into_iter().find(|stage| stage.name() == name)
    }

    /// Why a stage is the next one.
    #[must_use]
    pub const fn why_next(self) -> &'static str {
        match self {
            Self::On => "TLS is not on yet, or not with a certificate that holds.",
            Self::Watch => "Somebody who was seen would be refused: find them first.",
            Self::Require => "TLS is offered, and nobody who was seen comes without it any more.",
            Self::Ask => "Everybody comes with TLS; next certificates are handed out.",
            Self::Mtls => "Everybody comes with TLS; next they prove who they are.",
            Self::Floor => "What is left is old TLS and weak ciphers.",
        }
    }

    /// Whether it is about client certificates.
    #[must_use]
    pub const fn is_about_clients(self) -> bool {
        matches!(self, Self::Ask | Self::Mtls)
    }

    const fn requires_tls(self) -> bool {
        matches!(self, Self::Require | Self::Mtls)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How clients prove themselves at [`Stage::Mtls`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProof {
    /// `clientcert=verify-full` beside the method that a line has.
    Beside,
    /// The method `cert` in the place of the password.
    Alone,
}

/// What a stage wants of a server, beside its own rules.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which stage.
    pub stage: Stage,
    /// `ssl_cert_file` and `ssl_key_file`, as the server shall name them; `None`: those in force are good.
    pub pair: Option<(String, String)>,
    /// `ssl_ca_file`; `None`: it stays.
    pub client_ca: Option<String>,
    /// `ssl_crl_file`; `None`: it stays.
    pub client_lists: Option<String>,
    /// How clients prove themselves.
    pub proof: ClientProof,
    /// Names of certificates that are no names of roles: name and role.
    pub maps: Vec<(String, String)>,
    /// Whether TLS 1.2 is turned away too.
    pub only_tls13: bool,
    /// Whether settings go where `ALTER SYSTEM` writes them, `postgresql.auto.conf`.
    pub over_sql: bool,
}

impl Wish {
    /// What a stage wants where certificates and lists are in place and nothing is special.
    #[must_use]
    pub const fn of(stage: Stage) -> Self {
        Self {
            stage,
            pair: None,
            client_ca: None,
            client_lists: None,
            proof: ClientProof::Beside,
            maps: Vec::new(),
            only_tls13: false,
            over_sql: false,
        }
    }
}

/// Why a stage cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Prevented {
    /// A file cannot be read.
    #[error("{} cannot be read: {why}", .file.display())]
    Unreadable {
        /// As the server names it.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// The server's command line decides, which no file and no SQL can change.
    #[error("{name} is set on the server's command line (-c {name}={value}), which beats every file")]
    CommandLine {
        /// The setting.
        name: String,
        /// Its value there.
        value: String,
    },
    /// PostgreSQL would not take the file as it stands, changed or not.
    #[error("{place}: {why}; PostgreSQL would refuse the whole file")]
    Broken {
        /// File and line.
        place: String,
        /// In PostgreSQL's words.
        why: String,
    },
    /// A line cannot be changed in the way that is needed.
    #[error("{place} cannot be changed: {why}")]
    Line {
        /// File and line.
        place: String,
        /// Why.
        why: &'static str,
    },
    /// After all edits the files would not mean what the stage promises.
    #[error("the changed files would not do what they should: {0}")]
    NotEnough(String),
}

/// The stage as changes over the server's files.
pub fn plan<'a>(server: &'a ServerFiles, wish: &Wish) -> Result<Draft<'a>, Prevented> {
    let mut draft = Draft::new(server)?;
    draft.over_sql = wish.over_sql;
    settings::turn_on(&mut draft, wish)?;
    if wish.stage.requires_tls() {
        rules::require_tls(&mut draft)?;
    }
    if wish.stage == Stage::Mtls {
        rules::require_certificates(&mut draft, wish)?;
    }
    if wish.stage == Stage::Floor {
        settings::floor(&mut draft, wish)?;
    }
    draft.check(wish)?;
    Ok(draft)
}

#[cfg(test)]
mod tests;
