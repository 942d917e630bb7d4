//! What a container is given: ports, passwords, mounts, data, what is run in it, scripts of its first start.

use std::collections::BTreeSet;
use std::path::Path;

use super::service::{At, Mount, Service, Source};
use super::{Found, Tree, image, keys, shown};

/// Where the image looks for scripts of the first start.
const INIT: &str = "/docker-entrypoint-initdb.d";

pub fn check(tree: &Tree, service: &Service, found: &mut Found) {
    ports(service, found);
    data(tree, service, found);
    for mount in &service.mounts {
        bound(tree, service, mount, found);
    }
    if let Some((name, spot)) = service.image.as_ref().filter(|_| service.build.is_none()) {
        let named = name.rsplit('/').next().unwrap_or(name);
        if !named.contains([':', '@']) || named.ends_with(":latest") {
            found.add("image-floating", spot.shown(), format!("image: {name}"));
        }
    }
    commands(tree, service, found);
    for (script, line, text) in init_scripts(tree, service) {
        found.add("init-script-once", format!("{}:{line}", shown(&script)), text);
    }
}

/// Passwords that stand in a file that is shared and versioned.
pub fn passwords(service: &Service, found: &mut Found) {
    for ((name, raw), spot) in &service.literal {
        let is_password = [
            "POSTGRES_PASSWORD",
            "PGPASSWORD",
            "DB_PASSWORD",
            "DATABASE_PASSWORD",
        ]
        .contains(&name.as_str());
        if is_password && !raw.is_empty() && !raw.starts_with('$') {
            found.add("compose-password", spot.shown(), format!("{name}: …"));
        }
    }
}

fn ports(service: &Service, found: &mut Found) {
    let inside = service.variable("PGPORT").map_or("5432", |(port, _)| port);
    for (port, spot) in service.ports.iter().filter(|(port, _)| port.target == inside) {
        if matches!(port.address.as_deref(), None | Some("" | "0.0.0.0" | "::")) {
            found.add(
                "compose-port-open",
                spot.shown(),
                format!("port {inside} of {}", service.name),
            );
        }
    }
}

/// Whether the data stays where people believe it to be.
fn data(tree: &Tree, service: &Service, found: &mut Found) {
    let data = service.data(tree);
    let old = Path::new("/var/lib/postgresql/data");
    let is_official = service
        .base(tree)
        .is_some_and(|base| base == "postgres" || base.starts_with("postgres:"));
    let is_new = service.major(tree).map_or(is_official, |major| major >= 18);
    let at = |target: &Path| service.mounts.iter().find(|(mount, _)| mount.target == target);
    let of_old_kind = at(old).filter(|_| is_new && service.variable("PGDATA").is_none());
    if let Some((_, spot)) = of_old_kind {
        found.add(
            "container-data-mount",
            spot.shown(),
            "images of 18 and later refuse to start with something mounted at /var/lib/postgresql/data",
        );
    } else if let Some((_, spot)) =
        at(Path::new("/var/lib/postgresql")).filter(|_| !is_new && at(old).is_none())
    {
        found.add(
            "container-data-mount",
            spot.shown(),
            format!(
                "the image puts a volume of its own at {}, which the data goes to",
                data.display()
            ),
        );
    } else if service
        .behind(&data)
        .is_none_or(|(mount, _)| mount.0.source == Source::Anonymous)
    {
        found.add(
            "container-data-lost",
            service.spot.shown(),
            format!("nothing is mounted at {}", data.display()),
        );
    }
    let Some(declared) = &service.declared else { return };
    for (mount, spot) in &service.mounts {
        if let Source::Volume(name) = &mount.source
            && !declared.contains(name)
        {
            found.add(
                "compose-volume-undeclared",
                spot.shown(),
                format!("the volume {name}"),
            );
        }
    }
}

