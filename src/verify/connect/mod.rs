//! What psql would do under this conninfo, step by step: the servers and addresses in order, TLS and plaintext in the
//! order that `sslmode` gives, and what libpq makes of each failure.
//!
//! Source: <https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-PROTECTION>,
//! <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS>, and fe-connect.c (`PQconnectPoll`).

mod attempt;
mod common;
pub mod refusal;
mod route;

use std::os::unix::fs::MetadataExt;

use crate::dial::Session;
use crate::server::account_name;

use super::cause::Cause;
use super::client::{Choice, Dialler, Place};
use super::finding::Finding;
use super::lookup::{self, Tried};
use super::report::{Outcome, Probe, ProbeId, Report, Verdict};
use super::target::{Admin, Target};

use attempt::{Attempt, Proven, Way};

/// Connects as psql would, and says what came of it. `superuser` is asked for a way in where a refusal is to be looked up.
pub async fn connect(target: &Target, superuser: &dyn Fn() -> Option<Admin>) -> Report {
    let mut attempts = route::follow(target).await;
    let Some(mut last) = attempts.pop() else {
        return Report {
            verdict: Verdict::Undetermined,
            cause: None,
            headline: "Could not be found out: there is no server to try".to_owned(),
            probes: Vec::new(),
            presented: Vec::new(),
        };
    };
    if let Some(session) = last.session.take() {
        session.close(target.deadline()).await;
        return let_in(target, last, &attempts);
    }
    // Where both fail, the fault of TLS is the one to mend: plaintext was only the way around it.
    if last.is_plaintext()
        && let Some(at) = attempts
            .iter()
            .rposition(|attempt| attempt.way == Some(Way::Tls) && attempt.server == last.server)
    {
        let tls = attempts.remove(at);
        attempts.push(std::mem::replace(&mut last, tls));
    }
    let tried = Tried {
        plaintext: last.is_plaintext(),
        port: last.port,
    };
    if let Some(admin) = superuser() {
        lookup::explain(target, &admin, &mut last.found, tried).await;
    }
    turned_away(target, last, &attempts)
}

/// Where a connection led.
pub enum End {
    /// To a session.
    In(Box<Session>),
    /// To nothing: the step that decided.
    Out(Finding),
}

/// Connects as psql would; what was tried before the attempt that decided, in words, and where that led.
pub async fn follow(target: &Target) -> (Vec<String>, End) {
    let mut attempts = route::follow(target).await;
    let last = attempts.pop();
    let before = attempts.iter().filter_map(Attempt::summary).collect();
    let end = match last {
        None => End::Out(Finding::open("there is no server to try")),
        Some(last) => match last.session {
            Some(session) => End::In(Box::new(session)),
            None => End::Out(
                last.found
                    .into_iter()
                    .map(|(_, finding, _)| finding)
                    .find(|finding| matches!(finding.outcome, Outcome::Broken | Outcome::Open))
                    .unwrap_or_else(|| Finding::open("it is not known why")),
            ),
        },
    };
    (before, end)
}

/// A session as psql would get it, and whose place was taken for it.
pub struct Entry {
    /// The session.
    pub session: Session,
    /// The account that the socket belongs to, where root dialled it in that account's place.
    pub account: Option<String>,
}

/// Why there is no session.
#[derive(Debug)]
pub struct NoEntry {
    /// In a sentence, what to do, and what shows it.
    pub why: Vec<String>,
    /// Which of the known causes it is.
    pub cause: Option<Cause>,
}

/// A session as psql would get it. Where the server goes by the account (`peer`) and root stands before it, root takes the
/// place of the account that the socket belongs to: that is `sudo -u postgres`, which an administrator would type next.
pub async fn enter_as_admin(target: &Target) -> Result<Entry, NoEntry> {
    let finding = match Box::pin(follow(target)).await.1 {
        End::In(session) => {
            return Ok(Entry {
                session: *session,
                account: None,
            });
        }
        End::Out(finding) => finding,
    };
    if finding.cause == Some(Cause::PeerAccount)
        && rustix::process::geteuid().is_root()
        && let Some(owner) = socket_owner(target)
    {
        let mut in_place = target.clone();
        in_place.client.dialler = Dialler::Owner;
        if let End::In(session) = Box::pin(follow(&in_place)).await.1 {
            return Ok(Entry {
                session: *session,
                account: Some(owner),
            });
        }
    }
    Err(NoEntry {
        cause: finding.cause,
        why: finding.in_words(),
    })
}

/// The account that the socket of a connection string belongs to, root's apart.
#[must_use]
pub fn socket_owner(target: &Target) -> Option<String> {
    let sockets = target
        .client
        .servers
        .iter()
        .filter_map(|server| match &server.place {
            Place::Socket(path) => Some(path),
            _ => None,
        });
    let uids = sockets.filter_map(|path| std::fs::metadata(path).ok().map(|meta| meta.uid()));
    uids.filter(|uid| *uid != 0).map(account_name).next()
}

