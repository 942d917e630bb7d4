//! Verifying one signature with one key.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{self as aws, RsaParameters, RsaPssSaltLength, VerificationAlgorithm};

use super::algorithm::{Hash, Pss, SignatureAlgorithm};
use super::key::{Curve, Key, Kind};
use super::rsa;

/// What became of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    Bad,
    /// No implementation here; OpenSSL has one. Says what is missing.
    CannotJudge(String),
}

impl Outcome {
    /// What was found out, or that it could not be.
    fn known(verifies: Option<bool>, what: impl FnOnce() -> String) -> Self {
        match verifies {
            Some(true) => Self::Good,
            Some(false) => Self::Bad,
            None => Self::CannotJudge(what()),
        }
    }

    const fn of(result: Result<(), Unspecified>) -> Self {
        if result.is_ok() { Self::Good } else { Self::Bad }
    }
}

/// Verifies `signature` over `message`, whatever its strength: that is judged elsewhere.
pub(super) fn verify(algorithm: &SignatureAlgorithm, key: &Key, message: &[u8], signature: &[u8]) -> Outcome {
    if !key.can_make(algorithm) {
        return Outcome::Bad;
    }
    match (algorithm, &key.kind) {
        (SignatureAlgorithm::RsaPkcs1(hash), _) => pkcs1(*hash, key, message, signature),
        (SignatureAlgorithm::RsaPss(None), _) => Outcome::Bad,
        (
            SignatureAlgorithm::RsaPss(Some(pss)),
            Kind::RsaPss {
                bound: Some(bound), ..
            },
        ) if pss.hash != bound.hash || pss.mask != bound.mask || pss.salt < bound.salt => Outcome::Bad,
        (SignatureAlgorithm::RsaPss(Some(parameters)), _) => pss(*parameters, key, message, signature),
        (SignatureAlgorithm::Ecdsa(hash), Kind::Ec(curve) | Kind::EcExplicit(Some(curve))) => {
            ecdsa(*hash, *curve, key, message, signature)
        }
        (SignatureAlgorithm::Ed25519, _) => {
            Outcome::of(aws::ED25519.verify_sig(&key.bytes, message, signature))
        }
        _ => Outcome::CannotJudge(algorithm.describe()),
    }
}

fn pkcs1(hash: Hash, key: &Key, message: &[u8], signature: &[u8]) -> Outcome {
    let bits = rsa_bits(key);
    let parameters: &RsaParameters = match hash {
        Hash::Sha256 if (2048..=8192).contains(&bits) => &aws::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 if (2048..=8192).contains(&bits) => &aws::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 if (2048..=8192).contains(&bits) => &aws::RSA_PKCS1_2048_8192_SHA512,
        _ => {
            return match rsa::recover(&key.bytes, signature) {
                Some(recovered) => Outcome::known(recovered.is_pkcs1(hash, message), || {
                    format!("RSA with {}, {bits} bits", hash.name())
                }),
                None => Outcome::Bad,
            };
        }
    };
    Outcome::of(parameters.verify_sig(&key.bytes, message, signature))
}

fn pss(parameters: Pss, key: &Key, message: &[u8], signature: &[u8]) -> Outcome {
    let usual = parameters.mask == parameters.hash && (2048..=8192).contains(&rsa_bits(key));
    let base = match parameters.hash {
        Hash::Sha256 if usual => aws::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 if usual => aws::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 if usual => aws::RSA_PSS_2048_8192_SHA512,
        _ => {
            return match rsa::recover(&key.bytes, signature) {
                Some(recovered) => Outcome::known(recovered.is_pss(parameters, message), || {
                    format!("RSA-PSS with {}", parameters.hash.name())
                }),
                None => Outcome::Bad,
            };
        }
    };
    let salted = base.with_pss_salt_length(RsaPssSaltLength::Custom(parameters.salt));
    Outcome::of(salted.verify_sig(&key.bytes, message, signature))
}

const fn rsa_bits(key: &Key) -> usize {
    match key.kind {
        Kind::Rsa { bits } | Kind::RsaPss { bits, .. } => bits,
        _ => 0,
    }
}

/// ECDSA with any digest on any curve: aws-lc-rs offers fixed pairs, but the digest enters only as a number
/// (FIPS 186-5 section 6.4.2: its leftmost bits, as many as the curve's order has), so it is fitted to the width of the
/// pair that the curve has.
fn ecdsa(hash: Hash, curve: Curve, key: &Key, message: &[u8], signature: &[u8]) -> Outcome {
    let unknown = || Outcome::CannotJudge(format!("ECDSA with {} ({})", hash.name(), key.describe()));
    let (Some(verifier), Some(algorithm)) = (curve.verifier(), hash.algorithm()) else {
        return unknown();
    };
    let width = match curve {
        Curve::P256 | Curve::Secp256k1 => &digest::SHA256,
        Curve::P384 => &digest::SHA384,
        Curve::P521 => &digest::SHA512,
        Curve::Other(_) => return unknown(),
    };
    let actual = digest::digest(algorithm, message);
    let leftmost = &actual.as_ref()[..actual.as_ref().len().min(width.output_len())];
    let mut fitted = vec![0; width.output_len() - leftmost.len()];
    fitted.extend_from_slice(leftmost);
    match Digest::import_less_safe(&fitted, width) {
        Ok(fitted) => Outcome::of(verifier.verify_digest_sig(&key.bytes, &fitted, signature)),
        Err(_) => unknown(),
    }
}
