//! A scene on the screen: one sentence, the drawing, the acts, what passes on the wire and in the impostor's head side by
//! side, and the outcome at the bottom. Everything that arrives later has its place from the start.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line as Text, Span};

use crate::conninfo::SslMode;
use crate::engine::demo::{Middle, Scene};
use crate::verify::modes::{CellOutcome, Meets};

use super::super::model::Model;
use super::super::teach;
use super::super::theme::Theme;
use super::super::widgets::{Canvas, Page, Row, brief_clock, clip, pad, visible, width, wrap};
use super::network::{arrow, network};
use super::{Act, Lesson, Line, Stage, letters};

/// The first line: which scene, who plays, and for how long.
pub fn header(lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let mut spans = vec![Span::styled(" pgtls demo ", theme.bold())];
    for scene in Scene::ALL {
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
    spans.push(Span::styled(
        format!("  {}", lesson.scene.text().title),
        theme.bold(),
    ));
    let left: usize = spans.iter().map(|span| width(&span.content)).sum();
    let mut facts = vec![brief_clock(lesson.elapsed)];
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
        Stage::Opening(so_far) => opening(so_far, lesson.playground.is_yours(), canvas, area),
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
        Stage::Ready(..) if lesson.big => big(lesson, canvas, area),
        Stage::Ready(..) => scene(model, lesson, canvas, area),
    }
}

fn opening(so_far: &[(bool, String)], is_yours: bool, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let mut page = Page::default();
    page.row(Row::default());
    let server = if is_yours {
        "your PostgreSQL"
    } else {
        "a PostgreSQL of the lesson's own"
    };
    page.words(
        &format!(
            "Why is sslmode=require not enough? Eight scenes, each played for real on this machine: {server}, psql, somebody who \
             listens, somebody who pretends."
        ),
        columns,
        0,
        theme.bold(),
    );
    page.blank();
    page.text(
        "Setting the stage; all that is made for it is gone afterwards",
        theme.dim(),
    );
    for (is_done, says) in so_far {
        let sign = if *is_done { "✓ " } else { "· " };
        for (index, line) in wrap(&visible(says), columns.saturating_sub(2))
            .into_iter()
            .enumerate()
        {
            page.row(Row::new(vec![
                Span::styled(if index == 0 { sign } else { "  " }, theme.good()),
                Span::raw(line),
            ]));
        }
    }
    page.paint(canvas, area);
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
/// What the matrix has in capitals.
const UNPROTECTED: &str = "UNPROTECTED: somebody in between read the password or the query.";

/// Lines of an act, where there is room.
const MOST_OF_AN_ACT: usize = 2;

/// Rows of the outcome, which is at the bottom from the start.
const OUTCOME: u16 = 4;
/// The same under the matrix, which needs its own.
const OUTCOME_OF_MATRIX: u16 = 3;

/// The same once it is there: what was seen may take more of them.
fn rows_of_outcome(lesson: &Lesson, columns: usize) -> u16 {
    let lines = |text: &str| wrap(&visible(text), columns.saturating_sub(2)).len();
    let wanted = lesson.outcome.as_ref().map_or(0, |outcome| {
        lines(&outcome.observed) + lines(&lesson.scene.text().means)
    });
    u16::try_from(wanted).unwrap_or(u16::MAX).clamp(
        if lesson.scene == Scene::Matrix {
            OUTCOME_OF_MATRIX
        } else {
            OUTCOME
        },
        2 * OUTCOME,
    )
}

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
    if lesson.scene == Scene::Matrix {
        page.append(matrix(lesson, columns, theme, true));
    } else {
        page.row(Row::default());
        page.append(network(act, server(lesson), columns, theme));
        for _ in 0..air {
            page.row(Row::default());
        }
        let most = usize::from(area.height.saturating_sub(rows_of_outcome(lesson, columns)));
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
    let rows = rows_of_outcome(lesson, columns).min(area.height);
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
    outcome(lesson, canvas, last);
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
    let beside = matches!(act.middle, Middle::Impostor(_) | Middle::Downgrader)
        || act.lines.iter().any(|line| !matches!(line, Line::Wire(_)));
    // Where nothing passes the eavesdropper, nothing is said of him.
    let alone = beside
        && matches!(act.middle, Middle::Nobody)
        && !act.lines.iter().any(|line| matches!(line, Line::Wire(_)));
    let (left, right) = match (beside, alone) {
        (_, true) => (0, columns),
        (true, false) => {
            let right = (columns * 2 / 5).min(60);
            (columns - right - 2, right)
        }
        (false, false) => (columns, 0),
    };
    let room = usize::from(area.height) - 1;
    let wire: Vec<&Line> = act
        .lines
        .iter()
        .filter(|line| matches!(line, Line::Wire(_)))
        .collect();
    let heads: Vec<&Line> = act
        .lines
        .iter()
        .filter(|line| !matches!(line, Line::Wire(_)))
        .collect();
    let mut page = Page::default();
    page.text("What the eavesdropper sees", theme.dim());
    for line in tail(&wire, room, lesson.scrolled) {
        if let Line::Wire(frame) = line {
            let style = match (frame.readable, frame.private) {
                (true, true) => theme.bad(),
                (true, false) => Style::new(),
                (false, _) => theme.dim(),
            };
            let name = pad(&frame.name, 20);
            page.row(Row::new(vec![
                Span::styled(format!("{} ", arrow(frame.from)), theme.dim()),
                Span::styled(
                    clip(
                        &format!("{name} {}", visible(&frame.content)),
                        left.saturating_sub(2),
                    ),
                    style,
                ),
            ]));
        }
    }
    let taken = u16::try_from(left).unwrap_or(area.width);
    if !alone {
        page.paint(canvas, Rect { width: taken, ..area });
    }
    if !beside {
        return;
    }
    let mut page = Page::default();
    let title = if matches!(act.middle, Middle::Nobody) {
        "At the server"
    } else {
        "What is done in between"
    };
    page.text(title, theme.dim());
    let lines: Vec<(String, Style)> = heads
        .iter()
        .flat_map(|line| {
            let (says, style) = match line {
                Line::Wire(_) => (String::new(), Style::new()),
                Line::Impostor(says) => (says.clone(), theme.warn()),
                Line::Server(says) => (says.clone(), Style::new()),
            };
            wrap(&visible(&says), right)
                .into_iter()
                .map(move |line| (line, style))
        })
        .collect();
    let first = lines.len().saturating_sub(room);
    for (text, style) in lines.into_iter().skip(first) {
        page.text(text, style);
    }
    let at = if alone { area.x } else { area.x + taken + 2 };
    page.paint(
        canvas,
        Rect::new(at, area.y, area.right().saturating_sub(at), area.height),
    );
}

/// The last lines that have room, or those that were scrolled to.
fn tail<'a>(lines: &[&'a Line], room: usize, scrolled: usize) -> Vec<&'a Line> {
    let last = lines
        .len()
        .saturating_sub(scrolled.min(lines.len().saturating_sub(room)));
    lines[last.saturating_sub(room)..last].to_vec()
}

