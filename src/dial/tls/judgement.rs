//! The policy by which a presented chain is accepted or refused.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::judge::{self, Match, NameRefusal, Path, Purpose, TrustStore, judge_chain, judge_name};

/// What was proven about a server's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// The path to the trust anchor; `None` if the chain was not looked at.
    pub path: Option<Path>,
    /// The name that matched; `None` if names were not looked at.
    pub name: Option<Match>,
}

/// Why a judgement refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The chain does not hold, or cannot be judged.
    #[error(transparent)]
    Chain(Box<judge::Refusal>),
    /// The chain holds, and the certificate is for other hosts.
    #[error(transparent)]
    Name(Box<NameRefusal>),
}

/// Decides about the chain that a server presents, leaf first. Called once in a handshake, before anything
/// of ours is sent that an impostor should not get.
pub trait Judgement: fmt::Debug + Send + Sync {
    /// Accepts the chain or says why not.
    fn judge(&self, presented: &[CertificateDer<'static>]) -> Result<Judged, Refusal>;
}

/// `sslmode=require` without a root file: any certificate will do. The handshake still proves that the
/// server holds its key.
#[derive(Debug, Clone, Copy)]
pub struct NothingVerified;

impl Judgement for NothingVerified {
    fn judge(&self, _: &[CertificateDer<'static>]) -> Result<Judged, Refusal> {
        Ok(Judged::default())
    }
}

/// `sslmode=verify-ca`, and with a host `sslmode=verify-full`, by the rules of [`judge`].
#[derive(Debug, Clone)]
pub struct Verified {
    /// What the root file holds.
    pub trust: Arc<TrustStore>,
    /// The `host` of the conninfo; `None`: names are not looked at.
    pub host: Option<String>,
    /// The moment at which certificates must be valid.
    pub now: OffsetDateTime,
}

impl Judgement for Verified {
    fn judge(&self, presented: &[CertificateDer<'static>]) -> Result<Judged, Refusal> {
        let path = judge_chain(presented, &self.trust, Purpose::Server, self.now).map_err(Refusal::Chain)?;
        let name = match (&self.host, presented.first()) {
            (Some(host), Some(leaf)) => {
                Some(judge_name(leaf, host).map_err(|refusal| Refusal::Name(Box::new(refusal)))?)
            }
            _ => None,
        };
        Ok(Judged {
            path: Some(path),
            name,
        })
    }
}
