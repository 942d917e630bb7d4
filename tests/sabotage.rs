//! Every probe seen failing: one real server for each promise that breaks just that promise, and the innocent failures
//! that must not be mistaken for a broken promise, nor for a kept one.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Ca, Job, Leaf, Outcome, Postgres, TestServer, pgtls, psql, wait_for};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The records of a server that keeps its promises.
const HBA_MTLS: &str = "hostssl all app all cert";
const HBA_ONE_WAY: &str = "hostssl all app all scram-sha-256";

/// The cast of every scene: a CA, the client it certifies, and another client of the same CA.
struct Cast {
    postgres: Postgres,
    ca: Ca,
    client: Leaf,
    other: Leaf,
}

impl Cast {
    /// For the system's PostgreSQL; `None`, with a skip noted, where there is none.
    fn new() -> Option<Self> {
        Some(Self::of(Postgres::any()?))
    }

    fn of(postgres: Postgres) -> Self {
        let ca = Ca::new("own ca");
        let (client, other) = (ca.client("app"), ca.client("other"));
        Self {
            postgres,
            ca,
            client,
            other,
        }
    }

    /// A server with an honest certificate that asks clients for theirs, and a role `app` that may read every setting.
    /// No `pg_hba.conf` record yet: the scene brings them.
    fn server(&self) -> support::Builder {
        self.server_with(&self.ca.server(&NAMES)).client_ca(&self.ca.cert)
    }

    /// The same with another server certificate, and without a CA for clients.
    fn server_with(&self, leaf: &Leaf) -> support::Builder {
        TestServer::builder(&self.postgres).tls(leaf).sql(
            "set password_encryption = 'scram-sha-256'; create role app login superuser password 'right'",
        )
    }

    /// libpq's keywords for that port, verify-full, without proof of the client.
    fn conninfo(&self, port: u16) -> String {
        format!(
            "host=localhost port={port} user=app dbname=postgres sslmode=verify-full sslrootcert={}",
            self.ca.cert.display()
        )
    }

    /// `pgtls verify --probes all --expect mtls` with the client's certificate and another one of the same CA.
    fn mtls(&self, port: u16, changed: &str) -> Outcome {
        let (cert, key) = (self.client.cert.display(), self.client.key.display());
        verify(
            &format!("{} sslcert={cert} sslkey={key} {changed}", self.conninfo(port)),
            "mtls",
        )
        .arg("--other-cert")
        .arg(&self.other.cert)
        .arg("--other-key")
        .arg(&self.other.key)
        .run()
    }

    /// `pgtls verify --probes all --expect one-way` with the right password.
    fn one_way(&self, port: u16, changed: &str) -> Outcome {
        let passfile = support::scratch("passfile").join("passfile");
        std::fs::write(&passfile, "*:*:*:app:right\n").unwrap();
        std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        verify(
            &format!(
                "{} passfile={} {changed}",
                self.conninfo(port),
                passfile.display()
            ),
            "one-way",
        )
        .run()
    }
}

fn verify(conninfo: &str, expect: &str) -> Job {
    pgtls([
        "verify",
        conninfo,
        "--probes",
        "all",
        "--json",
        "--expect",
        expect,
        "--timeout",
        "3",
    ])
}

fn probe<'a>(report: &'a Value, id: &str) -> &'a Value {
    let probes = report["probes"].as_array().unwrap();
    probes
        .iter()
        .find(|probe| probe["id"] == id)
        .unwrap_or_else(|| panic!("no probe {id}: {report:#}"))
}

