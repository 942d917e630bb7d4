//! Certificates and lists with anything at all in them, signed for real: each name has a key of its own.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::judge::der::{
    self, BIT_STRING, BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, UTC_TIME,
};
use crate::judge::oid;

pub const NOW: OffsetDateTime = datetime!(2030-06-01 12:00 UTC);
/// `ecdsa-with-SHA256` (RFC 5758 section 3.2).
pub const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// In DER.
pub type Forged = Vec<u8>;

/// The private keys of names, and what they have signed: made once, so that a draft is the same certificate each time.
#[derive(Default)]
struct Keys {
    pairs: BTreeMap<String, EcdsaKeyPair>,
    signatures: BTreeMap<(String, Vec<u8>), Vec<u8>>,
}

static KEYS: LazyLock<Mutex<Keys>> = LazyLock::new(Mutex::default);

impl Keys {
    fn of(&mut self, name: &str) -> &EcdsaKeyPair {
        let make = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        self.pairs.entry(name.to_owned()).or_insert_with(make)
    }
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der::encode(SEQUENCE, &parts.concat())
}

/// A `Name` with one attribute after another.
pub fn name_of(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let rdns: Vec<_> = attributes
        .iter()
        .map(|(oid, tag, value)| {
            let pair = sequence(&[&der::encode(OID, oid), &der::encode(*tag, value)]);
            der::encode(SET, &pair)
        })
        .collect();
    der::encode(SEQUENCE, &rdns.concat())
}

pub fn common_name(text: &str) -> Vec<u8> {
    name_of(&[(oid::COMMON_NAME, 0x0c, text.as_bytes())])
}

/// A date as RFC 5280 section 4.1.2.5 writes it.
pub fn date(text: &str) -> Vec<u8> {
    let tag = if text.len() > 13 {
        GENERALIZED_TIME
    } else {
        UTC_TIME
    };
    der::encode(tag, text.as_bytes())
}

fn public_key(name: &str) -> Vec<u8> {
    let mut keys = KEYS.lock().unwrap();
    let point = keys.of(name).public_key().as_ref().to_vec();
    let algorithm = sequence(&[&der::encode(OID, oid::EC), P256]);
    sequence(&[&algorithm, &der::encode(BIT_STRING, &[&[0], &point[..]].concat())])
}

pub fn sign(by: &str, message: &[u8]) -> Vec<u8> {
    let mut keys = KEYS.lock().unwrap();
    let signing = (by.to_owned(), message.to_vec());
    if let Some(known) = keys.signatures.get(&signing) {
        return known.clone();
    }
    let signature = keys.of(by).sign(&SystemRandom::new(), message).unwrap();
    let signature = signature.as_ref().to_vec();
    keys.signatures.insert(signing, signature.clone());
    signature
}

fn sealed(part: &[u8], algorithm: &[u8], by: &str, damage: bool) -> Forged {
    let mut signature = sign(by, part);
    if damage {
        let last = signature.len() - 1;
        signature[last] ^= 1;
    }
    let signature = der::encode(BIT_STRING, &[&[0], &signature[..]].concat());
    sequence(&[part, algorithm, &signature])
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical {
        der::encode(BOOLEAN, &[0xff])
    } else {
        Vec::new()
    };
    sequence(&[
        &der::encode(OID, oid),
        &critical,
        &der::encode(OCTET_STRING, value),
    ])
}

/// The identifier of a name's key, as good as any.
pub fn key_id(name: &str) -> Vec<u8> {
    format!("key of {name}").into_bytes()
}

/// A certificate in the making.
#[derive(Clone)]
pub struct Draft {
    /// One less than the number that people call it by; `None`: version 1.
    pub version: Option<u8>,
    pub serial: Vec<u8>,
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    pub dates: [Vec<u8>; 2],
    pub public_key: Vec<u8>,
    /// In the signed part, and beside the signature.
    pub algorithms: [Vec<u8>; 2],
    pub damaged: bool,
    /// What stands behind it in a `TRUSTED CERTIFICATE` block.
    pub settings: Vec<u8>,
    extensions: Vec<(Vec<u8>, Vec<u8>)>,
    signer: String,
}

impl Draft {
    fn of(name: &str) -> Self {
        Self {
            version: Some(2),
            serial: vec![0x10, 0x01],
            subject: common_name(name),
            issuer: common_name(name),
            dates: [date("200101000000Z"), date("490101000000Z")],
            public_key: public_key(name),
            algorithms: [ECDSA_SHA256.to_vec(), ECDSA_SHA256.to_vec()],
            damaged: false,
            settings: Vec::new(),
            extensions: Vec::new(),
            signer: name.to_owned(),
        }
    }

