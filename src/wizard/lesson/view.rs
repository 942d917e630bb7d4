//! A scene on the screen: one sentence, the drawing, the acts, what passes on the wire and in the impostor's head side by
//! side, and the outcome at the bottom. Everything that arrives later has its place from the start.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line as Text, Span};

use crate::conninfo::SslMode;
use crate::engine::demo::{Frame, Middle, Scene, intro};
use crate::verify::modes::{CellOutcome, Meets};

use super::super::model::Model;
use super::super::teach;
use super::super::theme::Theme;
use super::super::widgets::{Canvas, Page, Row, brief_clock, clip, pad, visible, width, wrap};
use super::network::{arrow, network};
use super::{Act, Lesson, Line, Part, Stage, TAKING_DOWN, letters};

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
        Stage::Opening(so_far) => opening(Some(so_far), lesson, canvas, area),
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
        Stage::Ready(..) if lesson.part == Part::Intro => opening(None, lesson, canvas, area),
        Stage::Ready(..) if lesson.big => big(lesson, canvas, area),
        Stage::Ready(..) => scene(model, lesson, canvas, area),
    }
}

/// What is said first; and below it how far the stage is, or that it stands.
fn opening(so_far: Option<&[(bool, String)]>, lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
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
    let below = page.paint_above(canvas, area);
    let mut page = Page::default();
    let Some(so_far) = so_far else {
        page.text("The stage is set.", theme.good());
        if let Stage::Ready(client, server) = &lesson.stage {
            page.words(
                &visible(&format!("{client} and {server}")),
                columns,
                0,
                theme.dim(),
            );
        }
        page.paint(canvas, below);
        return;
    };
    page.text(
        "Setting the stage; all that is made for it is gone afterwards",
        theme.dim(),
    );
    let mut rows = Page::default();
    for (is_done, says) in so_far {
        let sign = if *is_done { "✓ " } else { "· " };
        for (index, line) in wrap(&visible(says), columns.saturating_sub(2))
            .into_iter()
            .enumerate()
        {
            rows.row(Row::new(vec![
                Span::styled(if index == 0 { sign } else { "  " }, theme.good()),
                Span::raw(line),
            ]));
        }
    }
    page.append(rows);
    // The latest is seen in any case.
    let excess = page.height().saturating_sub(usize::from(below.height));
    page.scrolled(excess).paint(canvas, below);
}

/// What the server is called.
const fn server(lesson: &Lesson) -> &'static str {
    if lesson.playground.is_yours() {
        "yours"
    } else {
        "bank"
    }
}

/// Columns of the matrix for the mode's name.
const MODE: usize = 13;
/// What the words of the matrix mean.
const LEGEND: [&str; 2] = [
    "connects: encrypted, to the true server. refuses: no secret was given away.",
    "UNPROTECTED: the password or the query was read in between. ·: not tried yet.",
];

/// Lines of an act, where there is room.
const MOST_OF_AN_ACT: usize = 2;

/// Rows of the outcome before it is there, and at the most.
const OUTCOME: (usize, usize) = (2, 8);
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
    page.text(lesson.scene.text().says.clone(), theme.bold());
    let outcome = outcome(lesson, columns, theme);
    let reserved = match lesson.scene {
        Scene::Matrix => OUTCOME_OF_MATRIX,
        _ => OUTCOME.0,
    };
    let rows = outcome.height().clamp(reserved, OUTCOME.1);
    if lesson.scene == Scene::Matrix {
        page.append(matrix(lesson, columns, theme, true));
    } else {
        for _ in 0..air {
            page.row(Row::default());
        }
        page.append(network(act, server(lesson), columns, theme));
        for _ in 0..air {
            page.row(Row::default());
        }
        let most = usize::from(area.height).saturating_sub(rows);
        let mut so_far = acts(lesson, columns, theme, MOST_OF_AN_ACT);
        if page.height() + so_far.height() > most {
            so_far = acts(lesson, columns, theme, 1);
        }
        page.append(so_far);
        for _ in 0..air {
            page.row(Row::default());
        }
    }
    let top = u16::try_from(page.height())
        .unwrap_or(area.height)
        .min(area.height);
    page.paint(canvas, Rect { height: top, ..area });
    let rows = u16::try_from(rows).unwrap_or(area.height).min(area.height);
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
    let last = Rect::new(area.x, area.bottom().saturating_sub(rows), area.width, rows);
    outcome.paint(canvas, last);
}