/// The probes with that `holds`.
fn with(report: &Value, holds: &Value) -> BTreeSet<String> {
    let probes = report["probes"].as_array().unwrap();
    probes
        .iter()
        .filter(|probe| probe["holds"] == *holds)
        .map(|probe| probe["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The probe says `holds: false` and names the cause; no probe but it and its `consequences` does; nothing is verified.
#[track_caller]
fn broken(outcome: &Outcome, id: &str, causes: &[&str], consequences: &[&str]) {
    let report = outcome.json();
    let found = probe(&report, id);
    assert_eq!(found["holds"], false, "{id}: {report:#}");
    let told = format!("{} {}", found["observed"], found["evidence"]).to_lowercase();
    assert!(
        causes.iter().any(|cause| told.contains(&cause.to_lowercase())),
        "{id} tells none of {causes:?}: {found:#}"
    );
    assert!(
        found["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()),
        "{id} has no remedy: {found:#}"
    );
    let also: BTreeSet<_> = with(&report, &Value::Bool(false));
    let known = |probe: &String| probe == id || consequences.contains(&probe.as_str());
    assert!(also.iter().all(known), "false alarm among {also:?}: {report:#}");
    assert_ne!(report["verdict"], "verified");
    outcome.clone().expect_status(1);
}

/// Nothing is said to be broken, these probes are open, and nothing is verified.
#[track_caller]
fn open(outcome: &Outcome, ids: &[&str]) {
    let report = outcome.json();
    for id in ids {
        assert_eq!(probe(&report, id)["holds"], Value::Null, "{id}: {report:#}");
    }
    assert_eq!(with(&report, &Value::Bool(false)), BTreeSet::new(), "{report:#}");
    assert_ne!(report["verdict"], "verified");
    assert!(
        matches!(outcome.status, Some(1 | 4)),
        "status {:?}",
        outcome.status
    );
}

/// Everything holds.
#[track_caller]
fn verified(outcome: &Outcome) {
    let report = outcome.json();
    assert_eq!(
        with(&report, &Value::Bool(true)).len(),
        report["probes"].as_array().unwrap().len(),
        "{report:#}"
    );
    assert_eq!(report["verdict"], "verified");
    outcome.clone().expect_status(0);
}

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

#[test]
fn reach() {
    let Some(cast) = Cast::new() else { return };
    // Bound on both loopback addresses, never listening: nobody else can take the port meanwhile.
    // A port below 1024 that no program of today uses.
    broken(&cast.mtls(1, ""), "reach", &["refused"], &[]);
}

#[test]
fn ssl_offered() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .conf("ssl = off")
        .hba("hostnossl all all all reject")
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "ssl-offered",
        &["no TLS", "without TLS", "TLS is off", "not offer"],
        &[],
    );
}

#[test]
fn handshake() {
    let Some(cast) = Cast::new() else { return };
    let old = "ssl_min_protocol_version = 'TLSv1'\nssl_max_protocol_version = 'TLSv1.1'\nssl_ciphers = 'ALL:@SECLEVEL=0'";
    let server = cast.server().conf(old).hba(HBA_MTLS).start();
    broken(
        &cast.mtls(server.port, ""),
        "handshake",
        &["protocol version", "TLS 1.1", "1.2"],
        &["old-tls-refused"],
    );
}

#[test]
fn chain() {
    let Some(cast) = Cast::new() else { return };
    let stranger = Ca::new("somebody else's ca").server(&NAMES);
    let server = cast
        .server_with(&stranger)
        .client_ca(&cast.ca.cert)
        .hba(HBA_MTLS)
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "chain",
        &["not trust", "not lead", "issuer", "unknown", "another CA"],
        &[],
    );
}

#[test]
fn chain_of_a_self_signed_certificate() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server_with(&Leaf::self_signed(&NAMES))
        .client_ca(&cast.ca.cert)
        .hba(HBA_MTLS)
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "chain",
        &["self-signed", "self signed", "itself"],
        &[],
    );
}

#[test]
fn host_name() {
    let Some(cast) = Cast::new() else { return };
    let elsewhere = cast.ca.server(&["db.example.test"]);
    let server = cast
        .server_with(&elsewhere)
        .client_ca(&cast.ca.cert)
        .hba(HBA_MTLS)
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "host-name",
        &["db.example.test"],
        &[],
    );
}

#[test]
fn validity_expired() {
    let Some(cast) = Cast::new() else { return };
    let expired = cast.ca.server_between(&NAMES, -30, -3);
    let server = cast
        .server_with(&expired)
        .client_ca(&cast.ca.cert)
        .hba(HBA_MTLS)
        .start();
    broken(&cast.mtls(server.port, ""), "validity", &["expired"], &["chain"]);
}

