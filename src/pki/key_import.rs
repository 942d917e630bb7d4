//! Reading private keys: PKCS#8, PKCS#1 and SEC1 in PEM, plain or encrypted, and in DER.

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use pkcs8::der::asn1::{AnyRef, ContextSpecific, OctetStringRef, UintRef};
use pkcs8::der::{Decode as _, Reader as _, TagNumber};
use pkcs8::pkcs5::pbes2::{Kdf, PBES2_OID};
use pkcs8::{EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::kind::{EC_PUBLIC_KEY, ED25519, RSA_ENCRYPTION, RSASSA_PSS, bit_length};
use super::pem::{self, Block};
use super::{KeyError, KeyKind, PrivateKey, key, traditional};

/// The most work that a key file may ask for before it opens. OWASP's advice for stored passwords is 600 000 rounds.
const MOST_PBKDF2_ITERATIONS: u32 = 5_000_000;
const MOST_SCRYPT_BYTES: u64 = 1 << 30;

impl PrivateKey {
    /// Reads the first private key of a PEM file; certificates around it are skipped.
    ///
    /// Reads PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 appendix A.1.2) and SEC1 (RFC 5915); encrypted as PKCS#8 with
    /// PBES2 (PBKDF2 or scrypt; AES or 3DES in CBC mode; RFC 8018) or in OpenSSL's traditional way (`DEK-Info`).
    /// The passphrase of a key that is not encrypted is not looked at.
    pub fn from_pem(file: &[u8], passphrase: Option<&SecretString>) -> Result<Self, KeyError> {
        Self::any_from_pem(file, passphrase)?.for_every_use()
    }

    fn any_from_pem(file: &[u8], passphrase: Option<&SecretString>) -> Result<Self, KeyError> {
        let blocks = pem::blocks(file)?;
        let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
            return Err(KeyError::NotAKey {
                found: describe(&blocks),
            });
        };
        match block.label.as_str() {
            "PRIVATE KEY" => from_pkcs8(block.in_the_clear()?),
            "ENCRYPTED PRIVATE KEY" => from_encrypted(block.in_the_clear()?, passphrase),
            "RSA PRIVATE KEY" => from_traditional(block, passphrase, from_pkcs1),
            "EC PRIVATE KEY" => from_traditional(block, passphrase, from_sec1),
            "OPENSSH PRIVATE KEY" => Err(KeyError::UnsupportedKind {
                found: "OpenSSH".into(),
                remedy: "; convert a copy of it with \"ssh-keygen -p -m PKCS8 -f COPY\"",
            }),
            other => Err(KeyError::UnsupportedKind {
                found: other.trim_end_matches("PRIVATE KEY").trim().to_owned(),
                remedy: "",
            }),
        }
    }
}

impl PrivateKey {
    /// Reads a key file as libpq reads `sslkey`: as PEM, and where that fails as DER, which must not be encrypted
    /// (<https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-SSLKEY>).
    pub fn from_file(file: &[u8], passphrase: Option<&SecretString>) -> Result<Self, KeyError> {
        Self::of_client(file, passphrase)?.for_every_use()
    }

    /// The same, and a key for RSA-PSS alone (RFC 4055) too, with which a client can sign in a handshake.
    pub fn of_client(file: &[u8], passphrase: Option<&SecretString>) -> Result<Self, KeyError> {
        let refused = match Self::any_from_pem(file, passphrase) {
            Err(KeyError::Pem(refused)) => refused,
            outcome => return outcome,
        };
        let der = first_element(file);
        for read in [from_pkcs8, from_pkcs1, from_sec1] {
            match read(der) {
                Err(KeyError::Damaged { .. }) => {}
                outcome => return outcome,
            }
        }
        Err(KeyError::Pem(refused))
    }

    /// Unless it is one that only a handshake can do something with.
    fn for_every_use(self) -> Result<Self, KeyError> {
        match self.kind() {
            KeyKind::RsaPss(_) => Err(unsupported(&KeyKind::other(&RSASSA_PSS.to_string()))),
            _ => Ok(self),
        }
    }
}

