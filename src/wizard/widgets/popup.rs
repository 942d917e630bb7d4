//! A window over the screen: the keys, a text, a question.

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::super::keymap;
use super::super::message::{Question, Target};
use super::super::model::{Model, Popup};
use super::{Canvas, Page, Row, pad};

/// A window: its title, what it says, its buttons and the chosen one.
struct Window<'a> {
    title: &'a str,
    page: Page,
    buttons: Vec<&'static str>,
    chosen: usize,
}

fn window(model: &Model, columns: usize) -> Option<Window<'_>> {
    let plain = ratatui::style::Style::new();
    let mut page = Page::default();
    let (title, buttons, chosen) = match model.popup.as_ref()? {
        Popup::Help => {
            page = help(model, columns);
            ("Keys here", Vec::new(), 0)
        }
        Popup::Why(title, text) => {
            for part in text.split('\n') {
                page.words(part, columns, 0, plain);
            }
            (title.as_str(), Vec::new(), 0)
        }
        Popup::Password(who, typed) => {
            page.words(
                &format!("The server wants the password of {who}. It is not shown, and not kept."),
                columns,
                0,
                plain,
            );
            page.blank();
            let says = if typed.is_empty() {
                "nothing is typed yet"
            } else {
                "something is typed"
            };
            page.text(format!("Password: {says}"), model.theme.field());
            page.blank();
            page.words(
                "Enter logs in, Esc does not. PGPASSWORD or a passfile does without.",
                columns,
                0,
                model.theme.dim(),
            );
            ("Password", Vec::new(), 0)
        }
        Popup::Leave(chosen) => {
            let says = if model.harden.is_trying() { TRYING } else { LEAVING };
            page.words(says, columns, 0, plain);
            ("Leave?", LEAVE.to_vec(), *chosen)
        }
        Popup::Asked(question, chosen) => {
            page = asked(model, question, columns);
            (title_of(question), buttons(question), *chosen)
        }
    };
    Some(Window {
        title,
        page,
        buttons,
        chosen,
    })
}

/// Columns within a window on a screen of this width.
fn inside(columns: u16) -> usize {
    usize::from(columns.saturating_sub(8)).min(76)
}

/// Lines of the open window that do not fit: how far it can be scrolled.
#[must_use]
pub fn popup_end(model: &Model) -> usize {
    let (columns, rows) = model.size;
    window(model, inside(columns)).map_or(0, |window| {
        let bar = if window.buttons.is_empty() { 0 } else { 2 };
        window
            .page
            .height()
            .saturating_sub(usize::from(rows).saturating_sub(4 + bar))
    })
}

/// Draws the window that is open, if one is.
pub fn popup(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let columns = inside(area.width);
    let Some(Window {
        title,
        page,
        buttons,
        chosen,
    }) = window(model, columns)
    else {
        return;
    };
    let theme = canvas.theme;
    let bar = if buttons.is_empty() { 0 } else { 2 };
    let tall = u16::try_from(page.height() + 4 + bar)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let wide = u16::try_from(columns + 4).unwrap_or(u16::MAX).min(area.width);
    let place = Rect::new(
        area.x + (area.width - wide) / 2,
        area.y + (area.height - tall) / 2,
        wide,
        tall,
    );
    frame(canvas, place, title);
    // Nothing below the window can be clicked.
    canvas.hits.clear();
    canvas.cursor = None;
    let bar = u16::try_from(bar).unwrap_or(0);
    let inner = Rect::new(
        place.x + 2,
        place.y + 2,
        place.width.saturating_sub(4),
        place.height.saturating_sub(4 + bar),
    );
    page.scrolled(model.scrolled).paint(canvas, inner);
    let mut x = inner.x;
    for (index, label) in buttons.iter().enumerate() {
        let style = if index == chosen {
            theme.cursor()
        } else {
            ratatui::style::Style::new()
        };
        let text = format!(" {label} ");
        let wide = u16::try_from(super::width(&text)).unwrap_or(0);
        let button = Rect::new(x, inner.bottom() + 1, wide, 1).intersection(place);
        canvas.text(button, &text, style);
        canvas.hit(button, Target::Button(index));
        x += wide + 2;
    }
}

