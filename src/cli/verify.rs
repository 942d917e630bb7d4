//! `pgtls verify`.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::engine::{self, Depth, Error, Means, Sweep};
use crate::setup::Mode;
use crate::verify::{Dated, Report, Target, connect, dates, prove};

use super::args::{Expect, Global, Probes, VerifyArgs};
use super::output::{Output, object};
use super::prompt::Prompt;
use super::{Exit, drive};

/// Runs the command.
pub fn run(global: &Global, args: VerifyArgs, output: Output) -> Result<Exit, Error> {
    let outcome = ask(global, args, output);
    // For scripts a conninfo that libpq refuses is a verdict like any other, with its cause.
    if let (Err(Error::Conninfo(error)), true) = (&outcome, output.json()) {
        object(&Report::of_bad_conninfo(&error.to_string()));
    }
    outcome
}

fn ask(global: &Global, args: VerifyArgs, output: Output) -> Result<Exit, Error> {
    let prompt = Prompt::new(global);
    let env = Environment::current();
    let mut means = Means {
        expect: args.expect.map(|expect| match expect {
            Expect::OneWay => Mode::OneWay,
            Expect::Mtls => Mode::Mtls,
        }),
        other: args.other_cert.zip(args.other_key),
        dir: global.dir.clone(),
        admin: args
            .admin
            .as_deref()
            .map(|text| given(text, output))
            .transpose()?,
        key_passphrase: None,
        timeout: timeout(args.timeout)?,
        now: OffsetDateTime::now_utc(),
    };
    if let Some(list) = &args.targets {
        let wanted = Sweep {
            depth: match args.probes {
                Probes::All => Depth::Prove,
                Probes::Connect => Depth::Connect,
            },
            expiring: args.expiring,
        };
        return super::sweep::run(list, args.prometheus.as_deref(), wanted, means, output);
    }
    if let Some(pending) = engine::harden::pending(&global.dir) {
        output.remark(pending);
    }
    // What psql would do is asked of a name as it is.
    let as_it_is = args.probes == Probes::Connect && !args.modes;
    let conninfo = match &args.conninfo {
        Some(text) => given(text, output)?,
        None => project(global, as_it_is, means.timeout, output).map_err(or_a_server)?,
    };
    means.key_passphrase = match &engine::locked_key(conninfo.clone(), &env) {
        // psql knows nothing of PGTLS_KEY_PASSPHRASE.
        Some(key) if args.probes == Probes::Connect => prompt.typed_passphrase(key),
        Some(key) => prompt.passphrase(None, &[key])?,
        None => None,
    };
    if args.modes {
        return super::modes::run(conninfo, &env, &means, output);
    }
    if args.conninfo.is_none() && args.probes == Probes::All && means.expect.is_none() {
        say_in_force(global, output)?;
    }
    let (target, report) = looked(conninfo, &env, &means, args.probes)?;
    let exit = match (args.probes, report.verdict) {
        (Probes::Connect, crate::verify::Verdict::Connected) => Exit::Holds,
        (_, verdict) => verdict.into(),
    };
    let Some(days) = args.expiring else {
        if output.json() {
            object(&report);
        } else {
            output.report(&report);
        }
        return Ok(exit);
    };
    let mut dated = dates(&target, &report);
    if args.conninfo.is_none() {
        for one in engine::kit_dates(&global.dir, means.now) {
            let is_known = |known: &Dated| (&known.subject, known.not_after) == (&one.subject, one.not_after);
            if !dated.iter().any(is_known) {
                dated.push(one);
            }
        }
    }
    let soon = time::Duration::days(days.into());
    let ending: Vec<_> = dated
        .iter()
        .filter(|one| one.not_after - means.now <= soon)
        .collect();
    let exit = match exit {
        Exit::Holds if !ending.is_empty() => Exit::Broken,
        exit => exit,
    };
    if output.json() {
        object(&WithDates {
            expiring: !ending.is_empty(),
            certificates: &dated,
            report: &report,
        });
        return Ok(exit);
    }
    output.report(&report);
    say_ends(&dated, means.now + soon, output);
    Ok(exit)
}

/// When what it rests on ends.
fn say_ends(dated: &[Dated], soon: OffsetDateTime, output: Output) {
    let told: Vec<_> = dated
        .iter()
        .map(|one| (one, one.not_after > soon))
        .filter(|(_, lasts)| !(output.is_quiet() && *lasts))
        .collect();
    if !told.is_empty() {
        output.heading("Ends");
    }
    for (one, lasts) in told {
        output.opinion(Some(lasts), &one.not_after.date().to_string(), &engine::ends(one));
    }
}

/// By which promises a server is judged that is hardened from here.
fn say_in_force(global: &Global, output: Output) -> Result<(), Error> {
    if let Some(in_force) = engine::in_force(&global.dir)? {
        output.remark(in_force.words);
    }
    Ok(())
}

/// What was found, of what.
fn looked(
    conninfo: Conninfo,
    env: &Environment,
    means: &Means,
    probes: Probes,
) -> Result<(Target, Report), Error> {
    drive(async {
        match probes {
            Probes::All => {
                let target = engine::target(conninfo, env, means).await?;
                let report = Box::pin(prove(&target, &|_| ())).await;
                Ok((target, report))
            }
            Probes::Connect => {
                let target = engine::caller(conninfo, env, means).await?;
                let superuser = || engine::superuser_of(&target, means);
                let report = Box::pin(connect(&target, &superuser)).await;
                Ok((target, report))
            }
        }
    })
}

/// A report, and when what it rests on ends.
#[derive(Serialize)]
struct WithDates<'a> {
    expiring: bool,
    certificates: &'a [Dated],
    #[serde(flatten)]
    report: &'a Report,
}

/// How the project's own server is dialled.
fn project(global: &Global, as_it_is: bool, timeout: Duration, output: Output) -> Result<Conninfo, Error> {
    if as_it_is {
        return Ok(engine::kit(&global.dir, None)?.2);
    }
    let teller = output.teller();
    drive(engine::project_conninfo(&global.dir, timeout, &teller))
}

/// There is no project, and the person may not have meant one.
fn or_a_server(error: Error) -> Error {
    match error {
        Error::NoProject(dir) => Error::DoesNotFit {
            what: format!(
                "no server is named, and {} is no pgtls project: it holds no pgtls.toml",
                dir.display()
            ),
            remedy: "name a server, as in `pgtls verify 'host=db.example.org dbname=app user=app'`, or a project's directory \
                     with --dir"
                .to_owned(),
        },
        other => other,
    }
}

pub fn given(text: &str, output: Output) -> Result<Conninfo, Error> {
    let conninfo = Conninfo::parse(text)?;
    if conninfo.secret(Keyword::Password).is_some() {
        output.remark(
            "warning: a password on the command line can be seen by everybody on this machine; PGPASSWORD or a passfile \
             cannot",
        );
    }
    Ok(conninfo)
}

/// A time allowed, from seconds.
pub fn timeout(seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| Error::DoesNotFit {
            what: format!("--timeout {seconds}: it is no time"),
            remedy: "give seconds, more than 0".to_owned(),
        })
}
