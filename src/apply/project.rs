//! The project directory: found, checked, locked, and in order after a run that was killed.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::geteuid;

use super::BOOKS;
use super::error::{Error, Found, Result};
use super::journal::{self, State};
use super::manifest::Manifest;
use super::switch;
use super::transaction::{self, KeptCopy, Way};
use super::tree::{DirState, Tree};

/// A project directory, only looked at. It need not exist.
pub struct Project {
    dir: PathBuf,
    tree: Option<Tree>,
}

/// A project directory that this run alone may write, until it is dropped.
pub struct Locked {
    project: Project,
    recovery: Option<Recovery>,
    made_root: bool,
    lock: File,
}

/// What was done about a write or an undo that was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The write was final when it was killed, and has now been finished.
    Finished {
        /// The files that were still to be put in place.
        files: Vec<PathBuf>,
        /// Copies of what somebody put there since.
        kept: Vec<KeptCopy>,
    },
    /// The write could not be finished, or it was being undone: everything is as it was before it.
    TakenBack {
        /// The files that were still to be put back.
        files: Vec<PathBuf>,
        /// Copies of what somebody put there since.
        kept: Vec<KeptCopy>,
    },
}

impl Project {
    /// Looks at a directory without touching it; it need not exist. For previews.
    pub fn look(dir: &Path) -> Result<Self> {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        let tree = match Tree::open(dir) {
            Ok(tree) => Some(tree),
            Err(Errno::NOENT) if dir.symlink_metadata().is_err() => None,
            // A symbolic link to nothing.
            Err(Errno::NOENT) => {
                return Err(Error::NotADirectory {
                    path: dir.to_path_buf(),
                    found: Found::Symlink,
                });
            }
            Err(Errno::NOTDIR) => {
                let found = dir.metadata().map_or(Found::Special, |meta| {
                    if meta.is_file() {
                        Found::File
                    } else {
                        Found::Special
                    }
                });
                return Err(Error::NotADirectory {
                    path: dir.to_path_buf(),
                    found,
                });
            }
            Err(e) => return Err(Error::io("open", dir, e)),
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            tree,
        })
    }

    /// Takes an existing directory for this run, and puts in order what a killed run left there.
    pub fn open(dir: &Path) -> Result<Locked> {
        let project = Self::look(dir)?;
        let Some(tree) = &project.tree else {
            return Err(Error::NoSuchDirectory(project.dir));
        };
        check_owner(tree)?;
        let lock = lock(tree)?;
        let recovery = recover(tree)?;
        Ok(Locked {
            project,
            recovery,
            made_root: false,
            lock,
        })
    }

    /// As [`Project::open`], creating the directory if need be; the one that holds it must exist.
    pub fn create(dir: &Path) -> Result<Locked> {
        let made_root = match rustix::fs::mkdir(dir, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(Errno::NOENT) => return Err(Error::NoParent(dir.to_path_buf())),
            Err(e) => return Err(Error::io("create", dir, e)),
        };
        let mut opened = Self::open(dir);
        match &mut opened {
            Ok(locked) => locked.made_root = made_root,
            // It is empty, and the error is what matters.
            Err(_) if made_root => _ = rustix::fs::rmdir(dir),
            Err(_) => {}
        }
        opened
    }

    /// The directory as it was named.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the directory is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.tree.is_some()
    }

    /// Whether pgtls has been here before: its answers or its books are there. Otherwise whatever is in the
    /// directory is somebody's, and each planned file that is there already counts as edited.
    pub fn is_ours(&self) -> Result<bool> {
        let Some(tree) = &self.tree else { return Ok(false) };
        Ok(tree.found(Path::new("pgtls.toml"))? == Some(Found::File)
            || tree.found(&Manifest::path())?.is_some())
    }

    /// Names in the directory that are not pgtls's books, if pgtls has not been here before. For a warning.
    pub fn strangers(&self) -> Result<Vec<PathBuf>> {
        let Some(tree) = &self.tree else {
            return Ok(Vec::new());
        };
        if self.is_ours()? {
            return Ok(Vec::new());
        }
        Ok(tree
            .names(Path::new(""))?
            .into_iter()
            .filter(|name| name != BOOKS)
            .map(PathBuf::from)
            .collect())
    }

    /// The files that pgtls wrote, as its books have it.
    pub fn ours(&self) -> Result<BTreeSet<PathBuf>> {
        let Some(tree) = &self.tree else {
            return Ok(BTreeSet::new());
        };
        Ok(Manifest::load(tree)?.0.files.into_keys().collect())
    }

    /// Whether these are the bytes that pgtls last wrote at a path, as its books have it.
    pub fn wrote(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let Some(tree) = &self.tree else { return Ok(false) };
        Ok(Manifest::load(tree)?.0.wrote(path, bytes))
    }

    /// Whether a killed run left something that [`Project::open`] would put in order first.
    pub fn is_unfinished(&self) -> Result<bool> {
        match &self.tree {
            Some(tree) => Ok(journal::unfinished(tree)?.is_some()),
            None => Ok(false),
        }
    }

    /// How many writes can be taken back.
    pub fn undoable(&self) -> Result<usize> {
        let Some(tree) = &self.tree else { return Ok(0) };
        Ok(journal::entries(tree)?
            .iter()
            .filter(|entry| entry.state == State::Done)
            .count())
    }

    pub(super) const fn tree(&self) -> Option<&Tree> {
        self.tree.as_ref()
    }
}

