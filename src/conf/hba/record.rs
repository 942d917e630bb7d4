//! One record of `pg_hba.conf`: what its fields mean, or why PostgreSQL refuses them (`parse_hba_line`).

use std::fmt;

use super::Problem;
use super::options::{Options, read_option, settle};
use crate::conf::Dialect;
use crate::conf::address::{Net, numeric, prefix_length};
use crate::conf::pattern::Pattern;
use crate::conf::token::Token;

/// Bytes of a name as they stand in the file, quotes taken off. Show them through [`shown`].
pub type Name = Box<[u8]>;

/// Which connections a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `local`: over a Unix socket.
    Local,
    /// `host`: over TCP, with or without TLS.
    Host,
    /// `hostssl`: with TLS.
    HostSsl,
    /// `hostnossl`: without TLS.
    HostNoSsl,
    /// `hostgssenc`: encrypted by GSSAPI.
    HostGssEnc,
    /// `hostnogssenc`: not encrypted by GSSAPI.
    HostNoGssEnc,
}

impl Kind {
    /// Its word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Host => "host",
            Self::HostSsl => "hostssl",
            Self::HostNoSsl => "hostnossl",
            Self::HostGssEnc => "hostgssenc",
            Self::HostNoGssEnc => "hostnogssenc",
        }
    }

    const ALL: [Self; 6] = [
        Self::Local,
        Self::Host,
        Self::HostSsl,
        Self::HostNoSsl,
        Self::HostGssEnc,
        Self::HostNoGssEnc,
    ];
}

/// One item of the list of databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// `all`: every database, but no physical replication.
    All,
    /// `sameuser`: the database of the role's name.
    SameUser,
    /// `samerole`, `samegroup`: databases named like a role that the role is a member of.
    SameRole,
    /// `replication`: physical replication.
    Replication,
    /// That database.
    Named(Name),
    /// Databases that match an expression (16 and later).
    Pattern(Pattern),
}

/// One item of the list of roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// `all`.
    All,
    /// `+group`: every role that is a member of it, directly or not.
    MemberOf(Name),
    /// That role.
    Named(Name),
    /// Roles that match an expression (16 and later).
    Pattern(Pattern),
}

/// Where a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// `all`, and what a `local` record has.
    All,
    /// `samehost`: an address of the server itself.
    SameHost,
    /// `samenet`: a network that the server is in.
    SameNet,
    /// An address range.
    Net(Net),
    /// A host name, or with a leading dot the names below it.
    Host(Name),
}

impl Addresses {
    /// Whether only the server's own machine is meant. `localhost` is its name for itself (RFC 6761, 6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Net(net) => net.is_loopback(),
            Self::SameHost => true,
            Self::Host(name) => name.eq_ignore_ascii_case(b"localhost"),
            Self::All | Self::SameNet => false,
        }
    }
}

/// How a login is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "PostgreSQL's own names: auth-methods.html explains them"
)]
pub enum Method {
    Trust,
    Reject,
    ScramSha256,
    Md5,
    Password,
    Cert,
    Ident,
    Peer,
    Gss,
    Sspi,
    Pam,
    Bsd,
    Ldap,
    Radius,
    Oauth,
}

impl Method {
    const ALL: [Self; 15] = [
        Self::Trust,
        Self::Reject,
        Self::ScramSha256,
        Self::Md5,
        Self::Password,
        Self::Cert,
        Self::Ident,
        Self::Peer,
        Self::Gss,
        Self::Sspi,
        Self::Pam,
        Self::Bsd,
        Self::Ldap,
        Self::Radius,
        Self::Oauth,
    ];

    /// Its word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Reject => "reject",
            Self::ScramSha256 => "scram-sha-256",
            Self::Md5 => "md5",
            Self::Password => "password",
            Self::Cert => "cert",
            Self::Ident => "ident",
            Self::Peer => "peer",
            Self::Gss => "gss",
            Self::Sspi => "sspi",
            Self::Pam => "pam",
            Self::Bsd => "bsd",
            Self::Ldap => "ldap",
            Self::Radius => "radius",
            Self::Oauth => "oauth",
        }
    }

    /// Whether the client sends its password as it is, so that whoever listens on a plain connection has it.
    #[must_use]
    pub const fn sends_password(self) -> bool {
        matches!(
            self,
            Self::Password | Self::Pam | Self::Bsd | Self::Ldap | Self::Radius
        )
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record that PostgreSQL takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which connections it is about.
    pub kind: Kind,
    /// The databases, at least one.
    pub databases: Box<[Database]>,
    /// The roles, at least one.
    pub roles: Box<[Role]>,
    /// The addresses; [`Addresses::All`] in a `local` record.
    pub addresses: Addresses,
    /// How the login is checked.
    pub method: Method,
    /// With which options.
    pub options: Options,
}

/// A name as it may be shown.
#[must_use]
pub fn shown(name: &[u8]) -> String {
    crate::pki::printable(&String::from_utf8_lossy(name))
}

