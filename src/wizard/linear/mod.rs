//! The wizard line by line: the same steps, questions, texts and engine as the screen, for screen readers, for
//! terminals that cannot be drawn to, and for whoever prefers it. Nothing is redrawn, no cursor is moved, no colour is
//! used; the terminal stays as it is, and so nothing has to be given back.
//!
//! This module owns the conversation: it hands lines to the same `update` as keys, and says what comes of it. What is
//! said stands in `say`, how a line answers a question in `ask`. It must not have a question or an explanation of its
//! own.

mod ask;
mod harden;
mod say;
mod say_harden;

use std::io::{self, BufRead, Write};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::effects::Runner;
use super::farewell::farewell;
use super::field::Field;
use super::message::{Effect, Message, Target};
use super::model::{Model, ModesState, Popup, ProofState};
use super::resume::Kept;
use super::review;
use super::steps::{STEPS, may_be_mended, place, ways};
use super::terminal::{self, End, Over};
use super::widgets::{width, wrap};
use ask::Taken;
use say::plain;

/// The conversation.
struct Linear {
    model: Model,
    runner: Runner,
    messages: mpsc::UnboundedReceiver<Message>,
    lines: mpsc::UnboundedReceiver<String>,
    signals: Signals,
}

/// What ends it from outside.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What a person wants next.
enum Next {
    On,
    Back,
    To(usize),
    /// Ask the same again.
    Stay,
}

/// A line, or why there will be none.
type Line = Result<String, Stop>;

/// Why the conversation ends: the person left, a signal came, or nothing can be said any more.
enum Stop {
    End(End),
    Lost(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// Talks until the end.
pub async fn run(model: Model, first: Vec<Effect>) -> io::Result<Over> {
    let (sender, messages) = mpsc::unbounded_channel();
    let mut talk = Linear {
        runner: Runner::new(model.dir.clone(), sender),
        model,
        messages,
        lines: read_lines(),
        signals: Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        },
    };
    for effect in first {
        talk.runner.run(effect);
    }
    let stop = talk.talk().await;
    let kept = Kept::of(&talk.model);
    // Breaks off what runs, and waits until things are as they were.
    talk.runner.end();
    while let Ok(message) = talk.messages.try_recv() {
        if let Message::Cancelled(says) = message {
            let _ = talk.say(&says);
        }
    }
    talk.runner.run(Effect::Keep(kept));
    let end = match stop {
        Err(_) if terminal::is_gone() => End::GONE,
        Ok(()) => End::Left,
        Err(Stop::End(end)) => end,
        Err(Stop::Lost(error)) => return Err(error),
    };
    // The last step has said it, and nothing is wiped away here; nor what was broken off.
    let has_said = talk.model.step().name() == "connect" || !talk.model.has_landed();
    Ok(Over {
        end,
        failed: None,
        left: Vec::new(),
        farewell: if has_said {
            Vec::new()
        } else {
            farewell(&talk.model)
        },
    })
}

/// A sentence broken between its words, as long as the terminal is wide: it would break within them. What begins with a
/// blank is a command or a file, to be taken as it is.
fn broken(text: &str) -> String {
    let columns = crossterm::terminal::size().map_or(usize::MAX, |(columns, _)| usize::from(columns));
    if text.starts_with(' ') || width(text) <= columns {
        return text.to_owned();
    }
    wrap(text, columns).join("\n")
}

/// Lines as they are typed; the channel ends with the input.
fn read_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    // It waits in a read that nothing ends but the input: the process's end takes it along.
    std::thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']).to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Linear {
    async fn talk(&mut self) -> Result<(), Stop> {
        for line in say::INTRODUCTION.lines() {
            self.say(line)?;
        }
        if let Some(note) = self.model.note.take() {
            self.say(&note)?;
        }
        // What is said once is not changed later: the best choice has to be known before it is named.
        self.say("Looking at what is on this machine.")?;
        self.wait(|model| model.form.seen.as_ref().is_some_and(|seen| !seen.asking))
            .await?;
        let mut backwards = false;
        loop {
            let steps = self.model.shown_steps();
            let here = steps.iter().position(|at| *at == self.model.at).unwrap_or(0);
            let title = self.model.step().title();
            self.say("")?;
            self.say(&format!("Step {} of {}: {title}.", here + 1, steps.len()))?;
            let next = match self.model.step().name() {
                "review" => self.review().await?,
                "write" => self.write().await?,
                "verify" => self.verify().await?,
                "connect" => self.connect().await?,
                "stage" => self.stages().await?,
                "plan" => self.plan().await?,
                "try" => self.attempt().await?,
                "request" => self.request(backwards).await?,
                _ => self.questions(backwards).await?,
            };
            backwards = matches!(next, Next::Back);
            match next {
                Next::On if self.model.next_step().is_none() => return Ok(()),
                Next::On => self.press(KeyCode::Enter)?,
                Next::Back if here == 0 => self.say("This is the first step.")?,
                Next::Back => self.press(KeyCode::Esc)?,
                Next::To(at) => self.tell(Message::Click(Target::Step(at)))?,
                Next::Stay => {}
            }
        }
    }

