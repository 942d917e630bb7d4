//! A container as it would be started: from a compose file (<https://docs.docker.com/reference/compose-file/services/>).

mod compose;

use std::path::{Path, PathBuf};

use super::{Spot, Tree, image, normal};

pub use compose::of_compose_files;

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
        let (entry, _) = self.entrypoint.as_ref()?;
        let command = self.command.iter().flat_map(|(words, _)| words);
        // `--entrypoint sh IMAGE SCRIPT …`: the script is the first word of the command.
        entry.iter().chain(command.take(1)).find_map(|word| {
            let (_, file) = self.behind(Path::new(word))?;
            let file = file?;
            tree.text(&file)?.contains("docker-entrypoint.sh").then_some(file)
        })
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
