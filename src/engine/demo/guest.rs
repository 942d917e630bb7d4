//! The lesson as a guest on a person's own server. It makes one role and one database, both of a name that nobody else has,
//! and nothing else: no file and no setting of the server is touched. The keeper removes them, whatever ends the lesson; what
//! even the keeper could not remove, the next lesson on that server does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use super::front::Front;
use super::last::Last;
use super::place::{Place, ROOT, secret};
use super::stage::{BRIEF, FURNISH, log_in};
use super::yours::{Yours, enter};
use crate::conninfo::SslMode;
use crate::dial::{Deadline, QueryFailure, Rows, Session};
use crate::engine::credentials::random_password;
use crate::engine::{Error, Step, Teller};
use crate::pki::{Algorithm, Authority, printable};
use crate::plan::{Artifact, Content, Layout, identifier, literal};
use crate::server::Psql;

/// What every name that the lesson makes begins with.
const PREFIX: &str = "pgtls_lesson_";
/// How long the rest of it is.
const TAIL: usize = 8;
/// What marks them as the lesson's, on the server.
const MARK: &str = "made by pgtls demo for one lesson, which removes it again";
/// What is to be said if a lesson that could not begin is still there.
pub(super) const STILL_THERE: &str = "what the lesson had made (pgtls_lesson_…) could not be removed from your server; the next \
                                      `pgtls demo` there does it";
/// How long it is tried to remove them.
const STUBBORN: Duration = Duration::from_secs(10);

/// What stands on the server for the lesson. Its session is open as long as the lesson lasts, which others can see.
pub(super) struct Guest {
    session: Session,
    name: String,
    version: u16,
    address: SocketAddr,
    front: Front,
}

