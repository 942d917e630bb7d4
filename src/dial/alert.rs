//! TLS alerts by number and name.

use std::fmt;

/// A TLS alert as sent by the server (RFC 8446 section 6, and the IANA registry for older ones).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alert(pub u8);

impl Alert {
    /// `handshake_failure`: no cipher suite, group or signature algorithm in common, or a missing certificate in TLS 1.2.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// `bad_certificate`.
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// `unsupported_certificate`: wrong purpose.
    pub const UNSUPPORTED_CERTIFICATE: Self = Self(43);
    /// `certificate_revoked`.
    pub const CERTIFICATE_REVOKED: Self = Self(44);
    /// `certificate_expired`; OpenSSL also sends it for an expired revocation list.
    pub const CERTIFICATE_EXPIRED: Self = Self(45);
    /// `unknown_ca`; OpenSSL also sends it for a missing revocation list.
    pub const UNKNOWN_CA: Self = Self(48);
    /// `decrypt_error`; OpenSSL also sends it when a CA of the right name but another key signed our certificate.
    pub const DECRYPT_ERROR: Self = Self(51);
    /// `protocol_version`: the server does not speak the version offered.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// `internal_error`; OpenSSL sends it when its security level leaves nothing to offer.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// `certificate_required` (TLS 1.3).
    pub const CERTIFICATE_REQUIRED: Self = Self(116);
    /// `no_application_protocol`: the server does not know ALPN `postgresql`.
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);

    /// The name in the IANA registry; `None` if the number has none.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => return None,
        })
    }

    /// Whether the alert is about the certificate that we presented (or did not).
    #[must_use]
    pub const fn is_about_our_certificate(self) -> bool {
        matches!(self.0, 41..=46 | 48 | 49 | 51 | 116)
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "TLS alert {} ({name})", self.0),
            None => write!(f, "TLS alert {}", self.0),
        }
    }
}
