//! The try: written, reloaded, proven; kept by a key, or taken back by one, or by itself.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::engine::harden::promises;
use crate::harden::Stage;
use crate::plan::shell;
use crate::verify::{Group, Outcome};

use super::super::super::field::Field;
use super::super::super::harden::{AttemptState as State, Order, WITHIN, ask, begin, leave_try};
use super::super::super::keymap::Action;
use super::super::super::message::Effect;
use super::super::super::model::Model;
use super::super::super::widgets::{Canvas, Page, Row, brief, brief_clock, pad, visible};
use super::super::verify::label;
use super::super::write::{fault_page, parts};
use super::super::{Step, place};

/// The step.
#[derive(Debug)]
pub struct Attempt;

impl Step for Attempt {
    fn name(&self) -> &'static str {
        "try"
    }

    fn title(&self) -> &'static str {
        "Try"
    }

    fn shown(&self, model: &Model) -> bool {
        model.form.hardens()
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        if model.harden.attempt.state == State::None && model.harden.may_try() {
            begin(model)
        } else {
            Vec::new()
        }
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        match (&model.harden.attempt.state, action) {
            (State::Waiting(_), Action::Keep) => {
                model.harden.attempt.state = State::Keeping;
                Some(ask(model, Order::Keep))
            }
            (State::Running | State::Waiting(_), Action::Cancel) => Some(leave_try(model)),
            // By Enter alone nothing is kept: it may be one too many.
            (State::Waiting(_), Action::Continue) => {
                model.note = Some("k keeps it, Esc goes back now.".to_owned());
                Some(Vec::new())
            }
            (_, Action::Continue) if model.harden.is_trying() => Some(Vec::new()),
            (_, Action::Continue | Action::Again) => {
                Some(super::super::super::update::enter(model, place("stage")))
            }
            (_, Action::CopyCommand) => Some(vec![Effect::Copy(command(model))]),
            _ => None,
        }
    }

    fn failed(&self, model: &Model) -> bool {
        matches!(model.harden.attempt.state, State::Failed(_) | State::Back(_))
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        let columns = usize::from(area.width);
        let whole = page(model, columns, true);
        if whole.height() <= usize::from(area.height) {
            return whole.paint(canvas, area);
        }
        page(model, columns, false).paint(canvas, area);
    }
}

/// What to do about client certificates.
const KITS: &str = "The kits are in clients/ beside the books: hand them out.";

/// Whether client certificates are made here, for this stage.
fn makes_kits(model: &Model) -> bool {
    model.harden.stage.is_about_clients() && !model.form.has_client_ca()
}

/// The command line that tries the same.
#[must_use]
pub fn command(model: &Model) -> String {
    let form = &model.form;
    let mut words = vec![format!("pgtls harden{}", kit(model))];
    let conninfo = model
        .harden
        .wish
        .as_ref()
        .map(|wish| wish.conninfo.to_keyword_value())
        .unwrap_or_default();
    words.push(shell(&conninfo));
    for field in Field::ALL.into_iter().filter(|field| form.asks(*field)) {
        let spec = field.spec();
        let is_choice = spec.kind.is_choice() && !matches!(field, Field::Algorithm | Field::Auth);
        let waits = Field::OF_CLIENTS.contains(&field) && !model.harden.stage.is_about_clients();
        let is_elsewhere = form.is_requested() && field == Field::Root;
        if spec.flag.is_empty() || is_choice || waits || is_elsewhere || field == Field::Kit {
            continue;
        }
        for row in form.standing(field).iter().filter(|row| !row.trim().is_empty()) {
            words.extend([spec.flag.to_owned(), shell(row)]);
        }
    }
    if form.is_requested() {
        let here = model.harden.wish.as_ref().map(|wish| &wish.flags);
        for (flag, file) in [
            ("--server-cert", here.and_then(|flags| flags.server_cert.as_ref())),
            ("--server-key", here.and_then(|flags| flags.server_key.as_ref())),
            ("--root", here.and_then(|flags| flags.root.as_ref())),
        ] {
            words.extend(file.map(|file| format!("{flag} {}", shell(&file.to_string_lossy()))));
        }
    }
    words.extend(["--stage".to_owned(), model.harden.stage.name().to_owned()]);
    if model.harden.attempt.replacing {
        words.push("--replace-certificate".to_owned());
    }
    if model.harden.attempt.accepted {
        words.push("--accept-lockout".to_owned());
    }
    let (_, seconds) = WITHIN[model.harden.within];
    words.push(format!("--confirm-within {seconds}"));
    words.join(" ")
}

