//! `pgtls connect`: how to connect, one way on standard output.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::apply::{Action, Written};
use crate::clients::{self, Client, Format};
use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::engine::{self, Error, Installation};
use crate::pki::printable;
use crate::plan::Kit;
use crate::setup::Auth;

use super::Exit;
use super::args::{ConnectArgs, Global};
use super::output::{Output, object};
use super::plan::FileRow;
use super::prompt::Prompt;
use super::up::Connect;

/// The one object of `connect --json`.
#[derive(Debug, Serialize)]
struct Told<'a> {
    client: &'a str,
    title: &'a str,
    snippet: String,
    file: &'a str,
    run: Option<String>,
    files: BTreeMap<&'static str, String>,
    properties: BTreeMap<String, String>,
    versions: &'a str,
    doc: &'a str,
    traps: &'a [String],
    tested: bool,
    #[serde(flatten)]
    connect: Connect,
}

/// The one object of `connect --install --json` and `connect --project --json`.
#[derive(Debug, Serialize)]
struct Wrote {
    dir: String,
    files: Vec<FileRow>,
    kept: Vec<String>,
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
    let (setup, kit, conninfo) = engine::kit(&global.dir, args.client.as_deref())?;
    let snippet = clients::render(client, &conninfo)?;
    let asked = formats(args)?;
    let mut wanted = asked.clone();
    if kit.cn.is_some() {
        wanted.extend(&client.formats);
    }
    if !wanted.is_empty() {
        make(global, &kit, &wanted, output)?;
    }
    if args.install {
        return install(global, client, &kit, &conninfo, output);
    }
    if let Some(dir) = &args.dotenv {
        let written = engine::write_dotenv(dir, &conninfo, args.with_password, &Prompt::new(global))?;
        wrote(dir, &written, None, output);
        return Ok(Exit::Holds);
    }
    if let Some(dir) = &args.project {
        let files = clients::project(client, &conninfo)?;
        let written = engine::write_project(dir, &files, &Prompt::new(global))?;
        wrote(dir, &written, clients::run(client, &conninfo)?.as_deref(), output);
        return Ok(Exit::Holds);
    }
    if output.json() {
        object(&Told {
            client: &client.name,
            title: &client.title,
            snippet,
            file: &client.file,
            run: clients::run(client, &conninfo)?,
            files: files(&conninfo, &wanted),
            properties: clients::properties(client, &conninfo)?,
            versions: &client.versions,
            doc: &client.doc,
            traps: &client.traps,
            tested: client.tested,
            connect: Connect::new(&conninfo),
        });
        return Ok(Exit::Holds);
    }
    if !asked.is_empty() {
        for format in &asked {
            output.say(beside(&conninfo, format.file()).display());
        }
        return Ok(Exit::Holds);
    }
    output.say(snippet.trim_end_matches('\n'));
    if let Some(run) = clients::run(client, &conninfo)? {
        output.remark(format_args!("save it as {}, then run it: {run}", client.file));
    }
    if setup.auth != Auth::Cert && engine::belongs_to_a_server(&global.dir)? {
        output.remark(format_args!(
            "the password is that of the role {} itself: PGPASSWORD, or a line in ~/.pgpass",
            printable(&kit.role)
        ));
    }
    output.remark(format_args!("needs: {}", client.versions));
    for trap in &client.traps {
        output.remark(format_args!("mind: {trap}"));
    }
    Ok(Exit::Holds)
}

