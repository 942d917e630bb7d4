//! The URI form (<https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS>).
//!
//! `postgresql://[user[:password]@][host[:port],…][/dbname][?name=value&…]`, read as libpq reads it, which is
//! not quite RFC 3986: a `?` may stand in a password, and there are no fragments.

use zeroize::Zeroizing;

use super::error::UriError;
use super::quote::Quoted;
use super::settings::accept;
use super::{Conninfo, Error, Keyword};

/// The text after the scheme, where it has one of libpq's two schemes (case matters).
pub(super) fn without_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"))
}

/// Reads what follows the scheme.
pub(super) fn parse(text: &str) -> Result<Conninfo, Error> {
    let mut conninfo = Conninfo::new();
    let mut rest = text;
    let mut has_password = false;
    // Whatever comes first decides: an `@` before any `/` ends the user's part.
    if let Some(at) = text.find(['@', '/']).filter(|at| text[*at..].starts_with('@')) {
        let (user, password) = text[..at].split_once(':').unwrap_or((&text[..at], ""));
        if !user.is_empty() {
            set(&mut conninfo, Keyword::User, user, "user name")?;
        }
        if !password.is_empty() {
            has_password = true;
            set(&mut conninfo, Keyword::Password, password, "password")?;
        }
        rest = &text[at + 1..];
    }
    rest = hosts(&mut conninfo, rest)?;
    if let Some(path) = rest.strip_prefix('/') {
        let end = path.find('?').unwrap_or(path.len());
        if end > 0 {
            set(&mut conninfo, Keyword::Dbname, &path[..end], "database name")?;
        }
        rest = &path[end..];
    }
    if let Some(query) = rest.strip_prefix('?') {
        parameters(&mut conninfo, query, has_password)?;
    }
    Ok(conninfo)
}

fn set(conninfo: &mut Conninfo, keyword: Keyword, raw: &str, part: &'static str) -> Result<(), UriError> {
    conninfo.set(keyword, decode(raw, part)?.as_str());
    Ok(())
}

/// Reads `host:port,host:port…`; gives what follows, which begins with `/` or `?` or is empty.
///
/// The lists are joined by commas first and decoded then, so that an encoded comma separates too.
fn hosts<'a>(conninfo: &mut Conninfo, text: &'a str) -> Result<&'a str, UriError> {
    let mut rest = text;
    let (mut hosts, mut ports) = (String::new(), String::new());
    loop {
        let host;
        if let Some(inside) = rest.strip_prefix('[') {
            let end = inside.find(']').ok_or(UriError::Ipv6Unclosed)?;
            if end == 0 {
                return Err(UriError::Ipv6Empty);
            }
            host = &inside[..end];
            rest = &inside[end + 1..];
            if let Some(other) = rest
                .chars()
                .next()
                .filter(|c| !matches!(c, ':' | '/' | '?' | ','))
            {
                return Err(UriError::AfterIpv6(Quoted::new(&other.to_string())));
            }
        } else {
            let end = rest.find([':', '/', '?', ',']).unwrap_or(rest.len());
            (host, rest) = rest.split_at(end);
        }
        hosts.push_str(host);
        if let Some(port) = rest.strip_prefix(':') {
            let end = port.find(['/', '?', ',']).unwrap_or(port.len());
            ports.push_str(&port[..end]);
            rest = &port[end..];
        }
        let Some(next) = rest.strip_prefix(',') else { break };
        hosts.push(',');
        ports.push(',');
        rest = next;
    }
    if !hosts.is_empty() {
        set(conninfo, Keyword::Host, &hosts, "host")?;
    }
    if !ports.is_empty() {
        set(conninfo, Keyword::Port, &ports, "port")?;
    }
    Ok(rest)
}

/// Reads `name=value&…`; a final `&` is forgiven.
fn parameters(conninfo: &mut Conninfo, query: &str, mut after_secret: bool) -> Result<(), Error> {
    let query = query
        .strip_suffix('&')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(query);
    if query.is_empty() {
        return Ok(());
    }
    for (index, parameter) in query.split('&').enumerate() {
        let (name, value) = parameter
            .split_once('=')
            .ok_or(UriError::ParameterWithoutEquals(index + 1))?;
        if value.contains('=') {
            return Err(UriError::ParameterWithTwoEquals(index + 1).into());
        }
        let (name, value) = (
            decode(name, "name of a parameter")?,
            decode(value, "value of a parameter")?,
        );
        // JDBC's spelling; any other value of it is refused.
        if name.as_str() == "ssl" && value.as_str() == "true" {
            conninfo.set(Keyword::Sslmode, "require");
            continue;
        }
        let keyword = accept(conninfo, &name, &value, after_secret)?;
        after_secret = keyword.is_secret();
    }
    Ok(())
}

/// Decodes `%XX`; blanks (only U+0020) around a part are dropped, inside it they are an error.
fn decode(raw: &str, part: &'static str) -> Result<Zeroizing<String>, UriError> {
    let raw = raw.trim_matches(' ');
    let mut bytes = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b' ' => return Err(UriError::Space(part)),
            b'%' => {
                let [high, low, tail @ ..] = tail else {
                    return Err(UriError::PercentEncoding(part));
                };
                let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
                    return Err(UriError::PercentEncoding(part));
                };
                match high << 4 | low {
                    0 => return Err(UriError::Nul(part)),
                    byte => bytes.push(byte),
                }
                rest = tail;
            }
            other => bytes.push(*other),
        }
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(UriError::NotUtf8(part)),
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
