//! Public keys: kind, size, and strength as OpenSSL counts it.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    EcdsaVerificationAlgorithm, UnparsedPublicKey,
};

use super::algorithm::{Pss, SignatureAlgorithm, pss};
use super::der::{self, BIT_STRING, Element, INTEGER, Malformed, OID, SEQUENCE};
use super::oid;

/// A named elliptic curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
    /// One that OpenSSL knows and aws-lc-rs does not, by the bits of its order.
    Other(u16),
}

impl Curve {
    pub(super) fn verifier(self) -> Option<&'static EcdsaVerificationAlgorithm> {
        match self {
            Self::P256 => Some(&ECDSA_P256_SHA256_ASN1),
            Self::P384 => Some(&ECDSA_P384_SHA384_ASN1),
            Self::P521 => Some(&ECDSA_P521_SHA512_ASN1),
            Self::Secp256k1 => Some(&ECDSA_P256K1_SHA256_ASN1),
            Self::Other(_) => None,
        }
    }

    const fn order_bits(self) -> u16 {
        match self {
            Self::P256 | Self::Secp256k1 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
            Self::Other(bits) => bits,
        }
    }

    /// SEC 2, RFC 5480, RFC 5639.
    fn from_oid(content: &[u8]) -> Option<Self> {
        match content {
            b"\x2a\x86\x48\xce\x3d\x03\x01\x07" => return Some(Self::P256),
            b"\x2a\x86\x48\xce\x3d\x03\x01\x01" => return Some(Self::Other(192)),
            _ => {}
        }
        if let Some([arc]) = content.strip_prefix(b"\x2b\x81\x04\x00") {
            return match arc {
                34 => Some(Self::P384),
                35 => Some(Self::P521),
                10 => Some(Self::Secp256k1),
                8 | 9 | 30 => Some(Self::Other(161)),
                31 => Some(Self::Other(192)),
                32 => Some(Self::Other(225)),
                33 => Some(Self::Other(224)),
                1 | 2 | 15 => Some(Self::Other(163)),
                26 => Some(Self::Other(232)),
                27 => Some(Self::Other(233)),
                3 => Some(Self::Other(238)),
                16 => Some(Self::Other(281)),
                17 => Some(Self::Other(282)),
                36 => Some(Self::Other(407)),
                37 => Some(Self::Other(409)),
                38 | 39 => Some(Self::Other(570)),
                _ => None,
            };
        }
        // Brainpool, r1 and t1 alternating.
        if let Some([arc @ 1..=14]) = content.strip_prefix(b"\x2b\x24\x03\x03\x02\x08\x01\x01") {
            return Some(Self::Other(match arc {
                1 | 2 => 160,
                3 | 4 => 192,
                5 | 6 => 224,
                7 | 8 => 256,
                9 | 10 => 320,
                11 | 12 => 384,
                _ => 512,
            }));
        }
        None
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa {
        bits: usize,
    },
    /// A key for RSA-PSS only, possibly bound to parameters (RFC 4055 section 1.2).
    RsaPss {
        bits: usize,
        bound: Option<Pss>,
    },
    Ec(Curve),
    /// A curve given by its parameters; the named curve that they describe, if it is one that can be verified here.
    EcExplicit(Option<Curve>),
    Dsa {
        p: usize,
        q: usize,
    },
    Ed25519,
    Ed448,
    /// A key OpenSSL cannot read: it counts as too weak.
    Unreadable(String),
}

/// `SubjectPublicKeyInfo`, read.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// The content of the BIT STRING: the form in which aws-lc-rs takes keys.
    pub(super) bytes: Vec<u8>,
}

