//! Whether a certificate is for the host that was dialled, by libpq's rules for `sslmode=verify-full`.
//!
//! Source: PostgreSQL manual, libpq, "SSL Support" ("Client Verification of Server Certificates"), as libpq 15 and
//! later behave: alternative names of the host's kind (DNS name or IP address) exclude the common name; a wildcard
//! stands for one whole leftmost label; text is compared byte for byte but for ASCII case, without IDNA and without
//! any special meaning of a trailing dot.

use std::net::Ipv6Addr;

use super::certificate::Certificate;
use super::general_name::GeneralName;
use super::name::printable;
use super::oid;

/// The name in the certificate that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Where it stands.
    pub by: MatchedBy,
    /// As it stands there; an address in its usual notation.
    pub name: String,
}

/// Where a matching name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchedBy {
    /// A dNSName of the subject alternative names.
    DnsName,
    /// An iPAddress of the subject alternative names.
    IpAddress,
    /// The first common name of the subject.
    CommonName,
}

/// Why a name does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameCause {
    /// No host name was given: with `hostaddr` alone there is nothing to compare.
    NoHost,
    /// The certificate names other hosts.
    HostMismatch,
    /// The certificate has no name that libpq looks at.
    NoNames,
    /// A NUL byte in a name: an attempt to deceive (CVE-2009-4034).
    NulInName,
    /// An iPAddress that is neither 4 nor 16 bytes long.
    BadIpAddress,
    /// The certificate cannot be read.
    Malformed,
}

impl NameCause {
    /// The stable name that reports and scripts use.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NoHost => "no-host-name",
            Self::HostMismatch => "host-mismatch",
            Self::NoNames => "no-names",
            Self::NulInName => "nul-in-name",
            Self::BadIpAddress => "bad-ip-san",
            Self::Malformed => "malformed",
        }
    }
}

/// A certificate that is not for the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{explanation}")]
pub struct NameRefusal {
    /// The reason.
    pub cause: NameCause,
    /// The names that were compared, in order, at most 20; safe to show.
    pub names: Vec<String>,
    /// What libpq says.
    pub libpq: String,
    /// One plain sentence.
    pub explanation: String,
}

/// Compares the names of a leaf certificate with the host that was asked for (`host` of the conninfo, not `hostaddr`).
pub fn judge_name(leaf: &[u8], host: &str) -> Result<Match, NameRefusal> {
    let mut seen = Seen::default();
    if host.is_empty() || host.contains('\0') {
        return Err(seen.refuse(NameCause::NoHost, host));
    }
    let Ok(certificate) = Certificate::parse(leaf) else {
        return Err(seen.refuse(NameCause::Malformed, host));
    };
    let host_is_ip = inet_aton(host).is_some() || host.parse::<Ipv6Addr>().is_ok();
    let mut ask_common_name = true;
    for name in certificate.extensions.alternative_names.iter().flatten() {
        match name {
            GeneralName::Dns(text) => {
                ask_common_name &= host_is_ip;
                if let Some(name) = seen.text(text, host)? {
                    return Ok(Match {
                        by: MatchedBy::DnsName,
                        name,
                    });
                }
            }
            GeneralName::Ip(bytes) => {
                ask_common_name &= !host_is_ip;
                if let Some(name) = seen.address(bytes, host)? {
                    return Ok(Match {
                        by: MatchedBy::IpAddress,
                        name,
                    });
                }
            }
            _ => {}
        }
    }
    let common_name = certificate.subject.values(oid::COMMON_NAME).next();
    if let Some(common_name) = common_name.filter(|_| ask_common_name)
        && let Some(name) = seen.text(&common_name.value, host)?
    {
        return Ok(Match {
            by: MatchedBy::CommonName,
            name,
        });
    }
    let cause = if seen.count == 0 {
        NameCause::NoNames
    } else {
        NameCause::HostMismatch
    };
    Err(seen.refuse(cause, host))
}

/// The names compared so far.
#[derive(Debug, Default)]
struct Seen {
    names: Vec<String>,
    count: usize,
    bad_length: usize,
}

impl Seen {
    fn note(&mut self, name: String) {
        const MOST: usize = 20;
        if self.names.len() < MOST {
            self.names.push(name);
        }
    }

    fn text(&mut self, name: &[u8], host: &str) -> Result<Option<String>, NameRefusal> {
        self.count += 1;
        if name.contains(&0) {
            return Err(self.refuse(NameCause::NulInName, host));
        }
        let shown = printable(&String::from_utf8_lossy(name));
        self.note(shown.clone());
        let matches = name.eq_ignore_ascii_case(host.as_bytes()) || wildcard(name, host.as_bytes());
        Ok(matches.then_some(shown))
    }

