//! One setup and everything that takes its server's place: another CA, another name, no TLS at all.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::driver::Driver;
use crate::support::{
    Account, Builder, Ca, Job, Leaf, Outcome, Postgres, Project, TestServer, psql_as, scratch,
};

/// A password with all that a password file escapes, and what languages quote.
pub const PASSWORD: &str = "a:b\\c 'd' \"e\" $f";

/// A setup that snippets are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Password over TLS; role and database with characters that every language quotes otherwise.
    OneWay,
    /// Certificates on both sides.
    Mtls,
    /// Clients dial an IP address.
    Address,
}

/// What one client did on a stage.
#[derive(Debug, Default)]
pub struct Measured {
    /// What should have been otherwise.
    pub failures: Vec<String>,
}

/// How a run must end.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Connects,
    /// The driver says one of these.
    Refuses(&'a [String]),
}

type Runs<'a> = Vec<(&'a str, Box<dyn Fn() -> Job + Send>)>;

impl Stage {
    pub const ALL: [Self; 3] = [Self::OneWay, Self::Mtls, Self::Address];

    const fn mode(self) -> &'static str {
        match self {
            Self::OneWay | Self::Address => "one-way",
            Self::Mtls => "mtls",
        }
    }

    const fn host(self) -> &'static str {
        match self {
            Self::OneWay | Self::Mtls => "localhost",
            Self::Address => "127.0.0.1",
        }
    }

    /// Role and database.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::OneWay => ("o'brien \"x\" \\ é", "my #{app}/%41 $HOME?"),
            Self::Mtls | Self::Address => ("app", "app"),
        }
    }

    /// Runs every snippet against the server and all that may stand in its place.
    pub fn play<'a>(
        self,
        postgres: &Postgres,
        drivers: &BTreeMap<&'a str, Driver>,
    ) -> BTreeMap<&'a str, Measured> {
        // The server's account: postgres_fdw and its like read the files as the server.
        let account = Account::server();
        let project = Project::named(&account, "it's \"a\" \\ d\u{e9}p\u{f4}t $HOME #{1} %41");
        let (role, database) = self.names();
        let mut up = project.up(self.mode(), postgres).args([
            "--host",
            self.host(),
            "--user",
            role,
            "--database",
            database,
        ]);
        if self.mode() == "one-way" {
            up = up.arg("--password-file").arg(password_file(&account));
        }
        up.run().expect_status(0);
        let far = Publisher::prepare(&project, database, role);
        project.pgtls(&["up", "--yes"]).run().expect_status(0);
        // The server that is itself a client, of foreign tables.
        let near = TestServer::builder(postgres).start();
        let runs: Runs<'a> = drivers
            .iter()
            .map(|(name, driver)| (*name, prepare(&project, name, driver, &near, &far)))
            .collect();
        let mut rows: BTreeMap<&str, Measured> =
            drivers.keys().map(|name| (*name, Measured::default())).collect();
        check(&mut rows, &runs, &account, "the server", |_| Wanted::Connects);
        if self == Self::OneWay {
            Self::passwords_of_the_environment(&mut rows, &runs, &project);
        }
        project.pgtls(&["down", "--yes"]).run().expect_status(0);

        let says = |name: &str| &pgtls::clients::find(name).unwrap().says;
        let own = Ca::existing(&project.dir.join("ca/root.crt"), &project.dir.join("ca/ca.key"));
        let wrong_names: &[&str] = match self {
            // A driver that takes an IP address for localhost would be content with this one.
            Self::Address => &["localhost"],
            Self::OneWay | Self::Mtls => &["db.example.test"],
        };
        if self != Self::Address {
            let foreign = Ca::new("another ca").server(&["localhost", "127.0.0.1", "::1"]);
            let server = self.impostor(postgres, project.port, Some(&foreign), &account);
            check(&mut rows, &runs, &account, "another CA", |name| {
                Wanted::Refuses(&says(name).other_ca)
            });
            drop(server);
            let server = self.impostor(postgres, project.port, None, &account);
            check(&mut rows, &runs, &account, "no TLS", |name| {
                Wanted::Refuses(&says(name).no_tls)
            });
            drop(server);
        }
        let server = self.impostor(postgres, project.port, Some(&own.server(wrong_names)), &account);
        check(&mut rows, &runs, &account, "another name", |name| {
            Wanted::Refuses(&says(name).wrong_name)
        });
        drop(server);
        rows
    }

    /// `PGPASSWORD` comes before the password file: with a wrong one in it nobody logs in, with the right one
    /// everybody, also where there is no password file.
    fn passwords_of_the_environment<'a>(
        rows: &mut BTreeMap<&'a str, Measured>,
        runs: &Runs<'a>,
        project: &Project,
    ) {
        let passfile = project.kit().join("passfile");
        let away = passfile.with_extension("away");
        for (password, is_right) in [("wrong", false), (PASSWORD, true)] {
            if is_right {
                fs::rename(&passfile, &away).unwrap();
            }
            for (name, run) in runs {
                // Servers and poolers log in on their own, without our environment.
                if ["pgbouncer", "postgres_fdw", "subscription"].contains(name) {
                    continue;
                }
                let outcome = run().env("PGPASSWORD", password).account(&project.account).run();
                let told = format!("{}{}", outcome.stdout, outcome.stderr);
                if outcome.ok != is_right || !(is_right || told.contains("password authentication failed")) {
                    let failure = format!("with PGPASSWORD={password}, status {:?}:\n{told}", outcome.status);
                    rows.get_mut(name).unwrap().failures.push(failure);
                }
            }
        }
        fs::rename(&away, &passfile).unwrap();
    }

    /// A server that lets everybody in, with the role and the database that the snippets name.
    fn impostor(self, postgres: &Postgres, port: u16, leaf: Option<&Leaf>, account: &Account) -> TestServer {
        let (role, database) = self.names();
        let server: Builder = TestServer::builder(postgres)
            .port(port)
            .hba("host all all all trust")
            .sql(&format!("create role {} login", identifier(role)))
            .sql(&format!("create database {}", identifier(database)));
        let server = match leaf {
            Some(leaf) => server.tls(leaf).start(),
            None => server.start(),
        };
        // The control: without verification it is entered.
        let sslmode = if leaf.is_some() { "require" } else { "disable" };
        let conninfo = format!(
            "host={} port={port} user={} dbname={} sslmode={sslmode}",
            self.host(),
            value(role),
            value(database)
        );
        psql_as(account, &conninfo, "select 1")
            .expect_ok("an impostor that lets nobody in proves nothing: psql");
        server
    }
}

