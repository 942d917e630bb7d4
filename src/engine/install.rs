//! Putting a client's files where drivers look by themselves, and whole example projects.
//!
//! Both are writes like any other: nothing that is there is lost, and `pgtls undo` in that directory takes them back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::apply::{self, Project, Written};
use crate::clients::{self, Format};
use crate::conninfo::{Conninfo, Keyword};
use crate::pki::Certificate;
use crate::plan::{Artifact, Content, Kit, Layout, Line};

use super::up::{Ask, write_asking};
use super::{Error, files};

/// What is installed below a home directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installation {
    /// Root, certificate and key in `~/.postgresql`, and the lines of `~/.pgpass`
    /// (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
    Files {
        /// Whether pgjdbc's form of the key is wanted too.
        pk8: bool,
    },
    /// An entry of `~/.pg_service.conf` that names the kit's own files.
    Service,
}

/// Installs a kit below a home directory, beside what is there: other roots, password lines and services stay.
pub fn install(
    kit: &Path,
    conninfo: &Conninfo,
    what: Installation,
    home: &Path,
    ask: &dyn Ask,
) -> Result<Written, Error> {
    let artifacts = match what {
        Installation::Files { pk8 } => own_files(kit, conninfo, pk8, home)?,
        Installation::Service => vec![service(conninfo, home)?],
    };
    refuse_project(home)?;
    write_beside(home, &artifacts, ask)
}

/// The directory of a kit, as its connection string names it.
#[must_use]
pub fn kit_dir(dir: &Path, kit: &Kit) -> PathBuf {
    dir.join(Layout::kit_file(&kit.name, ""))
}

/// Writes the files of an example project into a directory, made if need be.
pub fn write_project(dir: &Path, texts: &BTreeMap<PathBuf, String>, ask: &dyn Ask) -> Result<Written, Error> {
    let artifacts: Vec<_> = texts.iter().map(|(path, content)| text(path, content)).collect();
    refuse_project(dir)?;
    write_beside(dir, &artifacts, ask)
}

/// A project of ours would take files beside its own for its own, and remove them at the next run.
pub(super) fn refuse_project(dir: &Path) -> Result<(), Error> {
    if dir.join(Layout::SETUP).exists() {
        return Err(Error::DoesNotFit {
            what: format!(
                "{} is a pgtls project itself: its next run would take what is put beside its own files for its own, and \
                 remove it",
                dir.display()
            ),
            remedy: "name the directory of your application".to_owned(),
        });
    }
    Ok(())
}

/// Writes files beside what is in a directory, asking about those that are somebody's; touches nothing where all is
/// as it should be.
pub(super) fn write_beside(dir: &Path, artifacts: &[Artifact], ask: &dyn Ask) -> Result<Written, Error> {
    if apply::compare_beside(&Project::look(dir)?, artifacts)?.is_empty() {
        return Ok(Written::default());
    }
    let project = Project::create(dir)?;
    let changes = apply::compare_beside(&project, artifacts)?;
    write_asking(&project, changes.by("connect"), ask, "")
}

fn own_files(kit: &Path, conninfo: &Conninfo, pk8: bool, home: &Path) -> Result<Vec<Artifact>, Error> {
    let at = |name: &str| Path::new(".postgresql").join(name);
    let read = |what, name: &str| files::must_read(what, &kit.join(name));
    let mut artifacts = vec![public(
        at("root.crt"),
        roots(
            &read("the root certificate", "root.crt")?,
            &home.join(at("root.crt")),
        )?,
        "roots that servers are judged by",
    )];
    if conninfo.get(Keyword::Sslcert).is_some() {
        let certificate = read("the client certificate", "client.crt")?;
        artifacts.push(public(
            at("postgresql.crt"),
            certificate.to_vec(),
            "client certificate",
        ));
        let key = read("the client key", "client.key")?;
        artifacts.push(secret(at("postgresql.key"), key, "client key"));
        if pk8 {
            let key = read("the client key", Format::Pk8.file())?;
            artifacts.push(secret(at("postgresql.pk8"), key, "client key in PKCS#8 DER"));
        }
    }
    if conninfo.get(Keyword::Passfile).is_some() {
        let ours = read("the password file", "passfile")?;
        let theirs = files::read("the password file", &home.join(".pgpass"))?;
        artifacts.push(secret(
            PathBuf::from(".pgpass"),
            passwords(&ours, theirs.as_deref().map_or(&[], |bytes| bytes)),
            "password file",
        ));
    }
    Ok(artifacts)
}

/// Our roots, with those of the file that is there: other servers are judged by them.
fn roots(ours: &[u8], path: &Path) -> Result<Vec<u8>, Error> {
    let Some(theirs) = files::read("the root certificates", path)? else {
        return Ok(ours.to_vec());
    };
    let (Ok(own), Ok(present)) = (Certificate::from_pem(ours), Certificate::from_pem(&theirs)) else {
        return Ok(ours.to_vec());
    };
    if own.iter().all(|root| present.contains(root)) {
        return Ok(theirs.to_vec());
    }
    let others = present.iter().filter(|root| !own.contains(root));
    Ok(own
        .iter()
        .chain(others)
        .map(Certificate::to_pem)
        .collect::<String>()
        .into_bytes())
}

