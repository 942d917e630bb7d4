//! What `pg_hba.conf` lets in, and what in it is never reached.

use super::{maps, not_read};
use crate::audit::Finding;
use crate::audit::facts::{Facts, SessionRow, shown};
use crate::conf::hba::{Addresses, ClientCert, Database, Kind, Method, Record, Role, Rule};
use crate::conf::simulate::{Channel, Connection, Simulator, World};

/// Of one kind of finding, no more than this: a file may have a hundred thousand lines.
const MOST: usize = 50;

pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(maps) = &facts.ident {
        for broken in maps.broken().iter().take(MOST) {
            let finding = Finding::new("ident-broken", shown(&broken.place));
            found.extend(finding.map(|finding| {
                finding
                    .evidence(&broken.text)
                    .evidence(broken.problem.to_string())
            }));
        }
    }
    for file in &facts.unread_rules {
        found.extend(not_read("rules-not-read", file));
    }
    let Some(rules) = &facts.hba else { return found };
    for broken in rules.broken().iter().take(MOST) {
        let finding = Finding::new("hba-broken", shown(&broken.place));
        let silent = if broken.problem.is_hidden() {
            "pg_hba_file_rules shows this line with every column empty, error too"
        } else {
            ""
        };
        found.extend(finding.map(|finding| {
            let finding = finding
                .evidence(&broken.text)
                .evidence(broken.problem.to_string());
            if silent.is_empty() {
                finding
            } else {
                finding.evidence(silent)
            }
        }));
    }
    let world = World {
        memberships: facts.memberships.clone(),
        maps: facts.ident.clone(),
        ..World::default()
    };
    let simulator = Simulator::new(rules.rules(), &world);
    let shadows: Vec<_> = (0..rules.rules().len()).map(|at| simulator.shadow(at)).collect();
    for (at, shadow) in shadows.iter().enumerate() {
        let Some(shadow) = shadow else { continue };
        let rule = &rules.rules()[at];
        let weaker = |by: &usize| rules.rules()[*by].record.options.clientcert.is_none();
        let asks = rule.record.options.clientcert.is_some();
        let lets_in = |by: &usize| rules.rules()[*by].record.method != Method::Reject;
        let id = if asks && shadow.by.iter().any(|by| weaker(by) && lets_in(by)) {
            "hba-shadowed-cert"
        } else {
            "hba-shadowed"
        };
        found.extend(at_rule(id, rule).map(|finding| {
            shadow.by.iter().take(5).fold(finding, |finding, by| {
                let other = &rules.rules()[*by];
                finding.evidence(format!("hidden by {}: {}", shown(&other.place), other.record))
            })
        }));
    }
    found.extend(plaintext(facts, &simulator));
    let has_ca = facts.setting("ssl_ca_file").is_some_and(|file| !file.is_empty());
    let has_tls = facts.setting("ssl") != Some("off");
    for (at, rule) in rules.rules().iter().enumerate() {
        // What is never reached does no harm.
        if shadows[at].is_none() {
            found.extend(of_record(facts, rule, has_tls, has_ca));
        }
    }
    let hidden: Vec<_> = shadows.iter().map(Option::is_some).collect();
    found.extend(superusers(facts, &simulator, &hidden));
    found.extend(maps::check(facts, &simulator, &hidden));
    bounded(found)
}

/// No more than [`MOST`] of each kind; the last one says how many were left out.
fn bounded(found: Vec<Finding>) -> Vec<Finding> {
    let mut counts = std::collections::HashMap::new();
    for finding in &found {
        *counts.entry(finding.id).or_insert(0usize) += 1;
    }
    let mut told = std::collections::HashMap::new();
    let mut kept = Vec::new();
    for finding in found {
        let so_far = told.entry(finding.id).or_insert(0usize);
        *so_far += 1;
        let all = counts[finding.id];
        if *so_far < MOST || all == MOST {
            kept.push(finding);
        } else if *so_far == MOST {
            kept.push(finding.evidence(format!("and {} more lines like this", all - MOST)));
        }
    }
    kept
}

pub(super) fn at_rule(id: &'static str, rule: &Rule) -> Option<Finding> {
    Some(Finding::new(id, shown(&rule.place))?.evidence(rule.record.to_string()))
}

fn is_everywhere(addresses: &Addresses) -> bool {
    match addresses {
        Addresses::All => true,
        Addresses::Net(net) => net.is_everything(),
        _ => false,
    }
}

