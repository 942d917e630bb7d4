//! Certificate extensions as OpenSSL caches them: what a path check asks for, and whether anything is broken.
//!
//! A broken or repeated extension of a kind that OpenSSL reads makes the whole certificate invalid
//! (`EXFLAG_INVALID`, `X509_get_extension_flags(3)`); others are passed over unread.

use super::der::{self, BIT_STRING, BOOLEAN, INTEGER, Malformed, OCTET_STRING, Reader, SEQUENCE};
use super::general_name::GeneralName;
use super::name::Name;
use super::oid;

/// `keyUsage` bits (RFC 5280 section 4.2.1.3), first octet.
pub(super) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(super) const KEY_ENCIPHERMENT: u8 = 0x20;
pub(super) const KEY_AGREEMENT: u8 = 0x08;
pub(super) const KEY_CERT_SIGN: u8 = 0x04;
pub(super) const CRL_SIGN: u8 = 0x02;

/// Netscape certificate type bits.
pub(super) const NS_SSL_CLIENT: u8 = 0x80;
pub(super) const NS_SSL_SERVER: u8 = 0x40;
pub(super) const NS_SSL_CA: u8 = 0x04;
pub(super) const NS_ANY_CA: u8 = 0x07;

/// What the extensions of one certificate say.
#[derive(Debug, Clone, Default)]
pub(super) struct Extensions {
    /// The first fault found.
    pub(super) invalid: Option<&'static str>,
    /// OID of the first critical extension that OpenSSL does not support.
    pub(super) unknown_critical: Option<String>,
    /// `cA`, if there are basic constraints.
    pub(super) basic_constraints: Option<bool>,
    pub(super) path_length: Option<u32>,
    pub(super) key_usage: Option<u8>,
    pub(super) purposes: Option<Purposes>,
    pub(super) netscape_type: Option<u8>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<AuthorityKeyId>,
    pub(super) alternative_names: Option<Vec<GeneralName>>,
    pub(super) name_constraints: Option<NameConstraints>,
    pub(super) distribution_points: Vec<DistributionPoint>,
    /// RFC 3820.
    pub(super) proxy: bool,
    /// RFC 3779 address or AS resources: not judged here.
    pub(super) resources: bool,
}

/// The extended key usages that matter to TLS.
#[derive(Debug, Clone, Default)]
pub(super) struct Purposes {
    pub(super) server: bool,
    pub(super) client: bool,
    /// Microsoft's or Netscape's server gated crypto, which OpenSSL lets pass for a server.
    pub(super) gated: bool,
    /// All of them, in words.
    pub(super) listed: Vec<String>,
}

/// `authorityKeyIdentifier` (RFC 5280 section 4.2.1.1).
#[derive(Debug, Clone, Default)]
pub(super) struct AuthorityKeyId {
    pub(super) key_id: Option<Vec<u8>>,
    pub(super) issuer: Option<Name>,
    pub(super) serial: Option<Vec<u8>>,
}

/// `nameConstraints` (RFC 5280 section 4.2.1.10).
#[derive(Debug, Clone, Default)]
pub(super) struct NameConstraints {
    pub(super) permitted: Vec<Subtree>,
    pub(super) excluded: Vec<Subtree>,
}

/// One `GeneralSubtree`.
#[derive(Debug, Clone)]
pub(super) struct Subtree {
    pub(super) base: GeneralName,
    /// A minimum of zero and no maximum: all that RFC 5280 allows.
    pub(super) plain: bool,
}

/// One `DistributionPoint` (RFC 5280 section 4.2.1.13).
#[derive(Debug, Clone, Default)]
pub(super) struct DistributionPoint {
    pub(super) names: Option<DistributionName>,
    pub(super) has_reasons: bool,
    pub(super) crl_issuers: Option<Vec<GeneralName>>,
}

/// `DistributionPointName`.
#[derive(Debug, Clone)]
pub(super) enum DistributionName {
    Full(Vec<GeneralName>),
    /// Relative to the issuer of the list: not compared here.
    Relative,
}

/// An extension before its value is read.
pub(super) struct RawExtension<'a> {
    pub(super) oid: &'a [u8],
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

/// Reads `Extensions` (RFC 5280 section 4.1.2.9), values untouched.
pub(super) fn raw(content: &[u8]) -> Result<Vec<RawExtension<'_>>, Malformed> {
    let mut reader = der::only(content, SEQUENCE)?.reader();
    let mut extensions = Vec::new();
    while !reader.is_empty() {
        let mut fields = reader.expect(SEQUENCE)?.reader();
        let oid = fields.object()?;
        let critical = match fields.optional(BOOLEAN)? {
            Some(flag) => boolean(flag.content)?,
            None => false,
        };
        let value = fields.expect(OCTET_STRING)?.content;
        fields.end()?;
        extensions.push(RawExtension { oid, critical, value });
    }
    Ok(extensions)
}

