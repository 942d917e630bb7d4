//! The descriptions of `assets/clients/`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::Format;
use super::quote::Style;

/// One driver or tool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// What it is called on the command line: `psycopg`.
    pub name: String,
    /// What people call it: "Python: psycopg 3".
    pub title: String,
    /// The file that the snippet would be: `connect.py`.
    pub file: String,
    /// The command that runs that file, where there is one; a template.
    pub run: Option<String>,
    /// How values are quoted where the template does not say.
    pub style: Style,
    /// The formats it needs beside PEM, of a login with a certificate.
    #[serde(default)]
    pub formats: Vec<Format>,
    /// The versions it takes.
    pub versions: String,
    /// Its own documentation of TLS.
    pub doc: String,
    /// Whether the tests run it against real servers and impostors.
    pub tested: bool,
    /// The version with which the same was run once by hand, for a driver that the tests cannot have.
    #[serde(default)]
    pub by_hand: Option<String>,
    /// What to watch out for; sentences.
    #[serde(default)]
    pub traps: Vec<String>,
    /// What no value may hold: its syntax cannot say it.
    #[serde(default)]
    pub cannot_hold: Vec<String>,
    /// What it says when it refuses; each a list of texts of which one is in its message.
    #[serde(default)]
    pub says: Says,
    /// The snippet.
    pub template: String,
    /// Its settings by name, for programs that set it up; templates.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// The other files of a whole project, by path; templates.
    #[serde(default)]
    pub project: BTreeMap<String, String>,
}

/// The words of a driver that refuses a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Says {
    /// Its certificate is of another CA.
    pub other_ca: Vec<String>,
    /// Its certificate does not carry the dialled name.
    pub wrong_name: Vec<String>,
    /// It speaks no TLS.
    pub no_tls: Vec<String>,
}

macro_rules! descriptions {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../assets/clients/", $name, ".toml"))),)*]
    };
}

/// Every description, in the order people are shown them.
const DESCRIPTIONS: &[(&str, &str)] = &descriptions! {
    "psql" "uri" "conninfo" "env" "service" "pg_dump"
    "psycopg" "asyncpg" "sqlalchemy" "django"
    "node-pg" "postgres-js" "prisma" "drizzle" "knex"
    "jdbc" "hikari" "spring" "r2dbc"
    "pgx" "lib-pq" "gorm"
    "tokio-postgres" "sqlx"
    "npgsql"
    "ruby-pg" "rails"
    "php-pdo" "laravel"
    "ecto"
    "pgbouncer" "pgadmin" "dbeaver" "datagrip" "grafana"
    "subscription" "postgres_fdw"
};

/// Every client, in the order people are shown them.
#[must_use]
pub fn all() -> &'static [Client] {
    static ALL: OnceLock<Vec<Client>> = OnceLock::new();
    // A test reads every description: none can be malformed in a released program.
    ALL.get_or_init(|| {
        DESCRIPTIONS
            .iter()
            .filter_map(|(_, text)| toml::from_str(text).ok())
            .collect()
    })
}

/// The client of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Client> {
    all().iter().find(|client| client.name == name)
}

/// The names of what pgtls can write in a language, by what people call that: `python`, `Node`, `c#`.
#[must_use]
pub fn of_language(called: &str) -> Vec<&'static str> {
    let plain = |text: &str| -> String {
        let letters = text
            .chars()
            .filter(|letter| letter.is_alphanumeric() || *letter == '#');
        letters.flat_map(char::to_lowercase).collect()
    };
    let called = plain(called);
    let language = match called.as_str() {
        "py" | "python3" => "python",
        "node" | "js" | "javascript" | "ts" | "typescript" => "nodejs",
        "kotlin" | "scala" | "jvm" => "java",
        "golang" => "go",
        "c#" | "f#" | "csharp" | "dotnet" => "net",
        other => other,
    };
    let names = all().iter().filter_map(|client| {
        let (of, _) = client.title.split_once(": ")?;
        (plain(of) == language).then_some(client.name.as_str())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_language_has_several() {
        assert_eq!(
            of_language("Python"),
            ["psycopg", "asyncpg", "sqlalchemy", "django"]
        );
        assert_eq!(of_language("c#"), ["npgsql"]);
        assert_eq!(of_language("node"), of_language("Node.js"));
        assert!(of_language("golang").contains(&"pgx"));
        for nothing in ["", "cobol", "psql", ":"] {
            assert!(of_language(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn every_description_is_read_and_whole() {
        for (name, text) in DESCRIPTIONS {
            let client: Client = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(client.name, *name);
            assert!(client.doc.starts_with("https://"), "{name}: {}", client.doc);
            assert!(
                client.traps.iter().all(|trap| trap.ends_with('.')),
                "{name}: traps are sentences"
            );
            assert!(
                !client.template.is_empty() && !client.versions.is_empty(),
                "{name}"
            );
            assert!(
                client.template.ends_with('\n') && !client.template.starts_with('\n'),
                "{name}"
            );
        }
        assert_eq!(all().len(), DESCRIPTIONS.len());
    }

    #[test]
    fn every_file_is_in_the_list() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/clients");
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(
                find(name).is_some(),
                "{name} is not in the list of src/clients/client.rs"
            );
        }
    }
}
