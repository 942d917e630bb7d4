//! The handshake's own signature, and what OpenSSL says to a certificate that we present ourselves.

use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;

use super::algorithm::{Hash, Pss, SignatureAlgorithm};
use super::certificate::Certificate;
use super::checks::SECURITY_BITS;
use super::extensions::DIGITAL_SIGNATURE;
use super::key::{Curve, Kind};
use super::signature::{Outcome, verify};

/// The protocol whose rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246): any curve with any digest, PKCS#1 allowed.
    V1_2,
    /// TLS 1.3 (RFC 8446 section 4.2.3): the curve is bound to the digest, no PKCS#1.
    V1_3,
}

/// `rsa_pss_pss_sha256`, `…384`, `…512`: for keys that are RSA-PSS by name, which rustls has no names for.
const PSS_PSS: [SignatureScheme; 3] = [
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

/// What a verifier offers in its `ClientHello`, in OpenSSL's order of preference. All but Ed448 can be verified here;
/// that one is offered so that a server that has nothing else shows itself, and is then said to be undetermined.
pub const SUPPORTED_SCHEMES: [SignatureScheme; 14] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::ED448,
    PSS_PSS[0],
    PSS_PSS[1],
    PSS_PSS[2],
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// Why a handshake signature, or a certificate of our own, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefusal {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Malformed(String),
    /// The scheme is not allowed in this version, or does not go with the key.
    #[error("the handshake is signed by {scheme}, which does not go with the certificate's key ({key})")]
    WrongScheme {
        /// The scheme, by its number.
        scheme: String,
        /// The key, in words.
        key: String,
    },
    /// The key usage forbids signing, which TLS 1.2 with an elliptic curve asks for.
    #[error(
        "the certificate's key usage lacks digitalSignature, which a TLS 1.2 handshake with this key needs"
    )]
    KeyUsage,
    /// The peer does not hold the key of its certificate, or the handshake was tampered with.
    #[error(
        "the handshake's signature does not verify with the certificate's key: the peer does not hold that key"
    )]
    BadSignature,
    /// No implementation here.
    #[error("the handshake is signed with {0}, which pgtls cannot verify")]
    CannotJudge(String),
    /// A certificate of our own that OpenSSL would not load at security level 2.
    #[error("certificate number {number} of the file: {openssl}, says OpenSSL ({detail})")]
    TooWeak {
        /// Its place in the file, counting from 1.
        number: usize,
        /// OpenSSL's words, such as `ee key too small`.
        openssl: &'static str,
        /// The key or the signature, in words.
        detail: String,
    },
}

impl SignatureRefusal {
    /// Whether OpenSSL might accept what was refused here.
    #[must_use]
    pub const fn is_undetermined(&self) -> bool {
        matches!(self, Self::CannotJudge(_))
    }
}

