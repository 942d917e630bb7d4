//! Files elsewhere (a running server's own), changed all at one instant.
//!
//! A certificate and its key are two files, and a server that starts between two renames would find halves of two pairs
//! and refuse. So the files are led over one link for the moment of the change:
//!
//! 1. both sides, before and after, lie complete in `.pgtls-…/` beside the first file, and `current` points to one;
//! 2. each file is replaced by a link through `current`: whoever reads still finds the old side;
//! 3. `current` is turned by one rename: all files change at that instant;
//! 4. each link is replaced by the file itself, and the directory is removed.
//!
//! After every single step the files that are found belong together. The record lies in the project's journal before the
//! first step, so a run that is killed is finished by the next, and [`undo`](super::undo()) goes the same way back. Links
//! stay for that moment only: backups of data directories do not follow them.

mod site;

use std::path::{Component, Path, PathBuf};

use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::error::{Error, Result};
use super::journal::{self, State};
use super::live::can_replace;
use super::project::Locked;
use super::record::{Item, Record};
use super::transaction::{self, KeptCopy, Way};
use super::tree::{FileState, Owner, Tree};
use super::write::HISTORY;
use site::Site;

/// A file elsewhere, as it shall be.
pub struct Elsewhere {
    /// Absolute; no component of it is a symbolic link.
    pub path: PathBuf,
    /// What shall be in it.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its permission bits; `None`: those it has, 0600 for a new one.
    pub mode: Option<u32>,
}

/// Changes all the files at one instant, journaled in the project; gives those that changed. `note` is kept for
/// [`last_note`].
pub fn switch(project: &Locked, files: Vec<Elsewhere>, note: &str) -> Result<Vec<PathBuf>> {
    let books = project.writer()?;
    let root = root()?;
    let mut record = Record {
        elsewhere: Some(note.to_owned()),
        ..Record::default()
    };
    for file in files {
        let path = below_root(&file.path)?;
        let before = root.read(&path)?;
        let after = FileState {
            mode: file
                .mode
                .or(before.as_ref().map(|before| before.mode))
                .unwrap_or(0o600),
            owner: Some(owner(&root, &path, before.as_ref())?),
            bytes: file.bytes,
        };
        if before.as_ref() != Some(&after) {
            record.items.push(Item {
                path,
                before,
                after: Some(after),
                edited: false,
            });
        }
    }
    let changed: Vec<_> = record.items.iter().map(|item| root.full(&item.path)).collect();
    changed.iter().try_for_each(|path| can_replace(path))?;
    if changed.is_empty() {
        return Ok(changed);
    }
    let entry = journal::commit(books, &record).map_err(Error::nothing_changed)?;
    let done = bring(books, &root, &record, Way::Forward).and_then(|_| {
        journal::turn(books, entry, State::Done)?;
        journal::sync(books)
    });
    if let Err(error) = done {
        let back = || {
            let entry = journal::unfinished(books)?.or(journal::entries(books)?.last().copied());
            let undo = entry
                .map(|entry| journal::turn(books, entry, State::Undo))
                .transpose()?;
            bring(books, &root, &record, Way::Back)?;
            undo.map_or(Ok(()), |entry| journal::forget(books, entry))
        };
        return Err(match back() {
            Ok(()) => Error::nothing_changed(error),
            Err(second) => Error::unfinished(books, error, second),
        });
    }
    // The change holds, whatever else fails.
    let _ = journal::prune(books, HISTORY);
    Ok(changed)
}

/// The note of the last write, if that was of files elsewhere: what an undo would take back.
pub fn last_note(project: &Locked) -> Result<Option<String>> {
    let books = project.writer()?;
    let Some(last) = journal::entries(books)?.last().copied() else {
        return Ok(None);
    };
    Ok(journal::load(books, last)?.and_then(|record| record.elsewhere))
}

/// The notes of all changes of files elsewhere that can be taken back, the newest first.
pub fn notes(project: &Locked) -> Result<Vec<String>> {
    let books = project.writer()?;
    let mut notes = Vec::new();
    for entry in journal::entries(books)?.into_iter().rev() {
        notes.extend(journal::load(books, entry)?.and_then(|record| record.elsewhere));
    }
    Ok(notes)
}

/// The root of the file system, from which files elsewhere are walked to.
pub(super) fn root() -> Result<Tree> {
    Tree::open(Path::new("/")).map_err(|e| Error::io("open", Path::new("/"), e))
}

fn below_root(path: &Path) -> Result<PathBuf> {
    match path.strip_prefix("/") {
        Ok(below) if below.components().all(|c| matches!(c, Component::Normal(_))) => Ok(below.to_owned()),
        _ => Err(Error::UnsoundPlan {
            path: path.to_owned(),
            why: "it is not an absolute path",
        }),
    }
}

/// Whose the new file is: the old one's owner, for a new one that of its directory. Only root may give files away.
fn owner(root: &Tree, path: &Path, before: Option<&FileState>) -> Result<Owner> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let owner = match before.and_then(|before| before.owner) {
        Some(owner) => owner,
        None => match root.dir_state(directory)? {
            Some(state) => state.owner,
            None => return Err(Error::NoSuchDirectory(root.full(directory))),
        },
    };
    let ours = geteuid();
    if ours.is_root() || ours.as_raw() == owner.0 {
        return Ok(owner);
    }
    Err(Error::NotTheOwner {
        path: root.full(path),
        owner: owner.0,
        ours: ours.as_raw(),
    })
}

