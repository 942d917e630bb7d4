//! Every compose file that can be generated is one that compose 2 and 5 take and mean the same by, and that linters have
//! nothing unanswered to say about.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::{Account, Job, Outcome, Project, skip};

/// What the person has in the directory.
#[derive(Clone, Copy, PartialEq)]
enum Theirs {
    Nothing,
    /// A compose file of that name, with that service.
    File(&'static str, &'static str),
    /// A compose file and an override of it.
    FileAndOverride,
}

struct Case {
    args: &'static str,
    theirs: Theirs,
    image: &'static str,
    /// Addresses and ports that are published.
    published: &'static [&'static str],
    data: &'static str,
}

const OLD: &str = "/var/lib/postgresql/data";
const NEW: &str = "/var/lib/postgresql";
const HERE: &[&str] = &["127.0.0.1:5432"];

const fn case(
    args: &'static str,
    image: &'static str,
    published: &'static [&'static str],
    data: &'static str,
) -> Case {
    Case {
        args,
        theirs: Theirs::Nothing,
        image,
        published,
        data,
    }
}

const fn beside(args: &'static str, theirs: Theirs) -> Case {
    Case {
        args,
        theirs,
        image: "postgres:18",
        published: HERE,
        data: NEW,
    }
}

const CASES: [Case; 40] = [
    case("--mode one-way", "postgres:18", HERE, NEW),
    case("--mode mtls", "postgres:18", HERE, NEW),
    case("--mode mtls --auth scram+cert", "postgres:18", HERE, NEW),
    case("--mode one-way --pg-version 13", "postgres:13", HERE, OLD),
    case("--mode one-way --pg-version 14", "postgres:14", HERE, OLD),
    case("--mode mtls --pg-version 15", "postgres:15", HERE, OLD),
    case("--mode mtls --pg-version 16", "postgres:16", HERE, OLD),
    case("--mode one-way --pg-version 17", "postgres:17", HERE, OLD),
    case("--mode mtls --pg-version 18", "postgres:18", HERE, NEW),
    case(
        "--mode one-way --image postgres:13-alpine",
        "postgres:13-alpine",
        HERE,
        OLD,
    ),
    case(
        "--mode one-way --image postgres:17.6-bookworm",
        "postgres:17.6-bookworm",
        HERE,
        OLD,
    ),
    case(
        "--mode mtls --image postgres:18-alpine3.22",
        "postgres:18-alpine3.22",
        HERE,
        NEW,
    ),
    case("--mode one-way --image postgres", "postgres", HERE, NEW),
    case(
        "--mode one-way --image postgres:alpine",
        "postgres:alpine",
        HERE,
        NEW,
    ),
    case(
        "--mode one-way --image docker.io/library/postgres:16",
        "docker.io/library/postgres:16",
        HERE,
        OLD,
    ),
    case(
        "--mode mtls --image localhost:5000/team/postgres:15",
        "localhost:5000/team/postgres:15",
        HERE,
        OLD,
    ),
    case(
        "--mode mtls --image postgis/postgis:17-3.5",
        "postgis/postgis:17-3.5",
        HERE,
        OLD,
    ),
    case(
        "--mode mtls --image pgvector/pgvector:pg18",
        "pgvector/pgvector:pg18",
        HERE,
        NEW,
    ),
    case(
        "--mode one-way --image postgres:17@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "postgres:17@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        HERE,
        OLD,
    ),
    case(
        "--mode one-way --port 15432",
        "postgres:18",
        &["127.0.0.1:15432"],
        NEW,
    ),
    case(
        "--mode one-way --port 65535",
        "postgres:18",
        &["127.0.0.1:65535"],
        NEW,
    ),
    case(
        "--mode one-way --host ::1",
        "postgres:18",
        &["127.0.0.1:5432", "::1:5432"],
        NEW,
    ),
    case(
        "--mode mtls --host db.example.org --host 10.0.0.7",
        "postgres:18",
        HERE,
        NEW,
    ),
    case(
        "--mode one-way --allow 10.0.0.0/8",
        "postgres:18",
        &[":5432"],
        NEW,
    ),
    case(
        "--mode mtls --allow 10.0.0.0/8 --allow 2001:db8::/32 --port 6000",
        "postgres:18",
        &[":6000"],
        NEW,
    ),
    case("--mode one-way --allow 127.0.0.1/32", "postgres:18", HERE, NEW),
    case(
        "--mode one-way --user order_app --database orders",
        "postgres:18",
        HERE,
        NEW,
    ),
    case(
        "--mode one-way --user O'Neil --database $HOME",
        "postgres:18",
        HERE,
        NEW,
    ),
    case(
        "--mode mtls --client app --client reports --client web=app",
        "postgres:18",
        HERE,
        NEW,
    ),
    case(
        "--mode mtls --client yes --database null",
        "postgres:18",
        HERE,
        NEW,
    ),
    case(
        "--mode mtls --algorithm ed25519 --days 30",
        "postgres:18",
        HERE,
        NEW,
    ),
    case(
        "--mode one-way --algorithm p384 --ca-days 900",
        "postgres:18",
        HERE,
        NEW,
    ),
    beside("--mode one-way", Theirs::File("docker-compose.yml", "web")),
    beside("--mode mtls", Theirs::File("docker-compose.yml", "db")),
    beside("--mode mtls", Theirs::File("compose.yaml", "db")),
    beside("--mode one-way", Theirs::File("compose.yml", "db-tls")),
    beside("--mode one-way", Theirs::File("docker-compose.yaml", "web")),
    beside(
        "--mode one-way --pg-version 18",
        Theirs::File("compose.yml", "\"db\""),
    ),
    beside("--mode mtls", Theirs::FileAndOverride),
    beside("--mode one-way --host shop.example", Theirs::FileAndOverride),
];

