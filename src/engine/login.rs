//! An administrator's login; and where the server goes by the account, the command that takes the right one.

use std::path::Path;

use crate::conninfo::{Conninfo, Keyword};
use crate::pki::printable;
use crate::plan::shell;
use crate::verify::{self, Cause, Entry, NoEntry, Target};

use super::Error;

/// Logs in as psql would; root in front of a server that goes by the account takes that account's place.
pub async fn log_in(target: &Target, doing: &str) -> Result<Entry, Error> {
    let refused = match verify::enter_as_admin(target).await {
        Ok(entry) => return Ok(entry),
        Err(refused) => refused,
    };
    let user = printable(&target.user);
    Err(match refused.cause {
        Some(Cause::PasswordMissing) => Error::NeedsPassword { user },
        Some(Cause::PeerAccount) => Error::OutOfReach {
            what: format!(
                "{doing} failed: over its socket this server goes by the account of this machine that dials, and ours may \
                 not be {user}"
            ),
            remedy: format!("run it as an account that may: `{}`", again(target)),
        },
        _ => Error::Database {
            doing: doing.to_owned(),
            why: in_sentences(&refused.why),
        },
    })
}

/// Why a login failed, in one line, with the command that would do where it is the account that is wrong.
pub fn in_words(refused: &NoEntry, target: &Target) -> String {
    if refused.cause == Some(Cause::PeerAccount) {
        return format!(
            "over its socket the server goes by the account of this machine that dials, and ours may not be {}: run `{}`",
            printable(&target.user),
            again(target)
        );
    }
    in_sentences(&refused.why)
}

/// What failed, what to do and what shows it, each in a sentence of its own.
fn in_sentences(parts: &[String]) -> String {
    let mut text = String::new();
    for part in parts {
        let mut rest = part.chars();
        match (text.chars().next_back(), rest.next()) {
            (_, None) => continue,
            (None, Some(first)) => text.push(first),
            (Some(last), Some(first)) => {
                text.push_str(if matches!(last, '.' | '?' | '!') {
                    " "
                } else {
                    ". "
                });
                text.extend(first.to_uppercase());
            }
        }
        text.push_str(rest.as_str());
    }
    text
}

/// The command that was typed, as it has to be typed instead: as root, who may take the place of the account that the
/// socket belongs to, else as the role's own. No secret is in it.
fn again(target: &Target) -> String {
    let is_owners = verify::socket_owner(target).is_some_and(|owner| owner == target.user);
    let is_root = rustix::process::geteuid().is_root();
    let mut words = vec!["sudo".to_owned()];
    if is_root || !is_owners {
        words.extend(["-u".to_owned(), shell(&target.user)]);
    }
    words.push(program());
    words.push(typed());
    printable(&words.join(" "))
}

/// What was typed behind our name, for a shell; without secrets.
#[must_use]
pub fn typed() -> String {
    let words: Vec<_> = std::env::args_os()
        .skip(1)
        .map(|argument| shell(&without_secrets(&argument.to_string_lossy())))
        .collect();
    printable(&words.join(" "))
}

/// Our own name, where `sudo` finds it by that; else where we are.
fn program() -> String {
    const NAME: &str = "pgtls";
    let Ok(path) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    let places = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    let is_found = places.iter().any(|place| path == Path::new(place).join(NAME));
    if is_found {
        NAME.to_owned()
    } else {
        shell(&path.to_string_lossy())
    }
}

/// A connection string without its passwords; anything else as it is.
fn without_secrets(argument: &str) -> String {
    match Conninfo::parse(argument) {
        Ok(conninfo) if conninfo.keywords().any(Keyword::is_secret) => conninfo.to_keyword_value(),
        _ => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_said_again() {
        for secret in [
            "host=/run user=postgres password=hunter2",
            "postgresql://postgres:hunter2@/app?host=/run",
        ] {
            let said = without_secrets(secret);
            assert!(said.contains("postgres") && !said.contains("hunter2"), "{said}");
        }
        assert_eq!(without_secrets("--stage"), "--stage");
        assert_eq!(
            without_secrets("host=/run user=postgres"),
            "host=/run user=postgres"
        );
    }
}
