//! `pgtls audit` against real servers: what is wrong with them is found, what is right is not, and nothing is changed.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::{
    Account, Ca, Job, Leaf, Outcome, Postgres, Project, TestServer, pgtls, psql, scratch, wait_for,
};

const MAJORS: [u16; 6] = [13, 14, 15, 16, 17, 18];

fn audit(server: &TestServer, more: &[&str]) -> Outcome {
    // The socket is open to the server's account alone.
    pgtls(["audit", &server.socket(), "--json"])
        .args(more)
        .account(&Account::server())
        .run()
}

fn ids(report: &Value) -> BTreeSet<&str> {
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["id"].as_str().unwrap())
        .collect()
}

#[track_caller]
fn finding<'a>(report: &'a Value, id: &str, place: &str) -> &'a Value {
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["id"] == id && finding["where"].as_str().unwrap().ends_with(place))
        .unwrap_or_else(|| panic!("no {id} at {place}: {report:#}"))
}

/// Every finding is whole.
fn whole(report: &Value) {
    for finding in report["findings"].as_array().unwrap() {
        for key in ["id", "severity", "where", "why", "remedy"] {
            assert!(!finding[key].as_str().unwrap().is_empty(), "{finding:#}");
        }
        assert!(finding["evidence"].is_array());
        assert!(!finding["remedy"].as_str().unwrap().contains("{w"), "{finding:#}");
    }
}

#[test]
fn what_is_wrong_is_found_on_every_version() {
    let ca = Ca::new("ca");
    let leaf = ca.server(&["db.example.org"]);
    for major in MAJORS {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let server = TestServer::builder(&postgres)
            .tls(&leaf)
            .client_ca(&ca.cert)
            .conf(
                "ssl_min_protocol_version = 'TLSv1'\nssl_ciphers = 'ALL'\nssl_prefer_server_ciphers = off\n\
                 password_encryption = md5\nlog_line_prefix = ''\nlisten_addresses = '*'",
            )
            .hba(
                "host all app 0.0.0.0/0 md5\n\
                 hostssl all app 10.0.0.0/8 cert\n\
                 host all ops 10.0.0.0/8 trust\n\
                 host all old 192.0.2.0/24 password\n\
                 host all near 127.0.0.1/32 scram-sha-256\n\
                 hostssl all all all scram-sha-256 clientcert=verify-ca\n\
                 host replication standby 10.0.0.0/8 scram-sha-256",
            )
            .sql("create role app login password 'x'")
            .argument("-c")
            .argument("ssl_ecdh_curve=prime256v1")
            .start();
        server.sql("alter system set log_connections = off");
        server.sql("alter system set ssl_ciphers = 'ALL:!aNULL:RC4'");
        server.sql("select pg_reload_conf()");
        wait_for("the reload", Duration::from_secs(20), || {
            let ciphers = server.sql("show ssl_ciphers").stdout;
            ciphers.contains("RC4").then_some(())
        });
        let report = audit(&server, &[]).expect_status(1).json();
        whole(&report);
        assert_eq!(report["verdict"], "broken");
        assert_eq!(report["server"]["major"], major);
        // The first line of the file is the socket's.
        for (id, place) in [
            ("trust-socket", ":1"),
            ("plaintext-way-in", ":2"),
            ("md5-method", ":2"),
            ("open-to-the-world", ":2"),
            ("hba-shadowed-cert", ":3"),
            ("trust-remote", ":4"),
            ("password-in-clear", ":5"),
            ("plaintext-way-in-loopback", ":6"),
            ("clientcert-verify-ca", ":7"),
            ("superuser-from-anywhere", ":7"),
            ("replication-plaintext", ":8"),
            ("old-tls-allowed", "ssl_min_protocol_version"),
            ("weak-ciphers", "ssl_ciphers"),
            ("client-chooses-cipher", "ssl_prefer_server_ciphers"),
            ("setting-overridden", "ssl_ciphers"),
            ("password-encryption-md5", "password_encryption"),
            ("md5-passwords", "app"),
            ("log-connections-off", "log_connections"),
            ("log-prefix", "log_line_prefix"),
        ] {
            finding(&report, id, place);
        }
        let shadowed = finding(&report, "hba-shadowed-cert", ":3");
        assert!(
            shadowed["evidence"]
                .to_string()
                .contains("host all app 0.0.0.0/0 md5"),
            "{shadowed:#}"
        );
        let unseen = report["unseen"].to_string();
        assert!(
            unseen.contains("--clients") && unseen.contains("--config-dir"),
            "{unseen}"
        );
    }
}

