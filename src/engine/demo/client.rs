//! Who connects: psql where it is installed, which the audience knows; else our own client, which goes by libpq's rules.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::super::target::{Means, target};
use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::dial::{Deadline, Session};
use crate::engine::Error;
use crate::pki::printable;
use crate::server::{Conversation, Psql, PsqlFiles, Said};
use crate::verify::enter_or_why;

/// How long our own client may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A client.
#[derive(Debug, Clone)]
pub(super) enum Client {
    /// psql, and the files that it uses.
    Psql(Psql, PsqlFiles),
    /// Our own, with the files that it uses.
    Own(PsqlFiles),
}

/// A client that stays connected.
#[derive(Debug)]
pub(super) enum Held {
    Psql(Box<Conversation>),
    Own(Box<Session>),
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psql(psql, _) => write!(f, "psql {}", psql.version()),
            Self::Own(_) => f.write_str("pgtls's own client (there is no psql here)"),
        }
    }
}

impl Client {
    /// Connects and asks one thing.
    pub async fn ask(&self, conninfo: &Conninfo, sql: &str) -> Result<Said, Error> {
        match self {
            Self::Psql(psql, files) => Ok(psql.ask(&conninfo.to_keyword_value(), sql, files).await?),
            Self::Own(files) => {
                let said = match session(conninfo, files).await? {
                    Ok(mut session) => {
                        let answer = ask(&mut session, sql).await;
                        session.close(Deadline::after(LIMIT)).await;
                        answer.map_err(|why| vec![why])
                    }
                    Err(why) => Err(why),
                };
                Ok(match said {
                    Ok(rows) => Said {
                        ok: true,
                        rows,
                        complaints: Vec::new(),
                    },
                    Err(why) => Said {
                        ok: false,
                        rows: Vec::new(),
                        complaints: why,
                    },
                })
            }
        }
    }

    /// Connects and stays; `Err` inside is why it was not let in.
    pub async fn hold(&self, conninfo: &Conninfo) -> Result<Result<Held, String>, Error> {
        match self {
            Self::Psql(psql, files) => Ok(Ok(Held::Psql(Box::new(
                psql.hold(&conninfo.to_keyword_value(), files)?,
            )))),
            Self::Own(files) => Ok(session(conninfo, files)
                .await?
                .map(|session| Held::Own(Box::new(session)))
                .map_err(|why| why.join("; "))),
        }
    }

    /// What is typed for this.
    pub fn command(conninfo: &Conninfo) -> String {
        format!("psql \"{}\"", conninfo.to_keyword_value())
    }

    /// The same, with what teaches: without address, port and passfile, and files without their directories.
    pub fn command_in_short(conninfo: &Conninfo) -> String {
        let mut short = Conninfo::new();
        for keyword in conninfo.keywords() {
            let Some(value) = conninfo.get(keyword) else {
                continue;
            };
            match keyword {
                Keyword::Hostaddr | Keyword::Port | Keyword::Passfile => {}
                Keyword::Sslrootcert | Keyword::Sslcert | Keyword::Sslkey => {
                    let name = Path::new(value).file_name().unwrap_or_default();
                    short.set(keyword, name.to_string_lossy());
                }
                _ => _ = short.set(keyword, value),
            }
        }
        Self::command(&short)
    }
}

impl Held {
    /// Asks one thing that has one row; `None` if the session is over.
    pub async fn ask(&mut self, sql: &str) -> Result<Option<String>, Error> {
        match self {
            Self::Psql(psql) => Ok(psql.say(&format!("{sql};")).await?),
            Self::Own(session) => Ok(ask(session, sql)
                .await
                .ok()
                .and_then(|rows| rows.into_iter().next())),
        }
    }

    /// Says goodbye; gives what the client complained of.
    pub async fn end(self) -> Vec<String> {
        match self {
            Self::Psql(psql) => psql.end().await,
            Self::Own(session) => {
                session.close(Deadline::after(LIMIT)).await;
                Vec::new()
            }
        }
    }
}

async fn ask(session: &mut Session, sql: &str) -> Result<Vec<String>, String> {
    let answer = session
        .query(sql, Deadline::after(LIMIT))
        .await
        .map_err(|failure| failure.to_string())?;
    let line = |row: &Vec<Option<String>>| {
        let columns: Vec<_> = row
            .iter()
            .map(|value| printable(value.as_deref().unwrap_or_default()))
            .collect();
        columns.join("|")
    };
    Ok(answer.rows.iter().map(line).collect())
}

async fn session(conninfo: &Conninfo, files: &PsqlFiles) -> Result<Result<Session, Vec<String>>, Error> {
    let mut conninfo = conninfo.clone();
    if conninfo.get(Keyword::Passfile).is_none() {
        conninfo.set(Keyword::Passfile, files.passfile.to_string_lossy());
    }
    let means = Means {
        expect: None,
        other: None,
        admin: None,
        dir: files.home.join("none"),
        key_passphrase: None::<SecretString>,
        timeout: LIMIT,
        now: OffsetDateTime::now_utc(),
    };
    let target = target(conninfo, &Environment::default(), &means).await?;
    Ok(enter_or_why(&target).await)
}
