//! Writing PKCS#12 (RFC 7292): a key with its chain, or roots as a Java truststore.
//!
//! The same content under the same password gives the same bytes: salts and initialisation vectors are derived from
//! both, as the deterministic signatures of RFC 6979 derive theirs. The passwords are ours, random and long, so that
//! neither salts nor many iterations have a guess to slow down.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::{hmac, pbkdf2};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockEncryptMut as _, KeyIvInit as _};
use pkcs8::ObjectIdentifier;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::der::{INTEGER, OCTET_STRING, OID, SEQUENCE, SET, context, oid, sequence, tlv};
use super::{Certificate, Identity};

/// How a PKCS#12 file is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// PBES2 with AES-256-CBC, and SHA-256: OpenSSL 1.0, Java 8u301, Windows Server 2019, and later.
    Modern,
    /// Three-key triple DES and SHA-1: what everything reads that reads PKCS#12 at all.
    Legacy,
}

/// What OpenSSL writes.
const ITERATIONS: u32 = 2048;
/// That count in DER, and as its own type for PBKDF2.
const ITERATIONS_DER: [u8; 4] = [INTEGER, 2, 0x08, 0x00];
const ITERATIONS_NONZERO: std::num::NonZeroU32 =
    std::num::NonZeroU32::new(ITERATIONS).expect("it is not zero");

const DATA: &str = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
const SHROUDED_KEY_BAG: &str = "1.2.840.113549.1.12.10.1.2";
const CERT_BAG: &str = "1.2.840.113549.1.12.10.1.3";
const X509_CERTIFICATE: &str = "1.2.840.113549.1.9.22.1";
const FRIENDLY_NAME: &str = "1.2.840.113549.1.9.20";
const LOCAL_KEY_ID: &str = "1.2.840.113549.1.9.21";
/// Oracle's mark of a trusted certificate, without which Java takes a certificate for no trust anchor; and what it
/// is trusted for: any extended key usage.
const TRUSTED_KEY_USAGE: &str = "2.16.840.1.113894.746875.1.1";
const ANY_EXTENDED_KEY_USAGE: &str = "2.5.29.37.0";
const BMP_STRING: u8 = 0x1e;
const NULL: [u8; 2] = [0x05, 0x00];

/// A key and its chain under that alias. Java drivers look for the alias `user`.
#[must_use]
pub fn key_store(
    identity: &Identity,
    alias: &str,
    password: &SecretString,
    strength: Strength,
) -> Zeroizing<Vec<u8>> {
    let sealer = Sealer { password, strength };
    let id = digest(&digest::SHA256, identity.leaf().der());
    let marks = [
        friendly_name(alias),
        attribute(LOCAL_KEY_ID, &tlv(OCTET_STRING, &id.as_ref()[..20])),
    ];
    let certificates: Vec<_> = (identity.chain().iter().enumerate())
        .map(|(index, certificate)| certificate_bag(certificate, if index == 0 { &marks } else { &[] }))
        .collect();
    let key = bag(
        SHROUDED_KEY_BAG,
        &sealer.shroud(identity.key().pkcs8_der()),
        &marks,
    );
    sealer.pfx(&[
        sealer.encrypted(&certificates.concat()),
        plain(&tlv(SEQUENCE, &key)),
    ])
}

/// Roots that Java trusts, under the aliases `root`, `root-2`, ….
#[must_use]
pub fn trust_store(roots: &[Certificate], password: &SecretString) -> Zeroizing<Vec<u8>> {
    let sealer = Sealer {
        password,
        strength: Strength::Modern,
    };
    let trusted = attribute(
        TRUSTED_KEY_USAGE,
        &tlv(
            OID,
            ObjectIdentifier::new_unwrap(ANY_EXTENDED_KEY_USAGE).as_bytes(),
        ),
    );
    let certificates: Vec<_> = (roots.iter().enumerate())
        .map(|(index, root)| {
            let alias = match index {
                0 => "root".to_owned(),
                index => format!("root-{}", index + 1),
            };
            certificate_bag(root, &[friendly_name(&alias), trusted.clone()])
        })
        .collect();
    sealer.pfx(&[sealer.encrypted(&certificates.concat())])
}

/// A password, and what is done with it.
struct Sealer<'a> {
    password: &'a SecretString,
    strength: Strength,
}

