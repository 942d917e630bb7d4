//! Whether a directory that was named (`--config-dir`) is that of the very server that was dialled: another's files say
//! nothing about this one.

use std::path::{Path, PathBuf};

use crate::conf::{Files, Unreadable};
use crate::verify::OverSql;

use super::Error;
use super::audit::Disk;

/// Compares its `postgresql.conf` and its `pg_hba.conf` with what the server reads, and its `postmaster.pid`, where that is
/// beside them: two servers may have the same configuration to the letter. `false` where this login may not see them, so
/// that nothing can be compared.
pub async fn are_theirs(over: &mut OverSql<'_>, directory: &Path) -> Result<bool, Error> {
    const NAMES: &str = "SELECT name, setting FROM pg_settings WHERE name IN \
        ('config_file', 'hba_file', 'data_directory')";
    let Ok(rows) = over.query(NAMES).await else {
        return Ok(false);
    };
    let setting = |name: &str| {
        let row = (0..rows.rows.len()).find(|at| rows.value(*at, "name") == Some(name))?;
        rows.value(row, "setting").map(PathBuf::from)
    };
    let Some(conf) = setting("config_file") else {
        return Ok(false);
    };
    let beside = conf.parent().unwrap_or(Path::new("/")).to_path_buf();
    let mut is_known = true;
    let running = setting("data_directory").map(|data| data.join("postmaster.pid"));
    for theirs in [Some(conf), setting("hba_file"), running.clone()]
        .into_iter()
        .flatten()
    {
        let Ok(rest) = theirs.strip_prefix(&beside) else {
            continue;
        };
        let here = directory.join(rest);
        if here == theirs {
            continue;
        }
        let bytes = match Disk.read(&here) {
            Ok(bytes) => bytes,
            // A directory may hold the configuration alone.
            Err(Unreadable::Missing) if Some(&theirs) == running.as_ref() => continue,
            Err(why @ Unreadable::Missing) => return Err(not_here(&here, &why)),
            // What cannot be read here is asked of the server.
            Err(Unreadable::Refused(_)) => continue,
        };
        match over.reads(&theirs, &bytes).await {
            Some(true) => {}
            Some(false) => return Err(not_theirs(&here, &theirs)),
            None => is_known = false,
        }
    }
    Ok(is_known)
}

/// A file of the server's that is not where it was looked for.
pub fn not_here(here: &Path, why: &Unreadable) -> Error {
    Error::OutOfReach {
        what: format!("the server's {} cannot be read here: {why}", here.display()),
        remedy:
            "run this on the server's machine, as root or as the server's account, and name the directory of \
                 postgresql.conf with --config-dir"
                .to_owned(),
    }
}

/// A file that is another server's.
pub fn not_theirs(here: &Path, theirs: &Path) -> Error {
    Error::OutOfReach {
        what: format!(
            "{} is not the file that the server reads as {}",
            here.display(),
            theirs.display()
        ),
        remedy: "name the directory of this very server's postgresql.conf with --config-dir".to_owned(),
    }
}
