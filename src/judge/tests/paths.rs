//! Which certificates make up a path, and what ends it.

use super::forge::{Draft, common_name, key_id, name_of};
use super::{refusal, refusal_for};
use crate::judge::der::{self, SEQUENCE};
use crate::judge::{Cause, Purpose, oid};

fn root() -> Draft {
    Draft::ca("Root")
}

fn pointing_to(key: &[u8]) -> Vec<u8> {
    der::encode(SEQUENCE, &der::encode(0x80, key))
}

/// PostgreSQL manual, libpq, "SSL Support": the chain must lead to a certificate of the root file.
#[test]
fn a_chain_leads_to_the_trusted_root_or_is_refused() {
    let (inter, leaf) = (Draft::ca("Inter").by("Root"), Draft::leaf().by("Inter"));
    assert_eq!(refusal(&[&Draft::leaf()], &[&root()]), None);
    assert_eq!(refusal(&[&leaf, &inter], &[&root()]), None);
    assert_eq!(refusal(&[&leaf], &[&root(), &inter]), None);
    assert_eq!(refusal(&[&leaf], &[&root()]), Some(Cause::UntrustedIssuer));
    assert_eq!(
        refusal(&[&leaf, &inter], &[&Draft::ca("Other")]),
        Some(Cause::UntrustedIssuer)
    );
    assert_eq!(refusal(&[&leaf, &inter], &[]), Some(Cause::UntrustedIssuer));
    assert_eq!(refusal(&[], &[&root()]), Some(Cause::NoCertificate));
}

/// `openssl-verification-options(1)`, `-partial_chain`: without it, only a self-signed certificate ends a path.
#[test]
fn a_trusted_intermediate_does_not_do_without_its_root() {
    let (inter, leaf) = (Draft::ca("Inter").by("Root"), Draft::leaf().by("Inter"));
    assert_eq!(refusal(&[&leaf], &[&inter]), Some(Cause::PartialChain));
    assert_eq!(refusal(&[&leaf, &inter], &[&inter]), Some(Cause::PartialChain));
    // Once the trust file is entered, what the peer sent is not asked any more.
    assert_eq!(refusal(&[&leaf, &root()], &[&inter]), Some(Cause::PartialChain));
    assert_eq!(
        refusal(&[&Draft::leaf()], &[&Draft::leaf()]),
        Some(Cause::UntrustedIssuer)
    );
}

/// `openssl-verification-options(1)`, "Trust Anchors": a self-signed certificate is its own anchor, the very same one.
#[test]
fn a_self_signed_leaf_is_trusted_only_as_itself() {
    let own = Draft::leaf().by("db.example.org");
    let twin = own.clone().change(|draft| draft.serial = vec![7]);
    assert_eq!(refusal(&[&own], &[&own]), None);
    assert_eq!(refusal(&[&own], &[&twin]), Some(Cause::SelfSignedNotTrusted));
    assert_eq!(refusal(&[&own], &[&root()]), Some(Cause::SelfSignedNotTrusted));
    let v1 = Draft::leaf().by("db.example.org").v1();
    assert_eq!(refusal(&[&v1], &[&v1]), None);
    let ca = Draft::ca("Root");
    assert_eq!(
        refusal(&[&Draft::leaf(), &ca], &[&Draft::ca("Other")]),
        Some(Cause::SelfSignedNotTrusted)
    );
}

/// RFC 5280 section 6.1.3 (a) (4): the subject of the issuer is the issuer of the subject; case, blanks and string types
/// do not matter (section 7.1).
#[test]
fn names_chain_folded() {
    let spelt = |tag, text: &[u8]| {
        let issuer = name_of(&[(oid::COMMON_NAME, tag, text)]);
        Draft::leaf().change(|draft| draft.issuer = issuer)
    };
    assert_eq!(refusal(&[&spelt(0x13, b" rOOT ")], &[&root()]), None);
    assert_eq!(refusal(&[&spelt(0x1e, b"\0R\0o\0o\0t")], &[&root()]), None);
    for other in [
        spelt(0x0c, b"Ro ot"),
        spelt(0x07, b"Root"),
        spelt(0x0c, b"Root\0"),
    ] {
        assert_eq!(refusal(&[&other], &[&root()]), Some(Cause::UntrustedIssuer));
    }
    // asn1.h, `B_ASN1_PRINTABLE`: what is no string is not read.
    assert_eq!(
        refusal(&[&spelt(0x04, b"Root")], &[&root()]),
        Some(Cause::Malformed)
    );
}

