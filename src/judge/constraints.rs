//! Name constraints (RFC 5280 section 4.2.1.10), matched as OpenSSL matches them.

use super::cause::{Cause, Refusal, VerifyError};
use super::certificate::Certificate;
use super::extensions::{NameConstraints, Subtree};
use super::general_name::GeneralName;
use super::name::{self, Attribute};
use super::oid;
use super::path::Chain;

/// Names times constraints: more than this is refused unread (`NAME_CHECK_MAX`).
const MOST_COMPARISONS: usize = 1 << 20;

const IA5_STRING: u8 = 0x16;

/// Every certificate against the constraints of all CAs above it, the anchor included. Self-issued CAs are passed over.
pub(super) fn check(chain: &Chain<'_>) -> Result<(), Box<Refusal>> {
    for depth in (0..chain.certificates.len()).rev() {
        let certificate = chain.certificates[depth];
        if depth > 0 && certificate.self_issued {
            continue;
        }
        for above in (depth + 1..chain.certificates.len()).rev() {
            let Some(constraints) = &chain.certificates[above].extensions.name_constraints else {
                continue;
            };
            let mut verdict = names(certificate, constraints);
            if verdict.is_ok() && depth == 0 && !has_dns_name(certificate) {
                verdict = common_names(certificate, constraints);
            }
            if let Err(violation) = verdict {
                let explanation = format!(
                    "{} breaks the name constraints of {}: {}",
                    chain.call(depth),
                    chain.call(above),
                    violation.text
                );
                return Err(chain.refuse(depth, Cause::NameConstraint, Some(violation), explanation));
            }
        }
    }
    Ok(())
}

const NOT_PERMITTED: VerifyError = VerifyError::new(47, "permitted subtree violation");
const EXCLUDED: VerifyError = VerifyError::new(48, "excluded subtree violation");
const MINIMUM_MAXIMUM: VerifyError =
    VerifyError::new(49, "name constraints minimum and maximum not supported");
const UNSUPPORTED_TYPE: VerifyError = VerifyError::new(51, "unsupported name constraint type");
const BAD_SYNTAX: VerifyError = VerifyError::new(53, "unsupported or invalid name syntax");
const UNSPECIFIED: VerifyError = VerifyError::new(1, "unspecified certificate verification error");

/// The subject, its e-mail addresses and the alternative names.
fn names(certificate: &Certificate, constraints: &NameConstraints) -> Result<(), VerifyError> {
    let alternatives = certificate
        .extensions
        .alternative_names
        .as_deref()
        .unwrap_or_default();
    let count = certificate.subject.len() + alternatives.len();
    if count.saturating_mul(constraints.permitted.len() + constraints.excluded.len()) > MOST_COMPARISONS {
        return Err(UNSPECIFIED);
    }
    if certificate.subject.len() > 0 {
        one(&GeneralName::Directory(certificate.subject.clone()), constraints)?;
        for address in certificate.subject.values(oid::EMAIL_ADDRESS) {
            if address.tag != IA5_STRING {
                return Err(BAD_SYNTAX);
            }
            one(&GeneralName::Email(address.value.clone()), constraints)?;
        }
    }
    alternatives.iter().try_for_each(|name| one(name, constraints))
}

/// Common names that look like host names count as such in a leaf without DNS names.
fn common_names(certificate: &Certificate, constraints: &NameConstraints) -> Result<(), VerifyError> {
    for attribute in certificate.subject.values(oid::COMMON_NAME) {
        if let Some(host) = host_like(attribute)? {
            one(&GeneralName::Dns(host), constraints)?;
        }
    }
    Ok(())
}

fn has_dns_name(certificate: &Certificate) -> bool {
    let names = certificate.extensions.alternative_names.iter().flatten();
    names.into_iter().any(|name| matches!(name, GeneralName::Dns(_)))
}

/// The common name if it has two labels or more of letters, digits, `_` and inner `-`.
fn host_like(attribute: &Attribute) -> Result<Option<Vec<u8>>, VerifyError> {
    let text = name::decode(attribute.tag, &attribute.value).map_err(|_| UNSPECIFIED)?;
    let text = text.trim_end_matches('\0').as_bytes();
    if text.contains(&0) {
        return Err(BAD_SYNTAX);
    }
    let mut labels = false;
    for (index, byte) in text.iter().enumerate() {
        if byte.is_ascii_alphanumeric() || *byte == b'_' {
            continue;
        }
        let inner = index > 0 && index + 1 < text.len();
        match byte {
            b'-' if inner => {}
            b'.' if inner && !b".-".contains(&text[index + 1]) && text[index - 1] != b'-' => labels = true,
            _ => return Ok(None),
        }
    }
    Ok(labels.then(|| text.to_vec()))
}

