//! Hardening a server that is there: look, plan, show, try, prove, keep or go back.
//!
//! [`survey()`] holds a session of the admin from the first moment to the last. [`propose()`] works out what a stage changes
//! and whom it would turn away, and writes nothing. [`attempt()`] writes, reloads and proves it, under a watchdog that
//! takes everything back when that does not come to its end.

mod attempt;
mod beside;
mod books;
mod bundle;
mod certificates;
mod clients;
mod confirm;
mod keeper;
mod kit;
mod lists;
mod lockout;
mod others;
mod over_sql;
mod promised;
mod proof;
mod propose;
mod reach;
mod remarks;
mod rights;
mod standing;
mod survey;
mod watch;

use std::path::PathBuf;

use crate::conninfo::{Conninfo, Environment};
use crate::harden::Stage;
use crate::verify::Probe;

use super::{Means, Request};

pub use attempt::attempt;
pub use books::{
    Fate, LastStage, Undone, fate, go_back, last_stage, pending, settle, undo_stage, undo_stage_as,
};
pub use bundle::bundle;
pub use certificates::Replaced;
pub use confirm::{Kept, confirm};
pub use keeper::keep_watch;
pub use kit::{hosts, roles};
pub(super) use others::nobody_else;
pub use promised::{InForce, in_force};
pub use proof::promises;
pub use propose::{Proposal, propose};
pub use standing::{Hindrance, Standing, hindrances, is_asked, next_stage, standing};
pub use survey::{Survey, survey};
pub use watch::{Look, forget, has_watched, watch};

/// What is wanted.
pub struct Hardening {
    /// How the admin logs in.
    pub conninfo: Conninfo,
    /// The environment that completes it.
    pub env: Environment,
    /// Time and time-outs; its directory is the project's.
    pub means: Means,
    /// The answers.
    pub request: Request,
    /// The directory of the server's files, on this machine; `None`: where the server says they are.
    pub config_dir: Option<PathBuf>,
    /// Which stage.
    pub stage: Stage,
    /// Whether a floor turns TLS 1.2 away; `None`: where everybody who was seen speaks 1.3.
    pub only_tls13: Option<bool>,
    /// A client's certificate and its key, which the proof shows, where the clients' CA is somebody else's.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Seconds to confirm it in; `None`: it is confirmed already.
    pub confirm_within: Option<u64>,
}

/// What a try came to.
#[derive(Debug)]
pub struct Tried {
    /// What was proven, and what was not.
    pub probes: Vec<Probe>,
    /// `None`: the stage is in force and proven; else why not.
    pub failure: Option<String>,
    /// What to do about the failure, where that is known.
    pub remedies: Vec<String>,
    /// The line of the server's log that shows it, safe to print.
    pub log: Vec<String>,
    /// Whether it was this run that took everything back after a failure; not where somebody else decided meanwhile.
    pub is_taken_back: bool,
    /// Seconds that are left to confirm it.
    pub confirm_within: Option<u64>,
    /// What should be known.
    pub notes: Vec<String>,
}

/// A file of the server that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Where it is on this machine.
    pub path: PathBuf,
    /// Whether there was one.
    pub is_new: bool,
    /// Permission bits: of a new file those that it gets, of one that is there its own.
    pub mode: u32,
    /// The difference, safe to show; of keys and certificates a description.
    pub diff: String,
}