/// Verifies the signature by which a peer proves that it holds its certificate's key. The certificate itself is not
/// judged: v1 certificates and CAs are as good as others here.
pub fn verify_tls_signature(
    version: TlsVersion,
    message: &[u8],
    leaf: &[u8],
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<(), SignatureRefusal> {
    let leaf = Certificate::parse(leaf).map_err(|fault| SignatureRefusal::Malformed(fault.to_string()))?;
    if scheme == SignatureScheme::ED448 {
        return Err(SignatureRefusal::CannotJudge("Ed448".to_owned()));
    }
    let algorithm = algorithm(scheme, version, &leaf.key.kind)
        .filter(|algorithm| leaf.key.can_make(algorithm))
        .ok_or_else(|| SignatureRefusal::WrongScheme {
            scheme: format!("scheme {:#06x}", u16::from(scheme)),
            key: leaf.key.describe(),
        })?;
    let is_curve = matches!(
        leaf.key.kind,
        Kind::Ec(_) | Kind::EcExplicit(_) | Kind::Ed25519 | Kind::Ed448
    );
    if version == TlsVersion::V1_2 && is_curve && leaf.extensions.usage_forbids(DIGITAL_SIGNATURE) {
        return Err(SignatureRefusal::KeyUsage);
    }
    match verify(&algorithm, &leaf.key, message, signature) {
        Outcome::Good => Ok(()),
        Outcome::Bad => Err(SignatureRefusal::BadSignature),
        Outcome::CannotJudge(what) => Err(SignatureRefusal::CannotJudge(what)),
    }
}

/// What OpenSSL checks when libpq loads the client's own certificate file (`SSL_CTX_use_certificate_chain_file(3)` at
/// security level 2): strength of every key, and of every signature that is not a self-signature.
pub fn judge_own_certificate(chain: &[CertificateDer<'_>]) -> Result<(), SignatureRefusal> {
    for (index, der) in chain.iter().enumerate() {
        let certificate =
            Certificate::parse(der).map_err(|fault| SignatureRefusal::Malformed(fault.to_string()))?;
        let too_weak = |openssl, detail| {
            Err(SignatureRefusal::TooWeak {
                number: index + 1,
                openssl,
                detail,
            })
        };
        if certificate.key.security_bits() < SECURITY_BITS {
            let openssl = if index == 0 {
                "ee key too small"
            } else {
                "ca key too small"
            };
            return too_weak(openssl, certificate.key.describe());
        }
        let bits = certificate.sealed.algorithm.security_bits();
        if !certificate.self_signed && bits.is_none_or(|bits| bits < SECURITY_BITS) {
            return too_weak("ca md too weak", certificate.sealed.algorithm.describe());
        }
    }
    Ok(())
}

/// What a scheme stands for, or `None` where the version or the curve does not allow it.
fn algorithm(scheme: SignatureScheme, version: TlsVersion, key: &Kind) -> Option<SignatureAlgorithm> {
    let pkcs1 = |hash| (version == TlsVersion::V1_2).then_some(SignatureAlgorithm::RsaPkcs1(hash));
    let ecdsa = |hash, curve| {
        let fits = matches!(key, Kind::Ec(own) | Kind::EcExplicit(Some(own)) if *own == curve);
        (version == TlsVersion::V1_2 || fits).then_some(SignatureAlgorithm::Ecdsa(hash))
    };
    let by_name = matches!(key, Kind::RsaPss { .. });
    // In TLS the salt is as long as the digest (RFC 8446 section 4.2.3).
    let pss = |hash, salt, wants_name: bool| {
        let parameters = Pss {
            hash,
            mask: hash,
            salt,
        };
        (by_name == wants_name).then_some(SignatureAlgorithm::RsaPss(Some(parameters)))
    };
    match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => ecdsa(Hash::Sha256, Curve::P256),
        SignatureScheme::ECDSA_NISTP384_SHA384 => ecdsa(Hash::Sha384, Curve::P384),
        SignatureScheme::ECDSA_NISTP521_SHA512 => ecdsa(Hash::Sha512, Curve::P521),
        SignatureScheme::ED25519 => Some(SignatureAlgorithm::Ed25519),
        SignatureScheme::RSA_PKCS1_SHA256 => pkcs1(Hash::Sha256),
        SignatureScheme::RSA_PKCS1_SHA384 => pkcs1(Hash::Sha384),
        SignatureScheme::RSA_PKCS1_SHA512 => pkcs1(Hash::Sha512),
        SignatureScheme::RSA_PSS_SHA256 => pss(Hash::Sha256, 32, false),
        SignatureScheme::RSA_PSS_SHA384 => pss(Hash::Sha384, 48, false),
        SignatureScheme::RSA_PSS_SHA512 => pss(Hash::Sha512, 64, false),
        scheme if scheme == PSS_PSS[0] => pss(Hash::Sha256, 32, true),
        scheme if scheme == PSS_PSS[1] => pss(Hash::Sha384, 48, true),
        scheme if scheme == PSS_PSS[2] => pss(Hash::Sha512, 64, true),
        _ => None,
    }
}
