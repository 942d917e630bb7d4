//! The one place where the model changes: a message comes in, effects go out. Pure: the same messages give the same
//! model.

mod edit;
mod window;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::InputRequest;

use crate::engine::Event;
use crate::harden::Stage;
use crate::verify::modes::Matrix;

use super::field::Field;
use super::harden::{self, AttemptState};
use super::keymap::{self, Action};
use super::lesson;
use super::message::{Effect, Message, Target};
use super::model::{Focus, Journey, JourneyState, ModeCell, Model, ModesState, PartRow, Popup, ProofState};
use super::resume::Kept;
use super::review;
use super::steps::{STEPS, place};
use super::widgets::first_button;
use edit::{choose, down, edit, leave_row, move_to_question, pasted, remove, type_in, up};
use window::{decide, in_popup};

/// Lines of a log that are kept.
const LOG: usize = 500;

/// Takes a message in.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) => pressed(model, event),
        Message::Paste(text) => pasted(model, &text),
        Message::Click(target) => clicked(model, target),
        Message::Scroll(lines) => {
            let action = if lines < 0 { Action::Up } else { Action::Down };
            // The wheel moves through what is shown; it does not answer questions.
            if model.popup.is_none() && model.lesson.is_none() && model.focused().is_some() {
                return Vec::new();
            }
            act(model, action)
        }
        Message::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Message::Tick(elapsed) => {
            if model.is_busy() {
                model.journey.elapsed = elapsed;
            } else if matches!(model.proof.state, ProofState::Running) {
                model.proof.elapsed = elapsed;
            } else if matches!(model.modes.state, ModesState::Running) {
                model.modes.elapsed = elapsed;
            }
            Vec::new()
        }
        Message::Seen(seen) => {
            let before = model.form.text(Field::Run);
            model.form.seen = Some(seen);
            model.checked = model.form.check();
            if model.at > 0 && model.form.text(Field::Run) != before {
                let now = model.form.chosen_in_words(Field::Run);
                model.note = Some(format!(
                    "PostgreSQL is not on this machine, so this is about: {now}."
                ));
            }
            Vec::new()
        }
        Message::Preview(number, result) => {
            if number == model.review.number {
                model.review.state = match result {
                    Ok(preview) => review::State::Ready(preview),
                    Err(fault) => review::State::Failed(fault),
                };
                let files = model.review.preview().map_or(0, |preview| preview.files.len());
                model.review.file = model.review.file.min(files.saturating_sub(1));
                model.review.line = 0;
            }
            Vec::new()
        }
        Message::Told(event) => {
            told(&mut model.journey, event);
            Vec::new()
        }
        Message::Asked(question) => {
            let chosen = first_button(&question);
            model.open(Popup::Asked(question, chosen));
            Vec::new()
        }
        Message::Done(result) => {
            model.journey.state = match result {
                Ok(landed) => JourneyState::Landed(landed),
                Err(fault) => JourneyState::Failed(fault),
            };
            model.proof.state = ProofState::None;
            model.forget_modes();
            close_question(model);
            vec![keep(model)]
        }
        Message::Cancelled(says) => {
            model.journey.state = JourneyState::Cancelled(says);
            close_question(model);
            Vec::new()
        }
        Message::Probe(_) | Message::Proven(_) | Message::Cell(..) | Message::Matrix(..) => {
            found(model, message);
            Vec::new()
        }
        Message::Lesson(message) => lesson::take(model, message),
        Message::Harden(number, message) => harden::take(model, number, message),
        Message::Noted(note) => {
            model.note = Some(note);
            Vec::new()
        }
    }
}

/// What proving and comparing have found.
fn found(model: &mut Model, message: Message) {
    match message {
        Message::Probe(probe) => {
            model.proof.probes.retain(|known| known.id != probe.id);
            model.proof.probes.push(probe);
            model.proof.probes.sort_by_key(|probe| probe.id);
        }
        Message::Proven(result) => {
            model.proof.state = match result {
                Ok(report) => {
                    model.proof.probes.clone_from(&report.probes);
                    model.proof.selected = model.proof.worst();
                    ProofState::Done(report)
                }
                Err(fault) => ProofState::Failed(fault),
            };
        }
        // A run that was overtaken tells nothing any more.
        Message::Cell(number, cell) if number == model.modes.number => model.modes.cells.push(cell),
        Message::Matrix(number, result) if number == model.modes.number => {
            model.modes.state = match result {
                Ok(matrix) => {
                    model.modes.cells = cells(&matrix);
                    ModesState::Done(matrix.holds, matrix.headline)
                }
                Err(fault) => ModesState::Failed(fault),
            };
        }
        _ => {}
    }
}

