//! A certificate chain with the key of its first certificate, as a server or a client shows it.

use std::collections::BTreeSet;
use std::fmt;

use secrecy::SecretString;
use time::{Date, OffsetDateTime};

use super::text::printable;
use super::{Algorithm, Certificate, CertificateError, HostName, KeyError, KeyKind, PrivateKey};

/// Why a certificate and a key cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate file.
    #[error("the certificate: {0}")]
    Certificate(CertificateError),
    /// The key file.
    #[error("the key: {0}")]
    Key(KeyError),
    /// The key belongs to a later certificate of the file.
    #[error(
        "the key fits certificate number {position} of the file (\"{subject}\"), and PostgreSQL wants that one \
         first, the intermediates after it"
    )]
    Order {
        /// Where it stands, counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
    },
    /// The key belongs to none of the certificates.
    #[error(
        "the key does not fit the certificate \"{subject}\": the certificate holds public key SHA-256 {expected}, \
         the key's is {found}"
    )]
    WrongKey {
        /// Subject of the first certificate.
        subject: String,
        /// Fingerprint of the certificate's public key.
        expected: String,
        /// Fingerprint of the key's public half.
        found: String,
    },
}

/// Why a certificate that was issued earlier does not do any more: a sentence for the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Key and certificate are not a pair.
    #[error("its key does not fit it")]
    WrongKey,
    /// Another CA, or another key of the same name, signed it.
    #[error("it was not issued by the present CA \"{issuer}\"")]
    OtherIssuer {
        /// Subject of the present CA.
        issuer: String,
    },
    /// The CA's chain has changed since.
    #[error("its chain does not lead to the present CA's root")]
    OtherChain,
    /// Past its notAfter.
    #[error("it expired on {on}")]
    Expired {
        /// Its last day, UTC.
        on: Date,
    },
    /// Before its notBefore.
    #[error("it is valid from {from} only")]
    NotYetValid {
        /// Its first day, UTC.
        from: Date,
    },
    /// The setup asks for another kind of key.
    #[error("its key is {found}, the setup asks for {expected}")]
    OtherKind {
        /// What the setup asks for.
        expected: KeyKind,
        /// What the certificate has.
        found: KeyKind,
    },
    /// The setup asks for another lifetime.
    #[error("it was made for {found} days, the setup asks for {expected}")]
    OtherLifetime {
        /// What the setup asks for, in days.
        expected: u32,
        /// What the certificate has, in days.
        found: i64,
    },
    /// A host name or address that clients dial is not in it.
    #[error("{0} is missing from its names")]
    MissingName(HostName),
    /// A name is in it that nobody asks for any more.
    #[error("it still carries the name {0}, which the setup no longer has")]
    ExtraName(String),
    /// A client certificate for someone else.
    #[error("its common name is \"{found}\", the setup asks for \"{expected}\"")]
    OtherCommonName {
        /// What the setup asks for.
        expected: String,
        /// What the certificate has, safe to show.
        found: String,
    },
    /// A client's certificate for a server, or the reverse.
    #[error("its extended key usage lacks {0}")]
    WrongPurpose(&'static str),
}

/// A chain, leaf first, and the leaf's key.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<Certificate>,
    key: PrivateKey,
}

