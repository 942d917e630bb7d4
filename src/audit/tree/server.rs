//! The server that files make: its settings and rules, as the grammars read them, judged by the checks for servers that
//! run; and whether its files get to where it looks for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::container::{init_scripts, settings as settings_of};
use super::service::{Service, Source};
use super::{Found, Tree, image, keys, shown};
use crate::audit::Finding;
use crate::audit::checks;
use crate::audit::facts::{Facts, RoleRow, SettingRow};
use crate::conf::hba::{Addresses, ClientName, Kind, Method, Rules};
use crate::conf::ident::{Maps, SystemName};
use crate::conf::settings::{Settings, boolean};
use crate::conf::{Dialect, Files, Unreadable};
use crate::pki::Certificate;

/// The version that files are read for where none is told.
const NEWEST: u16 = 18;
/// What the image's own postgresql.conf says beyond PostgreSQL's defaults.
const IMAGE: &[u8] = b"listen_addresses = '*'\n";
/// Directories whose files the image gives to PostgreSQL's account when it starts.
const GIVEN: [&str; 2] = ["/var/run/postgresql", "/run/postgresql"];

/// The tree as PostgreSQL in the container sees it: relative paths are the tree's own.
struct Inside<'a> {
    tree: &'a Tree,
    service: &'a Service,
}

impl Inside<'_> {
    /// The file of the tree behind a path of the container.
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let there = |file: PathBuf| self.tree.entries.contains_key(&file).then_some(file);
        match self.service.behind(path) {
            Some((_, Some(file))) => there(file),
            // A script copied it there, from a directory that is mounted.
            Some((mount, None))
                if mount.0.source == Source::Memory && self.service.entry_script(self.tree).is_some() =>
            {
                let name = path.file_name()?;
                self.service
                    .mounts
                    .iter()
                    .find_map(|(mount, _)| match &mount.source {
                        Source::Bind(source) => there(source.join(name)),
                        _ => None,
                    })
            }
            _ => image::copied(self.tree, self.service, path),
        }
    }

    fn is_copied(&self, path: &Path) -> bool {
        self.service
            .behind(path)
            .is_some_and(|(mount, _)| mount.0.source == Source::Memory)
    }
}

impl Files for Inside<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        let inner = if path.is_absolute() {
            self.resolve(path)
        } else {
            Some(path.to_path_buf())
        };
        match inner {
            Some(path) if !self.tree.entries.contains_key(&path) && is_images_own(&path) => {
                Ok(IMAGE.to_vec())
            }
            Some(path) => self.tree.read(&path),
            None if is_images_own(path) => Ok(IMAGE.to_vec()),
            None => Err(Unreadable::Missing),
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        let inner = if directory.is_absolute() {
            self.resolve(directory)
        } else {
            None
        };
        self.tree.list(&inner.unwrap_or_else(|| directory.to_path_buf()))
    }
}

/// Whether it can only be the configuration that initdb made from the image's sample.
fn is_images_own(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "postgresql.conf")
}

/// Judges the server of a service; gives the configuration files that it reads.
pub fn of_service(
    tree: &Tree,
    service: &Service,
    now: OffsetDateTime,
    found: &mut Found,
) -> BTreeSet<PathBuf> {
    let inside = Inside { tree, service };
    let mut read = BTreeSet::new();
    let words = match (&service.command, &service.build) {
        (Some((words, _)), _) => words.clone(),
        (None, Some(((dockerfile, _), _))) => {
            tree.text(dockerfile).and_then(image::command).unwrap_or_default()
        }
        (None, None) => Vec::new(),
    };
    let mut settings = Settings::default();
    let given = settings_of(&words);
    let value_of = |name: &str| {
        given
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    };
    let config = value_of("config_file").map(PathBuf::from);
    if let Some(path) = &config {
        let Some(file) = inside.resolve(path) else {
            missing(tree, service, "config_file", path, found);
            return read;
        };
        settings = Settings::load(&file, None, &inside).unwrap_or_default();
        read.insert(file);
    }
    for (name, value) in &given {
        settings.push_command_line(name, value);
    }
    let command = service
        .command
        .as_ref()
        .map_or(&service.spot, |(_, spot)| spot)
        .shown();
    let mut judged = Judged::new(service.major(tree), settings, now, command);
    let get = |judged: &Judged, name: &str| judged.value(name);
    if config.is_some() && is_loopback_only(get(&judged, "listen_addresses").as_deref()) {
        let place = read.first().map(|file| shown(file)).unwrap_or_default();
        found.add(
            "listens-on-loopback",
            place,
            "listen_addresses is not set: its default is localhost, inside the container",
        );
    }
    let has_tls = judged.has_tls();
    if has_tls {
        tls_files(&inside, &judged, now, found);
    }
    let data = service.data(tree);
    let user = service
        .variable("POSTGRES_USER")
        .map_or("postgres", |(user, _)| user);
    judged.facts.roles = vec![RoleRow {
        name: user.to_owned(),
        superuser: true,
        can_login: true,
    }];
    match get(&judged, "hba_file").map(|file| data.join(file)) {
        Some(path) => match inside.resolve(&path) {
            Some(file) => {
                judged.rules(&file, &inside, found);
                let has_local = judged.facts.hba.as_ref().is_some_and(has_local);
                if !has_local {
                    found.add("image-hba-no-local", shown(&file), "no line of the type local");
                }
                read.insert(file);
            }
            None => missing(tree, service, "hba_file", &path, found),
        },
        None => image_rules(tree, service, has_tls, found),
    }
    if let Some(file) = get(&judged, "ident_file").and_then(|file| inside.resolve(&data.join(file))) {
        judged.maps(&file, &inside);
        read.insert(file);
    }
    judged.tell(!service.on_host, found);
    read
}

