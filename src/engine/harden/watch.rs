//! Looking for a while at who comes in, and keeping it.
//!
//! Sessions are looked at as they are open. Those that are over between two looks are known by the server's log, where it
//! tells who comes and may be read; else it is counted how many there were, so that nobody takes them for none.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::apply::BOOKS;
use crate::conf::simulate::{Outcome, Refusal, Simulator, World, outcome};
use crate::dial::{Deadline, Session};
use crate::engine::{Error, files, prepare};
use crate::harden::{Draft, Seen, Sightings, TlsSeen, Watched};
use crate::plan::literal;
use crate::verify::{Arrival, Arrivals, Origin, OverSql};

use super::Survey;
use super::survey::sessions;

/// What a watch saw.
#[derive(Debug)]
pub struct Look {
    /// This time.
    pub now: Watched,
    /// With all that was kept from earlier.
    pub all: Watched,
    /// Of them all, those of whom the log alone tells that they came over TLS, and of whom nobody knows whether with a
    /// certificate: the rules do not demand one.
    pub certificate_unknown: Vec<(Seen, Sightings)>,
    /// How often it looked.
    pub looks: u64,
    /// Whether the server's log told of those who came and were gone again.
    pub by_log: bool,
    /// How many sessions came and went without being looked at, at least; `None` where the server does not count them
    /// (before 14).
    pub missed: Option<u64>,
}

impl Look {
    /// How far it reaches: what of those who came and went between two looks is known.
    #[must_use]
    pub fn reach(&self) -> String {
        let cure = "With log_connections = on, and a log that this login may read, watch knows them too.";
        match self.missed {
            _ if self.by_log => {
                "The server's log was read as well: whoever came and was gone again is among them.".to_owned()
            }
            Some(0) => "Nobody came and went without being looked at.".to_owned(),
            Some(1) => {
                format!("One session came and went between two looks; whether with TLS is not known. {cure}")
            }
            Some(many) => {
                format!(
                    "{many} sessions came and went between two looks; whether with TLS is not known. {cure}"
                )
            }
            None => format!("Whoever came and went within half a second may have been missed. {cure}"),
        }
    }
}

/// How often it looks.
const EVERY: Duration = Duration::from_millis(500);
/// How often it keeps what it saw so far: whoever is killed loses no more.
const KEEP: Duration = Duration::from_secs(60);

/// Forgets what earlier watches saw.
pub fn forget(dir: &Path) -> Result<(), Error> {
    let live = crate::apply::live::Live::of(&prepare::absolute(dir));
    Ok(live.put_watch(b"[]\n")?)
}

/// Looks for a while, and keeps what it saw in the project. After each look it tells what it has seen so far, and in how
/// many looks; the answer may end it before its time.
pub async fn watch(
    survey: &mut Survey,
    dir: &Path,
    length: Duration,
    tell: &dyn Fn(&Watched, u64) -> ControlFlow<()>,
) -> Result<Look, Error> {
    let dir = prepare::absolute(dir);
    let until = Instant::now() + length;
    let timeout = survey.target.timeout;
    let fresh = || Deadline::after(timeout);
    let mut log = Arrivals::from_now(&mut OverSql::new(&mut survey.session, &fresh)).await;
    let mut count = Count::from_now(&mut survey.session, fresh()).await;
    let mut seen = Watched::default();
    let mut told = Told::default();
    let mut looks = 0;
    let mut since = Instant::now();
    loop {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let deadline = fresh();
        // The log first: of whom it tells that is still there is looked at after it.
        if let Some(log) = &mut log {
            for arrival in log.follow(&mut OverSql::new(&mut survey.session, &fresh)).await {
                told.hear(arrival, now);
            }
        }
        match sessions(&mut survey.session, now, deadline).await {
            Ok(here) => {
                seen.merge(&here.watched);
                told.look(here.processes);
            }
            // A server that is stopped in the middle of a night does not take with it what was seen until then.
            Err(error) => {
                seen.merge(&told.all());
                keep(&dir, &seen)?;
                return Err(error);
            }
        }
        seen.merge(&told.watched);
        if let Some(count) = &mut count {
            count.look(&mut survey.session, fresh()).await;
        }
        looks += 1;
        let left = until.saturating_duration_since(Instant::now());
        if tell(&seen, looks).is_break() || left.is_zero() {
            break;
        }
        if since.elapsed() >= KEEP {
            keep(&dir, &seen)?;
            since = Instant::now();
        }
        tokio::time::sleep(left.min(EVERY)).await;
    }
    seen.merge(&told.all());
    let missed = match count {
        Some(count) => count.missed(&mut survey.session, fresh()).await,
        None => None,
    };
    let all = keep(&dir, &seen)?;
    Ok(Look {
        certificate_unknown: certificate_unknown(survey, &all),
        all,
        now: seen,
        looks,
        // A log in another language tells nothing that is understood here.
        by_log: log.is_some_and(|log| log.has_told() || missed == Some(0)),
        missed,
    })
}

