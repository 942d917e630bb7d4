//! Planned files before a real server: it starts with every one of them, reads from them what was meant and nothing
//! else, and lets psql in by the planned client kits, and only so.

#![allow(
    clippy::unwrap_used,
    reason = "a failure here is a failed test, at the line that failed"
)]

mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgtls::pki::{Algorithm, Authority};
use pgtls::plan::{Credentials, Found, Kit, KitCredentials, Plan};
use pgtls::setup::{Answers, Auth, Mode, Run, Setup};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use support::{
    Account, Job, MARK, Postgres, free_port, mark, psql_as, scratch, spawn_tied, template, wait_for,
};
use time::OffsetDateTime;

/// Setups that between them use every kind of line the plan can write.
const SETUPS: [(&str, &str); 17] = [
    ("one-way", "mode = 'one-way'"),
    ("mtls", "mode = 'mtls'"),
    ("both factors", "mode = 'mtls'\nauth = 'scram+cert'"),
    (
        "a certificate of another name",
        "mode = 'mtls'\n[[access]]\nrole = 'app'\n[[client]]\ncn = 'laptop 7'\nrole = 'app'",
    ),
    (
        "own and other names",
        "mode = 'mtls'\n[[access]]\nrole = 'app'\n[[access]]\nrole = 'ops'\ndatabases = ['app', 'shop']\n\
         [[client]]\ncn = 'app'\n[[client]]\ncn = '''Zoë \"Z\" O'Neil, #1'''\nrole = 'app'\n[[client]]\ncn = 'ops'",
    ),
    (
        "methods side by side",
        "mode = 'mtls'\n[[access]]\nrole = 'a'\n[[access]]\nrole = 'b'\nmethod = 'scram+cert'",
    ),
    ("RSA", "mode = 'mtls'\nalgorithm = 'rsa2048'"),
    ("P-384", "mode = 'one-way'\nalgorithm = 'p384'"),
    ("Ed25519 leaves", "mode = 'mtls'\nalgorithm = 'ed25519'"),
    (
        "beyond loopback",
        "mode = 'one-way'\n[[access]]\nrole = 'app'\naddresses = ['127.0.0.0/8', '::/0', '10.1.0.0/16']",
    ),
    (
        "many databases",
        "mode = 'one-way'\n[[access]]\nrole = 'app'\ndatabases = ['a', 'b c', 'd,e', 'All', 'replication2', 'ä']",
    ),
    (
        "blanks and quotes",
        "mode = 'one-way'\nuser = '''o'brien \"the\" 1st'''\ndatabase = ' a  b '",
    ),
    (
        "marks of the grammar",
        "mode = 'one-way'\nuser = '+staff'\ndatabase = '@list'",
    ),
    (
        "comments and lists",
        "mode = 'one-way'\nuser = '#1,#2'\ndatabase = '# no'",
    ),
    (
        "backslashes",
        "mode = 'one-way'\nuser = 'a\\'\ndatabase = 'b\\\\1'",
    ),
    (
        "letters of the world",
        "mode = 'mtls'\nuser = 'Größe名'\ndatabase = 'базаданных'",
    ),
    (
        "leading slashes",
        "mode = 'mtls'\n[[access]]\nrole = '/a.b*'\ndatabases = ['/srv/x (1)']\n[[access]]\nrole = 'app'\n\
         [[client]]\ncn = '/a.b*'\n[[client]]\ncn = '/dev.null'\nrole = 'app'",
    ),
];

/// With what a password file has to escape.
const PASSWORD: &str = r"pass:word\ 1";

fn setup(text: &str) -> Setup {
    let answers = Answers::from_toml(text, Path::new("answers.toml")).unwrap();
    Setup::from_answers(&answers).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"))
}

fn credentials(setup: &Setup) -> Credentials {
    let now = OffsetDateTime::now_utc();
    let authority = Authority::create("test CA", Algorithm::P256, setup.ca_days, now).unwrap();
    let clients = Kit::all(setup)
        .into_iter()
        .map(|kit| KitCredentials {
            identity: kit.cn.as_ref().map(|cn| {
                authority
                    .issue_client(cn, setup.algorithm, setup.days, now)
                    .unwrap()
            }),
            password: kit.wants_password.then(|| PASSWORD.to_owned().into()),
            stores: pgtls::plan::Stores::default(),
            kit,
        })
        .collect();
    Credentials {
        next: None,
        old: None,
        server: authority
            .issue_server(&setup.hosts, setup.algorithm, setup.days, now)
            .unwrap(),
        server_roots: vec![authority.root().clone()],
        client_roots: vec![authority.root().clone()],
        authority: Some(authority),
        clients,
    }
}