/// Our lines, then theirs: the first that fits counts. Lines for exactly what ours are for go.
fn passwords(ours: &[u8], theirs: &[u8]) -> Zeroizing<Vec<u8>> {
    let lines = |bytes: &'_ [u8]| -> Vec<Zeroizing<Vec<u8>>> {
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| Zeroizing::new(line.to_vec())).collect()
    };
    let own = lines(ours);
    let mut out = Zeroizing::new(Vec::with_capacity(ours.len() + theirs.len() + 1));
    for line in &own {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    for line in &lines(theirs) {
        if !own.iter().any(|own| subject(own) == subject(line)) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    out
}

/// What a line of a password file is for: its first four fields, with the colon after them.
fn subject(line: &[u8]) -> &[u8] {
    let mut colons = 0;
    let mut escaped = false;
    for (index, byte) in line.iter().enumerate() {
        match byte {
            b':' if !escaped => {
                colons += 1;
                if colons == 4 {
                    return &line[..=index];
                }
            }
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
    }
    line
}

/// The service file with our entry in it, in the place of one of that name.
fn service(conninfo: &Conninfo, home: &Path) -> Result<Artifact, Error> {
    let client = clients::find("service").ok_or_else(|| Error::DoesNotFit {
        what: "there is no description of service entries".to_owned(),
        remedy: "install pgtls anew".to_owned(),
    })?;
    let entry = clients::render(client, conninfo)?;
    let path = PathBuf::from(".pg_service.conf");
    let theirs = files::read("the service file", &home.join(&path))?;
    let theirs = match theirs.as_deref().map(|bytes| std::str::from_utf8(bytes)) {
        None => "",
        Some(Ok(text)) => text,
        Some(Err(_)) => {
            return Err(Error::File {
                what: "the service file",
                path: home.join(path),
                why: "it is not UTF-8 text".to_owned(),
                remedy: "save it as UTF-8".to_owned(),
            });
        }
    };
    Ok(text(&path, &with_entry(theirs, &entry)))
}

fn with_entry(theirs: &str, entry: &str) -> String {
    let header = entry.lines().next().unwrap_or_default();
    let mut out = String::with_capacity(theirs.len() + entry.len() + 2);
    let mut placed = false;
    let mut skipping = false;
    for line in theirs.lines() {
        if line.trim_start().starts_with('[') {
            skipping = line.trim() == header;
            if skipping && !placed {
                out.push_str(entry);
                placed = true;
            }
        }
        // The lines of the old entry go; blank ones and comments after it belong to what follows.
        if !skipping || line.trim().is_empty() || line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    if !placed {
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        out.push_str(entry);
    }
    out
}

pub(super) fn text(path: &Path, content: &str) -> Artifact {
    let line = |line: &str| Line {
        text: line.to_owned(),
        why: None,
    };
    Artifact {
        path: path.to_path_buf(),
        mode: 0o644,
        content: Content::Text(content.lines().map(line).collect()),
    }
}

fn public(path: PathBuf, bytes: Vec<u8>, description: &str) -> Artifact {
    Artifact {
        path,
        mode: 0o644,
        content: Content::Public {
            bytes,
            description: description.to_owned(),
        },
    }
}

pub(super) fn secret(path: PathBuf, bytes: Zeroizing<Vec<u8>>, description: &str) -> Artifact {
    Artifact {
        path,
        mode: 0o600,
        content: Content::Secret {
            bytes,
            description: description.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_passwords_come_first_and_replace_only_those_for_the_same() {
        let ours = b"db:5432:app:o\\:b:new\n";
        let theirs = b"# mine\ndb:5432:app:o\\:b:old\ndb:5432:app:o\\:bc:other\n*:*:*:*:all";
        assert_eq!(
            *passwords(ours, theirs),
            b"db:5432:app:o\\:b:new\n# mine\ndb:5432:app:o\\:bc:other\n*:*:*:*:all\n"
        );
        assert_eq!(*passwords(ours, ours), ours);
        assert_eq!(subject(b"a\\\\:b:c:d:e:f"), b"a\\\\:b:c:d:");
    }

    #[test]
    fn an_entry_takes_the_place_of_its_namesake_and_nothing_else() {
        let entry = "[app]\nhost=b\n";
        assert_eq!(with_entry("", entry), entry);
        assert_eq!(with_entry("[x]\nhost=a", entry), "[x]\nhost=a\n\n[app]\nhost=b\n");
        let theirs = "[x]\nport=1\n[app]\nhost=a\nport=2\n\n# later\n[y]\nport=3\n";
        let wanted = "[x]\nport=1\n[app]\nhost=b\n\n# later\n[y]\nport=3\n";
        assert_eq!(with_entry(theirs, entry), wanted);
        assert_eq!(with_entry(wanted, entry), wanted);
    }
}