impl Key {
    /// Reads `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7). Like OpenSSL it fails only where the frame is
    /// broken; a key that makes no sense becomes [`Kind::Unreadable`].
    pub(super) fn parse(element: &Element<'_>) -> Result<Self, Malformed> {
        let mut reader = element.reader();
        let mut algorithm = reader.expect(SEQUENCE)?.reader();
        let bytes = der::bits(reader.expect(BIT_STRING)?.content)?;
        reader.end()?;
        let oid = algorithm.object()?;
        let parameters = if algorithm.is_empty() {
            None
        } else {
            Some(algorithm.next()?)
        };
        algorithm.end()?;
        let kind = kind(oid, parameters.as_ref(), &bytes)
            .unwrap_or_else(|fault| Kind::Unreadable(fault.to_string()));
        Ok(Self { kind, bytes })
    }

    /// `EVP_PKEY_get_security_bits(3)`.
    pub(super) fn security_bits(&self) -> u32 {
        match self.kind {
            Kind::Rsa { bits } | Kind::RsaPss { bits, .. } => factoring_strength(bits),
            Kind::Dsa { p, q } => factoring_steps(p).min(u32::try_from(q / 2).unwrap_or(0)),
            Kind::Ec(curve) => u32::from(curve.order_bits()) / 2,
            // Only named curves are measured; OpenSSL measures these too, and none in use is below 224 bits.
            Kind::EcExplicit(_) | Kind::Ed25519 => 128,
            Kind::Ed448 => 224,
            Kind::Unreadable(_) => 0,
        }
    }

    /// Whether a key of this kind can have made a signature of that algorithm.
    pub(super) const fn can_make(&self, algorithm: &SignatureAlgorithm) -> bool {
        matches!(
            (&self.kind, algorithm),
            (
                Kind::Rsa { .. },
                SignatureAlgorithm::RsaPkcs1(_) | SignatureAlgorithm::RsaPss(_)
            ) | (Kind::RsaPss { .. }, SignatureAlgorithm::RsaPss(_))
                | (Kind::Ec(_) | Kind::EcExplicit(_), SignatureAlgorithm::Ecdsa(_))
                | (Kind::Dsa { .. }, SignatureAlgorithm::Dsa(_))
                | (Kind::Ed25519, SignatureAlgorithm::Ed25519)
                | (Kind::Ed448, SignatureAlgorithm::Ed448)
        )
    }

    /// In words, such as `RSA, 1024 bits`.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Rsa { bits } => format!("RSA, {bits} bits"),
            Kind::RsaPss { bits, .. } => format!("RSA-PSS, {bits} bits"),
            Kind::Ec(curve) => format!("elliptic curve, {} bits", curve.order_bits()),
            Kind::EcExplicit(_) => "elliptic curve with explicit parameters".into(),
            Kind::Dsa { p, .. } => format!("DSA, {p} bits"),
            Kind::Ed25519 => "Ed25519".into(),
            Kind::Ed448 => "Ed448".into(),
            Kind::Unreadable(why) => format!("unreadable: {why}"),
        }
    }
}

fn kind(oid: &[u8], parameters: Option<&Element<'_>>, bytes: &[u8]) -> Result<Kind, Malformed> {
    match oid {
        oid::RSA => Ok(Kind::Rsa {
            bits: modulus_bits(bytes)?,
        }),
        oid::RSA_PSS => Ok(Kind::RsaPss {
            bits: modulus_bits(bytes)?,
            bound: parameters.map(pss).transpose()?,
        }),
        oid::EC => match parameters {
            Some(parameters) if parameters.tag == OID => {
                let curve =
                    Curve::from_oid(parameters.content).ok_or(Malformed("an unknown elliptic curve"))?;
                match curve.verifier() {
                    Some(verifier) if UnparsedPublicKey::new(verifier, bytes).parse().is_err() => {
                        Err(Malformed("a point that is not on its curve"))
                    }
                    _ => Ok(Kind::Ec(curve)),
                }
            }
            Some(parameters) if parameters.tag == SEQUENCE => {
                Ok(Kind::EcExplicit(described_curve(parameters).unwrap_or_default()))
            }
            _ => Err(Malformed("an elliptic curve key without its curve")),
        },
        oid::DSA => {
            let mut numbers = parameters
                .ok_or(Malformed("a DSA key without parameters"))?
                .reader();
            Ok(Kind::Dsa {
                p: der::bit_length(numbers.expect(INTEGER)?.content),
                q: der::bit_length(numbers.expect(INTEGER)?.content),
            })
        }
        oid::ED25519 if bytes.len() == 32 => Ok(Kind::Ed25519),
        oid::ED448 if bytes.len() == 57 => Ok(Kind::Ed448),
        _ => Err(Malformed("a key of unknown kind")),
    }
}

