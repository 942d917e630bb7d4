//! One write as it lies in the journal: every file before and after, whole or not at all.
//!
//! The form: a first line with the version, one line of JSON that says which files and how long, the bytes of the
//! files one after another, and 64 hexadecimal digits of SHA-256 over all that precedes. A record whose digest
//! does not fit was not written to its end.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::manifest::sha256;
use super::tree::{DirState, FileState, Owner};

const VERSION: &[u8] = b"pgtls journal 1\n";
const DIGEST: usize = 64;

/// All that one write changes.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub dirs: Vec<Dir>,
    pub items: Vec<Item>,
    /// Only in a record of files elsewhere, whose paths begin at the root of the file system: what whoever wrote them
    /// wants to know when they are taken back.
    pub elsewhere: Option<String>,
    /// What wrote it: a command, or a stage of one.
    pub by: Option<String>,
}

/// A directory that the write makes, or removes once it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dir {
    pub path: PathBuf,
    /// `None`: the write makes it. Otherwise the write removes it, and this is how it was.
    pub removed: Option<DirState>,
}

/// A file that the write makes, replaces or removes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub path: PathBuf,
    pub before: Option<FileState>,
    pub after: Option<FileState>,
    /// A person's edit: a copy of what was there is kept.
    pub edited: bool,
}

/// Why a record does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It ends early: the run was killed while it wrote it.
    Torn,
    /// It is whole, but not of a form we know.
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct Header {
    dirs: Vec<DirLine>,
    items: Vec<ItemLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elsewhere: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct DirLine {
    path: String,
    removed: Option<(u32, Owner)>,
}

#[derive(Serialize, Deserialize)]
struct ItemLine {
    path: String,
    edited: bool,
    before: Option<Shape>,
    after: Option<Shape>,
}

#[derive(Serialize, Deserialize)]
struct Shape {
    mode: u32,
    owner: Option<Owner>,
    len: usize,
}

impl Record {
    /// As it goes to disk.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let header = Header {
            dirs: self
                .dirs
                .iter()
                .map(|dir| DirLine {
                    path: text(&dir.path),
                    removed: dir.removed.map(|s| (s.mode, s.owner)),
                })
                .collect(),
            items: self
                .items
                .iter()
                .map(|item| ItemLine {
                    path: text(&item.path),
                    edited: item.edited,
                    before: item.before.as_ref().map(Shape::of),
                    after: item.after.as_ref().map(Shape::of),
                })
                .collect(),
            elsewhere: self.elsewhere.clone(),
            by: self.by.clone(),
        };
        // Strings, numbers and booleans always have a JSON form.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let size: usize = self.states().map(|state| state.bytes.len()).sum();
        // Reserved in full: a vector that grew would leave copies of keys behind in memory.
        let mut out = Zeroizing::new(Vec::with_capacity(
            VERSION.len() + header.len() + 1 + size + DIGEST,
        ));
        out.extend_from_slice(VERSION);
        out.extend_from_slice(&header);
        out.push(b'\n');
        for state in self.states() {
            out.extend_from_slice(&state.bytes);
        }
        let digest = sha256(&out);
        out.extend_from_slice(digest.as_bytes());
        out
    }

    /// Reads it back.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let split = bytes.len().checked_sub(DIGEST).ok_or(Unreadable::Torn)?;
        let (body, digest) = bytes.split_at(split);
        if sha256(body).as_bytes() != digest {
            return Err(Unreadable::Torn);
        }
        Self::decode_whole(body).ok_or(Unreadable::Unknown)
    }

    fn decode_whole(body: &[u8]) -> Option<Self> {
        let rest = body.strip_prefix(VERSION)?;
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let header: Header = serde_json::from_slice(&rest[..end]).ok()?;
        let mut rest = &rest[end + 1..];
        let mut state = |shape: Shape| {
            let (bytes, after) = rest.split_at_checked(shape.len)?;
            rest = after;
            Some(FileState {
                mode: shape.mode,
                owner: shape.owner,
                bytes: Zeroizing::new(bytes.to_vec()),
            })
        };
        let mut items = Vec::with_capacity(header.items.len());
        for line in header.items {
            let before = match line.before {
                Some(shape) => Some(state(shape)?),
                None => None,
            };
            let after = match line.after {
                Some(shape) => Some(state(shape)?),
                None => None,
            };
            items.push(Item {
                path: path(line.path)?,
                before,
                after,
                edited: line.edited,
            });
        }
        let mut dirs = Vec::with_capacity(header.dirs.len());
        for line in header.dirs {
            let removed = line.removed.map(|(mode, owner)| DirState { mode, owner });
            dirs.push(Dir {
                path: path(line.path)?,
                removed,
            });
        }
        rest.is_empty().then_some(Self {
            dirs,
            items,
            elsewhere: header.elsewhere,
            by: header.by,
        })
    }

    fn states(&self) -> impl Iterator<Item = &FileState> {
        self.items
            .iter()
            .flat_map(|item| item.before.iter().chain(&item.after))
    }
}

impl Shape {
    fn of(state: &FileState) -> Self {
        Self {
            mode: state.mode,
            owner: state.owner,
            len: state.bytes.len(),
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A path that stays below the project directory.
fn path(text: String) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    let inside = path.components().all(|c| matches!(c, Component::Normal(_)));
    (inside && !path.as_os_str().is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let state = |mode, text: &str| {
            Some(FileState {
                mode,
                owner: Some((7, 8)),
                bytes: Zeroizing::new(text.as_bytes().to_vec()),
            })
        };
        Record {
            dirs: vec![
                Dir {
                    path: "ca".into(),
                    removed: None,
                },
                Dir {
                    path: "old".into(),
                    removed: Some(DirState {
                        mode: 0o750,
                        owner: (1, 2),
                    }),
                },
            ],
            items: vec![
                Item {
                    path: "ca/ca.key".into(),
                    before: None,
                    after: state(0o600, "k\n\0e"),
                    edited: false,
                },
                Item {
                    path: "x".into(),
                    before: state(0o644, ""),
                    after: state(0o644, "x"),
                    edited: true,
                },
                Item {
                    path: "old/y".into(),
                    before: state(0o640, "y"),
                    after: None,
                    edited: false,
                },
            ],
            elsewhere: Some("a note".to_owned()),
            by: Some("a command".to_owned()),
        }
    }

    #[test]
    fn what_is_encoded_reads_back() {
        assert!(Record::decode(&record().encode()) == Ok(record()));
    }

    #[test]
    fn a_record_cut_anywhere_is_torn() {
        let whole = record().encode();
        for end in 0..whole.len() {
            assert!(
                matches!(Record::decode(&whole[..end]), Err(Unreadable::Torn)),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn a_whole_record_of_another_form_is_unknown_and_one_that_leaves_the_directory_is_refused() {
        let mut other = b"pgtls journal 2\n{}\n".to_vec();
        other.extend_from_slice(sha256(&other.clone()).as_bytes());
        assert!(matches!(Record::decode(&other), Err(Unreadable::Unknown)));

        let mut outside = record();
        outside.items[0].path = "../escape".into();
        assert!(matches!(
            Record::decode(&outside.encode()),
            Err(Unreadable::Unknown)
        ));
    }
}
