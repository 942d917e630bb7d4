//! Which files are the server's, where they are on this machine, and whether they can be written from here; else what
//! they hold is fetched over SQL.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::conf::hba::Rules;
use crate::conf::ident::Maps;
use crate::conf::settings::Settings;
use crate::conf::{Dialect, Files, Unreadable};
use crate::engine::Error;
use crate::engine::audit::Disk;
use crate::engine::own_files::{not_here, not_theirs};
use crate::harden::{ServerFiles, patroni};
use crate::verify::{Fetched, OverSql};

use super::survey::refused;
use super::{Survey, beside};

/// From the names that the server has for its files to names on this machine.
#[derive(Debug, Clone)]
pub struct PathMap {
    theirs: PathBuf,
    ours: PathBuf,
}

impl PathMap {
    /// Where a file of the server's is here.
    #[must_use]
    pub fn here(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.theirs) {
            Ok(rest) if rest.as_os_str().is_empty() => self.ours.clone(),
            Ok(rest) => self.ours.join(rest),
            Err(_) => path.to_path_buf(),
        }
    }

    /// The directory of the configuration, as the server names it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.theirs
    }
}

/// Files that were fetched over SQL, each with what it includes.
struct OverSqlFiles(Vec<Fetched>);

impl Files for OverSqlFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        let mut last = Unreadable::Missing;
        for fetched in &self.0 {
            match fetched.read(path) {
                Err(why) => last = why,
                found => return found,
            }
        }
        Err(last)
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        let mut last = Unreadable::Missing;
        for fetched in &self.0 {
            match fetched.list(directory) {
                Err(why) => last = why,
                found => return found,
            }
        }
        Err(last)
    }
}

struct Mapped(PathMap);

impl Files for Mapped {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        Disk.read(&self.0.here(path))
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        Disk.list(&self.0.here(directory))
    }
}

/// Sees which files are within reach, and fetches what is not. `is_named`: the person named their directory.
pub(super) async fn look(survey: &mut Survey, data_is_here: bool, is_named: bool) -> Result<(), Error> {
    match within_reach(survey, data_is_here).await {
        Ok(()) => {}
        // Whoever names the directory means to write there.
        Err(Reach::Never(error)) => return Err(error),
        Err(Reach::NotHere(error)) if is_named => return Err(error),
        Err(Reach::NotHere(error)) => {
            survey.reach = Err(error.to_string());
            survey.server.files = Box::new(fetch(survey).await?);
        }
    }
    survey.client_ca = named(survey, "ssl_ca_file").await;
    survey.client_lists = named(survey, "ssl_crl_file").await;
    survey.unloadable = beside::unloadable(survey).await;
    survey.encrypted = beside::encrypted(survey).await;
    survey.unread = beside::not_read(survey).await;
    if survey.reach.is_err() {
        survey.pair = pair(survey).await;
    }
    Ok(())
}

/// What is in a file that a setting names.
async fn named(survey: &mut Survey, setting: &str) -> Option<Vec<u8>> {
    let file = survey.setting(setting).filter(|file| !file.is_empty())?;
    let path = survey.server.data.join(file);
    if survey.reach.is_ok()
        && let Ok(bytes) = Disk.read(&survey.map.here(&path))
    {
        return Some(bytes);
    }
    let limit = survey.limit();
    OverSql::new(&mut survey.session, &limit).file(&path).await.ok()
}

/// Reads the server's files over SQL.
async fn fetch(survey: &mut Survey) -> Result<OverSqlFiles, Error> {
    let limit = survey.limit();
    let (dialect, data) = (survey.server.dialect, survey.server.data.clone());
    let paths = [&survey.server.conf, &survey.server.hba, &survey.server.ident].map(Clone::clone);
    let mut over = OverSql::new(&mut survey.session, &limit);
    let fail = |why: Unreadable| {
        refused(
            format!("the server's files cannot be read over SQL: {why}"),
            "log in as a superuser, or run this on the server's machine with --config-dir",
        )
    };
    let conf = over
        .load(&paths[0], |path, files| Settings::load(path, Some(&data), files))
        .await
        .map_err(fail)?;
    let hba = over
        .load(&paths[1], |path, files| Rules::load(path, files, dialect))
        .await
        .map_err(fail)?;
    let mut all = vec![conf.1, hba.1];
    if let Ok(ident) = over
        .load(&paths[2], |path, files| Maps::load(path, files, dialect))
        .await
    {
        all.push(ident.1);
    }
    Ok(OverSqlFiles(all))
}

