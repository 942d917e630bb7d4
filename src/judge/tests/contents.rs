//! What certificates say of themselves: extensions, versions, uses, names.

use super::forge::{Draft, name_of};
use super::{refusal, refusal_for};
use crate::judge::der::{self, OID, SEQUENCE};
use crate::judge::{Cause, Purpose, oid};

const NULL: &[u8] = b"\x05\0";
const CA_FALSE: &[u8] = b"\x30\0";
const CA_TRUE: &[u8] = b"\x30\x03\x01\x01\xff";

fn root() -> Draft {
    Draft::ca("Root")
}

fn bits(octets: &[u8]) -> Vec<u8> {
    der::encode(der::BIT_STRING, &[&[0], octets].concat())
}

fn uses(list: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = list.iter().flat_map(|oid| der::encode(OID, oid)).collect();
    der::encode(SEQUENCE, &list)
}

/// A leaf with one more extension.
fn leaf_with(oid: &[u8], critical: bool, value: &[u8]) -> Option<Cause> {
    refusal(&[&Draft::leaf().with(oid, critical, value)], &[&root()])
}

/// The plain leaf under a root, and under an intermediate CA, with that extension in the place of its like.
fn below(oid: &[u8], value: Option<&[u8]>) -> [Option<Cause>; 2] {
    let change = |draft: Draft| match value {
        Some(value) => draft.with(oid, true, value),
        None => draft.without(oid),
    };
    let inter = change(Draft::ca("Inter").by("Root"));
    [
        refusal(&[&Draft::leaf()], &[&change(root())]),
        refusal(&[&Draft::leaf().by("Inter"), &inter], &[&root()]),
    ]
}

/// RFC 5280 section 6.1.4 (k): who signs certificates is a CA by its basic constraints. `X509_check_ca(3)`: an anchor may
/// be one by its key usage alone.
#[test]
fn who_signs_is_a_ca() {
    assert_eq!(below(oid::BASIC_CONSTRAINTS, Some(CA_TRUE)), [None, None]);
    let not = [Some(Cause::NotACa); 2];
    assert_eq!(below(oid::BASIC_CONSTRAINTS, Some(CA_FALSE)), not);
    assert_eq!(below(oid::BASIC_CONSTRAINTS, None), [None, Some(Cause::NotACa)]);
    let nothing = root().without(oid::BASIC_CONSTRAINTS).without(oid::KEY_USAGE);
    assert_eq!(refusal(&[&Draft::leaf()], &[&nothing]), Some(Cause::NotACa));
    let leaf = Draft::leaf().by("db.example.org").signed_by("db.example.org");
    assert_eq!(
        refusal(&[&leaf, &Draft::leaf()], &[&root()]),
        Some(Cause::SelfSignedNotTrusted)
    );
}

/// `X509V3_EXT_d2i(3)` does not look at what follows a value; `d2i_X509(3)` reads BER, and no OBJECT IDENTIFIER that is
/// none.
#[test]
fn extensions_are_read_as_openssl_reads_them() {
    for (oid, value) in [
        (oid::BASIC_CONSTRAINTS, &b"\x30\0\x05\0"[..]),
        (oid::KEY_USAGE, b"\x03\x02\x07\x80junk"),
        (oid::SUBJECT_ALT_NAME, b"\x30\x80\x82\x0edb.example.org\0\0"),
    ] {
        assert_eq!(leaf_with(oid, false, value), None, "{value:?}");
    }
    for broken in [&b""[..], b"\x2a\x80\x01", b"\x2a\x86"] {
        assert_eq!(
            leaf_with(broken, false, NULL),
            Some(Cause::Malformed),
            "{broken:?}"
        );
    }
    let trusted = root().with(b"", false, NULL);
    assert!(crate::judge::TrustStore::new(&[trusted.der()], &[]).is_err());
}

/// The same: a self-signed certificate of version 1 counts as a CA at the end of a path, and nowhere else.
#[test]
fn version_1_is_as_good_for_leaves_and_anchors_and_no_good_in_between() {
    assert_eq!(refusal(&[&Draft::leaf().v1()], &[&root()]), None);
    assert_eq!(refusal(&[&Draft::leaf()], &[&root().v1()]), None);
    let inter = Draft::ca("Inter").by("Root").v1();
    assert_eq!(
        refusal(&[&Draft::leaf().by("Inter"), &inter], &[&root()]),
        Some(Cause::NotACa)
    );
    for version in [1, 3, 7] {
        let leaf = Draft::leaf().change(|draft| draft.version = Some(version));
        assert_eq!(refusal(&[&leaf], &[&root()]), None, "{version}");
    }
}