#[test]
fn what_the_views_hide_is_found() {
    for (major, line) in [(13, "clientcert=1"), (15, "clientcert=1"), (18, "clientname=XX")] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let server = TestServer::builder(&postgres)
            .tls(&Leaf::self_signed(&["localhost"]))
            .start();
        let hba = server.data.join("pg_hba.conf");
        let text = format!("local all all peer\nhostssl all all 10.0.0.0/8 scram-sha-256 {line}\n");
        fs::write(&hba, text).unwrap();
        let report = audit(&server, &[]).json();
        if major == 13 {
            finding(&report, "clientcert-old", ":2");
        } else {
            finding(&report, "hba-broken", ":2");
            let shown = server
                .sql("select count(*) from pg_hba_file_rules where error is not null")
                .stdout;
            assert_eq!(shown.trim(), "0", "the view tells it now");
        }
    }
}

#[test]
fn a_good_server_has_nothing_that_breaks_the_promise() {
    let ca = Ca::new("ca");
    let leaf = ca.server_between(&["localhost", "127.0.0.1"], -1, 300);
    for major in [15, 17, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let server = TestServer::builder(&postgres)
            .tls(&leaf)
            .client_ca(&ca.cert)
            .conf("log_disconnections = on\nlog_line_prefix = '%m [%p] %q%u@%d %r '\npassword_encryption = 'scram-sha-256'")
            .hba("hostssl all app 127.0.0.0/8 scram-sha-256 clientcert=verify-full\nhostnossl all all all reject")
            .sql("create role app login password 'right'")
            .start();
        let directory = server.data.display().to_string();
        let before = snapshot(&server.data);
        let report = audit(&server, &["--config-dir", &directory])
            .expect_status(0)
            .json();
        assert_eq!(report["verdict"], "holds", "{report:#}");
        assert_eq!(ids(&report), BTreeSet::from(["trust-socket"]), "{report:#}");
        // Only the clients were not looked at.
        assert_eq!(report["unseen"].as_array().unwrap().len(), 1, "{report:#}");
        assert_eq!(snapshot(&server.data), before, "the audit changed a file");
    }
}

/// The configuration files and their bytes.
fn snapshot(data: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(data)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .filter(|(name, _)| name.contains(".conf") || name.starts_with("server."))
        .collect();
    files.sort();
    files
}