const LEAVING: &str = "Something is being written and started. If you leave now, it is broken off, and what was written is \
                       taken back.";
const TRYING: &str = "A stage is being tried on the server, and is not kept yet. If you leave now, it goes back to what it was.";
const LEAVE: [&str; 2] = ["Stay", "Leave"];

fn title_of(question: &Question) -> &'static str {
    match question {
        Question::Edited { .. } => "This file was edited",
        Question::Fetch { .. } => "PostgreSQL is not on this machine",
        Question::Adopt { .. } => "There is data already",
        Question::Discard { .. } => "The first start failed",
    }
}

/// The answers to a question; the first is the safe one that goes on.
#[must_use]
pub fn buttons(question: &Question) -> Vec<&'static str> {
    match question {
        Question::Edited {
            may_be_left: true, ..
        } => vec!["Replace, keep a copy", "Leave it", "Stop"],
        Question::Edited { .. } => vec!["Replace, keep a copy", "Stop"],
        Question::Fetch { .. } => vec!["Fetch a private copy", "Stop"],
        Question::Adopt { .. } => vec!["Use it", "Stop"],
        Question::Discard { .. } => vec!["Delete it", "Keep it"],
    }
}

/// The button that Enter presses at once: never one that touches data that somebody may want.
#[must_use]
pub fn first_button(question: &Question) -> usize {
    match question {
        Question::Edited { .. } | Question::Fetch { .. } => 0,
        Question::Adopt { .. } | Question::Discard { .. } => buttons(question).len() - 1,
    }
}

fn asked(model: &Model, question: &Question, columns: usize) -> Page {
    let theme = model.theme;
    let plain = ratatui::style::Style::new();
    let mut page = Page::default();
    match question {
        Question::Edited { path, diff, .. } => {
            page.words(
                &format!("{path} was edited since pgtls wrote it, or was never pgtls's."),
                columns,
                0,
                plain,
            );
            page.blank();
            for line in diff.lines().take(200) {
                page.text(line.to_owned(), super::super::review::diff_style(theme, line));
            }
        }
        Question::Adopt { means } | Question::Discard { means } => {
            page.words(means, columns, 0, plain);
        }
        Question::Fetch { what, into, caveat } => {
            page.words(
                &format!("A private copy can be fetched: {what}. It goes to {into}, and nothing else on this machine changes."),
                columns,
                0,
                plain,
            );
            if let Some(caveat) = caveat {
                page.blank();
                page.words(caveat, columns, 0, theme.warn());
            }
        }
    }
    page
}

fn help(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let mut page = Page::default();
    for (keys, says) in keymap::help(model) {
        page.row(Row::new(vec![
            Span::styled(pad(&keys, 22), theme.bold()),
            Span::raw(super::clip(says, columns.saturating_sub(22))),
        ]));
    }
    page
}

fn frame(canvas: &mut Canvas<'_>, place: Rect, title: &str) {
    let theme = canvas.theme;
    let inner = usize::from(place.width.saturating_sub(2));
    for y in place.top()..place.bottom() {
        for x in place.left()..place.right() {
            if let Some(cell) = canvas.buffer.cell_mut((x, y)) {
                cell.reset();
            }
        }
    }
    let line = |y: u16| Rect::new(place.x, y, place.width, 1);
    let title = super::clip(title, inner.saturating_sub(4));
    let rest = inner.saturating_sub(super::width(&title) + 3);
    let top = ratatui::text::Line::from(vec![
        Span::styled("┌─ ", theme.dim()),
        Span::styled(title, theme.bold()),
        Span::styled(format!(" {}┐", "─".repeat(rest)), theme.dim()),
    ]);
    canvas.line(line(place.y), &top);
    for y in place.y + 1..place.bottom().saturating_sub(1) {
        canvas.text(Rect::new(place.x, y, 1, 1), "│", theme.dim());
        canvas.text(
            Rect::new(place.right().saturating_sub(1), y, 1, 1),
            "│",
            theme.dim(),
        );
    }
    if place.height > 1 {
        canvas.text(
            line(place.bottom() - 1),
            &format!("└{}┘", "─".repeat(inner)),
            theme.dim(),
        );
    }
}
