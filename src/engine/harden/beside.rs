//! What a reload brings beside a stage's own changes: files that TLS needs and that cannot be loaded, and files that others
//! changed and nobody had the server read.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::conf::hba::{Rules, shown};
use crate::conf::settings::{Settings, boolean};
use crate::conf::{Files, Noted};
use crate::engine::audit::Disk;
use crate::engine::{Error, files};
use crate::harden::{Draft, is_same};
use crate::verify::{
    KeyFault, OverSql, ServerFile, TLS_FILES, UNLOCK, Unloadable, Unread, locked, pair_fault, unread,
};

use super::Survey;
use super::propose::prevented;

/// A key that is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// Where it is, as the server names it.
    key: PathBuf,
    /// Why a reload does not open it; `None`: it asks `ssl_passphrase_command`.
    locked: Option<&'static str>,
}

/// The server's settings, which the next reload puts in force.
fn to_come(survey: &Survey) -> Option<Settings> {
    let server = &survey.server;
    let mut settings = Settings::load(&server.conf, Some(&server.data), &*server.files).ok()?;
    for (name, value) in &server.command_line {
        settings.push_command_line(name, value);
    }
    Some(settings)
}

fn text(settings: &Settings, name: &str) -> Option<String> {
    let found = settings.effective(name);
    found.map(|setting| String::from_utf8_lossy(&setting.value).into_owned())
}

/// Whether the server's key is encrypted, and opened at a reload.
pub async fn encrypted(survey: &mut Survey) -> Option<Encrypted> {
    let settings = to_come(survey)?;
    let file = text(&settings, "ssl_key_file").unwrap_or_else(|| "server.key".to_owned());
    let command = text(&settings, "ssl_passphrase_command").unwrap_or_default();
    let supports_reload = text(&settings, "ssl_passphrase_command_supports_reload");
    let key = survey.server.data.join(file);
    let limit = survey.limit();
    let is_encrypted = OverSql::new(&mut survey.session, &limit)
        .is_encrypted(&key)
        .await?;
    is_encrypted.then(|| Encrypted {
        key,
        locked: locked(
            &command,
            supports_reload.is_some_and(|value| boolean(&value) == Some(true)),
        ),
    })
}

/// Whether a stage wants TLS to be loaded anew: a setting of it, or a file that one names, is another then.
pub fn loads_tls(survey: &Survey, draft: &Draft<'_>, has_files: bool) -> bool {
    let before = to_come(survey);
    let is_other = |(name, wanted): &(String, String)| {
        let now = before.as_ref().and_then(|settings| text(settings, name));
        let now = now.or_else(|| survey.setting(name).map(str::to_owned));
        !now.is_some_and(|now| is_same(name, &now, wanted))
    };
    has_files || draft.wanted().iter().any(is_other)
}

/// What an encrypted key means for a stage: a hindrance, or what should be known.
pub fn opens(
    survey: &Survey,
    draft: &Draft<'_>,
    loads_tls: bool,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let Some(encrypted) = &survey.encrypted else {
        return Ok(());
    };
    let key = encrypted.key.display();
    let is_replaced = draft.wanted().iter().any(|(name, _)| name == "ssl_key_file");
    match encrypted.locked {
        _ if is_replaced => notes.push(format!(
            "{key}, whose place another takes, is encrypted; the new key is not: its mode, 0600, is what keeps it"
        )),
        Some(why) if loads_tls => {
            return Err(Error::NotInForce {
                what: format!(
                    "{key} is encrypted, and a reload does not ask for its passphrase ({why}): the server would keep the TLS that it \
                     loaded when it started, and say so in its log alone"
                ),
                remedy: format!("{UNLOCK}; then run this again; nothing was written"),
            });
        }
        Some(why) => notes.push(format!(
            "{key} is encrypted, and a reload does not ask for its passphrase ({why}): TLS stays as it was loaded when the server \
             started, which this stage does not change"
        )),
        None if loads_tls => notes.push(format!(
            "{key} is encrypted: at a reload the server runs its ssl_passphrase_command, and keeps the TLS that it has where that \
             fails"
        )),
        None => {}
    }
    Ok(())
}

/// Which of the files that TLS needs the server cannot load. With one of them a reload loads no TLS at all, and the next
/// start fails (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SERVER-FILES>).
pub async fn unloadable(survey: &mut Survey) -> Vec<Unloadable> {
    let Some(settings) = to_come(survey) else {
        return Vec::new();
    };
    let text = |name: &str| text(&settings, name);
    let is_on = text("ssl").is_some_and(|value| boolean(&value) == Some(true));
    let named: Vec<_> = TLS_FILES
        .into_iter()
        .filter_map(|name| {
            let file = match name {
                // Without TLS the pair is still to come.
                "ssl_cert_file" | "ssl_key_file" if !is_on => return None,
                "ssl_cert_file" => text(name).unwrap_or_else(|| "server.crt".to_owned()),
                "ssl_key_file" => text(name).unwrap_or_else(|| "server.key".to_owned()),
                _ => text(name)?,
            };
            (!file.is_empty()).then(|| (name, survey.server.data.join(file)))
        })
        .collect();
    let limit = survey.limit();
    let mut all = OverSql::new(&mut survey.session, &limit).unloadable(&named).await;
    let path = |name: &str| named.iter().find(|(of, _)| *of == name).map(|(_, path)| path);
    if let (Some(certificate), Some(key)) = (path("ssl_cert_file"), path("ssl_key_file"))
        && !all.iter().any(Unloadable::is_of_the_pair)
        && let Err(why) = key_loads(survey, certificate, key)
    {
        all.push(Unloadable {
            setting: "ssl_key_file",
            path: key.clone(),
            why,
        });
    }
    all
}