/// A server that runs on a plan's files, laid out as pgtls lays them out.
struct Planned {
    setup: Setup,
    kits: Vec<Kit>,
    found: Found,
    /// The socket's directory under a name that libpq takes for one host: in its own, the comma would part two.
    socket: PathBuf,
    child: Child,
}

impl Planned {
    fn start(postgres: &Postgres, text: &str) -> Self {
        let account = Account::server();
        let setup = setup(text);
        // What a path may hold, where PostgreSQL's grammars have meanings for it.
        let project_dir = scratch("it's a, \"dir\" #");
        account.own(&project_dir);
        let found = Found {
            port: free_port(),
            server_version: Some(postgres.major),
            socket_dir: project_dir.join(if setup.mode == Mode::Mtls {
                ".pgtls/run"
            } else {
                "so,ck"
            }),
            project_dir,
            ..Found::default()
        };
        let data = found.data_dir();
        fs::create_dir_all(data.parent().unwrap()).unwrap();
        fs::create_dir(&found.socket_dir).unwrap();
        fs::set_permissions(&found.socket_dir, Permissions::from_mode(0o700)).unwrap();
        account.own(&found.socket_dir);
        Job::new("cp")
            .arg("-a")
            .arg(template(postgres))
            .arg(&data)
            .run()
            .expect_ok("cp");
        let credentials = credentials(&setup);
        write(&Plan::new(&setup, &credentials, &found), &found.project_dir);
        let child = launch(postgres, &found);
        let kits = credentials.clients.into_iter().map(|client| client.kit).collect();
        let socket = scratch("socket").join("s");
        std::os::unix::fs::symlink(&found.socket_dir, &socket).unwrap();
        let mut planned = Self {
            setup,
            kits,
            found,
            socket,
            child,
        };
        planned.wait(text);
        planned.make_roles();
        planned
    }

    fn wait(&mut self, what: &str) {
        let pidfile = self.found.data_dir().join("postmaster.pid");
        wait_for("PostgreSQL is ready", Duration::from_secs(60), || {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "{what}\ndid not start:\n{}",
                self.log()
            );
            let state = fs::read_to_string(&pidfile).ok()?;
            state.lines().nth(7)?.starts_with("ready").then_some(())
        });
    }

    fn make_roles(&self) {
        let mut made: Vec<String> = Vec::new();
        for access in &self.setup.access {
            let role = identifier(&access.role);
            made.push(format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
            made.extend(
                access
                    .databases
                    .iter()
                    .map(|database| format!("CREATE DATABASE {}", identifier(database))),
            );
        }
        made.sort();
        made.dedup();
        for statement in made
            .iter()
            .filter(|statement| statement.starts_with("CREATE ROLE"))
            .chain(
                made.iter()
                    .filter(|statement| statement.starts_with("CREATE DATABASE")),
            )
        {
            self.sql(statement);
        }
    }

    fn sql(&self, statement: &str) -> String {
        let conninfo = format!(
            "host={} port={} user=postgres dbname=postgres",
            self.socket.display(),
            self.found.port
        );
        psql_as(&Account::server(), &conninfo, statement)
            .expect_ok(statement)
            .stdout
    }

    fn json(&self, query: &str) -> Value {
        serde_json::from_str(&self.sql(&format!("SELECT coalesce(json_agg(q), '[]') FROM ({query}) q")))
            .unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.found.project_dir.join("log")).unwrap()
    }

    fn conninfo(&self, kit: &Kit) -> String {
        let path = self
            .found
            .project_dir
            .join("clients")
            .join(&kit.name)
            .join("conninfo");
        fs::read_to_string(path).unwrap().trim_end().to_owned()
    }
}

impl Drop for Planned {
    fn drop(&mut self) {
        Job::new("kill")
            .args(["-QUIT", &self.child.id().to_string()])
            .run();
        let bound = std::time::Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < bound {
            std::thread::sleep(Duration::from_millis(4));
        }
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.found.project_dir));
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes a plan as the server's account.
fn write(plan: &Plan, dir: &Path) {
    let account = Account::server();
    for artifact in &plan.artifacts {
        let path = dir.join(&artifact.path);
        let mut parents: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
        parents.retain(|parent| parent.starts_with(dir) && parent != dir);
        for parent in parents.iter().rev().filter(|parent| !parent.exists()) {
            fs::create_dir(parent).unwrap();
            account.own(parent);
        }
        fs::write(&path, artifact.content.bytes()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(artifact.mode)).unwrap();
        account.own(&path);
    }
}

