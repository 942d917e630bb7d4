//! Handshakes with real servers.

use super::cluster::Wanted;
use super::openssl::{Ca, ED25519, P256, P384, P521, RSA};
use super::*;
use crate::judge::{Cause, TrustStore};

const CERT_ONLY: &str = "hostssl all all all cert\n";

fn with_versions(mut settings: TlsSettings, version: TlsVersion) -> TlsSettings {
    settings.min_version = version;
    settings.max_version = version;
    settings
}

fn verified(root: &Ca, host: &str) -> TlsSettings {
    let trust = Arc::new(TrustStore::new(&[root.der("ca").to_vec()], &[]).unwrap());
    let now = time::OffsetDateTime::now_utc();
    TlsSettings::new(Arc::new(Verified {
        trust,
        host: Some(host.to_owned()),
        now,
    }))
    .with_sni_for(host)
}

#[test]
fn the_facts_are_those_of_pg_stat_ssl() {
    for key in [P256, RSA] {
        let ca = Ca::new(P256);
        ca.issue_server(key, &[]);
        let cluster = Cluster::start(&Wanted {
            ca: Some(&ca),
            ..Wanted::PLAIN
        });
        run(async {
            for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
                let session = secured(&cluster, &with_versions(any(), version)).await.unwrap();
                let facts = session.facts().clone();
                assert_eq!(facts.version, version);
                assert_eq!(facts.group, "prime256v1");
                // The server completes its chain from ssl_ca_file.
                assert_eq!(facts.presented, [ca.der("server"), ca.der("ca")]);
                assert!(!facts.alpn, "PostgreSQL 15 knows no ALPN");
                assert!(facts.asked_for_certificate && !facts.sent_certificate);

                let mut session = login(session, &Credentials::new("postgres", "postgres"), soon())
                    .await
                    .unwrap();
                let sql = "select version, cipher from pg_stat_ssl where pid = pg_backend_pid()";
                let rows = session.query(sql, soon()).await.unwrap();
                assert_eq!(rows.value(0, "version"), Some(facts.protocol));
                assert_eq!(rows.value(0, "cipher"), Some(facts.cipher));
                assert!(session.parameter("server_version").unwrap().starts_with("15."));
                session.close(soon()).await;
            }
        });
    }
}

#[test]
fn every_cipher_is_named_as_openssl_does() {
    let ca = Ca::new(P256);
    ca.issue_server(RSA, &[]);
    for cipher in [
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ] {
        let conf = format!("ssl_ciphers = '{cipher}'\nssl_max_protocol_version = 'TLSv1.2'\n");
        let cluster = Cluster::start(&Wanted {
            ca: Some(&ca),
            conf: &conf,
            ..Wanted::PLAIN
        });
        run(async { assert_eq!(secured(&cluster, &any()).await.unwrap().facts().cipher, cipher) });
    }
}

#[test]
fn every_kind_of_client_key_signs_also_for_a_v1_certificate() {
    let ca = Ca::new(P256);
    ca.issue_server(P256, &[]);
    let cluster = Cluster::start(&Wanted {
        ca: Some(&ca),
        hba: CERT_ONLY,
        ..Wanted::PLAIN
    });
    let kinds = [
        ("p256", P256),
        ("p384", P384),
        ("p521", P521),
        ("rsa", RSA),
        ("ed25519", ED25519),
        ("v1", P256),
    ];
    run(async {
        for (name, key) in kinds {
            let extensions = if name == "v1" {
                ""
            } else {
                "extendedKeyUsage=clientAuth\n"
            };
            ca.issue(name, "postgres", key, extensions, &[]);
            for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
                let settings = with_versions(any().with_identity(ca.identity(name)), version);
                if version == TlsVersion::Tls12 && matches!(name, "p384" | "p521") {
                    // In TLS 1.2 OpenSSL wants the key's curve among its groups, and ssl_ecdh_curve has but one.
                    let fault = secured(&cluster, &settings).await.unwrap_err().fault;
                    assert_eq!(fault, HandshakeFault::Lost(Lost::Alert(Alert(47))));
                    continue;
                }
                let session = secured(&cluster, &settings).await.unwrap();
                assert!(session.facts().sent_certificate);
                let session = login(session, &Credentials::new("postgres", "postgres"), soon()).await;
                session
                    .unwrap_or_else(|error| panic!("{name} {version:?}: {error}"))
                    .close(soon())
                    .await;
            }
        }
    });
}

