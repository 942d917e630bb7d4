//! The place beside the files where one change happens, and its steps.

use std::path::{Component, Path, PathBuf};

use super::super::error::Result;
use super::super::manifest::sha256;
use super::super::record::{Item, Record};
use super::super::transaction::Way;
use super::super::tree::{FileState, Tree};

/// Where one change happens.
pub struct Site<'a> {
    root: &'a Tree,
    record: &'a Record,
    dir: PathBuf,
}

const SIDES: [Way; 2] = [Way::Back, Way::Forward];

const fn name(side: Way) -> &'static str {
    match side {
        Way::Back => "before",
        Way::Forward => "after",
    }
}

fn state(item: &Item, side: Way) -> Option<&FileState> {
    match side {
        Way::Back => item.before.as_ref(),
        Way::Forward => item.after.as_ref(),
    }
}

const fn other(side: Way) -> Way {
    match side {
        Way::Back => Way::Forward,
        Way::Forward => Way::Back,
    }
}

impl<'a> Site<'a> {
    pub fn of(root: &'a Tree, record: &'a Record) -> Option<Self> {
        let first = record.items.first()?;
        let mut mark = Vec::new();
        for item in &record.items {
            mark.extend_from_slice(item.path.as_os_str().as_encoded_bytes());
            for side in [&item.before, &item.after].into_iter().flatten() {
                mark.extend_from_slice(sha256(&side.bytes).as_bytes());
            }
        }
        let mark = sha256(&mark);
        let dir = first
            .path
            .parent()
            .unwrap_or(Path::new(""))
            .join(format!(".pgtls-{}", mark.get(..12).unwrap_or(&mark)));
        Some(Self { root, record, dir })
    }

    fn current(&self) -> PathBuf {
        self.dir.join("current")
    }

    fn staged(&self, side: Way, index: usize) -> PathBuf {
        self.dir.join(name(side)).join(index.to_string())
    }

    /// Files that are there before and after: these are led over the link.
    fn changed(&self) -> impl Iterator<Item = (usize, &'a Item)> {
        let items = self.record.items.iter().enumerate();
        items.filter(|(_, item)| item.before.is_some() && item.after.is_some())
    }

    /// `current` is made last, so with it everything is there.
    pub fn is_built(&self) -> Result<bool> {
        Ok(self.root.link_target(&self.current())?.is_some())
    }

