//! What a CA or another tool hands over, read and checked before anything is written: key, chain, names, dates.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::judge::{Cause, Purpose, Refusal, TrustStore, judge_chain, judge_name};
use crate::pki::{Certificate, Delivery, Identity, KeyError, PrivateKey, printable};

use super::{Error, files};

/// Where a new certificate comes from.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// A file with the certificate, its intermediates beside it in any order.
    pub certificate: Option<PathBuf>,
    /// The key that belongs to it.
    pub key: Option<PathBuf>,
    /// A directory into which another tool writes certificates and keys.
    pub from: Option<PathBuf>,
    /// What a program that was run wrote to its standard output.
    pub said: Option<Zeroizing<Vec<u8>>>,
    /// The roots that clients trust.
    pub root: Option<PathBuf>,
    /// Of an encrypted key.
    pub passphrase: Option<SecretString>,
}

/// What it is checked against.
pub struct Against<'a> {
    /// Whose certificate it is.
    pub purpose: Purpose,
    /// Keys that may be meant where none was named, with what they are called; the first that fits is taken.
    pub keys: Vec<(String, PrivateKey)>,
    /// Every one of these names must be carried.
    pub names: &'a [String],
    /// What clients trust, and where that is known from, where `--root` names nothing.
    pub trust: Option<(TrustStore, String)>,
    /// The chain that is served now: without anything else its root is what clients trust.
    pub present: &'a [Certificate],
    /// The time.
    pub now: OffsetDateTime,
}

/// A pair that clients will accept.
#[derive(Debug)]
pub struct Checked {
    /// Leaf and intermediates in order, and the key.
    pub identity: Identity,
    /// What was noticed on the way; sentences.
    pub notes: Vec<String>,
}

const CERTIFICATE: &str = "the certificate";
const KEY: &str = "the key";

/// More files than any tool keeps in one directory of certificates.
const MOST_FILES: usize = 500;

/// Reads and checks. Each fault has its own words and its own remedy.
pub fn check(given: &Given, against: Against<'_>) -> Result<Checked, Error> {
    let mut found = Found::default();
    let place = found.read(given)?;
    let mut notes = std::mem::take(&mut found.notes);
    let mut keys: Vec<(String, PrivateKey)> = Vec::new();
    if let Some(path) = &given.key {
        let key = read_key(path, given.passphrase.as_ref())?;
        keys.push((format!("the key {}", path.display()), key));
    } else {
        keys.append(&mut found.keys);
        keys.extend(against.keys);
    }
    let (named, key) = choose(&found.delivery, &keys, against.names, &place)?;
    let (identity, unused) = found.delivery.identity(key).map_err(|error| {
        fault(
            CERTIFICATE,
            &place,
            error.to_string(),
            "give the certificate that was issued for it",
        )
    })?;
    if given.key.is_none() {
        notes.push(format!("it is for {named}"));
    }
    if unused > 0 && given.from.is_none() {
        notes.push(format!(
            "{unused} certificates that do not belong to its chain are left out"
        ));
    }
    let (trust, from) = trust(given, against.trust, &found.delivery, against.present)?;
    let presented: Vec<_> = identity.chain().iter().map(|c| c.der().to_vec().into()).collect();
    judge_chain(&presented, &trust, against.purpose, against.now)
        .map_err(|refusal| refused(&place, &refusal, &identity, &from, against.purpose))?;
    let is_ed25519 = |one: &Certificate| one.signature_algorithm() == "ED25519";
    if against.purpose == Purpose::Server && identity.chain().iter().any(is_ed25519) {
        return Err(fault(
            CERTIFICATE,
            &place,
            "its issuer signed it with Ed25519, and no libpq can then log in with SCRAM: channel binding is not defined for \
             it"
            .to_owned(),
            "have it issued by a CA whose key is RSA or ECDSA; its own key may be Ed25519",
        ));
    }
    names(&identity, against.names, &place)?;
    Ok(Checked { identity, notes })
}