#[test]
fn a_key_of_another_certificate_is_no_identity() {
    let ca = Ca::new(P256);
    ca.issue("a", "a", P256, "", &[]);
    ca.issue("b", "b", P256, "", &[]);
    let mismatch = ClientIdentity::new(vec![ca.der("a")], &ca.pkcs8("b"));
    assert_eq!(mismatch.unwrap_err(), IdentityError::Mismatch);
    assert_eq!(
        ClientIdentity::new(vec![], &ca.pkcs8("b")).unwrap_err(),
        IdentityError::NoCertificate
    );
    let garbage = secrecy::SecretSlice::from(vec![1, 2, 3]);
    assert_eq!(
        ClientIdentity::new(vec![ca.der("a")], &garbage).unwrap_err(),
        IdentityError::BadKey
    );
}

#[test]
fn the_alert_about_a_foreign_certificate_is_never_lost() {
    let ca = Ca::new(P256);
    ca.issue_server(P256, &[]);
    let foreign = Ca::new(P256);
    foreign.issue("evil", "postgres", P256, "extendedKeyUsage=clientAuth\n", &[]);
    let settings = any().with_identity(foreign.identity("evil"));
    let cluster = Cluster::start(&Wanted {
        ca: Some(&ca),
        hba: CERT_ONLY,
        ..Wanted::PLAIN
    });
    let unknown_ca = Lost::Alert(Alert::UNKNOWN_CA);
    run(async {
        for _ in 0..30 {
            let tls13 = with_versions(settings.clone(), TlsVersion::Tls13);
            let session = secured(&cluster, &tls13).await.unwrap();
            let failure = login(session, &Credentials::new("postgres", "postgres"), soon())
                .await
                .unwrap_err();
            assert_eq!(failure, LoginFailure::Lost(unknown_ca.clone()));

            let session = secured(&cluster, &tls13).await.unwrap();
            let failure = startup_over(session, "postgres", "postgres", soon())
                .await
                .unwrap_err();
            assert_eq!(failure, StartupFailure::Lost(unknown_ca.clone()));

            let tls12 = with_versions(settings.clone(), TlsVersion::Tls12);
            let failure = secured(&cluster, &tls12).await.unwrap_err();
            assert_eq!(failure.fault, HandshakeFault::Lost(unknown_ca.clone()));
            assert_eq!(failure.presented[0], ca.der("server"));
        }
    });
}

#[test]
fn the_alert_survives_writes_to_a_closed_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let ca = Ca::new(P256);
    ca.issue_server(P256, &[]);
    let foreign = Ca::new(P256);
    foreign.issue("evil", "postgres", P256, "", &[]);
    let settings = any().with_identity(foreign.identity("evil"));
    let mut cluster = Cluster::start(&Wanted {
        ca: Some(&ca),
        hba: CERT_ONLY,
        ..Wanted::PLAIN
    });
    run(async {
        let mut session = secured(&cluster, &settings).await.unwrap();
        // The worst case: the server is long gone, and our writes are answered by resets.
        cluster.await_log("could not accept SSL connection");
        for _ in 0..50 {
            session.write_all(&[0; 1000]).await.unwrap();
            session.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        let error = session.read_u8().await.unwrap_err();
        // Same name, other key, and no key identifier that would tell the two apart.
        assert_eq!(Lost::from(error), Lost::Alert(Alert::DECRYPT_ERROR));
    });
}

