//! Distinguished names: compared as OpenSSL compares them, shown so that they are safe to show.

use std::fmt;

use super::der::{self, Element, Malformed, OID, Reader, SEQUENCE, SET};
use super::oid;

/// One attribute: type, string type, and the bytes as they stand in the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) oid: Vec<u8>,
    pub(super) tag: u8,
    pub(super) value: Vec<u8>,
}

/// A distinguished name. Equality is `X509_NAME_cmp(3)`: strings as UTF-8, ASCII case folded, blanks collapsed
/// (near RFC 5280 section 7.1).
#[derive(Debug, Clone)]
pub(super) struct Name {
    attributes: Vec<Attribute>,
    canonical: Vec<Rdn>,
}

/// A relative name in canonical form: its attributes sorted, each as type, string type, folded value.
type Rdn = Vec<(Vec<u8>, u8, Vec<u8>)>;

const UTF8_STRING: u8 = 0x0c;

impl Name {
    /// Reads `Name` (RFC 5280 section 4.1.2.4) from its SEQUENCE.
    pub(super) fn parse(element: &Element<'_>) -> Result<Self, Malformed> {
        let (mut attributes, mut canonical) = (Vec::new(), Vec::new());
        let mut rdns = element.reader();
        while !rdns.is_empty() {
            let mut entries = rdns.expect(SET)?.reader();
            let mut rdn = Rdn::new();
            while !entries.is_empty() {
                let attribute = attribute(&entries.expect(SEQUENCE)?)?;
                let (tag, value) = fold(attribute.tag, &attribute.value)?;
                rdn.push((attribute.oid.clone(), tag, value));
                attributes.push(attribute);
            }
            if !rdn.is_empty() {
                rdn.sort();
                canonical.push(rdn);
            }
        }
        Ok(Self {
            attributes,
            canonical,
        })
    }

    /// The values of an attribute type, in order, undecoded.
    pub(super) fn values<'a>(&'a self, oid: &'a [u8]) -> impl Iterator<Item = &'a Attribute> {
        self.attributes
            .iter()
            .filter(move |attribute| attribute.oid == oid)
    }

    /// The number by which OpenSSL finds a name's files in a directory (`X509_NAME_hash(3)`): the first four bytes of
    /// the SHA-1 over the canonical encoding.
    pub(super) fn hash(&self) -> u32 {
        let mut encoded = Vec::new();
        for rdn in &self.canonical {
            let mut entries: Vec<Vec<u8>> = rdn
                .iter()
                .map(|(oid, tag, value)| {
                    let pair = [der::encode(OID, oid), der::encode(*tag, value)].concat();
                    der::encode(SEQUENCE, &pair)
                })
                .collect();
            entries.sort();
            encoded.extend(der::encode(SET, &entries.concat()));
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &encoded);
        digest
            .as_ref()
            .first_chunk()
            .map_or(0, |four| u32::from_le_bytes(*four))
    }

    pub(super) fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Whether this name lies in the subtree that `base` names (RFC 5280 section 4.2.1.10).
    pub(super) fn is_within(&self, base: &Self) -> bool {
        self.canonical.starts_with(&base.canonical)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attributes.is_empty() {
            return f.write_str("(empty name)");
        }
        for (index, attribute) in self.attributes.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let value = decode(attribute.tag, &attribute.value)
                .unwrap_or_else(|_| String::from_utf8_lossy(&attribute.value).into_owned());
            write!(f, "{separator}{}={}", label(&attribute.oid), printable(&value))?;
        }
        Ok(())
    }
}

