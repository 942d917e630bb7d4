//! Lines below one another, scrolled so that the one with the focus is seen.

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::message::Target;
use super::text::wrap;
use super::{Canvas, width};

/// One line of a page.
#[derive(Debug, Clone, Default)]
pub struct Row {
    line: Line<'static>,
    hit: Option<Target>,
    cursor: Option<u16>,
    focus: bool,
}

/// Lines below one another.
#[derive(Debug, Clone, Default)]
pub struct Page {
    rows: Vec<Row>,
    scrolled: usize,
}

impl Row {
    /// A line of spans.
    #[must_use]
    pub fn new(spans: Vec<Span<'static>>) -> Self {
        Self {
            line: Line::from(spans),
            ..Self::default()
        }
    }

    /// A click there means this.
    #[must_use]
    pub const fn hit(mut self, target: Target) -> Self {
        self.hit = Some(target);
        self
    }

    /// The terminal's cursor stands in this column of it.
    #[must_use]
    pub fn cursor(mut self, column: usize) -> Self {
        self.cursor = u16::try_from(column).ok();
        self
    }

    /// This is the line that must be seen.
    #[must_use]
    pub const fn focus(mut self, focus: bool) -> Self {
        self.focus = focus;
        self
    }
}

impl Page {
    /// How many lines there are.
    #[must_use]
    pub fn height(&self) -> usize {
        self.rows.len()
    }

    /// The lines without their styles.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(|row| row.line.to_string())
    }

    /// Adds a line.
    pub fn row(&mut self, row: Row) -> &mut Self {
        self.rows.push(row);
        self
    }

    /// Adds a line of one style.
    pub fn text(&mut self, text: impl Into<String>, style: Style) -> &mut Self {
        self.row(Row::new(vec![Span::styled(text.into(), style)]))
    }

    /// Adds an empty line, but not at the top and not after another.
    pub fn blank(&mut self) -> &mut Self {
        let wanted = self.rows.last().is_some_and(|row| row.line.width() > 0);
        if wanted {
            self.rows.push(Row::default());
        }
        self
    }

    /// Adds words broken into lines of so many columns, indented.
    pub fn words(&mut self, text: &str, columns: usize, indent: usize, style: Style) -> &mut Self {
        for line in wrap(text, columns.saturating_sub(indent)) {
            self.row(Row::new(vec![
                Span::raw(" ".repeat(indent)),
                Span::styled(line, style),
            ]));
        }
        self
    }

    /// Adds a name and what there is to say of it, aligned; what does not fit goes on below.
    pub fn pair(
        &mut self,
        name: &str,
        says: &str,
        columns: usize,
        at: usize,
        styles: (Style, Style),
    ) -> &mut Self {
        // A name that is too long for its column has a line of its own.
        let (name, at) = if width(name) < at {
            (name, at)
        } else {
            self.text(name.to_owned(), styles.0);
            ("", 4)
        };
        for (index, line) in wrap(says, columns.saturating_sub(at)).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let gap = " ".repeat(at.saturating_sub(width(name)));
            self.row(Row::new(vec![
                Span::styled(name.to_owned(), styles.0),
                Span::raw(gap),
                Span::styled(line, styles.1),
            ]));
        }
        self
    }

    /// Adds all lines of another page.
    pub fn append(&mut self, other: Self) -> &mut Self {
        self.rows.extend(other.rows);
        self
    }

    /// So many lines of it are scrolled away, where no line has the focus.
    #[must_use]
    pub const fn scrolled(mut self, lines: usize) -> Self {
        self.scrolled = lines;
        self
    }

    /// Draws it from the top; what is left of the area, a line below.
    pub fn paint_above(self, canvas: &mut Canvas<'_>, area: Rect) -> Rect {
        let used = u16::try_from(self.height()).unwrap_or(u16::MAX).min(area.height);
        self.paint(canvas, area);
        Rect {
            y: area.y + used + 1,
            height: area.height.saturating_sub(used + 1),
            ..area
        }
    }

    /// Draws it.
    pub fn paint(self, canvas: &mut Canvas<'_>, area: Rect) {
        let room = usize::from(area.height);
        if room == 0 || area.width == 0 {
            return;
        }
        let focus = self.rows.iter().position(|row| row.focus);
        let last = self.rows.len().saturating_sub(room);
        // The focus stands in the upper two thirds, so that what follows from it is seen too.
        let first = focus
            .map_or(self.scrolled, |focus| focus.saturating_sub(room * 2 / 3))
            .min(last);
        let total = self.rows.len();
        for (index, row) in self.rows.into_iter().skip(first).take(room).enumerate() {
            let Ok(down) = u16::try_from(index) else { return };
            let line = Rect::new(area.x, area.y + down, area.width, 1);
            canvas.line(line, &row.line);
            if let Some(target) = row.hit {
                canvas.hit(line, target);
            }
            if let Some(column) = row.cursor {
                canvas.cursor = Some(Position::new(line.x + column.min(area.width - 1), line.y));
            }
        }
        let style = canvas.theme.dim();
        let right = |y| Rect::new(area.right() - 1, y, 1, 1);
        if first > 0 {
            canvas.text(right(area.y), "↑", style);
        }
        if first + room < total {
            canvas.text(right(area.bottom() - 1), "↓", style);
        }
    }
}
