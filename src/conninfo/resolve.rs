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
use super::tls;
use super::values::{Tcp, integer};
use super::{
    ChannelBinding, Conninfo, Environment, Error, GssEncMode, Host, Keyword, LoadBalanceHosts, Origin,
    ProtocolVersion, RequireAuth, Resolved, SslCertMode, SslMode, TargetSessionAttrs,
};

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
    let modes = tls::modes(&settings, default)?;
    let sslcertmode = SslCertMode::read(&settings, Keyword::Sslcertmode, SslCertMode::Allow)?;
    let (tls_min, tls_max) = tls::versions(&settings)?;
    let gssencmode = GssEncMode::read(&settings, Keyword::Gssencmode, GssEncMode::Prefer)?;
    let target_session_attrs =
        TargetSessionAttrs::read(&settings, Keyword::TargetSessionAttrs, TargetSessionAttrs::Any)?;
    let scram_client_key = scram_key(&settings, Keyword::ScramClientKey)?;
    let scram_server_key = scram_key(&settings, Keyword::ScramServerKey)?;
    let load_balance_hosts =
        LoadBalanceHosts::read(&settings, Keyword::LoadBalanceHosts, LoadBalanceHosts::Disable)?;
    let (protocol_min, protocol_max) = protocol_versions(&settings)?;
    let connect_timeout = timeout(&settings)?;
    let tcp = tcp(&settings, &mut hosts)?;
    if gssencmode == GssEncMode::Require && hosts.iter().all(Host::is_socket) {
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
    let files = tls::files(&settings, env, modes.system_roots);
    Ok(Resolved {
        hosts,
        user,
        dbname,
        password,
        sslmode: modes.sslmode,
        sslnegotiation: modes.negotiation,
        sslrootcert: files.root,
        sslcert: files.cert,
        sslkey: files.key,
        sslpassword: settings.filled_secret(Keyword::Sslpassword).cloned(),
        sslcrl: files.crl,
        sslcrldir: files.crl_dir,
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
        tcp,
        connect_timeout,
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

/// libpq reads these numbers when it makes a TCP socket, and passes over the server where they are none.
fn tcp(settings: &Settings, hosts: &mut [Host]) -> Result<Tcp, Error> {
    if hosts.iter().all(Host::is_socket) {
        return Ok(Tcp::default());
    }
    Tcp::read(settings).or_else(|fault| {
        for host in hosts.iter_mut().filter(|host| !host.is_socket()) {
            host.fault.get_or_insert_with(|| fault.clone());
        }
        if hosts.iter().all(|host| host.fault.is_some()) {
            return Err(fault);
        }
        Ok(Tcp::default())
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

/// Zero and less mean no limit.
fn timeout(settings: &Settings) -> Result<Option<Duration>, Error> {
    let seconds = integer(settings, Keyword::ConnectTimeout)?;
    Ok(seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs))
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
            origin: Box::new(settings.origin(keyword).clone()),
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;
    use crate::conninfo::{Located, RootCert, TlsVersion};

    fn nowhere() -> Environment {
        Environment {
            user: Some("alice".to_owned()),
            home: Some(PathBuf::from("/nonexistent")),
            socket_dir: PathBuf::from("/run/pg"),
            ..Environment::default()
        }
    }

    fn resolved(text: &str) -> Result<Resolved, Error> {
        resolve(Conninfo::parse(text)?, &nowhere())
    }

    fn refused(text: &str) -> String {
        resolved(text).unwrap_err().to_string()
    }

    /// fe-connect.c, `PQconnectPoll`: these numbers are read for a TCP socket, and where one is none that server is passed
    /// over; `setKeepalivesIdle`: below 0 is 0.
    #[test]
    fn numbers_for_tcp_are_read_for_tcp_alone() {
        let tcp = |words: &str| resolved(words).unwrap().tcp;
        assert_eq!(tcp("host=a keepalives_idle=-5").idle, Some(0));
        assert_eq!(tcp("host=a keepalives_count=128").count, Some(128));
        assert_eq!(tcp("host=a keepalives=0 keepalives_idle=x"), Tcp::default());
        assert_eq!(tcp("host=a keepalives=-1 keepalives_idle=7").idle, Some(7));
        assert_eq!(tcp("host=/s tcp_user_timeout=x"), Tcp::default());
        assert!(resolved("host=a tcp_user_timeout=x").is_err());
        let mixed = resolved("host=/s,a tcp_user_timeout=x").unwrap();
        let faulty: Vec<bool> = mixed.hosts.iter().map(|host| host.fault.is_some()).collect();
        assert_eq!(faulty, [false, true]);
    }

    /// fe-auth.c, `check_expected_areq`: a list that is there and empty lists no method.
    #[test]
    fn an_empty_require_auth_lets_only_no_proof_pass() {
        use crate::conninfo::AuthMethod;
        assert!(resolved("host=a").unwrap().require_auth.is_none());
        let empty = resolved("host=a require_auth=''").unwrap().require_auth.unwrap();
        assert!(empty.allows(AuthMethod::None));
        assert!(!empty.allows(AuthMethod::ScramSha256) && !empty.allows(AuthMethod::Password));
    }

    #[test]
    fn nothing_said_means_libpqs_defaults() {
        let all = resolved("").unwrap();
        let host = &all.hosts[0];
        assert_eq!(
            host.endpoint(),
            crate::conninfo::Endpoint::Socket("/run/pg/.s.PGSQL.5432".into())
        );
        assert_eq!(
            (all.user.as_str(), all.dbname.as_str(), all.sslmode),
            ("alice", "alice", SslMode::Prefer)
        );
        assert_eq!(all.ssl_min_protocol_version, Some(TlsVersion::Tls1_2));
        assert!(all.sslsni && all.connect_timeout.is_none() && all.warnings.is_empty());
        let home = |name: &str| Located::Default(PathBuf::from("/nonexistent/.postgresql").join(name));
        assert_eq!(all.sslrootcert, RootCert::File(home("root.crt")));
        assert_eq!(
            (all.sslcert, all.sslkey),
            (home("postgresql.crt"), home("postgresql.key"))
        );
        assert_eq!(all.sslcrl, home("root.crl"));
        assert_eq!(resolved("sslcrldir=d").unwrap().sslcrl, Located::Nowhere);
        assert_eq!(resolved("host=h port=").unwrap().hosts[0].port, 5432);
    }

    #[test]
    fn the_callers_default_gives_way_to_every_word_of_the_person() {
        let mode = |text: &str, env: &Environment| {
            resolve_with_default(Conninfo::parse(text).unwrap(), env, SslMode::VerifyFull)
                .unwrap()
                .sslmode
        };
        let mut env = nowhere();
        assert_eq!(mode("host=h", &env), SslMode::VerifyFull);
        assert_eq!(mode("host=h sslmode=prefer", &env), SslMode::Prefer);
        env.variables.insert("PGREQUIRESSL".into(), "1".into());
        assert_eq!(mode("host=h", &env), SslMode::Require);
        env.variables.insert("PGSSLMODE".into(), "allow".into());
        assert_eq!(mode("host=h", &env), SslMode::Allow);
    }

    #[test]
    fn a_refusal_names_the_place_the_value_and_what_is_allowed() {
        assert_eq!(
            refused("sslmode=verify_full"),
            "sslmode is \"verify_full\" in the connection string: expected disable, allow, prefer, require, \
             verify-ca or verify-full; did you mean \"verify-full\"?"
        );
        let mut env = nowhere();
        env.variables.insert("PGSSLMODE".into(), "on".into());
        let error = resolve(Conninfo::new(), &env).unwrap_err().to_string();
        assert!(
            error.starts_with("sslmode is \"on\" in the variable PGSSLMODE: expected"),
            "{error}"
        );
        assert_eq!(
            refused("host=a,b port=1,2,3"),
            "3 entries in port (in the connection string) do not go with 2 in host: give as many, or one port for all"
        );
        assert!(refused("sslrootcert=system sslmode=require").ends_with("use verify-full"));
        assert!(refused("sslnegotiation=direct").contains("sslmode prefer by default is too weak"));
        assert!(refused("service=x").contains("\"x\" (in the connection string) is not defined in"));
        assert!(refused("host=h port=x").contains("from 1 to 65535"));
        assert!(refused("hostaddr=db.example.org").contains("a name goes into host"));
        env.variables
            .insert("PGSSLMODE".into(), OsString::from_vec(vec![0xff]));
        assert_eq!(
            resolve(Conninfo::new(), &env).unwrap_err(),
            Error::VariableNotText("PGSSLMODE")
        );
        env.user = None;
        env.variables.clear();
        assert_eq!(resolve(Conninfo::new(), &env).unwrap_err(), Error::NoUser);
    }

    #[test]
    fn no_piece_of_a_secret_is_ever_shown() {
        let key = "scram_client_key=hunter2";
        assert!(!refused(key).contains("hunter2"));
        let torn = "postgresql://u:hunter2/x@h/db";
        assert!(!refused(torn).contains("hunter2"), "{}", refused(torn));
        assert!(!format!("{:?}", resolved(torn)).contains("hunter2"));
        let at_sign = resolved("postgresql://u:p@hunter2@h/db").unwrap();
        assert!(at_sign.warnings[0].contains("%40") && !at_sign.warnings[0].contains("hunter2"));
        let all = "password=hunter2 sslpassword=hunter2 oauth_client_secret=hunter2";
        assert!(!format!("{:?}", resolved(all).unwrap()).contains("hunter2"));
    }

    #[test]
    fn a_fault_counts_when_its_server_is_reached() {
        let ports = |text: &str| {
            resolved(text)
                .unwrap()
                .hosts
                .iter()
                .map(|host| host.port)
                .collect::<Vec<_>>()
        };
        assert_eq!(ports("host=a,b,c port=1,70000,2"), [1, 0, 2]);
        assert_eq!(ports("host=a,b,c port=1,x,2"), [1, 0]);
        assert!(resolved("host=a,b port=x,1").is_err());
        assert!(resolved("hostaddr=a,b").is_err());
        assert!(resolved("hostaddr=a,::1").unwrap().hosts[0].fault.is_some());
    }

    #[test]
    fn the_origin_of_each_value_is_known() {
        let mut env = nowhere();
        env.variables.insert("PGPORT".into(), "1".into());
        let all = resolve(Conninfo::parse("host=h password=x").unwrap(), &env).unwrap();
        assert_eq!(all.origin(Keyword::Host), &Origin::Explicit);
        assert_eq!(all.origin(Keyword::Port), &Origin::Variable("PGPORT"));
        assert_eq!(all.origin(Keyword::Sslmode), &Origin::Default);
        assert_eq!(
            (all.setting(Keyword::Port), all.setting(Keyword::Password)),
            (Some("1"), None)
        );
    }
}
