//! A conversation's carrier: a bare socket, or TLS over one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Deadline, NothingVerified, SslAnswer, Stream, TlsSession, TlsSettings, handshake, ssl_request};

/// What a login runs over.
#[derive(Debug)]
pub enum Link {
    /// Plaintext, or a Unix socket.
    Plain(Stream),
    /// TLS.
    Tls(Box<TlsSession>),
}

impl Link {
    /// TLS where the server offers it, whatever its certificate is worth, and else plaintext: for who has other means to
    /// know the server by, or does not care.
    pub async fn offered(mut stream: Stream, deadline: Deadline) -> Result<Self, String> {
        match ssl_request(&mut stream, deadline).await {
            Ok(SslAnswer::Accepts) => {
                let settings = TlsSettings::new(Arc::new(NothingVerified));
                let session = handshake(stream, &settings, deadline).await;
                Ok(session.map_err(|failure| failure.to_string())?.into())
            }
            Ok(SslAnswer::Refuses) => Ok(stream.into()),
            Ok(SslAnswer::Error(message)) => Err(message.to_string()),
            Ok(SslAnswer::Stuffed(_) | SslAnswer::Garbage(_)) => Err("it is no PostgreSQL".to_owned()),
            Err(lost) => Err(lost.to_string()),
        }
    }

    /// The chain that the server presented, leaf first; empty without TLS.
    #[must_use]
    pub fn presented(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Plain(_) => &[],
            Self::Tls(session) => &session.facts().presented,
        }
    }
}

impl From<Stream> for Link {
    fn from(stream: Stream) -> Self {
        Self::Plain(stream)
    }
}

impl From<TlsSession> for Link {
    fn from(session: TlsSession) -> Self {
        Self::Tls(Box::new(session))
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(session) => Pin::new(&mut **session).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(session) => Pin::new(&mut **session).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(session) => Pin::new(&mut **session).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(session) => Pin::new(&mut **session).poll_shutdown(cx),
        }
    }
}
