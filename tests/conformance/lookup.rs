//! What a superuser's way in adds to a refusal: the server's log in each of its formats, and the line of `pg_hba.conf`
//! that decides, its includes followed. The witness is the server's own log file.

use std::fs;
use std::path::Path;

use super::support::{Account, Job, Leaf, Postgres, TestServer, pgtls, psql, skip, wait_for};
use super::world::World;

/// What `pg_hba.conf` says, without and with the directives of 16.
const RULES: &str = "hostssl all bob all scram-sha-256\nhostssl @allowed alice all scram-sha-256\n\
    hostssl all @outlaws all reject\nhostssl all +staff all cert";
const RULES_16: &str = "include_dir rules.d\ninclude_if_exists nowhere.conf\ninclude last.conf";

/// Version, what it does with its log, and where the log then is, below the data directory.
const LOGS: [(u16, &str, Option<&str>); 4] = [
    (
        13,
        "logging_collector = on\nlog_filename = 'here.log'",
        Some("log/here.log"),
    ),
    (
        15,
        "logging_collector = on\nlog_destination = 'csvlog'\nlog_filename = 'here.log'\nlog_connections = off",
        Some("log/here.csv"),
    ),
    (
        18,
        "logging_collector = on\nlog_destination = 'jsonlog'\nlog_filename = 'here.log'",
        Some("log/here.json"),
    ),
    // Its standard error, in a file.
    (18, "log_line_prefix = '%t [%p] %q%u@%d %r '", None),
];

struct Stage<'a> {
    world: &'a World,
    server: TestServer,
    major: u16,
    log: Option<&'static str>,
}

impl<'a> Stage<'a> {
    fn new(world: &'a World, major: u16, conf: &str, log: Option<&'static str>) -> Option<Self> {
        let server = TestServer::builder(&Postgres::find(major)?)
            .conf(conf)
            .tls(&Leaf {
                cert: world.path("plain.crt"),
                key: world.path("plain.key"),
            })
            .client_ca(&world.path("clientroot.crt"))
            .sql("set password_encryption = 'scram-sha-256'; create role alice login password 'right'")
            .sql("create role outlaw login; create role staff; create role member login in role staff")
            .start();
        let put = |name: &str, text: &str| {
            let path = server.data.join(name);
            fs::write(&path, text).unwrap();
            Account::server().own(&path);
        };
        put("allowed", "template1,\npostgres\n");
        put("outlaws", "nobody outlaw\n");
        let rules = if major < 16 {
            RULES.to_owned()
        } else {
            let directory = server.data.join("rules.d");
            fs::create_dir(&directory).unwrap();
            Account::server().own(&directory);
            let (first, last) = RULES.split_once('\n').unwrap();
            put("rules.d/10.conf", &format!("# first\n{first}\n"));
            put("last.conf", &last.replace('@', "@../data/"));
            RULES_16.to_owned()
        };
        server.set_hba(&rules);
        let stage = Self {
            world,
            server,
            major,
            log,
        };
        // A reload takes a moment; psql sees when it is done.
        wait_for(
            "the rules are in force",
            std::time::Duration::from_secs(60),
            || {
                let answer = psql(&stage.conninfo("user=outlaw"), "select 1");
                answer.stderr.contains("rejects").then_some(())
            },
        );
        Some(stage)
    }

    fn conninfo(&self, more: &str) -> String {
        format!(
            "host=db.test hostaddr=127.0.0.1 port={} user=alice dbname=postgres sslmode=verify-full sslrootcert={} {more}",
            self.server.port,
            self.world.path("root.crt").display()
        )
    }

