//! Files before they are written, one beside the other: the list of them, and the one that is looked at.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use crate::apply::Action as Change;

use super::super::super::keymap::Action;
use super::super::super::message::Target;
use super::super::super::review::{File, Preview, Review, diff_style};
use super::super::super::theme::Theme;
use super::super::super::widgets::{Canvas, Page, Row, clip, pad, visible, width};
use super::word;

/// Moves among files and lines; whether the key was one of these, `None` where there are no files.
pub fn walk(review: &mut Review, action: Action) -> Option<bool> {
    let files = review.preview()?.files.len();
    match action {
        Action::Up if review.inside => review.line = review.line.saturating_sub(1),
        Action::Down if review.inside => {
            let last = lines(review.looked_at()?, review.diff).len().saturating_sub(1);
            review.line = (review.line + 1).min(last);
        }
        Action::Up | Action::Down => {
            review.file = if action == Action::Up {
                review.file.saturating_sub(1)
            } else {
                (review.file + 1).min(files.saturating_sub(1))
            };
            review.line = 0;
        }
        Action::Next => review.inside = !review.inside,
        Action::Diff => {
            review.diff = !review.diff;
            review.line = 0;
        }
        _ => return Some(false),
    }
    Some(true)
}

/// What is shown of a file.
fn lines(file: &File, diff: bool) -> Vec<String> {
    if diff {
        return file.diff.iter().map(|line| untabbed(line)).collect();
    }
    match &file.description {
        Some(description) => vec![visible(description)],
        None => file.lines.iter().map(|line| visible(&line.text)).collect(),
    }
}

/// A line of a difference with blanks for tabs, as wide as a terminal has them: a cell holds none.
fn untabbed(line: &str) -> String {
    const STOP: usize = 8;
    let mut out = String::new();
    for c in line.chars() {
        if c == '\t' {
            // The sign in front is no part of the line.
            let at = width(&out).saturating_sub(1);
            out.extend(std::iter::repeat_n(' ', STOP - at % STOP));
        } else {
            out.push(c);
        }
    }
    out
}

/// Draws them; `below` is what there is to say of the one that is looked at.
pub fn files(review: &Review, below: &dyn Fn(usize) -> Page, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(preview) = review.preview() else { return };
    // On a narrow screen the file takes the room of the tree while one walks through it.
    if area.width < 80 && review.inside {
        content(review, below, canvas, area);
        return;
    }
    let wide = match area.width {
        90.. => 36,
        70.. => 28,
        narrow => 28.min(narrow / 2),
    };
    let left = Rect { width: wide, ..area };
    // The last column is for the signs that there is more.
    tree(review, preview, canvas.theme, usize::from(wide) - 1).paint(canvas, left);
    let right = Rect {
        x: area.x + wide + 2,
        width: area.width.saturating_sub(wide + 2),
        ..area
    };
    content(review, below, canvas, right);
}

