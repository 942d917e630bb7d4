//! The answers as they were given, one layer at a time; nothing is checked here.

use std::path::{Component, Path, PathBuf};

/// One layer of answers: what the flags say, or what one answers file says. An empty list means "not given".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// `--mode`.
    pub mode: Option<String>,
    /// `--auth`.
    pub auth: Option<String>,
    /// `--run`.
    pub run: Option<String>,
    /// `--host`, repeatable.
    pub hosts: Vec<String>,
    /// `--port`.
    pub port: Option<i64>,
    /// `--user`: the role of the first access.
    pub user: Option<String>,
    /// `--database`: the database of the first access.
    pub database: Option<String>,
    /// `--allow`, repeatable: the addresses of the first access.
    pub allow: Vec<String>,
    /// `[[access]]` tables; no flag.
    pub access: Vec<AccessAnswer>,
    /// `--client`, repeatable, and `[[client]]` tables.
    pub clients: Vec<ClientAnswer>,
    /// `--pg-version`, a major version.
    pub pg_version: Option<i64>,
    /// `--pg-bin`.
    pub pg_bin: Option<PathBuf>,
    /// `--image`.
    pub image: Option<String>,
    /// `--algorithm`.
    pub algorithm: Option<String>,
    /// `--days`.
    pub days: Option<i64>,
    /// `--ca-days`.
    pub ca_days: Option<i64>,
    /// `--ca-cert`.
    pub ca_cert: Option<PathBuf>,
    /// `--ca-key`.
    pub ca_key: Option<PathBuf>,
    /// `--server-cert`.
    pub server_cert: Option<PathBuf>,
    /// `--server-key`.
    pub server_key: Option<PathBuf>,
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--client-ca`.
    pub client_ca: Option<PathBuf>,
    /// `--password-file`.
    pub password_file: Option<PathBuf>,
}

/// One `[[access]]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessAnswer {
    /// `role`.
    pub role: Option<String>,
    /// `databases`.
    pub databases: Vec<String>,
    /// `addresses`.
    pub addresses: Vec<String>,
    /// `method`.
    pub method: Option<String>,
}

/// One `--client`, or one `[[client]]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientAnswer {
    /// `cn`.
    pub cn: Option<String>,
    /// `role`; the CN where none is given.
    pub role: Option<String>,
}

impl ClientAnswer {
    /// Reads the value of `--client`: `CN` or `CN=ROLE`, parted at the last `=`.
    #[must_use]
    pub fn from_flag(text: &str) -> Self {
        match text.rsplit_once('=') {
            Some((cn, role)) => Self {
                cn: Some(cn.to_owned()),
                role: Some(role.to_owned()),
            },
            None => Self {
                cn: Some(text.to_owned()),
                role: None,
            },
        }
    }
}

impl Answers {
    /// Lays `over` over these answers: what it gives wins, list by list and value by value.
    ///
    /// An answer that only makes sense with the one that `over` replaces goes with it: another mode drops the methods and the
    /// client certificates below, another place to run drops the programs or the image below, another source of certificates
    /// drops the files below, and `[[access]]` tables drop the single role, database and addresses below.
    #[must_use]
    pub fn overlay(mut self, over: Self) -> Self {
        if over.mode.is_some() && over.mode != self.mode {
            self.auth = None;
            self.clients.clear();
            for access in &mut self.access {
                access.method = None;
            }
        }
        if over.run.is_some() && over.run != self.run {
            self.image = None;
            self.pg_bin = None;
        }
        if over.names_a_server_certificate() {
            self.ca_cert = None;
            self.ca_key = None;
        }
        if over.ca_cert.is_some() || over.ca_key.is_some() {
            self.server_cert = None;
            self.server_key = None;
            self.root = None;
        }
        if !over.access.is_empty() {
            self.user = None;
            self.database = None;
            self.allow.clear();
        }
        Self {
            mode: over.mode.or(self.mode),
            auth: over.auth.or(self.auth),
            run: over.run.or(self.run),
            hosts: either(over.hosts, self.hosts),
            port: over.port.or(self.port),
            user: over.user.or(self.user),
            database: over.database.or(self.database),
            allow: either(over.allow, self.allow),
            access: either(over.access, self.access),
            clients: either(over.clients, self.clients),
            pg_version: over.pg_version.or(self.pg_version),
            pg_bin: over.pg_bin.or(self.pg_bin),
            image: over.image.or(self.image),
            algorithm: over.algorithm.or(self.algorithm),
            days: over.days.or(self.days),
            ca_days: over.ca_days.or(self.ca_days),
            ca_cert: over.ca_cert.or(self.ca_cert),
            ca_key: over.ca_key.or(self.ca_key),
            server_cert: over.server_cert.or(self.server_cert),
            server_key: over.server_key.or(self.server_key),
            root: over.root.or(self.root),
            client_ca: over.client_ca.or(self.client_ca),
            password_file: over.password_file.or(self.password_file),
        }
    }

