//! Bringing the disk to one side of a record, whichever side and whatever the disk looks like now.
//!
//! The same code writes, undoes, takes back a write that failed, and finishes what a killed run left: each time
//! the disk is read, what is already right is left alone, and what is neither side of the record (somebody's edit)
//! is copied to `.pgtls/kept` before it is replaced.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::BOOKS;
use super::error::{Error, Result};
use super::record::{Item, Record};
use super::tree::{DirState, FileState, Tree};

/// Directories that a write makes; less the umask.
const NEW_DIR: u32 = 0o755;

/// A copy of a person's edit that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCopy {
    /// The file, relative to the project directory.
    pub path: PathBuf,
    /// Its copy, relative to the project directory; 0600 below `.pgtls`, so that a copied key is nobody else's.
    pub copy: PathBuf,
}

/// Which side of a record the disk is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Forward,
    Back,
}

impl Way {
    fn target(self, item: &Item) -> Option<&FileState> {
        match self {
            Self::Forward => item.after.as_ref(),
            Self::Back => item.before.as_ref(),
        }
    }

    fn origin(self, item: &Item) -> Option<&FileState> {
        match self {
            Self::Forward => item.before.as_ref(),
            Self::Back => item.after.as_ref(),
        }
    }
}

/// Everything staged and nothing of the person's touched.
#[derive(Default)]
pub(super) struct Prepared {
    pub kept: Vec<KeptCopy>,
    /// Of the copies those that were not there before.
    fresh: Vec<PathBuf>,
    moves: Vec<Move>,
    make: Vec<(PathBuf, Option<DirState>)>,
    drop: Vec<PathBuf>,
}

impl Prepared {
    /// The person's files among what is moved.
    pub fn files(&self) -> Vec<PathBuf> {
        let theirs = self
            .moves
            .iter()
            .map(Move::path)
            .filter(|path| !path.starts_with(BOOKS));
        theirs.map(Path::to_path_buf).collect()
    }
}

/// One rename, and the name in `staging` it goes from or to.
enum Move {
    /// The staged file goes where none is.
    New { path: PathBuf, staged: PathBuf },
    /// The staged file changes places with the one that is there.
    Over { path: PathBuf, staged: PathBuf },
    /// The file goes to `staging`.
    Away { path: PathBuf, staged: PathBuf },
}

impl Move {
    fn path(&self) -> &Path {
        match self {
            Self::New { path, .. } | Self::Over { path, .. } | Self::Away { path, .. } => path,
        }
    }
}

/// What was done and can be taken back in one step each.
enum Done {
    Made(PathBuf),
    Moved {
        from: PathBuf,
        to: PathBuf,
    },
    Exchanged {
        staged: PathBuf,
        path: PathBuf,
    },
    /// The file system could not exchange: what was there is in the record only.
    Lost,
}

fn staging() -> PathBuf {
    Path::new(BOOKS).join("staging")
}

/// Stages all that the way needs. After an error, [`discard`] leaves things as they were.
pub(super) fn prepare(tree: &Tree, record: &Record, way: Way, prepared: &mut Prepared) -> Result<()> {
    tree.make_dir(&staging(), 0o700)?;
    for (index, item) in record.items.iter().enumerate() {
        let path = item.path.clone();
        let disk = tree.read(&path)?;
        let target = way.target(item);
        if is(disk.as_ref(), target) {
            continue;
        }
        if let Some(disk) = &disk
            && is_somebodys(disk, item, way)
        {
            let (copy, fresh) = keep(tree, &path, disk)?;
            if fresh {
                prepared.fresh.push(copy.clone());
            }
            prepared.kept.push(KeptCopy {
                path: path.clone(),
                copy,
            });
        }
        let staged = staging().join(index.to_string());
        if let Some(target) = target {
            tree.create(&staged, target)?;
        }
        prepared.moves.push(match (target, disk) {
            (Some(_), None) => Move::New { path, staged },
            (Some(_), Some(_)) => Move::Over { path, staged },
            (None, _) => Move::Away { path, staged },
        });
    }
    for dir in &record.dirs {
        let make = (way == Way::Forward) == dir.removed.is_none();
        if !make {
            prepared.drop.push(dir.path.clone());
        } else if tree.dir_state(&dir.path)?.is_none() {
            prepared.make.push((dir.path.clone(), dir.removed));
        }
    }
    // Outermost first to make, innermost first to remove.
    prepared.make.sort_by(|(a, _), (b, _)| a.cmp(b));
    prepared.drop.sort_by(|a, b| b.cmp(a));
    Ok(())
}

/// Puts everything in place and makes it durable, or takes back what it did.
///
/// The error says whether the disk is exactly as it was (`true`), or the record has to be brought in for that.
pub(super) fn execute(tree: &Tree, prepared: &Prepared) -> Result<(), (Error, bool)> {
    let mut log = Vec::new();
    place(tree, prepared, &mut log).map_err(|error| {
        let mut exact = true;
        for done in log.into_iter().rev() {
            exact &= take_back(tree, done);
        }
        (error, exact)
    })
}

