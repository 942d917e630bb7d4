//! `require_auth`: which ways of logging in the client puts up with.

use super::keyword::nearest;
use super::settings::Settings;
use super::values;
use super::{Error, Keyword};

pub use auth_method::AuthMethod;

mod auth_method {
    use std::fmt;

    /// A way of logging in, as `require_auth` names it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum AuthMethod {
        /// A password in the clear.
        Password,
        /// An MD5 hash of it.
        Md5,
        /// GSSAPI.
        Gss,
        /// SSPI.
        Sspi,
        /// SCRAM.
        ScramSha256,
        /// OAuth bearer token.
        Oauth,
        /// No exchange at all (`trust`, `cert`, `peer`).
        None,
    }

    impl AuthMethod {
        /// Every method.
        pub const ALL: &[Self] = &[
            Self::Password,
            Self::Md5,
            Self::Gss,
            Self::Sspi,
            Self::ScramSha256,
            Self::Oauth,
            Self::None,
        ];

        /// The word for it.
        #[must_use]
        pub const fn word(self) -> &'static str {
            match self {
                Self::Password => "password",
                Self::Md5 => "md5",
                Self::Gss => "gss",
                Self::Sspi => "sspi",
                Self::ScramSha256 => "scram-sha-256",
                Self::Oauth => "oauth",
                Self::None => "none",
            }
        }
    }

    impl fmt::Display for AuthMethod {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.word())
        }
    }
}

/// The methods that are admitted, or with `!` in front of each, those that are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequireAuth {
    /// As listed.
    methods: Vec<AuthMethod>,
    /// Whether the list forbids.
    negated: bool,
}

impl RequireAuth {
    /// Whether the server may log us in this way.
    #[must_use]
    pub fn allows(&self, method: AuthMethod) -> bool {
        self.methods.contains(&method) != self.negated
    }

    /// The list, and whether it forbids.
    #[must_use]
    pub fn methods(&self) -> (&[AuthMethod], bool) {
        (&self.methods, self.negated)
    }

    /// Reads the comma list; blanks are not skipped, and an empty value asks for nothing.
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, Error> {
        let Some(list) = settings.filled(Keyword::RequireAuth) else {
            return Ok(None);
        };
        let mut methods = Vec::new();
        let negated = list.starts_with('!');
        for item in list.split(',') {
            let (name, forbids) = item.strip_prefix('!').map_or((item, false), |name| (name, true));
            let bad = |what: String| settings.bad_value(Keyword::RequireAuth, list, what, String::new());
            let Some(method) = AuthMethod::ALL
                .iter()
                .copied()
                .find(|method| method.word() == name)
            else {
                let words: Vec<_> = AuthMethod::ALL.iter().map(|method| method.word()).collect();
                let hint = nearest(&name.trim().to_ascii_lowercase(), words.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
                let expected = format!(
                    "a list of {} without blanks, all or none with ! in front",
                    words.join(", ")
                );
                return Err(settings.bad_value(Keyword::RequireAuth, list, expected, hint));
            };
            if forbids != negated {
                return Err(bad(
                    "either methods that are admitted, or only methods with ! in front".to_owned(),
                ));
            }
            if methods.contains(&method) {
                return Err(bad(format!("each method once, {method} is there twice")));
            }
            methods.push(method);
        }
        Ok(Some(Self { methods, negated }))
    }
}

/// Checks the numbers that libpq reads when it sets up a TCP socket.
pub(super) fn check_tcp(settings: &Settings) -> Result<(), Error> {
    if values::integer(settings, Keyword::Keepalives)? != Some(0) {
        for keyword in [
            Keyword::KeepalivesIdle,
            Keyword::KeepalivesInterval,
            Keyword::KeepalivesCount,
        ] {
            values::integer(settings, keyword)?;
        }
    }
    values::integer(settings, Keyword::TcpUserTimeout).map(drop)
}
