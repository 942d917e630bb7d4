//! What an impostor overhears.

use secrecy::SecretString;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::forge::Forgery;
use crate::dial::{Alert, Stream};

/// Something overheard, in one of the conversations.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Which conversation, counted from 1.
    pub conversation: u64,
    /// What.
    pub what: Overheard,
}

impl Heard {
    /// How many conversations are open after this, if it was `open` before.
    pub(super) fn open_after(&self, open: usize) -> usize {
        match self.what {
            Overheard::Connected => open + 1,
            Overheard::Ended(_) => open.saturating_sub(1),
            _ => open,
        }
    }
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Bytes as they were on the wire. A password may be among them: never shown by `Debug`.
#[derive(Clone)]
pub struct Bytes(Zeroizing<Vec<u8>>);

impl Bytes {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// One thing that an impostor noticed or read. Every text is cut and safe to print.
#[derive(Debug, Clone)]
pub enum Overheard {
    /// A client has connected.
    Connected,
    /// A connection to the server was opened for the client, from this port of ours: so the server's log calls it.
    Dialled(u16),
    /// The client asked for TLS (`SSLRequest`, or a TLS hello at once).
    AskedForTls,
    /// The client completed a TLS handshake with the impostor: it took its certificate.
    TlsCompleted {
        /// As `pg_stat_ssl.version` names it.
        protocol: &'static str,
        /// Whether the client showed a certificate of its own.
        showed_certificate: bool,
    },
    /// The client broke the handshake off with an alert: it refused the impostor's certificate.
    Alert(Alert),
    /// TLS records that a wiretap cannot read: bytes of the client and of the server.
    Encrypted {
        /// From the client.
        sent: u64,
        /// From the server.
        received: u64,
    },
    /// The startup packet, read.
    Startup {
        /// The role.
        user: String,
        /// The database.
        database: String,
        /// Whether it came over the impostor's own TLS; else in plaintext.
        tls: bool,
    },
    /// A password, read in clear. Never shown by `Debug`.
    Password(SecretString),
    /// Proof of a password that is not the password itself (a SCRAM or MD5 exchange), of so many bytes.
    Proof(usize),
    /// The server let the impostor in with what it had read; the client now talks to the server through it.
    Relayed,
    /// The server did not let the impostor in; it answers in the server's place.
    Pretends {
        /// Why.
        why: String,
    },
    /// A query, read.
    Query(String),
    /// A row of a result, read: its columns in text, parted by bars.
    Row(String),
    /// A row of a result that reaches the client changed.
    Changed(Forgery),
    /// What a wiretap took off the wire, where it is to tell that ([`Plot::tells_bytes`](super::Plot)).
    Bytes {
        /// Who sent it.
        from: End,
        /// What.
        bytes: Bytes,
    },
    /// The conversation is over, in words.
    Ended(String),
}

/// Where one conversation's events go.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    conversation: u64,
    to: mpsc::Sender<Heard>,
}

impl Teller {
    pub fn new(conversation: u64, to: mpsc::Sender<Heard>) -> Self {
        Self { conversation, to }
    }

    /// Tells by which port the server knows this connection to it.
    pub fn dialled(&self, server: &Stream) {
        if let Some(port) = server.local_port() {
            self.tell(Overheard::Dialled(port));
        }
    }

    /// Nobody is waited for: an event that finds no place is lost.
    pub fn tell(&self, what: Overheard) {
        let _ = self.to.try_send(Heard {
            conversation: self.conversation,
            what,
        });
    }
}
