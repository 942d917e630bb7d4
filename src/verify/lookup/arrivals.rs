//! Who came in, as the server's log tells it with `log_connections`: also whoever was gone again before anybody could look
//! (<https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-CONNECTIONS>).
//!
//! Two entries of one process make an arrival: that a connection was received, which says from where, and that it was
//! authorized, which says for whom and how. Between them stands, from 14 on, that it was authenticated: by the method `cert`
//! with the name on the client's certificate. With any other method no entry says whether a certificate was shown. They are
//! known in English alone; of a process that is not told apart by its number (`%p` in `log_line_prefix`) nothing is known.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::over_sql::OverSql;
use super::log::{Entry, Log};

/// Somebody who came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The server's process for it.
    pub process: u32,
    /// From where.
    pub from: Origin,
    /// The role.
    pub user: String,
    /// The database; `None` in physical replication.
    pub database: Option<String>,
    /// `application_name`, as the connection began.
    pub application: String,
    /// The TLS that protects it.
    pub tls: Option<TlsArrival>,
    /// Whether GSSAPI encrypts it.
    pub gss: bool,
}

/// The TLS of an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsArrival {
    /// Its version, as PostgreSQL names it.
    pub version: String,
    /// Its cipher, as OpenSSL names it.
    pub cipher: String,
    /// The common name of the client's certificate, where it logged in by that; `None`: whether one was shown is not known.
    pub cn: Option<String>,
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
    received: BTreeMap<u32, Received>,
    has_told: bool,
}

/// A connection that is not let in yet.
#[derive(Debug)]
struct Received {
    from: Origin,
    /// The common name of the certificate that it logged in by.
    cn: Option<String>,
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
                self.received.insert(process, Received { from, cn: None });
            } else if let Some(cn) = certified(&entry.message)
                && let Some(received) = self.received.get_mut(&process)
            {
                received.cn = Some(cn);
            } else if let Some(authorized) = Authorized::read(&entry.message)
                && let Some(Received { from, cn }) = self.received.remove(&process)
            {
                self.has_told = true;
                arrived.push(Arrival {
                    process,
                    from,
                    user: authorized.user.to_owned(),
                    database: authorized.database.map(str::to_owned),
                    application: authorized.application.to_owned(),
                    tls: authorized.tls.map(|(version, cipher)| TlsArrival {
                        version: version.to_owned(),
                        cipher: cipher.to_owned(),
                        cn,
                    }),
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

/// The common name of the certificate by which a connection logged in: `connection authenticated: identity="CN=app,O=Shop"
/// method=cert (…)`, a name as RFC 2253 writes it. Of several the last stands there as PostgreSQL takes it: the name is written
/// from its end.
fn certified(message: &str) -> Option<String> {
    let said = message.strip_prefix("connection authenticated: identity=\"")?;
    let (name, how) = said.rsplit_once("\" method=")?;
    if how.split(' ').next() != Some("cert") {
        return None;
    }
    parts(name)
        .into_iter()
        .rev()
        .find_map(|part| part.strip_prefix("CN=").map(str::to_owned))
}

/// The parts of a name, without their escapes (<https://www.rfc-editor.org/rfc/rfc2253#section-2.4>).
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = name.chars();
    while let Some(char) = chars.next() {
        let said = match char {
            ',' | '+' => {
                parts.push(String::new());
                continue;
            }
            '\\' => chars.next(),
            char => Some(char),
        };
        // The list is never empty.
        if let (Some(part), Some(char)) = (parts.last_mut(), said) {
            part.push(char);
        }
    }
    parts
}

/// What stands in the entry of a connection that was let in (postinit.c, `PerformAuthentication`).
struct Authorized<'a> {
    user: &'a str,
    database: Option<&'a str>,
    application: &'a str,
    /// Version and cipher.
    tls: Option<(&'a str, &'a str)>,
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
            Some((before, how)) if how.ends_with(')') => {
                let value = |name: &str| {
                    let mut each = how.trim_end_matches(')').split(", ");
                    each.find_map(|one| one.strip_prefix(name)).unwrap_or_default()
                };
                (before, Some((value("protocol="), value("cipher="))))
            }
            _ => (said, None),
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
2026-11-26 03:00:00.006 UTC [13] LOG:  connection received: host=10.0.0.10 port=4005
2026-11-26 03:00:00.006 UTC [13] LOG:  connection authenticated: identity=\"CN=a\\,b,OU=CN=no,O=Shop\" method=cert (/etc/pg_hba.conf:9)
2026-11-26 03:00:00.006 UTC [13] LOG:  connection authorized: user=ab database=app SSL enabled (protocol=TLSv1.3, cipher=Y, bits=256)
";
        let over = |version: &str, cipher: &str, cn: Option<&str>| {
            Some(TlsArrival {
                version: version.to_owned(),
                cipher: cipher.to_owned(),
                cn: cn.map(str::to_owned),
            })
        };
        let arrival = |process, ip: &str, user: &str, database: Option<&str>, application: &str| Arrival {
            process,
            from: ip.parse().map_or(Origin::Socket, Origin::Tcp),
            user: user.to_owned(),
            database: database.map(str::to_owned),
            application: application.to_owned(),
            tls: None,
            gss: false,
        };
        assert_eq!(
            arrivals(text),
            [
                Arrival {
                    tls: over("TLSv1.3", "TLS_AES_256_GCM_SHA384", None),
                    ..arrival(8, "10.0.0.6", "shop", Some("app"), "psql")
                },
                arrival(7, "10.0.0.5", "nightly", Some("app"), ""),
                arrival(9, "", "my user", Some("my db"), "a b"),
                Arrival {
                    tls: over("TLSv1.2", "X", None),
                    ..arrival(11, "10.0.0.8", "rep", None, "walreceiver")
                },
                Arrival {
                    gss: true,
                    ..arrival(12, "10.0.0.9", "kerb", Some("app"), "")
                },
                Arrival {
                    tls: over("TLSv1.3", "Y", Some("a,b")),
                    ..arrival(13, "10.0.0.10", "ab", Some("app"), "")
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
