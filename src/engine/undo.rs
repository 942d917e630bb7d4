//! What an undo would take back, told before it does: the last write, of whatever kind. The project's journal and the
//! books of a server's own files are two, and each change of the latter knows which write of the journal it followed.

use std::path::{Path, PathBuf};

use crate::apply::live::Live;
use crate::apply::{
    Before, Locked, Project, UndoneFile, before_last, last_note, last_number, last_write, notes, writes,
};
use crate::harden::Stage;
use crate::judge::RevocationList;
use crate::pki::{Bundle, Certificate};

use super::harden::LastStage;
use super::{Error, Note, files, harden, prepare};

/// The last write, as an undo takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    /// What it is, in words: a stage, or the command that wrote it.
    pub what: String,
    /// What will no longer hold; a sentence.
    pub no_longer: Option<String>,
    /// Keys that are removed with it, absolute.
    pub keys: Vec<PathBuf>,
    /// Whether it waits to be confirmed, and so is in force for the moment only.
    pub waits: bool,
    number: u64,
}

/// What `undo` would take back now; `None` where there is nothing. Nothing is changed, but what a killed run left is put in
/// order first.
pub fn undoing(dir: &Path) -> Result<Option<Undoing>, Error> {
    let dir = prepare::absolute(dir);
    if !dir.is_dir() {
        return Ok(None);
    }
    let project = Project::open(&dir)?;
    match harden::last_stage(&dir, &project)? {
        Some(last) => of_stage(&dir, &project, &last).map(Some),
        None => of_write(&dir, &project),
    }
}

/// How many undos there is still something for: of some changes two writes go back in one.
pub fn undos_left(dir: &Path) -> Result<usize, Error> {
    let dir = prepare::absolute(dir);
    let project = Project::open(&dir)?;
    let live = Live::of(&dir);
    let notes = notes(&project)?;
    let pairs = notes.iter().filter_map(|text| Note::from_text(text));
    let taken_along = pairs.filter(|note| note.with_previous).count() + live.with_previous()?;
    Ok((writes(&project)? + live.kept()?.len()).saturating_sub(taken_along))
}

fn of_stage(dir: &Path, project: &Locked, last: &LastStage) -> Result<Undoing, Error> {
    let kit = if last.with_kit {
        last_write(project, 0)?.map_or_else(Vec::new, |write| write.files)
    } else {
        Vec::new()
    };
    Ok(Undoing {
        what: format!("the stage {}", crate::pki::printable(&last.name)),
        no_longer: Stage::of_change(&last.name).map(|stage| stage.without().to_owned()),
        keys: keys(dir, &kit),
        waits: last.waits,
        number: last.number.into(),
    })
}

fn of_write(dir: &Path, project: &Locked) -> Result<Option<Undoing>, Error> {
    let Some(write) = last_write(project, 0)? else {
        return Ok(None);
    };
    let mut files = write.files;
    let note = last_note(project)?.and_then(|text| Note::from_text(&text));
    if note.as_ref().is_some_and(|note| note.with_previous) {
        files.extend(
            last_write(project, 1)?
                .into_iter()
                .flat_map(|before| before.files),
        );
    }
    let (what, no_longer) = match (note, write.by) {
        (Some(_), _) => (
            "the renewal of the server's own files".to_owned(),
            consequences(before_last(project)?),
        ),
        (None, Some(by)) => (format!("what `pgtls {by}` wrote here"), None),
        (None, None) => ("what was last written here".to_owned(), None),
    };
    Ok(Some(Undoing {
        what,
        no_longer,
        keys: keys(dir, &files),
        waits: false,
        number: last_number(project)?,
    }))
}

/// What follows where files of the server's are as before again: a certificate, a list, the CAs of the clients.
fn consequences(files: Vec<Before>) -> Option<String> {
    let mut all = Vec::new();
    for (path, before) in files {
        let Ok(Some(now)) = files::read("the server's file", &path) else {
            continue;
        };
        let [now, before] = [Some(now), before].map(|bytes| {
            let bytes = bytes?;
            Bundle::from_pem(&bytes).ok()
        });
        let Some(now) = now else { continue };
        let before = before.unwrap_or_default();
        if now.lists != before.lists && !(now.lists.is_empty() && before.lists.is_empty()) {
            all.push(of_lists(&path, &before));
        } else if now.certificates != before.certificates {
            all.extend(of_certificates(&now, &before));
        }
    }
    (!all.is_empty()).then(|| all.join("; "))
}

fn of_lists(path: &Path, before: &Bundle) -> String {
    let lists: Vec<_> = before
        .lists
        .iter()
        .filter_map(|der| RevocationList::read(der).ok())
        .map(|list| match list.next_update {
            Some(end) => format!(
                "{}, next update {}",
                crate::pki::printable(&list.issuer),
                end.date()
            ),
            None => crate::pki::printable(&list.issuer),
        })
        .collect();
    if lists.is_empty() {
        return "no revocation list is asked any more, and certificates that are revoked are let in"
            .to_owned();
    }
    format!(
        "{} is the revocation list from before again ({}): what only the newer one revokes is let in, and where that date has \
         passed every client of that CA is refused",
        path.display(),
        lists.join("; ")
    )
}

fn of_certificates(now: &Bundle, before: &Bundle) -> Vec<String> {
    let read = |bundle: &Bundle| -> Vec<Certificate> {
        let all = bundle.certificates.iter();
        all.filter_map(|der| Certificate::from_der(der).ok()).collect()
    };
    let (now, before) = (read(now), read(before));
    if now.first().is_some_and(|first| !first.is_ca()) {
        return vec!["the server serves its certificate from before again".to_owned()];
    }
    let without = |all: &[Certificate], others: &[Certificate]| -> Option<String> {
        let names: Vec<_> = all
            .iter()
            .filter(|one| !others.contains(one))
            .map(|one| crate::pki::printable(one.subject()))
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    [
        without(&now, &before).map(|names| format!("clients whose certificate is of {names} are refused")),
        without(&before, &now)
            .map(|names| format!("clients whose certificate is of {names} are let in again")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The keys among files that go with it.
fn keys(dir: &Path, files: &[UndoneFile]) -> Vec<PathBuf> {
    let is_key = |path: &Path| path.extension().is_some_and(|end| end == "key");
    let gone = files.iter().filter(|file| !file.exists && is_key(&file.path));
    gone.map(|file| dir.join(&file.path)).collect()
}
