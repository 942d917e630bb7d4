//! Proving what a server promises: probes, what each found, and the verdict over them.
//!
//! A promise is `true` only when its expected sign was seen, `false` only when the opposite was seen, and
//! open otherwise. Sockets are opened through `dial` alone; whether a certificate holds is asked of `judge`.

mod report;

pub use report::{Group, Outcome, Probe, ProbeId, Report, Verdict};
