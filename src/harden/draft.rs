//! Changes laid over the files of a server as they were read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Serialize;

use super::settings::is_same;
use super::{Prevented, Stage, Wish};
use crate::conf::hba::{ClientCert, Kind, Method, Rules};
use crate::conf::ident::Maps;
use crate::conf::settings::{Origin, Setting, Settings};
use crate::conf::simulate::{Simulator, World};
use crate::conf::{Dialect, Files, Unreadable};

/// The files of a server, and which it reads.
pub struct ServerFiles {
    /// Its version.
    pub dialect: Dialect,
    /// `config_file`, as the server names it.
    pub conf: PathBuf,
    /// `hba_file`.
    pub hba: PathBuf,
    /// `ident_file`.
    pub ident: PathBuf,
    /// `data_directory`.
    pub data: PathBuf,
    /// Settings of its command line.
    pub command_line: Vec<(String, String)>,
    /// The way to them, by the names that the server has for them.
    pub files: Box<dyn Files>,
}

impl ServerFiles {
    /// Those of a server that has all of them in its data directory.
    #[must_use]
    pub fn in_data(data: &Path, dialect: Dialect, files: Box<dyn Files>) -> Self {
        Self {
            dialect,
            conf: data.join("postgresql.conf"),
            hba: data.join("pg_hba.conf"),
            ident: data.join("pg_ident.conf"),
            data: data.to_path_buf(),
            command_line: Vec::new(),
            files,
        }
    }
}

/// The files with some of them changed.
pub struct Draft<'a> {
    /// Whose they are.
    pub server: &'a ServerFiles,
    changed: BTreeMap<PathBuf, Vec<u8>>,
    /// What is wanted of the settings, in the order in which it was asked for.
    wanted: Vec<(String, String)>,
    /// Whether settings go to `postgresql.auto.conf`.
    pub(super) over_sql: bool,
    /// The rules before any change.
    before: Rc<Rules>,
    /// The rules, until a file of theirs changes: reading a hundred thousand lines is most of the work.
    rules: RefCell<Option<Rc<Rules>>>,
    /// The files that they were read from.
    read: RefCell<BTreeSet<PathBuf>>,
}

/// The files, and which of them are read.
struct Noting<'a>(&'a Draft<'a>);

impl Files for Noting<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        self.0.read.borrow_mut().insert(path.to_path_buf());
        self.0.read(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        self.0.list(directory)
    }
}

/// A setting that `ALTER SYSTEM` changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Altered {
    /// Its name.
    pub name: String,
    /// Its value by the server's files; `None`: they do not name it.
    pub was: Option<String>,
    /// Where that stands.
    pub place: Option<String>,
    /// Its value in `postgresql.auto.conf`, which an undo puts back; `None`: it is not there.
    pub auto: Option<String>,
    /// What it shall be.
    pub after: String,
}

impl Files for Draft<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        match self.changed.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.server.files.read(path),
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        self.server.files.list(directory)
    }
}

impl<'a> Draft<'a> {
    /// Nothing changed yet. Files that PostgreSQL would not take as they stand are an error: it would take none of our
    /// changes either.
    pub fn new(server: &'a ServerFiles) -> Result<Self, Prevented> {
        let mut draft = Self {
            server,
            before: Rc::default(),
            changed: BTreeMap::new(),
            wanted: Vec::new(),
            over_sql: false,
            rules: RefCell::default(),
            read: RefCell::default(),
        };
        if let Some(fault) = draft.settings()?.faults().first() {
            return Err(Prevented::Broken {
                place: fault.place.to_string(),
                why: fault.text.clone(),
            });
        }
        draft.before = draft.rules()?;
        Ok(draft)
    }

    /// The rules before any change.
    #[must_use]
    pub fn before(&self) -> &Rules {
        &self.before
    }

    /// The settings, as the changed files and the command line mean them.
    pub fn settings(&self) -> Result<Settings, Prevented> {
        let server = self.server;
        let mut settings = Settings::load(&server.conf, Some(&server.data), self)
            .map_err(|why| unreadable(&server.conf, &why))?;
        for (name, value) in &server.command_line {
            settings.push_command_line(name, value);
        }
        Ok(settings)
    }

    /// The rules, as the changed files mean them.
    pub fn rules(&self) -> Result<Rc<Rules>, Prevented> {
        if let Some(rules) = &*self.rules.borrow() {
            return Ok(Rc::clone(rules));
        }
        let rules = Rc::new(self.read_rules()?);
        *self.rules.borrow_mut() = Some(Rc::clone(&rules));
        Ok(rules)
    }

    fn read_rules(&self) -> Result<Rules, Prevented> {
        let server = self.server;
        let rules = Rules::load(&server.hba, &Noting(self), server.dialect)
            .map_err(|why| unreadable(&server.hba, &why))?;
        match rules.broken().first() {
            None if rules.is_loadable() => Ok(rules),
            None => Err(Prevented::Broken {
                place: server.hba.display().to_string(),
                why: "it contains no entries".to_owned(),
            }),
            Some(broken) => Err(Prevented::Broken {
                place: broken.place.to_string(),
                why: broken.problem.to_string(),
            }),
        }
    }

