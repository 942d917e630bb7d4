//! One fault a row, wherever it may be found, and beside it what looks alike and is none.

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::*;

const HBA: &str = "local all all trust\nhostssl app app 10.0.0.0/8 scram-sha-256\n";
const CONF: &str =
    "listen_addresses = '*'\nssl = on\nssl_cert_file = '/tls/server.crt'\nssl_key_file = '/tls/server.key'\n";
/// A service in which nothing is wrong that these tests are about.
const GOOD: &str = "services:
  db:
    image: postgres:17
    command: [postgres, -c, config_file=/tls/postgresql.conf, -c, hba_file=/tls/pg_hba.conf]
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/db}
    ports: ['127.0.0.1:5432:5432']
    volumes:
      - ./tls:/tls:ro
      - data:/var/lib/postgresql/data
volumes:
  data:
";

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        for dir in Path::new(path)
            .ancestors()
            .skip(1)
            .filter(|dir| !dir.as_os_str().is_empty())
        {
            tree.entries.insert(
                dir.to_path_buf(),
                Entry {
                    bytes: None,
                    is_dir: true,
                    mode: 0o755,
                    uid: 999,
                    gid: 999,
                },
            );
        }
        let entry = Entry {
            bytes: Some(Zeroizing::new(text.as_bytes().to_vec())),
            is_dir: false,
            mode: 0o600,
            uid: 999,
            gid: 999,
        };
        tree.entries.insert(PathBuf::from(path), entry);
    }
    tree
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let audit = grade_tree("here", &tree(files), OffsetDateTime::UNIX_EPOCH);
    audit
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.id, finding.place))
        .collect()
}

/// The good project with its compose file changed.
fn with(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    found(&[
        ("compose.yml", &GOOD.replace(from, to)),
        ("tls/postgresql.conf", CONF),
        ("tls/pg_hba.conf", HBA),
        ("tls/server.crt", "x"),
        ("tls/server.key", "x"),
    ])
}

#[test]
fn a_good_project_has_no_finding() {
    assert_eq!(with("db", "db"), Vec::<String>::new());
}

#[test]
fn each_fault_of_a_compose_file_is_named_at_its_line() {
    for (from, to, expected) in [
        (
            "'127.0.0.1:5432:5432'",
            "'5432:5432'",
            Some("compose-port-open compose.yml:6"),
        ),
        ("'127.0.0.1:5432:5432'", "'${ADDRESS:-127.0.0.1}:5432:5432'", None),
        (
            "'127.0.0.1:5432:5432'",
            "{target: 5432, published: 1}",
            Some("compose-port-open compose.yml:6"),
        ),
        (
            "POSTGRES_PASSWORD_FILE: /run/secrets/db",
            "POSTGRES_PASSWORD: x",
            Some("compose-password compose.yml:5"),
        ),
        (
            "POSTGRES_PASSWORD_FILE: /run/secrets/db",
            "POSTGRES_PASSWORD: '${SECRET}'",
            None,
        ),
        (
            "- data:/var/lib/postgresql/data",
            "- data:/var/lib/postgresql",
            Some("container-data-mount compose.yml:9"),
        ),
        (
            "postgres:17",
            "postgres:18",
            Some("container-data-mount compose.yml:9"),
        ),
        (
            "- data:/var/lib/postgresql/data",
            "- other:/var/lib/postgresql/data",
            Some("compose-volume-undeclared compose.yml:9"),
        ),
        (
            "      - data:/var/lib/postgresql/data\n",
            "",
            Some("container-data-lost compose.yml:2"),
        ),
        (
            "./tls:/tls:ro",
            "./tsl:/tls:ro",
            Some("container-source-missing compose.yml:8"),
        ),
        (
            "postgres:17",
            "postgres:latest",
            Some("image-floating compose.yml:3"),
        ),
        (
            "[postgres, -c",
            "[sh, -c",
            Some("container-entrypoint compose.yml:4"),
        ),
        (
            "    command: [postgres, -c, config_file=/tls/postgresql.conf, -c, hba_file=/tls/pg_hba.conf]\n",
            "",
            Some("tls-off compose.yml:2"),
        ),
        (
            ", -c, hba_file=/tls/pg_hba.conf",
            "",
            Some("image-default-hba compose.yml:2"),
        ),
        (
            "hba_file=/tls/pg_hba.conf]",
            "hba_file=/tls/hba]",
            Some("container-file-missing compose.yml:8"),
        ),
        (
            "hba_file=/tls/pg_hba.conf]",
            "hba_file=/tls/pg_hba.conf, --ssl=off]",
            Some("tls-off compose.yml:4"),
        ),
    ] {
        let found = with(from, to);
        match expected {
            Some(expected) => assert!(found.iter().any(|one| one == expected), "{to}: {found:?}"),
            None => assert_eq!(found, Vec::<String>::new(), "{to}"),
        }
    }
}

