//! From a presented chain to a trust anchor: which certificates make up the path.

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::cause::{Cause, Identity, Refusal, VerifyError};
use super::certificate::Certificate;
use super::checks;
use super::der::Malformed;
use super::settings::Said;
use super::store::TrustStore;

/// What the leaf is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It was presented by a server: what libpq checks.
    Server,
    /// It was presented by a client: what a PostgreSQL server checks.
    Client,
}

/// A path that holds, from the leaf to the trust anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The leaf first, the anchor last, which is self-signed unless the trust file's settings say otherwise; a trusted
    /// self-signed leaf is both.
    pub certificates: Vec<Identity>,
}

/// Judges a presented chain (leaf first) as libpq with OpenSSL 3 at security level 2 judges it.
///
/// Names are judged apart, by [`judge_name`](super::judge_name).
pub fn judge_chain(
    presented: &[CertificateDer<'_>],
    trust: &TrustStore,
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Path, Box<Refusal>> {
    let mut certificates = Vec::with_capacity(presented.len());
    for (depth, der) in presented.iter().enumerate() {
        certificates.push(Certificate::parse(der).map_err(|fault| unreadable(depth, fault, trust))?);
    }
    let Some(leaf) = certificates.first() else {
        return Err(Box::new(Refusal {
            cause: Cause::NoCertificate,
            openssl: None,
            certificate: None,
            explanation: "no certificate was presented".into(),
            trusted: trust.anchors(),
        }));
    };
    let start = Chain {
        certificates: vec![leaf],
        untrusted: 1,
        trust,
    };
    // OpenSSL looks at the leaf's key before anything else.
    checks::key_strength(&start, 0)?;
    let chain = build(&certificates, trust, purpose, now)?;
    checks::all(&chain, purpose, now)?;
    Ok(Path {
        certificates: (0..chain.certificates.len())
            .map(|depth| chain.identity(depth))
            .collect(),
    })
}

/// A path in the making: leaf first; the first `untrusted` of them came from the peer.
#[derive(Debug, Clone)]
pub(super) struct Chain<'a> {
    pub(super) certificates: Vec<&'a Certificate>,
    pub(super) untrusted: usize,
    pub(super) trust: &'a TrustStore,
}

impl<'a> Chain<'a> {
    pub(super) fn identity(&self, depth: usize) -> Identity {
        Identity::of(self.certificates[depth], depth, depth >= self.untrusted)
    }

    /// `the certificate "CN=…"`, with its role.
    pub(super) fn call(&self, depth: usize) -> String {
        let subject = &self.certificates[depth].subject;
        if depth >= self.untrusted {
            format!("the trusted certificate \"{subject}\"")
        } else if depth == 0 {
            format!("the certificate \"{subject}\"")
        } else {
            format!("the CA certificate \"{subject}\"")
        }
    }

    pub(super) fn refuse(
        &self,
        depth: usize,
        cause: Cause,
        openssl: Option<VerifyError>,
        explanation: String,
    ) -> Box<Refusal> {
        Box::new(Refusal {
            cause,
            openssl,
            certificate: Some(self.identity(depth)),
            explanation,
            trusted: self.trust.anchors(),
        })
    }

    /// Whether the trusted certificate at its end ends the path: by the settings that come with it, else if it is
    /// self-signed.
    fn is_anchored(&self, purpose: Purpose) -> Result<bool, Box<Refusal>> {
        let top = self.certificates.len() - 1;
        match self.last().settings.about(purpose) {
            Said::Trusted => Ok(true),
            Said::Nothing => Ok(self.last().self_signed),
            Said::Rejected => {
                let explanation = format!(
                    "the trust file holds {} as a TRUSTED CERTIFICATE whose settings reject this use",
                    self.call(top)
                );
                let error = VerifyError::new(28, "certificate rejected");
                Err(self.refuse(top, Cause::WrongPurpose, Some(error), explanation))
            }
        }
    }

    fn last(&self) -> &'a Certificate {
        self.certificates[self.certificates.len() - 1]
    }
}

/// OpenSSL follows a path to depth 100 and builds one step further to see that it is too long
/// (`X509_VERIFY_PARAM_set_depth(3)`).
const LONGEST: usize = 101;

/// Extends the leaf's path as `X509_verify_cert(3)` does: at every step a trusted issuer first, then one that was
/// presented; once the trust file is entered only it is searched. A choice is never taken back: among several
/// candidates the first that is currently valid counts, else the one that lasted longest, and a wrong choice shows as
/// a bad signature.
fn build<'a>(
    presented: &'a [Certificate],
    trust: &'a TrustStore,
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Chain<'a>, Box<Refusal>> {
    let mut pool: Vec<&Certificate> = presented.iter().collect();
    let mut chain = Chain {
        certificates: vec![&presented[0]],
        untrusted: 1,
        trust,
    };
    while chain.certificates.len() <= LONGEST {
        let current = chain.last();
        match best(
            trust.certificates().iter(),
            |issuer| issuer.may_have_issued(current),
            now,
        ) {
            Some(issuer) if !current.self_signed => {
                chain.certificates.push(issuer);
                if chain.is_anchored(purpose)? {
                    return Ok(chain);
                }
                continue;
            }
            Some(twin) if twin.der() == current.der() => {
                chain.untrusted -= 1;
                chain.certificates.pop();
                chain.certificates.push(twin);
                if chain.is_anchored(purpose)? {
                    return Ok(chain);
                }
            }
            _ => {}
        }
        let in_trust_file = chain.untrusted < chain.certificates.len();
        if in_trust_file || current.self_signed {
            break;
        }
        let fits = |issuer: &Certificate| {
            issuer.may_have_issued(current)
                && !chain
                    .certificates
                    .iter()
                    .any(|member| member.der() == issuer.der())
        };
        let Some(issuer) = best(pool.iter().copied(), fits, now) else {
            break;
        };
        pool.retain(|other| !std::ptr::eq(*other, issuer));
        chain.certificates.push(issuer);
        chain.untrusted += 1;
    }
    Err(unfinished(&chain, presented))
}

