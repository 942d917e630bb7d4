//! What the code and the settings of clients say: line by line, by their own words for "do not verify".
//!
//! These are signs, not proofs: each hit names its line, for a person to look at.

use super::Finding;

/// A line that a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    id: &'static str,
    file: String,
    line: usize,
    text: String,
}

/// Longer lines are data, not code.
const LONGEST: usize = 2000;

/// A sign, without blanks and in lower case, and what it is a sign of.
const SIGNS: [(&str, &str); 19] = [
    ("rejectunauthorized:false", "client-verification-off"),
    ("rejectunauthorized=false", "client-verification-off"),
    ("\"rejectunauthorized\":false", "client-verification-off"),
    ("node_tls_reject_unauthorized=0", "client-verification-off"),
    ("node_tls_reject_unauthorized:\"0\"", "client-verification-off"),
    ("trustservercertificate=true", "client-verification-off"),
    ("trustservercertificate:true", "client-verification-off"),
    ("trustservercertificate=\"true\"", "client-verification-off"),
    ("insecureskipverify:true", "client-verification-off"),
    ("insecureskipverify=true", "client-verification-off"),
    ("nonvalidatingfactory", "client-verification-off"),
    ("danger_accept_invalid_certs(true)", "client-verification-off"),
    ("cert_none", "client-verification-off"),
    ("sslmode=no-verify", "client-verification-off"),
    ("sslmode:no-verify", "client-verification-off"),
    ("clientcert=1", "client-old-clientcert"),
    ("clientcert=0", "client-old-clientcert"),
    ("clientcert=no-verify", "client-old-clientcert"),
    ("ssl=false", "client-sslmode-disable"),
];

/// Looks through the text of one file, which messages call `file`.
#[must_use]
pub fn scan(file: &str, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.len() > LONGEST {
            continue;
        }
        let mut ids: Vec<&'static str> = signs(line).collect();
        ids.dedup();
        hits.extend(ids.into_iter().map(|id| Hit {
            id,
            file: file.to_owned(),
            line: index + 1,
            text: without_passwords(line.trim()),
        }));
    }
    hits
}

fn signs(line: &str) -> impl Iterator<Item = &'static str> + use<> {
    let squeezed: String = line
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '\'')
        .collect();
    let bare = squeezed.replace('"', "");
    let mut found: Vec<&'static str> = SIGNS
        .iter()
        .filter(|(sign, _)| squeezed.contains(sign) || bare.contains(sign))
        // `ssl=false` alone says nothing of PostgreSQL.
        .filter(|(sign, _)| *sign != "ssl=false" || bare.contains("postgres"))
        .map(|(_, id)| *id)
        .collect();
    found.extend(sslmode(line));
    if has_password_in_url(line) {
        found.push("client-password-in-url");
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter()
}

/// The weak words behind `sslmode`, in its many spellings (`PGSSLMODE=`, `sslmode:`, `SSL Mode=`, `sslmode", "`).
fn sslmode(line: &str) -> Option<&'static str> {
    let bare = line.to_lowercase().replace(['"', '\''], "");
    let bare = ["ssl mode", "ssl_mode", "ssl-mode"]
        .into_iter()
        .fold(bare, |text, name| text.replace(name, "sslmode"));
    bare.match_indices("sslmode").find_map(|(at, name)| {
        let rest = bare[at + name.len()..].trim_start_matches([':', '=', ',', '(', '>', '.', ' ', '\t']);
        let rest = rest.strip_prefix("sslmode.").unwrap_or(rest);
        let word: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        match word.as_str() {
            "disable" | "disabled" => Some("client-sslmode-disable"),
            "require" | "required" | "prefer" | "preferred" | "allow" => Some("client-sslmode-weak"),
            _ => None,
        }
    })
}

/// The password of a URL: between the colon behind the user and the last `@` before the host.
fn password_in_url(line: &str) -> Option<std::ops::Range<usize>> {
    let scheme = ["postgres://", "postgresql://"]
        .into_iter()
        .filter_map(|scheme| line.find(scheme).map(|at| at + scheme.len()))
        .min()?;
    let rest = &line[scheme..];
    let end = rest
        .find(|c: char| {
            c == '/' || c == '?' || c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
        })
        .unwrap_or(rest.len());
    let authority = &rest[..end];
    let at = authority.rfind('@')?;
    let colon = authority[..at].find(':')?;
    (colon + 1 < at).then_some(scheme + colon + 1..scheme + at)
}

