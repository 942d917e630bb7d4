//! What is said: the model in plain sentences. Pure.

use crate::engine::Event;
use crate::pki::printable;
use crate::plan::why;
use crate::verify::modes::CellOutcome;
use crate::verify::{Outcome, Probe};

use super::super::field::{Field, Kind};
use super::super::message::{Failure, Message, Question};
use super::super::model::{JourneyState, Model, ModesState, ProofState};
use super::super::review::State;
use super::super::secret::shown;
use super::super::steps::{STEPS, change_word, connect_page, mode_lines, place, ways};
use super::super::teach;
use super::super::theme::Theme;
use super::super::widgets::{brief, buttons};

/// What there is to know before the first question.
pub(super) const INTRODUCTION: &str = "\
pgtls, line by line. Enter alone takes the answer that is named.
At any question: ? explains it, back goes back, default takes your answer back, quit leaves.
An answer that is one of these words is typed with = before it. Several answers are parted by commas.
Nothing is written before you have seen what, in the step Review.";

/// Lines are not broken here: the terminal or the reader does that.
const ENDLESS: usize = 4000;

/// Text without anything that draws, as this terminal's character set can have it.
pub(super) fn plain(theme: Theme, text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '├' | '└' | '─' | '│' => said.push(' '),
            '…' if !theme.unicode => said.push_str("..."),
            c if c.is_ascii() || theme.unicode => said.push(c),
            _ => said.push('?'),
        }
    }
    said.trim_end_matches('\n').to_owned()
}

/// What a step shows beside its questions: what was found, what is made. What is drawn is said with the choice.
pub(super) fn picture(model: &Model) -> Vec<String> {
    match model.step().name() {
        "protection" => {
            let says = teach::sslmodes()
                .iter()
                .map(|mode| format!("sslmode {}: {}", mode.name, mode.text));
            says.collect()
        }
        _ => squeezed(model.step().picture(model, ENDLESS).texts()),
    }
}

/// Without what aligns.
fn squeezed(lines: impl Iterator<Item = String>) -> Vec<String> {
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect()
}

/// A question: what stands above the prompt, and the prompt.
pub(super) fn question(model: &Model, field: Field) -> (Vec<String>, String) {
    let spec = field.spec();
    let form = &model.form;
    let answered = !form.given(field).is_empty();
    if let Kind::Choice(_) = spec.kind {
        let chosen = form.text(field);
        let choices = form.choices(field);
        let mut above = vec![spec.label.to_owned()];
        let mut prompt = "A number: ".to_owned();
        for (index, choice) in choices.iter().enumerate() {
            let number = index + 1;
            above.push(format!("{number}. {}: {}.", choice.label, choice.says));
            if choice.value == chosen {
                prompt = format!("A number, or Enter for {number}, {}: ", choice.label);
            }
        }
        return (above, prompt);
    }
    let holds = if answered {
        let rows: Vec<_> = form
            .rows(field)
            .iter()
            .map(|row| printable(&shown(row)))
            .collect();
        format!("Enter keeps {}", rows.join(", "))
    } else {
        format!("Enter for {}", form.default_in_words(field))
    };
    let above = model.suggestion(field).map(|found| match field {
        Field::Admin => format!("A server is here: {}.", printable(&found)),
        _ => format!("This machine is also known as {}.", printable(&found)),
    });
    (above.into_iter().collect(), format!("{}. {holds}: ", spec.label))
}

/// What is wrong with an answer, and what to do.
pub(super) fn faults(model: &Model, field: Field) -> Vec<String> {
    let faults = model.checked.of(field).map(|fault| {
        let problem = &fault.problem;
        let value = problem
            .value
            .as_ref()
            .filter(|value| !problem.reason.contains(value.trim_matches('"')));
        let value = value.map_or_else(String::new, |value| format!("{}: ", printable(value)));
        format!(
            "Not right yet: {value}{}. What to do: {}.",
            printable(&problem.reason),
            printable(&problem.remedy)
        )
    });
    faults.collect()
}

