//! What the screen wants done with the server, and what it forgets when it does.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::conninfo::Conninfo;
use crate::engine::Error;
use crate::harden::Stage;
use crate::pki::{Algorithm, HostName};
use crate::plan::Layout;
use crate::setup::Answers;

use super::super::field::Field;
use super::super::message::{Effect, Failure};
use super::super::model::{Journey, JourneyState, Model};
use super::super::review::{Review, State};
use super::super::steps::place;
use super::{Attempt, AttemptState, Looked, Plan, RequestState, Watch, WatchState};

/// How long a watch may be: in words, and in seconds.
pub const LENGTHS: [(&str, u64); 5] = [
    ("30 seconds", 30),
    ("5 minutes", 300),
    ("1 hour", 3600),
    ("8 hours", 28_800),
    ("24 hours", 86_400),
];

/// How long there may be to keep a stage: in words, and in seconds.
pub const WITHIN: [(&str, u64); 5] = [
    ("10 seconds", 10),
    ("30 seconds", 30),
    ("60 seconds", 60),
    ("5 minutes", 300),
    ("1 hour", 3600),
];

/// Which server, and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// How its administrator logs in.
    pub conninfo: Conninfo,
    /// Where its configuration is on this machine.
    pub config_dir: Option<PathBuf>,
    /// Where the books are.
    pub kit: PathBuf,
    /// The answers, as flags.
    pub flags: Answers,
    /// A file with the passphrase of an encrypted key.
    pub passphrase_file: Option<PathBuf>,
    /// A client's certificate of a CA elsewhere, and its key, which the proof shows.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Order {
    /// Log in and look.
    Look(Box<Wish>),
    /// The same, with this password.
    Password(SecretString),
    /// Make the request for a CA elsewhere: the directory of the books, the names, the kind of key.
    Request(PathBuf, Vec<HostName>, Algorithm),
    /// Check and file what it answered: the directory of the books, the names, the answer, its root.
    Answer(PathBuf, Vec<HostName>, [PathBuf; 2]),
    /// Look for a while at who comes in.
    Watch(Duration),
    /// Work this stage out, with what is answered by now.
    Propose(Stage, Box<Wish>),
    /// Try what was worked out; there are so many seconds to keep it.
    Try(u64),
    /// Keep what was tried.
    Keep,
    /// Take back what was tried.
    Back,
    /// Break off what runs.
    Stop,
    /// Be done with the server.
    Close,
}

/// What the answers say of the server; of its clients only for the stage that asks for them.
#[must_use]
pub fn wish(model: &Model, stage: Stage) -> Option<Wish> {
    let form = &model.form;
    let path = |field| {
        Some(form.text(field))
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
    };
    let kit = kit(model);
    let asks_clients = stage.is_about_clients();
    let mut flags = form.live_flags(asks_clients);
    if form.is_requested() {
        // What the CA answered is filed among the books, once it was checked.
        flags.server_cert = Some(kit.join(Layout::ANSWER));
        flags.server_key = Some(kit.join(Layout::REQUEST_KEY));
        flags.root = Some(kit.join(Layout::ANSWER_ROOT));
    }
    Some(Wish {
        conninfo: form.conninfo(Field::Admin).ok()?,
        config_dir: path(Field::ConfigDir),
        kit,
        flags,
        passphrase_file: path(Field::PassphraseFile).filter(|_| form.asks(Field::PassphraseFile)),
        client: path(Field::ClientCert)
            .zip(path(Field::ClientKey))
            .filter(|_| asks_clients && form.has_client_ca()),
    })
}

/// An order whose answers are waited for from now on.
fn order(model: &mut Model, order: Order) -> Vec<Effect> {
    model.harden.number += 1;
    model.harden.elapsed = Duration::ZERO;
    vec![Effect::Harden(model.harden.number, order)]
}

/// Something for what is being carried out already.
#[must_use]
pub fn ask(model: &Model, order: Order) -> Vec<Effect> {
    vec![Effect::Harden(model.harden.number, order)]
}

