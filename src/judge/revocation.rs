//! Revocation: every certificate of the path against a list of its issuer (`X509_V_FLAG_CRL_CHECK_ALL`, which libpq
//! sets with `sslcrl` and `sslcrldir`), the anchor included.

use time::OffsetDateTime;

use super::cause::{Cause, Refusal, VerifyError};
use super::certificate::Certificate;
use super::checks::moment;
use super::crl::{Crl, NextUpdate, Only};
use super::extensions::{CRL_SIGN, DistributionName, DistributionPoint};
use super::general_name::GeneralName;
use super::path::Chain;
use super::signature::Outcome;

/// `removeFromCRL` (RFC 5280 section 5.3.1): the entry takes a revocation back.
const REMOVE_FROM_CRL: u8 = 8;

pub(super) fn check(
    chain: &Chain<'_>,
    now: OffsetDateTime,
    open: &mut Option<Box<Refusal>>,
) -> Result<(), Box<Refusal>> {
    (0..chain.certificates.len()).try_for_each(|depth| one(chain, depth, now, open))
}

/// What speaks for a list, by weight (`get_crl_score`): no unknown critical extension, the right scope, in time, and
/// signed by the certificate's own issuer.
const UNDERSTOOD: u8 = 8;
const IN_SCOPE: u8 = 4;
const IN_TIME: u8 = 2;
const BY_ISSUER: u8 = 1;

struct Choice<'a> {
    list: &'a Crl,
    signer: usize,
    score: u8,
    /// The list covers some reasons only, and the others would need a list that cannot be used.
    partial: bool,
}

fn one(
    chain: &Chain<'_>,
    depth: usize,
    now: OffsetDateTime,
    open: &mut Option<Box<Refusal>>,
) -> Result<(), Box<Refusal>> {
    let certificate = chain.certificates[depth];
    let refuse = |cause, code, text, explanation| {
        Err(chain.refuse(depth, cause, Some(VerifyError::new(code, text)), explanation))
    };
    let missing = || {
        let explanation = format!(
            "revocation lists are in use, and none of \"{}\", the issuer of {}, is among them; every CA of the path \
             needs one",
            certificate.issuer,
            chain.call(depth)
        );
        refuse(Cause::CrlMissing, 3, "unable to get certificate CRL", explanation)
    };
    let Some(choice) = choose(chain, depth, now) else {
        return missing();
    };
    let (list, signer) = (choice.list, chain.certificates[choice.signer]);
    let named = format!("the revocation list of \"{}\"", list.issuer);
    if !list.is_delta {
        if signer.extensions.usage_forbids(CRL_SIGN) {
            let explanation = format!(
                "the key usage of \"{}\" lacks cRLSign, so its list does not count",
                signer.subject
            );
            return refuse(
                Cause::CrlUnusable,
                35,
                "key usage does not include CRL signing",
                explanation,
            );
        }
        if choice.score & IN_SCOPE == 0 {
            let explanation = format!("{named} is for other certificates than {}", chain.call(depth));
            return refuse(Cause::CrlUnusable, 44, "Different CRL scope", explanation);
        }
    }
    if let Err((cause, code, text, explanation)) = dates(list, &named, now) {
        return refuse(cause, code, text, explanation);
    }
    match list.verified_by(signer) {
        Outcome::Good => {}
        Outcome::Bad => {
            let explanation = format!(
                "the signature on {named} does not verify with the key of \"{}\"",
                signer.subject
            );
            return refuse(Cause::CrlBadSignature, 8, "CRL signature failure", explanation);
        }
        Outcome::CannotJudge(what) => {
            let explanation = format!("{named} is signed with {what}, which pgtls cannot verify");
            open.get_or_insert_with(|| chain.refuse(depth, Cause::UnsupportedAlgorithm, None, explanation));
        }
    }
    if list.unknown_critical {
        let explanation = format!("{named} has a critical extension that OpenSSL does not handle");
        return refuse(
            Cause::CrlUnusable,
            36,
            "unhandled critical CRL extension",
            explanation,
        );
    }
    match list.entry(&certificate.serial, &certificate.issuer) {
        Some(entry) if entry.reason == Some(REMOVE_FROM_CRL) => Ok(()),
        Some(_) => {
            let explanation = format!("{} was revoked by \"{}\"", chain.call(depth), list.issuer);
            refuse(Cause::Revoked, 23, "certificate revoked", explanation)
        }
        None if choice.partial => missing(),
        None => Ok(()),
    }
}

