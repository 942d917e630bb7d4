//! A server as Debian sets it up: over its socket the superuser is whoever is the server's own account, and has no password.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::live::{Live, wait_until};
use crate::support::{
    Account, Ca, Job, Outcome, Postgres, TestServer, open_to_all, pgtls, pgtls_bin, psql_as, scratch, skip,
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
    let is_peer = wait_until(Duration::from_secs(60), || {
        !psql_as(&root, &server.socket(), "select 1").ok
    });
    assert!(is_peer, "root is no more let in by psql");
    let mut live = Live::new(server);
    root.own(&live.kit);
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

/// What a service allows, as far as it can be had without systemd: its paths alone are writable, its capabilities alone are
/// left, and no new ones are gained (systemd.exec(5)).
const WALLS: &str = r#"
set -eu
mount --make-rprivate /
for path in $WRITES; do mount --bind "$path" "$path"; done
while read -r _ place _; do
    case " $WRITES /proc /sys /dev " in *" $place "*) continue ;; esac
    mount -o remount,bind,ro "$place" 2>/dev/null || true
done </proc/mounts
if touch "$ELSEWHERE" 2>/dev/null; then echo "the walls do not stand" >&2; exit 99; fi
exec setpriv --no-new-privs --inh-caps=-all --bounding-set="$CAPABILITIES" -- "$@"
"#;

/// The words of `ExecStart=`, as systemd reads them (systemd.syntax(7)).
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' | '%' | '$' => word.extend(chars.next()),
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

/// The renewal that the generated service runs does its work within the service's own walls, root's login by peer included.
#[test]
fn the_service_renews_within_its_own_walls() {
    let Some(live) = debian(18) else { return };
    let can = Job::new("unshare")
        .args(["-m", "setpriv", "--bounding-set=-all", "true"])
        .run();
    if !can.ok {
        return skip("no mount namespace can be made here", false);
    }
    live.in_force("on", &[]);
    let own = |name: &str| live.kit.join("ca").join(name);
    let next = Ca::existing(&own("root.crt"), &own("ca.key")).server(&["localhost", "127.0.0.1", "::1"]);
    let from = scratch("from");
    fs::copy(&next.cert, from.join("tls.crt")).unwrap();
    fs::copy(&next.key, from.join("tls.key")).unwrap();
    let units = scratch("units");
    pgtls(["renew", &live.server.socket(), "--dir"])
        .arg(&live.kit)
        .arg("--config-dir")
        .arg(&live.server.data)
        .arg("--from")
        .arg(&from)
        .arg("--root")
        .arg(own("root.crt"))
        .arg("--units")
        .arg(&units)
        .run()
        .expect_status(0);
    let service = fs::read_to_string(units.join("pgtls-renew.service")).unwrap();
    let all = |key: &str| -> Vec<&str> {
        service
            .lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .collect()
    };
    let capabilities = all("CapabilityBoundingSet").join(" ").to_lowercase();
    assert!(capabilities.contains("cap_setuid"), "{service}");
    let kept: Vec<_> = capabilities
        .split_whitespace()
        .map(|name| name.replacen("cap_", "+", 1))
        .collect();
    let serial = |path: &Path| {
        let shown = Job::new("openssl")
            .args(["x509", "-noout", "-serial", "-in"])
            .arg(path)
            .run();
        shown.expect_ok("openssl x509").stdout
    };
    let run = |capabilities: &str| {
        Job::new("unshare")
            .args(["-m", "sh", "-c", WALLS, "sh"])
            .args(words(all("ExecStart")[0]))
            .env("WRITES", all("ReadWritePaths").join(" "))
            .env("ELSEWHERE", from.join("elsewhere"))
            .env("CAPABILITIES", capabilities)
            .run()
    };
    let before = serial(&live.server.data.join("server.crt"));
    // Without the account's place nobody logs in, and nothing is changed.
    let poor = run("-all,+chown,+dac_override,+fowner");
    assert_ne!(poor.status, Some(0), "{}", poor.stderr);
    assert_eq!(serial(&live.server.data.join("server.crt")), before);
    run(&format!("-all,{}", kept.join(","))).expect_status(0);
    assert_eq!(serial(&live.server.data.join("server.crt")), serial(&next.cert));
    assert!(wait_until(Duration::from_secs(60), || live.app(&live.full()).ok));
}
