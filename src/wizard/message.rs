//! What happens to the wizard ([`Message`]), and what it asks the world to do ([`Effect`]). Nothing else passes
//! between the pure part and the rest.

use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::KeyEvent;
use secrecy::SecretString;

use crate::engine::{Error, Event};
use crate::server::ServerError;
use crate::setup::Answers;
use crate::verify::modes::Matrix;
use crate::verify::{Probe, Report};

use super::look::Seen;
use super::model::ModeCell;
use super::resume::Kept;
use super::review::Preview;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// Something that was drawn was clicked.
    Click(Target),
    /// The wheel was turned by so many lines.
    Scroll(i16),
    /// The terminal has this size.
    Resize(u16, u16),
    /// Time has passed since the running job began.
    Tick(Duration),
    /// This machine was looked at.
    Seen(Seen),
    /// The files were worked out, or why not. The number is that of the request.
    Preview(u64, Result<Preview, Failure>),
    /// The journey tells.
    Told(Event),
    /// A question of the journey, which waits for the answer.
    Asked(Question),
    /// The journey ended.
    Done(Result<Landed, Failure>),
    /// The journey was cancelled, and this is how things are now.
    Cancelled(String),
    /// A probe has its result.
    Probe(Probe),
    /// The proof ended.
    Proven(Result<Report, Failure>),
    /// A connection under some `sslmode` was made; the number is that of the run.
    Cell(u64, ModeCell),
    /// All of them were made.
    Matrix(u64, Result<Matrix, Failure>),
    /// Something happened in the lesson.
    Lesson(super::lesson::Message),
    /// Something happened on the way to a hardened server; the number is that of the order that it answers.
    Harden(u64, super::harden::Message),
    /// Something that was to be done by the way was done, or not; one sentence.
    Noted(String),
}

/// What the wizard wants done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Look at this machine.
    Look,
    /// Work out the files, without writing.
    Preview(u64, Job),
    /// Write, start, make the role and the database.
    Up(Job),
    /// Break off what runs.
    Cancel,
    /// Answer the question that the journey waits on.
    Answer(Reply),
    /// Prove a server: this conninfo, or the project's own.
    Prove(Option<SecretString>),
    /// Connect to it under each `sslmode`, with impostors in front; the number of the run, and the conninfo as above.
    Modes(u64, Option<SecretString>),
    /// Put text on the clipboard.
    Copy(String),
    /// Keep the answers for the next time, or forget them.
    Keep(Option<Kept>),
    /// Save the answers as the project's answers file, and write nothing else.
    Save(Job),
    /// Something of the lesson.
    Lesson(super::lesson::Order),
    /// Something of hardening a server, and the number of the order.
    Harden(u64, super::harden::Order),
    /// Give the terminal back for a while (Ctrl-Z).
    Suspend,
    /// Leave.
    Quit,
}

/// What a journey starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The answers, as flags.
    pub flags: Answers,
    /// A file with the passphrase of an encrypted key.
    pub passphrase_file: Option<PathBuf>,
}

/// A failure, for people: what failed and why, what to do, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What failed and why.
    pub what: String,
    /// What to do.
    pub remedies: Vec<String>,
    /// Lines of a log that show it.
    pub log: Vec<String>,
    /// The step whose answers decide it, where they do.
    pub step: Option<&'static str>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            what: error.to_string(),
            remedies: error.remedies(),
            log: error.log().to_vec(),
            step: decided_by(error),
        }
    }
}

/// The step whose answers decide what failed.
fn decided_by(error: &Error) -> Option<&'static str> {
    match error {
        Error::File { what, .. } if what.contains("password") => Some("names"),
        Error::File { what, .. } if what.contains("(ssl") => Some("start"),
        Error::PortTaken(_) | Error::PortForbidden { .. } => Some("names"),
        Error::Authority(_) | Error::NoAuthority { .. } | Error::File { .. } => Some("certificates"),
        Error::Conninfo(_) | Error::Open(_) | Error::Server(ServerError::NoBinaries { .. }) => Some("start"),
        _ => None,
    }
}

/// What a journey came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landed {
    /// The project directory, absolute.
    pub dir: String,
    /// The port that clients dial, where a server was started.
    pub port: Option<u16>,
    /// How to connect, in every language.
    pub ways: Vec<Way>,
}

/// One way to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// The language or tool, in a word.
    pub name: String,
    /// The same, as people call it.
    pub title: String,
    /// The snippet.
    pub text: String,
    /// What to know about it.
    pub notes: Vec<String>,
}

/// A question that a journey waits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A file that somebody edited would be replaced.
    Edited {
        /// Which.
        path: String,
        /// The change.
        diff: String,
        /// Whether it may stay as it is.
        may_be_left: bool,
    },
    /// PostgreSQL would be fetched.
    Fetch {
        /// What, by whom, how large.
        what: String,
        /// Where to.
        into: String,
        /// What to know about it.
        caveat: Option<String>,
    },
    /// A volume that an earlier project left would be used.
    Adopt {
        /// What that means.
        means: String,
    },
    /// A volume that was made just now, and that the server did not start on, would be deleted.
    Discard {
        /// What that means.
        means: String,
    },
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Go on: replace the file (a copy is kept), fetch.
    Yes,
    /// Leave the file as it is.
    Leave,
    /// Stop.
    No,
}

/// Something on the screen that can be clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A step of the rail, by its place in the list.
    Step(usize),
    /// A row of a question on this step: the question's place in the step, and the row.
    Row(usize, usize),
    /// An item of a list: a file, a probe, a tab.
    Item(usize),
    /// A line beside it.
    Line(usize),
    /// A button of the window that is open.
    Button(usize),
}
