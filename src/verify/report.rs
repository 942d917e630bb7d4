//! What was asked of a server, what it did, and what follows.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde::{Serialize, Serializer};

use super::cause::Cause;

/// The promises that can be tested, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeId {
    /// The address answers.
    Reach,
    /// The server answers an `SSLRequest` with yes.
    SslOffered,
    /// A handshake of TLS 1.2 or later completes.
    Handshake,
    /// The certificate leads to a root that the client trusts.
    Chain,
    /// The certificate carries the name that was dialled.
    HostName,
    /// The certificate is within its dates.
    Validity,
    /// The login succeeds over the verified connection.
    Authenticated,
    /// `pg_stat_ssl` says the same as we saw.
    ServerAgrees,
    /// A login without TLS is turned away before a password is asked for.
    PlaintextRefused,
    /// TLS 1.1 is turned away.
    OldTlsRefused,
    /// A login without a client certificate is turned away.
    NoCertificateRefused,
    /// A client certificate of an unknown CA is turned away.
    ForeignCertificateRefused,
    /// A client certificate of the right CA, but for another name, is turned away.
    OtherNameRefused,
    /// We would notice a server whose certificate comes from another CA.
    WrongCaNoticed,
    /// We would notice a server whose certificate is for another name.
    WrongNameNoticed,
    /// No line of `pg_hba.conf` admits a connection without TLS.
    HbaHasNoPlaintextWayIn,
    /// The settings that were asked for are those that the server runs with.
    SettingsInForce,
}

impl ProbeId {
    /// Every probe, in the order in which they are told.
    pub const ALL: [Self; 17] = [
        Self::Reach,
        Self::SslOffered,
        Self::Handshake,
        Self::Chain,
        Self::HostName,
        Self::Validity,
        Self::Authenticated,
        Self::ServerAgrees,
        Self::PlaintextRefused,
        Self::OldTlsRefused,
        Self::NoCertificateRefused,
        Self::ForeignCertificateRefused,
        Self::OtherNameRefused,
        Self::WrongCaNoticed,
        Self::WrongNameNoticed,
        Self::HbaHasNoPlaintextWayIn,
        Self::SettingsInForce,
    ];

    /// The stable name that scripts see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::SslOffered => "ssl-offered",
            Self::Handshake => "handshake",
            Self::Chain => "chain",
            Self::HostName => "host-name",
            Self::Validity => "validity",
            Self::Authenticated => "authenticated",
            Self::ServerAgrees => "server-agrees",
            Self::PlaintextRefused => "plaintext-refused",
            Self::OldTlsRefused => "old-tls-refused",
            Self::NoCertificateRefused => "no-certificate-refused",
            Self::ForeignCertificateRefused => "foreign-certificate-refused",
            Self::OtherNameRefused => "other-name-refused",
            Self::WrongCaNoticed => "wrong-ca-noticed",
            Self::WrongNameNoticed => "wrong-name-noticed",
            Self::HbaHasNoPlaintextWayIn => "hba-has-no-plaintext-way-in",
            Self::SettingsInForce => "settings-in-force",
        }
    }

    /// What must be seen for the promise to hold, in a few words.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Reach => "the server answers",
            Self::SslOffered => "it offers TLS",
            Self::Handshake => "a handshake of TLS 1.2 or later",
            Self::Chain => "a certificate that leads to a trusted root",
            Self::HostName => "a certificate for the name that was dialled",
            Self::Validity => "a certificate within its dates",
            Self::Authenticated => "the login succeeds",
            Self::ServerAgrees => "pg_stat_ssl says the same",
            Self::PlaintextRefused => "a login without TLS is refused",
            Self::OldTlsRefused => "TLS 1.1 is refused",
            Self::NoCertificateRefused => "a login without a client certificate is refused",
            Self::ForeignCertificateRefused => "a client certificate of another CA is refused",
            Self::OtherNameRefused => "a client certificate for another name is refused",
            Self::WrongCaNoticed => "a server certificate of another CA is noticed",
            Self::WrongNameNoticed => "a server certificate for another name is noticed",
            Self::HbaHasNoPlaintextWayIn => "no line of pg_hba.conf admits a login without TLS",
            Self::SettingsInForce => "the server runs with TLS on, 1.2 or later",
        }
    }

    /// Which of the three groups it belongs to on a screen.
    #[must_use]
    pub const fn group(self) -> Group {
        match self {
            Self::PlaintextRefused
            | Self::OldTlsRefused
            | Self::NoCertificateRefused
            | Self::ForeignCertificateRefused
            | Self::OtherNameRefused => Group::MustBeRefused,
            Self::WrongCaNoticed | Self::WrongNameNoticed => Group::WeWouldNotice,
            _ => Group::MustWork,
        }
    }
}

