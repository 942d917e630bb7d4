//! Object identifiers, as the content octets of their DER encoding.

use std::fmt::Write as _;

macro_rules! oids {
    ($($name:ident = $bytes:expr;)*) => { $(pub(super) const $name: &[u8] = $bytes;)* };
}

// Attribute types (RFC 5280 appendix A).
oids! {
    COMMON_NAME = b"\x55\x04\x03";
    EMAIL_ADDRESS = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01";
}

// Certificate and CRL extensions (RFC 5280 section 4.2 and 5.2; RFC 3779; RFC 3820; Netscape).
oids! {
    SUBJECT_KEY_ID = b"\x55\x1d\x0e";
    KEY_USAGE = b"\x55\x1d\x0f";
    SUBJECT_ALT_NAME = b"\x55\x1d\x11";
    ISSUER_ALT_NAME = b"\x55\x1d\x12";
    BASIC_CONSTRAINTS = b"\x55\x1d\x13";
    REASON_CODE = b"\x55\x1d\x15";
    DELTA_CRL = b"\x55\x1d\x1b";
    ISSUING_DISTRIBUTION_POINT = b"\x55\x1d\x1c";
    CERTIFICATE_ISSUER = b"\x55\x1d\x1d";
    NAME_CONSTRAINTS = b"\x55\x1d\x1e";
    CRL_DISTRIBUTION_POINTS = b"\x55\x1d\x1f";
    CERTIFICATE_POLICIES = b"\x55\x1d\x20";
    POLICY_MAPPINGS = b"\x55\x1d\x21";
    AUTHORITY_KEY_ID = b"\x55\x1d\x23";
    POLICY_CONSTRAINTS = b"\x55\x1d\x24";
    EXTENDED_KEY_USAGE = b"\x55\x1d\x25";
    INHIBIT_ANY_POLICY = b"\x55\x1d\x36";
    OCSP_NO_CHECK = b"\x2b\x06\x01\x05\x05\x07\x30\x01\x05";
    IP_RESOURCES = b"\x2b\x06\x01\x05\x05\x07\x01\x07";
    AS_RESOURCES = b"\x2b\x06\x01\x05\x05\x07\x01\x08";
    PROXY_CERT_INFO = b"\x2b\x06\x01\x05\x05\x07\x01\x0e";
    NETSCAPE_CERT_TYPE = b"\x60\x86\x48\x01\x86\xf8\x42\x01\x01";
    SMTP_UTF8_MAILBOX = b"\x2b\x06\x01\x05\x05\x07\x08\x09";
}

// Extended key usages (RFC 5280 section 4.2.1.12) and the two "server gated crypto" ones that OpenSSL counts as server.
oids! {
    SERVER_AUTH = b"\x2b\x06\x01\x05\x05\x07\x03\x01";
    CLIENT_AUTH = b"\x2b\x06\x01\x05\x05\x07\x03\x02";
    MICROSOFT_SGC = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x03\x03";
    NETSCAPE_SGC = b"\x60\x86\x48\x01\x86\xf8\x42\x04\x01";
}

// Keys and signatures (RFC 3279, 4055, 5480, 5758, 8410).
oids! {
    RSA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    RSA_PSS = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
    MGF1 = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
    DSA = b"\x2a\x86\x48\xce\x38\x04\x01";
    EC = b"\x2a\x86\x48\xce\x3d\x02\x01";
    ED25519 = b"\x2b\x65\x70";
    ED448 = b"\x2b\x65\x71";
}

/// Dotted decimal text of an OID's content octets.
pub(super) fn dotted(content: &[u8]) -> String {
    let mut text = String::new();
    let mut arc: u128 = 0;
    for byte in content {
        arc = arc.checked_mul(128).unwrap_or(0) | u128::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if text.is_empty() {
            let first = (arc / 40).min(2);
            let _ = write!(text, "{first}.{}", arc - first * 40);
        } else {
            let _ = write!(text, ".{arc}");
        }
        arc = 0;
    }
    text
}
