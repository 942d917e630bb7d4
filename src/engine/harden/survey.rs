//! What is there: the server's files, and proof that they are the server's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::conf::Net;
use crate::conf::simulate::{Memberships, World};
use crate::dial::{Address, Deadline, Rows, Session};
use crate::engine::audit::as_psql;
use crate::engine::login::log_in;
use crate::engine::{Error, target};
use crate::harden::{Managed, Seen, ServerFiles, Sightings, TlsSeen, Watched, is_garbled, managed};

use crate::server;
use crate::verify::{Target, Unloadable, Unread, literal};

use super::Hardening;
use super::beside::{self, Encrypted};
use super::over_sql;
use super::reach::{PathMap, files, look};
use super::rights;

const SETTINGS: &str = "SELECT name, setting, source FROM pg_settings WHERE name LIKE 'ssl%' OR name IN ('config_file', \
    'hba_file', 'ident_file', 'data_directory', 'port', 'listen_addresses', 'allow_alter_system') OR source = 'command line'";

const WHO: &str = "SELECT current_user, session_user, current_database() AS database, \
    current_setting('server_version') AS version, current_setting('server_version_num') AS number, \
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser, pg_backend_pid() AS pid";

/// A name, byte by byte: one that another database's encoding made is no text here
/// (<https://www.postgresql.org/docs/current/multibyte.html>), and would keep every row back.
macro_rules! bytes_of {
    ($column:literal) => {
        concat!(
            "encode(replace(",
            $column,
            "::text, E'\\\\', E'\\\\\\\\')::bytea, 'hex')"
        )
    };
}

const ROLES: &str = concat!(
    "SELECT ",
    bytes_of!("rolname"),
    " AS rolname, rolcanlogin FROM pg_roles ORDER BY 1 LIMIT 100000"
);

const MEMBERS: &str = concat!(
    "SELECT ",
    bytes_of!("m.rolname"),
    " AS member, ",
    bytes_of!("g.rolname"),
    " AS of FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid LIMIT 100000"
);

/// Settings that only a service's own builds have.
const SERVICES: &str = "SELECT name FROM pg_settings WHERE name LIKE '%.%' LIMIT 10000";

const SESSIONS: &str = concat!(
    "SELECT ",
    bytes_of!("a.usename"),
    " AS usename, coalesce(",
    bytes_of!("a.datname"),
    ", '') AS datname, coalesce(a.application_name, '') AS application, \
    host(a.client_addr) AS client, a.client_port AS port, a.backend_type = 'walsender' AND a.datname IS NULL AS replication, \
    s.ssl, s.version, s.cipher, s.client_dn, g.encrypted AS gss, a.pid, a.pid = pg_backend_pid() AS own, \
    a.usename = session_user AND a.application_name = {watchdog} AS watchdog \
    FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) LEFT JOIN pg_stat_gssapi g USING (pid) \
    WHERE a.backend_type IN ('client backend', 'walsender') LIMIT 10000"
);

