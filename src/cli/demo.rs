//! `pgtls demo`: the lesson, on the screen, as lines and as JSON; its recording, and the presenter's notes.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::apply::publish;
use crate::engine::demo::{
    self, Caller, Middle, Played, Playground, Scene, Side, Start, Told, Wanted, Yours, all_hold, keeper,
};
use crate::engine::{Error, Event, Teller};
use crate::setup::Answers;
use crate::wizard::lesson::{Auto, Lesson, notes};
use crate::wizard::record::Recorder;
use crate::wizard::theme::Theme;
use crate::wizard::{self, End, Showing};

use super::args::{DemoArgs, Global};
use super::output::{Output, colour, object, utf8_locale};
use super::prompt::Prompt;
use super::verify::given;
use super::{Exit, drive};

/// The one object of `demo --json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    holds: Option<bool>,
    client: String,
    server: String,
    scenes: &'a [Played],
}

/// How long a scene stays, where nobody attends it and nothing else is said.
const PAUSE: Duration = Duration::from_secs(6);

/// Runs the command: as JSON, on the screen, or as lines.
pub fn run(global: &Global, args: &DemoArgs, accessible: bool, output: Output) -> Result<Exit, Error> {
    let scenes = scenes(&args.scene)?;
    if args.notes {
        return show_notes(output);
    }
    let pause = args.auto.map(super::verify::timeout).transpose()?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let lines = output.json() || accessible || (!terminal && args.record.is_none());
    if lines {
        let playground = playground(global, args, output)?;
        return play(global, playground, &scenes, terminal && pause.is_none(), output);
    }
    let terminal = terminal && !super::wizard::cannot_be_drawn_to();
    let auto = Auto {
        pause: pause.unwrap_or(PAUSE),
        again: terminal && args.record.is_none(),
    };
    let playground = playground(global, args, output)?;
    // On a terminal the scene that is named is only the one to begin with.
    let picked = if terminal && args.scene.len() == 1 && pause.is_none() {
        None
    } else {
        Some(scenes.clone())
    };
    let mut lesson = Lesson::new(
        true,
        picked.unwrap_or_else(|| Scene::ALL.to_vec()),
        (pause.is_some() || !terminal).then_some(auto),
        playground,
    );
    lesson.scene = scenes[0];
    let began = OffsetDateTime::now_utc().unix_timestamp();
    let (over, recorder) = wizard::show(Showing {
        lesson,
        theme: Theme {
            colour: colour(global.color),
            unicode: utf8_locale() || !terminal,
        },
        terminal,
        recorder: args.record.as_ref().map(|_| Recorder::default()),
    })?;
    for says in &over.left {
        output.remark(says);
    }
    if let (Some(file), Some(recorder)) = (&args.record, recorder) {
        for (file, text) in recordings(file, &recorder, began) {
            publish(&file, text.as_bytes(), 0o644).map_err(|error| Error::File {
                what: "the recording (--record)",
                path: file.clone(),
                why: crate::server::words(&error),
                remedy: "name a file in a directory that can be written to".to_owned(),
            })?;
            output.remark(format_args!("recorded {}", file.display()));
        }
    }
    if let Some(failure) = over.failed {
        // The screen that said so is gone.
        output.remark(format_args!("the lesson could not go on: {}", failure.what));
        for remedy in &failure.remedies {
            output.remark(format_args!("  {remedy}"));
        }
        return Ok(Exit::Environment);
    }
    Ok(match over.end {
        // That nothing stays is a promise too.
        End::Left if !over.left.is_empty() => Exit::Broken,
        End::Left => Exit::Holds,
        End::Signal(name) => {
            output.remark(format_args!("the lesson was ended by {name}"));
            Exit::Undetermined
        }
    })
}

/// With which server: the person's own, if there is a connection string.
fn playground(global: &Global, args: &DemoArgs, output: Output) -> Result<Playground, Error> {
    let Some(conninfo) = &args.conninfo else {
        let answers = Answers {
            run: args.run.clone(),
            pg_bin: args.pg_bin.clone(),
            pg_version: args.pg_version.map(i64::from),
            image: args.image.clone(),
            ..Answers::default()
        };
        return Start::new(&answers).map(Playground::Own);
    };
    let flags = [
        ("--run", args.run.is_some()),
        ("--pg-version", args.pg_version.is_some()),
        ("--pg-bin", args.pg_bin.is_some()),
        ("--image", args.image.is_some()),
    ];
    if let Some((flag, _)) = flags.into_iter().find(|(_, is_given)| *is_given) {
        return Err(Error::DoesNotFit {
            what: format!(
                "{flag} says how a server is started for the lesson, and the connection string names one that runs"
            ),
            remedy: format!("leave one of the two out: {flag}, or the connection string"),
        });
    }
    let mut yours = Yours {
        conninfo: given(conninfo, output)?,
        key_passphrase: None,
    };
    if let Some(key) = yours.locked_key() {
        yours.key_passphrase = Prompt::new(global).passphrase(None, &[&key])?;
    }
    // Before any screen is drawn.
    drive(yours.is_here())?;
    Ok(Playground::Yours(yours))
}

