//! Taking back the last write: content, mode, owner and absence, exactly.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::BOOKS;
use super::error::{Error, Result};
use super::journal::{self, Entry, State};
use super::live::can_replace;
use super::project::Locked;
use super::record::Record;
use super::switch;
use super::transaction::{self, KeptCopy, Prepared, Way};
use super::tree::Tree;

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The files that the write had touched.
    pub files: Vec<UndoneFile>,
    /// Copies of what somebody made of them since.
    pub kept: Vec<KeptCopy>,
}

/// One file that the write had touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoneFile {
    /// Relative to the project directory; absolute for a file elsewhere.
    pub path: PathBuf,
    /// Whether there is a file now: `false` where there was none before the write.
    pub exists: bool,
}

/// A file, and what was in it; `None`: it was not there.
pub type Before = (PathBuf, Option<Zeroizing<Vec<u8>>>);

/// The last write, as an undo would take it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWrite {
    /// What wrote it: a command, or a stage of one.
    pub by: Option<String>,
    /// Its files, and whether each will be there afterwards.
    pub files: Vec<UndoneFile>,
}

/// The number of the last write in the journal; 0 where there is none. Later writes have higher ones, and a number is
/// given again only when its write was taken back.
pub fn last_number(project: &Locked) -> Result<u64> {
    Ok(journal::entries(project.writer()?)?
        .last()
        .map_or(0, |last| last.number))
}

/// How many writes there are that can be taken back.
pub fn writes(project: &Locked) -> Result<usize> {
    Ok(journal::entries(project.writer()?)?.len())
}

/// The last write (`before` 0), or one before it; `None` where there is none. Nothing is changed.
pub fn last_write(project: &Locked, before: usize) -> Result<Option<LastWrite>> {
    let tree = project.writer()?;
    let Some(entry) = journal::entries(tree)?.into_iter().rev().nth(before) else {
        return Ok(None);
    };
    Ok(journal::load(tree, entry)?.map(|record| LastWrite {
        files: files(&record),
        by: record.by,
    }))
}

/// The files of the last write, with what was in each before: what an undo brings back. Nothing is changed.
pub fn before_last(project: &Locked) -> Result<Vec<Before>> {
    let tree = project.writer()?;
    let last = journal::entries(tree)?.last().copied();
    let record = match last {
        Some(last) => journal::load(tree, last)?.unwrap_or_default(),
        None => Record::default(),
    };
    let paths = files(&record).into_iter().map(|file| file.path);
    let items = record.items.into_iter();
    let before = items
        .filter(|item| !item.path.starts_with(BOOKS))
        .map(|item| item.before.map(|state| state.bytes));
    Ok(paths.zip(before).collect())
}

fn files(record: &Record) -> Vec<UndoneFile> {
    record
        .items
        .iter()
        .filter(|item| !item.path.starts_with(BOOKS))
        .map(|item| UndoneFile {
            path: match &record.elsewhere {
                Some(_) => Path::new("/").join(&item.path),
                None => item.path.clone(),
            },
            exists: item.before.is_some(),
        })
        .collect()
}

/// Restores what was there before the last write, in one durable transaction. Again: the write before that.
pub fn undo(project: &Locked) -> Result<Undone> {
    let tree = project.writer()?;
    let entries = journal::entries(tree)?;
    let Some(&last) = entries.last() else {
        return Err(Error::NothingToUndo(project.dir().to_path_buf()));
    };
    let record =
        journal::load(tree, last)?.ok_or_else(|| Error::NothingToUndo(project.dir().to_path_buf()))?;
    let kept = match &record.elsewhere {
        Some(_) => elsewhere(tree, last, &record)?,
        None => run(tree, last, &record)?,
    };
    Ok(Undone {
        files: files(&record),
        kept,
    })
}

/// Files elsewhere go back all at one instant.
fn elsewhere(tree: &Tree, entry: Entry, record: &Record) -> Result<Vec<KeptCopy>> {
    let root = switch::root()?;
    for item in &record.items {
        can_replace(&root.full(&item.path))?;
    }
    let undo = journal::turn(tree, entry, State::Undo)?;
    journal::sync(tree)?;
    let kept = switch::bring(tree, &root, record, Way::Back).map_err(|error| {
        // As it was, where that is still possible; else the next run goes on going back.
        let stayed = switch::bring(tree, &root, record, Way::Forward)
            .and_then(|_| journal::turn(tree, undo, State::Done));
        match stayed {
            Ok(_) => Error::nothing_changed(error),
            Err(second) => Error::unfinished(tree, error, second),
        }
    })?;
    journal::forget(tree, undo)?;
    Ok(kept)
}

fn run(tree: &Tree, entry: Entry, record: &Record) -> Result<Vec<KeptCopy>> {
    let mut prepared = Prepared::default();
    let committed = transaction::prepare(tree, record, Way::Back, &mut prepared)
        .and_then(|()| journal::turn(tree, entry, State::Undo))
        .and_then(|entry| journal::sync(tree).map(|()| entry));
    let undo = match committed {
        Ok(undo) => undo,
        Err(error) => return Err(stay(tree, entry, &prepared, error)),
    };
    match transaction::execute(tree, &prepared) {
        Ok(()) => {}
        Err((error, true)) => return Err(stay(tree, entry, &prepared, error)),
        // Half of it is done and marked as such: finish it now, or let the next run.
        Err((error, false)) => {
            let settled = transaction::settle(tree, record, Way::Back);
            settled.map_err(|second| Error::unfinished(tree, error, second))?;
        }
    }
    let forgotten = journal::forget(tree, undo);
    let _ = transaction::clear_staging(tree);
    forgotten?;
    Ok(prepared.kept)
}

/// Calls an undo off before it has changed anything.
fn stay(tree: &Tree, entry: Entry, prepared: &Prepared, error: Error) -> Error {
    let undo = Entry {
        state: State::Undo,
        ..entry
    };
    let marked = journal::unfinished(tree).map(|found| found == Some(undo));
    let back = marked.and_then(|marked| {
        if marked {
            journal::turn(tree, undo, State::Done)?;
        }
        transaction::discard(tree, prepared)
    });
    match back {
        Ok(()) => Error::nothing_changed(error),
        Err(second) => Error::unfinished(tree, error, second),
    }
}
