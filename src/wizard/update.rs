//! The one place where the model changes: a message comes in, effects go out. Pure: the same messages give the same
//! model.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::InputRequest;

use crate::engine::Event;

use super::field::{Field, Kind};
use super::keymap::{self, Action};
use super::message::{Effect, Message, Reply, Target};
use super::model::{Focus, JourneyState, Model, PartRow, Popup, ProofState};
use super::resume::Kept;
use super::review;
use super::steps::{STEPS, place};
use super::widgets::{buttons, popup_end};

/// Lines of a log that are kept.
const LOG: usize = 500;
/// Characters of a paste that are taken: more than any answer is long.
const LONGEST_PASTE: usize = 4096;

/// Takes a message in.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) => pressed(model, event),
        Message::Paste(text) => pasted(model, &text),
        Message::Click(target) => clicked(model, target),
        Message::Scroll(lines) => {
            let action = if lines < 0 { Action::Up } else { Action::Down };
            if model.is_typing() {
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
            }
            Vec::new()
        }
        Message::Seen(seen) => {
            model.form.seen = Some(seen);
            model.checked = model.form.check();
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
            told(model, event);
            Vec::new()
        }
        Message::Asked(question) => {
            model.open(Popup::Asked(question, 0));
            Vec::new()
        }
        Message::Done(result) => {
            model.journey.state = match result {
                Ok(landed) => JourneyState::Landed(landed),
                Err(fault) => JourneyState::Failed(fault),
            };
            model.proof.state = ProofState::None;
            close_question(model);
            vec![keep(model)]
        }
        Message::Cancelled(says) => {
            model.journey.state = JourneyState::Cancelled(says);
            close_question(model);
            Vec::new()
        }
        Message::Probe(probe) => {
            model.proof.probes.retain(|known| known.id != probe.id);
            model.proof.probes.push(probe);
            model.proof.probes.sort_by_key(|probe| probe.id);
            Vec::new()
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
            Vec::new()
        }
        Message::Noted(note) => {
            model.note = Some(note);
            Vec::new()
        }
    }
}

fn told(model: &mut Model, event: Event) {
    let journey = &mut model.journey;
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
        Event::Probe(_) | Event::Cell { .. } => {}
    }
}

fn close_question(model: &mut Model) {
    if matches!(model.popup, Some(Popup::Asked(..))) {
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
        && model.is_typing()
    {
        edit(model, InputRequest::InsertChar(c));
    }
    Vec::new()
}

/// Pasted text goes in as it is; in a list each line is a row of its own.
fn pasted(model: &mut Model, text: &str) -> Vec<Effect> {
    let Some(field) = model.focused().filter(|_| model.is_typing()) else {
        return Vec::new();
    };
    let text: String = text.chars().take(LONGEST_PASTE).collect();
    let mut lines = text
        .split(['\n', '\r'])
        .map(str::trim)
        .filter(|line| !line.is_empty());
    if field.spec().kind == Kind::List {
        let Some(first) = lines.next() else {
            return Vec::new();
        };
        type_in(model, first);
        for line in lines {
            let row = model.focus.row + 1;
            let mut rows = model.form.rows(field);
            rows.insert(row.min(rows.len()), line.to_owned());
            model.answer(field, rows);
            let focus = Focus { row, ..model.focus };
            model.focus_on(focus);
        }
    } else {
        let joined: Vec<_> = lines.collect();
        type_in(model, &joined.join(" "));
    }
    Vec::new()
}

fn type_in(model: &mut Model, text: &str) {
    for c in text.chars() {
        model.editor.handle(InputRequest::InsertChar(c));
    }
    write_back(model);
}

fn edit(model: &mut Model, request: InputRequest) {
    let changed = model.editor.handle(request);
    if changed.is_some_and(|changed| changed.value) {
        write_back(model);
    }
}

/// What stands in the editor becomes the answer.
fn write_back(model: &mut Model) {
    let Some(field) = model.focused() else { return };
    let text = model.editor.value().to_owned();
    match field.spec().kind {
        Kind::Choice(_) => {}
        Kind::Text => model.answer(field, vec![text]),
        Kind::List => {
            let mut rows = model.form.rows(field);
            match rows.get_mut(model.focus.row) {
                Some(row) => *row = text,
                None => rows.push(text),
            }
            model.answer(field, rows);
        }
    }
}

/// Leaves a row: rows without text are none.
fn leave_row(model: &mut Model) {
    let Some(field) = model.focused().filter(|field| field.spec().kind == Kind::List) else {
        return;
    };
    let rows = model.form.given(field).to_vec();
    if rows.iter().any(|row| row.trim().is_empty()) {
        let kept: Vec<_> = rows.into_iter().filter(|row| !row.trim().is_empty()).collect();
        model.answer(field, kept);
    }
}

fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.popup.is_some() {
        return in_popup(model, action);
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
            if model.is_busy() {
                model.open(Popup::Leave(0));
                Vec::new()
            } else {
                vec![keep(model), Effect::Quit]
            }
        }
        Action::Suspend => vec![Effect::Suspend],
        Action::Left
        | Action::Right
        | Action::Diff
        | Action::Decided
        | Action::Save
        | Action::Again
        | Action::Mend
        | Action::Cancel
        | Action::Copy => Vec::new(),
    }
}