    /// The name maps, as the changed files mean them; a file that is not there holds none.
    pub fn maps(&self) -> Result<Maps, Prevented> {
        match Maps::load(&self.server.ident, self, self.server.dialect) {
            Ok(maps) => Ok(maps),
            Err(Unreadable::Missing) => Ok(Maps::default()),
            Err(why) => Err(unreadable(&self.server.ident, &why)),
        }
    }

    /// The bytes of a file as changed.
    pub(super) fn bytes(&self, path: &Path) -> Result<Vec<u8>, Prevented> {
        self.read(path).map_err(|why| unreadable(path, &why))
    }

    /// Puts other bytes in the place of a file.
    pub(super) fn put(&mut self, path: &Path, bytes: Vec<u8>) {
        self.changed.insert(path.to_path_buf(), bytes);
        if self.read.get_mut().contains(path) {
            *self.rules.get_mut() = None;
        }
    }

    pub(super) fn want(&mut self, name: &str, value: &str) {
        self.wanted.push((name.to_owned(), value.to_owned()));
    }

    /// The settings that the server must have in force afterwards.
    #[must_use]
    pub fn wanted(&self) -> &[(String, String)] {
        &self.wanted
    }

    /// `postgresql.auto.conf`.
    pub(super) fn auto(&self) -> PathBuf {
        self.server.data.join("postgresql.auto.conf")
    }

    /// The settings that have to be altered, in an order in which each beginning of it is a configuration that the server
    /// takes; `None` where more than `postgresql.auto.conf` changes.
    pub fn altered(&self) -> Result<Option<Vec<Altered>>, Prevented> {
        let auto = self.auto();
        if self.changes().any(|(path, ..)| path != auto) {
            return Ok(None);
        }
        let server = self.server;
        let before = Settings::load(&server.conf, Some(&server.data), &*server.files)
            .map_err(|why| unreadable(&server.conf, &why))?;
        let text = |setting: &Setting| String::from_utf8_lossy(&setting.value).into_owned();
        let now = self.settings()?;
        let mut altered: Vec<Altered> = Vec::new();
        for (name, after) in &self.wanted {
            let in_auto = |settings: &Settings| {
                let mut all = settings.all().iter().rev();
                all.find(|setting| setting.origin == Origin::Auto && setting.name == *name)
                    .map(text)
            };
            let (auto, then) = (in_auto(&before), in_auto(&now));
            if auto == then || altered.iter().any(|one| one.name == *name) {
                continue;
            }
            let was = before.effective(name);
            altered.push(Altered {
                name: name.clone(),
                was: was.map(text),
                place: was.and_then(|was| was.place.as_ref()).map(ToString::to_string),
                auto,
                after: after.clone(),
            });
        }
        // No lowest version without a highest above it.
        altered.sort_by_key(|one| one.name != "ssl_max_protocol_version");
        Ok(Some(altered))
    }

    /// The changed files: path, old bytes, new bytes.
    pub fn changes(&self) -> impl Iterator<Item = (&Path, Option<Vec<u8>>, &[u8])> {
        self.changed.iter().filter_map(|(path, new)| {
            let old = self.server.files.read(path).ok();
            (old.as_deref() != Some(new)).then_some((path.as_path(), old, &**new))
        })
    }

    /// Whether the changed files mean what the stage promises.
    pub(super) fn check(&self, wish: &Wish) -> Result<(), Prevented> {
        let settings = self.settings()?;
        for (name, value) in &self.wanted {
            let Some(found) = settings.effective(name) else {
                return Err(Prevented::NotEnough(format!("{name} would not be set")));
            };
            let text = String::from_utf8_lossy(&found.value);
            if !is_same(name, &text, value) {
                let place = match found.origin {
                    Origin::CommandLine => "the command line".to_owned(),
                    _ => found.place.as_ref().map(ToString::to_string).unwrap_or_default(),
                };
                return Err(Prevented::NotEnough(format!(
                    "{name} would still be {text} ({place})"
                )));
            }
        }
        let rules = self.rules()?;
        if wish.stage == Stage::Mtls
            && let Some(rule) = rules.rules().iter().find(|rule| {
                let record = &rule.record;
                record.kind == Kind::HostSsl
                    && record.method != Method::Reject
                    && record.options.clientcert != Some(ClientCert::VerifyFull)
            })
        {
            return Err(Prevented::NotEnough(format!(
                "{} would still let somebody in without a certificate of their own: {}",
                rule.place, rule.record
            )));
        }
        let world = World::default();
        if matches!(wish.stage, Stage::Require | Stage::Mtls)
            && let Some(way) = Simulator::new(rules.rules(), &world)
                .ways_in_without_tls()
                .first()
        {
            let rule = &rules.rules()[way.record];
            return Err(Prevented::NotEnough(format!(
                "{} would still let somebody in without TLS: {}",
                rule.place, rule.record
            )));
        }
        Ok(())
    }
}

fn unreadable(file: &Path, why: &Unreadable) -> Prevented {
    Prevented::Unreadable {
        file: file.to_path_buf(),
        why: why.to_string(),
    }
}
