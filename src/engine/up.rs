//! The whole way: plan, write, start, prove.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::apply::{self, Answer, Change, Changes, Locked, Policy, Project, Written};
use crate::conninfo::{Conninfo, Environment};
use crate::plan::shell;
use crate::server;
use crate::server::fetch::FetchPlan;
use crate::setup::Setup;
use crate::verify::{Report, prove};

use super::losses::{losses, not_agreed};
use super::prepare::{self, Prepared, Request};
use super::target::{self, Means};
use super::{Error, Event, Ground, Serving, Step, Teller, local};

/// Whoever is asked before something that a person may not want.
pub trait Ask: Send + Sync {
    /// A file that the person edited would be replaced.
    fn edited(&self, change: &Change) -> Answer;
    /// Files would be written, and what clients could do be possible no longer (each of `losses` was told). Whoever has
    /// reviewed them has agreed.
    fn agrees(&self, _changes: &[&Change], _losses: &[String]) -> bool {
        true
    }
    /// Whether somebody is there to be asked, or has answered beforehand.
    fn is_there(&self) -> bool {
        true
    }
    /// PostgreSQL would be fetched.
    fn fetch(&self, plan: &FetchPlan) -> bool;
    /// A volume that an earlier project left, with data of this major version, would be used.
    fn adopt(&self, _volume: &str, _version: u16) -> bool {
        false
    }
    /// A volume that was made just now, for a server that then failed to start, would be deleted.
    fn discard(&self, _volume: &str) -> bool {
        false
    }
}

/// What it means to use a volume that an earlier project left, with data of this major version.
#[must_use]
pub fn adopting(volume: &str, version: u16) -> String {
    format!(
        "The volume {volume} is left from an earlier project, with data of PostgreSQL {version}. Its databases stay; roles \
         of this setup are made in it and get new passwords."
    )
}

/// What it means to delete a volume that was made just now.
#[must_use]
pub fn discarding(volume: &str) -> String {
    format!("The first start failed and left the volume {volume}, made just now, half filled.")
}

/// What `up` came to.
#[derive(Debug)]
pub struct Outcome {
    /// The project directory, absolute.
    pub dir: PathBuf,
    /// The answers it rests on.
    pub setup: Setup,
    /// What was written.
    pub written: Written,
    /// The port that clients dial.
    pub port: u16,
    /// The server, where one was started.
    pub server: Option<Serving>,
    /// How the first client connects.
    pub conninfo: Conninfo,
    /// What was proven, unless nobody wanted it.
    pub report: Option<Report>,
}

/// Plans, writes, starts and proves. Dropping the future leaves no server that it started.
pub async fn up(
    request: &Request,
    ask: &dyn Ask,
    verify: Option<Duration>,
    tell: &Teller,
) -> Result<Outcome, Error> {
    // Everything that is wrong with the answers is said before anything is touched.
    let setup = prepare::setup(request)?;
    let project = Project::create(&request.dir)?;
    tell_beside(&prepare::absolute(&request.dir), request, tell);
    let ground = Ground::find(&setup, &prepare::absolute(&request.dir), ask, tell).await?;
    ground.leave_other(&prepare::absolute(&request.dir), tell).await?;
    let prepared = prepare::prepare(request, &project, Some(ground), tell).await?;
    let (mut prepared, written) = write(prepared, &project, "up", ask, tell)?;
    let conninfo = prepared.conninfo();
    let mut outcome = Outcome {
        dir: prepared.dir.clone(),
        setup: prepared.setup.clone(),
        port: prepared.found.port,
        written,
        server: None,
        conninfo,
        report: None,
    };
    let held = prepared.held.take();
    let Some(running) = prepared.ground.serve(&prepared, held, ask, tell).await? else {
        return Ok(outcome);
    };
    if let Some(timeout) = verify {
        outcome.report = Some(Box::pin(prove_project(&outcome, request, timeout, tell)).await?);
    }
    outcome.server = Some(running.keep()?);
    Ok(outcome)
}

/// Says what is wrong with files that lie in the directory already: they stay as they are.
fn tell_beside(dir: &Path, request: &Request, tell: &Teller) {
    const SHOWN: usize = 5;
    let found = super::found_beside(dir, request.now);
    if found.is_empty() {
        return;
    }
    let more = match found.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let shown: Vec<&str> = found.iter().take(SHOWN).map(String::as_str).collect();
    tell.notice(format!(
        "found beside it, and left as it is: {}{more}. `pgtls audit {}` says why, and what to do",
        shown.join("; "),
        dir.display()
    ));
}