#[test]
fn files_that_are_not_in_force_are_found() {
    let Some(postgres) = Postgres::any() else { return };
    let ca = Ca::new("ca");
    let server = TestServer::builder(&postgres)
        .tls(&ca.server(&["localhost"]))
        .hba("hostnossl all all all reject")
        .start();
    let put = |name: &str, from: &Path| {
        let to = server.data.join(name);
        fs::write(&to, fs::read(from).unwrap()).unwrap();
        Account::server().own(&to);
    };
    let other = ca.server(&["localhost"]);
    put("server.crt", &other.cert);
    let key = server.data.join("server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let directory = server.data.display().to_string();
    let report = audit(&server, &["--config-dir", &directory])
        .expect_status(1)
        .json();
    finding(&report, "certificate-not-served", "server.crt");
    finding(&report, "key-exposed", "server.key");
    // Over SQL alone the certificate is seen as well, the key's mode is not.
    let report = audit(&server, &[]).json();
    finding(&report, "certificate-not-served", "server.crt");
    assert!(
        report["unseen"].to_string().contains("mode and owner of the key"),
        "{report:#}"
    );
}

#[test]
fn rules_that_are_elsewhere_are_read_there() {
    let Some(postgres) = Postgres::any() else { return };
    let access = scratch("access").join("hba.conf");
    fs::write(&access, "local all all trust\nhost all app 10.0.0.0/8 password\n").unwrap();
    // What initdb left in the data directory is nobody's rules.
    let server = TestServer::builder(&postgres)
        .hba("host all all 127.0.0.1/32 trust")
        .argument("-c")
        .argument(&format!("hba_file={}", access.display()))
        .start();
    let directory = server.data.display().to_string();
    let report = audit(&server, &["--config-dir", &directory]).json();
    finding(&report, "password-in-clear", &format!("{}:2", access.display()));
    assert!(!ids(&report).contains("trust-loopback"), "{report:#}");
}

#[test]
fn rules_that_the_server_has_not_read_are_not_taken_for_those_in_force() {
    for major in [13, 15, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let ca = Ca::new("ca");
        let server = TestServer::builder(&postgres)
            .tls(&ca.server(&["localhost"]))
            .hba("host all app 10.0.0.0/8 trust")
            .start();
        let hba = server.data.join("pg_hba.conf");
        let directory = server.data.display().to_string();
        let report = audit(&server, &[]).expect_status(1).json();
        finding(&report, "trust-remote", ":2");
        // The server tells times in whole seconds.
        std::thread::sleep(Duration::from_millis(1500));
        fs::write(&hba, "local all all trust\nhostnossl all all all reject\n").unwrap();
        for more in [&[][..], &["--config-dir", &directory]] {
            let outcome = audit(&server, more).expect_status(4);
            let report = outcome.json();
            assert_eq!(report["verdict"], "undetermined", "{report:#}");
            let found = finding(&report, "rules-not-read", "pg_hba.conf");
            assert_eq!(found["severity"], "high", "{found:#}");
            let said = found.to_string();
            for word in [
                "last read by the server: 20",
                "changed, or put there: 20",
                "pg_reload_conf()",
            ] {
                assert!(said.contains(word), "{said}");
            }
            assert!(
                report["unseen"].to_string().contains("the rules in force"),
                "{report:#}"
            );
        }
        let words = pgtls(["audit", &server.socket()])
            .account(&Account::server())
            .run();
        assert!(
            !words.stdout.to_lowercase().contains("nothing was found"),
            "{}",
            words.stdout
        );
        fs::write(
            server.data.join("postgresql.auto.conf"),
            "log_disconnections = on\n",
        )
        .unwrap();
        let report = audit(&server, &[]).json();
        finding(&report, "settings-not-read", "postgresql.auto.conf");
        server.sql("select pg_reload_conf()");
        wait_for("it has read them", Duration::from_secs(20), || {
            let report = audit(&server, &[]).json();
            (report["verdict"] == "holds" && !ids(&report).contains("settings-not-read")).then_some(())
        });
    }
}

#[test]
fn the_directory_of_another_server_is_refused() {
    let Some(postgres) = Postgres::any() else { return };
    let server = TestServer::builder(&postgres)
        .hba("host all all 0.0.0.0/0 trust")
        .sql("create role plain login")
        .start();
    let other = TestServer::builder(&postgres)
        .hba("hostnossl all all all reject")
        .start();
    let directory = other.data.display().to_string();
    let refused = audit(&server, &["--config-dir", &directory]).expect_status(3);
    assert!(
        refused
            .stderr
            .contains("is not the file that the server reads as")
            && refused.stderr.contains(&directory),
        "{}",
        refused.stderr
    );
    // Who may not see which files they are cannot have them compared: nothing is called good by them.
    let plain = server.socket().replace("user=postgres", "user=plain");
    let report = pgtls(["audit", &plain, "--json", "--config-dir", &directory])
        .account(&Account::server())
        .run()
        .json();
    assert_ne!(report["verdict"], "holds", "{report:#}");
    assert!(
        report["unseen"]
            .to_string()
            .contains("is the directory of this server"),
        "{report:#}"
    );
}

#[test]
fn the_certificates_own_faults_are_found() {
    let Some(postgres) = Postgres::any() else { return };
    let ca = Ca::new("ca");
    let start = |leaf: &Leaf| {
        TestServer::builder(&postgres)
            .tls(leaf)
            .hba("hostssl all postgres 127.0.0.1/32 trust\nhostnossl all all all reject")
            .start()
    };
    let over_tcp = |server: &TestServer| {
        pgtls(["audit", "--json"])
            .arg(format!(
                "host=127.0.0.1 port={} user=postgres dbname=postgres",
                server.port
            ))
            .run()
            .json()
    };
    let report = over_tcp(&start(&ca.server_between(&["localhost"], -30, -1)));
    assert_eq!(
        finding(&report, "certificate-expired", "127.0.0.1")["severity"],
        "critical"
    );
    assert_eq!(report["verdict"], "broken");
    assert!(
        report["server"]["tls"].as_str().unwrap().starts_with("TLSv1."),
        "{report:#}"
    );
    finding(&report, "certificate-name", "127.0.0.1");

    // As the tutorials make it.
    let dir = scratch("tutorial");
    let leaf = Leaf {
        cert: dir.join("server.crt"),
        key: dir.join("server.key"),
    };
    Job::new("openssl")
        .dir(&dir)
        .args([
            "req",
            "-x509",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "server.key",
            "-out",
            "server.crt",
        ])
        .args(["-days", "36500", "-subj", "/CN=postgres"])
        .run()
        .expect_ok("openssl req");
    let report = over_tcp(&start(&leaf));
    for id in [
        "certificate-lifetime",
        "certificate-self-signed",
        "certificate-no-san",
        "certificate-name",
    ] {
        finding(&report, id, "127.0.0.1");
    }
    let good = over_tcp(&start(&ca.server_between(&["127.0.0.1"], -1, 300)));
    assert!(
        !ids(&good).iter().any(|id| id.starts_with("certificate")),
        "{good:#}"
    );
}

#[test]
fn settings_and_files_that_do_harm_later_are_found() {
    let Some(postgres) = Postgres::any() else { return };
    let ca = Ca::new("ca");
    let dir = scratch("crl");
    fs::write(dir.join("index.txt"), "").unwrap();
    fs::write(
        dir.join("ca.cnf"),
        "[ca]\ndefault_ca = x\n[x]\ndatabase = index.txt\ndefault_md = sha256\n",
    )
    .unwrap();
    Job::new("openssl")
        .dir(&dir)
        .args(["ca", "-gencrl", "-config", "ca.cnf", "-out", "crl.pem"])
        .args([
            "-crl_lastupdate",
            "20200101000000Z",
            "-crl_nextupdate",
            "20200201000000Z",
            "-keyfile",
        ])
        .arg(&ca.key)
        .arg("-cert")
        .arg(&ca.cert)
        .run()
        .expect_ok("openssl ca -gencrl");
    let server = TestServer::builder(&postgres)
        .tls(&ca.server(&["localhost"]))
        .conf("ssl_passphrase_command = 'echo x'\nssl_prefer_server_ciphers = off\nssl_ca_file = ''")
        .argument("-c")
        .argument("ssl_prefer_server_ciphers=on")
        .hba("hostssl all all 10.0.0.0/8 cert")
        .ident("m a\n")
        .start();
    let crl = server.data.join("crl.pem");
    fs::copy(dir.join("crl.pem"), &crl).unwrap();
    Account::server().own(&crl);
    let conf = server.data.join("postgresql.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(
        &conf,
        format!("{text}ssl_crl_file = 'crl.pem'\nmax_connections = 21\n"),
    )
    .unwrap();
    server.sql("select pg_reload_conf()");
    wait_for("the reload", Duration::from_secs(20), || {
        (server.sql("show ssl_crl_file").stdout.trim() == "crl.pem").then_some(())
    });
    fs::write(
        &conf,
        format!("{text}ssl_crl_file = 'crl.pem'\nmax_connections = 21\nno_such_setting = 1\n"),
    )
    .unwrap();
    let directory = server.data.display().to_string();
    Job::new("openssl")
        .args([
            "pkey",
            "-aes256",
            "-passout",
            "pass:x",
            "-in",
            "server.key",
            "-out",
        ])
        .arg("locked.key")
        .dir(&server.data)
        .run()
        .expect_ok("openssl pkey");
    fs::rename(server.data.join("locked.key"), server.data.join("server.key")).unwrap();
    Account::server().own(&server.data.join("server.key"));
    if Account::is_root() {
        std::os::unix::fs::chown(
            server.data.join("server.key"),
            Some(Account::ordinary().uid),
            None,
        )
        .unwrap();
    }
    let report = audit(&server, &["--config-dir", &directory])
        .expect_status(1)
        .json();
    for (id, place) in [
        ("crl-expired", "crl.pem"),
        ("passphrase-no-reload", "ssl_passphrase_command_supports_reload"),
        ("setting-overridden", "ssl_prefer_server_ciphers"),
        ("cert-without-ca", "pg_hba.conf:2"),
        ("ident-broken", "pg_ident.conf:1"),
        ("restart-pending", "max_connections"),
    ] {
        finding(&report, id, place);
    }
    let lines = fs::read_to_string(&conf).unwrap().lines().count();
    finding(&report, "settings-not-taken", &format!("postgresql.conf:{lines}"));
    assert!(
        !ids(&report).contains("client-chooses-cipher"),
        "the command line wins: {report:#}"
    );
    if Account::is_root() {
        finding(&report, "key-wrong-owner", "server.key");
    }
}

#[test]
fn without_tls_and_with_plaintext_sessions() {
    let Some(postgres) = Postgres::any() else { return };
    let server = TestServer::builder(&postgres)
        .hba("host all all 127.0.0.1/32 trust\nhostssl all all all cert")
        .sql("create role \"<script>\" login")
        .start();
    let session = Job::new("psql")
        .args(["-X", "-w", "-c", "select pg_sleep(600)", "-d"])
        .arg(format!(
            "host=127.0.0.1 port={} user=<script> dbname=postgres application_name=a|b sslmode=disable",
            server.port
        ))
        .start();
    wait_for("the session", Duration::from_secs(20), || {
        let count = server
            .sql("select count(*) from pg_stat_activity where usename = '<script>'")
            .stdout;
        (count.trim() == "1").then_some(())
    });
    let report = audit(&server, &[]).expect_status(1).json();
    for id in [
        "tls-off",
        "hostssl-without-tls",
        "trust-loopback",
        "plaintext-session-loopback",
    ] {
        assert!(ids(&report).contains(id), "{id}: {report:#}");
    }
    let sessions = report["sessions"].as_array().unwrap();
    let row = sessions.iter().find(|row| row["user"] == "<script>").unwrap();
    assert!(row["pid"].as_i64().unwrap() > 0 && row["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(row["ssl"], false);
    let page = |flag: &str| {
        pgtls(["audit", &server.socket(), flag])
            .account(&Account::server())
            .run()
            .expect_status(1)
            .stdout
    };
    let html = page("--html");
    assert!(
        html.starts_with("<!DOCTYPE html>") && html.contains("&lt;script&gt;") && !html.contains("<script")
    );
    assert!(
        !html.contains("src=") && !html.contains("href="),
        "the page needs something else"
    );
    let markdown = page("--markdown");
    assert!(markdown.starts_with("# TLS audit of ") && markdown.contains("a\\|b"));
    drop(session);
}

#[test]
fn with_few_privileges_it_says_what_it_could_not_see() {
    let ca = Ca::new("ca");
    for major in [13, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let server = TestServer::builder(&postgres)
            .tls(&ca.server(&["localhost"]))
            .conf("password_encryption = 'scram-sha-256'")
            .hba("hostssl all all all scram-sha-256")
            .sql("create role weak login password 'right'")
            .start();
        let run = |password: &str| {
            pgtls(["audit", "--json"])
                .arg(format!(
                    "host=localhost port={} user=weak dbname=postgres sslrootcert={}",
                    server.port,
                    ca.cert.display()
                ))
                .env("PGPASSWORD", password)
                .run()
        };
        let report = run("right").expect_status(4).json();
        assert_eq!(report["verdict"], "undetermined");
        assert_eq!(report["server"]["superuser"], false);
        let unseen = report["unseen"].to_string();
        for what in ["pg_hba.conf", "pg_authid", "pg_file_settings", "key"] {
            assert!(unseen.contains(what), "{what}: {unseen}");
        }
        let report = run("wrong").expect_status(4).json();
        assert!(report["unseen"].to_string().contains("password"), "{report:#}");
        assert!(report["server"]["certificate_days_left"].as_i64().unwrap() > 20);
    }
}

#[test]
fn a_sandbox_of_our_own_holds() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::current());
    project.up("mtls", &postgres).run().expect_ok("up");
    let conninfo = project
        .pgtls(&["connect", "conninfo"])
        .run()
        .expect_ok("connect")
        .stdout;
    let report = project
        .pgtls(&["audit", conninfo.trim(), "--json"])
        .run()
        .expect_status(0)
        .json();
    assert_eq!(report["verdict"], "holds", "{report:#}");
    assert!(report["server"]["tls"].as_str().unwrap().starts_with("TLSv1.3"));
}

#[test]
fn the_clients_code_is_scanned() {
    let Some(postgres) = Postgres::any() else { return };
    let server = TestServer::builder(&postgres)
        .tls(&Leaf::self_signed(&["localhost"]))
        .start();
    let tree = scratch("code");
    fs::create_dir_all(tree.join("src")).unwrap();
    fs::create_dir_all(tree.join("node_modules/pg")).unwrap();
    fs::write(
        tree.join("src/db.js"),
        "const pool = new Pool({\n  ssl: { rejectUnauthorized: false },\n});\n",
    )
    .unwrap();
    fs::write(
        tree.join(".env"),
        "DATABASE_URL=postgres://app:hunter2@db/app?sslmode=require\n",
    )
    .unwrap();
    fs::write(tree.join("good.py"), "connect('host=db sslmode=verify-full')\n").unwrap();
    fs::write(tree.join("node_modules/pg/x.js"), "rejectUnauthorized: false\n").unwrap();
    fs::write(tree.join("blob"), b"\0rejectUnauthorized: false\n").unwrap();
    let outcome = audit(&server, &["--clients", tree.to_str().unwrap()]);
    let report = outcome.json();
    finding(&report, "client-verification-off", "src/db.js:2");
    finding(&report, "client-sslmode-weak", ".env:1");
    finding(&report, "client-password-in-url", ".env:1");
    assert!(!outcome.stdout.contains("hunter2") && !outcome.stdout.contains("node_modules/pg"));
    assert!(!report["unseen"].to_string().contains("--clients"));
}

#[test]
fn includes_are_read_over_sql() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let server = TestServer::builder(&postgres)
        .tls(&Leaf::self_signed(&["localhost"]))
        .start();
    let put = |name: &str, text: &str| {
        let path = server.data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Account::server().own(path.parent().unwrap());
        fs::write(&path, text).unwrap();
        Account::server().own(&path);
    };
    put("pg_hba.conf", "local all all peer\ninclude_dir more\n");
    put("more/10.conf", "include ../deep/one.conf\n");
    put("deep/one.conf", "host @users all 10.0.0.0/8 trust\n");
    put("deep/users", "app\n");
    let report = audit(&server, &[]).json();
    let found = finding(&report, "trust-remote", "deep/one.conf:1");
    assert!(
        found["evidence"].to_string().contains("host app all"),
        "{found:#}"
    );
}

