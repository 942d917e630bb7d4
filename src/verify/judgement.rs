//! verify-full as a policy for a handshake: the chain, then the name.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::dial::{Judgement, Refusal};
use crate::judge::{Purpose, TrustStore, judge_chain, judge_name};

/// Accepts a server whose certificate leads to a trusted root and carries the name that was dialled.
#[derive(Debug, Clone)]
pub struct Strict {
    pub trust: Arc<TrustStore>,
    /// The name to check; `None` for `verify-ca`.
    pub name: Option<String>,
    pub now: OffsetDateTime,
}

impl Judgement for Strict {
    fn judge(&self, presented: &[CertificateDer<'static>]) -> Result<(), Refusal> {
        judge_chain(presented, &self.trust, Purpose::Server, self.now).map_err(|r| Refusal(r.to_string()))?;
        match (&self.name, presented.first()) {
            (None, _) => Ok(()),
            (Some(name), Some(leaf)) => judge_name(leaf, name)
                .map(|_| ())
                .map_err(|r| Refusal(r.to_string())),
            (Some(_), None) => Err(Refusal("the server presented no certificate".to_owned())),
        }
    }
}
