//! The lesson's own directory: keys, passwords and certificates of its clients, gone with it.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::apply::{self, Locked, Policy, Project};
use crate::engine::Error;
use crate::plan::{Artifact, Content};
use crate::server::{PsqlFiles, Temporary};

/// Where the passwords of the lesson's client are.
const PASSFILE: &str = "clients/ann/anywhere";
/// What the lesson's client judges servers by.
pub(super) const ROOT: &str = "clients/ann/root.crt";

/// The directory, and who removes it.
pub(super) struct Place {
    project: Locked,
    temporary: Temporary,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.temporary.fmt(f)
    }
}

impl Place {
    /// An empty one.
    pub fn make(keeper: Vec<std::path::PathBuf>) -> Result<Self, Error> {
        let temporary = Temporary::make(keeper)?;
        Ok(Self {
            project: Project::create(temporary.dir())?,
            temporary,
        })
    }

    pub fn dir(&self) -> &Path {
        self.temporary.dir()
    }

    pub const fn project(&self) -> &Locked {
        &self.project
    }

    pub fn path(&self, below: &str) -> String {
        self.dir().join(below).to_string_lossy().into_owned()
    }

    pub fn passfile(&self) -> String {
        self.path(PASSFILE)
    }

    /// What psql has in place of a home.
    pub fn files_of_psql(&self) -> PsqlFiles {
        PsqlFiles {
            home: self.dir().join("home"),
            passfile: self.dir().join(PASSFILE),
        }
    }

    /// Writes files of it.
    pub fn put(&self, artifacts: &[Artifact]) -> Result<(), Error> {
        let changes = apply::compare_beside(&self.project, artifacts)?;
        apply::write(&self.project, changes, Policy::KeepCopy)?;
        Ok(())
    }

    /// Keeps the password of a role for every server: the ports of the impostors are not known beforehand.
    pub fn put_password(&self, role: &str, password: &SecretString) -> Result<(), Error> {
        self.put(&[passfile(PASSFILE, role, password)])
    }

    /// What the keeper is to know.
    pub fn tell_keeper(&mut self, message: &[u8]) -> Result<(), Error> {
        Ok(self.temporary.tell_keeper(message)?)
    }

    /// Removes it, and waits for the keeper; whether that one did what it was to do.
    pub fn close(self) -> bool {
        drop(self.project);
        self.temporary.close()
    }
}

/// A passfile for every server (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).
pub(super) fn passfile(path: &str, role: &str, password: &SecretString) -> Artifact {
    let escaped = Zeroizing::new(password.expose_secret().replace('\\', "\\\\").replace(':', "\\:"));
    let line = Zeroizing::new(format!("*:*:*:{role}:{}\n", *escaped));
    secret(path, line.as_bytes().to_vec(), "a password")
}

/// A file for its owner alone.
pub(super) fn secret(path: &str, bytes: Vec<u8>, description: &str) -> Artifact {
    Artifact {
        path: path.into(),
        mode: 0o600,
        content: Content::Secret {
            bytes: Zeroizing::new(bytes),
            description: description.to_owned(),
        },
    }
}
