//! PostgreSQL in a container: the compose file, what the container runs first, its environment, and the SQL that
//! makes its roles.
//!
//! PostgreSQL insists on the owner and mode of its key, and a mounted file keeps those of the host. So `server/` is
//! mounted as it is, read-only, and `entry.sh` copies its files to memory inside the container, with the owner and
//! modes that are asked for, before the image's own entry point runs. The host's files stay the person's, mode
//! 0600, whatever their account, the image's account, or the engine's mapping of accounts.

mod file;
mod roles;
mod run_line;
mod yaml;

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub(super) use run_line::run_line;

use super::artifact::{Artifact, Content, Line};
use super::{Found, Layout, plain_lines};
use crate::setup::{SERVICE, Setup};

/// Where the container has its copies of `server/`.
pub(super) const FILES: &str = "/run/pgtls";
/// Where `server/` itself is mounted.
const MOUNT: &str = "/etc/pgtls";
/// The port inside the container.
pub(super) const PORT: u16 = 5432;
/// The first version whose image keeps its data in a directory of its version, below the volume.
const VERSIONED_DATA: u16 = 18;

const ENTRY: &str = include_str!("../../../assets/entry.sh");
const INIT: &str = "\
-- Run once, when the image makes the database. entry.sh put the file there, where PostgreSQL's account may read it.
\\i /run/pgtls/roles.sql";

/// A compose project, and which of its files is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeProject {
    /// What compose calls its containers and volumes by.
    pub name: String,
    /// Which compose file is ours.
    pub placement: Placement,
}

/// Which compose file is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// `docker-compose.yml`.
    Own,
    /// The person has a compose file that compose does not take: ours stands by itself, as a project of its own.
    Apart {
        /// Ours.
        ours: String,
    },
    /// The person has a compose file: ours only adds a service to it.
    Beside {
        /// Theirs, in the order in which compose reads them.
        theirs: Vec<String>,
        /// Ours, which compose reads after them.
        ours: String,
        /// Whether compose finds ours by its name.
        is_found: bool,
        /// The service's name, which theirs does not have.
        service: String,
    },
}

/// What was found where PostgreSQL is to run in a container.
#[derive(Debug, Clone)]
pub struct Containers {
    /// The compose project.
    pub project: ComposeProject,
    /// Whether the engine maps root to another account, which could not read the person's files.
    pub remaps_accounts: bool,
    /// Whether it is for a short time only, and is not to come back after a restart of the machine.
    pub is_temporary: bool,
    /// Where the image keeps its data, if a volume at the usual place would not hold it.
    pub data_mount: Option<String>,
    /// The superuser's password; letters and digits only.
    pub superuser: SecretString,
    /// By role, what the server checks its password by.
    pub verifiers: Vec<(String, SecretString)>,
}

impl ComposeProject {
    /// The name that compose itself would derive from a directory's.
    #[must_use]
    pub fn name_of(dir: &Path) -> String {
        let name = dir
            .file_name()
            .map(|name| name.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        let name: String = name
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'))
            .collect();
        match name.trim_start_matches(['-', '_']) {
            "" => "pgtls".to_owned(),
            name => name.to_owned(),
        }
    }

    /// The compose file that is ours.
    #[must_use]
    pub fn file(&self) -> &str {
        match &self.placement {
            Placement::Own => Layout::COMPOSE,
            Placement::Apart { ours } | Placement::Beside { ours, .. } => ours,
        }
    }

    /// The compose files to name on the command line; none where compose finds them by itself.
    #[must_use]
    pub fn named_files(&self) -> Vec<&str> {
        match &self.placement {
            Placement::Own | Placement::Beside { is_found: true, .. } => Vec::new(),
            Placement::Apart { ours } => vec![ours],
            Placement::Beside { theirs, ours, .. } => {
                theirs.iter().map(String::as_str).chain([ours.as_str()]).collect()
            }
        }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        match &self.placement {
            Placement::Own | Placement::Apart { .. } => SERVICE,
            Placement::Beside { service, .. } => service,
        }
    }

    /// The volume's name in the compose file.
    #[must_use]
    pub const fn volume_key(&self) -> &'static str {
        match self.placement {
            Placement::Own | Placement::Apart { .. } => "data",
            Placement::Beside { .. } => "pgtls-data",
        }
    }

    /// The volume's name as the engine knows it.
    #[must_use]
    pub fn volume(&self) -> String {
        format!("{}_{}", self.name, self.volume_key())
    }

    /// `docker compose`, with the files that have to be named.
    pub(super) fn command(&self) -> String {
        let mut command = "docker compose".to_owned();
        for file in self.named_files() {
            command.push_str(" -f ");
            command.push_str(file);
        }
        command
    }
}

/// Where the volume is mounted.
fn data_mount(setup: &Setup, found: &Found, containers: &Containers) -> String {
    if let Some(place) = &containers.data_mount {
        return place.clone();
    }
    match found
        .server_version
        .or(setup.image().major())
        .or(setup.pg_version)
    {
        Some(major) if major < VERSIONED_DATA => "/var/lib/postgresql/data".to_owned(),
        _ => "/var/lib/postgresql".to_owned(),
    }
}

/// The container's files.
pub(super) fn artifacts(setup: &Setup, found: &Found, containers: &Containers) -> Vec<Artifact> {
    vec![
        Artifact::text(
            containers.project.file(),
            0o644,
            file::lines(setup, found, containers),
        ),
        Artifact {
            path: Layout::ENV.into(),
            mode: 0o600,
            content: Content::Secret {
                bytes: environment(&containers.superuser),
                description: "password of the superuser postgres, which only the image asks for".to_owned(),
            },
        },
        Artifact::text(Layout::ENTRY, 0o644, plain_lines(ENTRY)),
        Artifact::text(Layout::INIT, 0o644, INIT.lines().map(Line::plain).collect()),
        roles::artifact(setup, &containers.verifiers),
    ]
}

/// `db.env`: compose expands `$` and quotes here, so the password holds none.
fn environment(superuser: &SecretString) -> Zeroizing<Vec<u8>> {
    let password = superuser.expose_secret();
    let mut bytes = Zeroizing::new(Vec::with_capacity(password.len() + 32));
    bytes.extend_from_slice(b"POSTGRES_PASSWORD=");
    bytes.extend_from_slice(password.as_bytes());
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_the_name_that_compose_would_take() {
        for (dir, name) in [
            ("/srv/shop", "shop"),
            ("/srv/Shop DB", "shopdb"),
            ("/srv/_x-1", "x-1"),
            ("/srv/ü", "pgtls"),
            ("/", "pgtls"),
        ] {
            assert_eq!(ComposeProject::name_of(Path::new(dir)), name);
        }
    }
}
