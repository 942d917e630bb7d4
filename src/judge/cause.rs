//! Why a chain is refused: a closed list, the evidence, and OpenSSL's own words.

use std::fmt;

use time::OffsetDateTime;

use super::certificate::Certificate;

/// A reason for which a chain is refused, or cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The server presented no certificate at all.
    NoCertificate,
    /// The issuer of the last certificate that could be found is neither presented nor trusted.
    UntrustedIssuer,
    /// The trust file holds a CA of the issuer's name, but with another key: a CA that was made twice.
    IssuerKeyDiffers,
    /// A self-signed certificate that is not in the trust file.
    SelfSignedNotTrusted,
    /// The trust file holds an intermediate CA, but not the root above it.
    PartialChain,
    /// The path is longer than OpenSSL follows.
    ChainTooLong,
    /// A presented certificate is past its last day.
    Expired,
    /// A presented certificate is before its first day.
    NotYetValid,
    /// A certificate of the trust file is past its last day.
    AnchorExpired,
    /// A certificate of the trust file is before its first day.
    AnchorNotYetValid,
    /// A certificate in the path signs others and is no CA.
    NotACa,
    /// The extended key usage (or the Netscape type) does not allow this use.
    WrongPurpose,
    /// The key usage does not allow what the key is used for.
    KeyUsage,
    /// More CAs follow than a CA of the path allows.
    PathLength,
    /// A name is outside the name constraints of a CA of the path.
    NameConstraint,
    /// Signed with a digest below security level 2 (MD5, SHA-1).
    WeakDigest,
    /// A key below security level 2 (RSA under 2048 bits), or one that cannot be read.
    WeakKey,
    /// A critical extension that OpenSSL does not know.
    UnknownCriticalExtension,
    /// A signature does not verify with the issuer's key.
    BadSignature,
    /// An RFC 3820 proxy certificate.
    ProxyCertificate,
    /// An elliptic curve written out as parameters instead of named.
    ExplicitCurve,
    /// Revoked by its issuer.
    Revoked,
    /// Revocation lists are in use and none of this issuer was found.
    CrlMissing,
    /// The revocation list is past its next update.
    CrlExpired,
    /// The revocation list is before its last update.
    CrlNotYetValid,
    /// The revocation list's signature does not verify.
    CrlBadSignature,
    /// The revocation list cannot be used: its issuer may not sign lists, or it has another scope.
    CrlUnusable,
    /// A revocation list cannot be read here, and it is not known whether OpenSSL can.
    CrlUnread,
    /// A certificate, or an extension of it, breaks its encoding rules.
    Malformed,
    /// Cannot be judged here (Ed448, DSA, RFC 3779 resources): OpenSSL might accept it.
    UnsupportedAlgorithm,
}

impl Cause {
    /// Every cause, for tables and tests.
    pub const ALL: [Self; 30] = [
        Self::NoCertificate,
        Self::UntrustedIssuer,
        Self::IssuerKeyDiffers,
        Self::SelfSignedNotTrusted,
        Self::PartialChain,
        Self::ChainTooLong,
        Self::Expired,
        Self::NotYetValid,
        Self::AnchorExpired,
        Self::AnchorNotYetValid,
        Self::NotACa,
        Self::WrongPurpose,
        Self::KeyUsage,
        Self::PathLength,
        Self::NameConstraint,
        Self::WeakDigest,
        Self::WeakKey,
        Self::UnknownCriticalExtension,
        Self::BadSignature,
        Self::ProxyCertificate,
        Self::ExplicitCurve,
        Self::Revoked,
        Self::CrlMissing,
        Self::CrlExpired,
        Self::CrlNotYetValid,
        Self::CrlBadSignature,
        Self::CrlUnusable,
        Self::CrlUnread,
        Self::Malformed,
        Self::UnsupportedAlgorithm,
    ];

    /// The stable name that reports and scripts use.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::UntrustedIssuer => "untrusted-issuer",
            Self::IssuerKeyDiffers => "issuer-key-differs",
            Self::SelfSignedNotTrusted => "self-signed-not-trusted",
            Self::PartialChain => "partial-chain",
            Self::ChainTooLong => "chain-too-long",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::AnchorExpired => "anchor-expired",
            Self::AnchorNotYetValid => "anchor-not-yet-valid",
            Self::NotACa => "not-a-ca",
            Self::WrongPurpose => "wrong-purpose",
            Self::KeyUsage => "key-usage",
            Self::PathLength => "path-length",
            Self::NameConstraint => "name-constraint",
            Self::WeakDigest => "weak-digest",
            Self::WeakKey => "weak-key",
            Self::UnknownCriticalExtension => "unknown-critical-extension",
            Self::BadSignature => "bad-signature",
            Self::ProxyCertificate => "proxy-certificate",
            Self::ExplicitCurve => "explicit-curve",
            Self::Revoked => "revoked",
            Self::CrlMissing => "crl-missing",
            Self::CrlExpired => "crl-expired",
            Self::CrlNotYetValid => "crl-not-yet-valid",
            Self::CrlBadSignature => "crl-bad-signature",
            Self::CrlUnusable => "crl-unusable",
            Self::CrlUnread => "crl-unread",
            Self::Malformed => "malformed",
            Self::UnsupportedAlgorithm => "unsupported-algorithm",
        }
    }

    /// Whether this is no verdict but the lack of one: OpenSSL might accept what could not be judged here.
    #[must_use]
    pub const fn is_undetermined(self) -> bool {
        matches!(self, Self::UnsupportedAlgorithm | Self::CrlUnread)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

/// OpenSSL's verification error, as `openssl verify` prints it: number and text of `X509_STORE_CTX_get_error(3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyError {
    /// The number, such as 10.
    pub code: u8,
    /// The text, such as `certificate has expired`.
    pub text: &'static str,
}

impl VerifyError {
    pub(super) const fn new(code: u8, text: &'static str) -> Self {
        Self { code, text }
    }
}

/// Which certificate is meant, in words that are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Position in the path: 0 is the leaf.
    pub depth: usize,
    /// Subject, such as `O=Example, CN=db.example.com`; control characters are escaped.
    pub subject: String,
    /// Issuer, likewise.
    pub issuer: String,
    /// SHA-256 over the DER encoding, lower-case hex.
    pub sha256: String,
    /// First moment of validity; `None` if the field is unreadable.
    pub not_before: Option<OffsetDateTime>,
    /// Last moment of validity; `None` if the field is unreadable.
    pub not_after: Option<OffsetDateTime>,
    /// Whether it came out of the trust file, not from the peer.
    pub trusted: bool,
}

impl Identity {
    pub(super) fn of(certificate: &Certificate, depth: usize, trusted: bool) -> Self {
        Self {
            depth,
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            sha256: certificate.fingerprint(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            trusted,
        }
    }
}

/// A chain that does not hold (or, see [`Cause::is_undetermined`], one that cannot be judged).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{explanation}")]
pub struct Refusal {
    /// The reason.
    pub cause: Cause,
    /// What OpenSSL would have said, where it has words for it.
    pub openssl: Option<VerifyError>,
    /// The certificate at fault.
    pub certificate: Option<Identity>,
    /// One or two plain sentences with the names and dates involved.
    pub explanation: String,
    /// Subjects of the self-signed certificates in the trust file (at most 20).
    pub trusted: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        let slugs: HashSet<_> = Cause::ALL.iter().map(|cause| cause.slug()).collect();
        assert_eq!(slugs.len(), Cause::ALL.len());
    }
}
