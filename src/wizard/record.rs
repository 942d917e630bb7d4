//! A recording of the screen: an asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>) and an animated SVG, from the
//! same frames.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// How long the last frame stays before the animation begins anew.
const LAST: Duration = Duration::from_secs(4);
/// Frames that follow one another faster are one.
const LEAST: Duration = Duration::from_millis(60);
/// The height of a row and the width of a column of the SVG.
const HIGH: usize = 18;
const WIDE: f64 = 8.4;

/// Frames, and when each was drawn.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    frames: Vec<(Duration, Buffer)>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            frames: Vec::new(),
        }
    }
}

impl Recorder {
    /// Keeps a frame, unless nothing in it has changed. The terminal may be made larger or smaller meanwhile.
    pub fn frame(&mut self, buffer: &Buffer) {
        self.frame_at(self.began.elapsed(), buffer);
    }

    fn frame_at(&mut self, at: Duration, buffer: &Buffer) {
        match self.frames.last_mut() {
            Some((_, last)) if last == buffer => {}
            Some((drawn, last)) if at.saturating_sub(*drawn) < LEAST => *last = buffer.clone(),
            _ => self.frames.push((at, buffer.clone())),
        }
    }

    /// The asciicast: one JSON value a line, first the header, then `[seconds, "o", text]`, and `[seconds, "r", "COLUMNSxROWS"]`
    /// where the terminal became another size.
    #[must_use]
    pub fn cast(&self, began: i64) -> String {
        let Some((_, first)) = self.frames.first() else {
            return String::new();
        };
        let header = serde_json::json!({
            "version": 2,
            "width": first.area.width,
            "height": first.area.height,
            "timestamp": began,
            "title": "pgtls demo",
            "env": {"TERM": "xterm-256color"},
        });
        let mut out = format!("{header}\n");
        let mut before = Buffer::empty(first.area);
        for (index, (at, frame)) in self.frames.iter().enumerate() {
            let seconds = (at.as_secs_f64() * 1e6).round() / 1e6;
            let mut text = String::new();
            if index == 0 {
                text.push_str("\x1b[?25l\x1b[0m\x1b[2J\x1b[H");
            }
            if frame.area != before.area {
                let size = format!("{}x{}", frame.area.width, frame.area.height);
                let event = serde_json::json!([seconds, "r", size]);
                let _ = writeln!(out, "{event}");
                // What a terminal makes of its contents then is its own affair.
                text.push_str("\x1b[0m\x1b[2J\x1b[H");
                before = Buffer::empty(frame.area);
            }
            changes(&before, frame, &mut text);
            let event = serde_json::json!([seconds, "o", text]);
            let _ = writeln!(out, "{event}");
            before = frame.clone();
        }
        out
    }

