//! Going back to a server without TLS, where its rules let nobody in without: that would lock out everybody on the network,
//! as it would whoever goes back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::apply::live::{Alteration, LiveChange, Record};
use crate::conf::hba::{Kind, Method, Rules};
use crate::conf::settings::Settings;
use crate::conf::simulate::{Simulator, World};
use crate::conf::{Dialect, Files, Unreadable};
use crate::conninfo::Conninfo;
use crate::dial::{Deadline, Session};
use crate::engine::Error;
use crate::engine::audit::Disk;
use crate::harden::is_same;
use crate::verify::OverSql;

use super::over_sql;

/// The server's files as they would be.
struct Laid<'a>(BTreeMap<&'a Path, &'a LiveChange>);

impl Files for Laid<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        // Links lead to the same file.
        let real = path.canonicalize();
        let change = self.0.get(real.as_deref().unwrap_or(path));
        match change.map(|change| &change.after) {
            Some(Some(wanted)) => Ok(wanted.content.to_vec()),
            Some(None) => Err(Unreadable::Missing),
            None => Disk.read(path),
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        Disk.list(directory)
    }
}

/// Whether somebody still comes in over the network once these files are back. Files that cannot be read here tell nothing.
pub fn leaves_a_way_in(record: &Record, changes: &[LiveChange]) -> Result<(), Error> {
    let Some(directory) = record.way.as_ref().and_then(|way| way.config_dir.as_deref()) else {
        return Ok(());
    };
    let conf = directory.join("postgresql.conf");
    let settings = |files: &dyn Files| Settings::load(&conf, Some(&record.data), files).ok();
    let laid = Laid(changes.iter().map(|change| (&*change.path, change)).collect());
    let (Some(now), Some(then)) = (settings(&Disk), settings(&laid)) else {
        return Ok(());
    };
    if !is_on(&now) || is_on(&then) {
        return Ok(());
    }
    // Under another name than the server's it is beside the settings.
    let named = then.effective("hba_file").map(|found| {
        let name = PathBuf::from(String::from_utf8_lossy(&found.value).into_owned());
        record.data.join(name)
    });
    let hba = named
        .filter(|path| path.exists())
        .unwrap_or_else(|| directory.join("pg_hba.conf"));
    let dialect = std::fs::read_to_string(record.data.join("PG_VERSION"))
        .ok()
        .and_then(|version| version.trim().parse().ok())
        .map_or_else(|| Dialect::of(18), Dialect::of);
    match Rules::load(&hba, &laid, dialect) {
        Ok(rules) => judge(&rules, &hba),
        Err(_) => Ok(()),
    }
}

/// The same where settings are altered over SQL.
pub fn leaves_a_way_in_over_sql(
    dir: &Path,
    change: &Alteration,
    admin: Option<&Conninfo>,
) -> Result<(), Error> {
    let Some(ssl) = change.settings.iter().find(|setting| setting.name == "ssl") else {
        return Ok(());
    };
    if ssl
        .before
        .as_deref()
        .is_some_and(|value| is_same("ssl", value, "on"))
    {
        return Ok(());
    }
    let by_files = ssl.before.is_none();
    let rules = over_sql::over_a_login(dir, change, admin, async |session, limit| {
        Ok(rules(session, limit, by_files).await)
    })?;
    rules.map_or(Ok(()), |(rules, hba)| judge(&rules, &hba))
}

/// The rules of a server that would have no TLS; `None`: it would, or they cannot be read.
async fn rules(
    session: &mut Session,
    limit: &dyn Fn() -> Deadline,
    by_files: bool,
) -> Option<(Rules, PathBuf)> {
    const SQL: &str = "SELECT current_setting('hba_file') AS hba, current_setting('server_version_num')::int / 10000 AS major, \
        (SELECT setting FROM pg_file_settings WHERE name = 'ssl' AND sourcefile <> \
        current_setting('data_directory') || '/postgresql.auto.conf' ORDER BY seqno DESC LIMIT 1) AS ssl";
    let mut sql = OverSql::new(session, limit);
    let rows = sql.query(SQL).await.ok()?;
    if by_files
        && rows
            .value(0, "ssl")
            .is_some_and(|value| is_same("ssl", value, "on"))
    {
        return None;
    }
    let hba = PathBuf::from(rows.value(0, "hba")?);
    let dialect = Dialect::of(rows.value(0, "major")?.parse().ok()?);
    let load = |path: &Path, files: &dyn Files| Rules::load(path, files, dialect);
    let (rules, _) = sql.load(&hba, load).await.ok()?;
    Some((rules, hba))
}

fn is_on(settings: &Settings) -> bool {
    settings
        .effective("ssl")
        .is_some_and(|found| is_same("ssl", &String::from_utf8_lossy(&found.value), "on"))
}

fn judge(rules: &Rules, hba: &Path) -> Result<(), Error> {
    let world = World::default();
    let with_tls = rules.rules().iter().find(|rule| {
        matches!(rule.record.kind, Kind::Host | Kind::HostSsl | Kind::HostNoGssEnc)
            && rule.record.method != Method::Reject
    });
    let Some(first) = with_tls else { return Ok(()) };
    if !Simulator::new(rules.rules(), &world)
        .ways_in_without_tls()
        .is_empty()
    {
        return Ok(());
    }
    let hba = crate::pki::printable(&hba.to_string_lossy());
    Err(Error::NotInForce {
        what: format!(
            "TLS would be off then, and {hba} lets nobody in over the network without it ({}: {}): everybody would be locked out",
            first.place, first.record
        ),
        remedy: format!(
            "first let somebody in without TLS: where that was a stage of another kit, `pgtls undo --dir` there; by hand, host \
             instead of hostssl in {hba}, and a reload. Nothing was taken back"
        ),
    })
}
