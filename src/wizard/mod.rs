//! The wizard: every journey as a full screen, step by step.
//!
//! | Part | Owns |
//! |---|---|
//! | [`field`], [`form`] | the questions as data, the answers, and what setup says of them; for every face that asks |
//! | [`teach`] | the texts that teach, from `assets/` |
//! | [`model`], [`message`], [`mod@update`] | the pure part: `update(&mut Model, Message) -> Vec<Effect>` |
//! | [`keymap`] | the one table of keys |
//! | [`steps`] | one file a step; a line in a list each |
//! | [`widgets`], [`theme`], [`mod@view`] | drawing, also pure: a model and a buffer |
//! | [`mod@resume`] | where a person left off |
//! | [`effects`], [`mod@look`] | the engine's journeys on threads of their own |
//! | [`terminal`] | the terminal and the loop |
//! | [`mod@farewell`] | what is said when it is gone |
//! | [`linear`] | the same steps as questions on lines |
//! | [`harden`] | hardening a server that is there: a path of steps of its own, from the first step |
//! | [`secret`] | a password on its way from the keyboard to the server |
//! | [`lesson`], [`record`] | the lesson on the same screen, with the same keys; a recording of it |
//!
//! It draws when something has happened, and never else. What a server, a file or a certificate says is made visible
//! before it is drawn. No secret is in the model. It drives the engine as the command line does, and must not do by
//! itself what the engine does.

pub mod effects;
pub mod farewell;
pub mod field;
pub mod form;
pub mod harden;
pub mod keymap;
pub mod lesson;
pub mod linear;
pub mod look;
pub mod message;
pub mod model;
pub mod record;
pub mod resume;
pub mod review;
pub mod secret;
pub mod steps;
pub mod teach;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;
pub mod widgets;

use std::path::{Path, PathBuf};

use crate::engine::Error;

use crate::setup::Answers;
use lesson::Lesson;
use message::Effect;
use model::Model;
use record::Recorder;
pub use terminal::{End, Over};
use theme::Theme;

/// How the wizard talks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// On the whole screen.
    Screen,
    /// Line by line.
    Lines,
}

/// Opens the wizard in a project directory; the terminal must be one.
pub fn run(dir: &Path, theme: Theme, face: Face) -> Result<Over, Error> {
    let saved = look::saved(dir)?.unwrap_or_default();
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let mut model = Model::new(dir.to_owned(), &shown(dir), saved, theme, size);
    let mut first = vec![Effect::Look];
    if let Some(kept) = resume::load(dir) {
        kept.restore(&mut model);
        first.extend(model.step().enter(&mut model));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(&error))?;
    let end = match face {
        Face::Screen => {
            // Its own colours are taken off: crossterm's way of doing that would take bold and reversed off too.
            crossterm::style::force_color_output(true);
            runtime.block_on(terminal::run(model, first, None))
        }
        Face::Lines => runtime.block_on(linear::run(model, first)),
    };
    runtime.shutdown_background();
    end.map_err(|error| broken(&error))
}

/// How a lesson is shown.
#[derive(Debug)]
pub struct Showing {
    /// The scenes that follow one another, their pace and their server.
    pub lesson: Lesson,
    /// How it is drawn.
    pub theme: Theme,
    /// Whether there is a terminal; else only the recorder sees it, and the lesson goes on by itself.
    pub terminal: bool,
    /// What keeps the frames.
    pub recorder: Option<Recorder>,
}

/// Shows a lesson; gives the recording back.
pub fn show(showing: Showing) -> Result<(Over, Option<Recorder>), Error> {
    /// The screen that nobody sees.
    const SIZE: (u16, u16) = (100, 30);
    let size = if showing.terminal {
        crossterm::terminal::size().unwrap_or((80, 24))
    } else {
        SIZE
    };
    let mut model = Model::new(".".into(), "", Answers::default(), showing.theme, size);
    let first = vec![lesson::begin(&mut model, showing.lesson)];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(&error))?;
    let mut recorder = showing.recorder;
    let end = if showing.terminal {
        crossterm::style::force_color_output(true);
        runtime.block_on(terminal::run(model, first, recorder.as_mut()))
    } else {
        let recorder = recorder.get_or_insert_default();
        runtime.block_on(terminal::record(model, first, recorder))
    };
    runtime.shutdown_background();
    let over = end.map_err(|error| {
        if showing.terminal {
            broken(&error)
        } else {
            Error::Environment {
                what: error.to_string(),
            }
        }
    })?;
    Ok((over, recorder))
}

fn broken(error: &std::io::Error) -> Error {
    Error::Environment {
        what: format!("the terminal cannot be used: {}", crate::server::words(error)),
    }
}

/// A directory as people name it: below their home with `~`.
fn shown(dir: &Path) -> String {
    let dir = crate::engine::absolute(dir);
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    match home.as_ref().and_then(|home| dir.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.display()),
        None => dir.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
