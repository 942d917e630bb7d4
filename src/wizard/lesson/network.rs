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
    // Beyond that the eye loses the wire.
    const WIDEST: usize = 140;
    let plain = Style::new();
    let middle = act.map_or(&Middle::Nobody, |act| &act.middle);
    let wire = act.map_or(Wire::Silent, Wire::of);
    let refused = act.and_then(|act| act.end.as_ref()).is_some_and(|(ok, _)| !ok);
    let boxes = match middle {
        Middle::Nobody | Middle::Alone => 2 * ENDS,
        _ => 2 * ENDS + MIDDLE,
    };
    let free = columns.min(WIDEST).saturating_sub(boxes + 2);
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
        Middle::Alone => {
            add([
                (fill(free), plain),
                (stroke(free, end, false), plain),
                (fill(free), plain),
                (fill(free), plain),
            ]);
        }
        Middle::Downgrader | Middle::Impostor(_) => {
            let (left, right) = (free / 2, free - free / 2);
            let (name, says) = between(middle);
            add([
                (centre(wire.word(), left), wire.style(theme)),
                (stroke(left, end, true), wire.style(theme)),
                (centre("eavesdropper", left), theme.bold()),
                (fill(left), plain),
            ]);
            add(square(name, says, MIDDLE, theme.warn()));
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

/// Who stands in between, and with what.
fn between(middle: &Middle) -> (&'static str, &str) {
    match middle {
        Middle::Nobody | Middle::Alone => ("", ""),
        Middle::Downgrader => ("impostor", "says: no TLS here"),
        Middle::Impostor(certificate) => ("impostor", certificate.as_str()),
    }
}

/// The same in two rows, without boxes.
#[must_use]
pub fn line(act: Option<&Act>, server: &str, columns: usize, theme: Theme) -> Page {
    /// Room for whoever listens.
    const WIRE: usize = 16;
    let middle = act.map_or(&Middle::Nobody, |act| &act.middle);
    let wire = act.map_or(Wire::Silent, Wire::of);
    let refused = act.and_then(|act| act.end.as_ref()).is_some_and(|(ok, _)| !ok);
    let end = if refused { "✗" } else { "▸" };
    let (name, says) = between(middle);
    let client = match act.map_or(Caller::Ann, |act| act.caller) {
        Caller::Ann => " ann ",
        Caller::Impostor => " impostor, as ann ",
    };
    let free = columns.saturating_sub(width(client) + width(server) + 2);
    let (left, right) = if name.is_empty() {
        (free, 0)
    } else {
        (WIRE, free - WIRE.min(free))
    };
    let listens = if matches!(middle, Middle::Alone) {
        ""
    } else {
        "eavesdropper"
    };
    let mut spans = [
        vec![
            Span::styled(client, theme.bold()),
            Span::styled(labelled(wire.word(), left, end), wire.style(theme)),
        ],
        vec![
            Span::raw(" ".repeat(width(client))),
            Span::styled(centre(listens, left), theme.bold()),
        ],
    ];
    if !name.is_empty() {
        const DOTS: usize = 5;
        let reached = act.is_some_and(relayed);
        let (behind, style) = if reached {
            ("─── ", theme.warn())
        } else {
            ("··· ", theme.dim())
        };
        let room = right.saturating_sub(DOTS);
        let who = format!(" {}", centre(name, room));
        spans[0].extend([
            Span::styled(who, theme.warn().patch(theme.bold())),
            Span::styled(behind, style),
        ]);
        spans[1].push(Span::styled(format!(" {}", centre(says, room)), theme.warn()));
    }
    spans[0].push(Span::styled(format!(" {server}"), theme.bold()));
    let mut page = Page::default();
    for line in spans {
        page.row(Row::new(line));
    }
    page
}

/// A wire with its word in it, and an arrow or a break at its end.
fn labelled(word: &str, columns: usize, end: &str) -> String {
    let inner = columns.saturating_sub(width(end));
    let word = if word.is_empty() {
        String::new()
    } else {
        format!(" {word} ")
    };
    let free = inner.saturating_sub(width(&word));
    format!(
        "{}{word}{}{end}",
        "─".repeat(free / 2),
        "─".repeat(free - free / 2)
    )
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
