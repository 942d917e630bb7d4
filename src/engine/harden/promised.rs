//! What a kit's server has promised so far: the stages that are in force, and so what a proof of it may ask for.

use std::path::Path;

use crate::apply::live::Live;
use crate::engine::prepare::is_beside_a_server;
use crate::harden::Stage;
use crate::setup::{Mode, Setup};
use crate::verify::ProbeId;

/// What the stages in force promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Whether client certificates are demanded.
    pub expect: Mode,
    /// Probes that are no promise yet.
    pub spared: &'static [ProbeId],
    /// The stages, in words.
    pub words: String,
}

/// `None` where the directory is not the kit of a server that is hardened from here.
#[must_use]
pub fn in_force(dir: &Path, setup: &Setup) -> Option<InForce> {
    const BEFORE_REQUIRE: &[ProbeId] = &[ProbeId::PlaintextRefused, ProbeId::HbaHasNoPlaintextWayIn];
    if !is_beside_a_server(setup, dir) {
        return None;
    }
    let live = Live::of(dir);
    let kept = live.kept().ok()?;
    let is_kept = |wanted: fn(Stage) -> bool| {
        let stages = kept.iter().filter_map(|name| Stage::of_change(name));
        stages.into_iter().any(wanted)
    };
    let taken_back = live.last_taken_back().ok()?.map(|record| record.name);
    let was_tried = taken_back
        .and_then(|name| Stage::of_change(&name))
        .is_some_and(Stage::is_about_clients);
    // A server whose files said so before has no change of it in the books.
    let said_so = setup.mode == Mode::Mtls && !was_tried && !is_kept(|stage| stage == Stage::Ask);
    let is_mtls = said_so || is_kept(|stage| stage == Stage::Mtls);
    let requires = is_mtls || is_kept(|stage| stage == Stage::Require);
    Some(InForce {
        expect: if is_mtls { Mode::Mtls } else { Mode::OneWay },
        spared: if requires { &[] } else { BEFORE_REQUIRE },
        words: match kept.as_slice() {
            [] => "no stage was put in force from here".to_owned(),
            kept => format!("judged by the stages in force: {}", kept.join(", ")),
        },
    })
}
