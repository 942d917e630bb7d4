//! Settings in force, where each comes from, and what the files say in vain.

use time::OffsetDateTime;
use time::macros::datetime;

use super::not_read;
use crate::audit::Finding;
use crate::audit::facts::{Facts, SettingRow, shown};
use crate::conf::settings::{Origin, boolean};
use crate::verify::locked;

/// The last day of each major version (<https://www.postgresql.org/support/versioning/>).
const ENDS: [(u16, OffsetDateTime); 6] = [
    (13, datetime!(2025-11-13 0:00 UTC)),
    (14, datetime!(2026-11-12 0:00 UTC)),
    (15, datetime!(2027-11-11 0:00 UTC)),
    (16, datetime!(2028-11-09 0:00 UTC)),
    (17, datetime!(2029-11-08 0:00 UTC)),
    (18, datetime!(2030-11-14 0:00 UTC)),
];

pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |id, name: &str| {
        let finding = Finding::new(id, name);
        found.extend(finding.map(|finding| finding.evidence(evidence(facts, name))));
    };
    let is = |name: &str, value: &str| facts.setting(name) == Some(value);
    if is("ssl", "off") {
        add("tls-off", "ssl");
    }
    if matches!(
        facts.setting("ssl_min_protocol_version"),
        Some("" | "TLSv1" | "TLSv1.1")
    ) {
        add("old-tls-allowed", "ssl_min_protocol_version");
    }
    if facts.setting("ssl_ciphers").is_some_and(has_weak_ciphers) {
        add("weak-ciphers", "ssl_ciphers");
    }
    if is("ssl_prefer_server_ciphers", "off") {
        add("client-chooses-cipher", "ssl_prefer_server_ciphers");
    }
    let command = facts.setting("ssl_passphrase_command").unwrap_or_default();
    let is_locked = locked(command, is("ssl_passphrase_command_supports_reload", "on")).is_some();
    if is_locked && facts.key_encrypted.unwrap_or(!command.is_empty()) {
        add("passphrase-no-reload", "ssl_passphrase_command_supports_reload");
    }
    if facts.setting("listen_addresses").is_some_and(|list| {
        list.split(',')
            .any(|item| matches!(item.trim(), "*" | "0.0.0.0" | "::"))
    }) {
        add("listens-everywhere", "listen_addresses");
    }
    if is("password_encryption", "md5") {
        add("password-encryption-md5", "password_encryption");
    }
    // From 18 on it is a list of what to log.
    if facts
        .setting("log_connections")
        .is_some_and(|value| value.is_empty() || boolean(value) == Some(false))
    {
        add("log-connections-off", "log_connections");
    }
    if is("log_disconnections", "off") {
        add("log-disconnections-off", "log_disconnections");
    }
    if let Some(prefix) = facts.setting("log_line_prefix") {
        let has = |escapes: &[&str]| escapes.iter().any(|escape| prefix.contains(escape));
        if !(has(&["%u"]) && has(&["%d"]) && has(&["%h", "%r"])) {
            add("log-prefix", "log_line_prefix");
        }
    }
    if let Some(conninfo) = facts
        .setting("primary_conninfo")
        .filter(|text| facts.server.standby && !text.is_empty())
        && !conninfo.contains("verify-full")
    {
        // The text may hold a password: it is no evidence.
        found.extend(Finding::new("replication-unverified", "primary_conninfo"));
    }
    for (name, row) in facts.settings.iter().filter(|(_, row)| row.pending_restart) {
        found.extend(Finding::new("restart-pending", name).map(|finding| finding.evidence(told(name, row))));
    }
    for (place, name, error) in &facts.file_errors {
        let finding = Finding::new("settings-not-taken", place.as_str());
        found.extend(finding.map(|finding| finding.evidence(format!("{name}: {error}"))));
    }
    for file in &facts.unread_settings {
        found.extend(not_read("settings-not-read", file));
    }
    found.extend(overridden(facts));
    let ended = ENDS
        .iter()
        .find(|(major, end)| *major == facts.server.major && *end < facts.now);
    if facts.server.major > 0 && (facts.server.major < 13 || ended.is_some()) {
        let finding = Finding::new(
            "version-unsupported",
            format!("PostgreSQL {}", facts.server.version),
        );
        let clientcert = if facts.server.major < 14 {
            "; pg_hba.conf lines with clientcert=1 must be changed on the way to 14 and later"
        } else {
            ""
        };
        let finding = finding.map(|finding| finding.told("{clientcert}", clientcert));
        found.extend(finding.map(|finding| match ended {
            Some((major, end)) => finding.evidence(format!("{major} was supported until {}", end.date())),
            None => finding,
        }));
    }
    found
}

