//! A host name or IP address that clients dial and a server certificate carries.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::HostNameError;
use super::text::excerpt;

/// RFC 1035 section 2.3.4, without the trailing dot.
const MOST_NAME: usize = 253;
const MOST_LABEL: usize = 63;
/// No text beyond this is looked at; IDNA may shorten a name, but never by this much.
const MOST_INPUT: usize = 1024;

/// What a client may dial: a DNS name (ASCII, lower case, A-labels) or an IP address.
///
/// Made by parsing; what it displays parses back to itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostName {
    /// A DNS name as it goes into a dNSName SAN; may start with `*.` (RFC 6125 section 6.4.3).
    Dns(String),
    /// An address as it goes into an iPAddress SAN (RFC 5280 section 4.2.1.6); never an IPv4-mapped IPv6 address.
    Ip(IpAddr),
}

impl HostName {
    /// Whether it stands for many hosts (`*.example.com`): fit for a certificate, not for dialling.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Dns(name) if name.starts_with("*."))
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = || excerpt(text);
        if text.trim().is_empty() {
            return Err(HostNameError::Empty);
        }
        if text.len() > MOST_INPUT {
            return Err(HostNameError::TooLong {
                found: found(),
                length: text.chars().count(),
            });
        }
        if let Some(address) = address(text) {
            return from_address(address, text);
        }
        if text == "*" {
            return Err(HostNameError::Listening { found: found() });
        }
        refuse_what_is_more_than_a_host(text)?;
        let ascii = ascii(text)?;
        // IDNA maps full-width digits and dots, so an address may appear only now.
        match ascii.parse::<IpAddr>() {
            Ok(address) => from_address(address, text),
            Err(_) => dns(ascii, text),
        }
    }
}

/// An address, bare or in the brackets of a URL.
fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse().ok(),
    }
}

/// An IPv4-mapped address becomes the IPv4 address that the connection really uses: no client compares the mapped
/// form with a certificate.
fn from_address(address: IpAddr, text: &str) -> Result<HostName, HostNameError> {
    let address = address.to_canonical();
    if address.is_unspecified() {
        return Err(HostNameError::Listening { found: excerpt(text) });
    }
    Ok(HostName::Ip(address))
}

/// Names each thing that people paste along with a host, and the host within it.
fn refuse_what_is_more_than_a_host(text: &str) -> Result<(), HostNameError> {
    let found = || excerpt(text);
    // Only what would itself be accepted is recommended.
    let host = |text: &str| text.parse::<HostName>().ok().map(|host| host.to_string());
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        return Err(HostNameError::Url {
            found: without_password(text),
            host: host(split_port(authority).map_or(authority, |(host, _)| host)),
        });
    }
    if let Some((_, rest)) = text.rsplit_once('@') {
        return Err(HostNameError::User {
            found: without_password(text),
            host: host(split_port(rest).map_or(rest, |(host, _)| host)),
        });
    }
    if text.contains(|c: char| c.is_whitespace() || c == ',' || c == ';') {
        return Err(HostNameError::Several { found: found() });
    }
    if let Some((before, after)) = text.split_once('/') {
        return Err(
            if address(before).is_some() && after.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                HostNameError::Range { found: found() }
            } else {
                HostNameError::Path {
                    found: found(),
                    host: host(before),
                }
            },
        );
    }
    if let Some((before, _)) = text.split_once('%') {
        return Err(HostNameError::Zone {
            found: found(),
            host: host(before.trim_start_matches('[')),
        });
    }
    if let Some((before, _)) = split_port(text) {
        return Err(HostNameError::Port {
            found: found(),
            host: host(before),
        });
    }
    if text.contains([':', '[', ']']) {
        return Err(HostNameError::BrokenAddress { found: found() });
    }
    Ok(())
}

/// `host:port` or `[address]:port`; more colons without brackets are an IPv6 address.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    (bracketed || !host.contains(':')).then_some((host, port))
}

/// People paste whole connection strings; a password in one must not come back in a message.
fn without_password(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else {
        return excerpt(text);
    };
    let (scheme, user) = before
        .split_once("://")
        .map_or(("", before), |(scheme, user)| (scheme, user));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match user.split_once(':') {
        Some((user, _)) => excerpt(&format!("{scheme}{separator}{user}:…@{after}")),
        None => excerpt(text),
    }
}

/// The name in A-labels and lower case (UTS 46, non-transitional).
fn ascii(text: &str) -> Result<String, HostNameError> {
    // The wildcard label is ours, not IDNA's.
    let (wildcard, name) = text.strip_prefix("*.").map_or(("", text), |name| ("*.", name));
    let uts46 = idna::uts46::Uts46::new();
    let name = uts46
        .to_ascii(
            name.as_bytes(),
            idna::AsciiDenyList::EMPTY,
            idna::uts46::Hyphens::Allow,
            idna::uts46::DnsLength::Ignore,
        )
        .map_err(|_| HostNameError::Idna { found: excerpt(text) })?;
    Ok(format!("{wildcard}{name}"))
}

