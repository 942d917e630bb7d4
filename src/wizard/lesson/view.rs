//! A scene on the screen: one sentence, the drawing, the acts, what passes on the wire and in the impostor's head side by
//! side, and the outcome at the bottom. Everything that arrives later has its place from the start.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line as Text, Span};

use crate::engine::demo::{Frame, Middle, Scene, intro};

use super::super::model::Model;
use super::super::theme::Theme;
use super::super::widgets::{Canvas, Page, Row, brief_clock, clip, pad, visible, width, wrap};
use super::network::{arrow, network};
use super::{Act, Lesson, Line, Part, Stage, TAKING_DOWN, compact, letters, matrix};

/// The first line: which scene, who plays, and for how long.
pub fn header(lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let has_begun = lesson.part != Part::Intro;
    let name = if has_begun { " pgtls " } else { " pgtls demo " };
    let mut spans = vec![Span::styled(name, theme.bold())];
    for scene in Scene::ALL.into_iter().filter(|_| has_begun) {
        let sign = match &lesson.done[scene.place()] {
            _ if scene == lesson.scene => ("●", theme.accent()),
            Some(outcome) => match outcome.holds {
                Some(true) => ("✓", theme.good()),
                Some(false) => ("✗", theme.bad()),
                None if !outcome.shown => ("–", theme.dim()),
                None => ("?", theme.warn()),
            },
            None => ("○", theme.dim()),
        };
        spans.push(Span::styled(format!(" {}", sign.0), sign.1));
    }
    if has_begun {
        let title = format!("  {}", lesson.scene.text().title);
        spans.push(Span::styled(title, theme.bold()));
    }
    let left: usize = spans.iter().map(|span| width(&span.content)).sum();
    let clock = has_begun.then(|| brief_clock(lesson.clock()));
    let mut facts: Vec<String> = clock.into_iter().collect();
    if let Stage::Ready(client, server) = &lesson.stage {
        let server = server.split(" on ").next().unwrap_or(server);
        facts.extend([client.clone(), server.to_owned()]);
    }
    let room = usize::from(area.width).saturating_sub(left + 2);
    // Whole ones, as many as there is room for.
    while facts.len() > 1 && width(&facts.join(" · ")) > room {
        facts.pop();
    }
    let facts = clip(&facts.join(" · "), room);
    spans.push(Span::raw(" ".repeat(room.saturating_sub(width(&facts)) + 1)));
    spans.push(Span::styled(facts, theme.dim()));
    canvas.line(area, &Text::from(spans));
}

/// The scene.
pub fn body(model: &Model, lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let area = Rect::new(area.x + 1, area.y, area.width.saturating_sub(2), area.height);
    match &lesson.stage {
        _ if lesson.part == Part::Leaving => {
            let mut page = Page::default();
            page.row(Row::default()).text(TAKING_DOWN, theme.bold());
            page.paint(canvas, area);
        }
        Stage::Opening(_) => opening(lesson, canvas, area),
        Stage::Failed(fault) => {
            let columns = usize::from(area.width);
            let mut page = Page::default();
            page.blank().text("The lesson could not begin", theme.bad());
            page.words(&visible(&fault.what), columns, 0, Style::new());
            for remedy in &fault.remedies {
                page.words(&visible(remedy), columns, 2, theme.warn());
            }
            for line in &fault.log {
                page.words(&visible(line), columns, 2, theme.dim());
            }
            page.paint(canvas, area);
        }
        Stage::Ready(..) if lesson.part == Part::Intro => opening(lesson, canvas, area),
        Stage::Ready(..) if lesson.big => big(lesson, canvas, area),
        Stage::Ready(..) => scene(model, lesson, canvas, area),
    }
}

/// What is said first.
fn introduction(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let says = intro();
    let mut page = Page::default();
    page.row(Row::default());
    page.words(&says.asks, columns, 0, theme.bold());
    page.words(&says.how, columns, 0, Style::new()).blank();
    let name = says.cast.iter().map(|[who, _]| width(who)).max().unwrap_or(0) + 2;
    for [who, does] in &says.cast {
        let yours = who == "server" && lesson.playground.is_yours();
        let does = if yours { "your PostgreSQL." } else { does };
        page.pair(who, does, columns, name, (theme.accent(), Style::new()));
    }
    for paragraph in &says.then {
        page.blank().words(paragraph, columns, 0, Style::new());
    }
    page
}

