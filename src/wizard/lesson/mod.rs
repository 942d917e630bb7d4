//! The lesson on the screen: one scene of [`engine::demo`](crate::engine::demo) at a time, played for real while one looks.
//!
//! | Part | Owns |
//! |---|---|
//! | this file | what the screen knows, and how it changes: pure, as the rest of the wizard |
//! | [`view`] | the drawing of a scene, and its big text |
//! | [`network`] | client, wire and server, and who stands in between |
//! | [`letters`] | letters for the back row |
//! | [`notes`] | the presenter's notes, on a second terminal |
//!
//! What happens comes at a pace at which it can be read; the thread that plays sees to that, and so there is no clock here.

pub mod letters;
pub mod network;
pub mod notes;
pub mod view;

use std::time::Duration;

use crate::conninfo::SslMode;
use crate::engine::Event;
use crate::engine::demo::{Frame, Middle, Played, Playground, Scene, Start, Told};
use crate::setup::{Answers, Run};
use crate::verify::modes::Cell;

use super::keymap::Action;
use super::message::{Effect, Failure};
use super::model::{Model, Popup};

/// Lines of an act that are kept.
const MOST_LINES: usize = 200;

/// What happens to the lesson.
#[derive(Debug, Clone)]
pub enum Message {
    /// A part of the way to the stage is done, in words.
    Progress(String),
    /// Something to know on the way to the stage, in words.
    Notice(String),
    /// The stage is ready: the client and the server, in words.
    Opened(String, String),
    /// There will be no lesson, or no longer.
    Failed(Failure),
    /// Something happens in the scene.
    Told(Event),
    /// The scene is at its end.
    Played(Scene, Outcome),
    /// The lesson is over, and this could not be removed behind it, in words.
    Left(String),
    /// Time since the lesson began.
    Tick(Duration),
}

/// What the lesson wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Set the stage, with this server.
    Open(Playground),
    /// Play this scene from its beginning.
    Play(Scene),
    /// Show at once what is still to be shown of it.
    Hurry,
    /// Strike the stage.
    Close,
}

/// How the lesson goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auto {
    /// So long after the end of a scene.
    pub pause: Duration,
    /// Whether it begins anew after the last scene; else it ends.
    pub again: bool,
}

/// The state of the lesson.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// Whether it is all there is: leaving it leaves the program.
    pub alone: bool,
    /// Whether it goes on by itself.
    pub auto: Option<Auto>,
    /// The scenes, in the order in which they follow one another; never empty.
    pub scenes: Vec<Scene>,
    /// The server that it is played with.
    pub playground: Playground,
    /// The scene that is shown.
    pub scene: Scene,
    /// How far the stage is.
    pub stage: Stage,
    /// The acts of the scene so far.
    pub acts: Vec<Act>,
    /// The matrix so far: the mode, whether that client has a root file, and the cell.
    pub cells: Vec<(SslMode, bool, Cell)>,
    /// What came of the scene.
    pub outcome: Option<Outcome>,
    /// What came of each scene when it was played last.
    pub done: [Option<Outcome>; Scene::ALL.len()],
    /// Whether the letters are big.
    pub big: bool,
    /// How many lines up from the last the wire is scrolled.
    pub scrolled: usize,
    /// Time since the lesson began.
    pub elapsed: Duration,
    /// When the scene ended.
    ended: Option<Duration>,
}

/// How far the stage is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// It is being set: what was said so far, and whether that is done.
    Opening(Vec<(bool, String)>),
    /// It stands: the client and the server.
    Ready(String, String),
    /// It could not be set.
    Failed(Failure),
}

/// One act.
#[derive(Debug, Clone)]
pub struct Act {
    /// What it tries.
    pub title: String,
    /// What is typed.
    pub command: String,
    /// Who stands in between.
    pub middle: Middle,
    /// What passed on the wire, and what was done, in order.
    pub lines: Vec<Line>,
    /// The client's last words, and whether it was let in.
    pub end: Option<(bool, String)>,
}

/// One thing that happened in an act.
#[derive(Debug, Clone)]
pub enum Line {
    /// On the client's wire.
    Wire(Frame),
    /// In the impostor's head.
    Impostor(String),
    /// At the server.
    Server(String),
}

