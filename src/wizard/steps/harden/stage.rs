//! Where the server stands, and which stage comes next.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::engine::harden::{Standing, hindrances};
use crate::harden::Stage;

use super::super::super::harden::{Found, LENGTHS, Looked, Order, WatchState, ask, look, watch};
use super::super::super::keymap::Action;
use super::super::super::message::{Effect, Target};
use super::super::super::model::Model;
use super::super::super::widgets::{Canvas, Page, Row, brief, brief_clock, clip, pad, visible, width, wrap};
use super::super::Step;
use super::super::write::fault_page;
use super::about;

/// Columns of the table of stages: what belongs together stands together.
const WIDEST: usize = 78;

/// The step.
#[derive(Debug)]
pub struct Stages;

impl Step for Stages {
    fn name(&self) -> &'static str {
        "stage"
    }

    fn title(&self) -> &'static str {
        "Stage"
    }

    fn shown(&self, model: &Model) -> bool {
        model.form.hardens()
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        look(model, false)
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        let harden = &mut model.harden;
        if harden.is_watching() {
            return match action {
                Action::Cancel => {
                    harden.watch.state = WatchState::Ending;
                    Some(ask(model, Order::Stop))
                }
                Action::Up | Action::Down | Action::Less | Action::More | Action::Continue => {
                    Some(Vec::new())
                }
                _ => None,
            };
        }
        match action {
            Action::Again => Some(look(model, true)),
            Action::Up | Action::Down => {
                harden.found()?;
                let at = place_of(harden.stage);
                let to = if action == Action::Up {
                    at.saturating_sub(1)
                } else {
                    (at + 1).min(Stage::CHOICES.len() - 1)
                };
                harden.stage = Stage::CHOICES[to];
                Some(Vec::new())
            }
            Action::Less => {
                harden.length = harden.length.saturating_sub(1);
                Some(Vec::new())
            }
            Action::More => {
                harden.length = (harden.length + 1).min(LENGTHS.len() - 1);
                Some(Vec::new())
            }
            Action::Continue if harden.found().is_some() && harden.stage == Stage::Watch => {
                Some(watch(model))
            }
            _ => None,
        }
    }

    fn may_go_on(&self, model: &Model) -> bool {
        let harden = &model.harden;
        harden.found().is_some() && harden.stage != Stage::Watch && !harden.is_watching()
    }

    fn failed(&self, model: &Model) -> bool {
        matches!(model.harden.looked, Looked::Failed(_))
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        let theme = canvas.theme;
        let columns = usize::from(area.width);
        let mut page = Page::default();
        match &model.harden.looked {
            Looked::None | Looked::Running => {
                page.row(Row::new(vec![
                    Span::styled("◐ ", theme.accent()),
                    Span::styled(
                        format!("Looking at the server, {}", brief(model.harden.elapsed)),
                        theme.bold(),
                    ),
                ]));
                page.blank();
                page.words("Only reading; nothing is changed.", columns, 2, theme.dim());
            }
            Looked::Failed(fault) => fault_page(&mut page, theme, fault, columns),
            Looked::Ready(found) => {
                page.append(survey(model, found, columns));
                page.blank();
                page.append(stages(model, found, columns.min(WIDEST)));
                page.blank();
                let is_next = found.next == Some(model.harden.stage);
                if is_next && matches!(model.harden.watch.state, WatchState::None) {
                    page.words(model.harden.stage.why_next(), columns, 0, Style::new());
                }
                if model.harden.stage == Stage::Watch {
                    page.append(watching(model, columns));
                } else {
                    page.words(about(model.harden.stage), columns, 0, theme.dim());
                    if matches!(model.harden.watch.state, WatchState::Done) {
                        page.blank();
                        page.append(watching(model, columns));
                    }
                }
            }
        }
        page.paint(canvas, area);
    }
}

fn place_of(stage: Stage) -> usize {
    Stage::CHOICES
        .iter()
        .position(|other| *other == stage)
        .unwrap_or(0)
}

/// What was found, in short.
fn survey(model: &Model, found: &Found, columns: usize) -> Page {
    let theme = model.theme;
    let mut page = Page::default();
    let tls = if found.tls { "TLS is on" } else { "TLS is off" };
    page.text(format!("PostgreSQL {}, {tls}", found.version), theme.bold());
    let styles = (theme.dim(), Style::new());
    let [conf, hba] = &found.files;
    page.pair("Its files", &format!("{conf}, {hba}"), columns, 13, styles);
    if let Some(account) = &found.account {
        let says = format!("as the account {account}: over its socket the server goes by accounts (peer)");
        page.pair("Logged in", &says, columns, 13, styles);
    }
    if let Some(why) = &found.out_of_reach {
        let says = format!(
            "{why}. Settings may go over SQL; for the rest, what its administrator needs is written."
        );
        page.pair("Out of reach", &says, columns, 13, (theme.warn(), theme.warn()));
    }
    if let Some(unread) = &found.unread {
        page.pair("Not read", unread, columns, 13, (theme.warn(), theme.warn()));
    }
    let without = match &found.plaintext[..] {
        [] => "nobody is in without TLS now".to_owned(),
        [first] => first.clone(),
        [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
    };
    page.pair("Without TLS", &without, columns, 13, styles);
    page
}

/// Its name where an option of the command line would be too much.
const fn label(stage: Stage) -> &'static str {
    match stage {
        Stage::Ask => "ask",
        stage => stage.name(),
    }
}