#[test]
fn a_hundred_thousand_lines_are_graded() {
    let Some(postgres) = Postgres::any() else { return };
    let server = TestServer::builder(&postgres)
        .tls(&Leaf::self_signed(&["localhost"]))
        .start();
    let mut text = String::from("local all all peer\n");
    for n in 0u32..100_000 {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + n);
        writeln!(
            text,
            "hostssl  tenant{n}  role{n}  {ip}/32  scram-sha-256  # tenant number {n}"
        )
        .unwrap();
    }
    text.push_str("host all last 10.0.0.0/8 scram-sha-256\nhostssl tenant7 role7 10.0.0.7/32 cert\n");
    fs::write(server.data.join("pg_hba.conf"), &text).unwrap();
    let directory = server.data.display().to_string();
    for more in [&[][..], &["--config-dir", &directory]] {
        let report = audit(&server, more).expect_status(1).json();
        finding(&report, "plaintext-way-in", ":100002");
        let shadowed = finding(&report, "hba-shadowed-cert", ":100003");
        assert!(shadowed["evidence"].to_string().contains(":9"), "{shadowed:#}");
        assert!(report["findings"].as_array().unwrap().len() < 20);
    }
}

#[test]
fn a_wrong_question_is_told_apart_from_a_bad_server() {
    let dir = scratch("none");
    let alone = pgtls(["audit", "--config-dir", dir.to_str().unwrap()])
        .run()
        .expect_status(2);
    assert!(alone.stderr.contains("CONNINFO"), "{}", alone.stderr);
    let missing = dir.join("nothing").display().to_string();
    let outcome = pgtls(["audit", "host=localhost port=1", "--config-dir", &missing])
        .run()
        .expect_status(2);
    assert!(outcome.stderr.contains(&missing), "{}", outcome.stderr);
    // A socket that is not there: the certificate of whatever else listens on that port is nobody's who was asked about.
    if let Some(postgres) = Postgres::any() {
        let ca = Ca::new("ca");
        let server = TestServer::builder(&postgres)
            .tls(&ca.server(&["localhost"]))
            .start();
        let mistyped = format!(
            "host={}s port={} user=postgres",
            server.dir().display(),
            server.port
        );
        let report = pgtls(["audit", &mistyped, "--json"])
            .run()
            .expect_status(4)
            .json();
        assert!(report["server"]["certificate_days_left"].is_null(), "{report:#}");
        let unseen = report["unseen"].to_string();
        assert!(
            unseen.contains("there is no socket") && !unseen.contains("127.0.0.1"),
            "{unseen}"
        );
    }
    // Nobody answers: nothing is known, and nothing is called good.
    let report = pgtls(["audit", "host=127.0.0.1 port=1 user=x", "--json"])
        .run()
        .expect_status(4)
        .json();
    assert_eq!(report["verdict"], "undetermined");
}

