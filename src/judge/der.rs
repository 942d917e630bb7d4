//! A reader of DER (X.690 chapter 10) that hands out slices and never panics.
//!
//! Lengths it takes as OpenSSL takes them, which reads BER (X.690 section 8.1.3): of more octets than needed, and without
//! end where a container closes with two zero octets. A signature is over the bytes as they came, so `raw` keeps them.
//! Strings put together of pieces are not read.

/// Why bytes are no DER of the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// One element: its tag, its content, and both with the length between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader of what is inside.
    pub(super) fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }
}

/// Reads elements one after another.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever its tag.
    pub(super) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let header = header(self.rest)?;
        let (length, closing) = match header.length {
            Some(length) => (length, 0),
            None => (open_length(&self.rest[header.size..])?, END.len()),
        };
        let end = header
            .size
            .checked_add(length)
            .and_then(|end| end.checked_add(closing))
            .ok_or(Malformed("a length overflows"))?;
        if end > self.rest.len() {
            return Err(Malformed("an element ends beyond its container"));
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Element {
            tag: header.tag,
            content: &raw[header.size..end - closing],
            raw,
        })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        match self.next()? {
            element if element.tag == tag => Ok(element),
            _ => Err(Malformed("an element of another type was expected")),
        }
    }

    /// The next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) {
            self.next().map(Some)
        } else {
            Ok(None)
        }
    }

    /// The content of the next element, which must be an OBJECT IDENTIFIER as OpenSSL takes one: not empty, ended, and
    /// no part of it padded (X.690 section 8.19.2).
    pub(super) fn object(&mut self) -> Result<&'a [u8], Malformed> {
        object(self.expect(OID)?.content)
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("bytes follow where an element should end"))
        }
    }
}

/// The one element that `bytes` consist of.
pub(super) fn only(bytes: &[u8], tag: u8) -> Result<Element<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.end()?;
    Ok(element)
}

/// The element that `bytes` begin with. OpenSSL does not look at what follows the value of an extension
/// (`X509V3_EXT_d2i(3)`).
pub(super) fn leading(bytes: &[u8], tag: u8) -> Result<Element<'_>, Malformed> {
    Reader::new(bytes).expect(tag)
}

/// The content of an OBJECT IDENTIFIER, see [`Reader::object`].
pub(super) fn object(content: &[u8]) -> Result<&[u8], Malformed> {
    let begins = |at: usize| at == 0 || content[at - 1] & 0x80 == 0;
    let padded = (0..content.len()).any(|at| content[at] == 0x80 && begins(at));
    if padded || content.last().is_none_or(|last| last & 0x80 != 0) {
        return Err(Malformed("a broken OBJECT IDENTIFIER"));
    }
    Ok(content)
}

/// The octets of a BIT STRING's content, its unused trailing bits cleared as OpenSSL clears them.
pub(super) fn bits(content: &[u8]) -> Result<Vec<u8>, Malformed> {
    let (&unused, octets) = content
        .split_first()
        .ok_or(Malformed("a BIT STRING without its first octet"))?;
    if unused > 7 || (unused > 0 && octets.is_empty()) {
        return Err(Malformed("a BIT STRING with impossible unused bits"));
    }
    let mut octets = octets.to_vec();
    if let Some(last) = octets.last_mut() {
        *last &= 0xff << unused;
    }
    Ok(octets)
}

/// The content of an INTEGER that is not padded (X.690 8.3.2; OpenSSL refuses padding too).
pub(super) fn integer(content: &[u8]) -> Result<&[u8], Malformed> {
    match content {
        [] => Err(Malformed("an empty INTEGER")),
        [0, next, ..] if next & 0x80 == 0 => Err(Malformed("a padded INTEGER")),
        [0xff, next, ..] if next & 0x80 != 0 => Err(Malformed("a padded INTEGER")),
        _ => Ok(content),
    }
}

/// Bits in the magnitude of a non-negative INTEGER's content; 0 for a negative one.
pub(super) fn bit_length(content: &[u8]) -> usize {
    if content.first().is_some_and(|first| first & 0x80 != 0) {
        return 0;
    }
    let magnitude = &content[content.iter().take_while(|byte| **byte == 0).count()..];
    magnitude
        .first()
        .map_or(0, |first| magnitude.len() * 8 - first.leading_zeros() as usize)
}

/// A non-negative INTEGER that fits; `None` for anything else.
pub(super) fn small(content: &[u8]) -> Option<u32> {
    (bit_length(content) <= 32 && content.first().is_some_and(|first| first & 0x80 == 0)).then(|| {
        content
            .iter()
            .fold(0, |value: u32, byte| value << 8 | u32::from(*byte))
    })
}

/// An element written out.
pub(super) fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut raw = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => raw.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
            // At most eight bytes, so the sum fits.
            raw.push(0x80 | u8::try_from(length.len()).unwrap_or(0x7f));
            raw.extend_from_slice(length);
        }
    }
    raw.extend_from_slice(content);
    raw
}

