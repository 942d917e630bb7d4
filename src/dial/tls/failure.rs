//! Why a handshake failed.

use std::io;

use rustls::pki_types::CertificateDer;

use super::judgement::Refusal;
use super::verifier::Seen;
use crate::dial::Lost;
use crate::dial::words::printable;

/// A failed handshake, with what the server had shown until then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct HandshakeFailure {
    /// What went wrong.
    pub fault: HandshakeFault,
    /// The chain that the server presented, leaf first; empty if it did not come so far.
    pub presented: Vec<CertificateDer<'static>>,
    /// Whether the server had asked for a client certificate.
    pub asked_for_certificate: bool,
}

/// What went wrong in a handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFault {
    /// We refused the server's certificate.
    #[error("the server's certificate is refused: {0}")]
    Refused(Refusal),
    /// The link ended: an alert of the server, an end of file, a reset, the deadline.
    #[error(transparent)]
    Lost(Lost),
    /// The server wants what our TLS library does not have: says nothing about what psql would do.
    #[error("the server and this program have no TLS parameters in common: {0}")]
    Incompatible(String),
    /// The server's bytes are no TLS.
    #[error("the server's answer to the TLS hello is not TLS")]
    NotTls,
    /// The server breaks the rules of TLS, or could not prove that it holds its certificate's key.
    #[error("the server's TLS handshake is wrong: {0}")]
    Misbehaved(String),
    /// The server showed an empty list of certificates, which RFC 8446 section 4.4.2.4 forbids.
    #[error("the server presented no certificate")]
    NoCertificate,
    /// Direct negotiation, and the server did not agree on ALPN `postgresql`.
    #[error(
        "direct TLS was accepted without ALPN \"postgresql\": this is no PostgreSQL 17 or later, or a proxy is in between"
    )]
    WithoutAlpn,
    /// The settings leave nothing to offer.
    #[error("no TLS version lies between the lowest and the highest that are allowed")]
    NoVersion,
}

impl HandshakeFault {
    pub(super) fn with(self, seen: Seen) -> HandshakeFailure {
        HandshakeFailure {
            fault: self,
            presented: seen.presented,
            asked_for_certificate: seen.asked_for_certificate,
        }
    }
}

impl From<&io::Error> for HandshakeFault {
    fn from(error: &io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            Some(tls) => Self::from(tls),
            None => Self::Lost(Lost::from(error)),
        }
    }
}

impl From<&rustls::Error> for HandshakeFault {
    fn from(error: &rustls::Error) -> Self {
        use rustls::{Error, InvalidMessage};
        let words = || printable(&error.to_string(), 300);
        match error {
            Error::AlertReceived(_) => Self::Lost(Lost::from(error)),
            Error::PeerIncompatible(_) => Self::Incompatible(words()),
            // What rustls says in TLS 1.2 to a signature scheme it has no name for, such as those of keys that are for
            // RSA-PSS only (RFC 8446 section 4.2.3).
            Error::PeerMisbehaved(rustls::PeerMisbehaved::SignedKxWithWrongAlgorithm) => Self::Incompatible(
                "in TLS 1.2 the server signs in a way that pgtls cannot verify, such as with a key for RSA-PSS only"
                    .to_owned(),
            ),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            Error::NoCertificatesPresented => Self::NoCertificate,
            _ => Self::Misbehaved(words()),
        }
    }
}
