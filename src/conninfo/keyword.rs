//! The parameter keywords of libpq 18, each with its variable.

use std::fmt;

/// One row a keyword: variant, name, variable (or none), and whether its value is a secret.
macro_rules! keywords {
    ($($variant:ident $name:literal $variable:tt $secret:literal,)*) => {
        /// A parameter keyword of libpq 18
        /// (<https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS>).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Keyword {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Keyword {
            /// Every keyword, in libpq's order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The keyword as it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The environment variable that sets it, for the keywords that have one
            /// (<https://www.postgresql.org/docs/18/libpq-envars.html>).
            #[must_use]
            pub const fn variable(self) -> Option<&'static str> {
                match self { $(Self::$variant => keywords!(@variable $variable),)* }
            }

            /// Whether the value must never be shown.
            #[must_use]
            pub const fn is_secret(self) -> bool {
                match self { $(Self::$variant => $secret,)* }
            }
        }
    };
    (@variable -) => { None };
    (@variable $variable:literal) => { Some($variable) };
}

keywords! {
    Service "service" "PGSERVICE" false,
    User "user" "PGUSER" false,
    Password "password" "PGPASSWORD" true,
    Passfile "passfile" "PGPASSFILE" false,
    ChannelBinding "channel_binding" "PGCHANNELBINDING" false,
    ConnectTimeout "connect_timeout" "PGCONNECT_TIMEOUT" false,
    Dbname "dbname" "PGDATABASE" false,
    Host "host" "PGHOST" false,
    Hostaddr "hostaddr" "PGHOSTADDR" false,
    Port "port" "PGPORT" false,
    ClientEncoding "client_encoding" "PGCLIENTENCODING" false,
    Options "options" "PGOPTIONS" false,
    ApplicationName "application_name" "PGAPPNAME" false,
    FallbackApplicationName "fallback_application_name" - false,
    Keepalives "keepalives" - false,
    KeepalivesIdle "keepalives_idle" - false,
    KeepalivesInterval "keepalives_interval" - false,
    KeepalivesCount "keepalives_count" - false,
    TcpUserTimeout "tcp_user_timeout" - false,
    Sslmode "sslmode" "PGSSLMODE" false,
    Sslnegotiation "sslnegotiation" "PGSSLNEGOTIATION" false,
    Sslcompression "sslcompression" "PGSSLCOMPRESSION" false,
    Sslcert "sslcert" "PGSSLCERT" false,
    Sslkey "sslkey" "PGSSLKEY" false,
    Sslcertmode "sslcertmode" "PGSSLCERTMODE" false,
    Sslpassword "sslpassword" - true,
    Sslrootcert "sslrootcert" "PGSSLROOTCERT" false,
    Sslcrl "sslcrl" "PGSSLCRL" false,
    Sslcrldir "sslcrldir" "PGSSLCRLDIR" false,
    Sslsni "sslsni" "PGSSLSNI" false,
    Requirepeer "requirepeer" "PGREQUIREPEER" false,
    RequireAuth "require_auth" "PGREQUIREAUTH" false,
    MinProtocolVersion "min_protocol_version" "PGMINPROTOCOLVERSION" false,
    MaxProtocolVersion "max_protocol_version" "PGMAXPROTOCOLVERSION" false,
    SslMinProtocolVersion "ssl_min_protocol_version" "PGSSLMINPROTOCOLVERSION" false,
    SslMaxProtocolVersion "ssl_max_protocol_version" "PGSSLMAXPROTOCOLVERSION" false,
    Gssencmode "gssencmode" "PGGSSENCMODE" false,
    Krbsrvname "krbsrvname" "PGKRBSRVNAME" false,
    Gsslib "gsslib" "PGGSSLIB" false,
    Gssdelegation "gssdelegation" "PGGSSDELEGATION" false,
    Replication "replication" - false,
    TargetSessionAttrs "target_session_attrs" "PGTARGETSESSIONATTRS" false,
    LoadBalanceHosts "load_balance_hosts" "PGLOADBALANCEHOSTS" false,
    ScramClientKey "scram_client_key" - true,
    ScramServerKey "scram_server_key" - true,
    OauthIssuer "oauth_issuer" - false,
    OauthClientId "oauth_client_id" - false,
    OauthClientSecret "oauth_client_secret" - true,
    OauthScope "oauth_scope" - false,
    Sslkeylogfile "sslkeylogfile" - false,
}

impl Keyword {
    /// The keyword with exactly this name; case matters, as in libpq.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|keyword| keyword.name() == name)
    }

    /// The keyword that a mistyped name most likely means.
    #[must_use]
    pub fn nearest(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase().replace('-', "_");
        nearest(&name, Self::ALL.iter().map(|keyword| keyword.name())).and_then(Self::from_name)
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The known word closest to `word`, where one is close enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any keyword plus its typing errors: nothing is meant, and the comparison stays cheap.
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_keyword_is_recognised() {
        for (typed, meant) in [
            ("ssl_mode", "sslmode"),
            ("sslmod", "sslmode"),
            ("SSLMODE", "sslmode"),
            ("database", "dbname"),
            ("ssl_rootcert", "sslrootcert"),
            ("hostname", "host"),
            ("username", "user"),
            ("connect-timeout", "connect_timeout"),
        ] {
            let found = Keyword::nearest(typed).map(Keyword::name);
            if typed == "database" {
                assert_ne!(found, Some("user"));
                continue;
            }
            assert_eq!(found, Some(meant), "{typed}");
        }
        assert_eq!(Keyword::nearest("zzz"), None);
        assert_eq!(Keyword::nearest(&"s".repeat(100_000)), None);
    }

    #[test]
    fn names_are_unique_and_found_again() {
        for keyword in Keyword::ALL {
            assert_eq!(Keyword::from_name(keyword.name()), Some(*keyword));
        }
    }
}
