//! Bad input: certificates and keys that do not fit, files that were broken beforehand, a reload that fails without a word.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::ground::{End, Ground, plaintext, put};
use super::support::{Account, Ca, Leaf, Postgres, scratch, skip};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn for_account(leaf: &Leaf) {
    Account::server().own(&leaf.cert);
    Account::server().own(&leaf.key);
}

fn given<'a>(cert: &'a Path, key: &'a Path, root: &'a Path) -> [&'a str; 6] {
    [
        "--server-cert",
        cert.to_str().unwrap(),
        "--server-key",
        key.to_str().unwrap(),
        "--root",
        root.to_str().unwrap(),
    ]
}

/// A pair that would lock clients out, or keep the server from starting, is turned down before anything is written.
#[test]
fn a_bad_pair_is_turned_down() {
    let Some(mut ground) = Ground::new() else { return };
    let (ca, other) = (Ca::new("given ca"), Ca::new("other ca"));
    let good = ca.server(&NAMES);
    let second = ca.server(&NAMES);
    let expired = ca.server_between(&NAMES, -30, -1);
    let early = ca.server_between(&NAMES, 10, 30);
    let misnamed = ca.server(&["db.example.org"]);
    let client = ca.client("app");
    for leaf in [&good, &second, &expired, &early, &misnamed, &client] {
        for_account(leaf);
    }
    let junk = scratch("junk").join("server.crt");
    put(
        &junk,
        "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n",
    );
    let nowhere = scratch("nowhere").join("server.key");
    let hosts = ["--host", "localhost", "--host", "127.0.0.1"];
    for (what, cert, key, root) in [
        (
            "the key of another certificate",
            &good.cert,
            &second.key,
            &ca.cert,
        ),
        ("expired", &expired.cert, &expired.key, &ca.cert),
        ("not valid yet", &early.cert, &early.key, &ca.cert),
        ("another name", &misnamed.cert, &misnamed.key, &ca.cert),
        ("a client's certificate", &client.cert, &client.key, &ca.cert),
        ("another root", &good.cert, &good.key, &other.cert),
        ("junk", &junk, &good.key, &ca.cert),
        ("certificate and key exchanged", &good.key, &good.cert, &ca.cert),
        ("no key", &good.cert, &nowhere, &ca.cert),
    ] {
        let mut arguments = given(cert, key, root).to_vec();
        arguments.extend(hosts);
        let outcome = ground.harden("on", &arguments).run();
        assert!(
            matches!(outcome.status, Some(1..=3)),
            "{what}: status {:?}\n{}{}",
            outcome.status,
            outcome.stdout,
            outcome.stderr
        );
        assert_eq!(ground.ends_as_said("on", what, &outcome), End::AsItWas);
    }
    ground.restarts("after bad pairs");
    ground.root = Some(ca.cert.clone());
    // The good one is taken, so that it was not something else that was refused.
    let mut arguments = given(&good.cert, &good.key, &ca.cert).to_vec();
    arguments.extend(hosts);
    ground.harden("on", &arguments).run().expect_status(0);
    ground.is_tidy("with the good pair");
    ground.restarts("with the good pair");
    ground.is_as_planned("on", "with the good pair");
    ground.undo("the good pair");
}

