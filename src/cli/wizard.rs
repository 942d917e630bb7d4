//! `pgtls` without a command: the wizard.

use std::io::IsTerminal;

use crate::engine::Error;
use crate::wizard::{self, End, Face, theme::Theme};

use super::Exit;
use super::args::Global;
use super::output::{Output, colour, utf8_locale};

const REMEDY: &str =
    "name a command: `pgtls up --mode one-way --dir DIR` makes a database, `pgtls --help` lists all";

/// Whether this terminal says that its cursor cannot be moved.
pub(super) fn cannot_be_drawn_to() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Opens it, where there is a terminal: nothing asks without one, on lines neither.
pub fn run(global: &Global, accessible: bool, output: Output) -> Result<Exit, Error> {
    let here = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !here || global.json {
        return Err(Error::DoesNotFit {
            what: "no command is given, and the wizard needs a terminal".to_owned(),
            remedy: REMEDY.to_owned(),
        });
    }
    let face = if accessible || cannot_be_drawn_to() {
        Face::Lines
    } else {
        Face::Screen
    };
    let theme = Theme {
        colour: colour(global.color),
        unicode: utf8_locale(),
    };
    let over = wizard::run(&global.dir, theme, face)?;
    for line in &over.farewell {
        output.say(line);
    }
    match over.end {
        End::Left => Ok(Exit::Holds),
        End::Signal(name) => {
            output.remark(format_args!("the wizard was ended by {name}"));
            Ok(Exit::Undetermined)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use clap::Parser;
    use proptest::prelude::*;

    use crate::cli::args::{Cli, Command};
    use crate::cli::request::answers;
    use crate::conninfo::{Conninfo, Keyword};
    use crate::harden::Stage;
    use crate::setup::Answers;
    use crate::wizard::field::{Field, Kind};
    use crate::wizard::harden::{look, wish};
    use crate::wizard::model::Model;
    use crate::wizard::steps::{command, harden_command};
    use crate::wizard::theme::Theme;

    /// A command as a shell parts it into words.
    fn words(command: &str) -> Vec<String> {
        let script = format!("printf '%s\\0' {command}");
        let said = Process::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        /// The command that the wizard shows gives the engine exactly what the wizard gave it.
        #[test]
        fn the_equivalent_command_says_the_same(
            picks in prop::collection::vec((0_usize..Field::ALL.len(), 0_usize..6, "[a-z0-9' $\\-./=]{1,9}"), 0..12),
            at_mtls: bool,
        ) {
            let mut model = Model::new("a dir".into(), "", Answers::default(), Theme::FULL, (80, 24));
            for (field, pick, text) in picks {
                let field = Field::ALL[field];
                // A value that begins with a dash would be a flag, and a check is another command.
                let text = format!("x{text}");
                let rows = match field.spec().kind {
                    Kind::Choice(_) => {
                        let choices = model.form.choices(field);
                        vec![choices[pick % choices.len()].value.to_owned()]
                    }
                    Kind::Text if matches!(field, Field::Port | Field::Days | Field::CaDays | Field::PgVersion) => {
                        vec![(pick * 1000).to_string()]
                    }
                    Kind::Text if field.is_conninfo() => {
                        vec![Conninfo::new().with(Keyword::Host, text).to_keyword_value()]
                    }
                    Kind::Text => vec![text],
                    Kind::List => vec![text; pick],
                };
                model.answer(field, rows);
            }
            // Files that belong to what was chosen are named before anything can be carried out.
            for field in [
                Field::CaCert,
                Field::CaKey,
                Field::ServerCert,
                Field::ServerKey,
                Field::Root,
                Field::ClientCa,
                Field::ClientCert,
                Field::ClientKey,
            ] {
                if model.form.asks(field) && model.form.given(field).is_empty() {
                    model.answer(field, vec!["it's here.pem".to_owned()]);
                }
            }
            prop_assume!(!model.form.only_checks());
            if model.form.hardens() {
                // What the step does when it is entered: from these answers the server is looked at.
                look(&mut model, true);
                model.harden.stage = if at_mtls { Stage::Mtls } else { Stage::Floor };
                let cli = Cli::try_parse_from(words(&harden_command(&model))).unwrap();
                let Some(Command::Harden(harden)) = cli.command else { panic!("it is no `harden`") };
                let wish = wish(&model, model.harden.stage).unwrap();
                prop_assert_eq!(&cli.global.dir, &wish.kit);
                prop_assert_eq!(&harden.config_dir, &wish.config_dir);
                prop_assert_eq!(&harden.setup.passphrase_file, &wish.passphrase_file);
                prop_assert_eq!(harden.client_cert.clone().zip(harden.client_key.clone()), wish.client);
                prop_assert_eq!(answers(&harden.setup).unwrap_or_default(), wish.flags);
                let conninfo = Conninfo::parse(harden.conninfo.as_deref().unwrap_or_default()).unwrap();
                prop_assert_eq!(conninfo, wish.conninfo);
                return Ok(());
            }
            let cli = Cli::try_parse_from(words(&command(&model))).unwrap();
            prop_assert_eq!(&cli.global.dir, &model.dir);
            let Some(Command::Up(up)) = cli.command else { panic!("it is no `up`") };
            let job = model.job();
            prop_assert_eq!(&up.setup.passphrase_file, &job.passphrase_file);
            prop_assert_eq!(answers(&up.setup).unwrap_or_default(), job.flags);
        }
    }
}
