//! Private keys: made, held, described, written. Reading them from files is in `key_import`.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use pkcs8::ObjectIdentifier;
use zeroize::Zeroizing;

use super::text::colon_hex;
use super::{Algorithm, KeyKind, PemError, der, pem};

/// Why a key could not be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file is no PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// PEM, but no private key in it.
    #[error("expected a private key (\"BEGIN PRIVATE KEY\" or alike), found {found}")]
    NotAKey {
        /// What the file holds.
        found: String,
    },
    /// Encrypted, and no passphrase was given.
    #[error("the private key is encrypted and no passphrase was given")]
    NeedsPassphrase,
    /// Encrypted, and the passphrase does not open it.
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    /// Encrypted in a way that pgtls does not read.
    #[error(
        "the private key is encrypted with {found}, which pgtls does not read; convert it with \"openssl pkey \
         -in OLD -out NEW -aes256\" (with \"-provider legacy -provider default\" where openssl refuses it)"
    )]
    UnsupportedEncryption {
        /// The encryption's name or object identifier.
        found: String,
    },
    /// A kind of key that TLS with PostgreSQL, or pgtls, cannot use.
    #[error(
        "the private key is of kind {found}; pgtls works with P-256, P-384, P-521, RSA and Ed25519{remedy}"
    )]
    UnsupportedKind {
        /// The kind's name.
        found: String,
        /// How to convert it, where that is possible; starts with "; ".
        remedy: &'static str,
    },
    /// RSA below 2048 bits: OpenSSL at its default security level refuses it ("ee key too small").
    #[error("the RSA key has {bits} bits, and OpenSSL refuses less than 2048: make a new key")]
    TooWeak {
        /// Bits of the modulus.
        bits: usize,
    },
    /// Says it is a key of some kind, but is not a valid one.
    #[error("the private key is damaged: it is no valid {kind} key")]
    Damaged {
        /// What the file says it is.
        kind: String,
    },
    /// The cryptographic library refused to make a key or a signature.
    #[error("the cryptographic library could not {what}")]
    Crypto {
        /// What was attempted.
        what: &'static str,
    },
}

/// A private key, held as PKCS#8 version 1 (RFC 5208) and wiped when dropped.
///
/// Version 1, because OpenSSL before 3.5 does not read the version 2 that some libraries write for Ed25519.
#[derive(Clone)]
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    kind: KeyKind,
    spki: Vec<u8>,
    /// The key within the SPKI, without its wrapping.
    public: Vec<u8>,
}