/// Where the books are, as a command names them.
fn kit(model: &Model) -> String {
    let kit = model
        .harden
        .wish
        .as_ref()
        .map(|wish| wish.kit.clone())
        .unwrap_or_default();
    if kit.as_os_str() == "." {
        String::new()
    } else {
        format!(" --dir {}", shell(&kit.to_string_lossy()))
    }
}

/// What the step shows; not `whole`: without how a stage that is kept came to be in force.
fn page(model: &Model, columns: usize, whole: bool) -> Page {
    let theme = model.theme;
    let attempt = &model.harden.attempt;
    let stage = model.harden.stage;
    let elapsed = brief(attempt.journey.elapsed);
    let (sign, style, title) = match &attempt.state {
        State::None => ("○", theme.dim(), "Not begun".to_owned()),
        State::Running => ("◐", theme.accent(), format!("Trying {stage}, {elapsed}")),
        State::Stopping => ("◐", theme.warn(), format!("Breaking off, {elapsed}")),
        State::Waiting(_) | State::WasInForce => (
            "✓",
            theme.good(),
            format!("In force and proven: {}", stage.means()),
        ),
        State::Keeping => ("◐", theme.accent(), "Keeping it".to_owned()),
        State::GoingBack => ("◐", theme.warn(), "Going back".to_owned()),
        State::Kept => ("✓", theme.good(), format!("Kept: {}", stage.means())),
        State::Back(_) => ("○", theme.warn(), format!("{stage} is not in force")),
        State::Failed(_) => ("✗", theme.bad(), format!("{stage} is not in force")),
        State::Bundled(_) => (
            "✓",
            theme.good(),
            "Written for the server's administrator".to_owned(),
        ),
    };
    let mut page = Page::default();
    page.row(Row::new(vec![
        Span::styled(format!("{sign} "), style),
        Span::styled(title, theme.bold()),
    ]));
    match &attempt.state {
        State::Waiting(left) => countdown(&mut page, model, *left, columns),
        State::Back(says) => {
            page.blank();
            page.words(&visible(says), columns, 2, Style::new());
            if makes_kits(model) {
                page.words(KITS, columns, 2, Style::new());
            }
        }
        State::Failed(fault) => {
            if let Some(is_taken_back) = attempt.is_taken_back {
                page.words(after_a_fall(is_taken_back), columns, 2, Style::new());
            }
            page.blank();
            fault_page(&mut page, theme, fault, columns);
        }
        State::Bundled(dir) => {
            page.blank();
            let says = format!("Everything is in {}: begin with RUNBOOK.md.", visible(dir));
            page.words(&says, columns, 2, Style::new());
        }
        _ => {}
    }
    if matches!(attempt.state, State::Back(_)) {
        return page;
    }
    page.blank();
    let is_over = matches!(attempt.state, State::Kept | State::WasInForce);
    if whole || !is_over {
        parts(&mut page, theme, &attempt.journey, columns);
    }
    for note in &attempt.journey.notes {
        page.pair(" !", &visible(note), columns, 3, (theme.warn(), theme.warn()));
    }
    if whole || !is_over {
        proven(&mut page, model, columns);
    }
    if is_over {
        after(&mut page, model, columns);
    }
    page
}

/// How the server is after a try that fell.
#[must_use]
pub const fn after_a_fall(is_taken_back: bool) -> &'static str {
    if is_taken_back {
        "The server's files and settings are as they were."
    } else {
        "Look at it again: the step Stage says where the server stands."
    }
}

