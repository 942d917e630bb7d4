//! Where a project's server runs: the sandbox and the container behind one face, so that a journey is told once.
//!
//! [`Ground::find`] is for a journey that will start the server: whatever it takes must be there, or is brought.
//! [`Ground::look`] takes what is there: a plan can be made, and a running server reloaded, without more.

mod compose;
mod sandbox;
mod verifier;

use std::path::Path;

use crate::pki::HostName;
use crate::plan::{Credentials, Found, Layout};
use crate::server::{self, Binaries, Diagnosis, FreePort, Server};
use crate::setup::{Run, SERVICE, Setup};
use crate::verify::Admin;

use super::prepare::Prepared;
use super::up::Ask;
use super::{Error, Teller, files};

pub use compose::{Container, compose_file, inside, take_down};
pub use sandbox::Home;

/// Where a server runs.
#[derive(Debug)]
pub enum Ground {
    /// Nowhere of ours: only files are made.
    Files,
    /// From this machine's programs.
    Sandbox(Home),
    /// In a container.
    Compose(Container),
}

/// A server that was found running or was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serving {
    /// Major version of PostgreSQL.
    pub version: u16,
    /// The port that clients dial.
    pub port: u16,
}

/// A running server, and whether it is ours to stop if the journey ends early.
pub enum Live {
    /// The sandbox's, started just now.
    Started(Box<server::Running>),
    /// The sandbox's, which ran before.
    Was(Server),
    /// The container's, and the version in it.
    Container(Box<server::compose::Running>, Serving),
}

impl Live {
    /// What runs.
    #[must_use]
    pub fn serving(&self) -> Serving {
        let server = match self {
            Self::Started(running) => running.server(),
            Self::Was(server) => server,
            Self::Container(_, serving) => return *serving,
        };
        Serving {
            version: server.version,
            port: server.port,
        }
    }

    /// Lets the server run on without us.
    pub fn keep(self) -> Result<Serving, Error> {
        let serving = self.serving();
        match self {
            Self::Started(running) => _ = running.keep()?,
            Self::Was(_) => {}
            Self::Container(running, _) => running.keep(),
        }
        Ok(serving)
    }
}

impl Ground {
    /// With everything that starting the server takes: programs or an image are brought if the person agrees.
    pub async fn find(setup: &Setup, dir: &Path, ask: &dyn Ask, tell: &Teller) -> Result<Self, Error> {
        Ok(match setup.run {
            Run::Sandbox => Self::Sandbox(Home::find(setup, dir, ask, tell).await?),
            Run::Compose => Self::Compose(Container::find(setup, dir, ask, tell).await?),
            Run::None => Self::Files,
        })
    }

    /// As it is now.
    pub async fn look(setup: &Setup, dir: &Path) -> Result<Self, Error> {
        Ok(match setup.run {
            Run::Sandbox => Self::Sandbox(Home::look(setup, dir).await?),
            Run::Compose => Self::Compose(Container::look(setup, dir).await?),
            Run::None => Self::Files,
        })
    }

    /// The setup with what the ground decides: beside a person's own compose file our service may have another name, by
    /// which its neighbours dial it.
    #[must_use]
    pub fn settle(&self, mut setup: Setup) -> Setup {
        if let Self::Compose(container) = self
            && let Ok(name) = container.service().parse::<HostName>()
            && !setup.hosts.contains(&name)
            && let Some(usual) = setup.hosts.iter_mut().find(|host| host.to_string() == SERVICE)
        {
            *usual = name;
        }
        setup
    }

    /// The port: the one asked for, the one our own server has, or the first that is free, which is then kept.
    pub async fn port(&self, setup: &Setup, first: u16) -> Result<(u16, Option<FreePort>), Error> {
        let ours = match self {
            Self::Files => return Ok((setup.port.unwrap_or(first), None)),
            Self::Sandbox(home) => home.serving().map(|server| server.port),
            // Whose the port is cannot be told then.
            Self::Compose(container) if !container.is_reachable() => {
                return Ok((setup.port.unwrap_or(first), None));
            }
            Self::Compose(container) => container.port().await?,
        };
        match (setup.port, ours) {
            (Some(port), ours) if ours == Some(port) => Ok((port, None)),
            (Some(port), _) => match self.port_taken_by(setup, port).await? {
                Some(by) => Err(Error::PortTaken(by)),
                None => match self.port_forbidden(port) {
                    Some(why) => Err(Error::PortForbidden { port, why }),
                    None => Ok((port, None)),
                },
            },
            (None, Some(port)) => Ok((port, None)),
            (None, None) => {
                let mut from = first;
                loop {
                    let held = if self.is_open(setup) {
                        server::free_port_anywhere(from)?
                    } else {
                        server::free_port(from)?
                    };
                    // The engine may publish a port without a process of its own that listens.
                    match (self.publisher(held.port).await?, held.port.checked_add(1)) {
                        (Some(_), Some(next)) => from = next,
                        _ => return Ok((held.port, Some(held))),
                    }
                }
            }
        }
    }

    /// Whether the server is to be reached by every address of this machine.
    fn is_open(&self, setup: &Setup) -> bool {
        matches!(self, Self::Compose(_)) && setup.is_open_beyond_loopback()
    }

    /// Who has the port where this server is to have it, in words.
    async fn port_taken_by(&self, setup: &Setup, port: u16) -> Result<Option<String>, Error> {
        let taken = if self.is_open(setup) {
            server::port_taken_anywhere(port)
        } else {
            server::port_taken_by(port)
        };
        let container = self.publisher(port).await?;
        Ok(match container {
            Some(name) => Some(format!("port {port} is published by the container {name}")),
            None => taken,
        })
    }