#[test]
fn trust_in_the_environment_is_a_way_in() {
    let audit = grade_tree(
        "here",
        &tree(&[(
            "compose.yml",
            "services:\n  db:\n    image: postgres:17\n    environment:\n      - POSTGRES_HOST_AUTH_METHOD=trust\n",
        )]),
        OffsetDateTime::UNIX_EPOCH,
    );
    assert_eq!(audit.verdict, Verdict::Broken);
    assert!(
        audit
            .findings
            .iter()
            .any(|one| one.id == "trust-remote" && one.place == "compose.yml:5")
    );
}

#[test]
fn what_an_override_takes_away_is_told() {
    let found = found(&[
        (
            "compose.yml",
            "services:\n  db:\n    image: postgres:17\n    command: -c ssl=on -c ssl_min_protocol_version=TLSv1.3\n",
        ),
        (
            "compose.override.yml",
            "services:\n  db:\n    command: -c shared_buffers=1GB -c ssl=on\n",
        ),
    ]);
    assert!(
        found.contains(&"command-drops-settings compose.override.yml:3".to_owned()),
        "{found:?}"
    );
}

#[test]
fn scripts_of_the_first_start_are_judged() {
    let compose = "services:\n  db:\n    image: postgres:17\n    command: -c ssl=on -c ssl_key_file=/k/server.key\n    volumes:\n      - ./init:/docker-entrypoint-initdb.d\n      - data:/var/lib/postgresql/data\nvolumes: {data: }\n";
    let found = found(&[
        ("compose.yml", compose),
        (
            "init/1.sh",
            "#!/bin/sh\nset -e\nopenssl req -x509 -keyout /k/server.key -out /k/server.crt\n",
        ),
        (
            "init/2.sh",
            "echo 'hostssl all all all scram-sha-256' >> \"$PGDATA/pg_hba.conf\"\n",
        ),
        ("init/3.sql", "-- ssl = on\nCREATE TABLE a ();\n"),
    ]);
    for expected in [
        "init-script-once init/1.sh:3",
        "init-script-too-late init/1.sh:3",
        "init-script-once init/2.sh:1",
        "init-script-shadowed init/2.sh:1",
    ] {
        assert!(found.iter().any(|one| one == expected), "{expected}: {found:?}");
    }
    assert!(!found.iter().any(|one| one.contains("3.sql")), "{found:?}");
}

#[test]
fn a_key_in_another_text_is_found_and_a_talk_about_one_is_not() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n";
    assert_eq!(
        found(&[("app.yml", &format!("k: |\n  {key}"))]),
        ["key-inline app.yml:2"]
    );
    assert_eq!(
        found(&[
            ("a.key", key),
            ("b.md", "it begins with -----BEGIN PRIVATE KEY-----")
        ]),
        Vec::<String>::new()
    );
}

#[test]
fn a_key_that_an_image_takes_along_is_found() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n";
    let docker = "FROM postgres:17\nCOPY tls/ /etc/tls/\n";
    assert_eq!(
        found(&[("Dockerfile", docker), ("tls/server.key", key)]),
        ["key-in-image Dockerfile:2"]
    );
    let left_out = found(&[
        ("Dockerfile", docker),
        ("tls/server.key", key),
        (".dockerignore", "**/*.key\n"),
    ]);
    assert_eq!(left_out, Vec::<String>::new());
}

#[test]
fn prose_about_a_mode_is_no_advice_to_use_it() {
    assert_eq!(
        found(&[("README.md", "`sslmode=require` verifies nothing.\n")]),
        Vec::<String>::new()
    );
    assert_eq!(
        found(&[("README.md", "Run:\n```sh\npsql 'host=db sslmode=require'\n```\n")]),
        ["client-sslmode-weak README.md:3"]
    );
}

#[test]
fn rules_and_maps_of_files_alone_are_judged() {
    let found = found(&[
        ("pg/postgresql.conf", "ssl = on\nssl_ca_file = 'root.crt'\n"),
        (
            "pg/pg_hba.conf",
            "host all all 0.0.0.0/0 md5\nhostssl all all all cert map=m\n",
        ),
        ("pg/pg_ident.conf", "m /CN=app app\n"),
    ]);
    for expected in [
        "plaintext-way-in pg/pg_hba.conf:1",
        "md5-method pg/pg_hba.conf:1",
        "hba-no-local pg/pg_hba.conf",
        "listens-on-loopback pg/postgresql.conf",
        "ident-never-matches pg/pg_ident.conf:1",
    ] {
        assert!(found.iter().any(|one| one == expected), "{expected}: {found:?}");
    }
}

#[test]
fn nothing_found_where_nothing_is_says_so() {
    let audit = grade_tree(
        "here",
        &tree(&[("main.py", "print(1)\n")]),
        OffsetDateTime::UNIX_EPOCH,
    );
    assert_eq!((audit.verdict, audit.findings.len()), (Verdict::Undetermined, 0));
    let broken = grade_tree(
        "here",
        &tree(&[("compose.yml", "services:\n  db: [\n")]),
        OffsetDateTime::UNIX_EPOCH,
    );
    assert!(
        broken.unseen.iter().any(|unseen| unseen.what == "compose.yml:2"),
        "{:?}",
        broken.unseen
    );
}
