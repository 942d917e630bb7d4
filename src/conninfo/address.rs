//! `hostaddr`: a numeric address, in every spelling that libpq's resolver takes.

use std::net::{IpAddr, Ipv4Addr};

/// A numeric address as `hostaddr` gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAddr {
    /// As written.
    pub text: String,
    /// What it means.
    pub ip: IpAddr,
    /// The interface after `%` of an IPv6 address.
    pub zone: Option<String>,
}

impl HostAddr {
    /// Reads an address with the forms of `inet_aton` (POSIX `inet_addr`: 127.1, 0x7f.0.0.1, 017700000001) and
    /// of RFC 4291 with an RFC 4007 zone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, zone) = match text.split_once('%') {
            Some((address, zone)) if !zone.is_empty() => (address, Some(zone.to_owned())),
            Some(_) => return None,
            None => (text, None),
        };
        let ip = match address.parse() {
            Ok(IpAddr::V6(ip)) => IpAddr::V6(ip),
            _ if zone.is_some() => return None,
            _ => IpAddr::V4(inet_aton(address)?),
        };
        Some(Self {
            text: text.to_owned(),
            ip,
            zone,
        })
    }
}

/// One to four numbers; the last fills the bytes that are left.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 || bytes.iter().any(|byte| *byte > 255) {
        return None;
    }
    let left = u32::try_from(4 - bytes.len()).ok()? * 8;
    if left < 32 && *last >> left != 0 {
        return None;
    }
    let high = bytes
        .iter()
        .enumerate()
        .fold(0, |sum, (index, byte)| sum | byte << (24 - 8 * index));
    Some(Ipv4Addr::from(high | last))
}

/// Decimal, octal with a leading 0, hexadecimal with 0x.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_that_libpq_takes() {
        for (text, meant) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("10.1.2", "10.1.0.2"),
            ("0", "0.0.0.0"),
            ("::1", "::1"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ] {
            assert_eq!(
                HostAddr::parse(text).unwrap().ip,
                meant.parse::<IpAddr>().unwrap(),
                "{text}"
            );
        }
        let zoned = HostAddr::parse("fe80::1%eth0").unwrap();
        assert_eq!(
            (zoned.ip, zoned.zone.as_deref()),
            ("fe80::1".parse().unwrap(), Some("eth0"))
        );
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "foo",
            "127.0.0.1.",
            "127.0.0.256",
            " 127.0.0.1",
            "127.0.0.1 ",
            "127.0.0.08",
            "256.1",
            "1.2.3.4.5",
            "[::1]",
            "/tmp",
            "::1%",
            "1.2.3.4%lo",
            "+1.2.3.4",
            "0x",
            "4294967296",
            "1.16777216",
        ] {
            assert_eq!(HostAddr::parse(text), None, "{text}");
        }
    }
}
