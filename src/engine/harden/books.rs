//! Deciding over a change afterwards: take it back, undo the last one, say what has become of it.

use std::path::{Path, PathBuf};

use crate::apply::live::{Live, Moment, Plan, Record, Taken, Trial, copy_aside};
use crate::apply::{self, Locked, Project, last_number};
use crate::conninfo::Conninfo;
use crate::engine::{Error, Teller, prepare};
use crate::server;

use super::lockout;
use super::others::nobody_else;
use super::over_sql::{self, Side};

/// What an undo of a stage came to.
#[derive(Debug)]
pub struct Undone {
    /// The stage.
    pub stage: String,
    /// The files that are as they were.
    pub files: Vec<PathBuf>,
    /// The settings that are as they were, where they were altered over SQL.
    pub settings: Vec<String>,
    /// Copies of what somebody had made of them since.
    pub kept: Vec<PathBuf>,
    /// Whether the server was told to read them.
    pub reloaded: bool,
    /// The kit's files that it had written, which are as they were too.
    pub kit: Option<apply::Undone>,
}

/// The stage that an undo would take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastStage {
    /// Its name, as it was written down.
    pub name: String,
    /// Whether the last write of the project's journal is a part of it.
    pub with_kit: bool,
    /// Whether nobody has confirmed it yet.
    pub waits: bool,
    /// Its number in the books.
    pub number: u32,
}

/// The stage that is the last write here; `None` where there is none, or where something was written after it.
pub fn last_stage(dir: &Path, project: &Locked) -> Result<Option<LastStage>, Error> {
    let live = Live::of(dir);
    let written = last_number(project)?;
    let undecided = live.unfinished()?;
    let waits = undecided.is_some();
    let Some(last) = undecided.or(live.last()?) else {
        return Ok(None);
    };
    let record = last.record();
    if !waits && written > record.journal {
        return Ok(None);
    }
    Ok(Some(LastStage {
        name: record.name.clone(),
        with_kit: record.with_previous && written == record.journal,
        waits,
        number: last.number(),
    }))
}

/// What has become of the last try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It waits to be confirmed: its stage, the seconds that are left, and whether its watchdog is there.
    Waits(String, u64, bool),
    /// It was kept.
    Kept,
    /// It was taken back.
    TakenBack,
}

/// What has become of the last try, whoever decided over it.
pub fn fate(dir: &Path) -> Result<Fate, Error> {
    let live = Live::of(&prepare::absolute(dir));
    if let Some(trial) = live.unfinished()? {
        let record = trial.record();
        if record.until.is_some() && trial.is_back()? {
            return Ok(Fate::TakenBack);
        }
        let left = record.until.as_ref().map_or(0, Moment::left);
        return Ok(Fate::Waits(record.name.clone(), left, trial.is_watched()));
    }
    Ok(if live.is_last_kept()? {
        Fate::Kept
    } else {
        Fate::TakenBack
    })
}

/// Takes back the try that is under way or waits to be confirmed, reload included, and nothing else; `false` if it was
/// decided over already. `admin` is the way in, where the stage was put in force over SQL.
pub fn go_back(dir: &Path, admin: Option<&Conninfo>) -> Result<bool, Error> {
    let dir = prepare::absolute(dir);
    let _alone = Project::open(&dir)?;
    let Some(trial) = Live::of(&dir).unfinished()? else {
        return Ok(false);
    };
    let data = &trial.record().data;
    Ok(take_back(&dir, &trial, admin, || _ = server::reload(data))?.is_some())
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
    let is_back = record.until.is_some() && trial.is_back()?;
    if let Some(until) = record.until.as_ref().filter(|until| !is_back && !until.is_over()) {
        return Err(Error::DoesNotFit {
            what: waits(&trial, until),
            remedy: format!(
                "`pgtls harden --confirm --dir {at}` keeps it, `pgtls undo --dir {at}` takes it back",
                at = dir.display()
            ),
        });
    }
    if take_back(&dir, &trial, None, || _ = server::reload(&record.data))?.is_some() {
        let stage = crate::pki::printable(&record.name);
        tell.notice(if is_back {
            back_already(&stage)
        } else {
            format!(
                "an earlier run ended in the middle of the stage {stage}: the server's files and settings are as they were \
                 before it"
            )
        });
    }
    Ok(())
}

/// A stage that waits, in words; where nothing goes back by itself that is said.
fn waits(trial: &Trial, until: &Moment) -> String {
    let stage = crate::pki::printable(&trial.record().name);
    let left = until.left();
    if trial.is_watched() {
        format!("the stage {stage} waits to be confirmed, {left} seconds are left")
    } else {
        format!(
            "the stage {stage} waits to be confirmed, and its watchdog is gone: nothing takes it back by itself any more, also \
             not in {left} seconds"
        )
    }
}

/// Its watchdog could not write down here that it went back.
fn back_already(stage: &str) -> String {
    format!(
        "the stage {stage} was taken back while this directory had another name or was not there: the server's files are as \
         they were before it"
    )
}

