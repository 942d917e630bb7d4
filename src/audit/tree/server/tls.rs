//! The files of TLS: whether they get to the server, and whether PostgreSQL takes them.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::super::container::init_scripts;
use super::super::service::{Service, Source};
use super::super::{Found, Tree, image, keys, shown};
use super::Judged;
use super::contained::Inside;
use crate::audit::checks;
use crate::pki::Certificate;

/// Directories whose files the image gives to PostgreSQL's account when it starts.
const GIVEN: [&str; 2] = ["/var/run/postgresql", "/run/postgresql"];

/// Whether the files of TLS get there, and PostgreSQL takes them.
pub(super) fn tls_files(inside: &Inside<'_>, judged: &Judged, now: OffsetDateTime, found: &mut Found) {
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
pub(super) fn missing(tree: &Tree, service: &Service, name: &str, path: &Path, found: &mut Found) {
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
pub(super) fn pair(
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
