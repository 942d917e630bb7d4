//! Who issues the certificates, of which kind, for how long, and to whom.

use ratatui::style::Style;
use ratatui::text::Span;

use super::super::field::Field;
use super::super::form::{CA, GIVEN, REQUEST};
use super::super::model::Model;
use super::super::widgets::{Page, Row, visible, width, wrap};
use super::Step;

/// The step.
#[derive(Debug)]
pub struct Certificates;

impl Step for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn title(&self) -> &'static str {
        "Certificates"
    }

    fn shown(&self, model: &Model) -> bool {
        !model.form.only_checks()
    }

    fn fields(&self) -> &'static [Field] {
        &[
            Field::Source,
            Field::CaCert,
            Field::CaKey,
            Field::ServerCert,
            Field::ServerKey,
            Field::Root,
            Field::PassphraseFile,
            Field::Algorithm,
            Field::Days,
            Field::CaDays,
            Field::Client,
        ]
    }

    /// On the way to a hardened server clients, and what a CA elsewhere answers, have steps of their own.
    fn owns(&self, model: &Model, field: Field) -> bool {
        let is_elsewhere = match field {
            Field::Client => model.form.hardens(),
            Field::Root => model.form.is_requested(),
            _ => false,
        };
        self.fields().contains(&field) && !is_elsewhere
    }

    fn picture(&self, model: &Model, columns: usize) -> Page {
        let theme = model.theme;
        let form = &model.form;
        let mut page = Page::default();
        let title = if form.hardens() {
            "Made where the server has none that holds"
        } else {
            "What this makes"
        };
        page.text(title, theme.bold());
        let mut say = |branch: &str, name: &str, says: String| {
            let at = 3 + width(branch) + width(name) + 2;
            for (index, says) in wrap(&says, columns.saturating_sub(at)).into_iter().enumerate() {
                let (branch, name) = if index == 0 { (branch, name) } else { ("", "") };
                let gap = at - 3 - width(branch) - width(name);
                page.row(Row::new(vec![
                    Span::styled(format!("   {branch}"), theme.dim()),
                    Span::styled(name.to_owned(), Style::new()),
                    Span::styled(format!("{}{says}", " ".repeat(gap)), theme.dim()),
                ]));
            }
        };
        let key = form.text(Field::Algorithm);
        let days = form.text(Field::Days);
        match form.text(Field::Source).as_str() {
            GIVEN => say("", "server", "the certificate you were given".to_owned()),
            REQUEST => {
                say(
                    "",
                    "a request",
                    "for your CA, which signs it; the next step shows it".to_owned(),
                );
                say("", "its key", format!("{key}, stays here (0600)"));
            }
            source => {
                let ca = if source == CA {
                    "kept where it is; nothing of it is copied but the certificate".to_owned()
                } else {
                    format!("{key}, {} days", visible(&form.text(Field::CaDays)))
                };
                say("", if source == CA { "your CA" } else { "a new CA" }, ca);
                let hosts: Vec<_> = form.rows(Field::Host).iter().map(|host| visible(host)).collect();
                let last = !form.is_mtls();
                say(
                    if last { "└─ " } else { "├─ " },
                    "server",
                    format!("{key}, {} days, for {}", visible(&days), hosts.join(", ")),
                );
            }
        }
        if form.is_mtls() {
            let clients = form.rows(Field::Client);
            let given = form.text(Field::Source) == GIVEN;
            if given {
                say("", "a new CA", "for clients only".to_owned());
            }
            let count = clients.len();
            for (index, client) in clients.iter().enumerate() {
                let (cn, role) = client.rsplit_once('=').unwrap_or((client, client));
                let branch = if index + 1 == count { "└─ " } else { "├─ " };
                say(
                    branch,
                    &format!("client {}", visible(cn)),
                    format!("logs in as {}", visible(role)),
                );
            }
        }
        page
    }
}
