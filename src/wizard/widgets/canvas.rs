//! Where things are drawn, with what can be clicked there.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::message::Target;
use super::super::theme::Theme;

/// A place on the screen that can be clicked, and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Where.
    pub area: Rect,
    /// What.
    pub target: Target,
}

/// What is drawn on.
#[derive(Debug)]
pub struct Canvas<'a> {
    /// The cells.
    pub buffer: &'a mut Buffer,
    /// What was drawn so far that can be clicked; what was drawn later lies above.
    pub hits: Vec<Hit>,
    /// Where the terminal's cursor belongs, if anywhere.
    pub cursor: Option<Position>,
    /// How it is drawn.
    pub theme: Theme,
}

impl<'a> Canvas<'a> {
    /// An empty canvas.
    pub fn new(buffer: &'a mut Buffer, theme: Theme) -> Self {
        Self {
            buffer,
            hits: Vec::new(),
            cursor: None,
            theme,
        }
    }

    /// One line, cut at the area's edge.
    pub fn line(&mut self, area: Rect, line: &Line<'_>) {
        let area = area.intersection(self.buffer.area);
        if area.width > 0 && area.height > 0 {
            self.buffer.set_line(area.x, area.y, line, area.width);
        }
    }

    /// One line of one style.
    pub fn text(&mut self, area: Rect, text: &str, style: Style) {
        self.line(area, &Line::styled(text.to_owned(), style));
    }

    /// A line across.
    pub fn rule(&mut self, area: Rect) {
        let style = self.theme.dim();
        self.text(area, &"─".repeat(usize::from(area.width)), style);
    }

    /// Says what a click there means.
    pub fn hit(&mut self, area: Rect, target: Target) {
        let area = area.intersection(self.buffer.area);
        if !area.is_empty() {
            self.hits.push(Hit { area, target });
        }
    }
}
