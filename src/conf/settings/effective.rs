//! What the server makes of its settings: `postgresql.conf` with its includes, `postgresql.auto.conf` after it, the
//! command line above both; of several lines the last one wins
//! (<https://www.postgresql.org/docs/current/config-setting.html>).

use std::path::Path;
use std::sync::Arc;

use super::Document;
use crate::conf::files::{DEEPEST, MOST_FILES, beside, configuration_files};
use crate::conf::{Files, Place, Unreadable};

/// Where a setting comes from, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `postgresql.conf` or a file it includes.
    File,
    /// `postgresql.auto.conf`, which `ALTER SYSTEM` writes.
    Auto,
    /// The server's command line (`-c name=value`).
    CommandLine,
}

/// One setting of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in lower case, and the new one where PostgreSQL knows an older.
    pub name: String,
    /// Its value.
    pub value: Vec<u8>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it stands; `None` on the command line.
    pub place: Option<Place>,
}

/// What keeps the server from taking any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// Why, in PostgreSQL's words.
    pub text: String,
}

/// All settings, in the order in which they are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    all: Vec<Setting>,
    faults: Vec<Fault>,
}

impl Settings {
    /// Reads `postgresql.conf`, what it includes, and the `postgresql.auto.conf` of the data directory, if it is known.
    pub fn load(main: &Path, data: Option<&Path>, files: &dyn Files) -> Result<Self, Unreadable> {
        let bytes = files.read(main)?;
        let mut reader = Reader {
            files,
            settings: Self::default(),
            opened: 0,
        };
        reader.add(main, bytes, Origin::File, 0);
        if let Some(data) = data {
            let auto = data.join("postgresql.auto.conf");
            match files.read(&auto) {
                Ok(bytes) => reader.add(&auto, bytes, Origin::Auto, 0),
                Err(Unreadable::Missing) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(reader.settings)
    }

    /// Adds what the command line says, which beats every file.
    pub fn push_command_line(&mut self, name: &str, value: &str) {
        self.all.push(Setting {
            name: known_name(name),
            value: value.as_bytes().to_vec(),
            origin: Origin::CommandLine,
            place: None,
        });
    }

    /// All of them, in the order in which they are read.
    #[must_use]
    pub fn all(&self) -> &[Setting] {
        &self.all
    }

    /// What keeps the server from taking any of it.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The setting that wins.
    #[must_use]
    pub fn effective(&self, name: &str) -> Option<&Setting> {
        let name = known_name(name);
        // Of equals `max_by_key` gives the last.
        self.all
            .iter()
            .filter(|setting| setting.name == name)
            .max_by_key(|setting| setting.origin)
    }

    /// The settings of that name that do not win, in the order in which they are read.
    pub fn overridden<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Setting> {
        let winner = self.effective(name);
        let name = known_name(name);
        self.all.iter().filter(move |setting| {
            setting.name == name && winner.is_some_and(|winner| !std::ptr::eq(winner, *setting))
        })
    }
}

/// The name that PostgreSQL has for it today.
fn known_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "ssl_ecdh_curve" => "ssl_groups".to_owned(),
        "sort_mem" => "work_mem".to_owned(),
        "vacuum_mem" => "maintenance_work_mem".to_owned(),
        _ => name,
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    settings: Settings,
    opened: usize,
}

impl Reader<'_> {
    fn add(&mut self, path: &Path, bytes: Vec<u8>, origin: Origin, depth: usize) {
        let document = Document::parse(bytes);
        let file: Arc<Path> = path.into();
        let place = |line| Place {
            file: Arc::clone(&file),
            line,
        };
        let mut faults = document.faults().iter().peekable();
        for entry in document.entries() {
            while let Some(fault) = faults.next_if(|fault| fault.number < entry.number) {
                self.fault(place(fault.number), "syntax error".to_owned());
            }
            let name = document.name(entry).to_ascii_lowercase();
            match name.as_str() {
                "include" => self.include(&place(entry.number), &entry.text, false, origin, depth + 1),
                "include_if_exists" => {
                    self.include(&place(entry.number), &entry.text, true, origin, depth + 1);
                }
                "include_dir" => self.directory(&place(entry.number), &entry.text, origin, depth + 1),
                _ => self.settings.all.push(Setting {
                    name: known_name(&name),
                    value: entry.text.clone(),
                    origin,
                    place: Some(place(entry.number)),
                }),
            }
        }
        for fault in faults {
            self.fault(place(fault.number), "syntax error".to_owned());
        }
    }

    fn fault(&mut self, place: Place, text: String) {
        self.settings.faults.push(Fault { place, text });
    }

