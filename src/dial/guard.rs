//! A watch over the server's messages on their way into tokio-postgres: it bounds what they may cost, and
//! applies libpq's rules on which proof we are willing to give, before it is given.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::scram::{self, Scram};
use super::wire::{
    AuthMethod, Header, LONGEST_AUTHENTICATION, MOST_ASIDES, WireError, limit_before_login, shown,
};
use super::{Link, binding};

const SCRAM: &str = "SCRAM-SHA-256";
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// One message of a result, and all messages of one query.
const LONGEST_RESULT_MESSAGE: usize = 1 << 20;
pub(super) const MOST_RESULT_BYTES: usize = 8 << 20;

/// What a message costs in memory beside its body, about: a result of the smallest ones would take many times its bytes.
const COST_OF_A_MESSAGE: usize = 64;

/// libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// If the server offers it.
    #[default]
    Prefer,
    /// Or no login.
    Require,
}

/// The methods of libpq's `require_auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthName {
    /// The server asks for no proof.
    None,
    /// `password`
    Password,
    /// `md5`
    Md5,
    /// `gss`
    Gss,
    /// `sspi`
    Sspi,
    /// `scram-sha-256`
    ScramSha256,
}

/// Why we do not go on with a login. The server is not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Halt {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the server wants {0}")]
    PasswordNeeded(AuthMethod),
    #[error("unsupported")]
    Unsupported(AuthMethod),
    #[error("not allowed")]
    NotAllowed(Option<AuthMethod>),
    #[error("channel binding is required")]
    NoChannelBinding(Option<AuthMethod>),
    #[error("channel binding is undefined")]
    BindingUndefined,
    #[error("SCRAM-SHA-256-PLUS in plaintext")]
    PlusWithoutTls,
    #[error("result too large")]
    TooLarge,
    #[error("{0}")]
    Beyond(&'static str),
    #[error("let in without a proof of the server's")]
    Unproven { libpq_goes_on: bool },
    #[error("no client certificate was asked for, or none was sent")]
    CertificateUnused { asked: bool },
}

/// What we are willing to do.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub has_password: bool,
    pub channel_binding: ChannelBinding,
    pub allowed: Option<Vec<AuthName>>,
    pub certificate_required: bool,
}

/// What the watch has seen, shared with the session.
#[derive(Debug, Default)]
pub(super) struct Watch {
    result_bytes: AtomicUsize,
    admitted: AtomicBool,
}

impl Watch {
    /// Gives the next query its allowance.
    pub fn refill(&self) {
        self.result_bytes.store(0, Ordering::Relaxed);
    }

    /// Whether the server has said `AuthenticationOk`.
    pub fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Relaxed)
    }
}

/// The link with the watch on it.
#[derive(Debug)]
pub(super) struct Guard {
    link: Link,
    policy: Policy,
    binding: Option<Vec<u8>>,
    watch: Arc<Watch>,
    state: State,
    asides: usize,
    ready: bool,
    asked: bool,
    /// SCRAM has begun, and the server has not proven yet that it knows the password.
    owes_proof: bool,
}

/// Where in a message the bytes are.
#[derive(Debug)]
enum State {
    Header {
        bytes: [u8; 5],
        have: usize,
    },
    Body {
        left: usize,
    },
    /// An authentication message, kept whole: it is short and decides.
    Authentication {
        body: Vec<u8>,
        left: usize,
    },
}

impl State {
    const START: Self = Self::Header {
        bytes: [0; 5],
        have: 0,
    };
}

impl Guard {
    pub fn new(link: Link, policy: Policy, watch: Arc<Watch>) -> Self {
        let binding = match &link {
            Link::Tls(session) => session
                .facts()
                .presented
                .first()
                .and_then(|leaf| binding::tls_server_end_point(leaf)),
            Link::Plain(_) => None,
        };
        Self {
            link,
            policy,
            binding,
            watch,
            state: State::START,
            asides: 0,
            ready: false,
            asked: false,
            owes_proof: false,
        }
    }

