//! Which names clients dial, and who may come in.

use super::super::field::Field;
use super::super::model::Model;
use super::super::widgets::Page;
use super::Step;

/// The step.
#[derive(Debug)]
pub struct Names;

impl Step for Names {
    fn name(&self) -> &'static str {
        "names"
    }

    fn title(&self) -> &'static str {
        "Names and access"
    }

    fn fields(&self) -> &'static [Field] {
        &[
            Field::Host,
            Field::Port,
            Field::Database,
            Field::User,
            Field::PasswordFile,
            Field::Allow,
        ]
    }

    fn picture(&self, model: &Model, columns: usize) -> Page {
        let mut page = Page::default();
        let more = model.form.saved.access.len().saturating_sub(1);
        if more > 0 {
            let says = format!("{more} more [[access]] tables of pgtls.toml stay as they are.");
            page.words(&says, columns, 3, model.theme.dim());
        }
        page
    }
}
