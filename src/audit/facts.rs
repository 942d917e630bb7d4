//! What is known of a server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;

use crate::conf::hba::Rules;
use crate::conf::ident::Maps;
use crate::conf::settings::Settings;
use crate::conf::simulate::Memberships;
use crate::conf::{Files, Place};
use crate::judge::RevocationList;
use crate::pki::Certificate;
use crate::verify::{Unloadable, Unread};

use super::Unseen;

/// Which server it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ServerFacts {
    /// What was dialled.
    pub host: String,
    /// `server_version`; empty if nobody was let in.
    pub version: String,
    /// Its major version; 0 if nobody was let in.
    pub major: u16,
    /// Who asked.
    pub user: String,
    /// Whether that is a superuser.
    pub superuser: bool,
    /// Whether it is a standby.
    pub standby: bool,
    /// The TLS of the session that asked; `None`: plaintext or a socket.
    pub tls: Option<String>,
    /// Days until the certificate that it serves ends.
    pub certificate_days_left: Option<i64>,
    /// Where no server was asked, but files were read: how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
}

/// One setting as the server has it in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SettingRow {
    pub value: String,
    pub source: String,
    pub file: Option<String>,
    pub line: Option<String>,
    pub pending_restart: bool,
}

/// What the server shows on the wire.
#[derive(Debug, Clone)]
pub struct Served {
    /// The leaf.
    pub leaf: Certificate,
    /// What is sent with it.
    pub others: Vec<Certificate>,
    /// The file of the roots that were given to verify with, and whether what is sent leads to one of them; `None` where
    /// none was given.
    pub leads: Option<(String, bool)>,
    /// `None`: no name was dialled; else whether the leaf carries it, by libpq's rules.
    pub carries_name: Option<Result<(), String>>,
}

/// The file of the server's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Where.
    pub path: PathBuf,
    /// Its mode, the permission bits.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
    /// The owner of the data directory or, without it, of the directory of the configuration.
    pub server: Option<u32>,
}

/// One connection to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// Its process.
    pub pid: i32,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// `application_name`.
    pub application: String,
    /// Where from: an address and a port, or `[local]`.
    pub client: String,
    /// Whether it has TLS; `None` if that is not shown.
    pub ssl: Option<bool>,
    /// The version of TLS.
    pub version: Option<String>,
}

impl SessionRow {
    /// Where from; `None`: over the server's socket, or not known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let address = self
            .client
            .rsplit_once(':')
            .map_or(self.client.as_str(), |(address, _)| address);
        address.trim_matches(['[', ']']).parse().ok()
    }
}

/// A role that may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleRow {
    pub name: String,
    pub superuser: bool,
    pub can_login: bool,
}

/// Everything that was collected.
#[derive(Debug)]
pub struct Facts {
    /// Which server.
    pub server: ServerFacts,
    pub(super) settings: BTreeMap<String, SettingRow>,
    /// Lines of the configuration files that PostgreSQL does not take: place, name, error.
    pub(super) file_errors: Vec<(String, String, String)>,
    /// The configuration files as they are read here.
    pub(super) files: Option<Settings>,
    pub(super) hba: Option<Rules>,
    /// Files of the rules that were changed since the server last read them: what is in force is not what stands in them.
    pub(super) unread_rules: Vec<Unread>,
    /// The same of its settings, of which the server says itself what is in force.
    pub(super) unread_settings: Vec<Unread>,
    /// Whether the files that were read here may be another server's.
    pub(super) files_in_doubt: bool,
    pub(super) ident: Option<Maps>,
    pub(super) roles: Vec<RoleRow>,
    pub(super) memberships: Option<Memberships>,
    /// Roles with MD5 verifiers.
    pub(super) md5_roles: Vec<String>,
    /// Who is connected.
    pub sessions: Vec<SessionRow>,
    /// What is shown on the wire.
    pub served: Option<Served>,
    pub(super) on_disk: Option<(String, Certificate)>,
    /// The revocation lists in `ssl_crl_file`, and the file.
    pub(super) lists: Option<(String, Vec<RevocationList>)>,
    /// The CAs of the clients (`ssl_ca_file`), and the file.
    pub(super) client_cas: Option<(String, Vec<Certificate>)>,
    /// The file of the key, where it is within reach.
    pub key: Option<KeyFile>,
    /// Whether the key is encrypted, where the server says so.
    pub(super) key_encrypted: Option<bool>,
    /// Files that TLS needs and that the server cannot load.
    pub(super) unloadable: Vec<Unloadable>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
    /// The time.
    pub now: OffsetDateTime,
}

impl Facts {
    /// Nothing yet, about that server.
    #[must_use]
    pub fn new(host: String, now: OffsetDateTime) -> Self {
        Self {
            server: ServerFacts {
                host,
                ..ServerFacts::default()
            },
            settings: BTreeMap::new(),
            file_errors: Vec::new(),
            files: None,
            hba: None,
            unread_rules: Vec::new(),
            files_in_doubt: false,
            unread_settings: Vec::new(),
            ident: None,
            roles: Vec::new(),
            memberships: None,
            md5_roles: Vec::new(),
            sessions: Vec::new(),
            served: None,
            on_disk: None,
            lists: None,
            client_cas: None,
            key: None,
            key_encrypted: None,
            unloadable: Vec::new(),
            unseen: Vec::new(),
            now,
        }
    }

    /// Notes what could not be seen.
    pub fn miss(&mut self, what: &str, why: impl Into<String>) {
        self.unseen.push(Unseen {
            what: what.to_owned(),
            why: why.into(),
        });
    }

    /// Notes that the files in a directory may be another server's: this login may not have them compared.
    pub fn doubt_files(&mut self, directory: &Path) {
        self.files_in_doubt = true;
        self.miss(
            &format!("whether {} is the directory of this server", directory.display()),
            "the server tells only superusers and pg_read_all_settings which files it reads: log in as one",
        );
    }

    /// The value of a setting in force.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(|row| row.value.as_str())
    }

    /// Whether everything was seen that decides over what TLS promises: the settings, the rules, the certificate.
    pub(super) fn decides(&self) -> bool {
        let tls_is_off = self.setting("ssl") == Some("off");
        !self.settings.is_empty()
            && self.hba.is_some()
            && self.unread_rules.is_empty()
            && !self.files_in_doubt
            && (self.served.is_some() || tls_is_off)
    }
}

/// A place as it is shown.
pub(super) fn shown(place: &Place) -> String {
    place.to_string()
}

/// Reads the server's files where they are within reach of this machine.
pub trait Reading: Files {
    /// Mode and owner of a file.
    fn owner(&self, path: &Path) -> Option<(u32, u32)>;
}
