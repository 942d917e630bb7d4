//! One X.509 certificate: its bytes, and what it says.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use time::OffsetDateTime;

use super::text::colon_hex;
use super::{KeyKind, PemError, parse, pem, signature};

/// Why bytes are no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The file is no PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// PEM, but no certificate in it.
    #[error("expected a certificate (\"BEGIN CERTIFICATE\"), found {found}")]
    NotACertificate {
        /// What the file holds instead.
        found: String,
    },
    /// The `number`-th certificate of a file does not parse.
    #[error("certificate number {number} of the file is damaged: {why}")]
    Damaged {
        /// Counted from 1.
        number: usize,
        /// What does not parse.
        why: &'static str,
    },
}

/// A certificate: owned, cheap to clone, equal when the DER is equal.
///
/// Parsing checks the form only. Whether the certificate is valid, trusted or for a given name is for `judge`.
/// Texts from inside are as the issuer wrote them, except [`Self::subject`] and [`Self::issuer`]: pass others
/// through [`super::printable`] before a person sees them.
#[derive(Clone)]
pub struct Certificate {
    fields: Arc<Fields>,
}

/// What [`parse`] finds in the DER.
pub(super) struct Fields {
    pub(super) der: Vec<u8>,
    pub(super) tbs: std::ops::Range<usize>,
    pub(super) version: u32,
    pub(super) serial: Vec<u8>,
    pub(super) subject_der: Vec<u8>,
    pub(super) issuer_der: Vec<u8>,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) common_name: Option<String>,
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
    pub(super) spki: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) kind: KeyKind,
    pub(super) signature_oid: String,
    pub(super) signature: Vec<u8>,
    pub(super) dns_names: Vec<String>,
    pub(super) ip_addresses: Vec<IpAddr>,
    pub(super) basic_constraints: Option<(bool, Option<u32>)>,
    pub(super) key_usage: Option<Vec<&'static str>>,
    pub(super) extended_key_usage: Option<Vec<String>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
}

