//! What is found out before anything is written: the project's name, the person's compose files, the volume.

use super::super::super::up::Ask;
use super::super::super::{Error, Teller};
use super::{Container, disk};
use crate::plan::Placement;
use crate::server::ServerError;
use crate::setup::Setup;

impl Container {
    /// The person's compose files are taken by compose, or ours stands apart from them.
    pub(super) async fn look_at_theirs(&mut self, tell: Option<&Teller>) -> Result<(), Error> {
        let Placement::Beside { theirs, .. } = &self.project.placement else {
            return Ok(());
        };
        let (docker, _) = self.runner()?;
        let Some(refusal) = docker.refusal_of(&self.dir, theirs).await? else {
            return Ok(());
        };
        let names = theirs.join(" and ");
        if self.is_known {
            return Err(Error::DoesNotFit {
                what: format!("compose does not take {names}, which ours adds to: {refusal}"),
                remedy: format!("mend {names}; `docker compose config` says when it is right"),
            });
        }
        self.project = disk::apart(&format!("{}-pgtls", self.project.name));
        if let Some(tell) = tell {
            tell.notice(format!(
                "compose does not take {names} ({refusal}), so {} stands by itself, as the project {}",
                self.project.file(),
                self.project.name
            ));
        }
        Ok(())
    }

    /// A new project takes a name that no other directory has; one that is there says that another has it too.
    pub(super) async fn free_name(&mut self) -> Result<(), Error> {
        let base = self.project.name.clone();
        for number in 2..100 {
            let Some(other) = self.compose()?.stranger().await? else {
                return Ok(());
            };
            if self.is_known || matches!(self.project.placement, Placement::Beside { .. }) {
                return Err(Error::DoesNotFit {
                    what: format!(
                        "{} has a compose project named {} too, and its containers would be taken for ours",
                        other.display(),
                        self.project.name
                    ),
                    remedy: format!(
                        "write another name, such as {base}-{number}, in the line `name:` of the compose file here (the data \
                         stays with the old name), or stop the other one there: docker compose down"
                    ),
                });
            }
            self.project.name = format!("{base}-{number}");
        }
        Ok(())
    }

    /// A volume that an earlier project left: whether this image can read it, and whether the person wants it.
    pub(super) async fn look_at_volume(
        &self,
        setup: &Setup,
        ask: &dyn Ask,
        tell: &Teller,
    ) -> Result<(), Error> {
        let compose = self.compose()?;
        let runs = compose.container().await?.is_some_and(|one| one.is_running());
        if runs || !compose.has_volume().await? {
            return Ok(());
        }
        let reference = setup.image();
        let Some(version) = compose.volume_version(reference.as_str()).await? else {
            return Ok(());
        };
        let volume = compose.volume();
        let wanted = self.image.as_ref().and_then(|image| image.major);
        if wanted.is_some_and(|wanted| wanted != version) {
            return Err(Error::Server(ServerError::volume_version(
                volume,
                version,
                reference.as_str(),
            )));
        }
        if self.is_known {
            return Ok(());
        }
        if !ask.adopt(volume, version) {
            return Err(Error::NeedsConsent {
                what: format!(
                    "the volume {volume} is left from an earlier project, with data of PostgreSQL {version}"
                ),
                remedy: format!(
                    "use its data with --adopt (databases stay; roles of this setup get new passwords), delete it with \
                     `docker volume rm {volume}`, or use a directory of another name"
                ),
            });
        }
        tell.notice(format!(
            "the data in the volume {volume} is used as it is: the image's POSTGRES_ variables and start-up scripts do not \
             count for it, and the superuser's old password stays"
        ));
        Ok(())
    }
}