/// The acts so far, each in so many lines at `most`, and under the present one what was typed.
fn acts(lesson: &Lesson, columns: usize, theme: Theme, most: usize) -> Page {
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
        let room = columns.saturating_sub(2);
        let lines = wrap(&visible(&format!("{}{says}", act.title)), room);
        for (index, line) in lines.iter().take(most).enumerate() {
            let sign = if index == 0 { sign } else { " " };
            let more = lines.len() > most && index + 1 == most;
            let line = if more { format!("{line} …") } else { line.clone() };
            page.row(Row::new(vec![
                Span::styled(format!("{sign} "), style),
                Span::styled(clip(&line, room), style_of),
            ]));
        }
    }
    if let Some(act) = lesson.acts.last() {
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
    let alone = beside && act.middle == Middle::Nobody && frames.is_empty();
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
    if !beside {
        return;
    }
    let mut page = Page::default();
    let title = if act.middle == Middle::Nobody {
        "At the server"
    } else {
        "What is done in between"
    };
    page.text(title, theme.dim());
    let mut rows = Vec::new();
    for line in &act.lines {
        let (says, style) = match line {
            Line::Wire(_) => continue,
            Line::Impostor(says) => (says, theme.warn()),
            Line::Server(says) => (says, Style::new()),
        };
        for line in wrap(&visible(says), right) {
            rows.push(Row::new(vec![Span::styled(line, style)]));
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
fn last(mut rows: Vec<Row>, room: usize, scrolled: usize) -> Vec<Row> {
    let excess = rows.len().saturating_sub(room);
    let first = excess - scrolled.min(excess);
    rows.drain(..first);
    rows.truncate(room);
    rows
}

/// What the client got, and what follows.
fn outcome(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    if lesson.scene != Scene::Matrix {
        page.append(last_words(lesson, columns, theme));
    }
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

/// The matrix, filling in; where it is `told`, with what each mode adds, and what its words mean.
fn matrix(lesson: &Lesson, columns: usize, theme: Theme, told: bool) -> Page {
    let wide = (columns.saturating_sub(MODE) / Meets::ALL.len()).min(16);
    let mut page = Page::default();
    if told {
        let over = format!("{}impostors in between", " ".repeat(MODE + wide));
        page.text(clip(&over, columns), theme.dim());
    }
    let mut head = vec![Span::styled(pad("sslmode", MODE), theme.dim())];
    head.extend(Meets::ALL.iter().map(|meets| {
        let name = match meets {
            Meets::AsItIs => "the server",
            Meets::SelfSigned => "self-signed",
            Meets::OtherCa => "other CA",
            Meets::WrongName => "wrong name",
            Meets::Plaintext => "no TLS",
        };
        Span::styled(pad(name, wide), theme.dim())
    }));
    page.row(Row::new(head));
    for &mode in SslMode::ALL {
        let mut spans = vec![Span::styled(pad(mode.word(), MODE), theme.bold())];
        // A client without a root file stands for its mode where there is one: so most clients in the world are.
        let bare = !matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull | SslMode::Disable);
        for meets in Meets::ALL {
            let cell = lesson
                .cells
                .iter()
                .find(|(of, root, cell)| *of == mode && cell.meets == meets && *root != bare);
            let (word, style) = match cell.map(|(_, _, cell)| cell.outcome) {
                Some(CellOutcome::Connects) => ("connects", theme.good()),
                Some(CellOutcome::Refuses) => ("refuses", theme.good()),
                Some(CellOutcome::Unprotected) => ("UNPROTECTED", theme.bad()),
                Some(CellOutcome::Open) => ("unclear", theme.warn()),
                Some(CellOutcome::NotTried) => ("not tried", theme.dim()),
                None => ("·", theme.dim()),
            };
            spans.push(Span::styled(pad(word, wide), style));
        }
        page.row(Row::new(spans));
        let adds = match mode {
            // It adds nothing to nothing.
            SslMode::Disable if told => continue,
            SslMode::Allow => allows(lesson),
            _ => None,
        };
        let taught = || teach::sslmodes().iter().find(|known| known.name == mode.word());
        match adds.or_else(|| Some(taught()?.adds.as_str())).filter(|_| told) {
            Some(adds) => _ = page.text(format!("{}{adds}", " ".repeat(MODE)), theme.dim()),
            None if mode != SslMode::VerifyFull => _ = page.row(Row::default()),
            None => {}
        }
    }
    if told {
        for line in LEGEND {
            page.text(clip(line, columns), theme.dim());
        }
    }
    // Whose TLS it is, where it is not the server's own.
    let title = lesson.acts.last().map(|act| clip(&visible(&act.title), columns));
    if let Some(title) = title.filter(|_| lesson.playground.is_yours()) {
        page.text(title, theme.dim());
    }
    page
}

/// What `allow` came to at the server as it is: that depends on the server's rules.
fn allows(lesson: &Lesson) -> Option<&'static str> {
    let (_, _, cell) = lesson
        .cells
        .iter()
        .find(|(mode, _, cell)| *mode == SslMode::Allow && cell.meets == Meets::AsItIs)?;
    let [let_in, refused] = &Scene::Matrix.text().allow;
    match cell.outcome {
        CellOutcome::Unprotected => Some(let_in),
        CellOutcome::Connects => Some(refused),
        _ => None,
    }
}

/// For the back row: the drawing, and the scene in two lines of letters.
fn big(lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let text = lesson.scene.text();
    let mut page = Page::default();
    if lesson.scene == Scene::Matrix {
        // It takes every row of a small screen.
        page.append(matrix(lesson, columns, theme, false));
        if !lesson.playground.is_yours() {
            page.row(Row::default());
        }
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
            for (index, line) in text.big.iter().enumerate() {
                if index > 0 {
                    page.row(Row::default());
                }
                for row in letters::rows(line, columns, theme) {
                    page.text(row, style);
                }
            }
        }
        None => {
            page.words(&text.says, columns, 0, theme.bold());
        }
    }
    page.paint(canvas, area);
}
