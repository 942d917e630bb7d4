//! Finding PostgreSQL's server binaries.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::Program;
use super::{Account, Places, ServerError, fetch};

/// The time `postgres --version` has; it needs a hundredth of a second.
const LIMIT: Duration = Duration::from_secs(10);

/// A directory with `postgres` and `initdb` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The directory, symbolic links resolved.
    pub dir: PathBuf,
    /// What `postgres --version` says.
    pub version: Version,
    /// How it was found.
    pub origin: Origin,
    /// What `LD_LIBRARY_PATH` must be for it to run, where it must be something.
    pub libraries: Option<OsString>,
}

/// How binaries were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Named by the person.
    Named,
    /// On the `PATH`.
    Path,
    /// Where the system's packages put them.
    System,
    /// A private copy that pgtls fetched.
    Fetched,
}

/// A version of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major version, such as 17.
    pub major: u16,
    /// The minor version; `None` for a development or beta version.
    pub minor: Option<u16>,
    /// As PostgreSQL writes it: `17.5`, `18beta1`.
    pub text: String,
}

/// What the person asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// `--pg-bin`: this directory and no other.
    pub dir: Option<&'a Path>,
    /// `--pg-version`, or the version of data that is there already.
    pub version: Option<u16>,
}

impl Binaries {
    /// The binaries to use: those named, else the newest of the version asked for that speak TLS.
    pub async fn find(wanted: Wanted<'_>, places: &Places) -> Result<Self, ServerError> {
        if let Some(dir) = wanted.dir {
            let found = Self::at(dir, Origin::Named, None).await?;
            if let Some(version) = wanted.version.filter(|&version| version != found.version.major) {
                return Err(ServerError::NoSuchVersion {
                    wanted: version,
                    found: found.to_string(),
                });
            }
            return found.with_tls().await;
        }
        let all = Self::all(places).await;
        if all.is_empty() {
            let looked = candidates(places).into_iter().map(|(dir, ..)| dir).collect();
            return Err(ServerError::NoBinaries { looked });
        }
        let listed = || all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut fit = all.iter().filter(|found| {
            wanted
                .version
                .is_none_or(|version| version == found.version.major)
        });
        let mut without_tls = None;
        while let Some(found) = fit.next().cloned() {
            match found.with_tls().await {
                Ok(found) => return Ok(found),
                Err(error) => without_tls = without_tls.or(Some(error)),
            }
        }
        Err(without_tls.unwrap_or_else(|| ServerError::NoSuchVersion {
            wanted: wanted.version.unwrap_or_default(),
            found: listed(),
        }))
    }

    /// Every usable directory of binaries on this machine, newest version first.
    pub async fn all(places: &Places) -> Vec<Self> {
        let mut found = BTreeMap::new();
        for (dir, origin, libraries) in candidates(places) {
            let Ok(real) = dir.canonicalize() else { continue };
            if found.contains_key(&real) {
                continue;
            }
            if let Ok(binaries) = Self::at(&real, origin, libraries).await {
                found.insert(real, binaries);
            }
        }
        let mut all: Vec<Self> = found.into_values().collect();
        // The sort is stable and puts the machine's own before a private copy of the same version.
        all.sort_by(|a, b| {
            b.version
                .cmp(&a.version)
                .then((a.origin == Origin::Fetched).cmp(&(b.origin == Origin::Fetched)))
        });
        all
    }

    /// The binaries in `dir`, seen to run as the server's account.
    pub(super) async fn at(
        dir: &Path,
        origin: Origin,
        libraries: Option<OsString>,
    ) -> Result<Self, ServerError> {
        let unfit = |why: String| ServerError::Unfit {
            dir: dir.to_owned(),
            why,
        };
        let real = dir.canonicalize().map_err(|error| unfit(super::words(&error)))?;
        for program in ["postgres", "initdb"] {
            if !real.join(program).is_file() {
                return Err(unfit(format!("it has no `{program}`")));
            }
        }
        let account = Account::for_server()?;
        let ended = Program::of_postgres(&real.join("postgres"), libraries.as_deref(), account.as_ref())
            .arg("--version")
            .limit(LIMIT)
            .run()
            .await
            .map_err(|error| match (error, &account) {
                (ServerError::Spawn { why, .. }, Some(account)) => unfit(format!(
                    "the account `{}`, which the server must run as, cannot run it: {why}",
                    account.name
                )),
                (error, _) => unfit(error.to_string()),
            })?;
        if !ended.success() {
            return Err(unfit(
                ended
                    .last_lines(1)
                    .pop()
                    .unwrap_or_else(|| "its `postgres` does not run".into()),
            ));
        }
        let version = Version::parse(&ended.stdout)
            .ok_or_else(|| unfit("its `postgres --version` says nothing we understand".into()))?;
        Ok(Self {
            dir: real,
            version,
            origin,
            libraries,
        })
    }