impl Block {
    /// Whether this private key of an older kind is there in the clear and cannot be read at all.
    pub(super) fn is_damaged_key(&self) -> Result<bool, pem::PemError> {
        if self.has_long_header() {
            // OpenSSL takes it for encrypted, and leaves it alone.
            return Ok(false);
        }
        let bytes = self.in_the_clear()?;
        let read = match self.label.as_str() {
            "RSA PRIVATE KEY" => from_pkcs1(bytes),
            "EC PRIVATE KEY" => from_sec1(bytes),
            _ => AnyRef::from_der(bytes)
                .map_err(|_| damaged("DSA"))
                .and_then(|_| Err(unsupported(&KeyKind::other("DSA")))),
        };
        Ok(matches!(read, Err(KeyError::Damaged { .. })))
    }
}

/// The first DER element, without what may follow it.
pub(super) fn first_element(bytes: &[u8]) -> &[u8] {
    let length = AnyRef::decode(&mut match pkcs8::der::SliceReader::new(bytes) {
        Ok(reader) => reader,
        Err(_) => return bytes,
    })
    .and_then(|any| pkcs8::der::Encode::encoded_len(&any));
    length
        .ok()
        .and_then(|length| usize::try_from(length).ok())
        .and_then(|length| bytes.get(..length))
        .unwrap_or(bytes)
}

fn describe(blocks: &[Block]) -> String {
    let label = blocks.first().map_or("", |block| block.label.as_str());
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
            "a certificate: its key is in another file, often named .key".into()
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => "a certificate request".into(),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key: the private half is needed".into(),
        "EC PARAMETERS" => "the parameters of a curve without a key".into(),
        other => format!("a block \"BEGIN {other}\""),
    }
}

fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| damaged("PKCS#8"))?;
    if info.algorithm.oid == RSA_ENCRYPTION {
        return from_pkcs1(info.private_key);
    }
    if info.algorithm.oid == RSASSA_PSS {
        return from_pkcs1(info.private_key).map(|rsa| rsa.for_pss_alone(der));
    }
    if info.algorithm.oid == ED25519 {
        // The seed is an OCTET STRING within the OCTET STRING (RFC 8410 section 7).
        let pair = match OctetStringRef::from_der(info.private_key) {
            Ok(seed) => match info.public_key {
                Some(public) => Ed25519KeyPair::from_seed_and_public_key(seed.as_bytes(), public),
                None => Ed25519KeyPair::from_seed_unchecked(seed.as_bytes()),
            },
            Err(_) => return Err(damaged("Ed25519")),
        };
        return PrivateKey::from_ed25519(&pair.map_err(|_| damaged("Ed25519"))?);
    }
    if info.algorithm.oid == EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters.and_then(|any| any.decode_as().ok());
        return from_ec(der, curve);
    }
    Err(unsupported(&KeyKind::other(&info.algorithm.oid.to_string())))
}

fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let modulus = AnyRef::from_der(der).and_then(|any| {
        any.sequence(|fields| {
            let _version = UintRef::decode(fields)?;
            let modulus = UintRef::decode(fields)?;
            fields.read_slice(fields.remaining_len())?;
            Ok(bit_length(modulus.as_bytes()))
        })
    });
    match modulus.map_err(|_| damaged("RSA"))? {
        bits @ 0..2048 => Err(KeyError::TooWeak { bits }),
        bits @ 8193.. => Err(unsupported(&KeyKind::Other(format!("RSA {bits} (at most 8192)")))),
        _ => PrivateKey::from_rsa(&RsaKeyPair::from_der(der).map_err(|_| damaged("RSA"))?),
    }
}

fn from_sec1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let curve = AnyRef::from_der(der).and_then(|any| {
        any.sequence(|fields| {
            let _version = UintRef::decode(fields)?;
            let _secret = OctetStringRef::decode(fields)?;
            let parameters = ContextSpecific::<AnyRef<'_>>::decode_explicit(fields, TagNumber::N0)?;
            fields.read_slice(fields.remaining_len())?;
            Ok(parameters.and_then(|field| field.value.decode_as().ok()))
        })
    });
    from_ec(der, curve.map_err(|_| damaged("EC"))?)
}

