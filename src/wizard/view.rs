//! The whole screen: the header, the rail, the step, the footer, the window over them.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::model::Model;
use super::widgets::{Canvas, Hit, clip, footer, popup, rail, width};

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
    header(model, canvas, Rect { height: 1, ..area });
    canvas.rule(Rect::new(area.x, area.y + 1, area.width, 1));
    canvas.rule(Rect::new(area.x, area.bottom() - 2, area.width, 1));
    footer(model, canvas, Rect::new(area.x, area.bottom() - 1, area.width, 1));
    let body = Rect::new(area.x, area.y + 2, area.width, area.height - 4);
    // On a large screen there is air above.
    let air = u16::from(body.height > 22);
    let body = Rect {
        y: body.y + air,
        height: body.height - air,
        ..body
    };
    let wide = if area.width >= 76 { 22 } else { 0 };
    if wide > 0 {
        rail(model, canvas, Rect { width: wide, ..body });
    }
    let left = body.x + wide + 1;
    let mut main = Rect::new(left, body.y, area.right().saturating_sub(left + 1), body.height);
    if wide == 0 {
        canvas.text(
            Rect { height: 1, ..main },
            model.step().title(),
            canvas.theme.accent(),
        );
        main.y += 2;
        main.height -= 2;
    }
    if let Some(note) = &model.note {
        let place = Rect::new(main.x, main.bottom() - 1, main.width, 1);
        main.height -= 2;
        model.step().draw(model, canvas, main);
        canvas.text(place, &clip(note, usize::from(place.width)), canvas.theme.warn());
    } else {
        model.step().draw(model, canvas, main);
    }
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
