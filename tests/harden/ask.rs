//! Client certificates are handed out and asked for before they are demanded: nobody is locked out on the way.

use std::fs;
use std::time::Duration;

use crate::live::{Live, plain, wait_until};
use crate::support::{Ca, Postgres, Running, psql_job};

/// A session of `app` that stays, with the certificate of its kit or without.
#[track_caller]
fn shop(live: &Live, certificate: &str) -> Running {
    let conninfo = format!(
        "host=localhost port={} user=app password=pw dbname=postgres application_name=shop {} {certificate}",
        live.server.port,
        live.full()
    );
    let session = psql_job(&live.account, &conninfo, "select pg_sleep(100)").start();
    let known = "select count(*) from pg_stat_activity where application_name = 'shop'";
    assert!(wait_until(Duration::from_secs(60), || {
        live.server.sql(known).stdout.trim() == "1"
    }));
    session
}

fn end(live: &Live, session: Running) {
    let ended = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'";
    live.server.sql(ended);
    session.finish();
    let known = "select count(*) from pg_stat_activity where application_name = 'shop'";
    assert!(wait_until(Duration::from_secs(60), || {
        live.server.sql(known).stdout.trim() == "0"
    }));
}

#[test]
fn certificates_are_asked_for_before_they_are_demanded() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres).at(&["on", "require"]);
    let required = live.files();
    let full = live.full();
    let standing = || {
        live.pgtls(&["harden", &live.server.socket()])
            .run()
            .expect_status(0)
            .json()
    };
    live.stage("on", &["--ask"]).expect_status(2);

    // Nobody has a certificate yet, and nobody was asked for one: that comes first.
    let session = shop(&live, "");
    let refused = live.stage("mtls", &[]).expect_status(1);
    assert!(
        refused.stderr.contains("--stage mtls --ask"),
        "{}",
        refused.stderr
    );
    assert!(live.files() == required && !live.kit.join("clients/app").exists());
    let now = standing();
    assert!(now["next"] == "mtls" && now["next_option"] == "--ask", "{now:#}");
    assert_eq!(now["asks_for_certificates"], false);

    // It is tried, and kept, as every stage.
    let asked = live.in_force("mtls", &["--ask", "--confirm-within", "600"]);
    let proven = |id: &str| {
        let probes = asked["probes"].as_array().unwrap();
        probes
            .iter()
            .any(|probe| probe["id"] == id && probe["holds"] == true)
    };
    assert!(proven("foreign-certificate-refused"), "{asked:#}");
    live.pgtls(&["harden", "--confirm"]).run().expect_status(0);
    let hba = live.server.data.join("pg_hba.conf");
    assert_eq!(fs::read(&hba).unwrap(), required[&hba].0, "no line of it changes");

    // With one in, without one in, with a foreign one not.
    let certificate = live.certificate();
    live.app(&full).expect_ok("without a certificate");
    live.app(&format!("{full} {certificate}"))
        .expect_ok("with the certificate of the kit");
    let foreign = Ca::new("other").client("app");
    for path in [&foreign.cert, &foreign.key] {
        live.account.own(path);
    }
    let foreign = format!(
        "sslcert={} sslkey={}",
        foreign.cert.display(),
        foreign.key.display()
    );
    assert!(!live.app(&format!("{full} {foreign}")).ok);

    // Who shows none is known, and in the way.
    let look = || live.stage("watch", &["--for", "1"]).expect_status(0).json();
    assert_eq!(look()["without_certificate"], 1);
    let now = standing();
    assert!(
        now["asks_for_certificates"] == true && now["next"] == "watch",
        "{now:#}"
    );
    live.stage("mtls", &[]).expect_status(1);
    // Until the same client has come with one.
    end(&live, session);
    let session = shop(&live, &certificate);
    assert!(wait_until(Duration::from_secs(60), || {
        look()["without_certificate"] == 0
    }));
    assert_eq!(standing()["next"], "mtls");
    live.in_force("mtls", &[]);
    end(&live, session);
    assert!(!live.app(&full).ok);
    live.app(&format!("{full} {certificate}"))
        .expect_ok("demanded, and shown");

    // Each is taken back by itself.
    assert_eq!(live.undo()["stage"], "mtls");
    live.app(&full).expect_ok("not demanded any more");
    assert!(!live.app(&format!("{full} {foreign}")).ok, "still asked for");
    assert_eq!(live.undo()["stage"], "mtls --ask");
    assert!(live.files() == required);
    assert!(wait_until(Duration::from_secs(60), || {
        live.app(&format!("{full} {foreign}")).ok
    }));
}
