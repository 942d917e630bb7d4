//! A running server of a person's own, with its files within reach: the one door through which a journey has it read
//! them again and sees whether it did.
//!
//! A reload that fails looks like success in SQL (`pg_reload_conf()` answers true): what the server then presents to
//! anybody is the proof.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::conninfo::{Conninfo, Environment};
use crate::dial::{Address, Deadline, Rows, Session};
use crate::pki::{Certificate, Identity};
use crate::plan::literal;
use crate::server::Diagnosis;
use crate::verify::{self, Entry, OverSql, Target};

use super::complaint::Log;
use super::login::log_in;
use super::own_files::are_theirs;
use super::{Error, Means, manage, succession, target};

/// Which server a change of files elsewhere was for: kept with it in the journal, so that it can be told to read them
/// again when they are taken back. Nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How it was reached; without a password.
    pub conninfo: String,
    /// Where its files are, absolute.
    pub config_dir: PathBuf,
    /// Whether the write before it in the journal is a part of the same change.
    #[serde(default)]
    pub with_previous: bool,
}

impl Note {
    /// As it is kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Strings and booleans always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Read back; `None` for the note of something else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// A running server that was logged in to.
pub struct Existing {
    target: Target,
    session: Session,
    /// Directory of its files on this machine, absolute.
    pub config_dir: PathBuf,
    data_directory: Option<PathBuf>,
    /// The account whose place root took for the login.
    in_place_of: Option<String>,
    settings: Rows,
}

impl std::fmt::Debug for Existing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Existing")
            .field("host", &self.target.host)
            .field("config_dir", &self.config_dir)
            .finish_non_exhaustive()
    }
}

impl Existing {
    /// Logs in, and asks for what stands in its settings about TLS. Without `config_dir` its files are looked for where the
    /// server says they are.
    pub async fn enter(
        mut conninfo: Conninfo,
        env: &Environment,
        means: &Means,
        config_dir: Option<&Path>,
    ) -> Result<Self, Error> {
        let named = config_dir.map(super::absolute);
        if let Some(config_dir) = named.clone().filter(|directory| !directory.is_dir()) {
            return Err(Error::File {
                what: "the directory of the server's files (--config-dir)",
                path: config_dir,
                why: "there is no such directory on this machine".to_owned(),
                remedy: "name the one with its postgresql.conf; this has to run on the server's machine"
                    .to_owned(),
            });
        }
        super::audit::as_psql(&mut conninfo, env);
        let target = target(conninfo, env, means).await?;
        let doing = format!("logging in to {}", target.host);
        let Entry { mut session, account } = log_in(&target, &doing).await?;
        if let Some(directory) = &named {
            let limit = || Deadline::after(means.timeout);
            are_theirs(&mut OverSql::new(&mut session, &limit), directory).await?;
        }
        let settings = ask(
            &mut session,
            "SELECT name, setting, source, coalesce(sourcefile, '') AS file FROM pg_settings \
             WHERE name LIKE 'ssl%' OR name IN ('data_directory', 'port', 'config_file')",
            means.timeout,
        )
        .await?;
        let mut live = Self {
            data_directory: None,
            in_place_of: account,
            target,
            session,
            config_dir: PathBuf::new(),
            settings,
        };
        live.data_directory = live.setting("data_directory").map(PathBuf::from);
        live.config_dir = named
            .or_else(|| {
                let file = Path::new(live.setting("config_file")?);
                file.is_file().then(|| file.parent())?.map(super::absolute)
            })
            .ok_or_else(|| Error::DoesNotFit {
                what: "where the server's files are is not known here".to_owned(),
                remedy: "run this on the server's machine, as root or as the server's account, and name the directory with \
                         its postgresql.conf: --config-dir DIR"
                    .to_owned(),
            })?;
        Ok(live)
    }

    /// Whether root logged in as the account that the socket belongs to.
    #[must_use]
    pub const fn is_in_place_of_another(&self) -> bool {
        self.in_place_of.is_some()
    }