/// The files of a recording.
fn recordings(file: &Path, recorder: &Recorder, began: i64) -> Vec<(PathBuf, String)> {
    if file.extension().is_some_and(|extension| extension == "svg") {
        return vec![(file.to_owned(), recorder.svg())];
    }
    vec![
        (file.to_owned(), recorder.cast(began)),
        (file.with_extension("svg"), recorder.svg()),
    ]
}

/// The notes: all of them, or on a terminal those of the scene that is played, as long as somebody looks.
fn show_notes(output: Output) -> Result<Exit, Error> {
    const COLUMNS: usize = 100;
    const LOOK: Duration = Duration::from_millis(250);
    if !std::io::stdout().is_terminal() {
        for scene in Scene::ALL {
            for line in notes::lines(scene, COLUMNS) {
                output.say(line);
            }
            output.say("");
        }
        return Ok(Exit::Holds);
    }
    let columns =
        crossterm::terminal::size().map_or(COLUMNS, |(columns, _)| usize::from(columns).min(COLUMNS));
    output.remark("The notes follow `pgtls demo` on another terminal. Ctrl-C ends them.");
    let mut shown = None;
    let ended = drive(async {
        while !wizard::terminal::is_gone() {
            let now = notes::now().map(|(scene, _)| scene);
            if now.is_some() && now != shown {
                shown = now;
                if let Some(scene) = now {
                    // A page of its own for every scene: what came before is above, for those who scroll.
                    output.heading("─".repeat(columns.min(40)));
                    for line in notes::lines(scene, columns) {
                        output.say(line);
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Exit::Holds)
    });
    // Nothing was begun, so nothing is broken off.
    match ended {
        Err(Error::Interrupted { .. }) => Ok(Exit::Holds),
        other => other,
    }
}

/// Plays the scenes one after the other, and tells them as JSON or as lines. Between two a person may be waited for.
fn play(
    global: &Global,
    playground: Playground,
    scenes: &[Scene],
    waits: bool,
    output: Output,
) -> Result<Exit, Error> {
    let prompt = Prompt::new(global);
    let wanted = Wanted {
        playground,
        keeper: keeper(),
        now: OffsetDateTime::now_utc(),
    };
    let (client, server, played, is_left) = drive(async {
        let lesson = demo::Lesson::open(&wanted, &prompt, &output.teller()).await?;
        let (client, server) = (lesson.client(), lesson.server());
        if !output.json() {
            output.remark(format_args!(
                "{client}, {server}; all that the lesson makes is gone afterwards"
            ));
        }
        let mut played = Vec::new();
        if !output.json() {
            introduce(output);
        }
        for scene in scenes {
            if waits && !global.yes && !output.json() && !go_on(output).await {
                break;
            }
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
        let left = lesson.close().await;
        if let Some(left) = &left {
            output.remark(left);
        }
        Ok((client, server, played, left.is_some()))
    })?;
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
        let not_shown = played.iter().filter(|scene| scene.not_shown.is_some()).count();
        let rest = match not_shown {
            0 => String::new(),
            number => format!("; {number} not shown on your server"),
        };
        let all = played.len();
        output.promise(
            holds,
            &format!("{held} of {all} scenes went as they were expected to{rest}"),
        );
    }
    Ok(match holds {
        // That nothing stays is a promise too.
        _ if is_left => Exit::Broken,
        Some(true) => Exit::Holds,
        Some(false) => Exit::Broken,
        None => Exit::Undetermined,
    })
}

/// Waits for a line; whether the next scene is wanted. A signal ends the waiting with the lesson.
async fn go_on(output: Output) -> bool {
    output.say("\nEnter: go on. q and Enter: leave.");
    let (tell, told) = tokio::sync::oneshot::channel();
    // It waits in a read that nothing ends but a line: the process's end takes it along.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = tell.send(matches!(read, Ok(1..)) && !line.trim().eq_ignore_ascii_case("q"));
    });
    told.await.unwrap_or(false)
}

/// The work of the process that cleans up behind a lesson that was killed.
pub fn keep(dir: &Path) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Environment {
            what: crate::server::words(&error),
        })?;
    runtime.block_on(demo::keep(dir))?;
    Ok(Exit::Holds)
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

fn introduce(output: Output) {
    let says = demo::intro();
    output.heading(&says.asks);
    output.say(&says.how);
    for [who, does] in &says.cast {
        output.say(format_args!("  {who}: {does}"));
    }
    for paragraph in &says.then {
        output.say(paragraph);
    }
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
    // What follows from a scene, follows where it was shown.
    if played.not_shown.is_none() {
        output.say(&played.id.text().means);
    }
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
            caller,
            middle,
        } => {
            let caller = match caller {
                Caller::Ann => "",
                Caller::Impostor => "\n  Who connects: the impostor, as ann",
            };
            let middle = match middle {
                Middle::Nobody | Middle::Alone => String::new(),
                Middle::Downgrader => "\n  In between: an impostor (no TLS)".to_owned(),
                Middle::Impostor(certificate) => format!("\n  In between: an impostor ({certificate})"),
            };
            format!("\n  {title}{caller}{middle}\n  {command}")
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
