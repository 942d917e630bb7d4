//! What is said on the way to a hardened server. Pure.

use crate::engine::harden::{Standing, hindrances, promises};
use crate::harden::Stage;
use crate::pki::printable;

use super::super::harden::{AttemptState, Found, Looked, Message, WITHIN, WatchState};
use super::super::message::Message as Happens;
use super::super::model::Model;
use super::super::review::State;
use super::super::steps::{about_stage, after_a_fall, change_word, harden_command};
use super::say::failure;

/// What failed on this step.
pub(super) fn failed(model: &Model) -> Vec<String> {
    match (&model.harden.looked, &model.harden.plan.review.state) {
        (Looked::Failed(fault), _) | (_, State::Failed(fault)) => failure(fault),
        _ => Vec::new(),
    }
}

/// Where the server stands.
pub(super) fn stages(model: &Model) -> Vec<String> {
    let Some(found) = model.harden.found() else {
        return Vec::new();
    };
    let mut says = survey(found);
    says.push(String::new());
    for (at, stage) in Stage::CHOICES.into_iter().enumerate() {
        let standing = model.harden.standing(stage);
        let done = if standing.is_some_and(Standing::is_done) {
            " It is in the server's files already."
        } else {
            ""
        };
        let is_stuck = standing.is_some_and(|row| row.hindrance.is_some());
        let next = if found.next == Some(stage) && !is_stuck {
            format!(" This comes next. {}", stage.why_next())
        } else {
            String::new()
        };
        let sessions = |count, fate: &str| match count {
            0 => String::new(),
            1 => format!(" 1 session that was seen {fate} be refused."),
            many => format!(" {many} sessions that were seen {fate} be refused."),
        };
        let refused = standing.map_or_else(String::new, |row| {
            sessions(row.would_refuse, "would") + &sessions(row.may_refuse, "may")
        });
        says.push(format!(
            "{}. {stage}: {}.{done}{next}{refused}",
            at + 1,
            stage.means()
        ));
    }
    for (stages, hindrance) in hindrances(&found.standing) {
        let stages: Vec<_> = stages.into_iter().map(Stage::name).collect();
        says.push(format!(
            "In the way of {}: {}.",
            stages.join(", "),
            printable(&hindrance.what)
        ));
        says.extend(
            hindrance
                .remedies
                .iter()
                .map(|remedy| format!("  {}.", printable(remedy))),
        );
    }
    says
}

fn survey(found: &Found) -> Vec<String> {
    let tls = if found.tls { "on" } else { "off" };
    let [conf, hba] = &found.files;
    let mut says = vec![
        format!("PostgreSQL {}, TLS is {tls}.", found.version),
        format!("Its files: {conf}, {hba}."),
    ];
    says.extend(found.account.iter().map(|account| {
        format!("Logged in as the account {account}: over its socket the server goes by accounts (peer).")
    }));
    says.extend(
        found
            .out_of_reach
            .iter()
            .map(|why| format!("They are out of reach: {why}.")),
    );
    says.extend(found.unread.clone());
    if found.plaintext.is_empty() {
        says.push("Nobody is in without TLS now.".to_owned());
    }
    says.extend(
        found
            .plaintext
            .iter()
            .map(|who| format!("Without TLS now: {}.", printable(who))),
    );
    says
}

/// What a watch saw.
pub(super) fn watched(model: &Model) -> Vec<String> {
    let watch = &model.harden.watch;
    match &watch.state {
        WatchState::Failed(fault) => failure(fault),
        _ if watch.seen.is_empty() => {
            vec!["Nobody was seen without TLS.".to_owned(), watch.reach.clone()]
        }
        _ => {
            let seen = watch.seen.iter();
            seen.map(|who| format!("Seen without TLS: {}.", printable(who)))
                .chain([watch.reach.clone()])
                .collect()
        }
    }
}