    /// The questions of a step, one after the other; from the last one where one comes back to it.
    async fn questions(&mut self, backwards: bool) -> Result<Next, Stop> {
        for line in say::picture(&self.model) {
            self.say(&line)?;
        }
        let mut at = if backwards {
            self.model.asked().len().saturating_sub(1)
        } else {
            0
        };
        loop {
            let Some(field) = self.model.asked().get(at).copied() else {
                // The step as a whole is judged as on the screen; what is wrong is asked again.
                if !self.model.has_fault(self.model.at) {
                    return Ok(Next::On);
                }
                self.press(KeyCode::Enter)?;
                at = self.model.focus.field;
                continue;
            };
            match self.question(field).await? {
                Next::Back if at == 0 => return Ok(Next::Back),
                Next::Back => at -= 1,
                Next::On => at += 1,
                Next::To(step) => return Ok(Next::To(step)),
                Next::Stay => {}
            }
        }
    }

    async fn question(&mut self, field: Field) -> Result<Next, Stop> {
        self.say("")?;
        let (above, prompt) = say::question(&self.model, field);
        for line in above {
            self.say(&line)?;
        }
        let line = self.line(&prompt).await?;
        match ask::take(&mut self.model, field, &line) {
            Taken::Answered => {
                for line in say::consequence(&self.model, field) {
                    self.say(&line)?;
                }
                Ok(Next::On)
            }
            Taken::Back => Ok(Next::Back),
            Taken::Explain => {
                self.say(super::teach::about(field))?;
                Ok(Next::Stay)
            }
            Taken::Wrong(says) => {
                for line in says {
                    self.say(&line)?;
                }
                Ok(Next::Stay)
            }
        }
    }

    async fn review(&mut self) -> Result<Next, Stop> {
        if matches!(self.model.review.state, review::State::Pending) {
            self.say("Making keys and certificates, to show what would be written. Nothing is written yet.")?;
            self.wait(|model| !matches!(model.review.state, review::State::Pending))
                .await?;
        }
        let faulty = (0..STEPS.len()).find(|at| self.model.has_fault(*at));
        for line in say::review(&self.model) {
            self.say(&line)?;
        }
        if !self.model.step().may_go_on(&self.model) {
            let decided = self.model.fault().and_then(|fault| fault.step).map(place);
            return self.mend(faulty.or(decided)).await;
        }
        loop {
            let prompt = "Enter carries this out. The number of a file reads it, \"save\" keeps the answers in \
                          pgtls.toml and writes nothing else: ";
            let line = self.line(prompt).await?;
            match line.as_str() {
                "" => return Ok(Next::On),
                "back" => return Ok(Next::Back),
                "save" => {
                    self.press(KeyCode::Char('s'))?;
                    self.wait(|model| model.note.is_some()).await?;
                    self.note()?;
                }
                number => {
                    for line in say::file(&self.model, number) {
                        self.say(&line)?;
                    }
                }
            }
        }
    }

