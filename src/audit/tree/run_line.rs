//! `docker run` lines in scripts and in texts for people (<https://docs.docker.com/reference/cli/docker/container/run/>).

use std::path::Path;

use super::service::{self, Mount, Service, Source};
use super::{Spot, Tree, normal};

/// Options of `docker run` that stand alone; every other takes a value.
const ALONE: [&str; 18] = [
    "--detach",
    "--init",
    "--interactive",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--privileged",
    "--publish-all",
    "--quiet",
    "--read-only",
    "--rm",
    "--sig-proxy",
    "--tty",
    "--help",
    "-d",
    "-i",
    "-t",
    "-P",
    "-q",
];

/// The containers that such lines start.
pub fn services(tree: &Tree) -> Vec<Service> {
    let mut all = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| may_hold_commands(path)) {
        for (line, command) in commands(text) {
            let words = service::split(&command);
            let begins = words.windows(2).position(|pair| {
                matches!(pair[0].rsplit('/').next(), Some("docker" | "podman")) && pair[1] == "run"
            });
            if let Some(at) = begins {
                let spot = Spot {
                    file: path.to_path_buf(),
                    line,
                };
                all.extend(read(tree, path, &words[at + 2..], spot));
            }
        }
    }
    all
}

fn may_hold_commands(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    matches!(
        extension,
        "sh" | "bash" | "zsh" | "md" | "markdown" | "txt" | "rst" | "adoc" | "mk" | "service"
    ) || matches!(
        name.to_ascii_lowercase().as_str(),
        "makefile" | "justfile" | "readme"
    )
}

/// Lines with `docker run` in them, continuations put behind them, and the number of the first.
fn commands(text: &str) -> Vec<(usize, String)> {
    const LONGEST: usize = 20_000;
    let mut all = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if !line.contains("docker run") && !line.contains("podman run") {
            continue;
        }
        let mut whole = line
            .trim()
            .trim_start_matches(['$', '#', '@', '`', '-', '+'])
            .trim_end_matches('`')
            .to_owned();
        while let Some(rest) = whole.strip_suffix('\\') {
            let more = lines.next().map(|(_, more)| more).unwrap_or_default();
            whole = format!("{rest} {}", more.trim());
            if whole.len() > LONGEST {
                break;
            }
        }
        // A page that lost its line ends has the backslashes amid the line.
        all.push((index + 1, whole.replace(" \\ ", " ")));
    }
    all
}

fn read(tree: &Tree, path: &Path, words: &[String], spot: Spot) -> Option<Service> {
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut service = Service::new("docker run", spot.clone());
    let mut words = words.iter();
    let image = loop {
        let word = words.next()?;
        if !word.starts_with('-') {
            break word;
        }
        let is_alone = ALONE.contains(&word.as_str())
            || (!word.starts_with("--")
                && word.len() > 2
                && word[1..].bytes().all(|byte| b"ditPq".contains(&byte)));
        if is_alone {
            service.is_removed |= word == "--rm";
            continue;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, value.to_owned()),
            _ if !word.starts_with("--") && word.len() > 2 => (word.get(..2)?, word[2..].to_owned()),
            _ => (word.as_str(), words.next()?.clone()),
        };
        option(tree, dir, &mut service, name, &value, &spot);
    };
    service.image = Some((image.clone(), spot.clone()));
    let command: Vec<String> = words
        .take_while(|word| !matches!(word.as_str(), "&&" | "||" | "|" | ";" | "&" | ">" | "2>&1"))
        .cloned()
        .collect();
    service.command = (!command.is_empty()).then_some((command, spot));
    Some(service)
}

fn option(tree: &Tree, dir: &Path, service: &mut Service, name: &str, value: &str, spot: &Spot) {
    // The directory that the command is typed in is taken to be the one that holds it.
    let value = ["$PWD/", "${PWD}/", "$(pwd)/", "`pwd`/"]
        .iter()
        .find_map(|here| Some(value.replace(here, "./")).filter(|put| put != value))
        .unwrap_or_else(|| value.to_owned());
    match name {
        "-e" | "--env" => {
            let (name, set) = value.split_once('=').unwrap_or((&value, "$"));
            let pair = (name.to_owned(), set.to_owned());
            service.literal.push((pair.clone(), spot.clone()));
            service.environment.push((pair, spot.clone()));
        }
        "--env-file" => {
            let file = normal(&dir.join(&value));
            for (line, pair) in service::variables_at(tree, &file) {
                service.environment.push((
                    pair,
                    Spot {
                        file: file.clone(),
                        line,
                    },
                ));
            }
        }
        "-p" | "--publish" => service.ports.push((service::port(&value), spot.clone())),
        "-v" | "--volume" => {
            service
                .mounts
                .extend(service::mount(tree, dir, &value).map(|mount| (mount, spot.clone())));
        }
        "--mount" => service
            .mounts
            .extend(mount(tree, dir, &value).map(|mount| (mount, spot.clone()))),
        "--tmpfs" => {
            let target = value.split(':').next().unwrap_or_default().into();
            let mount = Mount {
                source: Source::Memory,
                target,
                read_only: false,
            };
            service.mounts.push((mount, spot.clone()));
        }
        "--entrypoint" => service.entrypoint = Some((vec![value], spot.clone())),
        "--network" | "--net" => service.on_host = value == "host",
        _ => {}
    }
}

/// `type=bind,source=…,target=…[,readonly]`.
fn mount(tree: &Tree, dir: &Path, text: &str) -> Option<Mount> {
    let part = |names: &[&str]| {
        text.split(',').find_map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, "true"));
            names.contains(&name).then(|| value.to_owned())
        })
    };
    let source = part(&["source", "src"]);
    let source = match (part(&["type"]).as_deref(), source) {
        (Some("bind"), Some(source)) => service::bind(tree, dir, &source),
        (Some("tmpfs"), _) => Source::Memory,
        (_, Some(source)) => Source::Volume(source),
        _ => Source::Anonymous,
    };
    Some(Mount {
        source,
        target: normal(Path::new(&part(&["target", "destination", "dst"])?)),
        read_only: part(&["readonly", "ro"]).is_some_and(|value| value != "false"),
    })
}