/// The certificate that the server would serve, by its settings; the key is not asked for, only whether there is one.
async fn pair(survey: &mut Survey) -> Option<Vec<u8>> {
    let file = |name| survey.setting(name).map(|file| survey.server.data.join(file));
    let (certificate, key) = (file("ssl_cert_file")?, file("ssl_key_file")?);
    let limit = survey.limit();
    let mut over = OverSql::new(&mut survey.session, &limit);
    over.size(&key).await?;
    over.file(&certificate).await.ok()
}

/// Why files cannot be written.
enum Reach {
    /// They are somebody else's to write.
    Never(Error),
    /// Not from here.
    NotHere(Error),
}

/// Which files the server reads, and where they are here.
pub(super) fn files(
    in_force: &BTreeMap<String, (String, String)>,
    config_dir: Option<&Path>,
    major: u16,
) -> (ServerFiles, PathMap) {
    let setting = |name: &str| -> PathBuf {
        in_force
            .get(name)
            .map(|(value, _)| value.into())
            .unwrap_or_default()
    };
    let conf = setting("config_file");
    let theirs = conf.parent().unwrap_or(Path::new("/")).to_path_buf();
    let ours = config_dir.map_or_else(|| theirs.clone(), crate::engine::absolute);
    let map = PathMap { theirs, ours };
    let server = ServerFiles {
        dialect: Dialect::of(major),
        conf: conf.clone(),
        hba: setting("hba_file"),
        ident: setting("ident_file"),
        data: setting("data_directory"),
        command_line: in_force
            .iter()
            .filter(|(_, (_, source))| source == "command line")
            .map(|(name, (value, _))| (name.clone(), value.clone()))
            .collect(),
        files: Box::new(Mapped(map.clone())),
    };
    (server, map)
}

/// Whether the files here are the server's own, and the server can be told to read them.
async fn within_reach(survey: &mut Survey, data_is_here: bool) -> Result<(), Reach> {
    const HERE: &str = "run this on the server's machine, as root or as the server's account, and name the directory of \
        postgresql.conf with --config-dir";
    let data = survey.map.here(&survey.server.data);
    let limit = survey.limit();
    let listing = OverSql::new(&mut survey.session, &limit)
        .names(&survey.server.data)
        .await;
    let names = listing.unwrap_or_default();
    let names: Vec<_> = names
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok())
        .collect();
    let here = survey.map.here(&survey.server.conf);
    let conf = Disk.read(&here);
    if let Some(sign) = patroni(names, conf.as_deref().unwrap_or_default()) {
        return Err(Reach::Never(refused(
            format!("Patroni writes this server's configuration ({sign}), and would overwrite ours"),
            "change it there: `patronictl edit-config`, with ssl, ssl_cert_file, ssl_key_file and ssl_ca_file under \
             postgresql: parameters, and the lines under postgresql: pg_hba",
        )));
    }
    for path in [survey.server.conf.clone(), survey.server.hba.clone()] {
        let here = survey.map.here(&path);
        let bytes = Disk
            .read(&here)
            .map_err(|why| Reach::NotHere(not_here(&here, &why)))?;
        if !survey.reads(&path, &bytes).await.map_err(Reach::Never)? {
            return Err(Reach::NotHere(not_theirs(&here, &path)));
        }
    }
    if !data_is_here || !crate::server::can_reload(&data) {
        return Err(Reach::NotHere(refused(
            format!(
                "the server of {} cannot be signalled from here, and without that nothing could be taken back once \
                 nobody can log in",
                data.display()
            ),
            HERE,
        )));
    }
    let own = rustix::process::geteuid();
    if !own.is_root() && own.as_raw() != survey.account.0 {
        return Err(Reach::NotHere(refused(
            "the server runs as another account, which could not read a key of ours",
            HERE,
        )));
    }
    Ok(())
}
