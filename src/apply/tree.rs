//! The project directory as a file descriptor, and the few things done below it.
//!
//! Every path is relative and is walked component by component with `O_NOFOLLOW`: a symbolic link anywhere below
//! the project directory is an error that names it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use zeroize::Zeroizing;

use super::attributes;
use super::error::{Error, Found, Result};

/// Largest file that is read, compared or kept.
const LARGEST: u64 = 16 << 20;

/// Largest record of the journal that is read back.
const LARGEST_RECORD: u64 = 1 << 30;

/// User id and group id.
pub(super) type Owner = (u32, u32);

/// A regular file as it is, or as it shall be.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FileState {
    /// Permission bits.
    pub mode: u32,
    /// `None`: whoever writes it.
    pub owner: Option<Owner>,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A directory as it is, or as it shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DirState {
    pub mode: u32,
    pub owner: Owner,
}

/// The project directory, open.
pub(super) struct Tree {
    path: PathBuf,
    root: OwnedFd,
}

impl Tree {
    /// Opens the directory itself; here, and only here, a symbolic link to a directory is fine.
    pub fn open(path: &Path) -> rustix::io::Result<Self> {
        let root = fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self {
            path: path.to_path_buf(),
            root,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The full path of `rel`, for people.
    pub fn full(&self, rel: &Path) -> PathBuf {
        self.path.join(rel)
    }

    /// Mode and owner of the project directory.
    pub fn root_state(&self) -> Result<DirState> {
        let stat = fs::fstat(&self.root).map_err(|e| Error::io("look at", &self.path, e))?;
        Ok(DirState {
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
        })
    }

    /// What kind of thing stands at `rel`; `None` where nothing does, nor its directory.
    pub fn found(&self, rel: &Path) -> Result<Option<Found>> {
        Ok(self.stat(rel)?.map(|stat| kind(&stat)))
    }

    fn stat(&self, rel: &Path) -> Result<Option<fs::Stat>> {
        let Some((dir, name)) = self.parent(rel)? else {
            return Ok(None);
        };
        match fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io("look at", &self.full(rel), e)),
        }
    }

    /// The directory at `rel`, if there is one; an error if something else stands there.
    pub fn dir_state(&self, rel: &Path) -> Result<Option<DirState>> {
        let Some(stat) = self.stat(rel)? else {
            return Ok(None);
        };
        match kind(&stat) {
            Found::Directory => Ok(Some(DirState {
                mode: stat.st_mode & 0o7777,
                owner: (stat.st_uid, stat.st_gid),
            })),
            found => Err(Error::ComponentNotADirectory {
                path: self.full(rel),
                found,
            }),
        }
    }

    /// The file at `rel`, if there is one; an error if something else stands there, or far more than a file of ours.
    pub fn read(&self, rel: &Path) -> Result<Option<FileState>> {
        self.read_up_to(rel, LARGEST)
    }

    /// A record of the journal: it may hold many files.
    pub fn read_record(&self, rel: &Path) -> Result<Option<FileState>> {
        self.read_up_to(rel, LARGEST_RECORD)
    }

    fn read_up_to(&self, rel: &Path, largest: u64) -> Result<Option<FileState>> {
        let full = self.full(rel);
        // Looked at before it is opened: opening a pipe or a device can block or act.
        match self.found(rel)? {
            None => return Ok(None),
            Some(Found::File) => {}
            Some(found) => return Err(Error::NotAFile { path: full, found }),
        }
        let Some((dir, name)) = self.parent(rel)? else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match fs::openat(&dir, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(Error::NotAFile {
                    path: full,
                    found: Found::Symlink,
                });
            }
            Err(e) => return Err(Error::io("read", &full, e)),
        };
        let stat = fs::fstat(&fd).map_err(|e| Error::io("read", &full, e))?;
        if kind(&stat) != Found::File {
            return Err(Error::NotAFile {
                path: full,
                found: kind(&stat),
            });
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > largest {
            return Err(Error::TooLarge {
                path: full,
                bytes: size,
            });
        }
        // Room for one byte more than there is: a vector that grew would leave copies of a key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
        File::from(fd)
            .take(largest)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", &full, e))?;
        Ok(Some(FileState {
            mode: stat.st_mode & 0o7777,
            owner: Some((stat.st_uid, stat.st_gid)),
            bytes,
        }))
    }

