//! Every rule by itself: what passes, and what must be refused, each with its source.
//!
//! `tests/judge` asks OpenSSL the same of whole chains; here each rule stands alone, so that one that goes wrong has a
//! name.

mod contents;
mod forge;
mod handshake;
mod lists;
mod paths;
mod signatures;

use forge::{Draft, Forged, NOW};

use super::{Cause, Purpose, TrustStore, judge_chain};
use rustls::pki_types::CertificateDer;

/// Why a chain is refused by these trusted certificates; `None`: it holds.
fn refusal(presented: &[&Draft], trusted: &[&Draft]) -> Option<Cause> {
    refusal_for(Purpose::Server, presented, trusted)
}

fn refusal_for(purpose: Purpose, presented: &[&Draft], trusted: &[&Draft]) -> Option<Cause> {
    let ders = |drafts: &[&Draft]| drafts.iter().map(|draft| draft.der()).collect::<Vec<_>>();
    let trust = TrustStore::new(&ders(trusted), &[]).unwrap();
    judge(purpose, ders(presented), &trust)
}

/// The same with revocation lists in use.
fn listed(presented: &[&Draft], trusted: &Draft, lists: &[Forged]) -> Option<Cause> {
    let presented = presented.iter().map(|draft| draft.der()).collect();
    let trust = TrustStore::new(&[trusted.der()], lists)
        .unwrap()
        .check_revocation(true);
    judge(Purpose::Server, presented, &trust)
}

fn judge(purpose: Purpose, presented: Vec<Forged>, trust: &TrustStore) -> Option<Cause> {
    let presented: Vec<_> = presented.into_iter().map(CertificateDer::from).collect();
    judge_chain(&presented, trust, purpose, NOW)
        .err()
        .map(|refusal| refusal.cause)
}