/// Of whom it is not known whether they showed a certificate. Whom the rules would refuse without one has shown one.
fn certificate_unknown(survey: &Survey, all: &Watched) -> Vec<(Seen, Sightings)> {
    let draft = Draft::new(&survey.server)
        .ok()
        .filter(|_| survey.unread.is_empty());
    let world = World {
        maps: draft.as_ref().and_then(|draft| draft.maps().ok()),
        ..survey.world.clone()
    };
    let simulator = draft
        .as_ref()
        .map(|draft| Simulator::new(draft.before().rules(), &world));
    let has_to_show = |seen: &Seen| {
        simulator.as_ref().is_some_and(|simulator| {
            let connection = seen.connection();
            let decision = simulator.decide(&connection);
            let outcome = outcome(simulator.rules(), &decision, &connection, &world);
            outcome == Outcome::Refused(Refusal::NoCertificate)
        })
    };
    all.certificate_unknown()
        .into_iter()
        .filter(|(seen, _)| !has_to_show(seen))
        .map(|(seen, sightings)| (seen.clone(), sightings))
        .collect()
}

/// Those of whom the log tells. Whether a client certificate was shown it does not say of most of them; whoever is there long
/// enough to be looked at is not taken from the log as well, so that nobody is one client who shows one and another of whom it
/// is not known.
#[derive(Default)]
struct Told {
    /// Who is not looked at.
    watched: Watched,
    /// Of whom it told since the last look, with their processes.
    fresh: Vec<(u32, Seen, i64)>,
    /// Of whom it told before that, and whom the next look may find yet: the log is a moment ahead.
    waiting: Vec<(u32, Seen, i64)>,
    /// The processes of the last look.
    looked_at: BTreeSet<u32>,
}

impl Told {
    fn hear(&mut self, arrival: Arrival, now: i64) {
        let process = arrival.process;
        let Some(seen) = over_tcp(arrival) else { return };
        if seen.is_by_log() {
            self.fresh.push((process, seen, now));
        } else {
            self.add(seen, now);
        }
    }

    fn add(&mut self, seen: Seen, last: i64) {
        self.watched.add(seen, Sightings { sessions: 1, last });
    }

    fn look(&mut self, processes: BTreeSet<u32>) {
        for (process, seen, last) in std::mem::take(&mut self.waiting) {
            if !processes.contains(&process) {
                self.add(seen, last);
            }
        }
        self.waiting = std::mem::take(&mut self.fresh);
        self.waiting
            .retain(|(process, ..)| !processes.contains(process) && !self.looked_at.contains(process));
        self.looked_at = processes;
    }

    /// No look follows.
    fn all(mut self) -> Watched {
        for (_, seen, last) in self
            .waiting
            .drain(..)
            .chain(self.fresh.drain(..))
            .collect::<Vec<_>>()
        {
            self.add(seen, last);
        }
        self.watched
    }
}

/// Who came over TCP.
fn over_tcp(arrival: Arrival) -> Option<Seen> {
    let Origin::Tcp(address) = arrival.from else {
        return None;
    };
    Some(Seen {
        user: arrival.user,
        replication: arrival.database.is_none(),
        database: arrival.database.unwrap_or_default(),
        address: Some(address),
        application: arrival.application,
        tls: arrival.tls.map(|tls| TlsSeen {
            version: tls.version,
            cipher: tls.cipher,
            by_log: tls.cn.is_none(),
            cn: tls.cn,
        }),
        gss: arrival.gss,
    })
}

