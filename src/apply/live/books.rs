//! The books of changes to a server's files, and the decisions over them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::file;
use super::marks::{BEFORE, INFIX};
use super::obstacle::can_replace;
use super::record::{Alteration, Item, LiveChange, Moment, Record, Side, WayIn, Witness};
use crate::apply::error::{Error, Result};
use crate::apply::project::Locked;
use crate::apply::{BOOKS, last_number};

/// The books of a project directory.
#[derive(Debug, Clone)]
pub struct Live {
    dir: PathBuf,
}

/// A change that is under way.
#[derive(Debug, Clone)]
pub struct Trial {
    live: Live,
    number: u32,
    record: Record,
}

/// A change as it is planned.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// What it is, in a word.
    pub name: &'a str,
    /// The data directory of the server.
    pub data: &'a Path,
    /// Its files.
    pub files: &'a [LiveChange],
    /// Or its settings.
    pub alteration: Option<&'a Alteration>,
    /// The number of the change that this one takes back.
    pub undoes: Option<u32>,
    /// Whether the last write in the project's journal is a part of it.
    pub with_previous: bool,
    /// How the server was reached.
    pub way: Option<&'a WayIn>,
}

/// The right to decide over a change, which nobody else has meanwhile.
#[derive(Debug)]
#[must_use]
pub struct Decision<'a> {
    trial: &'a Trial,
    /// `None`: the books are gone, and nobody else can decide.
    lock: Option<File>,
}

/// What going back came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The files that are as they were.
    pub files: Vec<PathBuf>,
    /// What somebody had made of them meanwhile, and where that is now.
    pub kept: Vec<PathBuf>,
}

/// Whether this process has begun a change that is not decided.
static TRYING: AtomicBool = AtomicBool::new(false);

/// Whether a change that this process began was not decided by it.
#[must_use]
pub fn is_trying() -> bool {
    TRYING.load(Ordering::Relaxed)
}

const TRY: &str = "try";
const KEPT: &str = "kept";
const BACK: &str = "back";
const DONE: &str = "done";
/// How the server was reached, where no change tells.
const WAY: &str = "way.json";
/// In a change's directory: locked by the process that watches over it.
const WATCHED: &str = "watched";

impl Live {
    /// Those of a project directory, which need not exist yet.
    #[must_use]
    pub fn of(project: &Path) -> Self {
        Self {
            dir: project.join(BOOKS).join("live"),
        }
    }

    /// The change that is neither kept nor taken back yet.
    pub fn unfinished(&self) -> Result<Option<Trial>> {
        self.newest(TRY)
    }

    /// The last change that was kept.
    pub fn last(&self) -> Result<Option<Trial>> {
        self.newest(KEPT)
    }

    /// The last change, if it was taken back.
    pub fn last_taken_back(&self) -> Result<Option<Record>> {
        Ok(self.newest(BACK)?.map(|trial| trial.record))
    }

    /// Whether the last change that was decided over was kept; else it was taken back.
    pub fn is_last_kept(&self) -> Result<bool> {
        let last = |state| Ok::<_, Error>(self.numbers(state)?.into_iter().next_back());
        Ok(last(KEPT)? > last(BACK)?)
    }

    /// Whether a try of that mark is in these books, decided or not.
    #[must_use]
    pub fn knows(&self, mark: &str) -> bool {
        [TRY, KEPT, BACK, DONE].into_iter().any(|state| {
            let numbers = self.numbers(state).unwrap_or_default();
            let mut all = numbers
                .into_iter()
                .filter_map(|number| self.load(number, state).ok());
            all.any(|trial| trial.record.mark == mark)
        })
    }

    /// The names of the changes that can be undone, the oldest first.
    pub fn kept(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for number in self.numbers(KEPT)? {
            names.push(self.load(number, KEPT)?.record.name);
        }
        Ok(names)
    }

    /// How many of the changes that can be undone take the write of the journal before them along.
    pub fn with_previous(&self) -> Result<usize> {
        let mut count = 0;
        for number in self.numbers(KEPT)? {
            count += usize::from(self.load(number, KEPT)?.record.with_previous);
        }
        Ok(count)
    }

