//! Distinguished names: as text for people (RFC 4514), and the one-attribute names that pgtls writes.

use std::fmt::Write as _;

use pkcs8::ObjectIdentifier;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::der;
use super::text::printable;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// `ub-common-name` of RFC 5280 appendix A.1, in characters.
pub(super) const MOST_COMMON_NAME: usize = 64;

/// A name of one common name, or of nothing at all, in DER.
pub(super) fn common_name_der(common_name: Option<&str>) -> Vec<u8> {
    let Some(common_name) = common_name else {
        return der::sequence(&[]);
    };
    let value = der::tlv(der::UTF8_STRING, common_name.as_bytes());
    let attribute = der::sequence(&[&der::oid(COMMON_NAME), &value]);
    der::sequence(&[&der::tlv(der::SET, &attribute)])
}

/// The name in RFC 4514's order and escapes, safe to show; the order that `clientname=DN` compares in.
pub(super) fn display(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let names: Vec<_> = name.iter_rdn().collect();
    for (index, relative) in names.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // OpenSSL turns the order within a multi-valued part around as well, and `clientname=DN` compares its text.
        let attributes: Vec<_> = relative.iter().collect();
        for (index, attribute) in attributes.iter().rev().enumerate() {
            if index > 0 {
                text.push('+');
            }
            let (key, value) = shown(attribute);
            text.push_str(&key);
            text.push('=');
            text.push_str(&value);
        }
    }
    printable(&text)
}

/// The first common name: the one libpq and the server read (`X509_NAME_get_text_by_NID`).
pub(super) fn common_name(name: &X509Name<'_>) -> Option<String> {
    decode(name.iter_common_name().next()?)
}

fn shown(attribute: &AttributeTypeAndValue<'_>) -> (String, String) {
    let oid = attribute.attr_type().to_id_string();
    let key = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return (oid, hex(attribute)),
    };
    let value = decode(attribute).map_or_else(|| hex(attribute), |value| escape(&value));
    (key.to_owned(), value)
}

/// The value as text, by its string type (X.680 section 41); `None` if it is no text of that type.
fn decode(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    let bytes = value.data;
    match value.tag().0 {
        // UTF8String, NumericString, PrintableString, IA5String, VisibleString
        12 | 18 | 19 | 22 | 26 => String::from_utf8(bytes.to_vec()).ok(),
        // TeletexString: Latin-1, as OpenSSL reads it.
        20 => Some(bytes.iter().copied().map(char::from).collect()),
        // BMPString
        30 if bytes.len().is_multiple_of(2) => {
            let units: Vec<_> = bytes
                .chunks(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        // UniversalString
        28 if bytes.len().is_multiple_of(4) => bytes
            .chunks(4)
            .map(|four| char::from_u32(u32::from_be_bytes([four[0], four[1], four[2], four[3]])))
            .collect(),
        _ => None,
    }
}

/// RFC 4514 section 2.4; control characters as hex pairs.
fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (index == 0 && matches!(c, '#' | ' '))
            || (index == last && c == ' ');
        if c.is_ascii_control() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\{:02X}", u32::from(c));
        } else {
            if special {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

/// RFC 4514 section 2.4: `#` and the hex of the value's DER.
fn hex(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    // Attribute values are universal types with small tags; a larger one could not be told apart here anyway.
    let tag = u8::try_from(value.tag().0 & 0x1f).unwrap_or_default()
        | if value.header.is_constructed() { 0x20 } else { 0 };
    let mut text = String::from("#");
    for byte in der::tlv(tag, value.data) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}
