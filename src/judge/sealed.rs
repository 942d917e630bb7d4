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
    outer_algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Sealed {
    /// Opens the frame; the second value is the signed part.
    pub(super) fn open(der: &[u8]) -> Result<(Self, Element<'_>), Malformed> {
        let mut outer = der::only(der, SEQUENCE)?.reader();
        let part = outer.expect(SEQUENCE)?;
        let algorithm = outer.expect(SEQUENCE)?;
        let signature = der::bits(outer.expect(BIT_STRING)?.content)?;
        outer.end()?;
        // It was read from `der`, so it lies within.
        let start = part.raw.as_ptr() as usize - der.as_ptr() as usize;
        let sealed = Self {
            der: der.to_vec(),
            signed: start..start + part.raw.len(),
            algorithm: SignatureAlgorithm::parse(&algorithm)?,
            outer_algorithm: algorithm.raw.to_vec(),
            signature,
        };
        Ok((sealed, part))
    }

    /// Verifies the signature with the issuer's key. The algorithm stands in the signed part too, and must be the same
    /// there (RFC 5280 section 4.1.1.2).
    pub(super) fn verified_by(&self, issuer: &Key, inner_algorithm: &[u8]) -> Outcome {
        if self.outer_algorithm != inner_algorithm {
            return Outcome::Bad;
        }
        let message = &self.der[self.signed.clone()];
        verify(&self.algorithm, issuer, message, &self.signature)
    }
}
