//! Looking for a while at who comes in, and keeping it.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::apply::BOOKS;
use crate::dial::Deadline;
use crate::engine::{Error, files, prepare};
use crate::harden::Watched;

use super::Survey;
use super::survey::sessions;

/// What a watch saw.
#[derive(Debug)]
pub struct Look {
    /// This time.
    pub now: Watched,
    /// With all that was kept from earlier.
    pub all: Watched,
    /// How often it looked.
    pub looks: u64,
}

/// How often it looks.
const EVERY: Duration = Duration::from_millis(500);
/// How often it keeps what it saw so far: whoever is killed loses no more.
const KEEP: Duration = Duration::from_secs(60);

/// Looks for a while, and keeps what it saw in the project. After each look it tells what it has seen so far, and in how
/// many looks; the answer may end it before its time.
pub async fn watch(
    survey: &mut Survey,
    dir: &Path,
    length: Duration,
    tell: &dyn Fn(&Watched, u64) -> ControlFlow<()>,
) -> Result<Look, Error> {
    let dir = prepare::absolute(dir);
    let until = Instant::now() + length;
    let mut seen = Watched::default();
    let mut looks = 0;
    let mut since = Instant::now();
    loop {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let deadline = Deadline::after(survey.target.timeout);
        match sessions(&mut survey.session, now, deadline).await {
            Ok((_, here)) => seen.merge(&here),
            // A server that is stopped in the middle of a night does not take with it what was seen until then.
            Err(error) => {
                keep(&dir, &seen)?;
                return Err(error);
            }
        }
        looks += 1;
        let left = until.saturating_duration_since(Instant::now());
        if tell(&seen, looks).is_break() || left.is_zero() {
            break;
        }
        if since.elapsed() >= KEEP {
            keep(&dir, &seen)?;
            since = Instant::now();
        }
        tokio::time::sleep(left.min(EVERY)).await;
    }
    Ok(Look {
        all: keep(&dir, &seen)?,
        now: seen,
        looks,
    })
}

/// Adds what was seen to what was kept; gives all of it.
fn keep(dir: &Path, seen: &Watched) -> Result<Watched, Error> {
    let mut all = kept(dir)?;
    all.merge(seen);
    let bytes = serde_json::to_vec_pretty(&all).map_err(|error| Error::Environment {
        what: format!("what was seen cannot be written down: {error}"),
    })?;
    crate::apply::live::Live::of(dir).put_watch(&bytes)?;
    Ok(all)
}

/// What was kept.
pub fn kept(dir: &Path) -> Result<Watched, Error> {
    let path = dir.join(BOOKS).join("live").join("watch.json");
    let Some(bytes) = files::read("what was seen while watching", &path)? else {
        return Ok(Watched::default());
    };
    serde_json::from_slice(&bytes).map_err(|error| Error::File {
        what: "what was seen while watching",
        path,
        why: error.to_string(),
        remedy: "remove it, and watch again".to_owned(),
    })
}
