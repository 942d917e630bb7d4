//! Writing DER (X.690): the few forms that an X.509 certificate needs.
//!
//! Reading is left to `x509-parser` and `pkcs8`. We write certificates ourselves because the issuer's name must
//! be copied byte for byte: a library that parses and re-encodes it loses repeated attributes
//! (`DC=example,DC=com`) and string types, and then no verifier finds the issuer (RFC 5280 section 7.1).

use pkcs8::ObjectIdentifier;
use time::OffsetDateTime;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Tag, length, content.
pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let mut der = Vec::with_capacity(content.len() + 6);
    der.push(tag);
    if let [.., low] = length
        && content.len() < 0x80
    {
        der.push(low);
    } else {
        let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
        // At most eight bytes of length, so the count fits the low bits.
        der.push(0x80 | significant.len().to_be_bytes()[7]);
        der.extend(significant);
    }
    der.extend_from_slice(content);
    der
}

/// The tag of a constructed, explicitly tagged field `[number]`.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

pub(super) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    tlv(OID, oid.as_bytes())
}

/// A BIT STRING of whole bytes.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes].concat())
}

/// `Time` of RFC 5280 section 4.1.2.5: `UTCTime` through 2049, `GeneralizedTime` from 2050, whole seconds, `Z`.
pub(super) fn time(at: OffsetDateTime) -> Vec<u8> {
    let at = at.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let rest = format!(
        "{month:02}{day:02}{:02}{:02}{:02}Z",
        at.hour(),
        at.minute(),
        at.second()
    );
    if (1950..2050).contains(&year) {
        tlv(UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes())
    } else {
        tlv(GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn lengths_take_the_short_form_up_to_127() {
        assert_eq!(tlv(4, &[7; 127])[..2], [4, 0x7f]);
        assert_eq!(tlv(4, &[7; 128])[..3], [4, 0x81, 0x80]);
        assert_eq!(tlv(4, &[7; 256])[..4], [4, 0x82, 0x01, 0x00]);
    }

    #[test]
    fn the_time_format_changes_with_the_year_2050() {
        assert_eq!(time(datetime!(2049-12-31 23:59:59 UTC))[2..], *b"491231235959Z");
        assert_eq!(time(datetime!(2050-01-01 00:00:00 UTC))[2..], *b"20500101000000Z");
        assert_eq!(
            time(datetime!(2026-03-01 01:00:00 +02:00))[2..],
            *b"260228230000Z"
        );
    }
}
