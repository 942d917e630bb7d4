//! From what the person wrote to what libpq would do: the layers, the defaults, the checks, in libpq's order.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use secrecy::{ExposeSecret, SecretString};

use super::hosts;
use super::passfile;
use super::quote::Quoted;
use super::service;
use super::settings::Settings;
use super::values::{check_tcp, integer};
use super::{
    ChannelBinding, Conninfo, Environment, Error, GssEncMode, Host, Keyword, LoadBalanceHosts, Origin,
    ProtocolVersion, RequireAuth, SslCertMode, SslMode, SslNegotiation, TargetSessionAttrs, TlsVersion,
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
    settings: Settings,
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

/// [`resolve_with_default`] with libpq's own default, `sslmode=prefer`.
pub fn resolve(explicit: Conninfo, env: &Environment) -> Result<Resolved, Error> {
    resolve_with_default(explicit, env, SslMode::Prefer)
}

/// Adds service file, variables and defaults to what was written, checks it, and looks the password up.
///
/// `default` is the sslmode where nobody names one.
pub fn resolve_with_default(
    explicit: Conninfo,
    env: &Environment,
    default: SslMode,
) -> Result<Resolved, Error> {
    let mut settings = Settings::explicit(explicit);
    service::apply(&mut settings, env)?;
    add_variables(&mut settings, env)?;

    // From here on in the order in which libpq finds fault.
    let mut hosts = hosts::read(&settings, env)?;
    let user = match settings.filled(Keyword::User) {
        Some(user) => user.to_owned(),
        None => env.user.clone().ok_or(Error::NoUser)?,
    };
    let dbname = settings.filled(Keyword::Dbname).unwrap_or(&user).to_owned();
    let require_auth = RequireAuth::read(&settings)?;
    let channel_binding = ChannelBinding::read(&settings, Keyword::ChannelBinding, ChannelBinding::Prefer)?;
    let tls = tls_modes(&settings, default)?;
    let sslcertmode = SslCertMode::read(&settings, Keyword::Sslcertmode, SslCertMode::Allow)?;
    let (tls_min, tls_max) = tls_versions(&settings)?;
    let gssencmode = GssEncMode::read(&settings, Keyword::Gssencmode, GssEncMode::Prefer)?;
    let target_session_attrs =
        TargetSessionAttrs::read(&settings, Keyword::TargetSessionAttrs, TargetSessionAttrs::Any)?;
    let scram_client_key = scram_key(&settings, Keyword::ScramClientKey)?;
    let scram_server_key = scram_key(&settings, Keyword::ScramServerKey)?;
    let load_balance_hosts =
        LoadBalanceHosts::read(&settings, Keyword::LoadBalanceHosts, LoadBalanceHosts::Disable)?;
    let (protocol_min, protocol_max) = protocol_versions(&settings)?;
    let seconds = integer(&settings, Keyword::ConnectTimeout)?;
    if hosts.iter().any(|host| !host.is_socket()) {
        check_tcp(&settings)?;
    } else if gssencmode == GssEncMode::Require {
        return Err(Error::GssOverSocket);
    }

    let mut warnings = suspicions(&settings);
    let passfile = settings
        .filled(Keyword::Passfile)
        .map(PathBuf::from)
        .or_else(|| env.at_home(".pgpass"));
    let password = settings.filled_secret(Keyword::Password).cloned();
    if let (None, Some(file)) = (&password, &passfile) {
        match passfile::read(file) {
            Ok(Some(content)) => give_passwords(&mut hosts, &content, env, &dbname, &user),
            Ok(None) => warnings.extend(missing_passfile(&settings, file)),
            Err(warning) => warnings.push(warning),
        }
    }

    let text = |keyword| settings.filled(keyword).map(str::to_owned);
    let path = |keyword| settings.filled(keyword).map(PathBuf::from);
    let located = |keyword, name: &str| match (path(keyword), env.at_home(".postgresql")) {
        (Some(named), _) => Located::Named(named),
        (None, Some(home)) => Located::Default(home.join(name)),
        (None, None) => Located::Nowhere,
    };
    let sslrootcert = if tls.system_roots {
        RootCert::System
    } else {
        RootCert::File(located(Keyword::Sslrootcert, "root.crt"))
    };
    let sslcrldir = path(Keyword::Sslcrldir);
    let sslcrl = match located(Keyword::Sslcrl, "root.crl") {
        Located::Default(_) if sslcrldir.is_some() => Located::Nowhere,
        located => located,
    };
    Ok(Resolved {
        hosts,
        user,
        dbname,
        password,
        sslmode: tls.sslmode,
        sslnegotiation: tls.negotiation,
        sslrootcert,
        sslcert: located(Keyword::Sslcert, "postgresql.crt"),
        sslkey: located(Keyword::Sslkey, "postgresql.key"),
        sslpassword: settings.filled_secret(Keyword::Sslpassword).cloned(),
        sslcrl,
        sslcrldir,
        sslcertmode,
        sslsni: settings
            .get(Keyword::Sslsni)
            .is_none_or(|value| value.starts_with('1')),
        ssl_min_protocol_version: tls_min,
        ssl_max_protocol_version: tls_max,
        sslkeylogfile: path(Keyword::Sslkeylogfile),
        channel_binding,
        require_auth,
        requirepeer: text(Keyword::Requirepeer),
        gssencmode,
        connect_timeout: seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
        target_session_attrs,
        load_balance_hosts,
        min_protocol_version: protocol_min,
        max_protocol_version: protocol_max,
        scram_client_key,
        scram_server_key,
        options: text(Keyword::Options),
        // An empty name is a name: it keeps the fallback away.
        application_name: settings
            .get(Keyword::ApplicationName)
            .or_else(|| settings.get(Keyword::FallbackApplicationName))
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        client_encoding: text(Keyword::ClientEncoding),
        replication: text(Keyword::Replication),
        passfile,
        warnings,
        settings,
    })
}

/// `PG*`, each for the keyword that is not set yet; `PGREQUIRESSL` is the old spelling of an sslmode.
fn add_variables(settings: &mut Settings, env: &Environment) -> Result<(), Error> {
    for keyword in Keyword::ALL {
        let Some(variable) = keyword.variable().filter(|_| settings.secret(*keyword).is_none()) else {
            continue;
        };
        if let Some(value) = env.variable(variable)? {
            settings.add(*keyword, value, Origin::Variable(variable));
        }
    }
    if env
        .variable("PGREQUIRESSL")?
        .is_some_and(|value| value.starts_with('1'))
    {
        settings.add(
            Keyword::Sslmode,
            SslMode::Require.word(),
            Origin::Variable("PGREQUIRESSL"),
        );
    }
    Ok(())
}

struct TlsModes {
    sslmode: SslMode,
    system_roots: bool,
    negotiation: SslNegotiation,
}

/// `sslmode`, and the two settings that a weak one would make pointless.
fn tls_modes(settings: &Settings, default: SslMode) -> Result<TlsModes, Error> {
    let system_roots = settings.get(Keyword::Sslrootcert) == Some("system");
    // System roots without an sslmode mean verify-full, whoever asked.
    let default = if system_roots {
        SslMode::VerifyFull
    } else {
        default
    };
    let sslmode = SslMode::read(settings, Keyword::Sslmode, default)?;
    let weak = |reason, allowed| Error::WeakSslMode {
        sslmode: sslmode.word(),
        origin: settings.origin(Keyword::Sslmode).clone(),
        reason,
        allowed,
    };
    if system_roots && sslmode != SslMode::VerifyFull {
        return Err(weak(
            "sslrootcert=system (anyone can get a certificate from a public CA)",
            "verify-full",
        ));
    }
    let negotiation = SslNegotiation::read(settings, Keyword::Sslnegotiation, SslNegotiation::Postgres)?;
    if negotiation == SslNegotiation::Direct && sslmode < SslMode::Require {
        return Err(weak("sslnegotiation=direct", "require, verify-ca or verify-full"));
    }
    Ok(TlsModes {
        sslmode,
        system_roots,
        negotiation,
    })
}

fn tls_versions(settings: &Settings) -> Result<(Option<TlsVersion>, Option<TlsVersion>), Error> {
    let (min, max) = (Keyword::SslMinProtocolVersion, Keyword::SslMaxProtocolVersion);
    let low = TlsVersion::bound(settings, min, Some(TlsVersion::Tls1_2))?;
    let high = TlsVersion::bound(settings, max, None)?;
    match (low, high) {
        (Some(low), Some(high)) if low > high => Err(Error::EmptyRange {
            min,
            low: low.word(),
            max,
            high: high.word(),
        }),
        range => Ok(range),
    }
}

fn protocol_versions(
    settings: &Settings,
) -> Result<(Option<ProtocolVersion>, Option<ProtocolVersion>), Error> {
    let (min, max) = (Keyword::MinProtocolVersion, Keyword::MaxProtocolVersion);
    match (
        ProtocolVersion::bound(settings, min)?,
        ProtocolVersion::bound(settings, max)?,
    ) {
        (Some(low), Some(high)) if low > high => Err(Error::EmptyRange {
            min,
            low: low.word(),
            max,
            high: high.word(),
        }),
        range => Ok(range),
    }
}

/// RFC 5802's keys for SCRAM-SHA-256 are 32 bytes.
fn scram_key(settings: &Settings, keyword: Keyword) -> Result<Option<SecretString>, Error> {
    let Some(key) = settings.secret(keyword) else {
        return Ok(None);
    };
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(key.expose_secret())
        .map(zeroize::Zeroizing::new)
        .ok()
        .filter(|bytes| bytes.len() == 32);
    match decoded {
        Some(_) => Ok(Some(key.clone())),
        None => Err(Error::BadSecret {
            keyword,
            origin: settings.origin(keyword).clone(),
            expected: "32 bytes in base64",
        }),
    }
}

/// The default socket goes by `localhost` in a password file, however it was chosen.
fn give_passwords(hosts: &mut [Host], content: &[u8], env: &Environment, dbname: &str, user: &str) {
    for host in hosts {
        let label = host.label();
        let label = if env.socket_dir.as_os_str() == label {
            "localhost"
        } else {
            label
        };
        let wanted = passfile::Wanted {
            host: label,
            port: &host.port_text,
            dbname,
            user,
        };
        host.password = passfile::find(content, &wanted);
    }
}

fn missing_passfile(settings: &Settings, file: &std::path::Path) -> Option<String> {
    settings.filled(Keyword::Passfile)?;
    let name = Quoted::new(&file.to_string_lossy());
    Some(format!(
        "there is no password file {name}, named {}",
        settings.origin(Keyword::Passfile)
    ))
}

/// Readings that libpq accepts and that are hardly meant.
fn suspicions(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    if settings
        .get(Keyword::Host)
        .is_some_and(|host| host.contains('@') && !host.starts_with('@'))
    {
        found.push(
            "the host contains \"@\": an \"@\" in a user name or password of a URI must be written %40"
                .to_owned(),
        );
    }
    found
}
