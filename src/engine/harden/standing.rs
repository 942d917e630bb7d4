//! Where a server stands: which stages are in its files already, and which comes next.

use crate::engine::Error;
use crate::harden::Stage;

use super::{Hardening, Survey, propose};

/// How a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub stage: Stage,
    /// Whether the server's files say all of it already.
    pub in_files: bool,
    /// Sessions that were seen and that it would turn away.
    pub would_refuse: u64,
}

/// How every stage that changes something stands. Nothing is written.
pub async fn standing(hardening: &mut Hardening, survey: &Survey) -> Result<Vec<Standing>, Error> {
    let wanted = hardening.stage;
    let mut all = Vec::new();
    for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Watch) {
        hardening.stage = stage;
        let proposal = propose(hardening, survey).await;
        hardening.stage = wanted;
        let proposal = proposal?;
        all.push(Standing {
            stage,
            in_files: proposal.is_empty(),
            would_refuse: proposal.would_refuse(),
        });
    }
    Ok(all)
}

/// What comes next: the first stage that is open, but to watch before somebody would be turned away. `None`: nothing is
/// left to do.
#[must_use]
pub fn next_stage(standing: &[Standing]) -> Option<Stage> {
    let open = standing.iter().find(|row| !row.in_files)?;
    let wait = open.stage == Stage::Require && open.would_refuse > 0;
    Some(if wait { Stage::Watch } else { open.stage })
}
