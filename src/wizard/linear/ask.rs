//! How a line answers a question.

use super::super::field::{Field, Kind};
use super::super::model::Model;
use super::say;

/// What came of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is the answer.
    Answered,
    /// To the question before.
    Back,
    /// Why is this asked?
    Explain,
    /// It is not right, and the answer is what it was; in these words.
    Wrong(Vec<String>),
}

/// Takes a line as the answer to this question. An answer that is not right does not stand.
pub(super) fn take(model: &mut Model, field: Field, line: &str) -> Taken {
    let before = model.form.clone();
    let kind = field.spec().kind;
    match line {
        "" => {}
        "?" => return Taken::Explain,
        "back" => return Taken::Back,
        "default" => model.answer(field, Vec::new()),
        _ if matches!(kind, Kind::Choice(_)) => {
            let choices = model.form.choices(field);
            let number = line.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let chosen = number.and_then(|n| choices.get(n)).or_else(|| {
                choices.iter().find(|choice| {
                    choice.value.eq_ignore_ascii_case(line) || choice.label.eq_ignore_ascii_case(line)
                })
            });
            let Some(choice) = chosen else {
                return Taken::Wrong(vec![format!(
                    "That is not among the choices. Type a number from 1 to {}.",
                    choices.len()
                )]);
            };
            model.answer(field, vec![choice.value.to_owned()]);
        }
        _ => {
            // A leading = lets a database be called "back".
            let text = line.strip_prefix('=').unwrap_or(line);
            let rows = if kind == Kind::List {
                let rows = text.split(',').map(str::trim).filter(|row| !row.is_empty());
                rows.map(str::to_owned).collect()
            } else {
                vec![text.to_owned()]
            };
            model.answer(field, rows);
        }
    }
    let wrong = say::faults(model, field);
    if wrong.is_empty() {
        return Taken::Answered;
    }
    model.form = before;
    model.checked = model.form.check();
    Taken::Wrong(wrong)
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
    fn choices_are_taken_by_number_and_by_name() {
        for line in ["2", "mtls", "Mutual TLS", "mutual tls"] {
            let mut model = model();
            assert_eq!(take(&mut model, Field::Mode, line), Taken::Answered, "{line}");
            assert!(model.form.is_mtls(), "{line}");
        }
        for line in ["0", "3", "x", "-1", "99999999999999999999"] {
            let mut model = model();
            assert!(
                matches!(take(&mut model, Field::Mode, line), Taken::Wrong(_)),
                "{line}"
            );
            assert!(!model.form.is_mtls(), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_does_not_stand() {
        let mut model = model();
        assert_eq!(take(&mut model, Field::Port, "5433"), Taken::Answered);
        let Taken::Wrong(says) = take(&mut model, Field::Port, "99999") else {
            panic!("taken")
        };
        assert!(says.concat().contains("99999"), "{says:?}");
        assert_eq!(model.form.given(Field::Port), ["5433"]);
        assert_eq!(take(&mut model, Field::Port, ""), Taken::Answered);
        assert_eq!(model.form.given(Field::Port), ["5433"]);
        assert_eq!(take(&mut model, Field::Port, "default"), Taken::Answered);
        assert!(model.form.given(Field::Port).is_empty());
    }

    #[test]
    fn lists_are_parted_by_commas_and_words_can_be_meant() {
        let mut model = model();
        assert_eq!(
            take(&mut model, Field::Host, "db.example.org, 10.0.0.7 ,"),
            Taken::Answered
        );
        assert_eq!(model.form.given(Field::Host), ["db.example.org", "10.0.0.7"]);
        assert_eq!(take(&mut model, Field::Database, "back"), Taken::Back);
        assert_eq!(take(&mut model, Field::Database, "=back"), Taken::Answered);
        assert_eq!(model.form.given(Field::Database), ["back"]);
        assert_eq!(take(&mut model, Field::Database, "?"), Taken::Explain);
    }
}
