//! The frontend/backend protocol, version 3: the few messages that probes send, and a reader of the
//! server's messages that an attacker can neither exhaust nor hold up
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Lost;
use super::words::printable_bytes;

/// What one conversation may cost before the server has let us in. libpq draws its lines at 2,000 bytes
/// for an authentication request and 30,000 for an error (fe-connect.c).
pub(super) const LONGEST_AUTHENTICATION: usize = 2_000;
pub(super) const LONGEST_ERROR: usize = 30_000;
const LONGEST_OTHER: usize = 16_384;
/// Notices, parameters and the like that we pass over while waiting for an answer.
pub(super) const MOST_ASIDES: usize = 64;

/// The server's bytes are not the protocol's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first byte of a message is none that the protocol has at this point.
    #[error("the server sent {found}, which is no answer to a {asked}")]
    Unexpected {
        /// What we had sent.
        asked: &'static str,
        /// The message type, or the bytes, made printable.
        found: String,
    },
    /// A message announces a length that no honest server sends.
    #[error("the server announced a message '{kind}' of {length} bytes; at most {limit} are accepted here")]
    Length {
        /// The message type.
        kind: char,
        /// The length announced.
        length: u32,
        /// What is accepted.
        limit: usize,
    },
    /// A message is too short for what it should hold.
    #[error("the server sent a truncated message '{kind}'")]
    Truncated {
        /// The message type.
        kind: char,
    },
    /// Nothing but notices and parameters, beyond all measure.
    #[error("the server sent {0} messages without an answer among them")]
    Endless(usize),
}

/// A message type and the length of its body, taken from the five bytes of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: u8,
    pub body: usize,
}

/// How long a body may be before the session is up, by message type.
pub(super) const fn limit_before_login(kind: u8) -> usize {
    match kind {
        b'R' => LONGEST_AUTHENTICATION,
        b'E' | b'N' => LONGEST_ERROR,
        _ => LONGEST_OTHER,
    }
}

impl Header {
    /// Reads a header; `limit` bounds the body, so that nothing is allocated by a length nobody checked.
    pub fn parse(bytes: [u8; 5], limit: usize) -> Result<Self, WireError> {
        let [kind, length @ ..] = bytes;
        let length = u32::from_be_bytes(length);
        // The length counts itself.
        match usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_sub(4))
        {
            Some(body) if body <= limit => Ok(Self { kind, body }),
            _ => Err(WireError::Length {
                kind: shown(kind),
                length,
                limit,
            }),
        }
    }
}

/// A message type as a character that can be shown.
pub(super) fn shown(kind: u8) -> char {
    if kind.is_ascii_graphic() {
        char::from(kind)
    } else {
        '?'
    }
}

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: u8,
    pub body: Vec<u8>,
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Reads one whole message. The caller bounds the time.
pub(super) async fn read_message<S>(stream: &mut S) -> Result<Message, ReadError>
where
    S: AsyncRead + Unpin,
{
    let mut header = [0_u8; 5];
    // The type alone first: an end of file before it is an end, after it a truncation.
    stream.read_exact(&mut header[..1]).await.map_err(Lost::from)?;
    read_message_after(header[0], stream).await
}

/// Reads the rest of a message whose type has been read.
pub(super) async fn read_message_after<S>(kind: u8, stream: &mut S) -> Result<Message, ReadError>
where
    S: AsyncRead + Unpin,
{
    let truncated = |error: std::io::Error| match Lost::from(error) {
        Lost::Closed => ReadError::Wire(WireError::Truncated { kind: shown(kind) }),
        lost => ReadError::Lost(lost),
    };
    let mut length = [0_u8; 4];
    stream.read_exact(&mut length).await.map_err(truncated)?;
    let [a, b, c, d] = length;
    let header = Header::parse([kind, a, b, c, d], limit_before_login(kind))?;
    let mut body = vec![0; header.body];
    stream.read_exact(&mut body).await.map_err(truncated)?;
    Ok(Message { kind, body })
}

/// How the server wants to know who we are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// The password itself (`password`, and all methods that ask another service: ldap, pam, radius, bsd).
    Cleartext,
    /// The salted MD5 of the password.
    Md5,
    /// SASL, with the mechanisms that the server offers, in its order.
    Sasl(Vec<String>),
    /// GSSAPI.
    Gss,
    /// SSPI.
    Sspi,
    /// A method that no current server offers, or a message that no server sends after a startup.
    Other(u32),
}

impl AuthMethod {
    /// Reads the body of an Authentication message; `None` is `AuthenticationOk`.
    pub(super) fn from_body(body: &[u8]) -> Result<Option<Self>, WireError> {
        let (code, rest) = body
            .split_first_chunk()
            .ok_or(WireError::Truncated { kind: 'R' })?;
        Ok(Some(match u32::from_be_bytes(*code) {
            0 => return Ok(None),
            3 => Self::Cleartext,
            5 => Self::Md5,
            7 => Self::Gss,
            9 => Self::Sspi,
            10 => {
                let names = rest.split(|byte| *byte == 0).take_while(|name| !name.is_empty());
                Self::Sasl(names.take(8).map(|name| printable_bytes(name, 64)).collect())
            }
            other => Self::Other(other),
        }))
    }

    /// Whether the server offers this SASL mechanism.
    #[must_use]
    pub fn offers(&self, mechanism: &str) -> bool {
        matches!(self, Self::Sasl(names) if names.iter().any(|name| name == mechanism))
    }
}

impl std::fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cleartext => f.write_str("a password in clear"),
            Self::Md5 => f.write_str("an MD5 password"),
            // Of the offers that differ in channel binding alone, one name says it.
            Self::Sasl(names) if names.iter().any(|name| name == "SCRAM-SHA-256") => {
                f.write_str("a password (SCRAM-SHA-256)")
            }
            Self::Sasl(names) => write!(f, "a SASL login ({})", names.join(", ")),
            Self::Gss => f.write_str("GSSAPI"),
            Self::Sspi => f.write_str("SSPI"),
            Self::Other(code) => write!(f, "authentication method {code}"),
        }
    }
}

/// `SSLRequest`: a length of 8 and the code 80877103.
pub(super) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// `GSSENCRequest`: a length of 8 and the code 80877104.
pub(super) const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// Terminate.
pub(super) const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// A message of a type with a body of these parts, which are short.
pub(super) fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(body.len() + 4).unwrap_or_default();
    [&[kind], &length.to_be_bytes()[..], &body].concat()
}

/// A `StartupMessage` of protocol 3.0; `None` if a value holds a NUL or the whole is over PostgreSQL's limit
/// of 10,000 bytes (`MAX_STARTUP_PACKET_LENGTH`).
pub(super) fn startup_message(parameters: &[(&str, &str)]) -> Option<Vec<u8>> {
    let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            if text.contains('\0') {
                return None;
            }
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    let length = body.len() + 4;
    if length > 10_000 {
        return None;
    }
    let mut message = u32::try_from(length).ok()?.to_be_bytes().to_vec();
    message.append(&mut body);
    Some(message)
}
