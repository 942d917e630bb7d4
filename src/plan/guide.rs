//! `CONNECT.md` and `RUNBOOK.md`, from the texts in `assets/`.

use super::artifact::Line;
use super::kit::{Kit, dialled};
use super::sql::identifier;
use super::{Credentials, Found, compose, ident, plain_lines};
use crate::clients::{self, Style};
use crate::conninfo::Conninfo;
use crate::pki::printable;
use crate::setup::{Mode, Run, Setup};

const CONNECT: &str = include_str!("../../assets/connect.md");
const CONNECT_KIT: &str = include_str!("../../assets/connect-kit.md");
const CONNECT_RUN: &str = include_str!("../../assets/connect-run.md");
const RUNBOOK_SANDBOX: &str = include_str!("../../assets/runbook-sandbox.md");
const RUNBOOK_COMPOSE: &str = include_str!("../../assets/runbook-compose.md");
const RUNBOOK_NONE: &str = include_str!("../../assets/runbook-none.md");

pub(super) fn connect(setup: &Setup, credentials: &Credentials, found: &Found) -> Vec<Line> {
    let kits: String = credentials
        .clients
        .iter()
        .map(|client| {
            let conninfo = client.kit.conninfo(setup, &found.project_dir, found.port);
            connect_kit(&client.kit, &conninfo)
        })
        .collect();
    let hosts: Vec<_> = dialled(&setup.hosts).map(|host| code(&host)).collect();
    let mut text = fill(
        CONNECT,
        &[
            ("hosts", &hosts.join(", ")),
            ("port", &found.port.to_string()),
            ("kits", kits.trim_end()),
        ],
    );
    if let (Run::Compose, Some(containers)) = (setup.run, &found.containers) {
        let run = compose::run_line(setup, found, containers);
        text = format!("{}\n\n{}", text.trim_end(), fill(CONNECT_RUN, &[("run", &run)]));
    }
    plain_lines(&text)
}

fn connect_kit(kit: &Kit, conninfo: &Conninfo) -> String {
    let title = format!(
        "{} as {}",
        code(&format!("clients/{}/", kit.name)),
        code(&kit.role)
    );
    let proof = match (kit.cn.as_deref(), kit.wants_password) {
        (Some(cn), false) => {
            format!(
                "The certificate in `client.crt`, CN {}, is the login; there is no password.",
                code(cn)
            )
        }
        (Some(cn), true) => format!(
            "The login takes both the certificate in `client.crt`, CN {}, and the password in `passfile`.",
            code(cn)
        ),
        (None, _) => {
            "The login takes the password in `passfile`, which clients read by themselves.".to_owned()
        }
    };
    fill(
        CONNECT_KIT,
        &[
            ("title", &title),
            ("proof", &proof),
            ("kit", &kit.name),
            ("psql", &conninfo.psql_command()),
            ("uri", &snippet("uri", conninfo)),
            ("env", &snippet("env", conninfo)),
            ("python", &snippet("psycopg", conninfo)),
            ("node", &snippet("node-pg", conninfo)),
        ],
    )
}

/// A client's snippet, or why there is none.
fn snippet(name: &str, conninfo: &Conninfo) -> String {
    let rendered = clients::find(name).map(|client| clients::render(client, conninfo));
    match rendered {
        Some(Ok(text)) => text.trim_end().to_owned(),
        Some(Err(why)) => why.to_string(),
        None => String::new(),
    }
}

pub(super) fn runbook(setup: &Setup, found: &Found) -> Vec<Line> {
    let client_rotation = match setup.mode {
        Mode::OneWay => "",
        Mode::Mtls => {
            "; client certificates are renewed with the server's, so hand the new `client.crt` and `client.key` out"
        }
    };
    let dir = shell(&found.project_dir.to_string_lossy());
    let days = setup.days.to_string();
    let common = [
        ("dir", dir.as_str()),
        ("days", &days),
        ("client_rotation", client_rotation),
    ];
    let text = match setup.run {
        Run::Sandbox => runbook_sandbox(&common, found),
        Run::Compose => runbook_compose(&common, setup, found),
        Run::None => runbook_none(&common, setup, found),
    };
    plain_lines(&text)
}

