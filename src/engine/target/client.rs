//! From a resolved conninfo to the client that libpq would be.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;

use secrecy::SecretString;

use crate::conninfo::{
    self, Endpoint, GssEncMode, Host, HostAddr, Keyword, Origin, Resolved, RootCert, SslCertMode,
};
use crate::conninfo::{SslMode, SslNegotiation};
use crate::dial::{AuthName, ChannelBinding, Negotiation, TcpOptions};
use crate::verify::{Choice, Client, Dialler, Peer, Place, Server, Versions, Words};

use super::{identity, root};

/// Reads the files, in libpq's order, and everything else that a connection depends on.
pub fn client(resolved: &Resolved, passphrase: Option<&SecretString>) -> Client {
    let mut notes = resolved.warnings.clone();
    let root = root::read(resolved, &mut notes);
    let identity = identity::read(resolved, passphrase);
    Client {
        servers: servers(resolved),
        user: resolved.user.clone(),
        dbname: resolved.dbname.clone(),
        sslmode: resolved.sslmode,
        sslmode_choice: if sslmode_assumed(resolved) {
            Choice::Ours
        } else {
            Choice::Libpq
        },
        negotiation: match resolved.sslnegotiation {
            SslNegotiation::Postgres => Negotiation::Request,
            SslNegotiation::Direct => Negotiation::Direct,
        },
        sni: resolved.sslsni,
        versions: versions(resolved),
        root,
        identity,
        channel_binding: match resolved.channel_binding {
            conninfo::ChannelBinding::Disable => ChannelBinding::Disable,
            conninfo::ChannelBinding::Prefer => ChannelBinding::Prefer,
            conninfo::ChannelBinding::Require => ChannelBinding::Require,
        },
        allowed: allowed(resolved),
        certificate_required: resolved.sslcertmode == SslCertMode::Require,
        options: options(resolved),
        application_name: resolved.application_name.clone(),
        attributes: resolved.target_session_attrs,
        newest_protocol: resolved.min_protocol_version == Some(conninfo::ProtocolVersion::V3_2),
        dialler: Dialler::Ourselves,
        peer: resolved.requirepeer.as_ref().map(|name| Peer {
            name: name.clone(),
            uid: uid(name),
        }),
        unspoken: unspoken(resolved),
        unspoken_login: unspoken_login(resolved),
        tcp: TcpOptions {
            idle: resolved.tcp.idle,
            interval: resolved.tcp.interval,
            count: resolved.tcp.count,
            user_timeout: resolved.tcp.user_timeout,
        },
        patience: resolved.connect_timeout,
        notes,
        words: words(resolved),
    }
}

/// The servers, in the order in which they are tried.
pub fn servers(resolved: &Resolved) -> Vec<Server> {
    resolved.hosts.iter().map(|host| server(resolved, host)).collect()
}

fn server(resolved: &Resolved, host: &Host) -> Server {
    let place = match (&host.fault, host.endpoint()) {
        (Some(fault), _) => Place::Fault(fault.to_string()),
        (None, Endpoint::Socket(path)) => Place::Socket(path),
        (None, Endpoint::Name(name)) => Place::Name(name.to_owned(), host.port),
        (None, Endpoint::Address(address)) => Place::Address(socket_address(address, host.port)),
    };
    Server {
        label: host.label().to_owned(),
        name: host.host.clone(),
        place,
        password: resolved.password_for(host).cloned(),
    }
}

fn socket_address(address: &HostAddr, port: u16) -> SocketAddr {
    match (address.ip, &address.zone) {
        (IpAddr::V6(ip), Some(zone)) => {
            SocketAddrV6::new(ip, port, 0, interface(zone).unwrap_or_default()).into()
        }
        (ip, _) => SocketAddr::new(ip, port),
    }
}

/// The number of a network interface: itself, or what the kernel says of the name.
fn interface(zone: &str) -> Option<u32> {
    let known = |zone: &str| {
        let plain = !zone.contains(['/', '\0']) && !zone.starts_with('.');
        let path = Path::new("/sys/class/net").join(zone).join("ifindex");
        std::fs::read_to_string(path).ok().filter(|_| plain)
    };
    zone.parse()
        .ok()
        .or_else(|| known(zone).and_then(|text| text.trim().parse().ok()))
}

/// Whether the strictest `sslmode` was taken for want of one. libpq takes `prefer` then, but for the system's own roots
/// (<https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-SSLROOTCERT>), and TLS never over a socket.
fn sslmode_assumed(resolved: &Resolved) -> bool {
    resolved.sslmode != SslMode::Prefer
        && *resolved.origin(Keyword::Sslmode) == Origin::Default
        && resolved.sslrootcert != RootCert::System
        && !resolved.hosts.iter().all(Host::is_socket)
}

