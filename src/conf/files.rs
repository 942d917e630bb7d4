//! How the files that a configuration file includes are read: by whoever asks, never by this room.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// A way to the files of one server, as that server itself sees them.
pub trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable>;
    /// The names in a directory that are no directories themselves, in any order.
    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable>;
}

/// Why a file gives no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no such file.
    #[error("No such file or directory")]
    Missing,
    /// It is there, or may be, and cannot be read: why, in words.
    #[error("{0}")]
    Refused(String),
}

/// Files that are held in memory, such as those of a plan; with none, a file whose includes are not followed.
impl Files for BTreeMap<PathBuf, Vec<u8>> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        self.get(path).cloned().ok_or(Unreadable::Missing)
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        let names: BTreeSet<_> = self
            .keys()
            .filter(|path| path.parent() == Some(directory))
            .filter_map(|path| path.file_name())
            .map(|name| name.as_encoded_bytes().to_vec())
            .collect();
        if names.is_empty() {
            return Err(Unreadable::Missing);
        }
        Ok(names.into_iter().collect())
    }
}

/// Files that note which of them were asked for.
pub struct Noted<'a> {
    files: &'a dyn Files,
    asked: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Noted<'a> {
    /// None yet.
    #[must_use]
    pub fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            asked: RefCell::default(),
        }
    }

    /// Those that were asked for, whether they are there or not.
    #[must_use]
    pub fn asked(self) -> BTreeSet<PathBuf> {
        self.asked.into_inner()
    }
}

impl Files for Noted<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        self.asked.borrow_mut().insert(path.to_owned());
        self.files.read(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        self.files.list(directory)
    }
}

/// How deep files may include each other (`CONF_FILE_MAX_DEPTH`).
pub(super) const DEEPEST: usize = 10;

/// How many files one configuration may open: a bound of our own, against files that include each other without end.
pub(super) const MOST_FILES: usize = 10_000;

/// The path that `name` means in `file`: relative names are relative to the directory of the file they stand in, as in
/// `AbsoluteConfigLocation`.
pub(super) fn beside(file: &Path, name: &[u8]) -> PathBuf {
    let name = path_of(name);
    if name.is_absolute() {
        return canonical(&name);
    }
    canonical(&file.parent().unwrap_or(Path::new("")).join(name))
}

/// A path from bytes.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Without `.` and `..`, by the text alone, as `canonicalize_path` does it.
fn canonical(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if kept.parent().is_none() && kept.has_root() => {}
            Component::ParentDir if kept.file_name().is_some_and(|name| name != "..") => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    kept
}

/// The files of a directory that `include_dir` reads, in its order (`GetConfFilesInDir`).
pub(super) fn configuration_files(files: &dyn Files, directory: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut names = files.list(directory)?;
    names.retain(|name| name.len() >= 6 && !name.starts_with(b".") && name.ends_with(b".conf"));
    names.sort();
    Ok(names.iter().map(|name| directory.join(path_of(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_names_are_beside_the_file_they_stand_in() {
        for (file, name, path) in [
            ("/etc/pg/pg_hba.conf", "users", "/etc/pg/users"),
            ("/etc/pg/pg_hba.conf", "./d/users", "/etc/pg/d/users"),
            ("/etc/pg/pg_hba.conf", "../users", "/etc/users"),
            ("/etc/pg/pg_hba.conf", "/srv/./x/../users", "/srv/users"),
            ("/pg_hba.conf", "../users", "/users"),
            ("pg_hba.conf", "../users", "../users"),
        ] {
            assert_eq!(beside(Path::new(file), name.as_bytes()), Path::new(path));
        }
    }

    #[test]
    fn a_directory_gives_its_conf_files_in_order() {
        let files: BTreeMap<_, _> = [
            "/d/b.conf",
            "/d/a.conf",
            "/d/.c.conf",
            "/d/.conf",
            "/d/x.txt",
            "/d/e/f.conf",
        ]
        .into_iter()
        .map(|path| (PathBuf::from(path), Vec::new()))
        .collect();
        assert_eq!(
            configuration_files(&files, Path::new("/d")).unwrap(),
            [Path::new("/d/a.conf"), Path::new("/d/b.conf")]
        );
        assert_eq!(
            configuration_files(&files, Path::new("/none")),
            Err(Unreadable::Missing)
        );
    }
}
