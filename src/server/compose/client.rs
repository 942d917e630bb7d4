//! The `docker` command.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::super::diagnose::{diagnose, told};
use super::super::log::printable;
use super::super::process::{Ended, Program};
use super::super::{Diagnosis, ServerError};

/// Variables that would have compose read other files, or call the project by another name.
const COMPOSE_VARIABLES: [&str; 4] = [
    "COMPOSE_FILE",
    "COMPOSE_PROJECT_NAME",
    "COMPOSE_PROFILES",
    "COMPOSE_ENV_FILES",
];
/// The most of what it says that is shown.
const SHOWN: usize = 20;

/// The `docker` command of this machine.
#[derive(Debug, Clone)]
pub struct Docker {
    program: PathBuf,
}

impl Docker {
    /// The one that a shell would run.
    #[must_use]
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join("docker"))
            .find(|program| {
                program
                    .metadata()
                    .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
            })
            .map(|program| Self { program })
    }

    /// The command, about to be run: in the person's environment, which says where their engine is.
    pub(super) fn command(&self) -> Program {
        Program::new(&self.program).without(&COMPOSE_VARIABLES)
    }

    /// The path of the program, for the one place that cannot wait for it.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.program
    }

    /// Runs it to its end, whatever that is.
    pub(super) async fn run(&self, args: &[impl AsRef<OsStr>]) -> Result<Ended, ServerError> {
        self.command().args(args).run().await
    }

    /// What it answers, if it succeeds.
    pub(super) async fn answer(&self, args: &[impl AsRef<OsStr>]) -> Result<String, ServerError> {
        let ended = self.run(args).await?;
        if ended.success() {
            return Ok(ended.stdout);
        }
        Err(failure(&ended))
    }
}

impl Docker {
    /// Why compose does not take these files of a directory; `None` if it does.
    pub async fn refusal_of(
        &self,
        dir: &std::path::Path,
        files: &[String],
    ) -> Result<Option<String>, ServerError> {
        let files = files.iter().flat_map(|file| ["--file", file.as_str()]);
        let ended = self
            .command()
            .dir(dir)
            .arg("compose")
            .args(files)
            .args(["config", "--quiet"])
            .run()
            .await?;
        let why = || ended.last_lines(1).pop().unwrap_or_default();
        Ok((!ended.success()).then(|| printable(&why())))
    }
}

/// What a failed command means, from its own words.
pub(super) fn failure(ended: &Ended) -> ServerError {
    let lines = ended.last_lines(SHOWN);
    let all: Vec<String> = ended
        .stdout
        .lines()
        .chain(ended.stderr.lines())
        .map(printable)
        .collect();
    let diagnosis = diagnose(&all).unwrap_or_else(|| {
        let last = lines.last().map(String::as_str).unwrap_or_default();
        told("docker-failed", last, last)
    });
    docker(diagnosis, lines)
}

/// The error that a diagnosis makes.
pub(super) fn docker(diagnosis: Diagnosis, lines: Vec<String>) -> ServerError {
    ServerError::Docker {
        diagnosis: Box::new(diagnosis),
        lines,
    }
}
