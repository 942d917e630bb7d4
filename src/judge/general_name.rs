//! `GeneralName` (RFC 5280 section 4.2.1.6), its bytes untouched.

use super::der::{self, Element, Malformed, Reader};
use super::name::{self, Name};

/// One alternative name, or one end of a name constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GeneralName {
    /// Type and the raw value below its `[0]`.
    Other(Vec<u8>, Vec<u8>),
    Email(Vec<u8>),
    Dns(Vec<u8>),
    Directory(Name),
    Uri(Vec<u8>),
    Ip(Vec<u8>),
    /// X.400, EDI party and registered identifiers, by tag.
    Unused(u8),
}

impl GeneralName {
    pub(super) fn parse(element: &Element<'_>) -> Result<Self, Malformed> {
        let content = || element.content.to_vec();
        Ok(match element.tag {
            0xa0 => {
                let mut reader = element.reader();
                let oid = reader.object()?.to_vec();
                let value = reader.expect(0xa0)?.content.to_vec();
                reader.end()?;
                Self::Other(oid, value)
            }
            0x81 => Self::Email(content()),
            0x82 => Self::Dns(content()),
            0xa4 => Self::Directory(name::only(element.content)?),
            0x86 => Self::Uri(content()),
            0x87 => Self::Ip(content()),
            0x88 => {
                der::object(element.content)?;
                Self::Unused(element.tag)
            }
            0xa3 | 0xa5 => Self::Unused(element.tag),
            _ => return Err(Malformed("a name of unknown type")),
        })
    }

    /// A run of names: the content of `GeneralNames`.
    pub(super) fn parse_all(content: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut reader = Reader::new(content);
        let mut names = Vec::new();
        while !reader.is_empty() {
            names.push(Self::parse(&reader.next()?)?);
        }
        Ok(names)
    }
}
