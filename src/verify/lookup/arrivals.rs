//! Who came in, as the server's log tells it with `log_connections`: also whoever was gone again before anybody could look
//! (<https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-CONNECTIONS>).
//!
//! Two entries of one process make an arrival: that a connection was received, which says from where, and that it was
//! authorized, which says for whom and how. They are known in English alone; of a process that is not told apart by its
//! number (`%p` in `log_line_prefix`) nothing is known.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::over_sql::OverSql;
use super::log::{Entry, Log};

/// Somebody who came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// From where.
    pub from: Origin,
    /// The role.
    pub user: String,
    /// The database; `None` in physical replication.
    pub database: Option<String>,
    /// `application_name`, as the connection began.
    pub application: String,
    /// Whether TLS protects it.
    pub tls: bool,
    /// Whether GSSAPI encrypts it.
    pub gss: bool,
}

/// Where somebody came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From this address.
    Tcp(IpAddr),
    /// Over the server's socket.
    Socket,
}

/// A log that is followed.
#[derive(Debug)]
pub struct Arrivals {
    log: Log,
    /// Connections that were received, and are not let in yet: by their process.
    received: BTreeMap<u32, Origin>,
    has_told: bool,
}

/// More connections than wait at once for their login on any server.
const MOST_WAITING: usize = 10_000;

impl Arrivals {
    /// From now on; `None` where the log cannot be read, or does not tell who comes.
    pub async fn from_now(sql: &mut OverSql<'_>) -> Option<Self> {
        let rows = sql.query("SHOW log_connections").await.ok()?;
        if !tells_all(rows.value(0, "log_connections")?) {
            return None;
        }
        Some(Self {
            log: Log::from_now(sql).await?,
            received: BTreeMap::new(),
            has_told: false,
        })
    }

    /// Those of whom the log told since the last time.
    pub async fn follow(&mut self, sql: &mut OverSql<'_>) -> Vec<Arrival> {
        let entries = self.log.more(sql).await;
        self.of(&entries)
    }

    /// Whether it has told of anybody at all.
    #[must_use]
    pub const fn has_told(&self) -> bool {
        self.has_told
    }

    fn of(&mut self, entries: &[Entry]) -> Vec<Arrival> {
        let mut arrived = Vec::new();
        for entry in entries {
            let Some(process) = entry.process else {
                continue;
            };
            if let Some(from) = received(&entry.message) {
                if self.received.len() >= MOST_WAITING {
                    self.received.pop_first();
                }
                self.received.insert(process, from);
            } else if let Some(authorized) = Authorized::read(&entry.message)
                && let Some(from) = self.received.remove(&process)
            {
                self.has_told = true;
                arrived.push(Arrival {
                    from,
                    user: authorized.user.to_owned(),
                    database: authorized.database.map(str::to_owned),
                    application: authorized.application.to_owned(),
                    tls: authorized.tls,
                    gss: authorized.gss,
                });
            }
        }
        arrived
    }
}

/// Whether that setting has the log tell of both: a switch before 18, and a list of what is told from then on.
fn tells_all(setting: &str) -> bool {
    let aspects: Vec<&str> = setting.split(',').map(str::trim).collect();
    let has = |name: &str| aspects.iter().any(|aspect| aspect.eq_ignore_ascii_case(name));
    ["on", "true", "yes", "1", "all"].into_iter().any(has) || (has("receipt") && has("authorization"))
}

/// From where: `connection received: host=127.0.0.1 port=40000`, `host=[local]`. With `log_hostname` a name stands there,
/// which is no address.
fn received(message: &str) -> Option<Origin> {
    let host = message.strip_prefix("connection received: host=")?;
    let host = host.split_once(" port=").map_or(host, |(host, _)| host);
    if host == "[local]" {
        return Some(Origin::Socket);
    }
    // A link-local address has its zone behind it.
    let host = host.split('%').next().unwrap_or(host);
    host.parse().ok().map(Origin::Tcp)
}

/// What stands in the entry of a connection that was let in (postinit.c, `PerformAuthentication`).
struct Authorized<'a> {
    user: &'a str,
    database: Option<&'a str>,
    application: &'a str,
    tls: bool,
    gss: bool,
}

