//! The only writer of a person's files: difference against the disk, one journaled transaction, undo.
//!
//! A run goes through four doors:
//! [`Project::look`] (reads only, for a preview) or [`Project::open`] / [`Project::create`] (one run at a time,
//! and whatever a killed run left is put in order first), [`compare`], [`write()`], and later [`undo`].
//!
//! What is kept in `.pgtls/` (0700, nobody else's business):
//!
//! | Name | What it is |
//! |---|---|
//! | `lock` | held while a run may write; holds its process id |
//! | `manifest` | what we last wrote: digest, mode and description of each file. An edit shows against it |
//! | `journal/NNNNNN.done` | a finished write: each file before and after, so that it can be undone |
//! | `journal/NNNNNN.commit` | a write that is under way; it holds all new bytes, so it can always be finished |
//! | `journal/NNNNNN.undo` | an undo that is under way; it holds all old bytes, so it can always be finished |
//! | `staging/` | new files, complete, before they are renamed into place |
//! | `kept/` | copies of a person's edits that were replaced |
//!
//! Why a kill or a power cut at any instant is harmless: the record is one file with a digest over all of it. Until
//! it is whole and on disk nothing of the person's has been touched, and a record that is not whole counts as
//! absent. From then on the next run can finish the write from the record alone, whatever became of the staged
//! files. Files and directories are synced before the record is called done.
//!
//! Every path is walked from the project directory's own file descriptor without following symbolic links, so a
//! link planted meanwhile cannot lead a write elsewhere.
//!
//! Files elsewhere, such as a running server's certificate and key, go through [`switch()`]: all at one instant, in the same
//! journal.
//!
//! Must not: open sockets, start processes, read the clock, touch `.pgtls/data` (the sandbox's).

mod attributes;
mod compare;
mod error;
mod journal;
pub mod live;
mod manifest;
mod project;
mod publish;
mod record;
mod show;
mod switch;
mod transaction;
mod tree;
mod undo;
mod write;

pub use compare::{Action, Change, Changes, compare, compare_beside};
pub use error::{Error, Found, Trouble};
pub use journal::has_written;
pub(crate) use manifest::sha256;
pub use project::{Locked, Project, Recovery};
pub use publish::publish;
pub use show::line as shown_line;
pub use switch::{Elsewhere, last_note, notes, switch};
pub use transaction::KeptCopy;
pub use undo::{Before, LastWrite, Undone, UndoneFile, before_last, last_number, last_write, undo, writes};
pub use write::{Answer, HISTORY, Policy, Written, WrittenFile, write};

/// Where pgtls keeps its own books, below the project directory.
pub const BOOKS: &str = ".pgtls";
