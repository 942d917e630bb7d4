//! What the server says of itself over SQL: the session, the rules in its files, the settings in force.
//!
//! None of it is proof on its own (a failed reload looks like success in SQL); it is compared with what was
//! seen on the wire.

use super::finding::Finding;

/// One row of a simple query, as text.
pub type Row = Vec<Option<String>>;

/// The session as the server sees it
/// (<https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-SSL-VIEW>).
pub const SESSION: &str =
    "SELECT ssl, version, cipher, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// The rules of `pg_hba.conf` as the file stands now, each with its own text, since the view shows `all` and
/// `"all"` alike (<https://www.postgresql.org/docs/current/view-pg-hba-file-rules.html>).
pub const HBA_RULES: &str = "SELECT r.line_number, r.type, array_to_string(r.database, ','), \
    array_to_string(r.user_name, ','), r.address, r.netmask, r.auth_method, r.error, \
    split_part(replace(pg_read_file(coalesce(to_jsonb(r) ->> 'file_name', current_setting('hba_file'))), E'\\r', ''), \
    E'\\n', r.line_number) FROM pg_hba_file_rules r LIMIT 100000";

/// The settings that matter to TLS, and where each comes from
/// (<https://www.postgresql.org/docs/current/view-pg-settings.html>).
pub const SETTINGS: &str = "SELECT name, setting, source FROM pg_settings WHERE name IN \
    ('ssl', 'ssl_min_protocol_version', 'ssl_ca_file', 'ssl_cert_file', 'ssl_key_file')";

/// Lines of the configuration files that could not be put in force; superusers only
/// (<https://www.postgresql.org/docs/current/view-pg-file-settings.html>).
pub const FILE_ERRORS: &str = "SELECT coalesce(sourcefile, ''), coalesce(sourceline, 0), coalesce(name, ''), error \
    FROM pg_file_settings WHERE error IS NOT NULL LIMIT 20";

/// The certificate file as it stands on the server's disk; superusers only.
pub const CERTIFICATE_FILE: &str = "SELECT pg_read_file(current_setting('ssl_cert_file'), 0, 1048576)";

/// What we saw on the wire of the session that is asked about.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As `pg_stat_ssl.version` writes it, such as `TLSv1.3`.
    pub protocol: String,
    /// OpenSSL's name of the cipher suite.
    pub cipher: String,
    /// Whether the server asked for a client certificate and we sent one.
    pub sent_certificate: bool,
}