/// What closes a container whose length was left open.
const END: [u8; 2] = [0, 0];

struct Header {
    tag: u8,
    /// `None`: left open.
    length: Option<usize>,
    size: usize,
}

fn header(bytes: &[u8]) -> Result<Header, Malformed> {
    const CONSTRUCTED: u8 = 0x20;
    let [tag, first, ..] = *bytes else {
        return Err(Malformed("an element without a header"));
    };
    if tag & 0x1f == 0x1f {
        return Err(Malformed("a tag number above 30"));
    }
    let header = |length, size| Ok(Header { tag, length, size });
    if first < 0x80 {
        return header(Some(usize::from(first)), 2);
    }
    if first == 0x80 {
        if tag & CONSTRUCTED == 0 {
            return Err(Malformed("a value without a length"));
        }
        return header(None, 2);
    }
    let count = usize::from(first & 0x7f);
    let octets = bytes.get(2..2 + count).ok_or(Malformed("a length cut short"))?;
    let significant = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
    if significant.len() > 4 {
        return Err(Malformed("an impossible length"));
    }
    let length = significant
        .iter()
        .fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
    header(Some(length), 2 + count)
}

/// How much comes before the octets that close the container. Only lengths are followed, so that depth costs nothing.
fn open_length(bytes: &[u8]) -> Result<usize, Malformed> {
    const ENDLESS: Malformed = Malformed("a container that nothing closes");
    let (mut at, mut open) = (0, 1_usize);
    loop {
        let rest = bytes.get(at..).ok_or(ENDLESS)?;
        if rest.starts_with(&END) {
            open -= 1;
            if open == 0 {
                return Ok(at);
            }
            at += END.len();
            continue;
        }
        let header = header(rest)?;
        open += usize::from(header.length.is_none());
        let length = header.length.unwrap_or_default();
        at = at.checked_add(header.size + length).ok_or(ENDLESS)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X.690 section 8.1.3: lengths that lie, are cut short, or have no end.
    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x01",
            b"\x30\x80",
            b"\x30\x82\x01",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x85\x01\0\0\0\0",
            b"\x04\x80\0\0",
            b"\x30\x80\x30\x80\0\0",
            b"\x30\x80\x04\x7f\0\0",
            b"\x30\x80\0",
            b"\x1f\x01\0",
        ] {
            assert!(Reader::new(bytes).next().is_err(), "{bytes:?}");
        }
        assert!(only(b"\x30\x00\x00", SEQUENCE).is_err());
    }

    /// X.690 section 8.1.3: BER, which OpenSSL reads (`ASN1_get_object`).
    #[test]
    fn lengths_may_be_left_open_or_be_longer_than_needed() {
        let read = |bytes: &'static [u8]| {
            let element = Reader::new(bytes).next().unwrap();
            (element.content, element.raw.len())
        };
        assert_eq!(read(b"\x30\x80\x05\0\0\0rest"), (&b"\x05\0"[..], 6));
        assert_eq!(
            read(b"\x30\x80\x30\x80\x05\0\0\0\0\0"),
            (&b"\x30\x80\x05\0\0\0"[..], 10)
        );
        assert_eq!(read(b"\x30\x80\x04\x02\0\0\0\0"), (&b"\x04\x02\0\0"[..], 8));
        assert_eq!(read(b"\x30\x86\0\0\0\0\0\x02\x05\0"), (&b"\x05\0"[..], 10));
    }

    /// X.690 section 8.19.2, as OpenSSL holds to it (`c2i_ASN1_OBJECT`).
    #[test]
    fn an_object_identifier_is_whole_and_unpadded() {
        for sound in [&b"\x2a"[..], b"\x55\x1d\x13", b"\x2a\x86\x80\x01"] {
            assert_eq!(object(sound), Ok(sound));
        }
        for broken in [&b""[..], b"\x2a\x86", b"\x80\x01", b"\x2a\x80\x01"] {
            assert!(object(broken).is_err(), "{broken:?}");
        }
    }

    /// X.690 sections 8.3.2 and 11.2.
    #[test]
    fn integers_and_bit_strings_are_read_as_openssl_reads_them() {
        assert!(integer(b"").is_err());
        assert!(integer(b"\x00\x7f").is_err());
        assert!(integer(b"\xff\x80").is_err());
        assert_eq!(integer(b"\x00\x80"), Ok(&b"\x00\x80"[..]));
        assert_eq!(bits(b"\x03\xff"), Ok(vec![0xf8]));
        assert!(bits(b"\x08\xff").is_err());
        assert!(bits(b"\x01").is_err());
        assert_eq!(
            (bit_length(b"\x00\x80"), bit_length(b"\x80"), small(b"\x01\x00")),
            (8, 0, Some(256))
        );
    }
}