/// What came of a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it went as expected.
    pub holds: Option<bool>,
    /// Whether it could be shown at all: a person's own server does not show everything.
    pub shown: bool,
    /// What was seen.
    pub observed: String,
}

impl Outcome {
    /// Of a scene that was played.
    #[must_use]
    pub fn of(played: &Played) -> Self {
        Self {
            holds: played.holds,
            shown: played.not_shown.is_none(),
            observed: played.observed.clone(),
        }
    }
}

impl Lesson {
    /// Before the stage is set.
    #[must_use]
    pub fn new(alone: bool, scenes: Vec<Scene>, auto: Option<Auto>, playground: Playground) -> Self {
        Self {
            alone,
            auto,
            scene: scenes.first().copied().unwrap_or(Scene::ALL[0]),
            scenes,
            playground,
            stage: Stage::Opening(Vec::new()),
            acts: Vec::new(),
            cells: Vec::new(),
            outcome: None,
            done: [const { None }; Scene::ALL.len()],
            big: false,
            scrolled: 0,
            elapsed: Duration::ZERO,
            ended: None,
        }
    }

    /// Whether scenes can be played.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(..))
    }

    fn begin(&mut self, scene: Scene) -> Vec<Effect> {
        self.scene = scene;
        self.acts.clear();
        self.cells.clear();
        self.outcome = None;
        self.scrolled = 0;
        self.ended = None;
        if self.is_ready() {
            vec![Effect::Lesson(Order::Play(scene))]
        } else {
            Vec::new()
        }
    }

    /// The scene after this one, or before it.
    fn beside(&self, forth: bool) -> Option<Scene> {
        let here = self.scenes.iter().position(|scene| *scene == self.scene);
        let beside = match here {
            Some(here) if forth => self.scenes.get(here + 1),
            Some(here) => self.scenes.get(here.checked_sub(1)?),
            // One that was jumped to, and is not among those that were picked.
            None => self.scenes.first(),
        };
        beside.copied()
    }

    fn on_the_way(&mut self, is_done: bool, says: String) -> Vec<Effect> {
        if let Stage::Opening(so_far) = &mut self.stage {
            so_far.push((is_done, says));
        }
        Vec::new()
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Lesson(Told::Act {
                title,
                command,
                middle,
            }) => self.acts.push(Act {
                title,
                command,
                middle,
                lines: Vec::new(),
                end: None,
            }),
            Event::Lesson(Told::Wire(frame)) => self.line(Line::Wire(frame)),
            Event::Lesson(Told::Impostor(says)) => {
                let says = says.strip_prefix("impostor: ").unwrap_or(&says).to_owned();
                self.line(Line::Impostor(says));
            }
            Event::Lesson(Told::Server(says)) => self.line(Line::Server(says)),
            Event::Lesson(Told::Client { ok, says }) => {
                if let Some(act) = self.acts.last_mut() {
                    act.end = Some((ok, says));
                }
            }
            Event::Cell {
                sslmode,
                root_file,
                cell,
            } => self.cells.push((sslmode, root_file, cell)),
            _ => {}
        }
    }

    fn line(&mut self, line: Line) {
        if self.acts.is_empty() {
            self.acts.push(Act {
                title: String::new(),
                command: String::new(),
                middle: Middle::Nobody,
                lines: Vec::new(),
                end: None,
            });
        }
        if let Some(act) = self.acts.last_mut() {
            act.lines.push(line);
            let excess = act.lines.len().saturating_sub(MOST_LINES);
            act.lines.drain(..excess);
        }
    }
}