fn fault(what: &'static str, path: &Path, why: String, remedy: &str) -> Error {
    Error::File {
        what,
        path: path.to_path_buf(),
        why,
        remedy: remedy.to_owned(),
    }
}

/// What lies there.
#[derive(Default)]
struct Found {
    delivery: Delivery,
    keys: Vec<(String, PrivateKey)>,
    notes: Vec<String>,
}

impl Found {
    /// Gives the place to name in messages.
    fn read(&mut self, given: &Given) -> Result<PathBuf, Error> {
        let mut place = None;
        if let Some(said) = &given.said {
            self.file(said, "what the program said", None, given.passphrase.as_ref())
                .map_err(|why| fault(CERTIFICATE, Path::new("(--exec)"), why, "have it print PEM"))?;
            place = Some(PathBuf::from("(--exec)"));
        }
        if let Some(directory) = &given.from {
            self.directory(directory, given.passphrase.as_ref())?;
            place = Some(directory.clone());
        }
        if let Some(path) = &given.certificate {
            let bytes = files::must_read(CERTIFICATE, path)?;
            self.file(
                &bytes,
                &path.display().to_string(),
                Some(path),
                given.passphrase.as_ref(),
            )
            .map_err(|why| {
                fault(
                    CERTIFICATE,
                    path,
                    why,
                    "give what the CA answered: PEM, DER or PKCS#7 (.p7b)",
                )
            })?;
            place = Some(path.clone());
        }
        Ok(place.unwrap_or_default())
    }

