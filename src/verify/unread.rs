//! Which of its files a server has not read since they were changed: what stands there is not in force, whatever
//! `pg_hba_file_rules` and `pg_file_settings` show, which read the files as they are now
//! (<https://www.postgresql.org/docs/current/view-pg-hba-file-rules.html>).

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use time::OffsetDateTime;

use crate::plan::literal;

use super::OverSql;

/// A file that was changed, or put there, after the server last read its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where, as it was asked for: on this machine, where it is here.
    pub path: PathBuf,
    /// When it was changed, seconds since 1970.
    pub changed: i64,
    /// When the server last read its files.
    pub read: i64,
}

/// A file of the server's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerFile {
    /// As the server names it.
    pub theirs: PathBuf,
    /// Where it is on this machine, if it is.
    pub here: Option<PathBuf>,
}

impl Unread {
    /// When it was changed, and when the server last read its files.
    #[must_use]
    pub fn times(&self) -> [String; 2] {
        [self.changed, self.read].map(|at| {
            let Ok(at) = OffsetDateTime::from_unix_timestamp(at) else {
                return at.to_string();
            };
            let (date, time) = (at.date(), at.time());
            format!(
                "{date} {:02}:{:02}:{:02} UTC",
                time.hour(),
                time.minute(),
                time.second()
            )
        })
    }
}

/// Which of these files were changed since. The session must be a new one: an old one takes note of a reload only when it
/// is next asked something. The change of a file's place counts like one of its content (`ctime`): an older file may have
/// been moved there.
pub async fn unread(over: &mut OverSql<'_>, files: &[ServerFile]) -> Vec<Unread> {
    const READ: &str = "SELECT ceil(extract(epoch FROM pg_conf_load_time()))::bigint AS up, \
        floor(extract(epoch FROM pg_conf_load_time()))::bigint AS at";
    let Ok(rows) = over.query(READ).await else {
        return Vec::new();
    };
    let number = |name| rows.value(0, name).and_then(|at| at.parse::<i64>().ok());
    let (Some(up), Some(read)) = (number("up"), number("at")) else {
        return Vec::new();
    };
    let mut asked = Vec::with_capacity(files.len());
    for some in files.chunks(200) {
        asked.extend(changed(over, some).await);
    }
    files
        .iter()
        .zip(asked)
        .filter_map(|(file, asked)| {
            let (path, here) = match &file.here {
                Some(here) => (here.clone(), metadata(here)),
                None => (file.theirs.clone(), None),
            };
            // Whole seconds, as the server tells them: what is in doubt counts as read.
            let changed = asked.or(here)?;
            (changed >= up).then_some(Unread { path, changed, read })
        })
        .collect()
}

/// When each was changed, as the server sees it; `None` where it sees none, or may not be asked.
async fn changed(over: &mut OverSql<'_>, files: &[ServerFile]) -> Vec<Option<i64>> {
    let mut list = String::new();
    for (at, file) in files.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(list, "{comma}({at}, {})", literal(&file.theirs.to_string_lossy()));
    }
    let sql = format!(
        "SELECT f.at, extract(epoch FROM greatest(s.modification, s.change))::bigint AS changed \
         FROM (VALUES {list}) AS f (at, path), LATERAL pg_stat_file(f.path, true) AS s ORDER BY f.at"
    );
    let mut all = vec![None; files.len()];
    if let Ok(rows) = over.query(&sql).await {
        for row in 0..rows.rows.len() {
            let number = |name| rows.value(row, name).and_then(|text| text.parse::<i64>().ok());
            let at = number("at").and_then(|at| usize::try_from(at).ok());
            if let Some(place) = at.and_then(|at| all.get_mut(at)) {
                *place = number("changed");
            }
        }
    }
    all
}

fn metadata(path: &std::path::Path) -> Option<i64> {
    let meta = std::fs::metadata(path).ok()?;
    Some(meta.mtime().max(meta.ctime()))
}
