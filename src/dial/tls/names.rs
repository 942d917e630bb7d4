//! Names of what was negotiated, as OpenSSL and so `pg_stat_ssl` write them.

use rustls::{CipherSuite, NamedGroup, ProtocolVersion};

/// The protocol as `pg_stat_ssl.version` shows it.
pub(in crate::dial) fn protocol(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "unknown",
    }
}

/// The cipher suite as `pg_stat_ssl.cipher` shows it; the suites are those that rustls speaks.
pub(in crate::dial) fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "unknown",
    }
}

/// The key exchange group as `ssl_groups` names it.
pub(super) fn group(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::secp256r1 => "prime256v1",
        NamedGroup::secp384r1 => "secp384r1",
        NamedGroup::secp521r1 => "secp521r1",
        NamedGroup::X25519 => "X25519",
        NamedGroup::X448 => "X448",
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::tls::provider;

    /// The names of the suites are compared with the openssl program beside `dial::offer`, which has more of them.
    #[test]
    fn whatever_we_may_agree_on_has_a_name() {
        for suite in &provider().cipher_suites {
            assert_ne!(cipher(suite.suite()), "unknown", "{suite:?}");
        }
        for supported in &provider().kx_groups {
            assert_ne!(group(supported.name()), "unknown", "{supported:?}");
        }
        assert_eq!(protocol(ProtocolVersion::TLSv1_2), "TLSv1.2");
        assert_eq!(protocol(ProtocolVersion::TLSv1_3), "TLSv1.3");
        // Whatever else there may be is not guessed at.
        assert_eq!(protocol(ProtocolVersion::TLSv1_1), "unknown");
        assert_eq!(group(NamedGroup::FFDHE2048), "unknown");
        assert_eq!(cipher(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA), "unknown");
    }
}
