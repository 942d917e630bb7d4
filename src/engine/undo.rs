//! What an undo would take back, told before it does: the last write, of whatever kind. The project's journal and the
//! books of a server's own files are two, and each change of the latter knows which write of the journal it followed.

use std::path::{Path, PathBuf};

use crate::apply::{Locked, Project, UndoneFile, last_note, last_number, last_write};
use crate::harden::Stage;

use super::harden::LastStage;
use super::{Error, Note, harden, prepare};

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
            Some("the server serves its certificate from before again".to_owned()),
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

/// The keys among files that go with it.
fn keys(dir: &Path, files: &[UndoneFile]) -> Vec<PathBuf> {
    let is_key = |path: &Path| path.extension().is_some_and(|end| end == "key");
    let gone = files.iter().filter(|file| !file.exists && is_key(&file.path));
    gone.map(|file| dir.join(&file.path)).collect()
}
