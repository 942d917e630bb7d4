use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::conf::hba::{Method, Rules};
use crate::conf::{Dialect, Net};

fn rules(text: &str) -> Vec<Rule> {
    let rules = Rules::parse(text.as_bytes(), Dialect::of(18));
    assert_eq!(rules.broken(), []);
    rules.rules().to_vec()
}

fn world() -> World {
    let role = |name: &str| name.to_owned();
    World {
        memberships: Some(Memberships::new(
            ["a", "b", "g", "h"].map(role),
            [(role("a"), role("g")), (role("g"), role("h"))],
        )),
        interfaces: Some(vec![
            Net::with_prefix("10.0.0.1".parse().unwrap(), 24).unwrap(),
            Net::with_prefix("127.0.0.1".parse().unwrap(), 8).unwrap(),
        ]),
        ..World::default()
    }
}

fn connection(channel: &str, ip: &str, user: &str, database: &str) -> Connection {
    let ip = || ip.parse::<IpAddr>().unwrap();
    Connection {
        channel: match channel {
            "socket" => Channel::Socket,
            "plain" => Channel::Plain(ip()),
            "tls" => Channel::Tls(ip(), None),
            _ => Channel::Gss(ip()),
        },
        user: user.to_owned(),
        database: database.to_owned(),
        replication: database == "(replication)",
    }
}

#[test]
fn the_first_that_matches_decides() {
    let world = world();
    let rules = rules(
        "local all all peer\nhost all +h 10.0.0.0/24 md5\nhostssl all all all scram-sha-256\nhostnossl sameuser all \
         127.0.0.1/32 reject\nhost replication all samenet trust\n",
    );
    let simulator = Simulator::new(&rules, &world);
    for (channel, ip, user, database, record) in [
        ("socket", "", "b", "x", Some(0)),
        ("socket", "", "b", "(replication)", None),
        ("plain", "10.0.0.9", "a", "x", Some(1)),
        ("plain", "10.0.1.9", "a", "x", None),
        ("tls", "10.0.0.9", "b", "x", Some(2)),
        ("tls", "::1", "nobody", "x", Some(2)),
        ("plain", "127.0.0.1", "b", "b", Some(3)),
        ("plain", "127.0.0.1", "b", "x", None),
        ("plain", "127.9.9.9", "b", "(replication)", Some(4)),
        ("gss", "10.0.0.2", "h", "x", Some(1)),
    ] {
        let connection = connection(channel, ip, user, database);
        let decision = simulator.decide(&connection);
        assert_eq!(
            (decision.record, decision.is_certain()),
            (record, true),
            "{connection:?}"
        );
    }
    let told: Vec<_> = simulator
        .explain(&connection("plain", "127.0.0.1", "b", "b"))
        .collect();
    assert_eq!(
        told,
        [
            (0, Test::Differs(Mismatch::Channel)),
            (1, Test::Differs(Mismatch::Address)),
            (2, Test::Differs(Mismatch::Channel)),
            (3, Test::Matches),
        ]
    );
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let world = World::default();
    let rules =
        rules("host all +g all md5\nhost all all db.example.org md5\nhost all all all scram-sha-256\n");
    let decision = Simulator::new(&rules, &world).decide(&connection("plain", "10.0.0.1", "a", "x"));
    assert_eq!((decision.record, decision.unsure), (Some(2), vec![0, 1]));
}

