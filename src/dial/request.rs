//! `SSLRequest`: asking a server in plaintext whether it speaks TLS
//! (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::wire::{LONGEST_ERROR, SSL_REQUEST};
use super::words::printable_bytes;
use super::{Deadline, Lost, ServerMessage, Stream};

/// The server's answer to an `SSLRequest`. None of it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SslAnswer {
    /// `S`: the handshake may begin.
    Accepts,
    /// `N`: no TLS on this connection (`ssl = off`, or a Unix socket).
    Refuses,
    /// An `ErrorResponse`: the server is full, shutting down, or older than 7.0.
    Error(ServerMessage),
    /// `S` followed by bytes although it was our turn: somebody in between is stuffing plaintext into the
    /// session (CVE-2021-23222). The bytes, made printable. The connection must not be used.
    Stuffed(String),
    /// Something else: no PostgreSQL. The first byte, made printable.
    Garbage(String),
}

/// Sends an `SSLRequest` and reads exactly one byte, so that nothing said in plaintext can end up in front
/// of what is said under TLS.
pub async fn ssl_request(stream: &mut Stream, deadline: Deadline) -> Result<SslAnswer, Lost> {
    deadline.bound(ask(stream)).await?
}

async fn ask(stream: &mut Stream) -> Result<SslAnswer, Lost> {
    stream.write_all(&SSL_REQUEST).await?;
    match stream.read_u8().await? {
        b'S' => {
            let early = stream.unread()?;
            Ok(if early.is_empty() || is_fatal_alert(&early) {
                stream.give_back(early);
                SslAnswer::Accepts
            } else {
                SslAnswer::Stuffed(printable_bytes(&early, 32))
            })
        }
        b'N' => Ok(SslAnswer::Refuses),
        b'E' => error(stream).await,
        other => Ok(SslAnswer::Garbage(printable_bytes(&[other], 8))),
    }
}

/// A server that cannot even begin (its ciphers and its versions do not go together) sends OpenSSL's alert right behind
/// its `S` (RFC 8446 section 6.2: a record of two bytes, the first of them 2). As the first of a handshake it ends that,
/// whoever sent it, so nothing of it gets into the session; a warning would not.
fn is_fatal_alert(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15, 0x03, 0..=4, 0, 2, 2, _])
}

/// An `ErrorResponse`, or the bare text of a server that could not even fork.
async fn error(stream: &mut Stream) -> Result<SslAnswer, Lost> {
    let mut bytes = Vec::new();
    let mut bounded = stream.take(u64::try_from(LONGEST_ERROR).unwrap_or(u64::MAX));
    loop {
        // The length is known after four bytes; a bare text ends with a NUL or with the connection.
        let whole = match bytes.first_chunk() {
            Some(length) => match usize::try_from(u32::from_be_bytes(*length)) {
                Ok(length) if length <= LONGEST_ERROR => bytes.len() >= length,
                _ => bytes.contains(&0),
            },
            None => false,
        };
        if whole || bounded.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    let message = match bytes.split_first_chunk() {
        Some((length, body))
            if usize::try_from(u32::from_be_bytes(*length)).is_ok_and(|l| l <= LONGEST_ERROR) =>
        {
            ServerMessage::from_body(body)
        }
        _ => ServerMessage::from_text(&bytes),
    };
    Ok(SslAnswer::Error(message))
}
