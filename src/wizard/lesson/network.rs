//! Client, wire and server, drawn; and who stands in between.

use ratatui::style::Style;
use ratatui::text::Span;

use crate::engine::demo::{Caller, Middle, Side};

use super::super::theme::Theme;
use super::super::widgets::{Page, Row, clip, pad, width};
use super::{Act, Line};

/// How the wire next to the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Nothing has passed yet.
    Silent,
    /// What passes can be read.
    Open,
    /// What passes cannot be read.
    Sealed,
}

impl Wire {
    /// As this act has it so far.
    #[must_use]
    pub fn of(act: &Act) -> Self {
        let frames = act.lines.iter().filter_map(|line| match line {
            Line::Wire(frame) => Some(frame),
            _ => None,
        });
        // The request for TLS and its answer are always in clear.
        frames.fold(Self::Silent, |wire, frame| match frame.name.as_str() {
            "SSLRequest" | "S" | "N" => wire,
            _ if frame.readable => Self::Open,
            _ => Self::Sealed,
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Silent => "",
            Self::Open => "plaintext",
            Self::Sealed => "TLS",
        }
    }

    fn style(self, theme: Theme) -> Style {
        match self {
            Self::Silent => theme.dim(),
            Self::Open => theme.bad(),
            Self::Sealed => theme.good(),
        }
    }
}

/// Whether the impostor got to the server.
fn relayed(act: &Act) -> bool {
    act.lines
        .iter()
        .any(|line| matches!(line, Line::Impostor(says) if says.starts_with("logged in")))
}

/// Four rows: the boxes with the wires between them, and below the wire who listens there.
#[must_use]
pub fn network(act: Option<&Act>, server: &str, columns: usize, theme: Theme) -> Page {
    const ENDS: usize = 12;
    const MIDDLE: usize = 28;
    let plain = Style::new();
    let middle = act.map_or(&Middle::Nobody, |act| &act.middle);
    let wire = act.map_or(Wire::Silent, Wire::of);
    let refused = act.and_then(|act| act.end.as_ref()).is_some_and(|(ok, _)| !ok);
    let boxes = match middle {
        Middle::Nobody => 2 * ENDS,
        _ => 2 * ENDS + MIDDLE,
    };
    let free = columns.min(104).saturating_sub(boxes + 2);
    let mut spans: [Vec<Span<'static>>; 4] = std::array::from_fn(|_| vec![Span::raw(" ")]);
    let mut add = |parts: [(String, Style); 4]| {
        for (line, (text, style)) in spans.iter_mut().zip(parts) {
            line.push(Span::styled(text, style));
        }
    };
    let fill = |columns: usize| " ".repeat(columns);
    match act.map_or(Caller::Ann, |act| act.caller) {
        Caller::Ann => add(square("client", "ann", ENDS, plain)),
        Caller::Impostor => add(square("impostor", "as ann", ENDS, theme.warn())),
    }
    let end = if refused { "✗" } else { "" };
    match middle {
        Middle::Nobody => {
            add([
                (centre(wire.word(), free), wire.style(theme)),
                (stroke(free, end, true), wire.style(theme)),
                (centre("eavesdropper", free), theme.bold()),
                (fill(free), plain),
            ]);
        }
        Middle::Downgrader | Middle::Impostor(_) => {
            let (left, right) = (free / 2, free - free / 2);
            let says = match middle {
                Middle::Impostor(certificate) => certificate.as_str(),
                _ => "says: no TLS here",
            };
            add([
                (centre(wire.word(), left), wire.style(theme)),
                (stroke(left, end, true), wire.style(theme)),
                (centre("eavesdropper", left), theme.bold()),
                (fill(left), plain),
            ]);
            add(square("impostor", says, MIDDLE, theme.warn()));
            let reached = act.is_some_and(relayed);
            let style = if reached { theme.warn() } else { theme.dim() };
            let line = if reached {
                stroke(right, "", false)
            } else {
                dots(right)
            };
            add([
                (fill(right), plain),
                (line, style),
                (fill(right), plain),
                (fill(right), plain),
            ]);
        }
    }
    add(square("server", server, ENDS, plain));
    let mut page = Page::default();
    for line in spans {
        page.row(Row::new(line));
    }
    page
}

/// A box of four rows with a name and what is below it.
fn square(name: &str, below: &str, columns: usize, style: Style) -> [(String, Style); 4] {
    let inner = columns.saturating_sub(2);
    let line = "─".repeat(inner);
    let text = |text: &str| format!("│{}│", centre(text, inner));
    [
        (format!("┌{line}┐"), style),
        (text(name), style),
        (text(below), style),
        (format!("└{line}┘"), style),
    ]
}

/// A wire with an arrow, or with a break near its end.
fn stroke(columns: usize, broken: &str, eavesdropper: bool) -> String {
    let listening = if eavesdropper { "┬" } else { "─" };
    let inner = columns.saturating_sub(2);
    let half = inner / 2;
    let rest = inner.saturating_sub(half + 1);
    let end = if broken.is_empty() {
        "─▸".to_owned()
    } else {
        format!("{broken} ")
    };
    let rest = format!("{}{end}", "─".repeat(rest.saturating_sub(1)));
    pad(&format!(" {}{listening}{rest}", "─".repeat(half)), columns)
}

fn dots(columns: usize) -> String {
    format!(" {} ", "·".repeat(columns.saturating_sub(2)))
}

fn centre(text: &str, columns: usize) -> String {
    let text = clip(text, columns);
    let free = columns.saturating_sub(width(&text));
    pad(&format!("{}{text}", " ".repeat(free / 2)), columns)
}

/// An arrow for whoever sent a frame.
#[must_use]
pub const fn arrow(side: Side) -> &'static str {
    match side {
        Side::Client => "→",
        Side::Server => "←",
    }
}
