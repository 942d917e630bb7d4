//! The lesson: why `sslmode=require` is not enough, shown with real servers, clients and impostors, all on loopback.
//!
//! [`Lesson::open`] starts a PostgreSQL, in the sandbox or in a container, in a place of its own that is gone afterwards, also
//! when the process is killed ([`Temporary`](crate::server::Temporary)), or is a guest on a person's own server ([`Yours`]), of
//! which it changes nothing.
//! [`Lesson::play`] plays one [`Scene`]: it makes the connections that the scene is about, tells what happens meanwhile
//! ([`Told`]), and gives a [`Played`], in which nothing was known beforehand. Scenes may be played in any order, and again;
//! each begins with the server as the first one found it.
//!
//! | Part | Owns |
//! |---|---|
//! | `scenes` | what is tried in each scene, and whether every sign of it was seen |
//! | `act`, `wire` | one connection with somebody in between, and what passes on its wire |
//! | `client` | psql, or our own client |
//! | `stage`, `place` | a server with a table in it, what the impostors show, and the lesson's directory |
//! | `own` | the server where it is the lesson's own: its rules and its certificate |
//! | `yours`, `guest`, `front` | a person's server: reaching it, what is made on it, and who speaks TLS for it |
//! | `last` | what the keeper does when all is over |
//! | `texts` | what the scenes say |
//!
//! The impostors are [`dial`](crate::dial)'s: they listen on loopback and relay to loopback, and refuse any other address.

mod act;
mod client;
mod front;
mod guest;
mod last;
mod own;
mod place;
mod scenes;
mod stage;
mod texts;
mod wire;
mod yours;

use std::path::PathBuf;
use std::time::Instant;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::up::Ask;
use super::{Error, Event, Teller};

pub use last::keep;
pub use own::Start;
pub use texts::{Intro, Text, intro, text};
pub use wire::{Frame, Side};
pub use yours::Yours;

use stage::Stage;

/// What a lesson starts from.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which server.
    pub playground: Playground,
    /// The command of the keeper that removes everything if this process is killed; the directory is added to it.
    pub keeper: Vec<PathBuf>,
    /// The time.
    pub now: OffsetDateTime,
}

/// With which server a lesson is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playground {
    /// With one that is started for it.
    Own(Start),
    /// With the person's own.
    Yours(Yours),
}

impl Default for Playground {
    fn default() -> Self {
        Self::Own(Start::default())
    }
}

impl Playground {
    /// Whether the server is the person's own.
    #[must_use]
    pub const fn is_yours(&self) -> bool {
        matches!(self, Self::Yours(_))
    }
}

/// The hidden command of the program that cleans up behind a lesson that was killed.
pub const KEEPER: &str = "keep-lesson";

/// This program once more, as the keeper.
#[must_use]
pub fn keeper() -> Vec<PathBuf> {
    // Also when the program's file has been replaced meanwhile.
    let itself = std::path::Path::new("/proc/self/exe");
    let here = itself.canonicalize().ok().filter(|path| path.exists());
    let program = here
        .or_else(|| std::env::current_exe().ok())
        .unwrap_or_else(|| "pgtls".into());
    vec![program, KEEPER.into()]
}

/// The scenes, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scene {
    /// No TLS, and somebody who listens.
    Plaintext,
    /// `prefer`, and an impostor who says no.
    Prefer,
    /// `require`, and an impostor.
    Require,
    /// `verify-ca`, and an impostor with a certificate of the same CA.
    VerifyCa,
    /// `verify-full`, and all of them.
    VerifyFull,
    /// Client certificates, and a stolen password.
    MutualTls,
    /// Expiry, and renewal while a session stays open.
    Renewal,
    /// Every mode in every situation.
    Matrix,
}

impl Scene {
    /// Every scene.
    pub const ALL: [Self; 8] = [
        Self::Plaintext,
        Self::Prefer,
        Self::Require,
        Self::VerifyCa,
        Self::VerifyFull,
        Self::MutualTls,
        Self::Renewal,
        Self::Matrix,
    ];

    /// The stable name that scripts see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
            Self::MutualTls => "mutual-tls",
            Self::Renewal => "renewal",
            Self::Matrix => "matrix",
        }
    }

    /// The scene of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scene| scene.name() == name)
    }

    /// Its texts.
    #[must_use]
    pub fn text(self) -> &'static Text {
        text(self)
    }

    /// Its place among all, from 0.
    #[must_use]
    pub fn place(self) -> usize {
        Self::ALL.iter().position(|scene| *scene == self).unwrap_or(0)
    }
}

