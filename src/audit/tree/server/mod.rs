//! The server that files make: its settings and rules, as the grammars read them, judged by the checks for servers that
//! run; and whether its files get to where it looks for them.

mod contained;
mod tls;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::{Found, Tree, shown};
use crate::audit::Finding;
use crate::audit::checks;
use crate::audit::facts::{Facts, SettingRow};
use crate::conf::hba::{ClientName, Kind, Method, Rules};
use crate::conf::ident::{Maps, SystemName};
use crate::conf::settings::{Settings, boolean};
use crate::conf::{Dialect, Files};

pub use contained::of_service;

/// The version that files are read for where none is told.
const NEWEST: u16 = 18;

/// Servers that files alone make: each `postgresql.conf` and `pg_hba.conf` that no service reads.
pub fn of_files(tree: &Tree, read: &BTreeSet<PathBuf>, now: OffsetDateTime, found: &mut Found) {
    let named = |name: &str| -> Vec<PathBuf> {
        let all = tree
            .entries
            .keys()
            .filter(|path| path.file_name().is_some_and(|own| own == name));
        // What lies in the books of a sandbox is a part of its server's own files.
        all.filter(|path| !read.contains(*path) && !path.starts_with(".pgtls"))
            .cloned()
            .collect()
    };
    let mut rules: BTreeSet<PathBuf> = named("pg_hba.conf").into_iter().collect();
    for conf in named("postgresql.conf") {
        let dir = conf.parent().unwrap_or(Path::new("")).to_path_buf();
        let Ok(settings) = Settings::load(&conf, Some(&dir), tree) else {
            continue;
        };
        let major = tree
            .text(&dir.join("PG_VERSION"))
            .and_then(|text| text.trim().parse().ok());
        let mut judged = Judged::new(major, settings, now, shown(&conf));
        let file = |judged: &Judged, name: &str, default: &str| {
            let value = judged.value(name).unwrap_or_else(|| default.to_owned());
            (!value.is_empty())
                .then(|| locate(tree, &dir, Path::new(&value)))
                .flatten()
        };
        if judged.has_tls() {
            let (certificate, key) = (
                file(&judged, "ssl_cert_file", "server.crt"),
                file(&judged, "ssl_key_file", "server.key"),
            );
            found.server_keys.extend(key.clone());
            tls::pair(tree, &judged, certificate.as_deref(), key.as_deref(), now, found);
        }
        if let Some(path) = file(&judged, "hba_file", "pg_hba.conf") {
            rules.remove(&path);
            judged.rules(&path, tree, found);
            if let Some(ident) = file(&judged, "ident_file", "pg_ident.conf") {
                judged.maps(&ident, tree);
            }
            bare(&judged, &path, found);
            let is_closed = is_loopback_only(judged.value("listen_addresses").as_deref());
            let far = judged.facts.hba.as_ref().is_some_and(|rules| {
                rules.rules().iter().any(|rule| {
                    rule.record.kind != Kind::Local
                        && rule.record.method != Method::Reject
                        && !rule.record.addresses.is_loopback()
                })
            });
            if is_closed && far {
                let evidence =
                    "listen_addresses is not set: its default is localhost, and pg_hba.conf names others";
                found.add("listens-on-loopback", shown(&conf), evidence);
            }
        }
        judged.socket_is_closed = has_closed_socket(tree, &judged);
        judged.tell(false, found);
    }
    for path in rules {
        let mut judged = Judged::new(None, Settings::default(), now, shown(&path));
        judged.facts.settings.clear();
        judged.rules(&path, tree, found);
        bare(&judged, &path, found);
        judged.tell(false, found);
    }
}

fn bare(judged: &Judged, path: &Path, found: &mut Found) {
    if judged.facts.hba.as_ref().is_some_and(|rules| !has_local(rules)) {
        found.add("hba-no-local", shown(path), "no line of the type local");
    }
}

/// The file of the tree that a setting means: beside the configuration, or where its path leads within the tree.
fn locate(tree: &Tree, dir: &Path, path: &Path) -> Option<PathBuf> {
    let there = |file: PathBuf| {
        tree.entries
            .get(&file)
            .is_some_and(|entry| !entry.is_dir)
            .then_some(file)
    };
    if path.is_relative() {
        return there(super::normal(&dir.join(path)));
    }
    let parts: Vec<_> = path.components().skip(1).collect();
    (0..parts.len())
        .find_map(|from| there(parts[from..].iter().collect()))
        .or_else(|| there(dir.join(path.file_name()?)))
}

fn has_local(rules: &Rules) -> bool {
    rules.rules().iter().any(|rule| rule.record.kind == Kind::Local)
}

/// Whether nobody but its account comes to the sockets of a sandbox: their directories are of the tree, and closed.
fn has_closed_socket(tree: &Tree, judged: &Judged) -> bool {
    let Some(directories) = judged.value("unix_socket_directories") else {
        return false;
    };
    directories.split(',').all(|directory| {
        let path = super::normal(&Path::new(".pgtls/data").join(directory.trim()));
        tree.entries
            .get(&path)
            .is_some_and(|entry| entry.is_dir && entry.mode.trailing_zeros() >= 6)
    })
}

/// Whether nobody but the machine itself, or the container, is listened to.
fn is_loopback_only(value: Option<&str>) -> bool {
    let list = value.unwrap_or("localhost");
    list.split(',')
        .all(|item| matches!(item.trim(), "localhost" | "127.0.0.1" | "::1"))
}

