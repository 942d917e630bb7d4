//! Certificate revocation lists (RFC 5280 section 5), version 1 and 2.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::certificate::{Certificate, time};
use super::der::{self, ENUMERATED, GENERALIZED_TIME, INTEGER, Malformed, Reader, SEQUENCE, UTC_TIME};
use super::extensions::{
    AuthorityKeyId, DistributionName, RawExtension, authority_key_id, distribution_name, raw,
};
use super::name::Name;
use super::oid;
use super::sealed::Sealed;
use super::signature::Outcome;

/// A revocation list, read.
#[derive(Debug, Clone)]
pub(super) struct Crl {
    sealed: Sealed,
    inner_algorithm: Vec<u8>,
    pub(super) issuer: Name,
    /// `None`: unreadable.
    pub(super) last_update: Option<OffsetDateTime>,
    pub(super) next_update: NextUpdate,
    /// Serial number to reason code.
    pub(super) revoked: BTreeMap<Vec<u8>, Option<u8>>,
    pub(super) authority_key_id: Option<AuthorityKeyId>,
    pub(super) scope: Option<Scope>,
    /// A critical extension that OpenSSL does not handle, in the list or in an entry.
    pub(super) unknown_critical: bool,
    /// An `issuingDistributionPoint` that contradicts itself or cannot be read.
    pub(super) invalid: bool,
    pub(super) is_delta: bool,
}

/// `nextUpdate` (RFC 5280 section 5.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextUpdate {
    Unsaid,
    Unreadable,
    At(OffsetDateTime),
}

/// `issuingDistributionPoint` (RFC 5280 section 5.2.5).
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) names: Option<DistributionName>,
    pub(super) only: Option<Only>,
    /// For some reasons only, or for certificates of other issuers: not supported by OpenSSL as libpq uses it.
    pub(super) is_special: bool,
}

/// The one kind of certificate that a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    Users,
    Cas,
    Attributes,
}

impl Crl {
    /// Reads `CertificateList` (RFC 5280 section 5.1).
    pub(super) fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let (sealed, part) = Sealed::open(der)?;
        let mut fields = part.reader();
        fields.optional(INTEGER)?;
        let inner_algorithm = fields.expect(SEQUENCE)?.raw.to_vec();
        let issuer = Name::parse(&fields.expect(SEQUENCE)?)?;
        let last_update = time(&mut fields)?;
        let mut ahead = fields.clone();
        let next_update = match ahead.next() {
            Ok(element) if matches!(element.tag, UTC_TIME | GENERALIZED_TIME) => {
                time(&mut fields)?.map_or(NextUpdate::Unreadable, NextUpdate::At)
            }
            _ => NextUpdate::Unsaid,
        };
        let mut list = Self {
            sealed,
            inner_algorithm,
            issuer,
            last_update,
            next_update,
            revoked: BTreeMap::new(),
            authority_key_id: None,
            scope: None,
            unknown_critical: false,
            invalid: false,
            is_delta: false,
        };
        if let Some(entries) = fields.optional(SEQUENCE)? {
            list.take_entries(entries.reader())?;
        }
        if let Some(field) = fields.optional(0xa0)? {
            for extension in raw(field.content)? {
                list.take_extension(&extension);
            }
        }
        fields.end()?;
        Ok(list)
    }

    /// Verifies the list's signature with the issuer's key.
    pub(super) fn verified_by(&self, issuer: &Certificate) -> Outcome {
        self.sealed.verified_by(&issuer.key, &self.inner_algorithm)
    }

    fn take_entries(&mut self, mut reader: Reader<'_>) -> Result<(), Malformed> {
        while !reader.is_empty() {
            let mut entry = reader.expect(SEQUENCE)?.reader();
            let serial = der::integer(entry.expect(INTEGER)?.content)?.to_vec();
            time(&mut entry)?;
            let mut reason = None;
            if !entry.is_empty() {
                for extension in raw(entry.next()?.raw)? {
                    if extension.oid == oid::REASON_CODE {
                        reason = der::only(extension.value, ENUMERATED)?.content.last().copied();
                    } else if extension.critical && extension.oid != oid::CERTIFICATE_ISSUER {
                        self.unknown_critical = true;
                    }
                }
            }
            entry.end()?;
            self.revoked.entry(serial).or_insert(reason);
        }
        Ok(())
    }

    fn take_extension(&mut self, extension: &RawExtension<'_>) {
        match extension.oid {
            // One that cannot be read counts as none, as with OpenSSL.
            oid::AUTHORITY_KEY_ID => self.authority_key_id = authority_key_id(extension.value).ok(),
            oid::ISSUING_DISTRIBUTION_POINT => match scope(extension.value) {
                Ok(scope) => self.scope = Some(scope),
                Err(_) => self.invalid = true,
            },
            oid::DELTA_CRL => self.is_delta = true,
            _ => self.unknown_critical |= extension.critical,
        }
    }
}

fn scope(value: &[u8]) -> Result<Scope, Malformed> {
    let mut fields = der::only(value, SEQUENCE)?.reader();
    let mut scope = Scope {
        names: None,
        only: None,
        is_special: false,
    };
    while !fields.is_empty() {
        let field = fields.next()?;
        let is_set = field.content.iter().any(|byte| *byte != 0);
        let only = match field.tag {
            0xa0 => {
                scope.names = Some(distribution_name(field.content)?);
                continue;
            }
            0x83 => {
                scope.is_special = true;
                continue;
            }
            0x84 => {
                scope.is_special |= is_set;
                continue;
            }
            0x81 => Only::Users,
            0x82 => Only::Cas,
            0x85 => Only::Attributes,
            _ => return Err(Malformed("a list's scope of unknown form")),
        };
        if is_set && scope.only.replace(only).is_some() {
            return Err(Malformed("a list's scope that contradicts itself"));
        }
    }
    Ok(scope)
}
