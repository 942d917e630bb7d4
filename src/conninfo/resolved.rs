//! What libpq would connect with, as typed values.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::settings::Settings;
use super::{
    ChannelBinding, GssEncMode, Host, Keyword, LoadBalanceHosts, Origin, ProtocolVersion, RequireAuth,
    SslCertMode, SslMode, SslNegotiation, TargetSessionAttrs, Tcp, TlsVersion,
};

/// A file that a parameter names, or that libpq looks for by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// The person named it.
    Named(PathBuf),
    /// libpq's place for it, below `~/.postgresql`; used if it exists.
    Default(PathBuf),
    /// Not named, and there is no home directory.
    Nowhere,
}

impl Located {
    /// The path, wherever it comes from.
    #[must_use]
    pub const fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Named(path) | Self::Default(path) => Some(path),
            Self::Nowhere => None,
        }
    }
}

/// `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// A file with trusted certificates.
    File(Located),
    /// The operating system's trusted certificates (`sslrootcert=system`).
    System,
}

/// Everything libpq would connect with.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The servers to try, in order; never empty, and at least one without fault.
    pub hosts: Vec<Host>,
    /// The role.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// The password that the parameters give; the password file's are with the hosts: see
    /// [`Self::password_for`].
    pub password: Option<SecretString>,
    /// `sslmode`; without effect on Unix sockets.
    pub sslmode: SslMode,
    /// `sslnegotiation`
    pub sslnegotiation: SslNegotiation,
    /// `sslrootcert`
    pub sslrootcert: RootCert,
    /// `sslcert`
    pub sslcert: Located,
    /// `sslkey`
    pub sslkey: Located,
    /// `sslpassword`
    pub sslpassword: Option<SecretString>,
    /// `sslcrl`; the default counts only where `sslcrldir` is not set either, as in libpq.
    pub sslcrl: Located,
    /// `sslcrldir`
    pub sslcrldir: Option<PathBuf>,
    /// `sslcertmode`
    pub sslcertmode: SslCertMode,
    /// `sslsni`
    pub sslsni: bool,
    /// `ssl_min_protocol_version`; `None`: whatever the TLS library allows.
    pub ssl_min_protocol_version: Option<TlsVersion>,
    /// `ssl_max_protocol_version`; `None`: whatever the TLS library allows.
    pub ssl_max_protocol_version: Option<TlsVersion>,
    /// `sslkeylogfile`
    pub sslkeylogfile: Option<PathBuf>,
    /// `channel_binding`
    pub channel_binding: ChannelBinding,
    /// `require_auth`
    pub require_auth: Option<RequireAuth>,
    /// `requirepeer`
    pub requirepeer: Option<String>,
    /// `gssencmode`
    pub gssencmode: GssEncMode,
    /// `keepalives` and what goes with it, `tcp_user_timeout`
    pub tcp: Tcp,
    /// `connect_timeout`, for each server; `None`: without end.
    pub connect_timeout: Option<Duration>,
    /// `target_session_attrs`
    pub target_session_attrs: TargetSessionAttrs,
    /// `load_balance_hosts`
    pub load_balance_hosts: LoadBalanceHosts,
    /// `min_protocol_version`
    pub min_protocol_version: Option<ProtocolVersion>,
    /// `max_protocol_version`
    pub max_protocol_version: Option<ProtocolVersion>,
    /// `scram_client_key`, base64 of 32 bytes.
    pub scram_client_key: Option<SecretString>,
    /// `scram_server_key`, base64 of 32 bytes.
    pub scram_server_key: Option<SecretString>,
    /// `options`
    pub options: Option<String>,
    /// `application_name`, else `fallback_application_name`.
    pub application_name: Option<String>,
    /// `client_encoding`
    pub client_encoding: Option<String>,
    /// `replication`
    pub replication: Option<String>,
    /// The password file that was consulted or would have been.
    pub passfile: Option<PathBuf>,
    /// What the person should know, though libpq goes on.
    pub warnings: Vec<String>,
    pub(super) settings: Settings,
}

impl Resolved {
    /// The password for a server: the given one, else the password file's.
    #[must_use]
    pub fn password_for<'a>(&'a self, host: &'a Host) -> Option<&'a SecretString> {
        self.password.as_ref().or(host.password.as_ref())
    }

    /// Who set a keyword.
    #[must_use]
    pub fn origin(&self, keyword: Keyword) -> &Origin {
        self.settings.origin(keyword)
    }

    /// The value of any keyword that is not secret, as the layers gave it; `None` where nobody did.
    #[must_use]
    pub fn setting(&self, keyword: Keyword) -> Option<&str> {
        if keyword.is_secret() {
            None
        } else {
            self.settings.get(keyword)
        }
    }
}
