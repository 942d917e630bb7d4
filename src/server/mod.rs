//! Where PostgreSQL runs: the sandbox, a server of the person's own from this machine's binaries, or a container
//! ([`compose`]).
//!
//! This is the only room that starts processes. What it starts is bounded in time, leaves nothing behind
//! when its future is dropped, and runs without root's powers ([`Account`]).
//!
//! The journey of `up`, from the side of this room:
//!
//! 1. [`Binaries::find`]; where there are none, [`fetch::plans`] says what a private copy would be and
//!    [`fetch::fetch`] brings it, once the person has agreed.
//! 2. [`Sandbox::locate`] decides where data, log and socket live ([`Sandbox::notice`] says so where that is
//!    not the project directory).
//! 3. [`Sandbox::init`] runs `initdb` (it needs none of our files and may run while they are being made).
//! 4. [`Sandbox::start`] starts the server with `server/postgresql.conf` and waits until it is ready. The
//!    [`Running`] it returns stops the server again when dropped, unless [`Running::keep`] is called: an
//!    interrupted `up` leaves no server.
//!
//! A server that refuses to start or to reload is not a riddle: its own lines are read and
//! [diagnosed](diagnose()).

mod account;
mod binaries;
pub mod compose;
mod diagnose;
mod error;
mod events;
pub mod fetch;
mod files;
mod hook;
mod initdb;
mod launch;
mod log;
mod mirror;
mod network;
mod place;
mod port;
mod postmaster;
mod process;
mod psql;
mod sandbox;
mod sync;
mod temporary;
mod watchdog;

pub use account::{Account, account_name};
pub use binaries::{Binaries, Origin, Version, Wanted};
pub use diagnose::{Diagnosis, diagnose};
pub use error::{ServerError, words};
pub use events::{Event, Events};
pub use hook::run_program;
pub use initdb::Cluster;
pub use launch::Running;
pub use network::interfaces;
pub use place::Places;
pub use port::{FreePort, free_port, free_port_anywhere, port_forbidden, port_taken_anywhere, port_taken_by};
pub use postmaster::{can_reload, has_as_mount, log_file, reload};
pub use process::Conversation;
pub use psql::{Psql, PsqlFiles, Said};
pub use sandbox::{Reload, SUPERUSER, Sandbox, Server, Status};
pub use temporary::{Temporary, is_temporary, leave_nothing, wait_for_the_end};
pub use watchdog::{Lookout, Watchdog, handed_over, keep_watch, not_ready, watched, watched_projects};
