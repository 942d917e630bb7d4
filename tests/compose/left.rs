//! Directories as walk-throughs leave them: each fault is named, and `pgtls up` beside them yields a working database
//! without touching a file of theirs. The scripts in `left/` build them; openssl makes the certificates.

use std::path::Path;

use crate::support::{Account, Contained, Docker, Job, Project, psql_as};

/// A script, its argument, and what must be found: an id and where.
struct Left {
    script: &'static str,
    argument: &'static str,
    found: &'static [(&'static str, &'static str)],
    /// What must not be said, since it is right.
    right: &'static [&'static str],
}

const ALL: [Left; 7] = [
    Left {
        script: "env_require",
        argument: "",
        found: &[
            ("image-hba-no-local", ".docker/postgres/config/pg_hba.conf"),
            ("superuser-from-anywhere", ".docker/postgres/config/pg_hba.conf:1"),
            ("open-to-the-world", ".docker/postgres/config/pg_hba.conf:1"),
            ("listens-on-loopback", ".docker/postgres/config/postgresql.conf"),
            ("container-key-owner", "docker-compose.yml:14"),
            ("container-file-mount", "docker-compose.yml:14"),
            ("compose-volume-undeclared", "docker-compose.yml:15"),
            ("compose-password", "docker-compose.yml:7"),
            ("compose-port-open", "docker-compose.yml:5"),
            ("certificate-no-san", ".docker/postgres/certs/cert.pem"),
            ("certificate-lifetime", ".docker/postgres/certs/cert.pem"),
            ("certificate-self-signed", ".docker/postgres/certs/cert.pem"),
            ("client-sslmode-weak", ".env:1"),
            ("client-password-in-url", ".env:1"),
            ("client-database-missing", ".env:1"),
        ],
        right: &["tls-off", "image-default-hba", "plaintext-way-in", "key-mismatch"],
    },
    Left {
        script: "env_mutual",
        argument: "",
        found: &[
            ("image-hba-no-local", ".docker/postgres/config/pg_hba.conf"),
            ("ident-never-matches", ".docker/postgres/config/pg_ident.conf:1"),
            ("listens-on-loopback", ".docker/postgres/config/postgresql.conf"),
            ("container-key-owner", "docker-compose.yml:15"),
            ("container-file-mount", "docker-compose.yml:14"),
            ("compose-password", "docker-compose.yml:7"),
            ("compose-port-open", "docker-compose.yml:5"),
            ("ca-key-beside", ".docker/postgres/certs/root.key"),
            ("certificate-lifetime", ".docker/postgres/certs/root.crt"),
            ("certificate-lifetime", ".docker/postgres/certs/server.crt"),
            ("certificate-lifetime", ".docker/postgres/certs/client.crt"),
            ("client-password-in-url", ".env:1"),
        ],
        right: &[
            "client-sslmode-weak",
            "cert-without-ca",
            "certificate-no-san",
            "key-mismatch",
        ],
    },
    Left {
        script: "notes",
        argument: "",
        found: &[
            ("hba-no-local", "etc/postgresql/pg_hba.conf"),
            ("listens-on-loopback", "etc/postgresql/postgresql.conf"),
            ("clientcert-missing", "etc/postgresql/pg_hba.conf:2"),
        ],
        right: &[
            "key-exposed",
            "certificate-no-san",
            "certificate-lifetime",
            "client-sslmode-weak",
            "client-password-in-url",
            "client-verification-off",
            "plaintext-way-in",
        ],
    },
    Left {
        script: "data_directory",
        argument: "",
        found: &[
            ("hba-broken", "pg_hba.conf:7"),
            ("hba-broken", "pg_hba.conf:8"),
            ("client-old-clientcert", "pg_hba.conf:7"),
            ("md5-method", "pg_hba.conf:5"),
            ("open-to-the-world", "pg_hba.conf:5"),
            ("certificate-expires", "server.crt"),
        ],
        right: &[
            "hba-no-local",
            "listens-on-loopback",
            "key-exposed",
            "key-mismatch",
        ],
    },
    Left {
        script: "run_line",
        argument: "",
        found: &[
            ("trust-remote", "run.sh:2"),
            ("image-default-hba", "run.sh:2"),
            ("compose-port-open", "run.sh:2"),
            ("container-data-lost", "run.sh:2"),
            ("container-key-taken", "run.sh:2"),
            ("image-floating", "run.sh:2"),
            ("hba-broken", "pg_hba.conf:4"),
            ("hba-broken", "pg_hba.conf:6"),
            ("certificate-expires", "tls/server.crt"),
        ],
        right: &["tls-off", "compose-password", "certificate-no-san"],
    },
    Left {
        script: "self_signed",
        argument: "",
        found: &[
            ("image-default-hba", "docker-compose.yml:4"),
            ("container-key-owner", "docker-compose.yml:12"),
            ("compose-password", "docker-compose.yml:9"),
            ("compose-port-open", "docker-compose.yml:19"),
            ("certificate-no-san", "postgres-certs/server.crt"),
            ("certificate-self-signed", "postgres-certs/server.crt"),
            ("client-sslmode-weak", "connect.sh:3"),
            ("client-password-in-url", "connect.sh:3"),
        ],
        right: &[
            "image-hba-no-local",
            "compose-volume-undeclared",
            "certificate-lifetime",
        ],
    },
    Left {
        script: "self_signed",
        argument: "enforced",
        found: &[
            ("image-hba-no-local", "postgres-certs/pg_hba.conf"),
            ("superuser-from-anywhere", "postgres-certs/pg_hba.conf:2"),
            ("container-key-owner", "docker-compose.yml:12"),
        ],
        right: &["image-default-hba", "plaintext-way-in"],
    },
];

