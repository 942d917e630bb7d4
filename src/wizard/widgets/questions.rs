//! The questions of a step, drawn from the same data by which they are asked elsewhere.

use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::super::field::{Field, Kind};
use super::super::message::Target;
use super::super::model::Model;
use super::super::secret::shown;
use super::{Page, Row, pad, visible, width};

/// Columns of the labels of fields.
const LABEL: usize = 18;

/// Draws the questions that are asked on this step.
#[must_use]
pub fn questions(model: &Model, columns: usize) -> Page {
    let mut page = Page::default();
    let mut before = None;
    for (place, field) in model.asked().into_iter().enumerate() {
        let kind = field.spec().kind;
        if before.is_some_and(|before| before != Kind::Text || kind != Kind::Text) {
            page.blank();
        }
        before = Some(kind);
        match kind {
            Kind::Choice(_) => choice(model, &mut page, place, field, columns),
            Kind::Text => text(model, &mut page, place, field, columns),
            Kind::List => list(model, &mut page, place, field, columns),
        }
    }
    page
}

fn choice(model: &Model, page: &mut Page, place: usize, field: Field, columns: usize) {
    let theme = model.theme;
    let focused = model.focus.field == place;
    let chosen = model.form.text(field);
    let choices = model.form.choices(field);
    let wide = choices
        .iter()
        .map(|choice| width(choice.label))
        .max()
        .unwrap_or(0);
    page.text(field.spec().label, theme.bold());
    if model.is_roomy() {
        page.blank();
    }
    for (row, choice) in choices.iter().enumerate() {
        let here = choice.value == chosen;
        let (sign, style) = match (here, focused) {
            (true, true) => ("▸", theme.accent()),
            (true, false) => ("▸", theme.bold()),
            _ => (" ", Style::new()),
        };
        let at = wide + 7;
        let says = super::wrap(choice.says, columns.saturating_sub(at));
        for (index, says) in says.into_iter().enumerate() {
            let (sign, label) = if index == 0 {
                (sign, choice.label)
            } else {
                (" ", "")
            };
            page.row(
                Row::new(vec![
                    Span::styled(format!(" {sign} "), style),
                    Span::styled(pad(label, wide + 4), style),
                    Span::styled(says, if here { Style::new() } else { theme.dim() }),
                ])
                .hit(Target::Row(place, row))
                .focus(here && focused && index == 0),
            );
        }
    }
    faults(model, page, field, None, columns);
}

fn text(model: &Model, page: &mut Page, place: usize, field: Field, columns: usize) {
    let focused = model.focus.field == place;
    let given = model.form.given(field).first().cloned().unwrap_or_default();
    let placeholder = match model.suggestion(field) {
        Some(suggestion) if focused => takes(&suggestion),
        _ => model.form.default_in_words(field),
    };
    let line = Typed {
        model,
        label: field.spec().label,
        text: &given,
        placeholder: &placeholder,
        columns,
        focused,
    };
    page.row(line.row().hit(Target::Row(place, 0)));
    faults(model, page, field, None, columns);
}

fn list(model: &Model, page: &mut Page, place: usize, field: Field, columns: usize) {
    let focused = model.focus.field == place;
    let rows = model.form.rows(field);
    for (row, text) in rows.iter().enumerate() {
        let line = Typed {
            model,
            label: if row == 0 { field.spec().label } else { "" },
            text,
            placeholder: "",
            columns,
            focused: focused && model.focus.row == row,
        };
        page.row(line.row().hit(Target::Row(place, row)));
        faults(model, page, field, Some(row), columns);
    }
    let suggestion = model.suggestion(field);
    let placeholder = match &suggestion {
        Some(suggestion) if focused => takes(suggestion),
        _ if rows.is_empty() => model.form.default_in_words(field),
        _ => "+ another".to_owned(),
    };
    let line = Typed {
        model,
        label: if rows.is_empty() { field.spec().label } else { "" },
        text: "",
        placeholder: &placeholder,
        columns,
        focused: focused && model.focus.row >= rows.len(),
    };
    page.row(line.row().hit(Target::Row(place, rows.len())));
    faults(model, page, field, None, columns);
}

/// A suggestion, and how to take it.
fn takes(suggestion: &str) -> String {
    format!("{suggestion}?  (→ takes it)")
}

/// A line that can be typed into.
struct Typed<'a> {
    model: &'a Model,
    label: &'a str,
    text: &'a str,
    placeholder: &'a str,
    columns: usize,
    focused: bool,
}

impl Typed<'_> {
    fn row(&self) -> Row {
        let theme = self.model.theme;
        let label = Span::styled(
            pad(&format!("   {}", self.label), LABEL + 3),
            if self.focused {
                theme.accent()
            } else {
                Style::new()
            },
        );
        let room = self.columns.saturating_sub(LABEL + 4).max(1);
        if !self.focused {
            let (text, style) = if self.text.is_empty() {
                (self.placeholder.to_owned(), theme.dim())
            } else {
                (visible(&shown(self.text)), Style::new())
            };
            return Row::new(vec![label, Span::styled(super::clip(&text, room), style)]);
        }
        let editor = &self.model.editor;
        let text = shown(editor.value());
        if editor.value().is_empty() {
            let placeholder = super::clip(self.placeholder, room);
            let rest = room.saturating_sub(width(&placeholder));
            return Row::new(vec![
                label,
                Span::styled(placeholder, theme.dim().add_modifier(Modifier::UNDERLINED)),
                Span::styled(" ".repeat(rest), theme.field()),
            ])
            .cursor(LABEL + 3)
            .focus(true);
        }
        let (part, cursor) = window(&text, editor.cursor(), room);
        Row::new(vec![label, Span::styled(pad(&part, room), theme.field())])
            .cursor(LABEL + 3 + cursor)
            .focus(true)
    }
}

/// The part of a text around its cursor that fits, and the cursor's column in it. What has no width of its own, or
/// acts on the terminal, stands as one sign in one column.
fn window(text: &str, at: usize, room: usize) -> (String, usize) {
    let safe = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if visible(c.encode_utf8(&mut [0; 4])).chars().count() > 1 {
                    '�'
                } else {
                    c
                }
            })
            .collect()
    };
    let before = safe(&text.chars().take(at).collect::<String>());
    let after = safe(&text.chars().skip(at).collect::<String>());
    let mut skipped = before.as_str();
    while width(skipped) >= room {
        let mut rest = skipped.chars();
        rest.next();
        skipped = rest.as_str();
    }
    let cursor = width(skipped);
    (format!("{skipped}{}", fit(&after, room - cursor)), cursor)
}

/// As many whole characters as fit.
fn fit(text: &str, room: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if width(&out) + width(c.encode_utf8(&mut [0; 4])) > room {
            break;
        }
        out.push(c);
    }
    out
}

fn faults(model: &Model, page: &mut Page, field: Field, row: Option<usize>, columns: usize) {
    let theme = model.theme;
    for fault in model.checked.of(field) {
        let here = match field.spec().kind {
            Kind::List => fault.row == row,
            _ => true,
        };
        if here {
            let red = theme.bad().remove_modifier(Modifier::BOLD);
            page.pair("     ✗", &visible(&fault.problem.reason), columns, 7, (red, red));
            page.pair(
                "     →",
                &visible(&fault.problem.remedy),
                columns,
                7,
                (red, Style::new()),
            );
        }
    }
}
