//! Who was seen coming in is not turned away unasked.

use std::time::Duration;

use serde_json::Value;

use crate::live::{Live, plain, wait_until};
use crate::support::{Job, Postgres, Running, TestServer};

/// A session of `app` that stays, once the server knows it, with TLS or without.
#[track_caller]
fn shop(live: &Live, sslmode: &str) -> Running {
    let conninfo = format!(
        "host=127.0.0.1 port={} user=app password=pw dbname=postgres sslmode={sslmode} application_name=shop",
        live.server.port
    );
    let session = Job::new("psql")
        .args(["-X", "-c", "select pg_sleep(100)"])
        .arg(&conninfo)
        .start();
    let with = if sslmode == "disable" { "not ssl" } else { "ssl" };
    let known = format!(
        "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where {with} and application_name = 'shop'"
    );
    assert!(wait_until(Duration::from_secs(60), || {
        live.server.sql(&known).stdout.contains('1')
    }));
    session
}

#[test]
fn a_session_without_tls_keeps_the_stage_back_unless_it_is_accepted() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    let before = live.files();
    let session = shop(&live, "disable");
    let report = live.stage("require", &[]).expect_status(1).json();
    assert_eq!(report["in_force"], false);
    let refused = &report["impact"]["refused"][0];
    assert_eq!(
        (&refused["user"], &refused["address"], &refused["application"]),
        (&"app".into(), &"127.0.0.1".into(), &"shop".into()),
        "{refused:#}"
    );
    assert_eq!(refused["with_tls"], true);
    live.ends_as(&before, true, "somebody would be turned away");

    // It is kept by a watch, and still known when it has gone.
    let look = live.stage("watch", &["--for", "1"]).expect_status(0).json();
    assert_eq!(look["plaintext"], 1, "{look:#}");
    live.server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'");
    session.finish();
    live.stage("require", &[]).expect_status(1);

    live.in_force("require", &["--accept-lockout"]);
    assert!(!live.app("sslmode=disable").ok);
    live.undo();

    // Once the same client has come with TLS it is no longer in the way.
    watch_it_with_tls(&live);
    live.in_force("require", &[]);
}

fn watch_it_with_tls(live: &Live) {
    // A second later than the last one without.
    let begun = live.server.sql("select floor(extract(epoch from now()))").stdout;
    wait_until(Duration::from_secs(60), || {
        live.server.sql("select floor(extract(epoch from now()))").stdout != begun
    });
    let session = shop(live, "require");
    live.stage("watch", &["--for", "0"]).expect_status(0);
    live.server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'");
    session.finish();
}

/// The session of a watch: its looks end with the same question again and again.
const WATCH: &str = "from pg_stat_activity where query like '%backend_start%' and pid <> pg_backend_pid()";

/// A watch that has looked a few times.
#[track_caller]
fn begun(live: &Live, seconds: &str) -> Running {
    let watch = live
        .pgtls(&[
            "harden",
            &live.server.socket(),
            "--stage",
            "watch",
            "--for",
            seconds,
        ])
        .start();
    let mut starts = std::collections::BTreeSet::new();
    assert!(wait_until(Duration::from_secs(60), || {
        let start = live.server.sql(&format!("select query_start {WATCH}")).stdout;
        starts.insert(start.trim().to_owned());
        starts.len() > 3
    }));
    watch
}

