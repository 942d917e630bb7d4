//! What is written down about a change of a server's files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::file::State;
use crate::apply::manifest::sha256;

/// One file of a server, as it is and as it shall be.
#[derive(Clone)]
pub struct LiveChange {
    /// Where: absolute, no link in its last component.
    pub path: PathBuf,
    /// What was read when the change was worked out; `None`: there was no file.
    pub before: Option<Zeroizing<Vec<u8>>>,
    /// What shall be there; `None`: no file.
    pub after: Option<Wanted>,
}

/// A file as it shall be.
#[derive(Clone)]
pub struct Wanted {
    /// What is in it.
    pub content: Zeroizing<Vec<u8>>,
    /// Permission bits of a new file; one that is there keeps its own.
    pub mode: u32,
    /// User and group of a new file; one that is there keeps its own.
    pub owner: Option<(u32, u32)>,
}

impl std::fmt::Debug for LiveChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveChange")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A change, written down before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is, in a word: the stage.
    pub name: String,
    /// Tells this change from every other: numbers are given again.
    #[serde(default)]
    pub(super) mark: String,
    /// The data directory of the server, whose `postmaster.pid` names the process that reads the files.
    pub data: PathBuf,
    /// Until when it may be confirmed; `None`: the run that made it decides.
    pub until: Option<Moment>,
    /// The last write in the project's journal before this change: a later one is undone first.
    #[serde(default)]
    pub journal: u64,
    /// Whether that write is a part of this change: what a stage puts into the kit.
    #[serde(default)]
    pub with_previous: bool,
    /// How the server was reached, so that it can be again.
    #[serde(default)]
    pub way: Option<WayIn>,
    /// The number of the change that this one takes back.
    #[serde(default)]
    pub undoes: Option<u32>,
    /// What is changed over SQL; no file is then.
    #[serde(default)]
    pub alteration: Option<Alteration>,
    /// How it was proven, where somebody is to keep it later.
    #[serde(default)]
    pub witness: Option<Witness>,
    pub(super) files: Vec<Item>,
}

/// How a change was proven, so that whoever keeps it looks again: nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// How the server was dialled for the proof.
    pub conninfo: String,
    /// How the admin logged in.
    pub admin: String,
    /// Which server that is.
    pub server: String,
    /// How long one question may take, milliseconds.
    pub timeout: u64,
    /// SHA-256 of the certificate that was put in force.
    pub leaf: Option<String>,
    /// Whether TLS 1.2 was turned away.
    pub only_tls13: bool,
}

/// How a server was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayIn {
    /// The admin's connection string, without a password.
    pub conninfo: String,
    /// The directory of the server's files on this machine; `None`: they were out of reach.
    pub config_dir: Option<PathBuf>,
}

/// Settings of a server whose files are out of reach, changed with `ALTER SYSTEM`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alteration {
    /// How the server is reached; without a password.
    pub conninfo: String,
    /// Which server that is: no other is changed by whoever comes back with the same words.
    pub server: String,
    /// How long one question may take, milliseconds.
    pub timeout: u64,
    /// In the order in which they are set: a server that is started in between takes any beginning of it.
    pub settings: Vec<AutoSetting>,
}

/// What `postgresql.auto.conf` says of a setting; `None`: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoSetting {
    /// Its name.
    pub name: String,
    /// Before the change.
    pub before: Option<String>,
    /// After it.
    pub after: Option<String>,
}

impl Alteration {
    /// The change that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let settings = self.settings.iter().rev().map(|setting| AutoSetting {
            name: setting.name.clone(),
            before: setting.after.clone(),
            after: setting.before.clone(),
        });
        Self {
            settings: settings.collect(),
            ..self.clone()
        }
    }
}

/// A moment on a clock that nobody sets: seconds since this machine was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Which start of the machine.
    pub boot: String,
    /// Seconds since then.
    pub at: u64,
}

/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub path: PathBuf,
    /// The second name of the old file, beside it.
    pub saved: PathBuf,
    /// The new file before it is put in place, beside it.
    pub staged: PathBuf,
    pub before: Option<Side>,
    pub after: Option<Side>,
}

/// A file on one side of the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Side {
    pub sha256: String,
    pub mode: u32,
    pub owner: Option<(u32, u32)>,
}

impl Record {
    /// The files that are changed.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|item| item.path.as_path())
    }
}

impl Side {
    pub fn of(state: &State) -> Self {
        Self {
            sha256: sha256(&state.bytes),
            mode: state.mode,
            owner: Some(state.owner),
        }
    }

    pub fn is(&self, bytes: &[u8]) -> bool {
        self.sha256 == sha256(bytes)
    }
}

impl Moment {
    /// That many seconds from now, and never less: the clock counts whole ones. `None` where this system has no such clock.
    #[must_use]
    pub fn after(seconds: u64) -> Option<Self> {
        let now = Self::now()?;
        Some(Self {
            at: now
                .at
                .saturating_add(seconds)
                .saturating_add(u64::from(seconds > 0)),
            ..now
        })
    }

    /// Whether it is over. A machine that was started again since has forgotten it, and a clock that cannot be read
    /// does not make a try last.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Self::now().is_none_or(|now| now.boot != self.boot || now.at >= self.at)
    }

    /// Whole seconds that are left, at least.
    #[must_use]
    pub fn left(&self) -> u64 {
        Self::now()
            .filter(|now| now.boot == self.boot)
            .map_or(0, |now| self.at.saturating_sub(now.at.saturating_add(1)))
    }

    fn now() -> Option<Self> {
        let read = |path| std::fs::read_to_string(path).ok();
        // `CLOCK_BOOTTIME` (proc(5)): it goes on while the machine sleeps, and `date` does not move it.
        let uptime = read("/proc/uptime")?;
        let at = uptime.split(['.', ' ']).next()?.parse().ok()?;
        let boot = read("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Some(Self { boot, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_over_when_it_has_passed_or_the_machine_was_started_again() {
        let soon = Moment::after(600).unwrap();
        assert!(!soon.is_over() && (500..=600).contains(&soon.left()));
        assert!(Moment::after(0).unwrap().is_over());
        let before = Moment {
            boot: "another start".to_owned(),
            ..soon
        };
        assert!(before.is_over() && before.left() == 0);
    }
}
