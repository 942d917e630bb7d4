//! Reading what lies in a directory, for a scan of code and for grading files before any server runs. Links are not
//! followed, except of the root itself; version control and dependencies are left out.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Error, prepare};
use crate::apply::Project;
use crate::audit::{self, Audit, Entry, Hit, Severity, Tree, Unseen};
use crate::server::{Places, Sandbox};
use crate::setup::Run;

/// Directories that hold nothing of the person's own.
const LEFT_OUT: [&str; 9] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    "target",
    "vendor",
    ".venv",
    "__pycache__",
    // Our own books: mode 0600, with what files held before.
    ".pgtls",
];
/// Larger files are data.
const LARGEST: u64 = 1 << 20;

/// How much is read at most.
#[derive(Clone, Copy)]
struct Bounds {
    files: usize,
    bytes: usize,
    /// How many directories deep.
    depth: usize,
}

/// For a person who asked for it.
const WHOLE: Bounds = Bounds {
    files: 50_000,
    bytes: 256 << 20,
    depth: 64,
};
/// For a look by the way: the directory may be a home.
const BY_THE_WAY: Bounds = Bounds {
    files: 1_000,
    bytes: 8 << 20,
    depth: 5,
};

/// Grades the files of a directory.
pub fn grade_files(root: &Path, now: OffsetDateTime) -> Result<Audit, Error> {
    let mut tree = read("the directory", root, WHOLE, |_| true)?;
    of_its_sandbox(root, &mut tree);
    Ok(audit::grade_tree(
        &super::absolute(root).display().to_string(),
        &tree,
        now,
    ))
}

/// What the rules and settings of a sandbox lead to, which lies in our own books or elsewhere: what `initdb` set, and the
/// directory of its socket.
fn of_its_sandbox(root: &Path, tree: &mut Tree) {
    const DATA: &str = ".pgtls/data/postgresql.conf";
    const SOCKET: &str = ".pgtls/run";
    let is_sandbox = prepare::project(root).is_ok_and(|setup| setup.run == Run::Sandbox);
    let located = is_sandbox.then(|| Sandbox::locate(root, &Places::of_this_machine()).ok());
    let Some(sandbox) = located.flatten() else { return };
    let (conf, socket) = (
        sandbox.data_dir().join("postgresql.conf"),
        sandbox.socket_dir().to_path_buf(),
    );
    let socket_name = if socket.ends_with(SOCKET) {
        PathBuf::from(SOCKET)
    } else {
        socket.clone()
    };
    for (path, name, bytes) in [
        (&conf, PathBuf::from(DATA), bounded(&conf)),
        (&socket, socket_name, None),
    ] {
        let Ok(meta) = std::fs::symlink_metadata(path) else {
            continue;
        };
        let entry = Entry {
            bytes,
            is_dir: meta.is_dir(),
            mode: meta.permissions().mode() & 0o777,
            uid: meta.uid(),
            gid: meta.gid(),
        };
        tree.entries.insert(name, entry);
    }
}

/// What a person's own files in a directory have in them that breaks what TLS promises or is unsafe, one line each, the
/// worst first; what pgtls wrote there is left out, and so is what cannot be read.
#[must_use]
pub fn found_beside(dir: &Path, now: OffsetDateTime) -> Vec<String> {
    let ours = Project::look(dir)
        .and_then(|project| project.ours())
        .unwrap_or_default();
    let is_own = |path: &Path| !ours.contains(path);
    let Ok(tree) = read("the directory", dir, BY_THE_WAY, is_own) else {
        return Vec::new();
    };
    audit::grade_tree("", &tree, now)
        .findings
        .iter()
        .filter(|finding| finding.severity <= Severity::Medium)
        .map(|finding| format!("{} ({})", finding.title, finding.place))
        .collect()
}

/// Scans a tree of code.
pub(super) fn code(root: &Path) -> Result<Vec<Hit>, Error> {
    let mut hits = Vec::new();
    walk("the clients' code (--clients)", root, WHOLE, |path, entry| {
        if let Some(bytes) = &entry.bytes
            && !bytes.contains(&0)
        {
            hits.extend(audit::scan(
                &path.display().to_string(),
                &String::from_utf8_lossy(bytes),
            ));
        }
    })?;
    Ok(hits)
}

fn read(
    what: &'static str,
    root: &Path,
    bounds: Bounds,
    wanted: impl Fn(&Path) -> bool,
) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    let mut unread = 0_usize;
    let is_whole = walk(what, root, bounds, |path, entry| {
        let Ok(relative) = path.strip_prefix(root) else {
            return;
        };
        if relative.as_os_str().is_empty() || !wanted(relative) {
            return;
        }
        if entry.bytes.is_none() && !entry.is_dir {
            unread += 1;
        }
        tree.entries.insert(relative.to_path_buf(), entry);
    })?;
    if unread > 0 {
        tree.unseen.push(Unseen {
            what: format!("{unread} files"),
            why: "they are larger than 1 MiB, or this account may not read them".to_owned(),
        });
    }
    if !is_whole {
        tree.unseen.push(Unseen {
            what: "a part of the directory".to_owned(),
            why: "there is too much in it; name a directory further down".to_owned(),
        });
    }
    Ok(tree)
}

/// Visits everything below `root` in the order of names; `false` if there was too much.
fn walk(
    what: &'static str,
    root: &Path,
    most: Bounds,
    mut visit: impl FnMut(&Path, Entry),
) -> Result<bool, Error> {
    let fail = |error: &std::io::Error| Error::File {
        what,
        path: root.to_path_buf(),
        why: crate::server::words(error),
        remedy: "name a file or directory that you may read".to_owned(),
    };
    std::fs::metadata(root).map_err(|error| fail(&error))?;
    let mut open: Vec<(PathBuf, usize)> = vec![(root.to_owned(), 0)];
    let (mut files, mut bytes, mut is_whole) = (0, 0, true);
    while let Some((path, depth)) = open.pop() {
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        // The tree's own root may be a link.
        let is_dir = meta.is_dir() || (path == root && path.is_dir());
        if !is_dir && !meta.is_file() {
            continue;
        }
        let mut entry = Entry {
            bytes: None,
            is_dir,
            mode: meta.permissions().mode() & 0o777,
            uid: meta.uid(),
            gid: meta.gid(),
        };
        if is_dir && depth >= most.depth {
            is_whole = false;
        } else if is_dir {
            let Ok(entries) = std::fs::read_dir(&path) else {
                continue;
            };
            let mut below: Vec<_> = entries
                .flatten()
                .filter(|entry| !LEFT_OUT.iter().any(|name| entry.file_name() == *name))
                .map(|entry| (entry.path(), depth + 1))
                .collect();
            below.sort_unstable_by(|a, b| b.cmp(a));
            open.extend(below);
        } else {
            files += 1;
            if files > most.files || bytes > most.bytes {
                return Ok(false);
            }
            if meta.len() <= LARGEST {
                entry.bytes = bounded(&path);
                bytes += entry.bytes.as_ref().map_or(0, |bytes| bytes.len());
            }
        }
        visit(&path, entry);
    }
    Ok(is_whole)
}

fn bounded(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