/// The stages: what is in force, what comes next, whom each would turn away.
fn stages(model: &Model, found: &Found, columns: usize) -> Page {
    let theme = model.theme;
    let harden = &model.harden;
    let mut page = Page::default();
    for (place, stage) in Stage::CHOICES.into_iter().enumerate() {
        let standing = harden.standing(stage);
        let done = standing.is_some_and(Standing::is_done);
        let is_next = found.next == Some(stage);
        let refused = standing.map_or((0, 0), |row| (row.would_refuse, row.may_refuse));
        let is_stuck = standing.is_some_and(|row| row.hindrance.is_some());
        let says = match (done, refused, is_next) {
            (true, ..) => "done".to_owned(),
            _ if is_stuck => "stuck".to_owned(),
            (_, (would @ 1.., _), _) => format!("would refuse {would}"),
            (_, (0, may @ 1..), _) => format!("may refuse {may}"),
            (_, _, true) => "next".to_owned(),
            _ => String::new(),
        };
        let style = match (done, refused) {
            (true, _) => theme.good(),
            _ if is_stuck => theme.warn(),
            (_, (1.., _) | (_, 1..)) => theme.warn(),
            _ => theme.accent(),
        };
        let here = stage == harden.stage;
        let sign = if here { "▸ " } else { "  " };
        let done = if done { "✓ " } else { "○ " };
        let room = columns.saturating_sub(13 + width(&says) + 2);
        let text = if here { theme.accent() } else { Style::new() };
        let dim = if here { Style::new() } else { theme.dim() };
        let mut means = wrap(stage.means(), room).into_iter();
        page.row(
            Row::new(vec![
                Span::styled(sign, theme.accent()),
                Span::styled(done, if done == "✓ " { theme.good() } else { theme.dim() }),
                Span::styled(pad(label(stage), 9), text),
                Span::styled(pad(&means.next().unwrap_or_default(), room), dim),
                Span::raw("  "),
                Span::styled(says, style),
            ])
            .hit(Target::Item(place))
            .focus(here),
        );
        for rest in means {
            let row = Row::new(vec![Span::raw(" ".repeat(13)), Span::styled(rest, dim)]);
            page.row(row.hit(Target::Item(place)));
        }
    }
    for (stages, hindrance) in hindrances(&found.standing) {
        let stages: Vec<_> = stages.into_iter().map(Stage::name).collect();
        let says = format!(
            "In the way of {}: {}",
            stages.join(", "),
            visible(&hindrance.what)
        );
        page.words(&says, columns, 2, theme.warn());
        for remedy in &hindrance.remedies {
            page.words(&visible(remedy), columns, 4, theme.dim());
        }
    }
    page
}

/// Who comes in without TLS, while it is watched and after.
fn watching(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let harden = &model.harden;
    let watch = &harden.watch;
    let (length, seconds) = LENGTHS[harden.length];
    let mut page = Page::default();
    let head = match &watch.state {
        WatchState::None => {
            page.row(Row::new(vec![
                Span::raw("Watch for  "),
                Span::styled(format!("‹ {length} ›"), theme.accent()),
            ]));
            page.words(about(Stage::Watch), columns, 0, theme.dim());
            return page;
        }
        WatchState::Running => format!(
            "◐ Watching, {} of {}, looked {} times",
            brief_clock(harden.elapsed),
            brief_clock(std::time::Duration::from_secs(seconds)),
            watch.looks
        ),
        WatchState::Ending => "◐ Ending; what was seen is kept".to_owned(),
        WatchState::Done => "✓ Watched; seen without TLS, now and before".to_owned(),
        WatchState::Failed(fault) => {
            fault_page(&mut page, theme, fault, columns);
            return page;
        }
    };
    page.text(head, theme.bold());
    if watch.seen.is_empty() {
        page.text("   nobody without TLS", theme.good());
    }
    for who in &watch.seen {
        page.text(clip(&format!("   {}", visible(who)), columns), theme.warn());
    }
    if matches!(watch.state, WatchState::Done) {
        page.words(&watch.reach, columns, 0, theme.dim());
    }
    page
}
