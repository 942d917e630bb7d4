//! Many targets at once: a list of connection strings, each proven, and what follows for all of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::dial::Address;
use crate::verify::{Cause, Dated, Probe, Target, Verdict, connect, dates, prove};

use super::{Error, Event, Means, Teller, target};

/// How many targets are checked at a time.
const AT_A_TIME: usize = 48;

/// How much is asked of each target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only what libpq would do.
    Connect,
    /// Every promise.
    Prove,
}

impl Depth {
    /// How many targets of one server are checked at a time: it has a limit of its own (`max_connections`, 100 where
    /// nobody changed it), and all probes of a target are a dozen connections at once.
    const fn at_a_server(self) -> usize {
        match self {
            Self::Connect => 16,
            Self::Prove => 4,
        }
    }

    /// Whether that is what was asked for.
    const fn holds(self, verdict: Verdict) -> Option<bool> {
        match (self, verdict) {
            (_, Verdict::Verified) | (Self::Connect, Verdict::Connected) => Some(true),
            (_, Verdict::Connected | Verdict::Refused) => Some(false),
            (_, Verdict::Undetermined) => None,
        }
    }
}

/// What is asked of every target.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// How much.
    pub depth: Depth,
    /// A certificate that ends within so many days is a failure.
    pub expiring: Option<u32>,
}

/// One line of a list.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// What stands there; or why it cannot be read.
    pub conninfo: Result<Conninfo, String>,
}

/// Reads a list: a conninfo a line; blank lines, and those that begin with `#`, are passed over.
#[must_use]
pub fn read_lines(text: &[u8]) -> Vec<Line> {
    let parse = |line: &[u8]| {
        let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        Conninfo::parse(line).map_err(|error| error.to_string())
    };
    (1..)
        .zip(text.split(|byte| *byte == b'\n'))
        .map(|(number, line)| (number, line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(number, line)| Line {
            number,
            conninfo: parse(line),
        })
        .collect()
}

/// Where a target is, and as whom; nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Dialled {
    /// The host as dialled.
    pub host: String,
    /// The port; `None` for a Unix socket.
    pub port: Option<u16>,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
}

impl Dialled {
    fn of(target: &Target) -> Self {
        let port = match &target.address {
            Address::Tcp { addresses, .. } => addresses.first().map(std::net::SocketAddr::port),
            Address::Unix(_) => None,
        };
        Self {
            host: crate::pki::printable(&target.host),
            port,
            database: crate::pki::printable(&target.dbname),
            user: crate::pki::printable(&target.user),
        }
    }
}

impl std::fmt::Display for Dialled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host)?,
            Some(port) => write!(f, "{}:{port}", self.host)?,
            None => f.write_str(&self.host)?,
        }
        write!(f, "/{} as {}", self.database, self.user)
    }
}

/// What came of one line.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// The line, counted from 1.
    pub line: usize,
    /// Where that is; `None` if the line cannot be used.
    pub target: Option<Dialled>,
    /// Whether what was asked holds, the dates included. `None`: it could not be found out, or the line cannot be used.
    pub holds: Option<bool>,
    /// The verdict on the server.
    pub verdict: Option<Verdict>,
    /// Why it is not what was hoped for, where that is one of the known causes.
    pub cause: Option<Cause>,
    /// One sentence that says it to a person.
    pub headline: String,
    /// Why the line cannot be used.
    pub error: Option<String>,
    /// Whether a certificate ends too soon.
    pub expiring: bool,
    /// The certificates that the connection rests on.
    pub certificates: Vec<Dated>,
    /// How long it took.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub took: Duration,
    /// What was asked of it and what it did.
    pub probes: Vec<Probe>,
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}

impl Checked {
    fn unusable(line: usize, why: String) -> Self {
        Self {
            line,
            target: None,
            holds: None,
            verdict: None,
            cause: None,
            headline: format!("line {line} cannot be used: {why}"),
            error: Some(why),
            expiring: false,
            certificates: Vec::new(),
            took: Duration::ZERO,
            probes: Vec::new(),
        }
    }

    /// The first certificate to end.
    #[must_use]
    pub fn ends_first(&self) -> Option<&Dated> {
        self.certificates
            .iter()
            .min_by_key(|certificate| certificate.not_after)
    }
}

/// How many of them came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All lines that are no comment.
    pub targets: usize,
    /// What was asked holds.
    pub hold: usize,
    /// It does not.
    pub fail: usize,
    /// Those of them, or of the undetermined, with a certificate that ends too soon.
    pub expiring: usize,
    /// It could not be found out.
    pub undetermined: usize,
    /// Lines that cannot be used.
    pub unusable: usize,
}

impl Tally {
    /// Counts.
    #[must_use]
    pub fn of(checked: &[Checked]) -> Self {
        checked.iter().fold(Self::default(), |mut tally, one| {
            tally.targets += 1;
            tally.expiring += usize::from(one.expiring);
            *match (&one.error, one.holds) {
                (Some(_), _) => &mut tally.unusable,
                (None, Some(true)) => &mut tally.hold,
                (None, Some(false)) => &mut tally.fail,
                (None, None) => &mut tally.undetermined,
            } += 1;
            tally
        })
    }
}

