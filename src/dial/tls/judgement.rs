//! The policy by which a presented chain is accepted or refused.

use std::fmt;

use rustls::pki_types::CertificateDer;

/// Why a judgement refused, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Decides about the chain that a server presents, leaf first. Called once in a handshake, before anything
/// of ours is sent that an impostor should not get.
pub trait Judgement: fmt::Debug + Send + Sync {
    /// Accepts the chain or says why not.
    fn judge(&self, presented: &[CertificateDer<'static>]) -> Result<(), Refusal>;
}

/// `sslmode=require` without a root file: any certificate will do. The handshake still proves that the
/// server holds its key.
#[derive(Debug, Clone, Copy)]
pub struct NothingVerified;

impl Judgement for NothingVerified {
    fn judge(&self, _: &[CertificateDer<'static>]) -> Result<(), Refusal> {
        Ok(())
    }
}
