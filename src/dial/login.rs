//! Logging in: tokio-postgres speaks, over a link that we have made.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::{self, SslMode, SslNegotiation};
use tokio_postgres::tls::TlsConnect;

use super::guard::{Guard, Halt, Policy, Watch};
use super::words::printable;
use super::{
    AuthMethod, AuthName, ChannelBinding, Deadline, Link, Lost, ServerMessage, Session, TlsFacts, WireError,
};

/// Who logs in, where to, and with which proof.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// The role.
    pub user: &'a str,
    /// The database.
    pub dbname: &'a str,
    /// The password; an empty one is none, as in libpq.
    pub password: Option<&'a SecretString>,
    /// Whether SCRAM is to be bound to the TLS session.
    pub channel_binding: ChannelBinding,
    /// The methods that we consent to (`require_auth`); `None`: any.
    pub allowed: Option<&'a [AuthName]>,
    /// Whether the server must ask for a client certificate and get one (`sslcertmode=require`).
    pub certificate_required: bool,
    /// `options` of the startup message (`-c name=value ...`).
    pub options: Option<&'a str>,
    /// `application_name`.
    pub application_name: &'a str,
}

impl<'a> Credentials<'a> {
    /// A role and a database, without a password.
    #[must_use]
    pub const fn new(user: &'a str, dbname: &'a str) -> Self {
        Self {
            user,
            dbname,
            password: None,
            channel_binding: ChannelBinding::Prefer,
            allowed: None,
            certificate_required: false,
            options: None,
            application_name: "pgtls",
        }
    }

    /// With a password.
    #[must_use]
    pub const fn with_password(mut self, password: &'a SecretString) -> Self {
        self.password = Some(password);
        self
    }
}

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginFailure {
    /// The server said no, and why.
    #[error("the server refused the login: {0}")]
    Server(ServerMessage),
    /// The server accepted the login and then said no: no such database, no such role, no connection left.
    #[error("the server refused the session: {0}")]
    Session(ServerMessage),
    /// The link ended; in TLS 1.3 this is where a refused client certificate shows as an alert.
    #[error(transparent)]
    Lost(Lost),
    /// The server does not speak the protocol.
    #[error(transparent)]
    Wire(WireError),
    /// The server wants a password and there is none.
    #[error("the server asks for {0}, and none is at hand")]
    PasswordNeeded(AuthMethod),
    /// The server wants a proof that pgtls cannot give.
    #[error("the server asks for {0}, which pgtls does not speak")]
    Unsupported(AuthMethod),
    /// The server wants a proof that `require_auth` forbids (`None`: it wanted none).
    #[error("the server asked for {}, which require_auth does not allow", .0.as_ref().map_or("no proof".to_owned(), ToString::to_string))]
    NotAllowed(Option<AuthMethod>),
    /// `channel_binding=require`, and the server did not offer it.
    #[error("channel binding is required, but the server asked for {}", .0.as_ref().map_or("no proof".to_owned(), ToString::to_string))]
    NoChannelBinding(Option<AuthMethod>),
    /// `sslcertmode=require`, and the server did not ask for a client certificate, or there was none to send.
    #[error("a client certificate must be used, but {}", if *.asked { "there was none to send" } else { "the server did not ask for one" })]
    CertificateUnused {
        /// Whether the server asked.
        asked: bool,
    },
    /// The signature of the server's certificate has no digest to bind to.
    #[error(
        "the server offers SCRAM bound to its certificate, but channel binding is not defined for that \
         certificate's signature (Ed25519); no libpq can log in either: sign it with ECDSA or RSA, or use \
         channel_binding=disable"
    )]
    BindingUndefined,
    /// The server offers SCRAM-SHA-256-PLUS on a connection without TLS: somebody in between took it away.
    #[error(
        "the server offers SCRAM-SHA-256-PLUS over a connection without TLS: something in between ends the TLS"
    )]
    PlusWithoutTls,
    /// SCRAM failed on our side: the server could not prove that it knows the password's verifier.
    #[error("the server failed to prove its identity in the login: {0}")]
    Authentication(String),
    /// The server says something that libpq goes on after and we cannot.
    #[error("{0}: psql goes on, pgtls does not")]
    Beyond(&'static str),
    /// The server let us in without having proven that it knows the password.
    #[error(
        "the server let us in without having proven that it knows the password; {}", if *.libpq_goes_on {
            "psql goes on all the same, unless the conninfo says channel_binding=require or require_auth=scram-sha-256"
        } else {
            "this conninfo insists on the proof"
        }
    )]
    Unproven {
        /// Whether libpq goes on under this conninfo.
        libpq_goes_on: bool,
    },
    /// The server sends more than anything we ask for.
    #[error("the server's answer is too large")]
    TooLarge,
    /// A name or option cannot be sent.
    #[error("the login cannot be sent: a name is too long or holds a zero byte")]
    Unsendable,
}

