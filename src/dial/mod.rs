//! Sockets to PostgreSQL: connecting, asking for TLS, shaking hands, logging in. The only room that opens
//! one.
//!
//! The steps, each bounded by one [`Deadline`] and each with its own typed failure:
//! [`Address::resolve`], [`open()`], [`ssl_request`], [`handshake`], [`login`]. For probes:
//! [`plaintext_startup`] and [`startup_over`] stop at the server's first answer, [`old_tls_hello`] offers
//! what rustls would not. [`Impostor`] is the other side: it listens on loopback, between a client and its
//! server. What an answer means is for `verify` to say.
//!
//! Every byte of a server is untrusted: lengths are checked before anything is allocated, messages are
//! counted, texts are escaped and cut. Every future may be dropped at any time; that closes the socket.

mod address;
mod alert;
mod binding;
mod deadline;
mod guard;
mod impostor;
mod link;
mod login;
mod lost;
mod offer;
mod old_tls;
mod owner;
mod request;
mod scram;
mod server_message;
mod session;
mod startup;
mod stream;
mod tls;
mod wire;
mod words;

pub use address::{Address, OpenError, OpenStage};
pub use alert::Alert;
pub use deadline::{Deadline, Elapsed};
pub use guard::{AuthName, ChannelBinding};
pub use impostor::{Bytes, Disguise, End, Forgery, Heard, Impostor, ImpostorError, Overheard, Plot};
pub use link::Link;
pub use login::{Credentials, LoginFailure, login};
pub use lost::Lost;
pub use offer::{Offer, openssl_offer, speaks};
pub use old_tls::{OldTls, old_tls_hello};
pub use owner::open_as_owner;
pub use request::{SslAnswer, ssl_request};
pub use server_message::ServerMessage;
pub use session::{QueryFailure, Rows, Session};
pub use startup::{FirstAnswer, StartupFailure, plaintext_startup, startup_over};
pub use stream::{Stream, TcpOptions, open, open_with};
pub use tls::{
    ClientIdentity, Handshake, HandshakeFailure, HandshakeFault, IdentityError, Judged, Judgement,
    Negotiation, NothingVerified, Refusal, TlsFacts, TlsSession, TlsSettings, TlsVersion, Verified,
    handshake, sni_name,
};
pub use wire::{AuthMethod, WireError};

#[cfg(test)]
mod tests;