    /// Makes every relative path absolute: below the working directory for flags, below the directory of the
    /// answers file for what that file says. `base` is absolute.
    #[must_use]
    pub fn relative_to(mut self, base: &Path) -> Self {
        for path in [
            &mut self.pg_bin,
            &mut self.ca_cert,
            &mut self.ca_key,
            &mut self.server_cert,
            &mut self.server_key,
            &mut self.root,
            &mut self.client_ca,
            &mut self.password_file,
        ]
        .into_iter()
        .flatten()
        {
            // An empty path stays empty: it is a mistake to report, not a name for `base`.
            if !path.as_os_str().is_empty() {
                *path = tidy(&base.join(&*path));
            }
        }
        self
    }

    pub(super) const fn names_a_server_certificate(&self) -> bool {
        self.server_cert.is_some() || self.server_key.is_some() || self.root.is_some()
    }
}

fn either<T>(over: Vec<T>, under: Vec<T>) -> Vec<T> {
    if over.is_empty() { under } else { over }
}

/// Drops `.`; leaves `..` alone, which means what it says only to the file system (symbolic links).
fn tidy(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_flag_is_parted_at_its_last_equals_sign() {
        let client = ClientAnswer::from_flag("O=Shop laptop=app");
        assert_eq!(client.cn.as_deref(), Some("O=Shop laptop"));
        assert_eq!(client.role.as_deref(), Some("app"));
        assert_eq!(ClientAnswer::from_flag("app").role, None);
    }

    #[test]
    fn what_lies_above_wins_and_takes_what_hung_on_it_along() {
        let below = Answers {
            mode: Some("mtls".into()),
            auth: Some("cert".into()),
            hosts: vec!["a".into(), "b".into()],
            days: Some(30),
            ca_cert: Some("ca.crt".into()),
            ..Answers::default()
        };
        let above = Answers {
            mode: Some("one-way".into()),
            hosts: vec!["c".into()],
            server_cert: Some("server.crt".into()),
            ..Answers::default()
        };
        let both = below.overlay(above);
        assert_eq!(both.mode.as_deref(), Some("one-way"));
        assert_eq!(both.auth, None);
        assert_eq!(both.hosts, ["c"]);
        assert_eq!(both.days, Some(30));
        assert_eq!(both.ca_cert, None);
    }

    #[test]
    fn the_same_mode_again_keeps_the_method() {
        let below = Answers {
            mode: Some("mtls".into()),
            auth: Some("scram+cert".into()),
            ..Answers::default()
        };
        let above = Answers {
            mode: Some("mtls".into()),
            ..Answers::default()
        };
        assert_eq!(below.overlay(above).auth.as_deref(), Some("scram+cert"));
    }

    #[test]
    fn another_mode_takes_what_belongs_to_it_along() {
        let below = Answers {
            mode: Some("mtls".into()),
            clients: vec![ClientAnswer::default()],
            access: vec![AccessAnswer {
                role: Some("app".into()),
                method: Some("cert".into()),
                ..AccessAnswer::default()
            }],
            ..Answers::default()
        };
        let above = Answers {
            mode: Some("one-way".into()),
            ..Answers::default()
        };
        let both = below.overlay(above);
        assert_eq!((both.clients.len(), &both.access[0].method), (0, &None));
        assert_eq!(both.access[0].role.as_deref(), Some("app"));
    }

    #[test]
    fn relative_paths_become_absolute() {
        let answers = Answers {
            ca_cert: Some("./ca/root.crt".into()),
            ca_key: Some("/etc/ca.key".into()),
            root: Some(PathBuf::new()),
            ..Answers::default()
        }
        .relative_to(Path::new("/srv/demo"));
        assert_eq!(answers.ca_cert, Some("/srv/demo/ca/root.crt".into()));
        assert_eq!(answers.ca_key, Some("/etc/ca.key".into()));
        assert_eq!(answers.root, Some(PathBuf::new()));
    }
}
