//! `pgtls connect`: how to connect, one way on standard output.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clients::{self, Client};
use crate::conninfo::{Conninfo, Keyword};
use crate::engine::{self, Error};

use super::Exit;
use super::args::{ConnectArgs, Global};
use super::output::{Output, object};
use super::up::Connect;

/// The one object of `connect --json`.
#[derive(Debug, Serialize)]
struct Told<'a> {
    client: &'a str,
    title: &'a str,
    snippet: String,
    file: &'a str,
    run: Option<&'a str>,
    files: BTreeMap<&'static str, String>,
    properties: BTreeMap<String, String>,
    versions: &'a str,
    doc: &'a str,
    traps: &'a [String],
    tested: bool,
    #[serde(flatten)]
    connect: Connect,
}

/// A row of `connect --list --json`.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    title: &'a str,
    versions: &'a str,
    doc: &'a str,
    tested: bool,
}

/// Runs the command.
pub fn run(global: &Global, args: &ConnectArgs, output: Output) -> Result<Exit, Error> {
    if args.list {
        list(output);
        return Ok(Exit::Holds);
    }
    let client = client(&args.language)?;
    let (_, _, conninfo) = engine::kit(&global.dir, args.client.as_deref())?;
    let snippet = clients::render(client, &conninfo)?;
    if output.json() {
        object(&Told {
            client: &client.name,
            title: &client.title,
            snippet,
            file: &client.file,
            run: client.run.as_deref(),
            files: files(&conninfo),
            properties: clients::properties(client, &conninfo)?,
            versions: &client.versions,
            doc: &client.doc,
            traps: &client.traps,
            tested: client.tested,
            connect: Connect::new(&conninfo),
        });
        return Ok(Exit::Holds);
    }
    output.say(snippet.trim_end_matches('\n'));
    if let Some(run) = &client.run {
        output.remark(format_args!("run it: {run}"));
    }
    output.remark(format_args!("needs: {}", client.versions));
    for trap in &client.traps {
        output.remark(format_args!("mind: {trap}"));
    }
    Ok(Exit::Holds)
}

/// The client of that name, or those whose names are near.
fn client(name: &str) -> Result<&'static Client, Error> {
    clients::find(name).ok_or_else(|| {
        let near = clients::all()
            .iter()
            .map(|client| client.name.as_str())
            .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)))
            .filter(|near| strsim::jaro_winkler(name, near) > 0.75);
        Error::DoesNotFit {
            what: format!(
                "\"{}\" is no way to connect that pgtls can write",
                crate::pki::printable(name)
            ),
            remedy: match near {
                Some(near) => format!("did you mean {near}? `pgtls connect --list` names them all"),
                None => "`pgtls connect --list` names them all".to_owned(),
            },
        }
    })
}

fn list(output: Output) {
    if output.json() {
        let rows: Vec<_> = clients::all()
            .iter()
            .map(|client| Row {
                name: &client.name,
                title: &client.title,
                versions: &client.versions,
                doc: &client.doc,
                tested: client.tested,
            })
            .collect();
        object(&rows);
        return;
    }
    for client in clients::all() {
        output.say(format_args!("{:<16} {}", client.name, client.title));
    }
}

/// The files of the kit that the connection uses.
fn files(conninfo: &Conninfo) -> BTreeMap<&'static str, String> {
    [
        Keyword::Sslrootcert,
        Keyword::Sslcert,
        Keyword::Sslkey,
        Keyword::Passfile,
    ]
    .into_iter()
    .filter_map(|keyword| Some((keyword.name(), conninfo.get(keyword)?.to_owned())))
    .collect()
}
