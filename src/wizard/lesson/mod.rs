//! The lesson on the screen: one scene of [`engine::demo`](crate::engine::demo) at a time, played for real while one looks.
//!
//! | Part | Owns |
//! |---|---|
//! | this file | what the screen knows, and how it changes: pure, as the rest of the wizard |
//! | [`view`] | the drawing of a scene, and its big text |
//! | [`compact`] | the same on a small screen |
//! | [`matrix`] | every mode in every situation |
//! | [`network`] | client, wire and server, and who stands in between |
//! | [`letters`] | letters for the back row |
//! | [`notes`] | the presenter's notes, on a second terminal |
//!
//! What happens comes at a pace at which it can be read; the thread that plays sees to that, and so there is no clock here.

pub mod compact;
pub mod letters;
pub mod matrix;
pub mod network;
pub mod notes;
pub mod view;

use std::time::Duration;

use crate::conninfo::SslMode;
use crate::engine::Event;
use crate::engine::demo::{Caller, Frame, Middle, Played, Playground, Scene, Start, Told};
use crate::setup::{Answers, Run};
use crate::verify::modes::Cell;

use super::keymap::Action;
use super::message::{Effect, Failure};
use super::model::{Model, Popup};

/// Lines that what is said first may be scrolled.
const MOST_OF_INTRO: usize = 20;

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
    /// An act of the scene is at its end, and another follows.
    Rests(Scene),
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
    /// Show at once what is still to be shown of the act that is on.
    Hurry,
    /// Begin the next act.
    GoOn,
    /// Strike the stage.
    Close,
}

/// How the lesson goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auto {
    /// So long after whatever a person would be waited for: what is said first, the end of an act, the end of a scene.
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
    /// How far the lesson is.
    pub part: Part,
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
    /// When the first scene began.
    began: Option<Duration>,
    /// Whether somebody is waited for.
    waits: Waiting,
}

/// Whether somebody is waited for, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    No,
    /// From the next tick on: the time of the last one is that of something else that was on the screen.
    Begins,
    Since(Duration),
}

/// How far the lesson is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is said before the first scene is read; the stage may still be set meanwhile.
    Intro,
    /// An act is on.
    Acting,
    /// It is at its end, and another follows in this scene.
    ActEnded,
    /// The scene is at its end.
    SceneEnded,
    /// All is over, and is being removed.
    Leaving,
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
    /// Who connects.
    pub caller: Caller,
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
            part: Part::Intro,
            acts: Vec::new(),
            cells: Vec::new(),
            outcome: None,
            done: [const { None }; Scene::ALL.len()],
            big: false,
            scrolled: 0,
            elapsed: Duration::ZERO,
            began: None,
            waits: Waiting::No,
        }
    }

    /// How long scenes have been played.
    #[must_use]
    pub fn clock(&self) -> Duration {
        self.began
            .map_or(Duration::ZERO, |began| self.elapsed.saturating_sub(began))
    }

    /// Whether no scene follows the one that is shown.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.beside(true).is_none()
    }

    /// Whether there is a scene before the one that is shown.
    #[must_use]
    pub fn has_before(&self) -> bool {
        self.beside(false).is_some()
    }

    /// Whether scenes can be played.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(..))
    }

    fn begin(&mut self, scene: Scene) -> Vec<Effect> {
        if !self.is_ready() {
            return Vec::new();
        }
        self.scene = scene;
        self.part = Part::Acting;
        self.acts.clear();
        self.cells.clear();
        self.outcome = None;
        self.scrolled = 0;
        self.waits = Waiting::No;
        self.began.get_or_insert(self.elapsed);
        vec![Effect::Lesson(Order::Play(scene))]
    }

    /// Somebody is waited for.
    const fn wait(&mut self, part: Part) {
        self.part = part;
        self.waits = Waiting::Begins;
    }

    /// What comes next, where somebody was waited for; `None` if nothing does.
    fn go_on(&mut self) -> Option<Vec<Effect>> {
        self.waits = Waiting::No;
        match self.part {
            Part::Intro => Some(self.begin(self.scene)),
            Part::ActEnded => {
                self.part = Part::Acting;
                self.scrolled = 0;
                Some(vec![Effect::Lesson(Order::GoOn)])
            }
            Part::SceneEnded => self.beside(true).map(|next| self.begin(next)),
            Part::Acting | Part::Leaving => None,
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
                caller,
                middle,
            }) => self.acts.push(Act {
                title,
                command,
                caller,
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
                caller: Caller::Ann,
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
            lesson.wait(Part::Intro);
            Vec::new()
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
        Message::Rests(scene) => {
            if scene == lesson.scene && lesson.part == Part::Acting {
                lesson.wait(Part::ActEnded);
            }
            Vec::new()
        }
        Message::Played(scene, outcome) => {
            lesson.done[scene.place()] = Some(outcome.clone());
            // One that was left before its end is not the one that is shown.
            if scene == lesson.scene {
                lesson.outcome = Some(outcome);
                lesson.wait(Part::SceneEnded);
            }
            Vec::new()
        }
        Message::Tick(elapsed) => {
            lesson.elapsed = elapsed;
            match (lesson.auto, lesson.waits) {
                (_, Waiting::Begins) => {
                    lesson.waits = Waiting::Since(elapsed);
                    Vec::new()
                }
                (Some(auto), Waiting::Since(since))
                    if elapsed.saturating_sub(since) >= auto.pause && model.popup.is_none() =>
                {
                    match (lesson.go_on(), auto.again) {
                        (Some(effects), _) => effects,
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
        // What is still to be shown of this act comes first.
        Action::Continue if lesson.part == Part::Acting => vec![Effect::Lesson(Order::Hurry)],
        Action::Continue => lesson.go_on().unwrap_or_default(),
        Action::Back => match lesson.beside(false) {
            Some(before) => lesson.begin(before),
            // A presenter who goes back too far does not lose the stage.
            None => Vec::new(),
        },
        Action::Step(number) => match Scene::ALL.get(number - 1) {
            Some(scene) => lesson.begin(*scene),
            None => Vec::new(),
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
        // From the top, where what is said first is more than fits.
        Action::Up | Action::Down if lesson.part == Part::Intro => {
            lesson.scrolled = if action == Action::Up {
                lesson.scrolled.saturating_sub(1)
            } else {
                (lesson.scrolled + 1).min(MOST_OF_INTRO)
            };
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

/// Said while the stage is taken down, which takes a moment.
pub const TAKING_DOWN: &str = "Taking the stage down: nothing of the lesson stays.";

/// Back to the wizard, or out of the program.
fn leave(model: &mut Model) -> Vec<Effect> {
    if let Some(lesson) = model.lesson.as_mut().filter(|lesson| lesson.alone) {
        lesson.part = Part::Leaving;
        return vec![Effect::Quit];
    }
    model.lesson = None;
    model.note = Some(TAKING_DOWN.to_owned());
    vec![Effect::Lesson(Order::Close)]
}
