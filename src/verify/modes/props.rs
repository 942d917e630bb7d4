//! What the impostors show.

use time::OffsetDateTime;

use crate::dial::Disguise;
use crate::pki::{Algorithm, Authority, AuthorityError, HostName, Identity};

use super::Meets;

/// The identities that impostors show.
#[derive(Debug)]
pub struct Props {
    self_signed: Result<Disguise, String>,
    other_ca: Result<Disguise, String>,
    wrong_name: Result<Disguise, String>,
}

impl Props {
    /// Makes them for a host; `wrong_name` is a certificate of the right CA for another name, or why there is none.
    #[must_use]
    pub fn new(host: &str, wrong_name: Result<Identity, String>, now: OffsetDateTime) -> Self {
        // A name that no certificate can carry (`db_1.`) leaves the chain to be judged, which is what counts here.
        let name = host
            .parse()
            .unwrap_or_else(|_| HostName::Dns("localhost".to_owned()));
        let words = |error: AuthorityError| error.to_string();
        let names = [name];
        let self_signed = Authority::self_signed(&names, Algorithm::P256, 1, now).map_err(words);
        let other_ca = Authority::create("a CA that nobody trusts", Algorithm::P256, 2, now)
            .and_then(|authority| authority.issue_server(&names, Algorithm::P256, 1, now))
            .map_err(words);
        let disguise = |identity: Result<Identity, String>| {
            Disguise::certificate(&identity?).map_err(|error| error.to_string())
        };
        Self {
            self_signed: disguise(self_signed),
            other_ca: disguise(other_ca),
            wrong_name: disguise(wrong_name),
        }
    }

    pub(super) fn disguise(&self, meets: Meets) -> Result<Disguise, String> {
        match meets {
            Meets::AsItIs => Ok(Disguise::Wiretap),
            Meets::SelfSigned => self.self_signed.clone(),
            Meets::OtherCa => self.other_ca.clone(),
            Meets::WrongName => self.wrong_name.clone(),
            Meets::Plaintext => Ok(Disguise::Plaintext),
        }
    }
}