/// What an answer brings about, where the screen draws it.
pub(super) fn consequence(model: &Model, field: Field) -> Vec<String> {
    match field {
        Field::Run | Field::Mode | Field::Auth | Field::Source => {
            vec![format!("Chosen: {}.", model.form.chosen_in_words(field))]
        }
        _ => Vec::new(),
    }
}

/// A failure.
pub(super) fn failure(fault: &Failure) -> Vec<String> {
    let mut says: Vec<_> = fault
        .what
        .lines()
        .map(|line| format!("Failed: {}", printable(line)))
        .collect();
    let remedies = fault.remedies.iter();
    says.extend(remedies.map(|remedy| format!("What to do: {}", printable(remedy))));
    says.extend(fault.log.iter().map(|line| format!("Log: {}", printable(line))));
    says.extend(
        fault
            .step
            .map(|step| format!("Decided in: {}.", STEPS[place(step)].title())),
    );
    says
}

/// What would be written.
pub(super) fn review(model: &Model) -> Vec<String> {
    match &model.review.state {
        State::Ready(preview) => {
            let [new, changed, removed, kept] = preview.counts();
            let mut says = vec![format!(
                "Files: {new} new, {changed} changed, {removed} removed, {kept} kept."
            )];
            for (index, file) in preview.files.iter().enumerate() {
                let edited = if file.edited { ", edited by somebody" } else { "" };
                says.push(format!(
                    "{}. {}, {}{edited}.",
                    index + 1,
                    file.path,
                    change_word(file.action)
                ));
            }
            says.extend(preview.port.map(|port| format!("Clients dial port {port}.")));
            says
        }
        State::Failed(fault) => failure(fault),
        State::None | State::Pending => {
            let fields = Field::ALL.into_iter();
            fields
                .flat_map(|field| {
                    let label = field.spec().label;
                    faults(model, field)
                        .into_iter()
                        .map(move |says| format!("{label}. {says}"))
                })
                .collect()
        }
    }
}

/// One file of the review: its difference where it changes, else its text with why each line is there.
pub(super) fn file(model: &Model, number: &str) -> Vec<String> {
    let files = model
        .review
        .preview()
        .map_or(&[][..], |preview| &preview.files[..]);
    let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    let Some(file) = place.and_then(|place| files.get(place)) else {
        return vec![format!("There are files 1 to {}.", files.len())];
    };
    let mut says = vec![format!("{}, mode {:04o}:", file.path, file.mode)];
    if let Some(description) = &file.description {
        says.push(printable(description));
    }
    for line in &file.lines {
        says.push(format!("  {}", printable(&line.text)));
        says.extend(line.why.and_then(why).map(|why| format!("    Why: {}", why.text)));
    }
    let differs = file.edited
        || !matches!(
            file.action,
            crate::apply::Action::New | crate::apply::Action::Kept
        );
    if differs && !file.diff.is_empty() {
        says.push("The difference against the disk:".to_owned());
        says.extend(file.diff.iter().map(|line| format!("  {}", printable(line))));
    }
    says
}

/// How writing ended.
pub(super) fn written(model: &Model) -> Vec<String> {
    match &model.journey.state {
        JourneyState::Landed(landed) => vec![match landed.port {
            Some(port) => format!("PostgreSQL runs on port {port}."),
            None => "The files are written.".to_owned(),
        }],
        JourneyState::Failed(fault) => failure(fault),
        // It was said when it came.
        _ => Vec::new(),
    }
}

/// How the proof ended.
pub(super) fn verdict(model: &Model) -> Vec<String> {
    match &model.proof.state {
        ProofState::Done(report) => {
            let mut says = Vec::new();
            for probe in report
                .probes
                .iter()
                .filter(|probe| probe.outcome != Outcome::Holds)
            {
                says.extend(
                    probe
                        .evidence
                        .iter()
                        .map(|line| format!("Evidence, {}: {}", probe.id.name(), printable(line))),
                );
                says.extend(
                    probe
                        .remedy
                        .iter()
                        .map(|remedy| format!("What to do, {}: {}", probe.id.name(), printable(remedy))),
                );
            }
            says.push(printable(&report.headline));
            says
        }
        ProofState::Failed(fault) => failure(fault),
        _ => vec![
            "Your server is still to be set up; RUNBOOK.md says how. Then every promise can be tried."
                .to_owned(),
        ],
    }
}

