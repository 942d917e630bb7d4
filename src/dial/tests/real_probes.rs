//! What real servers answer to probes that go no further than the first answer.

use std::net::Ipv4Addr;

use super::cluster::{Wanted, free_port};
use super::openssl::{Ca, P256, RSA};
use super::*;

#[test]
fn plaintext_is_admitted_asked_for_proof_or_refused() {
    let hba = "host all trusting all trust\nhost all scrammed all scram-sha-256\nhost all clear all password\n\
               host all hashed all md5\nhost all rejected all reject\n";
    let cluster = Cluster::start(&Wanted { hba, ..Wanted::PLAIN });
    for role in ["trusting", "scrammed", "clear", "hashed", "rejected", "nobody"] {
        cluster.psql(&format!("create role {role} login"));
    }
    run(async {
        let answer = async |role: &str| {
            plaintext_startup(dial(&cluster).await, role, "postgres", soon())
                .await
                .unwrap()
        };
        assert_eq!(answer("trusting").await, FirstAnswer::Admitted);
        let scram = FirstAnswer::AuthenticationRequest(AuthMethod::Sasl(vec!["SCRAM-SHA-256".to_owned()]));
        assert_eq!(answer("scrammed").await, scram);
        assert_eq!(
            answer("clear").await,
            FirstAnswer::AuthenticationRequest(AuthMethod::Cleartext)
        );
        // "md5" accepts SCRAM where the role has no MD5 password.
        assert_eq!(answer("hashed").await, scram);
        for (role, words) in [
            ("rejected", "pg_hba.conf rejects connection"),
            ("nobody", "no pg_hba.conf entry"),
        ] {
            let FirstAnswer::Refused(message) = answer(role).await else {
                panic!("{role} is let in")
            };
            assert_eq!((&*message.sqlstate, &*message.severity), ("28000", "FATAL"));
            assert!(message.message.contains(words), "{message}");
            assert_eq!(message.routine.as_deref(), Some("ClientAuthentication"));
        }
        let FirstAnswer::Refused(message) =
            plaintext_startup(dial(&cluster).await, "trusting", "no such", soon())
                .await
                .unwrap()
        else {
            // The database is looked up only after AuthenticationOk.
            return;
        };
        panic!("{message}");
    });
}

#[test]
fn tls_is_refused_where_it_is_off_and_over_a_socket() {
    let ca = Ca::new(P256);
    ca.issue_server(P256, &[]);
    let off = Cluster::start(&Wanted::PLAIN);
    let on = Cluster::start(&Wanted {
        ca: Some(&ca),
        ..Wanted::PLAIN
    });
    run(async {
        assert_eq!(
            ssl_request(&mut dial(&off).await, soon()).await,
            Ok(SslAnswer::Refuses)
        );
        let mut socket = open(&on.socket(), soon()).await.unwrap();
        assert!(socket.is_unix());
        assert_eq!(ssl_request(&mut socket, soon()).await, Ok(SslAnswer::Refuses));
        let session = login(socket, &Credentials::new("postgres", "postgres"), soon())
            .await
            .unwrap();
        assert!(session.tls().is_none());
        session.close(soon()).await;
    });
}

#[test]
fn a_socket_that_is_not_there_and_a_port_where_nothing_listens() {
    let dir = tempfile::tempdir().unwrap();
    let address = (Ipv4Addr::LOCALHOST, free_port()).into();
    run(async {
        let failure = open(&Address::unix(dir.path(), 5432), soon()).await.unwrap_err();
        assert_eq!(
            failure,
            OpenError::NoSuchSocket {
                path: dir.path().join(".s.PGSQL.5432")
            }
        );
        assert!(matches!(
            open(&Address::known("localhost", address), soon()).await,
            Err(OpenError::Refused { .. })
        ));
        let failure = Address::resolve("no-such-host.invalid", 5432, soon())
            .await
            .unwrap_err();
        assert!(matches!(failure, OpenError::NoSuchHost { .. }), "{failure:?}");
        let Address::Tcp { addresses, .. } = Address::resolve("::1", 5432, soon()).await.unwrap() else {
            panic!()
        };
        assert_eq!(addresses, ["[::1]:5432".parse().unwrap()]);
    });
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let cluster = Cluster::start(&Wanted::PLAIN);
    run(async {
        let good = std::net::SocketAddr::from(([127, 0, 0, 1], cluster.port()));
        let bad = std::net::SocketAddr::from(([127, 0, 0, 2], cluster.port()));
        let address = Address::Tcp {
            host: "localhost".to_owned(),
            addresses: vec![bad, good],
        };
        assert_eq!(open(&address, soon()).await.unwrap().peer(), Some(good));
    });
}

#[test]
fn old_tls_is_told_apart_by_its_alert() {
    const WEAK: &str = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n\
                        MinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n";
    for key in [P256, RSA] {
        let ca = Ca::new(P256);
        ca.issue_server(key, &[]);
        let conf = "ssl_min_protocol_version = 'TLSv1'\nssl_ciphers = 'ALL:@SECLEVEL=0'\n";
        let weak = Wanted {
            ca: Some(&ca),
            conf,
            openssl_cnf: Some(WEAK),
            ..Wanted::PLAIN
        };
        let forbidden = Wanted {
            ca: Some(&ca),
            ..Wanted::PLAIN
        };
        let conf = "ssl_min_protocol_version = 'TLSv1'\n";
        let stopped = Wanted {
            ca: Some(&ca),
            conf,
            ..Wanted::PLAIN
        };
        let cases = [
            (weak, OldTls::ServerHello(0x0302)),
            (forbidden, OldTls::Alert(Alert::PROTOCOL_VERSION)),
            (stopped, OldTls::Alert(Alert::INTERNAL_ERROR)),
        ];
        for (wanted, expected) in cases {
            let cluster = Cluster::start(&wanted);
            let answer = run(async { old_tls_hello(accepted(&cluster).await, soon()).await });
            assert_eq!(answer, Ok(expected), "{}", cluster.log());
        }
    }
}
