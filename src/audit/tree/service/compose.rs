//! Compose files, one or several laid over each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::yaml::{self, Node, Value};
use super::super::{Found, Spot, Tree, normal, shown};
use super::{At, Mount, Port, Service, Source, bind, mount, port, split, variables_at};

/// The services of every compose file; a file that only adds to another is laid over it.
pub fn of_compose_files(tree: &Tree, found: &mut Found) -> Vec<Service> {
    let mut by_dir: BTreeMap<PathBuf, Vec<Service>> = BTreeMap::new();
    let mut files: Vec<(&Path, &str)> = tree
        .texts()
        .filter(|(path, text)| is_yaml(path) && text.lines().any(|line| line.starts_with("services:")))
        .collect();
    // What overrides comes after what it overrides.
    files.sort_by_key(|(path, _)| (is_override(path), path.to_path_buf()));
    for (path, text) in files {
        let node = match yaml::parse(text) {
            Ok(node) => node,
            Err(fault) => {
                found.miss(
                    format!("{}:{}", shown(path), fault.line),
                    &format!("this YAML cannot be read here: {}", fault.why),
                );
                continue;
            }
        };
        let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let services = read_file(tree, path, &dir, &node);
        let known = by_dir.entry(dir).or_default();
        for service in services {
            match known
                .iter_mut()
                .find(|known| known.name == service.name && is_override(path))
            {
                Some(base) => lay_over(base, service),
                None => known.push(service),
            }
        }
    }
    by_dir.into_values().flatten().collect()
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yml" || extension == "yaml")
}

fn is_override(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.contains("override") || name.starts_with("compose.pgtls"))
}

/// As compose merges: single values are replaced, lists grow, variables and mounts go by their keys.
fn lay_over(base: &mut Service, over: Service) {
    base.image = over.image.or(base.image.take());
    base.build = over.build.or(base.build.take());
    if let Some(command) = over.command {
        base.replaced = base.command.replace(command);
    }
    base.entrypoint = over.entrypoint.or(base.entrypoint.take());
    base.environment.extend(over.environment);
    base.literal.extend(over.literal);
    base.ports.extend(over.ports);
    base.mounts
        .retain(|(mount, _)| over.mounts.iter().all(|(other, _)| other.target != mount.target));
    base.mounts.extend(over.mounts);
    base.on_host |= over.on_host;
    if let (Some(declared), Some(more)) = (&mut base.declared, over.declared) {
        declared.extend(more);
    }
}

