//! The copies of `server/` that the server reads where it cannot read the project directory itself.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use rustix::fs::Mode;

use super::files::{make_dir, read, remove, write_copy};
use super::{Account, ServerError};

/// A server file is text: one that is larger is none of ours.
const LARGEST: u64 = 4 << 20;
/// The most files a `server/` may hold.
const MOST: usize = 200;

/// Makes `home/server` hold exactly the regular files of `project/server`.
///
/// The directory stays ours, so that the server's account cannot put a link where we write; the files that
/// are private are the account's, from their first byte, since PostgreSQL wants its key to belong to it.
/// A file whose content and mode are right already is left alone.
pub(super) fn copy(project: &Path, home: &Path, account: Option<&Account>) -> Result<(), ServerError> {
    let (from, to) = (project.join("server"), home.join("server"));
    make_dir(&to, 0o750, None)?;
    if let Some(account) = account {
        chown(&to, None, Some(account.gid)).map_err(|error| ServerError::file("hand over", &to, &error))?;
    }
    let mut kept = BTreeSet::<OsString>::new();
    let entries = std::fs::read_dir(&from).map_err(|error| ServerError::file("read", &from, &error))?;
    for entry in entries.take(MOST) {
        let entry = entry.map_err(|error| ServerError::file("read", &from, &error))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name().as_encoded_bytes().starts_with(b".")
            || entry.file_type().is_ok_and(|kind| kind.is_dir())
        {
            continue;
        }
        let (content, found) =
            read(&source, LARGEST).map_err(|error| ServerError::file("read", &source, &error))?;
        let private = Mode::from_raw_mode(found.mode())
            .intersection(Mode::RWXG | Mode::RWXO)
            .is_empty()
            || source.extension().is_some_and(|extension| extension == "key");
        let mode = if private { 0o600 } else { 0o644 };
        let owner = account.filter(|_| private);
        let uid = owner.map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.uid);
        let same = read(&target, LARGEST).is_ok_and(|(there, found)| {
            there == content && found.uid() == uid && found.permissions().mode() & 0o7777 == mode
        });
        if !same {
            write_copy(&target, &content, mode, owner)?;
        }
        kept.insert(entry.file_name());
    }
    for entry in std::fs::read_dir(&to)
        .map_err(|error| ServerError::file("read", &to, &error))?
        .flatten()
    {
        if !kept.contains(&entry.file_name()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}
