//! Deciding over a change afterwards: keep it, take it back, undo the last one.

use std::path::{Path, PathBuf};

use crate::apply::live::{Live, Record, copy_aside};
use crate::apply::{Project, last_elsewhere};
use crate::engine::{Error, Teller, prepare};
use crate::server;

/// What an undo of a stage came to.
#[derive(Debug)]
pub struct Undone {
    /// The stage.
    pub stage: String,
    /// The files that are as they were.
    pub files: Vec<PathBuf>,
    /// Copies of what somebody had made of them since.
    pub kept: Vec<PathBuf>,
    /// Whether the server was told to read them.
    pub reloaded: bool,
    /// How many stages can still be undone.
    pub remaining: usize,
}

/// Keeps what a try has put in force. An error if it is too late, or if there is nothing to confirm.
pub fn confirm(dir: &Path) -> Result<Record, Error> {
    let dir = prepare::absolute(dir);
    // A run that is still proving decides for itself.
    let _alone = Project::open(&dir)?;
    let live = Live::of(&dir);
    let Some(trial) = live.unfinished()? else {
        return Err(match live.last_taken_back()? {
            Some(record) => too_late(&record),
            None => Error::TooLate {
                what: "there is nothing to confirm here".to_owned(),
            },
        });
    };
    let record = trial.record().clone();
    let in_time = record.until.as_ref().is_some_and(|until| !until.is_over());
    if !in_time {
        trial.go_back(|| _ = server::reload(&record.data))?;
    }
    if !in_time || !trial.keep()? {
        return Err(too_late(&record));
    }
    Ok(record)
}

fn too_late(record: &Record) -> Error {
    Error::TooLate {
        what: format!(
            "it is too late: the stage {} has been taken back",
            crate::pki::printable(&record.name)
        ),
    }
}

/// Puts in order what a killed run left: a try that nobody watches any more is taken back; one that waits to be confirmed
/// is in the way.
pub fn settle(dir: &Path, tell: &Teller) -> Result<(), Error> {
    let dir = prepare::absolute(dir);
    if !dir.exists() {
        return Ok(());
    }
    let _alone = Project::open(&dir)?;
    let live = Live::of(&dir);
    live.tidy()?;
    let Some(trial) = live.unfinished()? else {
        return Ok(());
    };
    let record = trial.record();
    if let Some(until) = record.until.as_ref().filter(|until| !until.is_over()) {
        return Err(Error::DoesNotFit {
            what: format!(
                "the stage {} waits to be confirmed, {} seconds are left",
                crate::pki::printable(&record.name),
                until.left()
            ),
            remedy: "`pgtls harden --confirm` keeps it, `pgtls undo` takes it back".to_owned(),
        });
    }
    if trial.go_back(|| _ = server::reload(&record.data))?.is_some() {
        tell.notice(format!(
            "an earlier run ended in the middle of the stage {}: the server's files are as they were before it",
            crate::pki::printable(&record.name)
        ));
    }
    Ok(())
}

/// Takes the last stage back, reload included: the one that waits to be confirmed, else the last that was kept. `None`
/// where there is none, or where something later in the project's own journal is to be undone first.
pub fn undo_stage(dir: &Path, tell: &Teller) -> Result<Option<Undone>, Error> {
    let dir = prepare::absolute(dir);
    let live = Live::of(&dir);
    if live.unfinished()?.is_none() && live.last()?.is_none() {
        return Ok(None);
    }
    let project = Project::open(&dir)?;
    live.tidy()?;
    if let Some(trial) = live.unfinished()? {
        let record = trial.record().clone();
        let mut reloaded = false;
        if let Some(taken) = trial.go_back(|| reloaded = server::reload(&record.data))? {
            return Ok(Some(Undone {
                stage: record.name,
                files: taken.files,
                kept: taken.kept,
                reloaded,
                remaining: live.kept()?.len(),
            }));
        }
    }
    let Some(last) = live.last()? else { return Ok(None) };
    let record = last.record().clone();
    if last_elsewhere(&project)? > record.journal {
        return Ok(None);
    }
    let (changes, edited) = last.inverse()?;
    let mut kept = Vec::new();
    for path in edited {
        let copy = copy_aside(&path)?;
        tell.notice(format!(
            "{} was edited since: a copy of it is {}",
            path.display(),
            copy.display()
        ));
        kept.push(copy);
    }
    let name = format!("undo of {}", record.name);
    let undo = live.begin(&project, &name, &record.data, &changes, Some(last.number()))?;
    let written = undo.stage(&changes).and_then(|()| undo.place());
    if let Err(error) = written {
        undo.go_back(|| ())?;
        return Err(error.into());
    }
    let reloaded = server::reload(&record.data);
    undo.keep()?;
    Ok(Some(Undone {
        stage: record.name,
        files: changes.into_iter().map(|change| change.path).collect(),
        kept,
        reloaded,
        remaining: live.kept()?.len(),
    }))
}
