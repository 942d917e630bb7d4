//! Certificates and lists with bytes changed at random: never a panic, and never a yes.

use pgtls::judge::{Purpose, TrustStore, judge_chain, judge_name, judge_own_certificate};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::test_runner::TestRunner;
use rustls::pki_types::CertificateDer;

use super::NOW;
use super::workshop::{Recipe, Workshop};

const CA: &str = "basicConstraints=critical,CA:TRUE; keyUsage=keyCertSign,cRLSign; subjectKeyIdentifier=hash; \
    nameConstraints=permitted;DNS:example.org";
const LEAF: &str = "basicConstraints=CA:FALSE; extendedKeyUsage=serverAuth; authorityKeyIdentifier=keyid,issuer:always; \
    subjectAltName=DNS:db.example.org,IP:10.0.0.1; crlDistributionPoints=URI:http://x/1.crl";

#[test]
fn no_change_of_bytes_turns_a_refusal_into_a_yes() {
    let mut workshop = Workshop::new();
    let recipes: [Recipe<'_>; 4] = [
        ("root", "p256", "self", "/CN=Root", CA, ""),
        ("other", "p256-2", "self", "/CN=Root", CA, ""),
        ("inter", "p256-3", "root", "/CN=Inter", CA, ""),
        ("leaf", "rsa2048", "inter", "/CN=db.example.org", LEAF, ""),
    ];
    for recipe in &recipes {
        workshop.issue(recipe);
    }
    for issuer in ["root", "inter"] {
        workshop.list(
            issuer,
            issuer,
            &[],
            "authorityKeyIdentifier=keyid",
            ("2030", "2040"),
            "",
        );
    }
    let read = |name, extension| workshop.der(name, extension);
    let (root, other) = (read("root", "crt"), read("other", "crt"));
    let originals = [
        read("leaf", "crt"),
        read("inter", "crt"),
        read("root", "crl"),
        read("inter", "crl"),
    ];
    let yes = |[leaf, inter, root_list, inter_list]: &[Vec<u8>; 4], anchor: &Vec<u8>| {
        let presented = [leaf, inter].map(|der| CertificateDer::from(der.clone()));
        // Neither panics, whatever it says.
        let _ = (
            judge_name(leaf, "db.example.org"),
            judge_own_certificate(&presented),
        );
        TrustStore::new(
            std::slice::from_ref(anchor),
            &[root_list.clone(), inter_list.clone()],
        )
        .is_ok_and(|trust| judge_chain(&presented, &trust, Purpose::Server, NOW).is_ok())
    };
    assert!(yes(&originals, &root));
    assert!(!yes(&originals, &other));

    let edits = vec((any::<u16>(), any::<u8>()), 1..4);
    let cases = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(4000)
    };
    let property = |(victim, edits): (usize, Vec<(u16, u8)>)| {
        let mut changed = originals.clone();
        for (place, value) in edits {
            let length = changed[victim].len();
            changed[victim][usize::from(place) % length] = value;
        }
        if changed != originals {
            assert!(!yes(&changed, &root), "a changed {victim} was accepted");
        }
        assert!(!yes(&changed, &other), "another CA was accepted");
        Ok(())
    };
    TestRunner::new(cases)
        .run(&(0..4_usize, edits), property)
        .unwrap();
}

#[test]
fn any_bytes_at_all_are_refused_in_peace() {
    TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })
    .run(&vec(any::<u8>(), 0..300), |bytes| {
        let framed: Vec<u8> = [&[0x30, 0x82, 0x01, 0x2c][..], &bytes].concat();
        for der in [bytes, framed] {
            assert!(judge_name(&der, "localhost").is_err());
            assert!(TrustStore::new(std::slice::from_ref(&der), &[]).is_err());
            assert!(TrustStore::new(&[], &[der]).is_err());
        }
        Ok(())
    })
    .unwrap();
}
