//! A container as it would be started: from a compose file (<https://docs.docker.com/reference/compose-file/services/>).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::yaml::{self, Node, Value};
use super::{Found, Spot, Tree, image, normal, shown};

/// Something and its place.
pub type At<T> = (T, Spot);

/// A port of the machine that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The address it is published on; `None`: all.
    pub address: Option<String>,
    /// The port inside.
    pub target: String,
}

/// What a mount brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the tree.
    Bind(PathBuf),
    /// One that is not in the tree.
    Outside(PathBuf),
    /// A named volume.
    Volume(String),
    /// Memory.
    Memory,
    /// A volume without a name.
    Anonymous,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub source: Source,
    pub target: PathBuf,
    pub read_only: bool,
}

/// A container.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    pub spot: Spot,
    pub image: Option<At<String>>,
    /// The Dockerfile it is built from, and its context.
    pub build: Option<At<(PathBuf, PathBuf)>>,
    /// Variables as they are written and with what they become.
    pub environment: Vec<At<(String, String)>>,
    /// The same before variables were put in.
    pub literal: Vec<At<(String, String)>>,
    pub ports: Vec<At<Port>>,
    pub mounts: Vec<At<Mount>>,
    pub command: Option<At<Vec<String>>>,
    pub entrypoint: Option<At<Vec<String>>>,
    /// A command of an earlier file that this one's takes the place of.
    pub replaced: Option<At<Vec<String>>>,
    /// Named volumes that the file declares; `None` where nothing has to be.
    pub declared: Option<Vec<String>>,
    /// Whether its data goes with it.
    pub is_removed: bool,
    /// Whether it shares the machine's network.
    pub on_host: bool,
}

impl Service {
    pub fn new(name: &str, spot: Spot) -> Self {
        Self {
            name: name.to_owned(),
            spot,
            image: None,
            build: None,
            environment: Vec::new(),
            literal: Vec::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            command: None,
            entrypoint: None,
            replaced: None,
            declared: None,
            is_removed: false,
            on_host: false,
        }
    }

    /// A variable of its environment.
    pub fn variable(&self, name: &str) -> Option<(&str, &Spot)> {
        self.environment
            .iter()
            .rev()
            .find(|((known, _), _)| known == name)
            .map(|((_, value), spot)| (value.as_str(), spot))
    }

    /// The image it runs: its own, or the one its Dockerfile begins from.
    pub fn base(&self, tree: &Tree) -> Option<String> {
        if let Some(((dockerfile, _), _)) = &self.build {
            return image::base(tree.text(dockerfile)?);
        }
        self.image.as_ref().map(|(image, _)| image.clone())
    }

    /// Whether PostgreSQL's server runs in it, from an image that follows the official one.
    pub fn is_postgres(&self, tree: &Tree) -> bool {
        let Some(base) = self.base(tree) else { return false };
        let name = base.split('@').next().unwrap_or(&base);
        let last = name.rsplit('/').next().unwrap_or(name);
        let repository = last.split(':').next().unwrap_or(last);
        ["postgres", "postgresql", "postgis", "pgvector", "timescaledb"].contains(&repository)
    }

    /// The major version of its image, as far as the name says so.
    pub fn major(&self, tree: &Tree) -> Option<u16> {
        crate::setup::image_major(&self.base(tree)?)
    }

    /// Where the image keeps its data.
    pub fn data(&self, tree: &Tree) -> PathBuf {
        if let Some((data, _)) = self.variable("PGDATA") {
            return data.into();
        }
        match self.major(tree) {
            Some(major) if major < 18 => "/var/lib/postgresql/data".into(),
            // Also where the version is open: the newest image comes.
            major => format!("/var/lib/postgresql/{}/docker", major.unwrap_or(18)).into(),
        }
    }

    /// The account of PostgreSQL in the image.
    pub fn account(&self, tree: &Tree) -> u32 {
        if self.base(tree).is_some_and(|base| base.contains("alpine")) {
            70
        } else {
            999
        }
    }

