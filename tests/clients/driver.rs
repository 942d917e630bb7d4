//! How each snippet is run: by the interpreter, compiler or program that it is for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::stage::Publisher;
use crate::support::{Job, TestServer, cache, open_to_all};

/// A driver that is on this machine.
pub struct Driver {
    kind: Kind,
    /// Its version, as the page says it.
    pub version: String,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A shell script.
    Shell,
    /// An argument of `psql -d`.
    Psql,
    /// Variables, sourced before psql.
    Env,
    /// A service file.
    Service,
    Python,
    /// With the packages of that directory of the cache.
    Node(&'static str),
    /// With that pgjdbc.
    Java(Pgjdbc),
    Rust,
    /// `go build` with Debian's packages.
    Go,
    Ruby,
    Php,
    /// A script of `psql` for a server that is the client.
    Sql,
    Pgbouncer,
    /// A script for a subscriber.
    Subscription,
}

#[derive(Clone, Copy)]
enum Pgjdbc {
    /// Debian's, as old as the distribution.
    Debian,
    /// One of another year, from `tests/support/drivers.sh`; Debian's where that could not be had.
    Newer,
}

impl Pgjdbc {
    fn jar(self) -> PathBuf {
        let newer = cache().join("drivers/pgjdbc/postgresql.jar");
        match self {
            Self::Newer if newer.exists() => newer,
            _ => PathBuf::from("/usr/share/java/postgresql.jar"),
        }
    }

    /// As it says itself.
    fn version(self) -> Option<String> {
        // It says so when it is started as a program, which it is not: the status is no success.
        ask(Job::new("java").args(["-XX:TieredStopAtLevel=1", "--version"]))?;
        let said = Job::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-jar"])
            .arg(self.jar())
            .run();
        let version = said
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("PostgreSQL JDBC Driver "))?;
        Some(version.trim().to_owned())
    }
}

/// What the snippets for Java import beside pgjdbc.
const JARS: [&str; 3] = ["HikariCP", "slf4j-api", "slf4j-nop"];

const QUERY: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

impl Driver {
    /// The driver of that client, or why it cannot be run here.
    pub fn find(name: &str) -> Result<Self, String> {
        let (kind, version) = match name {
            "psql" => (Kind::Shell, ask(Job::new("psql").arg("--version"))),
            "pg_dump" => (Kind::Shell, ask(Job::new("pg_dump").arg("--version"))),
            "uri" | "conninfo" => (Kind::Psql, ask(Job::new("psql").arg("--version"))),
            "env" => (Kind::Env, ask(Job::new("psql").arg("--version"))),
            "service" => (Kind::Service, ask(Job::new("psql").arg("--version"))),
            "psycopg" | "asyncpg" | "sqlalchemy" | "django" => (Kind::Python, python_version(name)),
            "node-pg" => (Kind::Node("node"), node_version("node", "pg")),
            "postgres-js" => (Kind::Node("node"), node_version("node", "postgres")),
            "drizzle" => (Kind::Node("node"), node_version("node", "drizzle-orm")),
            "knex" => (Kind::Node("node"), node_version("node", "knex")),
            "prisma" => (Kind::Node("prisma"), node_version("prisma", "@prisma/client")),
            "jdbc" => (Kind::Java(Pgjdbc::Newer), Pgjdbc::Newer.version()),
            "hikari" => (
                Kind::Java(Pgjdbc::Debian),
                jar_version("HikariCP")
                    .zip(Pgjdbc::Debian.version())
                    .map(|(pool, driver)| format!("{pool} on pgjdbc {driver}")),
            ),
            "tokio-postgres" => (Kind::Rust, crate_version("tokio-postgres-rustls")),
            "sqlx" => (Kind::Rust, crate_version("sqlx")),
            "lib-pq" => (Kind::Go, debian_version("golang-github-lib-pq-dev")),
            "rails" => (
                Kind::Ruby,
                ask(Job::new("ruby").args(["-e", "require 'active_record'; puts ActiveRecord.version"])),
            ),
            "laravel" => (Kind::Php, debian_version("php-illuminate-database")),
            "pgbouncer" => (Kind::Pgbouncer, ask(Job::new("pgbouncer").arg("--version"))),
            "subscription" => (Kind::Subscription, ask(Job::new("psql").arg("--version"))),
            "postgres_fdw" => (Kind::Sql, ask(Job::new("psql").arg("--version"))),
            "ruby-pg" => (
                Kind::Ruby,
                ask(Job::new("ruby").args(["-e", "require 'pg'; puts PG::VERSION"])),
            ),
            "php-pdo" => (
                Kind::Php,
                ask(Job::new("php").args(["-r", "echo phpversion('pdo_pgsql');"])),
            ),
            _ => return Err("the tests do not know how to run it".to_owned()),
        };
        let version = version.ok_or("it is not installed here: tests/run installs it")?;
        Ok(Self { kind, version })
    }