impl Record {
    /// Reads the fields of a line.
    pub(super) fn read(fields: &[Vec<Token>], dialect: Dialect) -> Result<Self, Problem> {
        let mut fields = fields.iter().map(Vec::as_slice);
        let mut next = |missing: &'static str| fields.next().ok_or(Problem::new(missing));

        let kind = single(next("")?, "multiple values specified for connection type")?;
        let kind = Kind::ALL
            .into_iter()
            .find(|known| kind.is(known.as_str()))
            .ok_or_else(|| Problem::new(format!("invalid connection type \"{}\"", lossy(&kind.text))))?;
        let databases = next("end-of-line before database specification")?
            .iter()
            .map(|token| database(token, dialect))
            .collect::<Result<_, _>>()?;
        let roles = next("end-of-line before role specification")?
            .iter()
            .map(|token| role(token, dialect))
            .collect::<Result<_, _>>()?;
        let addresses = if kind == Kind::Local {
            Addresses::All
        } else {
            let token = single(
                next("end-of-line before IP address specification")?,
                "multiple values specified for host address",
            )?;
            addresses(token, || {
                single(
                    next("end-of-line before netmask specification")?,
                    "multiple values specified for netmask",
                )
            })?
        };
        let token = single(
            next("end-of-line before authentication method")?,
            "multiple values specified for authentication type",
        )?;
        let method = method(token, kind, dialect)?;
        let mut options = Options::default();
        for token in fields.flatten() {
            read_option(&mut options, &token.text, kind, method, dialect)?;
        }
        settle(&mut options, method, dialect)?;
        Ok(Self {
            kind,
            databases,
            roles,
            addresses,
            method,
            options,
        })
    }
}

/// Text as PostgreSQL's messages quote it.
pub(in crate::conf) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn single<'a>(tokens: &'a [Token], many: &'static str) -> Result<&'a Token, Problem> {
    match tokens {
        [token] => Ok(token),
        _ => Err(Problem::new(many)),
    }
}

/// The expression that a token is, if it is one: quotes do not keep it from being one.
fn pattern(token: &Token, dialect: Dialect) -> Result<Option<Pattern>, Problem> {
    let Some(source) = token
        .text
        .strip_prefix(b"/")
        .filter(|_| dialect.has_includes_and_patterns())
    else {
        return Ok(None);
    };
    Pattern::new(source).map(Some).map_err(|why| {
        Problem::new(format!(
            "invalid regular expression \"{}\": {}",
            lossy(source),
            why.0
        ))
    })
}

fn database(token: &Token, dialect: Dialect) -> Result<Database, Problem> {
    if !token.quoted {
        match &*token.text {
            b"all" => return Ok(Database::All),
            b"sameuser" => return Ok(Database::SameUser),
            b"samerole" | b"samegroup" => return Ok(Database::SameRole),
            b"replication" => return Ok(Database::Replication),
            _ => {}
        }
    }
    Ok(match pattern(token, dialect)? {
        Some(pattern) => Database::Pattern(pattern),
        None => Database::Named(token.text.clone()),
    })
}

pub(in crate::conf) fn role(token: &Token, dialect: Dialect) -> Result<Role, Problem> {
    if token.is_keyword("all") {
        return Ok(Role::All);
    }
    if let (false, Some(group)) = (token.quoted, token.text.strip_prefix(b"+")) {
        return Ok(Role::MemberOf(group.into()));
    }
    Ok(match pattern(token, dialect)? {
        Some(pattern) => Role::Pattern(pattern),
        None => Role::Named(token.text.clone()),
    })
}

fn addresses<'a>(
    token: &'a Token,
    mask: impl FnOnce() -> Result<&'a Token, Problem>,
) -> Result<Addresses, Problem> {
    for (keyword, addresses) in [
        ("all", Addresses::All),
        ("samehost", Addresses::SameHost),
        ("samenet", Addresses::SameNet),
    ] {
        if token.is_keyword(keyword) {
            return Ok(addresses);
        }
    }
    let slash = token.text.iter().position(|byte| *byte == b'/');
    let (address, length) = match slash {
        Some(at) => (&token.text[..at], Some(&token.text[at + 1..])),
        None => (&*token.text, None),
    };
    match (numeric(address), length) {
        (None, None) => Ok(Addresses::Host(token.text.clone())),
        (None, Some(_)) => Err(Problem::new(format!(
            "specifying both host name and CIDR mask is invalid: \"{}\"",
            lossy(&token.text)
        ))),
        (Some(ip), Some(length)) => prefix_length(length)
            .and_then(|length| Net::with_prefix(ip, length))
            .map(Addresses::Net)
            .ok_or_else(|| Problem::new(format!("invalid CIDR mask in address \"{}\"", lossy(&token.text)))),
        (Some(ip), None) => {
            let token = mask()?;
            let mask = numeric(&token.text).ok_or_else(|| {
                Problem::new(format!(
                    "invalid IP mask \"{}\": Name or service not known",
                    lossy(&token.text)
                ))
            })?;
            Net::new(ip, mask)
                .map(Addresses::Net)
                .ok_or(Problem::new("IP address and mask do not match"))
        }
    }
}

fn method(token: &Token, kind: Kind, dialect: Dialect) -> Result<Method, Problem> {
    let method = Method::ALL
        .into_iter()
        .find(|known| token.is(known.as_str()))
        .filter(|known| *known != Method::Oauth || dialect.has_oauth())
        .ok_or_else(|| {
            Problem::new(format!(
                "invalid authentication method \"{}\"",
                lossy(&token.text)
            ))
        })?;
    match (kind, method) {
        // An old habit that PostgreSQL keeps up.
        (Kind::Local, Method::Ident) => Ok(Method::Peer),
        (Kind::Local, Method::Gss) => Err(Problem::new(
            "gssapi authentication is not supported on local sockets",
        )),
        (_, Method::Peer) if kind != Kind::Local => Err(Problem::new(
            "peer authentication is only supported on local sockets",
        )),
        (_, Method::Cert) if kind != Kind::HostSsl => Err(Problem::new(
            "cert authentication is only supported on hostssl connections",
        )),
        // Only servers on Windows have it.
        (_, Method::Sspi) => Err(Problem::new(
            "invalid authentication method \"sspi\": not supported by this build",
        )),
        // Only servers on OpenBSD and its kin have it.
        (_, Method::Bsd) => Err(Problem::new(
            "invalid authentication method \"bsd\": not supported by this build",
        )),
        (_, method) => Ok(method),
    }
}
