//! The grammars of a server's own files: `postgresql.conf`, `pg_hba.conf`, `pg_ident.conf`, each read as PostgreSQL 13
//! to 18 reads it, and who comes in under them.
//!
//! There are two ways of looking at a file. [`Lines`] and [`settings::Document`] are what stands in it, byte by byte:
//! reading and writing back is the identity on any bytes, and an [`Edit`] touches only its own place. [`hba::Rules`],
//! [`ident::Maps`] and [`settings::Settings`] are what it means, with everything it includes.
//!
//! This room has no door to the world: whoever asks passes in the bytes, and for includes a way to [`Files`].

mod address;
mod dialect;
mod edit;
mod expand;
mod files;
pub mod hba;
pub mod ident;
mod lines;
mod pattern;
pub mod settings;
pub mod simulate;
mod token;

pub use address::Net;
pub use dialect::Dialect;
pub use edit::{Edit, Edits};
pub use expand::Place;
pub use files::{Files, Noted, Unreadable};
pub use lines::{Line, Lines};
pub use pattern::Pattern;
