//! Revocation lists (RFC 5280 sections 5 and 6.3), as OpenSSL takes them with the flags that libpq sets.

use super::forge::{Draft, List, common_name, key_id, name_of};
use super::{judge, listed};
use crate::judge::der::{self, SEQUENCE};
use crate::judge::{Cause, Purpose, TrustStore, certificate_hash, list_hash, oid};

const NULL: &[u8] = b"\x05\0";

fn root() -> Draft {
    Draft::ca("Root")
}

/// The leaf under these lists of its CA.
fn leaf(lists: &[&List]) -> Option<Cause> {
    let lists: Vec<_> = lists.iter().map(|list| list.der()).collect();
    listed(&[&Draft::leaf()], &root(), &lists)
}

fn list() -> List {
    List::of("Root")
}

fn scope(fields: &[u8]) -> Vec<u8> {
    der::encode(SEQUENCE, fields)
}

/// RFC 5280 section 5.1.2.6: by serial number.
#[test]
fn a_certificate_on_the_list_is_revoked() {
    assert_eq!(leaf(&[&list()]), None);
    assert_eq!(leaf(&[&list().revoking(&[9], &[])]), None);
    let serial = Draft::leaf().serial;
    assert_eq!(leaf(&[&list().revoking(&serial, &[])]), Some(Cause::Revoked));
    let inter = Draft::ca("Inter")
        .by("Root")
        .change(|draft| draft.serial = vec![0x20]);
    let chain = [&Draft::leaf().by("Inter"), &inter];
    let lists = |root: List| [root.der(), List::of("Inter").der()];
    assert_eq!(listed(&chain, &root(), &lists(list())), None);
    assert_eq!(
        listed(&chain, &root(), &lists(list().revoking(&[0x20], &[]))),
        Some(Cause::Revoked)
    );
}

/// X.690 section 8.1.3: `d2i_X509_CRL(3)` reads BER, and the signature is over the bytes as they are.
#[test]
fn a_list_may_leave_its_length_open() {
    let revoking = list().revoking(&Draft::leaf().serial, &[]).der();
    let inside = der::only(&revoking, SEQUENCE).unwrap().content;
    let open = [b"\x30\x80", inside, b"\0\0"].concat();
    let of = |der: Vec<u8>| listed(&[&Draft::leaf()], &root(), &[der]);
    assert_eq!(of(open.clone()), Some(Cause::Revoked));
    // What follows a list is not looked at.
    assert_eq!(of([&open[..], b"junk"].concat()), Some(Cause::Revoked));
    assert!(list_hash(&open).is_some());
}

/// `X509_CRL_verify(3)` goes by the outer algorithm and does not compare the two, unlike `X509_verify(3)`; that the inner
/// one and the version are sound is a matter of reading (`d2i_X509_CRL(3)`).
#[test]
fn of_the_inner_algorithm_only_the_form_counts() {
    const SHA384: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03";
    let other = list().change(|list| list.algorithm = SHA384.to_vec());
    assert_eq!(leaf(&[&other]), None);
    let reads = |change: fn(&mut List)| list_hash(&list().change(change).der()).is_some();
    assert!(reads(|_| {}));
    assert!(!reads(|list| list.algorithm = b"\x30\0".to_vec()));
    assert!(!reads(|list| list.algorithm = b"\x30\x03\x06\x01\x80".to_vec()));
    assert!(!reads(
        |list| list.algorithm = b"\x30\x06\x06\x01\x2a\x05\0\0".to_vec()
    ));
    assert!(!reads(|list| list.version = b"\x02\0".to_vec()));
    assert!(!reads(|list| list.version = b"\x02\x02\0\x01".to_vec()));
}

/// `X509_STORE_load_locations(3)` passes over a list that it cannot read, and one that cannot be read here may be one that
/// it can.
#[test]
fn beside_a_list_that_cannot_be_read_no_chain_holds() {
    let doubtful = |trusted: Draft| {
        let trust = TrustStore::new(&[trusted.der()], &[])
            .unwrap()
            .in_doubt("unread".to_owned());
        judge(Purpose::Server, vec![Draft::leaf().der()], &trust)
    };
    assert_eq!(doubtful(root()), Some(Cause::CrlUnread));
    assert!(Cause::CrlUnread.is_undetermined());
    // What does not hold without the list does not hold with it.
    assert_eq!(doubtful(Draft::ca("Other")), Some(Cause::UntrustedIssuer));
}

