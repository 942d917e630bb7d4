//! Channel binding `tls-server-end-point` (RFC 5929 section 4.1), which SCRAM-SHA-256-PLUS uses.

use aws_lc_rs::digest::{self, Algorithm};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// The hash of the server's certificate by the digest of its signature, where MD5 and SHA-1 give way to
/// SHA-256. `None` where the RFC defines none (Ed25519): libpq then cannot log in with SCRAM.
pub(super) fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let digest = signature_digest(certificate)?;
    Some(digest::digest(digest, certificate).as_ref().to_vec())
}

fn signature_digest(certificate: &[u8]) -> Option<&'static Algorithm> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = &certificate.signature_algorithm;
    let oid = match SignatureAlgorithm::try_from(algorithm) {
        // The digest of a PSS signature is in its parameters.
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => parameters.hash_algorithm_oid().to_id_string(),
        _ => algorithm.algorithm.to_id_string(),
    };
    Some(match oid.as_str() {
        // MD5 and SHA-1, alone and with RSA and ECDSA: the RFC puts SHA-256 in their place.
        "1.2.840.113549.2.5"
        | "1.2.840.113549.1.1.4"
        | "1.3.14.3.2.26"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.10045.4.1"
        // SHA-256, alone and with RSA and ECDSA.
        | "2.16.840.1.101.3.4.2.1"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "2.16.840.1.101.3.4.2.2" | "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "2.16.840.1.101.3.4.2.3" | "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        "2.16.840.1.101.3.4.2.4" | "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => &digest::SHA224,
        _ => return None,
    })
}