    /// The evidence of a refusal that is looked up that way.
    fn evidence(&self, more: &str, admin: &str) -> String {
        let probes = if self.major == 15 { "all" } else { "connect" };
        let report = pgtls(["verify", "--json", "--probes", probes, "--admin", admin])
            .arg(self.conninfo(more))
            .env("HOME", self.world.home(""))
            .run()
            .expect_status(1)
            .json();
        let of = |probe: &serde_json::Value| probe["id"] == "authenticated";
        let probe = report["probes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|probe| of(probe))
            .unwrap();
        let lines: Vec<_> = probe["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap().to_owned())
            .collect();
        lines.join("\n")
    }

    /// All that the server has logged.
    fn logged(&self) -> String {
        match self.log {
            Some(name) => fs::read_to_string(self.server.data.join(name)).unwrap(),
            None => self.server.log(),
        }
    }

    /// The file and line of `pg_hba.conf` that these begin with.
    fn place(&self, rule: &str) -> String {
        let mut files = vec![self.server.data.join("pg_hba.conf")];
        if self.major >= 16 {
            files.extend(["rules.d/10.conf", "last.conf"].map(|name| self.server.data.join(name)));
        }
        let line_of = |file: &Path| {
            let text = fs::read_to_string(file).unwrap();
            let at = text.lines().position(|line| line.starts_with(rule))?;
            Some((file.to_owned(), at + 1))
        };
        let (file, line) = files.iter().find_map(|file| line_of(file)).unwrap();
        format!("line {line} of {}", file.display())
    }
}

#[test]
fn the_log_and_the_line_that_decided_are_looked_up_on_every_server() {
    let world = World::new();
    std::thread::scope(|scope| {
        for (major, conf, log) in LOGS {
            let world = &world;
            scope.spawn(move || {
                if let Some(stage) = Stage::new(world, major, conf, log) {
                    looked_up(&stage);
                }
            });
        }
    });
}

fn looked_up(stage: &Stage<'_>) {
    let admin = stage.server.socket();
    let (world, major) = (stage.world, stage.major);
    let key = |name: &str| {
        let path = |extension: &str| world.path(&format!("{name}.{extension}")).display().to_string();
        format!("sslcert={} sslkey={}", path("crt"), path("key"))
    };

    // The log says which line it was.
    let wrong = stage.evidence("password=wrong", &admin);
    let (_, detail) = wrong
        .split_once("DETAIL:  ")
        .unwrap_or_else(|| panic!("{major}: {wrong}\n{}", stage.logged()));
    let detail = detail.lines().next().unwrap();
    assert!(detail.contains("matched"), "{major}: {wrong}");
    let shown = detail.split('"').next().unwrap();
    assert!(stage.logged().contains(shown), "{major}: {wrong}");
    assert!(!wrong.contains("decides"), "{major}: {wrong}");
    if let Some(name) = stage.log {
        let path = stage.server.data.join(name);
        assert!(wrong.contains(&path.display().to_string()), "{major}: {wrong}");
    }

    // Where it says nothing, the rules are read: lists in files, groups, and from 16 on includes.
    let outlaw = stage.evidence("user=outlaw", &admin);
    let place = stage.place("hostssl all @");
    assert!(
        outlaw.contains(&format!("{place} decides: hostssl all @")),
        "{major}: {place}: {outlaw}"
    );
    let nobody = stage.evidence("user=stranger password=wrong", &admin);
    assert!(nobody.contains("no line of"), "{major}: {nobody}");
    let member = stage.evidence(&format!("user=member {}", key("alice")), &admin);
    assert!(
        member.contains("+staff") || member.contains("matched"),
        "{major}: {member}"
    );

    // Why a client certificate is refused, only the log knows; from 16 on it says which and why.
    let eve = stage.evidence(&key("eve"), &admin);
    assert!(eve.contains("could not accept SSL connection"), "{major}: {eve}");
    assert_eq!(
        eve.contains("subject") && eve.contains("Evil Root"),
        major >= 16,
        "{major}: {eve}"
    );

    // A way in that is none, and one that may not look: said, and nothing else changes.
    let closed = stage.evidence("password=wrong", &format!("{admin} user=nobody"));
    assert!(closed.contains("--admin failed"), "{major}: {closed}");
    let humble = stage.evidence("user=outlaw", &format!("{admin} user=outlaw"));
    assert!(
        humble.contains("pg_hba.conf could not be looked up"),
        "{major}: {humble}"
    );
}

/// A log in German, by a server that speaks it: what is known by words alone is known all the same.
#[test]
fn a_server_that_speaks_another_language_is_understood() {
    let Some(postgres) = Postgres::any() else { return };
    let world = World::new();
    let locales = world.path("locales");
    fs::create_dir(&locales).unwrap();
    let made = ["de_DE", "C"].map(|name| {
        Job::new("localedef")
            .args([
                "-i",
                if name == "C" { "POSIX" } else { name },
                "-f",
                "UTF-8",
                "-c",
            ])
            .arg(locales.join(format!("{name}.UTF-8")))
            .run()
            .status
    });
    if made[0].is_none_or(|status| status > 1) {
        return skip(
            "localedef cannot make a German locale here (package locales)",
            false,
        );
    }
    let server = TestServer::builder(&postgres)
        .conf("lc_messages = 'de_DE.UTF-8'\nlog_line_prefix = '%m [%p] '")
        .env("LOCPATH", locales.to_str().unwrap())
        .env("LC_ALL", "C.UTF-8")
        .tls(&Leaf {
            cert: world.path("plain.crt"),
            key: world.path("plain.key"),
        })
        .client_ca(&world.path("clientroot.crt"))
        .hba("hostssl all outlaw all reject\nhostssl postgres all all scram-sha-256\nhostssl template1 all all cert")
        .sql("set password_encryption = 'scram-sha-256'; create role alice login password 'right'")
        .start();
    let stage = Stage {
        world: &world,
        server,
        major: postgres.major,
        log: None,
    };
    let german = psql(&stage.conninfo("password=wrong"), "select 1").stderr;
    if !german.contains("fehlgeschlagen") {
        return skip(
            &format!("this PostgreSQL has no German messages: {german}"),
            false,
        );
    }
    let admin = stage.server.socket();
    let cause = |more: &str| {
        let report = pgtls(["verify", "--json", "--probes", "connect"])
            .arg(stage.conninfo(more))
            .env("HOME", world.home(""))
            .run()
            .expect_status(1)
            .json();
        report["cause"].as_str().unwrap().to_owned()
    };
    assert_eq!(cause("user=outlaw"), "hba-reject");
    assert_eq!(cause("dbname=other"), "hba-no-entry-ssl");
    assert_eq!(cause("sslmode=disable"), "hba-no-entry-plain");
    assert_eq!(cause("dbname=template1"), "client-cert-required");

    let wrong = stage.evidence("password=wrong", &admin);
    let shown = |line: &str| wrong.contains(line) && stage.logged().contains(line);
    assert!(
        shown("Passwort-Authentifizierung für Benutzer »alice« fehlgeschlagen"),
        "{wrong}"
    );
    assert!(shown("Verbindung stimmte mit"), "{wrong}");
    assert!(!wrong.contains("decides"), "{wrong}");
    let key = |extension: &str| world.path(&format!("eve.{extension}")).display().to_string();
    let eve = stage.evidence(&format!("sslcert={} sslkey={}", key("crt"), key("key")), &admin);
    assert!(eve.contains("konnte SSL-Verbindung nicht annehmen"), "{eve}");
}
