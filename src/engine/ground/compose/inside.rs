//! The superuser inside the container: no connection from outside reaches him.

use std::path::Path;
use std::sync::Arc;

use super::disk::on_disk;
use crate::server::compose::{Compose, Docker};
use crate::verify::{Answer, Inside};

/// The service of a directory.
#[derive(Debug)]
struct Superuser(Compose);

impl Inside for Superuser {
    fn ask<'a>(&'a self, sql: &'a str) -> Answer<'a> {
        Box::pin(async move {
            let container = self.0.running().await.map_err(|error| error.to_string())?;
            self.0
                .ask(&container, sql)
                .await
                .map_err(|error| error.to_string())
        })
    }
}

/// A way to ask him, where the directory has a container of ours.
pub fn inside(dir: &Path) -> Option<Arc<dyn Inside>> {
    let (project, is_known) = on_disk(dir).ok()?;
    let docker = Docker::find().filter(|_| is_known)?;
    Some(Arc::new(Superuser(Compose::new(docker, dir, &project))))
}
