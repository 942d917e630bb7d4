//! `server/pg_hba.conf`: who may come in, and how; the first line that matches decides
//! (<https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>).

use super::artifact::Line;
use super::why::short;
use super::{Found, ident, regex};
use crate::setup::{Access, Auth, Run, Setup, is_loopback};

const HEADER: &str = "\
# Who may come in, and how. The first line that matches a connection decides; there is no second chance.
# Written by pgtls from pgtls.toml: change that, then run `pgtls up`.";

/// PostgreSQL 13 reads lines of at most 8191 bytes (`MAX_LINE`): lists of databases are parted well before.
const LONGEST_LIST: usize = 1000;

/// The first version that reads names with a leading `/` as regular expressions, in quotes too.
const REGEX_NAMES: u16 = 16;

/// A record: its five columns and the key of its explanation.
struct Record {
    columns: [String; 5],
    why: &'static str,
}

pub(super) fn lines(setup: &Setup, found: &Found) -> Vec<Line> {
    let groups = groups(setup, found);
    let mut widths = [0; 5];
    for record in groups.iter().flatten() {
        for (width, column) in widths.iter_mut().zip(&record.columns) {
            *width = (*width).max(column.chars().count());
        }
    }
    let mut lines: Vec<Line> = HEADER.lines().map(Line::plain).collect();
    for group in &groups {
        let mut told = None;
        for record in group {
            if told != Some(record.why) {
                lines.push(Line::plain(""));
                lines.push(Line::plain(format!("# {}.", short(record.why))));
                told = Some(record.why);
            }
            let mut text = String::new();
            for (column, width) in record.columns.iter().zip(widths) {
                let gap = width - column.chars().count() + 2;
                text.push_str(column);
                text.push_str(&" ".repeat(gap));
            }
            lines.push(Line::because(text.trim_end(), record.why));
        }
    }
    lines
}

fn groups(setup: &Setup, found: &Found) -> Vec<Vec<Record>> {
    let local = match setup.run {
        Run::Sandbox => record("local", "all", "postgres", "", "trust", "hba-local-sandbox"),
        Run::Compose => record("local", "all", "postgres", "", "trust", "hba-local-compose"),
        Run::None => record("local", "all", "all", "", "peer", "hba-local-own"),
    };
    let mut admitted = Vec::new();
    for access in &setup.access {
        let (method, why) = match access.method {
            Auth::Scram => ("scram-sha-256".to_owned(), "hba-scram"),
            Auth::Cert if ident::is_mapped(setup, &access.role) => {
                (format!("cert map={}", ident::MAP), "hba-cert-map")
            }
            Auth::Cert => ("cert".to_owned(), "hba-cert"),
            Auth::ScramCert => (
                "scram-sha-256 clientcert=verify-full".to_owned(),
                "hba-scram-cert",
            ),
        };
        let role = name(&access.role, found.major(setup));
        for databases in lists(&access.databases, found.major(setup)) {
            for address in addresses(setup, access) {
                admitted.push(record("hostssl", &databases, &role, &address, &method, why));
            }
        }
    }
    let refused = vec![
        record("host", "all", "all", "all", "reject", "hba-reject"),
        record("host", "replication", "all", "all", "reject", "hba-reject"),
    ];
    vec![vec![local], admitted, refused]
}

/// The addresses of an access as the server sees them.
///
/// A container sees a client of this machine, and one of the neighbouring containers, under an address of its own
/// network. While it is published on this machine's loopback alone, that is the fence and every address may be any
/// of these; published for the network, those clients keep their addresses.
fn addresses(setup: &Setup, access: &Access) -> Vec<String> {
    if setup.run != Run::Compose {
        return access.addresses.iter().map(ToString::to_string).collect();
    }
    if !setup.is_open_beyond_loopback() {
        return vec!["all".to_owned()];
    }
    let mut seen: Vec<String> = Vec::new();
    for net in &access.addresses {
        let address = if is_loopback(*net) {
            "samenet".to_owned()
        } else {
            net.to_string()
        };
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen
}

fn record(kind: &str, databases: &str, role: &str, address: &str, method: &str, why: &'static str) -> Record {
    Record {
        columns: [kind, databases, role, address, method].map(str::to_owned),
        why,
    }
}

/// Comma-separated lists of databases, none of them too long for a line.
fn lists(databases: &[String], major: Option<u16>) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for database in databases {
        let token = name(database, major);
        match lists.last_mut() {
            Some(list) if list.len() + token.len() < LONGEST_LIST => {
                list.push(',');
                list.push_str(&token);
            }
            _ => lists.push(token),
        }
    }
    lists
}

/// A database or role name as one token that means that name and nothing else. An unknown version is taken to be
/// a current one.
fn name(name: &str, major: Option<u16>) -> String {
    if name.starts_with('/') && major.is_none_or(|major| major >= REGEX_NAMES) {
        token(&regex::exactly(name))
    } else {
        token(name)
    }
}

/// A token of `pg_hba.conf` or `pg_ident.conf`: in quotes unless plainly a word and no keyword. In quotes, commas,
/// blanks, `#`, `+`, `@` and keywords lose their meaning; a quote is doubled.
pub(super) fn token(text: &str) -> String {
    const KEYWORDS: [&str; 6] = [
        "all",
        "sameuser",
        "samerole",
        "samegroup",
        "replication",
        "reject",
    ];
    let is_word = !text.is_empty()
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if is_word && !KEYWORDS.contains(&text) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_bare_and_all_else_is_quoted() {
        assert_eq!(token("shop_2"), "shop_2");
        for (text, quoted) in [
            ("all", "\"all\""),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("+g", "\"+g\""),
            ("@f", "\"@f\""),
            ("a,b", "\"a,b\""),
            ("#", "\"#\""),
            ("ä", "\"ä\""),
            ("", "\"\""),
        ] {
            assert_eq!(token(text), quoted);
        }
    }

    #[test]
    fn a_leading_slash_is_an_expression_from_16_on() {
        assert_eq!(name("/x.y", Some(15)), "\"/x.y\"");
        assert_eq!(name("/x.y", Some(16)), "\"/^\\/x\\.y$\"");
        assert_eq!(name("/x.y", None), "\"/^\\/x\\.y$\"");
    }

    #[test]
    fn long_lists_are_parted() {
        let databases: Vec<String> = (0..100).map(|n| format!("{n:060}")).collect();
        let lists = lists(&databases, None);
        assert!(lists.iter().all(|list| list.len() <= LONGEST_LIST));
        assert_eq!(lists.join(",").split(',').count(), 100);
    }
}
