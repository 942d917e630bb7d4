//! Which server, how its administrator logs in, and where what belongs to it is kept.

use ratatui::style::Style;

use super::super::super::field::Field;
use super::super::super::model::Model;
use super::super::super::widgets::Page;
use super::super::Step;

/// The step.
#[derive(Debug)]
pub struct Server;

impl Step for Server {
    fn name(&self) -> &'static str {
        "server"
    }

    fn title(&self) -> &'static str {
        "Server"
    }

    fn shown(&self, model: &Model) -> bool {
        model.form.hardens()
    }

    fn fields(&self) -> &'static [Field] {
        &[Field::Admin, Field::ConfigDir, Field::Kit, Field::Host]
    }

    fn picture(&self, model: &Model, columns: usize) -> Page {
        let theme = model.theme;
        let mut page = Page::default();
        page.text("How it goes", theme.bold());
        for line in [
            "In stages, over days: on, watch, require, mtls, floor.",
            "You see every line that changes, and whom it would turn away.",
            "A stage is tried and proven, and goes back by itself unless you keep it.",
        ] {
            page.pair("   ·", line, columns, 5, (theme.dim(), Style::new()));
        }
        page
    }
}