    /// Writes down a change with all that going back needs. Nothing of the server's is touched.
    ///
    /// `project` is held, so that nobody else is at it.
    pub fn begin(&self, project: &Locked, plan: &Plan<'_>) -> Result<Trial> {
        let changes = plan.files;
        changes.iter().try_for_each(|change| can_replace(&change.path))?;
        self.make()?;
        let _lock = self.lock()?;
        let journal = last_number(project)?;
        if let Some(number) = self.numbers(TRY)?.into_iter().next_back() {
            return Err(Error::Damaged {
                path: self.place_of(number, TRY),
                why: "another change is under way",
                remedy: "`pgtls undo` takes that one back",
            });
        }
        let all = [TRY, KEPT, BACK, DONE];
        let mut highest = 0;
        for state in all {
            highest = self
                .numbers(state)?
                .into_iter()
                .next_back()
                .unwrap_or(0)
                .max(highest);
        }
        let number = highest + 1;
        let mark = mark();
        let mut files = Vec::with_capacity(changes.len());
        let dir = self.place_of(number, "new");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|error| Error::io("create the directory", &dir, error))?;
        let written = (|| {
            for (at, change) in changes.iter().enumerate() {
                let before = file::read(&change.path)?;
                if before.as_ref().map(|state| &state.bytes[..])
                    != change.before.as_ref().map(|bytes| &bytes[..])
                {
                    return Err(Error::ChangedMeanwhile(change.path.clone()));
                }
                if let Some(before) = &before {
                    file::create(&dir.join(format!("old-{at}")), &before.bytes, 0o600, None, None)?;
                }
                let side = before.as_ref().map(Side::of);
                let after = change.after.as_ref().map(|wanted| {
                    let (mode, owner) = side
                        .as_ref()
                        .map_or((wanted.mode, wanted.owner), |side| (side.mode, side.owner));
                    Side {
                        sha256: crate::apply::manifest::sha256(&wanted.content),
                        mode,
                        owner,
                    }
                });
                files.push(Item {
                    saved: beside(&change.path, &mark, BEFORE),
                    staged: beside(&change.path, &mark, "new"),
                    path: change.path.clone(),
                    before: side,
                    after,
                });
            }
            let record = Record {
                name: plan.name.to_owned(),
                mark,
                data: plan.data.to_path_buf(),
                until: None,
                journal,
                with_previous: plan.with_previous,
                undoes: plan.undoes,
                way: plan.way.cloned(),
                alteration: plan.alteration.cloned(),
                witness: None,
                files,
            };
            write_record(&dir, &record, true)?;
            file::sync(&dir)?;
            Ok(record)
        })();
        let record = match written {
            Ok(record) => record,
            Err(error) => {
                let _ = fs::remove_dir_all(&dir);
                return Err(error);
            }
        };
        let trial = Trial {
            live: self.clone(),
            number,
            record,
        };
        self.turn(number, "new", TRY)?;
        TRYING.store(true, Ordering::Relaxed);
        Ok(trial)
    }

    /// How the server was reached at the last change that is known; without one, when nothing had to change.
    pub fn way(&self) -> Result<Option<WayIn>> {
        for state in [TRY, KEPT, BACK] {
            if let Some(way) = self.newest(state)?.and_then(|trial| trial.record.way) {
                return Ok(Some(way));
            }
        }
        let path = self.dir.join(WAY);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    /// Keeps how a server was reached whose files said already what was wanted: the project is that server's all the same.
    pub fn put_way(&self, way: &WayIn) -> Result<()> {
        let bytes = serde_json::to_vec(way).unwrap_or_default();
        self.put(WAY, &bytes)
    }

    /// Finishes what a killed run had decided already.
    pub fn tidy(&self) -> Result<()> {
        for name in self.numbers("new")? {
            // Never turned into a try: nothing was touched.
            let _ = fs::remove_dir_all(self.place_of(name, "new"));
        }
        for number in self.numbers(DONE)? {
            self.load(number, DONE)?.clear_undone()?;
        }
        if let Some(last) = self.last()? {
            last.clear_beside()?;
        }
        Ok(())
    }

    /// Keeps what was seen while watching.
    pub fn put_watch(&self, bytes: &[u8]) -> Result<()> {
        self.put("watch.json", bytes)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.make()?;
        let path = self.dir.join(name);
        let staged = path.with_extension("new");
        file::remove(&staged)?;
        file::create(&staged, bytes, 0o600, None, None)?;
        fs::rename(&staged, &path).map_err(|error| Error::io("write", &path, error))?;
        file::sync(&self.dir)
    }

    fn make(&self) -> Result<()> {
        if self.dir.is_dir() {
            return Ok(());
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.dir)
            .map_err(|error| Error::io("create the directory", &self.dir, error))
    }

    /// Held by whoever decides over a try.
    fn lock(&self) -> Result<File> {
        held(&self.dir.join("lock"))
    }

    fn place_of(&self, number: u32, state: &str) -> PathBuf {
        self.dir.join(format!("{number:06}.{state}"))
    }

    fn numbers(&self, state: &str) -> Result<BTreeSet<u32>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(Error::io("list", &self.dir, error)),
        };
        Ok(entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (number, found) = name.split_once('.')?;
                (found == state).then(|| number.parse().ok()).flatten()
            })
            .collect())
    }

    fn newest(&self, state: &str) -> Result<Option<Trial>> {
        self.numbers(state)?
            .into_iter()
            .next_back()
            .map(|number| self.load(number, state))
            .transpose()
    }

    fn load(&self, number: u32, state: &str) -> Result<Trial> {
        let path = self.place_of(number, state).join("record.json");
        let damaged = |why| Error::Damaged {
            path: path.clone(),
            why,
            remedy: "the old files of the server are beside its own, named .NAME.pgtls-…-before",
        };
        let state = file::read(&path)?.ok_or_else(|| damaged("it is not there"))?;
        let record =
            serde_json::from_slice(&state.bytes).map_err(|_| damaged("it is no record of this program"))?;
        Ok(Trial {
            live: self.clone(),
            number,
            record,
        })
    }

    fn turn(&self, number: u32, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.place_of(number, from), self.place_of(number, to));
        fs::rename(&from, &to).map_err(|error| Error::io("write", &to, error))?;
        // The step is done, whatever the disk says to this: an error now would be taken for a decision not made.
        let _ = file::sync(&self.dir);
        Ok(())
    }

    fn is(&self, number: u32, state: &str) -> bool {
        self.place_of(number, state).is_dir()
    }
}

