//! What is here, and what is wanted.

use super::super::field::Field;
use super::super::model::Model;
use super::super::widgets::{Page, visible};
use super::Step;

/// The step.
#[derive(Debug)]
pub struct Start;

impl Step for Start {
    fn name(&self) -> &'static str {
        "start"
    }

    fn title(&self) -> &'static str {
        "Start"
    }

    fn shown(&self, _: &Model) -> bool {
        true
    }

    fn fields(&self) -> &'static [Field] {
        &[
            Field::Run,
            Field::Conninfo,
            Field::PgVersion,
            Field::PgBin,
            Field::Image,
        ]
    }

    fn picture(&self, model: &Model, columns: usize) -> Page {
        let theme = model.theme;
        let mut page = Page::default();
        page.text("On this machine", theme.bold());
        let styles = (theme.dim(), ratatui::style::Style::new());
        let mut say = |name: &str, says: &str| {
            page.pair(&format!("   {name}"), says, columns, 21, styles);
        };
        let Some(seen) = &model.form.seen else {
            say("PostgreSQL", "looking …");
            say("Port 5432", "looking …");
            say("This directory", "looking …");
            return page;
        };
        let found: Vec<_> = seen.postgres.iter().map(String::as_str).collect();
        match (&found[..], &seen.fetch) {
            ([], Some(fetch)) => say(
                "PostgreSQL",
                &format!("not here; can be fetched: {}", visible(fetch)),
            ),
            ([], None) if seen.asking => say("PostgreSQL", "not here; looking for a way to fetch it …"),
            ([], None) => say("PostgreSQL", "not here, and nothing to fetch it with"),
            (found, _) => say("PostgreSQL", &found.join(", ")),
        }
        if let Some(docker) = &seen.docker {
            say("Docker", &visible(docker));
        }
        if let Some(name) = seen.compose_file {
            say(name, "yours: it stays as it is");
        }
        if seen.faults_beside > 0 {
            let found = format!(
                "{} faults in files here: pgtls audit names them",
                seen.faults_beside
            );
            say("Found beside it", &found);
        }
        match &seen.usual_port {
            Some(_) => say("Port 5432", "taken: another one is chosen"),
            None => say("Port 5432", "free"),
        }
        let ours = model.form.saved != crate::setup::Answers::default();
        let project = match (ours, seen.running) {
            (false, _) => "no project yet".to_owned(),
            (true, Some(port)) => format!("a project of pgtls; its server runs on port {port}"),
            (true, None) => "a project of pgtls".to_owned(),
        };
        say("This directory", &project);
        let so = match (ours, found.is_empty(), seen.can_run_here()) {
            (true, _, _) => "its answers are taken up: only what you change changes",
            (_, false, _) => "a database can run here at once",
            (_, true, true) => "a database can run here, once you agree to fetch PostgreSQL",
            (_, true, false) if seen.docker.is_some() => "a database can run in Docker at once",
            (_, true, false) => "no server can run here, but its files can be made",
        };
        say("So", so);
        say(
            "New to this?",
            "d: why sslmode=require is not enough, live, in five minutes",
        );
        page
    }
}
