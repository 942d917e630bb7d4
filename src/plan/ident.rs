//! `server/pg_ident.conf`: which certificate name may log in as which role, where the two differ
//! (<https://www.postgresql.org/docs/current/auth-username-maps.html>).

use super::artifact::Line;
use super::hba::token;
use super::why::short;
use super::{Found, regex};
use crate::setup::{Auth, ClientCert, Setup};

/// The one map.
pub(super) const MAP: &str = "pgtls";

const HEADER: &str = "# Which certificate may log in as which role. Written by pgtls from pgtls.toml.";

/// Whether logins as this role go through the map: some certificate for it has another name.
pub(super) fn is_mapped(setup: &Setup, role: &str) -> bool {
    setup
        .clients
        .iter()
        .any(|client| client.role == role && client.cn != role)
}

/// The file, or `None` where every certificate is named like its role.
pub(super) fn lines(setup: &Setup, found: &Found) -> Option<Vec<Line>> {
    let pairs: Vec<&ClientCert> = setup
        .access
        .iter()
        .filter(|access| access.method == Auth::Cert)
        .flat_map(|access| setup.clients.iter().filter(|client| client.role == access.role))
        .filter(|client| is_mapped(setup, &client.role))
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let mut rows = vec![[
        "# MAPNAME".to_owned(),
        "SYSTEM-USERNAME".to_owned(),
        "PG-USERNAME".to_owned(),
    ]];
    for client in pairs {
        let row = [
            MAP.to_owned(),
            system_name(&client.cn),
            role_name(&client.role, found.major(setup)),
        ];
        // A role with several access lines is still one pair.
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
            + 2
    };
    let (first, second) = (width(0), width(1));
    let mut lines = vec![
        Line::plain(HEADER),
        Line::plain(format!("# {}.", short("ident-map"))),
        Line::plain(""),
    ];
    for (index, [map, system, role]) in rows.iter().enumerate() {
        let text = format!("{map:first$}{system:second$}{role}");
        lines.push(if index == 0 {
            Line::plain(text)
        } else {
            Line::because(text, "ident-map")
        });
    }
    Some(lines)
}

/// The file of a server that needs no map, so that no other file is read in its place.
pub(super) fn empty() -> Vec<Line> {
    vec![
        Line::plain(HEADER),
        Line::plain("# Every certificate is named like its role here: no map is needed."),
    ]
}

/// The CN: a leading `/` makes it a regular expression in every version, in quotes too.
fn system_name(cn: &str) -> String {
    if cn.starts_with('/') {
        token(&regex::exactly(cn))
    } else {
        token(cn)
    }
}

/// The role: a leading `/` makes it a regular expression from PostgreSQL 16 on.
fn role_name(role: &str, major: Option<u16>) -> String {
    if role.starts_with('/') && major.is_none_or(|major| major >= 16) {
        token(&regex::exactly(role))
    } else {
        token(role)
    }
}
