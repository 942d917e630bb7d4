//! The handshake, and the session that comes of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::{HandshakeFailure, HandshakeFault};
use super::settings::{Negotiation, TlsSettings, provider};
use super::verifier::{Seen, Witness};
use super::{Judged, TlsVersion, names};
use crate::dial::{Deadline, Lost, Stream};

/// What libpq 17 and later and PostgreSQL 17 and later call their protocol.
pub(in crate::dial) const ALPN: &[u8] = b"postgresql";

/// What was agreed on in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// The protocol version.
    pub version: TlsVersion,
    /// The protocol as `pg_stat_ssl.version` shows it, such as `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite as `pg_stat_ssl.cipher` shows it.
    pub cipher: &'static str,
    /// The key exchange group as `ssl_groups` names it.
    pub group: &'static str,
    /// Whether the server agreed on ALPN `postgresql` (17 and later).
    pub alpn: bool,
    /// The chain that the server presented, leaf first, DER.
    pub presented: Vec<CertificateDer<'static>>,
    /// What was proven about that chain.
    pub judged: Judged,
    /// Whether the server asked for a client certificate.
    pub asked_for_certificate: bool,
    /// Whether we had one to show when it asked.
    pub sent_certificate: bool,
}

/// A TLS session with a server. In TLS 1.3 it exists before the server has looked at our certificate: the
/// refusal, an alert, comes with the first read.
#[derive(Debug)]
pub struct TlsSession {
    inner: TlsStream<Stream>,
    facts: TlsFacts,
}

/// A handshake that is ready to begin: what takes time and needs no server is done.
pub struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
    witness: Arc<Witness>,
    has_identity: bool,
    negotiation: Negotiation,
}

/// Shakes hands. The stream is used up whatever comes of it.
pub async fn handshake(
    stream: Stream,
    settings: &TlsSettings,
    deadline: Deadline,
) -> Result<TlsSession, HandshakeFailure> {
    Handshake::new(settings)?.over(stream, deadline).await
}

impl Handshake {
    /// Gets one ready.
    pub fn new(settings: &TlsSettings) -> Result<Self, HandshakeFailure> {
        let versions = settings.versions();
        if versions.is_empty() {
            return Err(HandshakeFault::NoVersion.with(Seen::default()));
        }
        let witness = Arc::new(Witness::new(
            Arc::clone(&settings.judgement),
            settings.identity.clone(),
        ));
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .map_err(|error| HandshakeFault::from(&error).with(Seen::default()))?;
        let mut config = config
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as _)
            .with_client_cert_resolver(Arc::clone(&witness) as _);
        // PostgreSQL resumes no session.
        config.resumption = Resumption::disabled();
        // libpq 17 and later send it in both kinds of negotiation.
        config.alpn_protocols = vec![ALPN.to_vec()];
        let name = server_name(settings.sni.as_deref(), &mut config);
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
            witness,
            has_identity: settings.identity.is_some(),
            negotiation: settings.negotiation,
        })
    }

    /// Shakes hands. The stream is used up whatever comes of it.
    pub async fn over(self, stream: Stream, deadline: Deadline) -> Result<TlsSession, HandshakeFailure> {
        let outcome = deadline.bound(self.connector.connect(self.name, stream)).await;
        let seen = self.witness.seen();
        let inner = match outcome {
            Ok(Ok(inner)) => inner,
            Ok(Err(error)) => {
                let fault = match (&seen.refusal, &seen.signature) {
                    (Some(refusal), _) => HandshakeFault::Refused(refusal.clone()),
                    (None, Some(signature)) if signature.is_undetermined() => {
                        HandshakeFault::Incompatible(signature.to_string())
                    }
                    (None, Some(signature)) => HandshakeFault::Misbehaved(signature.to_string()),
                    (None, None) => HandshakeFault::from(&error),
                };
                return Err(fault.with(seen));
            }
            Err(late) => return Err(HandshakeFault::Lost(Lost::from(late)).with(seen)),
        };
        let facts = facts(inner.get_ref().1, seen.clone(), self.has_identity);
        if self.negotiation == Negotiation::Direct && !facts.alpn {
            return Err(HandshakeFault::WithoutAlpn.with(seen));
        }
        Ok(TlsSession { inner, facts })
    }
}

/// rustls wants a name; one that cannot stand in a TLS hello is not sent, and the address stands for none.
fn server_name(sni: Option<&str>, config: &mut ClientConfig) -> ServerName<'static> {
    let name = sni.and_then(|name| ServerName::try_from(name.to_owned()).ok());
    config.enable_sni = name.is_some();
    name.unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()))
}

fn facts(connection: &ClientConnection, seen: Seen, has_identity: bool) -> TlsFacts {
    let protocol = connection.protocol_version();
    TlsFacts {
        version: match protocol {
            Some(rustls::ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        },
        protocol: protocol.map_or("unknown", names::protocol),
        cipher: connection
            .negotiated_cipher_suite()
            .map_or("unknown", |suite| names::cipher(suite.suite())),
        group: connection
            .negotiated_key_exchange_group()
            .map_or("unknown", |group| names::group(group.name())),
        alpn: connection.alpn_protocol() == Some(ALPN),
        presented: seen.presented,
        judged: seen.judged,
        asked_for_certificate: seen.asked_for_certificate,
        sent_certificate: seen.asked_for_certificate && has_identity,
    }
}

impl TlsSession {
    /// What was agreed on.
    #[must_use]
    pub const fn facts(&self) -> &TlsFacts {
        &self.facts
    }
}

impl AsyncRead for TlsSession {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsSession {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
