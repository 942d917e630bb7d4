//! What rustls asks us in the middle of a handshake: is this certificate good, and which is ours?

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::ClientIdentity;
use super::judgement::{Judgement, Refusal};
use super::settings::provider;

/// What was seen on the way, kept also when the handshake fails.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub presented: Vec<CertificateDer<'static>>,
    pub refusal: Option<Refusal>,
    pub asked_for_certificate: bool,
}

/// Verifier and resolver of one handshake.
pub(super) struct Witness {
    judgement: Arc<dyn Judgement>,
    identity: Option<ClientIdentity>,
    seen: Mutex<Seen>,
}

impl Witness {
    pub fn new(judgement: Arc<dyn Judgement>, identity: Option<ClientIdentity>) -> Self {
        Self {
            judgement,
            identity,
            seen: Mutex::default(),
        }
    }

    pub fn seen(&self) -> Seen {
        self.with_seen(|seen| seen.clone())
    }

    fn with_seen<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness")
            .field("judgement", &self.judgement)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented: Vec<_> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        let judged = self.judgement.judge(&presented);
        self.with_seen(|seen| seen.presented = presented);
        match judged {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => {
                self.with_seen(|seen| seen.refusal = Some(refusal));
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.with_seen(|seen| seen.asked_for_certificate = true);
        // Offered whatever authorities the server hints at, as libpq does: the server is to decide.
        self.identity.as_ref().map(ClientIdentity::certified_key)
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
