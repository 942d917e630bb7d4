//! The server of this machine's own programs.

use std::path::Path;
use std::time::Duration;

use crate::dial::Deadline;
use crate::plan::{Found, Layout};
use crate::server::fetch::{self, FetchPlan};
use crate::server::{Binaries, Diagnosis, FreePort, Places, Sandbox, Server, ServerError, Status, Wanted};
use crate::setup::Setup;
use crate::verify::Admin;

use super::super::credentials::last_field;
use super::super::prepare::{self, Prepared};
use super::super::up::{Ask, listener};
use super::super::{Error, Step, Teller, database, files};
use super::Live;

/// A session's end, or a small question, must not hold a journey up.
const BRIEF: Duration = Duration::from_secs(5);

/// A sandbox, and the programs that run it where they were found.
#[derive(Debug)]
pub struct Home {
    sandbox: Sandbox,
    binaries: Option<Binaries>,
}

impl Home {
    /// PostgreSQL's programs: those of this machine, else a private copy if the person agrees.
    pub(super) async fn find(setup: &Setup, dir: &Path, ask: &dyn Ask, tell: &Teller) -> Result<Self, Error> {
        let places = Places::of_this_machine();
        let step = tell.begin(Step::Find);
        let sandbox = Sandbox::locate(dir, &places)?;
        let binaries = match programs(setup, &sandbox, &places).await {
            Err(missing @ (ServerError::NoBinaries { .. } | ServerError::NoSuchVersion { .. }))
                if setup.pg_bin.is_none() =>
            {
                let wanted = sandbox.data_version().or(setup.pg_version);
                let plans = fetch::plans(wanted, &places).await;
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
        Ok(Self {
            sandbox,
            binaries: Some(binaries),
        })
    }

    pub(super) async fn look(setup: &Setup, dir: &Path) -> Result<Self, Error> {
        let places = Places::of_this_machine();
        let sandbox = Sandbox::locate(dir, &places)?;
        let binaries = programs(setup, &sandbox, &places).await.ok();
        Ok(Self { sandbox, binaries })
    }

    /// One whose answers are gone and whose data is not.
    pub(super) fn left(dir: &Path) -> Option<Self> {
        let sandbox = Sandbox::locate(dir, &Places::of_this_machine()).ok()?;
        (!sandbox.volumes().is_empty()).then_some(Self {
            sandbox,
            binaries: None,
        })
    }

    pub(super) fn found(&self, base: Found) -> Found {
        let server_dir = self.sandbox.server_dir();
        Found {
            server_version: self
                .sandbox
                .data_version()
                .or_else(|| self.binaries.as_ref().map(|binaries| binaries.version.major)),
            server_dir: (server_dir != base.project_dir.join(Layout::SERVER)).then_some(server_dir),
            socket_dir: self.sandbox.socket_dir().to_path_buf(),
            ..base
        }
    }

    /// The server, if it runs and somebody answers for it.
    pub(super) fn serving(&self) -> Option<Server> {
        match self.sandbox.status() {
            Status::Running(server) => Some(server),
            _ => None,
        }
    }

    pub(super) async fn serve(
        &self,
        prepared: &Prepared,
        held: Option<FreePort>,
        tell: &Teller,
    ) -> Result<Live, Error> {
        let running = match self.serving() {
            Some(server) => self.reread(prepared, server, tell).await?,
            None => None,
        };
        let live = match running {
            Some(server) => Live::Was(server),
            None => self.launch(held, tell).await?,
        };
        let server = match &live {
            Live::Started(running) => running.server(),
            Live::Was(server) => server,
            Live::Container(..) => return Ok(live),
        };
        let step = tell.begin(Step::Database);
        let mut session = database::enter(server).await?;
        let made = database::furnish(
            &mut session,
            &prepared.setup,
            &prepared.gathered.credentials.clients,
        )
        .await?;
        session.close(Deadline::after(BRIEF)).await;
        step.done(if made.is_empty() {
            "role and database are there".to_owned()
        } else {
            format!("made {}", made.join(", "))
        });
        Ok(live)
    }

    async fn launch(&self, held: Option<FreePort>, tell: &Teller) -> Result<Live, Error> {
        let binaries = self
            .binaries
            .as_ref()
            .ok_or(ServerError::NoBinaries { looked: Vec::new() })?;
        let events = listener(tell);
        let step = tell.begin(Step::Init);
        let cluster = self.sandbox.init(binaries, &events).await?;
        if cluster.created {
            step.done("database cluster made");
        }
        let step = tell.begin(Step::Start);
        drop(held);
        let running = self.sandbox.start(cluster, binaries, &events).await?;
        let version = &binaries.version.text;
        step.done(format!(
            "PostgreSQL {version} runs on port {}",
            running.server().port
        ));
        Ok(Live::Started(Box::new(running)))
    }

    /// A running server reads its files again; `None` where it has to be started anew.
    async fn reread(
        &self,
        prepared: &Prepared,
        server: Server,
        tell: &Teller,
    ) -> Result<Option<Server>, Error> {
        let events = listener(tell);
        if self.sandbox.was_moved() {
            tell.notice("the directory was moved while its server ran: the server is stopped and started");
        } else if server.port == prepared.found.port {
            let step = tell.begin(Step::Reload);
            let complaints = self.sandbox.reload(&events).await?.complaints;
            if let Some(complaint) = complaints.iter().find(|one| one.slug != "setting-restart") {
                return Err(Error::Reload(complaint.clone()));
            }
            let mut session = database::enter(&server).await?;
            let pending = session
                .query(
                    "SELECT name FROM pg_settings WHERE pending_restart",
                    Deadline::after(BRIEF),
                )
                .await
                .map_err(|error| Error::Database {
                    doing: "asking for settings in force".to_owned(),
                    why: error.to_string(),
                })?;
            session.close(Deadline::after(BRIEF)).await;
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
        self.sandbox.stop(&events).await?;
        Ok(None)
    }

    pub(super) async fn reload(&self, tell: &Teller) -> Result<Vec<Diagnosis>, Error> {
        Ok(self.sandbox.reload(&listener(tell)).await?.complaints)
    }

    /// The running server with the restored files, and its roles with the passwords that stand in them.
    pub(super) async fn follow(
        &self,
        setup: &Setup,
        dir: &Path,
        tell: &Teller,
    ) -> Result<Vec<Diagnosis>, Error> {
        let complaints = self.reload(tell).await?;
        let mut passwords = Vec::new();
        for kit in prepare::kits(setup, dir)
            .into_iter()
            .filter(|kit| kit.wants_password)
        {
            let path = dir.join(Layout::kit_file(&kit.name, "passfile"));
            let saved = files::read("the password file", &path)?;
            passwords.extend(
                saved
                    .and_then(|file| last_field(&file))
                    .map(|password| (kit.role, password)),
            );
        }
        if let Some(server) = self.serving().filter(|_| !passwords.is_empty()) {
            let mut session = database::enter(&server).await?;
            for (role, password) in &passwords {
                database::set_password(&mut session, role, password).await?;
            }
            session.close(Deadline::after(BRIEF)).await;
        }
        Ok(complaints)
    }

    pub(super) async fn stop(&self, tell: &Teller) -> Result<Option<u16>, Error> {
        let stopped = self.sandbox.stop(&listener(tell)).await?;
        Ok(stopped.map(|server| server.port))
    }

    pub(super) const fn binaries(&self) -> Option<&Binaries> {
        self.binaries.as_ref()
    }

    pub(super) fn volumes(&self) -> Vec<String> {
        let volumes = self.sandbox.volumes();
        volumes.iter().map(|path| path.display().to_string()).collect()
    }

    pub(super) fn delete(&self) -> Result<Vec<String>, Error> {
        let deleted = self.sandbox.delete()?;
        Ok(deleted.iter().map(|path| path.display().to_string()).collect())
    }

    pub(super) fn admin(&self, port: u16) -> Option<Admin> {
        match self.sandbox.status() {
            // While `up` proves what it started, nobody answers for the server yet.
            Status::Running(server) | Status::Leftover(server) if server.port == port => {
                Some(database::admin(&server))
            }
            _ => None,
        }
    }
}

/// PostgreSQL's programs for this setup: of the version of data that is there, else the one asked for.
async fn programs(setup: &Setup, sandbox: &Sandbox, places: &Places) -> Result<Binaries, ServerError> {
    let wanted = Wanted {
        dir: setup.pg_bin.as_deref(),
        version: sandbox.data_version().or(setup.pg_version),
    };
    match Binaries::find(wanted, places).await {
        // The programs that were named are of another version than the data that is there.
        Err(ServerError::NoSuchVersion { wanted, found })
            if setup.pg_bin.is_some() && sandbox.data_version() == Some(wanted) =>
        {
            Err(ServerError::OtherVersion {
                data: sandbox.data_dir(),
                data_version: wanted,
                binaries: found,
            })
        }
        found => found,
    }
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