/// RFC 5280 section 4.2.1.1, as `X509_check_issued(3)` reads it: what both sides name must agree.
#[test]
fn key_identifiers_choose_among_issuers_of_one_name() {
    let pointing = |value: &[u8]| Draft::leaf().with(oid::AUTHORITY_KEY_ID, false, value);
    assert_eq!(
        refusal(&[&pointing(&pointing_to(&key_id("Root")))], &[&root()]),
        None
    );
    let wrong = pointing(&pointing_to(b"another"));
    assert_eq!(refusal(&[&wrong], &[&root()]), Some(Cause::IssuerKeyDiffers));
    let bare = root().without(oid::SUBJECT_KEY_ID);
    assert_eq!(refusal(&[&wrong], &[&bare]), None);

    let by_serial = |issuer: &str, serial: &[u8]| {
        let name = der::encode(0xa1, &der::encode(0xa4, &common_name(issuer)));
        pointing(&der::encode(
            SEQUENCE,
            &[name, der::encode(0x82, serial)].concat(),
        ))
    };
    assert_eq!(refusal(&[&by_serial("Root", &root().serial)], &[&root()]), None);
    for other in [by_serial("Root", &[9]), by_serial("Other", &root().serial)] {
        assert_eq!(refusal(&[&other], &[&root()]), Some(Cause::IssuerKeyDiffers));
    }
    let twin = Draft::ca("Root")
        .with(oid::SUBJECT_KEY_ID, false, b"\x04\x04twin")
        .change(|draft| draft.public_key = Draft::ca("Twin").public_key)
        .signed_by("Twin");
    let leaf = pointing(&pointing_to(&key_id("Root")));
    assert_eq!(refusal(&[&leaf], &[&twin, &root()]), None);
    assert_eq!(
        refusal(&[&Draft::leaf()], &[&twin, &root()]),
        Some(Cause::BadSignature)
    );
}

/// `X509_STORE_CTX_get1_issuer(3)`: of several that fit, one that is valid now.
#[test]
fn among_roots_of_one_key_the_current_one_is_taken() {
    let (old, new) = (
        root().dated("100101000000Z", "210101000000Z"),
        root().dated("400101000000Z", "490101000000Z"),
    );
    assert_eq!(refusal(&[&Draft::leaf()], &[&old, &new, &root()]), None);
    assert_eq!(refusal(&[&Draft::leaf()], &[&old]), Some(Cause::AnchorExpired));
    assert_eq!(
        refusal(&[&Draft::leaf()], &[&new]),
        Some(Cause::AnchorNotYetValid)
    );
}

/// RFC 5280 section 6.1.3 (a) (2); OpenSSL asks it of the anchor too, and counts the last second as over.
#[test]
fn every_date_of_the_path_holds_now() {
    let leaf = |from: &str, to: &str| refusal(&[&Draft::leaf().dated(from, to)], &[&root()]);
    assert_eq!(leaf("300601120000Z", "300601120001Z"), None);
    assert_eq!(leaf("200101000000Z", "300601120000Z"), Some(Cause::Expired));
    assert_eq!(leaf("300601120001Z", "490101000000Z"), Some(Cause::NotYetValid));
    assert_eq!(leaf("20200101000000Z", "99991231235959Z"), None);
    let inter = Draft::ca("Inter")
        .by("Root")
        .dated("200101000000Z", "290101000000Z");
    let below = Draft::leaf().by("Inter");
    assert_eq!(refusal(&[&below, &inter], &[&root()]), Some(Cause::Expired));
    assert_eq!(refusal(&[&below], &[&root(), &inter]), Some(Cause::AnchorExpired));
}

/// RFC 5280 section 4.1.2.5: UTC to the second, and nothing else.
#[test]
fn a_date_of_another_form_is_no_date() {
    for (from, to) in [
        ("2001010000Z", "490101000000Z"),
        ("200101000000+0100", "490101000000Z"),
        ("200101000000Z", "20490101000000.5Z"),
        ("200101000000Z", "491301000000Z"),
        ("200101000000", "490101000000Z"),
    ] {
        let leaf = Draft::leaf().dated(from, to);
        assert_eq!(
            refusal(&[&leaf], &[&root()]),
            Some(Cause::Malformed),
            "{from} {to}"
        );
    }
    // Two digits of 50 and more are of the last century.
    let old = Draft::leaf().dated("500101000000Z", "490101000000Z");
    assert_eq!(refusal(&[&old], &[&root()]), None);
}

