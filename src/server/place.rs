//! Where a sandbox lives.
//!
//! Its home is a directory that holds `server/` (the files the server reads) and `.pgtls/` (its data, its
//! socket, its log) in fixed relative positions, so that the same configuration works in any home. The home
//! is the project directory itself, except where that cannot be:
//!
//! * As root, the server runs as another account, which cannot reach below a private directory: the home is
//!   then a mirror below `/var/lib/pgtls`.
//! * A file system that does not keep permissions (FAT, some shared folders) can hold neither a data
//!   directory nor a key: the home is then a mirror in the person's state directory.
//!
//! A Unix socket's path is short (`sun_path` of unix(7)): where the project's is too long, only the socket
//! goes elsewhere.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use directories::ProjectDirs;

use super::files::{make_dir, remove, write_copy};
use super::{Account, ServerError};

/// Bytes a socket's path may have: `sun_path` without its final NUL.
const SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// The longest name a socket of PostgreSQL's has.
const SOCKET_NAME: &str = "/.s.PGSQL.65535.lock";

/// The directories of this machine and this person that pgtls may use for itself.
#[derive(Debug, Clone)]
pub struct Places {
    /// Root's: `/var/lib/pgtls`.
    pub system: PathBuf,
    /// The person's state, such as `~/.local/state/pgtls`.
    pub state: Option<PathBuf>,
    /// The person's run-time directory, such as `/run/user/1000/pgtls`.
    pub runtime: Option<PathBuf>,
    /// The person's cache, such as `~/.cache/pgtls`.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// Those of this machine, by the conventions of its system.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let dirs = ProjectDirs::from("", "", "pgtls");
        let dirs = dirs.as_ref();
        Self {
            system: PathBuf::from("/var/lib/pgtls"),
            state: dirs.map(|dirs| {
                dirs.state_dir()
                    .unwrap_or_else(|| dirs.data_local_dir())
                    .to_owned()
            }),
            runtime: dirs.and_then(ProjectDirs::runtime_dir).map(Path::to_owned),
            cache: dirs.map(|dirs| dirs.cache_dir().to_owned()),
        }
    }

    /// Where fetched binaries lie: reachable by the account that runs the server.
    #[must_use]
    pub fn binaries(&self) -> Option<PathBuf> {
        if rustix::process::geteuid().is_root() {
            return Some(self.system.join("binaries"));
        }
        Some(self.cache.as_ref()?.join("binaries"))
    }
}

/// Where one sandbox lives, and why there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) home: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) notice: Option<String>,
}

impl Place {
    /// Where the sandbox of `project` (canonical) is, or would be.
    pub(super) fn decide(
        project: &Path,
        account: Option<&Account>,
        places: &Places,
    ) -> Result<Self, ServerError> {
        let id = identity(project);
        if let Some(account) = account {
            let (home, former) = home(project, &places.system, &id);
            let shared = if account.is_last_resort() {
                ", an account other services may share; make one with `useradd --system postgres`"
            } else {
                ""
            };
            let notice = format!(
                "PostgreSQL refuses to run as root: it runs as `{}`{shared}, with its data and copies of its files in {}",
                account.name,
                home.display()
            ) + &former.map_or_else(String::new, |former| {
                format!(
                    ", which are those of {}, from where it was moved",
                    former.display()
                )
            });
            let socket_dir = home.join(".pgtls/run");
            return Ok(Self {
                home,
                socket_dir,
                notice: Some(notice),
            });
        }
        let mirror = places.state.as_ref().map(|state| home(project, state, &id).0);
        let (home, moved) = match mirror {
            Some(mirror) if !project.join(".pgtls/data").exists() => {
                if mirror.join(".pgtls/data").exists() || !keeps_modes(project) {
                    let notice = format!(
                        "the file system of {} does not keep permissions: PostgreSQL's data and copies of its files are in {}",
                        project.display(),
                        mirror.display()
                    );
                    (mirror, Some(notice))
                } else {
                    (project.to_owned(), None)
                }
            }
            _ => (project.to_owned(), None),
        };
        let own = home.join(".pgtls/run");
        if fits(&own) {
            return Ok(Self {
                home,
                socket_dir: own,
                notice: moved,
            });
        }
        let user = rustix::process::geteuid().as_raw();
        let socket_dir = [
            places.state.as_ref().map(|state| state.join(&id).join("run")),
            places.runtime.as_ref().map(|runtime| runtime.join(&id)),
            Some(std::env::temp_dir().join(format!("pgtls-{user}-{id}"))),
        ]
        .into_iter()
        .flatten()
        .find(|dir| fits(dir))
        .ok_or(ServerError::NoPlaceForSocket {
            most: SOCKET_PATH - SOCKET_NAME.len(),
        })?;
        let notice = format!(
            "the path of {} is too long for a Unix socket: the socket is in {}",
            project.display(),
            socket_dir.display()
        );
        let notice = moved.map_or(notice.clone(), |moved| format!("{moved}; {notice}"));
        Ok(Self {
            home,
            socket_dir,
            notice: Some(notice),
        })
    }

    /// Has the project and its home elsewhere name each other.
    pub(super) fn note(&self, project: &Path) -> Result<(), ServerError> {
        let line = |path: &Path| [path.as_os_str().as_bytes(), b"\n"].concat();
        make_dir(&project.join(".pgtls"), 0o700, None)?;
        write_copy(&project.join(HOME), &line(&self.home), 0o600, None)?;
        write_copy(&self.home.join(PROJECT), &line(project), 0o644, None)
    }