/// How probes are grouped for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What must work.
    MustWork,
    /// What must be refused.
    MustBeRefused,
    /// What we ourselves must notice.
    WeWouldNotice,
}

impl Group {
    /// Every group, in order.
    pub const ALL: [Self; 3] = [Self::MustWork, Self::MustBeRefused, Self::WeWouldNotice];

    /// The heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::MustWork => "Must work",
            Self::MustBeRefused => "Must be refused",
            Self::WeWouldNotice => "We would notice",
        }
    }
}

impl Serialize for ProbeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a probe found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The expected sign was seen.
    Holds,
    /// The opposite was seen.
    Broken,
    /// It was tried, and neither was seen (a time-out, a full server, a reset).
    Open,
    /// It was not tried: something it needs is not at hand, or an earlier probe already failed.
    NotTried,
}

impl Outcome {
    /// `holds` as scripts see it: `true`, `false`, or `null` where it could not be found out.
    #[must_use]
    pub const fn holds(self) -> Option<bool> {
        match self {
            Self::Holds => Some(true),
            Self::Broken => Some(false),
            Self::Open | Self::NotTried => None,
        }
    }
}

/// One promise, tested.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Which promise.
    pub id: ProbeId,
    /// What was found out.
    pub outcome: Outcome,
    /// What happened, one sentence, safe to print.
    pub observed: String,
    /// What shows it: server messages, SQLSTATEs, alerts, certificates; safe to print.
    pub evidence: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// What to do, where the promise does not hold.
    pub remedy: Option<String>,
    /// Which of the known causes it is, where the promise does not hold.
    pub cause: Option<Cause>,
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            id: ProbeId,
            expected: &'a str,
            observed: &'a str,
            holds: Option<bool>,
            ms: f64,
            evidence: &'a [String],
            remedy: Option<&'a str>,
            cause: Option<Cause>,
        }
        Row {
            id: self.id,
            expected: self.id.expected(),
            observed: &self.observed,
            holds: self.outcome.holds(),
            ms: (self.took.as_secs_f64() * 1e6).round() / 1e3,
            evidence: &self.evidence,
            remedy: self.remedy.as_deref(),
            cause: self.cause,
        }
        .serialize(serializer)
    }
}

/// The answer over all probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// TLS, chain and name are proven, and nothing that was tested is broken.
    Verified,
    /// Let in, but without that proof.
    Connected,
    /// Not let in, or we would not go in.
    Refused,
    /// It could not be found out.
    Undetermined,
}

impl Report {
    /// Of a conninfo that libpq does not even begin with.
    #[must_use]
    pub fn of_bad_conninfo(why: &str) -> Self {
        Self {
            verdict: Verdict::Refused,
            cause: Some(Cause::BadConninfo),
            headline: crate::pki::printable(why),
            probes: Vec::new(),
            presented: Vec::new(),
        }
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// Why it is not what was hoped for, where that is one of the known causes.
    pub cause: Option<Cause>,
    /// One sentence that says it to a person.
    pub headline: String,
    /// The probes, in the order of [`ProbeId::ALL`].
    pub probes: Vec<Probe>,
    /// The chain that the server presented, leaf first, whatever became of it; empty if it did not come so far.
    #[serde(skip)]
    pub presented: Vec<CertificateDer<'static>>,
}
