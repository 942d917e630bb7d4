//! `pgtls audit`: a running server, or the files of a directory, graded.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use crate::audit::{Audit, Group, Severity, Verdict, groups, html, markdown};
use crate::conninfo::Environment;
use crate::engine::{self, Beside, Error, Means};
use crate::pki::printable;

use super::args::{AuditArgs, Global};
use super::output::{Output, object, text};
use super::prompt::Prompt;
use super::verify::{given, timeout};
use super::{Exit, drive};

/// Runs the command.
pub fn run(global: &Global, args: &AuditArgs, output: Output) -> Result<Exit, Error> {
    let audit = match &args.target {
        Some(target) if Path::new(target).is_file() => {
            let dir = Path::new(target).parent();
            let dir = dir.filter(|dir| !dir.as_os_str().is_empty());
            return Err(Error::DoesNotFit {
                what: format!(
                    "{} is a file, and what it is worth depends on those beside it",
                    printable(target)
                ),
                remedy: format!(
                    "give its directory: pgtls audit {} (for a certificate: pgtls inspect FILE)",
                    printable(&dir.unwrap_or(Path::new(".")).to_string_lossy())
                ),
            });
        }
        Some(target) if !Path::new(target).is_dir() => of_server(global, target, args, output)?,
        target => {
            if args.config_dir.is_some() || args.clients.is_some() {
                return Err(Error::DoesNotFit {
                    what: "--config-dir and --clients go with the CONNINFO of a server".to_owned(),
                    remedy: "leave them out: of a directory all files are read".to_owned(),
                });
            }
            let dir = target.as_ref().map_or(global.dir.as_path(), Path::new);
            engine::grade_files(dir, OffsetDateTime::now_utc())?
        }
    };
    if output.json() {
        object(&audit);
    } else if args.markdown {
        text(&markdown(&audit));
    } else if args.html {
        text(&html(&audit));
    } else {
        tell(&audit, output);
    }
    Ok(match audit.verdict {
        Verdict::Holds => Exit::Holds,
        Verdict::Broken => Exit::Broken,
        Verdict::Undetermined => Exit::Undetermined,
    })
}

fn of_server(global: &Global, target: &str, args: &AuditArgs, output: Output) -> Result<Audit, Error> {
    let conninfo = given(target, output)?;
    let env = Environment::current();
    let locked = engine::locked_key(conninfo.clone(), &env);
    let allowed: Duration = timeout(args.timeout)?;
    let means = Means {
        expect: None,
        other: None,
        dir: global.dir.clone(),
        admin: None,
        key_passphrase: match &locked {
            Some(key) => Prompt::new(global).passphrase(None, &[key])?,
            None => None,
        },
        timeout: allowed,
        now: OffsetDateTime::now_utc(),
    };
    let beside = Beside {
        config_dir: args.config_dir.clone(),
        clients: args.clients.clone(),
    };
    drive(engine::grade(conninfo, &env, &means, &beside))
}

fn tell(audit: &Audit, output: Output) {
    let holds = match audit.verdict {
        Verdict::Holds => Some(true),
        Verdict::Broken => Some(false),
        Verdict::Undetermined => None,
    };
    output.promise(holds, audit.sentence());
    let groups = groups(&audit.findings);
    for severity in Severity::ALL {
        let findings: Vec<&Group<'_>> = groups
            .iter()
            .filter(|group| group.first().severity == severity)
            .collect();
        if findings.is_empty() {
            continue;
        }
        output.heading(severity.word());
        for group in findings {
            let first = group.first();
            output.say(format_args!("  {} ({})", first.title, first.id));
            for finding in &group.findings {
                output.say(format_args!("    where     {}", finding.place));
                for line in &finding.evidence {
                    output.say(format_args!("    evidence  {line}"));
                }
            }
            output.say(format_args!("    why       {}", first.why));
            for remedy in &group.remedies {
                output.say(format_args!("    remedy    {remedy}"));
            }
            if let Some(cis) = first.cis {
                output.say(format_args!(
                    "    CIS       PostgreSQL 17 Benchmark v1.0.0, {cis}"
                ));
            }
        }
    }
    if !audit.sessions.is_empty() {
        output.heading("Sessions");
        for session in &audit.sessions {
            let tls = match session.ssl {
                Some(true) => session.version.as_deref().unwrap_or("TLS"),
                Some(false) => "no TLS",
                None => "not shown",
            };
            output.say(format_args!(
                "  {:<8} {:<10} {} on {} from {} {}",
                session.pid, tls, session.user, session.database, session.client, session.application
            ));
        }
    }
    if !audit.unseen.is_empty() {
        output.heading("What could not be seen");
        for unseen in &audit.unseen {
            output.say(format_args!("  {}: {}", unseen.what, unseen.why));
        }
    }
}
