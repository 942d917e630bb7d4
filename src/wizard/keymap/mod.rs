//! The keys: one table that handles them, fills the footer and is the help. Nowhere else does a key have a meaning,
//! and so what is shown cannot drift from what is done.

mod table;
mod when;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::InputRequest;

use super::model::Model;
use table::{BINDINGS, Binding, Key};

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// Go back, or close the window.
    Back,
    /// One up.
    Up,
    /// One down.
    Down,
    /// One to the left.
    Left,
    /// One to the right.
    Right,
    /// To the next question or pane.
    Next,
    /// To the one before.
    Previous,
    /// To this step of the rail, counted from one.
    Step(usize),
    /// Take a row out of a list.
    Remove,
    /// Take the suggestion.
    Suggested,
    /// Change the text under the cursor.
    Edit(InputRequest),
    /// Explain what the cursor is on.
    Why,
    /// Show the keys.
    Help,
    /// Show the difference, or the file.
    Diff,
    /// Go to the step that decided this.
    Decided,
    /// Save the answers instead of writing.
    Save,
    /// Do it again.
    Again,
    /// Put it right.
    Mend,
    /// Show what each `sslmode` is worth, or no longer.
    Modes,
    /// Break it off.
    Cancel,
    /// Keep what is tried.
    Keep,
    /// Accept what it would do to others, or no longer.
    Accept,
    /// A shorter time.
    Less,
    /// A longer time.
    More,
    /// Copy it.
    Copy,
    /// Copy the command that does the same.
    CopyCommand,
    /// Open the lesson.
    Lesson,
    /// Letters for the back row, or not.
    Big,
    /// Leave.
    Quit,
    /// Give the terminal back for a while.
    Suspend,
}

/// What this key means here.
#[must_use]
pub fn find(model: &Model, event: &KeyEvent) -> Option<Action> {
    let event = normal(event);
    BINDINGS
        .iter()
        .find(|binding| binding.keys.contains(&event) && (binding.when)(model))
        .map(|binding| binding.action)
}

/// Shift is part of the character already, and Shift-Tab comes in two spellings.
fn normal(event: &KeyEvent) -> Key {
    let shift = event.modifiers.contains(KeyModifiers::SHIFT);
    match event.code {
        KeyCode::Tab if shift => table::key(KeyCode::BackTab),
        KeyCode::Char(_) | KeyCode::BackTab => Key(event.code, event.modifiers - KeyModifiers::SHIFT),
        code => Key(code, event.modifiers),
    }
}

/// The footer: keys and what they do here. Keys that do the same stand together.
#[must_use]
pub fn hints(model: &Model) -> Vec<(String, &'static str)> {
    let mut hints: Vec<(String, &'static str)> = Vec::new();
    for (binding, fresh) in acting(model) {
        let Some(first) = fresh.first().filter(|_| binding.shown) else {
            continue;
        };
        match hints.iter_mut().find(|(_, says)| *says == binding.says) {
            Some((keys, _)) => {
                let name = name(*first);
                if keys.chars().count() == 1 && name.chars().count() == 1 {
                    keys.push_str(&name);
                }
            }
            None => hints.push((name(*first), binding.says)),
        }
    }
    hints
}

/// Every key that acts here.
#[must_use]
pub fn help(model: &Model) -> Vec<(String, &'static str)> {
    let closed = Model {
        popup: None,
        ..model.clone()
    };
    let mut help: Vec<(String, &'static str)> = Vec::new();
    for (binding, keys) in acting(&closed) {
        let names: Vec<_> = keys.iter().take(4).map(|key| name(*key)).collect();
        let known = help.iter_mut().find(|(_, says)| *says == binding.says);
        match (binding.action, known) {
            (Action::Step(1), _) => {
                let whereto = if model.lesson.is_some() {
                    "to a scene"
                } else {
                    "to a step of the rail"
                };
                let keys: Vec<_> = names
                    .iter()
                    .map(|name| format!("{name} … {}", name.replace('1', "8")))
                    .collect();
                help.push((keys.join("  "), whereto));
            }
            (Action::Step(_), _) => {}
            (_, Some((before, _))) => {
                before.push_str("  ");
                before.push_str(&names.join("  "));
            }
            _ => help.push((names.join("  "), binding.says)),
        }
    }
    help
}

/// The bindings that act here, with those of their keys that no earlier one has taken.
fn acting(model: &Model) -> Vec<(&'static Binding, Vec<Key>)> {
    let mut taken: Vec<Key> = Vec::new();
    let mut acting = Vec::new();
    for binding in BINDINGS.iter().filter(|binding| (binding.when)(model)) {
        let fresh: Vec<Key> = binding
            .keys
            .iter()
            .copied()
            .filter(|key| !taken.contains(key))
            .collect();
        if !fresh.is_empty() {
            taken.extend(&fresh);
            acting.push((binding, fresh));
        }
    }
    acting
}

fn name(Key(code, modifiers): Key) -> String {
    let plain = match code {
        KeyCode::Enter => "Enter".to_owned(),
        KeyCode::Esc => "Esc".to_owned(),
        KeyCode::Up => "↑".to_owned(),
        KeyCode::Down => "↓".to_owned(),
        KeyCode::Left => "←".to_owned(),
        KeyCode::Right => "→".to_owned(),
        KeyCode::Tab => "Tab".to_owned(),
        KeyCode::BackTab => "Shift-Tab".to_owned(),
        KeyCode::Backspace => "Backspace".to_owned(),
        KeyCode::Delete => "Del".to_owned(),
        KeyCode::Home => "Home".to_owned(),
        KeyCode::End => "End".to_owned(),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        KeyCode::F(number) => format!("F{number}"),
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => c.to_ascii_uppercase().to_string(),
        KeyCode::Char(c) => c.to_string(),
        _ => String::new(),
    };
    let mut text = String::new();
    if modifiers.contains(KeyModifiers::CONTROL) {
        text.push_str("Ctrl-");
    }
    if modifiers.contains(KeyModifiers::ALT) {
        text.push_str("Alt-");
    }
    text + &plain
}