    /// Follows the framing through bytes as they arrive, in whatever pieces.
    fn inspect(&mut self, mut bytes: &[u8]) -> Result<(), Halt> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Header { bytes: header, have } => {
                    let take = bytes.len().min(header.len() - *have);
                    header[*have..*have + take].copy_from_slice(&bytes[..take]);
                    *have += take;
                    bytes = &bytes[take..];
                    if *have == header.len() {
                        let header = *header;
                        self.begin(header)?;
                    }
                }
                State::Body { left } => {
                    let take = bytes.len().min(*left);
                    *left -= take;
                    bytes = &bytes[take..];
                    if *left == 0 {
                        self.state = State::START;
                    }
                }
                State::Authentication { body, left } => {
                    let take = bytes.len().min(*left);
                    body.extend_from_slice(&bytes[..take]);
                    *left -= take;
                    bytes = &bytes[take..];
                    if *left == 0 {
                        let body = std::mem::take(body);
                        self.state = State::START;
                        self.authentication(&body)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, header: [u8; 5]) -> Result<(), Halt> {
        let limit = if self.ready {
            LONGEST_RESULT_MESSAGE
        } else {
            limit_before_login(header[0])
        };
        let Header { kind, body } = Header::parse(header, limit)?;
        if self.ready {
            let whole = COST_OF_A_MESSAGE + body;
            let before = self.watch.result_bytes.fetch_add(whole, Ordering::Relaxed);
            if before.saturating_add(whole) > MOST_RESULT_BYTES {
                return Err(Halt::TooLarge);
            }
        } else {
            self.asides += 1;
            if self.asides > MOST_ASIDES {
                return Err(WireError::Endless(MOST_ASIDES).into());
            }
            if kind == b'A' && self.watch.is_admitted() {
                return Err(Halt::Beyond("the server sends a notification before it is ready"));
            }
            let expected = match kind {
                b'R' | b'E' => true,
                b'N' | b'S' | b'K' | b'Z' => self.asked,
                _ => false,
            };
            if !expected {
                let found = format!("a message '{}'", shown(kind));
                return Err(WireError::Unexpected {
                    asked: "StartupMessage",
                    found,
                }
                .into());
            }
        }
        self.ready |= kind == b'Z';
        self.state = match (kind, body) {
            (b'R', 0) => return Err(WireError::Truncated { kind: 'R' }.into()),
            (_, 0) => State::START,
            (b'R', left) => State::Authentication {
                body: Vec::with_capacity(left.min(LONGEST_AUTHENTICATION)),
                left,
            },
            (_, left) => State::Body { left },
        };
        Ok(())
    }

    /// libpq's rules for the first authentication message (fe-auth.c: `check_expected_areq`,
    /// `pg_SASL_init`).
    fn authentication(&mut self, body: &[u8]) -> Result<(), Halt> {
        let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
        if code == Some(0) {
            if self.owes_proof {
                return Err(self.unproven());
            }
            self.used_certificate()?;
            self.watch.admitted.store(true, Ordering::Relaxed);
        }
        if matches!(code, Some(8 | 11 | 12)) || (self.asked && code == Some(0)) {
            // The middle or the end of an exchange that has been allowed.
            return self.exchange(code, &body[4..]);
        }
        let method = AuthMethod::from_body(body)?;
        let again = self.asked;
        self.asked = true;
        let name = match &method {
            None => Some(AuthName::None),
            Some(AuthMethod::Cleartext) => Some(AuthName::Password),
            Some(AuthMethod::Md5) => Some(AuthName::Md5),
            Some(AuthMethod::Gss) => Some(AuthName::Gss),
            Some(AuthMethod::Sspi) => Some(AuthName::Sspi),
            Some(AuthMethod::Sasl(_)) => Some(AuthName::ScramSha256),
            Some(AuthMethod::Other(_)) => None,
        };
        let allowed = |allowed: &Vec<AuthName>| name.is_some_and(|name| allowed.contains(&name));
        if !self.policy.allowed.as_ref().is_none_or(allowed) {
            return Err(Halt::NotAllowed(method));
        }
        let tls = matches!(self.link, Link::Tls(_));
        let plus = method.as_ref().is_some_and(|method| method.offers(SCRAM_PLUS));
        if plus && !tls {
            return Err(Halt::PlusWithoutTls);
        }
        if self.policy.channel_binding == ChannelBinding::Require && !plus {
            return Err(Halt::NoChannelBinding(method));
        }
        let Some(method) = method else { return Ok(()) };
        if again {
            return Err(Halt::Beyond("the server asks for a second proof after the first"));
        }
        match &method {
            AuthMethod::Cleartext | AuthMethod::Md5 => {}
            AuthMethod::Sasl(_) if plus || method.offers(SCRAM) => {}
            _ => return Err(Halt::Unsupported(method)),
        }
        if plus && self.policy.channel_binding != ChannelBinding::Disable && self.binding.is_none() {
            return Err(Halt::BindingUndefined);
        }
        if !self.policy.has_password {
            return Err(Halt::PasswordNeeded(method));
        }
        self.owes_proof = matches!(method, AuthMethod::Sasl(_));
        Ok(())
    }

    /// The messages of an exchange that has begun.
    fn exchange(&mut self, code: Option<u32>, message: &[u8]) -> Result<(), Halt> {
        let outcome = match code {
            Some(11) => scram::challenge(message),
            Some(12) => {
                // Whether it is one, tokio-postgres finds out.
                self.owes_proof = false;
                scram::verdict(message)
            }
            _ => Scram::Common,
        };
        match outcome {
            Scram::Common => Ok(()),
            Scram::Beyond(what) => Err(Halt::Beyond(what)),
            Scram::Malformed(what) => Err(WireError::Unexpected {
                asked: "SASLInitialResponse",
                found: what.to_owned(),
            }
            .into()),
        }
    }

    /// libpq lets a server in that skips its own proof, unless the conninfo insists on one (fe-auth.c,
    /// `check_expected_areq`: `require_auth` without `none`, and `channel_binding=require`).
    fn unproven(&self) -> Halt {
        let may_skip = |allowed: &Vec<AuthName>| allowed.contains(&AuthName::None);
        Halt::Unproven {
            libpq_goes_on: self.policy.channel_binding != ChannelBinding::Require
                && self.policy.allowed.as_ref().is_none_or(may_skip),
        }
    }

    /// `sslcertmode=require` (fe-auth.c, `check_expected_areq`): the server must have asked for a certificate, and we
    /// must have sent one.
    fn used_certificate(&self) -> Result<(), Halt> {
        let (asked, sent) = match &self.link {
            Link::Tls(session) => (
                session.facts().asked_for_certificate,
                session.facts().sent_certificate,
            ),
            Link::Plain(_) => (false, false),
        };
        if self.policy.certificate_required && !(asked && sent) {
            return Err(Halt::CertificateUnused { asked });
        }
        Ok(())
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.link).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = outcome
            && let Err(halt) = self.inspect(&buf.filled()[before..])
        {
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, halt)));
        }
        outcome
    }
}

impl AsyncWrite for Guard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(cx)
    }
}

impl tokio_postgres::tls::TlsStream for Guard {
    fn channel_binding(&self) -> tokio_postgres::tls::ChannelBinding {
        match &self.binding {
            Some(hash) => tokio_postgres::tls::ChannelBinding::tls_server_end_point(hash.clone()),
            None => tokio_postgres::tls::ChannelBinding::none(),
        }
    }
}
