//! The few things done with a server's files, each in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::record::{Item, Side};
use crate::apply::attributes;
use crate::apply::error::{Error, Found, Result};

/// A `pg_hba.conf` that a machine writes has a hundred thousand lines.
const LARGEST: u64 = 64 << 20;

/// A file as it is.
pub struct State {
    pub bytes: Zeroizing<Vec<u8>>,
    pub mode: u32,
    pub owner: (u32, u32),
    pub inode: (u64, u64),
}

/// Reads a file; no link is followed, no device waited for.
pub fn read(path: &Path) -> Result<Option<State>> {
    let fail = |error| Error::io("read", path, error);
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let meta = file.metadata().map_err(fail)?;
    if !meta.is_file() {
        let found = if meta.is_dir() {
            Found::Directory
        } else {
            Found::Special
        };
        return Err(Error::NotAFile {
            path: path.to_path_buf(),
            found,
        });
    }
    if meta.len() > LARGEST {
        return Err(Error::TooLarge {
            path: path.to_path_buf(),
            bytes: meta.len(),
        });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(meta.len()).unwrap_or_default() + 1,
    ));
    file.take(LARGEST).read_to_end(&mut bytes).map_err(fail)?;
    Ok(Some(State {
        bytes,
        mode: meta.permissions().mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        inode: (meta.dev(), meta.ino()),
    }))
}

fn open(path: &Path) -> Result<Option<File>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path);
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// Writes a new file, whole and durable: 0600 from its first byte, then given its owner and mode, and the attributes of the
/// one that it stands for, if there is one.
pub fn create(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
    like: Option<&Path>,
) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::io("create", path, error))?;
    let write = |error| Error::io("write", path, error);
    file.write_all(bytes).map_err(write)?;
    if let Some((user, group)) = owner {
        let meta = file.metadata().map_err(write)?;
        if (meta.uid(), meta.gid()) != (user, group) {
            fchown(&file, Some(user), Some(group))
                .map_err(|error| Error::io("set the owner of", path, error))?;
        }
    }
    if let Some(like) = like.map(open).transpose()?.flatten() {
        attributes::copy(&like, &file).map_err(|error| Error::io("set the attributes of", path, error))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(|error| Error::io("set the mode of", path, error))?;
    file.sync_all().map_err(write)
}

/// Gives the old file its second name, and puts the new one beside it. Nothing that the server reads is touched.
pub fn stage(item: &Item, content: Option<&[u8]>) -> Result<()> {
    if let Some(before) = &item.before {
        save(item, before)?;
    }
    if let (Some(after), Some(content)) = (&item.after, content) {
        create(&item.staged, content, after.mode, after.owner, Some(&item.path))?;
    }
    Ok(())
}

fn save(item: &Item, before: &Side) -> Result<()> {
    if fs::hard_link(&item.path, &item.saved).is_err() {
        // A file system without hard links, or a file that is not ours to link: a copy, complete before it has the name.
        let state = read(&item.path)?.ok_or_else(|| Error::ChangedMeanwhile(item.path.clone()))?;
        create(
            &item.staged,
            &state.bytes,
            before.mode,
            before.owner,
            Some(&item.path),
        )?;
        fs::rename(&item.staged, &item.saved).map_err(|error| Error::io("write", &item.saved, error))?;
    }
    let saved = read(&item.saved)?;
    if saved.is_some_and(|saved| before.is(&saved.bytes)) {
        return Ok(());
    }
    Err(Error::ChangedMeanwhile(item.path.clone()))
}

/// Puts the new file in place, in one step.
pub fn place(item: &Item) -> Result<()> {
    let fail = |error| Error::io("write", &item.path, error);
    match &item.after {
        Some(_) => fs::rename(&item.staged, &item.path).map_err(fail),
        None => fs::remove_file(&item.path).map_err(fail),
    }
}

/// Puts the old file back, wherever the change had got to. What somebody made of the new one meanwhile is moved aside
/// and given back.
pub fn restore(item: &Item) -> Result<Option<PathBuf>> {
    let mut kept = None;
    let fail = |error| Error::io("restore", &item.path, error);
    let there = read(&item.path)?;
    match (&item.before, read(&item.saved)?) {
        (Some(before), Some(saved)) => {
            let untouched = there
                .as_ref()
                .is_some_and(|there| there.inode == saved.inode || before.is(&there.bytes));
            if untouched {
                remove(&item.saved)?;
            } else {
                if there.is_some_and(|there| is_somebodys(item, &there)) {
                    kept = Some(aside(item)?);
                }
                fs::rename(&item.saved, &item.path).map_err(fail)?;
            }
        }
        (None, _) => match there {
            Some(there) if is_somebodys(item, &there) => kept = Some(item.path.clone()),
            Some(_) => remove(&item.path)?,
            None => {}
        },
        // It never came so far, or is done already.
        (Some(_), None) => {}
    }
    remove(&item.staged)?;
    Ok(kept)
}

fn is_somebodys(item: &Item, there: &State) -> bool {
    !item.after.as_ref().is_some_and(|after| after.is(&there.bytes))
}

/// Moves what is there to a name of its own.
fn aside(item: &Item) -> Result<PathBuf> {
    let path = free_beside(&item.path);
    fs::rename(&item.path, &path).map_err(|error| Error::io("write", &path, error))?;
    Ok(path)
}

/// Copies a file that somebody edited to a name of its own beside it, before it is replaced.
pub fn copy_aside(path: &Path) -> Result<PathBuf> {
    let copy = free_beside(path);
    if let Some(state) = read(path)? {
        create(&copy, &state.bytes, state.mode, Some(state.owner), Some(path))?;
    }
    Ok(copy)
}

fn free_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".edited-meanwhile");
    let mut free = path.with_file_name(&name);
    let mut number = 1;
    while free.symlink_metadata().is_ok() {
        number += 1;
        let mut numbered = name.clone();
        numbered.push(format!(".{number}"));
        free = path.with_file_name(numbered);
    }
    free
}

/// Removes a file; none there is fine.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        // A read-only file system says so before it looks whether the name is there.
        Err(error) if path.symlink_metadata().is_ok() => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub fn sync(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| Error::io("write", directory, error))
}
