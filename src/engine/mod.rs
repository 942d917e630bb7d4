//! The journeys: up, plan, apply, undo, renew, down. Every face of pgtls (the command line, a screen) drives
//! these and shows their events; no journey prints or asks anything itself.

mod event;

pub use event::{Event, Running, Step, Teller};
