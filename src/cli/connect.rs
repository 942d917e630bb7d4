//! `pgtls connect`: how to connect, one way on standard output.

use crate::engine::{self, Error};

use super::Exit;
use super::args::Global;
use super::output::{Output, object};
use super::up::Connect;

/// Runs the command.
pub fn run(global: &Global, language: &str, client: Option<&str>, output: Output) -> Result<Exit, Error> {
    let (_, _, conninfo) = engine::kit(&global.dir, client)?;
    let connect = Connect::new(&conninfo);
    if output.json() {
        object(&connect);
        return Ok(Exit::Holds);
    }
    match language {
        "psql" => output.say(connect.psql),
        "conninfo" => output.say(connect.conninfo),
        "uri" => output.say(connect.uri),
        "env" => {
            for (name, value) in connect.env {
                output.say(format_args!("export {name}={}", quoted(&value)));
            }
        }
        other => {
            return Err(Error::DoesNotFit {
                what: format!(
                    "\"{}\" is no way to connect that pgtls can write",
                    crate::pki::printable(other)
                ),
                remedy: "name one of: psql, conninfo, uri, env".to_owned(),
            });
        }
    }
    Ok(Exit::Holds)
}

/// A word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
