//! Servers on which the wizard cannot go the straight way: files out of reach, somebody else's to write, and a proof that
//! fails. The screen says why and what to do, and the server stays as it was.

use std::fs;
use std::os::unix::fs::chown;

use crate::site::{EVERYBODY, MINUTE, Site, lead, try_it, until};
use crate::support::{Account, Ca, Postgres, Pty, TestServer, open_to_all, pgtls, pgtls_bin, skip};

/// The wizard as another account than the server's.
fn stranger(site: &Site) -> Pty {
    let account = Account::ordinary();
    chown(&site.kit, Some(account.uid), Some(account.gid)).unwrap();
    let switch = [
        format!("--reuid={}", account.uid),
        format!("--regid={}", account.gid),
    ];
    let home = account.home();
    Pty::program(
        "setpriv",
        &[
            &switch[0],
            &switch[1],
            "--clear-groups",
            pgtls_bin().to_str().unwrap(),
        ],
        &site.kit,
        (100, 30),
        &[("HOME", home.to_str().unwrap())],
    )
}

/// Over SQL alone: a wrong key is found out and taken back, the right one is kept; what only files can do is written for the
/// server's administrator.
#[test]
fn where_the_files_are_out_of_reach_settings_go_over_sql_and_the_rest_into_a_bundle() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    if Account::ordinary() == Account::server() {
        return skip("only root can be another account", false);
    }
    let ca = Ca::new("company");
    let leaf = ca.server(&["localhost"]);
    let site = Site::of(
        TestServer::builder(&postgres)
            .tls(&leaf)
            .conf("ssl = off")
            .hba(EVERYBODY),
    );
    let key = site.server.data.join("server.key");
    fs::copy(ca.server(&["localhost"]).key, &key).unwrap();
    fs::copy(&ca.cert, site.kit.join("company.crt")).unwrap();
    let admin = format!(
        "host=localhost port={} user=postgres dbname=postgres sslrootcert=company.crt",
        site.server.port
    );
    let verified = || site.lets_in(&format!("sslmode=verify-full sslrootcert={}", ca.cert.display()));
    let mut pty = lead(stranger(&site), &admin);
    pty.expect("wants the password of postgres");
    pty.send("unspoken\r");
    pty.expect("Out of reach");
    pty.send("\r");
    pty.expect("1 setting, by ALTER SYSTEM");
    pty.send("\r");
    // SQL says that all is well; what is served says that it is not.
    pty.expect("✗ on is not in force");
    pty.expect("The server's files and settings are as they were.");
    assert!(site.lets_in("sslmode=disable") && !verified());
    let auto = fs::read_to_string(site.server.data.join("postgresql.auto.conf")).unwrap();
    assert!(!auto.contains("ssl"), "{auto}");

    fs::copy(&leaf.key, &key).unwrap();
    pty.send("\r");
    pty.expect("▸ ○ on");
    try_it(&mut pty, "on", MINUTE);
    pty.send("k");
    pty.expect("Kept: TLS is offered, not required");
    assert!(verified() && site.lets_in("sslmode=disable"));

    pty.send("\r");
    pty.expect("▸ ○ require");
    pty.send("\r");
    pty.expect("Enter writes what its administrator needs");
    let rules = site.rules();
    pty.send("\r");
    pty.expect("Written for the server's administrator");
    pty.expect("RUNBOOK.md");
    assert!(site.lets_in("sslmode=disable"));
    assert_eq!(site.rules(), rules);
    for name in ["apply.sh", "rollback.sh", "RUNBOOK.md"] {
        assert!(site.kit.join("bundle/require").join(name).exists(), "{name}");
    }
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    // The bundle was written last, and is taken back first.
    let undo = || {
        pgtls(["undo", "--dir"])
            .arg(&site.kit)
            .account(&Account::ordinary())
            .dir(&site.kit)
            .env("PGPASSWORD", "unspoken")
            .run()
            .expect_status(0)
    };
    undo();
    assert!(!site.kit.join("bundle/require").exists());
    assert!(verified());
    undo();
    until("TLS is off again", || !verified());
}