    /// A CA that signs itself.
    pub fn ca(name: &str) -> Self {
        Self::of(name)
            .with(oid::BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff")
            .with(oid::KEY_USAGE, true, b"\x03\x02\x01\x06")
            .with(
                oid::SUBJECT_KEY_ID,
                false,
                &der::encode(OCTET_STRING, &key_id(name)),
            )
    }

    /// A server's certificate, of the CA `Root`.
    pub fn leaf() -> Self {
        Self::of("db.example.org")
            .with(oid::BASIC_CONSTRAINTS, true, b"\x30\x00")
            .with(oid::SUBJECT_ALT_NAME, false, b"\x30\x10\x82\x0edb.example.org")
            .by("Root")
    }

    /// Issued by the CA of that name.
    pub fn by(mut self, ca: &str) -> Self {
        self.issuer = common_name(ca);
        self.signer = ca.to_owned();
        self
    }

    /// Signed with the key of that name, whatever the issuer is called.
    pub fn signed_by(mut self, key: &str) -> Self {
        key.clone_into(&mut self.signer);
        self
    }

    /// With this extension in the place of one of its kind.
    pub fn with(self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        self.without(oid).and(oid, critical, value)
    }

    /// With this extension beside whatever there is.
    pub fn and(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        self.extensions
            .push((oid.to_vec(), extension(oid, critical, value)));
        self
    }

    pub fn without(mut self, oid: &[u8]) -> Self {
        self.extensions.retain(|(known, _)| known != oid);
        self
    }

    /// Version 1, which has no extensions (RFC 5280 section 4.1.2.1).
    pub fn v1(mut self) -> Self {
        self.version = None;
        self.extensions.clear();
        self
    }

    pub fn dated(mut self, from: &str, to: &str) -> Self {
        self.dates = [date(from), date(to)];
        self
    }

    pub fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn der(&self) -> Forged {
        let version = self.version.map_or_else(Vec::new, |version| {
            der::encode(0xa0, &der::encode(INTEGER, &[version]))
        });
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            let all: Vec<_> = self
                .extensions
                .iter()
                .flat_map(|(_, extension)| extension.clone())
                .collect();
            der::encode(0xa3, &der::encode(SEQUENCE, &all))
        };
        let part = sequence(&[
            &version,
            &der::encode(INTEGER, &self.serial),
            &self.algorithms[0],
            &self.issuer,
            &sequence(&[&self.dates[0], &self.dates[1]]),
            &self.subject,
            &self.public_key,
            &extensions,
        ]);
        let mut der = sealed(&part, &self.algorithms[1], &self.signer, self.damaged);
        der.extend(&self.settings);
        der
    }
}

/// A revocation list in the making.
#[derive(Clone)]
pub struct List {
    pub version: Vec<u8>,
    /// The algorithm in the signed part.
    pub algorithm: Vec<u8>,
    pub issuer: Vec<u8>,
    pub updates: [Vec<u8>; 2],
    pub damaged: bool,
    signer: String,
    entries: Vec<u8>,
    extensions: Vec<u8>,
}

impl List {
    pub fn of(ca: &str) -> Self {
        Self {
            version: der::encode(INTEGER, &[1]),
            algorithm: ECDSA_SHA256.to_vec(),
            issuer: common_name(ca),
            updates: [date("300501000000Z"), date("300701000000Z")],
            damaged: false,
            signer: ca.to_owned(),
            entries: Vec::new(),
            extensions: Vec::new(),
        }
    }

    pub fn signed_by(mut self, key: &str) -> Self {
        key.clone_into(&mut self.signer);
        self
    }

    /// With an entry about this serial number; its extensions as OID, whether critical, value.
    pub fn revoking(mut self, serial: &[u8], extensions: &[(&[u8], bool, &[u8])]) -> Self {
        let all: Vec<u8> = extensions
            .iter()
            .flat_map(|(oid, critical, value)| extension(oid, *critical, value))
            .collect();
        let all = if all.is_empty() {
            all
        } else {
            der::encode(SEQUENCE, &all)
        };
        let entry = [&der::encode(INTEGER, serial)[..], &date("300502000000Z"), &all];
        self.entries.extend(sequence(&entry));
        self
    }

    pub fn with(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        self.extensions.extend(extension(oid, critical, value));
        self
    }

    pub fn dated(mut self, from: &str, to: &str) -> Self {
        self.updates = [date(from), date(to)];
        self
    }

    pub fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn der(&self) -> Forged {
        let entries = if self.entries.is_empty() {
            Vec::new()
        } else {
            der::encode(SEQUENCE, &self.entries)
        };
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            der::encode(0xa0, &der::encode(SEQUENCE, &self.extensions))
        };
        let part = sequence(&[
            &self.version,
            &self.algorithm,
            &self.issuer,
            &self.updates[0],
            &self.updates[1],
            &entries,
            &extensions,
        ]);
        sealed(&part, ECDSA_SHA256, &self.signer, self.damaged)
    }
}
