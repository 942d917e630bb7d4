//! Whose certificates the clients of the server show, and who gets one made here.

use ratatui::style::Style;

use super::super::super::field::Field;
use super::super::super::model::Model;
use super::super::super::widgets::{Page, visible};
use super::super::Step;

/// Roles that are named before they are counted.
const MOST: usize = 8;

/// The step.
#[derive(Debug)]
pub struct Clients;

impl Step for Clients {
    fn name(&self) -> &'static str {
        "clients"
    }

    fn title(&self) -> &'static str {
        "Clients"
    }

    fn shown(&self, model: &Model) -> bool {
        model.form.hardens() && model.harden.stage.is_about_clients()
    }

    fn fields(&self) -> &'static [Field] {
        Field::OF_CLIENTS
    }

    fn owns(&self, model: &Model, field: Field) -> bool {
        self.fields().contains(&field) && model.form.hardens()
    }

    fn picture(&self, model: &Model, columns: usize) -> Page {
        let theme = model.theme;
        let form = &model.form;
        let mut page = Page::default();
        let mut say = |name: &str, says: &str| {
            page.pair(
                &format!("   {name}"),
                says,
                columns,
                17,
                (theme.dim(), Style::new()),
            );
        };
        if form.has_client_ca() {
            say(
                "Kits",
                "none are made: whoever keeps that CA's key hands out the certificates",
            );
            return page;
        }
        let roles = match form.rows(Field::Client) {
            named if named.is_empty() => model
                .harden
                .found()
                .map_or(Vec::new(), |found| found.roles.clone()),
            named => named
                .iter()
                .map(|client| {
                    client
                        .rsplit_once('=')
                        .map_or(client.as_str(), |(_, role)| role)
                        .to_owned()
                })
                .collect(),
        };
        if !roles.is_empty() {
            let more = roles.len().saturating_sub(MOST);
            let mut says: Vec<_> = roles.iter().take(MOST).map(|role| visible(role)).collect();
            if more > 0 {
                says.push(format!("and {more} more"));
            }
            say("Kits for", &says.join(", "));
        }
        say("They lie in", "clients/ beside the books, from the first try on");
        page
    }
}
