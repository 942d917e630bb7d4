//! The process that watches over a change: over files it needs no login, over SQL it holds a session of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::apply::live::{Alteration, Trial};
use crate::dial::{Deadline, Session};
use crate::engine::Error;
use crate::server::{self, Lookout};

use super::over_sql::{Login, runtime, take_back};

/// The watchdog's own session.
struct Held {
    login: Login,
    dir: PathBuf,
    change: Alteration,
    session: Option<Session>,
    asked: Instant,
}

/// How often the watchdog asks whether its session is still there.
const EVERY: Duration = Duration::from_secs(5);
/// Between two attempts to go back.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long it tries to go back: the books say it to the next run all the same.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The same where the books are gone.
const LONGEST_WITHOUT_BOOKS: Duration = Duration::from_secs(60);

/// What the watchdog's process does, to its end.
pub fn keep_watch(dir: &Path) -> Result<(), Error> {
    let trial = server::watched(dir)?;
    let Some(change) = trial.record().alteration.clone() else {
        return Ok(server::keep_watch(dir)?);
    };
    let login = Login::from_handed(&server::handed_over()?);
    let runtime = runtime().map_err(|why| server::not_ready(&why))?;
    runtime.block_on(async {
        let mut lookout = Lookout::new()?;
        let login = login.map_err(|why| server::not_ready(&why))?;
        let session = login.enter(dir, &change).await;
        let session = session.map_err(|why| server::not_ready(&format!("it cannot log in: {why}")))?;
        let mut held = Held {
            login,
            dir: dir.to_path_buf(),
            change,
            session: Some(session),
            asked: Instant::now(),
        };
        let _watch = lookout.ready(&trial)?;
        if Box::pin(lookout.must_go_back(&trial, async || Box::pin(held.beat()).await)).await {
            Box::pin(held.go_back(&trial)).await;
        }
        if let Some(session) = held.session {
            session.close(Deadline::after(PAUSE)).await;
        }
        Ok(())
    })
}

impl Held {
    /// Sees that the session is there, and logs in again where it is not.
    async fn beat(&mut self) {
        if self.asked.elapsed() < EVERY {
            return;
        }
        self.asked = Instant::now();
        let deadline = Deadline::after(Duration::from_millis(self.change.timeout));
        let is_there = match &mut self.session {
            Some(session) => session.query("SELECT 1", deadline).await.is_ok(),
            None => false,
        };
        if !is_there {
            self.session = self.login.enter(&self.dir, &self.change).await.ok();
        }
    }

    /// Until it is done.
    async fn go_back(&mut self, trial: &Trial) {
        let begun = Instant::now();
        let limit = || Deadline::after(Duration::from_millis(self.change.timeout));
        loop {
            if let Some(session) = &mut self.session
                && take_back(trial, &self.change, session, &limit).await.is_ok()
            {
                return;
            }
            self.session = self.login.enter(&self.dir, &self.change).await.ok();
            let longest = if trial.has_books() {
                LONGEST
            } else {
                LONGEST_WITHOUT_BOOKS
            };
            // Somebody else may have gone back, or the server may be gone for good.
            if trial.has_books() && matches!(trial.again(), Ok(None)) || begun.elapsed() > longest {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