impl Trial {
    /// What was written down.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Its number in the books.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Whether the project still has the books of it.
    #[must_use]
    pub fn has_books(&self) -> bool {
        self.live.dir.is_dir()
    }

    /// The same change as it is now; `None` once it is decided.
    pub fn again(&self) -> Result<Option<Self>> {
        if !self.live.is(self.number, TRY) {
            return Ok(None);
        }
        let there = self.live.load(self.number, TRY)?;
        Ok((there.record.mark == self.record.mark).then_some(there))
    }

    /// Whether nobody has decided over it yet. What lies under its number may be a later change, which a watchdog that
    /// is about to end must not take back; a record that cannot be read is no reason not to go back.
    fn stands(&self) -> bool {
        self.live.is(self.number, TRY)
            && self
                .live
                .load(self.number, TRY)
                .map_or(true, |there| there.record.mark == self.record.mark)
    }

    /// Watches over it: whoever holds what this gives is known to be there, and known to be gone with it.
    pub fn watch(&self) -> Result<File> {
        held(&self.live.place_of(self.number, TRY).join(WATCHED))
    }

    /// Whether somebody watches over it; where that cannot be told it is taken for so.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        let path = self.live.place_of(self.number, TRY).join(WATCHED);
        match File::open(&path) {
            Ok(file) => file.try_lock_shared().is_err(),
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// The files in whose place something else stands than the change put there, and whether that is what was there before it.
    pub fn others(&self) -> Result<Vec<(PathBuf, bool)>> {
        let mut others = Vec::new();
        for item in &self.record.files {
            let there = file::read(&item.path)?;
            let is = |side: &Option<Side>| match (side, &there) {
                (Some(side), Some(there)) => side.is(&there.bytes),
                (None, None) => true,
                _ => false,
            };
            if !is(&item.after) {
                others.push((item.path.clone(), is(&item.before)));
            }
        }
        Ok(others)
    }

    /// Whether somebody went back who could not write it down here: every file is as it was, and no old one has a second name
    /// any more.
    pub fn is_back(&self) -> Result<bool> {
        let files = &self.record.files;
        let is_saved = files
            .iter()
            .any(|item| item.before.is_some() && item.saved.symlink_metadata().is_ok());
        let others = self.others()?;
        Ok(!files.is_empty()
            && !is_saved
            && others.len() == files.len()
            && others.iter().all(|(_, before)| *before))
    }

    /// Puts the new files beside the old ones, and gives those their second names. An error leaves nothing behind.
    pub fn stage(&self, changes: &[LiveChange]) -> Result<()> {
        for (item, change) in self.record.files.iter().zip(changes) {
            let content = change.after.as_ref().map(|wanted| &wanted.content[..]);
            file::stage(item, content)?;
        }
        self.sync()
    }

    /// Puts every new file in place.
    pub fn place(&self) -> Result<()> {
        for item in &self.record.files {
            file::place(item)?;
        }
        self.sync()
    }

    /// Writes down until when it may be confirmed, and how it was proven; `false` if it was taken back already.
    pub fn wait_until(&mut self, until: Moment, witness: Witness) -> Result<bool> {
        let _lock = self.live.lock()?;
        if !self.stands() {
            return Ok(false);
        }
        self.record.until = Some(until);
        self.record.witness = Some(witness);
        write_record(&self.live.place_of(self.number, TRY), &self.record, false)?;
        Ok(true)
    }

    /// Keeps the change; `false` if it was taken back already.
    pub fn keep(&self) -> Result<bool> {
        let lock = self.live.lock()?;
        if !self.stands() {
            return Ok(false);
        }
        if self.record.undoes.is_some() {
            self.live.turn(self.number, TRY, DONE)?;
            TRYING.store(false, Ordering::Relaxed);
            drop(lock);
            // The decision stands: what is left over does no harm, and the next run removes it.
            let _ = self.clear_undone();
            return Ok(true);
        }
        self.live.turn(self.number, TRY, KEPT)?;
        TRYING.store(false, Ordering::Relaxed);
        drop(lock);
        let _ = file::remove(&self.live.place_of(self.number, KEPT).join(WATCHED));
        let _ = self.clear_beside();
        Ok(true)
    }

    /// Puts every file back, and has the server follow (`tell_server`); `None` if it was decided already. After an error,
    /// whatever could be put back is, and the rest can be tried again.
    pub fn go_back(&self, tell_server: impl FnOnce()) -> Result<Option<Taken>> {
        if !self.has_books() {
            return self.go_back_without_books(tell_server);
        }
        let Some(decision) = self.decide()? else {
            return Ok(None);
        };
        let taken = self.restore()?;
        // The names are back; a disk that cannot sync them now does so later.
        let _ = self.sync();
        // Before it is written down as done: whoever is killed in between leaves it to be done again.
        tell_server();
        decision.taken_back()?;
        Ok(Some(taken))
    }

    /// The right to decide over it; `None` if it was decided already. Nobody else decides while it is held.
    pub fn decide(&self) -> Result<Option<Decision<'_>>> {
        if !self.has_books() {
            return Ok(Some(Decision {
                trial: self,
                lock: None,
            }));
        }
        let lock = self.live.lock()?;
        Ok(self.stands().then_some(Decision {
            trial: self,
            lock: Some(lock),
        }))
    }

