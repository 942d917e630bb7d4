//! PostgreSQL's binaries on this machine, and the two libpq witnesses: `psql` and psycopg's own, newer libpq.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Account, Job, Outcome, skip};

/// Majors that continuous integration must have.
const REQUIRED: [u16; 4] = [13, 15, 17, 18];

/// A PostgreSQL server that can be run.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// Its major version.
    pub major: u16,
    /// The directory with `postgres` and `initdb`.
    pub bin: PathBuf,
}

impl Postgres {
    /// Every server of this machine, by major version: the system's own (`/usr/lib/postgresql/N/bin`) before those that
    /// `tests/run` keeps in its cache.
    pub fn all() -> BTreeMap<u16, PathBuf> {
        let mut found = BTreeMap::new();
        for root in [cache().join("postgresql"), PathBuf::from("/usr/lib/postgresql")] {
            for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
                let bin = entry.path().join("bin");
                let major = entry.file_name().to_string_lossy().parse();
                if let (Ok(major), true) = (
                    major,
                    bin.join("postgres").exists() && bin.join("initdb").exists(),
                ) {
                    found.insert(major, bin);
                }
            }
        }
        found
    }

    /// The server of that major version; notes a skip if there is none.
    pub fn find(major: u16) -> Option<Self> {
        let bin = Self::all().remove(&major);
        if bin.is_none() {
            skip(
                &format!("no PostgreSQL {major} here: tests/run fetches it"),
                REQUIRED.contains(&major),
            );
        }
        Some(Self { major, bin: bin? })
    }

    /// The server to use where the version does not matter: the system's, else the newest.
    pub fn any() -> Option<Self> {
        let all = Self::all();
        let system = all
            .iter()
            .rev()
            .find(|(_, bin)| bin.starts_with("/usr/lib/postgresql"));
        match system.or_else(|| all.iter().next_back()) {
            Some((major, bin)) => Some(Self {
                major: *major,
                bin: bin.clone(),
            }),
            None => Self::find(15),
        }
    }
}

/// Where `tests/run` keeps servers and Python packages.
pub fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("PGTLS_TEST_CACHE") {
        return cache.into();
    }
    if Account::is_root() {
        return "/var/cache/pgtls-tests".into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(home, PathBuf::from)
        .join("pgtls-tests")
}

/// What psql says under that conninfo: runs one query, prints bare values, never prompts.
///
/// No `PG*` variable, and a HOME without `.postgresql`: the conninfo alone decides.
#[track_caller]
pub fn psql(conninfo: &str, query: &str) -> Outcome {
    psql_as(&Account::current(), conninfo, query)
}

/// [`psql`] run by another account (which must be able to read the files that the conninfo names).
#[track_caller]
pub fn psql_as(account: &Account, conninfo: &str, query: &str) -> Outcome {
    psql_job(account, conninfo, query).run()
}

/// [`psql_as`], not yet run.
pub fn psql_job(account: &Account, conninfo: &str, query: &str) -> Job {
    // Debian's /usr/bin/psql is a wrapper in Perl that looks for clusters: the real one is beside it.
    let real = Postgres::all()
        .into_values()
        .rev()
        .map(|bin| bin.join("psql"))
        .find(|psql| psql.exists());
    Job::new(real.as_deref().unwrap_or(Path::new("psql")))
        .args([
            "-X",
            "-w",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            query,
            "-d",
            conninfo,
        ])
        .account(account)
}

/// What psycopg (libpq 18 or later) says under that conninfo: the result of one query that gives one value.
/// `None`, with a skip noted, where it is not installed.
#[track_caller]
pub fn psycopg(account: &Account, conninfo: &str, query: &str) -> Option<Outcome> {
    const SCRIPT: &str = "
import sys, psycopg
with psycopg.connect(sys.argv[1], connect_timeout=20) as connection:
    print(connection.execute(sys.argv[2]).fetchone()[0])
";
    let python = std::env::var_os("PGTLS_TEST_PYTHON")
        .map_or_else(|| cache().join("python/bin/python"), PathBuf::from);
    if !python.exists() {
        skip("no psycopg here: tests/run installs it", true);
        return None;
    }
    Some(
        Job::new(python)
            .args(["-c", SCRIPT, conninfo, query])
            .account(account)
            .run(),
    )
}
