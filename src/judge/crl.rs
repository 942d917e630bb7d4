//! Certificate revocation lists (RFC 5280 section 5), version 1 and 2.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::algorithm::SignatureAlgorithm;
use super::certificate::{Certificate, time};
use super::der::{self, ENUMERATED, GENERALIZED_TIME, INTEGER, Malformed, Reader, SEQUENCE, UTC_TIME};
use super::extensions::{
    AuthorityKeyId, DistributionName, RawExtension, authority_key_id, distribution_name, raw,
};
use super::general_name::GeneralName;
use super::name::Name;
use super::oid;
use super::sealed::Sealed;
use super::signature::Outcome;

/// A revocation list, read.
#[derive(Debug, Clone)]
pub(super) struct Crl {
    sealed: Sealed,
    pub(super) issuer: Name,
    /// `None`: unreadable.
    pub(super) last_update: Option<OffsetDateTime>,
    pub(super) next_update: NextUpdate,
    /// By serial number, in the order of the list.
    revoked: BTreeMap<Vec<u8>, Vec<Entry>>,
    pub(super) authority_key_id: Option<AuthorityKeyId>,
    pub(super) scope: Option<Scope>,
    /// A critical extension that OpenSSL does not handle, in the list or in an entry.
    pub(super) unknown_critical: bool,
    /// An `issuingDistributionPoint` that contradicts itself. One that cannot be read counts as none, as with OpenSSL.
    pub(super) invalid: bool,
    pub(super) is_delta: bool,
}

/// One revocation.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) reason: Option<u8>,
    /// Whose certificate it is about, where it or one before it has a `certificateIssuer` (RFC 5280 section 5.3.3): then
    /// it is about no certificate of the list's own issuer.
    of: Option<Arc<[GeneralName]>>,
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
        if let Some(version) = fields.optional(INTEGER)? {
            der::integer(version.content)?;
        }
        // OpenSSL reads the algorithm that stands here, and verifies by the other (`X509_CRL_verify(3)`).
        SignatureAlgorithm::parse(&fields.expect(SEQUENCE)?)?;
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
        self.sealed.verified_by(&issuer.key)
    }

    /// How many certificates are revoked.
    pub(super) fn count(&self) -> usize {
        self.revoked.len()
    }

    /// The entry about a certificate of that issuer.
    pub(super) fn entry(&self, serial: &[u8], issuer: &Name) -> Option<&Entry> {
        let is_meant = |entry: &&Entry| match &entry.of {
            None => *issuer == self.issuer,
            Some(names) => names
                .iter()
                .any(|name| matches!(name, GeneralName::Directory(name) if name == issuer)),
        };
        self.revoked.get(serial)?.iter().find(is_meant)
    }

    fn take_entries(&mut self, mut reader: Reader<'_>) -> Result<(), Malformed> {
        let mut of = None;
        // OpenSSL stops to look at extensions of entries at the first that it cannot read.
        let mut readable = true;
        while !reader.is_empty() {
            let mut entry = reader.expect(SEQUENCE)?.reader();
            let serial = der::integer(entry.expect(INTEGER)?.content)?.to_vec();
            time(&mut entry)?;
            let extensions = if entry.is_empty() {
                Vec::new()
            } else {
                raw(entry.next()?.raw)?
            };
            entry.end()?;
            let mut reason = None;
            if readable {
                readable = take_entry_extensions(&extensions, &mut of, &mut reason).is_ok();
            }
            let unknown =
                |extension: &RawExtension<'_>| extension.critical && extension.oid != oid::CERTIFICATE_ISSUER;
            self.unknown_critical |= readable && extensions.iter().any(unknown);
            let of = readable.then(|| of.clone()).flatten();
            self.revoked.entry(serial).or_default().push(Entry { reason, of });
        }
        Ok(())
    }

    fn take_extension(&mut self, extension: &RawExtension<'_>) {
        match extension.oid {
            // One that cannot be read counts as none, as with OpenSSL.
            oid::AUTHORITY_KEY_ID => self.authority_key_id = authority_key_id(extension.value).ok(),
            oid::ISSUING_DISTRIBUTION_POINT => match scope(extension.value) {
                Ok(scope) => self.scope = Some(scope),
                Err(ScopeFault::Contradiction) => self.invalid = true,
                Err(ScopeFault::Unreadable) => {}
            },
            oid::DELTA_CRL => self.is_delta = true,
            _ => self.unknown_critical |= extension.critical,
        }
    }
}

/// The extensions of one entry that matter: whose certificate it is about, and why it was revoked.
fn take_entry_extensions(
    extensions: &[RawExtension<'_>],
    of: &mut Option<Arc<[GeneralName]>>,
    reason: &mut Option<u8>,
) -> Result<(), Malformed> {
    let find = |oid| extensions.iter().find(|extension| extension.oid == oid);
    if let Some(issuer) = find(oid::CERTIFICATE_ISSUER) {
        let names = der::leading(issuer.value, SEQUENCE)?.content;
        *of = Some(GeneralName::parse_all(names)?.into());
    }
    if let Some(code) = find(oid::REASON_CODE) {
        *reason = der::leading(code.value, ENUMERATED)?.content.last().copied();
    }
    Ok(())
}

/// Why a scope cannot be used.
enum ScopeFault {
    Unreadable,
    Contradiction,
}

impl From<Malformed> for ScopeFault {
    fn from(_: Malformed) -> Self {
        Self::Unreadable
    }
}

fn scope(value: &[u8]) -> Result<Scope, ScopeFault> {
    let mut fields = der::leading(value, SEQUENCE)?.reader();
    let mut contradicts = false;
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
            _ => return Err(ScopeFault::Unreadable),
        };
        contradicts |= is_set && scope.only.replace(only).is_some();
    }
    if contradicts {
        return Err(ScopeFault::Contradiction);
    }
    Ok(scope)
}
