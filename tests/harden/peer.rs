//! A server as Debian sets it up: over its socket the superuser is whoever is the server's own account, and has no password.

use std::fs;

use crate::live::{Live, wait_until};
use crate::support::{
    Account, Job, Outcome, Postgres, TestServer, open_to_all, pgtls, pgtls_bin, psql_as, skip,
};

/// `local … peer`; `None` where nobody may become somebody else.
fn debian(major: u16) -> Option<Live> {
    let account = Account::server();
    if !Account::is_root() || account.name != "postgres" {
        skip("only root can be the account postgres", false);
        return None;
    }
    let server = TestServer::builder(&Postgres::find(major)?)
        .conf("password_encryption = 'scram-sha-256'\nunix_socket_permissions = 0777")
        .sql("create role app login password 'pw'")
        .sql("create role boss superuser login")
        .start();
    fs::write(
        server.data.join("pg_hba.conf"),
        "local   all   postgres   peer\nlocal all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n\
         host all all ::1/128 scram-sha-256\n",
    )
    .unwrap();
    server.sql("select pg_reload_conf()");
    open_to_all(server.dir());
    let root = Account::current();
    let is_peer = wait_until(std::time::Duration::from_secs(60), || {
        !psql_as(&root, &server.socket(), "select 1").ok
    });
    assert!(is_peer, "root is no more let in by psql");
    let mut live = Live::new(server);
    live.account = root;
    Some(live)
}

#[test]
fn root_takes_the_place_of_the_servers_own_account() {
    let Some(live) = debian(17) else { return };
    let report = live.in_force("on", &[]);
    let notes = report["notes"].to_string();
    assert!(notes.contains("as the account postgres"), "{notes}");
    assert!(live.app(&live.full()).ok && live.app("sslmode=disable").ok);
    // New files are the server's, as if it had made them.
    let key = fs::metadata(live.server.data.join("server.key")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&key), Account::server().uid);
    live.in_force("require", &["--confirm-within", "600"]);
    live.pgtls(&["harden", "--confirm"]).run().expect_status(0);
    assert!(!live.app("sslmode=disable").ok && live.app(&live.full()).ok);
    let standing = live
        .pgtls(&["harden", &live.server.socket()])
        .run()
        .expect_status(0);
    assert_eq!(standing.json()["next"], "mtls", "{}", standing.stdout);

    let audit = live.pgtls(&["audit", &live.server.socket()]).run();
    let unseen = audit.json()["unseen"].to_string();
    assert!(!unseen.contains("everything that the server says"), "{unseen}");
    // What psql would do is still what is proven.
    let verify = live
        .pgtls(&["verify", &live.server.socket(), "--probes", "connect"])
        .run()
        .expect_status(1);
    assert_eq!(verify.json()["cause"], "peer-account", "{}", verify.stdout);
    live.undo();
    live.undo();
    assert!(live.app("sslmode=disable").ok);
}

#[test]
fn whoever_may_not_is_told_the_command() {
    let Some(live) = debian(15) else { return };
    let before = live.files();
    let stranger = Account::ordinary();
    let kit = live.kit.join("of a stranger");
    let refused = |conninfo: &str, account: &Account| -> Outcome {
        pgtls(["harden", conninfo, "--stage", "on", "--yes", "--dir"])
            .arg(&kit)
            .account(account)
            .run()
            .expect_status(3)
    };
    let socket = live.server.socket();
    let said = refused(&format!("{socket} password=hunter2"), &stranger).stderr;
    let rest = format!("{} harden '", pgtls_bin().display());
    assert!(said.contains(&format!("`sudo {rest}")), "{said}");
    assert!(said.contains("--stage on --yes --dir '"), "{said}");
    assert!(
        said.contains("user=postgres") && !said.contains("hunter2\n"),
        "{said}"
    );
    // Typed as it stands it does.
    let command = said.split('`').nth(1).unwrap().replacen("sudo ", "", 1);
    let done = Job::new("sh").args(["-c", &command]).run().expect_status(0);
    assert!(done.stdout.contains("In force and proven"), "{}", done.stdout);
    pgtls(["undo", "--dir"]).arg(&kit).run().expect_status(0);
    live.ends_as(&before, true, "undone");

    // Root is the server's own account, and nobody else.
    let boss = socket.replace("user=postgres", "user=boss");
    let said = refused(&boss, &Account::current()).stderr;
    assert!(said.contains(&format!("`sudo -u boss {rest}")), "{said}");
    let audit = pgtls(["audit", &socket]).account(&stranger).run();
    let said = audit.stdout + &audit.stderr;
    assert!(
        said.contains(&format!("`sudo {} audit", pgtls_bin().display())),
        "{said}"
    );
}