/// How far the stage is, or that it stands.
fn staging(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    let so_far = match &lesson.stage {
        Stage::Opening(so_far) => so_far,
        Stage::Ready(client, server) => {
            page.text("The stage is set.", theme.good());
            page.words(
                &visible(&format!("{client} and {server}")),
                columns,
                0,
                theme.dim(),
            );
            return page;
        }
        Stage::Failed(_) => return page,
    };
    page.words(
        "Setting the stage; all that is made for it is gone afterwards",
        columns,
        0,
        theme.dim(),
    );
    for (is_done, says) in so_far {
        let sign = if *is_done { "✓" } else { "·" };
        page.pair(sign, &visible(says), columns, 2, (theme.good(), Style::new()));
    }
    page
}

/// Rows of how far the stage is, where what is said first does not leave more.
const LEAST_OF_STAGING: usize = 3;

/// Whether what is said first is more than a screen of this size has room for.
#[must_use]
pub fn is_scrolled(lesson: &Lesson, (columns, rows): (u16, u16), theme: Theme) -> bool {
    let (columns, rows) = (
        usize::from(columns).saturating_sub(2),
        usize::from(rows).saturating_sub(4),
    );
    introduction(lesson, columns, theme).height() + 1 + LEAST_OF_STAGING > rows
}

fn opening(lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let page = introduction(lesson, columns, theme);
    let stage = staging(lesson, columns, theme);
    let rows = usize::from(area.height);
    let below = rows
        .saturating_sub(page.height() + 1)
        .max(LEAST_OF_STAGING.min(stage.height()));
    let below = u16::try_from(below).unwrap_or(area.height).min(area.height);
    let above = Rect {
        height: area.height.saturating_sub(below + 1),
        ..area
    };
    page.scrolled(lesson.scrolled).paint(canvas, above);
    let place = Rect::new(area.x, area.bottom() - below, area.width, below);
    // The latest is seen in any case.
    let excess = stage.height().saturating_sub(usize::from(below));
    stage.scrolled(excess).paint(canvas, place);
}

/// What the server is called.
pub(super) const fn server(lesson: &Lesson) -> &'static str {
    if lesson.playground.is_yours() {
        "yours"
    } else {
        "bank"
    }
}

/// Rows of the outcome before it is there.
const OUTCOME: usize = 2;
/// The same under the matrix, which needs its own.
const OUTCOME_OF_MATRIX: usize = 3;

fn scene(model: &Model, lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let air = usize::from(model.is_roomy());
    let act = lesson.acts.last();
    let mut page = Page::default();
    for _ in 0..air {
        page.row(Row::default());
    }
    page.words(&lesson.scene.text().says, columns, 0, theme.bold());
    let outcome = outcome(lesson, columns, theme);
    let reserved = match lesson.scene {
        Scene::Matrix => OUTCOME_OF_MATRIX,
        _ => OUTCOME,
    };
    if lesson.scene == Scene::Matrix {
        page.append(matrix::whole(lesson, columns, theme, true));
    } else {
        for _ in 0..air {
            page.row(Row::default());
        }
        page.append(network(act, server(lesson), columns, theme));
        for _ in 0..air {
            page.row(Row::default());
        }
        page.append(acts(lesson, columns, theme));
        page.append(command(lesson, columns));
        for _ in 0..air {
            page.row(Row::default());
        }
    }
    let rows = outcome.height().max(reserved);
    if compact::is_small(area) || page.height() + rows > usize::from(area.height) {
        return compact::scene(lesson, canvas, area);
    }
    let top = u16::try_from(page.height()).unwrap_or(area.height);
    let rows = u16::try_from(rows).unwrap_or(area.height);
    page.paint(canvas, Rect { height: top, ..area });
    let below = Rect::new(
        area.x,
        area.y + top,
        area.width,
        area.height
            .saturating_sub(top + rows + u16::from(model.is_roomy())),
    );
    if let Some(act) = act.filter(|_| lesson.scene != Scene::Matrix) {
        happening(lesson, act, canvas, below);
    }
    let bottom = Rect::new(area.x, area.bottom() - rows, area.width, rows);
    outcome.paint(canvas, bottom);
}

/// The acts so far, and how those ended that are over.
pub(super) fn acts(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    let count = lesson.acts.len();
    for (index, act) in lesson.acts.iter().enumerate() {
        let here = index + 1 == count;
        let (sign, style) = match (&act.end, here) {
            (_, true) => ("▸", theme.accent()),
            (Some((true, _)), _) => ("·", Style::new()),
            (Some((false, _)), _) => ("✗", Style::new()),
            (None, _) => ("·", theme.dim()),
        };
        let says = match &act.end {
            Some((true, says)) if !here => format!(": the client printed {says}"),
            Some((false, says)) if !here => format!(": {says}"),
            _ => String::new(),
        };
        let style_of = if here { theme.bold() } else { theme.dim() };
        page.pair(
            sign,
            &visible(&format!("{}{says}", act.title)),
            columns,
            2,
            (style, style_of),
        );
    }
    page
}