#[test]
fn validity_in_the_future() {
    let Some(cast) = Cast::new() else { return };
    let future = cast.ca.server_between(&NAMES, 3, 30);
    let server = cast
        .server_with(&future)
        .client_ca(&cast.ca.cert)
        .hba(HBA_MTLS)
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "validity",
        &["not valid before", "not yet valid", "valid from"],
        &["chain"],
    );
}

#[test]
fn authenticated_with_a_wrong_password() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .hba(HBA_ONE_WAY)
        .sql("alter role app password 'changed'")
        .start();
    broken(
        &cast.one_way(server.port, ""),
        "authenticated",
        &["28P01", "password authentication failed"],
        &[],
    );
}

#[test]
fn authenticated_with_a_certificate_for_somebody_else() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .hba("hostssl all all all cert")
        .sql("create role boss login")
        .start();
    let outcome = cast.mtls(server.port, "user=boss");
    broken(
        &outcome,
        "authenticated",
        &["certificate authentication failed", "28000"],
        &[],
    );
}

/// A terminator in the way: our side sees verified TLS, the server sees plaintext.
#[test]
fn server_agrees() {
    let Some(cast) = Cast::new() else { return };
    let leaf = cast.ca.server(&NAMES);
    let server = cast
        .server_with(&leaf)
        .hba("host all app 127.0.0.1/32 trust")
        .start();
    let mut command = Command::new("python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/terminator.py");
    command
        .arg(script)
        .arg(&leaf.cert)
        .arg(&leaf.key)
        .arg(server.port.to_string());
    let mut terminator = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(terminator.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let outcome = cast.one_way(port.trim().parse().unwrap(), "host=127.0.0.1");
    terminator.kill().unwrap();
    terminator.wait().unwrap();
    broken(
        &outcome,
        "server-agrees",
        &["plaintext", "without TLS", "no TLS"],
        &["hba-has-no-plaintext-way-in"],
    );
}

#[test]
fn plaintext_refused() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .hba(HBA_ONE_WAY)
        .hba("host all app all scram-sha-256")
        .start();
    let outcome = cast.one_way(server.port, "");
    let causes = ["password", "scram", "authentication request"];
    broken(
        &outcome,
        "plaintext-refused",
        &causes,
        &["hba-has-no-plaintext-way-in"],
    );
    let log = server.log();
    assert!(
        !log.contains("connection authorized: user=app") || !log.contains("SSL disabled"),
        "sent a password:\n{log}"
    );
}

/// An earlier `host` record shadows the `hostssl` one, and wants no password at all.
#[test]
fn plaintext_refused_is_broken_by_trust() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba("host all app all trust").hba(HBA_MTLS).start();
    let also = [
        "hba-has-no-plaintext-way-in",
        "no-certificate-refused",
        "other-name-refused",
    ];
    broken(
        &cast.mtls(server.port, ""),
        "plaintext-refused",
        &["let in", "admitted", "trust", "without a password"],
        &also,
    );
}

fn old_tls(major: u16) {
    let Some(postgres) = Postgres::find(major) else {
        return;
    };
    let cast = Cast::of(postgres);
    let server = cast
        .server()
        .conf("ssl_min_protocol_version = 'TLSv1'\nssl_ciphers = 'ALL:@SECLEVEL=0'")
        .hba(HBA_MTLS)
        .start();
    let outcome = cast.mtls(server.port, "");
    broken(
        &outcome,
        "old-tls-refused",
        &["TLS 1.1", "TLSv1.1", "ServerHello"],
        &["settings-in-force"],
    );
}

/// Whether `openssl s_client` completes a handshake of TLS 1.1: the witness that the sabotage is real.
fn speaks_tls_1_1(port: u16) -> bool {
    Job::new("openssl")
        .args([
            "s_client",
            "-starttls",
            "postgres",
            "-tls1_1",
            "-cipher",
            "ALL:@SECLEVEL=0",
            "-connect",
        ])
        .arg(format!("127.0.0.1:{port}"))
        .run()
        .stdout
        .contains("New, TLSv1")
}