/// What is another's to write is left alone, and the screen says where it is done instead.
#[test]
fn services_and_patroni_are_left_alone() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let site = Site::new(&postgres, EVERYBODY);
    let before = site.rules();
    let refused = |says: &[&str], colours: bool| {
        let environment: &[(&str, &str)] = if colours { &[] } else { &[("NO_COLOR", "1")] };
        let pty = Pty::pgtls(&[], &site.kit, (80, 24), environment);
        let mut pty = lead(pty, &site.server.socket());
        for words in says {
            pty.expect(words);
        }
        // There is nothing to go on to.
        pty.send("\r");
        pty.send("\r");
        pty.expect(says[0]);
        if !colours {
            pty.is_without_colour();
        }
        pty.send("q");
        assert_eq!(pty.wait(), 0);
        assert_eq!(site.rules(), before);
        assert!(site.lets_in("sslmode=disable"));
    };
    let sign = site.server.data.join("patroni.dynamic.json");
    fs::write(&sign, "{}").unwrap();
    refused(&["Patroni writes this server's", "patronictl edit-config"], true);
    fs::remove_file(&sign).unwrap();
    site.server.sql("create role rds_superuser");
    refused(&["run by Amazon RDS or Aurora", "rds.force_ssl"], false);
    site.server.sql("drop role rds_superuser");
    site.server.sql("create role cloudsqlsuperuser");
    refused(&["Google Cloud SQL", "Allow only SSL connections"], true);
}

/// PostgreSQL takes every line, says that it has read them, and has no TLS: the screen says why, and all is as it was.
#[test]
fn a_proof_that_fails_goes_back_by_itself_and_says_why() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let site = Site::of(
        TestServer::builder(&postgres)
            .conf("ssl_ecdh_curve = 'prime256v2'")
            .hba(EVERYBODY),
    );
    let conf = site.server.data.join("postgresql.conf");
    let before = fs::read(&conf).unwrap();
    let pty = Pty::pgtls(&[], &site.kit, (80, 24), &[]);
    let mut pty = lead(pty, &site.server.socket());
    pty.expect("▸ ○ on");
    pty.send("\r");
    pty.expect("Goes back unless kept within");
    pty.send("\r");
    pty.expect("✗ on is not in force");
    pty.expect("The server's files and settings are as they were.");
    pty.expect("prime256v2");
    assert_eq!(fs::read(&conf).unwrap(), before);
    assert!(site.lets_in("sslmode=disable") && !site.lets_in("sslmode=require"));

    // Mended, it goes on from there.
    fs::write(
        &conf,
        String::from_utf8(before)
            .unwrap()
            .replace("ssl_ecdh", "#ssl_ecdh"),
    )
    .unwrap();
    site.server.sql("select pg_reload_conf()");
    pty.send("\r");
    try_it(&mut pty, "on", MINUTE);
    pty.send("k");
    pty.expect("Kept:");
    assert!(site.verified());
    pty.send("q");
    assert_eq!(pty.wait(), 0);
}

/// Over the socket the server lets in its own account alone: root logs in as it, anybody else is told what to type.
#[test]
fn where_the_server_goes_by_accounts_root_comes_in_and_others_are_told_how() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    if !Account::is_root() || Account::server().name != "postgres" {
        return skip("only root can be the account postgres", false);
    }
    let site = Site::of(TestServer::builder(&postgres).conf("unix_socket_permissions = 0777"));
    open_to_all(site.server.dir());
    let rules = format!("local all all peer\n{EVERYBODY}\n");
    fs::write(site.server.data.join("pg_hba.conf"), rules).unwrap();
    site.server.sql("select pg_reload_conf()");
    let mut pty = lead(stranger(&site), &site.server.socket());
    pty.expect("ours may not be postgres");
    pty.expect("an account that may: `sudo");
    pty.send("q");
    pty.wait();

    let mut pty = site.wizard(&site.server.socket());
    pty.expect("as the account postgres");
    try_it(&mut pty, "on", MINUTE);
    assert!(site.verified());
    pty.send("\x1b");
    pty.expect("Taken back, as you said");
    until("TLS is off again", || !site.verified());
    pty.send("q");
    assert_eq!(pty.wait(), 0);
}