    fn include(&mut self, place: &Place, name: &[u8], may_lack: bool, origin: Origin, depth: usize) {
        let shown = |path: &Path| crate::pki::printable(&path.to_string_lossy());
        if name.iter().all(|byte| b" \t\r\n".contains(byte)) {
            return self.fault(place.clone(), "empty configuration file name".to_owned());
        }
        let path = beside(&place.file, name);
        self.opened += 1;
        if depth > DEEPEST || self.opened > MOST_FILES {
            return self.fault(place.clone(), "nesting depth exceeded".to_owned());
        }
        if *path == *place.file {
            return self.fault(place.clone(), "configuration file recursion".to_owned());
        }
        match self.files.read(&path) {
            Ok(bytes) => self.add(&path, bytes, origin, depth),
            Err(Unreadable::Missing) if may_lack => {}
            Err(_) => self.fault(place.clone(), format!("could not open file \"{}\"", shown(&path))),
        }
    }

    fn directory(&mut self, place: &Place, name: &[u8], origin: Origin, depth: usize) {
        if name.iter().all(|byte| b" \t\r\n".contains(byte)) {
            return self.fault(place.clone(), "empty configuration directory name".to_owned());
        }
        let path = beside(&place.file, name);
        match configuration_files(self.files, &path) {
            Ok(paths) => {
                for path in paths {
                    self.include(place, path.as_os_str().as_encoded_bytes(), false, origin, depth);
                }
            }
            Err(_) => self.fault(
                place.clone(),
                format!(
                    "could not open directory \"{}\"",
                    crate::pki::printable(&path.to_string_lossy())
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_last_one_wins_and_the_command_line_beats_all() {
        let files: BTreeMap<PathBuf, Vec<u8>> = [
            (
                "/etc/pg/postgresql.conf",
                "ssl = off\nSSL = on\ninclude_dir 'conf.d'\ninclude_if_exists none\nport 1\n",
            ),
            ("/etc/pg/conf.d/b.conf", "port = 3\nssl_ecdh_curve = x\n"),
            ("/etc/pg/conf.d/a.conf", "port = 2\n"),
            ("/data/postgresql.auto.conf", "port = '4'\n"),
        ]
        .into_iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
        .collect();
        let mut settings = Settings::load(
            Path::new("/etc/pg/postgresql.conf"),
            Some(Path::new("/data")),
            &files,
        )
        .unwrap();
        assert_eq!(settings.faults(), []);
        let told = |settings: &Settings, name: &str| {
            let setting = settings.effective(name).unwrap();
            let place = setting
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            (
                String::from_utf8(setting.value.clone()).unwrap(),
                setting.origin,
                place,
            )
        };
        assert_eq!(
            told(&settings, "ssl"),
            (
                "on".to_owned(),
                Origin::File,
                "/etc/pg/postgresql.conf:2".to_owned()
            )
        );
        assert_eq!(
            told(&settings, "port"),
            (
                "4".to_owned(),
                Origin::Auto,
                "/data/postgresql.auto.conf:1".to_owned()
            )
        );
        assert_eq!(told(&settings, "ssl_groups").0, "x");
        settings.push_command_line("port", "5");
        assert_eq!(
            told(&settings, "PORT"),
            ("5".to_owned(), Origin::CommandLine, String::new())
        );
        let lost: Vec<_> = settings
            .overridden("port")
            .map(|setting| setting.value.clone())
            .collect();
        assert_eq!(lost, [&b"2"[..], b"3", b"1", b"4"]);
    }

    #[test]
    fn a_fault_anywhere_is_told_with_its_place() {
        let files: BTreeMap<PathBuf, Vec<u8>> = [
            (
                "/c/postgresql.conf",
                "include none\ninclude 'postgresql.conf'\ninclude ''\ninclude_dir d\n= x\n",
            ),
            ("/c/d/a.conf", "x\n"),
        ]
        .into_iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
        .collect();
        let settings = Settings::load(Path::new("/c/postgresql.conf"), None, &files).unwrap();
        let told: Vec<_> = settings
            .faults()
            .iter()
            .map(|fault| format!("{} {}", fault.place, fault.text))
            .collect();
        assert_eq!(
            told,
            [
                "/c/postgresql.conf:1 could not open file \"/c/none\"",
                "/c/postgresql.conf:2 configuration file recursion",
                "/c/postgresql.conf:3 empty configuration file name",
                "/c/d/a.conf:1 syntax error",
                "/c/postgresql.conf:5 syntax error",
            ]
        );
    }
}
