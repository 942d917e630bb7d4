//! What to offer in a handshake, and how to judge the answer.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CipherSuiteCommon, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion, Tls12CipherSuite,
};

use super::{ClientIdentity, Judgement};

/// A protocol version that rustls speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// How TLS begins (`sslnegotiation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiation {
    /// After an accepted `SSLRequest`.
    Request,
    /// At once; the server must then agree on ALPN `postgresql` (PostgreSQL 17 and later).
    Direct,
}

/// Everything that a handshake needs. Cheap to clone; the same settings serve many connections.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Whether the server's certificate will do.
    pub judgement: Arc<dyn Judgement>,
    /// What we show if the server asks; `None`: no certificate.
    pub identity: Option<ClientIdentity>,
    /// The oldest version offered.
    pub min_version: TlsVersion,
    /// The newest version offered.
    pub max_version: TlsVersion,
    /// The name sent in the clear as SNI (see [`sni_name`]); `None`: none.
    pub sni: Option<String>,
    /// How TLS begins.
    pub negotiation: Negotiation,
}

impl TlsSettings {
    /// TLS 1.2 or 1.3 after an `SSLRequest`, no client certificate, no SNI.
    #[must_use]
    pub fn new(judgement: Arc<dyn Judgement>) -> Self {
        Self {
            judgement,
            identity: None,
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
            sni: None,
            negotiation: Negotiation::Request,
        }
    }

    /// With the SNI that libpq would send for this host.
    #[must_use]
    pub fn with_sni_for(mut self, host: &str) -> Self {
        self.sni = sni_name(host).map(str::to_owned);
        self
    }

    /// With a client certificate.
    #[must_use]
    pub fn with_identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        [
            (TlsVersion::Tls13, &rustls::version::TLS13),
            (TlsVersion::Tls12, &rustls::version::TLS12),
        ]
        .into_iter()
        .filter(|(version, _)| (self.min_version..=self.max_version).contains(version))
        .map(|(_, supported)| supported)
        .collect()
    }
}

/// The SNI for a host, by libpq's rule (`sslsni`): none for an empty host, for digits and dots, and for
/// anything with a colon (fe-secure-openssl.c, `initialize_SSL`).
#[must_use]
pub fn sni_name(host: &str) -> Option<&str> {
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (!host.is_empty() && !numeric && !host.contains(':') && host.parse::<IpAddr>().is_err()).then_some(host)
}

/// In TLS 1.2 rustls binds each suite to signature schemes: Ed448 would be misbehaviour. Which schemes go with which key
/// is for [`crate::judge`] to say.
fn with_every_signature(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let SupportedCipherSuite::Tls12(known) = suite else {
        return suite;
    };
    let sign: Vec<_> = known
        .sign
        .iter()
        .copied()
        .chain([SignatureScheme::ED448])
        .collect();
    SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: known.common.suite,
            hash_provider: known.common.hash_provider,
            confidentiality_limit: known.common.confidentiality_limit,
        },
        prf_provider: known.prf_provider,
        kx: known.kx,
        // Made once for the life of the process, as rustls wants it.
        sign: sign.leak(),
        aead_alg: known.aead_alg,
    })))
}

/// The one crypto provider, made once. P-256 stands first: it is the only group of a PostgreSQL before 18
/// with default settings, and a right first guess saves a round trip (`HelloRetryRequest`).
pub(in crate::dial) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups.push(&super::p521::P521);
        for suite in &mut provider.cipher_suites {
            *suite = with_every_signature(*suite);
        }
        provider
            .kx_groups
            .sort_by_key(|group| group.name() != rustls::NamedGroup::secp256r1);
        Arc::new(provider)
    };
    Arc::clone(PROVIDER.get_or_init(make))
}
