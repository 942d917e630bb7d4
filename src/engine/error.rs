//! Why a journey could not be gone to its end.

use std::path::PathBuf;

use crate::setup::Problem;
use crate::{apply, clients, conninfo, dial, pki, server};

/// What kind of failure it is: decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was promised does not hold, or the server refused.
    Broken,
    /// The question was wrong.
    Usage,
    /// The environment lacks something.
    Environment,
    /// It could not be found out.
    Undetermined,
}

/// How things are after a journey that was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It had written nothing that is still there.
    Nothing,
    /// What it had written is there.
    Written,
    /// A stage was being tried.
    Tried,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing was written",
            Self::Written => "no server was left running",
            Self::Tried => "its watchdog takes the stage back",
        })
    }
}

/// A failure, with what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The answers do not make a setup; all that is wrong with them.
    #[error("{}", list(.0))]
    Answers(Vec<Problem>),
    /// A file that was named cannot be used.
    #[error("{what} {}: {why}", .path.display())]
    File {
        /// What it is for, as in "the password file".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The CA cannot be made, read, or asked to issue.
    #[error("{0}")]
    Authority(#[from] pki::AuthorityError),
    /// Only half of something is in the project directory.
    #[error("{found} is here but {missing} is not")]
    Half {
        /// The file that is there.
        found: PathBuf,
        /// The file that is not.
        missing: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// A certificate has to be issued and the CA's key is not here.
    #[error("{reason}, and the CA's key is not here to issue another")]
    NoAuthority {
        /// Why one has to be issued.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// Files could not be compared, written or restored.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// The server could not be found, made, started or stopped.
    #[error(transparent)]
    Server(#[from] server::ServerError),
    /// The running server keeps its old settings or certificate: it complained about the new ones.
    #[error("the server did not take its new files: {}", .0.says)]
    Reload(server::Diagnosis),
    /// A change was made, is not in force, and was taken back as far as that was possible.
    #[error("{what}")]
    NotInForce {
        /// What happened, and how things are now.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The port that was asked for is somebody else's.
    #[error("{0}")]
    PortTaken(String),
    /// The port that was asked for is not one that this account may listen on.
    #[error("port {port}: {}", .why.says)]
    PortForbidden {
        /// The port.
        port: u16,
        /// Why.
        why: server::Diagnosis,
    },
    /// A connection string cannot be used.
    #[error(transparent)]
    Conninfo(#[from] conninfo::Error),
    /// A question to our own server, over its socket, failed.
    #[error("{doing} failed: {why}")]
    Database {
        /// What was being done.
        doing: String,
        /// What the server or the link said.
        why: String,
    },
    /// The server wants a password, and there is none.
    #[error("the server wants the password of {user}, and there is none")]
    NeedsPassword {
        /// Whose.
        user: String,
    },
    /// There is no project here.
    #[error("{} is no pgtls project: it holds no pgtls.toml", .0.display())]
    NoProject(PathBuf),
    /// The command does not fit this project.
    #[error("{what}")]
    DoesNotFit {
        /// What does not fit.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The server, or this machine, does not allow it.
    #[error("{what}")]
    OutOfReach {
        /// What is in the way.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// A change was taken back before anybody kept it.
    #[error("{what}")]
    TooLate {
        /// What became of it.
        what: String,
    },
    /// A snippet cannot be written.
    #[error(transparent)]
    Snippet(#[from] clients::Unwritable),
    /// A server address could not be reached or resolved.
    #[error(transparent)]
    Open(#[from] dial::OpenError),
    /// This machine did not give what every program needs.
    #[error("{what}")]
    Environment {
        /// What is missing.
        what: String,
    },
    /// The journey was broken off, and no server was left running.
    #[error("broken off by {by}; {now}")]
    Interrupted {
        /// By what.
        by: &'static str,
        /// How things are.
        now: Broken,
    },
    /// The person said no.
    #[error("{what}")]
    Declined {
        /// How things are, in a sentence without its beginning: "nothing was written".
        what: String,
    },
    /// Consent is needed and was not given.
    #[error("{what}")]
    NeedsConsent {
        /// What would be done.
        what: String,
        /// How to agree.
        remedy: String,
    },
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Answers(_)
            | Self::File { .. }
            | Self::Authority(_)
            | Self::Conninfo(_)
            | Self::NoProject(_)
            | Self::DoesNotFit { .. }
            | Self::Snippet(_)
            | Self::NeedsConsent { .. }
            | Self::Declined { .. } => Kind::Usage,
            Self::Environment { .. }
            | Self::OutOfReach { .. }
            | Self::Half { .. }
            | Self::NoAuthority { .. }
            | Self::Apply(_)
            | Self::Server(_)
            | Self::PortTaken(_)
            | Self::PortForbidden { .. } => Kind::Environment,
            Self::Interrupted { .. } => Kind::Undetermined,
            Self::Database { .. }
            | Self::NeedsPassword { .. }
            | Self::Open(_)
            | Self::Reload(_)
            | Self::NotInForce { .. }
            | Self::TooLate { .. } => Kind::Broken,
        }
    }

    /// What to do about it, where the message does not say so already.
    #[must_use]
    pub fn remedies(&self) -> Vec<String> {
        match self {
            Self::File { remedy, .. }
            | Self::Half { remedy, .. }
            | Self::NoAuthority { remedy, .. }
            | Self::DoesNotFit { remedy, .. }
            | Self::NotInForce { remedy, .. }
            | Self::OutOfReach { remedy, .. }
            | Self::NeedsConsent { remedy, .. } => vec![remedy.clone()],
            Self::Server(error) => vec![error.remedy()],
            Self::Reload(diagnosis) => vec![diagnosis.remedy.clone()],
            Self::PortTaken(_) => {
                vec!["name a free port with --port, or stop what listens there".to_owned()]
            }
            Self::PortForbidden { why, .. } => vec![why.remedy.clone()],
            Self::NoProject(_) => {
                vec!["name the project's directory with --dir, or make one with `pgtls up`".to_owned()]
            }
            Self::NeedsPassword { .. } => {
                vec!["give it by PGPASSWORD or in a passfile (~/.pgpass, mode 0600)".to_owned()]
            }
            Self::Interrupted {
                now: Broken::Written, ..
            } => {
                vec!["run the command again to go on; `pgtls undo` takes back what it had written".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// Lines of the server's own log that show it, safe to print.
    #[must_use]
    pub fn log(&self) -> &[String] {
        match self {
            Self::Server(error) => error.lines(),
            Self::Reload(diagnosis) => std::slice::from_ref(&diagnosis.line),
            _ => &[],
        }
    }
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        many => format!("{} answers are wrong:\n  {}", many.len(), many.join("\n  ")),
    }
}