/// Host and port.
type Server = (String, Option<u16>);

/// What all tasks of one sweep share.
struct Common {
    env: Environment,
    means: Means,
    wanted: Sweep,
    at_a_time: Semaphore,
    servers: RefCell<HashMap<Server, Arc<Semaphore>>>,
}

/// Checks every line, some at a time, telling each as it ends; gives them in the order of their lines.
pub async fn sweep(
    lines: Vec<Line>,
    env: Environment,
    means: Means,
    wanted: Sweep,
    teller: &Teller,
) -> Vec<Checked> {
    let common = Rc::new(Common {
        env,
        means,
        wanted,
        at_a_time: Semaphore::new(AT_A_TIME),
        servers: RefCell::default(),
    });
    let here = LocalSet::new();
    let mut tasks = JoinSet::new();
    for line in lines {
        let common = Rc::clone(&common);
        tasks.spawn_local_on(async move { common.line(line).await }, &here);
    }
    here.run_until(async {
        let mut all = Vec::with_capacity(tasks.len());
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(checked) => {
                    teller.tell(Event::Target(Box::new(checked.clone())));
                    all.push(checked);
                }
                Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                // Nobody cancels them but the end of this function.
                Err(_) => {}
            }
        }
        all.sort_by_key(|checked| checked.line);
        all
    })
    .await
}

impl Common {
    async fn line(&self, line: Line) -> Checked {
        // Nobody closes these semaphores; without a permit the work is done all the same.
        let _turn = self.at_a_time.acquire().await.ok();
        let since = Instant::now();
        let checked = match line.conninfo {
            Err(why) => Err(why),
            Ok(conninfo) => self
                .check(line.number, conninfo)
                .await
                .map_err(|error| error.to_string()),
        };
        let mut checked = checked.unwrap_or_else(|why| Checked::unusable(line.number, why));
        checked.took = since.elapsed();
        checked
    }

    async fn check(&self, line: usize, conninfo: Conninfo) -> Result<Checked, Error> {
        let target = match self.wanted.depth {
            Depth::Connect => target::caller(conninfo, &self.env, &self.means).await?,
            Depth::Prove => target::target(conninfo, &self.env, &self.means).await?,
        };
        let dialled = Dialled::of(&target);
        let server = Arc::clone(
            self.servers
                .borrow_mut()
                .entry((dialled.host.clone(), dialled.port))
                .or_insert_with(|| Arc::new(Semaphore::new(self.wanted.depth.at_a_server()))),
        );
        let _turn = server.acquire().await.ok();
        let report = match self.wanted.depth {
            Depth::Connect => {
                let superuser = || target::superuser_of(&target, &self.means);
                Box::pin(connect(&target, &superuser)).await
            }
            Depth::Prove => Box::pin(prove(&target, &|_| ())).await,
        };
        let certificates = dates(&target, &report);
        let soon = self.wanted.expiring.map(|days| time::Duration::days(days.into()));
        let first = soon.and_then(|soon| {
            let ends = |certificate: &&Dated| certificate.not_after - target.now <= soon;
            certificates.iter().find(ends)
        });
        let headline = match first {
            Some(certificate) => format!("{}; {}", ends(certificate), report.headline),
            None => report.headline,
        };
        Ok(Checked {
            line,
            target: Some(dialled),
            holds: match self.wanted.depth.holds(report.verdict) {
                Some(true) if first.is_some() => Some(false),
                holds => holds,
            },
            verdict: Some(report.verdict),
            cause: report.cause,
            headline,
            error: None,
            expiring: first.is_some(),
            certificates,
            took: Duration::ZERO,
            probes: report.probes,
        })
    }
}

/// When a certificate ends, for a person.
#[must_use]
pub fn ends(certificate: &Dated) -> String {
    let whose = match certificate.part {
        crate::verify::Part::Server => "the server's certificate",
        crate::verify::Part::Issuer => "the certificate of an issuer",
        crate::verify::Part::Client => "the client's certificate",
        crate::verify::Part::List => "the revocation list",
    };
    let when = match certificate.days_left {
        days if days < 0 => "has ended".to_owned(),
        0 => "ends within a day".to_owned(),
        1 => "ends in 1 day".to_owned(),
        days => format!("ends in {days} days"),
    };
    format!("{whose} ({}) {when}", certificate.subject)
}

/// Whether a list holds a password, which whoever may read the list may read too.
#[must_use]
pub fn holds_a_password(lines: &[Line]) -> bool {
    lines.iter().any(|line| {
        line.conninfo
            .as_ref()
            .is_ok_and(|conninfo| conninfo.secret(Keyword::Password).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_keep_their_numbers_and_a_bad_line_stands_alone() {
        let lines = read_lines(
            b"# mine\n\nhost=a dbname=b\r\n  # more\nhots=a password=hunter2\n\xff\npostgresql://c/d",
        );
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.number, line.conninfo.is_ok()))
            .collect();
        assert_eq!(told, [(3, true), (5, false), (6, false), (7, true)]);
        let why = lines[1].conninfo.as_ref().unwrap_err();
        assert!(why.contains("hots") && !why.contains("hunter2"), "{why}");
    }
}
