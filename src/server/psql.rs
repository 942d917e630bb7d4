//! psql, PostgreSQL's own client, run with nothing of the person's environment: no `.psqlrc`, no passfile, certificate or
//! service of theirs (<https://www.postgresql.org/docs/current/libpq-envars.html>).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::log::printable;
use super::process::{Conversation, Program};
use super::{Binaries, ServerError};

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A psql that runs.
#[derive(Debug, Clone)]
pub struct Psql {
    path: PathBuf,
    libraries: Option<OsString>,
    version: String,
}

/// Files that psql is given in place of those in a person's home; one that is not there is none.
#[derive(Debug, Clone)]
pub struct PsqlFiles {
    /// Its home.
    pub home: PathBuf,
    /// Passwords.
    pub passfile: PathBuf,
}

/// What psql did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether it ended well.
    pub ok: bool,
    /// What it printed: rows on lines, columns parted by bars; printable.
    pub rows: Vec<String>,
    /// What it complained of, printable.
    pub complaints: Vec<String>,
}

impl Psql {
    /// The one that stands beside the server's programs, else the first on the `PATH`.
    pub async fn find(beside: Option<&Binaries>) -> Option<Self> {
        let beside = beside.map(|binaries| (binaries.dir.clone(), binaries.libraries.clone()));
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let on_path: Vec<_> = std::env::split_paths(&on_path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| (dir, None))
            .collect();
        for (dir, libraries) in beside.into_iter().chain(on_path) {
            let path = dir.join("psql");
            if !path.is_file() {
                continue;
            }
            let asked = Program::of_postgres(&path, libraries.as_deref(), None)
                .arg("--version")
                .limit(LIMIT)
                .run()
                .await;
            // `psql (PostgreSQL) 15.18 (Debian …)`
            let version = asked
                .ok()
                .filter(super::process::Ended::success)
                .and_then(|ended| {
                    let version = ended.stdout.split_whitespace().nth(2)?;
                    Some(printable(version))
                });
            if let Some(version) = version {
                return Some(Self {
                    path,
                    libraries,
                    version,
                });
            }
        }
        None
    }

    /// Its version, as it says itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Connects and runs one statement. The conninfo is an argument, and so must hold no secret.
    pub async fn ask(&self, conninfo: &str, sql: &str, files: &PsqlFiles) -> Result<Said, ServerError> {
        let program = self.program(files).args(["-c", sql, "-d"]).arg(conninfo);
        let ended = program.limit(LIMIT).run().await?;
        Ok(Said {
            ok: ended.success(),
            rows: ended.stdout.lines().map(printable).collect(),
            complaints: ended
                .stderr
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(printable)
                .collect(),
        })
    }

    /// Connects, and stays: statements are given one by one.
    pub fn hold(&self, conninfo: &str, files: &PsqlFiles) -> Result<Conversation, ServerError> {
        self.program(files).arg("-d").arg(conninfo).converse()
    }

    fn program(&self, files: &PsqlFiles) -> Program {
        let nothing = Path::new("/nonexistent/pgtls");
        Program::of_postgres(&self.path, self.libraries.as_deref(), None)
            .args(["-X", "--no-password", "--no-align", "--tuples-only", "--quiet"])
            .args(["-v", "ON_ERROR_STOP=1"])
            .env("HOME", &files.home)
            .env("PGPASSFILE", &files.passfile)
            .env("PGSERVICEFILE", nothing)
            .env("PGSYSCONFDIR", nothing)
            .env("PGSSLROOTCERT", nothing)
            .env("PGSSLCERT", nothing)
            .env("PGSSLKEY", nothing)
            .env("PGGSSENCMODE", "disable")
            .env("PGCONNECT_TIMEOUT", "20")
    }
}
