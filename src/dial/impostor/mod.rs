//! An impostor between a client and its server, ours, on loopback: what it can read and who talks to it shows
//! what an `sslmode` is worth.
//!
//! It listens on a loopback address of its own and relays to a server on a loopback address, and to no other.
//! What it overhears is told as [`Heard`], in order; it keeps nothing. In front of a client it behaves as an
//! attacker would: it takes whatever connection the client is willing to make, asks for the password in clear,
//! logs in to the server with it and passes the conversation on, so that the client notices nothing; a value in a result
//! may be changed on that way. Where the server does not let it in, it answers in the server's place.

mod ear;
mod forge;
mod front;
mod heard;
mod relay;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

pub use forge::Forgery;
pub use heard::{Bytes, End, Heard, Overheard};

use super::tls::{ALPN, accept_any_client, provider};
use super::words::io_words;
use super::{Address, ClientIdentity, Deadline, IdentityError};
use crate::pki::Identity;

/// How many conversations one impostor holds at a time; more wait.
const MOST_CONVERSATIONS: usize = 64;

/// How many events wait for whoever listens; what comes on top is lost, and never waited for.
const MOST_EVENTS: usize = 4096;

/// What the impostor shows.
#[derive(Clone)]
pub enum Disguise {
    /// TLS with a certificate of its own: it reads everything, and relays it.
    Certificate(Arc<ServerConfig>),
    /// No TLS: it answers no to whoever asks, reads everything, and relays it.
    Plaintext,
    /// None: it passes the bytes on as they are, and reads what is not encrypted.
    Wiretap,
    /// The server's own TLS, passed on as it is to whoever asks for TLS: for a client that dials by a name which the
    /// server's certificate does not carry. A client without TLS it reads and relays.
    Borrowed,
    /// None, and no impostor either: it speaks TLS for a server that has none, and passes on what it carries unread.
    Terminator(Arc<ServerConfig>),
}

impl Disguise {
    /// TLS with this certificate and key, whatever they are worth.
    pub fn certificate(identity: &Identity) -> Result<Self, IdentityError> {
        Self::config(identity).map(Self::Certificate)
    }

    /// TLS with this certificate, for a server that has none.
    pub fn terminator(identity: &Identity) -> Result<Self, IdentityError> {
        Self::config(identity).map(Self::Terminator)
    }

    fn config(identity: &Identity) -> Result<Arc<ServerConfig>, IdentityError> {
        let key = ClientIdentity::from_pki(identity)?.certified_key();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|_| IdentityError::BadKey)?
            .with_client_cert_verifier(accept_any_client());
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

impl std::fmt::Debug for Disguise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate(_) => "Certificate",
            Self::Plaintext => "Plaintext",
            Self::Wiretap => "Wiretap",
            Self::Borrowed => "Borrowed",
            Self::Terminator(_) => "Terminator",
        })
    }
}

/// Why there is no impostor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImpostorError {
    /// The server is not on a loopback address.
    #[error("an impostor is only put in front of a server on this machine's loopback, and {0} is not")]
    NotLoopback(String),
    /// The operating system gives no port.
    #[error("no port to listen on: {0}")]
    NoPort(String),
}

/// How an impostor behaves.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What it shows.
    pub disguise: Disguise,
    /// Whether it asks for a password where the server would not let it in anyway.
    pub asks_for_password: bool,
    /// Whether it asks for a password where the server lets everybody in without one: it may be of use elsewhere.
    pub is_greedy: bool,
    /// How long a conversation may take until it is relayed; how long an answer in the server's place may take.
    pub patience: Duration,
    /// Whether a wiretap tells the bytes themselves.
    pub tells_bytes: bool,
    /// What is changed in results on their way to the client, by whoever can read them.
    pub forgery: Option<Forgery>,
}

impl Plot {
    /// Behind this disguise, without more: it asks for no password, and changes nothing.
    #[must_use]
    pub const fn new(disguise: Disguise, patience: Duration) -> Self {
        Self {
            disguise,
            asks_for_password: false,
            is_greedy: false,
            patience,
            tells_bytes: false,
            forgery: None,
        }
    }
}

/// A listening impostor. Dropping it ends it and all its conversations.
#[derive(Debug)]
pub struct Impostor {
    address: SocketAddr,
    heard: mpsc::Receiver<Heard>,
    /// Conversations whose beginning was told and whose end was not.
    open: usize,
    listening: Listening,
}