#[test]
fn an_intermediate_ca_that_is_not_sent_is_found() {
    let Some(postgres) = Postgres::any() else { return };
    let root = Ca::new("root");
    let between = root.intermediate("between");
    let leaf = between.server_between(&["127.0.0.1"], -1, 300);
    let dir = scratch("chain");
    let concatenated = |name: &str, files: &[&Path]| {
        let path = dir.join(name);
        fs::write(
            &path,
            files
                .iter()
                .flat_map(|file| fs::read(file).unwrap())
                .collect::<Vec<_>>(),
        )
        .unwrap();
        path
    };
    let whole = Leaf {
        cert: concatenated("whole.crt", &[&leaf.cert, &between.cert]),
        key: leaf.key.clone(),
    };
    let start = |leaf: &Leaf, cas: &Path| {
        TestServer::builder(&postgres)
            .tls(leaf)
            .client_ca(cas)
            .hba("hostssl all postgres 127.0.0.1/32 trust\nhostnossl all all all reject")
            .start()
    };
    let conninfo = |server: &TestServer, more: &str| {
        format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres {more}",
            server.port
        )
    };
    let given = format!("sslrootcert={}", root.cert.display());
    let report = |server: &TestServer, more: &str| {
        pgtls(["audit", "--json"])
            .arg(conninfo(server, more))
            .run()
            .json()
    };
    let opinion = |server: &TestServer, root: Option<&Path>| {
        let mut job = pgtls(["inspect", "--json"]).arg(format!("127.0.0.1:{}", server.port));
        if let Some(root) = root {
            job = job.arg("--root").arg(root);
        }
        job.run().json()["libpq"].as_array().unwrap().last().unwrap()["accepts"].clone()
    };
    let verifies = |server: &TestServer| {
        let full = format!("{given} sslmode=verify-full");
        psql(&conninfo(server, &full), "select 1").status == Some(0)
    };

    let other = Ca::new("other");
    let short = start(&leaf, &other.cert);
    assert!(!verifies(&short));
    let found = report(&short, &given);
    assert_eq!(found["verdict"], "broken", "{found:#}");
    let chain = finding(&found, "certificate-chain", "127.0.0.1").to_string();
    assert!(
        chain.contains("sends its certificate alone")
            && chain.contains("between")
            && chain.contains("ssl_cert_file"),
        "{chain}"
    );
    // Without a root to judge by it is said that this is not known.
    let untold = report(&short, "");
    assert!(!ids(&untold).contains("certificate-chain"), "{untold:#}");
    assert!(
        untold["unseen"].to_string().contains("sslrootcert=FILE"),
        "{untold:#}"
    );
    assert_eq!(opinion(&short, None), Value::Null);
    assert_eq!(opinion(&short, Some(&root.cert)), false);
    drop(short);

    // What is among the CAs of the clients is sent too.
    let company = concatenated("cas.pem", &[&between.cert, &root.cert]);
    for (leaf, cas) in [(&whole, &other.cert), (&leaf, &company)] {
        let good = start(leaf, cas);
        assert!(verifies(&good));
        let report = report(&good, &given);
        assert!(!ids(&report).contains("certificate-chain"), "{report:#}");
        assert!(
            !report["unseen"].to_string().contains("sslrootcert"),
            "{report:#}"
        );
        assert_eq!(opinion(&good, None), Value::Null);
        assert_eq!(opinion(&good, Some(&root.cert)), true);
    }
}

