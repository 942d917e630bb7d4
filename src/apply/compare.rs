//! What a plan would change on disk, and how to show it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use similar::Algorithm;

use super::BOOKS;
use super::error::{Error, Result};
use super::manifest::{Entry, Kind, Manifest, sha256};
use super::project::Project;
use super::show::line;
use super::tree::FileState;
use crate::plan::{Artifact, Content};

/// Text larger than this is not compared line by line.
const LONGEST_DIFF: usize = 256 << 10;

/// What happens to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is not there yet.
    New,
    /// Its content changes.
    Changed,
    /// Only its permission bits change.
    Mode,
    /// It is as planned.
    Kept,
    /// We wrote it once and it is no longer planned.
    Removed,
}

impl Action {
    /// In one word, which scripts see too.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Mode => "mode",
            Self::Kept => "kept",
            Self::Removed => "removed",
        }
    }
}

/// One file of the plan, or one that the plan no longer has, against the disk.
pub struct Change {
    /// Relative to the project directory.
    pub path: PathBuf,
    /// What happens to it.
    pub action: Action,
    /// What is there is not what pgtls last wrote: a question, not just a change. Never set for `New` and `Kept`.
    pub edited: bool,
    /// Permission bits it will have; for `Removed` those it has.
    pub mode: u32,
    /// Permission bits it has, where it is there.
    pub old_mode: Option<u32>,
    pub(super) before: Option<FileState>,
    pub(super) after: Option<FileState>,
    pub(super) entry: Option<Entry>,
    kind: Kind,
    old: String,
    new: String,
}

/// All of a plan against the disk, in the plan's order, then what the plan no longer has.
pub struct Changes {
    files: Vec<Change>,
    pub(super) manifest: Manifest,
    pub(super) manifest_before: Option<FileState>,
    /// Whether files of ours that are not among `files` stay ours.
    pub(super) beside: bool,
    /// Directories whose files stay ours, and there, though the plan has them no more.
    pub(super) leaves: Vec<PathBuf>,
    /// What writes them.
    pub(super) by: Option<String>,
}

impl Changes {
    /// Every file, the kept ones too.
    #[must_use]
    pub fn files(&self) -> &[Change] {
        &self.files
    }

    pub(super) fn into_files(self) -> Vec<Change> {
        self.files
    }

    /// Leaves what is in a directory and not planned.
    #[must_use]
    pub fn leaving(mut self, directory: &str) -> Self {
        self.files
            .retain(|change| change.action != Action::Removed || !change.path.starts_with(directory));
        self.leaves.push(PathBuf::from(directory));
        self
    }

    /// Says what writes them, for whoever takes it back: a command, or a stage of one.
    #[must_use]
    pub fn by(self, what: &str) -> Self {
        Self {
            by: Some(what.to_owned()),
            ..self
        }
    }

    /// Whether the disk is as planned already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|file| file.action == Action::Kept)
    }

    /// The files that somebody edited and that would be replaced or removed.
    pub fn edited(&self) -> impl Iterator<Item = &Change> {
        self.files.iter().filter(|file| file.edited)
    }
}

impl Change {
    /// Whether what is in it must never be shown; [`Change::diff`] does not.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Whether it may stay as it is while the rest is written: text may; certificates and keys must fit each other.
    #[must_use]
    pub fn may_be_left(&self) -> bool {
        self.kind == Kind::Text
    }

    /// The change as a unified diff, headed by the names and modes; certificates, keys and passwords show as one
    /// line that describes them. Safe to print: escaped and bounded. Empty for a kept file.
    #[must_use]
    pub fn diff(&self) -> String {
        if self.action == Action::Kept {
            return String::new();
        }
        let name = line(self.path.as_os_str().as_encoded_bytes());
        let mut out = String::new();
        match self.old_mode {
            Some(mode) => _ = writeln!(out, "--- {name} ({mode:04o})"),
            None => out.push_str("--- /dev/null\n"),
        }
        match self.action {
            Action::Removed => out.push_str("+++ /dev/null\n"),
            _ => _ = writeln!(out, "+++ {name} ({:04o})", self.mode),
        }
        if self.action == Action::Mode {
            return out;
        }
        if self.kind == Kind::Text {
            self.text_diff(&mut out);
        } else {
            for (sign, text) in [('-', &self.old), ('+', &self.new)] {
                if !text.is_empty() {
                    _ = writeln!(out, "{sign}{}", line(text.as_bytes()));
                }
            }
        }
        out
    }

