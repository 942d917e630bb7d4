//! Everything that the wizard knows. Plain data: no clock, no socket, no secret; [`super::update`] alone changes it.

use std::path::PathBuf;
use std::time::Duration;

use tui_input::Input;

use crate::conninfo::SslMode;
use crate::engine::Step as Part;
use crate::pki::printable;
use crate::setup::Answers;
use crate::verify::modes::Cell;
use crate::verify::{Probe, Report};

use super::field::{Field, Kind};
use super::form::{Checked, Form};
use super::harden::Harden;
use super::lesson::Lesson;
use super::message::{Failure, Job, Landed, Question};
use super::review::{self, Review};
use super::secret::Typed;
use super::steps::{self, STEPS};
use super::theme::Theme;

/// The state of the wizard.
#[derive(Debug, Clone)]
pub struct Model {
    /// The project directory, as it was named.
    pub dir: PathBuf,
    /// The same, as it is shown.
    pub dir_shown: String,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// How it is drawn.
    pub theme: Theme,
    /// The answers.
    pub form: Form,
    /// What setup says of them.
    pub checked: Checked,
    /// Which step is shown.
    pub at: usize,
    /// The furthest step that was reached.
    pub reached: usize,
    /// Which question, and which row of it.
    pub focus: Focus,
    /// The text under the cursor.
    pub editor: Input,
    /// The window over the screen.
    pub popup: Option<Popup>,
    /// How many of its lines are scrolled away.
    pub scrolled: usize,
    /// The files.
    pub review: Review,
    /// Writing and starting.
    pub journey: Journey,
    /// Proving.
    pub proof: Proof,
    /// What each `sslmode` is worth.
    pub modes: Modes,
    /// Hardening a server that is there.
    pub harden: Harden,
    /// Which way to connect is shown.
    pub tab: usize,
    /// One sentence that is shown until the next key.
    pub note: Option<String>,
    /// The lesson, while it is on the screen.
    pub lesson: Option<Lesson>,
}

/// Where the cursor is among the questions of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Focus {
    /// The question, counted among those asked on this step.
    pub field: usize,
    /// The row of a list.
    pub row: usize,
}

/// A window over the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popup {
    /// The keys that act here.
    Help,
    /// An explanation: its title and its text.
    Why(String, String),
    /// Whether to leave; which answer is chosen.
    Leave(usize),
    /// The password of this role, typed unseen.
    Password(String, Typed),
    /// A question of the journey; which answer is chosen.
    Asked(Question, usize),
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the one that is shown.
    Here,
    /// It was gone through.
    Done,
    /// Something on it is wrong.
    Problem,
    /// It is still to come.
    NotYet,
}

/// Writing, starting, making the database.
#[derive(Debug, Clone, Default)]
pub struct Journey {
    /// From which answers.
    pub job: Option<Job>,
    /// How far it is.
    pub state: JourneyState,
    /// Its parts, in the order in which they began.
    pub parts: Vec<PartRow>,
    /// The server's log.
    pub log: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Time since it began.
    pub elapsed: Duration,
}

/// One part of a journey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// Which.
    pub part: Part,
    /// With what result, once it is done.
    pub note: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// How far a journey is.
#[derive(Debug, Clone, Default)]
pub enum JourneyState {
    /// Not begun.
    #[default]
    None,
    /// Under way.
    Running,
    /// Being broken off.
    Cancelling,
    /// At its end.
    Landed(Landed),
    /// It failed.
    Failed(Failure),
    /// It was broken off; how things are now.
    Cancelled(String),
}

/// Proving.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// How far it is.
    pub state: ProofState,
    /// What was found so far.
    pub probes: Vec<Probe>,
    /// Which probe is looked at.
    pub selected: usize,
    /// Time since it began.
    pub elapsed: Duration,
}

