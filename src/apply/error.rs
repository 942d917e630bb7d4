//! What can go wrong with a person's files, in words they can act on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::show::shown;
use super::tree::Tree;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why files could not be compared, written or restored. Each says what it means for the person's files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused one step.
    #[error("cannot {doing} {}: {trouble}", shown(.path))]
    Io {
        /// What was being done: a verb for "cannot … PATH".
        doing: &'static str,
        /// The full path.
        path: PathBuf,
        /// Why, in words.
        trouble: Trouble,
    },
    /// The project directory is not there.
    #[error("{} does not exist; create it, or name another directory with --dir", shown(.0))]
    NoSuchDirectory(PathBuf),
    /// A file elsewhere is somebody else's: what replaced it would not be.
    #[error(
        "{} belongs to user id {owner}, and this run is user id {ours}: what replaced it would not belong to it. Nothing was \
         written; run as that user, or as root", shown(.path)
    )]
    NotTheOwner {
        /// The full path.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who runs.
        ours: u32,
    },
    /// A file elsewhere cannot be replaced, which was seen before anything was tried.
    #[error("{} cannot be replaced: {why}. Nothing was written; {remedy}", shown(.path))]
    CannotReplace {
        /// The full path.
        path: PathBuf,
        /// What keeps it.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The directory that should hold the project directory is not there.
    #[error("cannot create {}: the directory that should hold it does not exist; create that first (mkdir -p)", shown(.0))]
    NoParent(PathBuf),
    /// The project directory is something else.
    #[error("{} is {found}, not a directory; name a directory with --dir", shown(.path))]
    NotADirectory {
        /// The full path.
        path: PathBuf,
        /// What stands there.
        found: Found,
    },
    /// The project directory is somebody else's.
    #[error(
        "{} belongs to user id {owner}, and this run is user id {ours}: keys there would not be safe from their owner. \
         Run as that user, or choose a directory of your own with --dir", shown(.path)
    )]
    OtherOwner {
        /// The full path.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who runs.
        ours: u32,
    },
    /// Another run is at work in this directory.
    #[error("another pgtls ({}) is at work in {}; wait until it has ended", process(*.pid), shown(.path))]
    Locked {
        /// The project directory.
        path: PathBuf,
        /// Its process, where it has said so yet.
        pid: Option<u32>,
    },
    /// Something that is no file stands where a file should be.
    #[error("{} should be a file but is {found}; move it away, then run again", shown(.path))]
    NotAFile {
        /// The full path.
        path: PathBuf,
        /// What stands there.
        found: Found,
    },
    /// A component of a path is no directory.
    #[error("{} should be a directory but is {found}; move it away, then run again", shown(.path))]
    ComponentNotADirectory {
        /// The full path of the component.
        path: PathBuf,
        /// What stands there.
        found: Found,
    },
    /// A file in the way is far larger than anything pgtls writes.
    #[error("{} is in the way and too large to keep a copy of ({bytes} bytes); move it away, then run again", shown(.path))]
    TooLarge {
        /// The full path.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The plan itself is not sound.
    #[error("the plan names the file {} in a way that cannot be written: {why}", shown(.path))]
    UnsoundPlan {
        /// As planned.
        path: PathBuf,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The disk is not as it was when the changes were shown.
    #[error("{} changed after the changes were worked out; nothing was written, run again", shown(.0))]
    ChangedMeanwhile(PathBuf),
    /// Edited files are in the way and the policy is not to touch them.
    #[error("{} since pgtls wrote {}: {}. Nothing was written",
        if .0.len() == 1 { "a file was edited" } else { "files were edited" },
        if .0.len() == 1 { "it, or was never pgtls's" } else { "them, or were never pgtls's" },
        list(.0))]
    Edited(Vec<PathBuf>),
    /// The person said stop.
    #[error("stopped at {}; nothing was written", shown(.0))]
    Stopped(PathBuf),
    /// A certificate or key cannot be left out of a write: its other half would not fit.
    #[error(
        "{} cannot be left as it is while the files that belong to it change: certificate and key must fit. \
         Nothing was written; replace it (a copy is kept) or stop", shown(.0)
    )]
    CannotLeave(PathBuf),
    /// There is no write to take back.
    #[error("there is nothing to undo in {}", shown(.0))]
    NothingToUndo(PathBuf),
    /// A file of ours in `.pgtls` does not read.
    #[error("{} is damaged: {why}. It is pgtls's own record; {remedy}", shown(.path))]
    Damaged {
        /// The full path.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A write or an undo failed, and everything is as it was before.
    #[error("{0}. Nothing was changed")]
    NothingChanged(Box<Error>),
    /// A write or an undo failed and could not be taken back either; the journal still can.
    #[error(
        "{cause}. Putting everything back failed too ({second}); nothing is lost: \
         once that is mended, the next run of pgtls in {} puts it in order", shown(.dir)
    )]
    Unfinished {
        /// What failed first.
        cause: Box<Error>,
        /// What failed while putting things back.
        second: Box<Error>,
        /// The project directory.
        dir: PathBuf,
    },
}

impl Error {
    pub(super) fn io(doing: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        Self::Io {
            doing,
            path: path.to_path_buf(),
            trouble: Trouble::from(error.into()),
        }
    }

    pub(super) fn nothing_changed(cause: Self) -> Self {
        match cause {
            Self::Unfinished { .. } => cause,
            cause => Self::NothingChanged(Box::new(cause)),
        }
    }

    pub(super) fn unfinished(tree: &Tree, cause: Self, second: Self) -> Self {
        Self::Unfinished {
            cause: Box::new(cause),
            second: Box::new(second),
            dir: tree.path().to_path_buf(),
        }
    }

    /// The first cause, below what was said about the state of the files.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::NothingChanged(cause) | Self::Unfinished { cause, .. } => cause.cause(),
            other => other,
        }
    }
}

/// Why the operating system refused, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// `EACCES`, `EPERM`.
    Denied,
    /// `ENOSPC`.
    Full,
    /// `EDQUOT`.
    Quota,
    /// `EROFS`.
    ReadOnly,
    /// `ENOENT`.
    Missing,
    /// `EXDEV`: a directory of the project is a mount of its own.
    OtherFileSystem,
    /// Anything else, in the system's words.
    Other(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::PermissionDenied => Self::Denied,
            K::StorageFull => Self::Full,
            K::QuotaExceeded => Self::Quota,
            K::ReadOnlyFilesystem => Self::ReadOnly,
            K::NotFound => Self::Missing,
            K::CrossesDevices => Self::OtherFileSystem,
            _ => {
                let text = error.to_string();
                let words = text.split(" (os error").next().unwrap_or(&text);
                Self::Other(words.to_lowercase())
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "permission denied; run as the owner, or choose another directory with --dir",
            Self::Full => "the disk is full; free some space, then run again",
            Self::Quota => "the disk quota is used up; free some space, then run again",
            Self::ReadOnly => "the file system is read-only; choose another directory with --dir",
            Self::Missing => "no such file or directory",
            Self::OtherFileSystem => {
                "it lies on another file system than the project directory, so it cannot be replaced in one step"
            }
            Self::Other(words) => words,
        })
    }
}

/// What stands where something else was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A pipe, a socket or a device.
    Special,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Special => "a pipe, socket or device",
        })
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "it has not said its process id yet".to_owned(),
        |pid| format!("process {pid}"),
    )
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| shown(path))
        .collect::<Vec<_>>()
        .join(", ")
}
