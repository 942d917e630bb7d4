//! Logins to real servers, SCRAM with channel binding above all.

use secrecy::SecretString;

use super::cluster::Wanted;
use super::openssl::{Ca, ED25519, P256, P384, RSA};
use super::*;

const SCRAM: &str = "hostssl all app all scram-sha-256\nhostssl all postgres all trust\n";

fn scram_cluster(ca: &Ca) -> Cluster {
    let cluster = Cluster::start(&Wanted {
        ca: Some(ca),
        hba: SCRAM,
        ..Wanted::PLAIN
    });
    cluster.psql("create role app login password 'right'");
    cluster
}

#[test]
fn scram_is_bound_to_the_certificate_whatever_its_signature() {
    let pss: &[&str] = &[
        "-sha384",
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:-1",
    ];
    let signatures: [(&[&str], &[&str]); 5] = [
        (P256, &["-sha256"]),
        (P384, &["-sha384"]),
        (RSA, &["-sha256"]),
        (RSA, &["-sha512"]),
        (RSA, pss),
    ];
    for (ca_key, signature) in signatures {
        let ca = Ca::new(ca_key);
        ca.issue_server(P256, signature);
        let cluster = scram_cluster(&ca);
        run(async {
            let password = SecretString::from("right");
            let mut credentials = Credentials::new("app", "postgres").with_password(&password);
            // Nothing but SCRAM-SHA-256-PLUS satisfies this, and the server checks the hash.
            credentials.channel_binding = ChannelBinding::Require;
            credentials.allowed = Some(&[AuthName::ScramSha256]);
            let session = secured(&cluster, &any()).await.unwrap();
            let mut session = login(session, &credentials, soon())
                .await
                .unwrap_or_else(|e| panic!("{signature:?}: {e}"));
            assert_eq!(
                session.query("select current_user", soon()).await.unwrap().rows,
                [[Some("app".to_owned())]]
            );
            session.close(soon()).await;
        });
    }
}

#[test]
fn an_ed25519_signature_leaves_nothing_to_bind_to() {
    let ca = Ca::new(ED25519);
    ca.issue_server(P256, &[]);
    let cluster = scram_cluster(&ca);
    run(async {
        let password = SecretString::from("right");
        let mut credentials = Credentials::new("app", "postgres").with_password(&password);
        let session = secured(&cluster, &any()).await.unwrap();
        assert_eq!(
            login(session, &credentials, soon()).await.unwrap_err(),
            LoginFailure::BindingUndefined
        );
        credentials.channel_binding = ChannelBinding::Disable;
        let session = secured(&cluster, &any()).await.unwrap();
        login(session, &credentials, soon())
            .await
            .unwrap()
            .close(soon())
            .await;
    });
}

#[test]
fn a_refused_login_says_why() {
    let ca = Ca::new(P256);
    ca.issue_server(P256, &[]);
    let cluster = scram_cluster(&ca);
    run(async {
        let attempt = async |credentials: Credentials<'_>| {
            login(secured(&cluster, &any()).await.unwrap(), &credentials, soon())
                .await
                .unwrap_err()
        };
        let (wrong, empty) = (SecretString::from("wrong"), SecretString::from(""));
        let app = Credentials::new("app", "postgres");
        let LoginFailure::Server(message) = attempt(app.with_password(&wrong)).await else {
            panic!()
        };
        assert_eq!(message.sqlstate, "28P01");
        let LoginFailure::Session(message) = attempt(Credentials::new("postgres", "no such")).await else {
            panic!()
        };
        assert_eq!(message.sqlstate, "3D000");
        let LoginFailure::Server(message) = attempt(Credentials::new("nobody", "postgres")).await else {
            panic!()
        };
        assert_eq!(message.sqlstate, "28000");
        assert!(matches!(
            attempt(app).await,
            LoginFailure::PasswordNeeded(AuthMethod::Sasl(_))
        ));
        assert!(matches!(
            attempt(app.with_password(&empty)).await,
            LoginFailure::PasswordNeeded(_)
        ));

        let mut unbound = Credentials::new("postgres", "postgres");
        unbound.channel_binding = ChannelBinding::Require;
        assert_eq!(attempt(unbound).await, LoginFailure::NoChannelBinding(None));
        let mut strict = Credentials::new("postgres", "postgres");
        strict.allowed = Some(&[AuthName::ScramSha256]);
        assert_eq!(attempt(strict).await, LoginFailure::NotAllowed(None));
        strict.allowed = Some(&[AuthName::None]);
        login(secured(&cluster, &any()).await.unwrap(), &strict, soon())
            .await
            .unwrap()
            .close(soon())
            .await;
        assert_eq!(
            attempt(Credentials::new("a\0b", "postgres")).await,
            LoginFailure::Unsendable
        );
    });
}

#[test]
fn queries_have_bounded_answers_and_typed_failures() {
    let mut cluster = Cluster::start(&Wanted {
        conf: "log_disconnections = on\n",
        ..Wanted::PLAIN
    });
    run(async {
        let log_in = async || {
            login(
                dial(&cluster).await,
                &Credentials::new("postgres", "postgres"),
                soon(),
            )
            .await
            .unwrap()
        };
        let mut session = log_in().await;
        let rows = session
            .query("select 1 as a, null as b; select 'x' as c", soon())
            .await
            .unwrap();
        assert_eq!(
            (&*rows.columns, rows.value(0, "c")),
            (&["c".to_owned()][..], Some("x"))
        );
        assert_eq!(rows.value(0, "b"), None);

        let QueryFailure::Server(message) = session.query("select 1/0", soon()).await.unwrap_err() else {
            panic!()
        };
        assert_eq!(message.sqlstate, "22012");
        // The session goes on after an error, and after a notice.
        let sql = "do $$ begin raise notice 'hear'; end $$; select 1 as one";
        assert_eq!(
            session.query(sql, soon()).await.unwrap().value(0, "one"),
            Some("1")
        );

        let small = "select repeat('x', 100000) from generate_series(1, 50)";
        assert_eq!(session.query(small, soon()).await.unwrap().rows.len(), 50);
        let many = "select repeat('x', 100000) from generate_series(1, 100)";
        assert_eq!(session.query(many, soon()).await, Err(QueryFailure::TooLarge));
        assert_eq!(
            session.query("select 1", soon()).await,
            Err(QueryFailure::Lost(Lost::Closed))
        );

        let mut session = log_in().await;
        let late = session
            .query("select pg_sleep(60)", Deadline::after(Duration::from_millis(50)))
            .await;
        assert!(
            matches!(late, Err(QueryFailure::Lost(Lost::TimedOut(_)))),
            "{late:?}"
        );

        let mut session = log_in().await;
        let killed = session
            .query("select pg_terminate_backend(pg_backend_pid())", soon())
            .await;
        let Err(QueryFailure::Server(message)) = killed else {
            panic!("{killed:?}")
        };
        assert_eq!(message.sqlstate, "57P01");

        log_in().await.close(soon()).await;
    });
    cluster.await_log("disconnection: session time");
}
