//! The records in `.pgtls/journal`; a record's state is its name, and changes by one rename.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::BOOKS;
use super::error::{Error, Result};
use super::record::{Record, Unreadable};
use super::tree::{FileState, Tree};

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A write is under way.
    Commit,
    /// The write is finished.
    Done,
    /// Taking it back is under way.
    Undo,
}

impl State {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Done => "done",
            Self::Undo => "undo",
        }
    }
}

/// One record's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub number: u64,
    pub state: State,
}

impl Entry {
    pub fn path(self) -> PathBuf {
        directory().join(format!("{:06}.{}", self.number, self.state.suffix()))
    }

    fn parse(name: &str) -> Option<Self> {
        let (number, suffix) = name.split_once('.')?;
        let state = [State::Commit, State::Done, State::Undo]
            .into_iter()
            .find(|state| state.suffix() == suffix)?;
        Some(Self {
            number: number.parse().ok()?,
            state,
        })
    }
}

pub(super) fn directory() -> PathBuf {
    Path::new(BOOKS).join("journal")
}

/// All records, oldest first.
pub(super) fn entries(tree: &Tree) -> Result<Vec<Entry>> {
    let mut entries: Vec<_> = tree
        .names(&directory())?
        .iter()
        .filter_map(|name| Entry::parse(name.to_str()?))
        .collect();
    entries.sort_by_key(|entry| entry.number);
    Ok(entries)
}

/// The record that a killed run left, if any.
pub(super) fn unfinished(tree: &Tree) -> Result<Option<Entry>> {
    Ok(entries(tree)?
        .into_iter()
        .find(|entry| entry.state != State::Done))
}

/// Reads a record; `None` if it was never written to its end.
pub(super) fn load(tree: &Tree, entry: Entry) -> Result<Option<Record>> {
    let path = entry.path();
    let Some(file) = tree.read_record(&path)? else {
        return Ok(None);
    };
    match Record::decode(&file.bytes) {
        Ok(record) => Ok(Some(record)),
        Err(Unreadable::Torn) if entry.state == State::Commit => Ok(None),
        Err(Unreadable::Torn) => Err(Error::Damaged {
            path: tree.full(&path),
            why: "its digest does not fit its content",
            remedy: "what it recorded cannot be taken back; remove it to go on",
        }),
        Err(Unreadable::Unknown) => Err(Error::Damaged {
            path: tree.full(&path),
            why: "its form is not known to this version",
            remedy: "another version of pgtls wrote it; use that one",
        }),
    }
}

/// How many writes this process made that are there still.
static WRITES: AtomicUsize = AtomicUsize::new(0);

/// Whether something that this process wrote is there still, and can be taken back.
#[must_use]
pub fn has_written() -> bool {
    WRITES.load(Ordering::Relaxed) > 0
}

/// Makes a write final: from here on it can be finished whatever happens.
pub(super) fn commit(tree: &Tree, record: &Record) -> Result<Entry> {
    let number = entries(tree)?.last().map_or(0, |last| last.number) + 1;
    let entry = Entry {
        number,
        state: State::Commit,
    };
    let path = entry.path();
    let file = FileState {
        mode: 0o600,
        owner: None,
        bytes: record.encode(),
    };
    tree.make_dir(&directory(), 0o700)?;
    let written = tree.create(&path, &file).and_then(|()| {
        let directory = directory();
        tree.sync(&[&path, &directory, Path::new(BOOKS), Path::new("")])
    });
    match written {
        Ok(()) => {
            WRITES.fetch_add(1, Ordering::Relaxed);
            Ok(entry)
        }
        Err(error) => {
            // A record that is whole would be finished by the next run.
            match tree
                .remove(&path)
                .and_then(|()| tree.remove_dir_if_empty(&directory()))
            {
                Ok(_) => Err(error),
                Err(second) => Err(Error::unfinished(tree, error, second)),
            }
        }
    }
}

/// Changes a record's state.
pub(super) fn turn(tree: &Tree, entry: Entry, state: State) -> Result<Entry> {
    let turned = Entry { state, ..entry };
    tree.rename(&entry.path(), &turned.path())?;
    Ok(turned)
}

/// Makes changed states durable.
pub(super) fn sync(tree: &Tree) -> Result<()> {
    tree.sync(&[&directory()])
}

/// Forgets a record, and the directory with the last one.
pub(super) fn forget(tree: &Tree, entry: Entry) -> Result<()> {
    tree.remove(&entry.path())?;
    let _ = WRITES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |writes| {
        writes.checked_sub(1)
    });
    sync(tree)?;
    tree.remove_dir_if_empty(&directory()).map(|_| ())
}

/// Forgets the oldest finished writes beyond `keep`.
pub(super) fn prune(tree: &Tree, keep: usize) -> Result<()> {
    let done: Vec<_> = entries(tree)?
        .into_iter()
        .filter(|entry| entry.state == State::Done)
        .collect();
    for entry in done.iter().take(done.len().saturating_sub(keep)) {
        tree.remove(&entry.path())?;
    }
    Ok(())
}
