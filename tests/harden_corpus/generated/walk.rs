//! Everybody comes, over every way that is theirs; and some of them stay.

use std::path::Path;

use super::super::case::{Certificate, Fact, Place, Way};
use super::super::support::{Account, Running, TestServer, psql_job};
use super::super::witness::{self, Trust, has_v6};

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    In,
    /// No line is about it, or one that rejects.
    ByTheRules,
    /// A certificate was wanted, and none shown, or not a right one.
    NoCertificate,
    /// The password or the account was not right.
    ByProof,
}

impl End {
    pub fn is_in(self) -> bool {
        self == Self::In
    }
}

/// How one of the people comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Local,
    Plain,
    /// As libpq does it by itself: TLS if it can be had, else without.
    Prefer,
    Tls,
    Certificate,
    Kit,
}

/// What became of a login.
#[derive(Debug, Clone)]
pub struct Login {
    /// Which of the people.
    pub who: usize,
    pub kind: Kind,
    pub end: End,
    /// For whoever reads about a failure.
    pub told: String,
}

pub fn fact(person: &Fact, kind: Kind) -> Fact {
    let certificate = match kind {
        Kind::Certificate => Certificate::Issued,
        Kind::Kit => Certificate::Kit,
        _ => Certificate::None,
    };
    Fact {
        way: Way {
            tls: matches!(kind, Kind::Tls | Kind::Certificate | Kind::Kit),
            certificate,
            ..person.way
        },
        ..person.clone()
    }
}

/// The ways that are somebody's.
fn kinds(person: &Fact, asked: &[Kind], kit: &Path) -> Vec<Kind> {
    if person.way.place == Place::Socket {
        return vec![Kind::Local];
    }
    if person.way.place == Place::V6 && !has_v6() {
        return Vec::new();
    }
    let has_kit = kit.join("clients").join(&person.role).join("client.crt").exists();
    asked
        .iter()
        .copied()
        .filter(|kind| *kind != Kind::Kit || has_kit)
        .filter(|kind| *kind != Kind::Prefer || !person.way.replication)
        .collect()
}

pub fn conninfo(server: &TestServer, person: &Fact, kind: Kind, trust: Option<&Trust>, kit: &Path) -> String {
    let text = witness::conninfo(server, &fact(person, kind), trust, kit);
    match kind {
        Kind::Prefer => text.replace("sslmode=disable", "sslmode=prefer"),
        _ => text,
    }
}

/// Everybody comes.
pub fn all(
    server: &TestServer,
    people: &[Fact],
    asked: &[Kind],
    trust: Option<&Trust>,
    kit: &Path,
) -> Result<Vec<Login>, String> {
    let mut logins = Vec::new();
    for (who, person) in people.iter().enumerate() {
        for kind in kinds(person, asked, kit) {
            let conninfo = conninfo(server, person, kind, trust, kit);
            let way = fact(person, kind).way;
            let login = match kind {
                // Either answer will do.
                Kind::Prefer => witness::login_with(conninfo.clone(), way)
                    .or_else(|_| witness::login_with(conninfo, Way { tls: true, ..way }))?,
                _ => witness::login_with(conninfo, way)?,
            };
            let by_the_rules = ["no pg_hba.conf entry", "pg_hba.conf rejects"]
                .iter()
                .any(|words| login.said.contains(words));
            logins.push(Login {
                who,
                kind,
                end: match (login.comes_in, by_the_rules) {
                    (true, _) => End::In,
                    (false, true) => End::ByTheRules,
                    _ if login.said.contains("certificate") => End::NoCertificate,
                    _ => End::ByProof,
                },
                told: format!("psql '{}'\n{}", login.conninfo, login.said),
            });
        }
    }
    Ok(logins)
}

/// Somebody who came in and stays.
pub struct Held {
    pub who: usize,
    pub kind: Kind,
    /// Its `application_name`.
    pub name: String,
    #[allow(dead_code, reason = "the session ends with it")]
    running: Running,
}

/// One comes in again, and stays.
pub fn hold(server: &TestServer, person: &Fact, login: &Login, conninfo: &str) -> Held {
    let name = format!("held {} {:?}", login.who, login.kind);
    let conninfo = format!("{conninfo} application_name='{name}'");
    let running = psql_job(&Account::server(), &conninfo, "select pg_sleep(3600)").start();
    let sql = format!(
        "select count(*) from pg_stat_activity where application_name = '{name}' and state = 'active'"
    );
    super::super::support::wait_for(
        &format!("{} stays ({name})", person.role),
        std::time::Duration::from_secs(60),
        || (server.sql(&sql).stdout.trim() == "1").then_some(()),
    );
    Held {
        who: login.who,
        kind: login.kind,
        name,
        running,
    }
}
