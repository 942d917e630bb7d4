//! What rustls asks us in the middle of a handshake: is this certificate good, and which is ours?

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::ClientIdentity;
use super::judgement::{Judged, Judgement, Refusal};
use crate::judge::{self, Cause, SUPPORTED_SCHEMES, SignatureRefusal, verify_tls_signature};

/// What was seen on the way, kept also when the handshake fails.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub presented: Vec<CertificateDer<'static>>,
    pub judged: Judged,
    pub refusal: Option<Refusal>,
    pub signature: Option<SignatureRefusal>,
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

    /// rustls' own verification parses the certificate and refuses X.509 v1: ours does not.
    fn verify_signature(
        &self,
        version: judge::TlsVersion,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls_signature(version, message, leaf, signed.scheme, signed.signature()) {
            Ok(()) => Ok(HandshakeSignatureValid::assertion()),
            Err(refusal) => {
                self.with_seen(|seen| seen.signature = Some(refusal));
                Err(Error::InvalidCertificate(CertificateError::BadSignature))
            }
        }
    }

    fn with_seen<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The alert that the server hears, which ends in its log.
fn told(refusal: &Refusal) -> CertificateError {
    let Refusal::Chain(chain) = refusal else {
        return CertificateError::NotValidForName;
    };
    match chain.cause {
        Cause::Expired | Cause::AnchorExpired => CertificateError::Expired,
        Cause::NotYetValid | Cause::AnchorNotYetValid => CertificateError::NotValidYet,
        Cause::Revoked => CertificateError::Revoked,
        Cause::WrongPurpose => CertificateError::InvalidPurpose,
        Cause::Malformed => CertificateError::BadEncoding,
        Cause::BadSignature => CertificateError::BadSignature,
        _ => CertificateError::UnknownIssuer,
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
            Ok(judged) => {
                self.with_seen(|seen| seen.judged = judged);
                Ok(ServerCertVerified::assertion())
            }
            Err(refusal) => {
                let told = told(&refusal);
                self.with_seen(|seen| seen.refusal = Some(refusal));
                Err(Error::InvalidCertificate(told))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(judge::TlsVersion::V1_2, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(judge::TlsVersion::V1_3, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SUPPORTED_SCHEMES.to_vec()
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
