//! Who proves what to whom.

use super::super::field::Field;
use super::super::model::Model;
use super::super::widgets::{Page, diagram, sslmodes};
use super::Step;

/// The step.
#[derive(Debug)]
pub struct Protection;

impl Step for Protection {
    fn name(&self) -> &'static str {
        "protection"
    }

    fn title(&self) -> &'static str {
        "Protection"
    }

    fn fields(&self) -> &'static [Field] {
        &[Field::Mode, Field::Auth]
    }

    fn picture(&self, model: &Model, columns: usize) -> Page {
        let mut page = diagram(model, columns);
        page.blank();
        page.append(sslmodes(
            model.theme,
            columns,
            model.is_roomy() || !model.form.is_mtls(),
        ));
        page
    }
}