    async fn write(&mut self) -> Result<Next, Stop> {
        if self.model.is_busy() {
            self.say("\"cancel\" breaks it off and takes back what was written.")?;
            self.wait(|model| !model.is_busy()).await?;
        }
        for line in say::written(&self.model) {
            self.say(&line)?;
        }
        if self.model.has_landed() {
            return Ok(Next::On);
        }
        let decided = self.model.fault().and_then(|fault| fault.step).map(place);
        self.mend(decided).await
    }

    /// What can be done about a failure of this step.
    async fn mend(&mut self, step: Option<usize>) -> Result<Next, Stop> {
        let go = step.map_or_else(String::new, |step| {
            format!("\"go\" goes to {}, which decides it; ", STEPS[step].title())
        });
        let line = self
            .line(&format!("Enter tries again; {go}\"back\" or \"quit\": "))
            .await?;
        match (line.as_str(), step) {
            ("", _) if self.model.step().name() == "review" => {
                // Worked out anew: what was missing may be there now.
                let effects = self.model.step().enter(&mut self.model);
                self.carry_out(effects);
                Ok(Next::Stay)
            }
            ("", _) => {
                self.press(KeyCode::Char('r'))?;
                Ok(Next::Stay)
            }
            ("go", Some(step)) => Ok(Next::To(step)),
            ("back", _) => Ok(Next::Back),
            _ => Ok(Next::Stay),
        }
    }

    async fn verify(&mut self) -> Result<Next, Stop> {
        if matches!(self.model.proof.state, ProofState::Running) {
            self.say("Trying every promise: what must work, and what must be refused.")?;
            self.wait(|model| !matches!(model.proof.state, ProofState::Running))
                .await?;
        }
        for line in say::verdict(&self.model) {
            self.say(&line)?;
        }
        let fix = if may_be_mended(&self.model) {
            "\"fix\" writes and starts it again, "
        } else {
            ""
        };
        let modes = if matches!(self.model.proof.state, ProofState::None) {
            ""
        } else {
            ", \"modes\" connects under every sslmode, to the server and to impostors in front of it"
        };
        let prompt = format!("Enter goes on. {fix}\"again\" tries every promise again{modes}: ");
        let line = self.line(&prompt).await?;
        match line.as_str() {
            "" => return Ok(Next::On),
            "back" => return Ok(Next::Back),
            "again" => self.press(KeyCode::Char('r'))?,
            "fix" => self.press(KeyCode::Char('f'))?,
            "modes" if !modes.is_empty() => return self.modes().await,
            _ => {}
        }
        Ok(Next::Stay)
    }

    /// What each `sslmode` is worth, and then on from the proof.
    async fn modes(&mut self) -> Result<Next, Stop> {
        self.press(KeyCode::Char('m'))?;
        if matches!(self.model.modes.state, ModesState::Running) {
            self.say("Connecting under every sslmode.")?;
            self.wait(|model| !matches!(model.modes.state, ModesState::Running))
                .await?;
        }
        for line in say::modes(&self.model) {
            self.say(&line)?;
        }
        self.press(KeyCode::Char('m'))?;
        match self
            .line("Enter goes on, \"back\" to the proof: ")
            .await?
            .as_str()
        {
            "" => Ok(Next::On),
            _ => Ok(Next::Stay),
        }
    }

    async fn connect(&mut self) -> Result<Next, Stop> {
        self.model.tab = say::way(&self.model, "conninfo").unwrap_or(0);
        loop {
            for line in say::connect(&self.model) {
                self.say(&line)?;
            }
            let names: Vec<_> = ways(&self.model).iter().map(|way| way.name.as_str()).collect();
            let others = format!("Also for: {}.", names.join(", "));
            self.say(&others)?;
            let line = self
                .line("Enter ends. A name shows how to connect from there: ")
                .await?;
            match (line.as_str(), say::way(&self.model, &line)) {
                ("", _) => return Ok(Next::On),
                ("back", _) => return Ok(Next::Back),
                (_, Some(way)) => self.model.tab = way,
                _ => {}
            }
        }
    }

