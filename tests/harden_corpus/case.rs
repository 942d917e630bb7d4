//! A case of the corpus: the files of one server, and who comes in at each stage. The format is told in
//! `tests/corpus/README`.

use std::fmt::Write as _;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// One server as somebody has it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file's name without `.case`.
    pub name: String,
    /// What is special in it, in a line.
    pub about: String,
    /// Where the files lie.
    pub layout: Layout,
    /// The versions whose grammar takes them.
    pub versions: RangeInclusive<u16>,
    /// Whether root hardens it; else the server's own account does.
    pub as_root: bool,
    /// Whether the kit's CA is what clients trust after `on`; else the case's own.
    pub kit_is_trusted: bool,
    /// How pgtls logs in.
    pub admin: Option<String>,
    /// Whether the command line says where the server listens.
    pub is_bare: bool,
    /// Arguments of the server.
    pub arguments: Vec<String>,
    /// Statements run once it is up.
    pub sql: Vec<String>,
    /// More arguments of pgtls: the stage (empty: all of them) and the arguments.
    pub setup: Vec<(String, Vec<String>)>,
    /// A stage that is turned down, and words that are said then.
    pub refused: Option<(String, Vec<String>)>,
    /// The stages, in order.
    pub stages: Vec<String>,
    /// Who comes in before, and after each of the stages.
    pub facts: Vec<Fact>,
    /// The files.
    pub files: Vec<File>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Everything in the data directory.
    Data,
    /// Debian's: `postgres -D DATA -c config_file=/etc/postgresql/VERSION/main/postgresql.conf`.
    Debian,
    /// `postgres -D ETC`, and `data_directory` in the file.
    Split,
    /// The data directory, with everything in it, is reached over a link.
    Linked,
    /// Directories with blanks, a comma and a quote in their names; only postgresql.conf is not in that of the data.
    Odd,
}

/// Somebody who comes, and whether they come in.
#[derive(Debug, Clone)]
pub struct Fact {
    pub role: String,
    pub database: String,
    pub way: Way,
    /// Before, and after each stage; `None`: not asked.
    pub comes_in: Vec<Option<bool>>,
}

/// The way on which somebody comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub place: Place,
    pub tls: bool,
    pub certificate: Certificate,
    /// A connection of physical replication.
    pub replication: bool,
}

/// With which client certificate somebody comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    None,
    /// One that openssl issued, by the CA that is trusted.
    Issued,
    /// The one that lies in the kit.
    Kit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Socket,
    V4,
    V6,
}

/// A file of the case.
#[derive(Debug, Clone)]
pub struct File {
    /// With `{etc}`, `{data}`, `{srv}` in it.
    pub path: String,
    pub content: Content,
    pub mode: Option<u32>,
    /// Owned by root, in the server's group.
    pub of_root: bool,
}

#[derive(Debug, Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    /// One of the corpus' certificates or keys: `own.cert`, `own.key`, `own.ca`, `snakeoil.cert`, `snakeoil.key`.
    Pem(String),
    /// A symbolic link.
    Link(String),
}

