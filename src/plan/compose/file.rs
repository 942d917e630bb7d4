//! `docker-compose.yml`, or the file that adds our service to a person's own
//! (<https://docs.docker.com/reference/compose-file/>).

use super::yaml::{Yaml, scalar};
use super::{ComposeProject, Containers, FILES, MOUNT, PORT, Placement, data_mount};
use crate::pki::HostName;
use crate::plan::artifact::Line;
use crate::plan::{Found, Layout};
use crate::setup::Setup;

const OWN: &str = "PostgreSQL that takes verified TLS only. Written by pgtls from pgtls.toml: change that, then run \
                   `pgtls up`. RUNBOOK.md says how to run it by hand.";

/// What PostgreSQL's image needs of root's powers before it becomes another account.
pub(super) const CAPABILITIES: [&str; 6] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];

/// What is in memory.
pub(super) const MEMORY: [&str; 3] = ["/tmp", "/run/postgresql", FILES];

/// The process that compose started is the server itself, not the one that the image runs while it makes the
/// database, and it says that it is ready. Nothing connects, so nothing fills the log.
const HEALTHY: [&str; 3] = [
    "test \"$$(sed -n '1p;8p' \"$$PGDATA/postmaster.pid\"",
    "| tr -d ' \\n')\"",
    "= 1ready",
];

pub(super) fn lines(setup: &Setup, found: &Found, containers: &Containers) -> Vec<Line> {
    let project = &containers.project;
    let mut yaml = Yaml::default();
    yaml.put(0, "---");
    match &project.placement {
        Placement::Own | Placement::Apart { .. } => {
            yaml.comment(0, OWN)
                .put(0, &format!("name: {}", scalar(&project.name)));
        }
        Placement::Beside { theirs, service, .. } => {
            yaml.comment(
                0,
                &format!(
                    "Adds PostgreSQL that takes verified TLS only, as the service {service} with its volume {}, to {}, \
                     which stays as it is. Written by pgtls from pgtls.toml: change that, then run `pgtls up`. \
                     RUNBOOK.md says how to run it by hand.",
                    project.volume_key(),
                    theirs.join(" and ")
                ),
            );
        }
    }
    yaml.gap().put(0, "services:");
    yaml.put(1, &format!("{}:", scalar(project.service())));
    server(&mut yaml, setup, containers.is_temporary);
    storage(&mut yaml, project, &data_mount(setup, found, containers));
    fences(&mut yaml, setup, containers, found.port);
    yaml.gap()
        .put(0, "volumes:")
        .put(1, &format!("{}:", project.volume_key()));
    yaml.lines
}

/// What runs, and how.
fn server(yaml: &mut Yaml, setup: &Setup, is_temporary: bool) {
    yaml.reason(2, "compose-image")
        .pair(2, "image", setup.image().as_str());
    yaml.gap()
        .because(2, "compose-entry", "entrypoint:")
        .items(3, &["sh", &format!("{MOUNT}/entry.sh")])
        .put(2, "command:")
        .items(
            3,
            &["postgres", "-c", &format!("config_file={FILES}/postgresql.conf")],
        );
    yaml.gap()
        .because(2, "compose-env", "env_file:")
        .items(3, &[Layout::ENV]);
    yaml.gap();
    if !is_temporary {
        yaml.because(2, "compose-restart", "restart: unless-stopped");
    }
    yaml.because(2, "compose-grace", "stop_grace_period: 60s");
    yaml.gap().because(2, "compose-health", "healthcheck:");
    yaml.put(3, "test:").put(4, "- CMD-SHELL").put(4, "- >-");
    for part in HEALTHY {
        yaml.put(5, part);
    }
    yaml.put(3, "interval: 5s")
        .put(3, "timeout: 5s")
        .put(3, "retries: 6")
        .put(3, "start_period: 120s");
}

/// What it reads and writes.
fn storage(yaml: &mut Yaml, project: &ComposeProject, data: &str) {
    yaml.gap().because(2, "compose-mount", "volumes:");
    let mut bind = |source: &str, target: &str| {
        yaml.put(3, "- type: bind")
            .put(4, &format!("source: {source}"))
            .put(4, &format!("target: {target}"))
            .put(4, "read_only: true")
            .put(4, "bind:")
            .put(5, "create_host_path: false")
            .put(5, "selinux: z");
    };
    bind(&format!("./{}", Layout::SERVER), MOUNT);
    bind(
        &format!("./{}", Layout::INIT),
        "/docker-entrypoint-initdb.d/50-pgtls.sql",
    );
    yaml.put(3, "- type: volume")
        .put(4, &format!("source: {}", project.volume_key()));
    yaml.because(4, "compose-data", &format!("target: {}", scalar(data)));
    yaml.gap().because(2, "compose-tmpfs", "tmpfs:").items(3, &MEMORY);
    yaml.because(2, "compose-shm", "shm_size: 256m");
}

/// Who can reach it, and what it may do.
fn fences(yaml: &mut Yaml, setup: &Setup, containers: &Containers, port: u16) {
    let open = setup.is_open_beyond_loopback();
    yaml.gap()
        .because(
            2,
            if open {
                "compose-ports-open"
            } else {
                "compose-ports-loopback"
            },
            "ports:",
        )
        .items(3, &published(setup, port, open));
    yaml.gap().reason(2, "compose-limits");
    yaml.gap()
        .because(2, "compose-read-only", "read_only: true")
        .because(2, "compose-capabilities", "cap_drop:")
        .items(3, &["ALL"])
        .put(2, "cap_add:")
        .items(3, &CAPABILITIES)
        .because(2, "compose-no-new-privileges", "security_opt:")
        .items(3, &["no-new-privileges:true"]);
    if containers.remaps_accounts {
        yaml.because(2, "compose-userns", "userns_mode: host");
    }
}

/// The ports: on this machine's loopback addresses, or on all of its addresses.
pub(super) fn published(setup: &Setup, port: u16, open: bool) -> Vec<String> {
    if open {
        return vec![format!("{port}:{PORT}")];
    }
    let mut ports = vec![format!("127.0.0.1:{port}:{PORT}")];
    let dials_v6 = setup
        .hosts
        .iter()
        .any(|host| matches!(host, HostName::Ip(ip) if ip.is_ipv6() && ip.is_loopback()));
    if dials_v6 {
        ports.push(format!("[::1]:{port}:{PORT}"));
    }
    ports
}
