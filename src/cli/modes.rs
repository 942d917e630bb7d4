//! `pgtls verify --modes`: the matrix as text and as JSON.

use crate::conninfo::{Conninfo, Environment, SslMode};
use crate::engine::{self, Error, Means};
use crate::verify::modes::{Matrix, Meets, Row};

use super::output::{Output, object};
use super::{Exit, drive};

/// Runs it.
pub fn run(conninfo: Conninfo, env: &Environment, means: &Means, output: Output) -> Result<Exit, Error> {
    let matrix = drive(engine::modes(conninfo, env, means, &output.teller()))?;
    if output.json() {
        object(&matrix);
    } else {
        tell(&matrix, output);
    }
    Ok(match matrix.holds {
        Some(true) => Exit::Holds,
        Some(false) => Exit::Broken,
        None => Exit::Undetermined,
    })
}

fn tell(matrix: &Matrix, output: Output) {
    output.promise(matrix.holds, &matrix.headline);
    output.heading("What each sslmode does");
    table(&matrix.rows, output);
    if !matrix.without_root_file.is_empty() {
        output.heading("The same without a root file, as most clients connect");
        table(&matrix.without_root_file, output);
    }
    output.say("");
    for meets in Meets::ALL {
        output.say(format_args!("  {:<13} {}", meets.name(), meets.title()));
    }
    let all = || matrix.rows.iter().chain(&matrix.without_root_file);
    let shown: Vec<&Row> = if output.is_verbose() {
        all().collect()
    } else {
        matrix
            .rows
            .iter()
            .filter(|row| row.sslmode == SslMode::VerifyFull)
            .collect()
    };
    for row in shown {
        let bare = if row.root_file {
            ""
        } else {
            ", without a root file"
        };
        output.heading(format_args!("How that is known: {}{bare}", row.sslmode.word()));
        for cell in &row.cells {
            output.cell(cell.outcome, cell.meets.name(), &cell.observed, &cell.evidence);
        }
    }
    if !output.is_verbose() {
        output.remark("\nwith -v: the evidence for every cell");
    }
}

fn table(rows: &[Row], output: Output) {
    output.columns("sslmode", Meets::ALL.iter().map(|meets| meets.name()));
    for row in rows {
        output.cells(row.sslmode.word(), row.cells.iter().map(|cell| cell.outcome));
    }
}
