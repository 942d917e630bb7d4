//! The files that follow from a setup, in memory: what is in each, its mode, and why each line is there.
//!
//! [`Plan::new`] is pure: the same setup, credentials and findings give the same bytes. Nothing here reads or
//! writes a file, and every secret stays in [`Content::Secret`].

mod artifact;
mod compose;
mod conf;
mod credentials;
mod guide;
mod hba;
mod ident;
mod ignore;
mod kit;
mod layout;
mod regex;
mod sql;
mod stores;
mod units;
mod why;

pub use artifact::{Artifact, Content, Line};
pub use compose::{ComposeProject, Containers, Placement};
pub use conf::socket_directories;
pub use credentials::{Credentials, Found, KitCredentials};
pub use guide::shell;
pub use kit::Kit;
pub use layout::Layout;
pub use sql::{identifier, literal};
pub use stores::Stores;
pub use units::Renewal;
pub use why::{Why, why};

use crate::setup::{Run, Setup};

/// Every file that pgtls wants on disk, in the order people are shown them.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The files; each path occurs once.
    pub artifacts: Vec<Artifact>,
}

impl Plan {
    /// The files that follow from what was asked for, the credentials at hand, and what was found on this machine.
    #[must_use]
    pub fn new(setup: &Setup, credentials: &Credentials, found: &Found) -> Self {
        // A port that we chose is kept from then on; that of a person's own server is theirs to say.
        let port = match setup.run {
            Run::Sandbox | Run::Compose => Some(found.port),
            Run::None => setup.port,
        };
        let saved = Setup {
            port,
            ..setup.clone()
        };
        let mut artifacts = vec![Self::answers(&saved)];
        artifacts.extend(credentials.authority());
        artifacts.extend(credentials.server(setup.mode));
        artifacts.push(Artifact::text(Layout::CONF, 0o600, conf::lines(setup, found)));
        artifacts.push(Artifact::text(Layout::HBA, 0o600, hba::lines(setup, found)));
        if let Some(lines) = ident::lines(setup, found) {
            artifacts.push(Artifact::text(Layout::IDENT, 0o600, lines));
        } else if setup.run != Run::None {
            artifacts.push(Artifact::text(Layout::IDENT, 0o600, ident::empty()));
        }
        if let (Run::Compose, Some(containers)) = (setup.run, &found.containers) {
            artifacts.extend(compose::artifacts(setup, found, containers));
        }
        for client in &credentials.clients {
            artifacts.extend(client.artifacts(setup, credentials, found));
        }
        artifacts.push(Artifact::text(
            Layout::IGNORE,
            0o644,
            ignore::lines(found.gitignore.as_deref()),
        ));
        artifacts.push(Artifact::text(
            Layout::CONNECT,
            0o644,
            guide::connect(setup, credentials, found),
        ));
        artifacts.push(Artifact::text(
            Layout::RUNBOOK,
            0o644,
            guide::runbook(setup, found),
        ));
        Self { artifacts }
    }

    /// What a project holds for a server that is there: answers, certificates, client kits; none of the server's own files.
    #[must_use]
    pub fn beside_a_server(setup: &Setup, credentials: &Credentials, found: &Found) -> Self {
        let mut artifacts = vec![Self::answers(setup)];
        artifacts.extend(credentials.authority());
        artifacts.extend(credentials.server(setup.mode));
        for client in &credentials.clients {
            artifacts.extend(client.artifacts(setup, credentials, found));
        }
        artifacts.push(Artifact::text(
            Layout::IGNORE,
            0o644,
            ignore::lines(found.gitignore.as_deref()),
        ));
        Self { artifacts }
    }

    /// The answers file alone.
    #[must_use]
    pub fn answers(setup: &Setup) -> Artifact {
        Artifact::text(Layout::SETUP, 0o644, plain_lines(&setup.to_toml()))
    }

    /// The file at this path, relative to the project directory.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Artifact> {
        self.artifacts
            .iter()
            .find(|artifact| artifact.path == std::path::Path::new(path))
    }
}

/// Lines without an explanation.
fn plain_lines(text: &str) -> Vec<Line> {
    text.lines().map(Line::plain).collect()
}

#[cfg(test)]
mod tests;
