//! A `.env` for a person's application: `PG*` variables and `DATABASE_URL`, in a block of our own.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::install::{refuse_project, secret, text, write_beside};
use super::up::Ask;
use super::{Error, files};
use crate::apply::Written;
use crate::conninfo::{Conninfo, Environment, Keyword, resolve};

const BEGIN: &str = "# pgtls: begin, written by `pgtls connect --dotenv`";
const END: &str = "# pgtls: end";
const NAME: &str = ".env";
const IGNORE: &str = ".gitignore";

/// Writes the block into `.env` of a directory, beside what a person has there. With the password the file has mode 0600
/// and `.gitignore` names it; without, the password file is named.
pub fn write_dotenv(
    dir: &Path,
    conninfo: &Conninfo,
    with_password: bool,
    ask: &dyn Ask,
) -> Result<Written, Error> {
    refuse_project(dir)?;
    let mut conninfo = conninfo.clone();
    let secrets: &[Keyword] = if with_password && conninfo.get(Keyword::Passfile).is_some() {
        let resolved = resolve(conninfo.clone(), &Environment::default())?;
        let password = resolved.hosts.iter().find_map(|host| resolved.password_for(host));
        let Some(password) = password.cloned() else {
            return Err(Error::DoesNotFit {
                what: "the password file of the kit has no password for this connection".to_owned(),
                remedy: "run `pgtls up`, which writes it".to_owned(),
            });
        };
        conninfo.remove(Keyword::Passfile);
        conninfo.set_secret(Keyword::Password, password);
        &[Keyword::Password]
    } else {
        &[]
    };
    let theirs = files::read("the .env file", &dir.join(NAME))?;
    let theirs = theirs.as_deref().map(|bytes| String::from_utf8_lossy(bytes));
    let kept = outside(theirs.as_deref().unwrap_or_default());
    if let Some(line) = kept
        .iter()
        .find(|line| line.trim_start().starts_with("DATABASE_URL="))
    {
        let name = line.split('=').next().unwrap_or_default();
        return Err(Error::DoesNotFit {
            what: format!("{} sets {name} already", dir.join(NAME).display()),
            remedy: "take that line out first: which of two counts differs from library to library"
                .to_owned(),
        });
    }
    let block = block(&conninfo, secrets);
    // Reserved in full, so that no shorter copy of a secret is left behind in memory when it grows.
    let length = kept.iter().map(|line| line.len() + 1).sum::<usize>() + block.len();
    let mut whole = Zeroizing::new(String::with_capacity(length));
    for line in &kept {
        whole.push_str(line);
        whole.push('\n');
    }
    whole.push_str(&block);
    let mut artifacts = vec![if secrets.is_empty() {
        text(Path::new(NAME), &whole)
    } else {
        secret(
            PathBuf::from(NAME),
            Zeroizing::new(whole.as_bytes().to_vec()),
            "environment of the application, with its password",
        )
    }];
    if !secrets.is_empty() {
        artifacts.extend(ignored(dir)?.map(|ignore| text(Path::new(IGNORE), &ignore)));
    }
    write_beside(dir, &artifacts, ask)
}

/// Our lines.
fn block(conninfo: &Conninfo, secrets: &[Keyword]) -> Zeroizing<String> {
    let mut lines = Zeroizing::new(String::with_capacity(8192));
    lines.push_str(BEGIN);
    for (name, value) in conninfo.to_env_with(secrets) {
        push(&mut lines, name, value.expose_secret());
    }
    push(
        &mut lines,
        "DATABASE_URL",
        conninfo.to_uri_with(secrets).expose_secret(),
    );
    lines.push('\n');
    lines.push_str(END);
    lines.push('\n');
    lines
}

/// A line: bare where every reader of such files takes it so, else in single quotes, which none looks into.
fn push(lines: &mut String, name: &str, value: &str) {
    let is_plain = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@%?&=+,".contains(&byte));
    let quote = if is_plain { "" } else { "'" };
    for part in ["\n", name, "=", quote, &value.replace('\'', "'\\''"), quote] {
        lines.push_str(part);
    }
}

/// The lines of a file that are not ours.
fn outside(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.lines()
        .filter(|line| {
            let is_ours = inside || *line == BEGIN;
            inside = is_ours && *line != END;
            !is_ours
        })
        .collect()
}

/// `.gitignore` with a line for the file, unless it has one.
fn ignored(dir: &Path) -> Result<Option<String>, Error> {
    let bytes = files::read("the .gitignore", &dir.join(IGNORE))?;
    let text = bytes
        .as_deref()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = text.unwrap_or_default();
    if text
        .lines()
        .any(|line| matches!(line.trim(), ".env" | "/.env" | "*.env"))
    {
        return Ok(None);
    }
    let gap = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Ok(Some(format!("{text}{gap}/.env\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_block_is_replaced_and_theirs_is_kept() {
        let text = format!("A=1\n{BEGIN}\nPGHOST=x\n{END}\nB=2\n");
        assert_eq!(outside(&text), ["A=1", "B=2"]);
        assert_eq!(outside("A=1\n"), ["A=1"]);
        let mut lines = String::new();
        push(&mut lines, "A", "it's $x");
        push(&mut lines, "B", "plain/x");
        assert_eq!(lines, "\nA='it'\\''s $x'\nB=plain/x");
    }
}
