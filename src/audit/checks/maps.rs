//! Which roles the name maps (`pg_ident.conf`) let a proof from outside become, and who may give that proof.

use super::hba::{admits, at_rule, is_rejected_before};
use crate::audit::Finding;
use crate::audit::facts::{Facts, shown};
use crate::conf::Pattern;
use crate::conf::hba::{Kind, Method, Role, Rule};
use crate::conf::ident::{Mapping, SystemName};
use crate::conf::simulate::Simulator;

pub fn check(facts: &Facts, simulator: &Simulator<'_>, hidden: &[bool]) -> Vec<Finding> {
    let mut found = Vec::new();
    let open: Vec<(usize, &Rule)> = simulator
        .rules()
        .iter()
        .enumerate()
        .filter(|(at, rule)| !hidden[*at] && rule.record.kind != Kind::Local)
        .collect();
    found.extend(authorities(facts, &open));
    let Some(maps) = &facts.ident else { return found };
    for mapping in maps.mappings() {
        let SystemName::Pattern(pattern) = &mapping.system else {
            continue;
        };
        let uses: Vec<_> = open
            .iter()
            .filter(|(_, rule)| {
                names_from_outside(rule.record.method)
                    && rule.record.options.map.as_deref() == Some(&*mapping.map)
            })
            .collect();
        if uses.is_empty() {
            continue;
        }
        if pattern.is_tied() == Some(false) {
            found.extend(at_mapping("map-not-tied", mapping, pattern));
        }
        for (at, rule) in uses {
            let supers: Vec<_> = superusers(facts)
                .into_iter()
                .filter(|name| {
                    reaches(mapping, pattern, name, facts)
                        && admits(&rule.record, name, facts)
                        && !is_rejected_before(simulator, *at, name, facts)
                })
                .collect();
            if supers.is_empty() {
                continue;
            }
            let who = supers
                .iter()
                .map(|name| crate::pki::printable(name))
                .collect::<Vec<_>>()
                .join(", ");
            found.extend(
                at_mapping("map-reaches-superuser", mapping, pattern).map(|finding| {
                    let finding =
                        finding.evidence(format!("used by {}: {}", shown(&rule.place), rule.record));
                    let example = supers
                        .iter()
                        .find_map(|name| Some((name, pattern.example(name)?)));
                    match example {
                        Some((name, example)) => {
                            finding.evidence(format!("the name {example} comes in as {name}, a superuser"))
                        }
                        None => finding.evidence(format!("superusers: {who}")),
                    }
                    .told("{who}", &who)
                }),
            );
        }
    }
    found
}

/// Methods whose name comes from somebody else, such as a CA: it can be whatever that one writes.
const fn names_from_outside(method: Method) -> bool {
    matches!(method, Method::Cert | Method::Gss | Method::Sspi | Method::Oauth)
}

/// Those who may log in; where nobody told, the usual one.
fn superusers(facts: &Facts) -> Vec<&str> {
    if facts.roles.is_empty() {
        return vec!["postgres"];
    }
    let supers = facts.roles.iter().filter(|role| role.superuser && role.can_login);
    supers.map(|role| role.name.as_str()).collect()
}

/// Whether a name that matches may become that role, taken out of the name or along with all others: a role that the
/// line names is what somebody wanted.
fn reaches(mapping: &Mapping, pattern: &Pattern, name: &str, facts: &Facts) -> bool {
    match &mapping.role {
        Role::Named(role) => String::from_utf8_lossy(role)
            .split_once("\\1")
            .and_then(|(before, after)| name.strip_prefix(before)?.strip_suffix(after))
            .is_some_and(|taken| pattern.can_hold(taken) == Some(true)),
        Role::All => true,
        Role::Pattern(roles) => roles.matches(name) == Some(true),
        Role::MemberOf(group) => facts
            .memberships
            .as_ref()
            .is_some_and(|all| all.is_member(name, group)),
    }
}