/// Takes in what happened.
pub fn take(model: &mut Model, message: Message) -> Vec<Effect> {
    let Some(lesson) = &mut model.lesson else {
        return Vec::new();
    };
    match message {
        Message::Progress(says) => lesson.on_the_way(true, says),
        Message::Notice(says) => lesson.on_the_way(false, says),
        Message::Opened(client, server) => {
            lesson.stage = Stage::Ready(client, server);
            lesson.begin(lesson.scene)
        }
        Message::Failed(fault) => {
            lesson.stage = Stage::Failed(fault);
            if matches!(model.popup, Some(Popup::Asked(..))) {
                model.popup = None;
            }
            Vec::new()
        }
        Message::Told(event) => {
            lesson.told(event);
            Vec::new()
        }
        Message::Left(_) => Vec::new(),
        Message::Played(scene, outcome) => {
            lesson.done[scene.place()] = Some(outcome.clone());
            // One that was left before its end is not the one that is shown.
            if scene == lesson.scene {
                lesson.outcome = Some(outcome);
                lesson.ended = Some(lesson.elapsed);
            }
            Vec::new()
        }
        Message::Tick(elapsed) => {
            lesson.elapsed = elapsed;
            let waited = lesson.ended.map(|ended| elapsed.saturating_sub(ended));
            match (lesson.auto, waited) {
                (Some(auto), Some(waited)) if waited >= auto.pause && model.popup.is_none() => {
                    lesson.ended = None;
                    match (lesson.beside(true), auto.again) {
                        (Some(next), _) => lesson.begin(next),
                        (None, true) => lesson.begin(lesson.scenes[0]),
                        (None, false) => vec![Effect::Quit],
                    }
                }
                _ => Vec::new(),
            }
        }
    }
}

/// Opens the lesson from the wizard: with a server where the person's own is to run, if one can.
pub fn open(model: &mut Model) -> Vec<Effect> {
    let has_engine = model.form.seen.as_ref().is_some_and(|seen| seen.docker.is_some());
    let flags = model.form.flags();
    let in_container = flags.run.as_deref() == Some(Run::Compose.name()) && has_engine;
    let answers = Answers {
        run: in_container.then(|| Run::Compose.name().to_owned()),
        image: flags.image.filter(|_| in_container),
        ..Answers::default()
    };
    let playground = Start::new(&answers).map_or_else(|_| Playground::default(), Playground::Own);
    vec![begin(
        model,
        Lesson::new(false, Scene::ALL.to_vec(), None, playground),
    )]
}

/// Puts a lesson on the screen; the effect sets its stage.
pub fn begin(model: &mut Model, lesson: Lesson) -> Effect {
    let order = Order::Open(lesson.playground.clone());
    model.lesson = Some(lesson);
    Effect::Lesson(order)
}

/// What a key does in the lesson.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(lesson) = &mut model.lesson else {
        return Vec::new();
    };
    match action {
        // What is still to be shown of this scene comes first.
        Action::Continue if lesson.is_ready() && lesson.outcome.is_none() => {
            vec![Effect::Lesson(Order::Hurry)]
        }
        Action::Continue => match lesson.beside(true) {
            Some(next) if lesson.is_ready() => lesson.begin(next),
            _ => Vec::new(),
        },
        Action::Back => match lesson.beside(false) {
            Some(before) if lesson.is_ready() => lesson.begin(before),
            // A presenter who goes back too far does not lose the stage.
            _ if lesson.alone => Vec::new(),
            _ => leave(model),
        },
        Action::Step(number) => match Scene::ALL.get(number - 1) {
            Some(scene) if lesson.is_ready() => lesson.begin(*scene),
            _ => Vec::new(),
        },
        Action::Again if matches!(lesson.stage, Stage::Failed(_)) => {
            lesson.stage = Stage::Opening(Vec::new());
            vec![Effect::Lesson(Order::Open(lesson.playground.clone()))]
        }
        Action::Again => lesson.begin(lesson.scene),
        Action::Big => {
            lesson.big = !lesson.big;
            Vec::new()
        }
        Action::Up => {
            let most = lesson.acts.last().map_or(0, |act| act.lines.len());
            lesson.scrolled = (lesson.scrolled + 1).min(most);
            Vec::new()
        }
        Action::Down => {
            lesson.scrolled = lesson.scrolled.saturating_sub(1);
            Vec::new()
        }
        Action::Why => {
            let text = lesson.scene.text();
            let (title, notes) = (text.title.clone(), format!("{}\n\n{}", text.notes, text.source));
            model.open(Popup::Why(title, notes));
            Vec::new()
        }
        Action::Help => {
            model.open(Popup::Help);
            Vec::new()
        }
        Action::Quit => leave(model),
        Action::Suspend => vec![Effect::Suspend],
        _ => Vec::new(),
    }
}

/// Back to the wizard, or out of the program.
fn leave(model: &mut Model) -> Vec<Effect> {
    if model.lesson.as_ref().is_some_and(|lesson| lesson.alone) {
        return vec![Effect::Quit];
    }
    model.lesson = None;
    vec![Effect::Lesson(Order::Close)]
}
