//! What a stage would change, and whom it would turn away, before anything is written.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::harden::Stage;

use super::super::super::harden::{WITHIN, propose};
use super::super::super::keymap::Action;
use super::super::super::message::Effect;
use super::super::super::model::{Model, Popup};
use super::super::super::review::{Preview, State};
use super::super::super::widgets::{Canvas, Page, Row, visible, width, wrap};
use super::super::Step;
use super::super::review::{files, walk};
use super::super::write::fault_page;
use super::about;

/// Sentences about who would be turned away that stand on the screen; the window of `w` has all.
const MOST: usize = 2;

/// The step.
#[derive(Debug)]
pub struct Plan;

impl Step for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn title(&self) -> &'static str {
        "Plan"
    }

    fn shown(&self, model: &Model) -> bool {
        model.form.hardens()
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        if model.harden.is_trying() {
            return Vec::new();
        }
        propose(model)
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        let harden = &mut model.harden;
        if walk(&mut harden.plan.review, action) == Some(true) {
            return Some(Vec::new());
        }
        match action {
            Action::Again => return Some(propose(model)),
            Action::Accept => harden.plan.accept(),
            Action::Less => harden.within = harden.within.saturating_sub(1),
            Action::More => harden.within = (harden.within + 1).min(WITHIN.len() - 1),
            Action::Why => {
                let text = everybody(model);
                model.open(Popup::Why("What it does, and to whom".to_owned(), text));
            }
            Action::Continue if harden.plan.asks().is_some() => {
                let note = if harden.plan.facts.replaces.is_some() && !harden.plan.replacing {
                    "The certificate in force would be replaced: a accepts that, Esc goes back."
                } else {
                    "Somebody would be turned away: a accepts that, Esc goes back to watch for longer."
                };
                model.note = Some(note.to_owned());
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    fn may_go_on(&self, model: &Model) -> bool {
        model.harden.may_try()
    }

    fn failed(&self, model: &Model) -> bool {
        matches!(model.harden.plan.review.state, State::Failed(_))
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        let theme = canvas.theme;
        let columns = usize::from(area.width);
        let review = &model.harden.plan.review;
        let mut page = Page::default();
        match &review.state {
            State::Ready(_) => page = head(model, columns),
            State::None | State::Pending => {
                page.text("◐ Working out what changes, and for whom …", theme.bold());
                page.blank();
                page.words("Nothing is written yet.", columns, 2, theme.dim());
            }
            State::Failed(fault) => fault_page(&mut page, theme, fault, columns),
        }
        let below = page.paint_above(canvas, area);
        if review.preview().is_some_and(|preview| !preview.files.is_empty()) {
            files(review, &|_| Page::default(), canvas, below);
        }
    }
}

/// Everybody whom it would turn away, and what it means for them.
fn everybody(model: &Model) -> String {
    let facts = &model.harden.plan.facts;
    let mut text = vec![about(model.harden.stage).to_owned()];
    for (title, who) in [
        ("Would be refused:", &facts.refused),
        ("Cannot be told:", &facts.unsure),
    ] {
        if !who.is_empty() {
            text.extend([String::new(), title.to_owned()]);
            for who in who {
                text.push(format!("· {}", visible(&who.says)));
                text.extend(who.more.iter().map(|more| visible(more)));
            }
        }
    }
    if !facts.notes.is_empty() {
        text.extend([String::new(), "Beside the files:".to_owned()]);
        text.extend(facts.notes.iter().map(|note| format!("· {}", visible(note))));
    }
    text.join("\n")
}

fn head(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let harden = &model.harden;
    let facts = &harden.plan.facts;
    let stage = harden.stage;
    let mut page = Page::default();
    let [new, changed, ..] = harden.plan.review.preview().map_or([0; 4], Preview::counts);
    // What is no file has no mode: it is a setting.
    let is_sql = harden
        .plan
        .review
        .preview()
        .is_some_and(|preview| preview.files.iter().any(|file| file.mode == 0));
    let what = match (new, changed) {
        (0, 0) => "Its files say all of it already; it is only proven.".to_owned(),
        (0, 1) if is_sql => "1 setting, by ALTER SYSTEM. Nothing is written yet.".to_owned(),
        (0, many) if is_sql => format!("{many} settings, by ALTER SYSTEM. Nothing is written yet."),
        (0, changed) => format!("Files: {changed} changed. Nothing is written yet."),
        (new, 0) => format!("Files: {new} new. Nothing is written yet."),
        (new, changed) => format!("Files: {new} new, {changed} changed. Nothing is written yet."),
    };
    page.words(
        &format!("{stage}: {}. {what}", stage.means()),
        columns,
        0,
        theme.bold(),
    );
    for note in &facts.notes {
        page.pair(
            " ·",
            &begun(note, columns.saturating_sub(3)),
            columns,
            3,
            (theme.dim(), theme.dim()),
        );
    }
    if let Some(why) = &facts.out_of_reach {
        let says = format!("{why}. Enter writes what its administrator needs.");
        page.pair(" !", &says, columns, 3, (theme.warn(), theme.warn()));
    }
    impact(model, &mut page, columns);
    if harden.plan.waits() {
        let (within, _) = WITHIN[harden.within];
        page.row(Row::new(vec![
            Span::styled("   Goes back unless kept within  ", theme.dim()),
            Span::styled(format!("‹ {within} ›"), theme.accent()),
        ]));
    }
    page
}

/// The beginning of a long note: the files must not be pushed off the screen.
fn begun(note: &str, columns: usize) -> String {
    const END: &str = " … w: all";
    let lines = wrap(note, columns);
    match lines.as_slice() {
        [first, second, _, ..] => {
            // As many of its words as there is room for.
            let second = wrap(second, columns.saturating_sub(width(END))).swap_remove(0);
            format!("{first} {second}{END}")
        }
        _ => note.to_owned(),
    }
}

fn impact(model: &Model, page: &mut Page, columns: usize) {
    let theme = model.theme;
    let plan = &model.harden.plan;
    let facts = &plan.facts;
    for (sign, who, style) in [
        ("✗", &facts.refused, theme.bad()),
        ("?", &facts.unsure, theme.warn()),
    ] {
        for who in who.iter().take(MOST) {
            page.pair(
                &format!(" {sign}"),
                &visible(&who.says),
                columns,
                3,
                (style, Style::new()),
            );
        }
        if who.len() > MOST {
            let more = format!("and {} more kinds: w shows all", who.len() - MOST);
            page.pair(&format!(" {sign}"), &more, columns, 3, (style, Style::new()));
        }
    }
    if let Some(why) = &facts.replaces {
        let (sign, says) = if plan.replacing {
            ("[x]", "accepted: it is replaced")
        } else {
            ("[ ]", "a accepts that")
        };
        page.pair(
            &format!("   {sign}"),
            &format!("{why}; {says}"),
            columns,
            7,
            (theme.bold(), theme.warn()),
        );
    }
    if let Some(why) = &facts.turns_away {
        let (sign, says) = if plan.accepted {
            ("[x]", "accepted: it is tried all the same")
        } else {
            ("[ ]", "a accepts that, and tries it all the same")
        };
        page.pair(
            &format!("   {sign}"),
            &format!("{why}; {says}"),
            columns,
            7,
            (theme.bold(), theme.warn()),
        );
    } else if facts.refused.is_empty() && facts.unsure.is_empty() {
        let says = match (facts.looked_at, model.harden.stage) {
            (_, Stage::On | Stage::Watch) => "Nobody is turned away.".to_owned(),
            (0, _) => "Nobody else was seen yet: watch first, unless you know who comes in.".to_owned(),
            (1, _) => "The one kind of session that was seen would still come in.".to_owned(),
            (many, _) => format!("All {many} kinds of sessions that were seen would still come in."),
        };
        let (sign, style) = if facts.looked_at == 0 && model.harden.stage != Stage::On {
            (" !", theme.warn())
        } else {
            (" ✓", theme.good())
        };
        page.pair(sign, &says, columns, 3, (style, Style::new()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_takes_two_lines_and_says_where_the_rest_is() {
        for columns in [37, 54, 90] {
            let note =
                "the certificate in force is put aside for one of the project's CA, so that ".repeat(6);
            let shown = begun(&note, columns);
            assert_eq!(wrap(&shown, columns).len(), 2, "{shown}");
            assert!(shown.ends_with("w: all"), "{shown}");
            assert_eq!(begun("made the CA", columns), "made the CA");
        }
    }
}
