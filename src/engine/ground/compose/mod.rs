//! The server in a container.

mod before;
mod disk;
mod inside;

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::plan::{ComposeProject, Containers, Credentials, Found, Layout};
use crate::server::compose::{self, Compose, Docker, Engine, ImageFacts, look};
use crate::server::{self, Diagnosis, FreePort, ServerError};
use crate::setup::Setup;

use super::super::credentials::random_password;
use super::super::prepare::Prepared;
use super::super::up::{Ask, listener};
use super::super::{Error, Step, Teller, files};
use super::{Live, Serving, verifier::verifier};
use disk::{on_disk, password_in, verifier_in};

pub use disk::compose_file;
pub use inside::inside;

/// The server's version, and the settings in its files that wait for a restart.
const FACTS: &str = "SELECT current_setting('server_version_num'), \
                     (SELECT string_agg(name, ', ') FROM pg_settings WHERE pending_restart)";

/// A container, and the engine that runs it where there is one.
#[derive(Debug)]
pub struct Container {
    dir: PathBuf,
    project: ComposeProject,
    /// Whether our compose file is there already.
    is_known: bool,
    /// What runs it, or why nothing here can.
    runner: Result<(Docker, Engine), Diagnosis>,
    image: Option<ImageFacts>,
}

impl Container {
    /// Everything that running the container takes, found out before anything is written.
    pub(super) async fn find(setup: &Setup, dir: &Path, ask: &dyn Ask, tell: &Teller) -> Result<Self, Error> {
        let step = tell.begin(Step::Find);
        let mut this = Self::on_disk(dir, look().await.ready())?;
        let (docker, engine) = this.runner()?.clone();
        this.look_at_theirs(Some(tell)).await?;
        this.free_name().await?;
        let reference = setup.image();
        let here = docker.image(reference.as_str()).await?;
        this.image = if here.is_some() {
            here
        } else {
            tell.notice(format!("pulling {reference}"));
            docker.pull(reference.as_str(), &listener(tell)).await?;
            docker.image(reference.as_str()).await?
        };
        this.look_at_volume(setup, ask, tell).await?;
        if setup.is_open_beyond_loopback() && (engine.is_rootless || engine.system == "Docker Desktop") {
            tell.notice(
                "this engine hides where clients come from: every one appears under an address of the container's network, \
                 so the ranges of --allow fence nobody off; the published address and TLS do",
            );
        }
        step.done(format!(
            "{reference} on Docker {} ({})",
            engine.version, engine.system
        ));
        Ok(this)
    }

    pub(super) async fn look(setup: &Setup, dir: &Path) -> Result<Self, Error> {
        let mut this = Self::on_disk(dir, look().await.ready())?;
        if let Ok((docker, _)) = &this.runner {
            this.image = docker.image(setup.image().as_str()).await.unwrap_or_default();
            if !this.is_known {
                this.look_at_theirs(None).await?;
                this.free_name().await?;
            }
        }
        Ok(this)
    }