/// The server as a publisher: its superuser has a row published, for the kit's subscription.
pub struct Publisher {
    /// The superuser's way in, to the database.
    pub socket: String,
}

impl Publisher {
    /// Leaves the server stopped: `wal_level` counts from its next start.
    fn prepare(project: &Project, database: &str, role: &str) -> Self {
        // The path of a socket is at most 107 bytes long: where the project's is longer, the server has it elsewhere, as the
        // fifth line of its file says.
        let short = scratch("s").join("s");
        let data = project.dir.join(".pgtls/data");
        let running = fs::read_to_string(data.join("postmaster.pid")).unwrap();
        std::os::unix::fs::symlink(data.join(running.lines().nth(4).unwrap()), &short).unwrap();
        let kit = fs::read_dir(project.dir.join("clients"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let publication = kit.file_name().into_string().unwrap();
        let socket = format!(
            "host={} port={} user=postgres dbname={}",
            short.display(),
            project.port,
            value(database)
        );
        for statement in [
            "alter system set wal_level = logical".to_owned(),
            format!("alter role {} replication", identifier(role)),
            "create table proof (arrived boolean)".to_owned(),
            "insert into proof values (true)".to_owned(),
            format!("grant select on proof to {}", identifier(role)),
            format!("create publication {} for table proof", identifier(&publication)),
        ] {
            psql_as(&project.account, &socket, &statement).expect_ok(&statement);
        }
        project.pgtls(&["down", "--yes"]).run().expect_status(0);
        Self { socket }
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value of a connection string.
fn value(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The role's password, in a file.
fn password_file(account: &Account) -> PathBuf {
    let path = scratch("password").join("password");
    fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    account.own(&path);
    path
}

/// Writes the snippet as `pgtls connect` prints it to the file that it names.
fn prepare(
    project: &Project,
    name: &str,
    driver: &Driver,
    near: &TestServer,
    far: &Publisher,
) -> Box<dyn Fn() -> Job + Send> {
    let printed = project.pgtls(&["connect", name]).run().expect_status(0).stdout;
    let told: Value = project
        .pgtls(&["connect", name, "--json"])
        .run()
        .expect_status(0)
        .json();
    assert_eq!(told["snippet"].as_str().unwrap(), printed, "{name}");
    driver.prepare(
        &scratch("snippet"),
        told["file"].as_str().unwrap(),
        &printed,
        near,
        far,
    )
}

fn check<'a, 'w>(
    rows: &mut BTreeMap<&'a str, Measured>,
    runs: &Runs<'a>,
    account: &Account,
    against: &str,
    wanted: impl Fn(&str) -> Wanted<'w>,
) {
    for (name, run) in runs {
        let outcome = run().account(account).run();
        if let Err(why) = judge(&outcome, wanted(name)) {
            let failure = format!("against {against} {why}:\n{}\n{}", outcome.stdout, outcome.stderr);
            rows.get_mut(name).unwrap().failures.push(failure);
        }
    }
}

fn judge(outcome: &Outcome, wanted: Wanted) -> Result<(), String> {
    let printed = outcome
        .stdout
        .lines()
        .any(|line| matches!(line, "t" | "true" | "True" | "1"));
    match wanted {
        Wanted::Connects if outcome.ok && printed => Ok(()),
        Wanted::Connects if outcome.ok => {
            Err("it connects and does not print the column ssl, true".to_owned())
        }
        Wanted::Connects => Err(format!("it fails with status {:?}", outcome.status)),
        Wanted::Refuses(_) if outcome.ok || printed => Err("it CONNECTS".to_owned()),
        Wanted::Refuses(words) => {
            let told = format!("{}{}", outcome.stdout, outcome.stderr);
            let fits = words.iter().any(|word| told.contains(word));
            fits.then_some(()).ok_or_else(|| {
                format!(
                    "it fails (status {:?}) without saying one of {words:?}",
                    outcome.status
                )
            })
        }
    }
}
