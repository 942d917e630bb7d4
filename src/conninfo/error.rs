//! What can be wrong with connection parameters, in words for the person who wrote them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Keyword;
use super::quote::Quoted;

/// Where a value came from: what the person has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The connection string.
    Explicit,
    /// A service in a service file.
    Service {
        /// The service's name.
        name: String,
        /// The file it was found in.
        file: PathBuf,
    },
    /// An environment variable.
    Variable(&'static str),
    /// Nobody said it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit => f.write_str("in the connection string"),
            Self::Service { name, file } => {
                write!(
                    f,
                    "in service {} of {}",
                    Quoted::new(name),
                    Quoted::new(&file.to_string_lossy())
                )
            }
            Self::Variable(name) => write!(f, "in the variable {name}"),
            Self::Default => f.write_str("by default"),
        }
    }
}

/// Why connection parameters cannot be used; libpq refuses each of these too, unless a variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A NUL in the text; libpq, being C, would silently stop reading there.
    #[error("the connection string contains a NUL character: remove it")]
    NulByte,
    /// A keyword that libpq 18 does not know.
    #[error("unknown connection parameter{}{hint}", shown(.keyword.as_ref()))]
    UnknownKeyword {
        /// What was written; withheld where it may be a piece of a secret.
        keyword: Option<Quoted>,
        /// What to do: the nearest keyword, where there is one.
        hint: String,
    },
    /// `key=value` form: a word without `=`.
    #[error(
        "expected \"=\" after the word{} at character {position} of the connection string: \
         put a value with spaces in single quotes ('…')",
        shown(.word.as_ref())
    )]
    MissingEquals {
        /// The word; withheld where it may be a piece of a secret.
        word: Option<Quoted>,
        /// Where the word begins, from 1.
        position: usize,
    },
    /// `key=value` form: a quoted value that never ends.
    #[error(
        "the value of {keyword} begins with a single quote that is never closed: add the closing quote, or \
             write \\' for a quote that belongs to the value"
    )]
    UnterminatedQuote {
        /// The keyword, as written.
        keyword: Quoted,
    },
    /// URI form.
    #[error("in the connection URI: {0}")]
    Uri(#[from] UriError),
    /// A word that is not one of those a keyword allows.
    #[error("{keyword} is {value} {origin}: expected {expected}{hint}")]
    BadValue {
        /// The keyword.
        keyword: Keyword,
        /// What was found.
        value: Quoted,
        /// Who said it.
        origin: Box<Origin>,
        /// What is allowed.
        expected: String,
        /// A guess at what was meant.
        hint: String,
    },
    /// A secret of the wrong shape; never shown.
    #[error("{keyword} {origin} is not what it should be: expected {expected}")]
    BadSecret {
        /// The keyword.
        keyword: Keyword,
        /// Who said it.
        origin: Box<Origin>,
        /// What is expected.
        expected: &'static str,
    },
    /// `hostaddr` and `host`, or `port`, list different numbers of entries.
    #[error("{found} entries in {keyword} ({origin}) do not go with {expected} in {other}: give as many{}",
            if *.keyword == Keyword::Port { ", or one port for all" } else { "" })]
    Counts {
        /// The list that does not fit.
        keyword: Keyword,
        /// Who said it.
        origin: Box<Origin>,
        /// How many it has.
        found: usize,
        /// The list it should fit.
        other: Keyword,
        /// How many that one has.
        expected: usize,
    },
    /// An `sslmode` that would make a stronger setting pointless.
    #[error("sslmode {sslmode} {origin} is too weak for {reason}: use {allowed}")]
    WeakSslMode {
        /// The sslmode's word.
        sslmode: &'static str,
        /// Who said it.
        origin: Box<Origin>,
        /// The setting that wants more.
        reason: &'static str,
        /// The modes that do.
        allowed: &'static str,
    },
    /// A lower bound above its upper bound.
    #[error("{min} ({low}) is above {max} ({high}): no version is left to speak")]
    EmptyRange {
        /// The lower bound's keyword.
        min: Keyword,
        /// Its value.
        low: &'static str,
        /// The upper bound's keyword.
        max: Keyword,
        /// Its value.
        high: &'static str,
    },
    /// GSSAPI encryption demanded over a Unix socket.
    #[error("gssencmode=require cannot work over a Unix socket: use disable or prefer, or connect over TCP")]
    GssOverSocket,
    /// The named service is in none of the files.
    #[error("service {name} ({origin}) is not defined in {}", list(.searched))]
    ServiceNotFound {
        /// The service.
        name: Quoted,
        /// Who named it.
        origin: Box<Origin>,
        /// The files that were read, or looked for.
        searched: Vec<PathBuf>,
    },
    /// `PGSERVICEFILE` names a file that cannot be opened, or a service file cannot be read.
    #[error("the service file {} cannot be read: {why}", path(.file))]
    ServiceFileUnreadable {
        /// The file.
        file: PathBuf,
        /// Why not, in words.
        why: &'static str,
    },
    /// A line of a service file that libpq does not accept.
    #[error("line {line} of the service file {}: {what}", path(.file))]
    ServiceFileLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// An environment variable that is not text.
    #[error("the variable {0} is not valid UTF-8: set it to text, or unset it")]
    VariableNotText(&'static str),
    /// No user name given, and the operating system has none for this account.
    #[error("no user name: the operating system knows no name for this account; give user= or PGUSER")]
    NoUser,
}

/// What is wrong with the form of a URI. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// `%` without two hexadecimal digits.
    #[error("\"%\" in the {0} must be followed by two hexadecimal digits: write %25 for a percent sign")]
    PercentEncoding(&'static str),
    /// `%00`.
    #[error("%00 in the {0} is not allowed")]
    Nul(&'static str),
    /// A blank inside a part.
    #[error("the {0} contains a space: write %20")]
    Space(&'static str),
    /// Bytes that are not UTF-8 (libpq would take them as they are).
    #[error("the {0} is not valid UTF-8 once decoded: percent-encode the UTF-8 form")]
    NotUtf8(&'static str),
    /// `[` without `]`.
    #[error("an IPv6 address begins with \"[\" but has no \"]\"")]
    Ipv6Unclosed,
    /// `[]`.
    #[error("the IPv6 address between \"[\" and \"]\" is empty")]
    Ipv6Empty,
    /// Something else after `]`.
    #[error(
        "after the \"]\" of an IPv6 address, \":\", \"/\", \"?\", \",\" or the end is expected, \
             not {0}"
    )]
    AfterIpv6(Quoted),
    /// A parameter without `=`.
    #[error("parameter number {0} after \"?\" has no \"=\": write name=value, joined by \"&\"")]
    ParameterWithoutEquals(usize),
    /// A parameter with two `=`.
    #[error("parameter number {0} after \"?\" has a second \"=\": write %3D inside a value")]
    ParameterWithTwoEquals(usize),
}

/// An I/O error in words.
pub(super) fn words(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "no such file",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::IsADirectory => "it is a directory",
        io::ErrorKind::NotADirectory => "a part of its path is not a directory",
        io::ErrorKind::FileTooLarge => "it is too large to be one",
        _ => "reading it failed",
    }
}

fn shown(word: Option<&Quoted>) -> String {
    word.map_or_else(String::new, |word| format!(" {word}"))
}

fn path(path: &Path) -> Quoted {
    Quoted::new(&path.to_string_lossy())
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "any service file".to_owned();
    }
    paths
        .iter()
        .map(|file| path(file).to_string())
        .collect::<Vec<_>>()
        .join(" or ")
}
