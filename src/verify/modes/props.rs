//! What the impostors show.

use time::OffsetDateTime;

use crate::dial::Disguise;
use crate::pki::{Algorithm, Authority, AuthorityError, HostName, Identity};

use super::Meets;

/// A name that nobody has (RFC 2606).
pub const SOMEBODY_ELSE: &str = "somebody-else.invalid";

/// The identities that impostors show.
#[derive(Debug)]
pub struct Props {
    self_signed: Result<Prop, String>,
    other_ca: Result<Prop, String>,
    wrong_name: Result<Prop, String>,
}

/// An impostor's face, and how the client comes to it.
#[derive(Debug, Clone)]
pub struct Prop {
    /// The face.
    pub disguise: Disguise,
    /// The name by which the client dials, if it is not the server's own.
    pub dialled: Option<&'static str>,
    /// Where the face is from, if that is to be told.
    pub way: Option<String>,
}

impl Prop {
    fn plain(disguise: Disguise) -> Self {
        Self {
            disguise,
            dialled: None,
            way: None,
        }
    }

    /// The server's own certificate under a name that it does not carry: what a client does about that needs no CA's
    /// key to be seen.
    fn borrowed() -> Self {
        Self {
            disguise: Disguise::Borrowed,
            dialled: Some(SOMEBODY_ELSE),
            way: Some(format!(
                "way: the server's own TLS, passed on, and dialled as {SOMEBODY_ELSE}, which its certificate is not for"
            )),
        }
    }
}

/// A certificate of the right CA for another name.
#[derive(Debug)]
pub struct WrongName {
    /// The certificate and its key.
    pub identity: Identity,
    /// Where it is from.
    pub from: String,
}

impl Props {
    /// Makes them for a host; without a certificate for another name the server's own is dialled by another name.
    #[must_use]
    pub fn new(host: &str, wrong_name: Result<Option<WrongName>, String>, now: OffsetDateTime) -> Self {
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
        let shown = |identity: &Identity| Disguise::certificate(identity).map_err(|error| error.to_string());
        let plain = |identity: Result<Identity, String>| shown(&identity?).map(Prop::plain);
        Self {
            self_signed: plain(self_signed),
            other_ca: plain(other_ca),
            wrong_name: wrong_name.and_then(|given| match given {
                None => Ok(Prop::borrowed()),
                Some(given) => Ok(Prop {
                    way: Some(format!("way: {}", given.from)),
                    ..Prop::plain(shown(&given.identity)?)
                }),
            }),
        }
    }

    pub(super) fn prop(&self, meets: Meets) -> Result<Prop, String> {
        match meets {
            Meets::AsItIs => Ok(Prop::plain(Disguise::Wiretap)),
            Meets::SelfSigned => self.self_signed.clone(),
            Meets::OtherCa => self.other_ca.clone(),
            Meets::WrongName => self.wrong_name.clone(),
            Meets::Plaintext => Ok(Prop::plain(Disguise::Plaintext)),
        }
    }
}