impl Case {
    /// Reads one.
    ///
    /// # Panics
    /// If the file is not well-formed, or promises that a plaintext login over TCP survives `require`.
    pub fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let (head, below) = match text.find("\n== ") {
            Some(at) => text.split_at(at + 1),
            None => (text.as_str(), ""),
        };
        let mut lines = head.lines();
        let mut case = Self {
            about: lines.next().unwrap().to_owned(),
            name,
            layout: Layout::Data,
            versions: 13..=99,
            as_root: false,
            kit_is_trusted: true,
            admin: None,
            is_bare: false,
            arguments: Vec::new(),
            sql: Vec::new(),
            setup: Vec::new(),
            refused: None,
            stages: Vec::new(),
            facts: Vec::new(),
            files: Vec::new(),
        };
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            case.directive(word, rest.trim(), line);
        }
        case.files = sections(below).map(File::parse).collect();
        case.check();
        case
    }

    fn directive(&mut self, word: &str, rest: &str, line: &str) {
        match word {
            "layout" => {
                self.layout = match rest {
                    "data" => Layout::Data,
                    "debian" => Layout::Debian,
                    "split" => Layout::Split,
                    "odd" => Layout::Odd,
                    "linked" => Layout::Linked,
                    _ => panic!("{}: {line}", self.name),
                }
            }
            "versions" => {
                let (from, to) = rest.split_once('-').unwrap();
                let to = if to.is_empty() { 99 } else { to.parse().unwrap() };
                self.versions = from.parse().unwrap()..=to;
            }
            "as" => self.as_root = rest == "root",
            "trust" => self.kit_is_trusted = rest == "kit",
            "admin" => self.admin = Some(rest.to_owned()),
            "bare" => self.is_bare = true,
            "argument" => self.arguments.push(rest.to_owned()),
            "sql" => self.sql.push(rest.to_owned()),
            "harden" => {
                let (stage, arguments) = match rest.split_once(": ") {
                    Some((stage, arguments)) => (stage, arguments),
                    None => ("", rest),
                };
                self.setup.push((stage.to_owned(), words(arguments)));
            }
            "refused" => {
                let (stage, said) = rest.split_once(": ").unwrap();
                self.refused = Some((stage.to_owned(), words(said)));
            }
            "facts" => {
                let columns = words(rest);
                assert_eq!(
                    columns.first().map(String::as_str),
                    Some("before"),
                    "{}: {line}",
                    self.name
                );
                self.stages = columns[1..].to_vec();
            }
            _ => self.fact(line),
        }
    }

    fn fact(&mut self, line: &str) {
        let fields = words(line);
        assert_eq!(fields.len(), self.stages.len() + 4, "{}: {line}", self.name);
        let comes_in = fields[3..].iter().map(|field| match field.as_str() {
            "in" => Some(true),
            "out" => Some(false),
            "-" => None,
            _ => panic!("{}: {line}", self.name),
        });
        self.facts.push(Fact {
            role: fields[0].clone(),
            database: fields[1].clone(),
            way: Way::parse(&fields[2]).unwrap_or_else(|| panic!("{}: {line}", self.name)),
            comes_in: comes_in.collect(),
        });
    }

    fn check(&self) {
        let name = &self.name;
        assert!(!self.facts.is_empty(), "{name}: no facts");
        let required = self.stages.iter().position(|stage| stage == "require");
        for fact in &self.facts {
            let is_plain = fact.way.place != Place::Socket && !fact.way.tls;
            if let (true, Some(at)) = (is_plain, required) {
                let after = &fact.comes_in[at + 1..];
                assert!(
                    after.iter().all(|comes_in| *comes_in == Some(false)),
                    "{name}: {fact:?} comes in without TLS"
                );
            }
            if fact.way.place == Place::Socket {
                let first = fact.comes_in[0];
                assert!(
                    fact.comes_in.iter().all(|at| *at == first),
                    "{name}: {fact:?} changes"
                );
            }
        }
    }

    /// The arguments of pgtls at a stage.
    pub fn setup(&self, stage: &str) -> impl Iterator<Item = &String> {
        let wanted = move |of: &&(String, Vec<String>)| of.0.is_empty() || of.0 == stage;
        self.setup
            .iter()
            .filter(wanted)
            .flat_map(|(_, arguments)| arguments)
    }

    /// The file's text, for people.
    pub fn show(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let content = match &file.content {
                Content::Bytes(bytes) if bytes.len() > 4000 => {
                    format!("{}…\n", String::from_utf8_lossy(&bytes[..4000]).escape_debug())
                }
                Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => format!("{other:?}\n"),
            };
            write!(text, "--- {}\n{content}", file.path).unwrap();
        }
        text
    }
}

impl Way {
    fn parse(text: &str) -> Option<Self> {
        let (text, replication) = match text.strip_suffix("-replication") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (text, place) = match text.strip_suffix('6') {
            Some(rest) => (rest, Place::V6),
            None if text == "local" => (text, Place::Socket),
            None => (text, Place::V4),
        };
        let (tls, certificate) = match text {
            "local" | "plain" => (false, Certificate::None),
            "tls" => (true, Certificate::None),
            "cert" => (true, Certificate::Issued),
            "kit" => (true, Certificate::Kit),
            _ => return None,
        };
        Some(Self {
            place,
            tls,
            certificate,
            replication,
        })
    }
}

fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("\n== ")
        .filter(|section| !section.is_empty())
        .map(|section| {
            let section = section.strip_prefix("== ").unwrap_or(section);
            section.split_once('\n').unwrap_or((section, ""))
        })
}

impl File {
    fn parse((title, text): (&str, &str)) -> Self {
        let title = words(title);
        // Splitting took the last line's end.
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let mut file = Self {
            path: if title[0].starts_with('{') {
                title[0].clone()
            } else {
                format!("{{etc}}/{}", title[0])
            },
            content: Content::Bytes(Vec::new()),
            mode: None,
            of_root: false,
        };
        let mut is_latin1 = false;
        for option in &title[1..] {
            match option.split_once('=').unwrap_or((option, "")) {
                ("crlf", _) => text = text.replace('\n', "\r\n"),
                ("latin1", _) => is_latin1 = true,
                ("no-newline", _) => text.truncate(text.trim_end_matches(['\r', '\n']).len()),
                ("times", count) => {
                    let one = |n: u32| {
                        text.replace("{n}", &n.to_string())
                            .replace("{high}", &(n / 250).to_string())
                            .replace("{low}", &(n % 250 + 1).to_string())
                    };
                    text = (0..count.parse().unwrap()).map(one).collect();
                }
                ("tail", lines) => text = format!("{text}{}\n", lines.replace('|', "\n")),
                ("mode", mode) => file.mode = Some(u32::from_str_radix(mode, 8).unwrap()),
                ("owner", "root") => file.of_root = true,
                ("pem", which) => file.content = Content::Pem(which.to_owned()),
                ("link", to) => file.content = Content::Link(to.to_owned()),
                _ => panic!("{title:?}: {option}"),
            }
        }
        if let Content::Bytes(bytes) = &mut file.content {
            *bytes = if is_latin1 {
                text.chars()
                    .map(|c| u8::try_from(u32::from(c)).unwrap())
                    .collect()
            } else {
                text.into_bytes()
            };
        }
        file
    }
}

/// Words between blanks, with double quotes around those that hold blanks.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