impl Guest {
    /// Makes role and database; gives the lesson's CA, and a psql.
    pub async fn enter(
        yours: &Yours,
        now: OffsetDateTime,
        place: &mut Place,
        tell: &Teller,
    ) -> Result<(Self, Authority, Option<Psql>), Error> {
        let step = tell.begin(Step::Find);
        let mut entered = Box::pin(enter(yours, now)).await?;
        let version = may_make(&mut entered.session).await?;
        step.done(format!("PostgreSQL {version}, your own, at {}", entered.label));
        let name = format!("{PREFIX}{}", tail()?);
        let password = random_password()?;
        let step = tell.begin(Step::Database);
        // Before anything is made: from here on whatever ends this process, the keeper removes it.
        let last = Last::new(&name, &entered.conninfo, yours.key_passphrase.as_ref());
        place.tell_keeper(&last.to_bytes())?;
        stay(&mut entered.session, &name, version).await?;
        remove_leftovers(&mut entered.session, tell).await;
        make(&mut entered.session, &name, &password).await?;
        place.put_password(&name, &password)?;
        let (address, presented) = furnish(&entered.addresses, &name, &password).await?;
        step.done(format!(
            "role and database {name}, gone afterwards; nothing else of your server is touched"
        ));
        let step = tell.begin(Step::Certificates);
        let authority = Authority::create("pgtls lesson", Algorithm::P256, 2, now)?;
        let front = if presented.is_empty() {
            Front::ours(address, &authority, now).await?
        } else {
            Front::of(&presented, &entered.resolved, entered.dialled.as_deref(), now)
        };
        let mut roots = authority.to_pem().into_bytes();
        if let Front::Own { roots: own, .. } = &front {
            roots.extend_from_slice(b"\n");
            roots.extend_from_slice(own);
        }
        let public = |path: &str, bytes: Vec<u8>| Artifact {
            path: path.into(),
            mode: 0o644,
            content: Content::Public {
                bytes,
                description: "what the lesson's client trusts".to_owned(),
            },
        };
        place.put(&[
            public(ROOT, roots),
            public(Layout::CA_CERT, authority.to_pem().into_bytes()),
            secret(
                Layout::CA_KEY,
                authority.key().to_pem().as_bytes().to_vec(),
                "the lesson's CA",
            ),
        ])?;
        let guest = Self {
            session: entered.session,
            name,
            version,
            address,
            front,
        };
        step.done(format!("your server, {}", guest.front.in_words()));
        Ok((guest, authority, Psql::find(None).await))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn host(&self) -> &str {
        self.front.host()
    }

    pub const fn front(&self) -> &Front {
        &self.front
    }

    /// Where the client dials: what is to be seen without TLS is seen on the server itself.
    pub const fn address(&self, sslmode: SslMode) -> SocketAddr {
        match &self.front {
            Front::Ours(terminator) if !matches!(sslmode, SslMode::Disable) => terminator.address(),
            _ => self.address,
        }
    }

    pub fn in_words(&self) -> String {
        format!(
            "PostgreSQL {} on {} port {}, yours, {}",
            self.version,
            self.address.ip(),
            self.address.port(),
            self.front.in_words()
        )
    }

    /// Says goodbye; gives what is to be said if the keeper cannot remove what was made.
    pub async fn leave(self) -> String {
        self.session.close(Deadline::after(BRIEF)).await;
        let name = self.name;
        format!(
            "the role and the database {name} could not be removed from your server; the next `pgtls demo` there does it, or: \
             DROP DATABASE IF EXISTS {name}; DROP ROLE IF EXISTS {name};"
        )
    }
}

/// Has the session bear the lesson's name, by which other lessons know that this one is under way, and stay as long as it
/// lasts.
async fn stay(session: &mut Session, name: &str, version: u16) -> Result<(), Error> {
    const DOING: &str = "naming the session";
    // Since 14: https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT
    if version >= 14 {
        ask(session, "SET idle_session_timeout = 0", DOING).await?;
    }
    ask(
        session,
        &format!("SET application_name = {}", literal(name)),
        DOING,
    )
    .await?;
    Ok(())
}

/// The server's major version, if this login may make what the lesson needs.
async fn may_make(session: &mut Session) -> Result<u16, Error> {
    let facts = ask(
        session,
        "SELECT rolname, rolsuper OR rolcreaterole AS roles, rolsuper OR rolcreatedb AS databases, \
         pg_is_in_recovery() AS standby, current_setting('server_version_num')::int / 10000 AS version \
         FROM pg_roles WHERE rolname = current_user",
        "asking what this login may do",
    )
    .await?;
    let is = |column: &str| facts.value(0, column) == Some("t");
    if is("standby") {
        return Err(Error::OutOfReach {
            what: "this server is a standby, on which nothing can be made".to_owned(),
            remedy: "name a server that takes writes, or run `pgtls demo` without a connection string"
                .to_owned(),
        });
    }
    let missing: Vec<&str> = [("roles", "CREATEROLE"), ("databases", "CREATEDB")]
        .into_iter()
        .filter(|(column, _)| !is(column))
        .map(|(_, privilege)| privilege)
        .collect();
    if !missing.is_empty() {
        let login = facts.value(0, "rolname").unwrap_or_default();
        return Err(Error::OutOfReach {
            what: format!(
                "the lesson makes a role and a database of its own on your server, and removes them again; {} may not: it \
                 lacks {}",
                printable(login),
                missing.join(" and ")
            ),
            remedy: "log in as a superuser, or as a role with CREATEROLE and CREATEDB".to_owned(),
        });
    }
    let version = facts.value(0, "version").and_then(|version| version.parse().ok());
    version.ok_or_else(|| Error::Database {
        doing: "asking what this login may do".to_owned(),
        why: "the server does not say".to_owned(),
    })
}

/// Makes the role, which may do nothing but log in, and the database, which nobody else may enter.
async fn make(session: &mut Session, name: &str, password: &SecretString) -> Result<(), Error> {
    let own = identifier(name);
    // As in a sandbox: the password itself is in no statement, and so in no log.
    let verifier = postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes());
    let statements = [
        // In one transaction: a role without its mark is nobody's to remove. The database goes with the role of its name.
        format!(
            "CREATE ROLE {own} LOGIN PASSWORD {}; COMMENT ON ROLE {own} IS {}",
            literal(&verifier),
            literal(MARK)
        ),
        format!("CREATE DATABASE {own} TEMPLATE template0"),
        format!("COMMENT ON DATABASE {own} IS {}", literal(MARK)),
        format!("REVOKE ALL ON DATABASE {own} FROM PUBLIC"),
        format!("GRANT CONNECT, CREATE ON DATABASE {own} TO {own}"),
    ];
    for statement in statements {
        ask(session, &statement, "making the lesson's role and database").await?;
    }
    Ok(())
}