#[test]
fn what_becomes_of_a_connection_needs_its_certificate_too() {
    let maps = crate::conf::ident::Maps::parse(b"m alice app\nm /^x(.*)$ \\1\n", Dialect::of(18));
    let world = World {
        maps: Some(maps),
        ..world()
    };
    let rules = rules(
        "hostssl c all all cert map=m\nhostssl d all all cert\nhostssl s all all scram-sha-256 clientcert=verify-ca\n\
         hostssl t all all trust\nhostssl r all all reject\n",
    );
    let simulator = Simulator::new(&rules, &world);
    let fate = |database: &str, cn: Option<&str>| {
        let mut connection = connection("tls", "10.0.0.1", "app", database);
        connection.channel = Channel::Tls("10.0.0.1".parse().unwrap(), cn.map(str::to_owned));
        outcome(&rules, &simulator.decide(&connection), &connection, &world)
    };
    assert_eq!(fate("c", Some("alice")), Outcome::LetIn);
    assert_eq!(fate("c", Some("app")), Outcome::Refused(Refusal::OtherName));
    assert_eq!(fate("c", Some("xapp")), Outcome::Unsure);
    assert_eq!(fate("c", None), Outcome::Refused(Refusal::NoCertificate));
    assert_eq!(fate("d", Some("app")), Outcome::LetIn);
    assert_eq!(fate("d", Some("App")), Outcome::Refused(Refusal::OtherName));
    assert_eq!(fate("s", Some("anybody")), Outcome::Asks(Method::ScramSha256));
    assert_eq!(fate("t", None), Outcome::LetIn);
    assert_eq!(fate("r", None), Outcome::Refused(Refusal::Rejected));
    assert_eq!(fate("none", None), Outcome::Refused(Refusal::NoRecord));
}

#[test]
fn records_that_are_never_reached_are_known() {
    let world = world();
    let shadows = |text: &str| -> Vec<Option<Vec<usize>>> {
        let rules = rules(text);
        let simulator = Simulator::new(&rules, &world);
        (0..rules.len())
            .map(|at| simulator.shadow(at).map(|shadow| shadow.by))
            .collect()
    };
    assert_eq!(
        shadows("host all all 10.0.0.0/8 md5\nhostssl app a 10.1.0.0/16 cert\n"),
        [None, Some(vec![0])]
    );
    assert_eq!(
        shadows("hostssl all all all md5\nhost app a 10.1.0.0/16 md5\n"),
        [None, None]
    );
    assert_eq!(
        shadows("hostssl all all all md5\nhostnossl all all all reject\nhost x y 1.2.3.4/32 trust\n"),
        [None, None, Some(vec![0, 1])]
    );
    assert_eq!(
        shadows(
            "host all all 0.0.0.0/0 md5\nhost all all ::/0 md5\nhost all all all trust\nhost replication all all trust\n"
        ),
        [None, None, Some(vec![0, 1]), None]
    );
    assert_eq!(
        shadows(
            "host x +h all md5\nhost y all all md5\nhost x,y a all md5\nhost x,y b all md5\nhost \"all\" +g all md5\n"
        ),
        [None, None, Some(vec![0, 1]), None, None]
    );
    assert_eq!(
        shadows("host /^app all samenet md5\nhost app1 all samehost md5\nhost appx all all md5\n"),
        [None, Some(vec![0]), None]
    );
}

#[test]
fn plaintext_ways_in_are_those_that_nothing_before_closes() {
    let world = world();
    let ways = |text: &str| -> Vec<(usize, bool, bool)> {
        let rules = rules(text);
        Simulator::new(&rules, &world)
            .ways_in_without_tls()
            .into_iter()
            .map(|way| (way.record, way.is_narrowed, way.is_loopback))
            .collect()
    };
    assert_eq!(ways("hostnossl all all all reject\nhost all all all md5\n"), []);
    assert_eq!(
        ways("host all all all md5\nhostnossl all all all reject\n"),
        [(0, false, false)]
    );
    assert_eq!(
        ways(
            "hostnossl all all 0.0.0.0/0 reject\nhost all all all md5\nhost replication r 127.0.0.1/32 trust\n"
        ),
        [(1, true, false), (2, false, true)]
    );
    assert_eq!(
        ways("hostssl all all all md5\nhostgssenc all all all gss\nlocal all all peer\n"),
        []
    );
    assert_eq!(
        ways("host \"all\" all all reject\nhost app all ::1/128 md5\n"),
        [(1, false, true)]
    );
}

#[test]
fn changes_are_told_for_those_whose_fate_is_another() {
    let world = world();
    let before = rules("host all all all md5\n");
    let after = rules("hostssl all all all md5\nhostnossl all b all reject\n");
    let (before, after) = (Simulator::new(&before, &world), Simulator::new(&after, &world));
    let asked = [
        connection("tls", "10.0.0.1", "a", "x"),
        connection("plain", "10.0.0.1", "a", "x"),
        connection("plain", "10.0.0.1", "b", "x"),
    ];
    let told: Vec<_> = changes(&before, &after, &asked)
        .into_iter()
        .map(|change| (change.connection, change.before.1, change.after.1))
        .collect();
    assert_eq!(
        told,
        [
            (1, Outcome::Asks(Method::Md5), Outcome::Refused(Refusal::NoRecord)),
            (2, Outcome::Asks(Method::Md5), Outcome::Refused(Refusal::Rejected)),
        ]
    );
    let samples = samples(before.rules(), 10);
    assert_eq!(samples.len(), 6);
    assert!(
        samples
            .iter()
            .all(|sample| before.decide(sample).record == Some(0))
    );
}