    /// Gets a snippet ready in a directory of its own; what comes back makes a run of it, from another directory.
    pub fn prepare(
        &self,
        dir: &Path,
        file: &str,
        snippet: &str,
        near: &TestServer,
        far: &Publisher,
    ) -> Box<dyn Fn() -> Job + Send> {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, snippet).unwrap();
        let program = |name: &'static str, arguments: Vec<PathBuf>| -> Box<dyn Fn() -> Job + Send> {
            Box::new(move || Job::new(name).args(&arguments))
        };
        match self.kind {
            Kind::Shell => program("sh", vec![path]),
            Kind::Psql => {
                let conninfo = snippet.trim_end().to_owned();
                Box::new(move || Job::new("psql").args(["-X", "-At", "-c", QUERY, "-d", &conninfo]))
            }
            Kind::Env => Box::new(move || {
                Job::new("sh")
                    .args(["-c", &format!(". \"$1\"; exec psql -X -At -c '{QUERY}'"), "sh"])
                    .arg(&path)
            }),
            Kind::Service => {
                let (header, _) = snippet.split_once('\n').unwrap();
                let name = header.trim_matches(['[', ']']).to_owned();
                Box::new(move || {
                    Job::new("psql")
                        .args(["-X", "-At", "-c", QUERY, "-d", &format!("service={name}")])
                        .env("PGSERVICEFILE", &path)
                })
            }
            Kind::Python => {
                let python = cache().join("drivers/python/bin/python");
                Box::new(move || Job::new(&python).arg(&path))
            }
            Kind::Node(kit) => {
                // Node.js looks for packages beside the file that imports them.
                let modules = cache().join("drivers").join(kit).join("node_modules");
                std::os::unix::fs::symlink(modules, dir.join("node_modules")).unwrap();
                program("node", vec![path])
            }
            Kind::Java(pgjdbc) => Box::new(move || {
                let mut path_of_classes = JARS.map(|jar| format!("/usr/share/java/{jar}.jar")).join(":");
                path_of_classes.push(':');
                path_of_classes.push_str(&pgjdbc.jar().to_string_lossy());
                Job::new("java")
                    // One processor's worth of threads: the tests beside this one want some too.
                    .args([
                        "-XX:TieredStopAtLevel=1",
                        "-XX:+UseSerialGC",
                        "-cp",
                        &path_of_classes,
                    ])
                    .arg(&path)
            }),
            Kind::Go => {
                let program = dir.join("connect");
                Job::new("go")
                    .args(["build", "-o"])
                    .args([&program, &path])
                    .env("GO111MODULE", "off")
                    .env("GOPATH", "/usr/share/gocode")
                    .env("GOCACHE", cache().join("drivers/go"))
                    .run()
                    .expect_ok("go build of a snippet");
                Box::new(move || Job::new(&program))
            }
            Kind::Rust => {
                let program = compile(dir, snippet);
                Box::new(move || Job::new(&program))
            }
            Kind::Ruby => program("ruby", vec![path]),
            Kind::Php => {
                // Composer would write this file; Debian's packages have theirs elsewhere.
                let vendor = dir.join("vendor");
                fs::create_dir(&vendor).unwrap();
                let autoload = "<?php require 'Illuminate/Database/autoload.php';";
                fs::write(vendor.join("autoload.php"), autoload).unwrap();
                program("php", vec![path])
            }
            Kind::Sql => {
                let near = near.socket();
                // What an earlier run made goes first, so that each connects anew.
                let clean = "drop extension if exists postgres_fdw cascade";
                Box::new(move || {
                    Job::new("psql")
                        .args([
                            "-X",
                            "-q",
                            "-At",
                            "-v",
                            "ON_ERROR_STOP=1",
                            "-d",
                            &near,
                            "-c",
                            clean,
                            "-f",
                        ])
                        .arg(&path)
                })
            }
            Kind::Pgbouncer => pooled(&path, snippet),
            Kind::Subscription => subscribed(&path, snippet, near, far),
        }
    }
}

