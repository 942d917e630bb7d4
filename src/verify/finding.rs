//! What a probe found, before it is timed and told.

use std::time::Duration;

use super::cause::Cause;
use super::report::{Outcome, Probe, ProbeId};

/// An outcome with its sentence, its evidence and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub outcome: Outcome,
    pub observed: String,
    pub evidence: Vec<String>,
    pub remedy: Option<String>,
    pub cause: Option<Cause>,
}

impl Finding {
    fn new(outcome: Outcome, observed: impl Into<String>) -> Self {
        Self {
            outcome,
            observed: observed.into(),
            evidence: Vec::new(),
            remedy: None,
            cause: None,
        }
    }

    /// In a sentence, what to do, and what shows it.
    pub fn in_words(self) -> Vec<String> {
        [Some(self.observed), self.remedy]
            .into_iter()
            .flatten()
            .chain(self.evidence.into_iter().take(1))
            .collect()
    }

    /// The expected sign was seen.
    pub fn holds(observed: impl Into<String>) -> Self {
        Self::new(Outcome::Holds, observed)
    }

    /// The opposite was seen.
    pub fn broken(observed: impl Into<String>) -> Self {
        Self::new(Outcome::Broken, observed)
    }

    /// It was tried, and neither was seen.
    pub fn open(observed: impl Into<String>) -> Self {
        Self::new(Outcome::Open, observed)
    }

    /// It was not tried.
    pub fn not_tried(observed: impl Into<String>) -> Self {
        Self::new(Outcome::NotTried, observed)
    }

    /// The same words, as no answer.
    pub fn left_open(mut self) -> Self {
        self.outcome = Outcome::Open;
        self
    }

    /// Adds what shows it.
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// Says what to do.
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }

    /// Names the cause.
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The probe that reports it.
    pub fn told(self, id: ProbeId, took: Duration) -> Probe {
        let Self {
            outcome,
            observed,
            evidence,
            remedy,
            cause,
        } = self;
        Probe {
            id,
            outcome,
            observed,
            evidence,
            took,
            remedy,
            cause,
        }
    }
}
