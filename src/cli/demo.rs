//! `pgtls demo`: the lesson, as JSON and as lines.

use serde::Serialize;
use time::OffsetDateTime;

use crate::engine::demo::{Lesson, Middle, Played, Scene, Side, Told, Wanted, all_hold};
use crate::engine::{Error, Event, Teller};
use crate::server::keep_until_the_end;

use super::args::{DemoArgs, Global};
use super::output::{Output, object};
use super::prompt::Prompt;
use super::{Exit, drive};

/// The one object of `demo --json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    holds: Option<bool>,
    client: String,
    server: String,
    scenes: &'a [Played],
}

/// Runs the command.
pub fn run(global: &Global, args: &DemoArgs, output: Output) -> Result<Exit, Error> {
    let scenes = scenes(&args.scene)?;
    let prompt = Prompt::new(global);
    let wanted = Wanted {
        pg_bin: args.pg_bin.clone(),
        pg_version: args.pg_version,
        keeper: keeper(),
        now: OffsetDateTime::now_utc(),
    };
    let played = drive(async {
        let quiet = output.teller();
        let lesson = Lesson::open(&wanted, &prompt, &quiet).await?;
        let (client, server) = (lesson.client(), lesson.server());
        if !output.json() {
            output.remark(format_args!("{client}, {server}; all of it is gone afterwards"));
        }
        let mut played = Vec::new();
        for scene in &scenes {
            let teller = if output.json() {
                Teller::silent()
            } else {
                begin(*scene, output);
                lines(output)
            };
            let one = lesson.play(*scene, &teller).await;
            if !output.json() {
                end(&one, output);
            }
            played.push(one);
        }
        Ok((client, server, played))
    })?;
    let (client, server, played) = played;
    let holds = all_hold(&played);
    if output.json() {
        object(&Report {
            holds,
            client,
            server,
            scenes: &played,
        });
    } else {
        let held = played.iter().filter(|scene| scene.holds == Some(true)).count();
        output.promise(
            holds,
            &format!("{held} of {} scenes went as they were expected to", played.len()),
        );
    }
    Ok(match holds {
        Some(true) => Exit::Holds,
        Some(false) => Exit::Broken,
        None => Exit::Undetermined,
    })
}

/// The work of the process that cleans up behind a lesson that was killed.
pub fn keep(dir: &std::path::Path) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Environment {
            what: crate::server::words(&error),
        })?;
    runtime.block_on(keep_until_the_end(dir))?;
    Ok(Exit::Holds)
}

/// This program once more, as the keeper.
fn keeper() -> Vec<std::path::PathBuf> {
    // Also when the program's file has been replaced meanwhile.
    let itself = std::path::Path::new("/proc/self/exe");
    let program = if itself.exists() {
        itself.canonicalize().ok().filter(|path| path.exists())
    } else {
        None
    };
    let program = program
        .or_else(|| std::env::current_exe().ok())
        .unwrap_or_else(|| "pgtls".into());
    vec![program, super::args::KEEPER.into()]
}

fn scenes(names: &[String]) -> Result<Vec<Scene>, Error> {
    if names.is_empty() {
        return Ok(Scene::ALL.to_vec());
    }
    names
        .iter()
        .map(|name| {
            Scene::named(name).ok_or_else(|| Error::DoesNotFit {
                what: format!("--scene {name}: there is no such scene"),
                remedy: format!("name one of: {}", Scene::ALL.map(Scene::name).join(", ")),
            })
        })
        .collect()
}

fn begin(scene: Scene, output: Output) {
    let text = scene.text();
    output.heading(format_args!(
        "{} of {}: {}",
        scene.place() + 1,
        Scene::ALL.len(),
        text.title
    ));
    output.say(&text.says);
}

fn end(played: &Played, output: Output) {
    output.say("");
    output.promise(played.holds, &played.observed);
    output.say(&played.id.text().means);
}

/// Says on lines what happens.
fn lines(output: Output) -> Teller {
    Teller::new(move |event| match event {
        Event::Lesson(told) => output.say(line(&told)),
        Event::Cell {
            sslmode,
            root_file,
            cell,
        } => output.say(format_args!(
            "  {}{}, {}: {}",
            sslmode.word(),
            if root_file { "" } else { " (no root file)" },
            cell.meets.name(),
            cell.observed
        )),
        _ => {}
    })
}

fn line(told: &Told) -> String {
    match told {
        Told::Act {
            title,
            command,
            middle,
        } => {
            let middle = match middle {
                Middle::Nobody => String::new(),
                Middle::Downgrader => "\n  In between: somebody who answers no".to_owned(),
                Middle::Impostor(certificate) => {
                    format!("\n  In between: an impostor with a certificate for {certificate}")
                }
            };
            format!("\n  {title}{middle}\n  {command}")
        }
        Told::Wire(frame) => {
            let who = match frame.from {
                Side::Client => "client to server",
                Side::Server => "server to client",
            };
            let line = format!("    {who}: {} {}", frame.name, frame.content);
            line.trim_end().to_owned()
        }
        Told::Impostor(says) => format!("    {says}"),
        Told::Server(says) => format!("    server: {says}"),
        Told::Client { ok: true, says } => format!("    client: {says}"),
        Told::Client { ok: false, says } => format!("    client: refused: {says}"),
    }
}
