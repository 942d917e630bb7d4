//! `pgtls inspect`: what a certificate file holds, or what a server presents to anybody.

use std::path::Path;

use serde::Serialize;
use time::OffsetDateTime;

use crate::dial::Deadline;
use crate::engine::{self, Error, Look};
use crate::judge::{Purpose, TrustStore, judge_chain, judge_name};
use crate::pki::{Certificate, printable};

use super::args::InspectArgs;
use super::output::{Output, object};
use super::{Exit, drive};

#[derive(Debug, Serialize)]
struct Told {
    target: String,
    protocol: Option<String>,
    cipher: Option<String>,
    group: Option<String>,
    asks_for_client_certificate: Option<bool>,
    certificates: Vec<Row>,
    libpq: Vec<Opinion>,
}

#[derive(Debug, Serialize)]
struct Row {
    subject: String,
    issuer: String,
    dns: Vec<String>,
    ip: Vec<String>,
    not_before: String,
    not_after: String,
    days_left: i64,
    version: u32,
    serial: String,
    key: String,
    signature: String,
    ca: bool,
    key_usage: Vec<String>,
    extended_key_usage: Vec<String>,
    sha256: String,
}

/// What libpq would say to it, one question each.
#[derive(Debug, Serialize)]
struct Opinion {
    question: String,
    accepts: Option<bool>,
    why: String,
}

impl Row {
    fn new(certificate: &Certificate, now: OffsetDateTime) -> Self {
        let list = |texts: &[String]| texts.iter().map(|text| printable(text)).collect();
        let at = |at: OffsetDateTime| {
            format!(
                "{} {:02}:{:02}:{:02} UTC",
                at.date(),
                at.hour(),
                at.minute(),
                at.second()
            )
        };
        Self {
            subject: printable(certificate.subject()),
            issuer: printable(certificate.issuer()),
            dns: list(certificate.dns_names()),
            ip: certificate
                .ip_addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
            not_before: at(certificate.not_before()),
            not_after: at(certificate.not_after()),
            days_left: certificate.days_left(now),
            version: certificate.version(),
            serial: certificate.serial_hex(),
            key: certificate.key_description(),
            signature: certificate.signature_algorithm(),
            ca: certificate.is_ca(),
            key_usage: certificate
                .key_usage()
                .unwrap_or_default()
                .iter()
                .map(|usage| (*usage).to_owned())
                .collect(),
            extended_key_usage: certificate.extended_key_usage().map(list).unwrap_or_default(),
            sha256: certificate.fingerprint_sha256(),
        }
    }
}

/// Runs the command.
pub fn run(args: &InspectArgs, output: Output) -> Result<Exit, Error> {
    let now = OffsetDateTime::now_utc();
    let timeout = super::verify::timeout(args.timeout)?;
    let path = Path::new(&args.target);
    let server = if path.exists() {
        None
    } else {
        address(&args.target)
    };
    let (look, host) = match &server {
        Some((host, port)) => (
            drive(engine::look(host, *port, Deadline::after(timeout)))?,
            Some(host.as_str()),
        ),
        None => (
            Look {
                chain: engine::certificates(path)?,
                agreed: None,
                asks_for_certificate: false,
            },
            None,
        ),
    };
    let agreed = look.agreed.clone();
    let told = Told {
        target: printable(&args.target),
        asks_for_client_certificate: server.as_ref().map(|_| look.asks_for_certificate),
        protocol: agreed.as_ref().map(|(protocol, _, _)| protocol.clone()),
        cipher: agreed.as_ref().map(|(_, cipher, _)| cipher.clone()),
        group: agreed.map(|(_, _, group)| group),
        certificates: look
            .chain
            .iter()
            .map(|certificate| Row::new(certificate, now))
            .collect(),
        libpq: opinions(&look.chain, args.root.as_deref(), host, now)?,
    };
    if output.json() {
        object(&told);
    } else {
        tell(&told, output);
    }
    Ok(
        if told.libpq.iter().any(|opinion| opinion.accepts == Some(false)) {
            Exit::Broken
        } else {
            Exit::Holds
        },
    )
}

/// `HOST`, `HOST:PORT`, `[IPv6]:PORT`; a text with a slash can only be a file.
fn address(text: &str) -> Option<(String, u16)> {
    const USUAL: u16 = 5432;
    if text.contains('/') {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((
            host.to_owned(),
            if port.is_empty() {
                USUAL
            } else {
                port.strip_prefix(':')?.parse().ok()?
            },
        ));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => Some((host.to_owned(), port.parse().ok()?)),
        // More than one colon: an IPv6 address as it is.
        _ => Some((text.to_owned(), USUAL)),
    }
}