/// Whoever is gone before anybody looks is in the log, if the log tells who comes; else it is said how many there were.
#[test]
fn who_comes_and_goes_between_two_looks_is_not_taken_for_nobody() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let live = plain(&postgres).at(&["on"]);
    let visits = |sslmode: &str| visits(&live, &format!("{sslmode} application_name=nightly"));
    let look = visits("sslmode=disable");
    assert_eq!(look["by_log"], true, "{look:#}");
    assert_eq!(look["plaintext"], 5, "{look:#}");
    let refused = live.stage("require", &[]).expect_status(1).json();
    let nightly = &refused["impact"]["refused"][0];
    assert_eq!(
        (&nightly["application"], &nightly["sessions"]),
        (&"nightly".into(), &5.into())
    );

    // Who came with TLS is not among them, and what was seen before can be forgotten.
    live.stage("watch", &["--for", "0", "--afresh"]).expect_status(0);
    let look = visits("sslmode=require");
    assert_eq!(
        (&look["by_log"], &look["plaintext"]),
        (&true.into(), &0.into()),
        "{look:#}"
    );

    // Without the log it is known how many there were.
    live.server.sql("alter system set log_connections = off");
    live.server.sql("select pg_reload_conf()");
    assert!(wait_until(Duration::from_secs(60), || {
        live.server.sql("show log_connections").stdout.trim() == "off"
    }));
    let look = visits("sslmode=disable");
    assert_eq!(look["by_log"], false, "{look:#}");
    let seen = look["plaintext"].as_u64().unwrap();
    assert!(look["missed"].as_u64().unwrap() > 0 || seen > 0, "{look:#}");
    live.stage("watch", &["--for", "0", "--afresh"]).expect_status(0);
    live.in_force("require", &[]);
}

/// Five visits while a watch looks, each gone at once.
#[track_caller]
fn visits(live: &Live, how: &str) -> Value {
    let watch = begun(live, "6");
    for _ in 0..5 {
        live.app(how).expect_ok(how);
    }
    watch.wait().expect_status(0).json()
}

/// Of those who came over TLS and were gone again the log tells the version, which the floor goes by; of certificates it
/// says nothing, which is said, and counts.
#[test]
fn who_came_over_tls_and_went_counts() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let old = "sslmode=require ssl_max_protocol_version=TLSv1.2";
    let live = plain(&postgres).at(&["on"]);
    let forget = || live.stage("watch", &["--for", "0", "--afresh"]).expect_status(0);
    let notes = |report: &Value| report["notes"].to_string();

    // Nobody was seen over TLS, and sessions without it are no evidence.
    visits(&live, "sslmode=disable");
    let report = live.in_force("floor", &[]);
    assert!(notes(&report).contains("TLS 1.2 stays the least"), "{report:#}");
    live.app(old).expect_ok("TLS 1.2");
    live.undo();

    // Nor are they beside somebody else who speaks 1.3.
    visits(&live, "sslmode=require application_name=other");
    let report = live.in_force("floor", &[]);
    assert!(notes(&report).contains("seen without TLS alone"), "{report:#}");
    live.undo();

    // Whoever comes over TLS after that is known to have learned it, also by the log.
    live.stage("require", &[]).expect_status(1);
    let look = visits(&live, old);
    assert_eq!(look["by_log"], true, "{look:#}");
    live.in_force("require", &[]);
    forget();

    // And its version counts, whatever others speak.
    visits(&live, old);
    visits(&live, "sslmode=require application_name=other");
    let report = live.in_force("floor", &[]);
    assert!(notes(&report).contains("not everybody"), "{report:#}");
    live.app(old).expect_ok("TLS 1.2");
    live.undo();
    let refused = live
        .stage("floor", &["--least-tls", "1.3"])
        .expect_status(1)
        .json();
    let first = &refused["impact"]["refused"][0];
    assert_eq!(
        (&first["user"], &first["tls"]["version"]),
        (&"app".into(), &"TLSv1.2".into()),
        "{refused:#}"
    );
    live.in_force("floor", &["--least-tls", "1.3", "--accept-lockout"]);
    assert!(!live.app(old).ok);
    live.app("sslmode=require").expect_ok("TLS 1.3");
    live.undo();
    live.in_force("floor", &["--least-tls", "1.2"]);
    live.app(old).expect_ok("TLS 1.2");
    live.undo();
    live.stage("on", &["--least-tls", "1.2"]).expect_status(2);

    // Of their certificates nothing is known, but of those who were looked at while they were there.
    live.in_force("mtls", &["--ask"]);
    forget();
    let look = visits(&live, "sslmode=require");
    let count = |name: &str| look[name].as_u64().unwrap();
    assert!(
        count("without_certificate") + count("certificate_unknown") > 0,
        "{look:#}"
    );
    let kept = live.stage("mtls", &[]).expect_status(1).json();
    let count = |name: &str| kept["impact"][name].as_array().unwrap().len();
    assert!(count("refused") + count("may_be_refused") > 0, "{kept:#}");
    live.in_force("mtls", &["--accept-lockout"]);
    assert!(!live.app("sslmode=require").ok);
}

