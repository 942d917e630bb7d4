//! What this room tells while it works.

use std::path::PathBuf;

/// Something that happened, for a face to show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A server that an interrupted run had left behind was stopped.
    StoppedLeftover {
        /// Its process.
        pid: u32,
    },
    /// A data directory that an interrupted run had left half-made was removed.
    RemovedHalfMade(PathBuf),
    /// `initdb` has begun in this directory.
    Initializing(PathBuf),
    /// `initdb` has ended well.
    Initialized,
    /// The server process was started.
    Starting {
        /// Its process.
        pid: u32,
    },
    /// A line of the server's log, made printable.
    Log(String),
    /// The server accepts connections.
    Ready,
    /// A package client has begun.
    Fetching {
        /// Its name, as typed.
        client: &'static str,
        /// What it is asked for.
        package: String,
    },
    /// A line a package client said, made printable.
    Client(String),
    /// A remark worth showing, in plain words.
    Notice(String),
}

/// Where events go: a function of the caller's.
pub type Events<'a> = &'a (dyn Fn(Event) + Send + Sync);
