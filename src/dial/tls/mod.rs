//! TLS to a PostgreSQL server: rustls does the records and the key exchange, [`Judgement`] says whether
//! the server's certificate will do, inside the handshake, so that no client certificate and no byte of
//! ours goes to a server that it refuses.

mod accept;
mod failure;
mod identity;
mod judgement;
mod names;
mod p521;
mod pss;
mod session;
mod settings;
mod verifier;

pub(super) use accept::accept_any_client;
pub use failure::{HandshakeFailure, HandshakeFault};
pub use identity::{ClientIdentity, IdentityError};
pub use judgement::{Judged, Judgement, NothingVerified, Refusal, Verified};
#[cfg(test)]
pub(super) use names::cipher as cipher_name;
pub(super) use names::protocol as protocol_name;
pub(super) use session::ALPN;
pub use session::{Handshake, TlsFacts, TlsSession, handshake};
pub(super) use settings::provider;
pub use settings::{Negotiation, TlsSettings, TlsVersion, sni_name};
