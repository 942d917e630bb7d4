//! The matrix: rows, cells, and the promise over them.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::conninfo::SslMode;

/// What a client meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meets {
    /// The server as it is, and somebody who listens on the wire.
    AsItIs,
    /// An impostor with a certificate that signs itself, for the right name.
    SelfSigned,
    /// An impostor with a certificate of a CA of its own, for the right name.
    OtherCa,
    /// An impostor with a certificate of the right CA, for another name.
    WrongName,
    /// An impostor that says it has no TLS.
    Plaintext,
}

impl Meets {
    /// Every one, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::AsItIs,
        Self::SelfSigned,
        Self::OtherCa,
        Self::WrongName,
        Self::Plaintext,
    ];

    /// The stable name that scripts see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsItIs => "as-it-is",
            Self::SelfSigned => "self-signed",
            Self::OtherCa => "other-ca",
            Self::WrongName => "wrong-name",
            Self::Plaintext => "plaintext",
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::AsItIs => "the server as it is, with a listener on the wire",
            Self::SelfSigned => "an impostor with a self-signed certificate for the right name",
            Self::OtherCa => "an impostor with a certificate of another CA for the right name",
            Self::WrongName => "an impostor with a certificate of the right CA for another name",
            Self::Plaintext => "an impostor that says it has no TLS",
        }
    }
}

impl Serialize for Meets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What came of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellOutcome {
    /// Let in by the server, and nobody in between could read along.
    Connects,
    /// No session came about, and no secret was given away.
    Refuses,
    /// Somebody in between read what only the server should have; or, where no certificate for another name is at hand,
    /// the client went on with the server's own under a name that it does not carry.
    Unprotected,
    /// It was tried, and nothing follows from it.
    Open,
    /// It was not tried: something that it needs is not at hand.
    NotTried,
}

impl Serialize for CellOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Connects => serializer.serialize_str("connects"),
            Self::Refuses => serializer.serialize_str("refuses"),
            Self::Unprotected => serializer.serialize_str("unprotected"),
            Self::Open | Self::NotTried => serializer.serialize_none(),
        }
    }
}

/// One connection that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// What the client met.
    pub meets: Meets,
    /// What came of it.
    pub outcome: CellOutcome,
    /// What happened, one sentence, safe to print.
    pub observed: String,
    /// What shows it, safe to print.
    pub evidence: Vec<String>,
    /// How long it took.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub took: Duration,
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}

/// One `sslmode`, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The mode's word.
    #[serde(serialize_with = "word")]
    pub sslmode: SslMode,
    /// Whether the client has a root file: with one, every mode that speaks TLS judges the chain.
    pub root_file: bool,
    /// In the order of [`Meets::ALL`].
    pub cells: Vec<Cell>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn word<S: Serializer>(mode: &SslMode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.word())
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Matrix {
    /// The promise of `verify-full`: it connects to the server as it is and refuses everybody else. `None`: it
    /// could not be found out.
    pub holds: Option<bool>,
    /// One sentence that says it to a person.
    pub headline: String,
    /// The modes under the connection string as it is.
    pub rows: Vec<Row>,
    /// Those that behave otherwise for a client without a root file, as most connection strings in the world are.
    /// Empty if the string names none itself.
    pub without_root_file: Vec<Row>,
}

/// Whether `verify-full` keeps its promise.
pub(super) fn holds(rows: &[Row]) -> Option<bool> {
    let row = rows.iter().find(|row| row.sslmode == SslMode::VerifyFull)?;
    let mut holds = Some(true);
    for cell in &row.cells {
        let wanted = match cell.meets {
            Meets::AsItIs => CellOutcome::Connects,
            _ => CellOutcome::Refuses,
        };
        match cell.outcome {
            outcome if outcome == wanted => {}
            // Not tried is said, and counts as little as a probe that could not be asked.
            CellOutcome::NotTried => {}
            CellOutcome::Open => holds = holds.and(None),
            _ => return Some(false),
        }
    }
    holds
}

pub(super) fn headline(holds: Option<bool>, rows: &[Row]) -> String {
    let Some(row) = rows.iter().find(|row| row.sslmode == SslMode::VerifyFull) else {
        return "verify-full was not tried".to_owned();
    };
    let with = |outcome| row.cells.iter().filter(move |cell| cell.outcome == outcome);
    let first = |wanted: &dyn Fn(&Cell) -> bool| row.cells.iter().find(|cell| wanted(cell));
    match holds {
        Some(true) => {
            let refused = with(CellOutcome::Refuses).count();
            let untried = match with(CellOutcome::NotTried).count() {
                0 => String::new(),
                n => format!(" ({n} could not be tried here)"),
            };
            format!("verify-full connects to the server and refuses {refused} impostors{untried}")
        }
        Some(false) => {
            let broken = first(&|cell| match cell.meets {
                Meets::AsItIs => matches!(cell.outcome, CellOutcome::Refuses | CellOutcome::Unprotected),
                _ => matches!(cell.outcome, CellOutcome::Connects | CellOutcome::Unprotected),
            });
            broken.map_or_else(String::new, |cell| {
                format!(
                    "verify-full does not keep its promise: {}: {}",
                    cell.meets.title(),
                    cell.observed
                )
            })
        }
        None => first(&|cell| cell.outcome == CellOutcome::Open).map_or_else(String::new, |cell| {
            format!(
                "Could not be found out: {}: {}",
                cell.meets.title(),
                cell.observed
            )
        }),
    }
}
