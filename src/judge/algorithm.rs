//! Signature algorithms: what was signed with which digest, and how strong that is.

use aws_lc_rs::digest;

use super::der::{self, Element, INTEGER, Malformed, Reader, SEQUENCE};
use super::oid;

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// MD2, MD4, MD5: broken.
    Md5,
    Sha1,
    /// RIPEMD-160: 160 bits, not verifiable here, too weak anyway.
    Ripemd160,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl Hash {
    /// Security bits as OpenSSL counts them (`X509_get_signature_info(3)`): half the digest, less for the broken.
    pub(super) const fn security_bits(self) -> u32 {
        match self {
            Self::Md5 => 39,
            Self::Sha1 => 63,
            Self::Ripemd160 => 80,
            Self::Sha224 | Self::Sha512_224 | Self::Sha3_224 => 112,
            Self::Sha256 | Self::Sha512_256 | Self::Sha3_256 => 128,
            Self::Sha384 | Self::Sha3_384 => 192,
            Self::Sha512 | Self::Sha3_512 => 256,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Ripemd160 => "RIPEMD-160",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Sha512_224 => "SHA-512/224",
            Self::Sha512_256 => "SHA-512/256",
            Self::Sha3_224 => "SHA3-224",
            Self::Sha3_256 => "SHA3-256",
            Self::Sha3_384 => "SHA3-384",
            Self::Sha3_512 => "SHA3-512",
        }
    }

    /// The implementation, where aws-lc-rs has one.
    pub(super) fn algorithm(self) -> Option<&'static digest::Algorithm> {
        match self {
            Self::Sha1 => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha224 => Some(&digest::SHA224),
            Self::Sha256 => Some(&digest::SHA256),
            Self::Sha384 => Some(&digest::SHA384),
            Self::Sha512 => Some(&digest::SHA512),
            Self::Sha512_256 => Some(&digest::SHA512_256),
            Self::Sha3_256 => Some(&digest::SHA3_256),
            Self::Sha3_384 => Some(&digest::SHA3_384),
            Self::Sha3_512 => Some(&digest::SHA3_512),
            Self::Md5 | Self::Ripemd160 | Self::Sha512_224 | Self::Sha3_224 => None,
        }
    }

    /// The digests with their own OIDs (RFC 4055 section 2.1, NIST CSOR).
    const BY_OID: [(Self, &'static [u8]); 12] = [
        (Self::Md5, b"\x2a\x86\x48\x86\xf7\x0d\x02\x05"),
        (Self::Sha1, b"\x2b\x0e\x03\x02\x1a"),
        (Self::Sha256, b"\x60\x86\x48\x01\x65\x03\x04\x02\x01"),
        (Self::Sha384, b"\x60\x86\x48\x01\x65\x03\x04\x02\x02"),
        (Self::Sha512, b"\x60\x86\x48\x01\x65\x03\x04\x02\x03"),
        (Self::Sha224, b"\x60\x86\x48\x01\x65\x03\x04\x02\x04"),
        (Self::Sha512_224, b"\x60\x86\x48\x01\x65\x03\x04\x02\x05"),
        (Self::Sha512_256, b"\x60\x86\x48\x01\x65\x03\x04\x02\x06"),
        (Self::Sha3_224, b"\x60\x86\x48\x01\x65\x03\x04\x02\x07"),
        (Self::Sha3_256, b"\x60\x86\x48\x01\x65\x03\x04\x02\x08"),
        (Self::Sha3_384, b"\x60\x86\x48\x01\x65\x03\x04\x02\x09"),
        (Self::Sha3_512, b"\x60\x86\x48\x01\x65\x03\x04\x02\x0a"),
    ];

    fn from_oid(content: &[u8]) -> Option<Self> {
        let known = Self::BY_OID.iter().find(|(_, oid)| *oid == content);
        known.map(|(hash, _)| *hash)
    }

    /// The digest's own OID, where there is use for it.
    pub(super) fn oid(self) -> Option<&'static [u8]> {
        let known = Self::BY_OID.iter().find(|(hash, _)| *hash == self);
        known.map(|(_, oid)| *oid)
    }
}

/// The parameters of RSASSA-PSS (RFC 4055 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pss {
    pub(super) hash: Hash,
    pub(super) mask: Hash,
    pub(super) salt: u16,
}

/// How a certificate or a list is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    RsaPkcs1(Hash),
    /// `None`: parameters that cannot be read.
    RsaPss(Option<Pss>),
    Ecdsa(Hash),
    Dsa(Hash),
    Ed25519,
    Ed448,
    /// None that OpenSSL 3 knows, by its OID.
    Unknown(String),
}

impl SignatureAlgorithm {
    /// Reads `AlgorithmIdentifier` (RFC 5280 section 4.1.1.2).
    pub(super) fn parse(element: &Element<'_>) -> Result<Self, Malformed> {
        let mut reader = element.reader();
        let oid = reader.object()?;
        let parameters = if reader.is_empty() {
            None
        } else {
            Some(reader.next()?)
        };
        reader.end()?;
        Ok(match oid {
            oid::ED25519 => Self::Ed25519,
            oid::ED448 => Self::Ed448,
            oid::RSA_PSS => Self::RsaPss(parameters.and_then(|parameters| pss(&parameters).ok())),
            _ => Self::with_fixed_digest(oid).unwrap_or_else(|| Self::Unknown(oid::dotted(oid))),
        })
    }