    /// The project was removed while the change waited: nobody can keep it any more. Where the old files still have their
    /// second names it was not decided, and what is known of it here is enough.
    fn go_back_without_books(&self, tell_server: impl FnOnce()) -> Result<Option<Taken>> {
        let is_undecided = self
            .record
            .files
            .iter()
            .any(|item| item.before.is_some() && item.saved.exists());
        if !is_undecided {
            return Ok(None);
        }
        let taken = self.restore()?;
        let _ = self.sync();
        tell_server();
        Ok(Some(taken))
    }

    /// Every file as it was; after an error, whatever could be put back is.
    fn restore(&self) -> Result<Taken> {
        let mut taken = Taken {
            files: Vec::new(),
            kept: Vec::new(),
        };
        let mut first = None;
        for item in self.record.files.iter().rev() {
            match file::restore(item) {
                Ok(kept) => {
                    taken.files.push(item.path.clone());
                    taken.kept.extend(kept);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        if let Some(error) = first {
            return Err(error);
        }
        Ok(taken)
    }

    /// The changes that undo this one, and the files that somebody edited since.
    pub fn inverse(&self) -> Result<(Vec<LiveChange>, Vec<PathBuf>)> {
        let mut edited = Vec::new();
        let mut changes = Vec::new();
        for (at, item) in self.record.files.iter().enumerate() {
            let there = file::read(&item.path)?;
            let as_written = match (&there, &item.after) {
                (None, None) => true,
                (Some(there), Some(after)) => after.is(&there.bytes),
                _ => false,
            };
            if !as_written && there.is_some() {
                edited.push(item.path.clone());
            }
            let old = self.live.place_of(self.number, KEPT).join(format!("old-{at}"));
            let after = match &item.before {
                None => None,
                Some(before) => {
                    let state = file::read(&old)?.ok_or(Error::Damaged {
                        path: old,
                        why: "it is not there",
                        remedy: "put the server's files back from your own backup",
                    })?;
                    Some(super::record::Wanted {
                        content: state.bytes,
                        mode: before.mode,
                        owner: before.owner,
                    })
                }
            };
            if there.is_none() && after.is_none() {
                continue;
            }
            changes.push(LiveChange {
                path: item.path.clone(),
                before: there.map(|state| state.bytes),
                after,
            });
        }
        Ok((changes, edited))
    }

    fn sync(&self) -> Result<()> {
        let directories: BTreeSet<_> = self
            .record
            .files
            .iter()
            .filter_map(|item| item.path.parent())
            .collect();
        directories.into_iter().try_for_each(file::sync)
    }

    fn clear_beside(&self) -> Result<()> {
        for item in &self.record.files {
            file::remove(&item.saved)?;
            file::remove(&item.staged)?;
        }
        Ok(())
    }

    /// What an undo leaves: neither itself nor what it undid.
    fn clear_undone(&self) -> Result<()> {
        self.clear_beside()?;
        if let Some(undone) = self.record.undoes {
            let _ = fs::remove_dir_all(self.live.place_of(undone, KEPT));
        }
        let own = self.live.place_of(self.number, DONE);
        fs::remove_dir_all(&own).map_err(|error| Error::io("remove", &own, error))
    }
}

impl Decision<'_> {
    /// Everything is as it was before the change, and that is written down.
    pub fn taken_back(self) -> Result<()> {
        if self.lock.is_none() {
            return Ok(());
        }
        let Trial { live, number, record } = self.trial;
        for older in live.numbers(BACK)? {
            let _ = fs::remove_dir_all(live.place_of(older, BACK));
        }
        live.turn(*number, TRY, BACK)?;
        TRYING.store(false, Ordering::Relaxed);
        let back = live.place_of(*number, BACK);
        let _ = file::remove(&back.join(WATCHED));
        // Old keys have no business there.
        for at in 0..record.files.len() {
            let _ = file::remove(&back.join(format!("old-{at}")));
        }
        Ok(())
    }
}

/// A name beside a file that neither `include_dir` nor a shell's `*` takes up.
fn beside(path: &Path, mark: &str, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!("{INFIX}{mark}-{what}"));
    path.with_file_name(name)
}

/// Tells the files of this change from those of another.
fn mark() -> String {
    let mut random = [0_u8; 4];
    // Without randomness the process tells them apart well enough.
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        random = std::process::id().to_be_bytes();
    }
    format!("{:08x}", u32::from_be_bytes(random))
}

