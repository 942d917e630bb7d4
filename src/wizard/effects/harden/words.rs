//! What the engine found and did, as the screen shows it: plain data, safe to draw.

use std::cmp::Reverse;
use std::path::Path;

use crate::engine::harden::{self as engine, Proposal, Survey};
use crate::engine::{self as journeys, Error};
use crate::harden::{Affected, Stage, Watched};
use crate::pki::{Algorithm, HostName, printable};
use crate::plan::Layout;

use super::super::super::field::Field;
use super::super::super::harden::{Facts, Found, Met, Requested, Tried, Wish};
use super::super::super::message::Failure;

/// The server.
pub fn found(wish: &Wish, survey: &Survey, mut standing: Vec<engine::Standing>, asks: bool) -> Found {
    let next = engine::next_stage(&standing, asks);
    standing.push(engine::Standing {
        stage: Stage::Ask,
        in_files: asks,
        is_read: survey.unread_note().is_none(),
        would_refuse: 0,
        may_refuse: 0,
        hindrance: None,
    });
    let name = |path| printable(&survey.map.here(path).to_string_lossy());
    Found {
        version: survey.version.clone(),
        files: [name(&survey.server.conf), name(&survey.server.hba)],
        account: survey.in_place_of.as_ref().map(|account| printable(account)),
        tls: survey.setting("ssl") == Some("on"),
        out_of_reach: survey.reach.as_ref().err().map(|why| printable(why)),
        unread: survey.unread_note().map(|(says, remedy)| {
            let sentence = |text: &str| {
                let (first, rest) = text.split_at(1);
                format!("{}{rest}.", first.to_uppercase())
            };
            format!("{} {}", sentence(&says), sentence(remedy))
        }),
        sessions: survey.watched.iter().count(),
        plaintext: plaintext(&survey.watched),
        next,
        standing,
        roles: engine::roles(survey).iter().map(|role| printable(role)).collect(),
        kit: printable(&journeys::absolute(&wish.kit).to_string_lossy()),
    }
}

/// Who came without TLS, those first who came most often.
pub fn plaintext(watched: &Watched) -> Vec<String> {
    let mut plain: Vec<_> = watched.iter().filter(|(seen, _)| seen.is_plaintext()).collect();
    plain.sort_by_key(|(_, sightings)| Reverse(sightings.sessions));
    plain
        .into_iter()
        .map(|(seen, sightings)| seen.words(sightings.sessions))
        .collect()
}

/// What there is to know about a proposal.
pub fn facts(proposal: &Proposal, survey: &Survey) -> Facts {
    let impact = &proposal.impact;
    Facts {
        refused: impact.refused.iter().map(met).collect(),
        unsure: impact
            .may_be_refused
            .iter()
            .chain(&impact.unsure)
            .map(met)
            .collect(),
        looked_at: impact.looked_at,
        replaces: proposal.replaces.as_ref().map(|one| printable(&one.says)),
        turns_away: proposal.turns_away().map(|(why, _)| printable(&why)),
        notes: proposal.notes.iter().map(|note| printable(note)).collect(),
        out_of_reach: survey
            .reach
            .as_ref()
            .err()
            .filter(|_| !proposal.is_within_reach(survey))
            .map(|why| printable(why)),
    }
}

fn met(affected: &Affected) -> Met {
    let line = affected
        .line
        .iter()
        .map(|line| format!("decided by {}", printable(line)));
    let with_tls = affected.with_tls.map(|comes_in| {
        if comes_in {
            "with TLS it would come in: sslmode=require or better on its side is enough".to_owned()
        } else {
            "with TLS it would not come in either".to_owned()
        }
    });
    Met {
        says: affected.short(),
        more: line.chain(with_tls).collect(),
    }
}

/// What a try came to.
pub fn told(tried: engine::Tried) -> Tried {
    match (tried.failure, tried.confirm_within) {
        (Some(why), _) => {
            let fault = Failure {
                what: printable(&why),
                remedies: tried.remedies,
                log: tried.log,
                step: None,
            };
            Tried::Fell(fault, tried.notes, tried.is_taken_back)
        }
        (None, Some(left)) => Tried::Waits(left),
        (None, None) => Tried::WasInForce,
    }
}

/// A failure on this path: what decides it is answered in its own steps.
pub fn failure(error: &Error) -> Failure {
    let mut failure = Failure::from(error);
    failure.step = match failure.step {
        Some("start" | "names") => Some("server"),
        step => step,
    };
    failure
}

/// The same of working out a stage: what is answered of clients is answered in a step of its own.
pub fn of_a_stage(wish: &Wish, error: &Error) -> Failure {
    let mut failure = failure(error);
    let is_asked = wish.flags.client_ca.is_some() || wish.client.is_some();
    let shown = wish
        .client
        .iter()
        .flat_map(|(certificate, key)| [certificate, key]);
    let is_about_clients = match error {
        Error::File { path, .. } => shown
            .chain(&wish.flags.client_ca)
            .any(|file| journeys::absolute(file) == journeys::absolute(path)),
        Error::DoesNotFit { .. } => is_asked,
        Error::Answers(problems) => problems
            .iter()
            .any(|problem| matches!(problem.flag, "--client" | "--client-ca" | "--auth")),
        _ => false,
    };
    if is_about_clients {
        failure.step = Some("clients");
    }
    failure
}

/// Makes the request for a CA elsewhere.
pub fn requested(kit: &Path, hosts: &[HostName], algorithm: Algorithm) -> Result<Requested, Failure> {
    let subject = journeys::Subject::Server(hosts.to_vec());
    let asked = journeys::ask(kit, &subject, Some(algorithm), false).map_err(|error| of_an_answer(&error))?;
    let name = |file: &str| match kit.as_os_str().as_encoded_bytes() {
        b"." => file.to_owned(),
        _ => printable(&kit.join(file).to_string_lossy()),
    };
    Ok(Requested {
        file: name(Layout::REQUEST),
        key: name(Layout::REQUEST_KEY),
        names: asked.names.join(", "),
        algorithm: asked.algorithm,
    })
}

/// A failure of a request or of its answer: all of it is answered where it stands.
pub fn of_an_answer(error: &Error) -> Failure {
    let failure = Failure::from(error);
    // What a flag is to the command line is a question here.
    let here = format!("in \"{}\"", Field::Root.spec().label);
    let remedies = failure.remedies.iter();
    let asked = remedies.map(|text| {
        text.replace("with --root FILE", &here)
            .replace("with --root", &here)
    });
    Failure {
        step: None,
        remedies: asked.collect(),
        ..failure
    }
}

/// The same in one sentence.
pub fn sentence(error: &Error) -> String {
    let text = printable(&error.to_string());
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).chain(['.']).collect()
    })
}

/// The session was lost, or never there.
pub fn gone() -> Failure {
    Failure {
        what: "the session on the server is not there any more".to_owned(),
        remedies: vec!["go back to Stage, and look at the server again".to_owned()],
        log: Vec::new(),
        step: Some("stage"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_of_in_the_words_of_its_step() {
        for flag in ["--root", "--root FILE"] {
            let error = Error::DoesNotFit {
                what: "it is of another CA".to_owned(),
                remedy: format!("name its root with {flag}, and give every client that root first"),
            };
            let told = of_an_answer(&error);
            assert_eq!(
                told.remedies,
                ["name its root in \"Its root\", and give every client that root first"]
            );
        }
    }
}
