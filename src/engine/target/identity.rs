//! The client certificate and its key, by libpq's rules
//! (<https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-CLIENTCERT>, fe-secure-openssl.c `initialize_SSL`).

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use secrecy::{SecretSlice, SecretString};

use crate::conninfo::{Located, Resolved, SslCertMode};
use crate::dial::{ClientIdentity, IdentityError};
use crate::judge::judge_own_certificate;
use crate::pki::{Bundle, KeyError, PrivateKey};
use crate::verify::{Cause, FileFault};

use crate::engine::{Error, files};

/// What is shown to a server that asks. A certificate file that is not there is none, named or not; one that is there
/// must be readable, with a key that is nobody else's, whether the server asks or not.
pub fn read(
    resolved: &Resolved,
    passphrase: Option<&SecretString>,
) -> Result<Option<ClientIdentity>, FileFault> {
    if resolved.sslcertmode == SslCertMode::Disable {
        return Ok(None);
    }
    let Some(certificate) = resolved.sslcert.path() else {
        return Ok(None);
    };
    match std::fs::metadata(certificate) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => {
            let why = crate::server::words(&error);
            return Err(about_certificate(Cause::CertUnreadable, certificate, &why));
        }
    }
    let chain = chain(certificate)?;
    let key = resolved.sslkey.path().ok_or_else(|| {
        let why = "no key is named for it, and there is no home directory to look for one";
        about_certificate(Cause::KeyMismatch, certificate, why)
    })?;
    if let Located::Named(named) = &resolved.sslkey
        && let Some(engine) = engine_of(named)
    {
        return Err(from_engine(named, engine));
    }
    checked(key, certificate)?;
    let bytes = contents(key).map_err(|why| about_key(Cause::KeyUnreadable, key, &why))?;
    let passphrase = resolved.sslpassword.as_ref().or(passphrase);
    let private = PrivateKey::of_client(&bytes, passphrase).map_err(|error| {
        let cause = match error {
            KeyError::NeedsPassphrase | KeyError::WrongPassphrase => Cause::KeyPassphrase,
            // OpenSSL takes moduli of a few bits less than 2048, and the certificate has passed already.
            KeyError::TooWeak { bits } if bits >= LEAST_RSA_BITS => Cause::TlsUnspoken,
            // OpenSSL may well know what to do with these.
            KeyError::UnsupportedKind { .. } | KeyError::UnsupportedEncryption { .. } => Cause::TlsUnspoken,
            _ => Cause::KeyUnreadable,
        };
        about_key(cause, key, &error.to_string())
    })?;
    let identity = ClientIdentity::new(chain, &SecretSlice::from(private.pkcs8_der().to_vec()));
    identity.map(Some).map_err(|error| match error {
        IdentityError::Mismatch => FileFault {
            cause: Cause::KeyMismatch,
            file: key.clone(),
            why: format!(
                "the key {} does not belong to the certificate {}",
                key.display(),
                certificate.display()
            ),
        },
        // It is readable (that was seen above), only not here.
        other => about_key(Cause::TlsUnspoken, key, &other.to_string()),
    })
}

/// Whether the key could be encrypted: looked at without reading the key itself, which takes as long as a handshake's
/// arithmetic. Both of PEM's ways say so in this word; a key in DER must not be encrypted.
pub fn may_be_locked(resolved: &Resolved) -> bool {
    const WORD: &[u8] = b"ENCRYPTED";
    let bytes = resolved.sslkey.path().and_then(|key| contents(key).ok());
    bytes.is_some_and(|bytes| bytes.windows(WORD.len()).any(|window| window == WORD))
}

/// The least RSA modulus that OpenSSL counts as 112 bits strong (`EVP_PKEY_get_security_bits(3)`).
const LEAST_RSA_BITS: usize = 1976;

/// The chain of the file, leaf first, as strong as OpenSSL wants it.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let unreadable = |why: &str| about_certificate(Cause::CertUnreadable, path, why);
    let bytes = contents(path).map_err(|why| unreadable(&why))?;
    let chain = Bundle::chain_from_pem(&bytes).map_err(|error| unreadable(&error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("it holds no certificate in PEM"));
    }
    let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
    judge_own_certificate(&chain).map_err(|refusal| {
        let cause = match refusal {
            crate::judge::SignatureRefusal::TooWeak { .. } => Cause::CertWeak,
            _ => Cause::CertUnreadable,
        };
        about_certificate(cause, path, &refusal.to_string())
    })?;
    Ok(chain)
}

/// What `sslkey` names before a colon: not a directory but an engine of OpenSSL that is to bring the key, wherever the
/// colon stands (<https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-SSLKEY>).
fn engine_of(key: &Path) -> Option<&str> {
    let (engine, _) = key.to_str()?.split_once(':')?;
    Some(engine)
}

