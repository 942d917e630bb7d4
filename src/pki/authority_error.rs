//! Why a CA cannot be made, loaded or asked to issue.

use time::Date;

use super::{CertificateError, KeyError};

/// Why a CA cannot be made, loaded or asked to issue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The CA's certificate file.
    #[error("the CA certificate: {0}")]
    Certificate(CertificateError),
    /// The CA's key file.
    #[error("the CA key: {0}")]
    Key(KeyError),
    /// A new key or signature.
    #[error(transparent)]
    Crypto(#[from] KeyError),
    /// A CA key of kind Ed25519.
    #[error(
        "a CA cannot have an Ed25519 key: on a server certificate that it signs, every libpq so far fails at \
         SCRAM login (\"could not find digest for NID UNDEF\"); use p256 for the CA, Ed25519 is fine for leaves"
    )]
    Ed25519,
    /// The key is not the certificate's.
    #[error(
        "the CA key does not fit the CA certificate \"{subject}\": the certificate holds public key SHA-256 \
         {expected}, the key's is {found}"
    )]
    WrongKey {
        /// Subject of the certificate.
        subject: String,
        /// Fingerprint of the certificate's public key.
        expected: String,
        /// Fingerprint of the key's public half.
        found: String,
    },
    /// The certificate must not sign others.
    #[error(
        "\"{subject}\" is no CA: {why}; give the certificate of the CA that signs, not one that it signed"
    )]
    NotACa {
        /// Subject of the certificate.
        subject: String,
        /// Which extension says so.
        why: &'static str,
    },
    /// The CA may not sign certificates of this purpose.
    #[error(
        "the CA \"{subject}\" is limited to other purposes by its extendedKeyUsage, which lacks {purpose}"
    )]
    WrongPurpose {
        /// Subject of the certificate.
        subject: String,
        /// `serverAuth` or `clientAuth`.
        purpose: &'static str,
    },
    /// Past its notAfter.
    #[error("the CA certificate \"{subject}\" expired on {on}: nothing that it signs is accepted any more")]
    Expired {
        /// Subject of the certificate.
        subject: String,
        /// Its last day, UTC.
        on: Date,
    },
    /// Before its notBefore.
    #[error(
        "the CA certificate \"{subject}\" is valid from {from} only: is this machine's clock right, or is it \
         the wrong certificate?"
    )]
    NotYetValid {
        /// Subject of the certificate.
        subject: String,
        /// Its first day, UTC.
        from: Date,
    },
    /// An intermediate CA whose certificates up to the root are not all in the file.
    #[error(
        "the CA \"{subject}\" is an intermediate, and its issuer \"{issuer}\" is not in the file (or did not sign it): append the \
         certificates up to the root to it, for clients must trust the root"
    )]
    IncompleteChain {
        /// Subject of the last certificate that was found.
        subject: String,
        /// Who issued it.
        issuer: String,
    },
    /// A leaf would live longer than its CA.
    #[error(
        "a certificate of {days} days would outlive its CA \"{subject}\", which expires on {on}: use --days \
         {most} or fewer, or renew the CA"
    )]
    OutlivesCa {
        /// What was asked for.
        days: u32,
        /// The most that would do; 0 when no whole day is left.
        most: i64,
        /// Subject of the CA.
        subject: String,
        /// The CA's last day, UTC.
        on: Date,
    },
    /// Zero days, or past the year 9999, where X.509 ends.
    #[error(
        "a lifetime of {days} days is not possible: expected 1 day or more, ending before the year 10000"
    )]
    Lifetime {
        /// What was asked for.
        days: u32,
    },
    /// A common name that X.509 has no room for, or that cannot be a role.
    #[error("\"{name}\" cannot be the CN of a certificate: {why}")]
    CommonName {
        /// The name, safe to show.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A server certificate without any name.
    #[error("a server certificate needs at least one host name or address")]
    NoHosts,
}