impl Sealer<'_> {
    /// The whole file around its contents (section 4).
    fn pfx(&self, contents: &[Vec<u8>]) -> Zeroizing<Vec<u8>> {
        let safe = tlv(SEQUENCE, &contents.concat());
        let salt = self.derived("mac", &safe);
        let (key_algorithm, hash, digest_oid) = match self.strength {
            Strength::Modern => (hmac::HMAC_SHA256, &digest::SHA256, "2.16.840.1.101.3.4.2.1"),
            Strength::Legacy => (
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
                "1.3.14.3.2.26",
            ),
        };
        let key = derive(hash, Purpose::Mac, self.password, &salt, hash.output_len());
        let mac = hmac::sign(&hmac::Key::new(key_algorithm, &key), &safe);
        let mac_data = sequence(&[
            &sequence(&[
                &sequence(&[&named(digest_oid), &NULL]),
                &tlv(OCTET_STRING, mac.as_ref()),
            ]),
            &tlv(OCTET_STRING, &salt),
            &ITERATIONS_DER,
        ]);
        Zeroizing::new(sequence(&[&[INTEGER, 1, 3], &plain(&safe), &mac_data]))
    }

    /// Bags, encrypted (RFC 5652 section 8).
    fn encrypted(&self, bags: &[u8]) -> Vec<u8> {
        let (algorithm, ciphertext) = self.encrypt(&tlv(SEQUENCE, bags));
        // `[0] IMPLICIT OCTET STRING` is primitive: without the bit that `context` sets.
        let content = sequence(&[&named(DATA), &algorithm, &tlv(context(0) & !0x20, &ciphertext)]);
        let data = sequence(&[&[INTEGER, 1, 0], &content]);
        sequence(&[&named(ENCRYPTED_DATA), &tlv(context(0), &data)])
    }

    /// A key as `EncryptedPrivateKeyInfo` (RFC 5958 section 3).
    fn shroud(&self, pkcs8: &[u8]) -> Vec<u8> {
        let (algorithm, ciphertext) = self.encrypt(pkcs8);
        sequence(&[&algorithm, &tlv(OCTET_STRING, &ciphertext)])
    }

    /// The identifier of the algorithm with its parameters, and the ciphertext.
    fn encrypt(&self, plaintext: &[u8]) -> (Vec<u8>, Vec<u8>) {
        match self.strength {
            Strength::Modern => self.pbes2(plaintext),
            Strength::Legacy => self.triple_des(plaintext),
        }
    }

    /// PBES2 (RFC 8018 section 6.2) with AES-256-CBC and HMAC-SHA-256.
    fn pbes2(&self, plaintext: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (salt, iv) = (self.derived("salt", plaintext), self.derived("iv", plaintext));
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS_NONZERO,
            &salt,
            self.password.expose_secret().as_bytes(),
            &mut *key,
        );
        let ciphertext = cbc::Encryptor::<aes::Aes256>::new((&*key).into(), (&iv).into())
            .encrypt_padded_vec_mut::<Pkcs7>(plaintext);
        let derivation = sequence(&[
            &named("1.2.840.113549.1.5.12"),
            &sequence(&[
                &tlv(OCTET_STRING, &salt),
                &ITERATIONS_DER,
                &sequence(&[&named("1.2.840.113549.2.9"), &NULL]),
            ]),
        ]);
        let cipher = sequence(&[&named("2.16.840.1.101.3.4.1.42"), &tlv(OCTET_STRING, &iv)]);
        let algorithm = sequence(&[
            &named("1.2.840.113549.1.5.13"),
            &sequence(&[&derivation, &cipher]),
        ]);
        (algorithm, ciphertext)
    }

    /// `pbeWithSHAAnd3-KeyTripleDES-CBC` (appendix C).
    fn triple_des(&self, plaintext: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let salt = self.derived("salt", plaintext);
        let hash = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let mut key = Zeroizing::new([0; 24]);
        key.copy_from_slice(&derive(hash, Purpose::Key, self.password, &salt, 24));
        let mut iv = [0; 8];
        iv.copy_from_slice(&derive(hash, Purpose::Iv, self.password, &salt, 8));
        let ciphertext = cbc::Encryptor::<des::TdesEde3>::new((&*key).into(), (&iv).into())
            .encrypt_padded_vec_mut::<Pkcs7>(plaintext);
        let parameters = sequence(&[&tlv(OCTET_STRING, &salt), &ITERATIONS_DER]);
        (
            sequence(&[&named("1.2.840.113549.1.12.1.3"), &parameters]),
            ciphertext,
        )
    }

    /// Sixteen bytes that only who has the password could tell, other ones for each use and content.
    fn derived(&self, purpose: &str, content: &[u8]) -> [u8; 16] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.password.expose_secret().as_bytes());
        let mut mac = hmac::Context::with_key(&key);
        mac.update(format!("pgtls pkcs12 {purpose} {:?}\0", self.strength).as_bytes());
        mac.update(content);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&mac.sign().as_ref()[..16]);
        bytes
    }
}

