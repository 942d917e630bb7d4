//! Questions of a journey, asked on the screen while its thread waits for the answer.

use std::sync::mpsc as answers;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::apply::{Answer, Change};
use crate::engine::{Ask, adopting, discarding};
use crate::pki::printable;
use crate::server::fetch::FetchPlan;

use super::super::message::{Message, Question, Reply};

/// Asks on the screen, and waits for the answer.
pub(super) struct Asker {
    pub(super) messages: mpsc::UnboundedSender<Message>,
    pub(super) replies: Arc<Mutex<Option<answers::Sender<Reply>>>>,
}

impl Asker {
    /// A screen that has gone away says no.
    fn ask(&self, question: Question) -> Reply {
        let (sender, receiver) = answers::channel();
        *self.replies.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        if self.messages.send(Message::Asked(question)).is_err() {
            return Reply::No;
        }
        receiver.recv().unwrap_or(Reply::No)
    }
}

impl Ask for Asker {
    fn edited(&self, change: &Change) -> Answer {
        let reply = self.ask(Question::Edited {
            path: printable(&change.path.to_string_lossy()),
            diff: change.diff(),
            may_be_left: change.may_be_left(),
        });
        match reply {
            Reply::Yes => Answer::Replace,
            Reply::Leave => Answer::Leave,
            Reply::No => Answer::Stop,
        }
    }

    fn fetch(&self, plan: &FetchPlan) -> bool {
        let size = plan
            .size
            .map(|bytes| format!(", {} MB", bytes / 1_000_000))
            .unwrap_or_default();
        let reply = self.ask(Question::Fetch {
            what: format!("{} through {}{size}", plan.package, plan.client.name()),
            into: plan.into.display().to_string(),
            caveat: plan.caveat.clone(),
        });
        reply == Reply::Yes
    }

    fn adopt(&self, volume: &str, version: u16) -> bool {
        let means = printable(&adopting(volume, version));
        self.ask(Question::Adopt { means }) == Reply::Yes
    }

    fn discard(&self, volume: &str) -> bool {
        let means = printable(&discarding(volume));
        self.ask(Question::Discard { means }) == Reply::Yes
    }
}
