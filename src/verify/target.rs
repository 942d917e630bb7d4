//! What is to be proven, about which server, with which means.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::conninfo::SslMode;
use crate::dial::{Address, ClientIdentity, Credentials, Deadline, Negotiation, TlsSettings, Verified};
use crate::judge::TrustStore;
use crate::setup::Mode;

use super::client::{Client, Server};
use super::report::ProbeId;

/// Everything that the probes need.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name that was dialled, and that the certificate must carry.
    pub host: String,
    /// Where that is.
    pub address: Address,
    /// The role.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// The password, if there is one.
    pub password: Option<SecretString>,
    /// What the person's own client checks of the server: libpq's `sslmode`, where `require` with a root file is
    /// `verify-ca` (<https://www.postgresql.org/docs/current/libpq-ssl.html#LIBQ-SSL-CERTIFICATES>). We judge all the same.
    pub sslmode: SslMode,
    /// What the server's certificate must lead to.
    pub trust: Arc<TrustStore>,
    /// Where these roots come from, for the words (`clients/app/root.crt`).
    pub trust_file: String,
    /// What we show if the server asks.
    pub identity: Option<ClientIdentity>,
    /// A certificate of the same CA for another name, to prove that it is refused.
    pub other: Option<ClientIdentity>,
    /// Which promises are to be tested.
    pub expect: Mode,
    /// A way in for the questions that only a superuser may ask.
    pub admin: Option<Admin>,
    /// A superuser whom no connection of ours reaches.
    pub inside: Option<Arc<dyn Inside>>,
    /// Where the server is one that is hardened step by step: probes that are no promise yet. Its roles have passwords of
    /// their own, so that a login for which there is none is not asked for either.
    pub spared: Option<&'static [ProbeId]>,
    /// Whether the role comes in over the server's own socket, so that no line of `pg_hba.conf` need be for it over TCP.
    pub by_socket: bool,
    /// How long one probe may take.
    pub timeout: Duration,
    /// The server that the probes are about.
    pub server: Server,
    /// What libpq would do under the conninfo, with every server that it names.
    pub client: Client,
    /// The time by which dates are judged.
    pub now: OffsetDateTime,
}

/// A superuser's way in.
#[derive(Debug, Clone)]
pub enum Admin {
    /// Over the socket of a server of our own.
    Socket {
        /// The socket.
        address: Address,
        /// The role.
        user: String,
        /// The database.
        dbname: String,
    },
    /// By a connection string that the person gave for it.
    Login(Box<Target>),
}

/// The answer to a question: rows of values, `None` for NULL; or why there is none.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Vec<Option<String>>>, String>> + Send + 'a>>;

/// Asks a server's superuser where no connection of ours gets to him, such as inside a container.
pub trait Inside: fmt::Debug + Send + Sync {
    /// Asks one question.
    fn ask<'a>(&'a self, sql: &'a str) -> Answer<'a>;
}

impl Admin {
    /// Where it leads.
    #[must_use]
    pub const fn address(&self) -> &Address {
        match self {
            Self::Socket { address, .. } => address,
            Self::Login(target) => &target.address,
        }
    }
}

impl Target {
    /// A fresh allowance for one probe.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    pub(super) fn strict(&self, trust: &Arc<TrustStore>, name: &str) -> Verified {
        Verified {
            trust: Arc::clone(trust),
            host: Some(name.to_owned()),
            now: self.now,
        }
    }

    /// The server that the probes are about.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The name that a certificate must carry: with `hostaddr` alone there is none, and the empty one matches nothing.
    pub(super) fn name(&self) -> &str {
        self.server.name.as_deref().unwrap_or_default()
    }

    /// Verified by chain and name, with our certificate, whatever the `sslmode`.
    pub(super) fn verify_full(&self) -> TlsSettings {
        let judgement = Arc::new(self.strict(&self.trust, self.name()));
        let mut settings = self.client.settings_with(judgement, &self.server);
        settings.negotiation = Negotiation::Request;
        settings
    }

    pub(super) fn credentials(&self) -> Credentials<'_> {
        self.client.credentials(&self.server)
    }
}
