//! Whether a server could load TLS from the files that its settings name. It does so at its start and at a reload; one of
//! them that it cannot load leaves it with what it had, or keeps it from starting
//! (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SERVER-FILES>).
//!
//! The server itself is asked: what another account may read is no proof. Of a key no more than a byte is asked for.

use std::path::{Path, PathBuf};

use crate::conf::Unreadable;
use crate::pki::{Bundle, Certificate, KeyError, PrivateKey};

use super::OverSql;

/// The settings that name a file which TLS needs.
pub const TLS_FILES: [&str; 5] = [
    "ssl_cert_file",
    "ssl_key_file",
    "ssl_ca_file",
    "ssl_crl_file",
    "ssl_dh_params_file",
];

/// A file that the server cannot load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unloadable {
    /// The setting that names it.
    pub setting: &'static str,
    /// Where it should be, as the server names it.
    pub path: PathBuf,
    /// Why not, in words.
    pub why: String,
}

impl Unloadable {
    /// Whether it is of the pair, without which there is no TLS.
    #[must_use]
    pub fn is_of_the_pair(&self) -> bool {
        matches!(self.setting, "ssl_cert_file" | "ssl_key_file")
    }
}

/// Only of whom the server reads files for can be told what it cannot read itself.
const MAY_READ: &str = "SELECT has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute') \
    AND pg_has_role('pg_read_server_files', 'member') AS may";

impl OverSql<'_> {
    /// Which of these files the server cannot load: each with the setting that names it, absolute.
    pub async fn unloadable(&mut self, named: &[(&'static str, PathBuf)]) -> Vec<Unloadable> {
        let may = self.query(MAY_READ).await;
        if named.is_empty() || !may.is_ok_and(|rows| rows.value(0, "may") == Some("t")) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for (setting, path) in named {
            if let Err(why) = self.loads(setting, path).await {
                all.push(Unloadable {
                    setting,
                    path: path.clone(),
                    why,
                });
            }
        }
        all
    }

    async fn loads(&mut self, setting: &str, path: &Path) -> Result<(), String> {
        let says = |why: Unreadable| why.to_string();
        if matches!(setting, "ssl_key_file" | "ssl_dh_params_file") {
            return self.opens(path).await.map_err(says);
        }
        holds(setting, &self.file(path).await.map_err(says)?)
    }
}

/// Whether a file holds what its setting is about, as OpenSSL reads it (`SSL_CTX_use_certificate_chain_file(3)`,
/// `SSL_CTX_load_verify_locations(3)`).
fn holds(setting: &str, bytes: &[u8]) -> Result<(), String> {
    const NONE: &str = "it holds no certificate";
    let damaged = |why: &dyn std::fmt::Display| format!("it cannot be loaded: {why}");
    if setting == "ssl_cert_file" {
        let chain = Bundle::chain_from_pem(bytes).map_err(|why| damaged(&why))?;
        return chain.first().map(drop).ok_or_else(|| NONE.to_owned());
    }
    let bundle = Bundle::from_pem(bytes).map_err(|why| damaged(&why))?;
    match setting {
        "ssl_crl_file" if bundle.lists.is_empty() => Err("it holds no revocation list".to_owned()),
        "ssl_ca_file" if bundle.certificates.is_empty() => Err(NONE.to_owned()),
        _ => Ok(()),
    }
}

/// Why a key is none of that certificate's, or none at all, as far as pgtls can read it. `certificate` is the file's path in
/// words.
#[must_use]
pub fn pair_fault(certificate: &str, chain: &[u8], key: &[u8]) -> Option<String> {
    let leaf = Certificate::from_pem(chain).ok()?.into_iter().next()?;
    match PrivateKey::from_pem(key, None) {
        Ok(key) if key.spki_der() != leaf.spki_der() => Some(format!(
            "it is not the key of {certificate}, or that file does not begin with the server's own certificate"
        )),
        Err(why @ (KeyError::Pem(_) | KeyError::NotAKey { .. })) => Some(why.to_string()),
        // What pgtls cannot read OpenSSL may.
        _ => None,
    }
}

/// Why a reload does not ask for a passphrase
/// (<https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-SSL-PASSPHRASE-COMMAND>).
#[must_use]
pub const fn locked(command: &str, supports_reload: bool) -> Option<&'static str> {
    if command.is_empty() {
        return Some("there is no ssl_passphrase_command");
    }
    if supports_reload {
        return None;
    }
    Some("ssl_passphrase_command_supports_reload is off")
}

/// What to do about a key that a reload does not open.
pub const UNLOCK: &str = "set ssl_passphrase_command_supports_reload = on, with a command that needs no terminal, or keep the key \
    unencrypted with mode 0600";

/// Why PostgreSQL turns a key down, whatever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// Others may read it.
    Exposed,
    /// It is a third account's.
    Foreign,
}

impl KeyFault {
    /// PostgreSQL's rule (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SETUP>): of the server's account with no
    /// rights for others at all, or of root with at most 0640. `server`: the server's account, where it is known.
    #[must_use]
    pub fn of(mode: u32, owner: u32, server: Option<u32>) -> Option<Self> {
        let forbidden = if owner == 0 && server != Some(0) {
            0o037
        } else {
            0o077
        };
        if mode & forbidden != 0 {
            return Some(Self::Exposed);
        }
        let is_foreign = owner != 0 && server.is_some_and(|server| server != owner);
        is_foreign.then_some(Self::Foreign)
    }

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Exposed => "others may read it: PostgreSQL wants 0600, or 0640 where root owns it",
            Self::Foreign => "it belongs neither to the server's account nor to root",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::revocation_list_pem;

    #[test]
    fn a_file_must_hold_what_its_setting_is_about() {
        let list = revocation_list_pem(&[0x30, 0]).into_bytes();
        assert_eq!(holds("ssl_crl_file", &list), Ok(()));
        assert!(holds("ssl_ca_file", &list).is_err());
        for setting in ["ssl_cert_file", "ssl_ca_file", "ssl_crl_file"] {
            for bytes in [&b""[..], b"junk\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n"] {
                assert!(holds(setting, bytes).is_err(), "{setting}: {bytes:?}");
            }
        }
    }
}
