//! How every driver and tool connects: one description each in `assets/clients/`, one renderer.
//!
//! A description is data: a template, the key formats it needs, the versions, the traps. [`find`] and [`all`] give
//! the descriptions, [`render`] fills one in from a connection string. What comes out always verifies the server as
//! `sslmode=verify-full` does, holds no password, and runs as a file from any directory.
//!
//! [`Style`] and [`fill_in`] are for other texts that hold names and paths: each quoting is done here alone.
//!
//! Must not: read or write files, start processes, open sockets.

mod client;
mod format;
mod quote;
mod render;
mod template;

pub use client::{Client, Says, all, find, of_language};
pub use format::Format;
pub use quote::Style;
pub use render::{Unwritable, project, properties, render, run};
pub use template::fill_in;
