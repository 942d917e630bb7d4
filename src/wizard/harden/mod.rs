//! Hardening a server that is there, as the screen knows it: what was found, which stage is chosen, what it would change
//! and whom it would turn away, and how the try of it stands. Pure, as the rest of the wizard: the survey, the session
//! that is held and the proposal are with the thread that carries [`Order`]s out, and so is the clock.

mod message;
mod orders;

use std::time::Duration;

use crate::apply::Action;
use crate::engine::Event;
use crate::engine::harden::{Standing, promises};
use crate::harden::Stage;
use crate::verify::Probe;

use super::message::{Effect, Failure};
use super::model::{Journey, JourneyState, Model, Popup};
use super::review::{Review, State};
use super::secret::Typed;
use super::steps::place;

pub use message::{Ended, Facts, Found, Message, Met, Requested, Tried};
pub use orders::{
    LENGTHS, Order, WITHIN, Wish, answer, ask, begin, leave_try, look, no_password, propose, request, watch,
    wish,
};

/// How far the look at the server is.
#[derive(Debug, Clone, Default)]
pub enum Looked {
    /// Not begun, or no longer true.
    #[default]
    None,
    /// Under way.
    Running,
    /// Here.
    Ready(Found),
    /// It could not be.
    Failed(Failure),
}

/// Looking at who comes in.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// How far it is.
    pub state: WatchState,
    /// Who was seen without TLS.
    pub seen: Vec<String>,
    /// In how many looks.
    pub looks: u64,
    /// What of those between two looks is known.
    pub reach: String,
}

/// How far a watch is.
#[derive(Debug, Clone, Default)]
pub enum WatchState {
    /// Not begun.
    #[default]
    None,
    /// Under way.
    Running,
    /// It is to end before its time.
    Ending,
    /// At its end.
    Done,
    /// It broke off.
    Failed(Failure),
}

/// A stage as it would be.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Its files.
    pub review: Review,
    /// What there is to know beside.
    pub facts: Facts,
    /// Whether the person has said that whoever is turned away may be.
    pub accepted: bool,
    /// Whether the person has said that the certificate in force may be replaced.
    pub replacing: bool,
}

impl Plan {
    /// Accepts what is asked next, or all of it no more.
    pub fn accept(&mut self) {
        if self.facts.replaces.is_some() && !self.replacing {
            self.replacing = true;
        } else if self.facts.turns_away.is_some() && !self.accepted {
            self.accepted = true;
        } else {
            (self.replacing, self.accepted) = (false, false);
        }
    }

    /// What it asks to be accepted and is not yet.
    #[must_use]
    pub fn asks(&self) -> Option<&str> {
        let replaces = self.facts.replaces.as_deref().filter(|_| !self.replacing);
        replaces.or_else(|| self.facts.turns_away.as_deref().filter(|_| !self.accepted))
    }

    /// Whether there is something that would have to be kept: changes, and within reach.
    #[must_use]
    pub fn waits(&self) -> bool {
        let changes = self
            .review
            .preview()
            .is_some_and(|preview| !preview.files.is_empty());
        changes && self.facts.out_of_reach.is_none()
    }
}

/// A certificate that a CA elsewhere is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// How far it is.
    pub state: RequestState,
    /// The request, once it is made.
    pub made: Option<Requested>,
    /// The answer and the root that were checked last.
    pub answer: [String; 2],
}

/// How far a request is.
#[derive(Debug, Clone, Default)]
pub enum RequestState {
    /// Not begun.
    #[default]
    None,
    /// Key and request are being made.
    Making,
    /// The answer is waited for.
    Waiting,
    /// The answer is being checked.
    Checking,
    /// It is good, and filed.
    Filed,
    /// It could not be made, or the answer is not good.
    Failed(Failure),
}

impl Request {
    /// Whether this answer, with this root, is checked and filed.
    #[must_use]
    pub fn is_filed(&self, answer: &[String; 2]) -> bool {
        matches!(self.state, RequestState::Filed) && self.answer == *answer
    }
}

/// Trying a stage.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// How far it is.
    pub state: AttemptState,
    /// Its parts, remarks and time.
    pub journey: Journey,
    /// What was proven so far.
    pub probes: Vec<Probe>,
    /// Whether the person had accepted that somebody is turned away.
    pub accepted: bool,
    /// Whether the person had said that the certificate in force may be replaced.
    pub replacing: bool,
    /// Whether everything was taken back, after a try that fell.
    pub is_taken_back: Option<bool>,
    /// Whether it was begun elsewhere: leaving leaves it as it is.
    pub is_found: bool,
}