    /// Those whose OID names key and digest at once (RFC 3279, 4055, 5758, NIST CSOR). OpenSSL 3.0 does not connect
    /// ECDSA with SHA-3 to any kind of key, so it finds no issuer for such a certificate; nor is it known here.
    fn with_fixed_digest(oid: &[u8]) -> Option<Self> {
        if let Some([last]) = oid.strip_prefix(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01") {
            return Some(Self::RsaPkcs1(match last {
                2..=4 => Hash::Md5,
                5 => Hash::Sha1,
                11 => Hash::Sha256,
                12 => Hash::Sha384,
                13 => Hash::Sha512,
                14 => Hash::Sha224,
                15 => Hash::Sha512_224,
                16 => Hash::Sha512_256,
                _ => return None,
            }));
        }
        if let Some([last]) = oid.strip_prefix(b"\x2a\x86\x48\xce\x3d\x04\x03") {
            return Some(Self::Ecdsa(match last {
                1 => Hash::Sha224,
                2 => Hash::Sha256,
                3 => Hash::Sha384,
                4 => Hash::Sha512,
                _ => return None,
            }));
        }
        if let Some([last]) = oid.strip_prefix(b"\x60\x86\x48\x01\x65\x03\x04\x03") {
            return Some(match last {
                1 => Self::Dsa(Hash::Sha224),
                2 => Self::Dsa(Hash::Sha256),
                3 => Self::Dsa(Hash::Sha384),
                4 => Self::Dsa(Hash::Sha512),
                13 => Self::RsaPkcs1(Hash::Sha3_224),
                14 => Self::RsaPkcs1(Hash::Sha3_256),
                15 => Self::RsaPkcs1(Hash::Sha3_384),
                16 => Self::RsaPkcs1(Hash::Sha3_512),
                _ => return None,
            });
        }
        match oid {
            b"\x2a\x86\x48\xce\x3d\x04\x01" => Some(Self::Ecdsa(Hash::Sha1)),
            b"\x2a\x86\x48\xce\x38\x04\x03" => Some(Self::Dsa(Hash::Sha1)),
            b"\x2b\x0e\x03\x02\x1d" => Some(Self::RsaPkcs1(Hash::Sha1)),
            b"\x2b\x24\x03\x03\x01\x02" => Some(Self::RsaPkcs1(Hash::Ripemd160)),
            _ => None,
        }
    }

    /// Security bits of the signature; `None` where OpenSSL cannot tell, which it takes for too weak.
    pub(super) fn security_bits(&self) -> Option<u32> {
        match self {
            Self::RsaPkcs1(hash) | Self::Ecdsa(hash) | Self::Dsa(hash) => Some(hash.security_bits()),
            Self::RsaPss(parameters) => parameters.map(|pss| pss.hash.security_bits()),
            Self::Ed25519 => Some(128),
            Self::Ed448 => Some(224),
            Self::Unknown(_) => None,
        }
    }

    /// In words, such as `RSA with SHA-256`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::RsaPkcs1(hash) => format!("RSA with {}", hash.name()),
            Self::RsaPss(Some(pss)) => format!("RSA-PSS with {}", pss.hash.name()),
            Self::RsaPss(None) => "RSA-PSS with unreadable parameters".into(),
            Self::Ecdsa(hash) => format!("ECDSA with {}", hash.name()),
            Self::Dsa(hash) => format!("DSA with {}", hash.name()),
            Self::Ed25519 => "Ed25519".into(),
            Self::Ed448 => "Ed448".into(),
            Self::Unknown(oid) => format!("an unknown algorithm ({oid})"),
        }
    }
}

/// Reads `RSASSA-PSS-params` with its defaults (RFC 4055 section 3.1).
pub(super) fn pss(element: &Element<'_>) -> Result<Pss, Malformed> {
    if element.tag != SEQUENCE {
        return Err(Malformed("RSA-PSS parameters are no SEQUENCE"));
    }
    let mut reader = element.reader();
    let hash = match reader.optional(0xa0)? {
        Some(field) => hash(&mut field.reader())?,
        None => Hash::Sha1,
    };
    let mask = match reader.optional(0xa1)? {
        Some(field) => mask(&field)?,
        None => Hash::Sha1,
    };
    let salt = match reader.optional(0xa2)? {
        Some(field) => number(&field)?,
        None => 20,
    };
    if let Some(trailer) = reader.optional(0xa3)?
        && number(&trailer)? != 1
    {
        return Err(Malformed("RSA-PSS with an unknown trailer"));
    }
    reader.end()?;
    Ok(Pss { hash, mask, salt })
}

fn mask(field: &Element<'_>) -> Result<Hash, Malformed> {
    let mut reader = der::only(field.content, SEQUENCE)?.reader();
    if reader.object()? != oid::MGF1 {
        return Err(Malformed("RSA-PSS with an unknown mask function"));
    }
    hash(&mut reader)
}

fn hash(reader: &mut Reader<'_>) -> Result<Hash, Malformed> {
    let mut identifier = reader.expect(SEQUENCE)?.reader();
    reader.end()?;
    Hash::from_oid(identifier.object()?).ok_or(Malformed("RSA-PSS with an unknown digest"))
}

fn number(field: &Element<'_>) -> Result<u16, Malformed> {
    let content = der::integer(der::only(field.content, INTEGER)?.content)?;
    der::small(content)
        .and_then(|value| u16::try_from(value).ok())
        .ok_or(Malformed("RSA-PSS with an impossible number"))
}