/// Text from a certificate, with everything escaped that could steer a terminal or reorder the line.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 256;
    let mut shown = String::new();
    for character in text.chars().take(LONGEST) {
        if character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
        {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

fn attribute(element: &Element<'_>) -> Result<Attribute, Malformed> {
    let mut reader = element.reader();
    let oid = reader.object()?.to_vec();
    let value = reader.next()?;
    reader.end()?;
    if !is_string(value.tag) {
        return Err(Malformed("a name with a value that is no string"));
    }
    Ok(Attribute {
        oid,
        tag: value.tag,
        value: value.content.to_vec(),
    })
}

/// What OpenSSL takes for a value in a name (`B_ASN1_PRINTABLE` in asn1.h): of the universal types neither OCTET STRING,
/// NULL, OBJECT IDENTIFIER, ENUMERATED, SET, the dates nor the graphic strings. A string of pieces is not read here.
fn is_string(tag: u8) -> bool {
    matches!(tag, 0x03 | 0x07..=0x09 | 0x0b..=0x0f | 0x12..=0x14 | 0x16 | 0x1c..=0x1e | 0x30)
}

/// The form in which OpenSSL compares: the string types it knows become UTF-8 with ASCII case and blanks folded,
/// all others stay as they are.
fn fold(tag: u8, value: &[u8]) -> Result<(u8, Vec<u8>), Malformed> {
    if !matches!(tag, UTF8_STRING | 0x13 | 0x14 | 0x16 | 0x1a | 0x1c | 0x1e) {
        return Ok((tag, value.to_vec()));
    }
    let text = decode(tag, value)?;
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
    let folded = text
        .split(blank)
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect::<Vec<_>>()
        .join(" ");
    Ok((UTF8_STRING, folded.into_bytes()))
}

/// Decodes a string as `ASN1_STRING_to_UTF8(3)`: T61 as Latin-1, BMP and Universal as big-endian code points.
pub(super) fn decode(tag: u8, value: &[u8]) -> Result<String, Malformed> {
    const BROKEN: Malformed = Malformed("a name with a broken string");
    match tag {
        UTF8_STRING => String::from_utf8(value.to_vec()).map_err(|_| BROKEN),
        0x1e if value.len().is_multiple_of(2) => value
            .chunks_exact(2)
            .map(|pair| char::from_u32(u32::from(pair[0]) << 8 | u32::from(pair[1])).ok_or(BROKEN))
            .collect(),
        0x1c if value.len().is_multiple_of(4) => value
            .chunks_exact(4)
            .map(|four| {
                let code = four.iter().fold(0, |code, byte| code << 8 | u32::from(*byte));
                char::from_u32(code).ok_or(BROKEN)
            })
            .collect(),
        0x1c | 0x1e => Err(BROKEN),
        _ => Ok(value.iter().map(|byte| char::from(*byte)).collect()),
    }
}

fn label(oid: &[u8]) -> String {
    match oid {
        oid::COMMON_NAME => "CN".into(),
        oid::EMAIL_ADDRESS => "emailAddress".into(),
        b"\x55\x04\x05" => "serialNumber".into(),
        b"\x55\x04\x06" => "C".into(),
        b"\x55\x04\x07" => "L".into(),
        b"\x55\x04\x08" => "ST".into(),
        b"\x55\x04\x0a" => "O".into(),
        b"\x55\x04\x0b" => "OU".into(),
        b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19" => "DC".into(),
        other => oid::dotted(other),
    }
}

/// Reads a `Name` that is the only thing in `bytes`.
pub(super) fn only(bytes: &[u8]) -> Result<Name, Malformed> {
    let mut reader = Reader::new(bytes);
    let name = Name::parse(&reader.expect(SEQUENCE)?)?;
    reader.end()?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(tag: u8, value: &[u8]) -> Name {
        let mut attribute = vec![0x06, 3, 0x55, 4, 3, tag, u8::try_from(value.len()).unwrap()];
        attribute.extend_from_slice(value);
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        only(&wrap(SEQUENCE, &wrap(SET, &wrap(SEQUENCE, &attribute)))).unwrap()
    }

    /// RFC 5280 section 7.1: case and runs of blanks do not matter, nor does the string type.
    #[test]
    fn names_are_compared_folded() {
        let plain = name(0x0c, b"Root CA");
        for other in [
            name(0x13, b"ROOT  ca"),
            name(0x0c, b" root\tca "),
            name(0x1e, b"\0R\0o\0o\0t\0 \0C\0A"),
        ] {
            assert!(plain == other);
        }
        assert!(plain != name(0x0c, b"RootCA"));
        assert!(plain != name(0x07, b"Root CA"));
    }

    /// asn1.h, `B_ASN1_PRINTABLE`: OpenSSL reads no name with another type in it.
    #[test]
    fn a_value_in_a_name_is_a_string() {
        for tag in [0x03, 0x0c, 0x12, 0x13, 0x16, 0x1e, 0x30] {
            assert!(is_string(tag), "{tag:#x}");
        }
        // BOOLEAN, INTEGER, OCTET STRING, NULL, OBJECT IDENTIFIER, ENUMERATED, SET, a date, others.
        for tag in [
            0x01, 0x02, 0x04, 0x05, 0x06, 0x0a, 0x11, 0x31, 0x17, 0x1a, 0x80, 0xa0,
        ] {
            assert!(!is_string(tag), "{tag:#x}");
        }
    }

    #[test]
    fn nothing_in_a_name_steers_the_terminal() {
        assert_eq!(
            name(0x0c, "a\u{202e}b\u{7}".as_bytes()).to_string(),
            "CN=a\\u{202e}b\\u{7}"
        );
    }
}