#[test]
fn a_verified_server_shows_its_path_and_name() {
    let ca = Ca::new(P256);
    ca.issue_server(P256, &[]);
    let cluster = Cluster::start(&Wanted {
        ca: Some(&ca),
        ..Wanted::PLAIN
    });
    run(async {
        for host in ["localhost", "127.0.0.1"] {
            let session = secured(&cluster, &verified(&ca, host)).await.unwrap();
            let judged = &session.facts().judged;
            assert_eq!(judged.path.as_ref().unwrap().certificates.len(), 2);
            assert_eq!(judged.name.as_ref().unwrap().name, host);
        }
    });
}

#[test]
fn a_v1_server_certificate_shakes_hands() {
    let ca = Ca::new(P256);
    ca.issue("server", "localhost", RSA, "", &[]);
    let cluster = Cluster::start(&Wanted {
        ca: Some(&ca),
        ..Wanted::PLAIN
    });
    run(async {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let settings = with_versions(verified(&ca, "localhost"), version);
            secured(&cluster, &settings).await.unwrap();
        }
    });
}

#[test]
fn a_refused_server_gets_no_certificate_of_ours_and_its_chain_is_kept() {
    let ca = Ca::new(P256);
    ca.issue_server(P256, &[]);
    ca.issue("me", "postgres", P256, "", &[]);
    let other = Ca::new(P256);
    let mut cluster = Cluster::start(&Wanted {
        ca: Some(&ca),
        hba: CERT_ONLY,
        ..Wanted::PLAIN
    });
    run(async {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let settings = verified(&other, "localhost").with_identity(ca.identity("me"));
            let failure = secured(&cluster, &with_versions(settings, version))
                .await
                .unwrap_err();
            assert_eq!(failure.presented[0], ca.der("server"));
            let HandshakeFault::Refused(Refusal::Chain(refusal)) = failure.fault else {
                panic!("{failure}")
            };
            assert_eq!(refusal.cause, Cause::SelfSignedNotTrusted);

            let settings = verified(&ca, "db.example.com").with_identity(ca.identity("me"));
            let failure = secured(&cluster, &with_versions(settings, version))
                .await
                .unwrap_err();
            let HandshakeFault::Refused(Refusal::Name(refusal)) = failure.fault else {
                panic!("{failure}")
            };
            assert_eq!(refusal.names, ["localhost", "127.0.0.1"]);
        }
    });
    // The server heard our alert instead.
    cluster.await_log("alert unknown ca");
    cluster.await_log("alert bad certificate");
}

#[test]
fn a_server_that_has_nothing_in_common_with_us_says_so_by_alert() {
    let ca = Ca::new(P256);
    ca.issue_server(RSA, &[]);
    let conf = "ssl_ciphers = 'AES256-SHA256'\nssl_max_protocol_version = 'TLSv1.2'\n";
    let cbc = Cluster::start(&Wanted {
        ca: Some(&ca),
        conf,
        ..Wanted::PLAIN
    });
    let conf = "ssl_min_protocol_version = 'TLSv1.3'\n";
    let new = Cluster::start(&Wanted {
        ca: Some(&ca),
        conf,
        ..Wanted::PLAIN
    });
    run(async {
        let failure = secured(&cbc, &any()).await.unwrap_err();
        assert_eq!(
            failure.fault,
            HandshakeFault::Lost(Lost::Alert(Alert::HANDSHAKE_FAILURE))
        );
        let failure = secured(&new, &with_versions(any(), TlsVersion::Tls12))
            .await
            .unwrap_err();
        assert_eq!(
            failure.fault,
            HandshakeFault::Lost(Lost::Alert(Alert::PROTOCOL_VERSION))
        );
        let mut none = any();
        (none.min_version, none.max_version) = (TlsVersion::Tls13, TlsVersion::Tls12);
        assert_eq!(
            secured(&new, &none).await.unwrap_err().fault,
            HandshakeFault::NoVersion
        );
    });
}