#[test]
fn name_maps_that_reach_a_superuser_are_found() {
    let ca = Ca::new("ca");
    for (major, cn, map, id) in [
        (13, "postgres-svc", r"/^(.*)-svc$", "map-reaches-superuser"),
        (18, "x-postgres@acme.org", "/([a-z]+)@acme", "map-not-tied"),
    ] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let server = TestServer::builder(&postgres)
            .tls(&ca.server(&["127.0.0.1"]))
            .client_ca(&ca.cert)
            .hba("hostssl all all 127.0.0.1/32 cert map=corp")
            .ident(&format!("corp {map} \\1"))
            .start();
        let client = ca.client(cn);
        let login = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=require sslcert={} sslkey={}",
            server.port,
            client.cert.display(),
            client.key.display()
        );
        let psql = psql(&login, "show is_superuser");
        assert_eq!(psql.stdout.trim(), "on", "{}", psql.stderr);
        let report = audit(&server, &[]).expect_status(1).json();
        finding(&report, id, "pg_ident.conf:1");
        let reaches = finding(&report, "map-reaches-superuser", "pg_ident.conf:1");
        assert!(
            reaches["remedy"]
                .to_string()
                .contains("host all postgres all reject"),
            "{reaches:#}"
        );
        whole(&report);
    }
}