fn place(tree: &Tree, prepared: &Prepared, log: &mut Vec<Done>) -> Result<()> {
    let mut touched: BTreeSet<&Path> = BTreeSet::new();
    for (path, state) in &prepared.make {
        if tree.make_dir(path, NEW_DIR)? {
            log.push(Done::Made(path.clone()));
        }
        if let Some(state) = state {
            tree.set_dir(path, *state)?;
        }
        touched.extend([path.as_path(), parent(path)]);
    }
    for step in &prepared.moves {
        match step {
            Move::New { path, staged } => {
                tree.rename_new(staged, path)?;
                log.push(Done::Moved {
                    from: staged.clone(),
                    to: path.clone(),
                });
            }
            Move::Over { path, staged } => log.push(if tree.exchange(staged, path)? {
                Done::Exchanged {
                    staged: staged.clone(),
                    path: path.clone(),
                }
            } else {
                Done::Lost
            }),
            Move::Away { path, staged } => {
                tree.rename(path, staged)?;
                log.push(Done::Moved {
                    from: path.clone(),
                    to: staged.clone(),
                });
            }
        }
        touched.extend([step.path(), parent(step.path())]);
    }
    tree.sync(&Vec::from_iter(touched))?;
    for path in &prepared.drop {
        // Whatever else is in it stays, and so does the directory.
        let _ = tree.remove_dir_if_empty(path);
    }
    Ok(())
}

fn take_back(tree: &Tree, done: Done) -> bool {
    match done {
        Done::Made(path) => tree.remove_dir_if_empty(&path).is_ok(),
        Done::Moved { from, to } => tree.rename_new(&to, &from).is_ok(),
        Done::Exchanged { staged, path } => tree.exchange(&staged, &path).is_ok_and(|exact| exact),
        Done::Lost => false,
    }
}

/// Brings the disk to one side of the record, from wherever it is.
pub(super) fn settle(tree: &Tree, record: &Record, way: Way) -> Result<Prepared> {
    clear_staging(tree)?;
    let mut prepared = Prepared::default();
    prepare(tree, record, way, &mut prepared)?;
    execute(tree, &prepared).map_err(|(error, _)| error)?;
    Ok(prepared)
}

/// Removes what was staged, and the copies that were kept for it.
pub(super) fn discard(tree: &Tree, prepared: &Prepared) -> Result<()> {
    for copy in &prepared.fresh {
        tree.remove(copy)?;
        for dir in copy
            .ancestors()
            .skip(1)
            .take_while(|dir| *dir != Path::new(BOOKS))
        {
            tree.remove_dir_if_empty(dir)?;
        }
    }
    clear_staging(tree)
}

/// Removes everything in `staging`, and `staging` itself.
pub(super) fn clear_staging(tree: &Tree) -> Result<()> {
    for name in tree.names(&staging())? {
        tree.remove(&staging().join(name))?;
    }
    tree.remove_dir_if_empty(&staging()).map(|_| ())
}

/// Whether the disk is at the target already. The owner counts only for root: nobody else could change it.
fn is(disk: Option<&FileState>, target: Option<&FileState>) -> bool {
    match (disk, target) {
        (None, None) => true,
        (Some(disk), Some(target)) => {
            let owner =
                target.owner.is_none() || disk.owner == target.owner || !rustix::process::geteuid().is_root();
            disk.mode == target.mode && disk.bytes == target.bytes && owner
        }
        _ => false,
    }
}

/// Whether what is on disk would be lost: known to no side of the record, or known as an edit.
fn is_somebodys(disk: &FileState, item: &Item, way: Way) -> bool {
    let holds = |state: Option<&FileState>| state.is_some_and(|state| state.bytes == disk.bytes);
    if item.path.starts_with(BOOKS) || holds(way.target(item)) {
        return false;
    }
    !holds(way.origin(item)) || (way == Way::Forward && item.edited)
}

/// Copies a file to `.pgtls/kept/PATH.N`, durably, unless the last copy says the same; says whether it is new.
pub(super) fn keep(tree: &Tree, path: &Path, disk: &FileState) -> Result<(PathBuf, bool)> {
    let kept = Path::new(BOOKS).join("kept");
    let dir = kept.join(parent(path));
    let mut above: Vec<&Path> = dir
        .ancestors()
        .take_while(|dir| *dir != Path::new(BOOKS))
        .collect();
    above.reverse();
    for dir in &above {
        tree.make_dir(dir, 0o700)?;
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let last = tree
        .names(&dir)?
        .iter()
        .filter_map(|other| {
            other
                .to_str()?
                .strip_prefix(&name)?
                .strip_prefix('.')?
                .parse::<u32>()
                .ok()
        })
        .max()
        .unwrap_or(0);
    let copy = |number: u32| dir.join(format!("{name}.{number}"));
    if last > 0
        && tree
            .read(&copy(last))?
            .is_some_and(|there| there.bytes == disk.bytes)
    {
        return Ok((copy(last), false));
    }
    let copy = copy(last + 1);
    let written = tree.create(
        &copy,
        &FileState {
            mode: 0o600,
            owner: None,
            ..disk.clone()
        },
    );
    above.push(&copy);
    let written = written.and_then(|()| tree.sync(&above));
    if let Err(error) = written {
        tree.remove(&copy)?;
        return Err(error);
    }
    Ok((copy, true))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
