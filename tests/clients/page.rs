//! `docs/clients.md`: what was measured, with the versions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use pgtls::clients::{Client, all};

use crate::driver::Driver;

const HEAD: &str = "\
# Clients

What `pgtls connect NAME` prints, run unedited by the real driver. Written by the tests (`tests/clients/`): every mark
was measured with the version beside it. Each impostor has the same role and database and lets everybody in, so that
nothing but the check of the certificate keeps the driver out, and the driver's own words must say so.

- **one-way**, **mTLS**: it connects, and `pg_stat_ssl` says that the session is encrypted.
- **address**: the same where clients dial an IP address.
- **other CA**: it refuses a server whose certificate is of another CA.
- **other name**: it refuses a server whose certificate, of the right CA, carries another name; also where an address is dialled.
- **plaintext**: it refuses a server that speaks no TLS, instead of going on without.

A dash: not run by the tests, since the driver cannot be had where they run. The snippet is written to its documentation;
where a note below names a version, the same tests were run with it once, on a machine that had it.

| name | client | version | one-way | mTLS | address | other CA | other name | plaintext |
|---|---|---|:-:|:-:|:-:|:-:|:-:|:-:|
";

/// Compares the page with what was measured, where the versions agree; with `PGTLS_TEST_BLESS=1` writes it.
pub fn check(drivers: &BTreeMap<&str, Driver>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let mut measured = HEAD.to_owned();
    for client in all() {
        let old = row_of(&page, &client.name);
        let row = match drivers.get(client.name.as_str()) {
            Some(driver) => row(client, Some(&driver.version)),
            // Not run here: what was measured elsewhere stands.
            None if client.tested && old.is_some() => old.unwrap_or_default().to_owned(),
            None => row(client, None),
        };
        // Another version of the driver than the page was measured with proves nothing about the page.
        let other_version = match (old, version(old), version(Some(&row))) {
            (Some(_), Some(old), Some(new)) => old != new && old != "-" && new != "-",
            _ => false,
        };
        let blessed = std::env::var_os("PGTLS_TEST_BLESS").is_some();
        measured.push_str(if other_version && !blessed {
            old.unwrap_or_default()
        } else {
            &row
        });
        measured.push('\n');
    }
    notes(&mut measured);
    if std::env::var_os("PGTLS_TEST_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, measured).unwrap();
        return;
    }
    assert!(
        page == measured,
        "docs/clients.md is not what was measured: PGTLS_TEST_BLESS=1 cargo test --test clients\n{measured}"
    );
}

/// What to mind with each client.
fn notes(page: &mut String) {
    page.push_str("\n## What each needs, and what to mind\n");
    for client in all() {
        let (name, title, versions, doc) = (&client.name, &client.title, &client.versions, &client.doc);
        write!(
            page,
            "\n**{name}** ({title}): {versions}. [Documentation]({doc}).\n"
        )
        .unwrap();
        let says = &client.says;
        if !(client.traps.is_empty() && says.other_ca.is_empty() && client.by_hand.is_none()) {
            page.push('\n');
        }
        if let Some(version) = &client.by_hand {
            writeln!(
                page,
                "- Run by hand with {version}: it connects, and refuses each impostor, in all six columns."
            )
            .unwrap();
        }
        for (against, words) in [
            ("another CA", &says.other_ca),
            ("another name", &says.wrong_name),
            ("plaintext", &says.no_tls),
        ] {
            if !words.is_empty() {
                let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                writeln!(page, "- It refuses {against} with {}.", words.join(" or ")).unwrap();
            }
        }
        for trap in &client.traps {
            writeln!(page, "- {trap}").unwrap();
        }
    }
}

fn row(client: &Client, version: Option<&str>) -> String {
    let mark = if version.is_some() { "yes" } else { "-" };
    let marks = [mark; 6].join(" | ");
    let (name, title, version) = (&client.name, &client.title, version.unwrap_or("-"));
    format!("| {name} | {title} | {version} | {marks} |")
}

fn row_of<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    page.lines().find(|line| line.starts_with(&format!("| {name} |")))
}

fn version(row: Option<&str>) -> Option<&str> {
    row?.split('|').nth(3).map(str::trim)
}
