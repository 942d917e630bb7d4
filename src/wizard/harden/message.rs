//! What happens on the way to a hardened server, as plain data: safe to draw, and without any secret.

use std::time::Duration;

use crate::engine::Event;
use crate::engine::harden::Standing;
use crate::harden::Stage;

use super::super::message::Failure;
use super::super::review::Preview;

/// What happens on the way. Each is the answer to an order, and comes with that order's number.
#[derive(Debug, Clone)]
pub enum Message {
    /// The server wants the password of this role.
    Password(String),
    /// The request for a CA elsewhere was made, or why not.
    Requested(Result<Requested, Failure>),
    /// What that CA answered is good and filed, or why not.
    Answered(Result<(), Failure>),
    /// The server was looked at, or why not.
    Looked(Result<Found, Failure>),
    /// A stage waits to be kept already, for so many seconds.
    Found(Stage, u64),
    /// Who was seen without TLS so far, in so many looks.
    Seen(Vec<String>, u64),
    /// The watch is at its end: who was seen without TLS, now and before.
    Watched(Result<(Vec<String>, String), Failure>),
    /// The stage was worked out, or why not.
    Proposed(Result<(Preview, Facts), Failure>),
    /// The try tells.
    Told(Event),
    /// The try came to its end.
    Tried(Result<Tried, Failure>),
    /// So many seconds are left to keep it.
    Left(u64),
    /// It was decided over.
    Ended(Ended),
    /// Time since the order began to be carried out.
    Tick(Duration),
}

/// A server that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its version.
    pub version: String,
    /// Its settings and its rules, by their names on this machine.
    pub files: [String; 2],
    /// The account whose place root took for the login, where it did.
    pub account: Option<String>,
    /// Whether TLS is on.
    pub tls: bool,
    /// Why its files cannot be written from here, where they cannot.
    pub out_of_reach: Option<String>,
    /// What was changed in them since the server last read them, and what to do, in sentences.
    pub unread: Option<String>,
    /// How many kinds of sessions there are, the administrator's apart.
    pub sessions: usize,
    /// Who is in without TLS now.
    pub plaintext: Vec<String>,
    /// How the stages stand.
    pub standing: Vec<Standing>,
    /// What comes next.
    pub next: Option<Stage>,
    /// The directory of the books, absolute.
    pub kit: String,
    /// Who may log in, and gets a certificate unless others are named.
    pub roles: Vec<String>,
}

/// A request for a CA elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requested {
    /// Its file.
    pub file: String,
    /// The file of its key.
    pub key: String,
    /// The names that it asks for.
    pub names: String,
    /// The kind of the key.
    pub algorithm: String,
}

/// What there is to know about a proposal, beside its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Sessions that would be turned away, by kinds.
    pub refused: Vec<Met>,
    /// Those of which it cannot be told.
    pub unsure: Vec<Met>,
    /// How many kinds were asked about.
    pub looked_at: usize,
    /// The certificate in force that another would take the place of, unless the person does not want that.
    pub replaces: Option<String>,
    /// Why it is not tried unless the person accepts that.
    pub turns_away: Option<String>,
    /// What should be known.
    pub notes: Vec<String>,
    /// Why the server's files cannot be written from here, where they cannot.
    pub out_of_reach: Option<String>,
}

/// What becomes of a kind of sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Met {
    /// In a sentence.
    pub says: String,
    /// The line that decides, and what would help.
    pub more: Vec<String>,
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// In force and proven; it waits to be kept for so many seconds.
    Waits(u64),
    /// It was in force before, and is proven now.
    WasInForce,
    /// It does not hold: why, what should be known, and whether everything was taken back.
    Fell(Failure, Vec<String>, bool),
    /// Written for the server's administrator, in this directory.
    Bundled(String),
}

/// How a try that waited was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Kept.
    Kept,
    /// Taken back; in one sentence.
    Back(String),
}