fn launch(postgres: &Postgres, found: &Found) -> Child {
    let account = Account::server();
    let log = File::create(found.project_dir.join("log")).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if Account::is_root() {
        command
            .arg(format!("--reuid={}", account.uid))
            .arg(format!("--regid={}", account.gid))
            .arg("--clear-groups");
    }
    let mut config = std::ffi::OsString::from("config_file=");
    config.push(found.server_dir().join("postgresql.conf"));
    command
        .arg(postgres.bin.join("postgres"))
        .arg("-D")
        .arg(found.data_dir())
        .args(["-c", "fsync=off", "-c"])
        .arg(config)
        .env_clear()
        .env("LC_ALL", "C")
        .env(MARK, mark())
        // Not the data directory: the files must not depend on where the server was started.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    spawn_tied(command)
}

/// What the server must have read from `pg_hba.conf`, told from the setup alone.
fn expected_rules(setup: &Setup) -> Value {
    let mut rules = vec![match setup.run {
        Run::Sandbox | Run::Compose => {
            json!({"type": "local", "database": ["all"], "user_name": ["postgres"], "address": null,
                               "netmask": null, "auth_method": "trust", "options": null})
        }
        Run::None => json!({"type": "local", "database": ["all"], "user_name": ["all"], "address": null,
                            "netmask": null, "auth_method": "peer", "options": null}),
    }];
    for access in &setup.access {
        let is_mapped = setup
            .clients
            .iter()
            .any(|client| client.role == access.role && client.cn != client.role);
        let (method, options) = match access.method {
            Auth::Scram => ("scram-sha-256", Value::Null),
            // The server adds the first option itself: it is what the method means.
            Auth::Cert if is_mapped => ("cert", json!(["clientcert=verify-full", "map=pgtls"])),
            Auth::Cert => ("cert", json!(["clientcert=verify-full"])),
            Auth::ScramCert => ("scram-sha-256", json!(["clientcert=verify-full"])),
        };
        for net in &access.addresses {
            rules.push(
                json!({"type": "hostssl", "database": access.databases, "user_name": [access.role],
                              "address": net.addr().to_string(), "netmask": net.netmask().to_string(),
                              "auth_method": method, "options": options}),
            );
        }
    }
    for database in ["all", "replication"] {
        rules.push(
            json!({"type": "host", "database": [database], "user_name": ["all"], "address": "all",
                          "netmask": null, "auth_method": "reject", "options": null}),
        );
    }
    Value::Array(rules)
}

const RULES: &str = "SELECT type, database, user_name, address, netmask, auth_method, \
                     (SELECT array_agg(o ORDER BY o) FROM unnest(options) o) AS options \
                     FROM pg_hba_file_rules ORDER BY line_number";

fn assert_in_force(planned: &Planned, what: &str) {
    let in_files = planned.json("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL");
    assert_eq!(in_files, json!([]), "{what}");
    let broken = planned.json("SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL OR type IS NULL");
    assert_eq!(broken, json!([]), "{what}");
    planned.sql("SELECT pg_reload_conf()");
    wait_for("the reload", Duration::from_secs(20), || {
        planned.log().contains("SIGHUP").then_some(())
    });
    assert_eq!(planned.sql("SELECT 1").trim(), "1", "{what}");
    let log = planned.log();
    for complaint in [
        "cannot be changed",
        "not reloaded",
        "contains errors",
        "could not",
    ] {
        assert!(!log.contains(complaint), "{what}: {complaint}\n{log}");
    }
}