    /// Whether these binaries speak TLS, by their preset parameter `ssl_library`
    /// (<https://www.postgresql.org/docs/current/runtime-config-preset.html>).
    ///
    /// `postgres -C` prints a parameter before it looks at the data directory, so none is needed.
    pub async fn speak_tls(&self) -> Result<bool, ServerError> {
        let account = Account::for_server()?;
        let ended = self
            .program("postgres", account.as_ref())
            .args(["-C", "ssl_library", "-c", "config_file=/dev/null", "-D"])
            .arg(&self.dir)
            .limit(LIMIT)
            .run()
            .await?;
        if ended.success() {
            return Ok(!ended.stdout.trim().is_empty());
        }
        let why = ended
            .last_lines(1)
            .pop()
            .unwrap_or_else(|| "it does not tell its settings".into());
        Err(ServerError::Unfit {
            dir: self.dir.clone(),
            why,
        })
    }

    pub(super) async fn with_tls(self) -> Result<Self, ServerError> {
        if self.speak_tls().await? {
            return Ok(self);
        }
        Err(ServerError::NoTls {
            dir: self.dir,
            version: self.version.text,
        })
    }

    /// One of these programs, about to be run as the server's account.
    pub(super) fn program(&self, name: &str, account: Option<&Account>) -> Program {
        Program::of_postgres(&self.dir.join(name), self.libraries.as_deref(), account)
    }
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.version, self.dir.display())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Version {
    /// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    #[must_use]
    pub fn parse(says: &str) -> Option<Self> {
        let text = says
            .lines()
            .next()?
            .split_once("(PostgreSQL) ")?
            .1
            .split_whitespace()
            .next()?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (major, rest) = text.split_at(digits);
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
            return None;
        }
        Some(Self {
            major: major.parse().ok()?,
            minor: rest.strip_prefix('.').and_then(|minor| minor.parse().ok()),
            text: text.to_owned(),
        })
    }
}

/// Where to look, likeliest first.
fn candidates(places: &Places) -> Vec<(PathBuf, Origin, Option<OsString>)> {
    let mut found = Vec::new();
    for dir in
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).filter(|dir| dir.is_absolute())
    {
        if dir.join("postgres").is_file() {
            // A link on the PATH (`/usr/local/bin/postgres`) stands for the directory it leads to.
            let real = dir
                .join("postgres")
                .canonicalize()
                .ok()
                .and_then(|real| Some(real.parent()?.to_owned()));
            found.push((real.unwrap_or(dir), Origin::Path, None));
        }
    }
    let system = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/lib64/pgsql", "", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/Library/PostgreSQL", "", "bin"),
        ("/usr/local", "pgsql", "bin"),
    ];
    for (parent, prefix, inner) in system {
        found.extend(
            below(Path::new(parent), prefix, inner)
                .into_iter()
                .map(|dir| (dir, Origin::System, None)),
        );
    }
    found.push(("/usr/bin".into(), Origin::System, None));
    found.extend(
        fetch::cached(places)
            .into_iter()
            .map(|(dir, libraries)| (dir, Origin::Fetched, libraries)),
    );
    found
}

/// `parent/prefix*/inner`, those that are there, in the order of their names.
fn below(parent: &Path, prefix: &str, inner: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut dirs: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(inner))
        .filter(|dir| dir.is_dir())
        .collect();
    dirs.sort();
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_packagers_write_them() {
        for (says, major, minor, text) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                15,
                Some(18),
                "15.18",
            ),
            ("postgres (PostgreSQL) 17.10\n", 17, Some(10), "17.10"),
            ("postgres (PostgreSQL) 18beta1", 18, None, "18beta1"),
            ("postgres (PostgreSQL) 19devel", 19, None, "19devel"),
        ] {
            let version = Version::parse(says).unwrap();
            assert_eq!(
                (version.major, version.minor, version.text.as_str()),
                (major, minor, text)
            );
        }
        for says in [
            "",
            "psql 15",
            "postgres (PostgreSQL) ",
            "postgres (PostgreSQL) x\u{1b}[0m",
            "(PostgreSQL) 99999999",
        ] {
            assert_eq!(Version::parse(says), None, "{says:?}");
        }
    }

    #[test]
    fn newer_versions_sort_after_older_ones() {
        let version = |text: &str| Version::parse(&format!("postgres (PostgreSQL) {text}")).unwrap();
        assert!(version("9.6") < version("15.18"));
        assert!(version("15.9") < version("15.18"));
        assert!(version("18beta1") < version("18.0"));
    }
}