/// The named curve whose field `ECParameters` (SEC 1 appendix C.2) describe. Its other parameters are taken to be the
/// named curve's own: if they are not, no signature verifies.
fn described_curve(parameters: &Element<'_>) -> Result<Option<Curve>, Malformed> {
    const ONES: u32 = u32::MAX;
    let mut fields = parameters.reader();
    fields.expect(INTEGER)?;
    let mut field = fields.expect(SEQUENCE)?.reader();
    field.object()?;
    let prime = field.next()?.content;
    let prime = &prime[prime.iter().take_while(|byte| **byte == 0).count()..];
    let is = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .eq(prime.iter().copied())
    };
    // FIPS 186-4 appendix D.1.2.
    Ok(if is(&[ONES, 1, 0, 0, 0, ONES, ONES, ONES]) {
        Some(Curve::P256)
    } else if is(&[
        ONES,
        ONES,
        ONES,
        ONES,
        ONES,
        ONES,
        ONES,
        ONES - 1,
        ONES,
        0,
        0,
        ONES,
    ]) {
        Some(Curve::P384)
    } else if matches!(prime, [1, rest @ ..] if rest.len() == 65 && rest.iter().all(|byte| *byte == 0xff)) {
        Some(Curve::P521)
    } else {
        None
    })
}

fn modulus_bits(bytes: &[u8]) -> Result<usize, Malformed> {
    let mut numbers = der::only(bytes, SEQUENCE)?.reader();
    let modulus = der::integer(numbers.expect(INTEGER)?.content)?;
    der::integer(numbers.expect(INTEGER)?.content)?;
    numbers.end()?;
    Ok(der::bit_length(modulus))
}

/// The strength of an RSA modulus: NIST SP 800-56B appendix D, rounded to whole bytes, as OpenSSL rounds it.
/// 2048 bits count as 112; so do moduli of a few dozen bits less.
fn factoring_strength(bits: usize) -> u32 {
    match bits {
        2048 => return 112,
        3072 => return 128,
        4096 => return 152,
        6144 => return 176,
        7680 => return 192,
        8192 => return 200,
        15360 => return 256,
        0..8 => return 0,
        _ => {}
    }
    let ceiling = match bits {
        0..=7680 => 192,
        7681..=15360 => 256,
        _ => 1200,
    };
    let x = f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) * std::f64::consts::LN_2;
    let strength = (1.923 * (x * x.ln() * x.ln()).cbrt() - 4.69) / std::f64::consts::LN_2;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // positive and small: bits is at least 8
    let whole = strength.max(0.0) as u32;
    ((whole + 4) & !7).min(ceiling)
}

/// `BN_security_bits(3)`, which DSA uses: steps, not a curve.
const fn factoring_steps(bits: usize) -> u32 {
    match bits {
        15360.. => 256,
        7680.. => 192,
        3072.. => 128,
        2048.. => 112,
        1024.. => 80,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST SP 800-57 part 1 table 2, and OpenSSL's rounding below 2048 bits (`EVP_PKEY_get_security_bits(3)`).
    #[test]
    fn rsa_strength_is_openssls() {
        for (bits, strength) in [
            (512, 56),
            (1024, 80),
            (1960, 104),
            (1976, 112),
            (2047, 112),
            (2048, 112),
            (3072, 128),
            (4096, 152),
            (7680, 192),
            (15360, 256),
        ] {
            assert_eq!(factoring_strength(bits), strength, "{bits}");
        }
    }
}
