//! Answering: typing, pasting, choosing, and moving among the questions.

use tui_input::{Input, InputRequest};
use zeroize::Zeroizing;

use super::super::field::{Field, Kind};
use super::super::message::Effect;
use super::super::model::{Focus, Model, Popup};
use super::super::secret::HIDDEN;

/// Characters of a paste that are taken: more than any answer is long.
const LONGEST_PASTE: usize = 4096;

/// Pasted text goes in as it is; in a list each line is a row of its own.
pub(super) fn pasted(model: &mut Model, text: &str) -> Vec<Effect> {
    if let Some(Popup::Password(_, typed)) = &mut model.popup {
        for c in text.trim_end_matches(['\r', '\n']).chars() {
            typed.push(c);
        }
        return Vec::new();
    }
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

pub(super) fn type_in(model: &mut Model, text: &str) {
    if let Some(field) = model.focused().filter(|field| field.is_conninfo()) {
        return type_unseen(model, field, text);
    }
    for c in text.chars() {
        model.editor.handle(InputRequest::InsertChar(c));
    }
    write_back(model);
}

pub(super) fn edit(model: &mut Model, request: InputRequest) {
    if let Some(field) = model.focused().filter(|field| field.is_conninfo()) {
        return match request {
            InputRequest::InsertChar(c) => type_unseen(model, field, c.encode_utf8(&mut [0; 4])),
            request => edit_unseen(model, field, request),
        };
    }
    let changed = model.editor.handle(request);
    if changed.is_some_and(|changed| changed.value) {
        write_back(model);
    }
}

/// Types into a connection string: what is a password there is put apart before the editor has it.
fn type_unseen(model: &mut Model, field: Field, text: &str) {
    let real = model.form.revealed(field);
    let at = model.editor.cursor().min(real.len());
    let typed = text.chars().filter(|c| *c != HIDDEN);
    let more = spliced(&real, at..at, typed);
    let cursor = at + more.len() - real.len();
    store_unseen(model, field, &more, cursor);
}

/// Any other change of one. What was cut away comes back without the characters of a password.
fn edit_unseen(model: &mut Model, field: Field, request: InputRequest) {
    let real = model.form.revealed(field);
    if !model.editor.handle(request).is_some_and(|changed| changed.value) {
        return;
    }
    let after: Vec<char> = model.editor.value().chars().collect();
    let cursor = model.editor.cursor();
    let changed = if let Some(fewer) = real.len().checked_sub(after.len()) {
        spliced(&real, cursor..cursor + fewer, std::iter::empty())
    } else {
        let at = cursor - (after.len() - real.len());
        let typed = after[at..cursor].iter().copied().filter(|c| *c != HIDDEN);
        spliced(&real, at..at, typed)
    };
    let cursor = cursor.min(changed.len());
    store_unseen(model, field, &changed, cursor);
}

fn spliced(
    real: &[char],
    range: std::ops::Range<usize>,
    with: impl Iterator<Item = char>,
) -> Zeroizing<Vec<char>> {
    // All the memory from the start: no copy is left behind by growing.
    let mut all = Zeroizing::new(Vec::with_capacity(real.len() + LONGEST_PASTE));
    let range = range.start.min(real.len())..range.end.min(real.len());
    all.extend_from_slice(&real[..range.start]);
    all.extend(with.take(LONGEST_PASTE));
    all.extend_from_slice(&real[range.end..]);
    all
}

fn store_unseen(model: &mut Model, field: Field, real: &[char], cursor: usize) {
    model.answer_unseen(field, real);
    let text = model.form.given(field).first().map_or("", String::as_str);
    if model.editor.value() != text || model.editor.cursor() != cursor {
        model.editor = Input::new(text.to_owned()).with_cursor(cursor);
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
pub(super) fn leave_row(model: &mut Model) {
    let Some(field) = model.focused().filter(|field| field.spec().kind == Kind::List) else {
        return;
    };
    let rows = model.form.given(field).to_vec();
    if rows.iter().any(|row| row.trim().is_empty()) {
        let kept: Vec<_> = rows.into_iter().filter(|row| !row.trim().is_empty()).collect();
        model.answer(field, kept);
    }
}

pub(super) fn move_to_question(model: &mut Model, field: usize) {
    leave_row(model);
    model.focus_on(Focus { field, row: 0 });
}

pub(super) fn up(model: &mut Model) -> Vec<Effect> {
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

pub(super) fn down(model: &mut Model) -> Vec<Effect> {
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

pub(super) fn choose(model: &mut Model, field: Field, value: &str) {
    model.answer(field, vec![value.to_owned()]);
    if field == Field::Run {
        // Other steps lie ahead now.
        model.reached = model.at;
    }
}

pub(super) fn remove(model: &mut Model) {
    let Some(field) = model.focused() else { return };
    let mut rows = model.form.rows(field);
    if model.focus.row < rows.len() {
        rows.remove(model.focus.row);
        model.answer(field, rows);
    }
    let focus = model.focus;
    model.focus_on(focus);
}
