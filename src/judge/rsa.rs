//! RSA signatures of the sizes and digests that aws-lc-rs does not verify and OpenSSL does: keys below 2048 bits (which a
//! client that judges nothing accepts), and rare digests, masks and salts.
//!
//! Verifying handles nothing secret, so plain arithmetic will do: `signature ^ exponent mod modulus` in Montgomery's
//! form, and the padding of RFC 8017 checked by comparing with what a signer would have made.

use aws_lc_rs::digest::digest;

use super::algorithm::{Hash, Pss};
use super::der::{self, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE};

/// OpenSSL's limit (`OPENSSL_RSA_MAX_MODULUS_BITS`).
const MOST_MODULUS_BITS: usize = 16384;

/// What a signature turns into with the public key: the encoded message of RFC 8017 section 8, as long as the modulus.
pub(super) struct Recovered {
    bytes: Vec<u8>,
    modulus_bits: usize,
}

/// `None`: a key or a signature that cannot be one, or an exponent of more than 64 bits.
pub(super) fn recover(key: &[u8], signature: &[u8]) -> Option<Recovered> {
    let mut numbers = der::only(key, SEQUENCE).ok()?.reader();
    let modulus = numbers.expect(INTEGER).ok()?.content;
    let exponent = numbers.expect(INTEGER).ok()?.content;
    let modulus_bits = der::bit_length(modulus);
    let length = modulus_bits.div_ceil(8);
    if signature.len() != length
        || !(9..=MOST_MODULUS_BITS).contains(&modulus_bits)
        || der::bit_length(exponent) > 64
    {
        return None;
    }
    let exponent = exponent
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let modulus = limbs(modulus);
    let mut base = limbs(signature);
    base.resize(modulus.len(), 0);
    if modulus[0] & 1 == 0 || exponent & 1 == 0 || is_at_least(&base, &modulus) {
        return None;
    }
    let power = Montgomery::new(&modulus).power(&base, exponent);
    let bytes: Vec<u8> = power.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    Some(Recovered {
        bytes: bytes[bytes.len() - length..].to_vec(),
        modulus_bits,
    })
}

impl Recovered {
    /// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2). `None`: the digest is not implemented.
    pub(super) fn is_pkcs1(&self, hash: Hash, message: &[u8]) -> Option<bool> {
        const LEAST_PADDING: usize = 8;
        let digest = digest(hash.algorithm()?, message);
        let identifier = [der::encode(OID, hash.oid()?), der::encode(NULL, &[])].concat();
        let info = [
            der::encode(SEQUENCE, &identifier),
            der::encode(OCTET_STRING, digest.as_ref()),
        ];
        let info = der::encode(SEQUENCE, &info.concat());
        let Some(padding) = self
            .bytes
            .len()
            .checked_sub(info.len() + 3)
            .filter(|padding| *padding >= LEAST_PADDING)
        else {
            return Some(false);
        };
        let expected = [&[0, 1][..], &vec![0xff; padding], &[0], &info].concat();
        Some(self.bytes == expected)
    }

    /// EMSA-PSS (RFC 8017 section 9.1.2), the salt exactly as long as said. `None`: a digest is not implemented.
    pub(super) fn is_pss(&self, parameters: Pss, message: &[u8]) -> Option<bool> {
        const TRAILER: u8 = 0xbc;
        let (hash, mask) = (parameters.hash.algorithm()?, parameters.mask.algorithm()?);
        let salt_length = usize::from(parameters.salt);
        // One bit shorter than the modulus, which may be a byte.
        let bits = self.modulus_bits - 1;
        let (lead, encoded) = self.bytes.split_at(self.bytes.len() - bits.div_ceil(8));
        let digest_length = hash.output_len();
        let Some(masked_length) = encoded
            .len()
            .checked_sub(digest_length + 1)
            .filter(|masked| *masked > salt_length)
        else {
            return Some(false);
        };
        let (masked, rest) = encoded.split_at(masked_length);
        let (seed, trailer) = rest.split_at(digest_length);
        let unused = encoded.len() * 8 - bits;
        let allowed = u8::MAX >> unused;
        if trailer != [TRAILER] || lead.iter().any(|byte| *byte != 0) || masked[0] & !allowed != 0 {
            return Some(false);
        }
        // MGF1 (appendix B.2.1).
        let stream = (0_u32..).flat_map(|counter| {
            let block = [seed, &counter.to_be_bytes()].concat();
            digest(mask, &block).as_ref().to_vec()
        });
        let mut block: Vec<u8> = masked
            .iter()
            .zip(stream)
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        block[0] &= allowed;
        let (padding, salt) = block.split_at(masked_length - salt_length);
        let is_padding = padding
            .split_last()
            .is_some_and(|(last, zeros)| *last == 1 && zeros.iter().all(|byte| *byte == 0));
        let salted = [&[0; 8], digest(hash, message).as_ref(), salt].concat();
        Some(is_padding && digest(hash, &salted).as_ref() == seed)
    }
}