/// What libpq would think of it, as far as can be told without a login.
fn opinions(
    chain: &[Certificate],
    root: Option<&Path>,
    host: Option<&str>,
    now: OffsetDateTime,
) -> Result<Vec<Opinion>, Error> {
    let mut opinions = Vec::new();
    let Some(leaf) = chain.first() else {
        return Ok(opinions);
    };
    let presented: Vec<_> = chain
        .iter()
        .map(|certificate| certificate.der().to_vec().into())
        .collect();
    // The name alone is not enough: the chain must lead to a root, and which roots the clients have is not known.
    let mut leads = None;
    if let Some(root) = root {
        let anchors: Vec<_> = engine::certificates(root)?
            .iter()
            .map(|root| root.der().to_vec())
            .collect();
        let trust = TrustStore::new(&anchors, &[]).map_err(|error| Error::File {
            what: "the root (--root)",
            path: root.to_path_buf(),
            why: error.to_string(),
            remedy: "give the CA's certificate in PEM".to_owned(),
        })?;
        let question = format!("verify-ca with {}", root.display());
        let (accepts, why) = match judge_chain(&presented, &trust, Purpose::Server, now) {
            Ok(_) => (Some(true), "the chain leads to a trusted root".to_owned()),
            Err(refusal) => (
                (!refusal.cause.is_undetermined()).then_some(false),
                refusal.to_string(),
            ),
        };
        leads = accepts;
        opinions.push(Opinion {
            question,
            accepts,
            why,
        });
    }
    if let Some(host) = host {
        let question = format!("verify-full as {}", printable(host));
        let named = "the certificate carries that name";
        let (accepts, why) = match (judge_name(leaf.der(), host), leads) {
            (Err(refusal), _) => (Some(false), refusal.to_string()),
            (Ok(_), Some(true)) => (Some(true), named.to_owned()),
            (Ok(_), Some(false)) => (Some(false), format!("{named}, but the chain is refused")),
            (Ok(_), None) if root.is_some() => (None, format!("{named}, but the chain could not be judged")),
            (Ok(_), None) => (
                None,
                format!(
                    "{named}; whether what the server sends leads to a root that clients trust is not known: give that root \
                     with --root FILE"
                ),
            ),
        };
        opinions.push(Opinion {
            question,
            accepts,
            why,
        });
    }
    Ok(opinions)
}

fn tell(told: &Told, output: Output) {
    if let (Some(protocol), Some(cipher), Some(group)) = (&told.protocol, &told.cipher, &told.group) {
        output.say(format_args!("{}: {protocol}, {cipher}, {group}", told.target));
    }
    if let Some(asks) = told.asks_for_client_certificate {
        output.say(format_args!(
            "  client certificate  {}",
            if asks { "asked for" } else { "not asked for" }
        ));
    }
    for (depth, row) in told.certificates.iter().enumerate() {
        output.heading(format_args!("{depth}  {}", row.subject));
        let line = |name: &str, value: &str| {
            if !value.is_empty() {
                output.say(format_args!("  {name:<20}{value}"));
            }
        };
        line("issuer", &row.issuer);
        line(
            "names",
            &row.dns
                .iter()
                .chain(&row.ip)
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
        );
        line("valid from", &row.not_before);
        let left = match row.days_left {
            days if days < 0 => "expired".to_owned(),
            1 => "1 day left".to_owned(),
            days => format!("{days} days left"),
        };
        line("valid until", &format!("{} ({left})", row.not_after));
        line("key", &row.key);
        line("signed with", &row.signature);
        line("CA", if row.ca { "yes" } else { "no" });
        line("key usage", &row.key_usage.join(", "));
        line("extended key usage", &row.extended_key_usage.join(", "));
        line("serial", &row.serial);
        line("SHA-256", &row.sha256);
        if row.version < 3 {
            line("X.509 version", &row.version.to_string());
        }
    }
    if !told.libpq.is_empty() {
        output.heading("What libpq will think of it");
        for opinion in &told.libpq {
            output.opinion(opinion.accepts, &opinion.question, &opinion.why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_as_people_name_it() {
        let at = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(address("db.example.org"), at("db.example.org", 5432));
        assert_eq!(address("db.example.org:5433"), at("db.example.org", 5433));
        assert_eq!(address("[::1]:5433"), at("::1", 5433));
        assert_eq!(address("[::1]"), at("::1", 5432));
        assert_eq!(address("::1"), at("::1", 5432));
        assert_eq!(address("db:99999"), None);
        assert_eq!(address("server/server.crt"), None);
    }
}
