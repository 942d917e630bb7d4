//! `postgresql.conf`: settings, their values, and which of several wins
//! (<https://www.postgresql.org/docs/current/config-setting.html>).
//!
//! [`Document`] is a file byte by byte; [`Settings`] is what the server makes of it, its includes,
//! `postgresql.auto.conf` and its command line.

mod document;
mod effective;
mod scan;
mod value;

pub use document::{Document, Entry, Syntax};
pub use effective::{Fault, Origin, Setting, Settings};
pub use value::{Quantity, boolean, quote};
