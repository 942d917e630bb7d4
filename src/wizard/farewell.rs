//! What is said in the shell when the wizard has ended: its screen is gone, and what it started is not.

use super::model::{JourneyState, Model, ProofState};
use super::steps::{commands, ways};

/// The lines; none where nothing was begun. The last step's text says the same on lines, so there nothing is said twice.
#[must_use]
pub fn farewell(model: &Model) -> Vec<String> {
    let landed = match &model.journey.state {
        JourneyState::Landed(landed) => landed,
        JourneyState::Cancelled(says) => return vec![says.clone()],
        _ => return Vec::new(),
    };
    let mut lines = Vec::new();
    if let ProofState::Done(report) = &model.proof.state {
        lines.push(format!("{}.", report.headline));
    }
    lines.push(match landed.port {
        Some(port) => format!("PostgreSQL runs on port {port}, and goes on running."),
        None => format!(
            "The files are in {}; RUNBOOK.md there says how a server takes them.",
            landed.dir
        ),
    });
    let psql = ways(model).iter().find(|way| way.name == "psql");
    if let Some(way) = psql.filter(|_| landed.port.is_some()) {
        lines.extend([String::new(), "Connect".to_owned()]);
        lines.extend(way.text.lines().map(|line| format!("  {line}")));
    }
    lines.extend([String::new(), "Next".to_owned()]);
    let next = commands(model, landed);
    let wide = next.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    lines.extend(
        next.iter()
            .map(|(command, what)| format!("  {command:<wide$}   {what}")),
    );
    lines
}
