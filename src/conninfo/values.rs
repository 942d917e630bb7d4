//! The words that parameters allow.

use std::fmt;

use super::settings::Settings;
use super::{Error, Keyword};

/// An enum whose variants are exactly the words libpq accepts for one keyword.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value, in the order the documentation lists them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// Their words, in the same order.
            pub const WORDS: &[&'static str] = &[$($word,)*];

            /// The word as libpq writes it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value that a word stands for; only exact words count.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => Option::None }
            }

            /// The value of `keyword`, or `default` where nobody set it; an empty value is an error.
            #[allow(dead_code, reason = "not every one of these enums is the whole value of a keyword")]
            pub(super) fn read(settings: &Settings, keyword: Keyword, default: Self) -> Result<Self, Error> {
                settings.get(keyword).map_or(Ok(default), |found| {
                    Self::from_word(found).ok_or_else(|| settings.bad_word(keyword, found, Self::WORDS))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// `sslmode`: how much of TLS is demanded, from nothing to everything; ordered by strength.
    SslMode {
        /// Plaintext only.
        Disable "disable",
        /// Plaintext first, TLS if the server insists.
        Allow "allow",
        /// TLS first, plaintext if that fails: libpq's default.
        Prefer "prefer",
        /// TLS only; the certificate is judged only if a root file exists.
        Require "require",
        /// TLS only, and the chain must end in a trusted root.
        VerifyCa "verify-ca",
        /// As `verify-ca`, and the certificate must carry the host's name.
        VerifyFull "verify-full",
    }
}

words! {
    /// `sslnegotiation`: how TLS begins.
    SslNegotiation {
        /// Ask the server first (`SSLRequest`).
        Postgres "postgres",
        /// Begin with the TLS handshake at once; PostgreSQL 17 and later.
        Direct "direct",
    }
}

words! {
    /// `sslcertmode`: whether a client certificate is sent.
    SslCertMode {
        /// Never, even if there is one.
        Disable "disable",
        /// If the server asks and there is one.
        Allow "allow",
        /// The server must ask for one.
        Require "require",
    }
}

words! {
    /// `channel_binding`: whether a SCRAM login is tied to the TLS session.
    ChannelBinding {
        /// Never.
        Disable "disable",
        /// Where server and certificate allow it.
        Prefer "prefer",
        /// Always, else the login is refused.
        Require "require",
    }
}

words! {
    /// `gssencmode`: whether GSSAPI encryption is used instead of TLS.
    GssEncMode {
        /// Never.
        Disable "disable",
        /// Where there are credentials for it.
        Prefer "prefer",
        /// Always.
        Require "require",
    }
}

words! {
    /// `target_session_attrs`: which of several servers will do.
    TargetSessionAttrs {
        /// Any.
        Any "any",
        /// One that lets this session write.
        ReadWrite "read-write",
        /// One where sessions are read-only.
        ReadOnly "read-only",
        /// One that is not in recovery.
        Primary "primary",
        /// One that is in recovery.
        Standby "standby",
        /// A standby first, else any.
        PreferStandby "prefer-standby",
    }
}

words! {
    /// `load_balance_hosts`: in which order several hosts are tried.
    LoadBalanceHosts {
        /// As written.
        Disable "disable",
        /// At random, the addresses of each host too.
        Random "random",
    }
}

words! {
    /// A TLS version, for `ssl_min_protocol_version` and `ssl_max_protocol_version`; ordered.
    TlsVersion {
        /// TLS 1.0.
        Tls1_0 "TLSv1",
        /// TLS 1.1.
        Tls1_1 "TLSv1.1",
        /// TLS 1.2.
        Tls1_2 "TLSv1.2",
        /// TLS 1.3.
        Tls1_3 "TLSv1.3",
    }
}

impl TlsVersion {
    /// A bound: letters in any case, and an empty value removes the bound.
    pub(super) fn bound(
        settings: &Settings,
        keyword: Keyword,
        default: Option<Self>,
    ) -> Result<Option<Self>, Error> {
        match settings.get(keyword) {
            None => Ok(default),
            Some("") => Ok(None),
            Some(found) => Self::WORDS
                .iter()
                .find(|word| word.eq_ignore_ascii_case(found))
                .and_then(|word| Self::from_word(word))
                .map(Some)
                .ok_or_else(|| settings.bad_word(keyword, found, Self::WORDS)),
        }
    }
}

words! {
    /// A version of PostgreSQL's own protocol, for `min_protocol_version` and `max_protocol_version`; ordered.
    ProtocolVersion {
        /// 3.0, since PostgreSQL 7.4.
        V3_0 "3.0",
        /// 3.2, since PostgreSQL 18.
        V3_2 "3.2",
    }
}

impl ProtocolVersion {
    /// A bound; `latest` is the newest.
    pub(super) fn bound(settings: &Settings, keyword: Keyword) -> Result<Option<Self>, Error> {
        match settings.get(keyword) {
            None => Ok(None),
            Some("latest") => Ok(Some(Self::V3_2)),
            Some(found) => Self::from_word(found)
                .map(Some)
                .ok_or_else(|| settings.bad_word(keyword, found, &["3.0", "3.2", "latest"])),
        }
    }
}

words! {
    /// A way of logging in, as `require_auth` names it.
    AuthMethod {
        /// A password in the clear.
        Password "password",
        /// An MD5 hash of it.
        Md5 "md5",
        /// GSSAPI.
        Gss "gss",
        /// SSPI.
        Sspi "sspi",
        /// SCRAM.
        ScramSha256 "scram-sha-256",
        /// An OAuth bearer token.
        Oauth "oauth",
        /// No exchange at all (`trust`, `cert`, `peer`).
        None "none",
    }
}

/// A C integer as libpq reads one: blanks around it and a sign are fine, anything else is not.
pub(super) fn integer(settings: &Settings, keyword: Keyword) -> Result<Option<i32>, Error> {
    settings
        .get(keyword)
        .map(|found| {
            parse_integer(found)
                .ok_or_else(|| settings.bad_value(keyword, found, "a whole number".to_owned(), String::new()))
        })
        .transpose()
}

/// See [`integer`].
pub(super) fn parse_integer(text: &str) -> Option<i32> {
    text.trim_matches(super::text::is_blank).parse().ok()
}

/// What libpq sets on a TCP socket. Whether the kernel takes it shows only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tcp {
    /// `keepalives_idle`, in seconds.
    pub idle: Option<u32>,
    /// `keepalives_interval`, in seconds.
    pub interval: Option<u32>,
    /// `keepalives_count`
    pub count: Option<u32>,
    /// `tcp_user_timeout`, in milliseconds.
    pub user_timeout: Option<u32>,
}

impl Tcp {
    /// Reads the numbers. `keepalives=0` leaves three of them unread; a negative one is set as 0 (fe-connect.c,
    /// `setKeepalivesIdle`).
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let number = |keyword| -> Result<Option<u32>, Error> {
            let number = integer(settings, keyword)?;
            Ok(number.map(|number| u32::try_from(number).unwrap_or(0)))
        };
        let mut tcp = Self::default();
        if integer(settings, Keyword::Keepalives)? != Some(0) {
            tcp.idle = number(Keyword::KeepalivesIdle)?;
            tcp.interval = number(Keyword::KeepalivesInterval)?;
            tcp.count = number(Keyword::KeepalivesCount)?;
        }
        tcp.user_timeout = number(Keyword::TcpUserTimeout)?;
        Ok(tcp)
    }
}
