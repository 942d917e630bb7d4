//! The handshake's own signature, and a certificate of one's own.

use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;

use super::forge::{Draft, sign};
use crate::judge::der::{self, BIT_STRING, NULL, OID, SEQUENCE};
use crate::judge::{SignatureRefusal, TlsVersion, judge_own_certificate, oid, verify_tls_signature};

const MESSAGE: &[u8] = b"what both have said so far";
const P256: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

fn verdict(version: TlsVersion, leaf: &Draft, scheme: SignatureScheme) -> Result<(), SignatureRefusal> {
    let signature = sign("db.example.org", MESSAGE);
    verify_tls_signature(version, MESSAGE, &leaf.der(), scheme, &signature)
}

/// RFC 8446 section 4.4.3: who presents a certificate holds its key.
#[test]
fn the_peer_holds_the_key_of_its_certificate() {
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        assert_eq!(verdict(version, &Draft::leaf(), P256), Ok(()));
        assert_eq!(verdict(version, &Draft::leaf().v1(), P256), Ok(()));
        let stolen = Draft::leaf().change(|draft| draft.public_key = Draft::ca("Evil").public_key);
        assert_eq!(
            verdict(version, &stolen, P256),
            Err(SignatureRefusal::BadSignature)
        );
    }
    let other = verify_tls_signature(
        TlsVersion::V1_3,
        b"something else",
        &Draft::leaf().der(),
        P256,
        &sign("db.example.org", MESSAGE),
    );
    assert_eq!(other, Err(SignatureRefusal::BadSignature));
}

/// RFC 8446 section 4.2.3: a scheme goes with one kind of key, in TLS 1.3 with one curve.
#[test]
fn a_scheme_goes_with_its_key() {
    let wrong = |version, scheme| {
        matches!(
            verdict(version, &Draft::leaf(), scheme),
            Err(SignatureRefusal::WrongScheme { .. })
        )
    };
    assert!(wrong(TlsVersion::V1_3, SignatureScheme::ECDSA_NISTP384_SHA384));
    assert!(!wrong(TlsVersion::V1_2, SignatureScheme::ECDSA_NISTP384_SHA384));
    for scheme in [
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PKCS1_SHA256,
        SignatureScheme::ED25519,
        SignatureScheme::Unknown(0x0809),
        SignatureScheme::ECDSA_SHA1_Legacy,
    ] {
        assert!(wrong(TlsVersion::V1_2, scheme), "{scheme:?}");
        assert!(wrong(TlsVersion::V1_3, scheme), "{scheme:?}");
    }
}

/// RFC 8422 section 2.2: in TLS 1.2 the key of an `ECDHE_ECDSA` certificate signs; OpenSSL asks it of Ed25519 too. TLS 1.3
/// asks it of nobody there.
#[test]
fn in_tls_1_2_a_curves_key_usage_allows_signing() {
    let usage = |octet: u8| Draft::leaf().with(oid::KEY_USAGE, true, &[3, 2, 0, octet]);
    let refused = Err(SignatureRefusal::KeyUsage);
    assert_eq!(verdict(TlsVersion::V1_2, &usage(0x80), P256), Ok(()));
    assert_eq!(verdict(TlsVersion::V1_2, &usage(0x20), P256), refused);
    assert_eq!(verdict(TlsVersion::V1_3, &usage(0x20), P256), Ok(()));
    let key = [
        der::encode(SEQUENCE, &der::encode(OID, oid::ED25519)),
        der::encode(BIT_STRING, &[0; 33]),
    ];
    let edwards = usage(0x20).change(|draft| draft.public_key = der::encode(SEQUENCE, &key.concat()));
    assert_eq!(
        verdict(TlsVersion::V1_2, &edwards, SignatureScheme::ED25519),
        refused
    );
}

/// `SSL_CTX_use_certificate_chain_file(3)` at security level 2: libpq loads no certificate that is too weak.
#[test]
fn a_certificate_of_ones_own_is_strong_enough() {
    let own = |chain: &[&Draft]| {
        let chain: Vec<_> = chain
            .iter()
            .map(|draft| CertificateDer::from(draft.der()))
            .collect();
        judge_own_certificate(&chain).map_err(|refusal| match refusal {
            SignatureRefusal::TooWeak { openssl, .. } => openssl,
            _ => "unreadable",
        })
    };
    let sha1 = |draft: Draft| {
        let algorithm = der::encode(SEQUENCE, &der::encode(OID, b"\x2a\x86\x48\xce\x3d\x04\x01"));
        draft.change(|draft| draft.algorithms = [algorithm.clone(), algorithm])
    };
    let short = |draft: Draft| {
        let algorithm = [der::encode(OID, oid::RSA), der::encode(NULL, &[])].concat();
        let mut modulus = vec![0xff; 128];
        modulus.insert(0, 0);
        let numbers = [der::encode(2, &modulus), der::encode(2, &[3])].concat();
        let bits = [&[0], &der::encode(SEQUENCE, &numbers)[..]].concat();
        let key = [der::encode(SEQUENCE, &algorithm), der::encode(BIT_STRING, &bits)].concat();
        draft.change(|draft| draft.public_key = der::encode(SEQUENCE, &key))
    };
    let ca = Draft::ca("Root");
    assert_eq!(own(&[&Draft::leaf(), &ca]), Ok(()));
    assert_eq!(own(&[&sha1(Draft::leaf())]), Err("ca md too weak"));
    assert_eq!(own(&[&short(Draft::leaf())]), Err("ee key too small"));
    assert_eq!(
        own(&[&Draft::leaf(), &short(ca.clone())]),
        Err("ca key too small")
    );
    // What a root says of itself does not count.
    assert_eq!(own(&[&Draft::leaf(), &sha1(ca)]), Ok(()));
    // Neither dates nor uses matter here: the server is to decide.
    assert_eq!(
        own(&[&Draft::leaf().dated("200101000000Z", "210101000000Z")]),
        Ok(())
    );
}