/// How many sessions began, against how many of them were looked at
/// (<https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-DATABASE-VIEW>).
struct Count {
    /// Before.
    began: u64,
    /// When, by the server's clock.
    since: String,
    /// The sessions that were looked at and began since then.
    seen: BTreeSet<String>,
}

impl Count {
    async fn from_now(session: &mut Session, deadline: Deadline) -> Option<Self> {
        const SQL: &str = "SELECT sum(sessions) AS began, now()::text AS since FROM pg_stat_database";
        let rows = session.query(SQL, deadline).await.ok()?;
        Some(Self {
            began: rows.value(0, "began")?.parse().ok()?,
            since: rows.value(0, "since")?.to_owned(),
            seen: BTreeSet::new(),
        })
    }

    async fn look(&mut self, session: &mut Session, deadline: Deadline) {
        let sql = format!(
            "SELECT pid || ' ' || backend_start::text AS one FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND backend_start > {} LIMIT 10000",
            literal(&self.since)
        );
        if let Ok(rows) = session.query(&sql, deadline).await {
            let ones = (0..rows.rows.len()).filter_map(|at| rows.value(at, "one"));
            self.seen.extend(ones.map(str::to_owned));
        }
    }

    async fn missed(mut self, session: &mut Session, deadline: Deadline) -> Option<u64> {
        let before = self.began;
        let now = Self::from_now(session, deadline).await?.began;
        self.look(session, deadline).await;
        Some(now.saturating_sub(before).saturating_sub(self.seen.len() as u64))
    }
}

/// Adds what was seen to what was kept; gives all of it.
fn keep(dir: &Path, seen: &Watched) -> Result<Watched, Error> {
    let mut all = kept(dir)?;
    all.merge(seen);
    let bytes = serde_json::to_vec_pretty(&all).map_err(|error| Error::Environment {
        what: format!("what was seen cannot be written down: {error}"),
    })?;
    crate::apply::live::Live::of(dir).put_watch(&bytes)?;
    Ok(all)
}

/// Whether anybody has watched, whoever was seen.
#[must_use]
pub fn has_watched(dir: &Path) -> bool {
    file(&prepare::absolute(dir)).exists()
}

fn file(dir: &Path) -> PathBuf {
    dir.join(BOOKS).join("live").join("watch.json")
}

/// What was kept.
pub fn kept(dir: &Path) -> Result<Watched, Error> {
    let path = file(dir);
    let Some(bytes) = files::read("what was seen while watching", &path)? else {
        return Ok(Watched::default());
    };
    serde_json::from_slice(&bytes).map_err(|error| Error::File {
        what: "what was seen while watching",
        path,
        why: error.to_string(),
        remedy: "remove it, and watch again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::TlsArrival;

    fn arrival(process: u32, tls: bool) -> Arrival {
        Arrival {
            process,
            from: Origin::Tcp([10, 0, 0, 5].into()),
            user: "app".to_owned(),
            database: Some("shop".to_owned()),
            application: process.to_string(),
            tls: tls.then(|| TlsArrival {
                version: "TLSv1.3".to_owned(),
                cipher: "X".to_owned(),
                cn: None,
            }),
            gss: false,
        }
    }

    /// Before a look, after it, and after the next: the log and the looks are no two clocks alike.
    #[test]
    fn whoever_is_looked_at_is_not_taken_from_the_log_as_well() {
        let mut told = Told::default();
        told.look(BTreeSet::from([1]));
        for process in 1..=4 {
            told.hear(arrival(process, true), 1);
        }
        told.hear(arrival(5, false), 1);
        told.look(BTreeSet::from([2]));
        told.look(BTreeSet::from([3]));
        told.hear(arrival(6, true), 2);
        let all = told.all();
        let names: Vec<_> = all.iter().map(|(seen, _)| seen.application.as_str()).collect();
        assert_eq!(names, ["4", "5", "6"]);
    }
}