/// Does `pg_stat_ssl` say what we saw?
pub fn server_agrees(rows: &[Row], seen: &Seen) -> Finding {
    let Some([ssl, version, cipher, client_dn, ..]) = rows.first().map(Vec::as_slice) else {
        return Finding::open("pg_stat_ssl has no row for this session");
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let said = format!(
        "pg_stat_ssl: ssl={} version={} cipher={} client_dn={}",
        text(ssl),
        text(version),
        text(cipher),
        text(client_dn)
    );
    let differs = |what: &str| {
        Finding::broken(format!(
            "the server sees another {what} than we do: somebody is in between"
        ))
        .evidence(said.clone())
        .evidence(format!("we see {} {}", seen.protocol, seen.cipher))
        .remedy("connect to the server itself, not through a proxy or pooler that ends TLS on the way")
    };
    if ssl.as_deref() != Some("t") {
        return differs("protection (none)");
    }
    if version.as_deref() != Some(seen.protocol.as_str()) {
        return differs("TLS version");
    }
    if cipher.as_deref() != Some(seen.cipher.as_str()) {
        return differs("cipher");
    }
    match (seen.sent_certificate, client_dn.as_deref()) {
        (true, None | Some("")) => differs("client certificate (none)"),
        (true, Some(dn)) => {
            Finding::holds(format!("{} {}, client {dn}", seen.protocol, seen.cipher)).evidence(said.clone())
        }
        (false, _) => Finding::holds(format!("{} {}", seen.protocol, seen.cipher)).evidence(said.clone()),
    }
}

/// Is there a line that admits a connection without TLS?
pub fn hba_has_no_plaintext_way_in(rows: &[Row]) -> Finding {
    if rows.is_empty() {
        return Finding::open("pg_hba_file_rules shows no line");
    }
    let mut admitting = Vec::new();
    let mut unreadable = Vec::new();
    let mut passed_over = Vec::new();
    let mut closed = false;
    for row in rows {
        let cell = |i: usize| row.get(i).and_then(Option::as_deref);
        let line = cell(0).unwrap_or("?");
        let shown = crate::pki::printable(&super::shorten(cell(8).unwrap_or("").trim(), 160));
        // A bad clientcert or clientname value leaves every column empty, the error too.
        let Some(kind) = cell(1).filter(|_| cell(7).is_none()) else {
            unreadable.push(format!(
                "line {line}: {shown} ({})",
                cell(7).unwrap_or("PostgreSQL cannot read it")
            ));
            continue;
        };
        if !matches!(kind, "host" | "hostnossl" | "hostnogssenc" | "hostgssenc") {
            continue;
        }
        if cell(6) == Some("reject") {
            closed |= rejects_everything(row);
        } else if closed {
            passed_over.push(format!("line {line} is never reached: {shown}"));
        } else {
            admitting.push(format!("line {line}: {shown}"));
        }
    }
    if !admitting.is_empty() {
        let admit = if admitting.len() == 1 { "admits" } else { "admit" };
        let finding = Finding::broken(format!("{} of pg_hba.conf {admit} logins without TLS", lines(admitting.len())))
            .remedy("turn these `host` lines into `hostssl`, or put `hostnossl all all all reject` above them; then reload");
        return admitting.into_iter().take(20).fold(finding, Finding::evidence);
    }
    if !unreadable.is_empty() {
        let finding = Finding::broken(format!(
            "PostgreSQL cannot read {} of pg_hba.conf",
            lines(unreadable.len())
        ))
        .remedy("mend these lines: the next restart fails, and until then the older rules stay in force");
        return unreadable.into_iter().take(20).fold(finding, Finding::evidence);
    }
    let finding = Finding::holds(format!(
        "{} read, none admits a login without TLS",
        lines(rows.len())
    ));
    passed_over.into_iter().take(20).fold(finding, Finding::evidence)
}

fn lines(count: usize) -> String {
    if count == 1 {
        "1 line".to_owned()
    } else {
        format!("{count} lines")
    }
}

/// Whether a reject line closes plaintext for everybody; in case of doubt it does not.
fn rejects_everything(row: &Row) -> bool {
    let cell = |i: usize| row.get(i).and_then(Option::as_deref);
    let raw = cell(8).unwrap_or("\"");
    matches!(cell(1), Some("host" | "hostnossl"))
        && cell(2) == Some("all")
        && cell(3) == Some("all")
        && cell(4) == Some("all")
        && !raw.contains(['"', '\\', '@'])
        && raw.contains("reject")
}

/// Do the settings in force keep the promise?
pub fn settings_in_force(rows: &[Row], file_errors: &[Row], mtls: bool) -> Finding {
    let find = |name: &str| {
        rows.iter().find_map(|row| match row.as_slice() {
            [Some(n), Some(setting), source, ..] if n == name => {
                Some((setting.as_str(), source.as_deref().unwrap_or("?")))
            }
            _ => None,
        })
    };
    let Some((ssl, ssl_source)) = find("ssl") else {
        return Finding::open("pg_settings shows no setting ssl");
    };
    let shown = |name: &str, (setting, source): (&str, &str)| {
        format!(
            "{name} = '{}' (from: {source})",
            crate::pki::printable(&super::shorten(setting, 200))
        )
    };
    let mut evidence = vec![shown("ssl", (ssl, ssl_source))];
    let mut broken = Vec::new();
    if ssl != "on" {
        broken.push("ssl is off".to_owned());
    }
    if let Some(min) = find("ssl_min_protocol_version") {
        evidence.push(shown("ssl_min_protocol_version", min));
        if !matches!(min.0, "TLSv1.2" | "TLSv1.3") {
            broken.push(format!("TLS older than 1.2 is allowed (from: {})", min.1));
        }
    }
    if let Some(ca) = find("ssl_ca_file") {
        evidence.push(shown("ssl_ca_file", ca));
        if mtls && ca.0.is_empty() {
            broken.push("ssl_ca_file is empty, so client certificates are never asked for".to_owned());
        }
    }
    for row in file_errors {
        let cell = |i: usize| crate::pki::printable(row.get(i).and_then(Option::as_deref).unwrap_or(""));
        // A file that cannot be opened has neither a setting nor a place.
        let what = match cell(2) {
            name if name.is_empty() => "a part of the configuration".to_owned(),
            name => name,
        };
        let place = match (cell(0), cell(1)) {
            (file, _) if file.is_empty() => String::new(),
            (file, line) => format!(" ({file} line {line})"),
        };
        broken.push(format!("{what} is not in force: {}{place}", cell(3)));
    }
    let finding = match broken.as_slice() {
        [] => Finding::holds("TLS is on, 1.2 or later"),
        [one] => Finding::broken(one.clone()),
        [first, rest @ ..] => Finding::broken(format!("{first}, and {} more", rest.len())),
    };
    let is_gone = file_errors
        .iter()
        .any(|row| row.get(2).and_then(Option::as_deref).unwrap_or("").is_empty());
    let finding = if broken.is_empty() {
        finding
    } else if is_gone {
        finding.remedy(
            "put the file there again; where the project was moved while its server ran: `pgtls down`, then `pgtls up`",
        )
    } else {
        finding.remedy(
            "mend the setting where it comes from: `command line` beats postgresql.auto.conf (ALTER SYSTEM), which beats \
             postgresql.conf; then reload",
        )
    };
    evidence
        .into_iter()
        .chain(broken.into_iter().skip(1))
        .fold(finding, Finding::evidence)
}

/// Is the certificate that was served the one in the server's file?
pub fn served_certificate(file_pem: &str, served: &[u8]) -> Option<Finding> {
    let on_disk = crate::pki::Certificate::from_pem(file_pem.as_bytes()).ok()?;
    let first = on_disk.first()?;
    (first.der() != served).then(|| {
        Finding::broken("the server serves another certificate than the one in its ssl_cert_file")
            .evidence(format!("in the file: SHA-256 {}", first.fingerprint_sha256()))
            .remedy(
                "reload the server, and if it still serves the old one read its log: a reload that fails keeps the old \
                 certificate without a word, and the next restart fails",
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Outcome;

    fn rule(line: &str, kind: Option<&str>, database: &str, method: &str, raw: &str) -> Row {
        let some = |text: &str| Some(text.to_owned());
        vec![
            some(line),
            kind.map(str::to_owned),
            some(database),
            some("all"),
            some("all"),
            None,
            some(method),
            None,
            some(raw),
        ]
    }

    #[test]
    fn a_host_line_is_a_way_in_unless_everything_is_rejected_before() {
        let reject = rule(
            "1",
            Some("hostnossl"),
            "all",
            "reject",
            "hostnossl all all all reject",
        );
        let host = rule(
            "2",
            Some("host"),
            "app",
            "scram-sha-256",
            "host app all all scram-sha-256",
        );
        assert_eq!(
            hba_has_no_plaintext_way_in(std::slice::from_ref(&host)).outcome,
            Outcome::Broken
        );
        assert_eq!(
            hba_has_no_plaintext_way_in(&[reject.clone(), host.clone()]).outcome,
            Outcome::Holds
        );
        assert_eq!(
            hba_has_no_plaintext_way_in(&[host, reject]).outcome,
            Outcome::Broken
        );
    }

    #[test]
    fn a_quoted_all_rejects_only_a_database_of_that_name() {
        let reject = rule("1", Some("host"), "all", "reject", "host \"all\" all all reject");
        let host = rule("2", Some("host"), "app", "trust", "host app all all trust");
        assert_eq!(
            hba_has_no_plaintext_way_in(&[reject, host]).outcome,
            Outcome::Broken
        );
    }

    #[test]
    fn a_line_without_a_type_is_broken_though_it_has_no_error() {
        let row = rule("1", None, "app", "cert", "hostssl app all all cert clientcert=1");
        assert_eq!(hba_has_no_plaintext_way_in(&[row]).outcome, Outcome::Broken);
    }

    #[test]
    fn another_cipher_on_the_server_means_somebody_in_between() {
        let row: Row = ["t", "TLSv1.3", "TLS_AES_256_GCM_SHA384", ""]
            .map(|t| Some(t.to_owned()))
            .into();
        let seen = |cipher: &str, sent_certificate| Seen {
            protocol: "TLSv1.3".to_owned(),
            cipher: cipher.to_owned(),
            sent_certificate,
        };
        let agrees = |seen| server_agrees(std::slice::from_ref(&row), &seen).outcome;
        assert_eq!(agrees(seen("TLS_AES_256_GCM_SHA384", false)), Outcome::Holds);
        assert_eq!(agrees(seen("TLS_AES_128_GCM_SHA256", false)), Outcome::Broken);
        assert_eq!(agrees(seen("TLS_AES_256_GCM_SHA384", true)), Outcome::Broken);
    }

    #[test]
    fn old_tls_by_setting_breaks_the_promise_wherever_the_setting_comes_from() {
        let row = |name: &str, value: &str| -> Row {
            vec![
                Some(name.to_owned()),
                Some(value.to_owned()),
                Some("command line".to_owned()),
            ]
        };
        let good = [
            row("ssl", "on"),
            row("ssl_min_protocol_version", "TLSv1.2"),
            row("ssl_ca_file", ""),
        ];
        assert_eq!(settings_in_force(&good, &[], false).outcome, Outcome::Holds);
        assert_eq!(settings_in_force(&good, &[], true).outcome, Outcome::Broken);
        let old = [row("ssl", "on"), row("ssl_min_protocol_version", "TLSv1")];
        let finding = settings_in_force(&old, &[], false);
        assert_eq!(finding.outcome, Outcome::Broken);
        assert!(finding.observed.contains("command line"));
    }
}