/// Logs in over a link. TLS, if any, has been negotiated already.
pub async fn login(
    link: impl Into<Link>,
    credentials: &Credentials<'_>,
    deadline: Deadline,
) -> Result<Session, LoginFailure> {
    let link = link.into();
    let tls: Option<TlsFacts> = match &link {
        Link::Tls(session) => Some(session.facts().clone()),
        Link::Plain(_) => None,
    };
    let password = credentials
        .password
        .filter(|password| !password.expose_secret().is_empty());
    let sendable = |text: &str| !text.contains('\0') && text.len() < 4096;
    let texts = [
        Some(credentials.user),
        Some(credentials.dbname),
        credentials.options,
    ];
    if !texts.into_iter().flatten().all(sendable) || !sendable(credentials.application_name) {
        return Err(LoginFailure::Unsendable);
    }

    let policy = Policy {
        has_password: password.is_some(),
        channel_binding: credentials.channel_binding,
        allowed: credentials.allowed.map(<[_]>::to_vec),
        certificate_required: credentials.certificate_required,
    };
    let watch = Arc::new(Watch::default());
    let connector = Connector {
        policy,
        watch: Arc::clone(&watch),
    };
    let config = config(credentials, password);
    // "Direct" is what makes tokio-postgres take the stream as it is.
    let (client, connection) = deadline
        .bound(config.connect_raw(link, connector))
        .await
        .map_err(|late| LoginFailure::Lost(late.into()))?
        .map_err(|error| match LoginFailure::from(&error) {
            LoginFailure::Server(message) if watch.is_admitted() => LoginFailure::Session(message),
            failure => failure,
        })?;
    Ok(Session::new(client, connection, tls, watch))
}

fn config(credentials: &Credentials<'_>, password: Option<&SecretString>) -> Config {
    let mut config = Config::new();
    config
        .user(credentials.user)
        .dbname(credentials.dbname)
        .application_name(credentials.application_name)
        // tokio-postgres refuses a link without a host name; the name goes nowhere.
        .host("server")
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct)
        .channel_binding(match credentials.channel_binding {
            ChannelBinding::Disable => config::ChannelBinding::Disable,
            ChannelBinding::Prefer => config::ChannelBinding::Prefer,
            ChannelBinding::Require => config::ChannelBinding::Require,
        });
    if let Some(password) = password {
        config.password(password.expose_secret());
    }
    if let Some(options) = credentials.options {
        config.options(options);
    }
    config
}

/// Hands tokio-postgres the link that exists, with the guard on it.
struct Connector {
    policy: Policy,
    watch: Arc<Watch>,
}

impl TlsConnect<Link> for Connector {
    type Stream = Guard;
    type Error = Infallible;
    type Future = Ready<Result<Guard, Infallible>>;

    fn connect(self, link: Link) -> Self::Future {
        ready(Ok(Guard::new(link, self.policy, self.watch)))
    }
}

impl From<Halt> for LoginFailure {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Wire(wire) => Self::Wire(wire),
            Halt::PasswordNeeded(method) => Self::PasswordNeeded(method),
            Halt::Unsupported(method) => Self::Unsupported(method),
            Halt::NotAllowed(method) => Self::NotAllowed(method),
            Halt::NoChannelBinding(method) => Self::NoChannelBinding(method),
            Halt::BindingUndefined => Self::BindingUndefined,
            Halt::PlusWithoutTls => Self::PlusWithoutTls,
            Halt::TooLarge => Self::TooLarge,
            Halt::Beyond(what) => Self::Beyond(what),
            Halt::Unproven { libpq_goes_on } => Self::Unproven { libpq_goes_on },
            Halt::CertificateUnused { asked } => Self::CertificateUnused { asked },
        }
    }
}

/// tokio-postgres says the cause only in `source()`, and the kind only in its text.
impl From<&tokio_postgres::Error> for LoginFailure {
    fn from(error: &tokio_postgres::Error) -> Self {
        if let Some(refused) = error.as_db_error() {
            return Self::Server(refused.into());
        }
        if error.is_closed() {
            return Self::Lost(Lost::Closed);
        }
        let kind = error.to_string();
        let io = std::iter::successors(error.source(), |cause| (*cause).source())
            .find_map(|cause| cause.downcast_ref::<io::Error>());
        if let Some(halt) = io
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<Halt>())
        {
            return Self::from(halt.clone());
        }
        let cause = || error.source().map_or_else(|| kind.clone(), ToString::to_string);
        match (kind.as_str(), io) {
            ("authentication error", _) => Self::Authentication(printable(&cause(), 300)),
            ("error communicating with the server", Some(io)) => Self::Lost(Lost::from(io)),
            _ => Self::Wire(WireError::Unexpected {
                asked: "login",
                found: printable(&cause(), 300),
            }),
        }
    }
}
