//! The judge against its witness: `openssl verify` on the same chains, verdict and error number alike.

#![allow(clippy::unwrap_used, reason = "a test stops where its witness fails")]

mod cases;
mod handshake;
mod mutations;
mod names;
mod random;
#[path = "../support/workshop.rs"]
mod workshop;

use pgtls::judge::{Purpose, Refusal, TrustStore, judge_chain};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use time::macros::datetime;

use cases::{Case, Table};
use workshop::Workshop;

const NOW: OffsetDateTime = datetime!(2030-06-01 12:00 UTC);

#[test]
fn openssl_says_the_same_of_every_chain() {
    let Table { workshop, cases } = Table::new();
    let theirs = ask_openssl(&workshop, &cases);
    let (mut differences, mut open) = (Vec::new(), 0);
    for (case, theirs) in cases.iter().zip(theirs) {
        let ours = match judge(&workshop, case) {
            Ok(()) => "ok".to_owned(),
            Err(refusal) if refusal.cause.is_undetermined() => {
                open += 1;
                continue;
            }
            Err(refusal) => match (&refusal.openssl, &refusal.certificate) {
                (Some(error), Some(certificate)) => format!("{}@{}", error.code, certificate.depth),
                _ => format!("{refusal}"),
            },
        };
        if ours != theirs {
            differences.push(format!("{case:?}: ours {ours}, OpenSSL's {theirs}"));
        }
    }
    let count = cases.len();
    assert!(
        differences.is_empty(),
        "{} of {count}:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(open * 50 < count, "{open} of {count} chains could not be judged");
}

fn judge(workshop: &Workshop, case: &Case) -> Result<(), Box<Refusal>> {
    let ders = |names: &[String], extension| {
        names
            .iter()
            .map(|name| workshop.der(name, extension))
            .collect::<Vec<_>>()
    };
    let trust = TrustStore::new(&ders(&case.trust, "crt"), &ders(&case.lists, "crl")).unwrap();
    let presented: Vec<_> = ders(&case.presented, "crt")
        .into_iter()
        .map(CertificateDer::from)
        .collect();
    let purpose = if case.client {
        Purpose::Client
    } else {
        Purpose::Server
    };
    judge_chain(&presented, &trust, purpose, NOW).map(drop)
}

/// For each case `ok`, or `number@depth` of the first error. Cases that differ in the leaf only are asked at once.
fn ask_openssl(workshop: &Workshop, cases: &[Case]) -> Vec<String> {
    let mut verdicts = Vec::with_capacity(cases.len());
    let same = |one: &Case, other: &Case| {
        (&one.trust, &one.lists, one.client, &one.presented[1..])
            == (&other.trust, &other.lists, other.client, &other.presented[1..])
    };
    for group in cases.chunk_by(same) {
        let leaves: Vec<_> = group
            .iter()
            .map(|case| format!("{}.crt", case.presented[0]))
            .collect();
        let time = NOW.unix_timestamp().to_string();
        let case = &group[0];
        workshop.bundle("untrusted.pem", &case.presented[1..], "crt");
        workshop.bundle("trusted.pem", &case.trust, "crt");
        workshop.bundle("lists.pem", &case.lists, "crl");
        let purpose = if case.client { "sslclient" } else { "sslserver" };
        let mut arguments = vec![
            "verify",
            "-no-CApath",
            "-no-CAstore",
            "-auth_level",
            "2",
            "-purpose",
            purpose,
        ];
        arguments.extend(["-attime", &time, "-CAfile", "trusted.pem"]);
        if case.presented.len() > 1 {
            arguments.extend(["-untrusted", "untrusted.pem"]);
        }
        if !case.lists.is_empty() {
            arguments.extend(["-crl_check_all", "-CRLfile", "lists.pem"]);
        }
        arguments.extend(leaves.iter().map(String::as_str));
        let output = workshop.run(&arguments);
        let good = String::from_utf8_lossy(&output.stdout).into_owned();
        let bad = String::from_utf8_lossy(&output.stderr).into_owned();
        for leaf in &leaves {
            if good.lines().any(|line| line == format!("{leaf}: OK")) {
                verdicts.push("ok".into());
            } else {
                verdicts.push(first_error(&bad, leaf).unwrap_or_else(|| panic!("{leaf}: {bad}")));
            }
        }
    }
    verdicts
}

/// Of the errors before `error LEAF: verification failed`, and after the leaf before it, the first.
fn first_error(text: &str, leaf: &str) -> Option<String> {
    let end = format!("error {leaf}: verification failed");
    let before: Vec<_> = text.lines().take_while(|line| *line != end).collect();
    let start = before
        .iter()
        .rposition(|line| line.ends_with(": verification failed"))
        .map_or(0, |at| at + 1);
    before[start..].iter().find_map(|line| {
        let mut words = line.strip_prefix("error ")?.split(' ');
        let number = words.next()?;
        Some(format!("{number}@{}", words.nth(1)?))
    })
}
