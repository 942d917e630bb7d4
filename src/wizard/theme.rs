//! Colours and signs. One accent; everything else is the terminal's own foreground, dim or bold, so that light and
//! dark terminals both read well. Colour never carries a meaning alone: a sign or a word says the same.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// How this terminal is drawn to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours are used.
    pub colour: bool,
    /// Whether signs beyond ASCII are used.
    pub unicode: bool,
}

impl Theme {
    /// Every ability: what tests draw with.
    pub const FULL: Self = Self {
        colour: true,
        unicode: true,
    };

    fn tint(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// What is chosen, and where one is.
    #[must_use]
    pub fn accent(self) -> Style {
        self.tint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is read first.
    #[must_use]
    pub fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What can wait.
    #[must_use]
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What holds.
    #[must_use]
    pub fn good(self) -> Style {
        self.tint(Color::Green)
    }

    /// What failed.
    #[must_use]
    pub fn bad(self) -> Style {
        self.tint(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What wants a decision.
    #[must_use]
    pub fn warn(self) -> Style {
        self.tint(Color::Yellow)
    }

    /// The row with the cursor.
    #[must_use]
    pub fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A field that is typed into.
    #[must_use]
    pub fn field(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    /// Where the terminal shows no more than ASCII, turns every other sign into one of it, cell by cell.
    pub fn reduce(self, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        for cell in &mut buffer.content {
            let symbol = cell.symbol();
            if symbol.is_ascii() {
                continue;
            }
            let plain = match symbol {
                "─" | "–" | "—" => "-",
                "━" => "=",
                "│" | "┃" => "|",
                "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" | "✓" => "+",
                "✗" | "×" => "x",
                "●" | "•" => "*",
                "○" => "o",
                "◐" => "~",
                "▸" | "→" | "›" => ">",
                "◂" | "←" | "‹" => "<",
                "▾" | "↓" => "v",
                "↑" => "^",
                "·" | "…" => ".",
                _ => "?",
            };
            cell.set_symbol(plain);
        }
    }
}
