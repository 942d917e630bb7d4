//! The snippets whose programs cannot be had here: what their own languages' parsers read in them is what was meant.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::{Account, Job, Project, cache, scratch, skip};

const ROLE: &str = "o'brien \"x\" \\ \u{e9}";
const DATABASE: &str = "my app/%41?&=";

/// A project in whose names every language has something to quote.
fn project() -> (Project, String) {
    let project = Project::named(&Account::ordinary(), "it's \"a\" \\ d\u{e9}p\u{f4}t %41 &=");
    let apply = [
        "apply",
        "--mode",
        "mtls",
        "--auth",
        "cert",
        "--run",
        "none",
        "--yes",
        "--database",
        DATABASE,
    ];
    let client = format!("app={ROLE}");
    project
        .pgtls(&apply)
        .args(["--client", &client])
        .run()
        .expect_status(0);
    let root = project.kit().join("root.crt").display().to_string();
    (project, root)
}

fn snippet(project: &Project, name: &str) -> String {
    project.pgtls(&["connect", name]).run().expect_status(0).stdout
}

/// What a program makes of a snippet: one JSON value.
fn parsed(snippet: &str, file: &str, job: impl FnOnce(&Path) -> Job) -> Value {
    let path = scratch("parsed").join(file);
    fs::write(&path, snippet).unwrap();
    job(&path).run().expect_ok(file).json()
}

#[test]
fn pgadmin_reads_the_names_as_they_are() {
    let (project, root) = project();
    let read: Value = serde_json::from_str(&snippet(&project, "pgadmin")).unwrap();
    let server = &read["Servers"]["1"];
    assert_eq!(server["Username"], ROLE);
    assert_eq!(server["MaintenanceDB"], DATABASE);
    assert_eq!(server["ConnectionParameters"]["sslrootcert"], root);
    assert_eq!(server["ConnectionParameters"]["sslmode"], "verify-full");
}

#[test]
fn grafana_reads_the_names_as_they_are() {
    let (project, root) = project();
    let script = "require 'yaml'; require 'json'; puts YAML.load_file(ARGV[0]).to_json";
    let read = parsed(&snippet(&project, "grafana"), "datasource.yaml", |path| {
        Job::new("ruby").args(["-e", script]).arg(path)
    });
    let source = &read["datasources"][0];
    assert_eq!(source["user"], ROLE);
    assert_eq!(source["url"], "localhost:5432");
    assert_eq!(source["jsonData"]["database"], DATABASE);
    assert_eq!(source["jsonData"]["sslRootCertFile"], root);
}

/// `java.util.Properties` for Spring, and pgjdbc's own reading of its URL for both.
#[test]
fn spring_and_datagrip_read_the_names_as_they_are() {
    const PROGRAM: &str = r#"
        import java.io.FileInputStream;
        import java.nio.file.*;
        import java.util.Properties;

        public class Parse {
            public static void main(String[] args) throws Exception {
                var text = new Properties();
                String url = null;
                if (args[0].endsWith(".properties")) {
                    text.load(new FileInputStream(args[0]));
                    url = text.getProperty("spring.datasource.url");
                } else {
                    url = Files.readString(Path.of(args[0])).strip();
                }
                var prefix = "spring.datasource.hikari.data-source-properties.";
                var read = org.postgresql.Driver.parseURL(url, null);
                var root = read.getProperty("sslrootcert", text.getProperty(prefix + "sslrootcert"));
                var user = text.getProperty("spring.datasource.username", read.getProperty("user"));
                for (var value : new String[] {read.getProperty("PGDBNAME"), user, root}) {
                    System.out.write(value.getBytes("UTF-8"));
                    System.out.write(0);
                }
                System.out.flush();
            }
        }"#;
    if !Path::new("/usr/share/java/postgresql.jar").exists() {
        return skip("no pgjdbc here: tests/run installs it", true);
    }
    let (project, root) = project();
    let parser = scratch("parser").join("Parse.java");
    fs::write(&parser, PROGRAM).unwrap();
    for (name, file) in [("spring", "application.properties"), ("datagrip", "connect.url")] {
        let path = scratch("parsed").join(file);
        fs::write(&path, snippet(&project, name)).unwrap();
        let read = Job::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/postgresql.jar"])
            .args([&parser, &path])
            .run()
            .expect_ok(name)
            .stdout;
        assert_eq!(read, format!("{DATABASE}\0{ROLE}\0{root}\0"), "{name}");
    }
}

#[test]
fn dbeaver_is_given_the_names_as_they_are() {
    let (project, root) = project();
    let dir = scratch("dbeaver");
    let stub = dir.join("dbeaver");
    fs::write(&stub, "#!/bin/sh\nprintf %s \"$2\"\n").unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let script = dir.join("connect.sh");
    fs::write(&script, snippet(&project, "dbeaver")).unwrap();
    let told = Job::new("sh")
        .arg(&script)
        .env("PATH", path)
        .run()
        .expect_ok("dbeaver")
        .stdout;
    let parts: Vec<_> = told.split('|').collect();
    for part in [
        format!("user={ROLE}"),
        format!("database={DATABASE}"),
        format!("prop.sslrootcert={root}"),
        "prop.sslmode=verify-full".to_owned(),
    ] {
        assert!(parts.contains(&part.as_str()), "{part} is not in {told}");
    }
}

/// Go's and Java's compilers parse them, and have no more to say than that packages are missing.
#[test]
fn programs_are_programs() {
    let (project, _) = project();
    if !Path::new("/usr/bin/gofmt").exists() {
        return skip("no gofmt here: tests/run installs golang-go", false);
    }
    for name in ["pgx", "gorm", "lib-pq"] {
        let path = scratch("program").join("main.go");
        fs::write(&path, snippet(&project, name)).unwrap();
        let told = Job::new("gofmt").arg("-d").arg(&path).run().expect_ok(name);
        assert_eq!(told.stdout, "", "{name} is not as gofmt would have it");
    }
    for name in ["r2dbc", "jdbc", "hikari"] {
        let path = scratch("program").join("Connect.java");
        fs::write(&path, snippet(&project, name)).unwrap();
        let told = Job::new("javac").args(["-J-XX:TieredStopAtLevel=1", "-proc:none", "-d"]);
        let told = told.arg(path.parent().unwrap()).arg(&path).run();
        let errors = told.stderr.lines().filter(|line| line.contains(": error: "));
        let other = errors.filter(|line| {
            !["does not exist", "cannot find symbol"]
                .iter()
                .any(|word| line.contains(word))
        });
        assert_eq!(other.count(), 0, "{name}: {}", told.stderr);
    }
    for name in ["psycopg", "asyncpg", "sqlalchemy", "django"] {
        let path = scratch("program").join("connect.py");
        fs::write(&path, snippet(&project, name)).unwrap();
        let python = cache().join("drivers/python/bin/python");
        if python.exists() {
            Job::new(python)
                .args(["-W", "error", "-m", "py_compile"])
                .arg(&path)
                .run()
                .expect_ok(name);
        }
    }
}
