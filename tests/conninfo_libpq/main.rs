//! The room `conninfo` against libpq 18's own parser and its own way of putting parameters together.
//!
//! The witness is psycopg, which brings libpq along: `PGTLS_TEST_PYTHON` names a Python that has it.

#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, in its helpers too"
)]

mod case;
mod files;
mod generated;
mod judging;
mod table;
mod witness;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::Command;

use pgtls::conninfo::{Conninfo, Error, Keyword, UriError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use secrecy::ExposeSecret;
use serde_json::json;

use witness::Witness;

/// All values of a conninfo, secrets included, as the witness gives them.
fn values(conninfo: &Conninfo) -> BTreeMap<String, String> {
    conninfo
        .keywords()
        .map(|keyword| {
            (
                keyword.name().to_owned(),
                conninfo.secret(keyword).unwrap().expose_secret().to_owned(),
            )
        })
        .collect()
}

/// Compares one string; a description of the difference, if there is one.
fn difference(witness: &mut Witness, text: &str) -> Option<String> {
    let theirs = witness.ask(&json!({ "parse": text }));
    let same = match (Conninfo::parse(text), theirs.get("ok")) {
        (Ok(ours), Some(theirs)) => json!(values(&ours)) == *theirs,
        // The one documented difference: libpq takes any bytes.
        (Err(Error::Uri(UriError::NotUtf8(_))), _) | (Err(_), None) => true,
        _ => false,
    };
    (!same).then(|| {
        format!(
            "{text:?}\n  ours   {:?}\n  theirs {theirs}",
            Conninfo::parse(text).map(|c| values(&c))
        )
    })
}

#[test]
fn the_table_reads_as_libpq_reads_it() {
    let Some(mut witness) = Witness::start() else {
        return;
    };
    assert!(table::STRINGS.len() >= 120);
    let differences: Vec<String> = table::STRINGS
        .iter()
        .filter_map(|text| difference(&mut witness, text))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_keyword_of_libpq_is_known_with_its_variable() {
    let Some(mut witness) = Witness::start() else {
        return;
    };
    for keyword in Keyword::ALL {
        let theirs = witness.ask(&json!({ "parse": format!("{keyword}=x") }));
        assert_eq!(theirs["ok"][keyword.name()], "x", "{keyword}");
        if let Some(variable) = keyword.variable().filter(|name| *name != "PGSERVICE") {
            let theirs = witness.ask(&json!({ "defaults": true, "env": { variable: "marked" } }));
            assert_eq!(theirs["ok"][keyword.name()], "marked", "{variable}");
        }
    }
    // And libpq knows no others.
    let theirs = witness.ask(&json!({ "connect": "host=127.0.0.1 port=1" }));
    for name in theirs["ok"].as_object().unwrap().keys() {
        assert!(Keyword::from_name(name).is_some(), "{name}");
    }
}

/// Runs `check` on generated cases; the witness is shared, so that a case costs one line each way.
fn generated<S: Strategy>(
    cases: u32,
    strategy: &S,
    check: impl Fn(&mut Witness, S::Value) -> Option<String>,
) {
    let Some(witness) = Witness::start() else { return };
    let witness = RefCell::new(witness);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(strategy, |case| {
            check(&mut witness.borrow_mut(), case).map_or(Ok(()), |why| Err(TestCaseError::fail(why)))
        })
        .unwrap();
}

/// Strings made of the pieces that matter to a parser.
fn pieces(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![9 => prop::sample::select(pieces).prop_map(str::to_owned), 1 => "[^\0]"];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

#[test]
fn generated_pairs_read_as_libpq_reads_them() {
    let strategy = pieces(&[
        "host",
        "port",
        "sslmode",
        "password",
        "requiressl",
        "nonsense",
        "=",
        "=",
        "=",
        "'",
        "'",
        "\\",
        " ",
        " ",
        "\t",
        "\n",
        "\u{b}",
        "\u{c}",
        "\r",
        "\u{85}",
        "\u{a0}",
        "a",
        "é",
        ",",
        "\"",
        "#",
        "1",
        "''",
        "\\'",
        "\\\\",
    ]);
    generated(3000, &strategy, |witness, text| difference(witness, &text));
}

#[test]
fn generated_uris_read_as_libpq_reads_them() {
    let strategy = pieces(&[
        "a", "user", ":", ":", "@", "@", "/", "/", "?", "?", "=", "=", "&", ",", "[", "]", "[::1]", "::1",
        "%", "%20", "%2F", "%40", "%00", "%zz", "%C3%A9", "%ff", "%2C", " ", "host", "port", "ssl", "true",
        "sslmode", "5432", "?host=", "&port=", "dbname", "é", "#", "\t", "\n",
    ]);
    let scheme = prop::sample::select(&["postgresql://", "postgres://"][..]);
    let strategy = (scheme, strategy).prop_map(|(scheme, rest)| format!("{scheme}{rest}"));
    generated(3000, &strategy, |witness, text| difference(witness, &text));
}

/// Any keywords with any values: lists, blanks, quotes, brackets, everything but NUL.
fn any_conninfo() -> impl Strategy<Value = Conninfo> {
    let value = prop_oneof![
        "[^\0]{0,8}",
        pieces(&[
            "a", ",", ":", "::1", "/", "@", "[", "]", "%", "%41", " ", "'", "\\", "=", "&", "?", "5432", "\n"
        ]),
        prop::sample::select(
            &[
                "",
                "h",
                "h,i",
                "::1",
                "::1,h",
                "/tmp",
                "5432",
                "1,2",
                ",",
                "fe80::1%lo"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    let keyword = prop_oneof![
        prop::sample::select(
            &[
                Keyword::Host,
                Keyword::Port,
                Keyword::User,
                Keyword::Password,
                Keyword::Dbname,
            ][..]
        ),
        prop::sample::select(Keyword::ALL),
    ];
    prop::collection::vec((keyword, value), 0..6).prop_map(|pairs| {
        let mut conninfo = Conninfo::new();
        for (keyword, value) in pairs {
            conninfo.set(keyword, value);
        }
        conninfo
    })
}

#[test]
fn what_we_write_libpq_reads_back() {
    let secrets: Vec<Keyword> = Keyword::ALL
        .iter()
        .copied()
        .filter(|keyword| keyword.is_secret())
        .collect();
    generated(3000, &any_conninfo(), |witness, conninfo| {
        for written in [
            conninfo.to_keyword_value_with(&secrets),
            conninfo.to_uri_with(&secrets),
        ] {
            let written = written.expose_secret();
            let theirs = witness.ask(&json!({ "parse": written }));
            if theirs["ok"] != json!(values(&conninfo)) {
                return Some(format!(
                    "wrote {written:?} for {:?}, libpq reads {theirs}",
                    values(&conninfo)
                ));
            }
            if Conninfo::parse(written) != Ok(conninfo.clone()) {
                return Some(format!(
                    "wrote {written:?} for {:?}, and read something else",
                    values(&conninfo)
                ));
            }
        }
        None
    });
}

#[test]
fn the_variables_we_write_libpq_takes() {
    generated(300, &any_conninfo(), |witness, mut conninfo| {
        // A service would be looked up at once.
        conninfo.remove(Keyword::Service);
        let env: BTreeMap<_, _> = conninfo
            .to_env_with(&[Keyword::Password])
            .into_iter()
            .map(|(name, value)| (name, value.expose_secret().to_owned()))
            .collect();
        let theirs = witness.ask(&json!({ "defaults": true, "env": env }));
        conninfo
            .keywords()
            .filter(|keyword| keyword.variable().is_some())
            .find(|keyword| {
                theirs["ok"][keyword.name()] != conninfo.secret(*keyword).unwrap().expose_secret()
            })
            .map(|keyword| format!("{keyword} of {:?} is not in {theirs}", values(&conninfo)))
    });
}

#[test]
fn a_shell_hands_psql_what_we_wrote() {
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&any_conninfo(), |conninfo| {
            let script = format!("psql() {{ printf '%s' \"$*\"; }}\n{}", conninfo.psql_command());
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert!(output.status.success());
            prop_assert_eq!(
                String::from_utf8(output.stdout).unwrap(),
                conninfo.to_keyword_value()
            );
            Ok(())
        })
        .unwrap();
}