/// What linters say of our files, and why it stays: each is said in a comment of the file as well.
const ANSWERED: [(&str, &str, &str); 6] = [
    (
        "CL-0004",
        "the image is the one that --image names",
        "Pin a digest",
    ),
    (
        "CL-0020",
        "nothing takes that password: pg_hba.conf lets the superuser in over the socket alone",
        "it opens nothing",
    ),
    (
        "CL-0026",
        "what the load needs is not known yet",
        "set deploy.resources.limits",
    ),
    ("CL-0019", "a digest is the person's to pin", "Pin a digest"),
    (
        "CL-0005",
        "on every address only where --allow asks for it, and only verified TLS is taken there",
        "verified TLS only",
    ),
    (
        "non-root user set",
        "the entry point needs root to give the files their owner, and leaves it",
        "runs as postgres",
    ),
];

/// The plugin of that major version, run by itself.
fn plugin(major: u32) -> Option<PathBuf> {
    let dir = std::env::var_os("PGTLS_TEST_COMPOSE").map(PathBuf::from);
    let program = dir.map(|dir| dir.join(format!("{major}/cli-plugins/docker-compose")));
    let found = program.filter(|program| program.exists());
    if found.is_none() {
        skip(
            "no compose plugin here: tests/run installs it",
            Account::is_root(),
        );
    }
    found
}

fn write_theirs(project: &Project, theirs: Theirs) {
    let put = |name: &str, service: &str| {
        let text = format!("services:\n  {service}:\n    image: busybox\n    command: sleep 1\n");
        fs::write(project.dir.join(name), text).unwrap();
    };
    match theirs {
        Theirs::Nothing => {}
        Theirs::File(name, service) => put(name, service),
        Theirs::FileAndOverride => {
            put("docker-compose.yml", "web");
            put("docker-compose.override.yml", "web");
        }
    }
}

/// Our compose file, and those to name with it; none where compose finds them.
fn files(project: &Project) -> (PathBuf, Vec<&'static str>) {
    let named = project.dir.join("compose.pgtls.yml");
    if named.exists() {
        return (
            named,
            vec![
                "docker-compose.yml",
                "docker-compose.override.yml",
                "compose.pgtls.yml",
            ],
        );
    }
    let over = project.dir.join("compose.override.yml");
    let ours = if over.exists() {
        over
    } else {
        project.dir.join("docker-compose.yml")
    };
    (ours, Vec::new())
}

fn config(plugin: &Path, project: &Project, named: &[&str]) -> Outcome {
    let named = named.iter().flat_map(|file| ["--file", file]);
    Job::new(plugin)
        .args(named)
        .args(["config", "--format", "json"])
        .dir(&project.dir)
        .run()
}

/// What a version of compose makes of the service.
fn service(config: &Value) -> Value {
    let services = config["services"].as_object().unwrap();
    let ours = services
        .values()
        .find(|service| service["env_file"].is_array() || service["entrypoint"].is_array());
    ours.unwrap_or_else(|| panic!("{services:?}")).clone()
}