/// How far the proof is.
#[derive(Debug, Clone, Default)]
pub enum ProofState {
    /// Not begun.
    #[default]
    None,
    /// Under way.
    Running,
    /// At its end.
    Done(Report),
    /// It could not be begun.
    Failed(Failure),
}

/// Connecting under each `sslmode`.
#[derive(Debug, Clone)]
pub struct Modes {
    /// How far it is.
    pub state: ModesState,
    /// The number of the run whose results count.
    pub number: u64,
    /// Whether it is on the screen, in the place of the proof.
    pub shown: bool,
    /// What came of it so far.
    pub cells: Vec<ModeCell>,
    /// The line and the column that are looked at.
    pub at: (usize, usize),
    /// Time since it began.
    pub elapsed: Duration,
}

impl Default for Modes {
    /// Not begun; what is looked at first is the mode that everything here is made for.
    fn default() -> Self {
        Self {
            state: ModesState::None,
            number: 0,
            shown: false,
            cells: Vec::new(),
            at: (5, 0),
            elapsed: Duration::ZERO,
        }
    }
}

/// One connection under an `sslmode`.
#[derive(Debug, Clone)]
pub struct ModeCell {
    /// The mode.
    pub sslmode: SslMode,
    /// Whether the client has a root file.
    pub root_file: bool,
    /// What came of it.
    pub cell: Cell,
}

/// How far the connecting is.
#[derive(Debug, Clone, Default)]
pub enum ModesState {
    /// Not begun.
    #[default]
    None,
    /// Under way.
    Running,
    /// At its end: whether `verify-full` keeps its promise, and the sentence that says so.
    Done(Option<bool>, String),
    /// It could not be begun.
    Failed(Failure),
}

impl Model {
    /// The wizard at its first step.
    #[must_use]
    pub fn new(dir: PathBuf, dir_shown: &str, saved: Answers, theme: Theme, size: (u16, u16)) -> Self {
        let form = Form::new(saved);
        let checked = form.check();
        let mut model = Self {
            dir,
            dir_shown: printable(dir_shown),
            size,
            theme,
            form,
            checked,
            at: 0,
            reached: 0,
            focus: Focus::default(),
            editor: Input::default(),
            popup: None,
            scrolled: 0,
            review: Review::default(),
            journey: Journey::default(),
            proof: Proof::default(),
            modes: Modes::default(),
            harden: Harden::default(),
            tab: 0,
            note: None,
            lesson: None,
        };
        model.focus_on(Focus::default());
        model
    }