fn runbook_sandbox(common: &[(&str, &str)], found: &Found) -> String {
    let data = found.data_dir().to_string_lossy().into_owned();
    let config = found
        .server_dir()
        .join("postgresql.conf")
        .to_string_lossy()
        .into_owned();
    // A mirrored directory means that the server runs as another account, which alone may start and reach it.
    let (account, as_account) = match found.server_dir {
        Some(_) => (
            "server account",
            format!("sudo -u \"$(sudo stat -c %U {})\" ", shell(&data)),
        ),
        None => ("owner of this directory", String::new()),
    };
    let options = shell(&format!("-c config_file={}", shell(&config)));
    let values = [
        ("data", code(&data)),
        ("config", code(&config)),
        ("data_sh", shell(&data)),
        ("options", options),
        ("as", as_account),
        ("account", account.to_owned()),
        ("socket", shell(&found.socket_dir.to_string_lossy())),
        ("port", found.port.to_string()),
    ];
    let all: Vec<_> = common
        .iter()
        .copied()
        .chain(values.iter().map(|(key, value)| (*key, value.as_str())))
        .collect();
    fill(RUNBOOK_SANDBOX, &all)
}

fn runbook_compose(common: &[(&str, &str)], setup: &Setup, found: &Found) -> String {
    let Some(containers) = &found.containers else {
        return String::new();
    };
    let project = &containers.project;
    let compose = project.command();
    let mut values = common.to_vec();
    let (image, volume) = (code(setup.image().as_str()), code(&project.volume()));
    values.extend([
        ("compose", compose.as_str()),
        ("service", project.service()),
        ("file", project.file()),
        ("image", &image),
        ("volume", &volume),
    ]);
    fill(RUNBOOK_COMPOSE, &values)
}

fn runbook_none(common: &[(&str, &str)], setup: &Setup, found: &Found) -> String {
    let install_root = match setup.mode {
        Mode::OneWay => "",
        Mode::Mtls => "   sudo install -o postgres -g postgres -m 0644 server/root.crt \"$DATA/root.crt\"\n",
    };
    let (install_ident, undo_ident) = match ident::lines(setup, found) {
        None => ("", ""),
        Some(_) => (
            "   sudo cp -p \"$IDENT\" \"$IDENT.before-pgtls\"\n   \
             sudo install -o postgres -g postgres -m 0640 server/pg_ident.conf \"$IDENT\"\n",
            "sudo cp -p \"$IDENT.before-pgtls\" \"$IDENT\"\n",
        ),
    };
    let passwords = if setup.wants_passwords() {
        "\n   Give each role the password that its client kit holds, the last field of `clients/NAME/passfile`, with psql's\n   \
         `\\password ROLE`, which sends only a SCRAM verifier.\n"
    } else {
        ""
    };
    let mut values = common.to_vec();
    let sql = roles_and_databases(setup);
    values.extend([
        ("install_root", install_root),
        ("install_ident", install_ident),
        ("undo_ident", undo_ident),
        ("passwords", passwords),
        ("sql", &sql),
    ]);
    fill(RUNBOOK_NONE, &values)
}

fn roles_and_databases(setup: &Setup) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for access in &setup.access {
        add(format!("   CREATE ROLE {} LOGIN;", identifier(&access.role)));
    }
    for access in &setup.access {
        for database in &access.databases {
            add(format!("   CREATE DATABASE {};", identifier(database)));
        }
    }
    lines.join("\n")
}

/// Puts values in the place of `{{key}}`, in one pass: what a value holds is never taken for a place.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let value = |key: &str| {
        let found = values.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| (*value).to_owned())
    };
    // A test sees to it that every place has a value.
    clients::fill_in(template, &value).unwrap_or_default()
}

/// A word for a POSIX shell: in quotes unless plainly a word.
#[must_use]
pub fn shell(text: &str) -> String {
    Style::Sh.quote(text)
}

/// Inline code in Markdown, with as many backticks around it as its content asks for (`CommonMark` 6.1).
fn code(text: &str) -> String {
    let text = printable(text);
    let longest = text
        .split(|char| char != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_once_and_never_read_again() {
        assert_eq!(
            fill("a {{x}} {{y}}.", &[("x", "{{y}}"), ("y", "2")]),
            "a {{y}} 2."
        );
    }

    #[test]
    fn each_language_is_quoted_by_its_own_rules() {
        assert_eq!(shell("/a b/it's"), "'/a b/it'\\''s'");
        assert_eq!(shell("/a/b-1"), "/a/b-1");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn every_place_in_the_texts_has_a_value() {
        for text in [
            CONNECT,
            CONNECT_KIT,
            RUNBOOK_SANDBOX,
            RUNBOOK_COMPOSE,
            RUNBOOK_NONE,
        ] {
            for place in text.split("{{").skip(1) {
                let key = place.split("}}").next().unwrap();
                assert!(
                    include_str!("guide.rs").contains(&format!("(\"{key}\", ")),
                    "{key}"
                );
            }
        }
    }
}