/// The matrix as the screen has it.
fn cells(matrix: &Matrix) -> Vec<ModeCell> {
    let rows = matrix.rows.iter().chain(&matrix.without_root_file);
    rows.flat_map(|row| {
        row.cells.iter().map(|cell| ModeCell {
            sslmode: row.sslmode,
            root_file: row.root_file,
            cell: cell.clone(),
        })
    })
    .collect()
}

/// What a journey tells of itself.
pub(super) fn told(journey: &mut Journey, event: Event) {
    match event {
        Event::Begin(part) => journey.parts.push(PartRow {
            part,
            note: None,
            took: std::time::Duration::ZERO,
        }),
        Event::Done { step, note, took } => {
            if let Some(row) = journey.parts.iter_mut().rev().find(|row| row.part == step) {
                row.note = Some(note);
                row.took = took;
            }
        }
        Event::Log(line) => {
            journey.log.push(line);
            let excess = journey.log.len().saturating_sub(LOG);
            journey.log.drain(..excess);
        }
        Event::Notice(text) => journey.notes.push(text),
        Event::Probe(_) | Event::Cell { .. } | Event::Target(_) | Event::Lesson(_) => {}
    }
}

/// What was asked while it went on is no question any more: what it asked, and whether to break it off.
fn close_question(model: &mut Model) {
    if matches!(model.popup, Some(Popup::Asked(..) | Popup::Leave(_))) {
        model.popup = None;
    }
}

fn pressed(model: &mut Model, event: KeyEvent) -> Vec<Effect> {
    model.note = None;
    if let Some(action) = keymap::find(model, &event) {
        return act(model, action);
    }
    if let KeyCode::Char(c) = event.code
        && !event
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
    {
        if let Some(Popup::Password(_, typed)) = &mut model.popup {
            typed.push(c);
        } else if model.is_typing() {
            edit(model, InputRequest::InsertChar(c));
        }
    }
    Vec::new()
}

fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.popup.is_some() {
        return in_popup(model, action);
    }
    if model.lesson.is_some() {
        return lesson::act(model, action);
    }
    if action == Action::Lesson {
        return lesson::open(model);
    }
    if let Some(effects) = model.step().act(model, action) {
        return effects;
    }
    match action {
        Action::Continue => go_on(model),
        Action::Back => go_back(model),
        Action::Up => up(model),
        Action::Down => down(model),
        Action::Next => {
            let count = model.asked().len();
            move_to_question(model, (model.focus.field + 1) % count.max(1));
            Vec::new()
        }
        Action::Previous => {
            let count = model.asked().len().max(1);
            move_to_question(model, (model.focus.field + count - 1) % count);
            Vec::new()
        }
        Action::Step(number) => match model.shown_steps().get(number - 1) {
            Some(at) => jump(model, *at),
            None => Vec::new(),
        },
        Action::Remove => {
            remove(model);
            Vec::new()
        }
        Action::Suggested => {
            if let Some(suggestion) = model.focused().and_then(|field| model.suggestion(field)) {
                type_in(model, &suggestion);
            }
            Vec::new()
        }
        Action::Edit(request) => {
            edit(model, request);
            Vec::new()
        }
        Action::Why => {
            if let Some(field) = model.focused() {
                let title = field.spec().label.to_owned();
                model.open(Popup::Why(title, super::teach::about(field).to_owned()));
            }
            Vec::new()
        }
        Action::Help => {
            model.open(Popup::Help);
            Vec::new()
        }
        Action::Quit => {
            if model.is_busy() || (model.harden.is_trying() && !model.harden.attempt.is_found) {
                model.open(Popup::Leave(0));
                Vec::new()
            } else {
                vec![keep(model), Effect::Quit]
            }
        }
        Action::Suspend => suspend(model),
        Action::Decided => match model.fault().and_then(|fault| fault.step) {
            Some(step) => jump(model, place(step)),
            None => Vec::new(),
        },
        Action::Left
        | Action::Right
        | Action::Diff
        | Action::Save
        | Action::Again
        | Action::Mend
        | Action::Modes
        | Action::Cancel
        | Action::Keep
        | Action::Accept
        | Action::Less
        | Action::More
        | Action::Copy
        | Action::CopyCommand
        | Action::Lesson
        | Action::Big => Vec::new(),
    }
}

