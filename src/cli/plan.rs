//! `pgtls plan` and `pgtls apply`.

use serde::Serialize;

use crate::apply::{Action, Change, Project, WrittenFile};
use crate::engine::{self, Error};
use crate::setup::Run;

use super::args::{ApplyArgs, Global, SetupArgs};
use super::output::{Output, object};
use super::prompt::Prompt;
use super::request::request;
use super::{Exit, drive};

/// One file, for scripts.
#[derive(Debug, Serialize)]
pub struct FileRow {
    path: String,
    action: &'static str,
    mode: String,
}

impl FileRow {
    fn new(path: &std::path::Path, action: Action, mode: u32) -> Self {
        Self {
            path: path.display().to_string(),
            action: action.word(),
            mode: format!("{mode:04o}"),
        }
    }

    /// What was written.
    pub fn all(files: &[WrittenFile]) -> Vec<Self> {
        files
            .iter()
            .map(|file| Self::new(&file.path, file.action, file.mode))
            .collect()
    }
}

#[derive(Debug, Serialize)]
struct Told {
    dir: String,
    mode: &'static str,
    files: Vec<FileRow>,
    notes: Vec<String>,
}

/// Shows every file with its difference; writes nothing.
pub fn plan(global: &Global, args: &SetupArgs, output: Output) -> Result<Exit, Error> {
    let prompt = Prompt::new(global);
    let request = request(global, args, prompt)?;
    let tell = output.teller();
    let prepared = drive(async {
        let project = Project::look(&request.dir)?;
        engine::prepare(&request, &project, None, &tell).await
    })?;
    let changes: &[Change] = prepared.changes.as_ref().map_or(&[], |changes| changes.files());
    if output.json() {
        object(&Told {
            dir: prepared.dir.display().to_string(),
            mode: prepared.setup.mode.name(),
            files: changes
                .iter()
                .map(|change| FileRow::new(&change.path, change.action, change.mode))
                .collect(),
            notes: prepared.gathered.told(),
        });
        return Ok(Exit::Holds);
    }
    for change in changes.iter().filter(|change| change.action != Action::Kept) {
        output.diff(&change.diff());
        if change.edited {
            output.remark(
                "  (you edited this file since pgtls wrote it, or pgtls never did: you will be asked)",
            );
        }
    }
    let kept = changes
        .iter()
        .filter(|change| change.action == Action::Kept)
        .count();
    match changes.len() - kept {
        0 => output.say("Nothing would change."),
        n => output.say(format_args!(
            "\n{n} files would change, {kept} stay as they are. Nothing was written."
        )),
    }
    Ok(Exit::Holds)
}

/// Writes the files.
pub fn apply(global: &Global, args: &ApplyArgs, output: Output) -> Result<Exit, Error> {
    let prompt = Prompt::new(global);
    let mut setup = args.setup.clone();
    if args.compose {
        setup.run = Some(Run::Compose.name().to_owned());
    }
    let request = request(global, &setup, prompt)?;
    let tell = output.teller();
    let (prepared, written) = drive(async {
        let project = Project::create(&request.dir)?;
        let prepared = engine::prepare(&request, &project, None, &tell).await?;
        engine::write(prepared, &project, "apply", &prompt, &tell)
    })?;
    if output.json() {
        object(&Told {
            dir: prepared.dir.display().to_string(),
            mode: prepared.setup.mode.name(),
            files: FileRow::all(&written.files),
            notes: prepared.gathered.told(),
        });
        return Ok(Exit::Holds);
    }
    for file in written.files.iter().filter(|file| file.action != Action::Kept) {
        output.say(format_args!(
            "  {:<8} {:04o}  {}",
            file.action.word(),
            file.mode,
            file.path.display()
        ));
    }
    output.remark(format_args!(
        "`pgtls undo --dir {}` takes this back",
        prepared.dir.display()
    ));
    Ok(Exit::Holds)
}