/// `der` is PKCS#8 or SEC1; without a curve it spells the curve's numbers out.
fn from_ec(der: &[u8], curve: Option<ObjectIdentifier>) -> Result<PrivateKey, KeyError> {
    let Some(curve) = curve else {
        return Err(KeyError::UnsupportedKind {
            found: "EC with explicit curve parameters".into(),
            remedy: "; convert it with \"openssl ec -in OLD -out NEW -param_enc named_curve\"",
        });
    };
    let kind = KeyKind::of_curve(curve);
    let Some((signing, _)) = key::ec_signing(&kind) else {
        return Err(unsupported(&kind));
    };
    let pair = EcdsaKeyPair::from_private_key_der(signing, der).map_err(|_| damaged(&kind.to_string()))?;
    PrivateKey::from_ec(&pair, kind)
}

fn from_encrypted(der: &[u8], passphrase: Option<&SecretString>) -> Result<PrivateKey, KeyError> {
    let info = EncryptedPrivateKeyInfo::try_from(der).map_err(|_| match outer_algorithm(der) {
        Some(oid) => unsupported_encryption(oid),
        None => damaged("encrypted PKCS#8"),
    })?;
    let Some(pbes2) = info.encryption_algorithm.pbes2() else {
        return Err(unsupported_encryption(info.encryption_algorithm.oid()));
    };
    let bounded = match &pbes2.kdf {
        Kdf::Pbkdf2(parameters) => parameters.iteration_count <= MOST_PBKDF2_ITERATIONS,
        Kdf::Scrypt(parameters) => {
            let bytes = u128::from(parameters.cost_parameter)
                * u128::from(parameters.block_size)
                * u128::from(parameters.parallelization)
                * 128;
            bytes <= u128::from(MOST_SCRYPT_BYTES)
        }
        _ => false,
    };
    if !bounded {
        return Err(KeyError::UnsupportedEncryption {
            found: "a key derivation that would take minutes or gigabytes".into(),
        });
    }
    let passphrase = passphrase.ok_or(KeyError::NeedsPassphrase)?;
    let plain = match info.decrypt(passphrase.expose_secret()) {
        Ok(plain) => plain,
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { oid })) => {
            return Err(unsupported_encryption(oid));
        }
        // One wrong passphrase in 256 yields valid padding, and then no valid PKCS#8.
        Err(_) => return Err(KeyError::WrongPassphrase),
    };
    from_pkcs8(plain.as_bytes())
}

fn unsupported_encryption(algorithm: ObjectIdentifier) -> KeyError {
    let oid = algorithm.to_string();
    let found = match oid.rsplit_once('.') {
        // RFC 8018 appendix A.3, RFC 7292 appendix C
        Some(("1.2.840.113549.1.5" | "1.2.840.113549.1.12.1", _)) if algorithm != PBES2_OID => {
            format!("PBES1 or PKCS#12 ciphers ({oid})")
        }
        _ => format!("algorithm {oid}"),
    };
    KeyError::UnsupportedEncryption { found }
}

/// The algorithm of an `EncryptedPrivateKeyInfo` whose parameters could not be read.
fn outer_algorithm(der: &[u8]) -> Option<ObjectIdentifier> {
    let algorithm = AnyRef::from_der(der).and_then(|any| {
        any.sequence(|fields| {
            let algorithm = pkcs8::AlgorithmIdentifierRef::decode(fields)?;
            fields.read_slice(fields.remaining_len())?;
            Ok(algorithm.oid)
        })
    });
    algorithm.ok()
}

fn from_traditional(
    block: &Block,
    passphrase: Option<&SecretString>,
    read: fn(&[u8]) -> Result<PrivateKey, KeyError>,
) -> Result<PrivateKey, KeyError> {
    if !block.is_encrypted()? {
        return read(&block.bytes);
    }
    let information = block.header("DEK-Info").unwrap_or_default();
    let cipher = traditional::Cipher::parse(information)?;
    let passphrase = passphrase.ok_or(KeyError::NeedsPassphrase)?;
    let plain: Zeroizing<Vec<u8>> = cipher.decrypt(passphrase, &block.bytes)?;
    match read(&plain) {
        // Garbage behind valid padding: the passphrase was wrong after all.
        Err(KeyError::Damaged { .. }) => Err(KeyError::WrongPassphrase),
        result => result,
    }
}

fn damaged(kind: &str) -> KeyError {
    KeyError::Damaged {
        kind: kind.to_owned(),
    }
}

fn unsupported(kind: &KeyKind) -> KeyError {
    KeyError::UnsupportedKind {
        found: kind.to_string(),
        remedy: "",
    }
}
