//! A certificate, read as OpenSSL reads it.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use time::{Date, Month, OffsetDateTime, Time};

use super::algorithm::SignatureAlgorithm;
use super::der::{self, GENERALIZED_TIME, INTEGER, Malformed, Reader, SEQUENCE, UTC_TIME};
use super::extensions::{AuthorityKeyId, Extensions, raw};
use super::key::Key;
use super::name::Name;
use super::sealed::Sealed;
use super::settings::TrustSettings;
use super::signature::Outcome;

/// What the rules ask of a certificate.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) sealed: Sealed,
    inner_algorithm: Vec<u8>,
    /// The algorithm that stands in the signed part: the one by which an issuer's key is found to fit.
    pub(super) algorithm: SignatureAlgorithm,
    /// Version 1: no extensions are expected, and a self-signed one counts as a CA.
    pub(super) v1: bool,
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    /// `None`: a date that cannot be read, which no time satisfies.
    pub(super) not_before: Option<OffsetDateTime>,
    pub(super) not_after: Option<OffsetDateTime>,
    pub(super) key: Key,
    pub(super) extensions: Extensions,
    /// Subject and issuer are the same.
    pub(super) self_issued: bool,
    /// What the trust file says of it, if it comes from there.
    pub(super) settings: TrustSettings,
    /// Self-issued, and sound, and key identifiers and algorithm fit too; the signature is not verified for this.
    pub(super) self_signed: bool,
}

impl Certificate {
    /// Reads `Certificate` (RFC 5280 section 4.1).
    pub(super) fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let (sealed, part) = Sealed::open(der)?;
        let mut fields = part.reader();
        let version = match fields.optional(0xa0)? {
            Some(field) => {
                let version = der::integer(der::only(field.content, INTEGER)?.content)?;
                der::small(version).ok_or(Malformed("an impossible version"))?
            }
            None => 0,
        };
        let serial = der::integer(fields.expect(INTEGER)?.content)?.to_vec();
        let inner_algorithm = fields.expect(SEQUENCE)?;
        let issuer = Name::parse(&fields.expect(SEQUENCE)?)?;
        let mut validity = fields.expect(SEQUENCE)?.reader();
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        validity.end()?;
        let subject = Name::parse(&fields.expect(SEQUENCE)?)?;
        let key = Key::parse(&fields.expect(SEQUENCE)?)?;
        fields.optional(0x81)?;
        fields.optional(0x82)?;
        let extensions = match fields.optional(0xa3)? {
            Some(field) => Extensions::read(&raw(field.content)?),
            None => Extensions::default(),
        };
        fields.end()?;

        let mut certificate = Self {
            sealed,
            inner_algorithm: inner_algorithm.content.to_vec(),
            algorithm: SignatureAlgorithm::parse(&inner_algorithm)?,
            settings: TrustSettings::default(),
            v1: version == 0,
            serial,
            self_issued: subject == issuer,
            self_signed: false,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            extensions,
        };
        certificate.self_signed = certificate.self_issued
            && certificate.extensions.invalid.is_none()
            && certificate.matches(certificate.extensions.authority_key_id.as_ref())
            && certificate.key.can_make(&certificate.algorithm);
        Ok(certificate)
    }

    /// The whole encoding.
    pub(super) fn der(&self) -> &[u8] {
        &self.sealed.der
    }

    /// Whether this looks like the issuer of `subject`: names, key identifiers and the kind of key
    /// (`X509_check_issued(3)`). No signature is verified.
    pub(super) fn may_have_issued(&self, subject: &Self) -> bool {
        self.subject == subject.issuer
            && self.extensions.invalid.is_none()
            && subject.extensions.invalid.is_none()
            && self.matches(subject.extensions.authority_key_id.as_ref())
            && self.key.can_make(&subject.algorithm)
    }

    /// Whether an authority key identifier points here (`X509_check_akid`): each of its parts that can be compared
    /// must fit.
    pub(super) fn matches(&self, pointer: Option<&AuthorityKeyId>) -> bool {
        let Some(pointer) = pointer else { return true };
        let differs = |ours: Option<&Vec<u8>>, theirs: &Option<Vec<u8>>| match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        };
        !differs(self.extensions.subject_key_id.as_ref(), &pointer.key_id)
            && !differs(Some(&self.serial), &pointer.serial)
            && pointer
                .issuer
                .as_ref()
                .is_none_or(|issuer| *issuer == self.issuer)
    }

    /// Verifies this certificate's signature with the issuer's key. The algorithm stands in the signed part too, and must
    /// be the same there (RFC 5280 section 4.1.1.2).
    pub(super) fn verified_by(&self, issuer: &Self) -> Outcome {
        if self.sealed.states(&self.inner_algorithm) {
            self.sealed.verified_by(&issuer.key)
        } else {
            Outcome::Bad
        }
    }

    /// Whether `now` lies within the validity; OpenSSL counts the last second as over.
    pub(super) fn is_current(&self, now: OffsetDateTime) -> bool {
        self.not_before.is_some_and(|first| first <= now) && self.not_after.is_some_and(|last| now < last)
    }

    /// SHA-256 over the whole certificate, lower-case hex.
    pub(super) fn fingerprint(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.der());
        digest.as_ref().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Reads `Time`: `Err` where the type is wrong, `None` where the text is not of the one form RFC 5280 section 4.1.2.5
/// allows (OpenSSL stores such a date and fails when it is compared).
pub(super) fn time(reader: &mut Reader<'_>) -> Result<Option<OffsetDateTime>, Malformed> {
    let element = reader.next()?;
    match element.tag {
        UTC_TIME => Ok(two_digit_year(element.content)),
        GENERALIZED_TIME => Ok(four_digit_year(element.content)),
        _ => Err(Malformed("a date of unknown type")),
    }
}

fn two_digit_year(text: &[u8]) -> Option<OffsetDateTime> {
    let (year, rest) = text.split_at_checked(2)?;
    let year = digits(year)?;
    moment(if year < 50 { 2000 + year } else { 1900 + year }, rest)
}

fn four_digit_year(text: &[u8]) -> Option<OffsetDateTime> {
    let (year, rest) = text.split_at_checked(4)?;
    moment(digits(year)?, rest)
}

fn moment(year: u16, rest: &[u8]) -> Option<OffsetDateTime> {
    let (fields, zone) = rest.split_at_checked(10)?;
    if zone != b"Z" {
        return None;
    }
    let mut fields = fields
        .chunks_exact(2)
        .map(|two| digits(two).and_then(|value| u8::try_from(value).ok()));
    let mut next = || fields.next().flatten();
    let month = Month::try_from(next()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, next()?).ok()?;
    let time = Time::from_hms(next()?, next()?, next()?).ok()?;
    Some(date.with_time(time).assume_utc())
}

fn digits(text: &[u8]) -> Option<u16> {
    text.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u16::from(byte - b'0'))
    })
}