/// The question that is answered by a key, or by nobody.
fn countdown(page: &mut Page, model: &Model, left: u64, columns: usize) {
    let theme = model.theme;
    let (_, all) = WITHIN[model.harden.within];
    let wide = u64::try_from(columns.saturating_sub(6).min(48)).unwrap_or(48);
    let full = usize::try_from(wide * left.min(all) / all.max(1)).unwrap_or(0);
    let rest = usize::try_from(wide).unwrap_or(0).saturating_sub(full);
    let time = match left {
        0..=99 => format!("{left} s"),
        _ => brief_clock(Duration::from_secs(left)),
    };
    page.blank();
    page.row(Row::new(vec![
        Span::styled("   Keep it?  ", theme.warn().patch(theme.bold())),
        Span::styled(time, theme.bold()),
    ]));
    page.row(Row::new(vec![
        Span::raw("   "),
        Span::styled("━".repeat(full), theme.warn()),
        Span::styled("─".repeat(rest), theme.dim()),
    ]));
    for (key, says) in [
        ("k", "keep it"),
        ("Esc", "go back now"),
        ("nothing", "it goes back by itself, also if this terminal is lost"),
    ] {
        page.pair(
            &format!("   {key}"),
            says,
            columns,
            13,
            (theme.bold(), Style::new()),
        );
    }
    page.words("Meanwhile, try your application.", columns, 3, theme.dim());
}

/// What was tried, and what came of it.
fn proven(page: &mut Page, model: &Model, columns: usize) {
    let theme = model.theme;
    let probes = &model.harden.attempt.probes;
    if probes.is_empty() {
        return;
    }
    page.blank();
    let title = if matches!(model.harden.attempt.state, State::Failed(_)) {
        "Tested"
    } else {
        "Proven"
    };
    page.text(title, theme.bold());
    let mut rows: Vec<(&str, Style, String)> = Vec::new();
    for id in promises(model.harden.stage) {
        // What must be refused is said to be.
        let says = match id.group() {
            Group::MustBeRefused => format!("{} refused", label(*id)),
            _ => label(*id).to_owned(),
        };
        let outcome = probes
            .iter()
            .find(|probe| probe.id == *id)
            .map(|probe| probe.outcome);
        rows.push(match outcome {
            Some(Outcome::Holds) => ("✓", theme.good(), says),
            Some(Outcome::Broken) => ("✗", theme.bad(), says),
            Some(Outcome::Open) => ("?", theme.warn(), says),
            Some(Outcome::NotTried) | None => ("○", theme.dim(), says),
        });
    }
    // The try ends well only if these held.
    if matches!(
        model.harden.attempt.state,
        State::Waiting(_) | State::Keeping | State::Kept | State::WasInForce
    ) {
        for says in ["you can log in anew", "your session goes on"] {
            rows.push(("✓", theme.good(), says.to_owned()));
        }
    }
    let half = columns.min(74) / 2;
    for two in rows.chunks(2) {
        let mut spans = Vec::new();
        for (sign, style, says) in two {
            spans.push(Span::styled(format!(" {sign} "), *style));
            spans.push(Span::raw(pad(says, half.saturating_sub(3))));
        }
        page.row(Row::new(spans));
    }
}

/// What to do from here.
fn after(page: &mut Page, model: &Model, columns: usize) {
    let theme = model.theme;
    let kit = kit(model);
    page.blank();
    let mut say = |name: &str, says: &str| {
        page.pair(name, says, columns, 10, (theme.bold(), Style::new()));
    };
    if makes_kits(model) {
        say("Kits", KITS);
    }
    if model.harden.attempt.state == State::Kept {
        say("Undo", &format!("pgtls undo{kit}"));
    }
    let next = Stage::CHOICES
        .into_iter()
        .find(|stage| *stage > model.harden.stage);
    match next {
        Some(next) => say("Next", &format!("{next}: {}", next.means())),
        None => say("Next", "nothing is left to do"),
    }
    say("The same", &visible(&command(model)));
}
