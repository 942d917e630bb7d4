//! The rules that every certificate of a path must meet, in OpenSSL's order: the first that fails is the cause.

use time::OffsetDateTime;
use time::macros::format_description;

use super::cause::{Cause, Refusal, VerifyError};
use super::certificate::Certificate;
use super::constraints;
use super::extensions::{
    DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_CERT_SIGN, KEY_ENCIPHERMENT, NS_ANY_CA, NS_SSL_CA, NS_SSL_CLIENT,
    NS_SSL_SERVER,
};
use super::key::Kind;
use super::path::{Chain, Purpose};
use super::revocation;
use super::settings::Said;
use super::signature::Outcome;

/// Security level 2, the default of Debian, Ubuntu and Red Hat: 112 bits (`SSL_CTX_set_security_level(3)`).
pub(super) const SECURITY_BITS: u32 = 112;

type Verdict = Result<(), Box<Refusal>>;

/// All rules. What could not be judged is reported only if nothing else refuses: a refusal is certain either way.
pub(super) fn all(chain: &Chain<'_>, purpose: Purpose, now: OffsetDateTime) -> Verdict {
    let mut open: Option<Box<Refusal>> = None;
    extensions(chain, purpose)?;
    strength(chain)?;
    if chain.trust.checks_revocation() {
        revocation::check(chain, now, &mut open)?;
    }
    signatures_and_dates(chain, now, &mut open)?;
    constraints::check(chain)?;
    if let Some(depth) = chain
        .certificates
        .iter()
        .position(|certificate| certificate.extensions.resources)
    {
        let explanation = format!(
            "{} carries RFC 3779 address or AS resources, which pgtls does not judge",
            chain.call(depth)
        );
        open.get_or_insert_with(|| chain.refuse(depth, Cause::UnsupportedAlgorithm, None, explanation));
    }
    if let Some(why) = chain.trust.doubt() {
        open.get_or_insert_with(|| chain.refuse(0, Cause::CrlUnread, None, why.to_owned()));
    }
    open.map_or(Ok(()), Err)
}

/// `check_extensions`: critical extensions, CA rights, purpose, path lengths.
fn extensions(chain: &Chain<'_>, purpose: Purpose) -> Verdict {
    let count = chain.certificates.len();
    let mut intermediates = 0_u32;
    for (depth, certificate) in chain.certificates.iter().enumerate() {
        let extensions = &certificate.extensions;
        if let Some(fault) = extensions.invalid {
            let explanation = format!(
                "{} has an extension that breaks the rules: {fault}",
                chain.call(depth)
            );
            let error = VerifyError::new(1, "unspecified certificate verification error");
            return Err(chain.refuse(depth, Cause::Malformed, Some(error), explanation));
        }
        if let Some(oid) = &extensions.unknown_critical {
            let explanation = format!(
                "{} has the critical extension {oid}, which OpenSSL does not know",
                chain.call(depth)
            );
            let error = VerifyError::new(34, "unhandled critical extension");
            return Err(chain.refuse(depth, Cause::UnknownCriticalExtension, Some(error), explanation));
        }
        if extensions.proxy {
            let explanation = format!("{} is an RFC 3820 proxy certificate", chain.call(depth));
            let error = VerifyError::new(
                40,
                "proxy certificates not allowed, please set the appropriate flag",
            );
            return Err(chain.refuse(depth, Cause::ProxyCertificate, Some(error), explanation));
        }
        if depth > 0 {
            ca_rights(chain, depth)?;
        }
        if count > 1 && matches!(certificate.key.kind, Kind::EcExplicit(_)) {
            let explanation = format!(
                "{} spells its elliptic curve out instead of naming it",
                chain.call(depth)
            );
            let error = VerifyError::new(94, "Certificate public key has explicit ECC parameters");
            return Err(chain.refuse(depth, Cause::ExplicitCurve, Some(error), explanation));
        }
        fitness(chain, depth, purpose)?;
        if depth > 1
            && let Some(allowed) = extensions.path_length
            && intermediates > allowed
        {
            let explanation = format!(
                "{} allows {allowed} CA certificates below it; {intermediates} follow",
                chain.call(depth)
            );
            let error = VerifyError::new(25, "path length constraint exceeded");
            return Err(chain.refuse(depth, Cause::PathLength, Some(error), explanation));
        }
        if depth > 0 && !certificate.self_issued {
            intermediates += 1;
        }
    }
    Ok(())
}

/// How far a certificate counts as a CA (`X509_check_ca(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CaStanding {
    No,
    /// By its basic constraints.
    Yes,
    /// By custom only: a self-signed v1 certificate, or a key usage that allows signing certificates. Good for an
    /// anchor, not for an intermediate.
    ByCustom,
    /// By its Netscape certificate type only; likewise.
    ByNetscapeType,
}

