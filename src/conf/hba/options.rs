//! The options behind the method (`parse_hba_auth_opt`), and which of them go with which method.

use super::Problem;
use super::record::{Kind, Method, Name, lossy};
use crate::conf::Dialect;

/// What a record wants of the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientCert {
    /// `verify-ca`: some certificate of a CA in `ssl_ca_file`.
    VerifyCa,
    /// `verify-full`: one that carries the role's name, too.
    VerifyFull,
}

impl ClientCert {
    /// Its word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Which name of a client certificate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClientName {
    /// The common name.
    #[default]
    CommonName,
    /// The whole distinguished name, as RFC 2253 writes it.
    DistinguishedName,
}

/// The options of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The map of `pg_ident.conf` that names go through.
    pub map: Option<Name>,
    /// What is wanted of the client's certificate; always [`ClientCert::VerifyFull`] with the method `cert`.
    pub clientcert: Option<ClientCert>,
    /// Whether `clientcert` has a value that 14 and later refuse (`0`, `1`, `no-verify`).
    pub has_old_clientcert: bool,
    /// Which of its names counts.
    pub clientname: ClientName,
    /// All others, name and value, in their order.
    pub others: Box<[(Name, Name)]>,
}

impl Options {
    fn other(&self, name: &str) -> Option<&[u8]> {
        self.others
            .iter()
            .rev()
            .find(|(known, _)| &**known == name.as_bytes())
            .map(|(_, value)| &**value)
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        let mut others = std::mem::take(&mut self.others).into_vec();
        others.push((name.into(), value.into()));
        self.others = others.into();
    }
}

/// The options of one method alone, and how PostgreSQL's messages call that method.
const OF_METHODS: [(Method, &str, &[&str]); 4] = [
    (Method::Pam, "pam", &["pamservice", "pam_use_hostname"]),
    (
        Method::Ldap,
        "ldap",
        &[
            "ldapurl",
            "ldaptls",
            "ldapscheme",
            "ldapserver",
            "ldapport",
            "ldapbinddn",
            "ldapbindpasswd",
            "ldapsearchattribute",
            "ldapsearchfilter",
            "ldapbasedn",
            "ldapprefix",
            "ldapsuffix",
        ],
    ),
    (
        Method::Radius,
        "radius",
        &[
            "radiusservers",
            "radiusports",
            "radiussecrets",
            "radiusidentifiers",
        ],
    ),
    (
        Method::Oauth,
        "oauth",
        &["issuer", "scope", "validator", "delegate_ident_mapping"],
    ),
];

/// Reads one `name=value`.
pub(super) fn read_option(
    options: &mut Options,
    text: &[u8],
    kind: Kind,
    method: Method,
    dialect: Dialect,
) -> Result<(), Problem> {
    let Some(at) = text.iter().position(|byte| *byte == b'=') else {
        return Err(Problem::new(format!(
            "authentication option not in name=value format: {}",
            lossy(text)
        )));
    };
    let (name, value) = (&text[..at], &text[at + 1..]);
    let name = std::str::from_utf8(name).unwrap_or("?");
    match name {
        "map" => {
            if !may_map(method) {
                let mut methods = "ident, peer, gssapi, sspi, and cert";
                if dialect.has_oauth() {
                    methods = "ident, peer, gssapi, sspi, cert, and oauth";
                }
                return Err(only_for(name, methods));
            }
            options.map = Some(value.into());
        }
        "clientcert" => {
            options.clientcert = clientcert(value, kind, method, dialect)?;
            options.has_old_clientcert = !matches!(value, b"verify-ca" | b"verify-full");
        }
        "clientname" if dialect.has_strict_clientcert() => {
            if kind != Kind::HostSsl {
                return Err(Problem::new(
                    "clientname can only be configured for \"hostssl\" rows",
                ));
            }
            options.clientname = match value {
                b"CN" => ClientName::CommonName,
                b"DN" => ClientName::DistinguishedName,
                _ => {
                    return Err(Problem::hidden(format!(
                        "invalid value for clientname: \"{}\"",
                        lossy(value)
                    )));
                }
            };
        }
        "krb_realm" | "include_realm" => {
            if method != Method::Gss {
                return Err(only_for(name, "gssapi and sspi"));
            }
            options.push(name.as_bytes(), value);
        }
        "compat_realm" | "upn_username" => return Err(only_for(name, "sspi")),
        _ => {
            let Some((owner, called, _)) = OF_METHODS.iter().find(|(owner, _, names)| {
                names.contains(&name) && (*owner != Method::Oauth || dialect.has_oauth())
            }) else {
                return Err(Problem::new(format!(
                    "unrecognized authentication option name: \"{}\"",
                    lossy(&text[..at])
                )));
            };
            if *owner != method {
                return Err(only_for(name, called));
            }
            judge(name, value)?;
            options.push(name.as_bytes(), value);
        }
    }
    Ok(())
}

const fn may_map(method: Method) -> bool {
    matches!(
        method,
        Method::Ident | Method::Peer | Method::Gss | Method::Sspi | Method::Cert | Method::Oauth
    )
}