fn read_file(tree: &Tree, path: &Path, dir: &Path, node: &Node) -> Vec<Service> {
    let variables = variables(tree, &dir.join(".env"));
    let declared: Vec<String> = node
        .at("volumes")
        .map(|volumes| volumes.entries().iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let services = node.at("services").map(Node::entries).unwrap_or_default();
    services
        .iter()
        .map(|(name, node)| {
            let reader = Reader {
                tree,
                path,
                dir,
                variables: &variables,
            };
            let mut service = reader.service(name, node);
            service.declared = Some(declared.clone());
            service
        })
        .collect()
}

struct Reader<'a> {
    tree: &'a Tree,
    path: &'a Path,
    dir: &'a Path,
    variables: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn service(&self, name: &str, node: &Node) -> Service {
        let mut service = Service::new(name, self.spot(node.line));
        let text = |key: &str| {
            node.at(key)
                .and_then(|node| Some((self.put(node.text()?), self.spot(node.line))))
        };
        service.image = text("image");
        service.on_host = text("network_mode").is_some_and(|(mode, _)| mode == "host");
        service.command = node.at("command").and_then(|node| self.words(node));
        service.entrypoint = node.at("entrypoint").and_then(|node| self.words(node));
        service.build = node.at("build").map(|build| {
            let part = |key: &str| build.at(key).and_then(Node::text).map(|text| self.put(text));
            let context = build
                .text()
                .map(|text| self.put(text))
                .or_else(|| part("context"));
            let context = normal(&self.dir.join(context.as_deref().unwrap_or(".")));
            let dockerfile = context.join(part("dockerfile").as_deref().unwrap_or("Dockerfile"));
            ((normal(&dockerfile), context), self.spot(build.line))
        });
        if let Some(files) = node.at("env_file") {
            let one = std::slice::from_ref(files);
            let list = if files.items().is_empty() {
                one
            } else {
                files.items()
            };
            for file in list {
                let name = file.text().or_else(|| file.at("path").and_then(Node::text));
                let Some(path) = name.map(|name| normal(&self.dir.join(self.put(name)))) else {
                    continue;
                };
                for (line, (name, value)) in variables_at(self.tree, &path) {
                    let spot = Spot {
                        file: path.clone(),
                        line,
                    };
                    service.environment.push(((name, value), spot));
                }
            }
        }
        if let Some(environment) = node.at("environment") {
            for (name, node) in environment.entries() {
                self.variable(&mut service, name, node.text().unwrap_or_default(), node.line);
            }
            for item in environment.items() {
                let text = item.text().unwrap_or_default();
                let (name, value) = text.split_once('=').unwrap_or((text, "$"));
                self.variable(&mut service, name, value, item.line);
            }
        }
        for port in node.at("ports").map(Node::items).unwrap_or_default() {
            service
                .ports
                .extend(self.port(port).map(|read| (read, self.spot(port.line))));
        }
        for mount in node.at("volumes").map(Node::items).unwrap_or_default() {
            service
                .mounts
                .extend(self.mount(mount).map(|read| (read, self.spot(mount.line))));
        }
        if let Some(tmpfs) = node.at("tmpfs") {
            let one = std::slice::from_ref(tmpfs);
            let list = if tmpfs.items().is_empty() {
                one
            } else {
                tmpfs.items()
            };
            for item in list {
                let target = item
                    .text()
                    .unwrap_or_default()
                    .split(':')
                    .next()
                    .unwrap_or_default();
                let mount = Mount {
                    source: Source::Memory,
                    target: target.into(),
                    read_only: false,
                };
                service.mounts.push((mount, self.spot(item.line)));
            }
        }
        service
    }

    fn variable(&self, service: &mut Service, name: &str, raw: &str, line: usize) {
        let spot = self.spot(line);
        service
            .literal
            .push(((name.to_owned(), raw.to_owned()), spot.clone()));
        service.environment.push(((name.to_owned(), self.put(raw)), spot));
    }

    /// A command: a list is taken as it is, a text is parted as a shell would.
    fn words(&self, node: &Node) -> Option<At<Vec<String>>> {
        let words = match &node.value {
            Value::Text(text) => split(&self.put(text)),
            Value::List(items) => items
                .iter()
                .filter_map(|item| Some(self.put(item.text()?)))
                .collect(),
            _ => return None,
        };
        Some((words, self.spot(node.line)))
    }

    fn port(&self, node: &Node) -> Option<Port> {
        if let Some(text) = node.text() {
            return Some(port(&self.put(text)));
        }
        Some(Port {
            address: node.at("host_ip").and_then(Node::text).map(|text| self.put(text)),
            target: self.put(node.at("target")?.text()?),
        })
    }

    fn mount(&self, node: &Node) -> Option<Mount> {
        if let Some(text) = node.text() {
            return mount(self.tree, self.dir, &self.put(text));
        }
        let part = |key: &str| node.at(key).and_then(Node::text).map(|text| self.put(text));
        let target = PathBuf::from(part("target")?);
        let source = match (part("type")?.as_str(), part("source")) {
            ("bind", Some(source)) => bind(self.tree, self.dir, &source),
            ("tmpfs", _) => Source::Memory,
            ("volume", Some(source)) => Source::Volume(source),
            _ => Source::Anonymous,
        };
        Some(Mount {
            source,
            target,
            read_only: part("read_only").is_some_and(|text| text == "true"),
        })
    }

    fn spot(&self, line: usize) -> Spot {
        Spot {
            file: self.path.to_path_buf(),
            line,
        }
    }

    /// Puts variables in, those of `.env` and the defaults that the text gives.
    fn put(&self, text: &str) -> String {
        let mut whole = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            whole.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                whole.push('$');
                rest = after;
            } else if let Some((inner, after)) =
                rest.strip_prefix('{').and_then(|inner| inner.split_once('}'))
            {
                let end = inner.find([':', '-', '?', '+']).unwrap_or(inner.len());
                let default = inner[end..].trim_start_matches(':');
                match (self.variables.get(&inner[..end]), default.strip_prefix('-')) {
                    (Some(value), _) => whole.push_str(value),
                    (None, Some(default)) => whole.push_str(default),
                    // What the shell of the person has is not known.
                    (None, None) => {}
                }
                rest = after;
            } else {
                let end = rest
                    .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
                    .unwrap_or(rest.len());
                whole.push_str(
                    self.variables
                        .get(&rest[..end])
                        .map(String::as_str)
                        .unwrap_or_default(),
                );
                rest = &rest[end..];
            }
        }
        whole + rest
    }
}

fn variables(tree: &Tree, path: &Path) -> BTreeMap<String, String> {
    variables_at(tree, path)
        .into_iter()
        .map(|(_, pair)| pair)
        .collect()
}