/// PostgreSQL manual, libpq, `sslcrl` (fe-secure-openssl.c sets `X509_V_FLAG_CRL_CHECK_ALL`): every CA of the path needs
/// a list.
#[test]
fn every_ca_of_the_path_needs_a_list() {
    assert_eq!(leaf(&[]), Some(Cause::CrlMissing));
    assert_eq!(leaf(&[&List::of("Other")]), Some(Cause::CrlMissing));
    let inter = Draft::ca("Inter").by("Root");
    let chain = [&Draft::leaf().by("Inter"), &inter];
    assert_eq!(listed(&chain, &root(), &[list().der()]), Some(Cause::CrlMissing));
    assert_eq!(
        listed(&chain, &root(), &[List::of("Inter").der()]),
        Some(Cause::CrlMissing)
    );
}

/// RFC 5280 sections 5.1.2.4 and 5.1.2.5.
#[test]
fn a_list_holds_between_its_updates() {
    let dated = |from: &str, to: &str| leaf(&[&list().dated(from, to)]);
    assert_eq!(dated("300601120000Z", "300601120001Z"), None);
    assert_eq!(dated("300101000000Z", "300601120000Z"), Some(Cause::CrlExpired));
    assert_eq!(
        dated("300601120001Z", "300701000000Z"),
        Some(Cause::CrlNotYetValid)
    );
    assert_eq!(dated("hello", "300701000000Z"), Some(Cause::CrlUnusable));
    assert_eq!(dated("300101000000Z", "hello"), Some(Cause::CrlUnusable));
    let for_ever = list().change(|list| list.updates[1].clear());
    assert_eq!(leaf(&[&for_ever]), None);
    // The one in time is taken, of those the most recent.
    let revoking = list().revoking(&Draft::leaf().serial, &[]);
    let stale = revoking.clone().dated("290101000000Z", "290201000000Z");
    assert_eq!(leaf(&[&stale, &list()]), None);
    let older = revoking.clone().dated("300401000000Z", "300701000000Z");
    assert_eq!(leaf(&[&older, &list()]), None);
    let newer = revoking.dated("300520000000Z", "300701000000Z");
    assert_eq!(leaf(&[&list(), &newer]), Some(Cause::Revoked));
}

/// RFC 5280 section 6.3.3 (f) and (g): signed by the CA, which may sign lists.
#[test]
fn a_list_is_signed_by_a_ca_that_may() {
    let damaged = list().change(|list| list.damaged = true);
    assert_eq!(leaf(&[&damaged]), Some(Cause::CrlBadSignature));
    assert_eq!(leaf(&[&list().signed_by("Evil")]), Some(Cause::CrlBadSignature));
    let powerless = root().with(oid::KEY_USAGE, true, b"\x03\x02\x01\x04");
    assert_eq!(
        listed(&[&Draft::leaf()], &powerless, &[list().der()]),
        Some(Cause::CrlUnusable)
    );
    let pointing = |key: &[u8]| {
        let value = der::encode(SEQUENCE, &der::encode(0x80, key));
        leaf(&[&list().with(oid::AUTHORITY_KEY_ID, false, &value)])
    };
    assert_eq!(pointing(&key_id("Root")), None);
    assert_eq!(pointing(b"another"), Some(Cause::CrlMissing));
}

/// RFC 5280 section 5.2: a critical extension that is not handled; the same in an entry (section 5.3), whomever it is about.
#[test]
fn a_list_with_an_unknown_critical_extension_does_not_count() {
    const UNKNOWN: &[u8] = b"\x2a\x03\x04";
    assert_eq!(leaf(&[&list().with(UNKNOWN, false, NULL)]), None);
    assert_eq!(
        leaf(&[&list().with(UNKNOWN, true, NULL)]),
        Some(Cause::CrlUnusable)
    );
    assert_eq!(leaf(&[&list().revoking(&[9], &[(UNKNOWN, false, NULL)])]), None);
    assert_eq!(
        leaf(&[&list().revoking(&[9], &[(UNKNOWN, true, NULL)])]),
        Some(Cause::CrlUnusable)
    );
    let reason: &[u8] = b"\x0a\x01\x01";
    assert_eq!(
        leaf(&[&list().revoking(&[9], &[(oid::REASON_CODE, true, reason)])]),
        Some(Cause::CrlUnusable)
    );
}

/// RFC 5280 section 5.3.1: every reason revokes but `removeFromCRL`.
#[test]
fn every_reason_revokes_but_one() {
    let serial = Draft::leaf().serial;
    for (reason, expected) in [
        (0, Some(Cause::Revoked)),
        (1, Some(Cause::Revoked)),
        (6, Some(Cause::Revoked)),
        (8, None),
        (10, Some(Cause::Revoked)),
    ] {
        let code = [0x0a, 1, reason];
        let list = list().revoking(&serial, &[(oid::REASON_CODE, false, &code)]);
        assert_eq!(leaf(&[&list]), expected, "{reason}");
    }
    let unreadable = list().revoking(&serial, &[(oid::REASON_CODE, false, NULL)]);
    assert_eq!(leaf(&[&unreadable]), Some(Cause::Revoked));
}

