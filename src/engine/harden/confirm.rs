//! Keeping a try: only what is seen to be there and in force is kept.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use crate::apply::Project;
use crate::apply::live::{Live, Moment, Record, Trial, Witness};
use crate::conninfo::{Conninfo, Environment};
use crate::dial::{Deadline, Session};
use crate::engine::login::log_in;
use crate::engine::{Error, Means, caller, prepare};
use crate::harden::Stage;
use crate::pki::printable;
use crate::server;
use crate::verify::{OverSql, ServerFile, unread};

use super::books::take_back;
use super::over_sql;
use super::proof::holds_still;

/// A try that was kept.
#[derive(Debug)]
pub struct Kept {
    /// What was written down about it.
    pub record: Record,
    /// What could not be looked at, in sentences.
    pub notes: Vec<String>,
}

/// Keeps what a try has put in force. An error if it is too late, if there is nothing to confirm, or if it is not in force: then
/// it waits on, or goes back.
pub async fn confirm(dir: &Path) -> Result<Kept, Error> {
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
    if !in_time || trial.is_back()? {
        take_back(&dir, &trial, None, || _ = server::reload(&record.data))?;
        return Err(too_late(&record));
    }
    let mut notes = Vec::new();
    if let Err(why) = Box::pin(is_in_force(&dir, &trial, &mut notes)).await {
        return Err(not_in_force(&dir, &trial, &why));
    }
    if !trial.keep()? {
        return Err(too_late(&record));
    }
    Ok(Kept { record, notes })
}

fn too_late(record: &Record) -> Error {
    Error::TooLate {
        what: format!(
            "it is too late: the stage {} has been taken back",
            printable(&record.name)
        ),
    }
}

fn not_in_force(dir: &Path, trial: &Trial, why: &str) -> Error {
    let record = trial.record();
    let left = record.until.as_ref().map_or(0, Moment::left);
    let at = dir.display();
    Error::NotInForce {
        what: format!(
            "the stage {} is not kept, since it is not in force as it was proven: {why}",
            printable(&record.name)
        ),
        remedy: if trial.is_watched() {
            format!(
                "`pgtls undo --dir {at}` takes it back now, its watchdog does in {left} seconds, and what somebody made of the \
                 files meanwhile is kept beside them; then try the stage again"
            )
        } else {
            format!(
                "`pgtls undo --dir {at}` takes it back (its watchdog is gone, and does not), and what somebody made of the files \
                 meanwhile is kept beside them; then try the stage again"
            )
        },
    }
}

/// Whether the files are those of the stage, the server has read them, and what it was proven by holds still; else what is not so.
async fn is_in_force(dir: &Path, trial: &Trial, notes: &mut Vec<String>) -> Result<(), String> {
    let record = trial.record();
    let others = trial.others().map_err(|error| error.to_string())?;
    if !others.is_empty() {
        let each = others.iter().map(|(path, is_before)| {
            let how = if *is_before {
                "is as it was before the stage"
            } else {
                "was changed since"
            };
            format!("{} {how}", path.display())
        });
        return Err(each.collect::<Vec<_>>().join("; "));
    }
    let stage = Stage::of_change(&record.name);
    // An earlier version wrote down no more.
    let (Some(witness), Some(stage)) = (&record.witness, stage) else {
        return Ok(());
    };
    let timeout = Duration::from_millis(witness.timeout);
    let means = Means {
        admin: None,
        expect: None,
        other: None,
        dir: dir.to_path_buf(),
        key_passphrase: None,
        timeout,
        now: OffsetDateTime::now_utc(),
    };
    holds_still(witness, stage, &means).await?;
    match enter(witness, &means).await? {
        Ok(mut session) => {
            let limit = || Deadline::after(timeout);
            let said = has_read(record, &mut session, &limit).await;
            session.close(limit()).await;
            said
        }
        Err(why) => {
            notes.push(format!(
                "it was looked at from outside alone: whether the server has read its files could not be asked ({why})"
            ));
            Ok(())
        }
    }
}

/// The admin logs in, as after the try; else why that cannot be tried from here.
async fn enter(witness: &Witness, means: &Means) -> Result<Result<Session, String>, String> {
    let words = |error: Error| error.to_string();
    let admin = Conninfo::parse(&witness.admin).map_err(|error| error.to_string())?;
    let target = caller(admin, &Environment::current(), means)
        .await
        .map_err(words)?;
    let mut session = match log_in(&target, "logging in as the admin").await {
        Ok(entry) => entry.session,
        // What was typed for the try is not known here.
        Err(error @ (Error::NeedsPassword { .. } | Error::OutOfReach { .. })) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(format!("the admin cannot log in any more: {error}")),
    };
    let limit = || Deadline::after(means.timeout);
    if over_sql::leads_to(&mut session, &witness.server, limit()).await? {
        return Ok(Ok(session));
    }
    session.close(limit()).await;
    Ok(Err("from here that login leads to another server".to_owned()))
}

/// Whether the server has read what the stage wrote.
async fn has_read(
    record: &Record,
    session: &mut Session,
    limit: &dyn Fn() -> Deadline,
) -> Result<(), String> {
    if let Some(change) = &record.alteration {
        let since = over_sql::altered_over(session, limit, change).await?;
        let each = since.iter().map(|setting| match &setting.after {
            Some(value) => format!(
                "postgresql.auto.conf says {} = '{}'",
                setting.name,
                printable(value)
            ),
            None => format!("postgresql.auto.conf does not set {} any more", setting.name),
        });
        let each: Vec<_> = each.collect();
        return if each.is_empty() {
            Ok(())
        } else {
            Err(each.join("; "))
        };
    }
    let files: Vec<_> = record
        .paths()
        .map(|path| ServerFile {
            theirs: path.to_path_buf(),
            here: Some(path.to_path_buf()),
        })
        .collect();
    let unread = unread(&mut OverSql::new(session, limit), &files).await;
    match unread.first() {
        None => Ok(()),
        Some(file) => {
            let [changed, read] = file.times();
            Err(format!(
                "{} was put there at {changed}, and the server last read its files at {read}",
                file.path.display()
            ))
        }
    }
}
