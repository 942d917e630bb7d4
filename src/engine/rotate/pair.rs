//! The server's present pair, and the one that is to take its place.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::apply::Elsewhere;
use crate::judge::{Purpose, TrustStore, judge_chain};
use crate::pki::{Certificate, HostName, Identity, PrivateKey};
use crate::plan::Layout;

use super::Rotation;
use crate::engine::incoming::{self, Against};
use crate::engine::{Error, Existing, files, prepare};

/// The server's present pair.
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub chain: Vec<Certificate>,
    /// Whether the key is encrypted.
    pub is_encrypted: bool,
}

impl Pair {
    /// Whether the key is encrypted and stays, since the certificate is for it.
    pub fn keeps_its_key(&self, identity: Option<&Identity>) -> bool {
        let is_same = |identity: &Identity| {
            let present = self.chain.first();
            present.is_some_and(|leaf| leaf.spki_der() == identity.key().spki_der())
        };
        self.is_encrypted && identity.is_none_or(is_same)
    }
}

/// Something of the server's that has to be read on its machine.
pub fn not_in_reach(what: &str) -> Error {
    Error::DoesNotFit {
        what: format!("{what} is not within reach here"),
        remedy: "run this on the server's machine, as root or as the server's account, with --config-dir naming the directory of \
                 its files"
            .to_owned(),
    }
}

/// The pair that the server reads, which must be this server's own.
pub async fn present(live: &mut Existing) -> Result<Pair, Error> {
    if live.setting("ssl") != Some("on") {
        return Err(Error::DoesNotFit {
            what: format!("TLS is off on {}: there is no certificate to renew", live.host()),
            remedy: "turn it on first: `pgtls harden` does so step by step".to_owned(),
        });
    }
    let certificate = own(live, "ssl_cert_file", "the certificate (ssl_cert_file)")?;
    let key = own(live, "ssl_key_file", "the key (ssl_key_file)")?;
    let bytes = files::must_read("the server's certificate (ssl_cert_file)", &certificate)?;
    let chain = Certificate::from_pem(&bytes).unwrap_or_default();
    // Somebody else's directory must not be taken for this server's.
    let served = live.presented().await?;
    if served.first() != chain.first() && live.reads("ssl_cert_file").await.as_deref() != Some(&**bytes) {
        return Err(Error::DoesNotFit {
            what: format!(
                "{} is not the certificate of the server at {}: it serves another",
                certificate.display(),
                live.host()
            ),
            remedy: "name that server's own directory with --config-dir; where it serves an old certificate because a reload \
                     failed, log in as superuser, so that its files can be compared"
                .to_owned(),
        });
    }
    let words = files::read("the key (ssl_key_file)", &key).ok().flatten();
    Ok(Pair {
        certificate,
        chain,
        is_encrypted: words.is_some_and(|bytes| bytes.windows(9).any(|word| word == b"ENCRYPTED")),
        key,
    })
}

/// The file that a setting names, unless others use it too.
fn own(live: &Existing, setting: &str, what: &'static str) -> Result<PathBuf, Error> {
    let path = live.file(setting).ok_or_else(|| not_in_reach(what))?;
    let others = |why: String| Error::File {
        what,
        path: path.clone(),
        why,
        remedy: format!("give the server a file of its own (set {setting}), then renew that"),
    };
    if path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
        let target = path.read_link().unwrap_or_default();
        return Err(others(format!(
            "it is a link to {}: another tool keeps it, and changes it there",
            target.display()
        )));
    }
    if path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("ssl-cert-snakeoil."))
    {
        return Err(others(
            "it is this machine's snakeoil pair, which other programs use too".to_owned(),
        ));
    }
    Ok(path)
}

/// The checked pair, where one is wanted.
pub fn identity(
    wanted: &Rotation,
    live: &Existing,
    pair: &Pair,
    served: &[Certificate],
    notes: &mut Vec<String>,
) -> Result<Option<Identity>, Error> {
    if let Some(issued) = &wanted.issued {
        return Ok(Some(issued.identity.clone()));
    }
    let given = &wanted.given;
    if given.certificate.is_none() && given.from.is_none() && given.said.is_none() {
        return Ok(None);
    }
    let names = names(wanted, served.first().or(pair.chain.first()))?;
    let present = if pair.chain.is_empty() {
        served
    } else {
        &pair.chain
    };
    let checked = incoming::check(
        given,
        Against {
            purpose: Purpose::Server,
            keys: keys(wanted, pair),
            names: &names,
            trust: trust(wanted, live, present),
            present,
            now: wanted.now,
        },
    )
    .map_err(|error| locked_out(error, wanted, pair))?;
    notes.extend(checked.notes);
    let end = checked.identity.leaf().not_after();
    if let Some(present) = pair.chain.first().filter(|present| present.not_after() > end) {
        notes.push(format!(
            "it ends on {}, before the one that it replaces ({})",
            end.date(),
            present.not_after().date()
        ));
    }
    Ok(Some(checked.identity))
}

