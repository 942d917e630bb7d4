//! What a journey tells while it goes: the command line prints it, a screen draws it.

use std::sync::Arc;
use std::time::Duration;

use super::Checked;
use super::demo::Told;
use crate::conninfo::SslMode;
use crate::verify::Probe;
use crate::verify::modes::Cell;

/// A part of a journey, in the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Finding PostgreSQL's programs, fetching them where there are none.
    Find,
    /// Making or reading keys and certificates.
    Certificates,
    /// Writing the files.
    Write,
    /// Making the database cluster (`initdb`).
    Init,
    /// Starting the server.
    Start,
    /// Making roles and databases.
    Database,
    /// Reloading the configuration.
    Reload,
    /// Proving the promises.
    Verify,
    /// Stopping the server.
    Stop,
}

impl Step {
    /// What is being done, for a line of progress.
    #[must_use]
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Find => "finding PostgreSQL",
            Self::Certificates => "making certificates",
            Self::Write => "writing files",
            Self::Init => "making the database cluster",
            Self::Start => "starting PostgreSQL",
            Self::Database => "making role and database",
            Self::Reload => "reloading PostgreSQL",
            Self::Verify => "proving it",
            Self::Stop => "stopping PostgreSQL",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step begins.
    Begin(Step),
    /// A step ended well; one sentence says with what.
    Done {
        /// Which.
        step: Step,
        /// With what result.
        note: String,
        /// After how long.
        took: Duration,
    },
    /// A line of the server's log, or of a program that works for us; safe to print.
    Log(String),
    /// Something the person should know.
    Notice(String),
    /// A probe has its result.
    Probe(Probe),
    /// One of many targets has been checked.
    Target(Box<Checked>),
    /// A connection under some `sslmode` has been made, to the server or to an impostor.
    Cell {
        /// The mode.
        sslmode: SslMode,
        /// Whether that client has a root file.
        root_file: bool,
        /// What came of it.
        cell: Cell,
    },
    /// Something happens in a lesson.
    Lesson(Told),
}

/// Where events go. Cheap to clone; called from any task.
#[derive(Clone)]
pub struct Teller(Arc<dyn Fn(Event) + Send + Sync>);

impl Teller {
    /// Events go to `listener`.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Nobody listens.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }

    /// Tells that something should be known.
    pub fn notice(&self, text: impl Into<String>) {
        self.tell(Event::Notice(text.into()));
    }

    /// Tells that `step` begins; the answer tells its end.
    #[must_use]
    pub fn begin(&self, step: Step) -> Running<'_> {
        self.tell(Event::Begin(step));
        Running {
            teller: self,
            step,
            since: std::time::Instant::now(),
        }
    }
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teller")
    }
}

/// A step that has begun.
#[derive(Debug)]
pub struct Running<'a> {
    teller: &'a Teller,
    step: Step,
    since: std::time::Instant,
}

impl Running<'_> {
    /// The step ended well.
    pub fn done(self, note: impl Into<String>) {
        self.teller.tell(Event::Done {
            step: self.step,
            note: note.into(),
            took: self.since.elapsed(),
        });
    }
}
