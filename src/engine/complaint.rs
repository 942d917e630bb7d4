//! What a server complained about while it read its files again: the one place that says why TLS was not loaded, since SQL
//! says that all is well.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::dial::{Deadline, Session};
use crate::plan::literal;
use crate::server::{self, Diagnosis, diagnose};

/// More than one reload says.
const MOST: u32 = 1 << 16;

/// A place in the server's log.
#[derive(Debug, Clone)]
pub enum Log {
    /// In the file of its logging collector, as the server names it, which a superuser may read.
    Collected(String, u64),
    /// In the file on this machine into which its standard error goes, as Debian's `pg_ctlcluster` has it.
    Here(PathBuf, u64),
}

impl Log {
    /// Where the log ends now, where it is at hand; `data` is the server's directory, where that is on this machine.
    pub async fn end(session: &mut Session, data: Option<&Path>, deadline: Deadline) -> Option<Self> {
        const SQL: &str = "SELECT file, (pg_stat_file(file)).size AS size FROM pg_current_logfile() AS file";
        let collected = match session.query(SQL, deadline).await {
            Ok(rows) => rows
                .value(0, "file")
                .map(str::to_owned)
                .zip(rows.value(0, "size").and_then(|size| size.parse().ok())),
            Err(_) => None,
        };
        if let Some((file, size)) = collected {
            return Some(Self::Collected(file, size));
        }
        let file = server::log_file(data?)?;
        let size = std::fs::metadata(&file).ok()?.len();
        Some(Self::Here(file, size))
    }

    /// What it complained about since then.
    pub async fn complaint(self, session: &mut Session, deadline: Deadline) -> Option<Diagnosis> {
        let text = match self {
            Self::Collected(file, from) => {
                let sql = format!("SELECT pg_read_file({}, {from}, {MOST})", literal(&file));
                let rows = session.query(&sql, deadline).await.ok()?;
                rows.rows.first()?.first()?.clone()?
            }
            Self::Here(file, from) => {
                let mut file = std::fs::File::open(file).ok()?;
                file.seek(SeekFrom::Start(from)).ok()?;
                let mut bytes = Vec::new();
                file.take(MOST.into()).read_to_end(&mut bytes).ok()?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        let lines: Vec<_> = text.lines().map(crate::pki::printable).collect();
        // Only what is about TLS: a line of the settings that never was in order must not stand in the way.
        lines
            .iter()
            .any(|line| line.contains("SSL configuration was not reloaded"))
            .then(|| diagnose(&lines))?
    }
}
