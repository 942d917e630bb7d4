//! Writing and starting, as it happens.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::super::keymap::Action;
use super::super::message::{Effect, Failure};
use super::super::model::{Journey, JourneyState, Model};
use super::super::theme::Theme;
use super::super::widgets::{Canvas, Page, Row, brief, clip, pad, visible};
use super::Step;

/// The step.
#[derive(Debug)]
pub struct Write;

impl Step for Write {
    fn name(&self) -> &'static str {
        "write"
    }

    fn title(&self) -> &'static str {
        "Write and start"
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        if model.is_busy() || model.has_landed() || model.checked.setup.is_none() {
            return Vec::new();
        }
        begin(model)
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        match (&model.journey.state, action) {
            (JourneyState::Running, Action::Cancel) => {
                model.journey.state = JourneyState::Cancelling;
                Some(vec![Effect::Cancel])
            }
            (JourneyState::Failed(_) | JourneyState::Cancelled(_), Action::Again) => Some(begin(model)),
            _ => None,
        }
    }

    fn may_go_on(&self, model: &Model) -> bool {
        model.has_landed()
    }

    fn failed(&self, model: &Model) -> bool {
        matches!(model.journey.state, JourneyState::Failed(_))
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        let theme = canvas.theme;
        let columns = usize::from(area.width);
        let journey = &model.journey;
        let elapsed = brief(journey.elapsed);
        let (sign, style, title) = match &journey.state {
            JourneyState::None => ("○", theme.dim(), "Not begun".to_owned()),
            JourneyState::Running => ("◐", theme.accent(), format!("Under way, {elapsed}")),
            JourneyState::Cancelling => ("◐", theme.warn(), format!("Breaking off, {elapsed}")),
            JourneyState::Landed(landed) => ("✓", theme.good(), done(landed.port)),
            JourneyState::Failed(_) => ("✗", theme.bad(), "It did not work out".to_owned()),
            JourneyState::Cancelled(_) => ("○", theme.warn(), "Broken off".to_owned()),
        };
        let mut page = Page::default();
        page.row(Row::new(vec![
            Span::styled(format!("{sign} "), style),
            Span::styled(title, theme.bold()),
        ]));
        page.blank();
        parts(&mut page, theme, journey, columns);
        for note in &journey.notes {
            page.blank();
            page.pair(" !", &visible(note), columns, 3, (theme.warn(), theme.warn()));
        }
        match &journey.state {
            JourneyState::Failed(fault) => {
                page.blank();
                fault_page(&mut page, theme, fault, columns);
            }
            JourneyState::Cancelled(says) => {
                page.blank();
                page.words(&visible(says), columns, 1, Style::new());
            }
            _ => {}
        }
        let below = page.paint_above(canvas, area);
        tail(model, canvas, below);
    }
}

fn begin(model: &mut Model) -> Vec<Effect> {
    let job = model.job();
    model.journey = Journey {
        job: Some(job.clone()),
        state: JourneyState::Running,
        ..Journey::default()
    };
    vec![Effect::Up(job)]
}

fn done(port: Option<u16>) -> String {
    match port {
        Some(port) => format!("PostgreSQL runs on port {port}"),
        None => "The files are written".to_owned(),
    }
}

/// The parts of a journey, in the order in which they began.
pub fn parts(page: &mut Page, theme: Theme, journey: &Journey, columns: usize) {
    let running = matches!(journey.state, JourneyState::Running | JourneyState::Cancelling);
    let landed = matches!(journey.state, JourneyState::Landed(_));
    let last = journey.parts.len().saturating_sub(1);
    for (index, row) in journey.parts.iter().enumerate() {
        let (sign, style, says, took) = match &row.note {
            Some(note) => ("✓", theme.good(), visible(note), brief(row.took)),
            None if running && index == last => (
                "◐",
                theme.accent(),
                format!("{} …", row.part.doing()),
                String::new(),
            ),
            // A part that was passed over tells no end.
            None if index < last || landed => continue,
            None => ("✗", theme.bad(), row.part.doing().to_owned(), String::new()),
        };
        let room = columns.saturating_sub(14).min(74);
        page.row(Row::new(vec![
            Span::styled(format!(" {sign} "), style),
            Span::raw(pad(&clip(&says, room), room)),
            Span::styled(format!(" {took:>8}"), theme.dim()),
        ]));
    }
}

/// What failed, why, what to do, and what shows it.
pub fn fault_page(page: &mut Page, theme: Theme, fault: &Failure, columns: usize) {
    for (index, line) in fault.what.lines().enumerate() {
        let sign = if index == 0 { "✗" } else { "" };
        page.pair(sign, &visible(line), columns, 2, (theme.bad(), theme.bad()));
    }
    for remedy in &fault.remedies {
        page.blank();
        page.pair("  →", &visible(remedy), columns, 4, (theme.bold(), theme.bold()));
    }
    if let Some(step) = fault.step {
        let title = super::STEPS[super::place(step)].title();
        page.blank();
        page.words(
            &format!("Decided in: {title}. Press g to go there."),
            columns,
            2,
            theme.dim(),
        );
    }
    if !fault.log.is_empty() {
        page.blank();
        for line in &fault.log {
            page.pair("  log", &visible(line), columns, 6, (theme.dim(), theme.dim()));
        }
    }
}

/// The end of the server's log, as far as there is room.
fn tail(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let room = usize::from(area.height);
    if model.journey.log.is_empty() || room < 3 {
        return;
    }
    let mut page = Page::default();
    page.text("The server's log", theme.bold());
    let log = &model.journey.log;
    for line in &log[log.len().saturating_sub(room - 1)..] {
        page.text(clip(&visible(line), usize::from(area.width)), theme.dim());
    }
    page.paint(canvas, area);
}