    /// Why the server may not listen there. (A container's port is published by the engine, which may.)
    fn port_forbidden(&self, port: u16) -> Option<server::Diagnosis> {
        matches!(self, Self::Sandbox(_))
            .then(|| server::port_forbidden(port))
            .flatten()
    }

    /// The container that publishes a port.
    async fn publisher(&self, port: u16) -> Result<Option<String>, Error> {
        match self {
            Self::Files | Self::Sandbox(_) => Ok(None),
            Self::Compose(container) => container.publisher(port).await,
        }
    }

    /// Stops a server of this directory that runs elsewhere than it will from now on: a sandbox where a container is
    /// wanted, a container where a sandbox is. Its data stays.
    pub async fn leave_other(&self, dir: &Path, tell: &Teller) -> Result<(), Error> {
        let other = match self {
            Self::Compose(_) => Self::left(dir),
            Self::Sandbox(_) => Container::left(dir).await.map(Self::Compose),
            Self::Files => None,
        };
        let Some(other) = other else { return Ok(()) };
        if let Some(port) = other.stop(tell).await? {
            let (was, stays) = match &other {
                Self::Compose(_) => ("container", "its volume stays"),
                _ => ("sandbox", "its data stays"),
            };
            tell.notice(format!(
                "stopped the {was} of this directory, which ran on port {port}; {stays}, and is not carried over"
            ));
        }
        Ok(())
    }

    /// What a plan is made from beside the answers.
    pub fn found(
        &self,
        setup: &Setup,
        dir: &Path,
        port: u16,
        credentials: &Credentials,
    ) -> Result<Found, Error> {
        let base = Found {
            project_dir: dir.to_path_buf(),
            port,
            gitignore: files::read("the .gitignore", &dir.join(Layout::IGNORE))?
                .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()),
            ..Found::default()
        };
        Ok(match self {
            Self::Files => base,
            Self::Sandbox(home) => home.found(base),
            Self::Compose(container) => container.found(setup, base, credentials)?,
        })
    }

    /// Starts the server with what was written, or has a running one read it again; makes roles and databases.
    /// The port that is kept for it is let go just before.
    pub async fn serve(
        &self,
        prepared: &Prepared,
        held: Option<FreePort>,
        ask: &dyn Ask,
        tell: &Teller,
    ) -> Result<Option<Live>, Error> {
        match self {
            Self::Files => Ok(None),
            Self::Sandbox(home) => home.serve(prepared, held, tell).await.map(Some),
            Self::Compose(container) => container.serve(prepared, held, ask, tell).await.map(Some),
        }
    }

    /// Whether the server runs now.
    pub async fn is_running(&self) -> Result<bool, Error> {
        Ok(match self {
            Self::Files => false,
            Self::Sandbox(home) => home.serving().is_some(),
            Self::Compose(container) => container.port().await?.is_some(),
        })
    }

    /// The programs of this machine that run the server, where they do.
    #[must_use]
    pub const fn binaries(&self) -> Option<&Binaries> {
        match self {
            Self::Files | Self::Compose(_) => None,
            Self::Sandbox(home) => home.binaries(),
        }
    }

    /// Why it cannot be told whether the server runs.
    #[must_use]
    pub const fn trouble(&self) -> Option<&Diagnosis> {
        match self {
            Self::Files | Self::Sandbox(_) => None,
            Self::Compose(container) => container.trouble(),
        }
    }

    /// Has a running server read its files again; what it complained about stays as it was.
    pub async fn reload(&self, tell: &Teller) -> Result<Vec<Diagnosis>, Error> {
        match self {
            Self::Files => Ok(Vec::new()),
            Self::Sandbox(home) => home.reload(tell).await,
            Self::Compose(container) => container.reload(tell).await,
        }
    }

    /// The sandbox that lies in a directory, also where the answers are gone; no program is looked for.
    pub fn left(dir: &Path) -> Option<Self> {
        Home::left(dir).map(Self::Sandbox)
    }

    /// Has a running server follow files that were restored; gives what it complained about.
    pub async fn follow(&self, setup: &Setup, dir: &Path, tell: &Teller) -> Result<Vec<Diagnosis>, Error> {
        match self {
            Self::Files => self.reload(tell).await,
            Self::Sandbox(home) => home.follow(setup, dir, tell).await,
            Self::Compose(_) => Container::look(setup, dir).await?.follow(setup, tell).await,
        }
    }

    /// Stops the server; gives the port it had.
    pub async fn stop(&self, tell: &Teller) -> Result<Option<u16>, Error> {
        match self {
            Self::Files => Ok(None),
            Self::Sandbox(home) => home.stop(tell).await,
            Self::Compose(container) => container.stop(tell).await,
        }
    }

    /// What [`Ground::delete`] would delete, for the question before it.
    pub async fn volumes(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Files => Ok(Vec::new()),
            Self::Sandbox(home) => Ok(home.volumes()),
            Self::Compose(container) => container.volumes().await,
        }
    }

    /// Deletes the data of a stopped server; gives what was deleted.
    pub async fn delete(&self, tell: &Teller) -> Result<Vec<String>, Error> {
        match self {
            Self::Files => Ok(Vec::new()),
            Self::Sandbox(home) => home.delete(),
            Self::Compose(container) => container.delete(tell).await,
        }
    }

    /// A way to ask what only a superuser may, while the server at this port is ours.
    #[must_use]
    pub fn admin(&self, port: u16) -> Option<Admin> {
        match self {
            Self::Files | Self::Compose(_) => None,
            Self::Sandbox(home) => home.admin(port),
        }
    }
}
