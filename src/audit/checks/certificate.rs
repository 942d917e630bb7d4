//! The certificate that is served, the one on disk, their key, the revocation list.

use time::{Duration, OffsetDateTime};

use crate::audit::Finding;
use crate::audit::facts::{Facts, KeyFile, Served};
use crate::judge::ListSigner;
use crate::pki::Certificate;
use crate::verify::{KeyFault, Unloadable};

/// So many days before the end it is said.
const SOON: i64 = 30;
/// A CA takes longer to follow by another.
const SOON_FOR_A_CA: i64 = 90;
/// A list is renewed more often.
const SOON_FOR_A_LIST: i64 = 3;
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
        found.extend(chain(facts, served));
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
    found.extend(unloadable(facts));
    found.extend(facts.key.as_ref().and_then(key));
    found.extend(authorities(facts));
    found.extend(lists(facts));
    found
}

/// A CA between the server's certificate and the root that the server does not send: no client can find the way without it.
/// What `ssl_ca_file` holds OpenSSL sends by itself.
fn chain(facts: &Facts, served: &Served) -> Option<Finding> {
    let (file, false) = served.leads.as_ref()? else {
        return None;
    };
    let issuer = top(served).issuer();
    let sent = match served.others.len() {
        0 => format!("the server sends its certificate alone, and it is issued by {issuer}"),
        others => format!(
            "the server sends {} certificates, and the last is issued by {issuer}",
            others + 1
        ),
    };
    let finding = Finding::new("certificate-chain", facts.server.host.as_str())?;
    Some(
        finding
            .evidence(sent)
            .evidence(format!("that one is not in {file}")),
    )
}

/// The last certificate on the way up that the server sends.
fn top(served: &Served) -> &Certificate {
    let mut top = &served.leaf;
    for _ in 0..served.others.len() {
        let above = |one: &&Certificate| one.der() != top.der() && top.is_signed_by(one);
        match served.others.iter().find(above).filter(|_| !top.is_self_issued()) {
            Some(above) => top = above,
            None => break,
        }
    }
    top
}

/// Who issued the last that is sent, where nothing at hand tells whether that is a root which clients have.
pub fn unknown_issuer(facts: &Facts) -> Option<&str> {
    let served = facts.served.as_ref().filter(|served| served.leads.is_none())?;
    let top = top(served);
    (!top.is_self_issued()).then(|| top.issuer())
}

/// The CAs of the clients: when one ends, so does every client of it.
fn authorities(facts: &Facts) -> Vec<Finding> {
    let Some((file, all)) = &facts.client_cas else {
        return Vec::new();
    };
    let judge = |ca: &Certificate| {
        let id = if facts.now > ca.not_after() {
            "client-ca-expired"
        } else if facts.now + Duration::days(SOON_FOR_A_CA) > ca.not_after() {
            "client-ca-expires"
        } else {
            return None;
        };
        let until = format!("{}: valid until {}", ca.subject(), ca.not_after().date());
        Some(Finding::new(id, file.as_str())?.evidence(until))
    };
    all.iter().filter_map(judge).collect()
}

/// With a list in force PostgreSQL wants one in time of every CA on the way to a client's root
/// (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-CLIENT-CERTIFICATES>).
fn lists(facts: &Facts) -> Vec<Finding> {
    let Some((file, lists)) = &facts.lists else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for list in lists {
        let Some(end) = list.next_update else { continue };
        let id = if end <= facts.now {
            "crl-expired"
        } else if end <= facts.now + Duration::days(SOON_FOR_A_LIST) {
            "crl-expires"
        } else {
            continue;
        };
        let evidence = format!("of {}, next update: {}", list.issuer, end.date());
        found.extend(Finding::new(id, file.as_str()).map(|finding| finding.evidence(evidence)));
    }
    let all = facts.client_cas.iter().flat_map(|(_, all)| all);
    for ca in all.filter(|ca| {
        lists
            .iter()
            .all(|list| list.signer(ca.der()) != ListSigner::Signed)
    }) {
        let evidence = format!("none that {} signed", ca.subject());
        found.extend(Finding::new("crl-missing", file.as_str()).map(|finding| finding.evidence(evidence)));
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

fn key(key: &KeyFile) -> Option<Finding> {
    let id = match KeyFault::of(key.mode, key.owner, key.server)? {
        KeyFault::Exposed => "key-exposed",
        KeyFault::Foreign => "key-wrong-owner",
    };
    let evidence = format!("mode {:04o}, owner {}", key.mode, key.owner);
    Some(Finding::new(id, key.path.display().to_string())?.evidence(evidence))
}

/// Files that the server will not start with again.
fn unloadable(facts: &Facts) -> Vec<Finding> {
    let judge = |one: &Unloadable| {
        let finding = Finding::new("tls-file-unusable", one.path.display().to_string())?;
        Some(finding.evidence(format!("{}: {}", one.setting, one.why)))
    };
    facts.unloadable.iter().filter_map(judge).collect()
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