/// A number's limbs, the lowest first, without the zeros that lead it.
fn limbs(bytes: &[u8]) -> Vec<u32> {
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    bytes
        .rchunks(4)
        .map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte)))
        .collect()
}

fn is_at_least(one: &[u32], other: &[u32]) -> bool {
    one.iter().rev().ge(other.iter().rev())
}

fn subtract(from: &mut [u32], what: &[u32]) {
    let mut borrow = false;
    for (limb, other) in from.iter_mut().zip(what) {
        let (difference, first) = limb.overflowing_sub(*other);
        let (difference, second) = difference.overflowing_sub(u32::from(borrow));
        *limb = difference;
        borrow = first || second;
    }
}

/// Multiplication modulo an odd number in Montgomery's form: a number x stands as x·R, R = 2^32 to the number of limbs.
struct Montgomery<'a> {
    modulus: &'a [u32],
    /// −1/modulus modulo 2^32.
    inverse: u32,
    /// R² modulo the modulus.
    square: Vec<u32>,
}

impl<'a> Montgomery<'a> {
    fn new(modulus: &'a [u32]) -> Self {
        // Newton's iteration doubles the number of right bits.
        let inverse = (0..5).fold(1_u32, |inverse, _| {
            inverse.wrapping_mul(2_u32.wrapping_sub(modulus[0].wrapping_mul(inverse)))
        });
        let mut square = vec![0; modulus.len()];
        square[0] = 1;
        for _ in 0..modulus.len() * 64 {
            double(&mut square, modulus);
        }
        Self {
            modulus,
            inverse: inverse.wrapping_neg(),
            square,
        }
    }

    /// a·b/R (C. K. Koç et al., "Analyzing and Comparing Montgomery Multiplication Algorithms", CIOS).
    fn multiply(&self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let count = self.modulus.len();
        let mut sum = vec![0_u32; count + 2];
        for limb in b {
            let carry = add_product(&mut sum[..count], a, *limb);
            let top = u64::from(sum[count]) + u64::from(carry);
            (sum[count], sum[count + 1]) = (low(top), high(top));
            let factor = sum[0].wrapping_mul(self.inverse);
            let carry = add_product(&mut sum[..count], self.modulus, factor);
            let top = u64::from(sum[count]) + u64::from(carry);
            sum[count] = low(top);
            sum[count + 1] += high(top);
            // The lowest limb is zero now.
            sum.rotate_left(1);
            sum[count + 1] = 0;
        }
        if sum[count] != 0 || is_at_least(&sum[..count], self.modulus) {
            subtract(&mut sum[..count], self.modulus);
        }
        sum.truncate(count);
        sum
    }

    fn power(&self, base: &[u32], exponent: u64) -> Vec<u32> {
        let base = self.multiply(base, &self.square);
        let mut one = vec![0; self.modulus.len()];
        one[0] = 1;
        let mut power = self.multiply(&one, &self.square);
        for bit in (0..u64::BITS - exponent.leading_zeros()).rev() {
            power = self.multiply(&power, &power);
            if exponent >> bit & 1 == 1 {
                power = self.multiply(&power, &base);
            }
        }
        self.multiply(&power, &one)
    }
}