/// RFC 5280 section 4.2.1.3: keyCertSign for certificates; OpenSSL asks it of the anchor too.
#[test]
fn who_signs_may_sign_certificates() {
    assert_eq!(below(oid::KEY_USAGE, None), [None, None]);
    assert_eq!(below(oid::KEY_USAGE, Some(&bits(&[0x04]))), [None, None]);
    assert_eq!(
        below(oid::KEY_USAGE, Some(&bits(&[0x82]))),
        [Some(Cause::KeyUsage); 2]
    );
    // With no bit at all it breaks RFC 5280, which says so.
    assert_ne!(below(oid::KEY_USAGE, Some(&bits(&[0]))), [None, None]);
}

/// The same for the leaf: digitalSignature, keyEncipherment or keyAgreement for a server (`openssl-x509(1)`,
/// "Certificate Extensions": SSL Server), digitalSignature or keyAgreement for a client.
#[test]
fn a_leafs_key_usage_fits_tls() {
    for (usage, server, client) in [
        (0x80, true, true),
        (0x20, true, false),
        (0x08, true, true),
        (0x40, false, false),
        (0x10, false, false),
        (0x04, false, false),
        (0x02, false, false),
        (0xa0, true, true),
    ] {
        let leaf = Draft::leaf().with(oid::KEY_USAGE, true, &bits(&[usage]));
        let expected = |passes: bool| (!passes).then_some(Cause::KeyUsage);
        assert_eq!(refusal(&[&leaf], &[&root()]), expected(server), "{usage:#x}");
        assert_eq!(
            refusal_for(Purpose::Client, &[&leaf], &[&root()]),
            expected(client),
            "{usage:#x}"
        );
    }
    // decipherOnly stands in the second octet.
    assert_eq!(
        leaf_with(oid::KEY_USAGE, true, &bits(&[0, 0x80])),
        Some(Cause::KeyUsage)
    );
}

/// RFC 5280 section 4.2.1.12: the leaf's uses must include this one; OpenSSL asks it of every CA too, does not take
/// anyExtendedKeyUsage for TLS, and lets the two kinds of server gated crypto pass for a server.
#[test]
fn an_extended_key_usage_includes_this_use() {
    const ANY: &[u8] = b"\x55\x1d\x25\x00";
    const CODE: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x03";
    for (list, server, client) in [
        (&[oid::SERVER_AUTH][..], true, false),
        (&[oid::CLIENT_AUTH], false, true),
        (&[CODE, oid::SERVER_AUTH, oid::CLIENT_AUTH], true, true),
        (&[ANY], false, false),
        (&[CODE], false, false),
        (&[oid::MICROSOFT_SGC], true, false),
        (&[oid::NETSCAPE_SGC], true, false),
        (&[], false, false),
    ] {
        let value = uses(list);
        let leaf = Draft::leaf().with(oid::EXTENDED_KEY_USAGE, false, &value);
        let expected = |passes: bool| (!passes).then_some(Cause::WrongPurpose);
        assert_eq!(refusal(&[&leaf], &[&root()]), expected(server), "{list:?}");
        assert_eq!(
            refusal_for(Purpose::Client, &[&leaf], &[&root()]),
            expected(client),
            "{list:?}"
        );
        assert_eq!(
            below(oid::EXTENDED_KEY_USAGE, Some(&value)),
            [expected(server); 2],
            "{list:?}"
        );
    }
}

/// `openssl-x509(1)`, "Certificate Extensions": the old Netscape type, where there is one, must fit as well.
#[test]
fn a_netscape_type_fits_tls() {
    let leaf = |octet: u8| leaf_with(oid::NETSCAPE_CERT_TYPE, false, &bits(&[octet]));
    assert_eq!(leaf(0x40), None);
    assert_eq!(leaf(0xc0), None);
    assert_eq!(leaf(0x80), Some(Cause::WrongPurpose));
    let by_type = |octet: u8| {
        let root = root()
            .without(oid::BASIC_CONSTRAINTS)
            .without(oid::KEY_USAGE)
            .with(oid::NETSCAPE_CERT_TYPE, false, &bits(&[octet]));
        refusal(&[&Draft::leaf()], &[&root])
    };
    assert_eq!(by_type(0x04), None);
    assert_eq!(by_type(0x02), Some(Cause::WrongPurpose));
    assert_eq!(by_type(0x40), Some(Cause::NotACa));
}

