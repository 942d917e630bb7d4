//! Keys, digests and signatures.

use super::forge::{Draft, ECDSA_SHA256};
use super::refusal;
use crate::judge::der::{self, BIT_STRING, INTEGER, NULL, OID, SEQUENCE};
use crate::judge::{Cause, oid};

fn root() -> Draft {
    Draft::ca("Root")
}

fn algorithm(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
    der::encode(SEQUENCE, &[&der::encode(OID, oid), parameters].concat())
}

fn key(algorithm: &[u8], bits: &[u8]) -> Vec<u8> {
    let bits = der::encode(BIT_STRING, &[&[0], bits].concat());
    der::encode(SEQUENCE, &[algorithm, &bits].concat())
}

/// An RSA key that nobody has the private half of.
fn rsa(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0; bits.div_ceil(8) + 1];
    modulus[1] = 1 << ((bits - 1) % 8);
    if modulus[1] & 0x80 == 0 {
        modulus.remove(0);
    }
    *modulus.last_mut().unwrap() |= 1;
    let numbers = [der::encode(INTEGER, &modulus), der::encode(INTEGER, &[1, 0, 1])];
    key(
        &algorithm(oid::RSA, &der::encode(NULL, &[])),
        &der::encode(SEQUENCE, &numbers.concat()),
    )
}

/// RFC 5280 section 6.1.3 (a) (1).
#[test]
fn a_signature_verifies_with_the_issuers_key() {
    let damaged = Draft::leaf().change(|draft| draft.damaged = true);
    assert_eq!(refusal(&[&damaged], &[&root()]), Some(Cause::BadSignature));
    let forged = Draft::leaf().signed_by("Evil");
    assert_eq!(refusal(&[&forged], &[&root()]), Some(Cause::BadSignature));
    let inter = Draft::ca("Inter").by("Root").signed_by("Evil");
    assert_eq!(
        refusal(&[&Draft::leaf().by("Inter"), &inter], &[&root()]),
        Some(Cause::BadSignature)
    );
    // What an anchor says of itself proves nothing, and is not looked at (`openssl-verification-options(1)`,
    // `-check_ss_sig`).
    let anchor = root().change(|draft| draft.damaged = true);
    assert_eq!(refusal(&[&Draft::leaf()], &[&anchor]), None);
}

/// RFC 5280 section 4.1.1.2: the algorithm stands there twice, and must be the same. OpenSSL goes by the signed one when it
/// looks for an issuer, so that a root whose own does not fit its key is no anchor.
#[test]
fn the_two_algorithms_are_one() {
    let rsa = algorithm(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &der::encode(NULL, &[]));
    let sha384 = algorithm(b"\x2a\x86\x48\xce\x3d\x04\x03\x03", &[]);
    let with = |draft: Draft, inner: &[u8], outer: &[u8]| {
        draft.change(|draft| draft.algorithms = [inner.to_vec(), outer.to_vec()])
    };
    let other = with(Draft::leaf(), &sha384, ECDSA_SHA256);
    assert_eq!(refusal(&[&other], &[&root()]), Some(Cause::BadSignature));
    let unfit = with(Draft::leaf(), &rsa, ECDSA_SHA256);
    assert_eq!(refusal(&[&unfit], &[&root()]), Some(Cause::IssuerKeyDiffers));
    let anchor = with(root(), &rsa, ECDSA_SHA256);
    assert_eq!(refusal(&[&Draft::leaf()], &[&anchor]), Some(Cause::PartialChain));
    assert_eq!(
        refusal(&[&Draft::leaf()], &[&with(root(), &sha384, ECDSA_SHA256)]),
        None
    );
}