/// A server as far as files tell.
struct Judged {
    facts: Facts,
    settings: Settings,
    dialect: Dialect,
    /// Where a setting stands that no file has.
    command: String,
    /// Whether nobody but the server's account comes to its socket.
    socket_is_closed: bool,
}

impl Judged {
    fn new(major: Option<u16>, settings: Settings, now: OffsetDateTime, command: String) -> Self {
        let mut facts = Facts::new(String::new(), now);
        for setting in settings.all() {
            let Some(winner) = settings.effective(&setting.name) else {
                continue;
            };
            let row = SettingRow {
                value: as_shown(&setting.name, &String::from_utf8_lossy(&winner.value)),
                source: "command line".to_owned(),
                file: winner.place.as_ref().map(|place| shown(&place.file)),
                line: winner.place.as_ref().map(|place| place.line.to_string()),
                pending_restart: false,
            };
            facts.settings.insert(setting.name.clone(), row);
        }
        facts
            .settings
            .entry("ssl".to_owned())
            .or_insert_with(|| SettingRow {
                value: "off".to_owned(),
                source: "default".to_owned(),
                ..SettingRow::default()
            });
        for fault in settings.faults() {
            if fault.text.starts_with("could not open") {
                facts.miss(
                    "a part of the settings",
                    format!("{}: {}", fault.place, fault.text),
                );
                continue;
            }
            let place = format!("{}:{}", shown(&fault.place.file), fault.place.line);
            facts
                .file_errors
                .push((place, "this line".to_owned(), fault.text.clone()));
        }
        facts.server.major = major.unwrap_or_default();
        facts.server.version = major.map(|major| major.to_string()).unwrap_or_default();
        Self {
            facts,
            settings,
            dialect: Dialect::of(major.unwrap_or(NEWEST)),
            command,
            socket_is_closed: false,
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let setting = self.settings.effective(name)?;
        Some(String::from_utf8_lossy(&setting.value).into_owned())
    }

    fn has_tls(&self) -> bool {
        self.value("ssl")
            .is_some_and(|value| boolean(&value) == Some(true))
    }

    fn rules(&mut self, path: &Path, files: &dyn Files, found: &mut Found) {
        self.facts.hba = Rules::load(path, files, self.dialect).ok();
        found.sees_rules |= self.facts.hba.is_some();
    }

    fn maps(&mut self, path: &Path, files: &dyn Files) {
        self.facts.ident = Maps::load(path, files, self.dialect).ok();
    }

    /// Everything that the checks for running servers find; `contained`: every address is the container's own.
    fn tell(mut self, contained: bool, found: &mut Found) {
        self.names(found);
        let command = self.command;
        self.facts.files = Some(self.settings);
        found.unseen.append(&mut self.facts.unseen);
        // Of a container the addresses and the socket are its own.
        let is_closed = self.socket_is_closed;
        let is_outside = |finding: &Finding| {
            if is_closed && finding.id == "trust-socket" {
                return false;
            }
            !contained || !["listens-everywhere", "trust-socket", "trust-loopback"].contains(&finding.id)
        };
        let mut told = checks::settings::check(&self.facts);
        for finding in &mut told {
            // A setting is told by the line it stands on.
            if let Some(row) = self.facts.settings.get(&finding.place) {
                finding.place = match (&row.file, &row.line) {
                    (Some(file), Some(line)) => format!("{file}:{line}"),
                    _ => command.clone(),
                };
            }
        }
        told.extend(checks::hba::check(&self.facts));
        found.findings.extend(told.into_iter().filter(is_outside));
    }

    /// Lines of `pg_ident.conf` that match a whole name where the server gives the common name alone.
    fn names(&self, found: &mut Found) {
        let (Some(maps), Some(rules)) = (&self.facts.ident, &self.facts.hba) else {
            return;
        };
        for mapping in maps.mappings() {
            let SystemName::Pattern(pattern) = &mapping.system else {
                continue;
            };
            let by_common_name = rules.rules().iter().any(|rule| {
                let options = &rule.record.options;
                rule.record.method == Method::Cert
                    && options.clientname == ClientName::CommonName
                    && options.map.as_deref() == Some(&*mapping.map)
            });
            let source = pattern.source().trim_start_matches('^');
            let is_whole_name = ["CN=", "C=", "O=", "OU=", "DC="]
                .iter()
                .any(|part| source.starts_with(part));
            if by_common_name && is_whole_name {
                found.add(
                    "ident-never-matches",
                    mapping.place.to_string(),
                    format!(
                        "/{} is a regular expression, and the name it meets has no {}",
                        pattern.source(),
                        &source[..2]
                    ),
                );
            }
        }
    }
}

/// A switch as a running server shows it, whatever word the file has for it.
fn as_shown(name: &str, value: &str) -> String {
    const SWITCHES: [&str; 5] = [
        "ssl",
        "ssl_prefer_server_ciphers",
        "ssl_passphrase_command_supports_reload",
        "log_connections",
        "log_disconnections",
    ];
    match boolean(value).filter(|_| SWITCHES.contains(&name)) {
        Some(true) => "on".to_owned(),
        Some(false) => "off".to_owned(),
        None => value.to_owned(),
    }
}