    /// Asks for a line; what happens meanwhile is taken in.
    async fn line(&mut self, prompt: &str) -> Line {
        self.line_while(prompt, |_| true)
            .await
            .map(Option::unwrap_or_default)
    }

    /// Asks for a line for as long as this holds.
    async fn line_while(
        &mut self,
        prompt: &str,
        holds: impl Fn(&Model) -> bool,
    ) -> Result<Option<String>, Stop> {
        let mut out = io::stdout();
        write!(out, "{} ", broken(plain(self.model.theme, prompt).trim_end()))?;
        out.flush()?;
        loop {
            tokio::select! {
                line = self.lines.recv() => {
                    let line = line.ok_or(Stop::End(End::Left))?.trim().to_owned();
                    if matches!(line.as_str(), "quit" | "exit") {
                        return Err(Stop::End(End::Left));
                    }
                    return Ok(Some(line));
                }
                Some(message) = self.messages.recv() => {
                    self.tell(message)?;
                    if !holds(&self.model) {
                        self.say("")?;
                        return Ok(None);
                    }
                }
                end = self.signals.next() => {
                    self.say("")?;
                    return Err(Stop::End(end));
                }
            }
        }
    }

    /// A line as it was typed, whatever it says.
    async fn typed(&mut self) -> Line {
        tokio::select! {
            line = self.lines.recv() => line.ok_or(Stop::End(End::Left)),
            end = self.signals.next() => Err(Stop::End(end)),
        }
    }

    /// Says what happens until this holds; questions that come up are asked.
    async fn wait(&mut self, holds: impl Fn(&Model) -> bool) -> Result<(), Stop> {
        while !holds(&self.model) {
            tokio::select! {
                Some(message) = self.messages.recv() => self.tell(message)?,
                line = self.lines.recv() => match line.as_deref().map(str::trim) {
                    None | Some("quit" | "exit") => return Err(Stop::End(End::Left)),
                    Some("cancel") if self.model.is_busy() || self.model.harden.is_busy() => {
                        self.press(KeyCode::Char('c'))?;
                    }
                    Some(_) => self.say("Still under way.")?,
                },
                end = self.signals.next() => return Err(Stop::End(end)),
            }
            match self.model.popup {
                Some(Popup::Asked(..)) => self.decide().await?,
                Some(Popup::Password(..)) => self.password().await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A question of the journey.
    async fn decide(&mut self) -> Result<(), Stop> {
        loop {
            let Some(Popup::Asked(question, _)) = &self.model.popup else {
                return Ok(());
            };
            let (above, count) = say::asked(question);
            for line in above {
                self.say(&line)?;
            }
            // Pressing on is never a yes here: something would be replaced or fetched.
            let line = self.line("A number: ").await?;
            if let Some(number) = line.parse::<usize>().ok().filter(|n| (1..=count).contains(n)) {
                self.tell(Message::Click(Target::Button(number - 1)))?;
            }
        }
    }

    fn press(&mut self, key: KeyCode) -> io::Result<()> {
        self.tell(Message::Key(KeyEvent::new(key, KeyModifiers::NONE)))
    }

    /// Takes a message in, and says what there is to say of it.
    fn tell(&mut self, message: Message) -> io::Result<()> {
        let told = say::told(&message).into_iter();
        for line in told.chain(say_harden::told(&self.model, &message)) {
            self.say(&line)?;
        }
        let noted = matches!(message, Message::Noted(_));
        let effects = super::update::update(&mut self.model, message);
        self.carry_out(effects);
        if noted { Ok(()) } else { self.note() }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.runner.run(effect);
        }
    }

    fn note(&mut self) -> io::Result<()> {
        match self.model.note.take() {
            Some(note) => self.say(&note),
            None => Ok(()),
        }
    }

    fn say(&self, line: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{}", broken(&plain(self.model.theme, line)))
    }
}

impl Signals {
    async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.interrupt.recv() => End::Signal("Ctrl-C"),
            _ = self.terminate.recv() => End::Signal("SIGTERM"),
            _ = self.hangup.recv() => End::Signal("SIGHUP"),
        }
    }
}