    /// What the directory says.
    fn on_disk(dir: &Path, runner: Result<(Docker, Engine), Diagnosis>) -> Result<Self, Error> {
        let (project, is_known) = on_disk(dir)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            project,
            is_known,
            runner,
            image: None,
        })
    }

    /// Whether there is an engine to ask.
    pub(super) const fn is_reachable(&self) -> bool {
        self.runner.is_ok()
    }

    /// The name of our service.
    pub(super) fn service(&self) -> &str {
        self.project.service()
    }

    pub(super) const fn trouble(&self) -> Option<&Diagnosis> {
        match &self.runner {
            Ok(_) => None,
            Err(trouble) => Some(trouble),
        }
    }

    /// The container of a directory, if it runs; an engine that cannot be asked runs none of ours.
    pub(super) async fn left(dir: &Path) -> Option<Self> {
        let (_, is_known) = on_disk(dir).ok()?;
        if !is_known {
            return None;
        }
        let this = Self::on_disk(dir, look().await.ready()).ok()?;
        this.port().await.ok().flatten().map(|_| this)
    }

    /// The container of somebody else that publishes a port of this machine.
    pub(super) async fn publisher(&self, port: u16) -> Result<Option<String>, Error> {
        Ok(self.compose()?.publisher(port).await?)
    }

    fn runner(&self) -> Result<&(Docker, Engine), Error> {
        self.runner
            .as_ref()
            .map_err(|trouble| ServerError::from(trouble.clone()).into())
    }

    fn compose(&self) -> Result<Compose, Error> {
        let (docker, _) = self.runner()?;
        Ok(Compose::new(docker.clone(), &self.dir, &self.project))
    }

    /// What a plan knows of the container.
    fn containers(&self, setup: &Setup, credentials: &Credentials) -> Result<Containers, Error> {
        let superuser = match files::read("the container's environment", &self.dir.join(Layout::ENV))? {
            Some(env) => password_in(&env),
            None => None,
        };
        let sql = files::read("the SQL of the roles", &self.dir.join(Layout::ROLES))?;
        let sql = sql.as_deref().map(|bytes| String::from_utf8_lossy(bytes));
        let mut verifiers: Vec<(String, SecretString)> = Vec::new();
        for client in &credentials.clients {
            let role = &client.kit.role;
            if let Some(password) = &client.password
                && verifiers.iter().all(|(known, _)| known != role)
            {
                let at_hand = sql.as_deref().and_then(|sql| verifier_in(sql, role));
                verifiers.push((role.clone(), verifier(password, at_hand)));
            }
        }
        let remaps = self
            .runner
            .as_ref()
            .is_ok_and(|(_, engine)| engine.remaps_accounts);
        Ok(Containers {
            project: self.project.clone(),
            remaps_accounts: remaps,
            is_temporary: server::is_temporary(&self.dir),
            data_mount: self.unusual_data(setup),
            superuser: match superuser {
                Some(password) => password,
                None => random_password()?,
            },
            verifiers,
        })
    }

    /// Where the image keeps its data, if a volume at the usual place would not hold it.
    fn unusual_data(&self, setup: &Setup) -> Option<String> {
        let image = self.image.as_ref()?;
        let data = image.data.as_deref()?;
        let usual = match image.major.or(setup.image().major()) {
            Some(major) if major < 18 => "/var/lib/postgresql/data",
            _ => "/var/lib/postgresql",
        };
        (!Path::new(data).starts_with(usual)).then(|| data.to_owned())
    }

    pub(super) fn found(
        &self,
        setup: &Setup,
        base: Found,
        credentials: &Credentials,
    ) -> Result<Found, Error> {
        let containers = self.containers(setup, credentials)?;
        let image = self.image.as_ref().and_then(|image| image.major);
        Ok(Found {
            server_version: image.or(setup.image().major()),
            containers: Some(containers),
            ..base
        })
    }

    /// The port of the container, while it runs.
    pub(super) async fn port(&self) -> Result<Option<u16>, Error> {
        let Ok(compose) = self.compose() else {
            return Ok(None);
        };
        let container = compose.container().await?;
        Ok(container
            .filter(compose::Container::is_running)
            .and_then(|one| one.port))
    }

    pub(super) async fn serve(
        &self,
        prepared: &Prepared,
        held: Option<FreePort>,
        ask: &dyn Ask,
        tell: &Teller,
    ) -> Result<Live, Error> {
        let compose = self.compose()?;
        let events = listener(tell);
        let port = prepared.found.port;
        let step = tell.begin(Step::Start);
        let had_volume = compose.has_volume().await?;
        drop(held);
        let running = match compose.start(port, &events).await {
            Ok(running) => running,
            Err(error) => {
                // A first start that failed leaves half a database, and every later start would take it for whole.
                if !had_volume && compose.has_volume().await? && ask.discard(compose.volume()) {
                    compose.down(true, &events).await?;
                    tell.notice(format!("deleted the volume {}, half made", compose.volume()));
                }
                return Err(error.into());
            }
        };
        let container = &running.container;
        if running.is_new() {
            step.done(format!("the container runs on port {port}"));
        } else {
            step.done(format!("the container runs already, on port {port}"));
            let step = tell.begin(Step::Reload);
            let complaints = compose.reload(container, &events).await?.complaints;
            if let Some(complaint) = complaints.iter().find(|one| one.slug != "setting-restart") {
                return Err(Error::Reload(complaint.clone()));
            }
            step.done("the running server has read its files again");
        }
        let step = tell.begin(Step::Database);
        let made = compose.make_roles(container).await?;
        step.done(match (made.roles, made.databases) {
            (0, 0) => "roles and databases are there".to_owned(),
            (roles, databases) => format!("made roles: {roles}, databases: {databases}"),
        });
        let rows = compose.ask(container, FACTS).await?;
        let facts = rows.into_iter().next().unwrap_or_default();
        let mut facts = facts.into_iter().map(Option::unwrap_or_default);
        let version = facts.next().and_then(|number| number.parse::<u32>().ok());
        if let Some(pending) = facts.next().filter(|pending| !pending.is_empty()) {
            tell.notice(format!("the server is started anew: no reload changes {pending}"));
            compose.restart().await?;
        }
        let major = version.and_then(|number| u16::try_from(number / 10_000).ok());
        let serving = Serving {
            version: major.or(prepared.found.server_version).unwrap_or_default(),
            port,
        };
        Ok(Live::Container(Box::new(running), serving))
    }

    pub(super) async fn reload(&self, tell: &Teller) -> Result<Vec<Diagnosis>, Error> {
        let compose = self.compose()?;
        let container = compose.running().await?;
        Ok(compose.reload(&container, &listener(tell)).await?.complaints)
    }

    /// The container as its restored files say, and the server with what it reads.
    pub(super) async fn follow(&self, setup: &Setup, tell: &Teller) -> Result<Vec<Diagnosis>, Error> {
        let compose = self.compose()?;
        let events = listener(tell);
        let port = setup.port.or(self.port().await?).unwrap_or(5432);
        let running = compose.start(port, &events).await?;
        let complaints = if running.is_new() {
            Vec::new()
        } else {
            compose.reload(&running.container, &events).await?.complaints
        };
        // Passwords are as they were, too.
        compose.make_roles(&running.container).await?;
        running.keep();
        Ok(complaints)
    }

    pub(super) async fn stop(&self, tell: &Teller) -> Result<Option<u16>, Error> {
        let compose = self.compose()?;
        let container = compose.container().await?;
        if container.is_some() {
            compose.down(false, &listener(tell)).await?;
        }
        Ok(container
            .filter(compose::Container::is_running)
            .and_then(|one| one.port))
    }

    pub(super) async fn volumes(&self) -> Result<Vec<String>, Error> {
        let compose = self.compose()?;
        let is_there = compose.has_volume().await?;
        Ok(is_there.then(|| volume(&compose)).into_iter().collect())
    }

    pub(super) async fn delete(&self, tell: &Teller) -> Result<Vec<String>, Error> {
        let compose = self.compose()?;
        let deleted = self.volumes().await?;
        compose.down(true, &listener(tell)).await?;
        Ok(deleted)
    }
}

/// The service of ours that a directory has, where there is a `docker` to ask about it.
fn of(dir: &Path) -> Result<Option<Compose>, Error> {
    let (project, is_known) = on_disk(dir)?;
    let docker = Docker::find().filter(|_| is_known);
    Ok(docker.map(|docker| Compose::new(docker, dir, &project)))
}

/// Leaves nothing in the engine of a directory that is about to go, however far a run came that was killed there.
pub async fn take_down(dir: &Path) -> Result<(), Error> {
    match of(dir)? {
        Some(compose) => Ok(compose.leave_nothing().await?),
        None => Ok(()),
    }
}

fn volume(compose: &Compose) -> String {
    format!("the volume {}", compose.volume())
}
