//! Handshake signatures, made with the openssl command line.

use pgtls::judge::{SignatureRefusal, TlsVersion, judge_own_certificate, verify_tls_signature};
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;

use super::workshop::Workshop;

const MESSAGE: &[u8] = b"what was said so far";

/// How a key signs: with openssl's digest option, if RSA with which padding.
fn sign(workshop: &Workshop, key: &str, how: &str) -> Vec<u8> {
    std::fs::write(workshop.path("message"), MESSAGE).unwrap();
    let key = format!("{key}.key");
    let mut arguments = vec![
        "pkeyutl",
        "-sign",
        "-rawin",
        "-in",
        "message",
        "-inkey",
        &key,
        "-out",
        "signature",
    ];
    arguments.extend(how.split_whitespace());
    let output = workshop.run(&arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(workshop.path("signature")).unwrap()
}

/// RFC 8446 section 4.2.3 and RFC 5246 section 7.4.1.4.1: which scheme goes with which key in which version. The
/// certificates are of version 1, which must not matter.
#[test]
fn schemes_go_with_keys_and_versions() {
    use SignatureScheme as S;
    let both = [true, true];
    let old = [true, false];
    let none = [false, false];
    let pss = "-pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest -digest";
    let mut workshop = Workshop::new();
    for (key, how, scheme, allowed) in [
        ("p256", "-digest sha256", S::ECDSA_NISTP256_SHA256, both),
        ("p384", "-digest sha384", S::ECDSA_NISTP384_SHA384, both),
        ("p521", "-digest sha512", S::ECDSA_NISTP521_SHA512, both),
        ("p384", "-digest sha256", S::ECDSA_NISTP256_SHA256, old),
        ("p256", "-digest sha512", S::ECDSA_NISTP521_SHA512, old),
        ("ed25519", "", S::ED25519, both),
        ("rsa2048", "-digest sha256", S::RSA_PKCS1_SHA256, old),
        ("rsa2048", "-digest sha512", S::RSA_PKCS1_SHA512, old),
        ("rsa2048", &format!("{pss} sha256"), S::RSA_PSS_SHA256, both),
        ("rsa2048", &format!("{pss} sha512"), S::RSA_PSS_SHA512, both),
        ("rsa2048", &format!("{pss} sha256"), S::Unknown(0x0809), none),
        ("pss2048", &format!("{pss} sha256"), S::Unknown(0x0809), both),
        ("pss2048", &format!("{pss} sha384"), S::Unknown(0x080a), both),
        ("pss2048", &format!("{pss} sha256"), S::RSA_PSS_SHA256, none),
        ("rsa2048", "-digest sha1", S::RSA_PKCS1_SHA1, none),
    ] {
        workshop.issue(&(key, key, "self", "/CN=db", "", ""));
        let leaf = workshop.der(key, "crt");
        let signature = sign(&workshop, key, how);
        for (version, allowed) in [TlsVersion::V1_2, TlsVersion::V1_3].into_iter().zip(allowed) {
            let verdict = verify_tls_signature(version, MESSAGE, &leaf, scheme, &signature);
            if allowed {
                assert_eq!(verdict, Ok(()), "{key} {scheme:?} {version:?}");
                let other = verify_tls_signature(version, b"something else", &leaf, scheme, &signature);
                assert_eq!(
                    other,
                    Err(SignatureRefusal::BadSignature),
                    "{key} {scheme:?} {version:?}"
                );
            } else {
                assert!(
                    matches!(verdict, Err(SignatureRefusal::WrongScheme { .. })),
                    "{key} {scheme:?} {version:?}"
                );
            }
        }
    }
}

/// OpenSSL, `SSL_R_ECC_CERT_NOT_FOR_SIGNING`: TLS 1.2 with an elliptic curve asks for digitalSignature.
#[test]
fn a_curve_key_that_may_not_sign_is_refused_in_tls_1_2() {
    let mut workshop = Workshop::new();
    workshop.issue(&("leaf", "p256", "self", "/CN=db", "keyUsage=keyAgreement", ""));
    let (leaf, signature) = (
        workshop.der("leaf", "crt"),
        sign(&workshop, "p256", "-digest sha256"),
    );
    let verdict = |version| {
        verify_tls_signature(
            version,
            MESSAGE,
            &leaf,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &signature,
        )
    };
    assert_eq!(verdict(TlsVersion::V1_2), Err(SignatureRefusal::KeyUsage));
    assert_eq!(verdict(TlsVersion::V1_3), Ok(()));
}

/// `SSL_CTX_set_security_level(3)`, level 2, for what a client presents itself.
#[test]
fn a_weak_certificate_of_our_own_is_named_as_openssl_names_it() {
    let mut workshop = Workshop::new();
    workshop.issue(&(
        "root",
        "p256",
        "self",
        "/CN=Root",
        "basicConstraints=CA:TRUE",
        "md=sha1",
    ));
    workshop.issue(&("sha1", "p256-l", "root", "/CN=alice", "", "md=sha1"));
    workshop.issue(&("short", "rsa1024", "root", "/CN=alice", "", ""));
    workshop.issue(&("good", "p256-l", "root", "/CN=alice", "", ""));
    let verdict = |names: &[&str]| {
        let chain: Vec<_> = names
            .iter()
            .map(|name| CertificateDer::from(workshop.der(name, "crt")))
            .collect();
        match judge_own_certificate(&chain) {
            Ok(()) => "ok",
            Err(SignatureRefusal::TooWeak { openssl, .. }) => openssl,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(verdict(&["good", "root"]), "ok");
    assert_eq!(verdict(&["sha1"]), "ca md too weak");
    assert_eq!(verdict(&["short"]), "ee key too small");
    assert_eq!(verdict(&["good", "short"]), "ca key too small");
}
