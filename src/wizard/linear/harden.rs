//! Hardening a server that is there, line by line: the stages, what one would change, the try and the countdown.

use std::io::{self, Write};

use crossterm::event::KeyCode;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::harden::Stage;

use super::super::harden::{AttemptState, LENGTHS, Looked, RequestState};
use super::super::message::{Message, Target};
use super::super::model::{Model, Popup};
use super::super::review::State;
use super::super::steps::place;
use super::{Linear, Next, Stop, plain, say_harden as say};

impl Linear {
    /// The request for a CA elsewhere, and its answer.
    pub(super) async fn request(&mut self, backwards: bool) -> Result<Next, Stop> {
        self.wait(|model| !matches!(model.harden.request.state, RequestState::Making))
            .await?;
        let next = self.questions(backwards).await?;
        if !matches!(next, Next::On) {
            return Ok(next);
        }
        self.press(KeyCode::Enter)?;
        self.wait(|model| !matches!(model.harden.request.state, RequestState::Checking))
            .await?;
        if let Some(note) = self.model.note.take() {
            self.say(&note)?;
        }
        // A good answer has led to the stages already; of another one the step says why not.
        Ok(Next::Stay)
    }

    /// Where the server stands, and which stage is next.
    pub(super) async fn stages(&mut self) -> Result<Next, Stop> {
        if matches!(self.model.harden.looked, Looked::Running) {
            self.say("Looking at the server; nothing is changed.")?;
            self.wait(|model| !matches!(model.harden.looked, Looked::Running))
                .await?;
        }
        if matches!(self.model.harden.looked, Looked::Failed(_)) {
            for line in say::failed(&self.model) {
                self.say(&line)?;
            }
            return self.again().await;
        }
        for line in say::stages(&self.model) {
            self.say(&line)?;
        }
        let chosen = self.model.harden.stage;
        let number = Stage::CHOICES
            .iter()
            .position(|stage| *stage == chosen)
            .map_or(0, |at| at + 1);
        let prompt = format!("A number, or Enter for {number}, {chosen}; \"again\" looks again, \"back\": ");
        let line = self.line(&prompt).await?;
        let named = line.parse().ok().or_else(|| {
            let stage = Stage::CHOICES.iter().position(|stage| stage.name() == line);
            stage.map(|at| at + 1)
        });
        match (line.as_str(), named) {
            ("back", _) => return Ok(Next::Back),
            ("again", _) => self.press(KeyCode::Char('r'))?,
            ("", _) if chosen == Stage::Watch => self.watch().await?,
            ("", _) => return Ok(Next::On),
            (_, Some(number @ 1..=6)) => {
                self.tell(Message::Click(Target::Item(number - 1)))?;
                if self.model.harden.stage != Stage::Watch {
                    return Ok(Next::On);
                }
                self.watch().await?;
            }
            _ => self.say("Type a number from 1 to 6.")?,
        }
        Ok(Next::Stay)
    }

