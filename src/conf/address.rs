//! Addresses of `pg_hba.conf`: read as `getaddrinfo` reads numbers, compared as `ip.c` and `ifaddr.c` compare them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and a mask: the mask need not be contiguous, and the address may have bits outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net {
    address: IpAddr,
    mask: u128,
}

impl Net {
    /// An address with a mask of the same family.
    #[must_use]
    pub fn new(address: IpAddr, mask: IpAddr) -> Option<Self> {
        (address.is_ipv4() == mask.is_ipv4()).then(|| Self {
            address,
            mask: bits(mask),
        })
    }

    /// An address with a prefix length.
    #[must_use]
    pub fn with_prefix(address: IpAddr, length: u8) -> Option<Self> {
        let width = width(address);
        (length <= width).then(|| Self {
            address,
            mask: prefix_mask(width, length),
        })
    }

    /// The address as it is written, host bits and all.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The mask.
    #[must_use]
    pub fn mask(&self) -> IpAddr {
        from_bits(self.address, self.mask)
    }

    /// The prefix length, where the mask is contiguous.
    #[must_use]
    pub fn prefix_len(&self) -> Option<u8> {
        let width = width(self.address);
        // At most 128.
        let length = u8::try_from(self.mask.count_ones()).unwrap_or(width);
        (self.mask == prefix_mask(width, length)).then_some(length)
    }

    /// Whether that address matches: addresses of the other family never do, and `::ffff:1.2.3.4` is no IPv4 address.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.address.is_ipv4() && (bits(ip) ^ bits(self.address)) & self.mask == 0
    }

    /// Whether every address that `other` matches, this one matches too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.mask & other.mask == self.mask
            && (bits(self.address) ^ bits(other.address)) & self.mask == 0
    }

    /// Whether some address matches both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && (bits(self.address) ^ bits(other.address)) & self.mask & other.mask == 0
    }

    /// Whether it matches every address of its family.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.mask == 0
    }

    /// Whether it matches addresses of the loopback interface and nothing else.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let loopback = match self.address {
            IpAddr::V4(_) => Self::with_prefix(IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
            IpAddr::V6(_) => Self::with_prefix(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        };
        loopback.is_some_and(|loopback| loopback.covers(self))
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len() {
            Some(length) => write!(f, "{}/{length}", self.address),
            None => write!(f, "{} mask {}", self.address, self.mask()),
        }
    }
}

/// The bits of an address as a number; an IPv4 address has 32.
pub(super) fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The address with these bits, of the same family as `like`.
pub(super) fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        // The bits of an IPv4 address fit.
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(bits).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

const fn width(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn prefix_mask(width: u8, length: u8) -> u128 {
    let all = if width == 32 {
        u128::from(u32::MAX)
    } else {
        u128::MAX
    };
    // A shift by the whole width would be none.
    all.checked_shl(u32::from(width - length)).unwrap_or(0) & all
}

/// A numeric address as `getaddrinfo` with `AI_NUMERICHOST` takes it: `127.1`, `0x7f.1` and `010.0.0.1` are numbers too;
/// `None` where it takes the text for a name.
pub(super) fn numeric(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(v4) = classful(text) {
        return Some(IpAddr::V4(v4));
    }
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    let v6: Ipv6Addr = address.parse().ok()?;
    match scope {
        None => Some(IpAddr::V6(v6)),
        // The scope is not compared later. Names of interfaces have a meaning only for link-local addresses.
        Some(scope) if !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_digit()) => Some(IpAddr::V6(v6)),
        Some(scope) => (!scope.is_empty() && v6.is_unicast_link_local()).then_some(IpAddr::V6(v6)),
    }
}

/// `inet_aton`: one to four numbers, decimal, octal (leading 0) or hexadecimal (0x); the last fills what is left.
fn classful(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, first) = parts.split_last()?;
    if first.len() > 3 {
        return None;
    }
    let mut value = 0u32;
    for part in first {
        value = value << 8 | number(part).filter(|n| *n <= 255)?;
    }
    let room = 8 * (4 - u32::try_from(first.len()).ok()?);
    let last = number(last).filter(|n| u64::from(*n) < 1u64 << room)?;
    Some(Ipv4Addr::from(value.checked_shl(room).unwrap_or(0) | last))
}

fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // No sign, unlike from_str_radix.
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

/// The number behind the slash, as `strtol` takes it: blanks and a sign before it are nothing to it.
pub(super) fn prefix_length(text: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (digits, false),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length: u8 = digits
        .trim_start_matches('0')
        .parse()
        .or_else(|_| {
            if digits.bytes().all(|byte| byte == b'0') {
                Ok(0)
            } else {
                Err(())
            }
        })
        .ok()?;
    (!negative || length == 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        let (address, length) = text.split_once('/').unwrap();
        Net::with_prefix(address.parse().unwrap(), length.parse().unwrap()).unwrap()
    }

    #[test]
    fn numbers_are_read_as_the_c_library_reads_them() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("127.000.000.001", "127.0.0.1"),
            ("010.0.0.1", "8.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("1.2.65535", "1.2.255.255"),
            ("0", "0.0.0.0"),
            ("4294967295", "255.255.255.255"),
            ("::1", "::1"),
            ("fe80::1%7", "fe80::1"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ] {
            assert_eq!(numeric(text.as_bytes()), Some(address.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "256.0.0.1",
            "1.2.3.256",
            "1.2.3.4.5",
            "1.2.3.",
            "08.0.0.1",
            "+1",
            "4294967296",
            "db",
            "::1%eth0",
            "1::2::3",
            "0x",
            " 1",
        ] {
            assert_eq!(numeric(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn prefix_lengths_are_what_strtol_takes() {
        for (text, length) in [("0", 0), ("8", 8), (" +32", 32), ("-0", 0), ("0032", 32)] {
            assert_eq!(prefix_length(text.as_bytes()), Some(length), "{text}");
        }
        for text in ["", "-1", "+-1", "8 ", "x", "999", "0x8"] {
            assert_eq!(prefix_length(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nets_are_compared_under_their_masks() {
        assert!(net("10.0.0.5/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!net("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(
            net("::/0").is_everything()
                && net("127.0.0.0/8").is_loopback()
                && !net("0.0.0.0/0").is_loopback()
        );
        assert!(
            net("10.0.0.0/8").covers(&net("10.1.2.3/32")) && !net("10.0.0.0/8").covers(&net("0.0.0.0/0"))
        );
        assert!(net("10.0.0.0/8").meets(&net("10.1.0.0/16")) && !net("10.0.0.0/8").meets(&net("11.0.0.0/8")));
        let odd = Net::new("10.0.0.1".parse().unwrap(), "255.0.0.255".parse().unwrap()).unwrap();
        assert!(odd.contains("10.9.9.1".parse().unwrap()) && !odd.contains("10.9.9.2".parse().unwrap()));
        assert_eq!((odd.prefix_len(), net("::1/128").prefix_len()), (None, Some(128)));
        assert_eq!(odd.to_string(), "10.0.0.1 mask 255.0.0.255");
    }
}
