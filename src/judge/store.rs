//! What is trusted: the certificates and revocation lists of a trust file.

use time::OffsetDateTime;

use super::certificate::Certificate;
use super::crl::{Crl, NextUpdate};
use super::der::{Malformed, Reader};
use super::settings::TrustSettings;

/// The contents of a trust file (and of the revocation lists next to it), read once.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    certificates: Vec<Certificate>,
    lists: Vec<Crl>,
    checks_revocation: bool,
    doubt: Option<String>,
}

/// A trust file's entry that OpenSSL would refuse to load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A certificate that cannot be read.
    #[error(
        "certificate number {number} of the trust file cannot be read: {fault}; replace the file by a sound copy"
    )]
    Certificate {
        /// Its place, counting from 1.
        number: usize,
        /// What is wrong with it.
        fault: String,
    },
    /// A revocation list that cannot be read.
    #[error("revocation list number {number} cannot be read: {fault}; replace the file by a sound copy")]
    List {
        /// Its place, counting from 1.
        number: usize,
        /// What is wrong with it.
        fault: String,
    },
}

/// The name, without the `.0` or `.r0`, under which OpenSSL looks for a certificate in a directory: the hash of its
/// subject (`openssl-rehash(1)`). `None` if it cannot be read.
#[must_use]
pub fn certificate_hash(der: &[u8]) -> Option<String> {
    let certificate = Certificate::parse(first(der)).ok()?;
    Some(format!("{:08x}", certificate.subject.hash()))
}

/// The same for a revocation list: the hash of its issuer.
#[must_use]
pub fn list_hash(der: &[u8]) -> Option<String> {
    let list = Crl::parse(first(der)).ok()?;
    Some(format!("{:08x}", list.issuer.hash()))
}

/// The certificate or list, without what may follow it.
fn first(der: &[u8]) -> &[u8] {
    Reader::new(der).next().map_or(der, |element| element.raw)
}

impl TrustStore {
    /// Reads DER certificates and DER revocation lists, in the order of the file: among CAs of one name the first
    /// that is currently valid is taken, as OpenSSL takes it. Bytes that follow a certificate are its trust settings, as
    /// they stand in a `TRUSTED CERTIFICATE` block.
    ///
    /// If there is any list, every certificate of a path needs one, the root too (libpq sets
    /// `X509_V_FLAG_CRL_CHECK_ALL`); [`check_revocation`](Self::check_revocation) says otherwise.
    pub fn new(certificates: &[Vec<u8>], lists: &[Vec<u8>]) -> Result<Self, StoreError> {
        let mut store = Self {
            certificates: Vec::new(),
            lists: Vec::new(),
            checks_revocation: !lists.is_empty(),
            doubt: None,
        };
        for (index, der) in certificates.iter().enumerate() {
            let certificate = Self::certificate(der).map_err(|Malformed(fault)| StoreError::Certificate {
                number: index + 1,
                fault: fault.into(),
            })?;
            if !store
                .certificates
                .iter()
                .any(|known| known.der() == certificate.der())
            {
                store.certificates.push(certificate);
            }
        }
        for (index, der) in lists.iter().enumerate() {
            let list = Crl::parse(first(der)).map_err(|Malformed(fault)| StoreError::List {
                number: index + 1,
                fault: fault.into(),
            })?;
            store.lists.push(list);
        }
        Ok(store)
    }

    fn certificate(bytes: &[u8]) -> Result<Certificate, Malformed> {
        let der = first(bytes);
        let mut certificate = Certificate::parse(der)?;
        certificate.settings = TrustSettings::parse(&bytes[der.len()..])?;
        Ok(certificate)
    }

    /// Whether certificates are checked against the lists. As libpq does it: yes with `sslcrl` once that file could be
    /// read, yes with `sslcrldir` even if that directory is empty (then everything is refused), no for lists that merely
    /// lie in the trust file.
    #[must_use]
    pub const fn check_revocation(mut self, check: bool) -> Self {
        self.checks_revocation = check;
        self
    }

    /// With lists beside these that cannot be read here, in a sentence: OpenSSL passes over what it cannot read, so
    /// without knowing whether it can there is no saying whether it finds something revoked. No chain holds then.
    #[must_use]
    pub fn in_doubt(mut self, why: String) -> Self {
        self.doubt = Some(why);
        self
    }

    /// Subjects of the self-signed certificates, which alone end a path; at most 20.
    #[must_use]
    pub fn anchors(&self) -> Vec<String> {
        let anchors = self
            .certificates
            .iter()
            .filter(|certificate| certificate.self_signed);
        anchors
            .take(20)
            .map(|anchor| anchor.subject.to_string())
            .collect()
    }

    /// Whose lists there are and when the next one of each is due; those that do not say are left out.
    #[must_use]
    pub fn list_ends(&self) -> Vec<(String, OffsetDateTime)> {
        let end = |list: &Crl| match list.next_update {
            NextUpdate::At(end) => Some((list.issuer.to_string(), end)),
            NextUpdate::Unsaid | NextUpdate::Unreadable => None,
        };
        self.lists.iter().filter_map(end).collect()
    }

    /// How many certificates there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Whether nothing at all is trusted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    pub(super) const fn checks_revocation(&self) -> bool {
        self.checks_revocation
    }

    pub(super) fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    pub(super) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    pub(super) fn lists(&self) -> &[Crl] {
        &self.lists
    }
}