/// A name that was asked for byte by byte; what is no UTF-8 in it is marked ([`is_garbled`]).
fn name(hex: &str) -> String {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = hex.as_bytes().chunks(2).filter_map(byte).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A server that was looked at, and the admin's session on it.
pub struct Survey {
    /// Where the admin dials.
    pub target: Target,
    /// The session that is held.
    pub session: Session,
    /// The account whose place root took for it, since the server goes by accounts.
    pub in_place_of: Option<String>,
    /// The server's version, as it says it.
    pub version: String,
    /// Its files.
    pub server: ServerFiles,
    /// Where on this machine the server's names lead.
    pub map: PathMap,
    /// What is in force: value and source of each setting that was asked for.
    pub in_force: BTreeMap<String, (String, String)>,
    /// The roles that may log in.
    pub logins: Vec<String>,
    /// The admin's own session.
    pub own: Seen,
    /// What rules ask about.
    pub world: World,
    /// Who is connected now.
    pub watched: Watched,
    /// User and group of the server's data directory.
    pub account: (u32, u32),
    /// Whether the server's files can be written from here; else why not.
    pub reach: Result<(), String>,
    /// What is in `ssl_ca_file`, where it is set.
    pub(super) client_ca: Option<Vec<u8>>,
    /// What is in `ssl_crl_file`, where it is set.
    pub(super) client_lists: Option<Vec<u8>>,
    /// Files that TLS needs and that the server cannot load.
    pub(super) unloadable: Vec<Unloadable>,
    /// Settings of TLS that this role may not alter over SQL.
    pub(super) unalterable: BTreeSet<String>,
    /// Whether the server's key is encrypted.
    pub(super) encrypted: Option<Encrypted>,
    /// Files that were changed since the server last read them: what stands in them comes into force with any reload.
    pub unread: Vec<Unread>,
    /// What is in `ssl_cert_file`, where the files are out of reach and there is a key beside it.
    pub(super) pair: Option<Vec<u8>>,
}

pub(super) fn refused(what: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::OutOfReach {
        what: what.into(),
        remedy: remedy.into(),
    }
}

impl Survey {
    /// A fresh allowance for one question.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.target.timeout)
    }

    /// The same as a source of allowances.
    pub(super) fn limit(&self) -> impl Fn() -> Deadline + use<> {
        let allowed = self.target.timeout;
        move || Deadline::after(allowed)
    }

    /// Whose place was taken for the login, in a sentence.
    #[must_use]
    pub fn login_note(&self) -> Option<String> {
        let account = self.in_place_of.as_ref()?;
        Some(format!(
            "logged in as the account {account}: over its socket the server goes by accounts (peer)"
        ))
    }

    /// Which files the server has not read since they were changed, in a sentence, and what to do about it.
    #[must_use]
    pub fn unread_note(&self) -> Option<(String, &'static str)> {
        Some((beside::unread_words(&self.unread)?, beside::READ_THEM))
    }

    /// The directories on this machine in which its settings, rules and data are.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        let server = &self.server;
        let files = [&server.conf, &server.hba, &server.ident].map(|file| {
            let here = self.map.here(file);
            let real = here.canonicalize().unwrap_or(here);
            real.parent().map(Path::to_path_buf)
        });
        let data = self.map.here(&server.data);
        files.into_iter().flatten().chain([data]).collect()
    }

    /// Asks over the held session.
    pub(super) async fn ask(&mut self, doing: &str, sql: &str) -> Result<Rows, Error> {
        let deadline = self.deadline();
        ask(&mut self.session, doing, sql, deadline).await
    }

    /// The value of a setting in force.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.in_force.get(name).map(|(value, _)| value.as_str())
    }

    /// Whether the server, asked over SQL, reads the same bytes at a name of its own.
    pub(super) async fn reads(&mut self, path: &Path, bytes: &[u8]) -> Result<bool, Error> {
        let sql = format!(
            "SELECT encode(sha256(pg_read_binary_file({})), 'hex') AS digest",
            literal(&path.to_string_lossy())
        );
        let deadline = self.deadline();
        let rows = match self.session.query(&sql, deadline).await {
            Ok(rows) => rows,
            Err(crate::dial::QueryFailure::Server(_)) => return Ok(false),
            Err(error) => {
                return Err(Error::Database {
                    doing: format!("asking the server for {}", path.display()),
                    why: error.to_string(),
                });
            }
        };
        Ok(rows.value(0, "digest") == Some(crate::apply::sha256(bytes).as_str()))
    }
}

pub(super) async fn ask(
    session: &mut Session,
    doing: &str,
    sql: &str,
    deadline: Deadline,
) -> Result<Rows, Error> {
    session
        .query(sql, deadline)
        .await
        .map_err(|error| Error::Database {
            doing: doing.to_owned(),
            why: error.to_string(),
        })
}