    fn address(&mut self, bytes: &[u8], host: &str) -> Result<Option<String>, NameRefusal> {
        self.count += 1;
        let (shown, matches) = if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            (
                std::net::Ipv4Addr::from(four).to_string(),
                inet_aton(host) == Some(four),
            )
        } else if let Ok(sixteen) = <[u8; 16]>::try_from(bytes) {
            let address = Ipv6Addr::from(sixteen);
            (address.to_string(), host.parse() == Ok(address))
        } else {
            self.bad_length = bytes.len();
            return Err(self.refuse(NameCause::BadIpAddress, host));
        };
        self.note(shown.clone());
        Ok(matches.then_some(shown))
    }

    fn refuse(&mut self, cause: NameCause, host: &str) -> NameRefusal {
        let host = printable(host);
        let first = self.names.first().cloned().unwrap_or_default();
        let libpq = match (cause, self.count) {
            (NameCause::NoHost, _) => "host name must be specified for a verified SSL connection".into(),
            (NameCause::HostMismatch, 1) => {
                format!("server certificate for \"{first}\" does not match host name \"{host}\"")
            }
            (NameCause::HostMismatch, count) => format!(
                "server certificate for \"{first}\" (and {} other name{}) does not match host name \"{host}\"",
                count - 1,
                if count == 2 { "" } else { "s" }
            ),
            (NameCause::NoNames, _) => "could not get server's host name from server certificate".into(),
            (NameCause::NulInName, _) => "SSL certificate's name contains embedded null".into(),
            (NameCause::BadIpAddress, _) => {
                format!(
                    "certificate contains IP address with invalid length {}",
                    self.bad_length
                )
            }
            (NameCause::Malformed, _) => "SSL error: certificate verify failed".into(),
        };
        let names = self.names.join(", ");
        let explanation = match cause {
            NameCause::NoHost => "no host name was given to compare with the certificate".into(),
            NameCause::HostMismatch => format!("the certificate is for {names}, not for {host}"),
            NameCause::NoNames => format!("the certificate names no host at all, so not {host} either"),
            NameCause::NulInName => "a name in the certificate contains a NUL byte, as forgeries do".into(),
            NameCause::BadIpAddress => format!(
                "an IP address in the certificate is {} bytes long; 4 or 16 were expected",
                self.bad_length
            ),
            NameCause::Malformed => "the certificate cannot be read".into(),
        };
        NameRefusal {
            cause,
            names: std::mem::take(&mut self.names),
            libpq,
            explanation,
        }
    }
}

/// `*.` and then the rest: the star stands for one label, and for nothing else, but even for `*.com`.
fn wildcard(pattern: &[u8], host: &[u8]) -> bool {
    let Some(tail) = pattern
        .strip_prefix(b"*")
        .filter(|tail| tail.len() >= 2 && tail[0] == b'.')
    else {
        return false;
    };
    let Some(start) = host.len().checked_sub(tail.len()).filter(|start| *start >= 1) else {
        return false;
    };
    host[start..].eq_ignore_ascii_case(tail) && !host[..start].contains(&b'.')
}

/// `inet_aton(3)` as glibc has it, which libpq uses for IPv4: one to four numbers, decimal, octal or hexadecimal, the
/// last one filling the remaining bytes; anything may follow a blank.
fn inet_aton(text: &str) -> Option<[u8; 4]> {
    let text = text
        .split(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
        .next()?;
    let mut parts = Vec::with_capacity(4);
    for part in text.split('.') {
        if parts.len() == 4 {
            return None;
        }
        parts.push(c_number(part)?);
    }
    let (last, leading) = parts.split_last()?;
    let mut bytes = [0; 4];
    for (byte, part) in bytes.iter_mut().zip(leading) {
        *byte = u8::try_from(*part).ok()?;
    }
    let rest = last.to_be_bytes();
    let (overflow, rest) = rest.split_at(leading.len());
    if overflow.iter().any(|byte| *byte != 0) {
        return None;
    }
    bytes[leading.len()..].copy_from_slice(rest);
    Some(bytes)
}

/// A number as `strtoul(3)` reads it with base 0, with nothing left over.
fn c_number(text: &str) -> Option<u32> {
    let (digits, radix) =
        if let Some(hexadecimal) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            (hexadecimal, 16)
        } else if text.len() > 1 && text.starts_with('0') {
            (text, 8)
        } else {
            (text, 10)
        };
    if !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}
