//! Where a server stands: which stages are in its files already, and which comes next.

use serde::Serialize;

use crate::engine::Error;
use crate::harden::Stage;

use super::propose::work_out;
use super::{Hardening, Proposal, Survey};

/// How a stage stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub stage: Stage,
    /// Whether the server's files say all of it already.
    pub in_files: bool,
    /// Whether the server has read them as they are.
    pub is_read: bool,
    /// Sessions that were seen and that it would turn away.
    pub would_refuse: u64,
    /// Sessions that were seen and that it may turn away.
    pub may_refuse: u64,
    /// What keeps it from coming into force until it is mended.
    pub hindrance: Option<Hindrance>,
}

/// What is in a stage's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hindrance {
    /// What is wrong, and where.
    pub what: String,
    /// What to do about it.
    pub remedies: Vec<String>,
}

/// How every stage that changes something stands. Nothing is written. What is wrong with the server is said where it is
/// in the way; what is wrong with the question is an error.
pub async fn standing(hardening: &mut Hardening, survey: &Survey) -> Result<Vec<Standing>, Error> {
    let wanted = hardening.stage;
    let mut all = Vec::new();
    for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Watch) {
        hardening.stage = stage;
        let worked_out = Box::pin(work_out(hardening, survey)).await;
        hardening.stage = wanted;
        let (proposal, hindrance) = match worked_out {
            Ok((proposal, hindrance)) => (Some(proposal), hindrance),
            Err(why @ (Error::NotInForce { .. } | Error::OutOfReach { .. } | Error::File { .. })) => {
                (None, Some(why))
            }
            Err(error) => return Err(error),
        };
        all.push(Standing {
            stage,
            in_files: proposal.as_ref().is_some_and(Proposal::is_empty),
            is_read: survey.unread.is_empty(),
            would_refuse: proposal.as_ref().map_or(0, |one| one.impact.would_refuse()),
            may_refuse: proposal.as_ref().map_or(0, |one| one.impact.may_refuse()),
            hindrance: hindrance.map(|why| Hindrance {
                what: why.to_string(),
                remedies: why.remedies(),
            }),
        });
    }
    Ok(all)
}

/// Whether clients are asked for certificates of the kit's CA already.
pub async fn is_asked(hardening: &mut Hardening, survey: &Survey) -> bool {
    let wanted = std::mem::replace(&mut hardening.stage, Stage::Ask);
    let worked_out = Box::pin(work_out(hardening, survey)).await;
    hardening.stage = wanted;
    worked_out.is_ok_and(|(proposal, hindrance)| proposal.is_empty() && hindrance.is_none())
}

/// Each thing that is in the way, and of which stages, in their order.
#[must_use]
pub fn hindrances(standing: &[Standing]) -> Vec<(Vec<Stage>, &Hindrance)> {
    let mut all: Vec<(Vec<Stage>, &Hindrance)> = Vec::new();
    for row in standing {
        let Some(hindrance) = &row.hindrance else { continue };
        match all.iter_mut().find(|(_, known)| *known == hindrance) {
            Some((stages, _)) => stages.push(row.stage),
            None => all.push((vec![row.stage], hindrance)),
        }
    }
    all
}

impl Standing {
    /// Whether nothing is left to do of it.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.in_files && self.is_read
    }
}

/// What comes next: the first stage that is open, but to ask for certificates (`asks`: they are asked for) before they are
/// demanded, and to watch before somebody would be turned away. `None`: nothing is left to do, or the server has to read
/// its files first.
#[must_use]
pub fn next_stage(standing: &[Standing], asks: bool) -> Option<Stage> {
    if standing.iter().any(|row| !row.is_read) {
        return None;
    }
    let open = standing.iter().find(|row| !row.in_files)?;
    Some(match open.stage {
        Stage::Mtls if !asks => Stage::Ask,
        Stage::Require | Stage::Mtls if open.would_refuse + open.may_refuse > 0 => Stage::Watch,
        stage => stage,
    })
}