/// Whoever logs in by a certificate is in the log with its name; and whoever had to show one did.
#[test]
fn a_certificate_that_was_shown_is_known_by_the_log() {
    for (auth, major) in [("cert", 17), ("scram+cert", 14)] {
        let Some(postgres) = Postgres::find(major) else {
            return;
        };
        let live = plain(&postgres).at(&["on"]);
        live.in_force("mtls", &["--auth", auth]);
        let look = visits(&live, &format!("{} {}", live.full(), live.certificate()));
        assert_eq!(
            (&look["without_certificate"], &look["certificate_unknown"]),
            (&0.into(), &0.into()),
            "{auth}: {look:#}"
        );
        let names: Vec<_> = look["seen"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["user"] == "app" && !one["tls"].is_null())
            .map(|one| one["tls"]["cn"].clone())
            .collect();
        assert!(!names.is_empty(), "{auth}: {look:#}");
        assert!(
            auth != "cert" || names.iter().all(|name| name == "app"),
            "{look:#}"
        );
    }
}

/// Lines for plaintext alone go: whoever has no other is told of, seen or not.
#[test]
fn whoever_has_a_line_for_plaintext_alone_is_told_of() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = Live::new(
        TestServer::builder(&postgres)
            .conf("ssl = off\npassword_encryption = 'scram-sha-256'")
            .hba(
                "hostnossl shop analyst 127.0.0.0 255.0.0.0 scram-sha-256\n\
                 hostnossl postgres app 127.0.0.1/32 scram-sha-256\n\
                 host all app 127.0.0.1/32 scram-sha-256\nhost all app ::1/128 scram-sha-256",
            )
            .sql("create role app login password 'pw'")
            .sql("create role analyst login password 'pw'")
            .sql("create database shop")
            .start(),
    )
    .at(&["on"]);
    let told = |report: &Value| -> Vec<String> {
        let notes = report["notes"].as_array().unwrap();
        let all = notes.iter().map(|note| note.as_str().unwrap().to_owned());
        all.filter(|note| note.contains("for plaintext alone")).collect()
    };
    let report = live.in_force("require", &[]);
    let notes = told(&report);
    assert!(
        notes.len() == 1 && notes[0].contains("shop analyst") && notes[0].contains("hostssl"),
        "{report:#}"
    );
    live.app("sslmode=require").expect_ok("app has another");
    live.undo();

    // Whoever was seen is told that TLS is no way in either.
    let analyst = format!(
        "host=127.0.0.1 port={} user=analyst password=pw dbname=shop sslmode=disable application_name=shop",
        live.server.port
    );
    let session = Job::new("psql")
        .args(["-X", "-c", "select pg_sleep(100)"])
        .arg(&analyst)
        .start();
    let known = "select count(*) from pg_stat_activity where application_name = 'shop'";
    assert!(wait_until(Duration::from_secs(60), || {
        live.server.sql(known).stdout.contains('1')
    }));
    let refused = live.stage("require", &[]).expect_status(1);
    assert!(
        refused.stderr.contains("with TLS it would not come in either")
            && refused.stderr.contains("a line of their own first (hostssl)"),
        "{}",
        refused.stderr
    );
    live.server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'");
    session.finish();
}

#[test]
fn a_watch_that_is_cut_off_keeps_what_it_saw() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let live = plain(&postgres);
    let session = shop(&live, "disable");
    let one = |sql: &str| live.server.sql(sql).stdout;
    let watch = begun(&live, "100");
    one(&format!("select pg_terminate_backend(pid) {WATCH}"));
    assert!(!watch.wait().ok);
    let kept = std::fs::read_to_string(live.kit.join(".pgtls/live/watch.json")).unwrap();
    assert!(kept.contains("shop"), "{kept}");
    one("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'");
    session.finish();
}
