//! A reader of DER (X.690 chapter 10) that hands out slices and never panics.

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
        let (tag, length, header) = header(self.rest)?;
        let end = header
            .checked_add(length)
            .ok_or(Malformed("a length overflows"))?;
        if end > self.rest.len() {
            return Err(Malformed("an element ends beyond its container"));
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Element {
            tag,
            content: &raw[header..],
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

fn header(bytes: &[u8]) -> Result<(u8, usize, usize), Malformed> {
    let [tag, first, ..] = *bytes else {
        return Err(Malformed("an element without a header"));
    };
    if tag & 0x1f == 0x1f {
        return Err(Malformed("a tag number above 30"));
    }
    if first < 0x80 {
        return Ok((tag, usize::from(first), 2));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(Malformed("a length of unknown form"));
    }
    let octets = bytes.get(2..2 + count).ok_or(Malformed("a length cut short"))?;
    let length = octets
        .iter()
        .fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
    Ok((tag, length, 2 + count))
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
            b"\x30\x85\0\0\0\0\0",
            b"\x1f\x01\0",
        ] {
            assert!(Reader::new(bytes).next().is_err(), "{bytes:?}");
        }
        assert!(only(b"\x30\x00\x00", SEQUENCE).is_err());
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
