//! A CA elsewhere signs the server's certificate: the request to send to it, and over days its answer, checked before anything
//! is planned.

use ratatui::style::Style;

use crate::plan::shell;

use super::super::super::field::Field;
use super::super::super::harden::{RequestState as State, answer, request};
use super::super::super::keymap::Action;
use super::super::super::message::Effect;
use super::super::super::model::Model;
use super::super::super::widgets::Page;
use super::super::Step;
use super::super::write::fault_page;

/// The step.
#[derive(Debug)]
pub struct Request;

impl Step for Request {
    fn name(&self) -> &'static str {
        "request"
    }

    fn title(&self) -> &'static str {
        "Request"
    }

    fn shown(&self, model: &Model) -> bool {
        model.form.is_requested()
    }

    fn fields(&self) -> &'static [Field] {
        &[Field::Signed, Field::Root]
    }

    fn owns(&self, model: &Model, field: Field) -> bool {
        self.fields().contains(&field) && model.form.is_requested()
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        request(model)
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        if action != Action::Continue {
            return None;
        }
        let files = files(model);
        match model.harden.request.state {
            State::None | State::Making | State::Checking => Some(Vec::new()),
            _ if model.harden.request.is_filed(&files) => None,
            _ if files.iter().any(String::is_empty) => {
                let note = "Name both files once your CA has answered; until then leave it at that.";
                model.note = Some(note.to_owned());
                Some(Vec::new())
            }
            _ => Some(answer(model, files)),
        }
    }

    fn may_go_on(&self, model: &Model) -> bool {
        let is_busy = matches!(
            model.harden.request.state,
            State::None | State::Making | State::Checking
        );
        !is_busy && files(model).iter().all(|file| !file.is_empty())
    }

    fn failed(&self, model: &Model) -> bool {
        matches!(model.harden.request.state, State::Failed(_))
    }

    fn picture(&self, model: &Model, columns: usize) -> Page {
        let theme = model.theme;
        let request = &model.harden.request;
        let mut page = Page::default();
        match &request.state {
            State::None | State::Making => {
                page.text("◐ Making the key and the request …", theme.bold());
            }
            State::Checking => {
                page.text("◐ Checking key, chain, names and dates …", theme.bold());
                page.blank();
            }
            State::Failed(fault) => {
                fault_page(&mut page, theme, fault, columns);
                page.blank();
            }
            State::Waiting | State::Filed => {}
        }
        let Some(made) = &request.made else {
            return page;
        };
        page.text("For your CA", theme.bold());
        let look = format!("openssl req -in {} -noout -text", shell(&made.file));
        let key = format!("{}, {}; it stays here (0600)", made.key, made.algorithm);
        for (name, says) in [
            ("Request", &made.file),
            ("It asks for", &made.names),
            ("Look at it", &look),
            ("Its key", &key),
        ] {
            page.pair(
                &format!("   {name}"),
                says,
                columns,
                17,
                (theme.dim(), Style::new()),
            );
        }
        // Once there is an answer, it is what is read.
        if !matches!(request.state, State::Failed(_)) {
            page.blank();
            page.words(LATER, columns, 3, theme.dim());
        }
        page
    }
}

/// What to do until the answer is there.
const LATER: &str = "Send the request to your CA. Its answer may take days: leave (Ctrl-C), and `pgtls` in this directory \
    goes on here.";

/// The answer and its root, as they were named.
fn files(model: &Model) -> [String; 2] {
    [Field::Signed, Field::Root].map(|field| model.form.text(field))
}
