//! From a description and a connection string to text.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::Format;
use super::client::Client;
use super::quote::Style;
use super::template::{Fault, fill};
use crate::conninfo::{Conninfo, Keyword};
use crate::pki::printable;

/// Why a snippet cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The connection string lacks what the snippet names.
    #[error("{client} needs {what}, and the connection string has none")]
    Lacks {
        /// The client's name.
        client: String,
        /// The keyword.
        what: String,
    },
    /// The client's syntax has no way to say a value.
    #[error("{client} cannot be given {value}: its syntax has no way to write \"{character}\" there")]
    CannotHold {
        /// The client's name.
        client: String,
        /// The value.
        value: String,
        /// What cannot be written.
        character: String,
    },
    /// The connection is not one that these snippets can describe.
    #[error("no snippet can say this: {0}")]
    NotOne(&'static str),
    /// The description itself is wrong.
    #[error("the description of {client} is wrong: {fault}")]
    Description {
        /// The client's name.
        client: String,
        /// What is wrong with it.
        fault: String,
    },
}

/// The snippet of a client for that connection: one host over TCP, verified, with files beside the root's.
///
/// `sslrootcert` must name a file. Formats that [`Client::formats`] names are taken to lie in the same directory,
/// under [`Format::file`]'s names.
pub fn render(client: &Client, conninfo: &Conninfo) -> Result<String, Unwritable> {
    Facts::new(client, conninfo)?.fill(&client.template)
}

