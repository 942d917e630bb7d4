//! What each `sslmode` is worth against this server: the matrix, beside the proof, filled in cell by cell.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::conninfo::SslMode;
use crate::verify::modes::{Cell, CellOutcome, Meets};

use super::super::super::keymap::Action;
use super::super::super::message::{Effect, Target};
use super::super::super::model::{Model, Modes, ModesState, Popup};
use super::super::super::theme::Theme;
use super::super::super::widgets::{Canvas, Page, Row, brief, pad, visible};
use super::super::write::fault_page;
use super::seen;

/// Those that a root file makes stricter.
const LOOSE: [SslMode; 3] = [SslMode::Allow, SslMode::Prefer, SslMode::Require];

/// The width from which a cell has room for its sign and its whole word.
const WIDE: usize = 84;

/// What stands above the columns, in two lines.
const HEADS: [[&str; 2]; 5] = [
    ["the", "server"],
    ["self-", "signed"],
    ["another", "CA"],
    ["wrong", "name"],
    ["without", "TLS"],
];

/// Opens the matrix, and makes the connections if they were not made yet.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    model.modes.shown = true;
    if matches!(model.modes.state, ModesState::None) {
        begin(model)
    } else {
        Vec::new()
    }
}

pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    let last = lines(&model.modes).len() - 1;
    let at = &mut model.modes.at;
    match action {
        Action::Modes | Action::Back => model.modes.shown = false,
        Action::Again if !matches!(model.modes.state, ModesState::Running) => return Some(begin(model)),
        Action::Up => at.0 = at.0.min(last).saturating_sub(1),
        Action::Down => at.0 = (at.0 + 1).min(last),
        Action::Left => at.1 = at.1.saturating_sub(1),
        Action::Right => at.1 = (at.1 + 1).min(HEADS.len() - 1),
        Action::Why => {
            let (line, cell) = chosen(&model.modes);
            let cell = cell?;
            let mut text = vec![
                title(&line, cell.meets),
                format!("Seen: {}", visible(&cell.observed)),
            ];
            text.extend(cell.evidence.iter().map(|line| format!("  {}", visible(line))));
            let name = format!("{}, {}", line.sslmode.word(), cell.meets.name());
            model.open(Popup::Why(name, text.join("\n")));
        }
        _ => return None,
    }
    Some(Vec::new())
}

fn begin(model: &mut Model) -> Vec<Effect> {
    model.modes = Modes {
        number: model.modes.number + 1,
        shown: true,
        state: ModesState::Running,
        at: model.modes.at,
        ..Modes::default()
    };
    vec![Effect::Modes(model.modes.number, super::dialled(model))]
}

/// One line of the matrix.
pub struct ModeLine<'a> {
    /// The mode.
    pub sslmode: SslMode,
    /// Whether it stands apart, as of a client without the root file that it has.
    pub is_bare: bool,
    cells: [Option<&'a Cell>; 5],
}

impl ModeLine<'_> {
    /// What came of what it met.
    pub fn met(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().copied().flatten()
    }
}

/// The lines in order; a cell that is still to come has its place.
#[must_use]
pub fn lines(modes: &Modes) -> Vec<ModeLine<'_>> {
    // Without a root file there is nothing to be without.
    let has_root = modes.cells.is_empty() || modes.cells.iter().any(|cell| cell.root_file);
    let line = |sslmode: SslMode, is_bare: bool| ModeLine {
        sslmode,
        is_bare,
        cells: Meets::ALL.map(|meets| {
            let here = |at: &&super::super::super::model::ModeCell| {
                at.sslmode == sslmode && at.cell.meets == meets && at.root_file == (has_root && !is_bare)
            };
            modes.cells.iter().find(here).map(|at| &at.cell)
        }),
    };
    let bare = LOOSE.iter().filter(|_| has_root).map(|mode| line(*mode, true));
    let modes = SslMode::ALL.iter().map(|mode| line(*mode, false));
    modes.chain(bare).collect()
}

/// The line and the cell that are looked at.
fn chosen(modes: &Modes) -> (ModeLine<'_>, Option<&Cell>) {
    let mut lines = lines(modes);
    let line = lines.swap_remove(modes.at.0.min(lines.len() - 1));
    let cell = line.cells[modes.at.1.min(HEADS.len() - 1)];
    (line, cell)
}

fn title(line: &ModeLine<'_>, meets: Meets) -> String {
    let bare = if line.is_bare { " without a root file" } else { "" };
    format!("{}{bare} meets {}", line.sslmode.word(), meets.title())
}

pub(super) fn draw(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let columns = usize::from(area.width);
    let mut page = head(model, columns);
    if !matches!(model.modes.state, ModesState::Failed(_)) {
        page.blank();
        page.append(table(model, columns));
        page.blank();
    }
    let tall = u16::try_from(page.height()).unwrap_or(u16::MAX).min(area.height);
    page.paint(canvas, Rect { height: tall, ..area });
    let below = Rect {
        y: area.y + tall,
        height: area.height - tall,
        ..area
    };
    if !matches!(model.modes.state, ModesState::Failed(_)) {
        detail(model, columns).paint(canvas, below);
    }
}