/// The rules that the image makes by itself.
fn image_rules(tree: &Tree, service: &Service, has_tls: bool, found: &mut Found) {
    let scripts = init_scripts(tree, service);
    let rewritten = scripts.iter().filter(|(path, ..)| {
        tree.text(path)
            .is_some_and(|text| text.contains("pg_hba.conf") || text.contains("hba_file"))
    });
    let mut is_rewritten = false;
    for (path, ..) in rewritten {
        let text = tree.text(path).unwrap_or_default();
        let appends = text
            .lines()
            .position(|line| line.contains(">>") || line.contains("tee -a"));
        let replaces = text.contains("sed ")
            || text.contains("truncate")
            || text
                .lines()
                .any(|line| line.contains("pg_hba.conf") && line.contains('>') && !line.contains(">>"));
        if let Some(index) = appends.filter(|_| !replaces) {
            let line = text.lines().nth(index).unwrap_or_default().trim();
            found.add(
                "init-script-shadowed",
                format!("{}:{}", shown(path), index + 1),
                line,
            );
        } else {
            is_rewritten = true;
        }
    }
    if is_rewritten {
        return found.miss(
            format!("the rules for logins of {}", service.name),
            "a script of the first start writes them, and what it writes is not known here",
        );
    }
    found.sees_rules = true;
    if let Some((method, spot)) = service.variable("POSTGRES_HOST_AUTH_METHOD")
        && method == "trust"
    {
        found.add(
            "trust-remote",
            spot.shown(),
            "host all all all trust, in the image's own pg_hba.conf",
        );
    }
    if has_tls {
        let method = service
            .variable("POSTGRES_HOST_AUTH_METHOD")
            .map_or("scram-sha-256", |(method, _)| method);
        let evidence = format!("the image appends: host all all all {method}");
        found.add("image-default-hba", service.spot.shown(), evidence);
    }
}

/// Whether the files of TLS get there, and PostgreSQL takes them.
fn tls_files(inside: &Inside<'_>, judged: &Judged, now: OffsetDateTime, found: &mut Found) {
    let (tree, service) = (inside.tree, inside.service);
    let data = service.data(tree);
    let path_of = |name: &str, default: &str| {
        let value = judged.value(name).unwrap_or_else(|| default.to_owned());
        (!value.is_empty()).then(|| data.join(value))
    };
    let mut resolved = |name: &str, default: &str| -> Option<PathBuf> {
        let path = path_of(name, default)?;
        let file = inside
            .resolve(&path)
            .filter(|file| tree.entries.get(file).is_some_and(|entry| !entry.is_dir));
        if file.is_none() {
            missing(tree, service, name, &path, found);
        }
        file
    };
    let certificate = resolved("ssl_cert_file", "server.crt");
    let key = resolved("ssl_key_file", "server.key");
    resolved("ssl_ca_file", "");
    resolved("ssl_crl_file", "");
    if let (Some(key), Some(path)) = (&key, path_of("ssl_key_file", "server.key")) {
        found.server_keys.insert(key.clone());
        if !inside.is_copied(&path) && image::copied(tree, service, &path).is_none() {
            owner(tree, service, &path, key, found);
        }
    }
    pair(tree, judged, certificate.as_deref(), key.as_deref(), now, found);
}