/// What came of connecting under each `sslmode`: a sentence for each outcome.
pub(super) fn modes(model: &Model) -> Vec<String> {
    let headline = match &model.modes.state {
        ModesState::Failed(fault) => return failure(fault),
        ModesState::Done(_, headline) => printable(headline),
        ModesState::None | ModesState::Running => return Vec::new(),
    };
    let mut says = Vec::new();
    for line in mode_lines(&model.modes) {
        let bare = if line.is_bare { " without a root file" } else { "" };
        let mode = format!("{}{bare}", line.sslmode.word());
        for (outcome, word) in [
            (CellOutcome::Connects, "connects to"),
            (CellOutcome::Refuses, "does not connect to"),
            (CellOutcome::Unprotected, "connects UNPROTECTED to"),
            (CellOutcome::Open, "could not be found out with"),
            (CellOutcome::NotTried, "was not tried with"),
        ] {
            let met: Vec<_> = line
                .met()
                .filter(|cell| cell.outcome == outcome)
                .map(|cell| cell.meets.title())
                .collect();
            if !met.is_empty() {
                says.push(format!("{mode} {word} {}.", met.join("; ")));
            }
        }
    }
    says.push(headline);
    says
}

fn probe(probe: &Probe) -> String {
    let outcome = match probe.outcome {
        Outcome::Holds => "Holds",
        Outcome::Broken => "Does not hold",
        Outcome::Open => "Could not be found out",
        Outcome::NotTried => "Not tried",
    };
    format!(
        "{outcome}: {}, {}: {}",
        probe.id.group().title(),
        probe.id.name(),
        printable(&probe.observed)
    )
}

/// What a journey tells.
pub(super) fn event(event: &Event) -> Vec<String> {
    match event {
        Event::Begin(part) => vec![format!("Now {}.", part.doing())],
        Event::Done { note, took, .. } => vec![format!("Done: {}, {}.", printable(note), brief(*took))],
        Event::Notice(text) => vec![format!("Note: {}", printable(text))],
        Event::Probe(found) => vec![probe(found)],
        _ => Vec::new(),
    }
}

/// What is said when something happens.
pub(super) fn told(message: &Message) -> Vec<String> {
    match message {
        Message::Told(event) => self::event(event),
        Message::Probe(found) => vec![probe(found)],
        Message::Cancelled(says) => vec![says.clone()],
        _ => Vec::new(),
    }
}

/// A question of the journey, and how many answers it has.
pub(super) fn asked(question: &Question) -> (Vec<String>, usize) {
    let mut says = Vec::new();
    match question {
        Question::Edited { path, diff, .. } => {
            says.push(format!(
                "{path} was edited since pgtls wrote it, or was never pgtls's."
            ));
            says.extend(diff.lines().map(|line| format!("  {}", printable(line))));
        }
        Question::Fetch { what, into, caveat } => {
            says.push(format!(
                "PostgreSQL's server programs are not on this machine. Fetch {} into {}?",
                printable(what),
                printable(into)
            ));
            says.extend(caveat.iter().map(|text| printable(text)));
        }
        Question::Adopt { means } | Question::Discard { means } => says.push(means.clone()),
    }
    let buttons = buttons(question);
    says.extend(
        buttons
            .iter()
            .enumerate()
            .map(|(index, label)| format!("{}. {label}.", index + 1)),
    );
    (says, buttons.len())
}

/// Where this way to connect stands.
pub(super) fn way(model: &Model, name: &str) -> Option<usize> {
    ways(model).iter().position(|way| way.name == name)
}

/// How to connect, and what to do next.
pub(super) fn connect(model: &Model) -> Vec<String> {
    connect_page(model, ENDLESS).texts().collect()
}
