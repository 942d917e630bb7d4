//! `server/postgresql.conf`: the server's own file first, then what makes it speak nothing but TLS.
//!
//! Every setting here exists in PostgreSQL 13 to 18
//! (<https://www.postgresql.org/docs/current/runtime-config-connection.html#RUNTIME-CONFIG-CONNECTION-SSL>).

use std::path::Path;

use super::artifact::Line;
use super::why::short;
use super::{Found, Layout, compose};
use crate::setup::{Mode, Run, Setup};

const SANDBOX: &str =
    "# Settings of this server, written by pgtls from pgtls.toml: change that, then run `pgtls up`.";
const OWN: &str = "\
# TLS settings for a PostgreSQL server of your own, written by pgtls from pgtls.toml.
# RUNBOOK.md says how to install them. Relative file names are below the server's data directory.";

struct Setting {
    text: String,
    why: &'static str,
}

pub(super) fn lines(setup: &Setup, found: &Found) -> Vec<Line> {
    let (header, first) = match setup.run {
        Run::Sandbox => (SANDBOX, place(setup, found)),
        Run::Compose => (SANDBOX, container_place()),
        Run::None => (OWN, own_place(setup)),
    };
    let mut lines: Vec<Line> = header.lines().map(Line::plain).collect();
    let blocks = [first, tls(setup, found), logins()];
    let width = column(&blocks);
    for block in blocks.iter().filter(|block| !block.is_empty()) {
        lines.push(Line::plain(""));
        for setting in block {
            lines.extend(explained(setting, width));
        }
    }
    lines
}

/// Where the sandbox's server has its files and listens.
fn place(setup: &Setup, found: &Found) -> Vec<Setting> {
    let include = found.server_data.as_ref().map_or_else(
        // An include is relative to the file it stands in, not to the data directory.
        || format!("../{}/postgresql.conf", Layout::DATA),
        |data| data.join("postgresql.conf").to_string_lossy().into_owned(),
    );
    // These two must be absolute: a relative name depends on where the server was started, and each reload would
    // call it a change that needs a restart.
    let server = found.server_dir();
    vec![
        Setting {
            text: format!("include {}", quote(&include)),
            why: "include",
        },
        setting("hba_file", &quote_path(&server.join("pg_hba.conf")), "hba-file"),
        setting(
            "ident_file",
            &quote_path(&server.join("pg_ident.conf")),
            "ident-file",
        ),
        listen(setup),
        setting("port", &found.port.to_string(), "port"),
        setting(
            "unix_socket_directories",
            &quote(&socket_directories(&found.data_dir(), &found.socket_dir)),
            "socket-directory",
        ),
    ]
}

/// Where the container's server has its files and listens: `entry.sh` lays copies of them, and a link to the data,
/// into one directory.
fn container_place() -> Vec<Setting> {
    let own = |name| quote(&format!("{}/{name}", compose::FILES));
    vec![
        Setting {
            text: format!("include {}", quote("data/postgresql.conf")),
            why: "include",
        },
        setting("hba_file", &own("pg_hba.conf"), "hba-file"),
        setting("ident_file", &own("pg_ident.conf"), "ident-file"),
        setting("listen_addresses", "'*'", "listen-container"),
    ]
}

/// Where a person's own server listens: said only where it has to be for the setup to work.
fn own_place(setup: &Setup) -> Vec<Setting> {
    let mut settings = Vec::new();
    if setup.is_open_beyond_loopback() {
        settings.push(listen(setup));
    }
    if let Some(port) = setup.port {
        settings.push(setting("port", &port.to_string(), "port"));
    }
    settings
}

fn listen(setup: &Setup) -> Setting {
    if setup.is_open_beyond_loopback() {
        setting("listen_addresses", "'*'", "listen-everywhere")
    } else {
        // Not 'localhost': that is what the resolver makes of it, and clients try ::1 as well as 127.0.0.1.
        setting("listen_addresses", "'127.0.0.1,::1'", "listen-loopback")
    }
}

fn tls(setup: &Setup, found: &Found) -> Vec<Setting> {
    let file = |name: &str| match (setup.run, &found.server_data) {
        (Run::None, _) => quote(name),
        (Run::Compose, _) => quote(&format!("{}/{name}", compose::FILES)),
        // Relative to the data directory, so that the pair may be moved together.
        (Run::Sandbox, None) => quote(&format!("../../{}/{name}", Layout::SERVER)),
        (Run::Sandbox, Some(_)) => quote_path(&found.server_dir().join(name)),
    };
    let mut settings = vec![
        setting("ssl", "on", "ssl"),
        setting("ssl_cert_file", &file("server.crt"), "ssl-cert-file"),
        setting("ssl_key_file", &file("server.key"), "ssl-key-file"),
    ];
    if setup.mode == Mode::Mtls {
        settings.push(setting("ssl_ca_file", &file("root.crt"), "ssl-ca-file"));
    }
    settings.push(setting(
        "ssl_min_protocol_version",
        "'TLSv1.2'",
        "ssl-min-protocol-version",
    ));
    settings
}

fn logins() -> Vec<Setting> {
    vec![
        setting("password_encryption", "'scram-sha-256'", "password-encryption"),
        setting("log_connections", "on", "log-connections"),
        setting("log_line_prefix", "'%m [%p] %q%u@%d %r '", "log-line-prefix"),
    ]
}

fn setting(name: &str, value: &str, why: &'static str) -> Setting {
    Setting {
        text: format!("{name} = {value}"),
        why,
    }
}

/// The column of the reasons: behind the longest setting that leaves room for one.
fn column(blocks: &[Vec<Setting>]) -> usize {
    const WIDEST: usize = 52;
    blocks
        .iter()
        .flatten()
        .map(|setting| setting.text.chars().count())
        .filter(|width| *width <= WIDEST)
        .max()
        .unwrap_or_default()
}

/// A setting with its reason beside it, or above it where it is too long.
fn explained(Setting { text, why }: &Setting, width: usize) -> Vec<Line> {
    let Some(gap) = width.checked_sub(text.chars().count()) else {
        return vec![
            Line::plain(format!("# {}:", short(why))),
            Line::because(text.clone(), why),
        ];
    };
    vec![Line::because(format!("{text}{:gap$}  # {}", "", short(why)), why)]
}

fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// A string of `postgresql.conf` (guc-file.l and `GUC_scanstr`: doubled quotes, C-like escapes).
fn quote(text: &str) -> String {
    let mut quoted = String::from("'");
    for char in text.chars() {
        match char {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(char),
        }
    }
    quoted.push('\'');
    quoted
}

/// The value of `unix_socket_directories`, for the file and for the command line: a server that reads another text
/// in its file calls that a setting it could not apply. Beside the data it is relative, so that the path stays short.
#[must_use]
pub fn socket_directories(data: &Path, socket_dir: &Path) -> String {
    if data
        .parent()
        .is_some_and(|parent| parent.join("run") == socket_dir)
    {
        return "../run".to_owned();
    }
    // An item of a list (`SplitDirectoriesString`), where a comma or a blank would end it.
    format!("\"{}\"", socket_dir.to_string_lossy().replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_cannot_be_left() {
        assert_eq!(quote("a'b\\c\nssl = off"), "'a''b\\\\c\\nssl = off'");
    }
}