/// RFC 5280 section 4.2: a critical extension that is not understood refuses; those that OpenSSL supports are listed at
/// `X509_supported_extension(3)`.
#[test]
fn a_critical_extension_is_known_or_refused() {
    const UNKNOWN: &[u8] = b"\x2a\x03\x04\x05";
    assert_eq!(leaf_with(UNKNOWN, false, NULL), None);
    let unknown = Some(Cause::UnknownCriticalExtension);
    assert_eq!(leaf_with(UNKNOWN, true, NULL), unknown);
    assert_eq!(below(UNKNOWN, Some(NULL)), [unknown; 2]);
    for (oid, value) in [
        (
            oid::CERTIFICATE_POLICIES,
            &b"\x30\x06\x30\x04\x06\x02\x2a\x03"[..],
        ),
        (oid::POLICY_CONSTRAINTS, b"\x30\x03\x80\x01\0"),
        (oid::INHIBIT_ANY_POLICY, b"\x02\x01\0"),
        (oid::OCSP_NO_CHECK, NULL),
        (oid::EXTENDED_KEY_USAGE, &uses(&[oid::SERVER_AUTH])),
        (
            oid::CRL_DISTRIBUTION_POINTS,
            b"\x30\x0b\x30\x09\xa0\x07\xa0\x05\x86\x03a:b",
        ),
    ] {
        assert_eq!(leaf_with(oid, true, value), None, "{oid:?}");
    }
    // Known, but not as critical ones.
    for (oid, value) in [
        (oid::SUBJECT_KEY_ID, &b"\x04\x01k"[..]),
        (oid::AUTHORITY_KEY_ID, CA_FALSE),
        (oid::ISSUER_ALT_NAME, b"\x30\x03\x82\x01x"),
    ] {
        assert_eq!(leaf_with(oid, false, value), None, "{oid:?}");
        assert_eq!(leaf_with(oid, true, value), unknown, "{oid:?}");
    }
}

/// `X509_get_extension_flags(3)`, `EXFLAG_INVALID`: an extension that OpenSSL reads, and cannot, spoils the certificate.
#[test]
fn an_extension_that_breaks_its_encoding_spoils_the_certificate() {
    for oid in [
        oid::BASIC_CONSTRAINTS,
        oid::KEY_USAGE,
        oid::EXTENDED_KEY_USAGE,
        oid::NETSCAPE_CERT_TYPE,
        oid::SUBJECT_KEY_ID,
        oid::AUTHORITY_KEY_ID,
        oid::SUBJECT_ALT_NAME,
        oid::NAME_CONSTRAINTS,
        oid::CRL_DISTRIBUTION_POINTS,
    ] {
        assert_eq!(leaf_with(oid, false, NULL), Some(Cause::Malformed), "{oid:?}");
        for refused in below(oid, Some(NULL)) {
            assert!(refused.is_some(), "{oid:?}");
        }
    }
    assert_eq!(
        leaf_with(oid::CERTIFICATE_POLICIES, false, NULL),
        None,
        "not read"
    );
    let negative = b"\x30\x06\x01\x01\xff\x02\x01\xff";
    assert_eq!(
        leaf_with(oid::BASIC_CONSTRAINTS, false, negative),
        Some(Cause::Malformed)
    );
}

/// RFC 5280 section 4.2: each extension at most once.
#[test]
fn an_extension_stands_there_once() {
    let twice = Draft::leaf().and(oid::SUBJECT_ALT_NAME, false, b"\x30\x03\x82\x01x");
    assert_eq!(refusal(&[&twice], &[&root()]), Some(Cause::Malformed));
    let unread = Draft::leaf()
        .and(oid::OCSP_NO_CHECK, false, NULL)
        .and(oid::OCSP_NO_CHECK, false, NULL);
    assert_eq!(refusal(&[&unread], &[&root()]), None);
}

/// RFC 3820: proxy certificates are off unless asked for (`openssl-verification-options(1)`, `-allow_proxy_certs`).
#[test]
fn a_proxy_certificate_is_refused() {
    let info = b"\x30\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x15\x01";
    let proxy = Draft::leaf()
        .without(oid::SUBJECT_ALT_NAME)
        .with(oid::PROXY_CERT_INFO, true, info);
    assert_eq!(refusal(&[&proxy], &[&root()]), Some(Cause::ProxyCertificate));
    assert_eq!(
        leaf_with(oid::PROXY_CERT_INFO, true, info),
        Some(Cause::Malformed)
    );
}

