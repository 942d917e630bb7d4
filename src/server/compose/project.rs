//! One project's container: whether it is there, and its end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::process::Program;
use super::super::{Event, Events, ServerError};
use super::Docker;
use super::client::failure;
use crate::plan::{ComposeProject, Placement};

/// How long stopping may take: the container's own time to end, and the engine's.
const STOP: Duration = Duration::from_secs(90);
/// The port of PostgreSQL inside the container, as `docker ps` shows a published one.
const PUBLISHED: &str = "->5432/tcp";

/// A project's compose service.
#[derive(Debug, Clone)]
pub struct Compose {
    pub(super) docker: Docker,
    pub(super) dir: PathBuf,
    files: Vec<String>,
    pub(super) project: String,
    pub(super) service: String,
    pub(super) volume: String,
    /// Whether everything in the compose project is ours.
    pub(super) is_own: bool,
}

/// A container of a compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its number.
    pub id: String,
    /// `running`, `restarting`, `exited`, `created`, `paused` or `dead`.
    pub state: String,
    /// The port of this machine that leads to PostgreSQL.
    pub port: Option<u16>,
    service: String,
    /// The directory of the project that it was made for.
    dir: PathBuf,
}

impl Container {
    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }
}

impl Compose {
    /// The service of a project directory.
    #[must_use]
    pub fn new(docker: Docker, dir: &Path, project: &ComposeProject) -> Self {
        Self {
            docker,
            dir: dir.to_owned(),
            files: project.named_files().into_iter().map(str::to_owned).collect(),
            project: project.name.clone(),
            service: project.service().to_owned(),
            volume: project.volume(),
            is_own: !matches!(project.placement, Placement::Beside { .. }),
        }
    }

    /// The service's container, if there is one.
    pub async fn container(&self) -> Result<Option<Container>, ServerError> {
        let all = self.containers().await?;
        Ok(all.into_iter().find(|one| one.service == self.service))
    }

    /// The directory of another project that has this one's name, if there is one: compose would take its containers
    /// for ours.
    pub async fn stranger(&self) -> Result<Option<PathBuf>, ServerError> {
        let ours = self.dir.canonicalize().ok();
        let all = self.containers().await?;
        Ok(all
            .into_iter()
            .map(|one| one.dir)
            // A directory that is gone was moved, or was this one's earlier self.
            .find(|dir| dir.canonicalize().is_ok_and(|dir| Some(dir) != ours)))
    }

    /// Another container than the service's that publishes that port of this machine.
    pub async fn publisher(&self, port: u16) -> Result<Option<String>, ServerError> {
        let filter = format!("publish={port}/tcp");
        let format = "{{.Names}}\t{{.Label \"com.docker.compose.project\"}}\t{{.Label \"com.docker.compose.service\"}}";
        let listed = self
            .docker
            .answer(&["ps", "--filter", &filter, "--format", format])
            .await?;
        let ours = format!("\t{}\t{}", self.project, self.service);
        Ok(listed
            .lines()
            .filter(|line| !line.ends_with(&ours))
            .find_map(|line| line.split('\t').next())
            .map(super::super::log::printable))
    }

    async fn containers(&self) -> Result<Vec<Container>, ServerError> {
        let format = "{{.ID}}\t{{.State}}\t{{.Label \"com.docker.compose.service\"}}\t\
                      {{.Label \"com.docker.compose.project.working_dir\"}}\t{{.Ports}}";
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let listed = self
            .docker
            .answer(&[
                "ps",
                "--all",
                "--no-trunc",
                "--filter",
                &filter,
                "--format",
                format,
            ])
            .await?;
        Ok(listed.lines().filter_map(parse).collect())
    }

    /// `docker compose`, for this project.
    pub(super) fn command(&self) -> Program {
        self.docker
            .command()
            .dir(&self.dir)
            .args(self.arguments())
            .limit(STOP)
    }

    /// The arguments that name this project.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["compose".to_owned()];
        for file in &self.files {
            arguments.extend(["--file".to_owned(), file.clone()]);
        }
        arguments.extend(["--project-name".to_owned(), self.project.clone()]);
        arguments
    }

    /// Stops the service and removes its container; the volume stays unless `volume` is said.
    pub async fn down(&self, volume: bool, events: Events<'_>) -> Result<(), ServerError> {
        let say = |line| events(Event::Client(line));
        let command = if self.is_own {
            let command = self.command().args(["down", "--remove-orphans"]);
            if volume { command.arg("--volumes") } else { command }
        } else {
            // The rest of the project is the person's.
            self.command().args(["rm", "--stop", "--force", &self.service])
        };
        let ended = command.run_telling(say).await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        if volume {
            self.remove_volume().await
        } else {
            Ok(())
        }
    }

    /// Starts the server anew in its container: for the few settings that no reload changes.
    pub async fn restart(&self) -> Result<(), ServerError> {
        let ended = self.command().args(["restart", &self.service]).run().await?;
        if ended.success() {
            return Ok(());
        }
        Err(failure(&ended))
    }

    /// Stops the service and leaves its container, with its log.
    pub async fn stop(&self) -> Result<(), ServerError> {
        let ended = self.command().args(["stop", &self.service]).run().await?;
        if ended.success() {
            return Ok(());
        }
        Err(failure(&ended))
    }
}

fn parse(line: &str) -> Option<Container> {
    let mut columns = line.split('\t');
    let mut next = || columns.next().map(str::to_owned);
    let (id, state, service, dir, ports) = (next()?, next()?, next()?, next()?, next()?);
    let port = ports
        .split(", ")
        .filter_map(|published| published.strip_suffix(PUBLISHED))
        .find_map(|published| published.rsplit(':').next()?.parse().ok());
    Some(Container {
        id,
        state,
        port,
        service,
        dir: dir.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_docker_ps_is_read() {
        let one = parse("4f\trunning\tdb\t/srv/shop\t127.0.0.1:5433->5432/tcp, :::5433->5432/tcp").unwrap();
        assert_eq!((one.port, one.is_running()), (Some(5433), true));
        assert_eq!(one.dir, Path::new("/srv/shop"));
        assert_eq!(parse("4f\texited\tdb\t/srv\t").unwrap().port, None);
        assert_eq!(parse("4f\texited\tdb\t/srv\t5432/tcp").unwrap().port, None);
        assert_eq!(parse("junk"), None);
    }
}
