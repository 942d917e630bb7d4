//! The steps at the left: done, here, with a problem, not yet.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::message::Target;
use super::super::model::{Model, Standing};
use super::super::steps::STEPS;
use super::Canvas;

/// Draws the rail.
pub fn rail(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    for (down, at) in model.shown_steps().into_iter().enumerate() {
        let Ok(down) = u16::try_from(down) else { return };
        if down >= area.height {
            return;
        }
        let place = Rect::new(area.x, area.y + down, area.width, 1);
        let (sign, sign_style, style) = match model.standing(at) {
            Standing::Here => ("●", theme.accent(), theme.accent()),
            Standing::Done => ("✓", theme.good(), ratatui::style::Style::new()),
            Standing::Problem => ("✗", theme.bad(), theme.bad()),
            Standing::NotYet => ("○", theme.dim(), theme.dim()),
        };
        let line = Line::from(vec![
            Span::raw(" "),
            Span::styled(sign, sign_style),
            Span::raw(" "),
            Span::styled(STEPS[at].title(), style),
        ]);
        canvas.line(place, &line);
        canvas.hit(place, Target::Step(at));
    }
}
