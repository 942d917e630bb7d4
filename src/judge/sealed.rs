//! The frame that certificates and revocation lists share: a signed part, an algorithm, a signature.

use std::ops::Range;

use super::algorithm::SignatureAlgorithm;
use super::der::{self, BIT_STRING, Element, Malformed, SEQUENCE};
use super::key::Key;
use super::signature::{Outcome, verify};

/// `SIGNED{}` of RFC 5280 section 4.1, read.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) der: Vec<u8>,
    signed: Range<usize>,
    pub(super) algorithm: SignatureAlgorithm,
    /// What the outer algorithm consists of.
    stated: Vec<u8>,
    /// `None`: not of whole octets, which no signature is and OpenSSL refuses.
    signature: Option<Vec<u8>>,
}

impl Sealed {
    /// Opens the frame; the second value is the signed part.
    pub(super) fn open(der: &[u8]) -> Result<(Self, Element<'_>), Malformed> {
        let mut outer = der::only(der, SEQUENCE)?.reader();
        let part = outer.expect(SEQUENCE)?;
        let algorithm = outer.expect(SEQUENCE)?;
        let signature = outer.expect(BIT_STRING)?.content;
        let octets = der::bits(signature)?;
        outer.end()?;
        // It was read from `der`, so it lies within.
        let start = part.raw.as_ptr() as usize - der.as_ptr() as usize;
        let sealed = Self {
            der: der.to_vec(),
            signed: start..start + part.raw.len(),
            algorithm: SignatureAlgorithm::parse(&algorithm)?,
            stated: algorithm.content.to_vec(),
            signature: (signature[0] == 0).then_some(octets),
        };
        Ok((sealed, part))
    }

    /// Whether an algorithm in the signed part is the same, of which this is what it consists of.
    pub(super) fn states(&self, inner: &[u8]) -> bool {
        self.stated == inner
    }

    /// Verifies the signature with the issuer's key.
    pub(super) fn verified_by(&self, issuer: &Key) -> Outcome {
        match &self.signature {
            Some(signature) => verify(&self.algorithm, issuer, &self.der[self.signed.clone()], signature),
            None => Outcome::Bad,
        }
    }
}
