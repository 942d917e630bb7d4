//! The whole way: up, what is let in and what is not, living with it, down.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Account, Contained, Docker, Job, psql_as};

const TLS: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// What psql must be let in with, and what it must not.
fn holds(contained: &Contained, kit: &str) {
    let account = &contained.project.account;
    let conninfo = contained.conninfo(kit);
    assert!(conninfo.contains("sslmode=verify-full"), "{conninfo}");
    assert_eq!(psql_as(account, &conninfo, TLS).expect_ok("psql").stdout, "t\n");
    let plain = psql_as(account, &format!("{conninfo} sslmode=disable"), TLS);
    assert!(!plain.ok, "let in without TLS");
    assert!(
        plain.stderr.contains("pg_hba.conf rejects connection") && plain.stderr.contains("no encryption"),
        "{}",
        plain.stderr
    );
    let bare = psql_as(
        account,
        &format!(
            "host=localhost port={} user=app dbname=app sslmode=require sslcert=/nonexistent passfile=/nonexistent",
            contained.project.port
        ),
        TLS,
    );
    assert!(!bare.ok, "let in with nothing in hand");
}

/// The serial number of the certificate that the server presents, by `openssl s_client`.
fn served(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -starttls postgres </dev/null 2>/dev/null | openssl x509 -noout -serial"
    );
    Job::new("sh")
        .args(["-c", &script])
        .run()
        .expect_ok("openssl")
        .stdout
}

#[test]
fn one_way_is_up_lived_with_and_taken_down() {
    let Some(docker) = Docker::find().filter(|docker| docker.has("postgres:17")) else {
        return;
    };
    let it = Contained::new(&docker, &Account::current());
    let up = it.up("one-way", "postgres:17", &[]).expect_status(0).json();
    assert_eq!(up["server"]["kind"], "compose");
    assert_eq!(up["server"]["version"], 17);
    assert_eq!(up["server"]["port"], it.project.port);
    assert_eq!(up["verify"]["verdict"], "verified");
    holds(&it, "app");

    // Again: nothing is made anew, by us or by hand.
    let container = it.container();
    let files = it.project.files();
    it.pgtls(&["up", "--yes"]).run().expect_status(0);
    docker
        .compose(it.dir(), &["up", "-d", "--wait"])
        .expect_ok("by hand");
    assert_eq!(it.container(), container);
    assert_eq!(it.project.files(), files);

    // Restarted by hand, the files are loaded again.
    docker.compose(it.dir(), &["restart"]).expect_ok("restart");
    docker
        .compose(it.dir(), &["up", "-d", "--wait"])
        .expect_ok("ready again");
    it.pgtls(&["verify"]).run().expect_status(0);

    // A new certificate by a reload.
    let before = served(it.project.port);
    let renewed = it
        .pgtls(&["renew", "--yes", "--json"])
        .run()
        .expect_status(0)
        .json();
    assert_eq!(renewed["served"], true);
    let after = served(it.project.port);
    assert_ne!(before, after);
    assert_eq!(
        after.trim().trim_start_matches("serial=").to_lowercase(),
        renewed["serial"]
            .as_str()
            .unwrap()
            .replace(':', "")
            .to_lowercase()
    );

    // Another mode, in the same container, and back.
    it.pgtls(&["up", "--mode", "mtls", "--yes"])
        .run()
        .expect_status(0);
    holds(&it, "app");
    assert_eq!(it.container(), container);
    it.pgtls(&["undo"]).run().expect_status(0);
    holds(&it, "app");
    assert_eq!(it.container(), container);

    // Data outlives the container, and goes when that is said.
    psql_as(
        &it.project.account,
        &it.conninfo("app"),
        "create table kept as select 42 as n",
    )
    .expect_ok("psql");
    it.pgtls(&["down"]).run().expect_status(0);
    assert_eq!(it.container(), "");
    it.pgtls(&["up", "--yes"]).run().expect_status(0);
    let kept = psql_as(&it.project.account, &it.conninfo("app"), "select n from kept");
    assert_eq!(kept.expect_ok("psql").stdout, "42\n");
    it.pgtls(&["down", "--volumes", "--yes"]).run().expect_status(0);
    let volumes = docker.run(&["volume", "ls", "-q"]).stdout;
    assert!(!volumes.contains(&it.name()), "{volumes}");
}

#[test]
fn mutual_on_alpine_as_an_ordinary_user_with_a_tight_umask() {
    let Some(docker) = Docker::find().filter(|docker| docker.has("postgres:17-alpine")) else {
        return;
    };
    let it = Contained::new(&docker, &Account::ordinary());
    fs::set_permissions(it.dir(), fs::Permissions::from_mode(0o700)).unwrap();
    let script = format!(
        "umask 077; exec {} up --mode mtls --run compose --image postgres:17-alpine --port {} --yes --dir {}",
        crate::support::pgtls_bin().display(),
        it.project.port,
        it.dir().display()
    );
    docker
        .given(Job::new("sh"))
        .args(["-c", &script])
        .account(&it.project.account)
        .run()
        .expect_status(0);
    holds(&it, "app");
    let (mode, _) = it.project.files()[std::path::Path::new("db.env")];
    assert_eq!(mode, 0o600);
}

#[test]
fn certificate_and_password_on_18_with_two_roles() {
    let Some(docker) = Docker::find().filter(|docker| docker.has("postgres:18")) else {
        return;
    };
    let it = Contained::new(&docker, &Account::current());
    let up = it
        .up(
            "mtls",
            "postgres:18",
            &["--auth", "scram+cert", "--client", "app", "--client", "reports"],
        )
        .expect_status(0)
        .json();
    assert_eq!(up["server"]["version"], 18);
    holds(&it, "app");
    let reports = it.conninfo("reports");
    assert_eq!(
        psql_as(&it.project.account, &reports, TLS)
            .expect_ok("psql")
            .stdout,
        "t\n"
    );
    // The right certificate for the other role.
    let other = psql_as(&it.project.account, &format!("{reports} user=app"), TLS);
    assert!(!other.ok);
}

#[test]
fn one_way_on_15() {
    let Some(docker) = Docker::with_compose(2).filter(|docker| docker.has("postgres:15")) else {
        return;
    };
    let it = Contained::new(&docker, &Account::current());
    it.up("one-way", "postgres:15", &[]).expect_status(0);
    holds(&it, "app");
}