impl Serialize for Scene {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Who stands between the client and the server, beside the eavesdropper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Middle {
    /// Nobody.
    Nobody,
    /// Nobody, and the way leads past the eavesdropper too.
    Alone,
    /// An impostor who says that there is no TLS.
    Downgrader,
    /// An impostor with a certificate; what that is, in a few words.
    Impostor(String),
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Whose account it is.
    Ann,
    /// An impostor, with what it has stolen.
    Impostor,
}

/// What happens in a scene, as it happens. Every text is safe to print.
#[derive(Debug, Clone)]
pub enum Told {
    /// An act begins: one connection, or one thing done to the server.
    Act {
        /// What it tries, in a few words.
        title: String,
        /// What is typed, without address, port and directories.
        command: String,
        /// Who connects.
        caller: Caller,
        /// Who stands in between.
        middle: Middle,
    },
    /// Something passed on the client's wire, as the eavesdropper sees it.
    Wire(Frame),
    /// The impostor read or did something.
    Impostor(String),
    /// The server was changed, or said something.
    Server(String),
    /// The client's last words in this act, and whether it was let in.
    Client {
        /// Whether it got an answer.
        ok: bool,
        /// The answer, or why there is none.
        says: String,
    },
}

/// What came of a scene.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// Which.
    pub id: Scene,
    /// What it shows.
    pub shows: &'static str,
    /// What was to be expected.
    pub expected: &'static str,
    /// What happened, in one sentence, safe to print.
    pub observed: String,
    /// Whether that is what was to be expected; `None`: it could not be found out, or not be shown.
    pub holds: Option<bool>,
    /// Why a person's own server cannot show it, safe to print.
    pub not_shown: Option<String>,
    /// What shows it, safe to print.
    pub evidence: Vec<String>,
    /// What the eavesdropper took off the wire, connection by connection, in base64.
    pub captured: Vec<String>,
    /// How long it took, in milliseconds.
    #[serde(rename = "ms")]
    pub took: f64,
}

/// What happened in a scene, before it is compared with what was expected.
#[derive(Debug, Default)]
struct Course {
    observed: String,
    holds: Option<bool>,
    not_shown: Option<String>,
    evidence: Vec<String>,
    captured: Vec<String>,
}

/// How often a port is looked for that nobody takes before the server has it.
const TRIES: u32 = 5;

fn is_port_taken(error: &Error) -> bool {
    let Error::Server(error) = error else { return false };
    let diagnosis = error.diagnosis();
    diagnosis.is_some_and(|found| matches!(found.slug, "port-taken" | "container-port"))
}

/// A lesson under way. Dropping it stops the server and removes everything.
#[derive(Debug)]
pub struct Lesson {
    stage: Stage,
}

impl Lesson {
    /// Starts the server. PostgreSQL's programs are fetched where there are none and the person agrees.
    pub async fn open(wanted: &Wanted, ask: &dyn Ask, tell: &Teller) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Box::pin(Stage::open(wanted, ask, tell)).await {
                Ok(stage) => return Ok(Self { stage }),
                // Nobody asked for this port: it was free, and somebody took it before the server could.
                Err(error) if tries < TRIES && is_port_taken(&error) => {
                    tell.notice("another program took the port in between; once more, with another");
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The client that connects, such as `psql 15.18`.
    #[must_use]
    pub fn client(&self) -> String {
        self.stage.client.to_string()
    }

    /// The server, such as `PostgreSQL 15 on 127.0.0.1 port 5433`, and how a person's own speaks TLS.
    #[must_use]
    pub fn server(&self) -> String {
        self.stage.server_in_words()
    }

    /// Ends it, as dropping it does; what is still to be removed on a person's own server, in words.
    pub async fn close(self) -> Option<String> {
        self.stage.close().await
    }

    /// Plays a scene from its beginning.
    pub async fn play(&self, scene: Scene, tell: &Teller) -> Played {
        let since = Instant::now();
        let course = scenes::play(&self.stage, scene, tell).await;
        Played {
            id: scene,
            shows: &scene.text().shows,
            expected: &scene.text().expected,
            observed: course.observed,
            holds: course.holds,
            not_shown: course.not_shown,
            evidence: course.evidence,
            captured: course.captured,
            took: (since.elapsed().as_secs_f64() * 1e6).round() / 1e3,
        }
    }
}

/// Whether all of them hold; `None` if one could not be found out, or not be shown, and none is broken.
#[must_use]
pub fn all_hold(played: &[Played]) -> Option<bool> {
    if played.iter().any(|scene| scene.holds == Some(false)) {
        return Some(false);
    }
    played
        .iter()
        .all(|scene| scene.holds == Some(true))
        .then_some(true)
}

impl Told {
    fn to(self, tell: &Teller) {
        tell.tell(Event::Lesson(self));
    }
}