/// A file that is named and does not get into the container.
fn missing(tree: &Tree, service: &Service, name: &str, path: &Path, found: &mut Found) {
    let place = service
        .command
        .as_ref()
        .map_or(&service.spot, |(_, spot)| spot)
        .shown();
    let evidence = format!("{name} = {}", path.display());
    let file = path
        .file_name()
        .and_then(|file| file.to_str())
        .unwrap_or_default();
    let script = init_scripts(tree, service)
        .into_iter()
        .find(|(script, ..)| !file.is_empty() && tree.text(script).is_some_and(|text| text.contains(file)));
    match (service.behind(path), script) {
        (_, Some((script, line, _))) => {
            let place = format!("{}:{line}", shown(&script));
            found.add("init-script-too-late", place, evidence);
        }
        (Some((mount, Some(file))), _)
            if tree
                .entries
                .contains_key(&PathBuf::from(file.parent().unwrap_or(Path::new("")))) =>
        {
            found.add(
                "container-file-missing",
                mount.1.shown(),
                format!("{evidence}: {} is not there", shown(&file)),
            );
        }
        // The mount itself is told as missing.
        (Some((_, Some(_))), _) => {}
        (Some((mount, None)), _) if mount.0.source != Source::Memory => found.miss(
            format!("{} of {}", path.display(), service.name),
            "it lies in a volume or outside of this directory",
        ),
        _ if service.build.is_some() => found.miss(
            format!("{} of {}", path.display(), service.name),
            "the image is built here, and no COPY of its Dockerfile brings that file",
        ),
        _ => found.add("container-file-missing", place, evidence),
    }
}

/// A bind mount keeps the owner and mode of the machine, and PostgreSQL insists on its own
/// (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SETUP>).
fn owner(tree: &Tree, service: &Service, path: &Path, key: &Path, found: &mut Found) {
    let Some(entry) = tree.entries.get(key) else {
        return;
    };
    let Some((mount, _)) = service.behind(path) else {
        return;
    };
    let account = service.account(tree);
    let place = mount.1.shown();
    let data = service.data(tree);
    let is_given = path.starts_with(&data) || GIVEN.iter().any(|dir| path.starts_with(dir));
    let of = format!("{}: mode {:04o}, owner {}", shown(key), entry.mode, entry.uid);
    if is_given && !mount.0.read_only {
        if entry.uid != account {
            let evidence = format!("{of}; the image gives it to its own account {account}");
            found.add("container-key-taken", place, evidence);
        }
        return;
    }
    let refusal = if entry.uid == 0 {
        (entry.gid != account || entry.mode & 0o040 == 0)
            .then_some("the server's account may not read it: Permission denied")
    } else if entry.uid == account {
        None
    } else if entry.mode & 0o004 == 0 && (entry.gid != account || entry.mode & 0o040 == 0) {
        Some("the server's account may not read it: Permission denied")
    } else {
        Some("it must be owned by the database user or root")
    };
    if let Some(why) = refusal {
        found.add(
            "container-key-owner",
            place,
            format!("{of}; PostgreSQL runs as {account}: {why}"),
        );
    }
}

/// A certificate and its key.
fn pair(
    tree: &Tree,
    judged: &Judged,
    certificate: Option<&Path>,
    key: Option<&Path>,
    now: OffsetDateTime,
    found: &mut Found,
) {
    let leaf = certificate
        .and_then(|path| tree.bytes(path))
        .and_then(|bytes| Certificate::from_pem(bytes).ok())
        .and_then(|chain| chain.into_iter().next());
    if let (Some(path), Some(leaf)) = (certificate, &leaf) {
        found
            .findings
            .extend(checks::certificate::leaf(&shown(path), leaf, now));
    }
    let Some((path, text)) = key.and_then(|path| Some((path, tree.text(path)?))) else {
        return;
    };
    let asks = judged
        .value("ssl_passphrase_command")
        .is_some_and(|command| !command.is_empty());
    if keys::is_encrypted(text) && !asks {
        found.add(
            "key-encrypted",
            shown(path),
            "the key is encrypted, and ssl_passphrase_command is not set",
        );
    }
    if let (Some(leaf), Some(public)) = (leaf, keys::public_half(text))
        && public != leaf.spki_der()
    {
        let beside = certificate.map(shown).unwrap_or_default();
        found.add(
            "key-mismatch",
            shown(path),
            format!("its certificate {beside} holds another public key"),
        );
    }
}

/// Servers that files alone make: each `postgresql.conf` and `pg_hba.conf` that no service reads.
pub fn of_files(tree: &Tree, read: &BTreeSet<PathBuf>, now: OffsetDateTime, found: &mut Found) {
    let named = |name: &str| -> Vec<PathBuf> {
        let all = tree
            .entries
            .keys()
            .filter(|path| path.file_name().is_some_and(|own| own == name));
        all.filter(|path| !read.contains(*path)).cloned().collect()
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
            pair(tree, &judged, certificate.as_deref(), key.as_deref(), now, found);
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
                    let is_near = match &rule.record.addresses {
                        Addresses::Net(net) => net.is_loopback(),
                        Addresses::SameHost => true,
                        _ => false,
                    };
                    rule.record.kind != Kind::Local && rule.record.method != Method::Reject && !is_near
                })
            });
            if is_closed && far {
                let evidence =
                    "listen_addresses is not set: its default is localhost, and pg_hba.conf names others";
                found.add("listens-on-loopback", shown(&conf), evidence);
            }
        }
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
        let is_outside = |finding: &Finding| {
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
