//! Certificates and private keys, wherever they lie.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::{Found, Tree, shown};
use crate::audit::checks::certificate;
use crate::pki::{Certificate, KeyError, PrivateKey};

/// A file with more of them is a bundle of public CAs, nobody's own.
const MOST: usize = 20;
/// So many days a CA may live: what a private CA needs, and no century.
const CA_DAYS: i64 = 25 * 366;

/// A private key: its public half, unless it is encrypted or of a kind that is not read here.
pub type Key = (PathBuf, Option<Vec<u8>>);

/// Whether a file holds PEM.
pub fn holds_pem(tree: &Tree, path: &Path) -> bool {
    tree.text(path).is_some_and(|text| text.contains("-----BEGIN "))
}

/// Every file that is a private key.
pub fn private(tree: &Tree) -> Vec<Key> {
    tree.texts()
        .filter(|(path, text)| text.contains("PRIVATE KEY-----") && is_key_file(path, text))
        .map(|(path, text)| (path.to_path_buf(), public_half(text)))
        .collect()
}

/// Whether a file is there for its PEM: it begins with it, or its name says so.
fn is_key_file(path: &Path, text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN ")
        || path
            .extension()
            .is_some_and(|extension| extension == "pem" || extension == "key")
}

/// The public half of a private key that can be read without a passphrase.
pub fn public_half(text: &str) -> Option<Vec<u8>> {
    PrivateKey::from_pem(text.as_bytes(), None)
        .ok()
        .map(|key| key.spki_der().to_vec())
}

/// Whether it takes a passphrase.
pub fn is_encrypted(text: &str) -> bool {
    matches!(
        PrivateKey::from_pem(text.as_bytes(), None),
        Err(KeyError::NeedsPassphrase)
    )
}

/// Every certificate that lies in a file of its own, or with few others.
fn certificates(tree: &Tree) -> Vec<(PathBuf, Certificate)> {
    tree.texts()
        .filter(|(_, text)| text.contains("-----BEGIN CERTIFICATE-----"))
        .filter_map(|(path, text)| Some((path, Certificate::from_pem(text.as_bytes()).ok()?)))
        .filter(|(_, all)| all.len() <= MOST)
        .flat_map(|(path, all)| all.into_iter().map(|one| (path.to_path_buf(), one)))
        .collect()
}

/// The keys of certificates that issued another one of the tree.
pub fn of_authorities(tree: &Tree) -> BTreeSet<PathBuf> {
    let certificates = certificates(tree);
    let issuers: Vec<&Certificate> = certificates
        .iter()
        .map(|(_, one)| one)
        .filter(|issuer| {
            certificates
                .iter()
                .any(|(_, one)| one.spki_der() != issuer.spki_der() && one.is_signed_by(issuer))
        })
        .collect();
    private(tree)
        .into_iter()
        .filter(|(_, public)| {
            issuers
                .iter()
                .any(|issuer| public.as_deref() == Some(issuer.spki_der()))
        })
        .map(|(path, _)| path)
        .collect()
}

pub fn check(tree: &Tree, now: OffsetDateTime, found: &mut Found) {
    let authorities = of_authorities(tree);
    let certificates = certificates(tree);
    let keys = private(tree);
    for (path, public) in &keys {
        let Some(entry) = tree.entries.get(path) else {
            continue;
        };
        let is_servers = found.server_keys.contains(path);
        // PostgreSQL's rule for root's keys: the group may read.
        let forbidden = if entry.uid == 0 && is_servers {
            0o037
        } else {
            0o077
        };
        if entry.mode & forbidden != 0 {
            let evidence = format!("mode {:04o}, owner {}", entry.mode, entry.uid);
            let id = if is_servers {
                "key-exposed"
            } else {
                "private-key-exposed"
            };
            found.add(id, shown(path), evidence);
        }
        if authorities.contains(path) {
            let beside = keys
                .iter()
                .filter(|(other, half)| other != path && half != public && other.parent() == path.parent())
                .max_by_key(|(other, _)| found.server_keys.contains(other));
            if let Some((other, _)) = beside {
                found.add("ca-key-beside", shown(path), format!("beside {}", shown(other)));
            }
        }
    }
    for (path, text) in tree.texts() {
        let inside = text.lines().position(|line| line.contains("PRIVATE KEY-----"));
        if let Some(index) = inside.filter(|_| !is_key_file(path, text) && text.contains("-----END ")) {
            let evidence = "a block BEGIN … PRIVATE KEY amid other text";
            found.add("key-inline", format!("{}:{}", shown(path), index + 1), evidence);
        }
    }
    for (path, one) in &certificates {
        let place = shown(path);
        if found
            .findings
            .iter()
            .any(|finding| finding.place == place && finding.id == "certificate-lifetime")
        {
            continue;
        }
        if one.lifetime_days() > if one.is_ca() { CA_DAYS } else { certificate::LONG } {
            found.add(
                "certificate-lifetime",
                place.as_str(),
                format!("{} days", one.lifetime_days()),
            );
        }
        if now > one.not_after() {
            found.add(
                "certificate-expired-file",
                place.as_str(),
                format!("valid until {}", one.not_after().date()),
            );
        }
        if one.version() < 3 {
            found.add(
                "certificate-v1",
                place,
                format!("X.509 version {}", one.version()),
            );
        }
    }
}
