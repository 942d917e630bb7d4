//! The surroundings that libpq looks at, as a value: tests bring their own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Error;

/// What libpq takes from the process and the machine.
///
/// No `Debug`: the variables may hold `PGPASSWORD`.
#[derive(Clone, Default)]
pub struct Environment {
    /// The environment variables; only those that begin with `PG` matter.
    pub variables: BTreeMap<OsString, OsString>,
    /// The home directory: `$HOME`, else the account's (libpq 15 and later).
    pub home: Option<PathBuf>,
    /// The operating system's name for the account: the default user.
    pub user: Option<String>,
    /// Where `pg_service.conf` is sought unless `PGSYSCONFDIR` says otherwise; fixed when libpq is built.
    pub sysconfdir: Option<PathBuf>,
    /// The directory of the default Unix socket; fixed when libpq is built.
    pub socket_dir: PathBuf,
}

impl Environment {
    /// Those of this process.
    #[must_use]
    pub fn current() -> Self {
        let first = |places: &[&str]| places.iter().map(PathBuf::from).find(|place| place.is_dir());
        Self {
            variables: std::env::vars_os()
                .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG"))
                .collect(),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
            user: whoami::username().ok(),
            // Debian's, Red Hat's, and PostgreSQL's own choice.
            sysconfdir: first(&[
                "/etc/postgresql-common",
                "/etc/sysconfig/pgsql",
                "/usr/local/pgsql/etc",
            ]),
            // The distributions' choice, else PostgreSQL's own.
            socket_dir: first(&["/var/run/postgresql"]).unwrap_or_else(|| PathBuf::from("/tmp")),
        }
    }

    /// An environment variable, even an empty one.
    pub(super) fn variable(&self, name: &'static str) -> Result<Option<&str>, Error> {
        self.variables
            .get(&OsString::from(name))
            .map(|value| value.to_str().ok_or(Error::VariableNotText(name)))
            .transpose()
    }

    /// A variable that names a file or directory, which need not be text.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(&OsString::from(name)).map(PathBuf::from)
    }

    /// A file below the home directory.
    pub(super) fn at_home(&self, relative: impl AsRef<Path>) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(relative))
    }
}