    /// A setting in force; `None` where it is empty or not shown to this login.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.column(name, "setting").filter(|value| !value.is_empty())
    }

    /// Where a setting comes from: `configuration file`, `command line`, `default`…
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&str> {
        self.column(name, "source")
    }

    /// The file that a setting comes from, as the server names it.
    #[must_use]
    pub fn source_file(&self, name: &str) -> Option<&str> {
        self.column(name, "file").filter(|file| !file.is_empty())
    }

    fn column(&self, name: &str, column: &str) -> Option<&str> {
        let row =
            (0..self.settings.rows.len()).find(|row| self.settings.value(*row, "name") == Some(name))?;
        self.settings.value(row, column)
    }

    /// Where a file that a setting names is on this machine: as the server says, or in the directory that was given for
    /// its files where that is mounted elsewhere here.
    #[must_use]
    pub fn file(&self, setting: &str) -> Option<PathBuf> {
        self.here(Path::new(self.setting(setting)?))
    }

    /// The same for any path that the server names.
    #[must_use]
    pub fn here(&self, named: &Path) -> Option<PathBuf> {
        let data = self.data_directory.as_deref();
        let relative = match data {
            _ if named.is_relative() => Some(named),
            Some(data) => named.strip_prefix(data).ok(),
            None => None,
        };
        let in_data = data.filter(|_| named.is_relative()).map(|data| data.join(named));
        let as_named = named.is_absolute().then(|| named.to_owned());
        let in_given = relative.map(|relative| self.config_dir.join(relative));
        let mut places = [as_named, in_data, in_given].into_iter().flatten();
        let path = places.find(|path| path.symlink_metadata().is_ok())?;
        // The directory's own name; the file itself may be a link, which is to be seen.
        let directory = path.parent()?.canonicalize().ok()?;
        Some(directory.join(path.file_name()?))
    }

    /// The directories on this machine in which its settings, certificate and data are.
    #[must_use]
    pub fn places(&self) -> Vec<PathBuf> {
        let files = ["config_file", "ssl_cert_file", "ssl_key_file"].map(|name| self.file(name));
        let beside = files
            .into_iter()
            .flatten()
            .filter_map(|file| Some(file.parent()?.to_path_buf()));
        beside
            .chain([self.config_dir.clone()])
            .chain(self.data_directory.clone())
            .collect()
    }

    /// What the server itself reads at a path of its own; `None` where this login may not ask.
    pub async fn reads(&mut self, setting: &str) -> Option<Vec<u8>> {
        let path = literal(self.setting(setting)?);
        let sql = format!("SELECT encode(pg_read_binary_file({path}), 'hex')");
        let rows = self.session.query(&sql, self.deadline()).await.ok()?;
        let hex = rows.rows.first()?.first()?.as_deref()?;
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok())
            .collect()
    }

    /// Has it read its files again. Whether it did is for [`Existing::serves`] to see.
    pub async fn reload(&mut self) -> Result<(), Error> {
        let rows = ask(
            &mut self.session,
            "SELECT pg_reload_conf() AS asked",
            self.target.timeout,
        )
        .await?;
        if rows.value(0, "asked") == Some("t") {
            return Ok(());
        }
        Err(Error::Database {
            doing: "asking for a reload".to_owned(),
            why: "the server could not signal its postmaster".to_owned(),
        })
    }

    /// Where its log ends now, where it is at hand.
    pub async fn log(&mut self) -> Option<Log> {
        let deadline = self.deadline();
        Log::end(&mut self.session, self.data_directory.as_deref(), deadline).await
    }

    /// What it complained about since then.
    pub async fn complaint(&mut self, since: Option<Log>) -> Option<Diagnosis> {
        let deadline = self.deadline();
        since?.complaint(&mut self.session, deadline).await
    }

    /// What it presents to anybody who asks for TLS.
    pub async fn presented(&self) -> Result<Vec<Certificate>, Error> {
        let (host, port) = self.dialled();
        manage::presented(&host, port, self.deadline()).await
    }

    /// Whether it presents this certificate before the time is up: a reload reaches new connections only once the server
    /// has turned to it.
    pub async fn serves(&self, wanted: &Certificate) -> Result<bool, Error> {
        let (host, port) = self.dialled();
        manage::serves(&host, port, wanted, self.target.timeout).await
    }

    /// Whether it takes a client certificate in the handshake.
    pub async fn accepts(&self, client: &Identity) -> Result<(), String> {
        let (host, port) = self.dialled();
        succession::accepts(&host, port, client, self.target.timeout).await
    }

    /// Whether a new login as the first one still succeeds, within the time.
    pub async fn admits(&self) -> Result<(), String> {
        let until = Instant::now() + self.target.timeout;
        loop {
            match verify::enter(&self.target).await {
                Ok(session) => {
                    session.close(self.deadline()).await;
                    return Ok(());
                }
                Err(why) if Instant::now() >= until => return Err(why),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Its settings as they are after a reload.
    pub async fn look_again(&mut self) -> Result<(), Error> {
        self.settings = ask(
            &mut self.session,
            "SELECT name, setting, source, coalesce(sourcefile, '') AS file FROM pg_settings \
             WHERE name LIKE 'ssl%' OR name IN ('data_directory', 'port', 'config_file')",
            self.target.timeout,
        )
        .await?;
        Ok(())
    }

    /// The name that was dialled.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.target.host
    }

    /// The roots by which the connection string judges it.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Says goodbye.
    pub async fn close(self) {
        let deadline = self.deadline();
        self.session.close(deadline).await;
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.target.timeout)
    }

    /// Where TLS can be looked at: beside a socket the same port of this machine.
    fn dialled(&self) -> (String, u16) {
        let port = self.setting("port").and_then(|port| port.parse().ok());
        match &self.target.address {
            Address::Tcp { host, addresses } => (
                addresses
                    .first()
                    .map_or_else(|| host.clone(), |first| first.ip().to_string()),
                addresses
                    .first()
                    .map(std::net::SocketAddr::port)
                    .or(port)
                    .unwrap_or(5432),
            ),
            Address::Unix(_) => ("127.0.0.1".to_owned(), port.unwrap_or(5432)),
        }
    }
}

async fn ask(session: &mut Session, sql: &str, timeout: Duration) -> Result<Rows, Error> {
    session
        .query(sql, Deadline::after(timeout))
        .await
        .map_err(|error| Error::Database {
            doing: "asking the server".to_owned(),
            why: error.to_string(),
        })
}
