//! The whole screen: the header, the rail, the step, the footer, the window over them.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::lesson;
use super::model::Model;
use super::widgets::{Canvas, Hit, clip, footer, pad, popup, rail, width};

/// The smallest screen that the steps fit on.
pub const LEAST: (u16, u16) = (60, 18);

/// What was drawn, beside the cells.
#[derive(Debug, Default)]
pub struct Drawn {
    /// What can be clicked.
    pub hits: Vec<Hit>,
    /// Where the cursor belongs.
    pub cursor: Option<Position>,
}

/// Draws the model.
pub fn view(model: &Model, buffer: &mut Buffer) -> Drawn {
    let area = buffer.area;
    let theme = model.theme;
    let mut canvas = Canvas::new(buffer, theme);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        small(&mut canvas, area);
    } else {
        whole(model, &mut canvas, area);
        popup(model, &mut canvas, area);
    }
    let Canvas { hits, cursor, .. } = canvas;
    theme.reduce(buffer);
    Drawn { hits, cursor }
}

fn small(canvas: &mut Canvas<'_>, area: Rect) {
    let text = format!(
        "This terminal has {} columns and {} rows; pgtls needs {} and {}. Make it larger, or press Ctrl-C to leave.",
        area.width, area.height, LEAST.0, LEAST.1
    );
    for (down, line) in super::widgets::wrap(&text, usize::from(area.width))
        .into_iter()
        .enumerate()
    {
        let Ok(down) = u16::try_from(down) else { return };
        if down < area.height {
            canvas.text(
                Rect::new(area.x, area.y + down, area.width, 1),
                &line,
                Style::new(),
            );
        }
    }
}

fn whole(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    canvas.rule(Rect::new(area.x, area.y + 1, area.width, 1));
    canvas.rule(Rect::new(area.x, area.bottom() - 2, area.width, 1));
    footer(model, canvas, Rect::new(area.x, area.bottom() - 1, area.width, 1));
    if let Some(lesson) = &model.lesson {
        lesson::view::header(lesson, canvas, Rect { height: 1, ..area });
        let body = Rect::new(area.x, area.y + 2, area.width, area.height.saturating_sub(4));
        lesson::view::body(model, lesson, canvas, body);
        return;
    }
    header(model, canvas, Rect { height: 1, ..area });
    let (left, main) = places(area);
    if left.width > 0 {
        rail(model, canvas, left);
    } else {
        let title = Rect::new(main.x, main.y - 2, main.width, 1);
        canvas.text(title, model.step().title(), canvas.theme.accent());
    }
    model.step().draw(model, canvas, main);
    if let Some(note) = &model.note {
        // In the place of the line across, so that nothing moves; what does not fit there stands above it.
        let lines = super::widgets::wrap(note, usize::from(area.width).saturating_sub(4));
        for (up, line) in (0..).zip(lines.iter().rev()) {
            let wide = if up == 0 {
                width(line)
            } else {
                usize::from(area.width) - 3
            };
            let place = Rect::new(
                area.x + 1,
                area.bottom().saturating_sub(2 + up),
                u16::try_from(wide + 2).unwrap_or(0),
                1,
            );
            canvas.text(place, &pad(&format!(" {line} "), wide + 2), canvas.theme.warn());
        }
    }
}

/// Where the rail is, if there is room for one, and where the step is.
fn places(area: Rect) -> (Rect, Rect) {
    let body = Rect::new(area.x, area.y + 2, area.width, area.height.saturating_sub(4));
    // On a large screen there is air above.
    let air = u16::from(body.height > 22);
    let wide = if area.width >= 76 { 22 } else { 0 };
    let title = if wide == 0 { 2 } else { 0 };
    let left = Rect {
        y: body.y + air,
        width: wide,
        height: body.height - air,
        ..body
    };
    let main = Rect::new(
        body.x + wide + 1,
        left.y + title,
        area.width.saturating_sub(wide + 2),
        left.height.saturating_sub(title),
    );
    (left, main)
}

/// Columns and rows of a step on a screen of this size.
#[must_use]
pub fn room((columns, rows): (u16, u16)) -> (usize, usize) {
    let (_, main) = places(Rect::new(0, 0, columns, rows));
    (usize::from(main.width), usize::from(main.height))
}

fn header(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let name = " pgtls";
    let room = usize::from(area.width).saturating_sub(name.len() + 3);
    let mut facts = model.dir_shown.clone();
    if model.at > 0 {
        facts.push_str(" · ");
        facts.push_str(&model.form.chosen_in_words(super::field::Field::Run));
    }
    let facts = clip(&facts, room);
    let gap = usize::from(area.width).saturating_sub(name.len() + width(&facts) + 1);
    canvas.line(
        area,
        &Line::from(vec![
            Span::styled(name, theme.bold()),
            Span::raw(" ".repeat(gap)),
            Span::styled(facts, theme.dim()),
        ]),
    );
}
