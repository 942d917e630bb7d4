//! Roles and their passwords, and who is connected right now.

use crate::audit::Finding;
use crate::audit::facts::{Facts, SessionRow};

pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if !facts.md5_roles.is_empty() {
        let names: Vec<_> = facts
            .md5_roles
            .iter()
            .map(|name| crate::pki::printable(name))
            .collect();
        let few = match names.get(..20) {
            Some(few) => format!("{} and {} more", few.join(", "), names.len() - 20),
            None => names.join(", "),
        };
        found.extend(Finding::new("md5-passwords", few));
    }
    let plain = |session: &&SessionRow| session.ssl == Some(false) && session.client != "[local]";
    let (near, far): (Vec<_>, Vec<_>) = facts
        .sessions
        .iter()
        .filter(plain)
        .partition(|session| is_loopback(session));
    for (id, sessions) in [("plaintext-session", far), ("plaintext-session-loopback", near)] {
        if sessions.is_empty() {
            continue;
        }
        let finding = Finding::new(
            id,
            format!("{} of {} sessions", sessions.len(), facts.sessions.len()),
        );
        found.extend(finding.map(|finding| {
            sessions.iter().take(20).fold(finding, |finding, session| {
                finding.evidence(format!(
                    "pid {}: {} on {} from {} ({})",
                    session.pid,
                    session.user,
                    session.database,
                    session.client,
                    if session.application.is_empty() {
                        "no application name"
                    } else {
                        &session.application
                    }
                ))
            })
        }));
    }
    found.extend(old_clientcert(facts));
    found
}

fn is_loopback(session: &SessionRow) -> bool {
    session.address().is_some_and(|ip| ip.is_loopback())
}

/// On 13, values of `clientcert` that the next version refuses.
fn old_clientcert(facts: &Facts) -> Vec<Finding> {
    if facts.server.major != 13 {
        return Vec::new();
    }
    let Some(rules) = &facts.hba else {
        return Vec::new();
    };
    rules
        .rules()
        .iter()
        .filter(|rule| rule.record.options.has_old_clientcert)
        .filter_map(|rule| {
            let finding = Finding::new("clientcert-old", rule.place.to_string())?;
            Some(finding.evidence(rule.record.to_string()))
        })
        .collect()
}
