//! What the code and the settings of clients say: line by line, by their own words for "do not verify".
//!
//! These are signs, not proofs: each hit names its line, for a person to look at.

mod comment;
mod password;
mod sign;

use super::Finding;
use comment::Comments;
use password::without_passwords;

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

/// Looks through the text of one file, which messages call `file`.
#[must_use]
pub fn scan(file: &str, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut comments = Comments::default();
    for (index, line) in text.lines().enumerate() {
        if line.len() > LONGEST {
            continue;
        }
        let mut ids = sign::of(&comments.without(line));
        if password::is_in(line) {
            ids.push("client-password-in-url");
        }
        ids.sort_unstable();
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
        for (expected, lines) in [
            (
                "client-verification-off",
                &[
                    "  ssl: { rejectUnauthorized: false },",
                    "ssl: { rejectUnauthorized: /* for now */ false }",
                    "NODE_TLS_REJECT_UNAUTHORIZED=0",
                    "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';",
                    "process.env[\"NODE_TLS_REJECT_UNAUTHORIZED\"] = 0",
                    "Host=db;SSL Mode=Require;Trust Server Certificate=true",
                    "TrustServerCertificate=True;",
                    "tls.Config{InsecureSkipVerify: true}",
                    "?sslmode=no-verify",
                    "verify_mode = ssl.CERT_NONE",
                    "ssl_opts: [verify: :verify_none]",
                    "ctx.verify_mode = OpenSSL::SSL::VERIFY_NONE",
                    "builder.set_verify(SslVerifyMode::NONE);",
                    "datasource url = \"postgresql://db/app?sslaccept=accept_invalid_certs\"",
                    "['ssl' => ['verify_peer' => false]]",
                    "conn.RemoteCertificateValidationCallback = (s, c, ch, e) => true;",
                    "tlsSkipVerify: true",
                ][..],
            ),
            (
                "client-name-unchecked",
                &[
                    "ctx.check_hostname = False",
                    "builder.danger_accept_invalid_hostnames(true)",
                    "config.set_verify_hostname(false);",
                    "checkServerIdentity: () => undefined,",
                    "'verify_peer_name' => false",
                    "postgresql://db/app?sslmode=verify-ca",
                    "SslMode=VerifyCA;",
                ],
            ),
            (
                "client-sslmode-weak",
                &[
                    "sslmode=require",
                    "PGSSLMODE: prefer",
                    "props.setProperty(\"sslmode\", \"require\");",
                    "postgres(url, { ssl: 'require' })",
                    "postgresql+asyncpg://db/app?ssl=prefer",
                    "server_tls_sslmode = require",
                    "ds.setSslMode(\"prefer\");",
                ],
            ),
            (
                "client-sslmode-disable",
                &["sslmode='disable'", "client_tls_sslmode = disable"],
            ),
            ("client-old-clientcert", &["hostssl all all all md5 clientcert=1"]),
            (
                "client-password-in-url",
                &[
                    "postgres://app:hunter2@db/app",
                    "dsn = \"host=db password=hunter2\"",
                    "\"Host=db;Username=app;Password=hunter2;SSL Mode=VerifyFull\"",
                ],
            ),
        ] {
            for line in lines {
                assert!(ids(line).contains(&expected), "{line}: {:?}", ids(line));
            }
        }
        for line in [
            "rejectUnauthorized: true",
            "sslmode=verify-full",
            "sslmode=verify-full # once sslmode=require",
            "SslMode=VerifyFull",
            "ssl: requireTls",
            "usessl: require",
            "ctx.check_hostname = True",
            // What PgBouncer asks of its own clients: TLS.
            "client_tls_sslmode = require",
            "postgresql://app@db/app",
            "postgresql://app:${DB_PASSWORD}@db/app",
            "postgres://localhost:5432/app",
            "// sslmode",
            "// rejectUnauthorized: false",
            "  # sslmode: require",
            "; server_tls_sslmode = disable",
            "-- sslmode=disable",
            "<!-- sslmode=require -->",
            "ssl=false",
            "connect(host=\"db\", password=secrets.password)",
            "dsn = f\"host=db password={password}\"",
            "\"host=db password=\" + password",
        ] {
            assert_eq!(ids(line), Vec::<&str>::new(), "{line}");
        }
    }

    #[test]
    fn what_is_in_a_comment_of_many_lines_is_not_in_force() {
        let text = "/*\nsslmode=disable\n*/\nsslmode=require\n/* one */\nrejectUnauthorized: false\n";
        let found: Vec<_> = scan("f", text)
            .into_iter()
            .map(|hit| (hit.line, hit.id))
            .collect();
        assert_eq!(
            found,
            [(4, "client-sslmode-weak"), (6, "client-verification-off")]
        );
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