/// The client of that name, or what was meant perhaps: a language, or a name that is near.
fn client(name: &str) -> Result<&'static Client, Error> {
    clients::find(name).ok_or_else(|| {
        let of_language = clients::of_language(name);
        let near = clients::all()
            .iter()
            .map(|client| client.name.as_str())
            .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)))
            .filter(|near| strsim::jaro_winkler(name, near) > 0.75);
        let meant = if of_language.is_empty() {
            near.map(|near| format!("did you mean {near}? "))
        } else {
            Some(format!("say with what: {}; ", of_language.join(", ")))
        };
        Error::DoesNotFit {
            what: format!(
                "\"{}\" is no way to connect that pgtls can write",
                printable(name)
            ),
            remedy: format!(
                "{}`pgtls connect --list` names them all",
                meant.unwrap_or_default()
            ),
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

/// Installs the kit below the home directory.
fn install(
    global: &Global,
    client: &Client,
    kit: &Kit,
    conninfo: &Conninfo,
    output: Output,
) -> Result<Exit, Error> {
    let home = Environment::current().home.ok_or_else(|| Error::Environment {
        what: "this account has no home directory (HOME is not set)".to_owned(),
    })?;
    let what = match client.name.as_str() {
        "service" => Installation::Service,
        _ => Installation::Files {
            pk8: client.formats.contains(&Format::Pk8),
        },
    };
    let kit_dir = engine::kit_dir(&engine::absolute(&global.dir), kit);
    let written = engine::install(&kit_dir, conninfo, what, &home, &Prompt::new(global))?;
    let use_it = match what {
        Installation::Service => format!("psql service={}", kit.name),
        Installation::Files { .. } => {
            let mut short = conninfo.clone();
            for keyword in [
                Keyword::Sslrootcert,
                Keyword::Sslcert,
                Keyword::Sslkey,
                Keyword::Passfile,
            ] {
                short.remove(keyword);
            }
            short.psql_command()
        }
    };
    wrote(&home, &written, Some(&use_it), output);
    Ok(Exit::Holds)
}

/// What was written into a directory that is not the project's, and how to use it and take it back.
fn wrote(dir: &Path, written: &Written, run: Option<&str>, output: Output) {
    let dir = engine::absolute(dir);
    if output.json() {
        object(&Wrote {
            dir: dir.to_string_lossy().into_owned(),
            files: FileRow::all(&written.files),
            kept: written
                .kept
                .iter()
                .map(|kept| dir.join(&kept.copy).to_string_lossy().into_owned())
                .collect(),
        });
        return;
    }
    for file in &written.files {
        output.say(dir.join(&file.path).display());
    }
    for kept in &written.kept {
        output.remark(format_args!(
            "kept a copy of what was there before: {}",
            dir.join(&kept.copy).display()
        ));
    }
    if written.files.is_empty() {
        output.remark("everything is there already");
    }
    if let Some(run) = run {
        output.remark(format_args!("run it: {run}"));
    }
    output.remark(format_args!("take it back: pgtls undo --dir {}", dir.display()));
}

/// The formats that were asked for.
fn formats(args: &ConnectArgs) -> Result<Vec<Format>, Error> {
    args.format
        .iter()
        .map(|name| {
            name.parse().map_err(|()| Error::DoesNotFit {
                what: format!(
                    "\"{}\" is no format of keys that pgtls can write",
                    printable(name)
                ),
                remedy: "name one of: pk8, p12, p12-legacy, truststore".to_owned(),
            })
        })
        .collect()
}

/// Has the formats made, and says what was written.
fn make(global: &Global, kit: &Kit, formats: &[Format], output: Output) -> Result<(), Error> {
    let written = engine::make_formats(&global.dir, kit, formats, &Prompt::new(global))?;
    for file in written.files.iter().filter(|file| file.action != Action::Kept) {
        output.remark(format_args!(
            "wrote {} (mode {:04o})",
            file.path.display(),
            file.mode
        ));
    }
    for kept in &written.kept {
        output.remark(format_args!(
            "kept a copy of what was there before: {}",
            kept.copy.display()
        ));
    }
    Ok(())
}

/// The files of the kit that the connection uses, by keyword or format.
fn files(conninfo: &Conninfo, formats: &[Format]) -> BTreeMap<&'static str, String> {
    let mut files: BTreeMap<_, _> = [
        Keyword::Sslrootcert,
        Keyword::Sslcert,
        Keyword::Sslkey,
        Keyword::Passfile,
    ]
    .into_iter()
    .filter_map(|keyword| Some((keyword.name(), conninfo.get(keyword)?.to_owned())))
    .collect();
    let mut add = |name, file| _ = files.insert(name, beside(conninfo, file).to_string_lossy().into_owned());
    for format in formats {
        add(format.name(), format.file());
        if format.wants_password() {
            add("p12-password", Format::PASSWORD_FILE);
        }
    }
    files
}

/// A file beside the kit's root certificate.
fn beside(conninfo: &Conninfo, file: &str) -> PathBuf {
    Path::new(conninfo.get(Keyword::Sslrootcert).unwrap_or_default()).with_file_name(file)
}