/// The same; else why there is none, in a sentence.
pub async fn enter(target: &Target) -> Result<Session, String> {
    match enter_as_admin(target).await {
        Ok(entry) => Ok(entry.session),
        Err(refused) => Err(refused.why.join("; ")),
    }
}

/// A session as psql would get it; else why there is none: in a sentence, what to do, and what shows it.
pub async fn enter_or_why(target: &Target) -> Result<Session, Vec<String>> {
    match follow(target).await.1 {
        End::In(session) => Ok(*session),
        End::Out(finding) => Err(finding.in_words()),
    }
}

/// What is true of psql only once the connection string says so.
const fn assumption(target: &Target) -> &'static str {
    if matches!(target.client.sslmode_choice, Choice::Ours) {
        "; no sslmode was given: this is judged as verify-full, psql itself would take prefer, which verifies nothing: write \
         sslmode=verify-full into your connection string"
    } else {
        ""
    }
}

/// psql would be in.
fn let_in(target: &Target, attempt: Attempt, before: &[Attempt]) -> Report {
    let where_to = target.client.servers[attempt.server].label.clone();
    let missing = if attempt.way.is_none() {
        Some("a Unix socket carries no TLS: nothing is proven about the network".to_owned())
    } else if attempt.is_plaintext() {
        Some(format!(
            "without TLS: sslmode={} lets plaintext pass",
            target.client.sslmode.word()
        ))
    } else if attempt.proven == Proven::Nothing {
        Some(format!(
            "over TLS to anybody: with sslmode={} and no root file the server's certificate is not judged",
            target.client.sslmode.word()
        ))
    } else if attempt.proven == Proven::Chain {
        Some(format!(
            "with sslmode={}, which takes a certificate of the same CA for any name",
            target.client.sslmode.word()
        ))
    } else {
        None
    };
    let (verdict, headline) = match missing {
        None => (
            Verdict::Verified,
            format!("psql would connect to {where_to}, verify-full over TLS"),
        ),
        Some(missing) => (
            Verdict::Connected,
            format!("psql would connect to {where_to}, unverified: {missing}"),
        ),
    };
    Report {
        verdict,
        cause: None,
        headline: headline + assumption(target),
        presented: attempt.presented.clone(),
        probes: probes(attempt, before, &target.client.notes),
    }
}

/// psql would not be in, or that cannot be told.
fn turned_away(target: &Target, attempt: Attempt, before: &[Attempt]) -> Report {
    let decisive = attempt
        .found
        .iter()
        .find(|(_, finding, _)| matches!(finding.outcome, Outcome::Broken | Outcome::Open));
    let (outcome, because, cause) =
        decisive.map_or((Outcome::Open, String::new(), None), |(id, finding, _)| {
            (
                finding.outcome,
                format!("{}: {}", id.name(), finding.observed),
                finding.cause,
            )
        });
    let (verdict, headline) = if outcome == Outcome::Broken {
        (
            Verdict::Refused,
            format!(
                "psql would not connect to {}: {because}",
                target.client.servers[attempt.server].label
            ),
        )
    } else {
        (
            Verdict::Undetermined,
            format!("Could not be found out: {because}"),
        )
    };
    Report {
        verdict,
        cause,
        headline: headline + assumption(target),
        presented: attempt.presented.clone(),
        probes: probes(attempt, before, &target.client.notes),
    }
}

/// The steps of the attempt that decided; what came before it is evidence at its last step.
fn probes(attempt: Attempt, before: &[Attempt], notes: &[String]) -> Vec<Probe> {
    const STEPS: [ProbeId; 7] = [
        ProbeId::Reach,
        ProbeId::SslOffered,
        ProbeId::Handshake,
        ProbeId::Chain,
        ProbeId::HostName,
        ProbeId::Validity,
        ProbeId::Authenticated,
    ];
    let plaintext = attempt.way != Some(Way::Tls);
    let mut probes: Vec<Probe> = attempt
        .found
        .into_iter()
        .map(|(id, finding, took)| finding.told(id, took))
        .collect();
    if let Some(last) = probes.last_mut() {
        let failed = before.iter().filter_map(Attempt::summary);
        last.evidence
            .extend(failed.take(20).map(|line| format!("tried as well: {line}")));
        last.evidence.extend(notes.iter().cloned());
    }
    let why = if plaintext {
        "there is no TLS in this attempt"
    } else {
        "it did not come so far"
    };
    for id in STEPS {
        if probes.iter().all(|probe| probe.id != id) {
            probes.push(Finding::not_tried(why).told(id, std::time::Duration::ZERO));
        }
    }
    probes.sort_by_key(|probe| probe.id);
    probes
}
