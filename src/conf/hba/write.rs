//! Records as text: what is written here is read back as the same record.

use std::fmt::{self, Write};

use super::record::{Addresses, Database, Kind, Method, Record, Role};
use super::{ClientCert, ClientName};

/// One line of `pg_hba.conf`, its fields a blank apart. Bytes that are no UTF-8 come out as U+FFFD, and characters that
/// could deceive a reader as escapes: to write such a name, take the bytes of its own line.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.as_str())?;
        list(f, &self.databases)?;
        f.write_char(' ')?;
        list(f, &self.roles)?;
        if self.kind != Kind::Local {
            write!(f, " {}", self.addresses)?;
        }
        write!(f, " {}", self.method)?;
        if let Some(map) = &self.options.map {
            f.write_char(' ')?;
            option(f, "map", map)?;
        }
        // With `cert` it is implied, and 13 to 18 all take it unsaid.
        if let Some(clientcert) = self.options.clientcert
            && self.method != Method::Cert
        {
            write!(f, " clientcert={}", ClientCert::as_str(clientcert))?;
        }
        if self.options.clientname == ClientName::DistinguishedName {
            f.write_str(" clientname=DN")?;
        }
        for (name, value) in &self.options.others {
            f.write_char(' ')?;
            let name = String::from_utf8_lossy(name);
            // A password for a directory is nobody's to see.
            if matches!(&*name, "ldapbindpasswd" | "radiussecrets") {
                write!(f, "{name}=…")?;
            } else {
                option(f, &name, value)?;
            }
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::SameUser => f.write_str("sameuser"),
            Self::SameRole => f.write_str("samerole"),
            Self::Replication => f.write_str("replication"),
            Self::Named(name) => token(f, name),
            Self::Pattern(pattern) => token(f, format!("/{}", pattern.source()).as_bytes()),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            // Quotes that begin behind the sign leave it its meaning.
            Self::MemberOf(group) => {
                f.write_char('+')?;
                token(f, group)
            }
            Self::Named(name) => token(f, name),
            Self::Pattern(pattern) => token(f, format!("/{}", pattern.source()).as_bytes()),
        }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::SameHost => f.write_str("samehost"),
            Self::SameNet => f.write_str("samenet"),
            Self::Net(net) => match net.prefix_len() {
                Some(_) => write!(f, "{net}"),
                None => write!(f, "{} {}", net.address(), net.mask()),
            },
            Self::Host(name) => token(f, name),
        }
    }
}

const KEYWORDS: [&[u8]; 8] = [
    b"all",
    b"sameuser",
    b"samerole",
    b"samegroup",
    b"replication",
    b"samehost",
    b"samenet",
    b"reject",
];

/// A token that means that text and nothing else.
fn token(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    let is_plain = !text.is_empty()
        && !KEYWORDS.contains(&text)
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:$^*".contains(byte));
    let shown = super::shown(text);
    if is_plain {
        f.write_str(&shown)
    } else {
        write!(f, "\"{}\"", shown.replace('"', "\"\""))
    }
}

fn option(f: &mut fmt::Formatter<'_>, name: &str, value: &[u8]) -> fmt::Result {
    write!(f, "{name}=")?;
    token(f, value)
}
