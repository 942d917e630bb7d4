//! The server's log while the connections are made, where a superuser's way in is at hand.

use tokio::sync::Mutex;

use crate::dial::{Heard, Overheard, Session};

use super::super::lookup::Log;
use super::super::over_sql::OverSql;
use super::super::run;
use super::super::target::Target;

/// How many entries one cell shows.
const MOST_ENTRIES: usize = 4;

/// A log that is open at the place where it ended when the matrix began.
#[derive(Debug)]
pub struct Logbook {
    log: Log,
    session: Mutex<Session>,
}

impl Logbook {
    /// Opens it; `None` where it cannot be read.
    pub async fn open(target: &Target) -> Option<Self> {
        let mut session = run::superuser(target, target.admin.as_ref()?).await.ok()?;
        let deadline = || target.deadline();
        let log = Log::from_now(&mut OverSql::new(&mut session, &deadline)).await?;
        Some(Self {
            log,
            session: Mutex::new(session),
        })
    }

    /// What it says of the connections to the server that were made for one cell; by our ports, and where it does not
    /// tell those, by what the client was told.
    pub async fn lines(&self, target: &Target, heard: &[Heard], told: &str) -> Vec<String> {
        let ports: Vec<u16> = heard
            .iter()
            .filter_map(|heard| match heard.what {
                Overheard::Dialled(port) => Some(port),
                _ => None,
            })
            .collect();
        if ports.is_empty() {
            return Vec::new();
        }
        let mut session = self.session.lock().await;
        let deadline = || target.deadline();
        let sql = &mut OverSql::new(&mut session, &deadline);
        let mut entries = self.log.of(sql, &ports).await;
        if entries.is_empty() {
            let told = [told.to_owned()];
            let refusal = self.log.find(sql, None, |entry| entry.is_refusal(&told)).await;
            entries.extend(refusal);
        }
        entries
            .iter()
            .take(MOST_ENTRIES)
            .flat_map(|entry| entry.told(&self.log.name))
            .collect()
    }

    /// Ends the session.
    pub async fn close(self, target: &Target) {
        self.session.into_inner().close(target.deadline()).await;
    }
}
