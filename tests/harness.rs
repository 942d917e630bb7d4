//! The harness itself: a server of each version really speaks TLS, and really keeps its promises, before pgtls is asked.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::{Account, Ca, Postgres, TestServer, psql, psycopg};

/// mTLS by hand lets in who holds the certificate, and nobody else: what the sabotages then break is really there.
fn honest(major: u16) {
    let Some(postgres) = Postgres::find(major) else {
        return;
    };
    let ca = Ca::new("test ca");
    let server = TestServer::builder(&postgres)
        .tls(&ca.server(&["localhost", "127.0.0.1"]))
        .client_ca(&ca.cert)
        .hba("hostssl all app all cert")
        .sql("create role app login")
        .start();
    let client = ca.client("app");
    let public = format!(
        "host=localhost port={} user=app dbname=postgres sslmode=verify-full sslrootcert={}",
        server.port,
        ca.cert.display()
    );
    let full = format!(
        "{public} sslcert={} sslkey={}",
        client.cert.display(),
        client.key.display()
    );
    let tls = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(psql(&full, tls).expect_ok("psql").stdout, "t\n");
    if let Some(outcome) = psycopg(&Account::current(), &full, tls) {
        assert_eq!(outcome.expect_ok("psycopg").stdout, "True\n");
    }
    assert!(
        psql(&public, tls)
            .stderr
            .contains("requires a valid client certificate")
    );
    assert!(
        psql(&format!("{full} sslmode=disable"), tls)
            .stderr
            .contains("no pg_hba.conf entry")
    );
}

#[test]
fn honest_13() {
    honest(13);
}

#[test]
fn honest_15() {
    honest(15);
}

#[test]
fn honest_17() {
    honest(17);
}

#[test]
fn honest_18() {
    honest(18);
}

/// A dropped server leaves neither process nor directory.
#[test]
fn dropped_server_is_gone() {
    let Some(postgres) = Postgres::any() else { return };
    let server = TestServer::builder(&postgres).start();
    let data = server.data.clone();
    let pid = std::fs::read_to_string(data.join("postmaster.pid"))
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    drop(server);
    assert!(!data.exists());
    assert!(!std::path::Path::new("/proc").join(pid).exists());
}

/// Tests that act as somebody without privileges really do.
#[test]
fn ordinary_is_not_root() {
    let id = support::Job::new("id")
        .arg("-u")
        .account(&Account::ordinary())
        .run()
        .expect_ok("id");
    assert_ne!(id.stdout.trim(), "0");
}
