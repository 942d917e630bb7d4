//! Revocation lists by themselves: whose they are, how long they hold, whether their issuer signed them.

use time::OffsetDateTime;

use super::certificate::Certificate;
use super::crl::{Crl, NextUpdate};
use super::der::Malformed;
use super::extensions::CRL_SIGN;
use super::signature::Outcome;

/// A revocation list, and what it says of itself.
#[derive(Debug, Clone)]
pub struct RevocationList {
    list: Crl,
    /// Its issuer, safe to show.
    pub issuer: String,
    /// From when it holds; `None`: unreadable.
    pub last_update: Option<OffsetDateTime>,
    /// Until when; `None`: it does not say, or it cannot be read.
    pub next_update: Option<OffsetDateTime>,
    /// How many certificates it revokes.
    pub revoked: usize,
}

/// Whether a list is a CA's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListSigner {
    /// It names the CA, and the CA's key signed it.
    Signed,
    /// It is of another issuer.
    Other,
    /// It names the CA, and its signature does not verify.
    BadSignature,
    /// The CA's key usage lacks cRLSign, so OpenSSL does not count its lists.
    MayNot,
    /// Its signature cannot be judged here.
    Unknown,
}

impl RevocationList {
    /// Reads one in DER; the error says what does not parse.
    pub fn read(der: &[u8]) -> Result<Self, &'static str> {
        let list = Crl::parse(der).map_err(|Malformed(why)| why)?;
        Ok(Self {
            issuer: list.issuer.to_string(),
            last_update: list.last_update,
            next_update: match list.next_update {
                NextUpdate::At(next) => Some(next),
                NextUpdate::Unsaid | NextUpdate::Unreadable => None,
            },
            revoked: list.count(),
            list,
        })
    }

    /// Whether it lists changes to another list only, which PostgreSQL's servers do not use.
    #[must_use]
    pub const fn is_delta(&self) -> bool {
        self.list.is_delta
    }

    /// Whether a CA (its certificate in DER) issued it.
    #[must_use]
    pub fn signer(&self, ca: &[u8]) -> ListSigner {
        let Ok(ca) = Certificate::parse(ca) else {
            return ListSigner::Other;
        };
        if self.list.issuer != ca.subject || !ca.matches(self.list.authority_key_id.as_ref()) {
            return ListSigner::Other;
        }
        match self.list.verified_by(&ca) {
            Outcome::Good if ca.extensions.usage_forbids(CRL_SIGN) => ListSigner::MayNot,
            Outcome::Good => ListSigner::Signed,
            Outcome::Bad => ListSigner::BadSignature,
            Outcome::CannotJudge(_) => ListSigner::Unknown,
        }
    }
}
