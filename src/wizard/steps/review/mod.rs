//! Every file before it is written, and why each line is there.

mod explain;
mod files;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::apply::Action as Change;

use super::super::keymap::Action;
use super::super::message::Effect;
use super::super::model::Model;
use super::super::review::{Preview, State};
use super::super::widgets::{Canvas, Page};
use super::Step;
use explain::{decided_by, explain, why_page};
pub use files::{files, walk};

/// The step.
#[derive(Debug)]
pub struct Review;

impl Step for Review {
    fn name(&self) -> &'static str {
        "review"
    }

    fn title(&self) -> &'static str {
        "Review"
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        let job = model.job();
        if model.checked.setup.is_none() {
            model.review.job = None;
            model.review.state = State::None;
            return Vec::new();
        }
        let same = model.review.job.as_ref() == Some(&job);
        if same && matches!(model.review.state, State::Ready(_) | State::Pending) && !model.has_landed() {
            return Vec::new();
        }
        model.review.number += 1;
        model.review.job = Some(job.clone());
        model.review.state = State::Pending;
        vec![Effect::Preview(model.review.number, job)]
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        if walk(&mut model.review, action)? {
            return Some(Vec::new());
        }
        match action {
            Action::Why => explain(model),
            Action::Decided => {
                let at = decided_by(model)?;
                return Some(super::super::update::jump(model, at));
            }
            Action::Save => return Some(vec![Effect::Save(model.job())]),
            _ => return None,
        }
        Some(Vec::new())
    }

    fn may_go_on(&self, model: &Model) -> bool {
        model.review.preview().is_some()
    }

    fn failed(&self, model: &Model) -> bool {
        matches!(model.review.state, State::Failed(_))
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        let theme = canvas.theme;
        let columns = usize::from(area.width);
        let mut page = Page::default();
        match &model.review.state {
            State::Ready(preview) => return ready(model, preview, canvas, area),
            State::Pending => {
                page.text(
                    "◐ Making keys and certificates, to show what would be written …",
                    theme.bold(),
                );
                page.blank();
                page.words(
                    "Nothing is written yet. An RSA key of 4096 bits takes a few seconds.",
                    columns,
                    0,
                    theme.dim(),
                );
            }
            State::Failed(fault) => super::write::fault_page(&mut page, theme, fault, columns),
            State::None => {
                page.text("✗ Some answers are not right yet", theme.bad());
                page.blank();
                for fault in &model.checked.faults {
                    page.words(
                        &format!(
                            "{}: {}; {}",
                            fault.field.spec().label,
                            fault.problem.reason,
                            fault.problem.remedy
                        ),
                        columns,
                        2,
                        Style::new(),
                    );
                }
            }
        }
        page.paint(canvas, area);
    }
}

/// What happens to a file, in a word.
#[must_use]
pub fn word(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Changed => "changed",
        Change::Mode => "mode",
        Change::Kept => "kept",
        Change::Removed => "removed",
    }
}

fn headline(preview: &Preview) -> String {
    let [new, changed, removed, kept] = preview.counts();
    let parts: Vec<_> = [
        (new, "new"),
        (changed, "changed"),
        (removed, "removed"),
        (kept, "kept as they are"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    let port = preview
        .port
        .map_or_else(String::new, |port| format!(" Port {port}."));
    format!("Files: {}.{port} Nothing is written yet.", parts.join(", "))
}

fn ready(model: &Model, preview: &Preview, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let mut head = Page::default();
    head.words(&headline(preview), usize::from(area.width), 0, theme.bold());
    let body = head.paint_above(canvas, area);
    files(&model.review, &|columns| why_page(model, columns), canvas, body);
}