/// A subscriber that subscribes, waits for a row, and asks the publisher whether that session is encrypted.
fn subscribed(sql: &Path, snippet: &str, near: &TestServer, far: &Publisher) -> Box<dyn Fn() -> Job + Send> {
    const SCRIPT: &str = r#"
        near() { psql -X -q -At -v ON_ERROR_STOP=1 -d "$NEAR" "$@"; }
        near -c 'create table if not exists proof (arrived boolean)' && near -f "$1" || exit 1
        tries=0
        until [ "$(near -c 'select arrived from proof')" = t ]; do
            tries=$((tries + 1)); [ $tries -lt 1000 ] || exit 1
            sleep 0.02
        done
        psql -X -At -d "$FAR" -c 'select bool_and(ssl) from pg_stat_ssl join pg_stat_replication using (pid)'
        near -c "alter subscription $NAME disable" -c "alter subscription $NAME set (slot_name = none)" \
            -c "drop subscription $NAME" -c 'drop table proof'"#;
    // `CREATE SUBSCRIPTION "app"`
    let name = snippet
        .split_once("CREATE SUBSCRIPTION ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let (sql, near, far) = (sql.to_owned(), near.socket(), far.socket.clone());
    Box::new(move || {
        Job::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(&sql)
            .env("NEAR", &near)
            .env("FAR", &far)
            .env("NAME", &name)
    })
}

/// `pgbouncer` with its list of users, and psql through it to the server behind.
///
/// The port is that of the snippet, so one after another; it has it until its shell ends.
fn pooled(ini: &Path, snippet: &str) -> Box<dyn Fn() -> Job + Send> {
    // Who waits for a server that is refused would wait for two minutes: its log says it at once.
    const SCRIPT: &str = r#"
        log=$6
        pgbouncer "$1" >"$log" 2>&1 & bouncer=$!
        trap 'kill $bouncer 2>/dev/null; wait $bouncer; cat "$log" >&2' EXIT
        tries=0
        until pg_isready -q -h 127.0.0.1 -p 6432; do
            tries=$((tries + 1)); [ $tries -lt 500 ] || exit 1
            sleep 0.02
        done
        PGPASSWORD=$3 psql -X -At -h 127.0.0.1 -p 6432 -U "$4" -d "$2" -c "$5" & client=$!
        while kill -0 $client 2>/dev/null; do
            grep -q 'S-0x.*closing because' "$log" && kill $client
            sleep 0.02
        done
        wait $client"#;
    let (ini, snippet) = (ini.to_owned(), snippet.to_owned());
    let lock = cache().join("drivers/pgbouncer.lock");
    File::create(&lock).unwrap();
    let log = ini.with_extension("log");
    File::create(&log).unwrap();
    fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    Box::new(move || {
        // `app = host='localhost' … user='o''brien'`
        let line = snippet.lines().find(|line| line.contains(" = host=")).unwrap();
        let (name, rest) = line.split_once(" = ").unwrap();
        let user = rest
            .rsplit_once(" user='")
            .unwrap()
            .1
            .trim_end_matches('\'')
            .replace("''", "'");
        let list = snippet
            .lines()
            .find_map(|line| line.strip_prefix("auth_file = "))
            .unwrap();
        let password = crate::stage::PASSWORD;
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        fs::write(list, format!("{} {}\n", quoted(&user), quoted(password))).unwrap();
        open_to_all(Path::new(list));
        Job::new("flock")
            .arg(&lock)
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(&ini)
            .args([name, password, &user, QUERY])
            .arg(&log)
    })
}

/// The first line that a program prints.
fn ask(job: Job) -> Option<String> {
    let program = job.program();
    let on_path = std::env::split_paths(&std::env::var_os("PATH")?).any(|dir| dir.join(&program).exists());
    if !on_path && !program.exists() {
        return None;
    }
    let outcome = job.run();
    let line = outcome.stdout.lines().next()?.trim();
    // `psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let version = line
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    outcome.ok.then(|| version.to_owned())
}

/// A directory that `tests/run` has filled to its end.
fn kit(name: &str) -> Option<PathBuf> {
    let dir = cache().join("drivers").join(name);
    dir.join("VERSION").exists().then_some(dir)
}

fn python_version(package: &str) -> Option<String> {
    let script = format!("import importlib.metadata as m; print(m.version('{package}'))");
    ask(Job::new(kit("python")?.join("bin/python")).args(["-c", &script]))
}

fn node_version(name: &str, package: &str) -> Option<String> {
    let manifest = kit(name)?.join("node_modules").join(package).join("package.json");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    Some(manifest["version"].as_str()?.to_owned())
}

/// The upstream version of a Debian package: `1.10.7` of `1.10.7-2`, `8.83.26` of `2:8.83.26+dfsg-2`.
fn debian_version(package: &str) -> Option<String> {
    let version = ask(Job::new("dpkg-query").args(["-W", "-f", "${Version}", package]))?;
    let upstream = version
        .split_once(':')
        .map_or(version.as_str(), |(_, upstream)| upstream);
    Some(upstream.split(['-', '+']).next()?.to_owned())
}

/// Debian has `postgresql-42.5.5.jar` beside `postgresql.jar`.
fn jar_version(name: &str) -> Option<String> {
    ask(Job::new("java").args(["-XX:TieredStopAtLevel=1", "--version"]))?;
    fs::read_dir("/usr/share/java").ok()?.flatten().find_map(|jar| {
        let jar = jar.file_name();
        let version = jar
            .to_str()?
            .strip_prefix(name)?
            .strip_prefix('-')?
            .strip_suffix(".jar")?;
        version
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| version.to_owned())
    })
}

fn crate_version(name: &str) -> Option<String> {
    let dir = kit("rust")?;
    let lock: toml::Table = fs::read_to_string(dir.join("Cargo.lock")).ok()?.parse().ok()?;
    let package = lock["package"]
        .as_array()?
        .iter()
        .find(|one| one["name"].as_str() == Some(name))?;
    dir.join("target")
        .exists()
        .then(|| package["version"].as_str().map(str::to_owned))?
}

/// Compiles a whole `main.rs` where its dependencies are compiled already.
fn compile(dir: &Path, snippet: &str) -> PathBuf {
    let rust = cache().join("drivers/rust");
    let lock = File::create(rust.join("lock")).unwrap();
    lock.lock().unwrap();
    fs::write(rust.join("src/main.rs"), snippet).unwrap();
    Job::new("cargo")
        .args(["build", "--quiet", "--locked", "--offline"])
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("CARGO_HOME", std::env::var_os("CARGO_HOME").unwrap_or_default())
        .dir(&rust)
        .limit(Duration::from_secs(300))
        .run()
        .expect_ok("cargo build of a snippet");
    let program = dir.join("connect");
    fs::copy(rust.join("target/debug/connect"), &program).unwrap();
    open_to_all(&program);
    program
}