/// What a key is derived for (appendix B.3).
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// The key derivation of PKCS#12 (appendix B.2); both digests have blocks of 64 bytes.
fn derive(
    hash: &'static digest::Algorithm,
    purpose: Purpose,
    password: &SecretString,
    salt: &[u8],
    length: usize,
) -> Zeroizing<Vec<u8>> {
    const BLOCK: usize = 64;
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(
        (password.expose_secret().encode_utf16())
            .chain([0])
            .flat_map(u16::to_be_bytes)
            .collect(),
    );
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.iter().copied().cycle().take(length).collect()
    };
    let mut input = Zeroizing::new([filled(salt), filled(&text)].concat());
    let mut out = Zeroizing::new(Vec::with_capacity(length + hash.output_len()));
    while out.len() < length {
        let mut first = digest::Context::new(hash);
        first.update(&[purpose as u8; BLOCK]);
        first.update(&input);
        let mut block = first.finish();
        for _ in 1..ITERATIONS {
            block = digest(hash, block.as_ref());
        }
        out.extend_from_slice(block.as_ref());
        // Each block of the input grows by the digest, repeated, plus one, as one big number.
        for chunk in input.chunks_mut(BLOCK) {
            let mut carry = 1;
            for (index, byte) in chunk.iter_mut().enumerate().rev() {
                let sum = u16::from(*byte) + u16::from(block.as_ref()[index % hash.output_len()]) + carry;
                let [high, low] = sum.to_be_bytes();
                carry = u16::from(high);
                *byte = low;
            }
        }
    }
    out.truncate(length);
    out
}

/// `Data` (RFC 5652 section 4).
fn plain(content: &[u8]) -> Vec<u8> {
    sequence(&[&named(DATA), &tlv(context(0), &tlv(OCTET_STRING, content))])
}

fn certificate_bag(certificate: &Certificate, attributes: &[Vec<u8>]) -> Vec<u8> {
    let value = tlv(context(0), &tlv(OCTET_STRING, certificate.der()));
    bag(
        CERT_BAG,
        &sequence(&[&named(X509_CERTIFICATE), &value]),
        attributes,
    )
}

/// A bag (section 4.2); the attributes are a set, which DER sorts.
fn bag(kind: &'static str, value: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut attributes = attributes.to_vec();
    attributes.sort();
    let attributes = match attributes.as_slice() {
        [] => Vec::new(),
        some => tlv(SET, &some.concat()),
    };
    sequence(&[&named(kind), &tlv(context(0), value), &attributes])
}

fn friendly_name(name: &str) -> Vec<u8> {
    let text: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    attribute(FRIENDLY_NAME, &tlv(BMP_STRING, &text))
}

fn attribute(kind: &'static str, value: &[u8]) -> Vec<u8> {
    sequence(&[&named(kind), &tlv(SET, value)])
}

fn named(text: &'static str) -> Vec<u8> {
    oid(ObjectIdentifier::new_unwrap(text))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::{Algorithm, Authority};
    use super::*;

    #[test]
    fn the_key_derivation_is_that_of_the_standard() {
        // Known answers for SHA-1 with one iteration do not apply to our count: `openssl` is asked in the tests of
        // the whole program. Here: lengths, and that every input matters.
        let password = |text: &str| SecretString::from(text);
        let hash = &digest::SHA256;
        let one = derive(hash, Purpose::Key, &password("a"), b"salt", 48);
        assert_eq!(one.len(), 48);
        for other in [
            derive(hash, Purpose::Iv, &password("a"), b"salt", 48),
            derive(hash, Purpose::Key, &password("b"), b"salt", 48),
            derive(hash, Purpose::Key, &password("a"), b"tlas", 48),
        ] {
            assert_ne!(*one, *other);
        }
    }

    #[test]
    fn the_same_content_and_password_give_the_same_file_and_others_another() {
        let now = datetime!(2026-01-01 00:00 UTC);
        let authority = Authority::create("CA", Algorithm::P256, 100, now).unwrap();
        let identity = authority.issue_client("app", Algorithm::P256, 10, now).unwrap();
        let file =
            |password: &str, strength| key_store(&identity, "user", &SecretString::from(password), strength);
        assert_eq!(*file("one", Strength::Modern), *file("one", Strength::Modern));
        assert_ne!(*file("one", Strength::Modern), *file("two", Strength::Modern));
        assert_ne!(*file("one", Strength::Modern), *file("one", Strength::Legacy));
    }
}