fn check(case: &Case, plugins: &[PathBuf; 2]) -> Project {
    let project = Project::new(&Account::current());
    write_theirs(&project, case.theirs);
    project
        .pgtls(&["apply", "--run", "compose", "--yes"])
        .args(case.args.split(' '))
        // Nothing here needs an engine, and the plan must not depend on one.
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .run()
        .expect_status(0);
    let (ours, named) = files(&project);
    let mut seen = Vec::new();
    for plugin in plugins {
        let config = config(plugin, &project, &named).expect_ok(case.args).json();
        let service = service(&config);
        assert_eq!(service["image"], case.image, "{}", case.args);
        let ports = service["ports"].as_array().unwrap().iter().map(|port| {
            assert_eq!(port["target"], 5432);
            format!(
                "{}:{}",
                port["host_ip"].as_str().unwrap_or_default(),
                port["published"].as_str().unwrap()
            )
        });
        assert_eq!(ports.collect::<Vec<_>>(), case.published, "{}", case.args);
        let mounts = service["volumes"].as_array().unwrap();
        let volume = mounts.iter().find(|mount| mount["type"] == "volume").unwrap();
        assert_eq!(volume["target"], case.data, "{}", case.args);
        assert!(
            mounts
                .iter()
                .all(|mount| mount["type"] == "volume" || mount["read_only"] == true)
        );
        assert!(
            service["healthcheck"]["test"][1]
                .as_str()
                .unwrap()
                .contains("postmaster.pid")
        );
        assert_eq!(service["command"][2], "config_file=/run/pgtls/postgresql.conf");
        assert!(
            service["environment"]["POSTGRES_PASSWORD"]
                .as_str()
                .unwrap()
                .len()
                >= 20
        );
        seen.push((
            service["cap_add"].clone(),
            service["tmpfs"].clone(),
            service["entrypoint"].clone(),
        ));
    }
    assert_eq!(seen[0], seen[1], "{}: 2 and 5 differ", case.args);
    let text = fs::read_to_string(&ours).unwrap();
    assert!(!text.contains('\r') && !text.contains('\t') && text.ends_with('\n'));
    // What people write in their answers comes into the file nowhere but as the image and the port.
    assert!(!text.contains("O'Neil") && !text.contains("$HOME"));
    project
}

#[test]
fn compose_takes_every_file_that_can_be_made_and_linters_are_answered() {
    let (Some(two), Some(five)) = (plugin(2), plugin(5)) else {
        return;
    };
    let plugins = [two, five];
    let next = AtomicUsize::new(0);
    let projects = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let project = check(case, &plugins);
                    projects.lock().unwrap().push(project);
                }
            });
        }
    });
    let projects = projects.into_inner().unwrap();
    assert_eq!(projects.len(), CASES.len());
    linted(&projects);
}

fn linted(projects: &[Project]) {
    let Some(bin) = std::env::var_os("PGTLS_TEST_LINTERS").map(PathBuf::from) else {
        return skip(
            "no linters of compose files here: tests/run installs them",
            Account::is_root(),
        );
    };
    let ours: Vec<PathBuf> = projects.iter().map(|project| files(project).0).collect();
    Job::new(bin.join("yamllint"))
        .args(["--strict", "--format", "parsable"])
        .args(&ours)
        .run()
        .expect_ok("yamllint");
    let mut said: BTreeMap<String, PathBuf> = BTreeMap::new();
    let lint = Job::new(bin.join("compose-lint"))
        .args(["check", "--format", "json"])
        .args(&ours)
        .run();
    for finding in lint.json()["findings"].as_array().unwrap() {
        let file = PathBuf::from(finding["file"].as_str().unwrap());
        let rule = finding["rule_id"].as_str().unwrap();
        // A mount of something below /dev: the directory that the tests work in is there, on memory.
        if rule == "CL-0013" && projects.iter().all(|project| project.dir.starts_with("/dev/shm")) {
            continue;
        }
        said.insert(rule.to_owned(), file);
    }
    // One of each kind will do: the second linter looks at one file at a time.
    for file in [&ours[0], ours.last().unwrap()] {
        let scan = Job::new(bin.join("compose-harden")).arg("scan").arg(file).run();
        assert!(
            scan.stdout.contains("checks passed"),
            "{}{}",
            scan.stdout,
            scan.stderr
        );
        for line in scan
            .stdout
            .lines()
            .filter_map(|line| line.trim().strip_prefix('✖'))
        {
            let name = line.split(" -- ").next().unwrap().trim();
            said.insert(name.to_owned(), file.clone());
        }
    }
    assert!(!said.is_empty(), "the linters ran");
    for (finding, file) in &said {
        let answer = ANSWERED.iter().find(|(id, ..)| id == finding);
        let Some((_, why, comment)) = answer else {
            panic!("unanswered: {finding} in {}", file.display());
        };
        assert!(why.len() > 10);
        let is_said = ours.iter().any(|file| {
            let text = fs::read_to_string(file).unwrap();
            let prose: Vec<&str> = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix('#'))
                .flat_map(str::split_whitespace)
                .collect();
            prose.join(" ").contains(comment)
        });
        assert!(is_said, "{finding}: the comment \"{comment}\" is in no file");
    }
}
