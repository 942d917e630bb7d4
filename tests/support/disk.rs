//! What lies on the disk of a server, to the last byte, mode and owner.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::TestServer;

/// A file, link or directory, as it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    mode: u32,
    owner: (u32, u32),
    content: Vec<u8>,
}

pub type Tree = BTreeMap<PathBuf, Entry>;

/// All that lies below the server's directory, but what PostgreSQL itself writes.
pub fn tree(server: &TestServer) -> Tree {
    let mut tree = Tree::new();
    // The way to it may be a link.
    let data = server.data.canonicalize().unwrap();
    collect(server.dir(), server, &data, &mut tree);
    tree
}

fn collect(dir: &Path, server: &TestServer, data: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().unwrap();
        let is_postgres = match dir {
            dir if dir == data || dir == server.data => {
                matches!(
                    name.as_str(),
                    "base"
                        | "global"
                        | "log"
                        | "postmaster.pid"
                        | "postmaster.opts"
                        | "PG_VERSION"
                        | "current_logfiles"
                ) || (kind.is_dir() && name.starts_with("pg_"))
            }
            dir if dir == server.dir() => name == "log" || name.starts_with(".s.PGSQL"),
            _ => false,
        };
        if is_postgres {
            continue;
        }
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if kind.is_file() {
            fs::read(&path).unwrap()
        } else if kind.is_symlink() {
            fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else {
            Vec::new()
        };
        tree.insert(
            path.clone(),
            Entry {
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                content,
            },
        );
        if kind.is_dir() {
            collect(&path, server, data, tree);
        }
    }
}

/// What differs between two states of the disk, a line each.
pub fn differences(before: &Tree, after: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, old) in before {
        match after.get(path) {
            None => lines.push(format!("{} is gone", path.display())),
            Some(new) if new != old => {
                let what = if new.content == old.content {
                    format!(
                        "mode {:o}, owner {:?} -> mode {:o}, owner {:?}",
                        old.mode, old.owner, new.mode, new.owner
                    )
                } else {
                    format!(
                        "other bytes:\n<<<\n{}\n>>>\n{}\n---",
                        String::from_utf8_lossy(&old.content),
                        String::from_utf8_lossy(&new.content)
                    )
                };
                lines.push(format!("{}: {what}", path.display()));
            }
            Some(_) => {}
        }
    }
    let added = after.keys().filter(|path| !before.contains_key(*path));
    lines.extend(added.map(|path| format!("{} is new", path.display())));
    lines
}
