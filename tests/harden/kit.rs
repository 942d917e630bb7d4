//! The kit of a server that is hardened: it is verified by what is in force, and what it says of connecting can be done.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::live::{Live, plain, wait_until};
use crate::support::{Ca, Postgres, TestServer, psql_job, scratch};

fn verify(live: &Live, status: i32) -> Value {
    live.pgtls(&["verify"]).run().expect_status(status).json()
}

fn holds(report: &Value, id: &str) -> Option<bool> {
    let probes = report["probes"].as_array().unwrap();
    probes.iter().find(|probe| probe["id"] == id)?["holds"].as_bool()
}

/// Who was never seen connects to the database that the first line for it names.
#[test]
fn a_kit_names_the_database_of_the_rules() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = Live::new(
        TestServer::builder(&postgres)
            .conf("ssl = off\npassword_encryption = 'scram-sha-256'")
            .hba(
                "host all all 127.0.0.2/32 reject\nhost replication,shop analyst 127.0.0.1/32 scram-sha-256\n\
                 host samerole all 127.0.0.1/32 scram-sha-256\nhost orders +buyers 127.0.0.1/32 scram-sha-256\n\
                 host sameuser own 127.0.0.1/32 scram-sha-256\nhost all all all scram-sha-256",
            )
            .sql("create role app login password 'pw'")
            .sql("create role analyst login password 'pw'")
            .sql("create role own login password 'pw'")
            .sql("create role buyers")
            .sql("create role clerk login in role buyers")
            .start(),
    )
    .at(&["on"]);
    live.in_force("mtls", &["--ask"]);
    for (role, database) in [
        ("analyst", "shop"),
        ("own", "own"),
        ("clerk", "orders"),
        ("app", "postgres"),
    ] {
        let conninfo = fs::read_to_string(live.kit.join(format!("clients/{role}/conninfo"))).unwrap();
        assert!(conninfo.contains(&format!("dbname={database}")), "{conninfo}");
    }

    // A certificate of a CA that is not named is not silently left out.
    let kit = live.kit.join("clients/app");
    let [certificate, key] = ["client.crt", "client.key"].map(|name| kit.join(name).display().to_string());
    let refused = live
        .stage("mtls", &["--client-cert", &certificate, "--client-key", &key])
        .expect_status(2);
    assert!(refused.stderr.contains("--client-ca FILE"), "{}", refused.stderr);
}

#[test]
fn a_kit_is_verified_by_the_stages_that_are_in_force() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let mut live = plain(&postgres);
    // The first name is one that this machine does not know (RFC 6761).
    let names = [
        "--host",
        "db.shop.test",
        "--host",
        "localhost",
        "--host",
        "127.0.0.1",
    ];
    live.in_force("on", &names);
    let report = verify(&live, 0);
    assert_eq!(report["verdict"], "verified", "{report:#}");
    assert_eq!(holds(&report, "chain"), Some(true));
    assert_eq!(holds(&report, "plaintext-refused"), None, "no promise yet");

    live.in_force("require", &[]);
    let report = verify(&live, 0);
    assert_eq!(holds(&report, "plaintext-refused"), Some(true), "{report:#}");
    // With the password nothing is left out.
    live.server.sql("alter role postgres password 'pw'");
    let with = |password| live.pgtls(&["verify"]).env("PGPASSWORD", password).run();
    let report = with("pw").expect_status(0).json();
    assert_eq!(holds(&report, "authenticated"), Some(true), "{report:#}");
    assert_eq!(holds(&report, "hba-has-no-plaintext-way-in"), Some(true));
    // What is wrong is not overlooked.
    with("other").expect_status(1);
    let hba = live.server.data.join("pg_hba.conf");
    let required = fs::read_to_string(&hba).unwrap();
    live.server.set_hba("host all all all scram-sha-256");
    assert!(wait_until(Duration::from_secs(60), || live
        .app("sslmode=disable")
        .ok));
    let report = verify(&live, 1);
    assert_eq!(holds(&report, "plaintext-refused"), Some(false), "{report:#}");
    fs::write(&hba, required).unwrap();
    assert!(live.server.restart(), "{}", live.server.log());
    verify(&live, 0);

    live.in_force("mtls", &["--ask"]);
    assert_eq!(holds(&verify(&live, 0), "no-certificate-refused"), None);
    live.in_force("mtls", &[]);
    let report = verify(&live, 0);
    assert_eq!(holds(&report, "no-certificate-refused"), Some(true), "{report:#}");
    live.undo();
    assert_eq!(holds(&verify(&live, 0), "no-certificate-refused"), None);
    live.server.stop();
    assert_eq!(live.pgtls(&["verify"]).run().status, Some(1));
}

