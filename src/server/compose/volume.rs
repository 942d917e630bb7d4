//! The volume that holds the data, and what may be in it from before.

use super::super::ServerError;
use super::Compose;
use super::client::failure;

/// Where the versions of the image keep their data in a volume: up to 17 at its root, from 18 on below it.
const FIND: &str = "for file in /data/PG_VERSION /data/[0-9]*/docker/PG_VERSION; do \
                    if [ -s \"$file\" ]; then cat \"$file\"; exit; fi; done";

impl Compose {
    /// Whether the volume is there.
    pub async fn has_volume(&self) -> Result<bool, ServerError> {
        let args = ["volume", "ls", "--quiet", "--filter"];
        let filter = format!("name=^{}$", self.volume);
        let ended = self.docker.command().args(args).arg(filter).run().await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        Ok(ended.stdout.lines().any(|name| name == self.volume))
    }

    /// Removes it where it is: compose leaves one that it did not make.
    pub(super) async fn remove_volume(&self) -> Result<(), ServerError> {
        if self.has_volume().await? {
            self.docker.answer(&["volume", "rm", &self.volume]).await?;
        }
        Ok(())
    }

    /// The major version of the data in the volume, which must be there; `None` if it holds none. A container of
    /// `image` looks, since nobody but root can look into a volume from outside.
    pub async fn volume_version(&self, image: &str) -> Result<Option<u16>, ServerError> {
        let ended = self
            .docker
            .command()
            .args([
                "run",
                "--rm",
                "--pull",
                "never",
                "--network",
                "none",
                "--read-only",
            ])
            .args(["--user", "0", "--entrypoint", "sh", "--volume"])
            .arg(format!("{}:/data:ro", self.volume))
            .args([image, "-c", FIND])
            .run()
            .await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        Ok(ended.stdout.trim().parse().ok())
    }

    /// The volume's name.
    #[must_use]
    pub fn volume(&self) -> &str {
        &self.volume
    }
}