/// What is mounted from the machine.
fn bound(tree: &Tree, service: &Service, (mount, spot): &At<Mount>, found: &mut Found) {
    let Source::Bind(source) = &mount.source else {
        return;
    };
    let Some(entry) = tree.entries.get(source) else {
        if !source.as_os_str().is_empty() {
            found.add(
                "container-source-missing",
                spot.shown(),
                format!("{} is not there", shown(source)),
            );
        }
        return;
    };
    let wants_file = mount.target.extension().is_some_and(|extension| {
        ["crt", "key", "pem", "conf", "sh", "sql"]
            .iter()
            .any(|known| extension == *known)
    });
    if entry.is_dir && wants_file {
        let evidence = format!(
            "{} is a directory: an earlier start made it where the file was missing",
            shown(source)
        );
        found.add("container-source-missing", spot.shown(), evidence);
    }
    if !entry.is_dir && keys::holds_pem(tree, source) {
        found.add(
            "container-file-mount",
            spot.shown(),
            format!("{} is mounted as a single file", shown(source)),
        );
    }
    for key in keys::of_authorities(tree)
        .iter()
        .filter(|key| key.starts_with(source))
    {
        let evidence = format!("the CA's key {} is mounted into {}", shown(key), service.name);
        found.add("container-ca-key", spot.shown(), evidence);
    }
}

fn commands(tree: &Tree, service: &Service, found: &mut Found) {
    let keeps_entry = |words: &[String]| words.iter().any(|word| word.contains("docker-entrypoint.sh"));
    if let Some((words, spot)) = &service.entrypoint
        && !keeps_entry(words)
        && service.entry_script(tree).is_none()
    {
        found.add(
            "container-entrypoint",
            spot.shown(),
            format!("entrypoint: {}", words.join(" ")),
        );
    }
    if let Some((words, spot)) = &service.command
        && service.entrypoint.is_none()
        && let Some(first) = words.first()
        && first != "postgres"
        && !first.starts_with('-')
        && !keeps_entry(words)
    {
        found.add(
            "container-entrypoint",
            spot.shown(),
            format!("command: {}", words.join(" ")),
        );
    }
    let of_image = service
        .build
        .as_ref()
        .and_then(|((dockerfile, _), _)| image::command(tree.text(dockerfile)?));
    let replaced = service
        .replaced
        .as_ref()
        .map(|(words, _)| words.clone())
        .or(of_image);
    if let (Some(before), Some((words, spot))) = (replaced, &service.command) {
        let kept: BTreeSet<String> = settings(words).into_iter().map(|(name, _)| name).collect();
        let lost: Vec<String> = settings(&before)
            .into_iter()
            .filter(|(name, _)| !kept.contains(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !lost.is_empty() {
            found.add(
                "command-drops-settings",
                spot.shown(),
                format!("lost: {}", lost.join(" ")),
            );
        }
    }
}

/// The settings of a command line: `-c name=value`, `-cname=value`, `--name=value`.
pub fn settings(words: &[String]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = match word.as_str() {
            "-c" => match words.next() {
                Some(next) => next.as_str(),
                None => break,
            },
            word => match word.strip_prefix("--").or(word.strip_prefix("-c")) {
                Some(text) => text,
                None => continue,
            },
        };
        if let Some((name, value)) = text.split_once('=') {
            all.push((
                name.trim().replace('-', "_").to_ascii_lowercase(),
                value.to_owned(),
            ));
        }
    }
    all
}

/// Scripts of the first start that set TLS up: which, the first line that does, and that line.
pub fn init_scripts(tree: &Tree, service: &Service) -> Vec<(std::path::PathBuf, usize, String)> {
    let mut all = Vec::new();
    for (mount, _) in service
        .mounts
        .iter()
        .filter(|(mount, _)| mount.target.starts_with(INIT))
    {
        let Source::Bind(source) = &mount.source else {
            continue;
        };
        for (path, text) in tree.texts().filter(|(path, _)| path.starts_with(source)) {
            let sets_tls = |line: &&str| {
                let line = line.trim_start();
                let is_comment = line.starts_with('#') || line.starts_with("--");
                !is_comment
                    && [
                        "pg_hba.conf",
                        "postgresql.conf",
                        "ssl_",
                        "ssl =",
                        "ssl=",
                        ".key",
                        "openssl ",
                    ]
                    .iter()
                    .any(|sign| line.to_ascii_lowercase().contains(sign))
            };
            if let Some(index) = text.lines().position(|line| sets_tls(&line)) {
                let line = text.lines().nth(index).unwrap_or_default().trim().to_owned();
                all.push((path.to_path_buf(), index + 1, line));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_command_line() {
        let words =
            super::super::service::split("postgres -c ssl=on -cport=5433 --hba-file=/x -D /data --single");
        let read: Vec<String> = settings(&words)
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(read, ["ssl=on", "port=5433", "hba_file=/x"]);
    }
}