    pub fn is_at(&self, side: Way) -> Result<bool> {
        for item in &self.record.items {
            if self.root.read(&item.path)?.as_ref() != state(item, side) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub fn build(&self, way: Way) -> Result<()> {
        let parent = self.dir.parent().unwrap_or(Path::new(""));
        let like = self.root.dir_state(parent)?;
        for dir in [
            self.dir.clone(),
            self.dir.join(name(Way::Back)),
            self.dir.join(name(Way::Forward)),
        ] {
            self.root.make_dir(&dir, 0o700)?;
            // The server must reach what lies in it, and nobody else who could not before.
            if let Some(like) = like {
                self.root.set_dir(&dir, like)?;
            }
        }
        let mut made = Vec::new();
        for index in 0..self.record.items.len() {
            self.stage(index)?;
            made.extend(SIDES.map(|side| self.staged(side, index)));
        }
        made.extend(SIDES.map(|side| self.dir.join(name(side))));
        self.sync(&made)?;
        self.root.symlink(Path::new(name(other(way))), &self.current())?;
        self.sync(&[self.dir.clone(), parent.to_owned()])
    }

    /// Both sides of one file, complete. The very file that is there is kept where it can be, with all that belongs to it.
    fn stage(&self, index: usize) -> Result<()> {
        let item = &self.record.items[index];
        let disk = match self.root.link_target(&item.path)? {
            Some(_) => None,
            None => self.root.read(&item.path)?,
        };
        for side in SIDES {
            let staged = self.staged(side, index);
            let Some(wanted) = state(item, side) else { continue };
            if self.root.found(&staged)?.is_some() {
                continue;
            }
            let is_there = disk.as_ref() == Some(wanted);
            if !(is_there && self.root.hard_link(&item.path, &staged)?) {
                self.root.create(&staged, wanted)?;
                let like = match disk {
                    Some(_) => item.path.clone(),
                    None => self.staged(other(side), index),
                };
                self.attributes(&like, &staged, wanted)?;
            }
        }
        Ok(())
    }

    /// Those of the file that is there, and the mode again, which an access control list is a part of.
    fn attributes(&self, like: &Path, path: &Path, wanted: &FileState) -> Result<()> {
        self.root.copy_attributes(like, path)?;
        self.root.set_mode(path, wanted.mode)
    }

    /// The link that stands for a file.
    fn link(&self, index: usize, item: &Item) -> PathBuf {
        let from = item.path.parent().unwrap_or(Path::new(""));
        relative(from, &self.current()).join(index.to_string())
    }

    fn temporary(&self, index: usize, item: &Item) -> PathBuf {
        let mark = self.dir.file_name().unwrap_or_default().to_string_lossy();
        item.path
            .parent()
            .unwrap_or(Path::new(""))
            .join(format!("{mark}.{index}"))
    }

    /// Replaces each file by its link.
    pub fn lead(&self) -> Result<()> {
        let mut touched = Vec::new();
        for (index, item) in self.changed() {
            let link = self.link(index, item);
            if self.root.link_target(&item.path)?.as_ref() == Some(&link) {
                continue;
            }
            self.stage(index)?;
            let temporary = self.temporary(index, item);
            self.root.remove(&temporary)?;
            self.root.symlink(&link, &temporary)?;
            self.root.rename(&temporary, &item.path)?;
            touched.push(item.path.parent().unwrap_or(Path::new("")).to_owned());
        }
        self.sync(&touched)
    }

    /// Puts there what is only on the side that is gone to; nothing reads it yet.
    pub fn add(&self, way: Way) -> Result<()> {
        for (index, item) in self.record.items.iter().enumerate() {
            let (Some(wanted), None) = (state(item, way), state(item, other(way))) else {
                continue;
            };
            if self.root.read(&item.path)?.as_ref() == Some(wanted) {
                continue;
            }
            self.stage(index)?;
            self.settle(index, item, way)?;
        }
        Ok(())
    }

    /// The instant.
    pub fn turn(&self, way: Way) -> Result<()> {
        let wanted = Path::new(name(way));
        if self.root.link_target(&self.current())?.as_deref() != Some(wanted) {
            let next = self.dir.join("next");
            self.root.remove(&next)?;
            self.root.symlink(wanted, &next)?;
            self.root.rename(&next, &self.current())?;
        }
        self.sync(std::slice::from_ref(&self.dir))
    }

    /// Replaces each link by the file itself, and removes what the side that is gone to has not.
    pub fn place(&self, way: Way) -> Result<()> {
        let mut touched = Vec::new();
        for (index, item) in self.changed() {
            if self.root.link_target(&item.path)?.is_some() {
                self.settle(index, item, way)?;
            }
        }
        for item in &self.record.items {
            if state(item, way).is_none() {
                self.root.remove(&item.path)?;
            }
            touched.extend([
                item.path.clone(),
                item.path.parent().unwrap_or(Path::new("")).to_owned(),
            ]);
        }
        self.sync(&touched)
    }

    /// Moves one staged file to where it belongs, over what is there.
    fn settle(&self, index: usize, item: &Item, way: Way) -> Result<()> {
        let staged = self.staged(way, index);
        if self.root.rename_within(&staged, &item.path)? {
            return Ok(());
        }
        let temporary = self.temporary(index, item);
        self.root.remove(&temporary)?;
        if let Some(wanted) = state(item, way) {
            self.root.create(&temporary, wanted)?;
            self.attributes(&staged, &temporary, wanted)?;
            self.sync(std::slice::from_ref(&temporary))?;
            self.root.rename(&temporary, &item.path)?;
        }
        Ok(())
    }

    pub fn clear(&self) -> Result<()> {
        for (index, item) in self.record.items.iter().enumerate() {
            self.root.remove(&self.temporary(index, item))?;
        }
        self.root.remove(&self.current())?;
        self.root.remove(&self.dir.join("next"))?;
        for side in SIDES {
            for index in 0..self.record.items.len() {
                self.root.remove(&self.staged(side, index))?;
            }
            self.root.remove_dir_if_empty(&self.dir.join(name(side)))?;
        }
        self.root.remove_dir_if_empty(&self.dir).map(|_| ())
    }

    fn sync(&self, paths: &[PathBuf]) -> Result<()> {
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        self.root.sync(&paths)
    }
}

/// The way from a directory to a path, both below the same root.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_directories() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("a/b", "a/b/.p/current"), Path::new(".p/current"));
        assert_eq!(way("a/c/d", "a/b/.p"), Path::new("../../b/.p"));
    }
}
