//! `server/roles.sql`: the roles and databases of the setup, for `psql`. It may be run any number of times.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::pki::printable;
use crate::plan::artifact::{Artifact, Content};
use crate::plan::sql::{identifier, literal};
use crate::plan::{Layout, plain_lines};
use crate::setup::Setup;

const HEADER: &str = "\
-- The roles and databases of this project, written by pgtls from pgtls.toml. The image runs this when it makes the
-- database, `pgtls up` each time it starts. No password is in it, only what the server checks one by.
\\set ON_ERROR_STOP on
";

/// The file: to be read by everybody where no role has a password. `verifiers` has, by role, what the server checks
/// its password by.
pub(super) fn artifact(setup: &Setup, verifiers: &[(String, SecretString)]) -> Artifact {
    let bytes = sql(setup, verifiers);
    let content = if verifiers.is_empty() {
        Content::Text(plain_lines(&String::from_utf8_lossy(&bytes)))
    } else {
        Content::Secret {
            bytes,
            description: describe(setup),
        }
    };
    Artifact {
        path: Layout::ROLES.into(),
        mode: 0o600,
        content,
    }
}

fn sql(setup: &Setup, verifiers: &[(String, SecretString)]) -> Zeroizing<Vec<u8>> {
    // Reserved in full, so that no shorter copy is left behind in memory when it grows.
    let names: usize = setup
        .access
        .iter()
        .map(|access| 2048 * (1 + access.databases.len()))
        .sum();
    let mut text = Zeroizing::new(Vec::with_capacity(HEADER.len() + names + 1024 * verifiers.len()));
    text.extend_from_slice(HEADER.as_bytes());
    let mut add = |line: &str| {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    };
    for role in roles(setup) {
        add(&unless_there(
            &format!("CREATE ROLE {} LOGIN", identifier(role)),
            "pg_roles WHERE rolname",
            role,
        ));
        if let Some((_, verifier)) = verifiers.iter().find(|(of, _)| of == role) {
            let line = Zeroizing::new(format!(
                "ALTER ROLE {} PASSWORD {};",
                identifier(role),
                literal(verifier.expose_secret())
            ));
            add(&line);
        }
    }
    let mut made: Vec<&str> = Vec::new();
    for access in &setup.access {
        for database in &access.databases {
            if made.contains(&database.as_str()) {
                continue;
            }
            made.push(database);
            add(&unless_there(
                &format!(
                    "CREATE DATABASE {} OWNER {}",
                    identifier(database),
                    identifier(&access.role)
                ),
                "pg_database WHERE datname",
                database,
            ));
        }
    }
    text
}

/// One line that says what is in it and gives nothing away.
fn describe(setup: &Setup) -> String {
    let mut databases: Vec<&str> = Vec::new();
    for database in setup.access.iter().flat_map(|access| &access.databases) {
        if !databases.contains(&database.as_str()) {
            databases.push(database);
        }
    }
    format!(
        "SQL that makes the roles {} and the databases {}",
        printable(&roles(setup).join(", ")),
        printable(&databases.join(", "))
    )
}

fn roles(setup: &Setup) -> Vec<&str> {
    let mut roles: Vec<&str> = Vec::new();
    for access in &setup.access {
        if !roles.contains(&access.role.as_str()) {
            roles.push(&access.role);
        }
    }
    roles
}

/// A statement that psql runs only where nothing of that name is there yet.
fn unless_there(statement: &str, place: &str, name: &str) -> String {
    format!(
        "SELECT {} WHERE NOT EXISTS (SELECT FROM {place} = {}) \\gexec",
        literal(statement),
        literal(name)
    )
}