fn assert_lets_in(planned: &Planned, what: &str) {
    const HOW: &str =
        "SELECT ssl, version >= 'TLSv1.2', current_user FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let account = Account::server();
    for kit in &planned.kits {
        let conninfo = planned.conninfo(kit);
        // Every host into the first database, and every database by the first host.
        let first = planned.setup.hosts[0].to_string();
        let by_host = planned
            .setup
            .hosts
            .iter()
            .map(|host| (host.to_string(), &kit.databases[0]));
        let by_database = kit.databases[1..]
            .iter()
            .map(|database| (first.clone(), database));
        for (host, database) in by_host.chain(by_database) {
            let database = database.replace('\\', "\\\\").replace('\'', "\\'");
            let dialled = format!("{conninfo} host={host} dbname='{database}'");
            let outcome = psql_as(&account, &dialled, HOW);
            assert!(
                outcome.ok,
                "{what}: {dialled}\n{}\n{}",
                outcome.stderr,
                planned.log()
            );
            assert_eq!(
                outcome.stdout.trim(),
                format!("t|t|{}", kit.role),
                "{what}: {dialled}"
            );
        }
        let refusals = [
            (
                format!("{conninfo} sslmode=disable"),
                "pg_hba.conf rejects connection",
            ),
            (
                format!("{conninfo} dbname=postgres"),
                "pg_hba.conf rejects connection",
            ),
            (
                format!("{conninfo} user=postgres"),
                "pg_hba.conf rejects connection",
            ),
            (format!("{conninfo} host=127.0.0.2"), "does not match host name"),
        ];
        for (dialled, expected) in refusals {
            // 127.0.0.2 is not listened on but where the setup opens every address.
            if dialled.ends_with("127.0.0.2") && !planned.setup.is_open_beyond_loopback() {
                continue;
            }
            let outcome = psql_as(&account, &dialled, "SELECT 1");
            assert!(
                !outcome.ok && outcome.stderr.contains(expected),
                "{what}: {dialled}\n{}",
                outcome.stderr
            );
        }
        if planned.setup.mode == Mode::Mtls {
            let without = format!("{conninfo} sslcert=/nonexistent sslkey=/nonexistent");
            let outcome = psql_as(&account, &without, "SELECT 1");
            assert!(
                !outcome.ok && outcome.stderr.contains("valid client certificate"),
                "{what}: {}",
                outcome.stderr
            );
        }
    }
    // Every certificate opens its own role only.
    for (kit, other) in planned
        .kits
        .iter()
        .flat_map(|kit| planned.kits.iter().map(move |other| (kit, other)))
    {
        if kit.cn.is_some() && kit.role != other.role {
            let role = other.role.replace('\\', "\\\\").replace('\'', "\\'");
            let database = other.databases[0].replace('\\', "\\\\").replace('\'', "\\'");
            let dialled = format!(
                "{} user='{role}' dbname='{database}' password='{}'",
                planned.conninfo(kit),
                PASSWORD.replace('\\', "\\\\")
            );
            let outcome = psql_as(&account, &dialled, "SELECT 1");
            assert!(
                !outcome.ok && outcome.stderr.contains("authentication failed"),
                "{what}: {dialled}\n{}",
                outcome.stderr
            );
        }
    }
}

fn check(postgres: &Postgres, name: &str, text: &str) {
    let what = format!("PostgreSQL {}, {name}", postgres.major);
    let planned = Planned::start(postgres, text);
    assert_in_force(&planned, &what);
    // From 16 on a name with a leading slash is shown as the expression it is written as: the logins judge it.
    if !text.contains("'/") || postgres.major < 16 {
        assert_eq!(planned.json(RULES), expected_rules(&planned.setup), "{what}");
    }
    assert_lets_in(&planned, &what);
}

#[test]
fn a_server_starts_with_every_setup_and_lets_in_who_was_meant() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    for (name, text) in SETUPS {
        check(&postgres, name, text);
    }
}

#[test]
fn every_version_reads_the_same_lines_the_same_way() {
    for major in [13, 14, 16, 17, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        for (name, text) in SETUPS.iter().filter(|(name, _)| {
            ["methods side by side", "own and other names", "leading slashes"].contains(name)
        }) {
            check(&postgres, name, text);
        }
    }
}

#[test]
fn a_slash_is_no_expression_for_anything_but_itself() {
    for major in [15, 17] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let planned = Planned::start(&postgres, SETUPS[16].1);
        planned.sql("CREATE ROLE \"/aXb\" LOGIN");
        planned.sql("CREATE DATABASE \"/srv/x 1\"");
        let conninfo = planned.conninfo(&planned.kits[0]);
        for other in ["user=/aXb", "dbname='/srv/x 1'"] {
            let outcome = psql_as(&Account::server(), &format!("{conninfo} {other}"), "SELECT 1");
            assert!(
                outcome.stderr.contains("pg_hba.conf rejects"),
                "{other}: {}",
                outcome.stderr
            );
        }
    }
}