    /// The mount that brings a path of the container, and the path that it is in the tree.
    pub fn behind(&self, path: &Path) -> Option<(&At<Mount>, Option<PathBuf>)> {
        let mount = self
            .mounts
            .iter()
            .filter(|(mount, _)| path.starts_with(&mount.target))
            .max_by_key(|(mount, _)| mount.target.components().count())?;
        let file = match &mount.0.source {
            Source::Bind(source) => path.strip_prefix(&mount.0.target).ok().map(|rest| {
                if rest.as_os_str().is_empty() {
                    source.clone()
                } else {
                    source.join(rest)
                }
            }),
            _ => None,
        };
        Some((mount, file))
    }

    /// The script of the tree that is run first instead of the image's own, if it ends in the image's own.
    pub fn entry_script(&self, tree: &Tree) -> Option<PathBuf> {
        let (words, _) = self.entrypoint.as_ref()?;
        words.iter().find_map(|word| {
            let (_, file) = self.behind(Path::new(word))?;
            let file = file?;
            tree.text(&file)?.contains("docker-entrypoint.sh").then_some(file)
        })
    }
}

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

/// `[ADDRESS:][PORT:]TARGET[/PROTOCOL]`.
pub fn port(text: &str) -> Port {
    let text = text.split('/').next().unwrap_or(text);
    let (rest, target) = text.rsplit_once(':').unwrap_or(("", text));
    let address = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']').map(|(address, _)| address),
        None => rest.rsplit_once(':').map(|(address, _)| address),
    };
    Port {
        address: address.map(str::to_owned),
        target: target.to_owned(),
    }
}

/// `[SOURCE:]TARGET[:OPTIONS]`.
pub fn mount(tree: &Tree, dir: &Path, text: &str) -> Option<Mount> {
    let mut parts = text.split(':');
    let first = parts.next().filter(|first| !first.is_empty())?;
    let (source, target) = match parts.next() {
        None => (Source::Anonymous, first),
        Some(target) if first.starts_with(['.', '/', '~']) => (bind(tree, dir, first), target),
        Some(target) => (Source::Volume(first.to_owned()), target),
    };
    let options = parts.next().unwrap_or_default();
    Some(Mount {
        source,
        target: normal(Path::new(target)),
        read_only: options.split(',').any(|option| option == "ro"),
    })
}

/// A source of the machine: in the tree, if its path leads there.
pub fn bind(tree: &Tree, dir: &Path, source: &str) -> Source {
    let path = normal(&dir.join(source));
    let is_inside = !source.starts_with(['/', '~']) && !path.starts_with("..");
    if is_inside || tree.entries.contains_key(&path) {
        Source::Bind(path)
    } else {
        Source::Outside(path)
    }
}

/// The words of a command line.
pub fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, char) if char.is_whitespace() => words.extend(word.take()),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// `NAME=VALUE` lines with their numbers.
pub fn variables_at(tree: &Tree, path: &Path) -> Vec<(usize, (String, String))> {
    let text = tree.text(path).unwrap_or_default();
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let line = line.trim().strip_prefix("export ").unwrap_or(line.trim());
            let (name, value) = line.split_once('=')?;
            let is_name = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let value = value.trim().trim_matches(['"', '\'']);
            is_name.then(|| (index + 1, (name.to_owned(), value.to_owned())))
        })
        .collect()
}

fn variables(tree: &Tree, path: &Path) -> BTreeMap<String, String> {
    variables_at(tree, path)
        .into_iter()
        .map(|(_, pair)| pair)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_words_are_parted() {
        for (text, address, target) in [
            ("5432", None, "5432"),
            ("5433:5432", None, "5432"),
            ("127.0.0.1:5433:5432", Some("127.0.0.1"), "5432"),
            ("[::1]:5433:5432/tcp", Some("::1"), "5432"),
        ] {
            let read = port(text);
            assert_eq!(
                (read.address.as_deref(), read.target.as_str()),
                (address, target),
                "{text}"
            );
        }
        assert_eq!(
            split("-c ssl=on  -c 'a b' \"c\\\"d\" e\\ f ''"),
            ["-c", "ssl=on", "-c", "a b", "c\"d", "e f", ""]
        );
    }
}
