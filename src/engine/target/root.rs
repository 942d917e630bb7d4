//! The root file and the revocation lists, by libpq's rules
//! (<https://www.postgresql.org/docs/18/libpq-ssl.html#LIBQ-SSL-CERTIFICATES>, fe-secure-openssl.c `initialize_SSL`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::conninfo::{Located, Resolved, RootCert};
use crate::judge::{TrustStore, certificate_hash, list_hash};
use crate::pki::{Bundle, PemError};
use crate::verify::{Cause, FileFault, Root};

use super::client::must_verify;
use crate::engine::files;

/// What the server is to be judged by. A root file that exists is used whatever the `sslmode`; one that does not is
/// missed only by `verify-ca` and `verify-full`.
pub fn read(resolved: &Resolved, notes: &mut Vec<String>) -> Result<Option<Root>, FileFault> {
    let located = match &resolved.sslrootcert {
        RootCert::System => return Ok(Some(system())),
        RootCert::File(located) => located,
    };
    let path = match located.path() {
        // libpq asks whether the path leads anywhere (`stat`), not whether it may be read.
        Some(path) if std::fs::metadata(path).is_ok() => path,
        path if must_verify(resolved) => return Err(missing(path, resolved)),
        _ => return Ok(None),
    };
    let mut bundle = bundle(path).map_err(|why| unreadable(path, &why))?;
    if bundle.certificates.is_empty() && bundle.lists.is_empty() {
        return Err(unreadable(path, "it holds no certificate in PEM"));
    }
    let revocation = lists(resolved, &mut bundle, notes);
    let store = TrustStore::new(&bundle.certificates, &bundle.lists)
        .map_err(|error| unreadable(path, &error.to_string()))?
        .check_revocation(revocation);
    Ok(Some(Root {
        store: Arc::new(store),
        from: path.display().to_string(),
    }))
}

fn missing(path: Option<&PathBuf>, resolved: &Resolved) -> FileFault {
    let file = path.cloned().unwrap_or_default();
    let why = match path {
        Some(path) => format!(
            "the root file {} does not exist, and sslmode={} cannot do without",
            path.display(),
            resolved.sslmode
        ),
        None => "no root file is named, and there is no home directory to look for one".to_owned(),
    };
    FileFault {
        cause: Cause::RootMissing,
        file,
        why,
    }
}

fn unreadable(path: &Path, why: &str) -> FileFault {
    FileFault {
        cause: Cause::RootUnreadable,
        file: path.to_path_buf(),
        why: format!("the root file {} cannot be used: {why}", path.display()),
    }
}

/// A file of certificates and lists, or why it is none.
fn bundle(path: &Path) -> Result<Bundle, String> {
    let bytes = files::must_read("the file", path).map_err(|error| match error {
        crate::engine::Error::File { why, .. } => why,
        other => other.to_string(),
    })?;
    Bundle::from_pem(&bytes).map_err(|error: PemError| error.to_string())
}

/// Adds the revocation lists that `sslcrl` and `sslcrldir` bring (else `~/.postgresql/root.crl`); whether lists are
/// asked for at all. As in OpenSSL (`X509_STORE_load_locations(3)`): a file that cannot be read is passed over in
/// silence and takes the directory with it, a directory counts even if it is empty or missing, and what certificates
/// these places hold are trusted like those of the root file.
fn lists(resolved: &Resolved, into: &mut Bundle, notes: &mut Vec<String>) -> bool {
    let mut found = false;
    if let Some(path) = resolved.sslcrl.path() {
        match bundle(path) {
            Ok(more) if !more.certificates.is_empty() || !more.lists.is_empty() => {
                let sound = TrustStore::new(&more.certificates, &more.lists);
                if let Err(error) = sound {
                    notes.push(format!(
                        "no revocation is checked: {} cannot be read: {error}",
                        path.display()
                    ));
                    return false;
                }
                into.certificates.extend(more.certificates);
                into.lists.extend(more.lists);
                found = true;
            }
            outcome => {
                if matches!(resolved.sslcrl, Located::Named(_)) || path.exists() {
                    let why = outcome
                        .err()
                        .unwrap_or_else(|| "it holds no list in PEM".to_owned());
                    notes.push(format!(
                        "no revocation is checked: the list {} cannot be used ({why}), which libpq passes over in silence",
                        path.display()
                    ));
                }
                if matches!(resolved.sslcrl, Located::Named(_)) {
                    return false;
                }
            }
        }
    }
    if let Some(directories) = &resolved.sslcrldir {
        for directory in directories.to_string_lossy().split(':') {
            directory_of_lists(Path::new(directory), into);
        }
        found = true;
    }
    found
}

/// The files that OpenSSL would find there: `HASH.r0`, `HASH.r1`, … of the issuers of lists, `HASH.0`, … of
/// certificates, without a gap (`openssl-rehash(1)`).
fn directory_of_lists(directory: &Path, into: &mut Bundle) {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let hashes: BTreeSet<String> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (hash, _) = name.split_once('.')?;
            let is_hash = hash.len() == 8
                && hash
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            is_hash.then(|| hash.to_owned())
        })
        .collect();
    for hash in hashes {
        let numbered = |kind: &str, number: usize| directory.join(format!("{hash}.{kind}{number}"));
        for path in (0..)
            .map(|number| numbered("r", number))
            .take_while(|path| path.exists())
        {
            if let Ok(found) = bundle(&path)
                && found
                    .lists
                    .iter()
                    .any(|list| list_hash(list).as_ref() == Some(&hash))
            {
                into.lists.extend(found.lists);
            }
        }
        for path in (0..)
            .map(|number| numbered("", number))
            .take_while(|path| path.exists())
        {
            if let Ok(found) = bundle(&path) {
                let known = found.certificates.iter();
                if known
                    .clone()
                    .any(|one| certificate_hash(one).as_ref() == Some(&hash))
                {
                    into.certificates.extend(found.certificates);
                }
            }
        }
    }
}

/// The machine's own roots, without revocation, as libpq takes them.
fn system() -> Root {
    let (file, directory) = (
        std::env::var_os("SSL_CERT_FILE"),
        std::env::var_os("SSL_CERT_DIR"),
    );
    let mut certificates: Vec<Vec<u8>> = Vec::new();
    let mut add = |found: rustls_native_certs::CertificateResult| {
        certificates.extend(found.certs.into_iter().map(|der| der.to_vec()));
    };
    // OpenSSL looks at each of the two places by itself: a variable replaces its own default only.
    if file.is_some() != directory.is_some() {
        let own = ["/usr/lib/ssl", "/etc/ssl", "/etc/pki/tls"].map(Path::new);
        let first = |name: &str| {
            own.iter()
                .map(|place| place.join(name))
                .find(|path| path.exists())
        };
        let rest = if file.is_some() {
            rustls_native_certs::load_certs_from_paths(None, first("certs").as_deref())
        } else {
            rustls_native_certs::load_certs_from_paths(first("cert.pem").as_deref(), None)
        };
        add(rest);
    }
    add(rustls_native_certs::load_native_certs());
    let readable = |der: &Vec<u8>| TrustStore::new(std::slice::from_ref(der), &[]).is_ok();
    certificates.retain(readable);
    Root {
        store: Arc::new(
            TrustStore::new(&certificates, &[])
                .or_else(|_| TrustStore::new(&[], &[]))
                .unwrap_or_default(),
        ),
        from: "the system's roots".to_owned(),
    }
}
