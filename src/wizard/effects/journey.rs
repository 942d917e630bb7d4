//! Writing, starting, making the role and the database; and leaving things as they were when that is broken off.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::apply::Project;
use crate::clients;
use crate::conninfo::{Conninfo, Keyword};
use crate::engine::{self, Error, Event, Step, Teller};
use crate::server::{Places, Sandbox};

use super::super::message::{Failure, Job, Landed, Message, Way};
use super::ask::Asker;
use super::{Made, with_secrets};

/// One way through: write, start, make the role and the database.
pub(super) struct Journey {
    pub(super) dir: PathBuf,
    pub(super) messages: mpsc::UnboundedSender<Message>,
    pub(super) made: Made,
    pub(super) ask: Asker,
}

impl Journey {
    pub(super) async fn go(&self, job: Job, stopped: oneshot::Receiver<()>) -> Message {
        let before = Before::of(&self.dir);
        let wrote = Arc::new(Mutex::new(false));
        let teller = self.teller(Arc::clone(&wrote));
        tokio::select! {
            biased;
            result = self.up(&job, &teller) => {
                Message::Done(result.map_err(|error| Failure::from(&error)))
            }
            // Dropped without a word, the sender still lives as long as the journey is wanted.
            Ok(()) = stopped => {
                let wrote = *wrote.lock().unwrap_or_else(PoisonError::into_inner);
                Message::Cancelled(before.restore(&self.dir, wrote).await)
            }
        }
    }

    fn teller(&self, wrote: Arc<Mutex<bool>>) -> Teller {
        let messages = self.messages.clone();
        Teller::new(move |event| {
            if matches!(
                event,
                Event::Done {
                    step: Step::Write,
                    ..
                }
            ) {
                *wrote.lock().unwrap_or_else(PoisonError::into_inner) = true;
            }
            let _ = messages.send(Message::Told(event));
        })
    }

    async fn up(&self, job: &Job, teller: &Teller) -> Result<Landed, Error> {
        let (mut request, setup) = with_secrets(&self.dir, job)?;
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        request.gathered = made
            .filter(|(_, of, _)| *of == setup)
            .map(|(.., gathered)| gathered);
        let outcome = Box::pin(engine::up(&request, &self.ask, None, teller)).await?;
        // From here on what counts is on disk.
        self.made.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Landed {
            dir: outcome.dir.display().to_string(),
            port: outcome.server.as_ref().map(|server| server.port),
            ways: ways(&outcome.conninfo),
        })
    }
}

/// Every way to connect that can be written for this connection.
fn ways(conninfo: &Conninfo) -> Vec<Way> {
    let has_certificate = conninfo.get(Keyword::Sslcert).is_some();
    clients::all()
        .iter()
        .filter_map(|client| {
            let text = clients::render(client, conninfo).ok()?;
            let mut notes = client.traps.clone();
            if has_certificate && !client.formats.is_empty() {
                notes.insert(
                    0,
                    format!(
                        "It needs the key in a format of its own: `pgtls connect {}` makes it.",
                        client.name
                    ),
                );
            }
            Some(Way {
                name: client.name.clone(),
                title: client.title.clone(),
                text: text.trim_matches('\n').to_owned(),
                notes,
            })
        })
        .collect()
}

/// What there was before a journey began, to leave things as they were when it is broken off.
struct Before {
    had_data: bool,
}

impl Before {
    fn of(dir: &std::path::Path) -> Self {
        let sandbox = Sandbox::locate(&engine::absolute(dir), &Places::of_this_machine());
        Self {
            had_data: sandbox.is_ok_and(|sandbox| sandbox.data_version().is_some()),
        }
    }

    /// Takes back what was written, and removes the data directory that was made. The server that was started is gone
    /// with the journey.
    async fn restore(&self, dir: &std::path::Path, wrote: bool) -> String {
        if !wrote {
            return "Broken off before anything was written.".to_owned();
        }
        let sandbox = Sandbox::locate(&engine::absolute(dir), &Places::of_this_machine());
        let undone = engine::undo(dir, &Teller::silent()).await;
        let removed = match sandbox {
            Ok(sandbox) if !self.had_data => sandbox.delete().map(|_| ()).map_err(|error| error.to_string()),
            _ => Ok(()),
        };
        // Where the data lay elsewhere, the undo found its note still among the books: whoever closes them last, with nothing
        // in them, takes them along.
        drop(Project::create(dir));
        match (undone, removed) {
            (Ok(_), Ok(())) => {
                "Broken off. What was written is taken back, and no server was left.".to_owned()
            }
            (Err(error), _) => {
                format!("Broken off; no server was left. Taking back what was written failed: {error}")
            }
            (_, Err(why)) => {
                format!("Broken off, and what was written is taken back. Its data directory stays: {why}")
            }
        }
    }
}