fn in_popup(model: &mut Model, action: Action) -> Vec<Effect> {
    match (action, &model.popup) {
        (Action::Up, Some(Popup::Help | Popup::Why(..) | Popup::Asked(..))) => {
            model.scrolled = model.scrolled.saturating_sub(1);
            return Vec::new();
        }
        (Action::Down, Some(Popup::Help | Popup::Why(..) | Popup::Asked(..))) => {
            model.scrolled = (model.scrolled + 1).min(popup_end(model));
            return Vec::new();
        }
        _ => {}
    }
    let Some(popup) = &mut model.popup else {
        return Vec::new();
    };
    let (chosen, count) = match popup {
        Popup::Leave(chosen) => (chosen, 2),
        Popup::Asked(question, chosen) => {
            let count = buttons(question).len();
            (chosen, count)
        }
        Popup::Help | Popup::Why(..) => {
            if action == Action::Back {
                model.popup = None;
            } else if action == Action::Quit {
                model.popup = None;
                return act(model, action);
            }
            return Vec::new();
        }
    };
    match action {
        Action::Left | Action::Up | Action::Previous => *chosen = chosen.saturating_sub(1),
        Action::Right | Action::Down | Action::Next => *chosen = (*chosen + 1).min(count - 1),
        Action::Continue => {
            let chosen = *chosen;
            return decide(model, chosen);
        }
        Action::Back => {
            let last = if matches!(popup, Popup::Leave(_)) {
                0
            } else {
                count - 1
            };
            return decide(model, last);
        }
        // Asked to leave while it is being asked: yes.
        Action::Quit => {
            return match popup {
                Popup::Leave(_) => decide(model, 1),
                _ => vec![Effect::Answer(Reply::No), keep(model), Effect::Quit],
            };
        }
        Action::Suspend => return vec![Effect::Suspend],
        _ => {}
    }
    Vec::new()
}

/// A button of the window was chosen.
fn decide(model: &mut Model, button: usize) -> Vec<Effect> {
    match model.popup.take() {
        Some(Popup::Leave(_)) if button == 1 => vec![keep(model), Effect::Quit],
        Some(Popup::Asked(question, _)) => {
            let last = buttons(&question).len() - 1;
            let reply = match button {
                0 => Reply::Yes,
                button if button == last => Reply::No,
                _ => Reply::Leave,
            };
            vec![Effect::Answer(reply)]
        }
        _ => Vec::new(),
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

fn go_back(model: &mut Model) -> Vec<Effect> {
    leave_row(model);
    match model.shown_steps().into_iter().rfind(|at| *at < model.at) {
        Some(before) => enter(model, before),
        None => Vec::new(),
    }
}

/// To a step of the rail: back always, and forth as far as one has been and nothing before it is wrong.
pub(super) fn jump(model: &mut Model, at: usize) -> Vec<Effect> {
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

fn move_to_question(model: &mut Model, field: usize) {
    leave_row(model);
    model.focus_on(Focus { field, row: 0 });
}

fn up(model: &mut Model) -> Vec<Effect> {
    let Some(field) = model.focused() else {
        return Vec::new();
    };
    if turn(model, field, -1) {
        return Vec::new();
    }
    if field.spec().kind == Kind::List && model.focus.row > 0 {
        let row = model.focus.row - 1;
        leave_row(model);
        model.focus_on(Focus { row, ..model.focus });
    } else if model.focus.field > 0 {
        leave_row(model);
        let before = model.focus.field - 1;
        let row = match model.asked().get(before) {
            Some(field) if field.spec().kind == Kind::List => model.form.rows(*field).len(),
            _ => 0,
        };
        model.focus_on(Focus { field: before, row });
    }
    Vec::new()
}

fn down(model: &mut Model) -> Vec<Effect> {
    let Some(field) = model.focused() else {
        return Vec::new();
    };
    if turn(model, field, 1) {
        return Vec::new();
    }
    if field.spec().kind == Kind::List && model.focus.row < model.form.rows(field).len() {
        let empty = model.editor.value().trim().is_empty();
        let row = if empty {
            model.focus.row
        } else {
            model.focus.row + 1
        };
        leave_row(model);
        model.focus_on(Focus { row, ..model.focus });
        if !empty || model.focus.row < model.form.rows(field).len() {
            return Vec::new();
        }
    }
    if model.focus.field + 1 < model.asked().len() {
        move_to_question(model, model.focus.field + 1);
    }
    Vec::new()
}

/// Chooses the next or the previous answer, if there is one on that side.
fn turn(model: &mut Model, field: Field, by: isize) -> bool {
    let choices = model.form.choices(field);
    let chosen = model.form.text(field);
    let Some(place) = choices.iter().position(|choice| choice.value == chosen) else {
        return false;
    };
    let Some(choice) = place.checked_add_signed(by).and_then(|place| choices.get(place)) else {
        return false;
    };
    choose(model, field, choice.value);
    true
}

fn choose(model: &mut Model, field: Field, value: &str) {
    model.answer(field, vec![value.to_owned()]);
    if field == Field::Run {
        // Other steps lie ahead now.
        model.reached = model.at;
    }
}

fn remove(model: &mut Model) {
    let Some(field) = model.focused() else { return };
    let mut rows = model.form.rows(field);
    if model.focus.row < rows.len() {
        rows.remove(model.focus.row);
        model.answer(field, rows);
    }
    let focus = model.focus;
    model.focus_on(focus);
}

fn clicked(model: &mut Model, target: Target) -> Vec<Effect> {
    model.note = None;
    if model.popup.is_some() {
        return match target {
            Target::Button(button) => decide(model, button),
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
                model.review.file = item;
                model.review.line = 0;
                model.review.inside = false;
            } else if model.at == place("verify") {
                model.proof.selected = item;
            } else if model.at == place("connect") {
                model.tab = item;
            }
            Vec::new()
        }
        Target::Line(line) => {
            model.review.line = line;
            model.review.inside = true;
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
