//! The window over the screen: reading, scrolling, deciding.

use tui_input::InputRequest;

use super::super::harden::{self, Order};
use super::super::keymap::Action;
use super::super::message::{Effect, Reply};
use super::super::model::{Model, Popup};
use super::super::secret::Typed;
use super::super::widgets::{buttons, popup_end};
use super::{act, keep, suspend};

pub(super) fn in_popup(model: &mut Model, action: Action) -> Vec<Effect> {
    match (action, &model.popup) {
        (Action::Up, Some(Popup::Help | Popup::Why(..) | Popup::Asked(..))) => {
            model.scrolled = model.scrolled.saturating_sub(1);
            return Vec::new();
        }
        (Action::Down, Some(Popup::Help | Popup::Why(..) | Popup::Asked(..))) => {
            model.scrolled = (model.scrolled + 1).min(popup_end(model));
            return Vec::new();
        }
        _ => {}
    }
    let Some(popup) = &mut model.popup else {
        return Vec::new();
    };
    if let Popup::Password(who, typed) = popup {
        match action {
            Action::Edit(InputRequest::DeletePrevChar) => typed.pop(),
            Action::Edit(InputRequest::DeleteLine) => *typed = Typed::new(),
            Action::Continue => {
                let password = typed.reveal();
                model.popup = None;
                return harden::ask(model, Order::Password(password));
            }
            Action::Back => {
                let who = std::mem::take(who);
                model.popup = None;
                harden::no_password(model, who);
            }
            Action::Quit => {
                model.popup = None;
                return act(model, action);
            }
            Action::Suspend => return suspend(model),
            _ => {}
        }
        return Vec::new();
    }
    let (chosen, count) = match popup {
        Popup::Leave(chosen) => (chosen, 2),
        Popup::Asked(question, chosen) => {
            let count = buttons(question).len();
            (chosen, count)
        }
        Popup::Password(..) => return Vec::new(),
        Popup::Help | Popup::Why(..) => {
            if action == Action::Back {
                model.popup = None;
            } else if action == Action::Quit {
                model.popup = None;
                return act(model, action);
            }
            return Vec::new();
        }
    };
    match action {
        Action::Left | Action::Up | Action::Previous => *chosen = chosen.saturating_sub(1),
        Action::Right | Action::Down | Action::Next => *chosen = (*chosen + 1).min(count - 1),
        Action::Continue => {
            let chosen = *chosen;
            return decide(model, chosen);
        }
        Action::Back => {
            let last = if matches!(popup, Popup::Leave(_)) {
                0
            } else {
                count - 1
            };
            return decide(model, last);
        }
        // Asked to leave while it is being asked: yes.
        Action::Quit => {
            return match popup {
                Popup::Leave(_) => decide(model, 1),
                _ => vec![Effect::Answer(Reply::No), keep(model), Effect::Quit],
            };
        }
        Action::Suspend => return suspend(model),
        _ => {}
    }
    Vec::new()
}

/// A button of the window was chosen.
pub(super) fn decide(model: &mut Model, button: usize) -> Vec<Effect> {
    match model.popup.take() {
        Some(Popup::Leave(_)) if button == 1 => vec![keep(model), Effect::Quit],
        Some(Popup::Asked(question, _)) => {
            let last = buttons(&question).len() - 1;
            let reply = match button {
                0 => Reply::Yes,
                button if button == last => Reply::No,
                _ => Reply::Leave,
            };
            vec![Effect::Answer(reply)]
        }
        _ => Vec::new(),
    }
}
