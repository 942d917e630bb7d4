//! Writing a plan: one transaction, all or nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::compare::{Action, Change, Changes};
use super::error::{Error, Result};
use super::journal::{self, State};
use super::manifest::Manifest;
use super::project::Locked;
use super::record::{Dir, Item, Record};
use super::transaction::{self, KeptCopy, Prepared, Way};
use super::tree::{FileState, Tree};

/// How many writes can be taken back. Older ones are forgotten, and with them the keys they held.
pub const HISTORY: usize = 20;

/// What to do about files that somebody edited.
pub enum Policy<'a> {
    /// Ask about each.
    Ask(&'a mut dyn FnMut(&Change) -> Answer),
    /// Replace them and keep a copy. What `--yes` means.
    KeepCopy,
    /// Write nothing if there is one.
    Refuse,
}

/// The person's answer about one edited file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Replace or remove it; a copy is kept.
    Replace,
    /// Leave it as it is, this time. Not for certificates and keys: see [`Change::may_be_left`].
    Leave,
    /// Write nothing at all.
    Stop,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Every file of the plan, the kept ones too, then the removed ones.
    pub files: Vec<WrittenFile>,
    /// Copies of edits that were replaced.
    pub kept: Vec<KeptCopy>,
}

/// One file, and what was done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Relative to the project directory.
    pub path: PathBuf,
    /// What was done; an edited file that was left as it is counts as `Kept`.
    pub action: Action,
    /// Its permission bits now.
    pub mode: u32,
}

/// Writes the changes in one durable transaction: when this returns, everything is on disk, and when it fails
/// everything is as it was. Where nothing changes, nothing is touched.
pub fn write(project: &Locked, changes: Changes, mut policy: Policy<'_>) -> Result<Written> {
    let tree = project.writer()?;
    if let Policy::Refuse = policy {
        let edited: Vec<_> = changes
            .edited()
            .map(|change| project.dir().join(&change.path))
            .collect();
        if !edited.is_empty() {
            return Err(Error::Edited(edited));
        }
    }
    let mut left = BTreeSet::new();
    if let Policy::Ask(ask) = &mut policy {
        for change in changes.edited() {
            match ask(change) {
                Answer::Replace => {}
                Answer::Leave if change.may_be_left() => _ = left.insert(change.path.clone()),
                Answer::Leave => return Err(Error::CannotLeave(project.dir().join(&change.path))),
                Answer::Stop => return Err(Error::Stopped(project.dir().join(&change.path))),
            }
        }
    }
    let written = changes
        .files()
        .iter()
        .map(|change| {
            let (action, mode) = match change.old_mode {
                Some(mode) if left.contains(&change.path) => (Action::Kept, mode),
                _ => (change.action, change.mode),
            };
            WrittenFile {
                path: change.path.clone(),
                action,
                mode,
            }
        })
        .collect::<Vec<_>>();
    if written.iter().all(|file| file.action == Action::Kept) {
        return Ok(Written {
            files: written,
            kept: Vec::new(),
        });
    }
    let record = record(tree, changes, &left)?;
    let kept = run(tree, &record)?;
    Ok(Written { files: written, kept })
}

fn record(tree: &Tree, changes: Changes, left: &BTreeSet<PathBuf>) -> Result<Record> {
    let mut manifest = Manifest {
        files: changes.manifest.files.clone(),
        dirs: changes.manifest.dirs.clone(),
    };
    let manifest_before = changes.manifest_before.clone();
    let planned: BTreeSet<PathBuf> = changes
        .files()
        .iter()
        .filter(|c| c.action != Action::Removed)
        .map(|c| c.path.clone())
        .collect();
    if !changes.beside {
        let leaves = changes.leaves.clone();
        let stays = |path: &Path| leaves.iter().any(|directory| path.starts_with(directory));
        manifest
            .files
            .retain(|path, _| planned.contains(path) || stays(path));
    }
    let mut record = Record {
        by: changes.by.clone(),
        ..Record::default()
    };
    for change in changes.into_files() {
        if left.contains(&change.path) {
            continue;
        }
        if tree.read(&change.path)? != change.before {
            return Err(Error::ChangedMeanwhile(tree.full(&change.path)));
        }
        if let Some(entry) = change.entry {
            manifest.files.insert(change.path.clone(), entry);
        }
        if change.action != Action::Kept {
            let Change {
                path,
                before,
                after,
                edited,
                ..
            } = change;
            record.items.push(Item {
                path,
                before,
                after,
                edited,
            });
        }
    }
    record.dirs = directories(tree, &record.items, &planned, &mut manifest)?;
    // Last, so that it never speaks of files that are not there yet.
    let after = FileState {
        mode: 0o600,
        owner: None,
        bytes: manifest.to_bytes(),
    };
    record.items.push(Item {
        path: Manifest::path(),
        before: manifest_before,
        after: Some(after),
        edited: false,
    });
    Ok(record)
}

