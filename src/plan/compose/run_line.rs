//! The same container by `docker run` alone, for people without compose.

use super::file::{CAPABILITIES, MEMORY, published};
use super::{Containers, FILES, MOUNT, data_mount};
use crate::plan::{Found, Layout};
use crate::setup::Setup;

/// The command, one option a line; it is typed in the project directory.
pub fn run_line(setup: &Setup, found: &Found, containers: &Containers) -> String {
    let project = &containers.project;
    let mut lines = vec![
        format!(
            "docker run --detach --name {}-{}",
            project.name,
            project.service()
        ),
        "--restart unless-stopped --stop-timeout 60 --shm-size 256m".to_owned(),
        "--read-only --security-opt no-new-privileges:true --cap-drop ALL".to_owned(),
        CAPABILITIES.map(|power| format!("--cap-add {power}")).join(" "),
        MEMORY.map(|path| format!("--tmpfs {path}")).join(" "),
        format!("--env-file {}", Layout::ENV),
    ];
    if containers.remaps_accounts {
        lines.push("--userns host".to_owned());
    }
    let open = setup.is_open_beyond_loopback();
    lines.extend(
        published(setup, found.port, open)
            .iter()
            .map(|port| format!("--publish {port}")),
    );
    lines.extend([
        format!("--volume \"$PWD\"/{}:{MOUNT}:ro,z", Layout::SERVER),
        format!(
            "--volume \"$PWD\"/{}:/docker-entrypoint-initdb.d/50-pgtls.sql:ro,z",
            Layout::INIT
        ),
        format!(
            "--volume {}:{}",
            project.volume(),
            data_mount(setup, found, containers)
        ),
        format!("--entrypoint sh {}", setup.image()),
        format!("{MOUNT}/entry.sh postgres -c config_file={FILES}/postgresql.conf"),
    ]);
    lines.join(" \\\n  ")
}
