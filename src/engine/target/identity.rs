//! The client certificate and its key, by libpq's rules
//! (<https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-CLIENTCERT>, fe-secure-openssl.c `initialize_SSL`).

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use secrecy::{SecretSlice, SecretString};

use crate::conninfo::{Resolved, SslCertMode};
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
    checked(key, certificate)?;
    let bytes = contents(key).map_err(|why| about_key(Cause::KeyUnreadable, key, &why))?;
    let passphrase = resolved.sslpassword.as_ref().or(passphrase);
    let private = PrivateKey::from_file(&bytes, passphrase).map_err(|error| {
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
