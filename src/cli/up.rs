//! `pgtls up`.

use std::time::Duration;

use serde::Serialize;

use crate::conninfo::{Conninfo, Keyword};
use crate::engine::{self, Error, Outcome};
use crate::verify::Report;

use super::args::{Global, UpArgs};
use super::output::{Output, object};
use super::plan::FileRow;
use super::prompt::Prompt;
use super::request::request;
use super::{Exit, drive};

/// The one object of `up --json`.
#[derive(Debug, Serialize)]
struct Told<'a> {
    dir: String,
    mode: &'static str,
    files: Vec<FileRow>,
    server: Option<ServerRow>,
    connect: Connect,
    verify: Option<&'a Report>,
}

#[derive(Debug, Serialize)]
struct ServerRow {
    kind: &'static str,
    version: u16,
    host: String,
    port: u16,
}

/// Ways to write one connection; none holds a password.
#[derive(Debug, Serialize)]
pub struct Connect {
    /// Keywords and values.
    pub conninfo: String,
    /// A URI.
    pub uri: String,
    /// A command for a shell.
    pub psql: String,
    /// Variables.
    pub env: std::collections::BTreeMap<&'static str, String>,
}

impl Connect {
    /// Every way to write it.
    #[must_use]
    pub fn new(conninfo: &Conninfo) -> Self {
        Self {
            conninfo: conninfo.to_keyword_value(),
            uri: conninfo.to_uri(),
            psql: conninfo.psql_command(),
            env: conninfo.to_env().into_iter().collect(),
        }
    }
}

/// Runs the command.
pub fn run(global: &Global, args: &UpArgs, output: Output) -> Result<Exit, Error> {
    let prompt = Prompt::new(global).adopting(args.adopt);
    let request = request(global, &args.setup, prompt)?;
    let timeout = super::verify::timeout(args.timeout)?;
    let verify: Option<Duration> = (!args.no_verify).then_some(timeout);
    let outcome = drive(engine::up(&request, &prompt, verify, &output.teller()))?;
    let exit = outcome
        .report
        .as_ref()
        .map_or(Exit::Holds, |report| report.verdict.into());
    if output.json() {
        object(&told(&outcome));
    } else {
        tell(&outcome, output);
    }
    Ok(exit)
}

fn told(outcome: &Outcome) -> Told<'_> {
    Told {
        dir: outcome.dir.display().to_string(),
        mode: outcome.setup.mode.name(),
        files: FileRow::all(&outcome.written.files),
        server: outcome.server.as_ref().map(|server| ServerRow {
            kind: outcome.setup.run.name(),
            version: server.version,
            host: outcome.setup.dialled_host().to_string(),
            port: server.port,
        }),
        connect: Connect::new(&outcome.conninfo),
        verify: outcome.report.as_ref(),
    }
}

fn tell(outcome: &Outcome, output: Output) {
    if let Some(report) = &outcome.report {
        output.report(report);
    }
    if output.is_quiet() {
        return;
    }
    let dir = outcome.dir.display();
    if outcome.server.is_some() {
        output.heading("Connect");
        output.say(format_args!("  {}", outcome.conninfo.psql_command()));
        if outcome.conninfo.get(Keyword::Passfile).is_some() {
            output.say("  (the password is in the passfile; nothing secret is on the command line)");
        }
        output.heading("Next");
        output.say(format_args!(
            "  pgtls connect --dir {dir}     other ways to connect; see also CONNECT.md"
        ));
        output.say(format_args!(
            "  pgtls verify --dir {dir}      prove it again, any time"
        ));
        output.say(format_args!(
            "  pgtls down --dir {dir}        stop it; the data stays"
        ));
        output.say(format_args!(
            "  {dir}/RUNBOOK.md    start, stop, rotate, check, undo"
        ));
    } else {
        output.heading("Next");
        output.say(format_args!(
            "  {dir}/RUNBOOK.md    how to install these files in your server"
        ));
        output.say(format_args!(
            "  pgtls verify --dir {dir}      once the server runs with them"
        ));
    }
}