/// Whether the key is one that PostgreSQL takes, and that of the certificate, as far as it can be seen from here.
fn key_loads(survey: &Survey, certificate: &Path, key: &Path) -> Result<(), String> {
    if survey.reach.is_err() {
        return Ok(());
    }
    let here = survey.map.here(key);
    let Ok(meta) = std::fs::metadata(&here) else {
        return Ok(());
    };
    if !meta.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if let Some(fault) = KeyFault::of(meta.mode() & 0o777, meta.uid(), Some(survey.account.0)) {
        return Err(format!(
            "{} (it is {:04o}, owner {})",
            fault.words(),
            meta.mode() & 0o777,
            meta.uid()
        ));
    }
    let chain = Disk.read(&survey.map.here(certificate)).ok();
    let bytes = files::read("the server's key", &here).ok().flatten();
    let (Some(chain), Some(bytes)) = (chain, bytes) else {
        return Ok(());
    };
    match pair_fault(&certificate.display().to_string(), &chain, &bytes) {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// Which of its files somebody changed since the server last read them.
pub async fn not_read(survey: &mut Survey) -> Vec<Unread> {
    let is_here = survey.reach.is_ok();
    let files: Vec<_> = files_read(survey)
        .into_iter()
        .map(|theirs| ServerFile {
            here: is_here.then(|| survey.map.here(&theirs)),
            theirs,
        })
        .collect();
    let limit = survey.limit();
    unread(&mut OverSql::new(&mut survey.session, &limit), &files).await
}

/// The files that the server reads its settings and rules from, includes among them.
fn files_read(survey: &Survey) -> BTreeSet<PathBuf> {
    let server = &survey.server;
    let noted = Noted::new(&*server.files);
    let mut all = BTreeSet::from([server.conf.clone(), server.hba.clone(), server.ident.clone()]);
    let _ = Settings::load(&server.conf, Some(&server.data), &noted);
    // A hundred thousand lines that name no other file need not be read for it.
    let names_others =
        |bytes: &Vec<u8>| bytes.contains(&b'@') || bytes.windows(7).any(|word| word == b"include");
    if server
        .files
        .read(&server.hba)
        .is_ok_and(|bytes| names_others(&bytes))
    {
        let _ = Rules::load(&server.hba, &noted, server.dialect);
    }
    all.extend(noted.asked());
    all
}

/// Whether the server can load its TLS files: those that the stage leaves as they are must be right.
pub fn loads(survey: &Survey, draft: &Draft<'_>) -> Result<(), Error> {
    let is_replaced = |name: &str| draft.wanted().iter().any(|(wanted, _)| wanted == name);
    let Some(broken) = survey.unloadable.iter().find(|one| !is_replaced(one.setting)) else {
        return Ok(());
    };
    let name = broken.setting;
    let settings = draft.settings().map_err(|why| prevented(&why))?;
    let place = match settings.effective(name) {
        None => "the default".to_owned(),
        Some(found) => found
            .place
            .as_ref()
            .map_or_else(|| "the command line".to_owned(), ToString::to_string),
    };
    let file = settings.effective(name).map_or_else(
        || broken.path.display().to_string(),
        |setting| String::from_utf8_lossy(&setting.value).into_owned(),
    );
    let remedy = if broken.is_of_the_pair() {
        "put the certificate and its key there again (`ssl_cert_file` and `ssl_key_file`), readable for the server".to_owned()
    } else {
        format!("put that file there, readable for the server and whole, or take {name} out")
    };
    Err(Error::NotInForce {
        what: format!(
            "{place} names a file that the server cannot load, {name} = '{}': {}; with it the server loads no TLS, and would \
             not start again with TLS on",
            crate::pki::printable(&file),
            broken.why
        ),
        remedy: format!("{remedy}; nothing was written"),
    })
}

/// What others changed and nobody had the server read, in a sentence.
pub fn unread_words(unread: &[Unread]) -> Option<String> {
    let [_, read] = unread.first()?.times();
    let files: Vec<_> = unread
        .iter()
        .map(|file| {
            let [changed, _] = file.times();
            format!(
                "{} (at {changed})",
                shown(file.path.as_os_str().as_encoded_bytes())
            )
        })
        .collect();
    Some(format!(
        "changed (the content, the mode or the place) since the server last read its files (at {read}), and perhaps not in force \
         yet: {}",
        files.join(", ")
    ))
}

/// What to do about that.
pub const READ_THEM: &str =
    "read it over; where it is meant to be so, have the server read it: SELECT pg_reload_conf()";

/// What others changed and nobody had the server read comes into force as well.
pub fn notes(survey: &Survey) -> Vec<String> {
    let words = unread_words(&survey.unread);
    let note = words.map(|words| {
        format!("{words}; what stands there comes into force with this stage, and stays so when it is undone")
    });
    note.into_iter().collect()
}