/// What the client got, and what follows.
fn outcome(lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let mut page = Page::default();
    if let Some(outcome) = lesson
        .outcome
        .as_ref()
        .filter(|outcome| outcome.holds == Some(true))
    {
        let says = wrap(&visible(&outcome.observed), columns.saturating_sub(2));
        // What was seen may be long; what follows from it may not be lost for it.
        let means = wrap(&lesson.scene.text().means, columns.saturating_sub(2)).len();
        let most = usize::from(area.height).saturating_sub(means);
        let cut = says.len() > most;
        for (index, line) in says.into_iter().take(most).enumerate() {
            let more = if cut && index + 1 == most { " …" } else { "" };
            page.text(format!("  {line}{more}"), Style::new());
        }
    } else {
        page.append(last_words(lesson, columns, theme));
    }
    if let Some(outcome) = &lesson.outcome {
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
    }
    page.paint(canvas, area);
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
        let over = format!(
            "{}impostors in between, by their certificate",
            " ".repeat(MODE + wide)
        );
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
        let adds = teach::sslmodes().iter().find(|known| known.name == mode.word());
        match adds.filter(|_| told) {
            Some(mode) => _ = page.text(format!("{}{}", " ".repeat(MODE), mode.adds), theme.dim()),
            None if mode != SslMode::VerifyFull => _ = page.row(Row::default()),
            None => {}
        }
    }
    if told {
        page.text(clip(UNPROTECTED, columns), theme.dim());
    }
    // Whose TLS it is, where it is not the server's own.
    let title = lesson.acts.last().map(|act| clip(&visible(&act.title), columns));
    if let Some(title) = title.filter(|_| lesson.playground.is_yours()) {
        page.text(title, theme.dim());
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