impl Identity {
    pub(super) fn issued<'a>(
        leaf: Certificate,
        intermediates: impl Iterator<Item = &'a Certificate>,
        key: PrivateKey,
    ) -> Self {
        let chain = std::iter::once(leaf).chain(intermediates.cloned()).collect();
        Self { chain, key }
    }

    /// Reads a chain (leaf first) and its key from PEM, and checks that they are a pair. Dates, names and trust
    /// are not looked at.
    pub fn load(
        chain_pem: &[u8],
        key_pem: &[u8],
        passphrase: Option<&SecretString>,
    ) -> Result<Self, IdentityError> {
        let chain = Certificate::from_pem(chain_pem).map_err(IdentityError::Certificate)?;
        let key = PrivateKey::from_pem(key_pem, passphrase).map_err(IdentityError::Key)?;
        let position = chain.iter().position(|one| one.spki_der() == key.spki_der());
        match position {
            Some(0) => Ok(Self { chain, key }),
            Some(index) => Err(IdentityError::Order {
                position: index + 1,
                subject: chain[index].subject().to_owned(),
            }),
            None => Err(IdentityError::WrongKey {
                subject: chain[0].subject().to_owned(),
                expected: chain[0].spki_fingerprint(),
                found: key.public_fingerprint(),
            }),
        }
    }

    /// The certificates, leaf first; never empty.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The certificate that the key belongs to.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The leaf's key.
    #[must_use]
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The chain in PEM, leaf first: what `ssl_cert_file` and `sslcert` want.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(Certificate::to_pem).collect()
    }

    /// Whether the key is the leaf's.
    #[must_use]
    pub fn fits_key(&self) -> bool {
        self.leaf().spki_der() == self.key.spki_der()
    }

    /// Whether a server certificate is still what the setup asks for; a pure question, so no state need be kept.
    pub fn satisfies_server(
        &self,
        hosts: &[HostName],
        algorithm: Algorithm,
        days: u32,
        issuer: &Certificate,
        now: OffsetDateTime,
    ) -> Result<(), Reason> {
        self.satisfies(algorithm, days, issuer, "serverAuth", now)?;
        let wanted: BTreeSet<_> = hosts.iter().map(ToString::to_string).collect();
        let carried: BTreeSet<_> = (self.leaf().dns_names().iter().cloned())
            .chain(self.leaf().ip_addresses().iter().map(ToString::to_string))
            .collect();
        if let Some(missing) = hosts.iter().find(|host| !carried.contains(&host.to_string())) {
            return Err(Reason::MissingName(missing.clone()));
        }
        match carried.difference(&wanted).next() {
            Some(extra) => Err(Reason::ExtraName(printable(extra))),
            None => Ok(()),
        }
    }

    /// Whether a client certificate is still what the setup asks for.
    pub fn satisfies_client(
        &self,
        common_name: &str,
        algorithm: Algorithm,
        days: u32,
        issuer: &Certificate,
        now: OffsetDateTime,
    ) -> Result<(), Reason> {
        self.satisfies(algorithm, days, issuer, "clientAuth", now)?;
        let found = self.leaf().common_name().unwrap_or_default();
        if found == common_name {
            return Ok(());
        }
        Err(Reason::OtherCommonName {
            expected: printable(common_name),
            found: printable(found),
        })
    }

    fn satisfies(
        &self,
        algorithm: Algorithm,
        days: u32,
        issuer: &Certificate,
        purpose: &'static str,
        now: OffsetDateTime,
    ) -> Result<(), Reason> {
        let leaf = self.leaf();
        if !self.fits_key() {
            return Err(Reason::WrongKey);
        }
        if !leaf.is_signed_by(issuer) {
            return Err(Reason::OtherIssuer {
                issuer: issuer.subject().to_owned(),
            });
        }
        // An intermediate travels with the leaf; a root does not.
        if issuer.is_self_issued() != (self.chain.len() == 1)
            || (self.chain.len() > 1 && self.chain[1] != *issuer)
        {
            return Err(Reason::OtherChain);
        }
        if now > leaf.not_after() {
            return Err(Reason::Expired {
                on: leaf.not_after().date(),
            });
        }
        if now < leaf.not_before() {
            return Err(Reason::NotYetValid {
                from: leaf.not_before().date(),
            });
        }
        let expected = KeyKind::from(algorithm);
        if *leaf.key_kind() != expected {
            return Err(Reason::OtherKind {
                expected,
                found: leaf.key_kind().clone(),
            });
        }
        if leaf.lifetime_days() != i64::from(days) {
            return Err(Reason::OtherLifetime {
                expected: days,
                found: leaf.lifetime_days(),
            });
        }
        match leaf.extended_key_usage() {
            Some(usages) if usages.iter().any(|usage| usage == purpose) => Ok(()),
            _ => Err(Reason::WrongPurpose(purpose)),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("chain", &self.chain)
            .field("key", &self.key)
            .finish()
    }
}
