//! Files that are included and whose names are odd: with blanks, quotes, a line end, or in no UTF-8 at all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::live::{Live, plain};
use crate::support::{Account, Postgres, differences, tree};

fn put(path: &Path, text: &str) {
    let directory = path.parent().unwrap();
    if !directory.exists() {
        fs::create_dir(directory).unwrap();
        Account::server().own(directory);
    }
    fs::write(path, text).unwrap();
    Account::server().own(path);
}

/// A line more at the end of a file.
fn add(path: &Path, line: &str) {
    let was = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{was}{line}\n")).unwrap();
}

fn odd() -> [OsString; 4] {
    [
        "10 it's \"odd\".conf",
        "20 two\nlines.conf",
        "30-k\u{e4}se \u{202e}.conf",
        "40 back\\slash$HOME`.conf",
    ]
    .map(OsString::from)
}

fn latin1(number: u8) -> OsString {
    OsStr::from_bytes(&[&[b'0' + number, b'0'][..], b"-k\xe4se.conf"].concat()).to_owned()
}

fn put_back(live: &Live, stages: &[&str]) {
    let before = tree(&live.server);
    for stage in stages {
        live.in_force(stage, &[]);
    }
    live.app(&live.full()).expect_ok("verify-full");
    assert!(!live.app("sslmode=disable").ok);
    live.server
        .sql("select count(*) from pg_hba_file_rules where error is null");
    for _ in stages {
        live.undo();
    }
    let left = differences(&before, &tree(&live.server));
    assert!(left.is_empty(), "{}", left.join("\n"));
}

#[test]
fn odd_names_of_settings_are_names() {
    for major in [13, 18] {
        let Some(postgres) = Postgres::find(major) else {
            return;
        };
        for name in odd() {
            let live = plain(&postgres);
            let data = live.server.data.clone();
            put(
                &data.join("conf d").join(&name),
                "ssl = off # here it is decided\n",
            );
            // One that decides nothing, in another encoding, is in nobody's way.
            put(&data.join("conf d").join(latin1(0)), "work_mem = '4MB'\n");
            add(&data.join("postgresql.conf"), "include_dir 'conf d'");
            live.server.sql("select pg_reload_conf()");
            put_back(&live, &["on", "require"]);
        }
    }
}

#[test]
fn odd_names_of_rules_are_names() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    for name in odd() {
        let live = plain(&postgres);
        let data = live.server.data.clone();
        put(
            &data.join("hba.d").join(&name),
            "host all all 127.0.0.1/32 scram-sha-256\n",
        );
        fs::write(
            data.join("pg_hba.conf"),
            "local all all trust\ninclude_dir hba.d\n",
        )
        .unwrap();
        live.server.sql("select pg_reload_conf()");
        put_back(&live, &["on", "require"]);
    }
}

#[test]
fn a_name_in_no_utf8_is_refused_before_anything_is_written() {
    for major in [15, 18] {
        let Some(postgres) = Postgres::find(major) else {
            return;
        };
        let live = plain(&postgres);
        let data = live.server.data.clone();
        put(&data.join("conf.d").join(latin1(5)), "ssl = off\n");
        add(&data.join("postgresql.conf"), "include_dir 'conf.d'");
        live.server.sql("select pg_reload_conf()");
        let before = tree(&live.server);
        let refused = live.stage("on", &[]).expect_status(3);
        assert!(
            refused.stderr.contains("no UTF-8") && refused.stderr.contains("rename it"),
            "{}",
            refused.stderr
        );
        let overview = live
            .pgtls(&["harden", &live.server.socket()])
            .run()
            .expect_status(0)
            .json();
        assert!(
            overview["stages"][0]["hindrance"]["what"]
                .to_string()
                .contains("no UTF-8"),
            "{overview:#}"
        );
        live.pgtls(&[
            "audit",
            &live.server.socket(),
            "--config-dir",
            data.to_str().unwrap(),
        ])
        .run()
        .expect_status(1);
        let left = differences(&before, &tree(&live.server));
        assert!(left.is_empty(), "{}", left.join("\n"));
        // Once it is renamed all is well.
        fs::rename(
            data.join("conf.d").join(latin1(5)),
            data.join("conf.d/50-k\u{e4}se.conf"),
        )
        .unwrap();
        put_back(&live, &["on", "require"]);
    }
}
