//! The image: whether it is here, what it says of itself, and bringing it.

use std::time::Duration;

use super::super::diagnose::told;
use super::super::{Event, Events, ServerError};
use super::Docker;
use super::client::{docker, failure};

/// How long an image may take to come: some hundred megabytes over a slow line.
const PULL: Duration = Duration::from_secs(30 * 60);

/// What an image says of itself in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// `PG_MAJOR`.
    pub major: Option<u16>,
    /// `PGDATA`.
    pub data: Option<String>,
}

impl Docker {
    /// The image, if it is on this machine.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>, ServerError> {
        let format = "{{range .Config.Env}}{{println .}}{{end}}";
        let ended = self
            .run(&["image", "inspect", "--format", format, "--", reference])
            .await?;
        if !ended.success() {
            let says = ended.stderr.to_ascii_lowercase();
            if says.contains("no such image") || says.contains("no such object") {
                return Ok(None);
            }
            return Err(failure(&ended));
        }
        let value = |name: &str| {
            ended
                .stdout
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        Ok(Some(ImageFacts {
            major: value("PG_MAJOR").and_then(|major| major.trim().parse().ok()),
            data: value("PGDATA").map(str::to_owned),
        }))
    }

    /// The PostgreSQL images that are on this machine, for a person who cannot reach a registry.
    pub async fn postgres_images(&self) -> Vec<String> {
        let args = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
        let listed = self.answer(&args).await.unwrap_or_default();
        listed
            .lines()
            .filter(|image| image.contains("postgres:") && !image.ends_with(":<none>"))
            .map(str::to_owned)
            .collect()
    }

    /// Brings the image.
    pub async fn pull(&self, reference: &str, events: Events<'_>) -> Result<(), ServerError> {
        let ended = self
            .command()
            .args(["pull", "--", reference])
            .limit(PULL)
            .run_telling_all(|line| events(Event::Client(line)))
            .await?;
        if ended.success() {
            return Ok(());
        }
        let lines = ended.last_lines(5);
        let here = self.postgres_images().await;
        let mut diagnosis = told(
            "image-absent",
            reference,
            lines.last().map(String::as_str).unwrap_or_default(),
        );
        if let Some(image) = here.first() {
            diagnosis.remedy = format!(
                "{}; this machine has {}: --image {image}",
                diagnosis.remedy,
                here.join(", ")
            );
        }
        Err(docker(diagnosis, lines))
    }
}
