//! What must not be mistaken for a broken promise, nor for a kept one: honest servers, and failures that prove nothing.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::scene::{Cast, HBA_MTLS, HBA_ONE_WAY, NAMES, open, probe, verified, with};
use support::{Job, Postgres, psql, wait_for};

/// The positive control: on an honest server all seventeen hold.
fn honest_mtls(major: u16) {
    let Some(postgres) = Postgres::find(major) else {
        return;
    };
    let cast = Cast::of(postgres);
    let server = cast.server().hba(HBA_MTLS).start();
    let outcome = cast.mtls(server.port, "");
    verified(&outcome);
    assert_eq!(outcome.json()["probes"].as_array().unwrap().len(), 17);
}

#[test]
fn honest_mtls_13() {
    honest_mtls(13);
}

#[test]
fn honest_mtls_15() {
    honest_mtls(15);
}

#[test]
fn honest_mtls_17() {
    honest_mtls(17);
}

#[test]
fn honest_mtls_18() {
    honest_mtls(18);
}

/// One-way asks nothing of clients' certificates: what it does not promise is not told as kept or broken.
#[test]
fn honest_one_way() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server_with(&cast.ca.server(&NAMES)).hba(HBA_ONE_WAY).start();
    let outcome = cast.one_way(server.port, "");
    let report = outcome.clone().expect_status(0).json();
    assert_eq!(report["verdict"], "verified");
    assert_eq!(with(&report, &Value::Bool(false)), BTreeSet::new());
    let open = with(&report, &Value::Null);
    assert!(
        open.iter()
            .all(|id| id.contains("certificate") || id == "other-name-refused"),
        "{open:?}"
    );
}

/// A full server refuses everybody: that proves neither that the right ones may come in nor that the wrong ones may not.
#[test]
fn innocent_full_server() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .conf(
            "max_connections = 4\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\nautovacuum = off",
        )
        .hba(HBA_MTLS)
        .start();
    let logins = || server.log().matches("connection authorized").count();
    let before = logins();
    let holders: Vec<_> = (0..4)
        .map(|_| Job::new("psql").args(["-X", "-w", "-c", "select pg_sleep(300)", "-d", &server.socket()]))
        .map(|holder| holder.account(&support::Account::server()).start())
        .collect();
    // All of them first: a login that looks too early takes the place of one that is to hold it.
    wait_for("four sessions", Duration::from_secs(60), || {
        (logins() >= before + 4).then_some(())
    });
    let looked = format!(
        "{} sslcert={} sslkey={}",
        cast.conninfo(server.port),
        cast.client.cert.display(),
        cast.client.key.display()
    );
    let answer = psql(&looked, "select 1");
    assert!(answer.stderr.contains("too many clients"), "{}", answer.stderr);
    let outcome = cast.mtls(server.port, "");
    drop(holders);
    let blind = [
        "authenticated",
        "server-agrees",
        "plaintext-refused",
        "no-certificate-refused",
        "other-name-refused",
    ];
    open(&outcome, &blind);
    assert!(outcome.stdout.contains("53300"), "{}", outcome.stdout);
}

#[test]
fn innocent_wrong_database() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_MTLS).start();
    let outcome = cast.mtls(server.port, "dbname=nowhere");
    open(
        &outcome,
        &[
            "authenticated",
            "server-agrees",
            "hba-has-no-plaintext-way-in",
            "settings-in-force",
        ],
    );
    assert!(
        outcome.stdout.contains("3D000") && outcome.stdout.contains("nowhere"),
        "{}",
        outcome.stdout
    );
}

/// TCP is answered, and then nothing ever is.
#[test]
fn innocent_silence() {
    let Some(cast) = Cast::new() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let outcome = cast.mtls(listener.local_addr().unwrap().port(), "host=127.0.0.1");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "took {:?}",
        begun.elapsed()
    );
    let report = outcome.json();
    assert_eq!(probe(&report, "reach")["holds"], true);
    let kept = with(&report, &Value::Bool(true));
    assert!(
        kept.iter().all(|id| id == "reach"),
        "silence proves nothing: {kept:?}"
    );
    open(
        &outcome,
        &[
            "ssl-offered",
            "handshake",
            "plaintext-refused",
            "old-tls-refused",
            "no-certificate-refused",
        ],
    );
    outcome.expect_status(4);
}

/// Not PostgreSQL at all: whatever it says proves nothing, and nothing hangs.
#[test]
fn innocent_stranger() {
    let Some(cast) = Cast::new() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(std::io::Write::write_all(
                &mut &stream,
                b"SSH-2.0-OpenSSH_9.2\r\n",
            ));
        }
    });
    let report = cast.mtls(port, "host=127.0.0.1").json();
    let kept = with(&report, &Value::Bool(true));
    assert!(
        kept.iter().all(|id| id == "reach"),
        "a stranger proves nothing: {kept:?}"
    );
    assert!(
        ["refused", "undetermined"]
            .iter()
            .any(|verdict| report["verdict"] == *verdict),
        "{report:#}"
    );
}