/// Passes on what the server's room tells.
pub fn listener(tell: &Teller) -> impl Fn(server::Event) + Send + Sync + use<> {
    let tell = tell.clone();
    move |event| match event {
        server::Event::Log(line) | server::Event::Client(line) => tell.tell(Event::Log(line)),
        server::Event::Notice(text) => tell.notice(text),
        server::Event::StoppedLeftover { pid } => {
            tell.notice(format!(
                "stopped a server (process {pid}) that an interrupted run had left"
            ));
        }
        server::Event::RemovedHalfMade(path) => {
            tell.notice(format!(
                "removed {}, half made by an interrupted run",
                path.display()
            ));
        }
        server::Event::Fetching { client, package } => tell.notice(format!("{client} fetches {package}")),
        _ => {}
    }
}

/// Writes what was prepared, asking about every edited file; `by` is the command, for whoever takes it back.
pub fn write(
    mut prepared: Prepared,
    project: &Locked,
    by: &str,
    ask: &dyn Ask,
    tell: &Teller,
) -> Result<(Prepared, Written), Error> {
    let changes = prepared
        .changes
        .take()
        .ok_or_else(|| Error::NoProject(prepared.dir.clone()))?;
    let leaf = prepared.gathered.credentials.server.leaf();
    let losses = losses(&prepared.dir, changes.files(), leaf)?;
    for loss in &losses {
        tell.notice(loss.clone());
    }
    let due: Vec<&Change> = changes
        .files()
        .iter()
        .filter(|change| change.action != apply::Action::Kept)
        .collect();
    if !due.is_empty() && !ask.agrees(&due, &losses) {
        return Err(not_agreed(&losses));
    }
    let step = tell.begin(Step::Write);
    let see = format!(
        "`pgtls plan --dir {}` with the same answers shows the differences",
        shell(&prepared.dir.to_string_lossy())
    );
    let written = write_asking(project, changes.by(by), ask, &see)?;
    for kept in &written.kept {
        tell.notice(format!(
            "kept a copy of your edit of {}: {}",
            kept.path.display(),
            kept.copy.display()
        ));
    }
    step.done(counted(&written));
    Ok((prepared, written))
}

/// Writes, and asks about each file that is somebody's; where nobody can be asked, that is said, and nothing is written.
pub(super) fn write_asking(
    project: &Locked,
    changes: Changes,
    ask: &dyn Ask,
    see: &str,
) -> Result<Written, Error> {
    let mut asked = |change: &Change| ask.edited(change);
    let policy = if ask.is_there() {
        Policy::Ask(&mut asked)
    } else {
        Policy::Refuse
    };
    apply::write(project, changes, policy).map_err(|error| match error {
        apply::Error::Edited(ref files) => {
            let [them, copies] = match files.as_slice() {
                [_] => ["it", "a copy"],
                _ => ["them", "copies"],
            };
            let mut remedy = format!("give --yes to replace {them}, with {copies} kept");
            if !see.is_empty() {
                remedy = format!("{see}; {remedy}");
            }
            Error::NeedsConsent {
                what: error.to_string(),
                remedy,
            }
        }
        other => other.into(),
    })
}

fn counted(written: &Written) -> String {
    let of = |wanted: apply::Action| written.files.iter().filter(|file| file.action == wanted).count();
    let changed = of(apply::Action::Changed) + of(apply::Action::Mode);
    let parts: Vec<_> = [
        (of(apply::Action::New), "new"),
        (changed, "changed"),
        (of(apply::Action::Removed), "removed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    match parts.as_slice() {
        [] => "every file is as it should be".to_owned(),
        parts => format!("files written: {}", parts.join(", ")),
    }
}

/// Proves what the project promises.
async fn prove_project(
    outcome: &Outcome,
    request: &Request,
    timeout: Duration,
    tell: &Teller,
) -> Result<Report, Error> {
    let step = tell.begin(Step::Verify);
    let means = Means {
        expect: Some(outcome.setup.mode),
        other: None,
        dir: outcome.dir.clone(),
        admin: None,
        key_passphrase: request.secrets.key_passphrase.clone(),
        timeout,
        now: request.now,
    };
    let conninfo = outcome.conninfo.clone();
    let conninfo = local::dialled(&outcome.setup, outcome.port, conninfo, timeout, tell).await;
    let target = target::target(conninfo, &Environment::current(), &means).await?;
    let report = Box::pin(prove(&target, &|probe| tell.tell(Event::Probe(probe.clone())))).await;
    step.done(format!("{} promises tested", report.probes.len()));
    Ok(report)
}
