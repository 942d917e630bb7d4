//! What would keep a file from being replaced, or from being put back: looked for before anything is tried, and nothing is
//! touched for it. A file takes the place of another by a rename (rename(2)), and has its owner then.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgroups};

use crate::apply::error::{Error, Result};
use crate::apply::show::shown;

/// Whether a file can be replaced or made there, and taken back. `path`: absolute, no link in its last component.
pub fn can_replace(path: &Path) -> Result<()> {
    let fail = |why: String, remedy: String| {
        Err(Error::CannotReplace {
            path: path.to_path_buf(),
            why,
            remedy,
        })
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    for place in [path, directory] {
        if let Some(letter) = held_by_an_attribute(place) {
            return fail(
                format!(
                    "{} has the attribute {letter} (chattr +{letter}), and nobody may change it",
                    shown(place)
                ),
                format!(
                    "`chattr -{letter} {0}`, run this again, and `chattr +{letter} {0}` afterwards",
                    shown(place)
                ),
            );
        }
    }
    if is_mount(path) {
        return fail(
            "it is a mount of its own (as `docker run -v FILE:FILE` makes one), and no other file can take its place".to_owned(),
            MOUNT_ITS_DIRECTORY.to_owned(),
        );
    }
    match accessat(
        CWD,
        directory,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    ) {
        Err(Errno::ROFS) => {
            return fail(
                format!("{} is mounted read-only here", shown(directory)),
                "mount it writable, or make the change where what is mounted there comes from (an image, a ConfigMap, the host)"
                    .to_owned(),
            );
        }
        Err(Errno::ACCESS | Errno::PERM) => {
            return fail(
                format!(
                    "this account (user id {}) may not write in {}",
                    geteuid().as_raw(),
                    shown(directory)
                ),
                "run this as root, or as the account that the directory belongs to".to_owned(),
            );
        }
        // A directory that is not there, or that cannot be looked at: whoever writes says so.
        _ => {}
    }
    match path.symlink_metadata() {
        Ok(meta) => can_be_owned(path, &meta),
        Err(_) => Ok(()),
    }
}

/// What to do where a file is a mount of its own.
pub const MOUNT_ITS_DIRECTORY: &str = "mount the directory that holds it instead of the file (and restart that container), or \
    make the change by hand";

/// Whether what takes the place of a file can be given to its owner and its group.
fn can_be_owned(path: &Path, meta: &Metadata) -> Result<()> {
    let ours = geteuid();
    if ours.is_root() {
        return Ok(());
    }
    if ours.as_raw() != meta.uid() {
        return Err(Error::NotTheOwner {
            path: path.to_path_buf(),
            owner: meta.uid(),
            ours: ours.as_raw(),
        });
    }
    let is_member = getegid().as_raw() == meta.gid()
        || getgroups().is_ok_and(|all| all.iter().any(|group| group.as_raw() == meta.gid()));
    if is_member {
        return Ok(());
    }
    Err(Error::CannotReplace {
        path: path.to_path_buf(),
        why: format!(
            "it belongs to the group {}, of which this account is no member, and what replaced it would not",
            meta.gid()
        ),
        remedy: "run this as root".to_owned(),
    })
}

/// The attribute (chattr(1)) that keeps a file or a directory as it is.
#[cfg(target_os = "linux")]
fn held_by_an_attribute(path: &Path) -> Option<char> {
    use rustix::fs::StatxAttributes;
    let attributes = attributes(path)?;
    if attributes.contains(StatxAttributes::IMMUTABLE) {
        return Some('i');
    }
    attributes.contains(StatxAttributes::APPEND).then_some('a')
}

/// Whether a file is the root of a mount.
#[cfg(target_os = "linux")]
fn is_mount(path: &Path) -> bool {
    attributes(path).is_some_and(|attributes| attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT))
}

#[cfg(target_os = "linux")]
fn attributes(path: &Path) -> Option<rustix::fs::StatxAttributes> {
    use rustix::fs::{StatxFlags, statx};
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS).ok()?;
    Some(found.stx_attributes)
}

#[cfg(not(target_os = "linux"))]
const fn held_by_an_attribute(_path: &Path) -> Option<char> {
    None
}

#[cfg(not(target_os = "linux"))]
const fn is_mount(_path: &Path) -> bool {
    false
}