/// What was typed in the present act.
pub(super) fn command(lesson: &Lesson, columns: usize) -> Page {
    let mut page = Page::default();
    if let Some(act) = lesson.acts.last().filter(|act| !act.command.is_empty()) {
        page.words(&visible(&act.command), columns, 2, Style::new());
    }
    page
}

/// What passes on the wire, and beside it what the impostor makes of it.
fn happening(lesson: &Lesson, act: &Act, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let frames: Vec<&Frame> = act
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Wire(frame) => Some(frame),
            _ => None,
        })
        .collect();
    let beside = act.middle != Middle::Nobody || frames.len() < act.lines.len();
    // Where nothing passes the eavesdropper, nothing is said of him.
    let alone = act.middle == Middle::Alone;
    let (left, right) = match (beside, alone) {
        (_, true) => (0, columns),
        (true, false) => {
            let right = (columns * 6 / 13).min(60);
            (columns - right - 2, right)
        }
        (false, false) => (columns, 0),
    };
    let room = usize::from(area.height) - 1;
    let taken = u16::try_from(left).unwrap_or(area.width);
    if !alone {
        let rows: Vec<_> = frames
            .iter()
            .map(|frame| (rank(frame), passed(frame, left, theme)))
            .collect();
        let all: usize = rows.iter().map(|(_, rows)| rows.len()).sum();
        let mut page = Page::default();
        let more = if all > room { " (↑ more)" } else { "" };
        page.text(format!("What the eavesdropper sees{more}"), theme.dim());
        let rows = if lesson.scrolled == 0 {
            fitting(rows, room)
        } else {
            rows.into_iter().flat_map(|(_, rows)| rows).collect()
        };
        for row in last(rows, room, lesson.scrolled) {
            page.row(row);
        }
        page.paint(canvas, Rect { width: taken, ..area });
    }
    if !beside && !alone {
        return;
    }
    let mut page = Page::default();
    page.text(done_by(act), theme.dim());
    let mut rows = Vec::new();
    for line in &act.lines {
        if !matches!(line, Line::Wire(_)) {
            rows.extend(rows_of(line, right, theme));
        }
    }
    for row in last(rows, room, lesson.scrolled) {
        page.row(row);
    }
    let at = if alone { area.x } else { area.x + taken + 2 };
    page.paint(
        canvas,
        Rect::new(at, area.y, area.right().saturating_sub(at), area.height),
    );
}

/// Who does what is no frame on the wire.
pub(super) const fn done_by(act: &Act) -> &'static str {
    match act.middle {
        Middle::Nobody | Middle::Alone => "At the server",
        Middle::Downgrader | Middle::Impostor(_) => "What is done in between",
    }
}

/// One thing that happened, in lines.
pub(super) fn rows_of(line: &Line, columns: usize, theme: Theme) -> Vec<Row> {
    let (says, style) = match line {
        Line::Wire(frame) => return passed(frame, columns, theme),
        Line::Impostor(says) => (says, theme.warn()),
        Line::Server(says) => (says, Style::new()),
    };
    wrap(&visible(says), columns)
        .into_iter()
        .map(|line| Row::new(vec![Span::styled(line, style)]))
        .collect()
}

/// A frame in lines: what can be read is whole, what cannot is cut off.
fn passed(frame: &Frame, columns: usize, theme: Theme) -> Vec<Row> {
    const NAME: usize = 18;
    let style = match (frame.readable, frame.private) {
        (true, true) => theme.bad(),
        (true, false) => Style::new(),
        (false, _) => theme.dim(),
    };
    let room = columns.saturating_sub(2 + NAME);
    let content = visible(&frame.content);
    let lines = if frame.readable {
        wrap(&content, room)
    } else {
        vec![clip(&content, room)]
    };
    let row = |(index, line): (usize, String)| {
        let (arrow, name) = match index {
            0 => (arrow(frame.from), frame.name.as_str()),
            _ => (" ", ""),
        };
        Row::new(vec![
            Span::styled(format!("{arrow} "), theme.dim()),
            Span::styled(format!("{} {line}", pad(name, NAME - 1)), style),
        ])
    };
    lines.into_iter().enumerate().map(row).collect()
}