/// `SSL_CTX_set_security_level(3)`, level 2: 112 bits, which are RSA of 2048 (or a few less) and a curve of 224.
#[test]
fn every_key_has_112_bits_of_strength() {
    let leaf = |key: Vec<u8>| {
        refusal(
            &[&Draft::leaf().change(|draft| draft.public_key = key)],
            &[&root()],
        )
    };
    for bits in [1976, 2048, 4096, 16384] {
        assert_eq!(leaf(rsa(bits)), None, "{bits}");
    }
    for bits in [512, 1024, 1960] {
        assert_eq!(leaf(rsa(bits)), Some(Cause::WeakKey), "{bits}");
    }
    let curve = |arcs: &[u8]| key(&algorithm(oid::EC, &der::encode(OID, arcs)), &[4; 49]);
    assert_eq!(leaf(curve(b"\x2b\x81\x04\0\x21")), None, "P-224");
    assert_eq!(
        leaf(curve(b"\x2b\x24\x03\x03\x02\x08\x01\x01\x07")),
        None,
        "brainpoolP256r1"
    );
    assert_eq!(
        leaf(curve(b"\x2a\x86\x48\xce\x3d\x03\x01\x01")),
        Some(Cause::WeakKey),
        "P-192"
    );
    assert_eq!(
        leaf(curve(b"\x2a\x03")),
        Some(Cause::WeakKey),
        "no curve that OpenSSL knows"
    );
    assert_eq!(leaf(key(&algorithm(oid::ED25519, &[]), &[9; 32])), None);
    assert_eq!(
        leaf(key(&algorithm(oid::ED25519, &[]), &[9; 31])),
        Some(Cause::WeakKey)
    );
    assert_eq!(
        leaf(key(&algorithm(b"\x2a\x03", &[]), &[9; 32])),
        Some(Cause::WeakKey)
    );
    // A CA's too, the anchor's included.
    let weak = |draft: Draft| draft.change(|draft| draft.public_key = rsa(1024));
    let by_rsa = |draft: Draft| {
        let with = algorithm(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &der::encode(NULL, &[]));
        draft.change(|draft| draft.algorithms = [with.clone(), with])
    };
    let anchor = by_rsa(weak(root()));
    assert_eq!(
        refusal(&[&by_rsa(Draft::leaf())], &[&anchor]),
        Some(Cause::WeakKey)
    );
}

/// The same for digests: SHA-1 has 63 bits left, MD5 39. The anchor's own signature does not count.
#[test]
fn every_signature_but_the_anchors_has_a_strong_digest() {
    const SHA1: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x01";
    const SHA224: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x01";
    let with = |draft: Draft, oid: &[u8]| {
        let algorithm = algorithm(oid, &[]);
        draft.change(|draft| draft.algorithms = [algorithm.clone(), algorithm])
    };
    let weak = Some(Cause::WeakDigest);
    assert_eq!(refusal(&[&with(Draft::leaf(), SHA1)], &[&root()]), weak);
    assert_eq!(refusal(&[&Draft::leaf()], &[&with(root(), SHA1)]), None);
    let inter = with(Draft::ca("Inter").by("Root"), SHA1);
    assert_eq!(refusal(&[&Draft::leaf().by("Inter"), &inter], &[&root()]), weak);
    // Strong enough, but it was made with another digest.
    assert_eq!(
        refusal(&[&with(Draft::leaf(), SHA224)], &[&root()]),
        Some(Cause::BadSignature)
    );
}

/// RFC 5480 section 2.1.1: curves have names; OpenSSL 3 refuses others in a chain.
#[test]
fn a_curve_is_named() {
    let spelt = key(&algorithm(oid::EC, b"\x30\x03\x02\x01\x01"), &[4; 65]);
    let leaf = Draft::leaf().change(|draft| draft.public_key = spelt);
    assert_eq!(refusal(&[&leaf], &[&root()]), Some(Cause::ExplicitCurve));
}

/// What OpenSSL may be able to verify and pgtls is not: never a yes, and never a no.
#[test]
fn a_signature_that_cannot_be_judged_leaves_the_verdict_open() {
    let ed448 = algorithm(oid::ED448, &[]);
    let ca = root().change(|draft| {
        draft.public_key = key(&ed448, &[9; 57]);
        draft.algorithms = [ed448.clone(), ed448.clone()];
    });
    let leaf = Draft::leaf().change(|draft| draft.algorithms = [ed448.clone(), ed448.clone()]);
    assert_eq!(refusal(&[&leaf], &[&ca]), Some(Cause::UnsupportedAlgorithm));
    let expired = leaf.dated("200101000000Z", "210101000000Z");
    assert_eq!(refusal(&[&expired], &[&ca]), Some(Cause::Expired));
}

/// RFC 5280 section 4.1.2.2 wants a serial number of 20 octets at most and above zero; OpenSSL takes any INTEGER.
#[test]
fn a_serial_number_is_any_integer() {
    let leaf = |serial: &[u8]| {
        refusal(
            &[&Draft::leaf().change(|draft| draft.serial = serial.to_vec())],
            &[&root()],
        )
    };
    for serial in [&[0][..], &[0xff], &[1; 30]] {
        assert_eq!(leaf(serial), None);
    }
    for serial in [&[][..], &[0, 1], &[0xff, 0xff]] {
        assert_eq!(leaf(serial), Some(Cause::Malformed));
    }
}