    /// Names in the directory `rel`; empty where there is no such directory.
    pub fn names(&self, rel: &Path) -> Result<Vec<OsString>> {
        let fail = |e: Errno| Error::io("list", &self.full(rel), e);
        let Some(dir) = self.walk(rel)? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Creates a file that must not be there yet: 0600 from its first byte, then given its owner and mode.
    pub fn create(&self, rel: &Path, state: &FileState) -> Result<()> {
        let full = self.full(rel);
        let (dir, name) = self.existing_parent(rel)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = fs::openat(&dir, name, flags, Mode::from_raw_mode(0o600));
        let mut file = File::from(made.map_err(|e| Error::io("create", &full, e))?);
        file.write_all(&state.bytes)
            .map_err(|e| Error::io("write", &full, e))?;
        if let Some(owner) = state.owner {
            let stat = fs::fstat(&file).map_err(|e| Error::io("look at", &full, e))?;
            if (stat.st_uid, stat.st_gid) != owner {
                // Only root may give files away: what an ordinary user replaces becomes their own.
                match fs::fchown(&file, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1))) {
                    Ok(()) | Err(Errno::PERM) => {}
                    Err(e) => return Err(Error::io("set the owner of", &full, e)),
                }
            }
        }
        fs::fchmod(&file, Mode::from_raw_mode(state.mode)).map_err(|e| Error::io("set the mode of", &full, e))
    }

    /// Gives a file its permission bits.
    pub fn set_mode(&self, rel: &Path, mode: u32) -> Result<()> {
        let Some(file) = self.open_any(rel)? else {
            return Ok(());
        };
        fs::fchmod(&file, Mode::from_raw_mode(mode))
            .map_err(|e| Error::io("set the mode of", &self.full(rel), e))
    }

    /// Gives a file the attributes of another; nothing where there is none of that name.
    pub fn copy_attributes(&self, from: &Path, to: &Path) -> Result<()> {
        let (Some(source), Some(target)) = (self.open_any(from)?, self.open_any(to)?) else {
            return Ok(());
        };
        attributes::copy(source, target).map_err(|e| Error::io("set the attributes of", &self.full(to), e))
    }

    /// Where a symbolic link points; `None` where there is none.
    pub fn link_target(&self, rel: &Path) -> Result<Option<PathBuf>> {
        let Some((dir, name)) = self.parent(rel)? else {
            return Ok(None);
        };
        match fs::readlinkat(&dir, name, Vec::new()) {
            Ok(target) => Ok(Some(PathBuf::from(OsStr::from_bytes(target.to_bytes())))),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(e) => Err(Error::io("look at", &self.full(rel), e)),
        }
    }

    /// Makes a symbolic link where nothing may be yet.
    pub fn symlink(&self, target: &Path, rel: &Path) -> Result<()> {
        let (dir, name) = self.existing_parent(rel)?;
        fs::symlinkat(target, &dir, name).map_err(|e| Error::io("create", &self.full(rel), e))
    }

    /// Gives a file a second name; `Ok(false)` where that cannot be, as between file systems.
    pub fn hard_link(&self, from: &Path, to: &Path) -> Result<bool> {
        let (from_dir, from_name) = self.existing_parent(from)?;
        let (to_dir, to_name) = self.existing_parent(to)?;
        match fs::linkat(&from_dir, from_name, &to_dir, to_name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOSPC | Errno::DQUOT) => Err(Error::io("create", &self.full(to), Errno::NOSPC)),
            Err(_) => Ok(false),
        }
    }

    /// Moves a file, over whatever is at `to`; `Ok(false)` where that is on another file system.
    pub fn rename_within(&self, from: &Path, to: &Path) -> Result<bool> {
        match self.renamed(from, to, RenameFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV) => Ok(false),
            Err(e) => Err(Error::io("write", &self.full(to), e)),
        }
    }

    /// Opens a file for locking, creating it 0600.
    pub fn open_lock(&self, rel: &Path) -> Result<Option<File>> {
        let Some((dir, name)) = self.parent(rel)? else {
            return Ok(None);
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match fs::openat(&dir, name, flags, Mode::from_raw_mode(0o600)) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP) => Err(Error::NotAFile {
                path: self.full(rel),
                found: Found::Symlink,
            }),
            Err(e) => Err(Error::io("write", &self.full(rel), e)),
        }
    }

    /// Whether `file` is what stands at `rel` now.
    pub fn is_at(&self, file: &File, rel: &Path) -> Result<bool> {
        let ours = fs::fstat(file).map_err(|e| Error::io("look at", &self.full(rel), e))?;
        Ok(self
            .stat(rel)?
            .is_some_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)))
    }

    /// Makes a directory; `Ok(false)` if it was there already.
    pub fn make_dir(&self, rel: &Path, mode: u32) -> Result<bool> {
        let (parent, name) = self.existing_parent(rel)?;
        match fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => self.dir_state(rel).map(|_| false),
            Err(e) => Err(Error::io("create the directory", &self.full(rel), e)),
        }
    }

    /// Gives a directory its mode, and its owner where that is permitted.
    pub fn set_dir(&self, rel: &Path, state: DirState) -> Result<()> {
        let full = self.full(rel);
        let Some(dir) = self.walk(rel)? else {
            return Err(Error::io("open", &full, Errno::NOENT));
        };
        match fs::fchown(
            &dir,
            Some(Uid::from_raw(state.owner.0)),
            Some(Gid::from_raw(state.owner.1)),
        ) {
            Ok(()) | Err(Errno::PERM) => {}
            Err(e) => return Err(Error::io("set the owner of", &full, e)),
        }
        fs::fchmod(&dir, Mode::from_raw_mode(state.mode)).map_err(|e| Error::io("set the mode of", &full, e))
    }

    /// Removes a directory if it is empty; says whether it is gone.
    pub fn remove_dir_if_empty(&self, rel: &Path) -> Result<bool> {
        let Some((dir, name)) = self.parent(rel)? else {
            return Ok(true);
        };
        match fs::unlinkat(&dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(e) => Err(Error::io("remove the directory", &self.full(rel), e)),
        }
    }

    /// Removes a file; none there is fine.
    pub fn remove(&self, rel: &Path) -> Result<()> {
        let Some((dir, name)) = self.parent(rel)? else {
            return Ok(());
        };
        match fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io("remove", &self.full(rel), e)),
        }
    }

    /// Moves a file, over whatever file is at `to`.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.renamed(from, to, RenameFlags::empty())
            .map_err(|e| Error::io("write", &self.full(to), e))
    }

    /// Moves a file to where none may be; a file that appeared there meanwhile is an error, not lost.
    pub fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        match self.renamed(from, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Error::ChangedMeanwhile(self.full(to))),
            Err(e) if unsupported(e) => {
                if self.found(to)?.is_some() {
                    return Err(Error::ChangedMeanwhile(self.full(to)));
                }
                self.rename(from, to)
            }
            Err(e) => Err(Error::io("write", &self.full(to), e)),
        }
    }

    /// Puts `from` at `to` and what was at `to` at `from`, in one step; `Ok(false)` where the file system cannot
    /// and a plain rename was done, which loses what was at `to`.
    pub fn exchange(&self, from: &Path, to: &Path) -> Result<bool> {
        match self.renamed(from, to, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(e) if unsupported(e) => self.rename(from, to).map(|()| false),
            Err(e) => Err(Error::io("write", &self.full(to), e)),
        }
    }

    fn renamed(&self, from: &Path, to: &Path, flags: RenameFlags) -> rustix::io::Result<()> {
        let lost = |_: Error| Errno::NOENT;
        let (from_dir, from_name) = self.existing_parent(from).map_err(lost)?;
        let (to_dir, to_name) = self.existing_parent(to).map_err(lost)?;
        if flags.is_empty() {
            fs::renameat(&from_dir, from_name, &to_dir, to_name)
        } else {
            fs::renameat_with(&from_dir, from_name, &to_dir, to_name, flags)
        }
    }

    /// Makes files and directories durable. Writing back is started for all before the first is waited for, so
    /// that one commit of the file system's journal carries them all.
    pub fn sync(&self, paths: &[&Path]) -> Result<()> {
        #[cfg(target_os = "linux")]
        for rel in paths {
            if let Some(fd) = self.open_any(rel)? {
                // Advice only: the sync below is what counts.
                let _ = fs::fadvise(&fd, 0, None, fs::Advice::DontNeed);
            }
        }
        for rel in paths {
            if let Some(fd) = self.open_any(rel)? {
                File::from(fd)
                    .sync_all()
                    .map_err(|e| Error::io("write", &self.full(rel), e))?;
            }
        }
        Ok(())
    }

    fn open_any(&self, rel: &Path) -> Result<Option<OwnedFd>> {
        if rel.as_os_str().is_empty() {
            return self.walk(rel);
        }
        let Some((dir, name)) = self.parent(rel)? else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match fs::openat(&dir, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io("open", &self.full(rel), e)),
        }
    }

    fn parent<'a>(&self, rel: &'a Path) -> Result<Option<(OwnedFd, &'a OsStr)>> {
        let name = rel.file_name().unwrap_or_else(|| OsStr::new("."));
        Ok(self
            .walk(rel.parent().unwrap_or(Path::new("")))?
            .map(|dir| (dir, name)))
    }

    fn existing_parent<'a>(&self, rel: &'a Path) -> Result<(OwnedFd, &'a OsStr)> {
        self.parent(rel)?
            .ok_or_else(|| Error::io("write", &self.full(rel), Errno::NOENT))
    }

    /// Opens a directory below the root without following links; `None` where a component is missing.
    fn walk(&self, rel: &Path) -> Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut dir = fs::openat(&self.root, ".", flags, Mode::empty())
            .map_err(|e| Error::io("open", &self.path, e))?;
        let mut so_far = PathBuf::new();
        for component in rel.components() {
            let Component::Normal(name) = component else {
                return Err(Error::UnsoundPlan {
                    path: rel.to_path_buf(),
                    why: "it leaves the project directory",
                });
            };
            so_far.push(name);
            dir = match fs::openat(&dir, name, flags, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(e @ (Errno::NOTDIR | Errno::LOOP)) => {
                    let full = self.full(&so_far);
                    let stat = fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW);
                    return Err(match stat {
                        Ok(stat) => Error::ComponentNotADirectory {
                            path: full,
                            found: kind(&stat),
                        },
                        Err(_) => Error::io("open", &full, e),
                    });
                }
                Err(e) => return Err(Error::io("open", &self.full(&so_far), e)),
            };
        }
        Ok(Some(dir))
    }
}

fn kind(stat: &fs::Stat) -> Found {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Found::File,
        FileType::Directory => Found::Directory,
        FileType::Symlink => Found::Symlink,
        _ => Found::Special,
    }
}

/// Not every file system knows the flags of `renameat2`.
fn unsupported(errno: Errno) -> bool {
    errno == Errno::INVAL || errno == Errno::NOSYS || errno == Errno::NOTSUP || errno == Errno::OPNOTSUPP
}