impl Extensions {
    pub(super) fn read(raw: &[RawExtension<'_>]) -> Self {
        let mut extensions = Self::default();
        for (index, extension) in raw.iter().enumerate() {
            if extension.critical
                && !SUPPORTED.contains(&extension.oid)
                && extensions.unknown_critical.is_none()
            {
                extensions.unknown_critical = Some(oid::dotted(extension.oid));
            }
            let repeated = raw[..index].iter().any(|earlier| earlier.oid == extension.oid);
            if repeated && READ.contains(&extension.oid) {
                extensions
                    .invalid
                    .get_or_insert("an extension stands there twice");
            } else if let Err(Malformed(fault)) = extensions.take(extension) {
                extensions.invalid.get_or_insert(fault);
            }
        }
        let named = |oid| raw.iter().any(|extension| extension.oid == oid);
        if extensions.proxy
            && (extensions.is_ca() || named(oid::SUBJECT_ALT_NAME) || named(oid::ISSUER_ALT_NAME))
        {
            extensions
                .invalid
                .get_or_insert("a proxy certificate with alternative names or CA rights");
        }
        extensions
    }

    pub(super) fn is_ca(&self) -> bool {
        self.basic_constraints == Some(true)
    }

    /// `ku_reject`: there is a key usage and it has none of these bits.
    pub(super) fn usage_forbids(&self, bits: u8) -> bool {
        self.key_usage.is_some_and(|usage| usage & bits == 0)
    }

    fn take(&mut self, extension: &RawExtension<'_>) -> Result<(), Malformed> {
        let value = extension.value;
        match extension.oid {
            oid::BASIC_CONSTRAINTS => self.take_basic_constraints(value)?,
            oid::KEY_USAGE => {
                let bits = named_bits(value)?;
                let first = bits.first().copied().unwrap_or(0);
                if first == 0 && bits.get(1).copied().unwrap_or(0) == 0 {
                    return Err(Malformed("a key usage without a single bit"));
                }
                self.key_usage = Some(first);
            }
            oid::EXTENDED_KEY_USAGE => self.purposes = Some(purposes(value)?),
            oid::NETSCAPE_CERT_TYPE => {
                self.netscape_type = Some(named_bits(value)?.first().copied().unwrap_or(0));
            }
            oid::SUBJECT_KEY_ID => {
                self.subject_key_id = Some(der::leading(value, OCTET_STRING)?.content.to_vec());
            }
            oid::AUTHORITY_KEY_ID => self.authority_key_id = Some(authority_key_id(value)?),
            oid::SUBJECT_ALT_NAME => {
                let names = der::leading(value, SEQUENCE)?.content;
                self.alternative_names = Some(GeneralName::parse_all(names)?);
            }
            oid::NAME_CONSTRAINTS => self.name_constraints = Some(name_constraints(value)?),
            oid::CRL_DISTRIBUTION_POINTS => self.distribution_points = distribution_points(value)?,
            oid::PROXY_CERT_INFO => {
                der::leading(value, SEQUENCE)?;
                self.proxy = true;
            }
            oid::IP_RESOURCES | oid::AS_RESOURCES => {
                der::leading(value, SEQUENCE)?;
                self.resources = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn take_basic_constraints(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let mut fields = der::leading(value, SEQUENCE)?.reader();
        let ca = match fields.optional(BOOLEAN)? {
            Some(flag) => boolean(flag.content)?,
            None => false,
        };
        let length = fields.optional(INTEGER)?;
        fields.end()?;
        self.basic_constraints = Some(ca);
        if let Some(length) = length {
            let length = der::integer(length.content)?;
            if length[0] & 0x80 != 0 {
                return Err(Malformed("a negative path length"));
            }
            self.path_length = der::small(length);
        }
        Ok(())
    }
}

/// The critical extensions that OpenSSL supports (`X509_supported_extension(3)`), whether it reads them or not.
const SUPPORTED: [&[u8]; 15] = [
    oid::NETSCAPE_CERT_TYPE,
    oid::KEY_USAGE,
    oid::SUBJECT_ALT_NAME,
    oid::BASIC_CONSTRAINTS,
    oid::CERTIFICATE_POLICIES,
    oid::CRL_DISTRIBUTION_POINTS,
    oid::EXTENDED_KEY_USAGE,
    oid::IP_RESOURCES,
    oid::AS_RESOURCES,
    oid::OCSP_NO_CHECK,
    oid::POLICY_CONSTRAINTS,
    oid::PROXY_CERT_INFO,
    oid::NAME_CONSTRAINTS,
    oid::POLICY_MAPPINGS,
    oid::INHIBIT_ANY_POLICY,
];

/// The extensions that OpenSSL reads for every certificate: each at most once.
const READ: [&[u8]; 12] = [
    oid::BASIC_CONSTRAINTS,
    oid::KEY_USAGE,
    oid::EXTENDED_KEY_USAGE,
    oid::NETSCAPE_CERT_TYPE,
    oid::SUBJECT_KEY_ID,
    oid::AUTHORITY_KEY_ID,
    oid::SUBJECT_ALT_NAME,
    oid::NAME_CONSTRAINTS,
    oid::CRL_DISTRIBUTION_POINTS,
    oid::PROXY_CERT_INFO,
    oid::IP_RESOURCES,
    oid::AS_RESOURCES,
];

fn boolean(content: &[u8]) -> Result<bool, Malformed> {
    match content {
        [value] => Ok(*value != 0),
        _ => Err(Malformed("a BOOLEAN that is not one octet")),
    }
}

fn named_bits(value: &[u8]) -> Result<Vec<u8>, Malformed> {
    der::bits(der::leading(value, BIT_STRING)?.content)
}

fn purposes(value: &[u8]) -> Result<Purposes, Malformed> {
    let mut reader = der::leading(value, SEQUENCE)?.reader();
    let mut purposes = Purposes::default();
    while !reader.is_empty() {
        let oid = reader.object()?;
        let text = match oid {
            oid::SERVER_AUTH => {
                purposes.server = true;
                "serverAuth".into()
            }
            oid::CLIENT_AUTH => {
                purposes.client = true;
                "clientAuth".into()
            }
            oid::MICROSOFT_SGC | oid::NETSCAPE_SGC => {
                purposes.gated = true;
                "server gated crypto".into()
            }
            b"\x55\x1d\x25\x00" => "anyExtendedKeyUsage".into(),
            b"\x2b\x06\x01\x05\x05\x07\x03\x03" => "codeSigning".into(),
            b"\x2b\x06\x01\x05\x05\x07\x03\x04" => "emailProtection".into(),
            other => oid::dotted(other),
        };
        purposes.listed.push(text);
    }
    Ok(purposes)
}

pub(super) fn authority_key_id(value: &[u8]) -> Result<AuthorityKeyId, Malformed> {
    let mut fields = der::leading(value, SEQUENCE)?.reader();
    let key_id = fields.optional(0x80)?.map(|field| field.content.to_vec());
    let names = match fields.optional(0xa1)? {
        Some(field) => GeneralName::parse_all(field.content)?,
        None => Vec::new(),
    };
    let serial = match fields.optional(0x82)? {
        Some(field) => Some(der::integer(field.content)?.to_vec()),
        None => None,
    };
    fields.end()?;
    // Of several names OpenSSL takes the first directory name.
    let issuer = names.into_iter().find_map(|name| match name {
        GeneralName::Directory(name) => Some(name),
        _ => None,
    });
    Ok(AuthorityKeyId {
        key_id,
        issuer,
        serial,
    })
}

fn name_constraints(value: &[u8]) -> Result<NameConstraints, Malformed> {
    let mut fields = der::leading(value, SEQUENCE)?.reader();
    let mut side = |tag| match fields.optional(tag)? {
        Some(field) => subtrees(field.reader()),
        None => Ok(Vec::new()),
    };
    let constraints = NameConstraints {
        permitted: side(0xa0)?,
        excluded: side(0xa1)?,
    };
    fields.end()?;
    Ok(constraints)
}

fn subtrees(mut reader: Reader<'_>) -> Result<Vec<Subtree>, Malformed> {
    let mut subtrees = Vec::new();
    while !reader.is_empty() {
        let mut fields = reader.expect(SEQUENCE)?.reader();
        let base = GeneralName::parse(&fields.next()?)?;
        let minimum = fields.optional(0x80)?;
        let maximum = fields.optional(0x81)?;
        fields.end()?;
        let plain = maximum.is_none() && minimum.is_none_or(|minimum| minimum.content == [0]);
        subtrees.push(Subtree { base, plain });
    }
    Ok(subtrees)
}

fn distribution_points(value: &[u8]) -> Result<Vec<DistributionPoint>, Malformed> {
    let mut reader = der::leading(value, SEQUENCE)?.reader();
    let mut points = Vec::new();
    while !reader.is_empty() {
        let mut fields = reader.expect(SEQUENCE)?.reader();
        let names = match fields.optional(0xa0)? {
            Some(field) => Some(distribution_name(field.content)?),
            None => None,
        };
        let has_reasons = fields.optional(0x81)?.is_some();
        let crl_issuers = match fields.optional(0xa2)? {
            Some(field) => Some(GeneralName::parse_all(field.content)?),
            None => None,
        };
        fields.end()?;
        points.push(DistributionPoint {
            names,
            has_reasons,
            crl_issuers,
        });
    }
    Ok(points)
}

pub(super) fn distribution_name(content: &[u8]) -> Result<DistributionName, Malformed> {
    let mut reader = Reader::new(content);
    let choice = reader.next()?;
    reader.end()?;
    match choice.tag {
        0xa0 => Ok(DistributionName::Full(GeneralName::parse_all(choice.content)?)),
        0xa1 => Ok(DistributionName::Relative),
        _ => Err(Malformed("a distribution point of unknown form")),
    }
}