/// The task that accepts; dropping it drops the conversations, which are its own.
#[derive(Debug)]
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Impostor {
    /// Begins to listen on a free port of the loopback address that the server has too: what the server sees of
    /// the client stays the same.
    pub async fn listen(plot: Plot, server: &Address) -> Result<Self, ImpostorError> {
        let server = loopback(server)?;
        let no_port = |error: &std::io::Error| ImpostorError::NoPort(io_words(error));
        let listener = TcpListener::bind((server.ip(), 0))
            .await
            .map_err(|e| no_port(&e))?;
        let address = listener.local_addr().map_err(|e| no_port(&e))?;
        let (tell, heard) = mpsc::channel(MOST_EVENTS);
        let task = tokio::spawn(accept(listener, plot, server, tell));
        Ok(Self {
            address,
            heard,
            open: 0,
            listening: Listening(task),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it hears next; waits for it.
    pub async fn next(&mut self) -> Option<Heard> {
        let heard = self.heard.recv().await?;
        self.open = heard.open_after(self.open);
        Some(heard)
    }

    /// Waits until every conversation that has begun is over, but not beyond the deadline, and gives what was heard
    /// since [`Impostor::next`] was asked last. For when the client is done.
    pub async fn finish(mut self, deadline: Deadline) -> Vec<Heard> {
        let mut all = Vec::new();
        let mut open = self.open;
        // A conversation tells its beginning before the client can have seen any of it.
        while let Ok(heard) = self.heard.try_recv() {
            open = heard.open_after(open);
            all.push(heard);
        }
        while open > 0 {
            match deadline.bound(self.heard.recv()).await {
                Ok(Some(heard)) => {
                    open = heard.open_after(open);
                    all.push(heard);
                }
                _ => break,
            }
        }
        drop(self.listening);
        all
    }
}

/// The first loopback address of a server whose addresses are all loopback.
fn loopback(server: &Address) -> Result<SocketAddr, ImpostorError> {
    match server {
        Address::Tcp { addresses, .. } if addresses.iter().all(|address| address.ip().is_loopback()) => {
            addresses
                .first()
                .copied()
                .ok_or_else(|| ImpostorError::NotLoopback(server.to_string()))
        }
        _ => Err(ImpostorError::NotLoopback(server.to_string())),
    }
}

async fn accept(listener: TcpListener, plot: Plot, server: SocketAddr, tell: mpsc::Sender<Heard>) {
    let mut conversations = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            Some(_) = conversations.join_next() => {}
            accepted = listener.accept(), if conversations.len() < MOST_CONVERSATIONS => {
                let Ok((client, peer)) = accepted else {
                    // Out of descriptors, most likely: without a pause this would spin until there are some.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                // The listener is on loopback, so nobody else can come; a check that costs nothing.
                if !peer.ip().is_loopback() {
                    continue;
                }
                number += 1;
                let ear = heard::Teller::new(number, tell.clone());
                ear.tell(Overheard::Connected);
                conversations.spawn(converse(client, plot.clone(), server, ear));
            }
        }
    }
}

async fn converse(client: TcpStream, plot: Plot, server: SocketAddr, tell: heard::Teller) {
    // Without it every relayed message waits for a delayed acknowledgement.
    let _ = client.set_nodelay(true);
    let ended = match plot.disguise {
        Disguise::Wiretap => relay::tap(client, server, &[], &plot, &tell).await,
        Disguise::Terminator(_) => front::terminate(client, &plot, server, &tell).await,
        _ => front::deceive(client, &plot, server, &tell).await,
    };
    tell.tell(Overheard::Ended(ended));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It teaches, it is no tool for attacks: whatever else is given as the server is refused before anything listens.
    #[test]
    fn it_stands_in_front_of_loopback_and_of_nothing_else() {
        let tcp = |addresses: &[&str]| Address::Tcp {
            host: "db.example.org".to_owned(),
            addresses: addresses
                .iter()
                .filter_map(|address| address.parse().ok())
                .collect(),
        };
        for near in [
            &["127.0.0.1:5432"][..],
            &["127.9.9.9:5432"],
            &["[::1]:5432", "127.0.0.1:5432"],
        ] {
            assert!(loopback(&tcp(near)).is_ok(), "{near:?}");
        }
        for far in [
            &["192.0.2.1:5432"][..],
            &["0.0.0.0:5432"],
            &["[::]:5432"],
            &["10.0.0.5:5432"],
            &["169.254.0.1:5432"],
            &["[fe80::1]:5432"],
            &["[::ffff:192.0.2.1]:5432"],
            // A name that is also somewhere else.
            &["127.0.0.1:5432", "192.0.2.1:5432"],
            &["192.0.2.1:5432", "[::1]:5432"],
            &[],
        ] {
            assert!(
                matches!(loopback(&tcp(far)), Err(ImpostorError::NotLoopback(_))),
                "{far:?}"
            );
        }
        let socket = Address::unix(std::path::Path::new("/run/postgresql"), 5432);
        assert!(matches!(loopback(&socket), Err(ImpostorError::NotLoopback(_))));
    }
}