fn evidence(facts: &Facts, name: &str) -> String {
    facts
        .settings
        .get(name)
        .map_or_else(|| name.to_owned(), |row| told(name, row))
}

/// A setting, its value and where that comes from.
fn told(name: &str, row: &SettingRow) -> String {
    let from = match (&row.file, &row.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        _ => row.source.clone(),
    };
    format!("{name} = '{}' (from: {from})", row.value)
}

/// Whether an OpenSSL cipher list lets something weak through. `!X` takes X out for good, `-X` and `+X` add nothing.
fn has_weak_ciphers(list: &str) -> bool {
    const WEAK: [&str; 10] = [
        "NULL", "ENULL", "ANULL", "ADH", "AECDH", "EXP", "EXPORT", "LOW", "RC4", "DES",
    ];
    let items: Vec<String> = list.split([':', ',', ' ']).map(str::to_ascii_uppercase).collect();
    let is_out = |name: &str| items.iter().any(|item| item.strip_prefix('!') == Some(name));
    items.iter().any(|item| {
        let added = !item.starts_with(['!', '-', '+', '@']);
        let named = item
            .split('+')
            .any(|part| WEAK.contains(&part) || matches!(part, "3DES" | "MD5"));
        item == "@SECLEVEL=0" || (added && named && !is_out(item))
            // These hold the anonymous ones, unless they are taken out.
            || (item == "ALL" && !is_out("ANULL"))
    })
}

/// Settings of TLS that a file sets in vain.
fn overridden(facts: &Facts) -> Vec<Finding> {
    let Some(files) = &facts.files else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for name in facts.settings.keys().filter(|name| name.starts_with("ssl")) {
        let Some(winner) = files
            .effective(name)
            .filter(|setting| setting.origin != Origin::File)
        else {
            continue;
        };
        let vain: Vec<_> = files
            .overridden(name)
            .filter(|setting| setting.origin < winner.origin && setting.value != winner.value)
            .collect();
        let Some(finding) = Finding::new("setting-overridden", name).filter(|_| !vain.is_empty()) else {
            continue;
        };
        let by = winner
            .place
            .as_ref()
            .map_or_else(|| "the command line".to_owned(), shown);
        let value = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let finding = finding.evidence(format!("in force: '{}' (from: {by})", value(&winner.value)));
        found.push(vain.iter().fold(finding, |finding, setting| {
            let place = setting.place.as_ref().map(shown).unwrap_or_default();
            finding.evidence(format!("in vain: '{}' ({place})", value(&setting.value)))
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_ciphers_are_those_that_are_let_in() {
        for list in [
            "HIGH:MEDIUM:+3DES:!aNULL",
            "HIGH:!aNULL:!3DES",
            "ECDHE+AESGCM",
            "ALL:!aNULL:!eNULL",
        ] {
            assert!(!has_weak_ciphers(list), "{list}");
        }
        for list in [
            "ALL",
            "HIGH:RC4",
            "ALL:!aNULL:@SECLEVEL=0",
            "eNULL",
            "HIGH:3DES",
            "LOW:!aNULL",
        ] {
            assert!(has_weak_ciphers(list), "{list}");
        }
    }
}
