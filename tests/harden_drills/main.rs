//! Drills of `pgtls harden`: whatever goes wrong in the middle of it, the server ends as it was or as planned, the
//! administrator can log in, and nothing stays over. The witness is psql, and a restart of the server.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod clock;
mod ground;
mod input;
mod kill;
mod meanwhile;
mod room;
#[path = "../support/mod.rs"]
mod support;