/// Looks at the server, where that was not done yet with these answers; `again`: in any case.
pub fn look(model: &mut Model, again: bool) -> Vec<Effect> {
    let Some(wish) = wish(model, Stage::On) else {
        return Vec::new();
    };
    let same = model.harden.wish.as_ref() == Some(&wish);
    if same && !again && matches!(model.harden.looked, Looked::Ready(_) | Looked::Running) {
        return Vec::new();
    }
    let harden = &mut model.harden;
    if !same {
        harden.watch = Watch::default();
    }
    harden.wish = Some(wish.clone());
    harden.looked = Looked::Running;
    harden.plan = Plan::default();
    harden.attempt = Attempt::default();
    order(model, Order::Look(Box::new(wish)))
}

/// Where the books are.
fn kit(model: &Model) -> PathBuf {
    match model.form.text(Field::Kit) {
        kit if kit.is_empty() => model.dir.clone(),
        kit => PathBuf::from(kit),
    }
}

/// Makes the request for a CA elsewhere; the key of an earlier one is used again.
pub fn request(model: &mut Model) -> Vec<Effect> {
    let Some(setup) = &model.checked.setup else {
        return Vec::new();
    };
    let wanted = Order::Request(kit(model), setup.hosts.clone(), setup.algorithm);
    model.harden.request.state = RequestState::Making;
    order(model, wanted)
}

/// Has what that CA answered checked and filed.
pub fn answer(model: &mut Model, answer: [String; 2]) -> Vec<Effect> {
    let Some(setup) = &model.checked.setup else {
        return Vec::new();
    };
    let files = answer.clone().map(PathBuf::from);
    let wanted = Order::Answer(kit(model), setup.hosts.clone(), files);
    model.harden.request.state = RequestState::Checking;
    model.harden.request.answer = answer;
    order(model, wanted)
}

/// Looks for the chosen time at who comes in.
pub fn watch(model: &mut Model) -> Vec<Effect> {
    model.harden.watch = Watch {
        state: WatchState::Running,
        ..Watch::default()
    };
    let (_, seconds) = LENGTHS[model.harden.length];
    order(model, Order::Watch(Duration::from_secs(seconds)))
}

/// Works the chosen stage out. A server that was not looked at with these answers, or not since a try, is looked at first.
pub fn propose(model: &mut Model) -> Vec<Effect> {
    let stage = model.harden.stage;
    let Some(wish) = wish(model, stage) else {
        return Vec::new();
    };
    if model.harden.wish != self::wish(model, Stage::On) || model.harden.found().is_none() {
        return super::super::update::enter(model, place("stage"));
    }
    model.harden.plan = Plan {
        review: Review {
            state: State::Pending,
            diff: true,
            ..Review::default()
        },
        ..Plan::default()
    };
    model.harden.attempt = Attempt::default();
    order(model, Order::Propose(stage, Box::new(wish)))
}

/// Tries what was worked out.
pub fn begin(model: &mut Model) -> Vec<Effect> {
    model.harden.attempt = Attempt {
        state: AttemptState::Running,
        journey: Journey {
            state: JourneyState::Running,
            ..Journey::default()
        },
        probes: Vec::new(),
        accepted: model.harden.plan.accepted,
        replacing: model.harden.plan.replacing,
        is_taken_back: None,
        is_found: false,
    };
    let (_, seconds) = WITHIN[model.harden.within];
    order(model, Order::Try(seconds))
}

/// The password was not given: nobody logs in.
pub fn no_password(model: &mut Model, user: String) {
    let error = Error::NeedsPassword { user };
    let mut fault = Failure::from(&error);
    fault.step = Some("server");
    model.harden.looked = Looked::Failed(fault);
}

/// Breaks a try off, or takes it back.
pub fn leave_try(model: &mut Model) -> Vec<Effect> {
    let attempt = &mut model.harden.attempt;
    match attempt.state {
        AttemptState::Running => {
            attempt.state = AttemptState::Stopping;
            ask(model, Order::Stop)
        }
        AttemptState::Waiting(_) => {
            attempt.state = AttemptState::GoingBack;
            ask(model, Order::Back)
        }
        _ => Vec::new(),
    }
}