impl<'a> Authorized<'a> {
    fn read(message: &'a str) -> Option<Self> {
        let (is_replication, said) = match message.strip_prefix("replication connection authorized: user=") {
            Some(said) => (true, said),
            None => (false, message.strip_prefix("connection authorized: user=")?),
        };
        // How it came stands last, behind names in which anything may stand.
        let (said, gss) = match said.rsplit_once(" GSS (") {
            Some((before, how)) if how.ends_with(')') => (before, how.contains("encrypted=yes")),
            _ => (said, false),
        };
        let (said, tls) = match said.rsplit_once(" SSL enabled (") {
            Some((before, how)) if how.ends_with(')') => (before, true),
            _ => (said, false),
        };
        let (said, application) = said.split_once(" application_name=").unwrap_or((said, ""));
        let (user, database) = match said.split_once(" database=") {
            Some((user, database)) => (user, Some(database)),
            None => (said, None),
        };
        (is_replication || database.is_some()).then_some(Self {
            user,
            database,
            application,
            tls,
            gss,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::plain;
    use super::*;

    fn arrivals(text: &str) -> Vec<Arrival> {
        let mut arrivals = Arrivals {
            log: Log::nowhere(),
            received: BTreeMap::new(),
            has_told: false,
        };
        arrivals.of(&plain(text))
    }

    /// As PostgreSQL 13 to 18 write them (measured), but for the addresses.
    #[test]
    fn who_came_and_how_is_read_from_two_entries_of_one_process() {
        let text = "\
2026-11-26 03:00:00.000 UTC [7] LOG:  connection received: host=10.0.0.5 port=4000
2026-11-26 03:00:00.000 UTC [8] LOG:  connection received: host=10.0.0.6 port=4001
2026-11-26 03:00:00.000 UTC [9] LOG:  connection received: host=[local]
2026-11-26 03:00:00.001 UTC [8] shop@app LOG:  connection authorized: user=shop database=app application_name=psql SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)
2026-11-26 03:00:00.001 UTC [7] LOG:  connection authenticated: identity=\"nightly\" method=scram-sha-256 (/etc/pg_hba.conf:9)
2026-11-26 03:00:00.002 UTC [7] LOG:  connection authorized: user=nightly database=app
2026-11-26 03:00:00.002 UTC [9] LOG:  connection authorized: user=my user database=my db application_name=a b
2026-11-26 03:00:00.003 UTC [10] LOG:  connection received: host=10.0.0.7 port=4002
2026-11-26 03:00:00.003 UTC [10] FATAL:  password authentication failed for user \"app\"
2026-11-26 03:00:00.004 UTC [11] LOG:  connection received: host=10.0.0.8 port=4003
2026-11-26 03:00:00.004 UTC [11] LOG:  replication connection authorized: user=rep application_name=walreceiver SSL enabled (protocol=TLSv1.2, cipher=X, bits=256, compression=off)
2026-11-26 03:00:00.005 UTC [12] LOG:  connection received: host=10.0.0.9 port=4004
2026-11-26 03:00:00.005 UTC [12] LOG:  connection authorized: user=kerb database=app GSS (authenticated=yes, encrypted=yes, principal=kerb@EXAMPLE.ORG)
";
        let arrival = |ip: &str, user: &str, database: Option<&str>, application: &str| Arrival {
            from: ip.parse().map_or(Origin::Socket, Origin::Tcp),
            user: user.to_owned(),
            database: database.map(str::to_owned),
            application: application.to_owned(),
            tls: false,
            gss: false,
        };
        assert_eq!(
            arrivals(text),
            [
                Arrival {
                    tls: true,
                    ..arrival("10.0.0.6", "shop", Some("app"), "psql")
                },
                arrival("10.0.0.5", "nightly", Some("app"), ""),
                arrival("", "my user", Some("my db"), "a b"),
                Arrival {
                    tls: true,
                    ..arrival("10.0.0.8", "rep", None, "walreceiver")
                },
                Arrival {
                    gss: true,
                    ..arrival("10.0.0.9", "kerb", Some("app"), "")
                },
            ]
        );
    }

    #[test]
    fn of_whom_it_is_not_known_where_from_nothing_is_known() {
        let text = "\
2026-11-26 03:00:00.000 UTC [7] LOG:  connection received: host=client.example.org port=4000
2026-11-26 03:00:00.001 UTC [7] LOG:  connection authorized: user=app database=app
2026-11-26 03:00:00.001 UTC [8] LOG:  connection authorized: user=app database=app
2026-11-26 03:00:00.001 UTC LOG:  connection authorized: user=app database=app
";
        assert_eq!(arrivals(text), []);
    }

    #[test]
    fn the_setting_is_a_switch_or_a_list() {
        for all in [
            "on",
            "all",
            "receipt, authorization",
            "authorization,receipt,setup_durations",
        ] {
            assert!(tells_all(all), "{all}");
        }
        for less in ["off", "", "receipt", "authentication, authorization"] {
            assert!(!tells_all(less), "{less}");
        }
    }
}
