//! Making a directory durable.
//!
//! A new database is a thousand small files. Synced one after the other, each waits for a commit of the file
//! system's journal; synced at the same time, they share one. On a busy disk that is a fifth of a second
//! instead of several, and just as durable: every file and every directory is synced by name.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many syncs wait at the same time.
const AT_ONCE: usize = 8;

/// Syncs every file and directory below `dir`, and `dir` itself. What vanishes meanwhile needs no sync: a
/// server may be at work there.
pub(super) fn tree(dir: &Path) -> Result<()> {
    let mut found = vec![dir.to_owned()];
    list(dir, &mut found)?;
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(path) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
            unless_gone(sync(path))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(Error::other("the sync was broken off")))
        })
    })
}

fn list(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.push(entry.path());
            unless_gone(list(&entry.path(), found))?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).map_err(Error::other)?;
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?
        .sync_all()
}

fn unless_gone(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_followed_and_failures_are_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("inner")).unwrap();
        std::fs::write(dir.path().join("inner/file"), "x").unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("link")).unwrap();
        tree(dir.path()).unwrap();
        assert!(tree(&dir.path().join("absent")).is_err());
        assert!(sync(&dir.path().join("link")).is_err());
    }
}
