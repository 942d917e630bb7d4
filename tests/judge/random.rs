//! Chains and trust files with faults thrown together by a die, always the same throws: whatever rules meet in one
//! chain, the verdict is OpenSSL's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgtls::judge::{Purpose, TrustStore, judge_chain};
use pgtls::pki::Bundle;
use rustls::pki_types::CertificateDer;

use super::NOW;
use super::workshop::Workshop;

const CASES: usize = 300;

/// xorshift64*: good enough for throws, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let thrown = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(thrown).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match u8::try_from(length) {
        Ok(short) if short < 0x80 => vec![tag, short],
        _ => {
            let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
            vec![tag, 0x82, high, low]
        }
    };
    [&header, content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn name(text: &str, tag: u8) -> Vec<u8> {
    let pair = sequence(&[b"\x06\x03\x55\x04\x03", &tlv(tag, text.as_bytes())]);
    tlv(0x30, &tlv(0x31, &pair))
}

/// OID in DER, whether critical, value.
type Extension = (&'static [u8], bool, &'static [u8]);

const CONSTRAINTS: &[u8] = b"\x06\x03\x55\x1d\x13";
const USAGE: &[u8] = b"\x06\x03\x55\x1d\x0f";
const USES: &[u8] = b"\x06\x03\x55\x1d\x25";
const NAMES: &[u8] = b"\x06\x03\x55\x1d\x11";
const NAME_CONSTRAINTS: &[u8] = b"\x06\x03\x55\x1d\x1e";
const KEY_ID: &[u8] = b"\x06\x03\x55\x1d\x0e";
const ISSUER_KEY_ID: &[u8] = b"\x06\x03\x55\x1d\x23";
const UNKNOWN: &[u8] = b"\x06\x03\x2a\x03\x04";
const POLICIES: &[u8] = b"\x06\x03\x55\x1d\x20";
const OLD_TYPE: &[u8] = b"\x06\x09\x60\x86\x48\x01\x86\xf8\x42\x01\x01";

const OF_A_CA: [Extension; 2] = [
    (CONSTRAINTS, true, b"\x30\x03\x01\x01\xff"),
    (USAGE, true, b"\x03\x02\x01\x06"),
];
const OF_A_LEAF: [Extension; 2] = [
    (CONSTRAINTS, true, b"\x30\0"),
    (NAMES, false, b"\x30\x10\x82\x0edb.example.org"),
];

/// Each takes the place of its like, where there is one.
const ODD: &[Extension] = &[
    (CONSTRAINTS, true, b"\x30\0"),
    (CONSTRAINTS, false, b"\x30\x03\x01\x01\xff"),
    (CONSTRAINTS, true, b"\x30\x03\x01\x01\x01"),
    (CONSTRAINTS, true, b"\x30\x06\x01\x01\xff\x02\x01\0"),
    (CONSTRAINTS, true, b"\x30\x06\x01\x01\xff\x02\x01\x01"),
    (CONSTRAINTS, true, b"\x05\0"),
    (USAGE, true, b"\x03\x02\x07\x80"),
    (USAGE, true, b"\x03\x02\x02\x04"),
    (USAGE, false, b"\x03\x02\x01\x02"),
    (USAGE, false, b"\x03\x02\x05\x20"),
    (USAGE, false, b"\x03\x02\0\0"),
    (USES, false, b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"),
    (USES, true, b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"),
    (USES, false, b"\x30\x06\x06\x04\x55\x1d\x25\0"),
    (NAMES, true, b"\x30\x03\x82\x01a"),
    (NAMES, false, b"\x30\x06\x87\x04\x0a\x01\x02\x03"),
    (NAMES, false, b"\x30\0"),
    (NAMES, false, b"\x30\x03\x82\x09a"),
    (
        NAME_CONSTRAINTS,
        true,
        b"\x30\x0f\xa0\x0d\x30\x0b\x82\x09ample.org",
    ),
    (
        NAME_CONSTRAINTS,
        true,
        b"\x30\x11\xa0\x0f\x30\x0d\x82\x0bexample.org",
    ),
    (
        NAME_CONSTRAINTS,
        false,
        b"\x30\x11\xa1\x0f\x30\x0d\x82\x0bexample.org",
    ),
    (
        NAME_CONSTRAINTS,
        true,
        b"\x30\x0e\xa0\x0c\x30\x0a\x87\x08\x0a\0\0\0\xff\0\0\0",
    ),
    (KEY_ID, false, b"\x04\x03one"),
    (KEY_ID, false, b"\x04\x03two"),
    (ISSUER_KEY_ID, false, b"\x30\x05\x80\x03one"),
    (ISSUER_KEY_ID, false, b"\x30\x05\x80\x03two"),
    (ISSUER_KEY_ID, false, b"\x30\0"),
    (UNKNOWN, true, b"\x05\0"),
    (UNKNOWN, false, b"\x05\0"),
    (POLICIES, true, b"\x30\x06\x30\x04\x06\x02\x2a\x03"),
    (OLD_TYPE, false, b"\x03\x02\x06\x40"),
    (OLD_TYPE, false, b"\x03\x02\x02\x04"),
];

const SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const OTHER_ALGORITHMS: [&[u8]; 3] = [
    b"\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01",
    b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
    b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\0",
];
const DATES: [(&str, &str); 5] = [
    ("150101000000Z", "200101000000Z"),
    ("400101000000Z", "490101000000Z"),
    ("200101000000Z", "300601120000Z"),
    ("500101000000Z", "490101000000Z"),
    ("20200101000000Z", "99991231235959Z"),
];

/// Throws certificates.
struct Forge {
    dice: Dice,
    keys: BTreeMap<String, EcdsaKeyPair>,
    /// What went wrong, in words.
    faults: String,
}

impl Forge {
    fn key(&mut self, of: &str) -> &EcdsaKeyPair {
        let make = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        self.keys.entry(of.to_owned()).or_insert_with(make)
    }

    /// A certificate of that name and key, by that issuer and its key, with a fault more often than not by chance.
    fn certificate(
        &mut self,
        subject: &str,
        key: &str,
        issuer: &str,
        signer: &str,
        base: &[Extension],
    ) -> Vec<u8> {
        let mut extensions = base.to_vec();
        let mut repeated = false;
        while self.dice.one_in(3) {
            let odd = *self.dice.pick(ODD);
            repeated |= self.dice.one_in(12);
            if !repeated {
                extensions.retain(|(oid, ..)| *oid != odd.0);
            }
            extensions.push(odd);
            write!(self.faults, "{subject}: {odd:02x?}; ").unwrap();
        }
        let mut version = vec![0xa0, 3, 2, 1, 2];
        if self.dice.one_in(14) {
            version.clear();
            if self.dice.one_in(2) {
                extensions.clear();
            }
            write!(self.faults, "{subject}: v1; ").unwrap();
        }
        let mut dates = ("200101000000Z", "490101000000Z");
        if self.dice.one_in(12) {
            dates = *self.dice.pick(&DATES);
            write!(self.faults, "{subject}: {dates:?}; ").unwrap();
        }
        let mut algorithms = [SHA256, SHA256];
        if self.dice.one_in(14) {
            let (which, other) = (self.dice.roll(2), *self.dice.pick(&OTHER_ALGORITHMS));
            algorithms[which] = other;
            if self.dice.one_in(2) {
                algorithms[1 - which] = other;
            }
            write!(self.faults, "{subject}: algorithms; ").unwrap();
        }
        let tag = *self.dice.pick(&[0x0c, 0x0c, 0x0c, 0x13, 0x16, 0x14]);
        let spelt = if self.dice.one_in(10) {
            issuer.to_uppercase() + "  "
        } else {
            issuer.to_owned()
        };
        let written = |text: &str| tlv(if text.len() > 13 { 0x18 } else { 0x17 }, text.as_bytes());
        let extensions: Vec<u8> = extensions
            .iter()
            .flat_map(|(oid, critical, value)| {
                let critical: &[u8] = if *critical { b"\x01\x01\xff" } else { b"" };
                sequence(&[oid, critical, &tlv(0x04, value)])
            })
            .collect();
        let extensions = match extensions.as_slice() {
            [] => Vec::new(),
            all => tlv(0xa3, &tlv(0x30, all)),
        };
        let serial = u8::try_from(self.dice.roll(100)).unwrap();
        let public = self.key(key).public_key().as_ref().to_vec();
        let algorithm =
            sequence(&[b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"]);
        let part = sequence(&[
            &version,
            &[2, 1, serial],
            algorithms[0],
            &name(&spelt, tag),
            &sequence(&[&written(dates.0), &written(dates.1)]),
            &name(subject, 0x0c),
            &sequence(&[&algorithm, &tlv(0x03, &[&[0], &public[..]].concat())]),
            &extensions,
        ]);
        let mut signature = self
            .key(signer)
            .sign(&SystemRandom::new(), &part)
            .unwrap()
            .as_ref()
            .to_vec();
        if self.dice.one_in(25) {
            let last = signature.len() - 1;
            signature[last] ^= 1;
            write!(self.faults, "{subject}: damaged; ").unwrap();
        }
        sequence(&[&part, algorithms[1], &tlv(0x03, &[&[0], &signature[..]].concat())])
    }

    /// A block in one of the forms that people and programs bring about.
    fn pem(&mut self, der: &[u8]) -> String {
        let width = *self.dice.pick(&[64, 64, 64, 76, 10_000]);
        let lines: Vec<_> = STANDARD
            .encode(der)
            .into_bytes()
            .chunks(width)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let whole =
            |body: String| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let plain = whole(lines.join("\n"));
        if !self.dice.one_in(4) {
            return plain;
        }
        let form = self.dice.roll(20);
        write!(self.faults, "PEM {form} at {width}; ").unwrap();
        match form {
            0 => plain.replace('\n', "\r\n"),
            1 => plain.replace('\n', "\r"),
            2 => whole(lines.join("\n\n")),
            3 => whole(format!("\n{}", lines.join("\n"))),
            4 => whole(format!("Comment: x\n\n{}", lines.join("\n"))),
            5 => whole(format!("Proc-Type: 4,ENCRYPTED\n\n{}", lines.join("\n"))),
            6 => plain.replace("CERTIFICATE", "X509 CERTIFICATE"),
            7 => plain.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
            8 => format!("\u{feff}{plain}"),
            9 => format!("text: {plain}"),
            10 => format!("some text\n\n{plain}-----\n"),
            11 => plain.replace("-----END", "----END"),
            12 => plain.replace("-----\n", "-----  \t\n"),
            13 => plain.replacen("AwI", "Aw*", 1),
            14 => plain.replacen("AwI", "A wI", 1),
            15 => plain.replace('=', ""),
            16 => format!("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n{plain}"),
            17 => format!("-----BEGIN X-----\nAAAA\n-----END X-----\n{plain}"),
            18 => format!("-----BEGIN X-----\n-----END X-----\n{plain}"),
            _ => plain.trim_end().to_owned(),
        }
    }

    /// OpenSSL's settings behind a certificate, as a `TRUSTED CERTIFICATE`.
    fn trusted(&mut self, der: &[u8]) -> String {
        const SETTINGS: [&[u8]; 6] = [
            b"\x30\0",
            b"\x30\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01",
            b"\x30\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02",
            b"\x30\x0c\xa0\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01",
            b"\x30\x08\x30\x06\x06\x04\x55\x1d\x25\0",
            b"\x30\x02\x30\0",
        ];
        let settings = *self.dice.pick(&SETTINGS);
        write!(self.faults, "settings {settings:02x?}; ").unwrap();
        let body = STANDARD.encode([der, settings].concat());
        format!("-----BEGIN TRUSTED CERTIFICATE-----\n{body}\n-----END TRUSTED CERTIFICATE-----\n")
    }
}

#[test]
fn openssl_says_the_same_of_chains_thrown_by_a_die() {
    let workshop = Workshop::new();
    let mut forge = Forge {
        dice: Dice(0x2030_0601),
        keys: BTreeMap::new(),
        faults: String::new(),
    };
    let (mut differences, mut held) = (Vec::new(), 0);
    for number in 0..CASES {
        forge.faults.clear();
        let root = forge.certificate("Root", "Root", "Root", "Root", &OF_A_CA);
        let mut presented = Vec::new();
        let mut issuer = "Root";
        for inter in ["Inter", "Inter Two"].into_iter().take(forge.dice.roll(3)) {
            presented.insert(0, forge.certificate(inter, inter, issuer, issuer, &OF_A_CA));
            issuer = inter;
        }
        let leaf = if forge.dice.one_in(10) {
            forge.certificate("db.example.org", "leaf", "db.example.org", "leaf", &OF_A_LEAF)
        } else {
            forge.certificate("db.example.org", "leaf", issuer, issuer, &OF_A_LEAF)
        };
        let mut trusted = vec![root.clone()];
        match forge.dice.roll(12) {
            0 => trusted.insert(0, forge.certificate("Root", "Twin", "Root", "Twin", &OF_A_CA)),
            1 => trusted.insert(0, forge.certificate("Root", "Root", "Root", "Root", &OF_A_CA)),
            2 => trusted.push(leaf.clone()),
            3 => trusted = vec![leaf.clone()],
            4 => trusted.extend(presented.first().cloned()),
            5 => trusted = presented.clone(),
            6 => presented.push(root),
            7 => presented.push(forge.certificate("Root", "Root", "Other", "Other", &OF_A_CA)),
            8 => presented.reverse(),
            _ => {}
        }
        let mut file = String::new();
        for der in &trusted {
            file += &if forge.dice.one_in(8) {
                forge.trusted(der)
            } else {
                forge.pem(der)
            };
        }
        let ours = judged(&file, &leaf, &presented);
        let theirs = ask(&workshop, &file, &leaf, &presented);
        held += usize::from(theirs);
        if ours != theirs {
            differences.push(format!(
                "{number}: ours {ours}, OpenSSL's {theirs}: {}",
                forge.faults
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    // Both verdicts are tried.
    assert!(
        (CASES / 10..CASES * 9 / 10).contains(&held),
        "{held} of {CASES} hold"
    );
}

fn judged(file: &str, leaf: &[u8], others: &[Vec<u8>]) -> bool {
    let Ok(bundle) = Bundle::from_pem(file.as_bytes()) else {
        return false;
    };
    let Ok(trust) = TrustStore::new(&bundle.certificates, &bundle.lists) else {
        return false;
    };
    let presented: Vec<_> = std::iter::once(leaf)
        .chain(others.iter().map(Vec::as_slice))
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    judge_chain(&presented, &trust, Purpose::Server, NOW).is_ok()
}

fn ask(workshop: &Workshop, file: &str, leaf: &[u8], others: &[Vec<u8>]) -> bool {
    let plain = |der: &[u8]| {
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            STANDARD.encode(der)
        )
    };
    let write = |name: &str, text: &str| std::fs::write(workshop.path(name), text).unwrap();
    write("file.pem", file);
    write("leaf.pem", &plain(leaf));
    write(
        "others.pem",
        &others.iter().map(|der| plain(der)).collect::<String>(),
    );
    let time = NOW.unix_timestamp().to_string();
    let mut arguments = vec!["verify", "-no-CApath", "-no-CAstore", "-auth_level", "2"];
    arguments.extend(["-purpose", "sslserver", "-attime", &time, "-CAfile", "file.pem"]);
    if !others.is_empty() {
        arguments.extend(["-untrusted", "others.pem"]);
    }
    arguments.push("leaf.pem");
    workshop.run(&arguments).status.success()
}
