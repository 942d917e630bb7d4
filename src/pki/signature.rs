//! Signatures on certificates: their names, and whether one verifies.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};

use super::KeyKind;

/// The name of a signature algorithm as OpenSSL prints it; an unknown one by its object identifier.
pub(super) fn name(oid: &str) -> String {
    match oid {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.113549.1.1.14" => "sha224WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.2.840.10040.4.3" => "dsa-with-SHA1",
        "1.3.101.112" => "ED25519",
        "1.3.101.113" => "ED448",
        other => other,
    }
    .to_owned()
}

/// Whether `signature` over `message` was made with the key; false also where pgtls knows no such signature.
///
/// `key` is the content of the `subjectPublicKey` bit string.
pub(super) fn verifies(
    kind: &KeyKind,
    key: &[u8],
    algorithm: &str,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let candidates: &[&dyn VerificationAlgorithm] = match (kind, name(algorithm).as_str()) {
        (KeyKind::P256, "ecdsa-with-SHA256") => &[&ECDSA_P256_SHA256_ASN1],
        (KeyKind::P256, "ecdsa-with-SHA384") => &[&ECDSA_P256_SHA384_ASN1],
        (KeyKind::P384, "ecdsa-with-SHA256") => &[&ECDSA_P384_SHA256_ASN1],
        (KeyKind::P384, "ecdsa-with-SHA384") => &[&ECDSA_P384_SHA384_ASN1],
        (KeyKind::P521, "ecdsa-with-SHA256") => &[&ECDSA_P521_SHA256_ASN1],
        (KeyKind::P521, "ecdsa-with-SHA384") => &[&ECDSA_P521_SHA384_ASN1],
        (KeyKind::P521, "ecdsa-with-SHA512") => &[&ECDSA_P521_SHA512_ASN1],
        (KeyKind::Rsa(_), "sha1WithRSAEncryption") => &[&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY],
        (KeyKind::Rsa(_), "sha256WithRSAEncryption") => &[&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY],
        (KeyKind::Rsa(_), "sha384WithRSAEncryption") => &[&RSA_PKCS1_2048_8192_SHA384],
        (KeyKind::Rsa(_), "sha512WithRSAEncryption") => &[&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY],
        // The hash is in the parameters; the padding holds for one hash only, so trying each proves the same.
        (KeyKind::Rsa(_), "rsassaPss") => &[
            &RSA_PSS_2048_8192_SHA256,
            &RSA_PSS_2048_8192_SHA384,
            &RSA_PSS_2048_8192_SHA512,
        ],
        (KeyKind::Ed25519, "ED25519") => &[&ED25519],
        _ => &[],
    };
    candidates
        .iter()
        .any(|candidate| verify(*candidate, key, message, signature))
}

fn verify(algorithm: &dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    algorithm.verify_sig(key, message, signature).is_ok()
}