/// Of the certificates that fit, the first that is currently valid, else the one whose validity ends last.
fn best<'a>(
    candidates: impl Iterator<Item = &'a Certificate>,
    fits: impl Fn(&Certificate) -> bool,
    now: OffsetDateTime,
) -> Option<&'a Certificate> {
    let mut best: Option<&Certificate> = None;
    for candidate in candidates.filter(|candidate| fits(candidate)) {
        if candidate.is_current(now) {
            return Some(candidate);
        }
        if best.is_none_or(|best| candidate.not_after > best.not_after) {
            best = Some(candidate);
        }
    }
    best
}

fn unfinished(chain: &Chain<'_>, presented: &[Certificate]) -> Box<Refusal> {
    let top = chain.certificates.len() - 1;
    let last = chain.last();
    let named = chain.call(top);
    if chain.certificates.len() > LONGEST {
        let error = VerifyError::new(22, "certificate chain too long");
        let explanation = "the path is longer than the 100 certificates that OpenSSL follows".into();
        return chain.refuse(top, Cause::ChainTooLong, Some(error), explanation);
    }
    if last.self_signed {
        let error = match top {
            0 => VerifyError::new(18, "self-signed certificate"),
            _ => VerifyError::new(19, "self-signed certificate in certificate chain"),
        };
        let twin = chain
            .trust
            .certificates()
            .iter()
            .any(|trusted| trusted.subject == last.subject);
        let explanation = if twin {
            format!("{named} is self-signed; the trust file holds one of the same name, but not this one")
        } else {
            format!(
                "{named} is self-signed and not in the trust file; {}",
                holds(chain.trust)
            )
        };
        return chain.refuse(top, Cause::SelfSignedNotTrusted, Some(error), explanation);
    }
    let error = if chain.untrusted < chain.certificates.len() {
        VerifyError::new(2, "unable to get issuer certificate")
    } else {
        VerifyError::new(20, "unable to get local issuer certificate")
    };
    let trusted_candidates = chain.trust.certificates().iter();
    let mut candidates = trusted_candidates
        .chain(presented)
        .filter(|other| other.subject == last.issuer);
    if let Some(fault) = last.extensions.invalid {
        let explanation = format!("{named} has an extension that breaks the rules: {fault}");
        return chain.refuse(top, Cause::Malformed, Some(error), explanation);
    }
    if chain.untrusted < chain.certificates.len() {
        let explanation = format!(
            "the trust file holds \"{}\" but not its issuer \"{}\": libpq needs the self-signed root at the end",
            last.subject, last.issuer
        );
        return chain.refuse(top, Cause::PartialChain, Some(error), explanation);
    }
    let (cause, explanation) = match candidates.next() {
        None => (
            Cause::UntrustedIssuer,
            format!(
                "the issuer \"{}\" of {named} is not in the trust file; {}",
                last.issuer,
                holds(chain.trust)
            ),
        ),
        Some(issuer) if issuer.extensions.invalid.is_some() => (
            Cause::Malformed,
            format!(
                "the certificate of the issuer \"{}\" has an extension that breaks the rules",
                last.issuer
            ),
        ),
        Some(issuer) if !issuer.key.can_make(&last.algorithm) => (
            Cause::IssuerKeyDiffers,
            format!(
                "{named} is signed with {}; the key of \"{}\" at hand is another: {}",
                last.algorithm.describe(),
                last.issuer,
                issuer.key.describe()
            ),
        ),
        Some(_) => (
            Cause::IssuerKeyDiffers,
            format!(
                "a certificate named \"{}\" is at hand, but {named} was issued with another key: the CA was made \
                 anew under the same name",
                last.issuer
            ),
        ),
    };
    chain.refuse(top, cause, Some(error), explanation)
}

fn holds(trust: &TrustStore) -> String {
    let anchors = trust.anchors();
    if anchors.is_empty() {
        return "the trust file holds no self-signed certificate".into();
    }
    let names: Vec<_> = anchors.iter().take(5).map(|name| format!("\"{name}\"")).collect();
    let more = if trust.len() > names.len() {
        " and others"
    } else {
        ""
    };
    format!("the trust file holds {}{more}", names.join(", "))
}

fn unreadable(depth: usize, Malformed(fault): Malformed, trust: &TrustStore) -> Box<Refusal> {
    Box::new(Refusal {
        cause: Cause::Malformed,
        openssl: None,
        certificate: None,
        explanation: format!(
            "certificate number {} of those presented cannot be read: {fault}",
            depth + 1
        ),
        trusted: trust.anchors(),
    })
}
