//! `connect --install` and `connect --project`: libpq and drivers find what was written, nothing is lost, undo takes
//! it back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Account, Ca, Job, Outcome, Postgres, Project, cache, scratch, skip};

const QUERY: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// A running server that wants certificate and password, and a home with things in it.
fn scene() -> Option<(Project, PathBuf, Ca)> {
    let postgres = Postgres::any()?;
    let account = Account::ordinary();
    let project = Project::named(&account, "to install");
    project
        .up("mtls", &postgres)
        .args(["--auth", "scram+cert"])
        .run()
        .expect_status(0);
    let home = scratch("home");
    account.own(&home);
    let other = Ca::new("other");
    put(
        &account,
        &home,
        ".postgresql/root.crt",
        &fs::read(&other.cert).unwrap(),
        0o644,
    );
    put(
        &account,
        &home,
        ".pgpass",
        b"# mine\n*:*:*:somebody:else\n",
        0o600,
    );
    put(
        &account,
        &home,
        ".pg_service.conf",
        b"[mine]\nhost=elsewhere\n",
        0o640,
    );
    Some((project, home, other))
}

fn put(account: &Account, home: &Path, name: &str, bytes: &[u8], mode: u32) {
    let path = home.join(name);
    let dir = path.parent().unwrap();
    fs::create_dir_all(dir).unwrap();
    account.own(dir);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    account.own(&path);
}

/// Every file below the home but our books.
fn files(home: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for dir in [home.to_owned(), home.join(".postgresql")] {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.file_type().unwrap().is_file() {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                found.insert(entry.path(), (mode, fs::read(entry.path()).unwrap()));
            }
        }
    }
    found
}

fn psql(project: &Project, home: &Path, conninfo: &str) -> Outcome {
    Job::new("psql")
        .args(["-X", "-w", "-At", "-c", QUERY, "-d", conninfo])
        .env("HOME", home)
        .account(&project.account)
        .run()
}

#[test]
fn libpq_finds_what_is_installed_beside_what_was_there_and_undo_takes_it_back() {
    let Some((project, home, other)) = scene() else {
        return;
    };
    let before = files(&home);
    let short = format!(
        "host=localhost port={} dbname=app user=app sslmode=verify-full",
        project.port
    );
    assert!(!psql(&project, &home, &short).ok, "nothing is installed yet");
    let install = |yes: bool| {
        let args = [
            "connect",
            "jdbc",
            "--install",
            if yes { "--yes" } else { "--quiet" },
        ];
        project.pgtls(&args).env("HOME", &home).run()
    };
    let refused = install(false);
    assert!(
        !refused.ok && files(&home) == before,
        "somebody's files are not replaced unasked"
    );
    let told = install(true).expect_status(0);
    assert_eq!(psql(&project, &home, &short).expect_ok("psql").stdout, "t\n");

    let after = files(&home);
    for (name, mode) in [
        (".postgresql/root.crt", 0o644),
        (".postgresql/postgresql.crt", 0o644),
        (".postgresql/postgresql.key", 0o600),
        (".postgresql/postgresql.pk8", 0o600),
        (".pgpass", 0o600),
    ] {
        let path = home.join(name);
        assert_eq!(after[&path].0, mode, "{name}");
        assert!(
            told.stdout.lines().any(|line| Path::new(line) == path),
            "{}",
            told.stdout
        );
    }
    let text = |name: &str| String::from_utf8(after[&home.join(name)].1.clone()).unwrap();
    assert!(
        text(".pgpass").ends_with("# mine\n*:*:*:somebody:else\n"),
        "{}",
        text(".pgpass")
    );
    let theirs = fs::read_to_string(&other.cert).unwrap();
    let body = theirs.split("-----").nth(2).unwrap().trim();
    assert!(
        text(".postgresql/root.crt").contains(body),
        "the other CA's root is still trusted"
    );
    assert!(told.stderr.contains("kept a copy"), "{}", told.stderr);

    assert_eq!(
        install(true).expect_status(0).stdout,
        "",
        "the second time nothing is written"
    );
    Job::new(crate::support::pgtls_bin())
        .args(["undo", "--dir"])
        .arg(&home)
        .account(&project.account)
        .run()
        .expect_status(0);
    assert!(files(&home) == before, "undo left {:?}", files(&home).keys());
}