/// The directories to make for new files, and those of ours to remove with their last file.
fn directories(
    tree: &Tree,
    items: &[Item],
    planned: &BTreeSet<PathBuf>,
    manifest: &mut Manifest,
) -> Result<Vec<Dir>> {
    let above = |path: &Path| -> Vec<PathBuf> {
        path.ancestors()
            .skip(1)
            .filter(|dir| !dir.as_os_str().is_empty())
            .map(Path::to_path_buf)
            .collect()
    };
    let needed: BTreeSet<PathBuf> = planned.iter().flat_map(|path| above(path)).collect();
    let mut dirs = Vec::new();
    for path in &needed {
        if tree.dir_state(path)?.is_none() {
            manifest.dirs.insert(path.clone());
            dirs.push(Dir {
                path: path.clone(),
                removed: None,
            });
        }
    }
    let emptied: BTreeSet<PathBuf> = items
        .iter()
        .filter(|item| item.after.is_none())
        .flat_map(|item| above(&item.path))
        .collect();
    for path in emptied {
        if needed.contains(&path) || !manifest.dirs.contains(&path) {
            continue;
        }
        if let Some(state) = tree.dir_state(&path)? {
            manifest.dirs.remove(&path);
            dirs.push(Dir {
                path,
                removed: Some(state),
            });
        }
    }
    Ok(dirs)
}

fn run(tree: &Tree, record: &Record) -> Result<Vec<KeptCopy>> {
    let mut prepared = Prepared::default();
    let committed = transaction::prepare(tree, record, Way::Forward, &mut prepared)
        .and_then(|()| journal::commit(tree, record));
    let entry = match committed {
        Ok(entry) => entry,
        Err(error) => {
            // What stays in staging is cleared by the next run.
            let _ = transaction::discard(tree, &prepared);
            return Err(Error::nothing_changed(error));
        }
    };
    let finished = transaction::execute(tree, &prepared).and_then(|()| {
        let done = journal::turn(tree, entry, State::Done).and_then(|_| journal::sync(tree));
        done.map_err(|error| (error, false))
    });
    if let Err((error, exact)) = finished {
        return Err(give_up(tree, record, &prepared, error, exact));
    }
    // From here on the write holds, whatever else fails; the next run tidies up.
    let _ = journal::prune(tree, HISTORY);
    let _ = transaction::clear_staging(tree);
    Ok(prepared.kept)
}

/// Takes a write back that failed after it was final.
fn give_up(tree: &Tree, record: &Record, prepared: &Prepared, error: Error, exact: bool) -> Error {
    let back = || {
        let number = journal::unfinished(tree)?.or(journal::entries(tree)?.last().copied());
        let undo = number
            .map(|entry| journal::turn(tree, entry, State::Undo))
            .transpose()?;
        if exact {
            transaction::discard(tree, prepared)?;
        } else {
            transaction::settle(tree, record, Way::Back)?;
            transaction::clear_staging(tree)?;
        }
        undo.map_or(Ok(()), |entry| journal::forget(tree, entry))
    };
    match back() {
        Ok(()) => Error::nothing_changed(error),
        Err(second) => Error::unfinished(tree, error, second),
    }
}