/// How far a try is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AttemptState {
    /// Not begun.
    #[default]
    None,
    /// Written, reloaded, proven.
    Running,
    /// Being broken off.
    Stopping,
    /// It waits to be kept for so many seconds.
    Waiting(u64),
    /// It is being kept.
    Keeping,
    /// It is being taken back.
    GoingBack,
    /// In force, and kept.
    Kept,
    /// It was in force before, and is proven now.
    WasInForce,
    /// Taken back; in one sentence.
    Back(String),
    /// It does not hold, or could not be tried.
    Failed(Failure),
    /// Written for the server's administrator, in this directory.
    Bundled(String),
}

/// The state of the path.
#[derive(Debug, Clone)]
pub struct Harden {
    /// The number of the order whose answers count.
    pub number: u64,
    /// Time since it began to be carried out.
    pub elapsed: Duration,
    /// From what the server was looked at.
    pub wish: Option<Wish>,
    /// What a CA elsewhere is asked for.
    pub request: Request,
    /// What was found.
    pub looked: Looked,
    /// The stage that is chosen.
    pub stage: Stage,
    /// How long to watch, as a place in [`LENGTHS`].
    pub length: usize,
    /// Who was seen.
    pub watch: Watch,
    /// The chosen stage as it would be.
    pub plan: Plan,
    /// How long there is to keep it, as a place in [`WITHIN`].
    pub within: usize,
    /// The try.
    pub attempt: Attempt,
}

impl Default for Harden {
    fn default() -> Self {
        Self {
            number: 0,
            elapsed: Duration::ZERO,
            wish: None,
            request: Request::default(),
            looked: Looked::None,
            stage: Stage::On,
            length: 1,
            watch: Watch::default(),
            plan: Plan::default(),
            within: 2,
            attempt: Attempt::default(),
        }
    }
}

impl Harden {
    /// What was found, once it is there.
    #[must_use]
    pub const fn found(&self) -> Option<&Found> {
        match &self.looked {
            Looked::Ready(found) => Some(found),
            _ => None,
        }
    }

    /// How a stage stands.
    #[must_use]
    pub fn standing(&self, stage: Stage) -> Option<&Standing> {
        self.found()?.standing.iter().find(|row| row.stage == stage)
    }

    /// Whether the server's files are not as they were, or may not be, and nobody has decided over that yet.
    #[must_use]
    pub const fn is_trying(&self) -> bool {
        matches!(
            self.attempt.state,
            AttemptState::Running
                | AttemptState::Stopping
                | AttemptState::Waiting(_)
                | AttemptState::Keeping
                | AttemptState::GoingBack
        )
    }

    /// Whether it is looked at who comes in.
    #[must_use]
    pub const fn is_watching(&self) -> bool {
        matches!(self.watch.state, WatchState::Running | WatchState::Ending)
    }

    /// Whether something runs that can be broken off.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.is_watching() || matches!(self.attempt.state, AttemptState::Running)
    }

    /// Seconds that are left to keep what is tried.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        match self.attempt.state {
            AttemptState::Waiting(left) => Some(left),
            _ => None,
        }
    }

    /// Whether the proposal may be carried out: what it asks to be accepted is accepted.
    #[must_use]
    pub fn may_try(&self) -> bool {
        let plan = &self.plan;
        plan.review.preview().is_some() && plan.asks().is_none()
    }

    /// The failure that stands on the step of this name.
    #[must_use]
    pub fn fault(&self, step: &str) -> Option<&Failure> {
        if let ("request", RequestState::Failed(fault)) = (step, &self.request.state) {
            return Some(fault);
        }
        match (step, &self.looked, &self.plan.review.state, &self.attempt.state) {
            ("stage", Looked::Failed(fault), ..)
            | ("plan", _, State::Failed(fault), _)
            | ("try", .., AttemptState::Failed(fault)) => Some(fault),
            _ => None,
        }
    }
}

