//! Reads an answers file (TOML) into [`Answers`]: unknown keys and wrong types are all told at once.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::answers::{AccessAnswer, Answers, ClientAnswer};
use super::problem::{Problem, quote};
use crate::pki::printable;

const KEYS: [&str; 23] = [
    "mode",
    "auth",
    "run",
    "hosts",
    "port",
    "user",
    "database",
    "allow",
    "access",
    "client",
    "pg-version",
    "pg-bin",
    "image",
    "algorithm",
    "days",
    "ca-days",
    "ca-cert",
    "ca-key",
    "server-cert",
    "server-key",
    "root",
    "client-ca",
    "password-file",
];
const ACCESS_KEYS: [&str; 4] = ["role", "databases", "addresses", "method"];
const CLIENT_KEYS: [&str; 2] = ["cn", "role"];

impl Answers {
    /// Reads an answers file's text. `file` is its name, for the messages.
    ///
    /// Relative paths stay as written: see [`Answers::relative_to`].
    ///
    /// # Errors
    /// Every problem of form: a syntax error, unknown keys (with the nearest known one), values of a wrong type.
    /// The values of unknown keys are never repeated, since one of them may be a password.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, Vec<Problem>> {
        let table = text
            .parse::<Table>()
            .map_err(|error| vec![syntax(text, file, &error)])?;
        let mut reader = Reader {
            table,
            prefix: String::new(),
            file,
            problems: Vec::new(),
        };
        let answers = reader.answers();
        if reader.problems.is_empty() {
            Ok(answers)
        } else {
            Err(reader.problems)
        }
    }
}

/// toml's own message quotes the offending line, which may hold a secret: only its place and cause are told.
fn syntax(text: &str, file: &Path, error: &toml::de::Error) -> Problem {
    let place = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..place).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Problem {
        flag: "--answers",
        key: String::new(),
        value: Some(quote(&file.to_string_lossy())),
        reason: format!(
            "line {line}, column {column} is not TOML: {}",
            error.message().lines().next().unwrap_or("syntax error")
        ),
        remedy: "put that line right".to_owned(),
    }
}