/// What is undecided, in a sentence: nothing is changed, and nothing is waited for.
#[must_use]
pub fn pending(dir: &Path) -> Option<String> {
    let dir = prepare::absolute(dir);
    let trial = Live::of(&dir).unfinished().ok().flatten()?;
    let record = trial.record();
    let stage = crate::pki::printable(&record.name);
    let at = dir.display();
    Some(match &record.until {
        Some(_) if trial.is_back().unwrap_or_default() => back_already(&stage),
        Some(until) if !until.is_over() => format!(
            "{}: `pgtls harden --confirm --dir {at}` keeps it, `pgtls undo --dir {at}` takes it back",
            waits(&trial, until)
        ),
        Some(_) => format!(
            "the stage {stage} was not confirmed in time, and its watchdog did not take it back (was the machine started \
             again?): `pgtls undo --dir {at}` does, and so does the next `pgtls harden --stage`"
        ),
        None => format!(
            "the stage {stage} is being tried, or whoever tried it was killed: unless that goes on, `pgtls undo --dir {at}` \
             takes it back"
        ),
    })
}

/// Takes the last stage back, reload included: the one that waits to be confirmed, else the last that was kept. `None`
/// where there is none, or where something was written after it, which is to be undone first. What the stage had written
/// into the kit goes with it.
pub fn undo_stage(dir: &Path, tell: &Teller) -> Result<Option<Undone>, Error> {
    undo_stage_as(dir, None, tell)
}

/// The same with a way in of the person's own, where the stage was put in force over SQL.
pub fn undo_stage_as(dir: &Path, admin: Option<&Conninfo>, tell: &Teller) -> Result<Option<Undone>, Error> {
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
        if let Some(taken) = take_back(&dir, &trial, admin, || reloaded = server::reload(&record.data))? {
            return Ok(Some(Undone {
                reloaded: reloaded || record.alteration.is_some(),
                settings: settings(&record),
                kit: kit(&project, &record)?,
                stage: record.name,
                files: taken.files,
                kept: taken.kept,
            }));
        }
    }
    let Some(last) = live.last()? else { return Ok(None) };
    let record = last.record().clone();
    if last_number(&project)? > record.journal {
        return Ok(None);
    }
    if record.alteration.is_some() {
        return undo_alteration(&dir, &project, &live, &last, admin, tell).map(Some);
    }
    nobody_else(&dir, &record.paths().filter_map(Path::parent).collect::<Vec<_>>())?;
    let (changes, edited) = last.inverse()?;
    lockout::leaves_a_way_in(&record, &changes)?;
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
    let plan = Plan {
        name: &name,
        data: &record.data,
        files: &changes,
        alteration: None,
        undoes: Some(last.number()),
        with_previous: false,
        way: record.way.as_ref(),
    };
    let undo = live.begin(&project, &plan)?;
    let written = undo.stage(&changes).and_then(|()| undo.place());
    if let Err(error) = written {
        undo.go_back(|| _ = server::reload(&record.data))?;
        return Err(error.into());
    }
    let reloaded = server::reload(&record.data);
    undo.keep()?;
    Ok(Some(Undone {
        kit: kit(&project, &record)?,
        stage: record.name,
        files: changes.into_iter().map(|change| change.path).collect(),
        settings: Vec::new(),
        kept,
        reloaded,
    }))
}

/// Takes back what the stage had written into the kit, unless something was written there since.
fn kit(project: &Locked, record: &Record) -> Result<Option<apply::Undone>, Error> {
    if !record.with_previous || last_number(project)? != record.journal {
        return Ok(None);
    }
    Ok(Some(apply::undo(project)?))
}

/// Takes back what is undecided, the way it came.
pub(super) fn take_back(
    dir: &Path,
    trial: &Trial,
    admin: Option<&Conninfo>,
    reload: impl FnOnce(),
) -> Result<Option<Taken>, Error> {
    match &trial.record().alteration {
        Some(change) => over_sql::take_back_anew(dir, trial, change, admin),
        None => Ok(trial.go_back(reload)?),
    }
}

fn settings(record: &Record) -> Vec<String> {
    let all = record.alteration.iter().flat_map(|change| &change.settings);
    all.map(|setting| setting.name.clone()).collect()
}

/// Alters the settings back over a new login.
fn undo_alteration(
    dir: &Path,
    project: &Locked,
    live: &Live,
    last: &Trial,
    admin: Option<&Conninfo>,
    tell: &Teller,
) -> Result<Undone, Error> {
    let record = last.record();
    let change = record.alteration.clone().unwrap_or_default();
    lockout::leaves_a_way_in_over_sql(dir, &change, admin)?;
    for since in over_sql::altered_since(dir, &change, admin)? {
        tell.notice(format!(
            "{} was altered since: {}",
            since.name,
            match &since.after {
                Some(value) => format!("it was '{}'", crate::pki::printable(value)),
                None => "postgresql.auto.conf did not name it any more".to_owned(),
            }
        ));
    }
    let inverse = change.inverse();
    let name = format!("undo of {}", record.name);
    let plan = Plan {
        name: &name,
        data: &record.data,
        files: &[],
        alteration: Some(&inverse),
        undoes: Some(last.number()),
        with_previous: false,
        way: record.way.as_ref(),
    };
    let undo = live.begin(project, &plan)?;
    if let Err(error) = over_sql::put_anew(dir, &inverse, admin, Side::After) {
        // What was altered before it failed is put in force again; where that fails too, the next run does it.
        over_sql::take_back_anew(dir, &undo, &inverse, admin)?;
        return Err(error);
    }
    undo.keep()?;
    Ok(Undone {
        kit: kit(project, record)?,
        stage: record.name.clone(),
        files: Vec::new(),
        settings: settings(record),
        kept: Vec::new(),
        reloaded: true,
    })
}