/// Logs in and looks, reading only.
pub async fn survey(hardening: &Hardening) -> Result<Survey, Error> {
    let mut conninfo = hardening.conninfo.clone();
    as_psql(&mut conninfo, &hardening.env);
    let target = target(conninfo, &hardening.env, &hardening.means).await?;
    let limit = || Deadline::after(target.timeout);
    let entry = log_in(&target, "logging in as the admin").await?;
    let (mut session, in_place_of) = (entry.session, entry.account);
    let wait = "asking not to be ended for waiting";
    ask(&mut session, wait, over_sql::PATIENCE, limit()).await?;
    let who = ask(&mut session, "asking which server this is", WHO, limit()).await?;
    let cell = |name| who.value(0, name).unwrap_or_default().to_owned();
    let number: u32 = cell("number").parse().unwrap_or_default();
    let major = u16::try_from(number / 10_000).unwrap_or_default();
    let in_force = settings(&mut session, limit()).await?;
    let roles = ask(&mut session, "asking for the roles", ROLES, limit()).await?;
    let services = ask(&mut session, "asking for the settings", SERVICES, limit()).await?;
    let names = |rows: &Rows, column| -> Vec<String> {
        (0..rows.rows.len())
            .filter_map(|at| rows.value(at, column).map(str::to_owned))
            .collect()
    };
    let role_names: Vec<String> = names(&roles, "rolname").iter().map(|hex| name(hex)).collect();
    let service_names = names(&services, "name");
    let is_superuser = cell("superuser") == "t";
    // Anybody may have a setting of such a name in a file of their own.
    let settings_count = service_names.iter().filter(|_| !is_superuser).map(String::as_str);
    if let Some(service) = managed(role_names.iter().map(String::as_str), settings_count) {
        return Err(of_a_service(service));
    }
    let unalterable = if is_superuser {
        BTreeSet::new()
    } else {
        rights::of(&mut session, &cell("current_user"), major, &limit).await?
    };
    let (server, map) = files(&in_force, hardening.config_dir.as_deref(), major);
    let members = ask(&mut session, "asking for memberships", MEMBERS, limit()).await?;
    let direct = (0..members.rows.len())
        .filter_map(|at| Some((name(members.value(at, "member")?), name(members.value(at, "of")?))));
    let world = World {
        memberships: Some(Memberships::new(role_names.clone(), direct)),
        ..World::default()
    };
    let here = sessions(&mut session, hardening.means.now.unix_timestamp(), limit()).await?;
    let logins = (0..roles.rows.len())
        .filter(|at| roles.value(*at, "rolcanlogin") == Some("t"))
        .filter_map(|at| roles.value(at, "rolname").map(name))
        .filter(|role| !is_garbled(role))
        .collect();
    let data = map.here(&server.data);
    let account = std::fs::metadata(&data).map(|meta| (meta.uid(), meta.gid())).ok();
    let mut survey = Survey {
        version: crate::pki::printable(&cell("version")),
        target,
        session,
        in_place_of,
        map,
        in_force,
        logins,
        own: here.own.unwrap_or_else(|| Seen {
            user: cell("session_user"),
            database: cell("database"),
            address: None,
            replication: false,
            application: String::new(),
            tls: None,
            gss: false,
        }),
        world,
        watched: here.watched,
        account: account.unwrap_or_default(),
        reach: Ok(()),
        client_ca: None,
        client_lists: None,
        unloadable: Vec::new(),
        unalterable,
        encrypted: None,
        unread: Vec::new(),
        pair: None,
        server,
    };
    look(&mut survey, account.is_some(), hardening.config_dir.is_some()).await?;
    if survey.reach.is_ok() {
        let interfaces = server::interfaces(&data);
        let net = |(address, mask)| Net::new(address, mask);
        survey.world.interfaces = interfaces.map(|all| all.into_iter().filter_map(net).collect());
    }
    Ok(survey)
}