fn versions(resolved: &Resolved) -> Versions {
    use conninfo::TlsVersion;
    let (low, high) = (
        resolved.ssl_min_protocol_version,
        resolved.ssl_max_protocol_version,
    );
    let within = |version| low.is_none_or(|low| low <= version) && high.is_none_or(|high| version <= high);
    Versions {
        tls12: within(TlsVersion::Tls1_2),
        tls13: within(TlsVersion::Tls1_3),
        older: within(TlsVersion::Tls1_0) || within(TlsVersion::Tls1_1),
    }
}

fn allowed(resolved: &Resolved) -> Option<Vec<AuthName>> {
    use conninfo::AuthMethod;
    let require_auth = resolved.require_auth.as_ref()?;
    let names = [
        (AuthMethod::None, AuthName::None),
        (AuthMethod::Password, AuthName::Password),
        (AuthMethod::Md5, AuthName::Md5),
        (AuthMethod::Gss, AuthName::Gss),
        (AuthMethod::Sspi, AuthName::Sspi),
        (AuthMethod::ScramSha256, AuthName::ScramSha256),
    ];
    Some(
        names
            .into_iter()
            .filter(|(method, _)| require_auth.allows(*method))
            .map(|(_, name)| name)
            .collect(),
    )
}

/// `options`, and the encoding that the server would be asked for: a server refuses one that it does not know.
fn options(resolved: &Resolved) -> Option<String> {
    let encoding = resolved
        .client_encoding
        .as_ref()
        .filter(|encoding| *encoding != "auto")
        .map(|encoding| {
            // The server splits at blanks; a backslash keeps one (protocol-flow, StartupMessage).
            let escaped = encoding.chars().fold(String::new(), |mut escaped, character| {
                if character.is_ascii_whitespace() || character == '\\' {
                    escaped.push('\\');
                }
                escaped.push(character);
                escaped
            });
            format!("-c client_encoding={escaped}")
        });
    match (&resolved.options, encoding) {
        (Some(options), Some(encoding)) => Some(format!("{options} {encoding}")),
        (Some(options), None) => Some(options.clone()),
        (None, encoding) => encoding,
    }
}

/// What cannot be done here, and psql might do.
fn unspoken(resolved: &Resolved) -> Option<String> {
    let is_local = resolved.hosts.iter().all(Host::is_socket);
    if resolved.gssencmode == GssEncMode::Require && !is_local {
        return Some(
            "gssencmode=require: GSSAPI encryption is not supported here; psql refuses without a Kerberos ticket"
                .to_owned(),
        );
    }
    None
}

/// What cannot be done in a login here, and psql might do.
fn unspoken_login(resolved: &Resolved) -> Option<String> {
    let replication = resolved.replication.as_deref().filter(|value| {
        let value = value.to_ascii_lowercase();
        !matches!(value.as_str(), "" | "false" | "off" | "no" | "0" | "f" | "n")
    });
    if replication.is_some() {
        return Some("replication: replication connections are not supported here".to_owned());
    }
    (resolved.scram_client_key.is_some() || resolved.scram_server_key.is_some())
        .then(|| "scram_client_key and scram_server_key are not supported here".to_owned())
}

/// The account's number, as far as this machine's own list of accounts has it.
fn uid(name: &str) -> Option<u32> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

fn words(resolved: &Resolved) -> Words {
    let shown = |path: Option<&std::path::PathBuf>, keyword: Keyword| {
        path.map_or_else(|| keyword.name().to_owned(), |path| path.display().to_string())
    };
    let root = match &resolved.sslrootcert {
        RootCert::System => "this machine's trusted roots".to_owned(),
        RootCert::File(located) => shown(located.path(), Keyword::Sslrootcert),
    };
    Words::default()
        .with("user", &resolved.user)
        .with("database", &resolved.dbname)
        .with("root", &root)
        .with("cert", &shown(resolved.sslcert.path(), Keyword::Sslcert))
        .with("key", &shown(resolved.sslkey.path(), Keyword::Sslkey))
        .with("port", "5432")
}

/// Whether this sslmode cannot do without a root file.
pub fn must_verify(resolved: &Resolved) -> bool {
    matches!(resolved.sslmode, SslMode::VerifyCa | SslMode::VerifyFull)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use crate::conninfo::{Conninfo, Environment, resolve_with_default};

    use super::*;

    /// <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-SSLMODE>: the default is `prefer`, with
    /// `sslrootcert=system` it is `verify-full`, and sockets know no TLS.
    #[test]
    fn an_sslmode_is_assumed_where_psql_would_take_a_weaker_one() {
        let assumed = |words: &str| {
            let env = Environment {
                user: Some("me".to_owned()),
                ..Environment::default()
            };
            let resolved = resolve_with_default(Conninfo::parse(words).unwrap(), &env, SslMode::VerifyFull);
            sslmode_assumed(&resolved.unwrap())
        };
        assert!(assumed("host=db"));
        assert!(assumed("host=/run,db"));
        for said in ["verify-full", "require", "prefer"] {
            assert!(!assumed(&format!("host=db sslmode={said}")));
        }
        assert!(!assumed("host=db sslrootcert=system"));
        assert!(!assumed("host=/run"));
    }
}
