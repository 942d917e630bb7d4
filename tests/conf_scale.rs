//! A `pg_hba.conf` of a hundred thousand lines: time and memory grow with the file, not faster.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use pgtls::conf::Dialect;
use pgtls::conf::hba::Rules;
use pgtls::conf::simulate::{Channel, Connection, Simulator, World, changes};
use pgtls::harden::unified;

const ASKED: u32 = 10_000;

/// Lines as a machine writes them: one for each tenant, a few for everybody, one at the end.
fn file(lines: u32, kind: &str) -> String {
    let mut text = String::from("# TYPE  DATABASE  USER  ADDRESS  METHOD\nlocal all all peer\n");
    for n in 0..lines {
        let ip = Ipv4Addr::from(0x0a00_0000 + n);
        match n % 4 {
            0 => writeln!(text, "{kind}  tenant{n}  role{n}  {ip}/32  scram-sha-256  # {n}"),
            1 => writeln!(text, "{kind}  all        role{n}  10.0.0.0/8  scram-sha-256"),
            2 => writeln!(text, "{kind}  tenant{n}  all      all  md5"),
            _ => writeln!(text, "{kind}  all        all      {ip}/32  scram-sha-256"),
        }
        .unwrap();
    }
    text.push_str("host all all all reject\n");
    text
}

fn connections(lines: u32) -> Vec<Connection> {
    (0..ASKED)
        .map(|n| {
            let who = n.wrapping_mul(2_654_435_761) % lines;
            let ip = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + who));
            Connection {
                channel: if n % 2 == 0 {
                    Channel::Plain(ip)
                } else {
                    Channel::Tls(ip, None)
                },
                user: format!("role{who}"),
                database: format!("tenant{who}"),
                replication: n % 50 == 0,
            }
        })
        .collect()
}

/// Reads both files, asks each connection of both, and shows the difference.
fn work(lines: u32) -> (Duration, usize) {
    let (old, new) = (file(lines, "host"), file(lines, "hostssl"));
    let (old_text, new_text) = (old.clone(), new.clone());
    let asked = connections(lines);
    let world = World::default();
    let begun = Instant::now();
    let (old, new) = (
        Rules::parse(old.as_bytes(), Dialect::of(17)),
        Rules::parse(new.as_bytes(), Dialect::of(17)),
    );
    let (before, after) = (
        Simulator::new(old.rules(), &world),
        Simulator::new(new.rules(), &world),
    );
    let changed = changes(&before, &after, &asked).len();
    let diff = unified(old_text.as_bytes(), new_text.as_bytes());
    let took = begun.elapsed();
    assert!(
        diff.contains(&format!("{} changed lines in all", 2 * lines)),
        "{diff}"
    );
    assert_eq!(old.rules().len(), lines as usize + 2);
    (took, changed)
}

/// Memory in use, pages.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_thousand_lines_take_ten_times_what_ten_thousand_take() {
    // Everybody who came in plaintext is told, replication apart: that was refused before and is now.
    let expected = (0..ASKED).filter(|n| n % 2 == 0 && n % 50 != 0).count();
    let best = |lines| {
        let runs: Vec<_> = (0..3).map(|_| work(lines)).collect();
        assert!(runs.iter().all(|(_, changed)| *changed == expected), "{runs:?}");
        runs.into_iter().map(|(took, _)| took).min().unwrap()
    };
    let (small, large) = (best(10_000), best(100_000));
    eprintln!("10,000 lines: {small:?}; 100,000 lines: {large:?}");
    // Linear is 10, and less, as the 10,000 connections are the same; the rest is the machine's.
    assert!(
        large < small * 16,
        "10,000 lines took {small:?}, 100,000 took {large:?}"
    );
}

#[test]
fn memory_grows_with_the_file() {
    let held = |lines| {
        let text = file(lines, "hostssl");
        let before = resident();
        let rules = Rules::parse(text.as_bytes(), Dialect::of(17));
        let pages = resident().saturating_sub(before);
        assert_eq!(rules.rules().len(), lines as usize + 2);
        pages
    };
    // The first one pays for what the allocator keeps.
    held(1000);
    let (small, large) = (held(50_000).max(1), held(200_000));
    eprintln!("50,000 lines: {small} pages; 200,000 lines: {large} pages");
    assert!(
        large < small * 8,
        "50,000 lines take {small} pages, 200,000 take {large}"
    );
}