/// What a stage would change, and whom it would turn away.
pub(super) fn plan(model: &Model) -> Vec<String> {
    let harden = &model.harden;
    let facts = &harden.plan.facts;
    let stage = harden.stage;
    let mut says = vec![format!("{stage}: {}. {}", stage.means(), about_stage(stage))];
    says.extend(facts.notes.iter().map(|note| format!("Note: {note}")));
    let files = harden
        .plan
        .review
        .preview()
        .map_or(&[][..], |preview| &preview.files);
    for (at, file) in files.iter().enumerate() {
        says.push(format!(
            "{}. {}, {}.",
            at + 1,
            file.path,
            change_word(file.action)
        ));
    }
    if files.is_empty() {
        says.push("The server's files say all of it already; it is only proven.".to_owned());
    }
    for (title, met) in [
        ("Would be refused", &facts.refused),
        ("Cannot be told", &facts.unsure),
    ] {
        for met in met {
            says.push(format!("{title}: {}.", printable(&met.says)));
            says.extend(met.more.iter().map(|more| format!("  {}.", printable(more))));
        }
    }
    if facts.refused.is_empty() && facts.unsure.is_empty() {
        says.push(match facts.looked_at {
            0 => "Nobody else was seen yet.".to_owned(),
            _ => "Nobody who was seen would be turned away.".to_owned(),
        });
    }
    says.extend(facts.out_of_reach.iter().map(|why| {
        format!(
            "The server's files are out of reach: {why}. What its administrator needs is written instead."
        )
    }));
    says
}

/// What can be done about it.
pub(super) fn plan_prompt(model: &Model) -> String {
    let plan = &model.harden.plan;
    let (within, _) = WITHIN[model.harden.within];
    let enter = match plan.asks() {
        Some(why) => format!("{why}: \"accept\" accepts that"),
        None if plan.facts.out_of_reach.is_some() => "Enter writes it".to_owned(),
        None => format!("Enter tries it, and it goes back unless kept within {within}"),
    };
    format!("{enter}. A number reads a change; \"shorter\", \"longer\" set the time; \"back\": ")
}

/// One change, line by line.
pub(super) fn change(model: &Model, number: &str) -> Vec<String> {
    let files = model
        .harden
        .plan
        .review
        .preview()
        .map_or(&[][..], |preview| &preview.files);
    let place = number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    match place.and_then(|place| files.get(place)) {
        None => vec![format!("There are changes 1 to {}.", files.len())],
        Some(file) => {
            let lines = file.diff.iter().map(|line| format!("  {}", printable(line)));
            std::iter::once(format!("{}:", file.path)).chain(lines).collect()
        }
    }
}

/// What is in force, and waits to be kept.
pub(super) fn waiting(model: &Model, left: u64) -> Vec<String> {
    vec![
        format!("In force and proven: {}.", model.harden.stage.means()),
        format!(
            "It goes back by itself in {left} seconds, also if this terminal is lost. Meanwhile, try your application."
        ),
    ]
}

/// What came of a try, and what to do from here.
pub(super) fn outcome(model: &Model) -> Vec<String> {
    let stage = model.harden.stage;
    let mut says = match &model.harden.attempt.state {
        AttemptState::Kept => vec![format!("Kept: {}.", stage.means())],
        AttemptState::WasInForce => vec![format!("In force and proven: {}.", stage.means())],
        AttemptState::Back(says) => return vec![format!("{stage} is not in force."), printable(says)],
        AttemptState::Failed(fault) => {
            let mut says = failure(fault);
            says.push(format!("{stage} is not in force."));
            says.extend(
                model
                    .harden
                    .attempt
                    .is_taken_back
                    .map(|back| after_a_fall(back).to_owned()),
            );
            return says;
        }
        AttemptState::Bundled(dir) => {
            return vec![format!(
                "Written for the server's administrator: everything is in {}. Begin with RUNBOOK.md.",
                printable(dir)
            )];
        }
        _ => return Vec::new(),
    };
    says.push("The same in one command:".to_owned());
    says.push(format!("  {}", harden_command(model)));
    says
}

/// What is said when something happens.
pub(super) fn told(model: &Model, message: &Happens) -> Vec<String> {
    let Happens::Harden(number, message) = message else {
        return Vec::new();
    };
    if *number != model.harden.number {
        return Vec::new();
    }
    match message {
        Message::Told(crate::engine::Event::Probe(probe))
            if !promises(model.harden.stage).contains(&probe.id) =>
        {
            Vec::new()
        }
        Message::Told(event) => super::say::event(event),
        // Enough to hear it run out, and no more.
        Message::Left(left @ (5 | 10 | 30)) if model.harden.left() != Some(*left) => {
            vec![format!("{left} seconds are left.")]
        }
        _ => Vec::new(),
    }
}