/// Who comes in over TCP without TLS.
fn plaintext(facts: &Facts, simulator: &Simulator<'_>) -> Vec<Finding> {
    let plain: Vec<_> = facts.sessions.iter().filter_map(without_tls).collect();
    let mut found = Vec::new();
    for way in simulator.ways_in_without_tls() {
        let rule = &simulator.rules()[way.record];
        let record = &rule.record;
        // It is told with more weight already.
        if record.method == Method::Trust {
            continue;
        }
        let replicates = record.databases.iter().all(|item| *item == Database::Replication);
        let id = match (way.is_loopback, record.method.sends_password(), replicates) {
            (true, ..) => "plaintext-way-in-loopback",
            (_, true, _) => "password-in-clear",
            (_, _, true) => "replication-plaintext",
            _ => "plaintext-way-in",
        };
        found.extend(at_rule(id, rule).map(|finding| {
            let finding = if way.is_narrowed {
                finding.evidence("lines above it decide over some of those it is about")
            } else {
                finding
            };
            let now = plain
                .iter()
                .filter(|connection| simulator.decide(connection).record == Some(way.record));
            match now.count() {
                0 => finding,
                1 => finding.evidence("a session that is open without TLS came by this line"),
                count => finding.evidence(format!(
                    "{count} sessions that are open without TLS came by this line"
                )),
            }
        }));
    }
    found
}

/// A session over TCP without TLS, as rules see it.
fn without_tls(session: &SessionRow) -> Option<Connection> {
    (session.ssl == Some(false)).then_some(())?;
    Some(Connection {
        channel: Channel::Plain(session.address()?),
        user: session.user.clone(),
        database: session.database.clone(),
        replication: session.database.is_empty(),
    })
}

/// What one record is by itself.
fn of_record(facts: &Facts, rule: &Rule, has_tls: bool, has_ca: bool) -> Vec<Finding> {
    let record = &rule.record;
    let mut found = Vec::new();
    let mut add = |id| found.extend(at_rule(id, rule));
    let needs_tls = record.kind == Kind::HostSsl;
    if needs_tls && !has_tls {
        add("hostssl-without-tls");
    }
    if needs_tls && record.options.clientcert.is_some() && !has_ca && !facts.settings.is_empty() {
        add("cert-without-ca");
    }
    match (record.method, record.kind) {
        (Method::Trust, Kind::Local) => add("trust-socket"),
        // With a certificate of the role's own, nothing more is needed.
        (Method::Trust, _) if record.options.clientcert == Some(ClientCert::VerifyFull) => {}
        (Method::Trust, _) if record.addresses.is_loopback() => add("trust-loopback"),
        (Method::Trust, _) => add("trust-remote"),
        (Method::Md5, _) => add("md5-method"),
        (Method::Ident, _) => add("ident-method"),
        (Method::Password, Kind::HostSsl) => add("password-method"),
        _ => {}
    }
    let is_way_in = record.method != Method::Reject && record.kind != Kind::Local;
    if is_way_in && is_everywhere(&record.addresses) {
        let wants = record.options.clientcert.is_some();
        add(if wants {
            "cert-open-to-the-world"
        } else {
            "open-to-the-world"
        });
    }
    if needs_tls && is_way_in {
        match record.options.clientcert {
            Some(ClientCert::VerifyCa) => add("clientcert-verify-ca"),
            None if has_ca => add("clientcert-missing"),
            _ => {}
        }
    }
    found
}

/// Lines under which a superuser comes in from everywhere.
fn superusers(facts: &Facts, simulator: &Simulator<'_>, hidden: &[bool]) -> Vec<Finding> {
    let supers: Vec<_> = facts
        .roles
        .iter()
        .filter(|role| role.superuser && role.can_login)
        .map(|role| role.name.as_str())
        .collect();
    let mut found = Vec::new();
    for (at, rule) in simulator.rules().iter().enumerate() {
        let record = &rule.record;
        if hidden[at]
            || record.method == Method::Reject
            || record.kind == Kind::Local
            || !is_everywhere(&record.addresses)
            // One who must show a certificate of their own is not anybody.
            || record.options.clientcert == Some(ClientCert::VerifyFull)
        {
            continue;
        }
        let may: Vec<_> = supers
            .iter()
            .filter(|name| admits(record, name, facts) && !is_rejected_before(simulator, at, name, facts))
            .copied()
            .collect();
        if !may.is_empty() {
            let who = may
                .iter()
                .map(|name| crate::pki::printable(name))
                .collect::<Vec<_>>()
                .join(", ");
            found.extend(
                at_rule("superuser-from-anywhere", rule)
                    .map(|finding| finding.evidence(format!("superusers: {who}")).told("{who}", &who)),
            );
        }
    }
    found
}