impl PrivateKey {
    /// Makes a new key. RSA takes 0.1 s (2048) to several seconds (4096).
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto { what: "make a key" };
        match algorithm {
            Algorithm::P256 | Algorithm::P384 => {
                let (signing, kind) = match algorithm {
                    Algorithm::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, KeyKind::P256),
                    _ => (&ECDSA_P384_SHA384_ASN1_SIGNING, KeyKind::P384),
                };
                Self::from_ec(&EcdsaKeyPair::generate(signing).map_err(failed)?, kind)
            }
            Algorithm::Rsa2048 => Self::from_rsa(&RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Algorithm::Rsa3072 => Self::from_rsa(&RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?),
            Algorithm::Rsa4096 => Self::from_rsa(&RsaKeyPair::generate(KeySize::Rsa4096).map_err(failed)?),
            Algorithm::Ed25519 => Self::from_ed25519(&Ed25519KeyPair::generate().map_err(failed)?),
        }
    }

    pub(super) fn from_ec(pair: &EcdsaKeyPair, kind: KeyKind) -> Result<Self, KeyError> {
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| ENCODING)?;
        let spki = pair.public_key().as_der().map_err(|_| ENCODING)?;
        Ok(Self::new(
            pkcs8.as_ref(),
            kind,
            spki.as_ref(),
            pair.public_key().as_ref(),
        ))
    }

    pub(super) fn from_rsa(pair: &RsaKeyPair) -> Result<Self, KeyError> {
        let pkcs8 = pair.as_der().map_err(|_| ENCODING)?;
        let spki = pair.public_key().as_der().map_err(|_| ENCODING)?;
        let bits = super::kind::bit_length(pair.public_key().modulus().big_endian_without_leading_zero());
        Ok(Self::new(
            pkcs8.as_ref(),
            KeyKind::Rsa(bits),
            spki.as_ref(),
            pair.public_key().as_ref(),
        ))
    }

    pub(super) fn from_ed25519(pair: &Ed25519KeyPair) -> Result<Self, KeyError> {
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| ENCODING)?;
        let spki = pair.public_key().as_der().map_err(|_| ENCODING)?;
        Ok(Self::new(
            pkcs8.as_ref(),
            KeyKind::Ed25519,
            spki.as_ref(),
            pair.public_key().as_ref(),
        ))
    }

    /// The same key, for those who ask for its PKCS#8 as it was: with the restriction to PSS in it.
    pub(super) fn for_pss_alone(mut self, pkcs8: &[u8]) -> Self {
        if let KeyKind::Rsa(bits) = self.kind {
            self.kind = KeyKind::RsaPss(bits);
            self.pkcs8 = Zeroizing::new(pkcs8.to_vec());
        }
        self
    }

    fn new(pkcs8: &[u8], kind: KeyKind, spki: &[u8], public: &[u8]) -> Self {
        Self {
            pkcs8: Zeroizing::new(pkcs8.to_vec()),
            kind,
            spki: spki.to_vec(),
            public: public.to_vec(),
        }
    }

    /// PEM, unencrypted PKCS#8 version 1 (`BEGIN PRIVATE KEY`), the form that every client reads or converts from.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::encode("PRIVATE KEY", &self.pkcs8)
    }

    /// PKCS#8 version 1 in DER.
    #[must_use]
    pub fn pkcs8_der(&self) -> &Zeroizing<Vec<u8>> {
        &self.pkcs8
    }

    /// The kind of key, with its size.
    #[must_use]
    pub const fn kind(&self) -> &KeyKind {
        &self.kind
    }

    /// The kind for people: `P-256`, `RSA 2048`.
    #[must_use]
    pub fn algorithm_name(&self) -> String {
        self.kind.to_string()
    }

    /// The public half, a `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7) in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The public half without its wrapping, as the subject key identifier hashes it.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// SHA-256 of the public half ([`Self::spki_der`]) in colon hex: gives nothing of the private half away.
    #[must_use]
    pub fn public_fingerprint(&self) -> String {
        colon_hex(digest(&SHA256, &self.spki).as_ref())
    }

    /// Prepares the key for signing certificates.
    pub(super) fn signer(&self) -> Result<Signer, KeyError> {
        let unusable = |_| KeyError::Damaged {
            kind: self.algorithm_name(),
        };
        Ok(match self.kind {
            KeyKind::Rsa(_) => Signer::Rsa(Box::new(RsaKeyPair::from_pkcs8(&self.pkcs8).map_err(unusable)?)),
            KeyKind::Ed25519 => {
                Signer::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.pkcs8).map_err(unusable)?)
            }
            _ => {
                let (algorithm, _) = ec_signing(&self.kind).ok_or_else(|| KeyError::Damaged {
                    kind: self.algorithm_name(),
                })?;
                Signer::Ec(EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).map_err(unusable)?)
            }
        })
    }

    /// `AlgorithmIdentifier` of the signatures this key makes (RFC 5758 section 3.2, RFC 4055 section 5, RFC 8410).
    pub(super) fn signature_identifier(&self) -> Vec<u8> {
        match (&self.kind, ec_signing(&self.kind)) {
            (_, Some((_, oid))) => der::sequence(&[&der::oid(ObjectIdentifier::new_unwrap(oid))]),
            (KeyKind::Ed25519, None) => der::sequence(&[&der::oid(super::kind::ED25519)]),
            _ => {
                let sha256_with_rsa = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
                der::sequence(&[&der::oid(sha256_with_rsa), &[0x05, 0x00]])
            }
        }
    }
}

const ENCODING: KeyError = KeyError::Crypto {
    what: "write the key down",
};

/// How keys on a curve sign: the hash matches the curve's strength.
pub(super) fn ec_signing(kind: &KeyKind) -> Option<(&'static EcdsaSigningAlgorithm, &'static str)> {
    match kind {
        KeyKind::P256 => Some((&ECDSA_P256_SHA256_ASN1_SIGNING, "1.2.840.10045.4.3.2")),
        KeyKind::P384 => Some((&ECDSA_P384_SHA384_ASN1_SIGNING, "1.2.840.10045.4.3.3")),
        KeyKind::P521 => Some((&ECDSA_P521_SHA512_ASN1_SIGNING, "1.2.840.10045.4.3.4")),
        _ => None,
    }
}

/// A private key in the library's own form, ready to sign.
pub(super) enum Signer {
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Crypto { what: "sign" };
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Self::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PrivateKey({}, public key SHA-256 {})",
            self.kind,
            self.public_fingerprint()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_pkcs8_version_1_and_debug_shows_no_secret() {
        for algorithm in [
            Algorithm::P256,
            Algorithm::P384,
            Algorithm::Rsa2048,
            Algorithm::Ed25519,
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            assert_eq!(key.kind().algorithm(), Some(algorithm));
            let info = pkcs8::PrivateKeyInfo::try_from(key.pkcs8_der().as_slice()).unwrap();
            assert_eq!(info.version(), pkcs8::Version::V1);
            let shown = format!("{key:?}");
            assert!(
                shown.starts_with(&format!("PrivateKey({}, public key SHA-256 ", key.kind())),
                "{shown}"
            );
            assert_eq!(
                shown.len(),
                format!("PrivateKey({}, public key SHA-256 )", key.kind()).len() + 95
            );
        }
    }
}
