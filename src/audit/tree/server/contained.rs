//! The server of a container: what it reads, and the rules that its image makes by itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::super::container::{init_scripts, settings as settings_of};
use super::super::service::{Service, Source};
use super::super::{Found, Tree, image, shown};
use super::tls::{missing, tls_files};
use super::{Judged, has_local, is_loopback_only};
use crate::audit::facts::RoleRow;
use crate::conf::settings::Settings;
use crate::conf::{Files, Unreadable};

/// What the image's own `postgresql.conf` says beyond PostgreSQL's defaults.
const IMAGE: &[u8] = b"listen_addresses = '*'\n";

/// The tree as PostgreSQL in the container sees it: relative paths are the tree's own.
pub(super) struct Inside<'a> {
    pub(super) tree: &'a Tree,
    pub(super) service: &'a Service,
}

impl Inside<'_> {
    /// The file of the tree behind a path of the container.
    pub(super) fn resolve(&self, path: &Path) -> Option<PathBuf> {
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

    pub(super) fn is_copied(&self, path: &Path) -> bool {
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
