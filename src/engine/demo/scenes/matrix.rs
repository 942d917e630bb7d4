//! Every mode in every situation.

use time::OffsetDateTime;

use super::super::client::Client;
use super::{Play, Verdict};
use crate::conninfo::{Environment, SslMode};
use crate::engine::modes::modes;
use crate::engine::target::Means;
use crate::verify::modes::{CellOutcome, Matrix, Meets, Row};

impl Play<'_> {
    pub(super) async fn matrix(&mut self) -> Verdict {
        if let Some(why) = self.unverified() {
            self.not_shown(&why);
            return Ok(());
        }
        let conninfo = self.stage.conninfo(SslMode::VerifyFull);
        self.begin(
            self.with_whose_tls("Every mode in every situation"),
            Client::command_in_short(&conninfo),
        );
        let means = Means {
            expect: None,
            other: None,
            admin: None,
            dir: self.stage.place.dir().to_owned(),
            key_passphrase: None,
            timeout: std::time::Duration::from_secs(20),
            now: OffsetDateTime::now_utc(),
        };
        let conninfo = self.stage.with_passfile(conninfo);
        let matrix = Box::pin(modes(conninfo, &Environment::default(), &means, self.tell)).await?;
        for row in shown(&matrix) {
            let words: Vec<_> = row
                .cells
                .iter()
                .map(|cell| format!("{} {}", cell.meets.name(), word(cell.outcome)))
                .collect();
            self.course
                .evidence
                .push(format!("{}: {}", row.sslmode.word(), words.join(", ")));
        }
        let safe = |row: &Row| {
            row.cells.iter().all(|cell| match cell.meets {
                Meets::AsItIs => cell.outcome == CellOutcome::Connects,
                _ => cell.outcome == CellOutcome::Refuses,
            })
        };
        let rows = shown(&matrix);
        let unclear = rows
            .iter()
            .flat_map(|row| &row.cells)
            .any(|cell| matches!(cell.outcome, CellOutcome::Open | CellOutcome::NotTried));
        let safe: Vec<_> = rows
            .iter()
            .filter(|row| safe(row))
            .map(|row| row.sslmode.word())
            .collect();
        self.course.observed = match safe.as_slice() {
            ["verify-full"] => format!("{}; no other mode does both", matrix.headline),
            safe => format!("{}; stops all of them: {}", matrix.headline, safe.join(", ")),
        };
        self.course.holds = match matrix.holds {
            Some(true) if unclear => None,
            Some(true) => Some(safe == ["verify-full"]),
            holds => holds,
        };
        Ok(())
    }
}

/// The rows as most clients in the world are: with a root file only where the mode needs one.
fn shown(matrix: &Matrix) -> Vec<&Row> {
    matrix
        .rows
        .iter()
        .map(|row| {
            matrix
                .without_root_file
                .iter()
                .find(|bare| bare.sslmode == row.sslmode)
                .unwrap_or(row)
        })
        .collect()
}

const fn word(outcome: CellOutcome) -> &'static str {
    match outcome {
        CellOutcome::Connects => "connects",
        CellOutcome::Refuses => "refuses",
        CellOutcome::Unprotected => "UNPROTECTED",
        CellOutcome::Open => "unclear",
        CellOutcome::NotTried => "not tried",
    }
}
