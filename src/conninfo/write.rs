//! Writing parameters: as `key=value`, as a URI, as variables, as a psql command.
//!
//! Secrets are left out, unless the caller names them.

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::text::is_blank;
use super::{Conninfo, Keyword};

impl Conninfo {
    /// `key=value` form, without secrets.
    #[must_use]
    pub fn to_keyword_value(&self) -> String {
        self.keyword_value(&[]).as_str().to_owned()
    }

    /// `key=value` form with the named secrets in it.
    #[must_use]
    pub fn to_keyword_value_with(&self, secrets: &[Keyword]) -> SecretString {
        SecretString::from(self.keyword_value(secrets).as_str())
    }

    /// URI form, without secrets.
    #[must_use]
    pub fn to_uri(&self) -> String {
        self.uri(&[]).as_str().to_owned()
    }

    /// URI form with the named secrets in it.
    #[must_use]
    pub fn to_uri_with(&self, secrets: &[Keyword]) -> SecretString {
        SecretString::from(self.uri(secrets).as_str())
    }

    /// Environment variables, without secrets. Keywords that have none are left out:
    /// [`Self::without_variable`] names them.
    #[must_use]
    pub fn to_env(&self) -> Vec<(&'static str, String)> {
        let value = |secret: &SecretString| secret.expose_secret().to_owned();
        self.written(&[])
            .filter_map(|(keyword, secret)| Some((keyword.variable()?, value(secret))))
            .collect()
    }

    /// Environment variables with the named secrets among them.
    #[must_use]
    pub fn to_env_with(&self, secrets: &[Keyword]) -> Vec<(&'static str, SecretString)> {
        self.written(secrets)
            .filter_map(|(keyword, value)| Some((keyword.variable()?, value.clone())))
            .collect()
    }

    /// The set keywords that no environment variable can carry.
    #[must_use]
    pub fn without_variable(&self) -> Vec<Keyword> {
        self.keywords()
            .filter(|keyword| keyword.variable().is_none())
            .collect()
    }

    /// A psql command for a POSIX shell. Never with a secret: other users of the machine can read a command.
    #[must_use]
    pub fn psql_command(&self) -> String {
        let conninfo = self.to_keyword_value();
        if conninfo.is_empty() {
            return "psql".to_owned();
        }
        format!("psql '{}'", conninfo.replace('\'', r"'\''"))
    }

    fn written(&self, secrets: &[Keyword]) -> impl Iterator<Item = (Keyword, &SecretString)> {
        self.entries
            .iter()
            .filter(|(keyword, _)| !keyword.is_secret() || secrets.contains(keyword))
            .map(|(keyword, value)| (*keyword, value))
    }

    fn keyword_value(&self, secrets: &[Keyword]) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for (keyword, value) in self.written(secrets) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(keyword.name());
            text.push('=');
            push_quoted(&mut text, value.expose_secret());
        }
        text
    }

    fn uri(&self, secrets: &[Keyword]) -> Zeroizing<String> {
        let value = |keyword: Keyword| {
            let secret = self
                .entries
                .iter()
                .find(|(known, _)| *known == keyword)?
                .1
                .expose_secret();
            (!keyword.is_secret() || secrets.contains(&keyword)).then_some(secret)
        };
        let mut text = Zeroizing::new("postgresql://".to_owned());
        // What finds its place before the "?"; everything else becomes a parameter.
        let mut placed = Vec::new();
        let filled = |keyword| value(keyword).filter(|value| !value.is_empty());
        if let Some(user) = filled(Keyword::User) {
            placed.push(Keyword::User);
            push_encoded(&mut text, user, "");
            if let Some(password) = filled(Keyword::Password) {
                placed.push(Keyword::Password);
                text.push(':');
                push_encoded(&mut text, password, "");
            }
            text.push('@');
        }
        if let Some(authority) = authority(value(Keyword::Host), value(Keyword::Port)) {
            placed.extend([Keyword::Host, Keyword::Port]);
            text.push_str(&authority);
        }
        text.push('/');
        if let Some(dbname) = filled(Keyword::Dbname) {
            placed.push(Keyword::Dbname);
            push_encoded(&mut text, dbname, "");
        }
        let mut separator = '?';
        for (keyword, value) in self
            .written(secrets)
            .filter(|(keyword, _)| !placed.contains(keyword))
        {
            text.push(separator);
            separator = '&';
            text.push_str(keyword.name());
            text.push('=');
            push_encoded(&mut text, value.expose_secret(), "/:,");
        }
        text
    }
}

