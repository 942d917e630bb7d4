//! The certificate that is served, the one on disk, their key, the revocation list.

use time::{Duration, OffsetDateTime};

use crate::audit::Finding;
use crate::audit::facts::{Facts, KeyFile};
use crate::pki::Certificate;

/// So many days before the end it is said.
const SOON: i64 = 30;
/// Public CAs stopped at 398 days in 2020; twice that is nobody's plan for a server.
pub const LONG: i64 = 825;

pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(served) = &facts.served {
        let served_leaf = &served.leaf;
        found.extend(leaf(
            &format!("the certificate of {}", facts.server.host),
            served_leaf,
            facts.now,
        ));
        if let Some(Err(why)) = &served.carries_name {
            found.extend(
                Finding::new("certificate-name", facts.server.host.as_str())
                    .map(|finding| finding.evidence(why)),
            );
        }
        if let Some((file, disk)) = &facts.on_disk
            && disk.der() != served_leaf.der()
        {
            found.extend(
                Finding::new("certificate-not-served", file.as_str()).map(|finding| {
                    finding
                        .evidence(format!("served: SHA-256 {}", served_leaf.fingerprint_sha256()))
                        .evidence(format!("on disk: SHA-256 {}", disk.fingerprint_sha256()))
                }),
            );
        }
    }
    found.extend(facts.key.as_ref().and_then(key));
    if let Some((file, end)) = facts.crl_ends.as_ref().filter(|(_, end)| *end < facts.now) {
        let finding = Finding::new("crl-expired", file.as_str());
        found.extend(finding.map(|finding| finding.evidence(format!("next update: {}", end.date()))));
    }
    found
}

/// What a server's certificate is by itself, wherever it lies.
pub fn leaf(place: &str, leaf: &Certificate, now: OffsetDateTime) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |id, evidence: String| {
        found.extend(Finding::new(id, place).map(|finding| finding.evidence(evidence)));
    };
    let until = format!(
        "valid from {} until {}",
        leaf.not_before().date(),
        leaf.not_after().date()
    );
    if now > leaf.not_after() || now < leaf.not_before() {
        add("certificate-expired", until);
    } else if now + Duration::days(SOON) > leaf.not_after() {
        add("certificate-expires", until);
    }
    if leaf.lifetime_days() > LONG {
        add("certificate-lifetime", format!("{} days", leaf.lifetime_days()));
    }
    if let Some(weak) = weakness(leaf) {
        add("certificate-weak", weak);
    }
    if leaf.is_self_issued() && leaf.is_signed_by(leaf) {
        add(
            "certificate-self-signed",
            format!("issuer and subject: {}", leaf.subject()),
        );
    }
    if leaf.dns_names().is_empty() && leaf.ip_addresses().is_empty() {
        add("certificate-no-san", format!("subject: {}", leaf.subject()));
    }
    found
}

/// PostgreSQL's rule (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SETUP>): of the server's account with no
/// rights for others at all, or of root with at most 0640.
fn key(key: &KeyFile) -> Option<Finding> {
    let place = key.path.display().to_string();
    let evidence = format!("mode {:04o}, owner {}", key.mode, key.owner);
    let forbidden = if key.owner == 0 && key.server != Some(0) {
        0o037
    } else {
        0o077
    };
    if key.mode & forbidden != 0 {
        return Some(Finding::new("key-exposed", place)?.evidence(evidence));
    }
    let is_foreign = key.owner != 0 && key.server.is_some_and(|server| server != key.owner);
    if is_foreign {
        return Some(Finding::new("key-wrong-owner", place)?.evidence(evidence));
    }
    None
}

fn weakness(leaf: &Certificate) -> Option<String> {
    let signature = leaf.signature_algorithm();
    let flat: String = signature
        .to_ascii_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    if !leaf.is_self_issued() && ["md5", "sha1"].iter().any(|hash| flat.contains(hash)) {
        return Some(format!("signed with {signature}"));
    }
    let key = leaf.key_description();
    let bits: Option<u32> = key
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .max();
    (key.to_ascii_lowercase().contains("rsa") && bits.is_some_and(|bits| bits < 2048))
        .then(|| format!("key: {key}"))
}