#[test]
fn old_tls_refused_13() {
    old_tls(13);
}

#[test]
fn old_tls_refused_15() {
    old_tls(15);
}

#[test]
fn old_tls_refused_18() {
    old_tls(18);
}

#[test]
fn no_certificate_refused() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba("hostssl all app all trust").start();
    let outcome = cast.mtls(server.port, "");
    broken(
        &outcome,
        "no-certificate-refused",
        &["without", "let in", "admitted"],
        &["other-name-refused"],
    );
}

/// A password instead of a certificate is no refusal of those who have none.
#[test]
fn no_certificate_refused_is_broken_by_a_password() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_ONE_WAY).start();
    let outcome = cast.mtls(server.port, "password=right");
    broken(
        &outcome,
        "no-certificate-refused",
        &["password", "scram"],
        &["other-name-refused"],
    );
    assert!(
        !outcome.stdout.contains("right\"") && !outcome.stderr.contains("password=right"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn foreign_certificate_refused() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server_with(&cast.ca.server(&NAMES))
        .hba("hostssl all app all trust")
        .start();
    let outcome = cast.mtls(server.port, "");
    let also = ["no-certificate-refused", "other-name-refused"];
    broken(
        &outcome,
        "foreign-certificate-refused",
        &["not ask", "never asked", "let in", "admitted"],
        &also,
    );
}

/// `clientcert=verify-ca` admits every certificate of the CA as anybody.
#[test]
fn other_name_refused() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .hba("hostssl all app all trust clientcert=verify-ca")
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "other-name-refused",
        &["other", "let in", "admitted", "verify-ca"],
        &[],
    );
}

/// `sslmode=require` notices neither another CA nor another name.
#[test]
fn wrong_ca_noticed() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_MTLS).start();
    let outcome = cast.mtls(server.port, "sslmode=require sslrootcert=/nonexistent");
    broken(
        &outcome,
        "wrong-ca-noticed",
        &["require"],
        &["wrong-name-noticed", "chain", "host-name"],
    );
}

/// `sslmode=verify-ca` does not notice another name.
#[test]
fn wrong_name_noticed() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_MTLS).start();
    broken(
        &cast.mtls(server.port, "sslmode=verify-ca"),
        "wrong-name-noticed",
        &["verify-ca"],
        &["host-name"],
    );
}

/// A record that our own login never meets.
#[test]
fn hba_has_no_plaintext_way_in() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .hba(HBA_MTLS)
        .hba("host all backup 10.9.0.0/16 scram-sha-256")
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "hba-has-no-plaintext-way-in",
        &["10.9.0.0", "backup"],
        &[],
    );
}

/// The file says 1.2, the command line wins: OpenSSL's own level still refuses, the setting does not.
#[test]
fn settings_in_force() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .conf("ssl_min_protocol_version = 'TLSv1.2'")
        .argument("-cssl_min_protocol_version=TLSv1")
        .hba(HBA_MTLS)
        .start();
    let outcome = cast.mtls(server.port, "");
    broken(
        &outcome,
        "settings-in-force",
        &["ssl_min_protocol_version"],
        &["old-tls-refused"],
    );
    assert!(
        probe(&outcome.json(), "settings-in-force")
            .to_string()
            .contains("command line")
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
    let holders: Vec<_> = (0..4)
        .map(|_| Job::new("psql").args(["-X", "-w", "-c", "select pg_sleep(300)", "-d", &server.socket()]))
        .map(|holder| holder.account(&support::Account::server()).start())
        .collect();
    let probe = format!(
        "{} sslcert={} sslkey={}",
        cast.conninfo(server.port),
        cast.client.cert.display(),
        cast.client.key.display()
    );
    wait_for("the server is full", Duration::from_secs(30), || {
        psql(&probe, "select 1")
            .stderr
            .contains("too many clients")
            .then_some(())
    });
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