    /// Looks for a while at who comes in.
    async fn watch(&mut self) -> Result<(), Stop> {
        for (at, (length, _)) in LENGTHS.iter().enumerate() {
            self.say(&format!("{}. Watch for {length}.", at + 1))?;
        }
        let chosen = self.model.harden.length;
        let prompt = format!(
            "A number, or Enter for {}, {}; \"back\": ",
            chosen + 1,
            LENGTHS[chosen].0
        );
        let line = self.line(&prompt).await?;
        match line
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1))
        {
            Some(at) if at < LENGTHS.len() => {
                // As the keys do it: one step after the other.
                for _ in at..chosen {
                    self.press(KeyCode::Left)?;
                }
                for _ in chosen..at {
                    self.press(KeyCode::Right)?;
                }
            }
            _ if line.is_empty() => {}
            _ => return Ok(()),
        }
        self.press(KeyCode::Enter)?;
        self.say("Watching; \"cancel\" ends it before its time, and keeps what was seen.")?;
        self.wait(|model| !model.harden.is_watching()).await?;
        for line in say::watched(&self.model) {
            self.say(&line)?;
        }
        Ok(())
    }

    /// What it would change, and whom it would turn away.
    pub(super) async fn plan(&mut self) -> Result<Next, Stop> {
        if matches!(self.model.harden.plan.review.state, State::Pending) {
            self.wait(|model| !matches!(model.harden.plan.review.state, State::Pending))
                .await?;
        }
        if matches!(self.model.harden.plan.review.state, State::Failed(_)) {
            for line in say::failed(&self.model) {
                self.say(&line)?;
            }
            return self.again().await;
        }
        for line in say::plan(&self.model) {
            self.say(&line)?;
        }
        loop {
            let line = self.line(&say::plan_prompt(&self.model)).await?;
            match line.as_str() {
                "" if self.model.harden.may_try() => return Ok(Next::On),
                // It says why not.
                "" => self.press(KeyCode::Enter)?,
                "back" => return Ok(Next::Back),
                "accept" => self.press(KeyCode::Char('a'))?,
                "shorter" => self.press(KeyCode::Char('-'))?,
                "longer" => self.press(KeyCode::Char('+'))?,
                number => {
                    for line in say::change(&self.model, number) {
                        self.say(&line)?;
                    }
                }
            }
        }
    }

    /// The try, the countdown, and what came of it.
    pub(super) async fn attempt(&mut self) -> Result<Next, Stop> {
        let is_running = |model: &Model| {
            matches!(
                model.harden.attempt.state,
                AttemptState::Running | AttemptState::Stopping
            )
        };
        if is_running(&self.model) {
            self.say("\"cancel\" breaks it off, and everything goes back.")?;
            self.wait(|model| !is_running(model)).await?;
        }
        while let AttemptState::Waiting(left) = self.model.harden.attempt.state {
            for line in say::waiting(&self.model, left) {
                self.say(&line)?;
            }
            let is_waiting = |model: &Model| matches!(model.harden.attempt.state, AttemptState::Waiting(_));
            let line = self
                .line_while("\"keep\" keeps it, \"undo\" goes back now: ", is_waiting)
                .await?;
            match line.as_deref() {
                Some("keep") => self.press(KeyCode::Char('k'))?,
                Some("undo" | "back") => self.press(KeyCode::Esc)?,
                _ => {}
            }
        }
        self.wait(|model| !model.harden.is_trying()).await?;
        for line in say::outcome(&self.model) {
            self.say(&line)?;
        }
        match self
            .line("Enter goes to the stages, \"quit\" leaves: ")
            .await?
            .as_str()
        {
            "" => Ok(Next::To(place("stage"))),
            _ => Ok(Next::Stay),
        }
    }

    /// After a failure: once more, or to the server's answers.
    async fn again(&mut self) -> Result<Next, Stop> {
        match self
            .line("Enter tries again, \"back\" or \"quit\": ")
            .await?
            .as_str()
        {
            "" => self.press(KeyCode::Char('r'))?,
            "back" => return Ok(Next::Back),
            _ => {}
        }
        Ok(Next::Stay)
    }

    /// The password, typed unseen.
    pub(super) async fn password(&mut self) -> Result<(), Stop> {
        let Some(Popup::Password(who, _)) = &self.model.popup else {
            return Ok(());
        };
        self.say(&format!(
            "The server wants the password of {who}. It is not shown, and not kept."
        ))?;
        let unseen = Unseen::now();
        let mut out = io::stdout();
        write!(
            out,
            "{}",
            plain(self.model.theme, "Password, or Enter for none: ")
        )?;
        out.flush()?;
        let line = self.typed().await?;
        drop(unseen);
        self.say("")?;
        if line.is_empty() {
            return Ok(self.press(KeyCode::Esc)?);
        }
        self.tell(Message::Paste(line))?;
        Ok(self.press(KeyCode::Enter)?)
    }
}

/// What is typed is not shown, until this is dropped.
struct Unseen(Option<Termios>);

impl Unseen {
    fn now() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut unseen = before.clone();
            unseen.local_modes -= LocalModes::ECHO;
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &unseen);
        }
        Self(before)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
