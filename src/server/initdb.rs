//! Making the data directory.
//!
//! `initdb` runs without its own final sync; ours runs while the server starts, and a mark is written when
//! everything is on the disk and not before. Data without that mark was never promised to anybody and is made
//! anew: nothing is less durable than with `initdb`'s own sync, only the waiting is done twice at once.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::files::{make_dir, remove_tree, write};
use super::{Binaries, Event, Events, SUPERUSER, Sandbox, ServerError, diagnose, sync};

/// The time `initdb` has; it needs about a second.
const LIMIT: Duration = Duration::from_secs(180);

/// A data directory, ready for a server.
#[derive(Debug)]
#[must_use]
pub struct Cluster {
    /// Whether it was made just now.
    pub created: bool,
    syncing: Option<JoinHandle<std::io::Result<()>>>,
}

impl Sandbox {
    /// Makes the data directory, if it is not there; stops a server, and removes half-made data, that an
    /// interrupted run left. Dropping the future ends `initdb` and its children.
    ///
    /// Authentication is closed from the beginning (only the account itself, over the socket); our own
    /// `pg_hba.conf` replaces it when the server starts.
    pub async fn init(&self, binaries: &Binaries, events: Events<'_>) -> Result<Cluster, ServerError> {
        self.make()?;
        self.clear_leftover(events).await?;
        let data = self.data_dir();
        if self.inner("initialized").exists()
            && let Some(version) = self.data_version()
        {
            if version != binaries.version.major {
                return Err(ServerError::OtherVersion {
                    data,
                    data_version: version,
                    binaries: binaries.version.text.clone(),
                });
            }
            return Ok(Cluster {
                created: false,
                syncing: None,
            });
        }
        if let Some(server) = self.running() {
            return Err(ServerError::AlreadyRunning {
                pid: server.pid,
                port: server.port,
            });
        }
        if std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
            remove_tree(&data)?;
            events(Event::RemovedHalfMade(data.clone()));
            make_dir(&data, 0o700, self.account.as_ref())?;
        }
        events(Event::Initializing(data.clone()));
        // PostgreSQL 13 prints its instructions in any case.
        let quiet = (binaries.version.major > 13).then_some("--no-instructions");
        let program = binaries
            .program("initdb", self.account.as_ref())
            .args([
                "--username",
                SUPERUSER,
                "--encoding",
                "UTF8",
                "--lc-messages",
                "C",
            ])
            .args(["--auth-local", "peer", "--auth-host", "reject"])
            .args(["--data-checksums", "--no-sync"])
            .args(quiet)
            .args(["--lc-collate", "C", "--lc-ctype", letters()]);
        let ended = program.arg("--pgdata").arg(&data).limit(LIMIT).run().await?;
        if !ended.success() {
            let lines = ended.last_lines(20);
            let diagnosis = diagnose(&lines).map(Box::new);
            return Err(ServerError::Init {
                data,
                lines,
                diagnosis,
            });
        }
        events(Event::Initialized);
        let syncing = tokio::task::spawn_blocking(move || sync::tree(&data));
        Ok(Cluster {
            created: true,
            syncing: Some(syncing),
        })
    }

    /// Waits until new data is on the disk, and marks it as whole. [`Sandbox::start`] does so itself.
    pub async fn settle(&self, cluster: Cluster) -> Result<(), ServerError> {
        let Some(syncing) = cluster.syncing else {
            return Ok(());
        };
        let data = self.data_dir();
        let synced = syncing
            .await
            .unwrap_or_else(|_| Err(std::io::Error::other("the sync was broken off")));
        synced.map_err(|error| ServerError::file("sync", &data, &error))?;
        let version = self.data_version().unwrap_or_default();
        // Writing the mark syncs the directory that holds it and the data directory's name.
        write(
            &self.inner("initialized"),
            format!("{version}\n").as_bytes(),
            0o644,
            None,
        )?;
        let home = std::fs::File::open(&self.place.home).and_then(|home| home.sync_all());
        home.map_err(|error| ServerError::file("sync", &self.place.home, &error))
    }
}

/// The locale that knows what letters are: UTF-8's where the system has it. Sorting is always by code point,
/// which no update of the system's libraries can change under an index.
fn letters() -> &'static str {
    let there = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"]
        .iter()
        .any(|path| Path::new(path).exists());
    if there { "C.UTF-8" } else { "C" }
}
