//! What a sweep found, for Prometheus' textfile collector
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use time::OffsetDateTime;

use crate::verify::{Part, Verdict};

use super::{Checked, Dialled, Error, Tally};

/// Writes the metrics of a sweep into a file that a collector reads.
pub fn metrics(path: &Path, checked: &[Checked], now: OffsetDateTime) -> Result<(), Error> {
    // Whoever collects it runs as somebody else.
    crate::apply::publish(path, text(checked, now).as_bytes(), 0o644).map_err(|error| Error::Environment {
        what: format!(
            "the metrics cannot be written into {}: {}; name a file in a directory that you may write to",
            path.display(),
            match error.kind() {
                std::io::ErrorKind::InvalidInput => "it is no regular file".to_owned(),
                _ => crate::server::words(&error),
            }
        ),
    })
}

/// One target, however many lines name it: a series must not appear twice. The worst of them counts.
#[derive(Debug)]
struct Series {
    holds: bool,
    verified: bool,
    undetermined: bool,
    cause: Option<String>,
    seconds: f64,
    ends: BTreeMap<Part, i64>,
}

fn series(checked: &[Checked]) -> BTreeMap<&Dialled, Series> {
    let mut all: BTreeMap<&Dialled, Series> = BTreeMap::new();
    for one in checked {
        let Some(target) = &one.target else { continue };
        let series = all.entry(target).or_insert(Series {
            holds: true,
            verified: true,
            undetermined: false,
            cause: None,
            seconds: 0.0,
            ends: BTreeMap::new(),
        });
        series.holds &= one.holds == Some(true);
        series.verified &= one.verdict == Some(Verdict::Verified);
        series.undetermined |= one.holds.is_none();
        series.cause = series
            .cause
            .take()
            .or_else(|| one.cause.map(|cause| cause.to_string()));
        series.seconds = series.seconds.max(one.took.as_secs_f64());
        for certificate in &one.certificates {
            let ends = certificate.not_after.unix_timestamp();
            let first = series.ends.entry(certificate.part).or_insert(ends);
            *first = ends.min(*first);
        }
    }
    all
}

/// The exposition format.
fn text(checked: &[Checked], now: OffsetDateTime) -> String {
    let series = series(checked);
    let mut text = String::new();
    let mut family = |name: &str, help: &str, samples: &mut dyn Iterator<Item = (String, String)>| {
        let mut samples = samples.peekable();
        if samples.peek().is_some() {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        }
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let flag = |is: bool| u8::from(is).to_string();
    family(
        "pgtls_certificate_expiry_timestamp_seconds",
        "When the first certificate of that part of the connection ends, seconds since 1970.",
        &mut series.iter().flat_map(|(target, series)| {
            series
                .ends
                .iter()
                .map(|(part, ends)| (labels(target, &[("certificate", part.name())]), ends.to_string()))
        }),
    );
    family(
        "pgtls_target_holds",
        "1 if what was asked of the target holds, the dates of its certificates included.",
        &mut series
            .iter()
            .map(|(target, series)| (labels(target, &[]), flag(series.holds))),
    );
    family(
        "pgtls_target_verified",
        "1 if TLS, the certificate's chain and its name were proven, and nothing that was tested is broken.",
        &mut series
            .iter()
            .map(|(target, series)| (labels(target, &[]), flag(series.verified))),
    );
    family(
        "pgtls_target_undetermined",
        "1 if it could not be found out.",
        &mut series
            .iter()
            .map(|(target, series)| (labels(target, &[]), flag(series.undetermined))),
    );
    family(
        "pgtls_target_failure",
        "1, with the cause, for a target that is not as it should be.",
        &mut series.iter().filter_map(|(target, series)| {
            let cause = series.cause.as_deref()?;
            Some((labels(target, &[("cause", cause)]), "1".to_owned()))
        }),
    );
    family(
        "pgtls_target_duration_seconds",
        "How long the check of the target took.",
        &mut series
            .iter()
            .map(|(target, series)| (labels(target, &[]), format!("{:.6}", series.seconds))),
    );
    let tally = Tally::of(checked);
    family(
        "pgtls_lines_unusable",
        "Lines of the list that could not be used.",
        &mut std::iter::once((String::new(), tally.unusable.to_string())),
    );
    family(
        "pgtls_check_timestamp_seconds",
        "When the check began, seconds since 1970.",
        &mut std::iter::once((String::new(), now.unix_timestamp().to_string())),
    );
    text
}

fn labels(target: &Dialled, more: &[(&str, &str)]) -> String {
    let port = target.port.map(|port| port.to_string());
    let all = [
        ("host", target.host.as_str()),
        ("port", port.as_deref().unwrap_or_default()),
        ("database", target.database.as_str()),
        ("user", target.user.as_str()),
    ];
    let all: Vec<_> = all
        .iter()
        .chain(more)
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    format!("{{{}}}", all.join(","))
}

/// A label's value: backslash, quote and line feed have escapes, and nothing else has.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::verify::Dated;

    fn checked(line: usize, database: &str, holds: Option<bool>, days: i64) -> Checked {
        Checked {
            line,
            target: Some(Dialled {
                host: "db".to_owned(),
                port: Some(5432),
                database: database.to_owned(),
                user: "app".to_owned(),
            }),
            holds,
            verdict: Some(Verdict::Verified),
            cause: None,
            headline: String::new(),
            error: None,
            expiring: false,
            certificates: vec![Dated {
                part: Part::Server,
                subject: "CN=db".to_owned(),
                not_after: OffsetDateTime::UNIX_EPOCH + time::Duration::days(days),
                days_left: days,
            }],
            took: Duration::from_millis(5),
            probes: Vec::new(),
        }
    }

    #[test]
    fn a_series_appears_once_and_its_worst_line_counts() {
        let text = text(
            &[checked(1, "a", Some(true), 2), checked(2, "a", Some(false), 1)],
            OffsetDateTime::UNIX_EPOCH,
        );
        let labels = r#"{host="db",port="5432",database="a",user="app""#;
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(text.contains(&format!(
            "pgtls_certificate_expiry_timestamp_seconds{labels},certificate=\"server\"}} 86400\n"
        )));
        assert!(
            text.contains(&format!("pgtls_target_holds{labels}}} 0\n")),
            "{text}"
        );
        let mut names: Vec<_> = lines
            .iter()
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), lines.len(), "{text}");
    }

    #[test]
    fn labels_are_escaped() {
        let text = text(&[checked(1, "a\"b\\c\nd", None, 1)], OffsetDateTime::UNIX_EPOCH);
        assert!(text.contains(r#"database="a\"b\\c\nd""#), "{text}");
        assert!(text.contains("pgtls_target_undetermined"));
    }
}