/// How soon a frame makes way where there is no room for all: what a person would not have others know, comes last.
fn rank(frame: &Frame) -> u8 {
    const CEREMONY: [&str; 6] = [
        "ParameterStatus",
        "BackendKeyData",
        "ReadyForQuery",
        "RowDescription",
        "CommandComplete",
        "Terminate",
    ];
    match frame.name.as_str() {
        _ if frame.private => 0,
        name if CEREMONY.contains(&name) => 2,
        _ => 1,
    }
}

/// As many frames as have room: by their rank, and the latest of the same rank before others.
fn fitting(frames: Vec<(u8, Vec<Row>)>, room: usize) -> Vec<Row> {
    let mut kept = vec![false; frames.len()];
    let mut left = room;
    for wanted in 0..=2 {
        for (index, (rank, rows)) in frames.iter().enumerate().rev() {
            if *rank == wanted {
                if rows.len() > left {
                    break;
                }
                left -= rows.len();
                kept[index] = true;
            }
        }
    }
    frames
        .into_iter()
        .zip(kept)
        .filter(|(_, kept)| *kept)
        .flat_map(|((_, rows), _)| rows)
        .collect()
}

/// The last lines that have room, or those that were scrolled to.
pub(super) fn last(mut rows: Vec<Row>, room: usize, scrolled: usize) -> Vec<Row> {
    let excess = rows.len().saturating_sub(room);
    let first = excess - scrolled.min(excess);
    rows.drain(..first);
    rows.truncate(room);
    rows
}

/// What the client got, and what follows.
pub(super) fn outcome(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    if lesson.scene != Scene::Matrix {
        page.append(last_words(lesson, columns, theme));
    }
    page.append(verdict(lesson, columns, theme));
    page
}

/// What follows from it, once the scene is over.
pub(super) fn verdict(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    let Some(outcome) = &lesson.outcome else {
        return page;
    };
    let (sign, style, says) = match outcome.holds {
        Some(true) => ("▸", theme.accent(), lesson.scene.text().means.as_str()),
        Some(false) => ("✗", theme.bad(), outcome.observed.as_str()),
        None if !outcome.shown => ("–", Style::new(), outcome.observed.as_str()),
        None => ("?", theme.warn(), outcome.observed.as_str()),
    };
    for (index, line) in wrap(&visible(says), columns.saturating_sub(2))
        .into_iter()
        .enumerate()
    {
        let sign = if index == 0 { sign } else { " " };
        page.row(Row::new(vec![
            Span::styled(format!("{sign} "), style),
            Span::styled(line, style),
        ]));
    }
    if lesson.is_last() {
        let says = match lesson.auto {
            None => "  The end. 1 to 8 plays a scene again, q leaves.",
            Some(auto) if auto.again => "  The end. It begins anew.",
            Some(_) => "  The end.",
        };
        page.text(says, theme.bold());
    }
    page
}

/// The client's last words in the act that is on.
fn last_words(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    let Some((ok, says)) = lesson.acts.last().and_then(|act| act.end.as_ref()) else {
        page.row(Row::default());
        return page;
    };
    let sign = if *ok { "" } else { "✗ " };
    let says = visible(&format!("{sign}{says}"));
    for (index, line) in wrap(&says, columns.saturating_sub(8)).into_iter().enumerate() {
        let who = if index == 0 { "client  " } else { "        " };
        page.row(Row::new(vec![
            Span::styled(who, theme.dim()),
            Span::styled(line, theme.bold()),
        ]));
    }
    page
}

/// For the back row: the drawing, and the scene in two lines of letters.
fn big(lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let text = lesson.scene.text();
    let mut page = Page::default();
    if lesson.scene == Scene::Matrix {
        // It takes every row of a small screen.
        if compact::is_small(area) {
            page.append(matrix::brief(lesson, columns, theme));
        } else {
            page.append(matrix::whole(lesson, columns, theme, false));
            if !lesson.playground.is_yours() {
                page.row(Row::default());
            }
        }
    } else if compact::is_small(area) {
        // The letters take every row.
    } else {
        page.row(Row::default());
        page.append(network(lesson.acts.last(), server(lesson), columns, theme));
        page.row(Row::default());
    }
    match &lesson.outcome {
        Some(outcome) if !outcome.shown => {
            page.words(&visible(&outcome.observed), columns, 0, theme.bold());
        }
        Some(outcome) => {
            let style = match outcome.holds {
                Some(true) => theme.accent(),
                Some(false) => theme.bad(),
                None => theme.warn(),
            };
            let room = usize::from(area.height).saturating_sub(page.height());
            page.append(letters::page(&text.big, (columns, room), style, theme));
        }
        None => {
            page.words(&text.says, columns, 0, theme.bold());
        }
    }
    page.paint(canvas, area);
}
