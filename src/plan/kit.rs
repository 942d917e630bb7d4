//! Client kits: for everybody who logs in, one directory with all that a client needs.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Layout, compose};
use crate::conninfo::{Conninfo, Keyword};
use crate::pki::HostName;
use crate::setup::{Mode, Run, SERVICES, Setup};

/// One login, and the name of its directory below `clients/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kit {
    /// The directory's name: a safe file name made from the CN or the role.
    pub name: String,
    /// The CN of its certificate; `None` where none is issued here.
    pub cn: Option<String>,
    /// The role it logs in as.
    pub role: String,
    /// The databases that role may enter; the first is the one its conninfo names.
    pub databases: Vec<String>,
    /// Whether it logs in with a password (too).
    pub wants_password: bool,
}

impl Kit {
    /// Every kit of a setup, in a stable order: one a client certificate, or where none is issued here one a role.
    #[must_use]
    pub fn all(setup: &Setup) -> Vec<Self> {
        let logins: Vec<(Option<&str>, &str)> = match setup.mode {
            // Certificates of somebody else's CA are handed out by them.
            Mode::Mtls if setup.client_ca.is_none() => setup
                .clients
                .iter()
                .map(|c| (Some(c.cn.as_str()), c.role.as_str()))
                .collect(),
            Mode::Mtls | Mode::OneWay => setup
                .access
                .iter()
                .map(|access| (None, access.role.as_str()))
                .collect(),
        };
        let mut kits: Vec<Self> = Vec::new();
        for (cn, role) in logins {
            if kits.iter().any(|kit| kit.cn.as_deref() == cn && kit.role == role) {
                continue;
            }
            let doors = || setup.access.iter().filter(|access| access.role == role);
            let mut databases: Vec<String> = Vec::new();
            for database in doors().flat_map(|access| &access.databases) {
                if !databases.contains(database) {
                    databases.push(database.clone());
                }
            }
            kits.push(Self {
                name: free_name(&kits, cn.unwrap_or(role), role),
                cn: cn.map(str::to_owned),
                role: role.to_owned(),
                databases,
                wants_password: doors().any(|access| access.method.wants_password()),
            });
        }
        kits
    }

    /// How this kit's holder connects: absolute paths, `sslmode=verify-full`, no password in it.
    #[must_use]
    pub fn conninfo(&self, setup: &Setup, project_dir: &Path, port: u16) -> Conninfo {
        let file = |name| {
            project_dir
                .join(Layout::kit_file(&self.name, name))
                .to_string_lossy()
                .into_owned()
        };
        let mut conninfo = Conninfo::new()
            .with(Keyword::Host, setup.dialled_host().to_string())
            .with(Keyword::Port, port.to_string())
            .with(
                Keyword::Dbname,
                self.databases.first().cloned().unwrap_or_default(),
            )
            .with(Keyword::User, self.role.clone())
            .with(Keyword::Sslmode, "verify-full")
            .with(Keyword::Sslrootcert, file("root.crt"));
        if self.cn.is_some() {
            conninfo
                .set(Keyword::Sslcert, file("client.crt"))
                .set(Keyword::Sslkey, file("client.key"));
        }
        if self.wants_password {
            conninfo.set(Keyword::Passfile, file("passfile"));
        }
        conninfo
    }

    /// The password file's bytes: a line for every host that is dialled and every database
    /// (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).
    pub(super) fn passfile(&self, setup: &Setup, port: u16, password: &SecretString) -> Zeroizing<Vec<u8>> {
        // Reserved in full, so that no shorter copy of a secret is left behind in memory when it grows.
        let longest = 1024 + 2 * password.expose_secret().len();
        let mut text = Zeroizing::new(Vec::with_capacity(
            longest * setup.hosts.len() * self.databases.len(),
        ));
        for host in dialled(&setup.hosts) {
            // A neighbouring container dials the service by its name, at the port inside.
            let port = if setup.run == Run::Compose && SERVICES.contains(&host.as_str()) {
                compose::PORT
            } else {
                port
            };
            for database in &self.databases {
                for (index, field) in [
                    &host,
                    &port.to_string(),
                    database,
                    &self.role,
                    password.expose_secret(),
                ]
                .iter()
                .enumerate()
                {
                    if index > 0 {
                        text.push(b':');
                    }
                    for byte in field.bytes() {
                        if byte == b':' || byte == b'\\' {
                            text.push(b'\\');
                        }
                        text.push(byte);
                    }
                }
                text.push(b'\n');
            }
        }
        text
    }
}

/// The hosts that a client can dial as they stand: a wildcard is none.
pub(super) fn dialled(hosts: &[HostName]) -> impl Iterator<Item = String> + '_ {
    hosts
        .iter()
        .map(ToString::to_string)
        .filter(|host| !host.starts_with('*'))
}

/// A directory name that no kit has yet, also on file systems that do not tell case apart.
fn free_name(kits: &[Kit], wanted: &str, role: &str) -> String {
    let base = file_name(wanted);
    let is_free = |name: &str| kits.iter().all(|kit| !kit.name.eq_ignore_ascii_case(name));
    if is_free(&base) {
        return base;
    }
    let with_role = format!("{base}@{}", file_name(role));
    if wanted != role && is_free(&with_role) {
        return with_role;
    }
    // One more number than there are kits: one of them is free.
    (2..kits.len() + 3)
        .map(|number| format!("{base}-{number}"))
        .find(|name| is_free(name))
        .unwrap_or(base)
}

/// A name that every file system takes and no shell mistakes: ASCII letters, digits and `._-@`.
fn file_name(text: &str) -> String {
    text.chars()
        .enumerate()
        .map(|(index, char)| match char {
            '.' | '-' if index == 0 => '_',
            _ if char.is_ascii_alphanumeric() || "._-@".contains(char) => char,
            _ => '_',
        })
        .collect()
}