    /// After its home is deleted: the project names none any more.
    pub(super) fn forget(&self, project: &Path) -> Result<(), ServerError> {
        if self.home == project {
            return Ok(());
        }
        remove(&project.join(HOME))
    }

    /// Makes the directories; those the server writes are its account's alone.
    pub(super) fn make(&self, project: &Path, account: Option<&Account>) -> Result<(), ServerError> {
        if self.home != project {
            if let Some(parent) = self.home.parent() {
                // The mirrors of one person or of root lie together; what is in them has modes of its own.
                let mode = if account.is_some() { 0o755 } else { 0o700 };
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(mode)
                    .create(parent)
                    .map_err(|error| ServerError::file("create", parent, &error))?;
            }
            make_dir(&self.home, if account.is_some() { 0o755 } else { 0o700 }, None)?;
            self.note(project)?;
        }
        let inner = self.home.join(".pgtls");
        make_dir(&inner, if account.is_some() { 0o755 } else { 0o700 }, None)?;
        make_dir(&inner.join("log"), 0o700, None)?;
        make_dir(&inner.join("data"), 0o700, account)?;
        if !self.socket_dir.starts_with(&inner)
            && let Some(parent) = self.socket_dir.parent()
        {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(|error| ServerError::file("create", parent, &error))?;
        }
        make_dir(&self.socket_dir, 0o700, account)
    }
}

/// In a project whose home is elsewhere: the path of that home, which a move of the project leaves as it is.
const HOME: &str = ".pgtls/home";
/// In such a home: the path of its project.
const PROJECT: &str = "project";

/// The home of a project below `base`: the one of its path or, where it was moved, the one that it had, and the path that
/// it had then.
fn home(project: &Path, base: &Path, id: &str) -> (PathBuf, Option<PathBuf>) {
    let own = base.join(id);
    let moved = || {
        if own.join(".pgtls/data").exists() {
            return None;
        }
        let before = written(&project.join(HOME)).filter(|home| home.parent() == Some(base))?;
        let former = written(&before.join(PROJECT))?;
        // One that is still there has its home; this is a copy of it.
        let is_there = written(&former.join(HOME)).is_some_and(|home| home == before);
        (before != own && before.join(".pgtls/data").exists() && (former == project || !is_there))
            .then_some((before, former))
    };
    match moved() {
        Some((before, former)) if former == project => (before, None),
        Some((before, former)) => (before, Some(former)),
        None => (own, None),
    }
}

/// The path in a file that we wrote ourselves.
fn written(file: &Path) -> Option<PathBuf> {
    let (mut bytes, found) = super::files::read(file, 8192).ok()?;
    (found.uid() == rustix::process::geteuid().as_raw()).then_some(())?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(&bytes)))
}

/// A name for the project that is its own: readable, and derived from its canonical path.
fn identity(project: &Path) -> String {
    let hash = digest(&SHA256, project.as_os_str().as_bytes());
    let mut id: String = project
        .file_name()
        .map(|name| {
            name.to_string_lossy()
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(12)
                .collect()
        })
        .unwrap_or_default();
    if !id.is_empty() {
        id.push('-');
    }
    hash.as_ref()[..8]
        .iter()
        .fold(id, |id, byte| format!("{id}{byte:02x}"))
}

fn fits(socket_dir: &Path) -> bool {
    socket_dir.as_os_str().len() + SOCKET_NAME.len() <= SOCKET_PATH
}

/// Whether permissions given to a file below `dir` are there when looked at again. Where we cannot even try,
/// what comes after will fail with the true reason.
fn keeps_modes(dir: &Path) -> bool {
    let Ok(mut probe) = tempfile::Builder::new().prefix(".pgtls-probe-").tempfile_in(dir) else {
        return true;
    };
    let _ = probe.write_all(b"?");
    [0o600, 0o640].iter().all(|&mode| {
        let set = probe
            .as_file()
            .set_permissions(std::fs::Permissions::from_mode(mode));
        set.is_ok()
            && probe
                .as_file()
                .metadata()
                .is_ok_and(|found| found.mode() & 0o7777 == mode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_differ_by_path_and_stay_short() {
        let (one, two) = (identity(Path::new("/a/demo")), identity(Path::new("/b/demo")));
        assert_ne!(one, two);
        assert_eq!(one, identity(Path::new("/a/demo")));
        assert!(one.starts_with("demo-") && one.len() <= 29);
        assert!(!identity(Path::new("/a/ü \u{202e}/../x;y")).contains([' ', ';', '.']));
        assert!(fits(
            &Path::new("/var/lib/pgtls")
                .join(identity(Path::new("/abcdefghijklmnop")))
                .join(".pgtls/run")
        ));
    }

    #[test]
    fn only_the_socket_leaves_a_project_with_a_long_path() {
        let temp = tempfile::tempdir().unwrap();
        let project = temp.path().join("x".repeat(90));
        std::fs::create_dir(&project).unwrap();
        let places = Places {
            system: temp.path().join("system"),
            state: Some(temp.path().join("state")),
            runtime: None,
            cache: None,
        };
        let place = Place::decide(&project, None, &places).unwrap();
        assert_eq!(place.home, project);
        assert!(place.socket_dir.starts_with(temp.path().join("state")));
        assert!(place.notice.unwrap().contains("too long"));
    }
}