/// RFC 5280 section 5.3.3: `certificateIssuer` makes an entry, and those after it, about another issuer's certificates.
#[test]
fn an_entry_may_be_about_another_issuers_certificate() {
    fn naming(name: &[u8]) -> [(&[u8], bool, &[u8]); 1] {
        [(oid::CERTIFICATE_ISSUER, true, name)]
    }
    let serial = Draft::leaf().serial;
    let of = |issuer: &str| der::encode(SEQUENCE, &der::encode(0xa4, &common_name(issuer)));
    let (other, own) = (of("Other"), of("Root"));
    let others = list().revoking(&serial, &naming(&other));
    assert_eq!(leaf(&[&others]), None);
    let after = list().revoking(&[9], &naming(&other)).revoking(&serial, &[]);
    assert_eq!(leaf(&[&after]), None);
    let named = list()
        .revoking(&[9], &naming(&other))
        .revoking(&serial, &naming(&own));
    assert_eq!(leaf(&[&named]), Some(Cause::Revoked));
    let before = list().revoking(&serial, &[]).revoking(&serial, &naming(&other));
    assert_eq!(leaf(&[&before]), Some(Cause::Revoked));
}

/// RFC 5280 section 5.2.5: a list for some certificates only. Without extended support OpenSSL uses no indirect list and
/// none for some reasons only; a scope that it cannot read is none.
#[test]
fn a_list_is_for_certificates_in_its_scope() {
    let scoped = |fields: &[u8]| list().with(oid::ISSUING_DISTRIBUTION_POINT, true, &scope(fields));
    let (users, cas) = (scoped(b"\x81\x01\xff"), scoped(b"\x82\x01\xff"));
    // The root is a CA, and is asked about too.
    assert_eq!(leaf(&[&users]), Some(Cause::CrlUnusable));
    assert_eq!(leaf(&[&cas]), Some(Cause::CrlUnusable));
    assert_eq!(leaf(&[&users, &cas]), None);
    assert_eq!(leaf(&[&scoped(b"\x85\x01\xff")]), Some(Cause::CrlUnusable));
    assert_eq!(leaf(&[&scoped(b"\x81\x01\0")]), None);
    for unusable in [
        &b"\x84\x01\xff"[..],
        b"\x83\x02\x06\x40",
        b"\x81\x01\xff\x82\x01\xff",
    ] {
        assert_eq!(
            leaf(&[&scoped(unusable)]),
            Some(Cause::CrlMissing),
            "{unusable:?}"
        );
    }
    assert_eq!(leaf(&[&scoped(NULL)]), None);

    let point = b"\xa0\x07\xa0\x05\x86\x03a:1";
    let elsewhere = b"\xa0\x07\xa0\x05\x86\x03a:2";
    let pointing = |at: &[u8]| {
        let value = scope(&der::encode(SEQUENCE, at));
        let leaf = Draft::leaf().with(oid::CRL_DISTRIBUTION_POINTS, false, &value);
        listed(&[&leaf], &root(), &[scoped(point).der(), cas.der()])
    };
    assert_eq!(pointing(point), None);
    assert_eq!(pointing(elsewhere), Some(Cause::CrlUnusable));
}

/// `openssl-rehash(1)`: a directory's files are found by the hash of a name, folded as names are compared. What openssl
/// prints for them (`x509 -subject_hash`, `crl -hash`).
#[test]
fn files_of_a_directory_are_found_by_openssls_hash() {
    let named = |name: &[u8]| {
        let name = name.to_vec();
        let certificate = root().change(|draft| draft.subject.clone_from(&name));
        let list = list().change(|list| list.issuer = name);
        [certificate_hash(&certificate.der()), list_hash(&list.der())]
    };
    for (name, hash) in [
        (common_name("Root"), "dcaaf7f0"),
        (name_of(&[(oid::COMMON_NAME, 0x1e, b"\0R\0o\0o\0t")]), "dcaaf7f0"),
        (
            name_of(&[
                (b"\x55\x04\x0a", 0x13, b"  EXAMPLE   org "),
                (oid::COMMON_NAME, 0x0c, "Ü Root".as_bytes()),
            ]),
            "310c5733",
        ),
    ] {
        assert_eq!(named(&name), [Some(hash.to_owned()), Some(hash.to_owned())]);
    }
    assert_eq!(certificate_hash(b"junk"), None);
    assert_eq!(list_hash(b"junk"), None);
}
