//! When keys act: what there is to act on, as the model has it.

use crate::harden::Stage;

use super::super::field::Kind;
use super::super::harden::{AttemptState, Looked};
use super::super::lesson::view::is_scrolled;
use super::super::lesson::{Lesson, Part, Stage as Staging};
use super::super::model::{JourneyState, Model, ModesState, Popup, ProofState};
use super::super::review::{Review, State};
use super::super::steps::{may_be_mended, place, ways};

pub const fn open(model: &Model) -> bool {
    model.popup.is_none() && model.lesson.is_none()
}

pub const fn in_lesson(model: &Model) -> bool {
    model.popup.is_none() && model.lesson.is_some()
}

fn lesson(model: &Model, holds: impl Fn(&Lesson) -> bool) -> bool {
    in_lesson(model) && model.lesson.as_ref().is_some_and(holds)
}

/// The stage stands, and what is said first may be left behind.
pub fn introduced(model: &Model) -> bool {
    lesson(model, |lesson| lesson.is_ready() && lesson.part == Part::Intro)
}

/// There is more of what is said first than the screen has room for.
pub fn intro_goes_on(model: &Model) -> bool {
    lesson(model, |lesson| {
        lesson.part == Part::Intro && is_scrolled(lesson, model.size, model.theme)
    })
}

/// A scene is on the screen.
pub fn playing(model: &Model) -> bool {
    lesson(model, |lesson| {
        lesson.is_ready() && !matches!(lesson.part, Part::Intro | Part::Leaving)
    })
}

pub fn acting(model: &Model) -> bool {
    lesson(model, |lesson| lesson.part == Part::Acting)
}

pub fn act_ended(model: &Model) -> bool {
    lesson(model, |lesson| lesson.part == Part::ActEnded)
}

pub fn scene_follows(model: &Model) -> bool {
    lesson(model, |lesson| {
        lesson.part == Part::SceneEnded && !lesson.is_last()
    })
}

pub fn scene_before(model: &Model) -> bool {
    playing(model) && lesson(model, Lesson::has_before)
}

pub fn is_big(model: &Model) -> bool {
    playing(model) && lesson(model, |lesson| lesson.big)
}

pub fn not_staged(model: &Model) -> bool {
    lesson(model, |lesson| matches!(lesson.stage, Staging::Failed(_)))
}

/// Back to the wizard, where that is there.
pub fn beside_wizard(model: &Model) -> bool {
    lesson(model, |lesson| !lesson.alone)
}

/// The lesson cannot be on beside a journey that runs.
pub fn at_the_start(model: &Model) -> bool {
    on(model, "start") && !model.is_busy()
}

/// Keys that are letters act where no text is typed.
pub fn free(model: &Model) -> bool {
    open(model) && !model.is_typing()
}

pub fn choosing(model: &Model) -> bool {
    open(model)
        && model
            .focused()
            .is_some_and(|field| matches!(field.spec().kind, Kind::Choice(_)))
}

pub fn several(model: &Model) -> bool {
    open(model) && model.asked().len() > 1
}

pub fn in_list(model: &Model) -> bool {
    model.is_typing()
        && model
            .focused()
            .is_some_and(|field| field.spec().kind == Kind::List)
}

pub fn suggests(model: &Model) -> bool {
    model.is_typing()
        && model.editor.value().is_empty()
        && model
            .focused()
            .is_some_and(|field| model.suggestion(field).is_some())
}

fn on(model: &Model, step: &str) -> bool {
    free(model) && model.at == place(step)
}

pub fn faulty(model: &Model) -> bool {
    free(model) && model.fault().is_some_and(|fault| fault.step.is_some())
}

pub fn in_review(model: &Model) -> bool {
    on(model, "review") && model.review.preview().is_some()
}

pub fn running(model: &Model) -> bool {
    on(model, "write") && matches!(model.journey.state, JourneyState::Running)
}

pub fn stuck(model: &Model) -> bool {
    on(model, "write")
        && matches!(
            model.journey.state,
            JourneyState::Failed(_) | JourneyState::Cancelled(_)
        )
}

fn on_proof(model: &Model) -> bool {
    on(model, "verify") && !model.modes.shown
}

pub fn on_modes(model: &Model) -> bool {
    on(model, "verify") && model.modes.shown
}

pub fn has_modes(model: &Model) -> bool {
    on_modes(model) && !matches!(model.modes.state, ModesState::Failed(_))
}

pub fn compared(model: &Model) -> bool {
    on_modes(model) && !matches!(model.modes.state, ModesState::Running)
}