impl Certificate {
    /// One certificate in DER, nothing behind it.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (certificate, rest) = Self::first_of(der, 1)?;
        if !rest.is_empty() {
            return Err(CertificateError::Damaged {
                number: 1,
                why: "bytes follow after its end",
            });
        }
        Ok(certificate)
    }

    /// Every certificate of a PEM file, in order, at least one. Other blocks (a key) and text are skipped, as
    /// OpenSSL does; at most 1 MiB and 1000 blocks.
    pub fn from_pem(file: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let blocks = pem::blocks(file)?;
        let mut certificates = Vec::new();
        for block in &blocks {
            let number = certificates.len() + 1;
            match block.label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" => match Self::first_of(block.in_the_clear()?, number)? {
                    (certificate, []) => certificates.push(certificate),
                    _ => {
                        return Err(CertificateError::Damaged {
                            number,
                            why: "bytes follow after its end",
                        });
                    }
                },
                // OpenSSL's own form, which appends trust settings to the certificate.
                "TRUSTED CERTIFICATE" => certificates.push(Self::first_of(block.in_the_clear()?, number)?.0),
                _ => {}
            }
        }
        if certificates.is_empty() {
            let label = blocks.first().map_or("", |block| block.label.as_str());
            return Err(CertificateError::NotACertificate {
                found: match label {
                    label if label.ends_with("PRIVATE KEY") => {
                        "a private key: the certificate is in another file, often named .crt".into()
                    }
                    "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                        "a certificate request: the CA answers it with a certificate".into()
                    }
                    "X509 CRL" => "a revocation list".into(),
                    "PKCS7" | "CMS" => {
                        "PKCS#7: convert it with \"openssl pkcs7 -print_certs -in OLD -out NEW\"".into()
                    }
                    other => format!("a block \"BEGIN {other}\""),
                },
            });
        }
        Ok(certificates)
    }

    fn first_of(der: &[u8], number: usize) -> Result<(Self, &[u8]), CertificateError> {
        let (fields, rest) = parse::fields(der).map_err(|why| CertificateError::Damaged { number, why })?;
        Ok((
            Self {
                fields: Arc::new(fields),
            },
            rest,
        ))
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.fields.der
    }

    /// The certificate in PEM, lines of 64 characters, LF.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.der()).to_string()
    }

    /// The subject in RFC 4514's form (`CN=alice,OU=Ops,C=DE`: the order of `clientname=DN`), safe to show.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.fields.subject
    }

    /// The issuer, in the form of [`Self::subject`].
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.fields.issuer
    }

    /// The subject's DER, for comparing.
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        &self.fields.subject_der
    }

    /// The issuer's DER, for comparing.
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        &self.fields.issuer_der
    }

    /// The first CN of the subject, the one that libpq compares with the host and the server with the role.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.fields.common_name.as_deref()
    }

    /// The dNSName entries of the SAN extension, in order.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.fields.dns_names
    }

    /// The iPAddress entries of the SAN extension, in order; entries that are not 4 or 16 bytes long are left out.
    #[must_use]
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.fields.ip_addresses
    }

    /// The first second at which the certificate is valid, UTC.
    #[must_use]
    pub fn not_before(&self) -> OffsetDateTime {
        self.fields.not_before
    }

    /// The last second at which the certificate is valid, UTC.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.fields.not_after
    }

    /// Whole days until it expires; negative once it has.
    #[must_use]
    pub fn days_left(&self, now: OffsetDateTime) -> i64 {
        (self.not_after() - now).whole_seconds().div_euclid(86_400)
    }

    /// The whole days between its two dates: what `--days` was when it was issued.
    #[must_use]
    pub fn lifetime_days(&self) -> i64 {
        (self.not_after() - self.not_before()).whole_days()
    }

    /// The serial number in colon hex.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        colon_hex(&self.fields.serial)
    }

    /// SHA-256 of the DER in colon hex (`openssl x509 -fingerprint -sha256`, lower case).
    #[must_use]
    pub fn fingerprint_sha256(&self) -> String {
        colon_hex(digest(&SHA256, self.der()).as_ref())
    }

    /// SHA-256 of the public key ([`Self::spki_der`]) in colon hex; equals [`super::PrivateKey::public_fingerprint`].
    #[must_use]
    pub fn spki_fingerprint(&self) -> String {
        colon_hex(digest(&SHA256, self.spki_der()).as_ref())
    }

    /// The `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.fields.spki
    }

    /// The public key without its wrapping, as the subject key identifier hashes it.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.fields.public_key
    }

    /// 3 for what is in use today; 1 for what `openssl x509 -req` made without extensions.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.fields.version
    }

    /// Whether basicConstraints say CA:TRUE (RFC 5280 section 4.2.1.9).
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.fields.basic_constraints.is_some_and(|(ca, _)| ca)
    }

    /// How many CA certificates may follow below this one, where that is limited.
    #[must_use]
    pub fn path_len(&self) -> Option<u32> {
        self.fields.basic_constraints.and_then(|(_, limit)| limit)
    }

    /// The keyUsage bits by their names in RFC 5280 section 4.2.1.3; `None` without the extension (all uses).
    #[must_use]
    pub fn key_usage(&self) -> Option<&[&'static str]> {
        self.fields.key_usage.as_deref()
    }

    /// The extended key usages by name (`serverAuth`) or object identifier; `None` without the extension (all uses).
    #[must_use]
    pub fn extended_key_usage(&self) -> Option<&[String]> {
        self.fields.extended_key_usage.as_deref()
    }

    /// The kind of its public key.
    #[must_use]
    pub fn key_kind(&self) -> &KeyKind {
        &self.fields.kind
    }

    /// The kind of its public key for people: `P-256`, `RSA 2048`.
    #[must_use]
    pub fn key_description(&self) -> String {
        self.fields.kind.to_string()
    }

    /// The algorithm of the signature on it, by OpenSSL's name (`ecdsa-with-SHA256`).
    #[must_use]
    pub fn signature_algorithm(&self) -> String {
        signature::name(&self.fields.signature_oid)
    }

    /// The subject key identifier.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.fields.subject_key_id.as_deref()
    }

    /// The key identifier of the authority key identifier.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.fields.authority_key_id.as_deref()
    }

    /// Whether subject and issuer are the same name (RFC 5280 section 3.2), as in every root.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject_der() == self.issuer_der()
    }

    /// Whether `issuer` is named as the issuer and its key made the signature. Says nothing about dates or rights.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        self.issuer_der() == issuer.subject_der()
            && signature::verifies(
                issuer.key_kind(),
                issuer.public_key(),
                &self.fields.signature_oid,
                &self.fields.der[self.fields.tbs.clone()],
                &self.fields.signature,
            )
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.der().hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Certificate({}, SHA-256 {})",
            self.subject(),
            self.fingerprint_sha256()
        )
    }
}
