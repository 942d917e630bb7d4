//! Directories and small files of our own, made with their final mode and owner from the first byte.

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use super::{Account, ServerError};

/// Makes `dir` with `mode`, given to `account`; one that is there must be a true directory, not a link, and
/// is put right if it is ours.
pub(super) fn make_dir(dir: &Path, mode: u32, account: Option<&Account>) -> Result<(), ServerError> {
    let fail = |error: std::io::Error| ServerError::file("create", dir, &error);
    match std::fs::DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fail(error)),
    }
    // Opened without following a link, then judged and changed through that same descriptor.
    let open = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    let held = rustix::fs::open(dir, open, rustix::fs::Mode::empty()).map_err(|error| fail(error.into()))?;
    let held = std::fs::File::from(held);
    let found = held.metadata().map_err(fail)?;
    let us = rustix::process::geteuid().as_raw();
    let owner = account.map_or(us, |account| account.uid);
    if found.uid() != owner && found.uid() != us {
        return Err(ServerError::File {
            doing: "use",
            path: dir.to_owned(),
            why: "it belongs to another account".into(),
        });
    }
    if let Some(account) = account.filter(|account| found.uid() != account.uid || found.gid() != account.gid)
    {
        fchown(&held, Some(account.uid), Some(account.gid)).map_err(fail)?;
    }
    if found.mode() & 0o7777 != mode {
        held.set_permissions(std::fs::Permissions::from_mode(mode))
            .map_err(fail)?;
    }
    Ok(())
}

/// Writes a small file of ours durably: aside, synced, renamed, and the directory synced.
pub(super) fn write(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<&Account>,
) -> Result<(), ServerError> {
    let fail = |error: std::io::Error| ServerError::file("write", path, &error);
    let staged = staged(path, content, mode, owner)?;
    staged.as_file().sync_all().map_err(fail)?;
    staged.persist(path).map_err(|error| fail(error.error))?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))
        .and_then(|dir| dir.sync_all())
        .map_err(fail)
}

/// Writes a small file that is compared with what it should be before each use, whole or not at all: aside, and renamed.
/// What a crash of the machine leaves of it is written anew, so that nothing waits for the disk.
pub(super) fn write_copy(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<&Account>,
) -> Result<(), ServerError> {
    let staged = staged(path, content, mode, owner)?;
    staged
        .persist(path)
        .map(drop)
        .map_err(|error| ServerError::file("write", path, &error.error))
}

fn staged(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<&Account>,
) -> Result<tempfile::NamedTempFile, ServerError> {
    let fail = |error: std::io::Error| ServerError::file("write", path, &error);
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut staged = tempfile::Builder::new()
        .prefix(".staged-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(fail)?;
    if let Some(account) = owner {
        fchown(staged.as_file(), Some(account.uid), Some(account.gid)).map_err(fail)?;
    }
    staged
        .as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(fail)?;
    staged.write_all(content).map_err(fail)?;
    Ok(staged)
}

/// A regular file's bytes and metadata: no link is followed, no device waited for, no more than `most` read.
pub(super) fn read(
    path: &Path,
    most: u64,
) -> std::io::Result<(zeroize::Zeroizing<Vec<u8>>, std::fs::Metadata)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > most {
        return Err(std::io::Error::other("it is not a small regular file"));
    }
    let mut content = zeroize::Zeroizing::new(Vec::with_capacity(
        usize::try_from(found.len()).unwrap_or_default(),
    ));
    file.take(most).read_to_end(&mut content)?;
    Ok((content, found))
}

/// Removes a file; one that is not there is fine.
pub(super) fn remove(path: &Path) -> Result<(), ServerError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ServerError::file("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// Removes a directory with all that is in it; one that is not there is fine.
pub(super) fn remove_tree(path: &Path) -> Result<(), ServerError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ServerError::file("remove", path, &error))
        }
        _ => Ok(()),
    }
}
