//! The words by which code and settings say that a server is not to be verified.

/// A sign, without blanks and in lower case, and what it is a sign of.
const SIGNS: [(&str, &str); 37] = [
    ("rejectunauthorized:false", OFF),
    ("rejectunauthorized=false", OFF),
    ("node_tls_reject_unauthorized=0", OFF),
    ("node_tls_reject_unauthorized:0", OFF),
    ("node_tls_reject_unauthorized]=0", OFF),
    ("trustservercertificate=true", OFF),
    ("trustservercertificate:true", OFF),
    ("insecureskipverify:true", OFF),
    ("insecureskipverify=true", OFF),
    ("tlsskipverify:true", OFF),
    ("tlsskipverify=true", OFF),
    ("nonvalidatingfactory", OFF),
    ("insecuretrustmanagerfactory", OFF),
    ("danger_accept_invalid_certs(true)", OFF),
    ("accept_invalid_certs", OFF),
    ("cert_none", OFF),
    ("verify_none", OFF),
    ("sslverifymode::none", OFF),
    ("verify_peer=>false", OFF),
    ("verify_peer:false", OFF),
    ("verify_peer=false", OFF),
    ("sslmode=no-verify", OFF),
    ("sslmode:no-verify", OFF),
    ("check_hostname=false", NAME),
    ("check_hostname:false", NAME),
    ("verify_hostname(false)", NAME),
    ("verify_hostname=false", NAME),
    ("verify_hostname:false", NAME),
    ("danger_accept_invalid_hostnames(true)", NAME),
    ("checkserveridentity:()=>", NAME),
    ("verify_peer_name=>false", NAME),
    ("verify_peer_name:false", NAME),
    ("verify_peer_name=false", NAME),
    ("clientcert=1", "client-old-clientcert"),
    ("clientcert=0", "client-old-clientcert"),
    ("clientcert=no-verify", "client-old-clientcert"),
    ("ssl=false", DISABLE),
];
const OFF: &str = "client-verification-off";
const NAME: &str = "client-name-unchecked";
const DISABLE: &str = "client-sslmode-disable";
const WEAK: &str = "client-sslmode-weak";

/// What a line is a sign of.
pub(super) fn of(line: &str) -> Vec<&'static str> {
    let lower = line.to_lowercase().replace(['"', '\''], "");
    let bare: String = lower.chars().filter(|letter| !letter.is_whitespace()).collect();
    let mut found: Vec<&'static str> = SIGNS
        .iter()
        .filter(|(sign, _)| bare.contains(sign))
        // `ssl=false` alone says nothing of PostgreSQL.
        .filter(|(sign, _)| *sign != "ssl=false" || bare.contains("postgres"))
        .map(|(_, id)| *id)
        .collect();
    // .NET: a function that says yes to everything.
    if bare.contains("certificatevalidationcallback")
        && (bare.contains("=>true") || bare.contains("returntrue"))
    {
        found.push(OFF);
    }
    found.extend(sslmode(&lower));
    found.extend(ssl(&lower));
    found
}

/// The weak words behind `sslmode`, in its many spellings (`PGSSLMODE=`, `sslmode:`, `SSL Mode=`, `sslmode", "`).
fn sslmode(lower: &str) -> Option<&'static str> {
    let bare = ["ssl mode", "ssl_mode", "ssl-mode"]
        .into_iter()
        .fold(lower.to_owned(), |text, name| text.replace(name, "sslmode"));
    bare.match_indices("sslmode").find_map(|(at, name)| {
        let word = word_behind(&bare[at + name.len()..], "sslmode.");
        // PgBouncer's word for what it asks of its own clients: there `require` is TLS or nothing.
        let is_asked_of_others = bare[..at].ends_with("client_tls_");
        match word.as_str() {
            "disable" | "disabled" => Some(DISABLE),
            "require" | "required" if is_asked_of_others => None,
            "verify-ca" | "verifyca" | "verify_ca" if !is_asked_of_others => Some(NAME),
            "require" | "required" | "prefer" | "preferred" | "allow" => Some(WEAK),
            _ => None,
        }
    })
}

/// The same words behind `ssl` alone: postgres.js, asyncpg.
fn ssl(lower: &str) -> Option<&'static str> {
    lower.match_indices("ssl").find_map(|(at, name)| {
        let is_whole =
            !lower[..at].ends_with(|before: char| before.is_alphanumeric() || "_-".contains(before));
        let behind = &lower[at + name.len()..];
        let has_sign = behind.trim_start().starts_with([':', '=']);
        let word = word_behind(behind, "");
        (is_whole && has_sign && ["require", "prefer", "allow"].contains(&word.as_str())).then_some(WEAK)
    })
}

/// The value behind a key, whatever stands between them.
fn word_behind(rest: &str, prefix: &str) -> String {
    let rest = rest.trim_start_matches([':', '=', ',', '(', '>', '.', ' ', '\t']);
    rest.strip_prefix(prefix)
        .unwrap_or(rest)
        .chars()
        .take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter))
        .collect()
}