    /// Every file of a directory that another tool writes: certbot's live/NAME (links), lego's NAME.crt, NAME.key and
    /// NAME.issuer.crt, cert-manager's tls.crt, tls.key and ca.crt, or any other names.
    fn directory(&mut self, directory: &Path, passphrase: Option<&SecretString>) -> Result<(), Error> {
        const WHAT: &str = "the directory (--from)";
        const SMALL: u64 = 1 << 20;
        let words = |error: std::io::Error| {
            fault(
                WHAT,
                directory,
                crate::server::words(&error),
                "name the directory with the certificate and the key, such as certbot's live/NAME",
            )
        };
        let mut paths: Vec<_> = std::fs::read_dir(directory)
            .map_err(words)?
            .take(MOST_FILES)
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        for path in paths {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let small = std::fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= SMALL);
            if hidden || !small {
                continue;
            }
            // What is neither a certificate nor a key (a README) is none of ours.
            let Ok(bytes) = files::must_read(WHAT, &path) else {
                self.notes.push(format!("{} cannot be read", path.display()));
                continue;
            };
            match self.file(&bytes, &path.display().to_string(), Some(&path), passphrase) {
                Err(why) if holds_key(&bytes) => return Err(fault(KEY, &path, why, CLOSED)),
                Ok(()) | Err(_) => {}
            }
        }
        if self.delivery.certificates.is_empty() {
            return Err(fault(
                WHAT,
                directory,
                "no certificate is in it".to_owned(),
                "name the directory with the certificate and the key, such as certbot's live/NAME",
            ));
        }
        Ok(())
    }

    /// Certificates, and keys beside them.
    fn file(
        &mut self,
        bytes: &[u8],
        name: &str,
        path: Option<&Path>,
        passphrase: Option<&SecretString>,
    ) -> Result<(), String> {
        let is_key = holds_key(bytes);
        if is_key {
            if let Some(path) = path {
                closed(path)?;
            }
            let key = PrivateKey::from_pem(bytes, passphrase).map_err(|error| error.to_string())?;
            self.keys.push((name.to_owned(), key));
        } else if let Ok(key) = PrivateKey::from_file(bytes, passphrase) {
            if let Some(path) = path {
                closed(path)?;
            }
            self.keys.push((name.to_owned(), key));
            return Ok(());
        }
        match self.delivery.add(bytes) {
            Ok(()) => Ok(()),
            Err(_) if is_key => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn holds_key(bytes: &[u8]) -> bool {
    let label = b"PRIVATE KEY-----";
    bytes.windows(label.len()).any(|window| window == label)
}

const CLOSED: &str = "chmod 600 (in Kubernetes: defaultMode: 0400 for the volume). If others could read it, take it for known, \
                      and have a new one certified: `pgtls csr`";

/// Nobody else may read a key: libpq's own rule, 0600, or 0640 where root owns it
/// (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLKEY>).
fn closed(path: &Path) -> Result<(), String> {
    let Ok(meta) = std::fs::metadata(path) else {
        return Ok(());
    };
    let forbidden = if meta.uid() == 0 { 0o037 } else { 0o077 };
    if meta.mode() & forbidden == 0 {
        return Ok(());
    }
    Err(format!(
        "others may read it (its mode is {:04o})",
        meta.mode() & 0o777
    ))
}

fn read_key(path: &Path, passphrase: Option<&SecretString>) -> Result<PrivateKey, Error> {
    const WHAT: &str = KEY;
    let bytes = files::must_read(WHAT, path)?;
    let key = PrivateKey::from_file(&bytes, passphrase).map_err(|error| {
        let remedy = match error {
            KeyError::NeedsPassphrase | KeyError::WrongPassphrase => {
                "give its passphrase with --passphrase-file"
            }
            KeyError::TooWeak { .. } => {
                "`pgtls csr` makes a stronger key (P-256), and the request for your CA"
            }
            _ => "give the private key that the certificate was requested with",
        };
        fault(WHAT, path, error.to_string(), remedy)
    })?;
    closed(path).map_err(|why| fault(WHAT, path, why, CLOSED))?;
    Ok(key)
}

/// The key that a certificate of the delivery is for. Of several pairs the one with the names that are wanted, of those the
/// one that ends last.
fn choose(
    delivery: &Delivery,
    keys: &[(String, PrivateKey)],
    names: &[String],
    place: &Path,
) -> Result<(String, PrivateKey), Error> {
    let fitting = keys.iter().filter_map(|(named, key)| {
        let leaf = delivery
            .certificates
            .iter()
            .filter(|certificate| certificate.spki_der() == key.spki_der())
            .max_by_key(|certificate| certificate.not_after())?;
        let carries = names.iter().all(|name| judge_name(leaf.der(), name).is_ok());
        Some(((carries, leaf.not_after()), (named, key)))
    });
    // Of equals the first: the order of the keys is one of preference.
    let best = fitting.fold(
        None,
        |best: Option<((bool, OffsetDateTime), _)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        },
    );
    if let Some((_, (named, key))) = best {
        return Ok((named.clone(), key.clone()));
    }
    if delivery.certificates.is_empty() {
        return Err(fault(
            CERTIFICATE,
            place,
            "there is no certificate in it".to_owned(),
            "give what the CA answered: PEM, DER or PKCS#7 (.p7b)",
        ));
    }
    let tried: Vec<_> = keys.iter().map(|(named, _)| named.as_str()).collect();
    let why = match tried.as_slice() {
        [] => "there is no key for it".to_owned(),
        [one] => format!("{one} does not fit it"),
        tried => format!("none of the keys fits it: {}", tried.join(", ")),
    };
    Err(fault(
        CERTIFICATE,
        place,
        format!("{why}: it is for another key"),
        "give the key that it was requested with (--key FILE), or have one issued for the request that `pgtls csr` makes",
    ))
}

/// What clients trust: named, else known from elsewhere, else the root of what is served now.
fn trust(
    given: &Given,
    known: Option<(TrustStore, String)>,
    delivery: &Delivery,
    present: &[Certificate],
) -> Result<(TrustStore, String), Error> {
    const WHAT: &str = "the root";
    if let Some(path) = &given.root {
        let bytes = files::must_read(WHAT, path)?;
        let mut roots = Delivery::default();
        let wrong = |why: String| fault(WHAT, path, why, "give the CA's certificate, as clients have it");
        roots.add(&bytes).map_err(|error| wrong(error.to_string()))?;
        let store = store(&roots.certificates).map_err(wrong)?;
        if store.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        return Ok((store, path.display().to_string()));
    }
    if let Some((store, from)) = known.filter(|(store, _)| !store.is_empty()) {
        return Ok((store, from));
    }
    let top = present.last();
    let issued_present = |root: &&Certificate| top.is_some_and(|top| top.is_signed_by(root) || top == *root);
    let root: Vec<_> = delivery.roots().filter(issued_present).cloned().collect();
    if root.is_empty() {
        return Err(Error::DoesNotFit {
            what: "it is not known which root your clients trust, so it cannot be told whether they will accept the new certificate"
                .to_owned(),
            remedy: "name it with --root FILE: what is in their sslrootcert (for a public CA the system's bundle, such as \
                     /etc/ssl/certs/ca-certificates.crt)"
                .to_owned(),
        });
    }
    let store = store(&root)
        .map_err(|why| fault(CERTIFICATE, Path::new(""), why, "name the root with --root FILE"))?;
    Ok((store, "the root of the certificate that is served now".to_owned()))
}

/// A store of these.
pub fn store(certificates: &[Certificate]) -> Result<TrustStore, String> {
    let der: Vec<_> = certificates.iter().map(|one| one.der().to_vec()).collect();
    TrustStore::new(&der, &[]).map_err(|error| error.to_string())
}

/// Why clients would refuse the chain, and what to do.
fn refused(place: &Path, refusal: &Refusal, identity: &Identity, roots: &str, purpose: Purpose) -> Error {
    let remedy = match refusal.cause {
        Cause::WrongPurpose | Cause::KeyUsage if purpose == Purpose::Client => {
            "ask for a client's certificate (extended key usage clientAuth)"
        }
        Cause::UntrustedIssuer | Cause::PartialChain if purpose == Purpose::Client => {
            "have it issued by a CA that the server knows clients by (its ssl_ca_file); an intermediate's certificate goes into the \
             same file"
        }
        Cause::Expired => "have it renewed: this one has ended",
        Cause::NotYetValid => "wait until it begins, or look at the clocks of this machine and of the CA",
        Cause::UntrustedIssuer if identity.chain().len() == 1 => {
            "if a CA between it and the root signed it, put that CA's certificate into the file too (most CAs offer a \
             \"chain\" or \"fullchain\"); if it is of another CA, name its root with --root, and give every client that root first"
        }
        Cause::UntrustedIssuer
        | Cause::IssuerKeyDiffers
        | Cause::SelfSignedNotTrusted
        | Cause::PartialChain => {
            "it is of another CA than clients trust: have it issued by theirs, or name the new root with --root once every \
             client has it"
        }
        Cause::WeakKey => "make a stronger key (`pgtls csr` makes P-256) and have that certified",
        Cause::WeakDigest => "have the CA sign with SHA-256 or better",
        Cause::WrongPurpose | Cause::KeyUsage => {
            "ask for a server's certificate (extended key usage serverAuth)"
        }
        Cause::AnchorExpired => "the root itself has ended: the CA must be renewed first",
        _ => "clients would refuse it; ask whoever issued it",
    };
    fault(
        CERTIFICATE,
        place,
        format!("{} (judged by {})", refusal, printable(roots)),
        remedy,
    )
}

/// Every name that clients dial must be on it.
fn names(identity: &Identity, names: &[String], place: &Path) -> Result<(), Error> {
    let missing: Vec<_> = names
        .iter()
        .filter(|name| judge_name(identity.leaf().der(), name).is_err())
        .map(|name| printable(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let carried: Vec<_> = (identity.leaf().dns_names().iter().map(|name| printable(name)))
        .chain(identity.leaf().ip_addresses().iter().map(ToString::to_string))
        .take(20)
        .collect();
    Err(fault(
        CERTIFICATE,
        place,
        format!(
            "it lacks names that clients dial: {} (it carries {})",
            missing.join(", "),
            if carried.is_empty() {
                "none".to_owned()
            } else {
                carried.join(", ")
            }
        ),
        "have it issued with these names too, as the request asks for; where nobody dials them any more, take them off the names \
         (--host)",
    ))
}
