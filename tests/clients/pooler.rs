//! The side of `PgBouncer` that clients see: the lines that the snippet leaves for later, taken into use.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::support::{Account, Ca, Job, Postgres, Project, free_port, psql_as, skip, wait_for};

const QUERY: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// Both hops are TLS, each with its own certificate: psql verifies the pooler as it would verify a server.
#[test]
fn who_connects_to_pgbouncer_verifies_it_as_a_server() {
    let Some(postgres) = Postgres::any() else { return };
    if !Path::new("/usr/sbin/pgbouncer").exists() {
        return skip(
            "pgbouncer: it is not installed here: tests/run installs it",
            false,
        );
    }
    let account = Account::server();
    let project = Project::named(&account, "behind a pooler");
    project.up("mtls", &postgres).run().expect_status(0);
    let snippet = project
        .pgtls(&["connect", "pgbouncer"])
        .run()
        .expect_status(0)
        .stdout;

    let ca = Ca::new("the pooler's");
    let pool = ca.server(&["localhost"]);
    let dir = project.dir.join("pool");
    fs::create_dir(&dir).unwrap();
    account.own(&dir);
    for (from, name) in [(&pool.cert, "server.crt"), (&pool.key, "server.key")] {
        fs::copy(from, dir.join(name)).unwrap();
        fs::set_permissions(dir.join(name), Permissions::from_mode(0o600)).unwrap();
        account.own(&dir.join(name));
    }
    let (list, port) = (dir.join("userlist.txt"), free_port());
    fs::write(&list, "\"app\" \"through the pool\"\n").unwrap();
    account.own(&list);
    let ini = snippet
        .replace("\n;client_tls_", "\nclient_tls_")
        .replace("/etc/pgbouncer", dir.to_str().unwrap())
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some(("listen_port", _)) => format!("listen_port = {port}\n"),
            Some(("auth_file", _)) => format!("auth_file = {}\n", list.display()),
            _ => format!("{line}\n"),
        })
        .collect::<String>();
    assert_eq!(ini.matches("\nclient_tls_").count(), 3, "{ini}");
    let path = dir.join("pgbouncer.ini");
    fs::write(&path, ini).unwrap();
    account.own(&path);

    let mut pooler = Job::new("/usr/sbin/pgbouncer")
        .arg(&path)
        .account(&account)
        .limit(Duration::from_secs(300))
        .start();
    wait_for("pgbouncer answers", Duration::from_secs(60), || {
        assert!(pooler.is_running(), "pgbouncer ended");
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let login = |host: &str, rest: &str| {
        let conninfo = format!(
            "host={host} hostaddr=127.0.0.1 port={port} dbname=app user=app password='through the pool' {rest}"
        );
        psql_as(&account, &conninfo, QUERY)
    };
    let (right, wrong) = (dir.join("root.crt"), dir.join("another.crt"));
    fs::copy(&ca.cert, &right).unwrap();
    fs::copy(Ca::new("another").cert, &wrong).unwrap();
    account.own(&right);
    account.own(&wrong);
    let verified = |root: &Path| format!("sslmode=verify-full sslrootcert='{}'", root.display());

    // `t`: the session behind the pooler, at PostgreSQL, is encrypted too.
    let through = login("localhost", &verified(&right)).expect_ok("psql through PgBouncer");
    assert_eq!(through.stdout.trim(), "t");
    for (host, rest, words) in [
        ("localhost", verified(&wrong), "certificate verify failed"),
        ("db.example.test", verified(&right), "does not match host name"),
        ("localhost", "sslmode=disable".to_owned(), "SSL required"),
    ] {
        let refused = login(host, &rest);
        assert!(
            !refused.ok && refused.stderr.contains(words),
            "{host} {rest}: {}{}",
            refused.stdout,
            refused.stderr
        );
    }
    pooler.signal("INT");
    pooler.finish();
}