/// The files for a server of a person's own, installed as RUNBOOK.md says.
#[test]
fn the_files_for_ones_own_server_work_in_its_data_directory() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    for mode in ["one-way", "mtls"] {
        let setup = setup(&format!(
            "mode = '{mode}'\nrun = 'none'\n[[access]]\nrole = 'app'\n"
        ));
        let found = Found {
            project_dir: "/srv/demo".into(),
            port: 5432,
            server_version: Some(15),
            ..Found::default()
        };
        let plan = Plan::new(&setup, &credentials(&setup), &found);
        let text = |path: &str| String::from_utf8(plan.get(path).unwrap().content.bytes().to_vec()).unwrap();
        let server = support::TestServer::builder(&postgres).start();
        for name in ["server.crt", "server.key", "root.crt"] {
            if let Some(artifact) = plan.get(&format!("server/{name}")) {
                let path = server.data.join(name);
                fs::write(&path, artifact.content.bytes()).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
                Account::server().own(&path);
            }
        }
        let conf = server.data.join("pgtls.conf");
        fs::write(&conf, text("server/postgresql.conf")).unwrap();
        Account::server().own(&conf);
        let main = server.data.join("postgresql.conf");
        let old = fs::read_to_string(&main).unwrap();
        fs::write(&main, format!("{old}include 'pgtls.conf'\n")).unwrap();
        server.set_hba(&text("server/pg_hba.conf"));
        let setting = |name: &str| server.sql(&format!("SHOW {name}")).stdout.trim().to_owned();
        wait_for("ssl is on", Duration::from_secs(20), || {
            (setting("ssl") == "on").then_some(())
        });
        assert_eq!(
            setting("ssl_ca_file"),
            if mode == "mtls" { "root.crt" } else { "" }
        );
        let log = server.log();
        assert!(!log.contains("not reloaded") && !log.contains("errors"), "{log}");
    }
}

/// Names that a person may choose, the grammar's own marks first.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z@+/#,\"' \\\\=~$\\[\\](){}*.:;%!-]{1,20}",
        "\\PC{1,15}",
        "all|replication|samerole|reject|include"
    ]
}

/// `pg_hba.conf` and `pg_ident.conf` are read back by the server as they were meant, whatever the names.
#[test]
fn no_name_can_change_what_a_line_means() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let planned = Planned::start(&postgres, SETUPS[1].1);
    let names = || prop::collection::hash_set(names(), 1..4);
    let networks = prop::collection::btree_set(
        prop_oneof![
            (any::<u32>(), 0_u8..=32)
                .prop_map(|(ip, n)| ipnet::IpNet::new_assert(std::net::Ipv4Addr::from(ip).into(), n)),
            (any::<u128>(), 0_u8..=128)
                .prop_map(|(ip, n)| ipnet::IpNet::new_assert(std::net::Ipv6Addr::from(ip).into(), n)),
        ],
        1..4,
    );
    let mut runner = TestRunner::new(Config {
        cases: 96,
        failure_persistence: None,
        ..Config::default()
    });
    let compared = std::cell::Cell::new(0);
    let outcome = runner.run(&(names(), names(), names(), networks), |(roles, databases, cns, networks)| {
        let mut answers = Answers { mode: Some("mtls".into()), ..Answers::default() };
        for role in &roles {
            answers.access.push(pgtls::setup::AccessAnswer {
                role: Some(role.clone()),
                databases: databases.iter().cloned().collect(),
                addresses: networks.iter().map(|net| net.trunc().to_string()).collect(),
                method: None,
            });
            for cn in &cns {
                answers.clients.push(pgtls::setup::ClientAnswer { cn: Some(cn.clone()), role: Some(role.clone()) });
            }
        }
        // Names that are refused cannot do harm.
        let Ok(setup) = Setup::from_answers(&answers) else { return Ok(()) };
        let plan = Plan::new(&setup, &Credentials { clients: Vec::new(), ..credentials(&planned.setup) }, &planned.found);
        for file in ["server/pg_hba.conf", "server/pg_ident.conf"] {
            fs::write(planned.found.project_dir.join(file), plan.get(file).unwrap().content.bytes()).unwrap();
        }
        prop_assert_eq!(planned.json(RULES), expected_rules(&setup));
        let wanted: Vec<_> = setup
            .clients
            .iter()
            .filter(|client| setup.clients.iter().any(|other| other.role == client.role && other.cn != other.role))
            .map(|client| json!({"sys_name": client.cn, "pg_username": client.role}))
            .collect();
        let maps = planned.json("SELECT sys_name, pg_username FROM pg_ident_file_mappings WHERE error IS NULL ORDER BY line_number");
        let maps: Vec<_> = maps.as_array().unwrap().clone();
        prop_assert_eq!(maps.len(), wanted.len());
        for (map, wanted) in maps.iter().zip(&wanted) {
            if !wanted["sys_name"].as_str().unwrap().starts_with('/') {
                prop_assert_eq!(map, wanted);
            }
        }
        compared.set(compared.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        compared.get() >= 20,
        "only {} setups were comparable",
        compared.get()
    );
}
