//! Files by which a certificate is renewed without anybody at hand: worked out for this machine, written where they are asked
//! for, never installed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use crate::apply::publish;
use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::plan::Renewal;
use crate::server::account_name;

use super::{Error, Existing, Means, prepare};

/// What is to be renewed.
#[derive(Debug)]
pub struct Units {
    /// Where the files go.
    pub to: PathBuf,
    /// The project directory.
    pub dir: PathBuf,
    /// A server elsewhere: how it is reached, and where its files are.
    pub server: Option<(Conninfo, PathBuf)>,
    /// The arguments of `pgtls renew`, paths absolute.
    pub arguments: Vec<String>,
    /// Directories and files of others that it reads.
    pub reads: Vec<PathBuf>,
    /// Whether another tool makes the certificates.
    pub from_another_tool: bool,
    /// How long the server may take.
    pub timeout: Duration,
}

/// Writes them; gives their paths.
pub async fn units(wanted: &Units) -> Result<Vec<PathBuf>, Error> {
    let dir = prepare::absolute(&wanted.dir);
    let mut writes = vec![dir.clone()];
    let mut reads = wanted.reads.clone();
    let (mut key, mut logs_in_as_another) = (None, false);
    if let Some((conninfo, config_dir)) = &wanted.server {
        let means = Means {
            expect: None,
            other: None,
            dir: dir.clone(),
            key_passphrase: None,
            admin: None,
            timeout: wanted.timeout,
            now: OffsetDateTime::now_utc(),
        };
        reads.extend(conninfo.get(Keyword::Host).map(PathBuf::from));
        let live = Existing::enter(
            conninfo.clone(),
            &Environment::current(),
            &means,
            Some(config_dir),
        )
        .await?;
        logs_in_as_another = live.is_in_place_of_another();
        key = live.file("ssl_key_file");
        for setting in ["ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file"] {
            let directory = live
                .file(setting)
                .and_then(|file| file.parent().map(Path::to_path_buf));
            writes.extend(directory.filter(|directory| !writes.contains(directory)));
        }
        let config_dir = live.config_dir.clone();
        writes.extend(Some(config_dir).filter(|directory| !writes.contains(directory)));
        live.close().await;
    }
    let owner = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.uid());
    // One account for all of it, if there is one; else only root may.
    let account = match &key {
        Some(key) if owner(key) == owner(&dir) => owner(&dir),
        Some(_) => 0,
        None => owner(&dir),
    };
    let program = std::env::current_exe().map_err(|error| Error::Environment {
        what: format!(
            "the place of pgtls itself is not known: {}",
            crate::server::words(&error)
        ),
    })?;
    let sandboxes = Path::new("/var/lib/pgtls");
    if wanted.server.is_none() && account == 0 && sandboxes.is_dir() {
        writes.push(sandboxes.to_owned());
    }
    let renewal = Renewal {
        program,
        arguments: wanted.arguments.clone(),
        account: (account != 0).then(|| account_name(account)),
        writes,
        reads,
        runs_a_server: wanted.server.is_none(),
        logs_in_as_another,
        from_another_tool: wanted.from_another_tool,
    };
    let mut written = Vec::new();
    for (name, mode, text) in renewal.files() {
        let path = wanted.to.join(name);
        publish(&path, text.as_bytes(), mode).map_err(|error| Error::File {
            what: "the file",
            path: path.clone(),
            why: crate::server::words(&error),
            remedy: "name a directory that is there and that you may write to".to_owned(),
        })?;
        written.push(path);
    }
    Ok(written)
}