fn keep(model: &Model) -> Effect {
    Effect::Keep(Kept::of(model))
}

fn go_on(model: &mut Model) -> Vec<Effect> {
    leave_row(model);
    if model.has_fault(model.at) {
        let asked = model.asked();
        let fault = model.checked.faults.iter().find_map(|fault| {
            let place = asked.iter().position(|field| *field == fault.field)?;
            Some((place, fault.row.unwrap_or(0)))
        });
        if let Some((field, row)) = fault {
            model.focus_on(Focus { field, row });
        }
        model.note = Some("Something here is not right yet: see what is said below it.".to_owned());
        return Vec::new();
    }
    if !model.step().may_go_on(model) {
        return Vec::new();
    }
    match model.next_step() {
        Some(next) => enter(model, next),
        None => Vec::new(),
    }
}

/// To the shell, but not while a stage is written and proven: stopped, nobody would go on from there, or go back.
pub(super) fn suspend(model: &mut Model) -> Vec<Effect> {
    if matches!(
        model.harden.attempt.state,
        AttemptState::Running | AttemptState::Stopping
    ) {
        model.note = Some("Not while it is being proven.".to_owned());
        return Vec::new();
    }
    vec![Effect::Suspend]
}

/// What is under way on a server that is there must be decided where it is seen.
fn stays(model: &mut Model) -> bool {
    if !model.harden.is_trying() {
        return false;
    }
    model.note = Some("First decide over what is being tried: k keeps it, Esc goes back.".to_owned());
    true
}

fn go_back(model: &mut Model) -> Vec<Effect> {
    if stays(model) {
        return Vec::new();
    }
    leave_row(model);
    match model.shown_steps().into_iter().rfind(|at| *at < model.at) {
        Some(before) => enter(model, before),
        None => Vec::new(),
    }
}

/// To a step of the rail: back always, and forth as far as one has been and nothing before it is wrong.
pub(super) fn jump(model: &mut Model, at: usize) -> Vec<Effect> {
    if stays(model) {
        return Vec::new();
    }
    leave_row(model);
    if !STEPS[at].shown(model) || at == model.at {
        return Vec::new();
    }
    if at > model.reached {
        model.note = Some(format!(
            "{} comes later: Enter goes on from here.",
            STEPS[at].title()
        ));
        return Vec::new();
    }
    enter(model, at)
}

pub(super) fn enter(model: &mut Model, at: usize) -> Vec<Effect> {
    model.at = at;
    model.reached = model.reached.max(at);
    model.focus_on(Focus::default());
    let mut effects = STEPS[at].enter(model);
    effects.push(keep(model));
    effects
}

fn clicked(model: &mut Model, target: Target) -> Vec<Effect> {
    model.note = None;
    if model.popup.is_some() {
        return match target {
            Target::Button(button) => decide(model, button),
            _ => Vec::new(),
        };
    }
    if model.lesson.is_some() {
        return match target {
            Target::Step(at) => lesson::act(model, Action::Step(at + 1)),
            _ => Vec::new(),
        };
    }
    match target {
        Target::Step(at) => jump(model, at),
        Target::Row(place, row) => {
            leave_row(model);
            model.focus_on(Focus { field: place, row });
            if let Some(field) = model.focused()
                && let Some(choice) = model.form.choices(field).get(row)
            {
                choose(model, field, choice.value);
            }
            Vec::new()
        }
        Target::Item(item) => {
            if model.at == place("review") {
                model.review.at_file(item);
            } else if model.at == place("verify") {
                if model.modes.shown {
                    model.modes.at.0 = item;
                } else {
                    model.proof.selected = item;
                }
            } else if model.at == place("connect") {
                model.tab = item;
            } else if model.at == place("plan") {
                model.harden.plan.review.at_file(item);
            } else if let Some(stage) = Stage::CHOICES.get(item).filter(|_| model.at == place("stage"))
                && model.harden.found().is_some()
                && !model.harden.is_watching()
            {
                model.harden.stage = *stage;
            }
            Vec::new()
        }
        Target::Line(line) => {
            let review = if model.at == place("plan") {
                &mut model.harden.plan.review
            } else {
                &mut model.review
            };
            (review.line, review.inside) = (line, true);
            Vec::new()
        }
        Target::Button(_) => Vec::new(),
    }
}

impl Model {
    /// The step after this one.
    #[must_use]
    pub fn next_step(&self) -> Option<usize> {
        self.shown_steps().into_iter().find(|at| *at > self.at)
    }
}