fn standing(certificate: &Certificate) -> CaStanding {
    let extensions = &certificate.extensions;
    if extensions.usage_forbids(KEY_CERT_SIGN) {
        return CaStanding::No;
    }
    match extensions.basic_constraints {
        Some(true) => CaStanding::Yes,
        None if certificate.v1 && certificate.self_signed => CaStanding::ByCustom,
        None if extensions.key_usage.is_some() => CaStanding::ByCustom,
        None if extensions.netscape_type.is_some_and(|kind| kind & NS_ANY_CA != 0) => {
            CaStanding::ByNetscapeType
        }
        Some(false) | None => CaStanding::No,
    }
}

fn ca_rights(chain: &Chain<'_>, depth: usize) -> Verdict {
    let certificate = chain.certificates[depth];
    let is_anchor = depth + 1 == chain.certificates.len();
    let standing = standing(certificate);
    if standing == CaStanding::Yes || (is_anchor && standing != CaStanding::No) {
        return Ok(());
    }
    let extensions = &certificate.extensions;
    let (cause, why) = if extensions.basic_constraints == Some(false) {
        (Cause::NotACa, "its basic constraints say CA:FALSE")
    } else if extensions.usage_forbids(KEY_CERT_SIGN) {
        (Cause::KeyUsage, "its key usage lacks keyCertSign")
    } else {
        (Cause::NotACa, "it has no basic constraints that say CA:TRUE")
    };
    let explanation = format!("{} may not issue certificates: {why}", chain.call(depth));
    Err(chain.refuse(
        depth,
        cause,
        Some(VerifyError::new(79, "invalid CA certificate")),
        explanation,
    ))
}

/// `X509_check_purpose` for `sslserver` and `sslclient` (`openssl-verification-options(1)`, "Certificate Extensions").
/// anyExtendedKeyUsage does not count for TLS; what the trust file's settings allow is allowed.
fn fitness(chain: &Chain<'_>, depth: usize, purpose: Purpose) -> Verdict {
    let certificate = chain.certificates[depth];
    if depth >= chain.untrusted && certificate.settings.about(purpose) == Said::Trusted {
        return Ok(());
    }
    let extensions = &certificate.extensions;
    let error = VerifyError::new(26, "unsuitable certificate purpose");
    let refuse = |cause, why: String| {
        let use_ = match purpose {
            Purpose::Server => "a TLS server",
            Purpose::Client => "a TLS client",
        };
        let explanation = format!("{} may not be used for {use_}: {why}", chain.call(depth));
        Err(chain.refuse(depth, cause, Some(error), explanation))
    };
    if let Some(purposes) = &extensions.purposes {
        let fits = match purpose {
            Purpose::Server => purposes.server || purposes.gated,
            Purpose::Client => purposes.client,
        };
        if !fits {
            let listed = purposes.listed.join(", ");
            return refuse(
                Cause::WrongPurpose,
                format!("its extended key usage allows {listed} only"),
            );
        }
    }
    if depth > 0 {
        let by_type = standing(certificate) == CaStanding::ByNetscapeType;
        if by_type && extensions.netscape_type.is_some_and(|kind| kind & NS_SSL_CA == 0) {
            return refuse(Cause::WrongPurpose, "its Netscape type makes it no TLS CA".into());
        }
        return Ok(());
    }
    let (usage, kind, wanted) = match purpose {
        Purpose::Server => (
            DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT,
            NS_SSL_SERVER,
            "digitalSignature, keyEncipherment or keyAgreement",
        ),
        Purpose::Client => (
            DIGITAL_SIGNATURE | KEY_AGREEMENT,
            NS_SSL_CLIENT,
            "digitalSignature or keyAgreement",
        ),
    };
    if extensions.usage_forbids(usage) {
        return refuse(Cause::KeyUsage, format!("its key usage has none of {wanted}"));
    }
    if extensions.netscape_type.is_some_and(|types| types & kind == 0) {
        return refuse(
            Cause::WrongPurpose,
            "its Netscape certificate type does not allow it".into(),
        );
    }
    Ok(())
}

/// `check_auth_level`: keys of all, signatures of all but the anchor.
fn strength(chain: &Chain<'_>) -> Verdict {
    for (depth, certificate) in chain.certificates.iter().enumerate() {
        if depth > 0 {
            key_strength(chain, depth)?;
        }
        let is_anchor = depth + 1 == chain.certificates.len();
        if !is_anchor
            && certificate
                .sealed
                .algorithm
                .security_bits()
                .is_none_or(|bits| bits < SECURITY_BITS)
        {
            let explanation = format!(
                "{} is signed by {}, which is too weak for OpenSSL's security level 2",
                chain.call(depth),
                certificate.sealed.algorithm.describe()
            );
            let error = VerifyError::new(68, "CA signature digest algorithm too weak");
            return Err(chain.refuse(depth, Cause::WeakDigest, Some(error), explanation));
        }
    }
    Ok(())
}