fn one(name: &GeneralName, constraints: &NameConstraints) -> Result<(), VerifyError> {
    let (mut concerned, mut permitted) = (false, false);
    for subtree in constraints
        .permitted
        .iter()
        .filter(|subtree| concerns(subtree, name))
    {
        if !subtree.plain {
            return Err(MINIMUM_MAXIMUM);
        }
        concerned = true;
        permitted = permitted || within(name, &subtree.base)?;
    }
    if concerned && !permitted {
        return Err(NOT_PERMITTED);
    }
    for subtree in constraints
        .excluded
        .iter()
        .filter(|subtree| concerns(subtree, name))
    {
        if !subtree.plain {
            return Err(MINIMUM_MAXIMUM);
        }
        if within(name, &subtree.base)? {
            return Err(EXCLUDED);
        }
    }
    Ok(())
}

/// Whether a subtree is of the name's type. An internationalised mailbox (RFC 8398) counts as e-mail.
fn concerns(subtree: &Subtree, name: &GeneralName) -> bool {
    use GeneralName::{Directory, Dns, Email, Ip, Other, Unused, Uri};
    match (&subtree.base, name) {
        (Email(_), Other(oid, _)) => oid == oid::SMTP_UTF8_MAILBOX,
        (Other(theirs, _), Other(ours, _)) => theirs == ours && ours != oid::SMTP_UTF8_MAILBOX,
        (Unused(theirs), Unused(ours)) => theirs == ours,
        (Email(_), Email(_))
        | (Dns(_), Dns(_))
        | (Directory(_), Directory(_))
        | (Uri(_), Uri(_))
        | (Ip(_), Ip(_)) => true,
        _ => false,
    }
}

fn within(name: &GeneralName, base: &GeneralName) -> Result<bool, VerifyError> {
    match (name, base) {
        (GeneralName::Directory(name), GeneralName::Directory(base)) => Ok(name.is_within(base)),
        (GeneralName::Dns(name), GeneralName::Dns(base)) => Ok(dns(name, base)),
        (GeneralName::Email(name), GeneralName::Email(base)) => email(name, base),
        (GeneralName::Uri(name), GeneralName::Uri(base)) => uri(name, base),
        (GeneralName::Ip(name), GeneralName::Ip(base)) => ip(name, base),
        _ => Err(UNSUPPORTED_TYPE),
    }
}

/// The base is the name or its right-hand end at a dot.
fn dns(name: &[u8], base: &[u8]) -> bool {
    if base.is_empty() {
        return true;
    }
    let Some(start) = name.len().checked_sub(base.len()) else {
        return false;
    };
    let at_label = start == 0 || base[0] == b'.' || name[start - 1] == b'.';
    at_label && name[start..].eq_ignore_ascii_case(base)
}

fn email(name: &[u8], base: &[u8]) -> Result<bool, VerifyError> {
    let last_at = |text: &[u8]| text.iter().rposition(|byte| *byte == b'@');
    let at = last_at(name).ok_or(BAD_SYNTAX)?;
    let base_at = last_at(base);
    if base_at.is_none() && base.first() == Some(&b'.') {
        return Ok(ends_below(name, base));
    }
    if let Some(base_at) = base_at.filter(|base_at| *base_at > 0) {
        let (ours, theirs) = (&name[..at], &base[..base_at]);
        if ours.len() != theirs.len() {
            return Ok(false);
        }
        if ours.contains(&0) || theirs.contains(&0) {
            return Err(BAD_SYNTAX);
        }
        if ours != theirs {
            return Ok(false);
        }
    }
    let host = base_at.map_or(base, |base_at| &base[base_at + 1..]);
    Ok(name[at + 1..].eq_ignore_ascii_case(host))
}