/// The settings in force.
pub(super) async fn settings(
    session: &mut Session,
    deadline: Deadline,
) -> Result<BTreeMap<String, (String, String)>, Error> {
    let rows = ask(session, "asking for the settings", SETTINGS, deadline).await?;
    let cell = |at, name| rows.value(at, name).unwrap_or_default().to_owned();
    Ok((0..rows.rows.len())
        .map(|at| (cell(at, "name"), (cell(at, "setting"), cell(at, "source"))))
        .collect())
}

/// Who is connected.
#[derive(Default)]
pub(super) struct Here {
    /// The session that asks.
    own: Option<Seen>,
    /// Everybody else.
    pub watched: Watched,
    /// The server's processes for them.
    pub processes: BTreeSet<u32>,
}

/// Everybody who is connected.
pub(super) async fn sessions(session: &mut Session, now: i64, deadline: Deadline) -> Result<Here, Error> {
    let rows = ask(
        session,
        "asking who is connected",
        &SESSIONS.replace("{watchdog}", &literal(over_sql::NAME)),
        deadline,
    )
    .await?;
    let mut here = Here::default();
    for at in 0..rows.rows.len() {
        let cell = |name| rows.value(at, name);
        let text = |name| cell(name).unwrap_or_default().to_owned();
        if cell("watchdog") == Some("t") {
            continue;
        }
        // Without a port it is hidden from us, or not yet known.
        if cell("usename").is_none() || cell("port").is_none() {
            continue;
        }
        let tls = (cell("ssl") == Some("t")).then(|| TlsSeen {
            version: text("version"),
            cipher: text("cipher"),
            cn: cell("client_dn").and_then(common_name),
            by_log: false,
        });
        let seen = Seen {
            user: name(&text("usename")),
            database: name(&text("datname")),
            address: cell("client").and_then(|ip| ip.parse::<IpAddr>().ok()),
            replication: cell("replication") == Some("t"),
            application: text("application"),
            tls,
            gss: cell("gss") == Some("t"),
        };
        here.processes
            .extend(cell("pid").and_then(|pid| pid.parse::<u32>().ok()));
        if cell("own") == Some("t") {
            here.own = Some(seen);
        } else {
            here.watched.add(
                seen,
                Sightings {
                    sessions: 1,
                    last: now,
                },
            );
        }
    }
    Ok(here)
}

/// The first common name of a name as `pg_stat_ssl` writes it (`/O=Shop/CN=app`).
fn common_name(dn: &str) -> Option<String> {
    let (_, rest) = dn.split_once("/CN=")?;
    Some(rest.split('/').next().unwrap_or(rest).to_owned())
}

fn of_a_service(service: Managed) -> Error {
    refused(
        format!(
            "this server is run by {}, whose configuration is not ours to write",
            service.name
        ),
        service.instead,
    )
}

/// Where the server is dialled over TCP: as the admin does, else on this machine.
pub(super) fn tcp_address(survey: &Survey) -> Result<(IpAddr, u16), Error> {
    if let Address::Tcp { addresses, .. } = &survey.target.address
        && let Some(first) = addresses.first()
    {
        return Ok((first.ip(), first.port()));
    }
    let port = survey
        .setting("port")
        .and_then(|port| port.parse().ok())
        .unwrap_or(5432);
    let listens = survey.setting("listen_addresses").unwrap_or_default();
    let parts: Vec<_> = listens
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let is_any = |part: &&str| matches!(*part, "*" | "0.0.0.0" | "localhost" | "127.0.0.1");
    if parts.iter().any(is_any) {
        return Ok((loopback, port));
    }
    if parts.contains(&"::") {
        return Ok((IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), port));
    }
    let literal = parts.iter().find_map(|part| part.parse().ok());
    literal.map(|ip| (ip, port)).ok_or_else(|| {
        refused(
            "the server listens on no network address, so that TLS could not be proven",
            "set listen_addresses and restart it, or leave it as it is: over a Unix socket there is no network to protect",
        )
    })
}