    fn text_diff(&self, out: &mut String) {
        let bytes = |state: &Option<FileState>| state.as_ref().map_or(&[][..], |s| &s.bytes[..]).to_vec();
        let (old, new) = (bytes(&self.before), bytes(&self.after));
        if old.len() > LONGEST_DIFF || new.len() > LONGEST_DIFF {
            _ = writeln!(
                out,
                "-({} bytes, too many to show)\n+({} bytes)",
                old.len(),
                new.len()
            );
            return;
        }
        let lines = |text| <[u8]>::split_inclusive(text, |&byte| byte == b'\n').collect::<Vec<_>>();
        let (old, new) = (lines(&old), lines(&new));
        let ops = similar::capture_diff_slices(Algorithm::Myers, &old, &new);
        for group in similar::group_diff_ops(ops, 3) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else {
                continue;
            };
            let span = |from: usize, to: usize| match to - from {
                0 => format!("{from},0"),
                1 => format!("{}", from + 1),
                n => format!("{},{n}", from + 1),
            };
            let from = span(first.old_range().start, last.old_range().end);
            let to = span(first.new_range().start, last.new_range().end);
            _ = writeln!(out, "@@ -{from} +{to} @@");
            for change in group.iter().flat_map(|op| op.iter_changes(&old, &new)) {
                let text: &[u8] = change.value();
                let ended = text.strip_suffix(b"\n");
                let text = ended.unwrap_or(text);
                // A line feed with a carriage return before it is a change worth seeing: shown escaped.
                _ = writeln!(out, "{}{}", change.tag(), line(text));
                if ended.is_none() {
                    out.push_str("\\ No newline at end of file\n");
                }
            }
        }
    }
}

/// Compares files that come beside what pgtls wrote before: whatever else is ours is left as it is. Reads only.
pub fn compare_beside(project: &Project, files: &[Artifact]) -> Result<Changes> {
    let mut changes = compare(project, files)?;
    changes.files.retain(|change| change.action != Action::Removed);
    changes.beside = true;
    Ok(changes)
}

/// Compares a plan with the disk: a file of ours that it no longer has is to be removed. Reads only.
pub fn compare(project: &Project, plan: &[Artifact]) -> Result<Changes> {
    check(plan)?;
    let (manifest, manifest_before) = match project.tree() {
        Some(tree) => Manifest::load(tree)?,
        None => (Manifest::default(), None),
    };
    let mut files = Vec::with_capacity(plan.len());
    for artifact in plan {
        let before = project
            .tree()
            .map(|tree| tree.read(&artifact.path))
            .transpose()?
            .flatten();
        files.push(planned(artifact, before, &manifest));
    }
    let planned: BTreeSet<&Path> = plan.iter().map(|artifact| artifact.path.as_path()).collect();
    for (path, entry) in &manifest.files {
        if planned.contains(path.as_path()) {
            continue;
        }
        let Some(tree) = project.tree() else { continue };
        // What has become something else than a file, or is gone, is no longer ours.
        let Ok(Some(before)) = tree.read(path) else {
            continue;
        };
        files.push(removed(path, entry, before));
    }
    Ok(Changes {
        files,
        manifest,
        manifest_before,
        beside: false,
        leaves: Vec::new(),
        by: None,
    })
}