/// `host:port,…`, where that says exactly what the two values say; a single port for many hosts, or hosts
/// without any port, can only be said by parameters.
fn authority(host: Option<&str>, port: Option<&str>) -> Option<String> {
    let hosts: Vec<&str> = host.filter(|host| !host.is_empty())?.split(',').collect();
    let ports: Vec<&str> = match port {
        None if hosts.len() == 1 => vec![""],
        Some("") | None => return None,
        Some(port) => port.split(',').collect(),
    };
    if hosts.len() != ports.len() {
        return None;
    }
    let mut text = String::new();
    for (index, (host, port)) in hosts.iter().zip(ports).enumerate() {
        if index > 0 {
            text.push(',');
        }
        let bracketed = host.contains(':') && !host.starts_with('/');
        if bracketed {
            text.push('[');
            push_encoded(&mut text, host, ":");
            text.push(']');
        } else {
            push_encoded(&mut text, host, "");
        }
        if !port.is_empty() {
            text.push(':');
            push_encoded(&mut text, port, "");
        }
    }
    Some(text)
}

/// Quotes a value only where it needs it.
fn push_quoted(text: &mut String, value: &str) {
    let plain = !value.is_empty() && !value.contains(|c| is_blank(c) || matches!(c, '\'' | '\\'));
    if plain {
        text.push_str(value);
        return;
    }
    text.push('\'');
    for character in value.chars() {
        if matches!(character, '\'' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('\'');
}

/// Percent-encodes everything but RFC 3986's unreserved characters (section 2.3) and `also`.
fn push_encoded(text: &mut String, value: &str, also: &str) {
    for byte in value.bytes() {
        let character = char::from(byte);
        let plain =
            character.is_ascii_alphanumeric() || "-._~".contains(character) || also.contains(character);
        if byte.is_ascii() && plain {
            text.push(character);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Conninfo {
        Conninfo::new()
            .with(Keyword::Host, "db.example.org")
            .with(Keyword::Port, "5433")
            .with(Keyword::User, "o'brien")
            .with(Keyword::Password, "hunter2")
            .with(Keyword::Dbname, "app db")
            .with(Keyword::Sslmode, "verify-full")
            .with(Keyword::Sslrootcert, "/etc/my certs/root.crt")
            .with(Keyword::Sslpassword, "hunter3")
    }

    #[test]
    fn secrets_stay_out_unless_named() {
        let sample = sample();
        let env: Vec<String> = sample
            .to_env()
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let env = env.join(" ");
        let texts = [
            sample.to_keyword_value(),
            sample.to_uri(),
            env,
            sample.psql_command(),
            format!("{sample:?}"),
        ];
        for text in texts {
            assert!(!text.contains("hunter"), "{text}");
        }
        assert!(
            sample
                .to_uri_with(&[Keyword::Password])
                .expose_secret()
                .contains("o%27brien:hunter2@")
        );
        assert!(
            !sample
                .to_uri_with(&[Keyword::Password])
                .expose_secret()
                .contains("hunter3")
        );
        assert!(
            sample
                .to_env_with(&[Keyword::Password])
                .iter()
                .any(|(name, _)| *name == "PGPASSWORD")
        );
        assert_eq!(sample.without_variable(), [Keyword::Sslpassword]);
    }

    #[test]
    fn each_form_reads_as_people_expect() {
        let sample = sample();
        assert_eq!(
            sample.to_keyword_value(),
            r"host=db.example.org port=5433 user=o\'brien dbname='app db' sslmode=verify-full sslrootcert='/etc/my certs/root.crt'"
                .replace(r"user=o\'brien", r"user='o\'brien'")
        );
        assert_eq!(
            sample.to_uri(),
            "postgresql://o%27brien@db.example.org:5433/app%20db?sslmode=verify-full&sslrootcert=/etc/my%20certs/root.crt"
        );
        assert_eq!(
            Conninfo::new().with(Keyword::Dbname, "it's").psql_command(),
            r"psql 'dbname='\''it\'\''s'\'''"
        );
        assert_eq!(Conninfo::new().psql_command(), "psql");
        let uri = |host: &str, port: &str| {
            Conninfo::new()
                .with(Keyword::Host, host)
                .with(Keyword::Port, port)
                .to_uri()
        };
        assert_eq!(uri("::1", "5432"), "postgresql://[::1]:5432/");
        assert_eq!(
            uri("fe80::1%eth0,b", "1,2"),
            "postgresql://[fe80::1%25eth0]:1,b:2/"
        );
        assert_eq!(uri("/run/pg", "5432"), "postgresql://%2Frun%2Fpg:5432/");
        assert_eq!(uri("a,b", "5432"), "postgresql:///?host=a,b&port=5432");
    }
}
