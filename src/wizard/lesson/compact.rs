//! A scene on a small screen: every sentence whole. What was seen already makes room for what is seen now, and at the end
//! every act stands there once more with what came of it.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::engine::demo::{Middle, Scene};

use super::super::theme::Theme;
use super::super::widgets::{Canvas, Page, Row, visible};
use super::network::line;
use super::view::{acts, command, done_by, last, outcome, rows_of, server, verdict};
use super::{Lesson, Line, matrix};

/// Rows of what happens, while it happens.
const HAPPENING: usize = 4;

/// Whether the scene does not fit as it is drawn on a screen of 80 columns and 24 rows.
#[must_use]
pub const fn is_small(area: Rect) -> bool {
    area.width < 74 || area.height < 20
}

/// Draws it.
pub fn scene(lesson: &Lesson, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let columns = usize::from(area.width);
    let room = usize::from(area.height);
    // What a mode adds takes up to two rows while it is tried.
    let (end, reserved) = if lesson.scene == Scene::Matrix && lesson.outcome.is_none() {
        (matrix::adds(lesson, columns), 2)
    } else {
        (outcome(lesson, columns, theme), 0)
    };
    let below = end.height().max(reserved);
    let (mut page, spare) = fitting(lesson, columns, room, below, theme);
    let mut end = end;
    if lesson.outcome.is_some() && page.height() + end.height() > room {
        page = results(lesson, columns, theme);
        end = verdict(lesson, columns, theme);
    }
    let top = u16::try_from(page.height()).unwrap_or(area.height);
    let rows = u16::try_from(end.height()).unwrap_or(area.height);
    if top + rows > area.height {
        // More than fits in any way: it is scrolled, from what came last.
        let mut all = page;
        all.append(end);
        let above = all.height().saturating_sub(room);
        all.scrolled(above.saturating_sub(lesson.scrolled))
            .paint(canvas, area);
        return;
    }
    page.paint(canvas, Rect { height: top, ..area });
    if spare >= 2 && lesson.scene != Scene::Matrix {
        let below = Rect::new(area.x, area.y + top, area.width, area.height - top - rows);
        happening(lesson, columns, spare, theme).paint(canvas, below);
    }
    let bottom = Rect::new(area.x, area.bottom() - rows, area.width, rows);
    end.paint(canvas, bottom);
}

/// Every act with what came of it, the last one too, in as few rows as that takes.
fn results(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    for act in &lesson.acts {
        let (sign, says) = match &act.end {
            Some((true, says)) => ("·", format!(": printed {says}")),
            Some((false, says)) => ("✗", format!(": {says}")),
            None => ("·", String::new()),
        };
        let says = visible(&format!("{}{says}", act.title));
        page.pair(sign, &says, columns, 2, (theme.dim(), Style::new()));
    }
    page
}

/// As much as fits above the outcome, and the rows that are left between the two.
fn fitting(lesson: &Lesson, columns: usize, room: usize, last: usize, theme: Theme) -> (Page, usize) {
    let mut smallest = (Page::default(), 0);
    for (page, wanted) in ways(lesson, columns, theme) {
        let used = page.height() + last;
        if used + wanted <= room {
            return (page, room - used);
        }
        smallest = (page, room.saturating_sub(used));
    }
    smallest
}

/// What can be drawn, the fullest first, each with the rows that it needs below for what happens.
fn ways(lesson: &Lesson, columns: usize, theme: Theme) -> Vec<(Page, usize)> {
    let mut says = Page::default();
    says.words(&lesson.scene.text().says, columns, 0, theme.bold());
    let together = |parts: &[&Page]| {
        let mut page = Page::default();
        for part in parts {
            page.append((*part).clone());
        }
        page
    };
    if lesson.scene == Scene::Matrix {
        let mut over = Page::default();
        over.text(matrix::OVER, theme.dim());
        let table = matrix::brief(lesson, columns, theme);
        return vec![
            (together(&[&says, &over, &table]), 0),
            (together(&[&says, &table]), 0),
            (together(&[&over, &table]), 0),
            (table, 0),
        ];
    }
    let drawing = line(lesson.acts.last(), server(lesson), columns, theme);
    let all = acts(lesson, columns, theme);
    let typed = command(lesson, columns);
    if lesson.outcome.is_some() {
        return vec![
            (together(&[&says, &drawing, &all, &typed]), HAPPENING),
            (together(&[&says, &drawing, &all]), 0),
            (together(&[&says, &all]), 0),
            (all, 0),
        ];
    }
    let mut now = lesson.clone();
    now.acts.drain(..now.acts.len().saturating_sub(1));
    let now = acts(&now, columns, theme);
    vec![
        (together(&[&says, &drawing, &all, &typed]), HAPPENING),
        (together(&[&says, &drawing, &now, &typed]), HAPPENING),
        (together(&[&drawing, &now, &typed]), HAPPENING),
        (together(&[&drawing, &now, &typed]), 0),
        (together(&[&now, &typed]), 0),
    ]
}

/// What passes, and what is done about it, in the order in which it happens.
fn happening(lesson: &Lesson, columns: usize, rows: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    let Some(act) = lesson.acts.last() else {
        return page;
    };
    let is_done = act.lines.iter().any(|line| !matches!(line, Line::Wire(_)));
    let title = match (&act.middle, is_done) {
        (Middle::Alone, _) => done_by(act).to_owned(),
        (_, false) => "What the eavesdropper sees".to_owned(),
        (_, true) => format!("What the eavesdropper sees. {}", done_by(act)),
    };
    page.text(title, theme.dim());
    let lines: Vec<Row> = act
        .lines
        .iter()
        .flat_map(|line| rows_of(line, columns, theme))
        .collect();
    for row in last(lines, rows - 1, lesson.scrolled) {
        page.row(row);
    }
    page
}