type Fault = (Cause, u8, &'static str, String);

/// `check_crl_time`: between last and next update.
fn dates(list: &Crl, named: &str, now: OffsetDateTime) -> Result<(), Fault> {
    match list.last_update {
        None => {
            let text = "format error in CRL's lastUpdate field";
            Err((
                Cause::CrlUnusable,
                15,
                text,
                format!("the date of {named} cannot be read"),
            ))
        }
        Some(first) if first > now => {
            let explanation = format!(
                "{named} is not valid before {}; it is now {}",
                moment(first),
                moment(now)
            );
            Err((Cause::CrlNotYetValid, 11, "CRL is not yet valid", explanation))
        }
        Some(_) => match list.next_update {
            NextUpdate::Unreadable => {
                let text = "format error in CRL's nextUpdate field";
                Err((
                    Cause::CrlUnusable,
                    16,
                    text,
                    format!("the next date of {named} cannot be read"),
                ))
            }
            NextUpdate::At(next) if next <= now => {
                let explanation = format!(
                    "{named} was to be renewed by {}; it is now {}: until it is, every certificate of that CA is \
                     refused",
                    moment(next),
                    moment(now)
                );
                Err((Cause::CrlExpired, 12, "CRL has expired", explanation))
            }
            NextUpdate::At(_) | NextUpdate::Unsaid => Ok(()),
        },
    }
}

/// The best list: the highest score, of equals the most recent, of those the first.
fn choose<'a>(chain: &Chain<'a>, depth: usize, now: OffsetDateTime) -> Option<Choice<'a>> {
    let mut best: Option<Choice<'a>> = None;
    for list in chain.trust.lists() {
        let Some(choice) = grade(chain, depth, list, now) else {
            continue;
        };
        let better = best.as_ref().is_none_or(|best| {
            choice.score > best.score
                || (choice.score == best.score && choice.list.last_update > best.list.last_update)
        });
        if better {
            best = Some(choice);
        }
    }
    best
}

/// `get_crl_score` without extended CRL support: no indirect lists, none for some reasons only.
fn grade<'a>(chain: &Chain<'a>, depth: usize, list: &'a Crl, now: OffsetDateTime) -> Option<Choice<'a>> {
    let certificate = chain.certificates[depth];
    if list.invalid || list.issuer != certificate.issuer {
        return None;
    }
    if list.scope.as_ref().is_some_and(|scope| scope.is_special) {
        return None;
    }
    let anchor = chain.certificates.len() - 1;
    let next = (depth + 1).min(anchor);
    let fits = |signer: &usize| chain.certificates[*signer].matches(list.authority_key_id.as_ref());
    let signer = if fits(&next) {
        next
    } else {
        (next + 1..=anchor)
            .filter(|signer| chain.certificates[*signer].subject == list.issuer)
            .find(fits)?
    };
    let point = scope(certificate, list);
    let current = list.last_update.is_some_and(|first| first <= now)
        && match list.next_update {
            NextUpdate::At(next) => now < next,
            NextUpdate::Unsaid => true,
            NextUpdate::Unreadable => false,
        };
    Some(Choice {
        list,
        signer,
        score: weight(!list.unknown_critical, UNDERSTOOD)
            + weight(point.is_some(), IN_SCOPE)
            + weight(current, IN_TIME)
            + weight(signer == next, BY_ISSUER),
        partial: point == Some(true),
    })
}

const fn weight(holds: bool, weight: u8) -> u8 {
    if holds { weight } else { 0 }
}

/// Whether the list covers the certificate (`crl_crldp_check`), and if so, whether for some reasons only.
fn scope(certificate: &Certificate, list: &Crl) -> Option<bool> {
    let names = match &list.scope {
        None => None,
        Some(scope) => {
            let kind = if certificate.extensions.is_ca() {
                Only::Cas
            } else {
                Only::Users
            };
            if scope.only.is_some_and(|only| only != kind) {
                return None;
            }
            scope.names.as_ref()
        }
    };
    let serves = |point: &&DistributionPoint| {
        let by_issuer = point.crl_issuers.as_ref().is_none_or(|issuers| {
            issuers
                .iter()
                .any(|name| matches!(name, GeneralName::Directory(name) if *name == list.issuer))
        });
        by_issuer && (list.scope.is_none() || same_point(point.names.as_ref(), names))
    };
    match certificate.extensions.distribution_points.iter().find(serves) {
        Some(point) => Some(point.has_reasons),
        None => names.is_none().then_some(false),
    }
}

fn same_point(ours: Option<&DistributionName>, theirs: Option<&DistributionName>) -> bool {
    match (ours, theirs) {
        (None, _) | (_, None) => true,
        (Some(DistributionName::Full(ours)), Some(DistributionName::Full(theirs))) => {
            ours.iter().any(|name| theirs.contains(name))
        }
        _ => false,
    }
}
