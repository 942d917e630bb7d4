//! The journeys: up, plan, apply, undo, renew, down, modes. Every face of pgtls (the command line, a screen) drives
//! these and shows their events; no journey prints anything itself, and what a person may not want is asked
//! of whoever drives it ([`Ask`]).

mod audit;
mod complaint;
mod credentials;
mod database;
pub mod demo;
mod dotenv;
mod error;
mod event;
mod existing;
mod files;
mod formats;
mod ground;
pub mod harden;
mod incoming;
mod install;
mod kit_dates;
mod login;
mod manage;
mod metrics;
mod modes;
mod prepare;
mod request;
mod revocation;
mod rotate;
mod succession;
mod sweep;
mod target;
mod tree;
mod units;
mod up;

pub use audit::{Beside, grade};
pub use credentials::{Gathered, Renew, Secrets};
pub use dotenv::write_dotenv;
pub use error::{Error, Kind};
pub use event::{Event, Running, Step, Teller};
pub use existing::{Existing, Note};
pub use files::{must_read, read, secret};
pub use formats::make as make_formats;
pub use ground::{Ground, Live, Serving, compose_file};
pub use incoming::Given;
pub use install::{Installation, install, kit_dir, write_project};
pub use kit_dates::kit_dates;
pub use manage::{Look, Renewal, certificates, ground, look, renew, stop, undo};
pub use metrics::metrics;
pub use modes::modes;
pub use prepare::{Prepared, Request, absolute, prepare, project, save_answers, saved, setup};
pub use request::{Asked, Filed, Subject, ask, file_answer};
pub use rotate::{Issued, Rotated, Rotation, rotate, rotate_issued};
pub use succession::{Stage, Succession, newcomer};
pub use sweep::{Checked, Depth, Dialled, Line, Sweep, Tally, ends, holds_a_password, read_lines, sweep};
pub use target::{Means, caller, kit, locked_key, superuser_of, target};
pub use tree::{found_beside, grade_files};
pub use units::{Units, units};
pub use up::{Ask, Outcome, adopting, discarding, up, write};