fn tree(review: &Review, preview: &Preview, theme: Theme, columns: usize) -> Page {
    let mut page = Page::default();
    let mut dir = String::new();
    for (index, file) in preview.files.iter().enumerate() {
        let (parent, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        if parent != dir {
            parent.clone_into(&mut dir);
            if !dir.is_empty() {
                page.text(format!("▾ {dir}/"), theme.dim());
            }
        }
        let here = index == review.file;
        let style = match (here, review.inside) {
            (true, false) => theme.accent(),
            (true, true) => theme.bold(),
            _ => Style::new(),
        };
        let sign = if here { "▸" } else { " " };
        let indent = if dir.is_empty() { "" } else { "  " };
        let state = word(file.action);
        let room = columns.saturating_sub(state.len() + 1);
        let state_style = match file.action {
            Change::Kept => theme.dim(),
            Change::New => theme.good(),
            _ => theme.warn(),
        };
        page.row(
            Row::new(vec![
                Span::styled(pad(&format!("{sign} {indent}{}", visible(name)), room), style),
                Span::styled(format!(" {state}"), state_style),
            ])
            .hit(Target::Item(index))
            .focus(here),
        );
    }
    page
}

fn content(review: &Review, below: &dyn Fn(usize) -> Page, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let Some(file) = review.looked_at() else { return };
    let columns = usize::from(area.width);
    let mode = match file.mode {
        0 => String::new(),
        mode => format!(" · {mode:04o}"),
    };
    let last = file.path.rsplit_once('/').map_or(&*file.path, |(_, name)| name);
    let mut state = format!("{}{mode}", word(file.action));
    if width(last) + 1 + width(&state) > columns {
        // Where there is not room for both, the name is read first.
        state.truncate(word(file.action).len());
    }
    let room = columns.saturating_sub(width(&state) + 1);
    let name = if width(&file.path) > room {
        last
    } else {
        &file.path
    };
    let head = pad(&visible(name), room);
    canvas.line(
        Rect { height: 1, ..area },
        &ratatui::text::Line::from(vec![
            Span::styled(head, theme.bold()),
            Span::raw(" "),
            Span::styled(state, theme.dim()),
        ]),
    );
    let page = listing(review, file, theme, columns);
    let below = below(columns);
    let tall = u16::try_from(below.height()).unwrap_or(0).min(area.height / 2);
    let wanted = u16::try_from(page.height()).unwrap_or(u16::MAX);
    let top = Rect {
        y: area.y + 2.min(area.height),
        height: wanted.min(area.height.saturating_sub(3 + tall)),
        ..area
    };
    page.paint(canvas, top);
    let place = Rect {
        y: top.bottom() + 1,
        height: area.bottom().saturating_sub(top.bottom() + 1),
        ..area
    };
    below.paint(canvas, place);
}

/// The file, line by line; what is too long goes on below.
fn listing(review: &Review, file: &File, theme: Theme, columns: usize) -> Page {
    let mut page = Page::default();
    let shown = lines(file, review.diff);
    let number = shown.len().to_string().len();
    for (index, line) in shown.iter().enumerate() {
        let here = review.inside && index == review.line;
        let room = columns.saturating_sub(number + 3);
        // A narrow glance shows how each line begins, and all of one that changes; walking through the file shows all of it.
        let changes = review.diff && line.starts_with(['+', '-']);
        let shown = if columns < 60 && !review.inside && !changes {
            vec![clip(line, room)]
        } else {
            pieces(line, room)
        };
        for (part, piece) in shown.into_iter().enumerate() {
            let head = match (part, here) {
                (0, true) => format!("▸ {:>number$} ", index + 1),
                (0, false) => format!("  {:>number$} ", index + 1),
                _ => " ".repeat(number + 3),
            };
            let style = if here { theme.accent() } else { theme.dim() };
            let mut spans = vec![Span::styled(head, style)];
            if review.diff {
                spans.push(Span::styled(piece, diff_style(theme, line)));
            } else if file.description.is_some() {
                spans.push(Span::styled(piece, theme.dim()));
            } else {
                spans.extend(highlight(theme, &piece, part > 0));
            }
            if here {
                for span in &mut spans {
                    span.style = span.style.add_modifier(Modifier::BOLD);
                }
            }
            page.row(
                Row::new(spans)
                    .hit(Target::Line(index))
                    .focus(index == review.line && part == 0),
            );
        }
    }
    page
}

/// A line in pieces of so many columns, parted after a blank where one is near; nothing of it is lost.
fn pieces(line: &str, columns: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for c in line.chars() {
        if width(&piece) + width(c.encode_utf8(&mut [0; 4])) > columns && !piece.is_empty() {
            let after = piece.rfind(' ').map_or(0, |blank| blank + 1);
            let near = width(&piece[after..]) < columns / 3 && after > 0;
            let rest = if near {
                piece.split_off(after)
            } else {
                String::new()
            };
            pieces.push(std::mem::replace(&mut piece, rest));
        }
        piece.push(c);
    }
    pieces.push(piece);
    pieces
}

/// Comments dim, the first word of a line bold: enough for the three small formats here.
fn highlight(theme: Theme, line: &str, goes_on: bool) -> Vec<Span<'static>> {
    if goes_on {
        return vec![Span::raw(line.to_owned())];
    }
    let (code, comment) = match line.find('#') {
        Some(at) => line.split_at(at),
        None => (line, ""),
    };
    let first = code.find([' ', '=']).unwrap_or(code.len());
    let (head, rest) = code.split_at(first);
    vec![
        Span::styled(head.to_owned(), theme.accent().remove_modifier(Modifier::BOLD)),
        Span::raw(rest.to_owned()),
        Span::styled(comment.to_owned(), theme.dim()),
    ]
}