fn build(left: &Left, project: &Project) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/compose/left/{}.sh", left.script));
    // Given on standard input: another account need not be able to reach the checkout.
    let text = std::fs::read_to_string(script).unwrap();
    Job::new("bash")
        .args(["-c", &text, left.script, left.argument])
        .dir(&project.dir)
        .account(&project.account)
        .run()
        .expect_ok(left.script);
}

fn named(audit: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let findings = audit["findings"].as_array().unwrap();
    for finding in findings {
        assert!(!finding["evidence"].as_array().unwrap().is_empty(), "{finding}");
        assert!(
            !text(&finding["why"]).is_empty() && !text(&finding["remedy"]).contains("{what}"),
            "{finding}"
        );
    }
    findings
        .iter()
        .map(|finding| (text(&finding["id"]), text(&finding["where"])))
        .collect()
}

/// What `pgtls audit` says of the directory.
fn graded(left: &Left, project: &Project) {
    let before = project.files();
    let run = project.pgtls(&["audit", "--json"]).run();
    let audit = run.json();
    let named = named(&audit);
    for (id, place) in left.found {
        let is_there = named.iter().any(|(known, at)| known == id && at == place);
        assert!(
            is_there,
            "{} {}: no {id} at {place}: {named:#?}",
            left.script, left.argument
        );
    }
    for id in left.right {
        assert!(
            named.iter().all(|(known, _)| known != id),
            "{}: {id}: {named:#?}",
            left.script
        );
    }
    let breaks = left.script != "notes";
    assert_eq!(run.status, Some(i32::from(breaks)), "{}", run.stderr);
    assert!(!run.stdout.contains("securepassword") && !run.stdout.contains(":postgres@"));
    assert_eq!(project.files(), before, "an audit only reads");
    // The directory as an argument, and as a page.
    let page = project
        .pgtls(&["audit", &project.dir.display().to_string(), "--markdown"])
        .run();
    assert!(page.stdout.contains("# TLS audit of") && page.stdout.contains("no server was asked"));
}

/// A database beside it, and everything else as it was.
fn put_right(left: &Left, it: &Contained) {
    let before = it.project.files();
    let up = it.up("mtls", "postgres:17", &[]).expect_status(0);
    assert_eq!(up.json()["verify"]["verdict"], "verified", "{}", left.script);
    assert!(
        up.stderr.contains("found beside it"),
        "{}: {}",
        left.script,
        up.stderr
    );
    let tls = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let conninfo = it.conninfo("app");
    assert_eq!(
        psql_as(&it.project.account, &conninfo, tls)
            .expect_ok("psql")
            .stdout,
        "t\n"
    );
    let plain = psql_as(&it.project.account, &format!("{conninfo} sslmode=disable"), tls);
    assert!(
        !plain.ok && plain.stderr.contains("no encryption"),
        "{}",
        plain.stderr
    );
    let same = |when: &str| {
        let after = it.project.files();
        for (path, file) in &before {
            assert_eq!(
                after.get(path),
                Some(file),
                "{} {when}: {}",
                left.script,
                path.display()
            );
        }
    };
    same("after up");
    let container = it.container();
    it.pgtls(&["up", "--yes"]).run().expect_status(0);
    assert_eq!(it.container(), container);
    it.pgtls(&["down", "--volumes", "--yes"]).run().expect_status(0);
    same("after down");
}

#[test]
fn what_walk_throughs_leave_is_named_and_put_right_beside_them() {
    let docker = Docker::find().filter(|docker| docker.has("postgres:17"));
    std::thread::scope(|scope| {
        for left in &ALL {
            let docker = docker.as_ref();
            scope.spawn(move || match docker {
                // The later step of the last one differs in nothing that matters to a database beside it.
                Some(docker) if left.argument.is_empty() => {
                    let it = Contained::new(docker, &Account::ordinary());
                    build(left, &it.project);
                    graded(left, &it.project);
                    put_right(left, &it);
                }
                _ => {
                    let project = Project::new(&Account::ordinary());
                    build(left, &project);
                    graded(left, &project);
                }
            });
        }
    });
}
