//! The end of a project that was not meant to stay: at whatever moment a run of it was broken off, nothing of it is left.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use super::super::ServerError;
use super::super::process::{end_those, names};
use super::Compose;
use super::client::failure;
use super::start::SHORT_FAREWELL;

/// How long it is tried: the engine may be restarting.
const STUBBORN: Duration = Duration::from_secs(50);
/// How long an engine may go on with what a client had asked for that is gone: a container that it is making takes along a
/// volume and a network.
const ECHO: Duration = Duration::from_secs(2);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(100);

impl Compose {
    /// Removes container, network and volume of a project that is all ours; another is left alone. A client that a killed run
    /// left at work is ended first.
    pub async fn leave_nothing(&self) -> Result<(), ServerError> {
        if !self.is_own {
            return Ok(());
        }
        let begun = Instant::now();
        // Where the container runs, everything that was asked for is done.
        let container = self.container().await.unwrap_or_default();
        let echo = match container {
            Some(container) if container.is_running() => Duration::ZERO,
            _ => ECHO,
        };
        let mut silent_since = None;
        loop {
            match self.remove_what_is_there().await {
                Ok(false) if silent_since.get_or_insert_with(Instant::now).elapsed() >= echo => {
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) if begun.elapsed() > STUBBORN => return Err(error),
                Ok(true) | Err(_) => silent_since = None,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One round of it; whether there was anything.
    async fn remove_what_is_there(&self) -> Result<bool, ServerError> {
        let project = OsStr::new(&self.project);
        let was_at_work = end_those(|_, arguments| names(arguments, project));
        if !self.is_there().await? {
            return Ok(was_at_work);
        }
        let ended = self
            .command()
            .args([
                "down",
                "--remove-orphans",
                "--volumes",
                "--timeout",
                SHORT_FAREWELL,
            ])
            .run()
            .await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        self.remove_volume().await?;
        Ok(true)
    }

    /// Whether the engine has anything of the project.
    async fn is_there(&self) -> Result<bool, ServerError> {
        if self.has_volume().await? || self.container().await?.is_some() {
            return Ok(true);
        }
        let label = format!("label=com.docker.compose.project={}", self.project);
        let networks = self
            .docker
            .answer(&["network", "ls", "--quiet", "--filter", &label])
            .await?;
        Ok(!networks.trim().is_empty())
    }
}
