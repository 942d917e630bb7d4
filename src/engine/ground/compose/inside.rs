//! The superuser inside the container: no connection from outside reaches him.

use std::path::Path;
use std::sync::Arc;

use super::of;
use crate::server::compose::Compose;
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
    Some(Arc::new(Superuser(of(dir).ok().flatten()?)))
}
