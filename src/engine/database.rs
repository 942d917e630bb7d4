//! Roles and databases in a sandbox, made over its own socket by its superuser.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::dial::{Address, Credentials, Deadline, QueryFailure, Session, login, open};
use crate::plan::{KitCredentials, identifier, literal};
use crate::server::{SUPERUSER, Server};
use crate::setup::Setup;
use crate::verify::Admin;

use super::Error;

/// How long one statement may take; `CREATE DATABASE` copies files.
const LIMIT: Duration = Duration::from_secs(60);

/// The database that is always there.
const DATABASE: &str = "postgres";

/// The superuser's way in.
pub fn admin(server: &Server) -> Admin {
    Admin::Socket {
        address: Address::unix(&server.socket_dir, server.port),
        user: SUPERUSER.to_owned(),
        dbname: DATABASE.to_owned(),
    }
}

/// A session of the superuser.
pub async fn enter(server: &Server) -> Result<Session, Error> {
    let fail = |why: String| Error::Database {
        doing: "logging in over the server's own socket".to_owned(),
        why,
    };
    let deadline = Deadline::after(LIMIT);
    let stream = open(&Address::unix(&server.socket_dir, server.port), deadline)
        .await
        .map_err(|error| fail(error.to_string()))?;
    let credentials = Credentials::new(SUPERUSER, DATABASE);
    login(stream, &credentials, deadline)
        .await
        .map_err(|error| fail(error.to_string()))
}

/// Makes the roles and databases that are missing, and sets the passwords. Says what was made.
pub async fn furnish(
    session: &mut Session,
    setup: &Setup,
    kits: &[KitCredentials],
) -> Result<Vec<String>, Error> {
    let mut made = Vec::new();
    for access in &setup.access {
        let role = &access.role;
        if absent(
            session,
            &format!("SELECT 1 FROM pg_roles WHERE rolname = {}", literal(role)),
        )
        .await?
        {
            run(
                session,
                &format!("CREATE ROLE {} LOGIN", identifier(role)),
                "making the role",
            )
            .await?;
            made.push(format!("role {}", crate::pki::printable(role)));
        }
    }
    for KitCredentials { kit, password, .. } in kits {
        if let Some(password) = password {
            set_password(session, &kit.role, password).await?;
        }
    }
    for access in &setup.access {
        for database in &access.databases {
            if absent(
                session,
                &format!("SELECT 1 FROM pg_database WHERE datname = {}", literal(database)),
            )
            .await?
            {
                let sql = format!(
                    "CREATE DATABASE {} OWNER {}",
                    identifier(database),
                    identifier(&access.role)
                );
                run(session, &sql, "making the database").await?;
                made.push(format!("database {}", crate::pki::printable(database)));
            }
        }
    }
    Ok(made)
}

/// The server gets a verifier that we computed: the password itself is in no statement, and so in no log
/// (<https://www.postgresql.org/docs/current/sql-createrole.html>, `PASSWORD`).
pub(super) async fn set_password(
    session: &mut Session,
    role: &str,
    password: &SecretString,
) -> Result<(), Error> {
    let verifier = postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes());
    let sql = format!("ALTER ROLE {} PASSWORD {}", identifier(role), literal(&verifier));
    run(session, &sql, "setting the password").await
}

async fn absent(session: &mut Session, sql: &str) -> Result<bool, Error> {
    let rows = session
        .query(sql, Deadline::after(LIMIT))
        .await
        .map_err(|error| failed("asking", &error))?;
    Ok(rows.rows.is_empty())
}

async fn run(session: &mut Session, sql: &str, doing: &str) -> Result<(), Error> {
    session
        .query(sql, Deadline::after(LIMIT))
        .await
        .map(|_| ())
        .map_err(|error| failed(doing, &error))
}

fn failed(doing: &str, error: &QueryFailure) -> Error {
    Error::Database {
        doing: doing.to_owned(),
        why: error.to_string(),
    }
}