fn uri(name: &[u8], base: &[u8]) -> Result<bool, VerifyError> {
    let colon = name.iter().position(|byte| *byte == b':').ok_or(BAD_SYNTAX)?;
    let rest = name[colon + 1..].strip_prefix(b"//").ok_or(BAD_SYNTAX)?;
    let find = |wanted| rest.iter().position(|byte| *byte == wanted);
    let host = &rest[..find(b':').or_else(|| find(b'/')).unwrap_or(rest.len())];
    if host.is_empty() {
        return Err(BAD_SYNTAX);
    }
    if base.first() == Some(&b'.') {
        return Ok(ends_below(host, base));
    }
    Ok(host.eq_ignore_ascii_case(base))
}

fn ends_below(name: &[u8], base: &[u8]) -> bool {
    name.len() > base.len() && name[name.len() - base.len()..].eq_ignore_ascii_case(base)
}

fn ip(address: &[u8], base: &[u8]) -> Result<bool, VerifyError> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return Err(BAD_SYNTAX);
    }
    if address.len() * 2 != base.len() {
        return Ok(false);
    }
    let (network, mask) = base.split_at(address.len());
    let mut bytes = address.iter().zip(network).zip(mask);
    Ok(bytes.all(|((ours, theirs), mask)| ours & mask == theirs & mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5280 section 4.2.1.10: "any DNS name that can be constructed by simply adding zero or more labels to the
    /// left-hand side".
    #[test]
    fn a_dns_constraint_ends_at_a_label() {
        assert!(dns(b"example.org", b"example.org"));
        assert!(dns(b"db.EXAMPLE.org", b"example.ORG"));
        assert!(dns(b"db.example.org", b".example.org"));
        assert!(dns(b"anything", b""));
        assert!(!dns(b"xexample.org", b"example.org"));
        assert!(!dns(b"org", b"example.org"));
        assert!(!dns(b"example.org", b".example.org"));
    }

    /// The same section: a mailbox, all mailboxes of a host, or of the hosts below a domain.
    #[test]
    fn an_email_constraint_is_a_mailbox_a_host_or_a_domain() {
        assert_eq!(email(b"a@example.org", b"example.org"), Ok(true));
        assert_eq!(email(b"a@sub.example.org", b"example.org"), Ok(false));
        assert_eq!(email(b"a@sub.example.org", b".example.org"), Ok(true));
        assert_eq!(email(b"a@EXAMPLE.org", b"a@example.org"), Ok(true));
        assert_eq!(email(b"A@example.org", b"a@example.org"), Ok(false));
        assert_eq!(email(b"nobody", b"example.org"), Err(BAD_SYNTAX));
    }

    /// The same section: only the host of a URI counts; an address is compared under its mask.
    #[test]
    fn a_uri_is_judged_by_its_host_and_an_address_by_its_mask() {
        assert_eq!(uri(b"https://example.org:99/a", b"example.org"), Ok(true));
        assert_eq!(uri(b"https://sub.example.org/a", b".example.org"), Ok(true));
        assert_eq!(uri(b"https://sub.example.org/a", b"example.org"), Ok(false));
        assert_eq!(uri(b"mailto:a@example.org", b"example.org"), Err(BAD_SYNTAX));
        assert_eq!(ip(&[10, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]), Ok(true));
        assert_eq!(ip(&[11, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]), Ok(false));
        assert_eq!(ip(&[10, 1, 2, 3], &[0; 32]), Ok(false));
        assert_eq!(ip(&[10, 1, 2], &[0; 8]), Err(BAD_SYNTAX));
    }

    /// As OpenSSL: a common name counts as a DNS name if it looks like one of at least two labels.
    #[test]
    fn a_common_name_counts_if_it_looks_like_a_host() {
        let looks = |text: &[u8]| {
            let attribute = Attribute {
                oid: Vec::new(),
                tag: 0x0c,
                value: text.to_vec(),
            };
            host_like(&attribute)
        };
        assert_eq!(looks(b"db.example.org"), Ok(Some(b"db.example.org".to_vec())));
        assert_eq!(
            looks(b"my_db.example.org\0"),
            Ok(Some(b"my_db.example.org".to_vec()))
        );
        for text in [
            &b"server"[..],
            b"a host.name",
            b"a..b",
            b"a-.b",
            b".a.b",
            b"a.b.",
            b"*.example.org",
        ] {
            assert_eq!(looks(text), Ok(None));
        }
        assert_eq!(looks(b"a\0b.c"), Err(BAD_SYNTAX));
    }
}
