//! Where a person left off, kept for the next time: in pgtls's own state directory, one file a project directory, mode
//! 0600. Answers only; a connection string that holds a secret is not among them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::conninfo::{Conninfo, Keyword};
use crate::engine;
use crate::server::Places;

use super::field::Field;
use super::model::Model;
use super::steps::{STEPS, place};

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The project directory, for people who look into the file.
    pub dir: String,
    /// The step that was shown.
    pub step: String,
    /// The furthest step that was reached.
    pub reached: String,
    /// The answers, by the keys of an answers file.
    pub answers: BTreeMap<String, Vec<String>>,
}

impl Kept {
    /// What is to be kept of this model; nothing once everything has been carried out, since `pgtls.toml` holds it then.
    #[must_use]
    pub fn of(model: &Model) -> Option<Self> {
        let answers: BTreeMap<_, _> = model
            .form
            .all_given()
            .filter(|(field, rows)| !field.is_conninfo() || rows.iter().all(|text| holds_no_secret(text)))
            .map(|(field, rows)| (field.spec().key.to_owned(), rows.to_vec()))
            .collect();
        if model.has_landed() || (answers.is_empty() && model.at == 0) {
            return None;
        }
        // What comes after the review is not gone on with, but done again.
        let last = place(if model.form.hardens() { "stage" } else { "review" });
        let until = |at: usize| STEPS[at.min(last)].name().to_owned();
        Some(Self {
            dir: model.dir_shown.clone(),
            step: until(model.at),
            reached: until(model.reached),
            answers,
        })
    }

    /// Lays what was kept into a new model.
    pub fn restore(&self, model: &mut Model) {
        for field in Field::ALL {
            if let Some(rows) = self.answers.get(field.spec().key) {
                model.answer(field, rows.clone());
            }
        }
        model.reached = place(&self.reached);
        // The review works files out when it is entered, and a server is looked at: one before that is where to go on.
        let last = place(if model.form.hardens() { "stage" } else { "review" });
        let until = place(&self.step).min(last.saturating_sub(1));
        // Not every step before it is one that these answers lead through.
        model.at = (0..=until).rev().find(|at| STEPS[*at].shown(model)).unwrap_or(0);
        model.focus_on(super::model::Focus::default());
        model.note = Some("You were here before: your answers are as you left them.".to_owned());
    }
}

fn holds_no_secret(text: &str) -> bool {
    Conninfo::parse(text).is_ok_and(|conninfo| {
        [Keyword::Password, Keyword::Sslpassword]
            .iter()
            .all(|keyword| conninfo.secret(*keyword).is_none())
    })
}

/// The file for a project directory; none where this system gives no place for it.
fn file(dir: &Path) -> Option<PathBuf> {
    let state = Places::of_this_machine().state?;
    let id = digest(&SHA256, engine::absolute(dir).as_os_str().as_encoded_bytes());
    let mut name = String::new();
    for byte in &id.as_ref()[..12] {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Some(state.join("wizard").join(format!("{name}.toml")))
}

/// What was kept of this directory, if anything that can be read.
#[must_use]
pub fn load(dir: &Path) -> Option<Kept> {
    let bytes = engine::read("the kept answers", &file(dir)?).ok()??;
    toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()
}

/// Keeps it, or forgets what was kept. It is a convenience: where it cannot be done, nothing is lost but that.
pub fn keep(dir: &Path, kept: Option<&Kept>) {
    let Some(file) = file(dir) else { return };
    match kept.and_then(|kept| toml::to_string(kept).ok()) {
        Some(text) => _ = replace(&file, &text),
        None => _ = std::fs::remove_file(&file),
    }
}

/// Whole or not at all, and for nobody else to read.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let Some(dir) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(dir)?;
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(text.as_bytes())?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Answers;
    use crate::wizard::theme::Theme;

    fn model() -> Model {
        Model::new(".".into(), "~/shop-db", Answers::default(), Theme::FULL, (80, 24))
    }

    #[test]
    fn answers_survive_and_secrets_do_not() {
        let mut before = model();
        before.at = place("names");
        before.reached = place("certificates");
        before.answer(Field::Host, vec!["db.example.org".into(), "10.0.0.7".into()]);
        before.answer(Field::Port, vec!["not a number".into()]);
        before.answer(Field::Conninfo, vec!["host=db password=hunter2".into()]);
        let kept = Kept::of(&before).unwrap();
        let text = toml::to_string(&kept).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let mut after = model();
        toml::from_str::<Kept>(&text).unwrap().restore(&mut after);
        assert_eq!(after.form.rows(Field::Host), ["db.example.org", "10.0.0.7"]);
        assert_eq!(after.form.given(Field::Port), ["not a number"]);
        assert_eq!((after.at, after.reached), (before.at, before.reached));
    }

    #[test]
    fn a_step_that_is_not_gone_back_to_leads_to_the_one_before_that_is_shown() {
        for (source, step) in [("own", "certificates"), ("request", "request")] {
            let mut before = model();
            before.answer(Field::Run, vec![crate::wizard::form::HARDEN.into()]);
            before.answer(Field::Source, vec![source.into()]);
            before.at = place("stage");
            before.reached = place("stage");
            let mut after = model();
            Kept::of(&before).unwrap().restore(&mut after);
            assert_eq!(after.at, place(step), "{source}");
        }
    }

    #[test]
    fn a_wizard_that_was_only_opened_leaves_nothing() {
        assert_eq!(Kept::of(&model()), None);
    }
}