/// Takes in what happened; what an order tells that was overtaken by another is nothing any more.
pub fn take(model: &mut Model, number: u64, message: Message) -> Vec<Effect> {
    if number != model.harden.number {
        return Vec::new();
    }
    let harden = &mut model.harden;
    match message {
        Message::Requested(result) => {
            harden.request.state = match result {
                Ok(made) => {
                    harden.request.made = Some(made);
                    RequestState::Waiting
                }
                Err(fault) => RequestState::Failed(fault),
            };
        }
        Message::Answered(Ok(())) => {
            harden.request.state = RequestState::Filed;
            return super::update::enter(model, place("stage"));
        }
        Message::Answered(Err(fault)) => harden.request.state = RequestState::Failed(fault),
        Message::Password(who) => model.open(Popup::Password(who, Typed::new())),
        Message::Looked(Ok(found)) => {
            harden.stage = found.next.unwrap_or(Stage::Floor);
            harden.looked = Looked::Ready(found);
        }
        Message::Found(stage, left) => {
            harden.stage = stage;
            harden.attempt = Attempt {
                state: AttemptState::Waiting(left),
                is_found: true,
                ..Attempt::default()
            };
            model.at = place("try");
            model.reached = model.reached.max(model.at);
            let note = "A stage was tried before, and is not decided over yet.";
            model.note = Some(note.to_owned());
        }
        Message::Looked(Err(fault)) => harden.looked = Looked::Failed(fault),
        Message::Seen(seen, looks) => (harden.watch.seen, harden.watch.looks) = (seen, looks),
        Message::Watched(Ok((seen, reach))) => {
            (harden.watch.seen, harden.watch.reach) = (seen, reach);
            harden.watch.state = WatchState::Done;
            // What was seen changes whom the next stage would turn away.
            return look(model, true);
        }
        Message::Watched(Err(fault)) => harden.watch.state = WatchState::Failed(fault),
        Message::Proposed(Ok((preview, facts))) => {
            let changed = preview
                .files
                .iter()
                .position(|file| file.action == Action::Changed);
            // What is somebody's own is what they will want to see first.
            harden.plan.review.at_file(changed.unwrap_or(0));
            harden.plan.review.inside = preview.files.len() == 1;
            harden.plan.review.state = State::Ready(preview);
            harden.plan.facts = facts;
        }
        Message::Proposed(Err(fault)) => harden.plan.review.state = State::Failed(fault),
        Message::Told(event) => told(harden, event),
        Message::Tried(result) => tried(harden, result),
        Message::Left(seconds) => {
            if let AttemptState::Waiting(left) = &mut harden.attempt.state {
                *left = seconds;
            }
        }
        Message::Ended(ended) => {
            harden.attempt.state = match ended {
                Ended::Kept => AttemptState::Kept,
                Ended::Back(says) => AttemptState::Back(says),
            };
            outdated(harden);
        }
        Message::Tick(elapsed) => {
            harden.elapsed = elapsed;
            if matches!(
                harden.attempt.state,
                AttemptState::Running | AttemptState::Stopping
            ) {
                harden.attempt.journey.elapsed = elapsed;
            }
        }
    }
    if !model.harden.is_trying() && matches!(model.popup, Some(Popup::Leave(_))) {
        model.popup = None;
    }
    Vec::new()
}

fn tried(harden: &mut Harden, result: Result<Tried, Failure>) {
    let attempt = &mut harden.attempt;
    attempt.journey.state = JourneyState::None;
    attempt.state = match result {
        Ok(Tried::Waits(left)) => AttemptState::Waiting(left),
        Ok(Tried::WasInForce) => AttemptState::WasInForce,
        Ok(Tried::Bundled(dir)) => AttemptState::Bundled(dir),
        Ok(Tried::Fell(fault, notes, is_taken_back)) => {
            attempt.journey.notes.extend(notes);
            attempt.is_taken_back = Some(is_taken_back);
            AttemptState::Failed(fault)
        }
        Err(fault) => AttemptState::Failed(fault),
    };
    if matches!(attempt.state, AttemptState::Waiting(_)) {
        attempt.journey.state = JourneyState::Landed(super::message::Landed::default());
    } else {
        outdated(harden);
    }
}

/// What was found and worked out was about the server as it was before.
fn outdated(harden: &mut Harden) {
    harden.looked = Looked::None;
    harden.plan = Plan::default();
}

fn told(harden: &mut Harden, event: Event) {
    match event {
        // What the stage does not promise decides nothing, and would only confuse.
        Event::Probe(probe) if !promises(harden.stage).contains(&probe.id) => {}
        Event::Probe(probe) => {
            let probes = &mut harden.attempt.probes;
            probes.retain(|known| known.id != probe.id);
            probes.push(probe);
        }
        event => super::update::told(&mut harden.attempt.journey, event),
    }
}