/// RFC 5280 section 4.2.1.10: every name of every certificate below, those of CAs too.
#[test]
fn names_lie_within_the_constraints_above() {
    let subtree = |tag: u8, base: &[u8]| der::encode(SEQUENCE, &der::encode(tag, base));
    let constraints =
        |side: u8, subtrees: &[Vec<u8>]| der::encode(SEQUENCE, &der::encode(side, &subtrees.concat()));
    let under = |leaf: &Draft, value: &[u8]| {
        let constrained = root().with(oid::NAME_CONSTRAINTS, true, value);
        refusal(&[leaf], &[&constrained])
    };
    let leaf = Draft::leaf();
    let outside = Some(Cause::NameConstraint);
    let (permitted, excluded) = (0xa0, 0xa1);
    for (side, base, expected) in [
        (permitted, &b"example.org"[..], None),
        (permitted, b"other.org", outside),
        (permitted, b"", None),
        (excluded, b"example.org", outside),
        (excluded, b"other.org", None),
    ] {
        assert_eq!(
            under(&leaf, &constraints(side, &[subtree(0x82, base)])),
            expected,
            "{base:?}"
        );
    }
    let any = [subtree(0x82, b"other.org"), subtree(0x82, b"example.org")];
    assert_eq!(
        under(&leaf, &constraints(permitted, &any)),
        None,
        "one of several will do"
    );
    // Constraints of another kind do not concern it.
    let address = subtree(0x87, &[10, 0, 0, 0, 255, 0, 0, 0]);
    assert_eq!(
        under(&leaf, &constraints(permitted, std::slice::from_ref(&address))),
        None
    );
    let at = |address: &[u8]| {
        let name = der::encode(SEQUENCE, &der::encode(0x87, address));
        Draft::leaf().with(oid::SUBJECT_ALT_NAME, false, &name)
    };
    let within = constraints(permitted, &[address]);
    assert_eq!(under(&at(&[10, 1, 2, 3]), &within), None);
    assert_eq!(under(&at(&[11, 1, 2, 3]), &within), outside);
    assert_eq!(under(&at(&[0; 16]), &within), outside, "IPv6 is an address too");

    // A common name counts as a DNS name where the leaf has none.
    let nameless = Draft::leaf().without(oid::SUBJECT_ALT_NAME);
    let other = constraints(permitted, &[subtree(0x82, b"other.org")]);
    assert_eq!(under(&nameless, &other), outside);
    let plain = nameless.change(|draft| draft.subject = name_of(&[(oid::COMMON_NAME, 0x0c, b"server")]));
    assert_eq!(under(&plain, &other), None);

    // Directory names: the subject of the leaf, and of the CA between.
    let organisation = |text: &[u8]| {
        let base = name_of(&[(b"\x55\x04\x0a", 0x0c, text)]);
        constraints(permitted, &[subtree(0xa4, &base)])
    };
    let of = |text: &[u8]| {
        Draft::leaf().change(|draft| {
            draft.subject = name_of(&[(b"\x55\x04\x0a", 0x13, text), (oid::COMMON_NAME, 0x0c, b"x")]);
        })
    };
    assert_eq!(under(&of(b"EXAMPLE"), &organisation(b"Example")), None);
    assert_eq!(under(&of(b"Another"), &organisation(b"Example")), outside);
    let inter = Draft::ca("Inter").by("Root");
    let constrained = root().with(oid::NAME_CONSTRAINTS, true, &organisation(b"Example"));
    let below = of(b"Example").by("Inter");
    assert_eq!(refusal(&[&below, &inter], &[&constrained]), outside);
    // A minimum or a maximum is not supported, and a type that cannot be compared is refused.
    let bounded = der::encode(
        SEQUENCE,
        &[der::encode(0x82, b"example.org"), vec![0x81, 1, 9]].concat(),
    );
    assert_eq!(under(&leaf, &constraints(permitted, &[bounded])), outside);
    let registered = Draft::leaf().with(oid::SUBJECT_ALT_NAME, false, b"\x30\x04\x88\x02\x2a\x03");
    let ids = constraints(permitted, &[subtree(0x88, b"\x2a\x03")]);
    assert_eq!(under(&registered, &ids), outside);
    assert_eq!(under(&leaf, &ids), None);
}

/// RFC 3779: OpenSSL judges these resources, and pgtls says that it does not.
#[test]
fn internet_resources_leave_the_verdict_open_unless_something_else_refuses() {
    let resources = Draft::leaf().with(oid::IP_RESOURCES, true, CA_FALSE);
    assert_eq!(
        refusal(&[&resources], &[&root()]),
        Some(Cause::UnsupportedAlgorithm)
    );
    let expired = resources.dated("200101000000Z", "210101000000Z");
    assert_eq!(refusal(&[&expired], &[&root()]), Some(Cause::Expired));
}