impl Locked {
    /// What was put in order when the directory was opened.
    #[must_use]
    pub const fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    pub(super) fn writer(&self) -> Result<&Tree> {
        self.project
            .tree
            .as_ref()
            .ok_or_else(|| Error::NoSuchDirectory(self.project.dir.clone()))
    }
}

impl Deref for Locked {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

impl Drop for Locked {
    /// Leaves no books behind where nothing was written. Best effort: what stays is empty and does no harm.
    fn drop(&mut self) {
        let Some(tree) = &self.project.tree else { return };
        let books = Path::new(BOOKS);
        if tree.names(books).is_ok_and(|names| names == ["lock"])
            && tree.is_at(&self.lock, &lock_path()).unwrap_or(false)
        {
            // While we still hold it: whoever waits for this file sees that it is no longer the one at this path.
            let _ = tree.remove(&lock_path());
            let _ = tree.remove_dir_if_empty(books);
        }
        if self.made_root {
            let _ = rustix::fs::rmdir(&self.project.dir);
        }
    }
}

/// Keys in a directory of another user could be replaced by that user. Root may: `sudo` and containers work in
/// directories of others, and nothing here follows a link.
fn check_owner(tree: &Tree) -> Result<()> {
    let owner = tree.root_state()?.owner.0;
    let ours = geteuid();
    if ours.is_root() || owner == ours.as_raw() {
        return Ok(());
    }
    Err(Error::OtherOwner {
        path: tree.path().to_path_buf(),
        owner,
        ours: ours.as_raw(),
    })
}

fn lock_path() -> PathBuf {
    Path::new(BOOKS).join("lock")
}

fn lock(tree: &Tree) -> Result<File> {
    let path = lock_path();
    // A run that ends may remove the lock and its directory between our steps; it does so at most once.
    for _ in 0..100 {
        books(tree)?;
        let Some(mut file) = tree.open_lock(&path)? else {
            continue;
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    path: tree.path().to_path_buf(),
                    pid: holder(&mut file),
                });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &tree.full(&path), e)),
        }
        if !tree.is_at(&file, &path)? {
            continue;
        }
        // Only for the error message of others: a full disk must not keep an undo from freeing it.
        let _ = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        return Ok(file);
    }
    Err(Error::Locked {
        path: tree.path().to_path_buf(),
        pid: None,
    })
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes `.pgtls`, or sees to it that it is ours alone.
fn books(tree: &Tree) -> Result<()> {
    let books = Path::new(BOOKS);
    if tree.make_dir(books, 0o700)? {
        return Ok(());
    }
    // Gone again since: the caller's next step says so.
    let Some(state) = tree.dir_state(books)? else {
        return Ok(());
    };
    let ours = geteuid().as_raw();
    if state.owner.0 != ours && ours != 0 {
        return Err(Error::OtherOwner {
            path: tree.full(books),
            owner: state.owner.0,
            ours,
        });
    }
    if state.mode != 0o700 {
        tree.set_dir(books, DirState { mode: 0o700, ..state })?;
    }
    Ok(())
}

/// Finishes what a killed run left, or takes it back.
fn recover(tree: &Tree) -> Result<Option<Recovery>> {
    let Some(entry) = journal::unfinished(tree)? else {
        transaction::clear_staging(tree)?;
        return Ok(None);
    };
    let Some(record) = journal::load(tree, entry)? else {
        journal::forget(tree, entry)?;
        transaction::clear_staging(tree)?;
        return Ok(None);
    };
    let settle = |way| match &record.elsewhere {
        Some(_) => {
            let root = switch::root()?;
            let files = record.items.iter().map(|item| root.full(&item.path)).collect();
            Ok((files, switch::bring(tree, &root, &record, way)?))
        }
        None => transaction::settle(tree, &record, way).map(|done| (done.files(), done.kept)),
    };
    let mut undo = entry;
    let mut cause = None;
    if entry.state == State::Commit {
        match settle(Way::Forward) {
            Ok((files, kept)) => {
                journal::turn(tree, entry, State::Done)?;
                journal::sync(tree)?;
                transaction::clear_staging(tree)?;
                return Ok(Some(Recovery::Finished { files, kept }));
            }
            Err(error) => cause = Some(error),
        }
        undo = journal::turn(tree, entry, State::Undo)?;
    }
    match settle(Way::Back) {
        Ok((files, kept)) => {
            journal::forget(tree, undo)?;
            transaction::clear_staging(tree)?;
            Ok(Some(Recovery::TakenBack { files, kept }))
        }
        Err(second) => Err(match cause {
            Some(cause) => Error::unfinished(tree, cause, second),
            None => second,
        }),
    }
}