fn planned(artifact: &Artifact, before: Option<FileState>, manifest: &Manifest) -> Change {
    let path = artifact.path.clone();
    let bytes = artifact.content.bytes();
    let last = manifest.files.get(&path);
    let (mut kind, new) = match &artifact.content {
        Content::Text(_) => (Kind::Text, String::new()),
        Content::Public { description, .. } => (Kind::Public, description.clone()),
        Content::Secret { description, .. } => (Kind::Secret, description.clone()),
    };
    let entry = Entry {
        sha256: sha256(&bytes),
        mode: artifact.mode,
        kind,
        description: new.clone(),
    };
    let Some(before) = before else {
        let after = FileState {
            mode: artifact.mode,
            owner: None,
            bytes,
        };
        return Change {
            path,
            action: Action::New,
            edited: false,
            mode: artifact.mode,
            old_mode: None,
            before: None,
            after: Some(after),
            entry: Some(entry),
            kind,
            old: String::new(),
            new,
        };
    };
    let mode = wanted_mode(artifact.mode, before.mode, last);
    let action = match (before.bytes == bytes, before.mode == mode) {
        (true, true) => Action::Kept,
        (true, false) => Action::Mode,
        (false, _) => Action::Changed,
    };
    let edited = action == Action::Changed && !manifest.wrote(&path, &before.bytes);
    if kind == Kind::Text && (last.is_some_and(|last| last.kind == Kind::Secret) || holds_key(&before.bytes))
    {
        kind = Kind::Secret;
    }
    let old = describe(&path, &before, manifest, kind);
    let new = if new.is_empty() {
        format!("text, {} bytes", bytes.len())
    } else {
        new
    };
    Change {
        path,
        action,
        edited,
        mode,
        old_mode: Some(before.mode),
        // Who owned it keeps it: a key given to the server's account must not become root's by a renewal.
        after: Some(FileState {
            mode,
            owner: before.owner,
            bytes,
        }),
        before: Some(before),
        entry: Some(entry),
        kind,
        old,
        new,
    }
}

fn removed(path: &Path, entry: &Entry, before: FileState) -> Change {
    let edited = entry.sha256 != sha256(&before.bytes);
    let old = if edited {
        stranger(&before, entry.kind)
    } else {
        entry.description.clone()
    };
    let kind = if holds_key(&before.bytes) {
        Kind::Secret
    } else {
        entry.kind
    };
    Change {
        path: path.to_path_buf(),
        action: Action::Removed,
        edited,
        mode: before.mode,
        old_mode: Some(before.mode),
        before: Some(before),
        after: None,
        entry: None,
        kind,
        old,
        new: String::new(),
    }
}

/// The planned mode, unless the person tightened it since: access is never widened behind their back.
fn wanted_mode(planned: u32, disk: u32, last: Option<&Entry>) -> u32 {
    let tightened = disk & !planned == 0 && disk & 0o400 != 0 && last.is_none_or(|last| last.mode != disk);
    if tightened { disk } else { planned }
}

fn describe(path: &Path, state: &FileState, manifest: &Manifest, kind: Kind) -> String {
    match manifest.files.get(path) {
        Some(entry) if manifest.wrote(path, &state.bytes) && !entry.description.is_empty() => {
            entry.description.clone()
        }
        _ => stranger(state, kind),
    }
}

/// A file that we did not write. The digest of a password could be searched for, so a secret shows its size only.
fn stranger(state: &FileState, kind: Kind) -> String {
    let len = state.bytes.len();
    match kind {
        Kind::Secret => format!("a file that pgtls did not write, {len} bytes"),
        _ => format!(
            "a file that pgtls did not write, {len} bytes, SHA-256 {}",
            sha256(&state.bytes)
        ),
    }
}

fn holds_key(bytes: &[u8]) -> bool {
    let label = b"PRIVATE KEY-----";
    bytes.windows(label.len()).any(|window| window == label)
}

/// A plan must stay below the directory, out of our books, and not use one path twice or as file and directory.
fn check(plan: &[Artifact]) -> Result<()> {
    let unsound = |path: &Path, why| {
        Err(Error::UnsoundPlan {
            path: path.to_path_buf(),
            why,
        })
    };
    let mut files = BTreeSet::new();
    for Artifact { path, mode, .. } in plan {
        if path.as_os_str().is_empty() || !path.components().all(|c| matches!(c, Component::Normal(_))) {
            return unsound(path, "it is not below the project directory");
        }
        if path.starts_with(BOOKS) {
            return unsound(path, "pgtls's own books are there");
        }
        if path.to_str().is_none() {
            return unsound(path, "it is not UTF-8");
        }
        if mode & !0o777 != 0 || mode & 0o600 != 0o600 {
            return unsound(
                path,
                "its owner could not read and write it, or its mode has special bits",
            );
        }
        if !files.insert(path.as_path()) {
            return unsound(path, "it is there twice");
        }
    }
    for path in &files {
        if let Some(parent) = path.ancestors().skip(1).find(|parent| files.contains(parent)) {
            return unsound(parent, "it is a file and a directory");
        }
    }
    Ok(())
}