struct Reader<'a> {
    table: Table,
    prefix: String,
    file: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn answers(&mut self) -> Answers {
        let answers = Answers {
            mode: self.text("mode"),
            auth: self.text("auth"),
            run: self.text("run"),
            hosts: self.texts("hosts"),
            port: self.number("port"),
            user: self.text("user"),
            database: self.text("database"),
            allow: self.texts("allow"),
            access: self.tables("access", |reader| {
                let access = AccessAnswer {
                    role: reader.text("role"),
                    databases: reader.texts("databases"),
                    addresses: reader.texts("addresses"),
                    method: reader.text("method"),
                };
                reader.finish(&ACCESS_KEYS);
                access
            }),
            clients: self.tables("client", |reader| {
                let client = ClientAnswer {
                    cn: reader.text("cn"),
                    role: reader.text("role"),
                };
                reader.finish(&CLIENT_KEYS);
                client
            }),
            pg_version: self.number("pg-version"),
            pg_bin: self.path("pg-bin"),
            image: self.text("image"),
            algorithm: self.text("algorithm"),
            days: self.number("days"),
            ca_days: self.number("ca-days"),
            ca_cert: self.path("ca-cert"),
            ca_key: self.path("ca-key"),
            server_cert: self.path("server-cert"),
            server_key: self.path("server-key"),
            root: self.path("root"),
            client_ca: self.path("client-ca"),
            password_file: self.path("password-file"),
        };
        if !answers.access.is_empty() {
            let singles = [
                ("user", answers.user.is_some()),
                ("database", answers.database.is_some()),
                ("allow", !answers.allow.is_empty()),
            ];
            for (key, _) in singles.iter().filter(|(_, given)| *given) {
                self.problem(
                    key,
                    "is also said by the first [[access]] table of this file",
                    "say it in one place",
                );
            }
        }
        self.finish(&KEYS);
        answers
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.table.remove(key)? {
            Value::String(text) => Some(text),
            other => self.wrong_type(key, &other, "a text in quotes"),
        }
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    fn number(&mut self, key: &str) -> Option<i64> {
        match self.table.remove(key)? {
            Value::Integer(number) => Some(number),
            other => self.wrong_type(key, &other, "a whole number"),
        }
    }

    /// A list of texts; one text stands for a list of one.
    fn texts(&mut self, key: &str) -> Vec<String> {
        const EXPECTED: &str = "a list of texts in quotes";
        let items = match self.table.remove(key) {
            None => return Vec::new(),
            Some(Value::String(text)) => return vec![text],
            Some(Value::Array(items)) => items,
            Some(other) => return self.wrong_type(key, &other, EXPECTED).unwrap_or_default(),
        };
        if items.is_empty() {
            self.problem(key, "is an empty list", "name at least one, or leave the key out");
        }
        let mut texts = Vec::new();
        for item in items {
            match item {
                Value::String(text) => texts.push(text),
                other => texts.extend(self.wrong_type::<String>(key, &other, EXPECTED)),
            }
        }
        texts
    }

    fn tables<T>(&mut self, key: &str, mut read: impl FnMut(&mut Reader) -> T) -> Vec<T> {
        let expected = format!("a list of tables, each under [[{key}]]");
        let items = match self.table.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => return self.wrong_type(key, &other, &expected).unwrap_or_default(),
        };
        let mut tables = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::Table(table) => {
                    let prefix = format!("{key}[{}].", index + 1);
                    let mut inner = Reader {
                        table,
                        prefix,
                        file: self.file,
                        problems: Vec::new(),
                    };
                    tables.push(read(&mut inner));
                    self.problems.append(&mut inner.problems);
                }
                other => tables.extend(self.wrong_type::<T>(key, &other, &expected)),
            }
        }
        tables
    }

    /// Reports whatever was not taken.
    fn finish(&mut self, known: &[&'static str]) {
        for key in std::mem::take(&mut self.table).keys() {
            let (reason, remedy) = if key.contains("password") || key.contains("secret") {
                (
                    "has no place in an answers file, which holds no secret".to_owned(),
                    "put the password alone into a file of mode 0600, and name that file as password-file"
                        .to_owned(),
                )
            } else {
                ("is not a key of an answers file".to_owned(), nearest(key, known))
            };
            self.problem(key, &reason, &remedy);
        }
    }

    fn wrong_type<T>(&mut self, key: &str, found: &Value, expected: &str) -> Option<T> {
        let found = match found {
            Value::String(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        };
        self.problem(key, &format!("is {found}"), &format!("write {expected}"));
        None
    }

    fn problem(&mut self, key: &str, reason: &str, remedy: &str) {
        self.problems.push(Problem {
            flag: "",
            key: format!("{}{}", self.prefix, printable(key)),
            value: None,
            reason: format!("{reason} ({})", printable(&self.file.to_string_lossy())),
            remedy: remedy.to_owned(),
        });
    }
}

fn nearest(key: &str, known: &[&'static str]) -> String {
    let spelled = key.to_lowercase().replace('_', "-");
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&spelled, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(
            || format!("the keys are {}", known.join(", ")),
            |(_, candidate)| format!("did you mean {candidate}?"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Answers::from_toml(text, Path::new("answers.toml"))
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_key_is_read() {
        let text = "mode = 'mtls'\nhosts = 'db.example'\nport = 5433\nca-days = 900\npassword-file = 'p'\n\
                    [[access]]\nrole = 'app'\ndatabases = ['a', 'b']\n[[client]]\ncn = 'app'\n";
        let answers = Answers::from_toml(text, Path::new("a.toml")).unwrap();
        assert_eq!(answers.hosts, ["db.example"]);
        assert_eq!((answers.port, answers.ca_days), (Some(5433), Some(900)));
        assert_eq!(answers.access[0].databases, ["a", "b"]);
        assert_eq!(answers.clients[0].cn.as_deref(), Some("app"));
        assert_eq!(answers.password_file, Some("p".into()));
    }

    #[test]
    fn unknown_keys_are_all_told_with_the_nearest_known_one() {
        assert_eq!(
            problems("hots = ['a']\nca_days = 3\n[[access]]\nrole = 'x'\ndatabase = 'y'\n"),
            [
                "access[1].database: is not a key of an answers file (answers.toml); did you mean databases?",
                "ca_days: is not a key of an answers file (answers.toml); did you mean ca-days?",
                "hots: is not a key of an answers file (answers.toml); did you mean hosts?",
            ]
        );
    }

    #[test]
    fn a_password_is_refused_and_never_repeated() {
        for text in ["password = 'hunter2'\n", "password = 'hunter2\n"] {
            let told = problems(text).join("\n");
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(problems("password = 'x'\n")[0].contains("password-file"));
    }

    #[test]
    fn wrong_types_and_syntax_name_the_place() {
        assert_eq!(
            problems("port = '5432'\nhosts = [1]\n"),
            [
                "hosts: is a whole number (answers.toml); write a list of texts in quotes",
                "port: is a text (answers.toml); write a whole number",
            ]
        );
        assert!(
            problems("mode = 'mtls'\nport = = 3\n")[0].contains("line 2, column 8"),
            "{:?}",
            problems("mode = 'mtls'\nport = = 3\n")
        );
    }

    #[test]
    fn the_first_access_is_said_once() {
        let told = problems("user = 'app'\n[[access]]\nrole = 'app'\n");
        assert!(told[0].starts_with("user: is also said"), "{told:?}");
    }
}
