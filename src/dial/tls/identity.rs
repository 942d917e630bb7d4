//! The client's certificate and key, ready to sign.

use std::fmt;
use std::sync::Arc;

use pkcs8::PrivateKeyInfo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretSlice};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::pss::PssKey;
use super::settings::provider;
use crate::pki::RSASSA_PSS;

/// A client certificate with its chain and its key: RSA, P-256, P-384, P-521 or Ed25519. Any certificate
/// will do, X.509 v1 included: whether the server likes it is what a handshake finds out.
#[derive(Clone)]
pub struct ClientIdentity(Arc<CertifiedKey>);

/// Why a certificate and key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate at all.
    #[error("there is no client certificate to go with the key")]
    NoCertificate,
    /// The certificate cannot be read.
    #[error("the client certificate is no readable X.509 certificate")]
    BadCertificate,
    /// The key is of a kind that cannot sign here.
    #[error(
        "the client's private key cannot be used: expected PKCS#8 with an RSA, P-256, P-384, P-521 or Ed25519 key"
    )]
    BadKey,
    /// The key is another certificate's.
    #[error("the client's private key does not belong to its certificate (key values mismatch)")]
    Mismatch,
}

impl ClientIdentity {
    /// From DER: the chain, leaf first, and the key as PKCS#8.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: &SecretSlice<u8>) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| IdentityError::BadCertificate)?;
        if let Ok(info) = PrivateKeyInfo::try_from(key.expose_secret())
            && info.algorithm.oid == RSASSA_PSS
        {
            let key = PssKey::new(&info).ok_or(IdentityError::BadKey)?;
            // OpenSSL compares the kinds too: a key for PSS alone goes with no other certificate.
            let public = parsed.public_key();
            let is_pss = public.algorithm.algorithm.to_id_string() == RSASSA_PSS.to_string();
            if !is_pss || public.subject_public_key.data != key.public() {
                return Err(IdentityError::Mismatch);
            }
            return Ok(Self(Arc::new(CertifiedKey::new(chain, Arc::new(key)))));
        }
        // The clone is wiped: `PrivateKeyDer` zeroizes what it owns when dropped.
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.expose_secret().to_vec()));
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| IdentityError::BadKey)?;
        // Compared by ourselves: rustls would parse the certificate, and refuses v1.
        if key
            .public_key()
            .is_some_and(|public| public.as_ref() != parsed.public_key().raw)
        {
            return Err(IdentityError::Mismatch);
        }
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// From a chain and key of [`pki`](crate::pki).
    pub fn from_pki(identity: &crate::pki::Identity) -> Result<Self, IdentityError> {
        let chain = identity
            .chain()
            .iter()
            .map(|one| CertificateDer::from(one.der().to_vec()))
            .collect();
        Self::new(chain, &SecretSlice::from(identity.key().pkcs8_der().to_vec()))
    }

    /// The certificate that the server sees.
    #[must_use]
    pub fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.0.cert.first()
    }

    pub(in crate::dial) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity")
            .field("certificates", &self.0.cert.len())
            .finish_non_exhaustive()
    }
}