fn only_for(name: &str, methods: &str) -> Problem {
    Problem::new(format!(
        "authentication option \"{name}\" is only valid for authentication methods {methods}"
    ))
}

fn clientcert(
    value: &[u8],
    kind: Kind,
    method: Method,
    dialect: Dialect,
) -> Result<Option<ClientCert>, Problem> {
    if kind != Kind::HostSsl {
        return Err(Problem::new(
            "clientcert can only be configured for \"hostssl\" rows",
        ));
    }
    match (value, dialect.has_strict_clientcert()) {
        (b"verify-full", _) => Ok(Some(ClientCert::VerifyFull)),
        (b"verify-ca", true) if method == Method::Cert => Err(Problem::new(
            "clientcert can only be set to \"verify-full\" when using \"cert\" authentication",
        )),
        (b"verify-ca", _) | (b"1", false) => Ok(Some(ClientCert::VerifyCa)),
        (b"0" | b"no-verify", false) if method == Method::Cert => Err(Problem::new(
            "clientcert cannot be set to \"no-verify\" when using \"cert\" authentication",
        )),
        (b"0" | b"no-verify", false) => Ok(None),
        _ => Err(Problem::hidden(format!(
            "invalid value for clientcert: \"{}\"",
            lossy(value)
        ))),
    }
}

/// The values that PostgreSQL looks at when it reads the file.
fn judge(name: &str, value: &[u8]) -> Result<(), Problem> {
    let number = || {
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0u64, |number, digit| {
            number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        })
    };
    match name {
        "ldapport" if number() == 0 => Err(Problem::hidden(format!(
            "invalid LDAP port number: \"{}\"",
            lossy(value)
        ))),
        "ldapurl" => {
            let scheme = value.split(|byte| *byte == b':').next().unwrap_or_default();
            if matches!(scheme.to_ascii_lowercase().as_slice(), b"ldap" | b"ldaps") {
                Ok(())
            } else {
                Err(Problem::hidden(format!("invalid LDAP URL \"{}\"", lossy(value))))
            }
        }
        _ => Ok(()),
    }
}

/// What must be there, what must not be there together, and what follows.
pub(super) fn settle(options: &mut Options, method: Method, dialect: Dialect) -> Result<(), Problem> {
    let needs = |names: &[&str], called: &str| {
        names
            .iter()
            .find(|name| options.other(name).is_none())
            .map_or(Ok(()), |name| {
                Err(Problem::new(format!(
                    "authentication method \"{called}\" requires argument \"{name}\" to be set"
                )))
            })
    };
    match method {
        Method::Cert => options.clientcert = Some(ClientCert::VerifyFull),
        Method::Ldap => ldap(options)?,
        Method::Radius => {
            needs(&["radiusservers", "radiussecrets"], "radius")?;
            let count = |name: &str| {
                options.other(name).map_or(0, |list| {
                    let items = list.split(|byte| *byte == b',').count();
                    if list.trim_ascii().is_empty() { 0 } else { items }
                })
            };
            let servers = count("radiusservers");
            if servers == 0 {
                return Err(Problem::new("list of RADIUS servers cannot be empty"));
            }
            for (name, called, may_lack) in [
                ("radiussecrets", "secrets", false),
                ("radiusports", "ports", true),
                ("radiusidentifiers", "identifiers", true),
            ] {
                let values = count(name);
                if !(values == 1 || values == servers || (may_lack && values == 0)) {
                    let text = format!(
                        "the number of RADIUS {called} ({values}) must be 1 or the same as the number of RADIUS servers \
                         ({servers})"
                    );
                    return Err(if dialect.tells_radius_lists() {
                        Problem::new(text)
                    } else {
                        Problem::hidden(text)
                    });
                }
            }
        }
        Method::Oauth => {
            needs(&["scope", "issuer"], "oauth")?;
            let delegates = options.other("delegate_ident_mapping") == Some(b"1");
            if delegates && options.map.is_some() {
                return Err(Problem::new(
                    "map cannot be used together with delegate_ident_mapping",
                ));
            }
        }
        _ => {}
    }
    Ok(())
}

fn ldap(options: &Options) -> Result<(), Problem> {
    let has = |name: &str| options.other(name).is_some();
    if has("ldapprefix") || has("ldapsuffix") {
        let searches = [
            "ldapbasedn",
            "ldapbinddn",
            "ldapbindpasswd",
            "ldapsearchattribute",
            "ldapsearchfilter",
        ];
        if searches.into_iter().any(has) {
            return Err(Problem::new(
                "cannot mix options for simple bind and search+bind modes",
            ));
        }
    } else if !has("ldapbasedn") && !has("ldapurl") {
        return Err(Problem::new(
            "authentication method \"ldap\" requires argument \"ldapbasedn\", \"ldapprefix\", or \"ldapsuffix\" to be set",
        ));
    }
    if has("ldapsearchattribute") && has("ldapsearchfilter") {
        return Err(Problem::new(
            "cannot use ldapsearchattribute together with ldapsearchfilter",
        ));
    }
    Ok(())
}