fn line() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "local",
        "host",
        "hostssl",
        "hostnossl",
        "hostgssenc",
        "hostnogssenc",
    ]);
    let databases = prop::sample::subsequence(
        vec![
            "all",
            "sameuser",
            "samerole",
            "replication",
            "x",
            "\"all\"",
            "/^x",
            "a",
        ],
        1..3,
    );
    let roles = prop::sample::subsequence(
        vec!["all", "a", "b", "+g", "+h", "\"+g\"", "/^[ab]$", "nobody"],
        1..3,
    );
    let address = prop::sample::select(vec![
        "all",
        "10.0.0.0/8",
        "10.0.0.9/32",
        "10.0.0.0/24",
        "0.0.0.0/0",
        "::/0",
        "::1/128",
        "samehost",
        "samenet",
        "10.0.0.9 255.0.0.255",
        "127.0.0.0/8",
    ]);
    (kind, databases, roles, address).prop_map(|(kind, databases, roles, address)| {
        let address = if kind == "local" { "" } else { address };
        format!("{kind} {} {} {address} md5", databases.join(","), roles.join(","))
    })
}

fn asked() -> impl Strategy<Value = Connection> {
    (
        prop::sample::select(vec!["socket", "plain", "tls", "gss"]),
        prop::sample::select(vec![
            "10.0.0.9",
            "10.0.0.1",
            "10.9.9.9",
            "127.0.0.1",
            "192.0.2.1",
            "::1",
            "2001:db8::1",
        ]),
        prop::sample::select(vec!["a", "b", "g", "nobody", "+g"]),
        prop::sample::select(vec!["x", "xy", "a", "g", "all", "(replication)"]),
    )
        .prop_map(|(channel, ip, user, database)| connection(channel, ip, user, database))
}

proptest! {
    #[test]
    fn the_index_changes_nothing(
        lines in proptest::collection::vec(line(), 1..30), asked in proptest::collection::vec(asked(), 20), known: bool,
    ) {
        let rules = rules(&lines.join("\n"));
        let world = if known { world() } else { World::default() };
        let simulator = Simulator::new(&rules, &world);
        for connection in &asked {
            let decision = simulator.decide(connection);
            let mut unsure = Vec::new();
            let mut record = None;
            for (at, rule) in rules.iter().enumerate() {
                match test::test(&rule.record, connection, &world) {
                    Test::Matches => { record = Some(at); break }
                    Test::Unsure(_) => unsure.push(at),
                    Test::Differs(_) => {}
                }
            }
            prop_assert_eq!((decision.record, decision.unsure), (record, unsure));
        }
    }

    #[test]
    fn what_is_shadowed_decides_over_nothing(
        lines in proptest::collection::vec(line(), 1..12), asked in proptest::collection::vec(asked(), 40),
    ) {
        let rules = rules(&lines.join("\n"));
        let world = world();
        let simulator = Simulator::new(&rules, &world);
        let open: BTreeMap<_, _> = simulator.ways_in_without_tls().into_iter().map(|way| (way.record, way)).collect();
        for connection in asked.iter().chain(&samples(&rules, 20)) {
            let decision = simulator.decide(connection);
            let Some(record) = decision.record.filter(|_| decision.is_certain()) else { continue };
            prop_assert!(simulator.shadow(record).is_none());
            if matches!(connection.channel, Channel::Plain(_)) {
                prop_assert!(open.contains_key(&record));
            }
        }
    }

    #[test]
    fn a_record_that_is_written_is_read_as_itself(line in line()) {
        let first = rules(&line);
        let again = rules(&first[0].record.to_string());
        prop_assert_eq!(&first[0].record, &again[0].record);
    }
}