/// Brings all files to one side, from wherever a killed run left them; gives copies of what somebody else put there.
pub(super) fn bring(books: &Tree, root: &Tree, record: &Record, way: Way) -> Result<Vec<KeptCopy>> {
    let Some(site) = Site::of(root, record) else {
        return Ok(Vec::new());
    };
    let mut kept = Vec::new();
    if !site.is_built()? {
        site.clear()?;
        for item in &record.items {
            let Some(disk) = root.read(&item.path)? else {
                continue;
            };
            if [&item.before, &item.after]
                .into_iter()
                .flatten()
                .all(|side| *side.bytes != *disk.bytes)
            {
                let (copy, _) = transaction::keep(books, &item.path, &disk)?;
                kept.push(KeptCopy {
                    path: root.full(&item.path),
                    copy,
                });
            }
        }
        if site.is_at(way)? {
            return Ok(kept);
        }
        site.build(way).inspect_err(|_| _ = site.clear())?;
    }
    site.lead()?;
    site.add(way)?;
    site.turn(way)?;
    site.place(way)?;
    site.clear()?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::super::undo;
    use super::*;
    use crate::apply::Project;

    struct Place {
        kit: tempfile::TempDir,
        server: PathBuf,
        _server: tempfile::TempDir,
    }

    fn place() -> Place {
        let server = tempfile::tempdir().unwrap();
        let path = server.path().canonicalize().unwrap();
        fs::create_dir(path.join("private")).unwrap();
        for (name, text, mode) in [("crt", "old", 0o644), ("private/key", "old key", 0o600)] {
            fs::write(path.join(name), text).unwrap();
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
            // Where the file system has none there is none to lose.
            let none = rustix::fs::XattrFlags::empty();
            let _ = rustix::fs::setxattr(path.join(name), "user.test", b"kept", none);
        }
        Place {
            kit: tempfile::tempdir().unwrap(),
            server: path,
            _server: server,
        }
    }

    /// A file: its path, its mode, its content, and an attribute if it has that.
    type Kept = (PathBuf, u32, Vec<u8>, Option<Vec<u8>>);

    fn all(dir: &Path) -> Vec<Kept> {
        let mut found = Vec::new();
        let mut open = vec![dir.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap().flatten() {
                let meta = fs::symlink_metadata(entry.path()).unwrap();
                if meta.is_dir() {
                    open.push(entry.path());
                } else {
                    assert!(meta.is_file(), "{:?} is left", entry.path());
                    let mut value = [0; 8];
                    let attribute = rustix::fs::getxattr(entry.path(), "user.test", &mut value[..]);
                    found.push((
                        entry.path(),
                        meta.permissions().mode(),
                        fs::read(entry.path()).unwrap(),
                        attribute.ok().map(|length| value[..length].to_vec()),
                    ));
                }
            }
        }
        found.sort();
        found
    }

    fn file(place: &Place, name: &str, text: &[u8]) -> Elsewhere {
        Elsewhere {
            path: place.server.join(name),
            bytes: Zeroizing::new(text.to_vec()),
            mode: None,
        }
    }

    #[test]
    fn what_somebody_else_made_of_it_is_kept_when_it_is_taken_back() {
        let place = place();
        let project = Project::open(place.kit.path()).unwrap();
        let before = all(&place.server);
        switch(&project, vec![file(&place, "crt", b"new")], "note").unwrap();
        assert_eq!(last_note(&project).unwrap().as_deref(), Some("note"));
        fs::write(place.server.join("crt"), "mine").unwrap();
        let undone = undo(&project).unwrap();
        assert_eq!(all(&place.server), before);
        let copy = place.kit.path().join(&undone.kept[0].copy);
        assert_eq!(fs::read(copy).unwrap(), b"mine");
    }

    #[test]
    fn a_link_that_another_tool_keeps_is_refused() {
        let place = place();
        fs::rename(place.server.join("crt"), place.server.join("live")).unwrap();
        std::os::unix::fs::symlink("live", place.server.join("crt")).unwrap();
        let project = Project::open(place.kit.path()).unwrap();
        let error = switch(&project, vec![file(&place, "crt", b"new")], "").unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(fs::read(place.server.join("crt")).unwrap(), b"old");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_switch_can_be_taken_back(
            certificate in proptest::collection::vec(any::<u8>(), 0..40),
            key in proptest::collection::vec(any::<u8>(), 0..40),
            list in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        ) {
            let place = place();
            let project = Project::open(place.kit.path()).unwrap();
            let before = all(&place.server);
            let mut files = vec![file(&place, "crt", &certificate), file(&place, "private/key", &key)];
            files.extend(list.as_ref().map(|list| file(&place, "crl", list)));
            let count = files.len();
            let changed = switch(&project, files, "").unwrap();
            prop_assert!(!changed.is_empty());
            let after = all(&place.server);
            prop_assert_eq!(after.len(), count);
            for (path, _, _, attribute) in &before {
                let now = after.iter().find(|now| now.0 == *path).unwrap();
                prop_assert_eq!(&now.3, attribute);
            }
            prop_assert_eq!(fs::read(place.server.join("crt")).unwrap(), certificate);
            prop_assert_eq!(fs::read(place.server.join("private/key")).unwrap(), key);
            undo(&project).unwrap();
            prop_assert_eq!(all(&place.server), before);
        }
    }
}