#[test]
fn how_a_kit_connects_can_be_done_as_it_is_said() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    live.server.sql("create database shop");
    let conninfo = format!(
        "host=localhost port={} user=app password=pw dbname=shop {}",
        live.server.port,
        live.full()
    );
    let session = psql_job(&live.account, &conninfo, "select pg_sleep(100)").start();
    let known = "select count(*) from pg_stat_activity where usename = 'app'";
    assert!(wait_until(Duration::from_secs(60), || {
        live.server.sql(known).stdout.trim() == "1"
    }));
    live.stage("watch", &["--for", "1"]).expect_status(0);
    live.server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'");
    session.finish();
    let report = live.stage("mtls", &["--ask"]).expect_status(0);
    drop(report);
    let connect = |args: &[&str]| {
        let home = scratch("home");
        live.account.own(&home);
        live.pgtls(&[&["connect"][..], args].concat())
            .env("HOME", &home)
            .run()
            .expect_status(0)
    };
    let said = connect(&["psql", "--client", "app"]).json();
    let text = said.to_string();
    assert!(text.contains("shop") && !text.contains("passfile"), "{said:#}");
    connect(&["psql", "--client", "app", "--install"]);
    connect(&["service", "--client", "app", "--install"]);
}

#[test]
fn a_kit_for_which_nothing_had_to_change_is_that_servers_all_the_same() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let company = Ca::new("company");
    let live = Live::new(
        TestServer::builder(&postgres)
            .tls(&company.server(&["localhost"]))
            .conf("ssl_min_protocol_version = 'TLSv1.2'")
            .hba("hostssl all all all scram-sha-256")
            .sql("create role app login password 'pw'")
            .start(),
    );
    let root = live.kit.join("company.crt");
    fs::copy(&company.cert, &root).unwrap();
    live.account.own(&root);
    let conninfo = format!("{} sslrootcert={}", live.server.socket(), root.display());
    let report = live
        .pgtls(&["harden", &conninfo, "--yes", "--stage", "on"])
        .run()
        .expect_status(0)
        .json();
    assert_eq!(report["files"].as_array().unwrap().len(), 0, "{report:#}");
    let said = report["notes"].to_string();
    assert!(said.contains("the certificate in force stays"), "{said}");
    let kit_root = live.kit.join("clients/postgres/root.crt");
    let known = fs::read(&kit_root).unwrap();
    assert_eq!(known, fs::read(&company.cert).unwrap());

    // Nothing of the kit's own is made for it: its certificate is another CA's.
    let before = live.files();
    let refused = live.pgtls(&["renew", "--yes"]).run().expect_status(2);
    assert!(
        refused.stderr.contains("is not of this kit's CA"),
        "{}",
        refused.stderr
    );
    assert!(live.files() == before);
    assert_eq!(fs::read(&kit_root).unwrap(), known);
    assert!(!live.kit.join("server/postgresql.conf").exists());
    assert!(!live.kit.join("clients/postgres/passfile").exists());
}

#[test]
fn whose_role_comes_in_over_the_socket_alone_is_verified_without_a_login() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let live = Live::new(
        TestServer::builder(&postgres)
            .hba("host all app 127.0.0.1/32 scram-sha-256\nhost all app ::1/128 scram-sha-256")
            .sql("create role app login password 'pw'")
            .start(),
    );
    live.in_force("on", &[]);
    let report = verify(&live, 0);
    assert_eq!(report["verdict"], "verified", "{report:#}");
    let said = report["headline"].as_str().unwrap();
    assert!(said.contains("comes in over the server's socket"), "{said}");
}

#[test]
fn an_intermediate_ca_that_is_not_sent_is_named_as_what_is_missing() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let root = Ca::new("root");
    let live = Live::new(
        TestServer::builder(&postgres)
            .tls(&root.intermediate("between").server(&["localhost"]))
            .hba("hostssl all all all scram-sha-256")
            .start(),
    );
    let file = live.kit.join("company.crt");
    fs::copy(&root.cert, &file).unwrap();
    live.account.own(&file);
    let conninfo = format!("{} sslrootcert={}", live.server.socket(), file.display());
    let refused = live
        .pgtls(&["harden", &conninfo, "--yes", "--stage", "on"])
        .run()
        .expect_status(1)
        .stderr;
    for word in [
        "sends its certificate alone",
        "between",
        "company.crt",
        "append its certificate to server.crt",
    ] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
}
