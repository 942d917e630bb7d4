//! What a reload brings beside a stage's own changes: files that TLS needs and that cannot be read, and files that others
//! changed and nobody had the server read.

use std::path::PathBuf;

use crate::conf::hba::{Rules, shown};
use crate::conf::settings::Settings;
use crate::engine::Error;
use crate::harden::Draft;
use crate::verify::OverSql;

use super::Survey;
use super::propose::prevented;

/// Which of the files that TLS needs beside the pair the server itself cannot read. With one of them missing a reload loads
/// no TLS at all, or the next start fails (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SERVER-FILES>).
pub async fn unreadable(survey: &mut Survey) -> Vec<(&'static str, String)> {
    let server = &survey.server;
    // By the files, which the next reload puts in force.
    let Ok(mut settings) = Settings::load(&server.conf, Some(&server.data), &*server.files) else {
        return Vec::new();
    };
    for (name, value) in &server.command_line {
        settings.push_command_line(name, value);
    }
    let named: Vec<_> = ["ssl_ca_file", "ssl_crl_file", "ssl_dh_params_file"]
        .into_iter()
        .filter_map(|name| {
            let file = &settings.effective(name)?.value;
            (!file.is_empty()).then(|| (name, server.data.join(String::from_utf8_lossy(file).as_ref())))
        })
        .collect();
    let mut all = Vec::new();
    for (setting, path) in named {
        let limit = survey.limit();
        if let Err(why) = OverSql::new(&mut survey.session, &limit).from(&path, 0).await {
            all.push((setting, why.to_string()));
        }
    }
    all
}

/// Which of its files somebody changed since the server last read them.
pub async fn unread(survey: &mut Survey) -> Vec<PathBuf> {
    /// When a file was written and when it was read are told by two clocks.
    const MARGIN: f64 = 1.0;
    const READ: &str = "SELECT ceil(extract(epoch FROM pg_conf_load_time()))::bigint AS at";
    if survey.reach.is_err() {
        return Vec::new();
    }
    let Ok(rows) = survey.ask("asking when the files were read", READ).await else {
        return Vec::new();
    };
    let Some(read) = rows.value(0, "at").and_then(|at| at.parse::<f64>().ok()) else {
        return Vec::new();
    };
    let is_newer = |path: &PathBuf| {
        let written = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        written
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .is_some_and(|at| at.as_secs_f64() > read + MARGIN)
    };
    let mut all: Vec<PathBuf> = files_read(survey)
        .into_iter()
        .map(|path| survey.map.here(&path))
        .collect();
    all.sort();
    all.dedup();
    all.retain(is_newer);
    all
}

/// The files that the server reads its settings and rules from, includes among them.
fn files_read(survey: &Survey) -> Vec<PathBuf> {
    let server = &survey.server;
    let mut all = vec![server.conf.clone(), server.hba.clone(), server.ident.clone()];
    if let Ok(settings) = Settings::load(&server.conf, Some(&server.data), &*server.files) {
        let places = settings.all().iter().filter_map(|setting| setting.place.as_ref());
        all.extend(places.map(|place| place.file.to_path_buf()));
    }
    // A hundred thousand lines that include nothing need not be read for it.
    let includes = |bytes: &Vec<u8>| bytes.windows(7).any(|word| word == b"include");
    if server.files.read(&server.hba).is_ok_and(|bytes| includes(&bytes))
        && let Ok(rules) = Rules::load(&server.hba, &*server.files, server.dialect)
    {
        let places = rules.rules().iter().map(|rule| &rule.place);
        all.extend(places.map(|place| place.file.to_path_buf()));
    }
    all
}

/// Whether the server can load its TLS files: those that the stage leaves as they are must be there.
pub fn loads(survey: &Survey, draft: &Draft<'_>) -> Result<(), Error> {
    let is_replaced = |name: &str| draft.wanted().iter().any(|(wanted, _)| wanted == name);
    let Some((name, why)) = survey.unreadable.iter().find(|(name, _)| !is_replaced(name)) else {
        return Ok(());
    };
    let settings = draft.settings().map_err(|why| prevented(&why))?;
    let found = settings.effective(name);
    let place = found.and_then(|setting| setting.place.as_ref());
    let file = found.map(|setting| String::from_utf8_lossy(&setting.value));
    Err(Error::NotInForce {
        what: format!(
            "{} names a file that the server cannot read, {name} = '{}': {why}; with it the server loads no TLS, and would not \
             start again with TLS on",
            place.map_or_else(|| "the command line".to_owned(), ToString::to_string),
            crate::pki::printable(&file.unwrap_or_default())
        ),
        remedy: format!("put that file there, or take {name} out; nothing was written"),
    })
}

/// What others changed and nobody had the server read comes into force as well.
pub fn notes(survey: &Survey) -> Vec<String> {
    if survey.unread.is_empty() {
        return Vec::new();
    }
    let files: Vec<_> = survey
        .unread
        .iter()
        .map(|path| shown(path.as_os_str().as_encoded_bytes()))
        .collect();
    vec![format!(
        "changed since the server last read its files, and not in force yet: {}; what stands there comes into force with this stage, \
         and stays so when it is undone",
        files.join(", ")
    )]
}