/// A key that is there and could not be opened may be the one that was missing.
fn locked_out(error: Error, wanted: &Rotation, pair: &Pair) -> Error {
    match error {
        Error::File {
            what,
            path,
            why,
            remedy,
        } if pair.is_encrypted && wanted.given.key.is_none() => Error::File {
            what,
            path,
            why: format!("{why} (the present key, {}, is encrypted)", pair.key.display()),
            remedy: format!(
                "{remedy}; where it is for the present key, give that key's passphrase with --passphrase-file"
            ),
        },
        error => error,
    }
}

/// Which names must be carried: those said, else the project's, else those of the present certificate.
fn names(wanted: &Rotation, present: Option<&Certificate>) -> Result<Vec<String>, Error> {
    let dialled = |hosts: &[HostName]| -> Vec<String> {
        let hosts = hosts.iter().filter(|host| !host.is_wildcard());
        hosts.map(ToString::to_string).collect()
    };
    if !wanted.hosts.is_empty() {
        return Ok(dialled(&wanted.hosts));
    }
    match prepare::project(&wanted.dir) {
        Ok(setup) => return Ok(dialled(&setup.hosts)),
        Err(Error::NoProject(_)) => {}
        Err(error) => return Err(error),
    }
    let Some(present) = present else {
        return Ok(Vec::new());
    };
    let names = present
        .dns_names()
        .iter()
        .filter(|name| !name.starts_with('*'))
        .cloned();
    Ok(names
        .chain(present.ip_addresses().iter().map(ToString::to_string))
        .collect())
}

/// Keys that the certificate may be for: that of the request, and the present one.
fn keys(wanted: &Rotation, pair: &Pair) -> Vec<(String, PrivateKey)> {
    let request = wanted.dir.join(Layout::REQUEST_KEY);
    [
        (&request, "the key of the request"),
        (&pair.key, "the present key"),
    ]
    .into_iter()
    .filter_map(|(path, name)| {
        let bytes = files::read("the key", path).ok().flatten()?;
        let key = PrivateKey::from_pem(&bytes, wanted.given.passphrase.as_ref()).ok()?;
        Some((format!("{name} ({})", path.display()), key))
    })
    .collect()
}

/// What clients trust, as far as it is known: the project's kits, else what the connection string judges by, else the CA of
/// the clients where the present certificate is of that one too.
fn trust(wanted: &Rotation, live: &Existing, present: &[Certificate]) -> Option<(TrustStore, String)> {
    let kit = || {
        let kits = std::fs::read_dir(wanted.dir.join("clients")).ok()?;
        let path = kits
            .flatten()
            .map(|kit| kit.path().join("root.crt"))
            .find(|path| path.is_file())?;
        let bytes = files::read("the kit's root", &path).ok().flatten()?;
        let roots = Certificate::from_pem(&bytes).ok()?;
        Some((incoming::store(&roots).ok()?, path.display().to_string()))
    };
    let target = live.target();
    let conninfo =
        || (!target.trust.is_empty()).then(|| (TrustStore::clone(&target.trust), target.trust_file.clone()));
    // The CA of the clients is often that of the server too.
    let same = || {
        let path = live.file("ssl_ca_file")?;
        let bytes = files::read("the CAs of the clients", &path).ok().flatten()?;
        let store = incoming::store(&Certificate::from_pem(&bytes).ok()?).ok()?;
        let presented: Vec<_> = present.iter().map(|one| one.der().to_vec().into()).collect();
        let at = present
            .first()?
            .not_before()
            .max(wanted.now.min(present.first()?.not_after()));
        judge_chain(&presented, &store, Purpose::Server, at).ok()?;
        Some((
            store,
            format!("{}, which the present certificate leads to", path.display()),
        ))
    };
    kit().or_else(conninfo).or_else(same)
}

pub fn public(path: PathBuf, pem: String) -> Elsewhere {
    Elsewhere {
        path,
        bytes: Zeroizing::new(pem.into_bytes()),
        mode: None,
    }
}

/// The new pair in the place of the present one. The key keeps its mode, as far as PostgreSQL takes it
/// (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SETUP>).
pub fn pair_files(pair: &Pair, identity: &Identity) -> Result<Vec<Elsewhere>, Error> {
    use std::os::unix::fs::MetadataExt;
    let certificate = public(pair.certificate.clone(), identity.chain_pem());
    if pair.keeps_its_key(Some(identity)) {
        return Ok(vec![certificate]);
    }
    let mode = match std::fs::metadata(&pair.key) {
        Ok(meta) => {
            let allowed = if meta.uid() == 0 { 0o640 } else { 0o600 };
            Some(meta.mode() & allowed)
                .filter(|mode| mode & 0o400 != 0)
                .unwrap_or(0o600)
        }
        Err(error) => {
            return Err(Error::File {
                what: "the key (ssl_key_file)",
                path: pair.key.clone(),
                why: crate::server::words(&error),
                remedy: "run as root or as the server's account".to_owned(),
            });
        }
    };
    Ok(vec![
        certificate,
        Elsewhere {
            path: pair.key.clone(),
            bytes: Zeroizing::new(identity.key().to_pem().as_bytes().to_vec()),
            mode: Some(mode),
        },
    ])
}