fn write_record(dir: &Path, record: &Record, is_new: bool) -> Result<()> {
    let path = dir.join("record.json");
    let bytes = serde_json::to_vec(record).map_err(|_| Error::Damaged {
        path: path.clone(),
        why: "a path in it is not UTF-8",
        remedy: "such files cannot be changed by this program",
    })?;
    if is_new {
        return file::create(&path, &bytes, 0o600, None, None);
    }
    let staged = dir.join("record.new");
    file::remove(&staged)?;
    file::create(&staged, &bytes, 0o600, None, None)?;
    fs::rename(&staged, &path).map_err(|error| Error::io("write", &path, error))?;
    file::sync(dir)
}

/// A file that is locked for as long as what this gives lives; the kernel lets go of it with the process.
fn held(path: &Path) -> Result<File> {
    let fail = |error| Error::io("lock", path, error);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(fail)?;
    file.lock().map_err(fail)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::super::record::Wanted;
    use super::*;
    use crate::apply::Project;

    /// A watchdog looks every now and then: what it comes back to may be another change under the same number.
    #[test]
    fn a_change_decides_over_no_other_that_was_given_its_number() {
        let (kit, server) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = server.path().canonicalize().unwrap().join("pg_hba.conf");
        fs::write(&path, "old").unwrap();
        let project = Project::create(kit.path()).unwrap();
        let live = Live::of(kit.path());
        let change = |before: &str, after: &str| LiveChange {
            path: path.clone(),
            before: Some(Zeroizing::new(before.as_bytes().to_vec())),
            after: Some(Wanted {
                content: Zeroizing::new(after.as_bytes().to_vec()),
                mode: 0o600,
                owner: None,
            }),
        };
        let begin = |changes: &[LiveChange], undoes| {
            let plan = Plan {
                name: "require",
                data: server.path(),
                files: changes,
                alteration: None,
                undoes,
                with_previous: false,
                way: None,
            };
            let trial = live.begin(&project, &plan).unwrap();
            trial.stage(changes).unwrap();
            trial.place().unwrap();
            trial
        };
        let first = begin(&[change("old", "new")], None);
        let mut watched = live.unfinished().unwrap().unwrap();
        assert!(watched.again().unwrap().is_some() && first.keep().unwrap());
        let undo = begin(&[change("new", "old")], Some(first.number()));
        assert!(undo.keep().unwrap());

        let second = begin(&[change("old", "newer")], None);
        assert_eq!(second.number(), first.number(), "the case that this is about");
        let witness = Witness {
            conninfo: String::new(),
            admin: String::new(),
            server: String::new(),
            timeout: 0,
            leaf: None,
            only_tls13: false,
        };
        assert!(watched.again().unwrap().is_none());
        assert!(!watched.wait_until(Moment::after(0).unwrap(), witness).unwrap());
        assert!(!watched.keep().unwrap());
        assert!(watched.go_back(|| panic!("nothing changed")).unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert!(second.again().unwrap().is_some());
        assert!(second.go_back(|| ()).unwrap().is_some());
        assert_eq!(fs::read(&path).unwrap(), b"old");

        // The project is removed: what was kept stays, what waits goes back, and whoever asks again is not kept waiting.
        let kept = begin(&[change("old", "kept")], None);
        assert!(kept.keep().unwrap());
        let waits = begin(&[change("kept", "waits")], None);
        fs::remove_dir_all(kit.path().join(BOOKS)).unwrap();
        assert!(kept.go_back(|| panic!("it was kept")).unwrap().is_none());
        let mut is_told = false;
        assert!(waits.go_back(|| is_told = true).unwrap().is_some());
        assert!(is_told && waits.go_back(|| panic!("it is done")).unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }
}