/// The key of one certificate is at least as strong as security level 2 asks.
pub(super) fn key_strength(chain: &Chain<'_>, depth: usize) -> Verdict {
    let key = &chain.certificates[depth].key;
    if key.security_bits() >= SECURITY_BITS {
        return Ok(());
    }
    let error = match depth {
        0 => VerifyError::new(66, "EE certificate key too weak"),
        _ => VerifyError::new(67, "CA certificate key too weak"),
    };
    let explanation = format!(
        "the key of {} ({}) is too weak for OpenSSL's security level 2, which asks for RSA of 2048 bits or a curve \
         of 224",
        chain.call(depth),
        key.describe()
    );
    Err(chain.refuse(depth, Cause::WeakKey, Some(error), explanation))
}

/// `internal_verify`: from the anchor down, may the issuer sign, does the signature verify, is it the time.
/// The anchor's own signature proves nothing and is not looked at; its dates are, unless it is an anchor by settings only.
fn signatures_and_dates(chain: &Chain<'_>, now: OffsetDateTime, open: &mut Option<Box<Refusal>>) -> Verdict {
    for depth in (0..chain.certificates.len()).rev() {
        let certificate = chain.certificates[depth];
        if let Some(issuer) = chain.certificates.get(depth + 1) {
            if issuer.extensions.usage_forbids(KEY_CERT_SIGN) {
                let explanation = format!("the key usage of {} lacks keyCertSign", chain.call(depth + 1));
                let error = VerifyError::new(32, "key usage does not include certificate signing");
                return Err(chain.refuse(depth + 1, Cause::KeyUsage, Some(error), explanation));
            }
            match certificate.verified_by(issuer) {
                Outcome::Good => {}
                Outcome::Bad => {
                    let explanation = format!(
                        "the signature on {} does not verify with the key of {}: it was altered, or issued by \
                         another CA of the same name",
                        chain.call(depth),
                        chain.call(depth + 1)
                    );
                    let error = VerifyError::new(7, "certificate signature failure");
                    return Err(chain.refuse(depth, Cause::BadSignature, Some(error), explanation));
                }
                Outcome::CannotJudge(what) => {
                    let explanation = format!(
                        "{} is signed with {what}, which pgtls cannot verify",
                        chain.call(depth)
                    );
                    open.get_or_insert_with(|| {
                        chain.refuse(depth, Cause::UnsupportedAlgorithm, None, explanation)
                    });
                }
            }
        }
        let is_anchor = depth + 1 == chain.certificates.len();
        if !is_anchor || certificate.may_have_issued(certificate) {
            dates(chain, depth, now)?;
        }
    }
    Ok(())
}

fn dates(chain: &Chain<'_>, depth: usize, now: OffsetDateTime) -> Verdict {
    let certificate = chain.certificates[depth];
    let named = chain.call(depth);
    let refuse = |cause, code, text, explanation| {
        Err(chain.refuse(depth, cause, Some(VerifyError::new(code, text)), explanation))
    };
    let is_trusted = depth >= chain.untrusted;
    match certificate.not_before {
        None => {
            let text = "format error in certificate's notBefore field";
            return refuse(
                Cause::Malformed,
                13,
                text,
                format!("the first date of {named} cannot be read"),
            );
        }
        Some(first) if first > now => {
            let cause = if is_trusted {
                Cause::AnchorNotYetValid
            } else {
                Cause::NotYetValid
            };
            let explanation = format!(
                "{named} is not valid before {}; it is now {}",
                moment(first),
                moment(now)
            );
            return refuse(cause, 9, "certificate is not yet valid", explanation);
        }
        Some(_) => {}
    }
    match certificate.not_after {
        None => {
            let text = "format error in certificate's notAfter field";
            refuse(
                Cause::Malformed,
                14,
                text,
                format!("the last date of {named} cannot be read"),
            )
        }
        Some(last) if last <= now => {
            let cause = if is_trusted {
                Cause::AnchorExpired
            } else {
                Cause::Expired
            };
            let explanation = format!("{named} expired on {}; it is now {}", moment(last), moment(now));
            refuse(cause, 10, "certificate has expired", explanation)
        }
        Some(_) => Ok(()),
    }
}

/// A moment as people read it.
pub(super) fn moment(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    at.to_offset(time::UtcOffset::UTC)
        .format(format)
        .unwrap_or_else(|_| at.to_string())
}