    /// The step that is shown.
    #[must_use]
    pub fn step(&self) -> &'static dyn steps::Step {
        STEPS[self.at]
    }

    /// The places of the steps that these answers lead through.
    #[must_use]
    pub fn shown_steps(&self) -> Vec<usize> {
        (0..STEPS.len()).filter(|at| STEPS[*at].shown(self)).collect()
    }

    /// How a step stands.
    #[must_use]
    pub fn standing(&self, at: usize) -> Standing {
        if at == self.at {
            Standing::Here
        } else if at <= self.reached && (self.has_fault(at) || STEPS[at].failed(self)) {
            Standing::Problem
        } else if at < self.reached || (at == self.reached && at < self.at) {
            Standing::Done
        } else {
            Standing::NotYet
        }
    }

    /// Whether an answer of that step is wrong.
    #[must_use]
    pub fn has_fault(&self, at: usize) -> bool {
        self.checked
            .faults
            .iter()
            .any(|fault| STEPS[at].owns(self, fault.field))
    }

    /// The questions that this step asks now.
    #[must_use]
    pub fn asked(&self) -> Vec<Field> {
        self.step()
            .fields()
            .iter()
            .copied()
            .filter(|field| self.step().owns(self, *field) && self.form.asks(*field))
            .collect()
    }

    /// The question with the focus.
    #[must_use]
    pub fn focused(&self) -> Option<Field> {
        self.asked().get(self.focus.field).copied()
    }

    /// Whether keys are text now.
    #[must_use]
    pub fn is_typing(&self) -> bool {
        self.popup.is_none()
            && self.lesson.is_none()
            && self
                .focused()
                .is_some_and(|field| matches!(field.spec().kind, Kind::Text | Kind::List))
    }

    /// Puts the cursor there, and the text under it into the editor.
    pub fn focus_on(&mut self, focus: Focus) {
        let asked = self.asked();
        let field = focus.field.min(asked.len().saturating_sub(1));
        let mut row = 0;
        let mut text = String::new();
        if let Some(asked) = asked.get(field) {
            match asked.spec().kind {
                Kind::Choice(_) => {}
                Kind::Text => text = self.form.given(*asked).first().cloned().unwrap_or_default(),
                Kind::List => {
                    let rows = self.form.rows(*asked);
                    row = focus.row.min(rows.len());
                    text = rows.get(row).cloned().unwrap_or_default();
                }
            }
        }
        self.focus = Focus { field, row };
        self.editor = Input::new(text);
    }

    /// What was found of the modes counts no longer, nor does what is still under way.
    pub fn forget_modes(&mut self) {
        self.modes = Modes {
            number: self.modes.number + 1,
            ..Modes::default()
        };
    }

    /// Opens a window over the screen.
    pub fn open(&mut self, popup: Popup) {
        self.popup = Some(popup);
        self.scrolled = 0;
    }

    /// The failure that the step shows, if it shows one.
    #[must_use]
    pub fn fault(&self) -> Option<&Failure> {
        let name = self.step().name();
        if let ("verify", true, ModesState::Failed(fault)) = (name, self.modes.shown, &self.modes.state) {
            return Some(fault);
        }
        match (name, &self.review.state, &self.journey.state, &self.proof.state) {
            ("review", review::State::Failed(fault), ..)
            | ("write", _, JourneyState::Failed(fault), _)
            | ("verify", .., ProofState::Failed(fault)) => Some(fault),
            _ => self.harden.fault(name),
        }
    }

    /// Answers a question, and has the answers judged.
    pub fn answer(&mut self, field: Field, rows: Vec<String>) {
        self.form.give(field, rows);
        self.answered(field);
    }

    /// The same with a connection string, whose password is put apart.
    pub fn answer_unseen(&mut self, field: Field, real: &[char]) {
        self.form.give_unseen(field, real);
        self.answered(field);
    }

    fn answered(&mut self, field: Field) {
        if matches!(field, Field::Run | Field::Conninfo) {
            self.proof = Proof::default();
            self.forget_modes();
        }
        self.checked = self.form.check();
    }

    /// What was found on this machine and would do as an answer, or as one more of them.
    #[must_use]
    pub fn suggestion(&self, field: Field) -> Option<String> {
        let seen = self.form.seen.as_ref()?;
        let given = self.form.rows(field);
        let found = match field {
            Field::Host => &seen.names,
            Field::Admin if given.is_empty() => &seen.admins,
            _ => return None,
        };
        found.iter().find(|one| !given.contains(one)).cloned()
    }

    /// What a journey with the present answers starts from.
    #[must_use]
    pub fn job(&self) -> Job {
        let file = self.form.text(Field::PassphraseFile);
        let asks = self.form.asks(Field::PassphraseFile) && !file.is_empty();
        Job {
            flags: self.form.flags(),
            passphrase_file: asks.then(|| PathBuf::from(file)),
        }
    }

    /// Whether something runs that a person may want to break off.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(
            self.journey.state,
            JourneyState::Running | JourneyState::Cancelling
        )
    }

    /// Whether there is room for air between things.
    #[must_use]
    pub const fn is_roomy(&self) -> bool {
        self.size.1 >= 30
    }

    /// Whether what these answers ask for has been written and started.
    #[must_use]
    pub fn has_landed(&self) -> bool {
        matches!(self.journey.state, JourneyState::Landed(_))
            && self.journey.job.as_ref() == Some(&self.job())
    }
}