fn has_password_in_url(line: &str) -> bool {
    password_in_url(line).is_some_and(|range| {
        // A place for one that is put in later is none.
        let password = &line[range];
        !password.starts_with(['$', '{', '<', '%'])
            && !password.contains("${")
            && !password.starts_with("***")
    })
}

/// The line with every password of a URL or a `password=` taken out: a report is read by many.
fn without_passwords(line: &str) -> String {
    let mut shown = line.to_owned();
    if let Some(range) = password_in_url(&shown) {
        shown.replace_range(range, "…");
    }
    let mut from = 0;
    while let Some(at) = shown[from..]
        .to_ascii_lowercase()
        .find("password")
        .map(|at| from + at)
    {
        let rest = &shown[at + "password".len()..];
        let gap = rest
            .find(|c: char| !matches!(c, ' ' | '=' | ':' | '"' | '\'' | '>' | '('))
            .unwrap_or(rest.len());
        let start = at + "password".len() + gap;
        let has_sign = rest[..gap].contains(['=', ':']);
        let length = shown[start..]
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | ')' | '@'))
            .unwrap_or(shown.len() - start);
        if has_sign && length > 0 {
            shown.replace_range(start..start + length, "…");
        }
        from = start.min(shown.len());
        while !shown.is_char_boundary(from) {
            from += 1;
        }
    }
    shown
}

/// What a hit is in the report.
pub(super) fn finding(hit: &Hit) -> Option<Finding> {
    let place = format!("{}:{}", hit.file, hit.line);
    Some(Finding::new(hit.id, crate::pki::printable(&place))?.evidence(&hit.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(line: &str) -> Vec<&'static str> {
        scan("f", line).into_iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn the_words_of_every_driver_are_known() {
        for (line, expected) in [
            ("  ssl: { rejectUnauthorized: false },", "client-verification-off"),
            ("NODE_TLS_REJECT_UNAUTHORIZED=0", "client-verification-off"),
            (
                "Host=db;SSL Mode=Require;Trust Server Certificate=true",
                "client-verification-off",
            ),
            ("TrustServerCertificate=True;", "client-verification-off"),
            ("tls.Config{InsecureSkipVerify: true}", "client-verification-off"),
            ("?sslmode=no-verify", "client-verification-off"),
            ("verify_mode = ssl.CERT_NONE", "client-verification-off"),
            ("sslmode=require", "client-sslmode-weak"),
            ("PGSSLMODE: prefer", "client-sslmode-weak"),
            (
                "props.setProperty(\"sslmode\", \"require\");",
                "client-sslmode-weak",
            ),
            ("sslmode='disable'", "client-sslmode-disable"),
            ("hostssl all all all md5 clientcert=1", "client-old-clientcert"),
            ("postgres://app:hunter2@db/app", "client-password-in-url"),
        ] {
            assert!(ids(line).contains(&expected), "{line}: {:?}", ids(line));
        }
        for line in [
            "rejectUnauthorized: true",
            "sslmode=verify-full",
            "postgresql://app@db/app",
            "postgresql://app:${DB_PASSWORD}@db/app",
            "postgres://localhost:5432/app",
            "// sslmode",
            "ssl=false",
        ] {
            assert_eq!(ids(line), Vec::<&str>::new(), "{line}");
        }
    }

    #[test]
    fn no_password_comes_into_the_report() {
        for line in [
            "url = \"postgresql://app:s3cr3t@db/app?sslmode=require\"",
            "dsn = 'host=db password=s3cr3t sslmode=require'",
            "password: \"s3cr3t\", sslmode: \"require\"",
            "PGPASSWORD=s3cr3t PGSSLMODE=require psql",
        ] {
            let hits = scan("f", line);
            assert!(!hits.is_empty());
            assert!(hits.iter().all(|hit| !hit.text.contains("s3cr3t")), "{hits:?}");
        }
    }
}
