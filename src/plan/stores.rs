//! Keys and certificates in the formats that some drivers want beside PEM.

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::artifact::{Artifact, Content};
use super::layout::Layout;
use crate::clients::Format;
use crate::pki::{Certificate, Identity, Strength, key_store, trust_store};

/// The alias that pgjdbc looks for in a PKCS#12 file.
const ALIAS: &str = "user";

/// Which formats a kit has, and the password of its PKCS#12 files.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// The formats; those of a client's key are left out where there is no client certificate.
    pub formats: Vec<Format>,
    /// The password; without one no PKCS#12 file is made.
    pub password: Option<SecretString>,
}

impl Stores {
    /// The files of the kit of that name.
    #[must_use]
    pub fn artifacts(&self, kit: &str, identity: Option<&Identity>, roots: &[Certificate]) -> Vec<Artifact> {
        let mut artifacts = Vec::new();
        let mut is_locked = false;
        for format in &self.formats {
            let made = match (format, identity, &self.password) {
                (Format::Pk8, Some(identity), _) => {
                    Some((identity.key().pkcs8_der().clone(), "private key in PKCS#8 DER"))
                }
                (Format::P12, Some(identity), Some(password)) => Some((
                    key_store(identity, ALIAS, password, Strength::Modern),
                    "certificate and key in PKCS#12, alias user",
                )),
                (Format::P12Legacy, Some(identity), Some(password)) => Some((
                    key_store(identity, ALIAS, password, Strength::Legacy),
                    "certificate and key in PKCS#12, alias user, encrypted as old programs need it",
                )),
                (Format::Truststore, _, Some(password)) => {
                    Some((trust_store(roots, password), "CA as a Java truststore in PKCS#12"))
                }
                _ => None,
            };
            if let Some((bytes, what)) = made {
                is_locked |= format.wants_password();
                artifacts.push(secret(kit, format.file(), bytes, what));
            }
        }
        if let (true, Some(password)) = (is_locked, &self.password) {
            let line = Zeroizing::new(format!("{}\n", password.expose_secret()).into_bytes());
            artifacts.push(secret(
                kit,
                Format::PASSWORD_FILE,
                line,
                "password of the PKCS#12 files",
            ));
        }
        artifacts
    }
}

fn secret(kit: &str, file: &str, bytes: Zeroizing<Vec<u8>>, what: &str) -> Artifact {
    Artifact {
        path: Layout::kit_file(kit, file),
        mode: 0o600,
        content: Content::Secret {
            bytes,
            description: what.to_owned(),
        },
    }
}