/// The syntax of RFC 1123 section 2.1, with the underscore that Docker's and Windows' names have.
fn dns(ascii: String, text: &str) -> Result<HostName, HostNameError> {
    let found = || excerpt(text);
    if ascii == "*." {
        return Err(HostNameError::Wildcard { found: found() });
    }
    if let Some(name) = ascii.strip_suffix('.') {
        return Err(HostNameError::TrailingDot {
            found: found(),
            host: name.parse::<HostName>().ok().map(|host| host.to_string()),
        });
    }
    if ascii.len() > MOST_NAME {
        return Err(HostNameError::TooLong {
            found: found(),
            length: ascii.len(),
        });
    }
    let name = ascii.strip_prefix("*.").unwrap_or(&ascii);
    if name.contains('*') {
        return Err(HostNameError::Wildcard { found: found() });
    }
    if let Some(odd) = name
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.'))
    {
        return Err(HostNameError::Character {
            found: found(),
            character: excerpt(&odd.to_string()),
        });
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > MOST_LABEL {
            return Err(HostNameError::Label {
                found: found(),
                label: label.to_owned(),
                length: label.len(),
            });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(HostNameError::Hyphen {
                found: found(),
                label: label.to_owned(),
            });
        }
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if is_number(last) {
        return Err(HostNameError::BrokenAddress { found: found() });
    }
    Ok(HostName::Dns(ascii))
}

/// What `inet_aton` takes for the last number of an IPv4 address (`127.1`, `0x7f000001`), so that clients would
/// dial an address and compare a name.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|byte| byte.is_ascii_digit())
}

impl TryFrom<String> for HostName {
    type Error = HostNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_brought_to_one_form() {
        let long = format!("{}.{}", "a".repeat(63), "b".repeat(63));
        let cases = [
            ("localhost", "localhost"),
            ("DB.Example.COM", "db.example.com"),
            ("my_db-1", "my_db-1"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("Straße.example", "xn--strae-oqa.example"),
            ("*.Bücher.example", "*.xn--bcher-kva.example"),
            ("*.local", "*.local"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("127.0.0.1", "127.0.0.1"),
            ("１２７.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            (&long, &long),
        ];
        for (text, expected) in cases {
            let name: HostName = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(name.to_string(), expected);
            assert_eq!(name.is_wildcard(), expected.starts_with("*."));
        }
        assert!(matches!("127.0.0.1".parse(), Ok(HostName::Ip(_))));
        assert!(matches!("localhost".parse(), Ok(HostName::Dns(_))));
    }

    #[test]
    fn what_is_no_host_name_is_refused_with_the_remedy() {
        let long_label = "a".repeat(64);
        let long_name = format!("{}x", "abcdefghi.".repeat(30));
        let cases = [
            ("", "is empty"),
            (" \t", "is empty"),
            ("db1 db2", "each name on its own"),
            ("db1,db2", "each name on its own"),
            (
                "postgres://app:hunter2@db.example.com:5432/app",
                "(\"db.example.com\")",
            ),
            ("https://db/", "(\"db\")"),
            ("app@db", "only the host (\"db\")"),
            ("db:5432", "(\"db\"); the port goes into --port"),
            ("[::1]:5432", "(\"::1\"); the port goes into --port"),
            ("10.0.0.0/8", "goes into --allow"),
            ("/var/run/postgresql", "no TLS on Unix sockets"),
            ("db/app", "(\"db\")"),
            ("fe80::1%eth0", "(\"fe80::1\")"),
            ("0.0.0.0", "nobody dials it"),
            ("::", "nobody dials it"),
            ("*", "nobody dials it"),
            ("db.example.com.", "(\"db.example.com\")"),
            ("127.1", "looks like an IP address"),
            ("10.0.0.256", "looks like an IP address"),
            ("127.0.0.01", "looks like an IP address"),
            ("0x7f000001", "looks like an IP address"),
            ("[::1", "looks like an IP address"),
            ("[127.0.0.1]", "looks like an IP address"),
            ("1:2:3", "looks like an IP address"),
            ("db*.example.com", "whole first label"),
            ("*.*.example.com", "whole first label"),
            ("*.", "whole first label"),
            ("a..b", "0 characters"),
            (&long_label, "64 characters"),
            (&long_name, "at most 253"),
            ("-db", "hyphen"),
            ("db!", "the character \"!\""),
            ("db\0", "the character \"\\u{0}\""),
            ("xn--a", "UTS 46"),
            ("db\u{202e}moc", "UTS 46"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<HostName>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.len() < 400, "{error}");
        }
    }

    #[test]
    fn serde_writes_what_it_reads() {
        for text in ["localhost", "127.0.0.1", "::1", "*.example.com"] {
            let name: HostName = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(&name).unwrap(), text);
        }
        assert!(serde_json::from_value::<HostName>("a b".into()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parsing_never_panics_and_is_stable(text in "\\PC{0,40}|[a-z0-9.:*/@%\\[\\]-]{0,30}|[0-9a-fx.:]{1,20}") {
            if let Ok(name) = text.parse::<HostName>() {
                let shown = name.to_string();
                prop_assert_eq!(shown.parse::<HostName>(), Ok(name.clone()));
                prop_assert!(shown.is_ascii() && shown.len() <= 253);
            }
        }
    }
}
