//! What libpq would do under one conninfo: which servers it tries, what it makes of the client's files, what it
//! consents to in a login. Read once from the conninfo; nothing here has touched the network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::conninfo::{SslMode, TargetSessionAttrs};
use crate::dial::{
    Address, AuthName, ChannelBinding, ClientIdentity, Credentials, Judgement, Negotiation, NothingVerified,
    TcpOptions, TlsSettings, TlsVersion, Verified,
};
use crate::judge::TrustStore;

use super::cause::{Cause, Words};

/// As whom a Unix socket is dialled, which is what a server goes by whose line says `peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialler {
    /// As who we are, as libpq does.
    Ourselves,
    /// As the account that the socket belongs to, which takes root.
    Owner,
}

/// Who chose the `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The conninfo, or libpq for want of one.
    Libpq,
    /// We: nobody said one, and psql would take a weaker one.
    Ours,
}

/// A client as a conninfo makes it.
#[derive(Debug, Clone)]
pub struct Client {
    /// In the order in which they are tried; never empty.
    pub servers: Vec<Server>,
    /// The role.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// As the conninfo has it; without effect on Unix sockets.
    pub sslmode: SslMode,
    /// Who chose it.
    pub sslmode_choice: Choice,
    /// How TLS begins.
    pub negotiation: Negotiation,
    /// Whether the host is named in the clear (`sslsni`).
    pub sni: bool,
    /// The versions that are allowed and that we speak; empty if libpq allows only older ones.
    pub versions: Versions,
    /// What the server is judged by; `None`: it is not judged (`require` and weaker without a root file).
    pub root: Result<Option<Root>, FileFault>,
    /// What is shown to the server if it asks.
    pub identity: Result<Option<ClientIdentity>, FileFault>,
    /// `channel_binding`
    pub channel_binding: ChannelBinding,
    /// `require_auth`; `None`: any.
    pub allowed: Option<Vec<AuthName>>,
    /// `sslcertmode=require`
    pub certificate_required: bool,
    /// `options`, and what libpq sends beside them.
    pub options: Option<String>,
    /// `application_name`
    pub application_name: Option<String>,
    /// `target_session_attrs`
    pub attributes: TargetSessionAttrs,
    /// `min_protocol_version=3.2`, which servers have from 18 on.
    pub newest_protocol: bool,
    /// As whom a socket is dialled.
    pub dialler: Dialler,
    /// The account of the server at a socket (`requirepeer`).
    pub peer: Option<Peer>,
    /// What psql would do and pgtls does not speak, in words; `None`: nothing.
    pub unspoken: Option<String>,
    /// The same of the login, which TLS comes before.
    pub unspoken_login: Option<String>,
    /// What is set on TCP sockets.
    pub tcp: TcpOptions,
    /// `connect_timeout`
    pub patience: Option<Duration>,
    /// What libpq passes over in silence and the person should know.
    pub notes: Vec<String>,
    /// The person's own names.
    pub words: Words,
}

/// One server to try.
#[derive(Debug, Clone)]
pub struct Server {
    /// What messages call it.
    pub label: String,
    /// The `host` of the conninfo, which a certificate must carry; `None` where only `hostaddr` is given.
    pub name: Option<String>,
    /// Where it is.
    pub place: Place,
    /// The password for it, if there is one.
    pub password: Option<SecretString>,
}

/// Where a server is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A name to look up, and the port.
    Name(String, u16),
    /// An address.
    Address(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
    /// Nowhere: its port or address is none, and libpq passes on to the next server.
    Fault(String),
}

/// TLS versions, of those that are spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// TLS 1.2 may be used.
    pub tls12: bool,
    /// TLS 1.3 may be used.
    pub tls13: bool,
    /// libpq may use versions before 1.2, too.
    pub older: bool,
}

/// Trusted roots.
#[derive(Debug, Clone)]
pub struct Root {
    /// The certificates and revocation lists.
    pub store: Arc<TrustStore>,
    /// Where they come from, for the words (`clients/app/root.crt`).
    pub from: String,
}

/// The account that must own the server at the other end of a socket.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its number; `None` if this machine knows none of that name.
    pub uid: Option<u32>,
}

/// A file of the client's with which libpq does not go on. It says so only when TLS begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Which fault.
    pub cause: Cause,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, one sentence with its name.
    pub why: String,
}

impl Client {
    /// The fault at which libpq stops when it sets TLS up: the root file comes first.
    #[must_use]
    pub fn fault(&self) -> Option<&FileFault> {
        self.root.as_ref().err().or(self.identity.as_ref().err())
    }

    /// What libpq's handshake with this server offers and demands.
    pub(super) fn settings(&self, server: &Server, now: OffsetDateTime) -> TlsSettings {
        let judgement: Arc<dyn Judgement> = match &self.root {
            Ok(Some(root)) => Arc::new(Verified {
                trust: Arc::clone(&root.store),
                // With `hostaddr` alone there is no name, and the empty one matches none.
                host: (self.sslmode == SslMode::VerifyFull).then(|| server.name.clone().unwrap_or_default()),
                now,
            }),
            _ => Arc::new(NothingVerified),
        };
        self.settings_with(judgement, server)
    }

    /// The same with another judgement of the server.
    pub(super) fn settings_with(&self, judgement: Arc<dyn Judgement>, server: &Server) -> TlsSettings {
        let mut settings = TlsSettings::new(judgement);
        if let (true, Some(name)) = (self.sni, &server.name) {
            settings = settings.with_sni_for(name);
        }
        if let Ok(Some(identity)) = &self.identity {
            settings = settings.with_identity(identity.clone());
        }
        let Versions { tls12, tls13, .. } = self.versions;
        settings.min_version = if tls12 {
            TlsVersion::Tls12
        } else {
            TlsVersion::Tls13
        };
        settings.max_version = if tls13 {
            TlsVersion::Tls13
        } else {
            TlsVersion::Tls12
        };
        settings.negotiation = self.negotiation;
        settings
    }

    /// What is proven to the server in a login, and what is consented to.
    pub(super) fn credentials<'a>(&'a self, server: &'a Server) -> Credentials<'a> {
        let mut credentials = Credentials::new(&self.user, &self.dbname);
        credentials.password = server.password.as_ref();
        credentials.channel_binding = self.channel_binding;
        credentials.allowed = self.allowed.as_deref();
        credentials.certificate_required = self.certificate_required;
        credentials.options = self.options.as_deref();
        if let Some(name) = &self.application_name {
            credentials.application_name = name;
        }
        credentials
    }

    /// The person's own names, with those of one server.
    pub(super) fn words(&self, server: &Server) -> Words {
        let words = self.words.clone().with("host", &server.label);
        let port = match &server.place {
            Place::Name(_, port) => Some(*port),
            Place::Address(address) => Some(address.port()),
            Place::Socket(path) => Address::port_of_socket(path),
            Place::Fault(_) => None,
        };
        match port {
            Some(port) => words.with("port", &port.to_string()),
            None => words,
        }
    }
}