/// Adds a·factor to the sum; what does not fit.
fn add_product(sum: &mut [u32], a: &[u32], factor: u32) -> u32 {
    let mut carry = 0;
    for (limb, a) in sum.iter_mut().zip(a) {
        let total = u64::from(*limb) + u64::from(*a) * u64::from(factor) + u64::from(carry);
        *limb = low(total);
        carry = high(total);
    }
    carry
}

fn double(number: &mut [u32], modulus: &[u32]) {
    let mut carry = 0;
    for limb in number.iter_mut() {
        let doubled = u64::from(*limb) << 1 | u64::from(carry);
        *limb = low(doubled);
        carry = high(doubled);
    }
    if carry != 0 || is_at_least(number, modulus) {
        subtract(number, modulus);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn low(number: u64) -> u32 {
    number as u32
}

#[allow(clippy::cast_possible_truncation, reason = "half of the bits")]
const fn high(number: u64) -> u32 {
    (number >> 32) as u32
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA384, RsaEncoding};

    use super::*;

    fn signed(pair: &KeyPair, encoding: &'static dyn RsaEncoding) -> Vec<u8> {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), b"message", &mut signature)
            .unwrap();
        signature
    }

    /// RFC 8017 sections 8.1.2 and 8.2.2, with signatures of another implementation.
    #[test]
    fn only_the_signature_of_the_key_on_the_message_verifies() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let key = pair.public_key().as_ref();
        let pkcs1 = signed(&pair, &RSA_PKCS1_SHA256);
        let recovered = recover(key, &pkcs1).unwrap();
        assert_eq!(recovered.is_pkcs1(Hash::Sha256, b"message"), Some(true));
        assert_eq!(recovered.is_pkcs1(Hash::Sha256, b"massage"), Some(false));
        assert_eq!(recovered.is_pkcs1(Hash::Sha384, b"message"), Some(false));
        assert_eq!(recovered.is_pkcs1(Hash::Md5, b"message"), None);

        let parameters = Pss {
            hash: Hash::Sha384,
            mask: Hash::Sha384,
            salt: 48,
        };
        let pss = signed(&pair, &RSA_PSS_SHA384);
        let recovered = recover(key, &pss).unwrap();
        assert_eq!(recovered.is_pss(parameters, b"message"), Some(true));
        assert_eq!(recovered.is_pss(parameters, b"massage"), Some(false));
        for other in [
            Pss {
                mask: Hash::Sha256,
                ..parameters
            },
            Pss {
                salt: 32,
                ..parameters
            },
            Pss {
                salt: u16::MAX,
                ..parameters
            },
        ] {
            assert_eq!(recovered.is_pss(other, b"message"), Some(false));
        }
        for at in [0, 100, 255] {
            let mut altered = pss.clone();
            altered[at] ^= 1;
            let verifies =
                recover(key, &altered).is_some_and(|one| one.is_pss(parameters, b"message") == Some(true));
            assert!(!verifies);
        }
    }

    /// RFC 8017 section 5.2.2: as long as the modulus, and less than it.
    #[test]
    fn what_is_no_signature_or_no_key_recovers_nothing() {
        let key = |modulus: &[u8], exponent: &[u8]| {
            let numbers = [der::encode(INTEGER, modulus), der::encode(INTEGER, exponent)];
            der::encode(SEQUENCE, &numbers.concat())
        };
        // 101 · 103 = 10403; 5^7 mod 10403 = 5304.
        let small = key(&[0x28, 0xa3], &[7]);
        assert_eq!(recover(&small, &[0, 5]).unwrap().bytes, 5304_u16.to_be_bytes());
        assert!(recover(&small, &[5]).is_none());
        assert!(recover(&small, &[0, 0, 5]).is_none());
        assert!(recover(&small, &[0x28, 0xa3]).is_none());
        assert!(recover(&key(&[0x28, 0xa4], &[7]), &[0, 5]).is_none());
        assert!(recover(&key(&[0x28, 0xa3], &[8]), &[0, 5]).is_none());
        assert!(recover(&key(&[0x28, 0xa3], &[1; 9]), &[0, 5]).is_none());
        assert!(recover(&key(&[], &[7]), &[]).is_none());
        assert!(recover(b"junk", &[0, 5]).is_none());
    }
}
