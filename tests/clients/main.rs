//! The snippets of `pgtls connect`, run unedited by the real drivers: against the server they are for, and against
//! impostors that would let them in, so that nothing but the certificate stops them.
//!
//! One table comes out of it: `docs/clients.md`. Its test fails where the table says something else than was measured
//! with the same versions; `PGTLS_TEST_BLESS=1` writes it anew. `PGTLS_TEST_CLIENTS=jdbc,psql` runs only these.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod driver;
mod formats;
mod install;
mod page;
mod pooler;
mod stage;
mod wellformed;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use driver::Driver;
use stage::{Measured, Stage};
use support::Postgres;

/// What continuous integration must be able to run.
const REQUIRED: [&str; 10] = [
    "psql",
    "psycopg",
    "asyncpg",
    "sqlalchemy",
    "node-pg",
    "postgres-js",
    "jdbc",
    "tokio-postgres",
    "ruby-pg",
    "php-pdo",
];

#[test]
fn every_snippet_connects_and_refuses_impostors_and_the_page_says_so() {
    let Some(postgres) = Postgres::any() else { return };
    let only = std::env::var("PGTLS_TEST_CLIENTS").ok();
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|one| one == name))
    };
    let mut drivers = BTreeMap::new();
    let mut failures = String::new();
    for client in pgtls::clients::all().iter().filter(|client| client.tested) {
        let name = client.name.as_str();
        if !wanted(name) {
            continue;
        }
        match Driver::find(name) {
            Ok(driver) => _ = drivers.insert(name, driver),
            Err(why) => support::skip(&format!("{name}: {why}"), REQUIRED.contains(&name)),
        }
    }
    let measured: Vec<BTreeMap<&str, Measured>> = std::thread::scope(|scope| {
        let stages = Stage::ALL.map(|stage| {
            let (postgres, drivers) = (&postgres, &drivers);
            scope.spawn(move || stage.play(postgres, drivers))
        });
        stages.into_iter().map(|stage| stage.join().unwrap()).collect()
    });
    for (stage, rows) in Stage::ALL.iter().zip(&measured) {
        for (name, measured) in rows {
            for failure in &measured.failures {
                writeln!(failures, "== {name}, {stage:?}: {failure}").unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    if only.is_none() {
        page::check(&drivers);
    }
}
