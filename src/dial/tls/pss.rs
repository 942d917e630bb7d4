//! Signing with a key for RSA-PSS alone (`rsassaPss`, RFC 4055), which OpenSSL takes for a client's and rustls does not.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use pkcs8::PrivateKeyInfo;
use pkcs8::der::Encode as _;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use x509_parser::prelude::FromDer as _;
use x509_parser::signature_algorithm::RsaSsaPssParams;

/// How such keys sign, in OpenSSL's order: the number in TLS (`rsa_pss_pss_sha256` and so on, RFC 8446 section 4.2.3), the
/// digest's object identifier and length in bytes, and the algorithm.
const WAYS: [(u16, &str, u32, &dyn RsaEncoding); 3] = [
    (0x0809, "2.16.840.1.101.3.4.2.1", 32, &RSA_PSS_SHA256),
    (0x080a, "2.16.840.1.101.3.4.2.2", 48, &RSA_PSS_SHA384),
    (0x080b, "2.16.840.1.101.3.4.2.3", 64, &RSA_PSS_SHA512),
];

/// Such a key, and the digest that it is restricted to.
pub(super) struct PssKey {
    pair: Arc<RsaKeyPair>,
    digest: Option<String>,
}

impl PssKey {
    /// `None` where the key cannot be read, or asks for what no signature in TLS has.
    pub fn new(info: &PrivateKeyInfo<'_>) -> Option<Self> {
        let mut digest = None;
        if let Some(parameters) = info.algorithm.parameters {
            let parameters = parameters.to_der().ok()?;
            let (_, restricted) = RsaSsaPssParams::from_der(&parameters).ok()?;
            let named = restricted.hash_algorithm_oid().to_id_string();
            let mask = restricted.mask_gen_algorithm().ok()?.hash.to_id_string();
            let (_, _, length, _) = WAYS.iter().find(|(_, digest, ..)| *digest == named)?;
            if mask != named || restricted.salt_length() > *length {
                return None;
            }
            digest = Some(named);
        }
        let pair = Arc::new(RsaKeyPair::from_der(info.private_key).ok()?);
        Some(Self { pair, digest })
    }

    /// The public half, an `RSAPublicKey` (RFC 8017 appendix A.1.1).
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

/// Whether a server takes signatures of this kind. In TLS 1.2, which PKCS#1 in the list tells, rustls hides what it does not
/// know: there OpenSSL takes it with every digest with which it takes PSS from ordinary keys, five numbers below.
fn offers(offered: &[SignatureScheme], scheme: SignatureScheme) -> bool {
    let is_tls12 = offered.contains(&SignatureScheme::RSA_PKCS1_SHA256);
    let ordinary = SignatureScheme::from(u16::from(scheme) - 5);
    offered.contains(&scheme) || (is_tls12 && offered.contains(&ordinary))
}

impl SigningKey for PssKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let (scheme, encoding) = WAYS
            .iter()
            .filter(|(_, digest, ..)| self.digest.as_ref().is_none_or(|only| only == digest))
            .map(|(number, _, _, encoding)| (SignatureScheme::from(*number), *encoding))
            .find(|(scheme, _)| offers(offered, *scheme))?;
        let pair = Arc::clone(&self.pair);
        Some(Box::new(PssSigner {
            pair,
            scheme,
            encoding,
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl fmt::Debug for PssKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PssKey")
    }
}

struct PssSigner {
    pair: Arc<RsaKeyPair>,
    scheme: SignatureScheme,
    encoding: &'static dyn RsaEncoding,
}

impl Signer for PssSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(self.encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| Error::General("the key could not sign".to_owned()))?;
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for PssSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PssSigner")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_takes_is_offered_to_it() {
        let offered = |numbers: &[u16]| {
            numbers
                .iter()
                .map(|number| SignatureScheme::from(*number))
                .collect::<Vec<_>>()
        };
        let [sha256, sha384] = [0x0809, 0x080a].map(SignatureScheme::from);
        // TLS 1.3, where each is named or is not taken.
        assert!(offers(&offered(&[0x0403, 0x0809]), sha256));
        assert!(!offers(&offered(&[0x0403, 0x0804]), sha256));
        // TLS 1.2: rsa_pss_rsae_sha256 stands for it, and says nothing of SHA-384.
        assert!(offers(&offered(&[0x0401, 0x0804]), sha256));
        assert!(!offers(&offered(&[0x0401, 0x0804]), sha384));
        assert!(!offers(&offered(&[0x0401]), sha256));
    }
}
