//! Certificate revocation lists (RFC 5280 section 5), version 1 and 2.

use std::collections::BTreeMap;
use std::ops::Range;

use time::OffsetDateTime;

use super::algorithm::SignatureAlgorithm;
use super::certificate::{Certificate, offset, time};
use super::der::{
    self, BIT_STRING, ENUMERATED, GENERALIZED_TIME, INTEGER, Malformed, Reader, SEQUENCE, UTC_TIME,
};
use super::extensions::{
    AuthorityKeyId, DistributionName, RawExtension, authority_key_id, distribution_name, raw,
};
use super::name::Name;
use super::oid;
use super::signature::{Outcome, verify};

/// A revocation list, read.
#[derive(Debug, Clone)]
pub(super) struct Crl {
    der: Vec<u8>,
    signed: Range<usize>,
    pub(super) issuer: Name,
    /// `None`: unreadable.
    pub(super) last_update: Option<OffsetDateTime>,
    /// Absent, or present and perhaps unreadable.
    pub(super) next_update: Option<Option<OffsetDateTime>>,
    /// Serial number to reason code.
    pub(super) revoked: BTreeMap<Vec<u8>, Option<u8>>,
    pub(super) authority_key_id: Option<AuthorityKeyId>,
    pub(super) scope: Option<Scope>,
    /// A critical extension that OpenSSL does not handle, in the list or in an entry.
    pub(super) unknown_critical: bool,
    /// An `issuingDistributionPoint` that contradicts itself or an extension that cannot be read.
    pub(super) invalid: bool,
    pub(super) is_delta: bool,
    algorithm: SignatureAlgorithm,
    algorithms_agree: bool,
    signature: Vec<u8>,
}

/// `issuingDistributionPoint` (RFC 5280 section 5.2.5).
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) names: Option<DistributionName>,
    pub(super) only_users: bool,
    pub(super) only_cas: bool,
    pub(super) only_attributes: bool,
    pub(super) has_reasons: bool,
    pub(super) indirect: bool,
}

impl Crl {
    /// Reads `CertificateList` (RFC 5280 section 5.1).
    pub(super) fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let mut outer = der::only(der, SEQUENCE)?.reader();
        let tbs = outer.expect(SEQUENCE)?;
        let outer_algorithm = outer.expect(SEQUENCE)?;
        let signature = der::bits(outer.expect(BIT_STRING)?.content)?;
        outer.end()?;

        let mut fields = tbs.reader();
        fields.optional(INTEGER)?;
        let inner_algorithm = fields.expect(SEQUENCE)?;
        let issuer = Name::parse(&fields.expect(SEQUENCE)?)?;
        let last_update = time(&mut fields)?;
        let mut ahead = fields.clone();
        let next_update = match ahead.next() {
            Ok(element) if matches!(element.tag, UTC_TIME | GENERALIZED_TIME) => Some(time(&mut fields)?),
            _ => None,
        };
        let start = offset(der, &tbs);
        let mut list = Self {
            der: der.to_vec(),
            signed: start..start + tbs.raw.len(),
            issuer,
            last_update,
            next_update,
            revoked: BTreeMap::new(),
            authority_key_id: None,
            scope: None,
            unknown_critical: false,
            invalid: false,
            is_delta: false,
            algorithm: SignatureAlgorithm::parse(&outer_algorithm)?,
            algorithms_agree: outer_algorithm.raw == inner_algorithm.raw,
            signature,
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
        if !self.algorithms_agree {
            return Outcome::Bad;
        }
        verify(
            &self.algorithm,
            &issuer.key,
            &self.der[self.signed.clone()],
            &self.signature,
        )
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
            oid::AUTHORITY_KEY_ID => match authority_key_id(extension.value) {
                Ok(pointer) => self.authority_key_id = Some(pointer),
                Err(_) => self.invalid = true,
            },
            oid::ISSUING_DISTRIBUTION_POINT => match scope(extension.value) {
                Ok(scope) => {
                    let kinds = [scope.only_users, scope.only_cas, scope.only_attributes];
                    self.invalid |= kinds.iter().filter(|only| **only).count() > 1;
                    self.scope = Some(scope);
                }
                Err(_) => self.invalid = true,
            },
            oid::DELTA_CRL => self.is_delta = true,
            _ => self.unknown_critical |= extension.critical,
        }
    }
}

fn scope(value: &[u8]) -> Result<Scope, Malformed> {
    let mut fields = der::only(value, SEQUENCE)?.reader();
    let names = match fields.optional(0xa0)? {
        Some(field) => Some(distribution_name(field.content)?),
        None => None,
    };
    let mut flag = |tag| {
        fields
            .optional(tag)
            .map(|field| field.is_some_and(|field| field.content.iter().any(|byte| *byte != 0)))
    };
    let only_users = flag(0x81)?;
    let only_cas = flag(0x82)?;
    let has_reasons = fields.optional(0x83)?.is_some();
    let mut flag = |tag| {
        fields
            .optional(tag)
            .map(|field| field.is_some_and(|field| field.content.iter().any(|byte| *byte != 0)))
    };
    let scope = Scope {
        names,
        only_users,
        only_cas,
        has_reasons,
        indirect: flag(0x84)?,
        only_attributes: flag(0x85)?,
    };
    fields.end()?;
    Ok(scope)
}