fn head(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let mut page = Page::default();
    match &model.modes.state {
        ModesState::None | ModesState::Running => {
            page.row(Row::new(vec![
                Span::styled("◐ ", theme.accent()),
                Span::styled(
                    format!("Connecting under each sslmode, {}", brief(model.modes.elapsed)),
                    theme.bold(),
                ),
            ]));
        }
        ModesState::Failed(fault) => fault_page(&mut page, theme, fault, columns),
        ModesState::Done(holds, headline) => {
            let (sign, style) = match holds {
                Some(true) => ("✓ ", theme.good()),
                Some(false) => ("✗ ", theme.bad()),
                None => ("? ", theme.warn()),
            };
            page.words(
                &format!("{sign}{}", visible(headline)),
                columns,
                0,
                style.patch(theme.bold()),
            );
        }
    }
    page
}

/// Columns of a mode's name, of the first cell and of each other.
const fn widths(columns: usize) -> [usize; 3] {
    if columns >= WIDE { [15, 14, 15] } else { [14, 9, 8] }
}

fn table(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let [name, first, rest] = widths(columns);
    let wide = |column: usize| if column == 0 { first } else { rest };
    let mut page = Page::default();
    let above = |text: &'static str| Span::styled(text, theme.dim());
    // The short word, where there is no room for the one that every other face has.
    let short = if columns >= WIDE {
        ""
    } else {
        "UNSAFE = UNPROTECTED"
    };
    page.row(Row::new(vec![
        above(short),
        Span::raw(" ".repeat(name + first - short.len())),
        above("impostors in front of it"),
    ]));
    for line in 0..2 {
        let mut spans = vec![Span::styled(
            pad(if line == 1 { "  sslmode" } else { "" }, name),
            theme.dim(),
        )];
        for (column, head) in HEADS.iter().enumerate() {
            spans.push(Span::styled(pad(head[line], wide(column)), theme.dim()));
        }
        page.row(Row::new(spans));
    }
    let here = (
        model.modes.at.0.min(lines(&model.modes).len() - 1),
        model.modes.at.1,
    );
    for (at, line) in lines(&model.modes).iter().enumerate() {
        if line.is_bare && at == SslMode::ALL.len() {
            if model.is_roomy() {
                page.blank();
            }
            page.text("  and without a root file, as most clients are:", theme.dim());
        }
        let is_here = at == here.0;
        let mut spans = vec![
            Span::styled(if is_here { "▸ " } else { "  " }, theme.accent()),
            Span::styled(
                pad(line.sslmode.word(), name - 2),
                if is_here { theme.bold() } else { Style::new() },
            ),
        ];
        for (column, cell) in line.cells.iter().enumerate() {
            let (word, style) = word(theme, *cell, columns >= WIDE);
            let style = if is_here && column == here.1 {
                style.patch(theme.cursor())
            } else {
                style
            };
            spans.push(Span::styled(word.to_owned(), style));
            spans.push(Span::raw(" ".repeat(
                wide(column).saturating_sub(super::super::super::widgets::width(word)),
            )));
        }
        page.row(Row::new(spans).hit(Target::Item(at)));
    }
    page
}

/// What came of it: whole where there is room, else in the fewest letters that say it.
fn word(theme: Theme, cell: Option<&Cell>, is_wide: bool) -> (&'static str, Style) {
    let Some(cell) = cell else {
        return ("○", theme.dim());
    };
    let (full, short, style) = match (cell.outcome, cell.meets) {
        (CellOutcome::Connects, _) => ("✓ connects", "connects", theme.good()),
        // The server's own refusal is neither good nor bad.
        (CellOutcome::Refuses, Meets::AsItIs) => ("– refuses", "refuses", Style::new()),
        (CellOutcome::Refuses, _) => ("✓ refuses", "refuses", theme.good()),
        (CellOutcome::Unprotected, _) => ("✗ UNPROTECTED", "UNSAFE", theme.bad()),
        (CellOutcome::Open, _) => ("? unknown", "?", theme.warn()),
        (CellOutcome::NotTried, _) => ("– not tried", "–", theme.dim()),
    };
    (if is_wide { full } else { short }, style)
}

/// What shows the cell that is looked at.
fn detail(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let (line, cell) = chosen(&model.modes);
    let mut page = Page::default();
    let meets = Meets::ALL[model.modes.at.1.min(HEADS.len() - 1)];
    page.words(&title(&line, meets), columns, 0, theme.bold());
    let Some(cell) = cell else {
        return page;
    };
    let style = match cell.outcome {
        CellOutcome::Unprotected => theme.bad(),
        CellOutcome::Open => theme.warn(),
        _ => Style::new(),
    };
    seen(&mut page, theme, columns, (&cell.observed, style), &cell.evidence);
    page
}