/// A key that only OpenSSL could fetch: where there is no such engine, libpq cannot load it either.
fn from_engine(key: &Path, engine: &str) -> FileFault {
    let libraries = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"];
    let below = |directory: &str| std::fs::read_dir(directory).into_iter().flatten().flatten();
    let places = libraries
        .iter()
        .flat_map(|directory| {
            below(directory)
                .map(|entry| entry.path())
                .chain([PathBuf::from(directory)])
        })
        .flat_map(|directory| ["engines-3", "engines-1.1"].map(|name| directory.join(name)))
        .chain(std::env::var_os("OPENSSL_ENGINES").map(PathBuf::from));
    let is_installed = !engine.is_empty()
        && !engine.contains('/')
        && places
            .into_iter()
            .any(|place| place.join(format!("{engine}.so")).exists());
    let engine = crate::pki::printable(engine);
    if is_installed {
        let why = format!("it is to come from OpenSSL's engine \"{engine}\", which pgtls does not speak to");
        return about_key(Cause::TlsUnspoken, key, &why);
    }
    let why = format!(
        "libpq takes what stands before the colon for the name of an OpenSSL engine, and there is no engine \"{engine}\"; a \
         path must have no colon in it"
    );
    about_key(Cause::KeyUnreadable, key, &why)
}

/// The rules about the key file itself: a regular file that nobody but its owner may touch; one of root's may be read by
/// its group. Who the owner is does not matter.
fn checked(key: &PathBuf, certificate: &Path) -> Result<(), FileFault> {
    let metadata = std::fs::metadata(key).map_err(|error| match error.kind() {
        ErrorKind::NotFound => FileFault {
            cause: Cause::KeyMissing,
            file: key.clone(),
            why: format!(
                "there is the certificate {}, but not its key {}",
                certificate.display(),
                key.display()
            ),
        },
        _ => about_key(Cause::KeyUnreadable, key, &crate::server::words(&error)),
    })?;
    if !metadata.is_file() {
        return Err(about_key(Cause::KeyNotFile, key, "it is no regular file"));
    }
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        let why = format!("others may use it: its mode is {:04o}", metadata.mode() & 0o7777);
        return Err(about_key(Cause::KeyMode, key, &why));
    }
    Ok(())
}

fn contents(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    files::must_read("the file", path).map_err(|error| match error {
        Error::File { why, .. } => why,
        other => other.to_string(),
    })
}

fn about_certificate(cause: Cause, path: &Path, why: &str) -> FileFault {
    FileFault {
        cause,
        file: path.to_path_buf(),
        why: format!("the client certificate {} cannot be used: {why}", path.display()),
    }
}

fn about_key(cause: Cause, path: &Path, why: &str) -> FileFault {
    FileFault {
        cause,
        file: path.to_path_buf(),
        why: format!("the client key {} cannot be used: {why}", path.display()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    fn verdict(key: &Path) -> Option<Cause> {
        checked(&key.to_owned(), Path::new("client.crt"))
            .err()
            .map(|fault| fault.cause)
    }

    /// PostgreSQL manual, libpq, "Client Certificates": 0600, or 0640 if root owns it.
    #[test]
    fn a_key_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("client.key");
        fs::write(&key, "").unwrap();
        let mine = fs::metadata(&key).unwrap().uid();
        // Who is not root has files of one owner only.
        let owners = if mine == 0 { vec![0, 65534] } else { vec![mine] };
        for owner in owners {
            chown(&key, Some(owner), None).unwrap();
            for (mode, of_root, of_others) in [
                (0o600, true, true),
                (0o400, true, true),
                (0o700, true, true),
                (0o640, true, false),
                (0o440, true, false),
                (0o660, false, false),
                (0o650, false, false),
                (0o644, false, false),
                (0o604, false, false),
                (0o601, false, false),
            ] {
                fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
                let passes = if owner == 0 { of_root } else { of_others };
                assert_eq!(
                    verdict(&key),
                    (!passes).then_some(Cause::KeyMode),
                    "{mode:o} of {owner}"
                );
            }
        }
        assert_eq!(verdict(&dir.path().join("none")), Some(Cause::KeyMissing));
        assert_eq!(verdict(dir.path()), Some(Cause::KeyNotFile));
    }

    /// The same manual, `sslkey`: "a colon-separated engine name and an engine-specific key identifier".
    #[test]
    fn a_colon_makes_the_key_an_engines() {
        assert_eq!(engine_of(Path::new("/home/me/client.key")), None);
        for (key, engine) in [
            ("pkcs11:id", "pkcs11"),
            (":x", ""),
            ("/a:b/client.key", "/a"),
            ("x:y:z", "x"),
        ] {
            assert_eq!(engine_of(Path::new(key)), Some(engine));
            let fault = from_engine(Path::new(key), "no-such-engine");
            assert_eq!(fault.cause, Cause::KeyUnreadable);
            assert!(fault.why.contains("\"no-such-engine\""), "{}", fault.why);
        }
    }
}
