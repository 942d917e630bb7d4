//! Making a directory durable.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Syncs every file and directory below `dir`, and `dir` itself. What vanishes meanwhile needs no sync: a
/// server may be at work there.
pub(super) fn tree(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let done = if kind.is_dir() {
            tree(&entry.path())
        } else if kind.is_file() {
            file(&entry.path())
        } else {
            Ok(())
        };
        match done {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    std::fs::File::open(dir)?.sync_all()
}

fn file(path: &Path) -> Result<()> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).map_err(Error::other)?;
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?
        .sync_all()
}