/// The client's settings by name, for programs that set it up; those that do not apply are left out.
pub fn properties(client: &Client, conninfo: &Conninfo) -> Result<BTreeMap<String, String>, Unwritable> {
    let facts = Facts::new(client, conninfo)?;
    let mut properties = BTreeMap::new();
    for (name, template) in &client.properties {
        match facts.fill(template) {
            Ok(value) => _ = properties.insert(name.clone(), value),
            Err(Unwritable::Lacks { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(properties)
}

/// The command that runs the snippet's file, where there is one.
pub fn run(client: &Client, conninfo: &Conninfo) -> Result<Option<String>, Unwritable> {
    let Some(template) = &client.run else {
        return Ok(None);
    };
    Facts::new(client, conninfo)?.fill(template).map(Some)
}

/// A whole project: every file by its path, the snippet among them.
pub fn project(client: &Client, conninfo: &Conninfo) -> Result<BTreeMap<PathBuf, String>, Unwritable> {
    let facts = Facts::new(client, conninfo)?;
    let mut files = BTreeMap::new();
    files.insert(PathBuf::from(&client.file), facts.fill(&client.template)?);
    for (path, template) in &client.project {
        files.insert(PathBuf::from(path), facts.fill(template)?);
    }
    Ok(files)
}

/// What the templates may name.
struct Facts<'a> {
    client: &'a Client,
    values: BTreeMap<&'static str, String>,
}

impl<'a> Facts<'a> {
    fn new(client: &'a Client, conninfo: &Conninfo) -> Result<Self, Unwritable> {
        let get = |keyword| conninfo.get(keyword).filter(|value| !value.is_empty());
        let mut values = BTreeMap::new();
        for (name, keyword) in [
            ("host", Keyword::Host),
            ("port", Keyword::Port),
            ("dbname", Keyword::Dbname),
            ("user", Keyword::User),
            ("sslrootcert", Keyword::Sslrootcert),
            ("sslcert", Keyword::Sslcert),
            ("sslkey", Keyword::Sslkey),
            ("passfile", Keyword::Passfile),
        ] {
            if let Some(value) = get(keyword) {
                values.insert(name, value.to_owned());
            }
        }
        if let Some(host) = get(Keyword::Host) {
            if host.contains(',') || host.starts_with('/') {
                return Err(Unwritable::NotOne("it names several hosts, or a Unix socket"));
            }
            if host.parse::<IpAddr>().is_ok() {
                values.insert("ip", host.to_owned());
            }
        }
        if let Some(root) = get(Keyword::Sslrootcert) {
            let kit = Path::new(root).parent().unwrap_or(Path::new(""));
            let mut file = |name, file: &str| {
                values.insert(name, kit.join(file).to_string_lossy().into_owned());
            };
            for (name, format) in [
                ("pk8", Format::Pk8),
                ("p12", Format::P12),
                ("truststore", Format::Truststore),
            ] {
                file(name, format.file());
            }
            file("p12_password", Format::PASSWORD_FILE);
            file("userlist", "userlist.txt");
            let kit = kit.file_name().map(|name| name.to_string_lossy().into_owned());
            values.insert("kit", kit.unwrap_or_else(|| "pgtls".to_owned()));
        }
        for value in values.values() {
            for text in client.cannot_hold.iter().map(String::as_str).chain(["\0"]) {
                if value.contains(text) {
                    return Err(Unwritable::CannotHold {
                        client: client.name.clone(),
                        value: printable(value),
                        character: printable(text),
                    });
                }
            }
        }
        values.insert("conninfo", conninfo.to_keyword_value());
        // For drivers that take libpq's form but know no password file.
        let dsn = conninfo.clone().remove(Keyword::Passfile).to_keyword_value();
        values.insert("dsn", dsn);
        values.insert("uri", conninfo.to_uri());
        values.insert("psql", conninfo.psql_command());
        values.insert("env", exports(conninfo));
        Ok(Self { client, values })
    }

    fn fill(&self, template: &str) -> Result<String, Unwritable> {
        let client = || self.client.name.clone();
        fill(template, self.client.style, &|name| {
            self.values.get(name).cloned()
        })
        .map_err(|fault| match fault {
            Fault::Missing(what) => Unwritable::Lacks {
                client: client(),
                what,
            },
            Fault::Malformed(fault) => Unwritable::Description {
                client: client(),
                fault,
            },
        })
    }
}

/// Variables for a POSIX shell.
fn exports(conninfo: &Conninfo) -> String {
    let lines: Vec<_> = conninfo
        .to_env()
        .into_iter()
        .map(|(name, value)| format!("export {name}={}", Style::Sh.quote(&value)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::{all, find};
    use super::*;

    fn one_way() -> Conninfo {
        Conninfo::new()
            .with(Keyword::Host, "db.example.org")
            .with(Keyword::Port, "5433")
            .with(Keyword::Dbname, "app db")
            .with(Keyword::User, "o'brien")
            .with(Keyword::Sslmode, "verify-full")
            .with(
                Keyword::Sslrootcert,
                "/srv/it's \"a\" \\ dir/clients/app/root.crt",
            )
            .with(Keyword::Passfile, "/srv/it's \"a\" \\ dir/clients/app/passfile")
    }

    fn mtls() -> Conninfo {
        let mut conninfo = one_way();
        conninfo
            .remove(Keyword::Passfile)
            .set(Keyword::Sslcert, "/srv/clients/app/client.crt")
            .set(Keyword::Sslkey, "/srv/clients/app/client.key");
        conninfo
    }

    #[test]
    fn every_client_can_be_written_in_both_modes_with_its_properties_and_project() {
        for client in all() {
            for conninfo in [one_way(), mtls()] {
                let text = render(client, &conninfo).unwrap_or_else(|error| panic!("{error}"));
                assert!(text.ends_with('\n'), "{}: {text}", client.name);
                let properties = properties(client, &conninfo).unwrap_or_else(|error| panic!("{error}"));
                let files = project(client, &conninfo).unwrap_or_else(|error| panic!("{error}"));
                assert!(files.contains_key(Path::new(&client.file)));
                let run = run(client, &conninfo).unwrap_or_else(|error| panic!("{error}"));
                // Whatever is told of it, no hole of a template is.
                let told = [text].into_iter().chain(properties.into_values());
                let told = told
                    .chain(files.into_values())
                    .chain(run)
                    .chain(client.traps.clone());
                for told in told {
                    assert!(
                        !told.contains("{{") && !told.contains("}}"),
                        "{}: {told}",
                        client.name
                    );
                }
            }
        }
    }

    #[test]
    fn what_a_syntax_cannot_hold_is_refused_not_written_wrongly() {
        let client = Client {
            cannot_hold: vec![";".to_owned()],
            ..find("psycopg").unwrap().clone()
        };
        let conninfo = one_way().with(Keyword::Dbname, "a;b");
        assert!(matches!(
            render(&client, &conninfo),
            Err(Unwritable::CannotHold { .. })
        ));
        for host in ["a,b", "/var/run/postgresql"] {
            let conninfo = one_way().with(Keyword::Host, host);
            assert!(matches!(render(&client, &conninfo), Err(Unwritable::NotOne(_))));
        }
        assert!(matches!(
            render(&client, &Conninfo::new()),
            Err(Unwritable::Lacks { .. })
        ));
    }
}