pub(super) fn admits(record: &Record, name: &str, facts: &Facts) -> bool {
    record.roles.iter().any(|item| match item {
        Role::All => true,
        Role::Named(role) => **role == *name.as_bytes(),
        Role::MemberOf(group) => facts
            .memberships
            .as_ref()
            .is_some_and(|all| all.is_member(name, group)),
        Role::Pattern(pattern) => pattern.matches(name).unwrap_or(true),
    })
}

/// Whether an earlier line turns that role away from everywhere and every database.
pub(super) fn is_rejected_before(simulator: &Simulator<'_>, at: usize, name: &str, facts: &Facts) -> bool {
    let own = &simulator.rules()[at].record;
    simulator.rules()[..at].iter().any(|rule| {
        let record = &rule.record;
        let covers_kind = record.kind == Kind::Host || record.kind == own.kind;
        let covers_addresses = record.addresses == Addresses::All || record.addresses == own.addresses;
        record.method == Method::Reject
            && covers_kind
            && covers_addresses
            && record.databases.contains(&Database::All)
            && admits(record, name, facts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::facts::RoleRow;
    use crate::conf::Dialect;
    use crate::conf::hba::Rules;

    fn found(hba: &str) -> Vec<(&'static str, usize)> {
        let mut facts = Facts::new("db".to_owned(), time::OffsetDateTime::UNIX_EPOCH);
        facts.hba = Some(Rules::parse(hba.as_bytes(), Dialect::of(17)));
        facts.roles = ["postgres", "app"]
            .map(|name| RoleRow {
                name: name.to_owned(),
                superuser: name == "postgres",
                can_login: true,
            })
            .to_vec();
        check(&facts)
            .into_iter()
            .map(|finding| {
                (
                    finding.id,
                    finding.place.rsplit(':').next().unwrap().parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn each_line_is_told_for_what_it_is() {
        for (hba, expected) in [
            (
                "host all app 10.0.0.0/8 scram-sha-256\n",
                vec![("plaintext-way-in", 1)],
            ),
            (
                "host all app 127.0.0.1/32 scram-sha-256\n",
                vec![("plaintext-way-in-loopback", 1)],
            ),
            (
                "host all app 10.0.0.0/8 password\n",
                vec![("password-in-clear", 1)],
            ),
            (
                "host all app localhost md5\n",
                vec![("plaintext-way-in-loopback", 1), ("md5-method", 1)],
            ),
            (
                "host replication app 10.0.0.0/8 scram-sha-256\n",
                vec![("replication-plaintext", 1)],
            ),
            ("host all app 10.0.0.0/8 trust\n", vec![("trust-remote", 1)]),
            ("host all app ::1/128 trust\n", vec![("trust-loopback", 1)]),
            ("local all all trust\n", vec![("trust-socket", 1)]),
            (
                "hostssl all app 10.0.0.0/8 trust clientcert=verify-full\n",
                vec![],
            ),
            ("hostssl all app 10.0.0.0/8 md5\n", vec![("md5-method", 1)]),
            (
                "hostssl all app 10.0.0.0/8 password\n",
                vec![("password-method", 1)],
            ),
            (
                "hostssl all app 10.0.0.0/8 scram-sha-256 clientcert=verify-ca\n",
                vec![("clientcert-verify-ca", 1)],
            ),
            (
                "hostssl all app 0.0.0.0/0 cert\n",
                vec![("cert-open-to-the-world", 1)],
            ),
            ("hostssl all all all cert\n", vec![("cert-open-to-the-world", 1)]),
            (
                "hostssl all all all scram-sha-256\n",
                vec![("open-to-the-world", 1), ("superuser-from-anywhere", 1)],
            ),
            (
                "host all postgres all reject\nhostssl all all all scram-sha-256\n",
                vec![("open-to-the-world", 2)],
            ),
            (
                "hostssl all all 10.0.0.0/8 scram-sha-256\nhostssl all app 10.1.0.0/16 cert\n",
                vec![("hba-shadowed-cert", 2)],
            ),
            (
                "hostnossl all all all reject\nhost all app 10.0.0.0/8 scram-sha-256\n",
                vec![],
            ),
            (
                "hostssl all app 10.0.0.0/8 cert clientcert=1\n",
                vec![("hba-broken", 1)],
            ),
        ] {
            assert_eq!(found(hba), expected, "{hba}");
        }
    }

    #[test]
    fn a_long_file_makes_no_endless_report() {
        let hba: Vec<_> = (0..500)
            .map(|n| format!("host d{n} app 10.0.0.0/8 scram-sha-256\n"))
            .collect();
        assert_eq!(found(&hba.concat()).len(), MOST);
    }
}