    /// The animation, which begins anew at its end, as large as the terminal ever was. Every row is a strip of its own that
    /// moves on when it changes, so that what stays costs nothing.
    #[must_use]
    pub fn svg(&self) -> String {
        let areas = || self.frames.iter().map(|(_, frame)| frame.area);
        let (Some(columns), Some(rows)) = (
            areas().map(|area| area.width).max(),
            areas().map(|area| area.height).max(),
        ) else {
            return String::new();
        };
        let wide = (f64::from(columns) * WIDE).ceil() + 20.0;
        let high = usize::from(rows) * HIGH + 20;
        let begin = self.frames[0].0;
        let whole = self
            .frames
            .last()
            .map_or(LAST, |(at, _)| at.saturating_sub(begin) + LAST);
        let mut shapes: HashMap<String, usize> = HashMap::new();
        let mut defined = String::new();
        let mut moves = String::new();
        let mut strips = String::new();
        for y in 0..rows {
            let mut strip: Vec<(f64, usize)> = Vec::new();
            for (at, frame) in &self.frames {
                let shape = row(frame, y);
                let next = shapes.len();
                let shape = *shapes.entry(shape).or_insert_with_key(|shape| {
                    let _ = write!(defined, "<g id=\"r{next}\">{shape}</g>");
                    next
                });
                if strip.last().is_none_or(|(_, last)| *last != shape) {
                    let when = at.saturating_sub(begin).as_secs_f64() / whole.as_secs_f64() * 100.0;
                    strip.push((when, shape));
                }
            }
            let top = 10 + usize::from(y) * HIGH;
            let blank = |shape: &usize| shapes.get("") == Some(shape);
            match strip.as_slice() {
                [(_, shape)] if blank(shape) => {}
                [(_, shape)] => {
                    let _ = write!(strips, "<use href=\"#r{shape}\" y=\"{top}\"/>");
                }
                strip => {
                    let _ = write!(strips, "<g style=\"animation-name:y{y}\">");
                    let _ = write!(moves, "@keyframes y{y}{{");
                    for (index, (when, shape)) in strip.iter().enumerate() {
                        #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
                        let left = index as f64 * wide;
                        if !blank(shape) {
                            let _ = write!(strips, "<use href=\"#r{shape}\" x=\"{left}\" y=\"{top}\"/>");
                        }
                        let _ = write!(moves, "{when:.3}%{{transform:translateX(-{left}px)}}");
                    }
                    moves.push('}');
                    strips.push_str("</g>");
                }
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" viewBox=\"0 0 {wide} {high}\">\
             <title>pgtls demo</title><style>\
             text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#d8dee9;\
             white-space:pre}}\
             .b{{font-weight:bold}}.d{{opacity:.6}}.c{{fill:#56c8d8}}.g{{fill:#7ec16e}}.r{{fill:#ef6b73}}.w{{fill:#d9b44a}}\
             g[style]{{animation:{:.3}s steps(1,end) infinite}}{moves}</style>\
             <defs>{defined}</defs><rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#15191f\"/>\
             <svg width=\"{wide}\" height=\"{high}\"><g transform=\"translate(10 0)\">{strips}</g></svg></svg>\n",
            whole.as_secs_f64()
        )
    }
}

/// What a terminal is sent to make the one of the other.
fn changes(before: &Buffer, after: &Buffer, out: &mut String) {
    let mut place = None;
    let mut style = None;
    for (x, y, cell) in before.diff(after) {
        if place != Some((x, y)) {
            let _ = write!(out, "\x1b[{};{}H", y + 1, x + 1);
        }
        let now = look(cell);
        if style.as_ref() != Some(&now) {
            let _ = write!(out, "\x1b[0{now}m");
            style = Some(now);
        }
        out.push_str(cell.symbol());
        let wide = u16::try_from(super::widgets::width(cell.symbol())).unwrap_or(1);
        place = Some((x + wide, y));
    }
    if style.is_some() {
        out.push_str("\x1b[0m");
    }
}

/// The parameters of SGR (ECMA-48, 8.3.117) for a cell.
fn look(cell: &Cell) -> String {
    let mut codes = String::new();
    for (modifier, code) in [
        (Modifier::BOLD, ";1"),
        (Modifier::DIM, ";2"),
        (Modifier::UNDERLINED, ";4"),
        (Modifier::REVERSED, ";7"),
    ] {
        if cell.modifier.contains(modifier) {
            codes.push_str(code);
        }
    }
    codes.push_str(match cell.fg {
        Color::Cyan => ";36",
        Color::Green => ";32",
        Color::Red => ";31",
        Color::Yellow => ";33",
        _ => "",
    });
    codes
}

/// A row as SVG texts, one for each run of cells that look the same; empty if nothing is to be seen.
fn row(frame: &Buffer, y: u16) -> String {
    let mut out = String::new();
    if y >= frame.area.height {
        return out;
    }
    let mut x = 0;
    while x < frame.area.width {
        let class = class(&frame[(x, y)]);
        let start = x;
        let mut text = String::new();
        while x < frame.area.width && self::class(&frame[(x, y)]) == class {
            let symbol = frame[(x, y)].symbol();
            text.push_str(symbol);
            x += u16::try_from(super::widgets::width(symbol)).unwrap_or(1).max(1);
        }
        let blanks = text.len() - text.trim_start().len();
        let start = usize::from(start) + blanks;
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
        let (left, long) = (start as f64 * WIDE, super::widgets::width(text) as f64 * WIDE);
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        // The length makes columns stand whatever font there is.
        let _ = write!(
            out,
            "<text x=\"{left:.1}\" y=\"14\" textLength=\"{long:.1}\"{class}>{text}</text>"
        );
    }
    out
}

fn class(cell: &Cell) -> String {
    let mut names = Vec::new();
    if cell.modifier.contains(Modifier::BOLD) {
        names.push("b");
    }
    if cell.modifier.contains(Modifier::DIM) {
        names.push("d");
    }
    names.extend(match cell.fg {
        Color::Cyan => Some("c"),
        Color::Green => Some("g"),
        Color::Red => Some("r"),
        Color::Yellow => Some("w"),
        _ => None,
    });
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    fn recorded() -> (Recorder, Vec<Buffer>) {
        let mut recorder = Recorder::default();
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 4));
        let mut frames = Vec::new();
        let bold = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        for (at, (x, y, text, style)) in [
            (2, 1, "a < b & \"c\"", Style::new()),
            (0, 3, "─▸ ✓", bold),
            (2, 1, "gone      ", Style::new().add_modifier(Modifier::DIM)),
        ]
        .into_iter()
        .enumerate()
        {
            buffer.set_string(x, y, text, style);
            recorder.frame_at(Duration::from_millis(500 * at as u64), &buffer);
            frames.push(buffer.clone());
        }
        recorder.frame_at(Duration::from_secs(9), &buffer);
        (recorder, frames)
    }

    #[test]
    fn a_cast_replays_to_the_same_screens() {
        let (recorder, frames) = recorded();
        let cast = recorder.cast(1_700_000_000);
        let mut lines = cast
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let header = lines.next().unwrap();
        assert_eq!(
            (header["version"].as_u64(), header["width"].as_u64()),
            (Some(2), Some(20))
        );
        let cells = |count| std::num::NonZero::new(count).unwrap();
        let mut screen = vt100::Parser::new(cells(4), cells(20), 0);
        for (event, frame) in lines.zip(&frames) {
            screen.process(event[2].as_str().unwrap().as_bytes());
            for y in 0..4 {
                for x in 0..20 {
                    let cell = screen.screen().cell(y, x).unwrap();
                    let shown = if cell.contents().is_empty() {
                        " "
                    } else {
                        cell.contents()
                    };
                    assert_eq!(shown, frame[(x, y)].symbol(), "at {x} {y}");
                    assert_eq!(cell.bold(), frame[(x, y)].modifier.contains(Modifier::BOLD));
                }
            }
        }
    }

    /// What a terminal shows after each event of a cast that follows its size.
    fn replay(cast: &str) -> Vec<(u16, u16, String)> {
        let cells = |count| std::num::NonZero::new(count).unwrap();
        let mut screen = vt100::Parser::new(cells(1), cells(1), 0);
        let mut shown = Vec::new();
        for line in cast.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let size = match (value.get("width"), value[1].as_str()) {
                (Some(width), _) => Some((width.as_u64().unwrap(), value["height"].as_u64().unwrap())),
                (None, Some("r")) => {
                    let (columns, rows) = value[2].as_str().unwrap().split_once('x').unwrap();
                    Some((columns.parse().unwrap(), rows.parse().unwrap()))
                }
                _ => None,
            };
            if let Some((columns, rows)) = size {
                let narrow = |count| cells(u16::try_from(count).unwrap());
                screen.screen_mut().set_size(narrow(rows), narrow(columns));
            } else {
                screen.process(value[2].as_str().unwrap().as_bytes());
                let (rows, columns) = screen.screen().size();
                shown.push((columns.get(), rows.get(), screen.screen().contents()));
            }
        }
        shown
    }

    #[test]
    fn a_terminal_that_changes_its_size_loses_no_frame() {
        let mut recorder = Recorder::default();
        let mut expected = Vec::new();
        for (at, (columns, rows, text)) in [
            (20, 4, "first"),
            (30, 6, "larger, and longer than before"),
            (30, 6, "larger, and the same size"),
            (10, 3, "small"),
            (20, 4, "first"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
            buffer.set_string(0, rows - 1, text, Style::new());
            recorder.frame_at(Duration::from_millis(500 * at as u64), &buffer);
            expected.push((
                columns,
                rows,
                format!("{}{text}", "\n".repeat(usize::from(rows) - 1)),
            ));
        }
        let shown: Vec<_> = replay(&recorder.cast(0))
            .into_iter()
            .map(|(columns, rows, text)| (columns, rows, text.trim_end().to_owned()))
            .collect();
        assert_eq!(shown, expected);
        // The picture is as large as the largest.
        let svg = recorder.svg();
        assert!(svg.contains(&format!("height=\"{}\"", 6 * HIGH + 20)), "{svg}");
        for text in ["first", "larger, and longer than before", "small"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn an_animation_is_drawn_row_by_row() {
        let (recorder, _) = recorded();
        let svg = recorder.svg();
        assert!(svg.contains("a &lt; b &amp; \"c\""), "{svg}");
        assert!(svg.contains("class=\"b r\""), "{svg}");
        // Row 1 changes once, row 3 appears once, rows 0 and 2 are empty throughout.
        assert_eq!(svg.matches("@keyframes").count(), 2, "{svg}");
    }
}
