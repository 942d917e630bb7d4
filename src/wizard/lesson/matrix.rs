//! Six modes in five situations, filling in: with what each mode adds, and on a small screen without.

use ratatui::style::Style;
use ratatui::text::Span;

use crate::conninfo::SslMode;
use crate::engine::demo::Scene;
use crate::verify::modes::{CellOutcome, Meets};

use super::super::teach;
use super::super::theme::Theme;
use super::super::widgets::{Page, Row, pad, visible};
use super::Lesson;

/// Columns for the mode's name.
const MODE: usize = 13;
/// What the words of the matrix mean.
const LEGEND: [&str; 2] = [
    "connects: encrypted, to the true server. refuses: no secret was given away.",
    "UNPROTECTED: the password or the query was read in between. ·: not tried yet.",
];

/// The same on a small screen.
const EXPOSED: [&str; 1] = ["EXPOSED: the password or the query was read in between."];
/// Over the columns in which somebody is in between.
pub const OVER: &str = "impostors in between; other CA = a stranger's CA";

/// The matrix, filling in; where it is `told`, with what each mode adds, and what its words mean.
#[must_use]
pub fn whole(lesson: &Lesson, columns: usize, theme: Theme, told: bool) -> Page {
    let wide = (columns.saturating_sub(MODE) / Meets::ALL.len()).min(16);
    let mut page = Page::default();
    if told {
        page.text(format!("{}{OVER}", " ".repeat(MODE + wide)), theme.dim());
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
        for meets in Meets::ALL {
            let (word, style) = cell(lesson, mode, meets, "UNPROTECTED", theme);
            spans.push(Span::styled(pad(word, wide), style));
        }
        page.row(Row::new(spans));
        // It adds nothing to nothing.
        if mode == SslMode::Disable && told {
            continue;
        }
        match added(lesson, mode).filter(|_| told) {
            Some(adds) => _ = page.text(format!("{}{adds}", " ".repeat(MODE)), theme.dim()),
            None if mode != SslMode::VerifyFull => _ = page.row(Row::default()),
            None => {}
        }
    }
    if told {
        for line in LEGEND {
            page.words(line, columns, 0, theme.dim());
        }
    }
    page.append(whose(lesson, columns, theme));
    page
}

/// What came of a mode in a situation, in a word.
fn cell(
    lesson: &Lesson,
    mode: SslMode,
    meets: Meets,
    unprotected: &'static str,
    theme: Theme,
) -> (&'static str, Style) {
    // A client without a root file stands for its mode where there is one: so most clients in the world are.
    let bare = !matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull | SslMode::Disable);
    let cell = lesson
        .cells
        .iter()
        .find(|(of, root, cell)| *of == mode && cell.meets == meets && *root != bare);
    match cell.map(|(_, _, cell)| cell.outcome) {
        Some(CellOutcome::Connects) => ("connects", theme.good()),
        Some(CellOutcome::Refuses) => ("refuses", theme.good()),
        Some(CellOutcome::Unprotected) => (unprotected, theme.bad()),
        Some(CellOutcome::Open) => ("unclear", theme.warn()),
        Some(CellOutcome::NotTried) => ("untried", theme.dim()),
        None => ("·", theme.dim()),
    }
}

/// Whose TLS it is, where it is not the server's own.
fn whose(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    let mut page = Page::default();
    if let Some(act) = lesson.acts.last().filter(|_| lesson.playground.is_yours()) {
        page.words(&visible(&act.title), columns, 0, theme.dim());
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

/// What the mode adds to the one above it.
fn added(lesson: &Lesson, mode: SslMode) -> Option<&str> {
    let told = match mode {
        SslMode::Allow => allows(lesson),
        _ => None,
    };
    let taught = || teach::sslmodes().iter().find(|known| known.name == mode.word());
    told.or_else(|| Some(taught()?.adds.as_str()))
}

/// The same in few rows and columns.
#[must_use]
pub fn brief(lesson: &Lesson, columns: usize, theme: Theme) -> Page {
    const MODE: usize = 12;
    let wide = columns.saturating_sub(MODE) / Meets::ALL.len();
    let mut page = Page::default();
    for row in 0..2 {
        let mut head = vec![Span::styled(pad(["", "sslmode"][row], MODE), theme.dim())];
        for meets in Meets::ALL {
            let name = match meets {
                Meets::AsItIs => ["the", "server"],
                Meets::SelfSigned => ["self-", "signed"],
                Meets::OtherCa => ["other", "CA"],
                Meets::WrongName => ["wrong", "name"],
                Meets::Plaintext => ["no", "TLS"],
            };
            head.push(Span::styled(pad(name[row], wide), theme.dim()));
        }
        page.row(Row::new(head));
    }
    for &mode in SslMode::ALL {
        let mut spans = vec![Span::styled(pad(mode.word(), MODE), theme.bold())];
        for meets in Meets::ALL {
            let (word, style) = cell(lesson, mode, meets, "EXPOSED", theme);
            spans.push(Span::styled(pad(word, wide), style));
        }
        page.row(Row::new(spans));
    }
    for line in EXPOSED {
        page.words(line, columns, 0, theme.dim());
    }
    page.append(whose(lesson, columns, theme));
    page
}

/// What the mode adds that is being tried.
#[must_use]
pub fn adds(lesson: &Lesson, columns: usize) -> Page {
    let mut page = Page::default();
    if let Some((mode, ..)) = lesson.cells.last()
        && let Some(adds) = added(lesson, *mode)
    {
        page.words(&format!("{}: {adds}", mode.word()), columns, 0, Style::new());
    }
    page
}