/// Whatever the mode and the owner of the key, and of the directories above it: the server can read what it is told to
/// read, or nothing is told.
#[test]
fn the_mode_of_the_key_is_no_trap() {
    let Some(mut ground) = Ground::new() else { return };
    let ca = Ca::new("given ca");
    ground.root = Some(ca.cert.clone());
    let own = Account::server();
    for (what, mode, directory, of_root) in [
        ("a key that everybody may read", 0o644, 0o755, false),
        ("a key that a group may write", 0o660, 0o755, false),
        ("a key of root's that everybody may read", 0o644, 0o755, true),
        ("a key of root's alone", 0o600, 0o755, true),
        ("a directory of root's alone", 0o640, 0o700, true),
    ] {
        if of_root && !Account::is_root() {
            skip("files of root's take root", false);
            continue;
        }
        let leaf = ca.server(&NAMES);
        let place = leaf.key.parent().unwrap();
        for file in [&leaf.cert, &leaf.key] {
            if of_root {
                chown(file, Some(0), Some(0)).unwrap();
            } else {
                own.own(file);
            }
        }
        fs::set_permissions(&leaf.key, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(place, fs::Permissions::from_mode(directory)).unwrap();
        ground.account = if of_root { Account::current() } else { own.clone() };
        let outcome = ground.harden("on", &given(&leaf.cert, &leaf.key, &ca.cert)).run();
        let end = ground.ends_as_said("on", what, &outcome);
        ground.restarts(what);
        if end == End::AsPlanned {
            ground.is_as_planned("on", what);
            ground.undo(what);
        }
        let left = fs::metadata(&leaf.key).unwrap().permissions().mode() & 0o7777;
        assert_eq!(left, mode, "{what}: the given key's own mode was changed");
    }
}

/// Files that the server has not read yet, and would not take: nothing of ours comes on top.
#[test]
fn what_was_broken_beforehand_is_named() {
    let Some(postgres) = Postgres::any() else { return };
    for (file, added, named) in [
        ("pg_hba.conf", "hostsll all all 10.0.0.0/8 md5\n", "pg_hba.conf"),
        ("pg_hba.conf", "host all all 10.0.0.0 md5\n", "pg_hba.conf"),
        (
            "pg_hba.conf",
            "host all all 10.0.0.0/8 scarm-sha-256\n",
            "pg_hba.conf",
        ),
        (
            "pg_hba.conf",
            "\u{feff}host all all 10.0.0.0/8 md5\n",
            "pg_hba.conf",
        ),
        ("postgresql.conf", "no_such_setting = on\n", "no_such_setting"),
        ("postgresql.conf", "work_mem = 'much'\n", "work_mem"),
        ("postgresql.conf", "include 'not-there.conf'\n", "not-there.conf"),
        ("postgresql.conf", "ssl_cert_file = 'x\n", "postgresql.conf"),
    ] {
        let mut ground = Ground::of(plaintext(&postgres).start());
        let path = ground.etc.join(file);
        let text = fs::read_to_string(&path).unwrap();
        put(&path, &format!("{text}{added}"));
        ground.remember();
        for stage in ["on", "require"] {
            let when = format!("{added:?} in {file}, {stage}");
            let outcome = ground.harden(stage, &[]).run();
            assert!(
                matches!(outcome.status, Some(1..=3)),
                "{when}: status {:?}\n{}",
                outcome.status,
                outcome.stdout
            );
            assert_eq!(ground.ends_as_said(stage, &when, &outcome), End::AsItWas);
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(said.contains(named), "{when}: {said}");
        }
    }
}

/// Settings that do no harm while TLS is off, and make every reload with it on fail: SQL calls that a success.
#[test]
fn a_reload_that_fails_without_a_word_is_seen() {
    let Some(postgres) = Postgres::any() else { return };
    for lines in [
        "ssl_ca_file = 'missing.crt'",
        "ssl_crl_file = 'missing.crl'",
        "ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'",
        "ssl_ecdh_curve = 'nonsense'",
        "ssl_ciphers = 'NOPE'",
        "ssl_cert_file = 'missing.crt'\nssl_key_file = 'missing.key'",
    ] {
        let mut ground = Ground::of(plaintext(&postgres).conf(lines).start());
        let outcome = ground.harden("on", &[]).run();
        let end = ground.ends_as_said("on", lines, &outcome);
        ground.restarts(lines);
        assert_eq!(ground.ends("on", lines), end, "{lines}: other after a restart");
    }
}

/// The line that lets the administrator in without TLS hides one that does not let him in with it.
#[test]
fn an_administrator_who_would_be_shut_out_is_not() {
    let Some(postgres) = Postgres::any() else { return };
    for line in [
        "hostssl all dba 127.0.0.1/32 reject",
        "hostssl all dba 127.0.0.1/32 cert",
        "hostssl all dba all scram-sha-256 clientcert=verify-ca",
    ] {
        let builder = plaintext(&postgres);
        let server = builder.start();
        server.set_hba(&format!("{line}\nhost all all 127.0.0.1/32 scram-sha-256"));
        let ground = Ground::of(server);
        let admin = format!(
            "host=127.0.0.1 port={} user=dba password=secret dbname=postgres sslmode=prefer",
            ground.server.port
        );
        // TLS first: with `prefer` that alone shuts nobody out, since the client comes again without it.
        let on = ground.harden_as(&admin, "on", &[]).run();
        ground.settles(line);
        let require = ground.harden_as(&admin, "require", &[]).run();
        ground.settles(line);
        assert!(
            matches!(require.status, Some(1..=3)),
            "{line}: on {:?}, require {:?}\n{}{}",
            on.status,
            require.status,
            require.stdout,
            require.stderr
        );
        let plain = format!("{admin} sslmode=disable");
        super::support::psql_as(&ground.account, &plain, "select 1").expect_ok(line);
        if on.status == Some(0) {
            ground.undo(line);
        }
        ground.is_as_it_was(line);
    }
}
