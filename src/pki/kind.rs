//! What kind of key a `SubjectPublicKeyInfo` or a PKCS#8 structure holds, and its name for people.

use std::fmt;

use pkcs8::ObjectIdentifier;

use super::Algorithm;

pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A kind of key, with the size where the kind has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521: read, never made.
    P521,
    /// RSA, with the bits of its modulus.
    Rsa(usize),
    /// RSA that may sign with PSS alone, with the bits of its modulus: read as a client's key, never made.
    RsaPss(usize),
    /// Ed25519.
    Ed25519,
    /// One that pgtls cannot work with, by its name or object identifier.
    Other(String),
}

impl KeyKind {
    /// The algorithm of `--algorithm` that makes such keys, where there is one.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        Some(match self {
            Self::P256 => Algorithm::P256,
            Self::P384 => Algorithm::P384,
            Self::Rsa(2048) => Algorithm::Rsa2048,
            Self::Rsa(3072) => Algorithm::Rsa3072,
            Self::Rsa(4096) => Algorithm::Rsa4096,
            Self::Ed25519 => Algorithm::Ed25519,
            Self::P521 | Self::Rsa(_) | Self::RsaPss(_) | Self::Other(_) => return None,
        })
    }

    /// The kind of an elliptic curve, by the curve's object identifier (RFC 5480 section 2.1.1.1).
    pub(super) fn of_curve(curve: ObjectIdentifier) -> Self {
        match curve.to_string().as_str() {
            "1.2.840.10045.3.1.7" => Self::P256,
            "1.3.132.0.34" => Self::P384,
            "1.3.132.0.35" => Self::P521,
            "1.3.132.0.10" => Self::Other("secp256k1".into()),
            "1.3.132.0.33" => Self::Other("P-224".into()),
            "1.2.840.10045.3.1.1" => Self::Other("P-192".into()),
            "1.3.36.3.3.2.8.1.1.7" => Self::Other("brainpoolP256r1".into()),
            "1.3.36.3.3.2.8.1.1.11" => Self::Other("brainpoolP384r1".into()),
            "1.3.36.3.3.2.8.1.1.13" => Self::Other("brainpoolP512r1".into()),
            other => Self::Other(format!("elliptic curve {other}")),
        }
    }

    /// A kind that is neither RSA, EC nor Ed25519, by the key algorithm's object identifier.
    pub(super) fn other(algorithm: &str) -> Self {
        Self::Other(match algorithm {
            "1.2.840.113549.1.1.10" => "RSA-PSS".into(),
            "1.2.840.10040.4.1" => "DSA".into(),
            "1.2.840.113549.1.3.1" => "Diffie-Hellman".into(),
            "1.3.101.110" => "X25519".into(),
            "1.3.101.111" => "X448".into(),
            "1.3.101.113" => "Ed448".into(),
            other => format!("key algorithm {other}"),
        })
    }
}

impl From<Algorithm> for KeyKind {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P256 => Self::P256,
            Algorithm::P384 => Self::P384,
            Algorithm::Rsa2048 => Self::Rsa(2048),
            Algorithm::Rsa3072 => Self::Rsa(3072),
            Algorithm::Rsa4096 => Self::Rsa(4096),
            Algorithm::Ed25519 => Self::Ed25519,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::RsaPss(bits) => write!(f, "RSA-PSS {bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// The length in bits of a big-endian number.
pub(super) fn bit_length(number: &[u8]) -> usize {
    let mut significant = number.iter().skip_while(|byte| **byte == 0);
    significant.next().map_or(0, |first| {
        significant.count() * 8 + (8 - first.leading_zeros() as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_lengths() {
        for (number, bits) in [
            (&[][..], 0),
            (&[0, 0][..], 0),
            (&[1][..], 1),
            (&[0, 0x80, 0][..], 16),
        ] {
            assert_eq!(bit_length(number), bits);
        }
    }

    #[test]
    fn every_algorithm_is_a_kind_and_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(KeyKind::from(algorithm).algorithm(), Some(algorithm));
        }
    }
}
