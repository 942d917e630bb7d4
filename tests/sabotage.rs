//! Every probe seen failing: for each promise a real server that breaks just that promise.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::time::Duration;

use support::scene::{Cast, HBA_MTLS, HBA_ONE_WAY, NAMES, broken, probe};
use support::{Ca, Job, Leaf, Postgres, wait_for};

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
    let told = support::scratch("terminator").join("port");
    let terminator = Job::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/support/terminator.py"
        ))
        .args([&leaf.cert, &leaf.key])
        .arg(server.port.to_string())
        .arg(&told)
        .start();
    let port = wait_for("the terminator listens", Duration::from_secs(30), || {
        std::fs::read_to_string(&told).ok()
    });
    let outcome = cast.one_way(port.parse().unwrap(), "host=127.0.0.1");
    drop(terminator);
    broken(
        &outcome,
        "server-agrees",
        &["in between", "without TLS", "no TLS"],
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
    assert!(
        speaks_tls_1_1(server.port),
        "openssl cannot speak TLS 1.1 to this server"
    );
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
    let also = [
        "no-certificate-refused",
        "other-name-refused",
        "settings-in-force",
    ];
    broken(
        &outcome,
        "foreign-certificate-refused",
        &["not ask", "never ask", "let in", "admitted"],
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

/// A certificate so wide that another name passes: names below `.invalid` belong to nobody (RFC 2606).
#[test]
fn wrong_name_noticed() {
    let Some(cast) = Cast::new() else { return };
    let wide = cast.ca.server(&["localhost", "*.invalid"]);
    let server = cast
        .server_with(&wide)
        .client_ca(&cast.ca.cert)
        .hba(HBA_MTLS)
        .start();
    broken(
        &cast.mtls(server.port, ""),
        "wrong-name-noticed",
        &["another name"],
        &[],
    );
}

/// `sslmode=verify-ca` does not notice another name.
#[test]
fn wrong_name_noticed_is_broken_by_verify_ca() {
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