pub fn may_compare(model: &Model) -> bool {
    on_proof(model) && matches!(model.proof.state, ProofState::Done(_) | ProofState::Failed(_))
}

pub fn proven(model: &Model) -> bool {
    let busy =
        matches!(model.proof.state, ProofState::Running) || matches!(model.modes.state, ModesState::Running);
    on_proof(model) && !busy
}

pub fn waiting(model: &Model) -> bool {
    on_proof(model) && matches!(model.proof.state, ProofState::None)
}

pub fn mendable(model: &Model) -> bool {
    on_proof(model) && may_be_mended(model)
}

pub fn probing(model: &Model) -> bool {
    on_proof(model) && !model.proof.probes.is_empty()
}

pub fn may_go_on(model: &Model) -> bool {
    open(model) && model.step().may_go_on(model) && model.next_step().is_some()
}

pub fn at_the_end(model: &Model) -> bool {
    open(model) && model.next_step().is_none()
}

pub fn may_go_back(model: &Model) -> bool {
    open(model) && model.at > 0
}

pub fn may_explain(model: &Model) -> bool {
    open(model) && (model.focused().is_some() || in_review(model) || probing(model))
}

/// A window that says more than fits may be scrolled.
pub const fn windowed(model: &Model) -> bool {
    matches!(model.popup, Some(Popup::Help | Popup::Why(..) | Popup::Asked(..)))
}

pub const fn asking(model: &Model) -> bool {
    matches!(model.popup, Some(Popup::Leave(_) | Popup::Asked(..)))
}

pub const fn reading(model: &Model) -> bool {
    matches!(model.popup, Some(Popup::Help | Popup::Why(..)))
}

pub const fn always(_: &Model) -> bool {
    true
}

/// The files that are walked through on this step.
fn walked(model: &Model) -> Option<&Review> {
    let review = if model.at == place("plan") {
        &model.harden.plan.review
    } else {
        &model.review
    };
    let is_there = review.preview().is_some_and(|preview| !preview.files.is_empty());
    (is_there && (on(model, "review") || on(model, "plan"))).then_some(review)
}

pub fn in_files(model: &Model) -> bool {
    walked(model).is_some_and(|review| !review.inside)
}

pub fn in_lines(model: &Model) -> bool {
    walked(model).is_some_and(|review| review.inside)
}

pub const fn unseen(model: &Model) -> bool {
    matches!(model.popup, Some(Popup::Password(..)))
}

pub fn looked(model: &Model) -> bool {
    let looked = &model.harden.looked;
    on(model, "stage")
        && !model.harden.is_watching()
        && matches!(looked, Looked::Ready(_) | Looked::Failed(_))
}

pub fn on_stages(model: &Model) -> bool {
    looked(model) && model.harden.found().is_some()
}

pub fn may_watch(model: &Model) -> bool {
    on_stages(model) && model.harden.stage == Stage::Watch
}

pub fn watching(model: &Model) -> bool {
    on(model, "stage") && model.harden.is_watching()
}

pub fn planned(model: &Model) -> bool {
    on(model, "plan") && model.harden.plan.review.preview().is_some()
}

pub fn may_accept(model: &Model) -> bool {
    let facts = &model.harden.plan.facts;
    planned(model) && (facts.turns_away.is_some() || facts.replaces.is_some())
}

pub fn may_try(model: &Model) -> bool {
    planned(model) && model.harden.may_try()
}

/// What would be tried waits to be kept.
pub fn has_time(model: &Model) -> bool {
    planned(model) && model.harden.plan.waits()
}

/// Out of reach: it is written for the server's administrator.
pub fn may_bundle(model: &Model) -> bool {
    may_try(model) && model.harden.plan.facts.out_of_reach.is_some()
}

pub fn plan_failed(model: &Model) -> bool {
    on(model, "plan") && matches!(model.harden.plan.review.state, State::Failed(_))
}

pub fn waiting_to_keep(model: &Model) -> bool {
    on(model, "try") && matches!(model.harden.attempt.state, AttemptState::Waiting(_))
}

pub fn trying(model: &Model) -> bool {
    on(model, "try") && model.harden.attempt.state == AttemptState::Running
}

pub fn undecided(model: &Model) -> bool {
    on(model, "try") && model.harden.is_trying()
}

pub fn tried(model: &Model) -> bool {
    on(model, "try") && !model.harden.is_trying()
}

pub fn connecting(model: &Model) -> bool {
    on(model, "connect") && !ways(model).is_empty()
}

pub fn explaining_free(model: &Model) -> bool {
    may_explain(model) && free(model)
}
