//! The files as the review shows them: made from the engine's plan, without any secret.

use ratatui::style::Style;

use crate::apply::Action;
use crate::engine::Prepared;
use crate::engine::harden::FileDiff;
use crate::plan::{Content, Line};

use super::message::{Failure, Job};
use super::theme::Theme;

/// What would be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// The files, in the plan's order.
    pub files: Vec<File>,
    /// The port that clients would dial, where a server of ours listens on it.
    pub port: Option<u16>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the project directory.
    pub path: String,
    /// What happens to it.
    pub action: Action,
    /// Whether somebody edited what is there.
    pub edited: bool,
    /// Permission bits; none where it is no file.
    pub mode: u32,
    /// Its text, with the key of each line's explanation; empty where it is not for reading.
    pub lines: Vec<Line>,
    /// What it is, where it is not for reading.
    pub description: Option<String>,
    /// Its difference against the disk.
    pub diff: Vec<String>,
}

/// The review of a plan.
#[derive(Debug, Clone, Default)]
pub struct Review {
    /// Which request for it was the last.
    pub number: u64,
    /// From which answers.
    pub job: Option<Job>,
    /// What came of it.
    pub state: State,
    /// The file that is looked at.
    pub file: usize,
    /// The line of it.
    pub line: usize,
    /// Whether the keys move within the file.
    pub inside: bool,
    /// Whether the difference is shown.
    pub diff: bool,
}

/// How far a preview is.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// Not asked for.
    #[default]
    None,
    /// Being worked out.
    Pending,
    /// Here.
    Ready(Preview),
    /// It cannot be.
    Failed(Failure),
}

impl Review {
    /// The preview, once it is there.
    #[must_use]
    pub const fn preview(&self) -> Option<&Preview> {
        match &self.state {
            State::Ready(preview) => Some(preview),
            _ => None,
        }
    }

    /// Looks at this file.
    pub const fn at_file(&mut self, file: usize) {
        (self.file, self.line, self.inside) = (file, 0, false);
    }

    /// The file that is looked at.
    #[must_use]
    pub fn looked_at(&self) -> Option<&File> {
        self.preview()?.files.get(self.file)
    }
}

impl Preview {
    /// From what the engine prepared.
    #[must_use]
    pub fn of(prepared: &Prepared) -> Self {
        let changes = prepared
            .changes
            .as_ref()
            .map_or(&[][..], |changes| changes.files());
        let files = changes
            .iter()
            .map(|change| {
                let planned = change.path.to_str().and_then(|path| prepared.plan.get(path));
                let (lines, description) = match planned.map(|artifact| &artifact.content) {
                    Some(Content::Text(lines)) => (lines.clone(), None),
                    Some(Content::Public { description, .. } | Content::Secret { description, .. }) => {
                        (Vec::new(), Some(description.clone()))
                    }
                    None => (Vec::new(), Some("no longer needed".to_owned())),
                };
                File {
                    path: crate::pki::printable(&change.path.to_string_lossy()),
                    action: change.action,
                    edited: change.edited,
                    mode: change.mode,
                    lines,
                    description,
                    diff: change.diff().lines().map(str::to_owned).collect(),
                }
            })
            .collect();
        Self {
            files,
            port: (prepared.setup.run != crate::setup::Run::None).then_some(prepared.found.port),
        }
    }

    /// From what would change of a server that is there: files, and settings that are altered over SQL.
    #[must_use]
    pub fn of_a_server(files: &[FileDiff], settings: &[(String, String)]) -> Self {
        // Name and mode stand above the difference already.
        let diff = |diff: &str| {
            let lines = diff.lines().enumerate();
            lines
                .filter(|(at, line)| *at > 1 || !(line.starts_with("--- ") || line.starts_with("+++ ")))
                .map(|(_, line)| line.to_owned())
                .collect()
        };
        let file = |path: String, action, mode, diff| File {
            path,
            action,
            edited: false,
            mode,
            lines: Vec::new(),
            description: None,
            diff,
        };
        let written = files.iter().map(|one| {
            let action = if one.is_new { Action::New } else { Action::Changed };
            let path = crate::pki::printable(&one.path.to_string_lossy());
            file(path, action, one.mode, diff(&one.diff))
        });
        // Where each comes from, and that it is altered, is for reading here.
        let altered = settings.iter().map(|(name, text)| {
            file(
                name.clone(),
                Action::Changed,
                0,
                text.lines().map(str::to_owned).collect(),
            )
        });
        Self {
            files: written.chain(altered).collect(),
            port: None,
        }
    }

    /// How many files are new, changed, removed, kept.
    #[must_use]
    pub fn counts(&self) -> [usize; 4] {
        let count = |wanted: &[Action]| {
            self.files
                .iter()
                .filter(|file| wanted.contains(&file.action))
                .count()
        };
        [
            count(&[Action::New]),
            count(&[Action::Changed, Action::Mode]),
            count(&[Action::Removed]),
            count(&[Action::Kept]),
        ]
    }
}

/// How a line of a unified diff is drawn; its sign says the same.
#[must_use]
pub fn diff_style(theme: Theme, line: &str) -> Style {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => theme.bold(),
        [b'@', ..] => theme.dim(),
        [b'+', ..] => theme.good(),
        [b'-', ..] => theme.bad(),
        _ => Style::new(),
    }
}
