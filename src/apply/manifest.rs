//! What pgtls last wrote: by this an edit is told from a file that merely is due for a change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::BOOKS;
use super::error::{Error, Result};
use super::tree::{FileState, Tree};

/// Every file and directory that is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub files: BTreeMap<PathBuf, Entry>,
    /// Directories we made, which may go when they become empty.
    pub dirs: BTreeSet<PathBuf>,
}

/// One file as we left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
    /// How it may be shown.
    pub kind: Kind,
    /// The line that describes it; empty for text.
    pub description: String,
}

/// How a file may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Text,
    Public,
    Secret,
}

impl Manifest {
    pub fn path() -> PathBuf {
        Path::new(BOOKS).join("manifest")
    }

    /// Reads it back; also gives the file as it stands, which an undo restores.
    pub fn load(tree: &Tree) -> Result<(Self, Option<FileState>)> {
        let Some(state) = tree.read(&Self::path())? else {
            return Ok((Self::default(), None));
        };
        let manifest = serde_json::from_slice(&state.bytes).map_err(|_| Error::Damaged {
            path: tree.full(&Self::path()),
            why: "it does not read as what pgtls writes there",
            remedy: "remove it, and every file that differs from the plan counts as edited by you",
        })?;
        Ok((manifest, Some(state)))
    }

    /// As it goes to disk.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // A map of paths and strings always has a JSON form; paths of a plan are UTF-8, which `compare` checks.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        Zeroizing::new(bytes)
    }

    /// Whether this content is what we last wrote there.
    pub fn wrote(&self, path: &Path, bytes: &[u8]) -> bool {
        self.files
            .get(path)
            .is_some_and(|entry| entry.sha256 == sha256(bytes))
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
