//! One question to `resolve` and to libpq: the same string, variables and files.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use pgtls::conninfo::{Conninfo, Endpoint, Environment, Host, Keyword, Resolved, resolve};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::witness::Witness;

/// A string, variables, and files below the home directory; `~` stands for that directory.
pub struct Case<'a> {
    pub text: &'a str,
    pub variables: &'a [(&'a str, &'a str)],
    pub files: &'a [(&'a str, u32, &'a str)],
}

impl Case<'_> {
    /// Lays the files out in a fresh home and lets both resolve; a description of the difference, if any.
    pub fn difference(&self, witness: &mut Witness) -> Option<String> {
        let home = tempfile::tempdir().unwrap();
        let at_home = |text: &str| text.replace('~', home.path().to_str().unwrap());
        for (name, mode, content) in self.files {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let mut variables: BTreeMap<String, String> = self
            .variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), at_home(value)))
            .collect();
        let env = environment(home.path(), &variables);
        variables.insert("HOME".to_owned(), at_home("~"));
        let text = at_home(self.text);

        let theirs = witness.ask(&json!({ "connect": text, "env": variables }));
        let ours = Conninfo::parse(&text).and_then(|conninfo| resolve(conninfo, &env));
        let why = match (&ours, theirs.get("ok")) {
            (Ok(ours), Some(options)) => unlike(ours, options, &theirs),
            (Err(_), None) => None,
            // A port that is no number ends libpq's attempt when its turn comes; it ends our list of servers.
            (Ok(ours), None) if is_end(ours.hosts.last(), &theirs) => None,
            (Ok(_), None) => Some("libpq refuses, we do not".to_owned()),
            (Err(error), Some(_)) => Some(format!("libpq accepts, we say: {error}")),
        };
        why.map(|why| {
            format!(
                "{text:?} with {variables:?} and {:?}\n  {why}\n  theirs {theirs}",
                self.files
            )
        })
    }
}

fn environment(home: &Path, variables: &BTreeMap<String, String>) -> Environment {
    Environment {
        variables: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        home: Some(home.to_owned()),
        sysconfdir: None,
        // What the witness's libpq was built with.
        socket_dir: PathBuf::from("/var/run/postgresql"),
        ..Environment::current()
    }
}

fn is_end(last: Option<&Host>, theirs: &Value) -> bool {
    let said = theirs["error"]
        .as_str()
        .unwrap_or_default()
        .lines()
        .last()
        .unwrap_or_default();
    last.is_some_and(|host| host.fault.is_some()) && said.starts_with("invalid integer value")
}

/// Whether somebody is there: a server of this machine's own, on the default port.
fn answers(host: &Host) -> bool {
    match host.endpoint() {
        Endpoint::Socket(path) => UnixStream::connect(path).is_ok(),
        Endpoint::Name(name) => TcpStream::connect((name, host.port)).is_ok(),
        Endpoint::Address(address) => TcpStream::connect((address.ip, host.port)).is_ok(),
    }
}

/// The first thing that is not the same. libpq reports the server it tried last: the first that answers, else the last.
fn unlike(ours: &Resolved, options: &Value, theirs: &Value) -> Option<String> {
    let reached = ours
        .hosts
        .iter()
        .find(|host| host.fault.is_none() && answers(host));
    let last = reached.or(ours.hosts.last()).unwrap();
    let password = ours
        .password_for(last)
        .map_or("", |password| password.expose_secret());
    let port = last.port.to_string();
    let setting =
        |keyword: Keyword, word: &'static str| (keyword.name(), word, options[keyword.name()].clone());
    let mut pairs = vec![
        ("PQuser", ours.user.as_str(), theirs["user"].clone()),
        ("PQdb", &ours.dbname, theirs["dbname"].clone()),
        ("PQpass", password, theirs["password"].clone()),
        setting(Keyword::Sslmode, ours.sslmode.word()),
        setting(Keyword::Sslnegotiation, ours.sslnegotiation.word()),
        setting(Keyword::Sslcertmode, ours.sslcertmode.word()),
        setting(Keyword::ChannelBinding, ours.channel_binding.word()),
        setting(Keyword::TargetSessionAttrs, ours.target_session_attrs.word()),
        setting(Keyword::LoadBalanceHosts, ours.load_balance_hosts.word()),
    ];
    if last.fault.is_none() {
        let their_port: i32 = theirs["port"]
            .as_str()
            .unwrap_or_default()
            .trim()
            .parse()
            .unwrap_or_default();
        pairs.push(("PQhost", last.label(), theirs["host"].clone()));
        pairs.push(("PQport", &port, json!(their_port.to_string())));
    }
    for keyword in Keyword::ALL {
        // What somebody said, libpq must have too; it adds its own defaults to the rest. An empty name of a user
        // or password file it replaces.
        if let Some(ours) = ours.setting(*keyword).filter(|value| !value.is_empty()) {
            pairs.push((keyword.name(), ours, options[keyword.name()].clone()));
        }
    }
    pairs
        .into_iter()
        .find(|(_, ours, theirs)| json!(ours) != *theirs)
        .map(|(what, ours, theirs)| format!("{what}: ours {ours:?}, theirs {theirs}"))
}

/// Asks about every case and reports all differences together.
pub fn compare<'a>(cases: impl IntoIterator<Item = Case<'a>>) {
    let Some(mut witness) = Witness::start() else {
        return;
    };
    let differences: Vec<String> = cases
        .into_iter()
        .filter_map(|case| case.difference(&mut witness))
        .collect();
    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// Somewhere that answers at once, with a refusal.
pub const NOWHERE: &str = "host=127.0.0.1 port=1 ";
