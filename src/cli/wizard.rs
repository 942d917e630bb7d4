//! `pgtls` without a command: the wizard.

use std::io::IsTerminal;

use crate::engine::Error;
use crate::wizard::{self, End, theme::Theme};

use super::Exit;
use super::args::Global;
use super::output::{Output, colour, utf8_locale};

/// Opens it, where there is a terminal.
pub fn run(global: &Global, output: Output) -> Result<Exit, Error> {
    let here = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !here || global.json {
        return Err(Error::DoesNotFit {
            what: "no command is given, and the wizard needs a terminal".to_owned(),
            remedy: "name a command: `pgtls up --mode one-way --dir DIR` makes a database, `pgtls --help` lists all"
                .to_owned(),
        });
    }
    let theme = Theme {
        colour: colour(global.color),
        unicode: utf8_locale(),
    };
    match wizard::run(&global.dir, theme)? {
        End::Left => Ok(Exit::Holds),
        End::Signal(name) => {
            output.remark(format_args!("the wizard was ended by {name}"));
            Ok(Exit::Undetermined)
        }
    }
}