/// Logs in as the lesson's role over TCP, which proves that it is this server that answers there, and makes the table.
/// Gives where that was, and the chain that was presented; none if the server has no TLS.
async fn furnish(
    addresses: &[SocketAddr],
    name: &str,
    password: &SecretString,
) -> Result<(SocketAddr, Vec<CertificateDer<'static>>), Error> {
    let mut whys = Vec::new();
    for address in addresses {
        match log_in(*address, name, name, password).await {
            Ok((mut session, presented)) => {
                // Whatever the server's own search path is: the role's is its own schema.
                let sql = format!(
                    "SET search_path = \"$user\"; ALTER ROLE CURRENT_USER SET search_path = \"$user\"; \
                     CREATE SCHEMA AUTHORIZATION CURRENT_USER; {FURNISH}"
                );
                ask(&mut session, &sql, "making the lesson's table").await?;
                session.close(Deadline::after(BRIEF)).await;
                return Ok((*address, presented));
            }
            Err(why) => whys.push(format!("{address}: {why}")),
        }
    }
    Err(Error::OutOfReach {
        what: format!(
            "the lesson's role could not log in to your server over TCP on loopback: {}",
            whys.join("; ")
        ),
        remedy: format!(
            "the server must listen on loopback (listen_addresses), and pg_hba.conf must admit a new role there by password, as \
             `host all all 127.0.0.1/32 scram-sha-256` does for every role; {PREFIX}… is gone again, and nothing of yours was \
             changed"
        ),
    })
}

/// Removes what lessons have left whose keeper was ended too. One that is under way has a session of its name.
async fn remove_leftovers(session: &mut Session, tell: &Teller) {
    let sql = format!(
        "SELECT made.name FROM (\
         SELECT rolname::text AS name FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = {mark} \
         UNION SELECT datname::text FROM pg_database WHERE shobj_description(oid, 'pg_database') = {mark}) AS made \
         WHERE made.name ~ '^{PREFIX}[a-z0-9]{{{TAIL}}}$' \
         AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = made.name)",
        mark = literal(MARK)
    );
    let Ok(left) = ask(session, &sql, "looking for what is left of lessons").await else {
        return;
    };
    for name in left.rows.iter().filter_map(|row| row.first()?.as_deref()) {
        match remove(session, name).await {
            Ok(()) => tell.notice(format!("removed {name}, which an earlier lesson had left")),
            Err(error) => tell.notice(format!("{name} of an earlier lesson is still there: {error}")),
        }
    }
}

/// Removes a lesson's role and database, and ends what is still connected for them.
pub(super) async fn remove(session: &mut Session, name: &str) -> Result<(), Error> {
    const DOING: &str = "removing the lesson's role and database";
    let own = identifier(name);
    // Whoever is no superuser may end only the sessions of roles that he is a member of.
    let is_member = format!(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = {}) THEN GRANT {own} TO CURRENT_USER; END IF; END $$",
        literal(name)
    );
    let end_all = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE {} IN (application_name, usename) AND pid <> pg_backend_pid()",
        literal(name)
    );
    let begun = Instant::now();
    loop {
        ask(session, &is_member, DOING).await?;
        let ended = ask(session, &end_all, DOING).await?;
        if ended.rows.is_empty() {
            break;
        }
        if begun.elapsed() > STUBBORN {
            return Err(Error::Database {
                doing: DOING.to_owned(),
                why: "somebody is still connected to it".to_owned(),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ask(session, &format!("DROP DATABASE IF EXISTS {own}"), DOING).await?;
    ask(session, &format!("DROP ROLE IF EXISTS {own}"), DOING).await?;
    let still = format!(
        "SELECT rolname FROM pg_roles WHERE rolname = {0} UNION ALL SELECT datname FROM pg_database WHERE datname = {0}",
        literal(name)
    );
    if ask(session, &still, DOING).await?.rows.is_empty() {
        return Ok(());
    }
    Err(Error::Database {
        doing: DOING.to_owned(),
        why: "one of them came back".to_owned(),
    })
}

async fn ask(session: &mut Session, sql: &str, doing: &str) -> Result<Rows, Error> {
    let answer = session.query(sql, Deadline::after(BRIEF)).await;
    answer.map_err(|failure| Error::Database {
        doing: doing.to_owned(),
        why: match failure {
            QueryFailure::Server(message) => message.to_string(),
            other => other.to_string(),
        },
    })
}

/// Letters and digits by chance: no two lessons have the same.
fn tail() -> Result<String, Error> {
    // Thirty-two of them, so that every one is equally likely.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
    let mut random = [0_u8; TAIL];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Error::Environment {
        what: "the system gave no random bytes".to_owned(),
    })?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    Ok(random.iter().map(letter).collect())
}

/// Where a server that was reached over a socket may listen.
pub(super) fn loopback(port: u16) -> Vec<SocketAddr> {
    let ips: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}