/// RFC 5280 section 4.2.1.9: `pathLenConstraint` counts the CAs below that are not self-issued.
#[test]
fn a_path_length_counts_the_cas_below() {
    let root = |length: &[u8]| {
        Draft::ca("Root").with(
            oid::BASIC_CONSTRAINTS,
            true,
            &der::encode(SEQUENCE, &[b"\x01\x01\xff", length].concat()),
        )
    };
    let (first, second) = (Draft::ca("First").by("Root"), Draft::ca("Second").by("First"));
    let (at_root, at_first, at_second) = (
        Draft::leaf(),
        Draft::leaf().by("First"),
        Draft::leaf().by("Second"),
    );
    let (none, one) = (root(b"\x02\x01\0"), root(b"\x02\x01\x01"));
    assert_eq!(refusal(&[&at_root], &[&none]), None);
    assert_eq!(refusal(&[&at_first, &first], &[&none]), Some(Cause::PathLength));
    assert_eq!(refusal(&[&at_first, &first], &[&one]), None);
    assert_eq!(
        refusal(&[&at_second, &second, &first], &[&one]),
        Some(Cause::PathLength)
    );
    // A CA that the root issued to its own name, with another key.
    let renewed = Draft::ca("New Root")
        .by("Root")
        .with(oid::AUTHORITY_KEY_ID, false, &pointing_to(&key_id("Root")))
        .change(|draft| draft.subject = common_name("Root"));
    let leaf = Draft::leaf()
        .with(oid::AUTHORITY_KEY_ID, false, &pointing_to(&key_id("New Root")))
        .signed_by("New Root");
    assert_eq!(refusal(&[&leaf, &renewed], &[&none]), None);
    for length in [&b"\x02\x01\xff"[..], b"\x02\0"] {
        assert!(refusal(&[&at_root], &[&root(length)]).is_some());
    }
}

/// `X509_VERIFY_PARAM_set_depth(3)`: 100 is OpenSSL's limit.
#[test]
fn a_path_has_an_end() {
    let chain = |count: usize| {
        let name = |number: usize| format!("CA {number}");
        let cas: Vec<_> = (1..=count)
            .map(|number| {
                let issuer = if number == count {
                    "Root".to_owned()
                } else {
                    name(number + 1)
                };
                Draft::ca(&name(number)).by(&issuer)
            })
            .collect();
        let leaf = Draft::leaf().by(&name(1));
        let presented: Vec<_> = std::iter::once(&leaf).chain(&cas).collect();
        refusal(&presented, &[&root()])
    };
    assert_eq!(chain(20), None);
    assert_eq!(chain(120), Some(Cause::ChainTooLong));
}

/// `openssl-x509(1)`, "Trust Settings": a `TRUSTED CERTIFICATE` is an anchor for the uses it lists, and for no other.
#[test]
fn trust_settings_make_and_unmake_anchors() {
    const SERVER: &[u8] = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
    const CLIENT: &[u8] = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
    let set = |draft: Draft, lists: &[&[u8]]| {
        draft.change(|draft| draft.settings = der::encode(SEQUENCE, &lists.concat()))
    };
    let rejected = [&[0xa0][..], &SERVER[1..]].concat();
    let leaf = Draft::leaf();
    assert_eq!(refusal(&[&leaf], &[&set(root(), &[])]), None);
    assert_eq!(refusal(&[&leaf], &[&set(root(), &[SERVER])]), None);
    assert_eq!(
        refusal(&[&leaf], &[&set(root(), &[CLIENT])]),
        Some(Cause::WrongPurpose)
    );
    assert_eq!(
        refusal(&[&leaf], &[&set(root(), &[&rejected])]),
        Some(Cause::WrongPurpose)
    );
    assert_eq!(
        refusal_for(Purpose::Client, &[&leaf], &[&set(root(), &[CLIENT])]),
        None
    );

    let (inter, below) = (Draft::ca("Inter").by("Root"), Draft::leaf().by("Inter"));
    assert_eq!(
        refusal(&[&below], &[&set(inter.clone(), &[])]),
        Some(Cause::PartialChain)
    );
    assert_eq!(refusal(&[&below], &[&set(inter.clone(), &[SERVER])]), None);
    assert_eq!(
        refusal(&[&below], &[&set(inter.clone(), &[CLIENT]), &root()]),
        Some(Cause::WrongPurpose)
    );
    // Settings win over the certificate's own extended key usage, but make no CA of what is none.
    let for_clients = inter.clone().with(oid::EXTENDED_KEY_USAGE, false, CLIENT);
    assert_eq!(refusal(&[&below], &[&set(for_clients.clone(), &[SERVER])]), None);
    assert_eq!(
        refusal(&[&below], &[&for_clients, &root()]),
        Some(Cause::WrongPurpose)
    );
    let powerless = inter.with(oid::BASIC_CONSTRAINTS, true, b"\x30\x00");
    assert_eq!(
        refusal(&[&below], &[&set(powerless, &[SERVER])]),
        Some(Cause::NotACa)
    );
}