#[test]
fn a_service_entry_is_added_to_those_that_are_there() {
    let Some((project, home, _)) = scene() else { return };
    let install = ["connect", "service", "--install", "--yes", "--json"];
    for _ in 0..2 {
        project
            .pgtls(&install)
            .env("HOME", &home)
            .run()
            .expect_status(0)
            .json();
    }
    assert_eq!(
        psql(&project, &home, "service=app").expect_ok("psql").stdout,
        "t\n"
    );
    let text = fs::read_to_string(home.join(".pg_service.conf")).unwrap();
    assert!(text.starts_with("[mine]\nhost=elsewhere\n"), "{text}");
    assert_eq!(text.matches("[app]").count(), 1, "{text}");
    let mode = fs::metadata(home.join(".pg_service.conf"))
        .unwrap()
        .permissions()
        .mode()
        & 0o7777;
    assert_eq!(mode, 0o640, "a tighter mode stays");
}

/// Whole projects: every manifest is well-formed, and the program in it runs.
#[test]
fn an_example_project_is_whole_and_runs() {
    let Some((project, _, _)) = scene() else { return };
    for client in pgtls::clients::all()
        .iter()
        .filter(|client| !client.project.is_empty())
    {
        let dir = scratch("example");
        project.account.own(&dir);
        let dir = dir.join("example");
        project
            .pgtls(&["connect", &client.name, "--project", &dir.to_string_lossy()])
            .run()
            .expect_status(0);
        assert!(dir.join(&client.file).exists(), "{}", client.name);
        for name in client.project.keys() {
            let text = fs::read_to_string(dir.join(name)).unwrap();
            match name.as_str() {
                "Cargo.toml" => _ = text.parse::<toml::Table>().unwrap(),
                "package.json" | "composer.json" => {
                    serde_json::from_str::<serde_json::Value>(&text).unwrap();
                }
                "pom.xml" | "connect.csproj" => well_formed(&dir.join(name)),
                _ => {}
            }
        }
        let run = match client.name.as_str() {
            "psycopg" => Job::new(cache().join("drivers/python/bin/python")).arg(dir.join("connect.py")),
            "ruby-pg" => Job::new("ruby").arg(dir.join("connect.rb")),
            _ => continue,
        };
        let outcome = run.account(&project.account).run().expect_ok(&client.name);
        assert!(
            ["t\n", "True\n"].contains(&outcome.stdout.as_str()),
            "{}",
            outcome.stdout
        );
    }
}

fn well_formed(path: &Path) {
    let script = "import sys, xml.dom.minidom as dom; dom.parse(sys.argv[1])";
    let python = cache().join("drivers/python/bin/python");
    if !python.exists() {
        return skip("no Python here to read XML with", true);
    }
    Job::new(python)
        .args(["-c", script])
        .arg(path)
        .run()
        .expect_ok("XML");
}

#[test]
fn an_example_project_is_never_written_over_somebodys_or_into_a_project_of_ours() {
    let project = Project::named(&Account::ordinary(), "examples");
    project
        .pgtls(&["apply", "--mode", "one-way", "--run", "none", "--yes"])
        .run()
        .expect_status(0);
    let before = project.files();
    let refused = project
        .pgtls(&["connect", "psycopg", "--project", &project.dir.to_string_lossy()])
        .run()
        .expect_status(2);
    assert!(
        refused.stderr.contains("is a pgtls project itself"),
        "{}",
        refused.stderr
    );
    assert!(project.files() == before);

    let dir = scratch("theirs");
    project.account.own(&dir);
    put(&project.account, &dir, "connect.py", b"theirs", 0o644);
    let write = |yes: &str| {
        let args = ["connect", "psycopg", yes, "--project", &dir.to_string_lossy()];
        project.pgtls(&args).run()
    };
    assert!(!write("--quiet").ok);
    assert_eq!(fs::read(dir.join("connect.py")).unwrap(), b"theirs");
    assert!(!dir.join("requirements.txt").exists());
    let told = write("--yes").expect_status(0);
    assert!(told.stderr.contains("kept a copy"), "{}", told.stderr);
    assert!(dir.join("requirements.txt").exists());
}
