//! What is asked of a server in a session: rows, and the server's own files as the server itself sees them, for a
//! login that may read them (<https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-GENFILE>).
//! Every answer is bounded, and none is believed to be more than bytes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine;

use crate::conf::{Files, Unreadable};
use crate::dial::{Deadline, QueryFailure, Rows, Session};
use crate::plan::literal;

/// A session that is asked, each question with a time of its own.
pub struct OverSql<'a> {
    session: &'a mut Session,
    deadline: &'a dyn Fn() -> Deadline,
}

impl<'a> OverSql<'a> {
    /// Over this session; every question has a fresh deadline.
    pub fn new(session: &'a mut Session, deadline: &'a dyn Fn() -> Deadline) -> Self {
        Self { session, deadline }
    }

    /// The rows of a query.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, QueryFailure> {
        self.session.query(sql, (self.deadline)()).await
    }

    /// The bytes of a file of the server's, piece by piece: a message of the server has a bound of 1 MiB.
    pub async fn file(&mut self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        const MOST: usize = 64 << 20;
        let mut bytes = Vec::new();
        loop {
            let piece = self.piece(path, bytes.len() as u64, PIECE).await?;
            bytes.extend_from_slice(&piece);
            if piece.len() < PIECE {
                return Ok(bytes);
            }
            if bytes.len() > MOST {
                return Err(Unreadable::Refused("it is larger than 64 MiB".to_owned()));
            }
        }
    }

    /// The size of a file in bytes; none of what has no bytes in it (a pipe, a terminal), or is not there.
    pub async fn size(&mut self, path: &Path) -> Option<u64> {
        let sql = format!(
            "SELECT size FROM pg_stat_file({}, true)",
            literal(&path.to_string_lossy())
        );
        let rows = self.query(&sql).await.ok()?;
        let size: u64 = rows.value(0, "size")?.parse().ok()?;
        (size > 0).then_some(size)
    }

    /// The bytes of a file from one of them on, at most 512 KiB.
    pub async fn from(&mut self, path: &Path, from: u64) -> Result<Vec<u8>, Unreadable> {
        self.piece(path, from, PIECE).await
    }

    /// Whether the server can read a file; no more of it than a byte is asked for, without which a directory opens too.
    pub async fn opens(&mut self, path: &Path) -> Result<(), Unreadable> {
        self.piece(path, 0, 1).await.map(drop)
    }

    /// Whether a key is encrypted, as its own words say it (RFC 1421 section 4.6.1.1, RFC 7468 section 11): the server
    /// looks, and nothing of the key leaves it. `None` where it may not be asked.
    pub async fn is_encrypted(&mut self, key: &Path) -> Option<bool> {
        let sql = format!(
            "SELECT position('ENCRYPTED'::bytea IN pg_read_binary_file({}, 0, {PIECE}, true)) > 0 AS is",
            literal(&key.to_string_lossy())
        );
        let rows = self.query(&sql).await.ok()?;
        rows.value(0, "is").map(|is| is == "t")
    }

    async fn piece(&mut self, path: &Path, from: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
        let sql = format!(
            "SELECT encode(pg_read_binary_file({}, {from}, {length}, true), 'base64') AS content",
            literal(&path.to_string_lossy()),
        );
        let rows = self.query(&sql).await.map_err(|failure| refused(&failure))?;
        let text = rows.value(0, "content").ok_or(Unreadable::Missing)?;
        let text: String = text.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|_| Unreadable::Refused("the server's answer is no base64".to_owned()))
    }

    /// Whether the server reads these bytes at a name of its own; `None` where it may not be asked, or reads nothing there.
    pub async fn reads(&mut self, path: &Path, bytes: &[u8]) -> Option<bool> {
        let sql = format!(
            "SELECT encode(sha256(pg_read_binary_file({})), 'hex') AS digest",
            literal(&path.to_string_lossy())
        );
        let rows = self.query(&sql).await.ok()?;
        Some(rows.value(0, "digest")? == crate::apply::sha256(bytes))
    }

    /// The names in a directory of the server's.
    pub async fn names(&mut self, path: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        let sql = format!(
            "SELECT pg_ls_dir({}, true, false) AS name LIMIT 10000",
            literal(&path.to_string_lossy())
        );
        let rows = self.query(&sql).await.map_err(|failure| refused(&failure))?;
        if rows.rows.is_empty() {
            return Err(Unreadable::Missing);
        }
        Ok((0..rows.rows.len())
            .filter_map(|at| rows.value(at, "name").map(|name| name.as_bytes().to_vec()))
            .collect())
    }

    /// Reads a file and what it includes. The includes are not known before they are read: what is missing is noted,
    /// fetched, and all is read again.
    pub async fn load<T>(
        &mut self,
        path: &Path,
        load: impl Fn(&Path, &dyn Files) -> Result<T, Unreadable>,
    ) -> Result<(T, Fetched), Unreadable> {
        /// Includes nest ten deep.
        const MOST_ROUNDS: usize = 12;
        const MOST_FILES: usize = 500;
        let mut fetched = Fetched::default();
        for _ in 0..MOST_ROUNDS {
            let loaded = load(path, &fetched);
            let (files, directories) = fetched.wanted.take();
            if (files.is_empty() && directories.is_empty()) || fetched.files.len() > MOST_FILES {
                return loaded.map(|loaded| (loaded, fetched));
            }
            for file in files {
                let bytes = self.file(&file).await;
                fetched.files.insert(file, bytes);
            }
            for directory in directories {
                let names = self.names(&directory).await;
                fetched.directories.insert(directory, names);
            }
        }
        load(path, &fetched).map(|loaded| (loaded, fetched))
    }
}

/// How much of a file one question asks for.
const PIECE: usize = 512 << 10;

fn refused(failure: &QueryFailure) -> Unreadable {
    Unreadable::Refused(failure.to_string())
}

/// What was fetched of the server's files, and what was asked for in vain.
#[derive(Debug, Default)]
pub struct Fetched {
    files: BTreeMap<PathBuf, Result<Vec<u8>, Unreadable>>,
    directories: BTreeMap<PathBuf, Result<Vec<Vec<u8>>, Unreadable>>,
    wanted: RefCell<(BTreeSet<PathBuf>, BTreeSet<PathBuf>)>,
}

impl Files for Fetched {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        self.files.get(path).cloned().unwrap_or_else(|| {
            self.wanted.borrow_mut().0.insert(path.to_owned());
            Err(Unreadable::Refused("it has not been read".to_owned()))
        })
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        self.directories.get(directory).cloned().unwrap_or_else(|| {
            self.wanted.borrow_mut().1.insert(directory.to_owned());
            Err(Unreadable::Refused("it has not been read".to_owned()))
        })
    }
}