fn at_mapping(id: &'static str, mapping: &Mapping, pattern: &Pattern) -> Option<Finding> {
    let role = match &mapping.role {
        Role::Named(name) => String::from_utf8_lossy(name).into_owned(),
        other => other.to_string(),
    };
    let line = format!(
        "{} /{} {role}",
        String::from_utf8_lossy(&mapping.map),
        pattern.source()
    );
    Some(Finding::new(id, shown(&mapping.place))?.evidence(line))
}

/// More than one root whose clients come in by their certificate's name: each may give every name.
fn authorities(facts: &Facts, open: &[(usize, &Rule)]) -> Option<Finding> {
    let (file, all) = facts.client_cas.as_ref()?;
    let mut roots: Vec<&str> = all
        .iter()
        .filter(|ca| ca.is_self_issued())
        .map(crate::pki::Certificate::subject)
        .collect();
    roots.sort_unstable();
    roots.dedup();
    let (_, rule) = open.iter().find(|(_, rule)| rule.record.method == Method::Cert)?;
    if roots.len() < 2 {
        return None;
    }
    let finding = at_rule("client-cas-many", rule)?;
    Some(roots.iter().take(20).fold(finding, |finding, root| {
        finding.evidence(format!("in {file}: {root}"))
    }))
}

#[cfg(test)]
mod tests {
    use super::super::hba;
    use super::*;
    use crate::audit::facts::RoleRow;
    use crate::conf::Dialect;
    use crate::conf::hba::Rules;
    use crate::conf::ident::Maps;

    fn found(rules: &str, maps: &str) -> Vec<&'static str> {
        let mut facts = Facts::new("db".to_owned(), time::OffsetDateTime::UNIX_EPOCH);
        facts.hba = Some(Rules::parse(rules.as_bytes(), Dialect::of(17)));
        facts.ident = Some(Maps::parse(maps.as_bytes(), Dialect::of(17)));
        facts.roles = ["postgres", "app"]
            .map(|name| RoleRow {
                name: name.to_owned(),
                superuser: name == "postgres",
                can_login: true,
            })
            .to_vec();
        let ids = hba::check(&facts).into_iter().map(|finding| finding.id);
        ids.filter(|id| id.starts_with("map-")).collect()
    }

    #[test]
    fn a_map_is_told_for_what_it_lets_in() {
        const REACHES: &str = "map-reaches-superuser";
        const LOOSE: &str = "map-not-tied";
        let rule = "hostssl all all 10.0.0.0/8 cert map=corp\n";
        for (rules, maps, expected) in [
            (rule, "corp /^(.*)-svc$ \\1\n", &[REACHES][..]),
            (rule, "corp /([a-z]+)@acme \\1\n", &[LOOSE, REACHES]),
            (rule, "corp /^x$ all\n", &[REACHES]),
            (rule, "corp /^x$ /^post\n", &[REACHES]),
            (rule, "corp /^(gres)$ post\\1\n", &[REACHES]),
            // What is named is wanted, what cannot match does not reach, and what is not used does nothing.
            (rule, "corp /^dba-[a-z]+$ postgres\n", &[]),
            (rule, "corp alice all\n", &[]),
            (rule, "corp /^(app.*)-svc$ \\1\n", &[]),
            (rule, "corp /^(.*)$ \\1_role\n", &[]),
            (rule, "other /(.*) \\1\n", &[]),
            ("local all all peer map=corp\n", "corp /(.*) \\1\n", &[]),
            (
                "hostssl all app 10.0.0.0/8 cert map=corp\n",
                "corp /^(.*)$ \\1\n",
                &[],
            ),
            (
                "host all postgres all reject\nhostssl all all 10.0.0.0/8 cert map=corp\n",
                "corp /^(.*)$ \\1\n",
                &[],
            ),
        ] {
            assert_eq!(found(rules, maps), expected, "{rules}{maps}");
        }
    }
}
