//! What a directory says of its compose project: the person's own compose files, which are never rewritten, and ours.

use std::path::Path;

use secrecy::SecretString;

use super::super::super::{Error, files};
use crate::plan::{ComposeProject, Layout, Placement, identifier};
use crate::setup::SERVICES;

/// Names of a person's compose file, in the order in which compose looks for them.
const THEIRS: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// Names of files that compose lays over that one.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];
/// Our file where the person has an override of their own.
pub(super) const NAMED: &str = "compose.pgtls.yml";
/// By this, in its first lines, a compose file of ours is known.
const MARK: &str = "Written by pgtls from pgtls.toml";

/// The person's own compose file in a directory, which is never rewritten: its name.
#[must_use]
pub fn compose_file(dir: &Path) -> Option<&'static str> {
    theirs(dir).ok().flatten().map(|(name, _)| name)
}

fn theirs(dir: &Path) -> Result<Option<(&'static str, String)>, Error> {
    for name in THEIRS {
        if let Some(text) = compose_text(dir, name)?.filter(|text| !is_ours(text)) {
            return Ok(Some((name, text)));
        }
    }
    Ok(None)
}

fn compose_text(dir: &Path, name: &str) -> Result<Option<String>, Error> {
    let bytes = files::read("the compose file", &dir.join(name))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Where our service stands, and whether it is there already.
pub(super) fn on_disk(dir: &Path) -> Result<(ComposeProject, bool), Error> {
    let text = |name: &str| compose_text(dir, name);
    let Some((name, content)) = theirs(dir)? else {
        let ours = text(Layout::COMPOSE)?;
        let named = ours.as_deref().and_then(name_in);
        let project = ComposeProject {
            name: named.unwrap_or_else(|| ComposeProject::name_of(dir)),
            placement: Placement::Own,
        };
        return Ok((project, ours.is_some()));
    };
    // One that has a name of its own stands alone, since theirs could not be taken when it was made.
    let named = text(NAMED)?;
    if let Some(name) = named.as_deref().and_then(name_in) {
        return Ok((apart(&name), true));
    }
    let mut all = vec![name.to_owned()];
    let mut known = named.is_some();
    for name in OVERRIDES {
        match text(name)? {
            Some(text) if is_ours(&text) => known = true,
            Some(_) => all.push(name.to_owned()),
            None => {}
        }
    }
    let is_found = all.len() == 1;
    let [.., last] = SERVICES;
    let service = SERVICES
        .into_iter()
        .find(|service| !mentions(&content, service))
        .unwrap_or(last);
    let project = ComposeProject {
        name: name_in(&content).unwrap_or_else(|| ComposeProject::name_of(dir)),
        placement: Placement::Beside {
            theirs: all,
            ours: if is_found { OVERRIDES[0] } else { NAMED }.to_owned(),
            is_found,
            service: service.to_owned(),
        },
    };
    Ok((project, known))
}

/// A project by itself, in a directory whose own compose file cannot be added to.
pub(super) fn apart(name: &str) -> ComposeProject {
    ComposeProject {
        name: name.to_owned(),
        placement: Placement::Apart {
            ours: NAMED.to_owned(),
        },
    }
}

/// Whether the comment at its top says that we wrote it; the comment is wrapped where it may be.
fn is_ours(text: &str) -> bool {
    let comment: Vec<&str> = text
        .lines()
        .take(8)
        .filter_map(|line| line.strip_prefix('#'))
        .flat_map(str::split_whitespace)
        .collect();
    comment.join(" ").contains(MARK)
}

/// The project's name that a compose file gives.
fn name_in(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("name:"))?;
    let value = value.split(" #").next().unwrap_or_default();
    let value = value.trim().trim_matches(['"', '\'']);
    let is_plain = value.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    is_plain.then(|| value.to_owned())
}

/// Whether a compose file has a key of this name: it may be a service.
fn mentions(text: &str, key: &str) -> bool {
    text.lines().any(|line| {
        line.trim()
            .trim_start_matches(['"', '\''])
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
    })
}

/// The superuser's password in `db.env`, if it is one that compose does not change.
pub(super) fn password_in(env: &[u8]) -> Option<SecretString> {
    let text = std::str::from_utf8(env).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("POSTGRES_PASSWORD="))?
        .trim();
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then(|| SecretString::from(value))
}

/// What `server/roles.sql` says the password of this role is checked by.
pub(super) fn verifier_in<'a>(sql: &'a str, role: &str) -> Option<&'a str> {
    let begin = format!("ALTER ROLE {} PASSWORD '", identifier(role));
    sql.lines()
        .find_map(|line| line.strip_prefix(begin.as_str())?.strip_suffix("';"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_known_however_its_comment_is_wrapped() {
        assert!(is_ours(
            "---\n# PostgreSQL. Written by pgtls from pgtls.toml: change that.\nname: x\n"
        ));
        assert!(is_ours(
            "---\n# Adds, to x. Written\n# by pgtls from\n# pgtls.toml: change that.\n"
        ));
        assert!(!is_ours(
            "services:\n  # as Written by pgtls from pgtls.toml\n  db: {}\n"
        ));
    }

    #[test]
    fn a_name_is_read_where_compose_would_take_it() {
        for (text, name) in [
            ("name: shop\n", Some("shop")),
            ("name: \"shop-2\" # x\n", Some("shop-2")),
            ("name: ${NAME}\n", None),
            ("services:\n  name: x\n", None),
        ] {
            assert_eq!(name_in(text).as_deref(), name, "{text}");
        }
        assert!(mentions("services:\n  db:\n", "db") && mentions("  \"db\" :\n", "db"));
        assert!(!mentions("  dbs:\n  image: db\n", "db"));
    }
}
