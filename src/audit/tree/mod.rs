//! What lies in a directory: compose files and `docker run` lines, Dockerfiles, PostgreSQL's own files, certificates and
//! keys, graded by the same findings as a running server.
//!
//! Pure: whoever asks brings the files ([`Tree`]). A compose service or a `docker run` line becomes a [`Service`], a
//! service the settings and rules that its server would have, and those are judged by the checks for running servers.
//! What lies between a file and the server (who owns it in there, whether it gets there at all) is judged here.

mod container;
mod image;
mod keys;
mod run_line;
mod server;
mod service;
mod url;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::clients::{self, scan};
use super::{Audit, Finding, ServerFacts, Unseen, Verdict};
use crate::conf::{Files, Unreadable};
use service::Service;

/// A file or directory.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its bytes; `None` for a directory, and for what is too large or may not be read.
    pub bytes: Option<Zeroizing<Vec<u8>>>,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Everything below a directory, by paths relative to it.
#[derive(Debug, Default)]
pub struct Tree {
    /// Files and directories.
    pub entries: BTreeMap<PathBuf, Entry>,
    /// What was left out, and why.
    pub unseen: Vec<Unseen>,
}

impl Tree {
    /// The text of a file that is one.
    fn text(&self, path: &Path) -> Option<&str> {
        let bytes = self.entries.get(path)?.bytes.as_deref()?;
        (!bytes.contains(&0))
            .then(|| std::str::from_utf8(bytes).ok())
            .flatten()
    }

    fn bytes(&self, path: &Path) -> Option<&[u8]> {
        self.entries
            .get(path)?
            .bytes
            .as_ref()
            .map(|bytes| bytes.as_slice())
    }

    /// Files by their names, with what is in them.
    fn texts(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.entries
            .keys()
            .filter_map(|path| Some((path.as_path(), self.text(path)?)))
    }
}

/// The files as PostgreSQL's own grammars ask for them.
impl Files for Tree {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        let path = normal(path);
        self.bytes(&path).map(<[u8]>::to_vec).ok_or(Unreadable::Missing)
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        let names = self
            .entries
            .iter()
            .filter(|(path, entry)| !entry.is_dir && path.parent() == Some(directory))
            .filter_map(|(path, _)| path.file_name())
            .map(|name| name.as_encoded_bytes().to_vec());
        Ok(names.collect())
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    file: PathBuf,
    line: usize,
}

impl Spot {
    fn shown(&self) -> String {
        format!("{}:{}", shown(&self.file), self.line)
    }
}

fn shown(path: &Path) -> String {
    crate::pki::printable(&path.to_string_lossy())
}

/// A path without `.` and `..`, as far as its text says.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut kept, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir if kept.file_name().is_some_and(|name| name != "..") => {
                kept.pop();
            }
            other => kept.push(other),
        }
        kept
    })
}

/// What the checks have found so far.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    unseen: Vec<Unseen>,
    /// Keys that a server or client of the tree is known to use, by what they are for.
    server_keys: BTreeSet<PathBuf>,
    /// Whether the rules of some server were seen.
    sees_rules: bool,
}

impl Found {
    fn add(&mut self, id: &'static str, place: impl Into<String>, evidence: impl AsRef<str>) {
        let finding = Finding::new(id, place);
        self.findings
            .extend(finding.map(|finding| finding.evidence(evidence)));
    }

    fn miss(&mut self, what: String, why: &str) {
        self.unseen.push(Unseen {
            what,
            why: why.to_owned(),
        });
    }
}

/// Grades what lies in a directory, which reports call `name`.
#[must_use]
pub fn grade_tree(name: &str, tree: &Tree, now: OffsetDateTime) -> Audit {
    let mut found = Found {
        unseen: tree.unseen.clone(),
        ..Found::default()
    };
    let services = services(tree, &mut found);
    let servers: Vec<&Service> = services
        .iter()
        .filter(|service| service.is_postgres(tree))
        .collect();
    let mut configured = BTreeSet::new();
    for service in &servers {
        container::check(tree, service, &mut found);
        configured.extend(server::of_service(tree, service, now, &mut found));
    }
    for service in &services {
        container::passwords(service, &mut found);
    }
    server::of_files(tree, &configured, now, &mut found);
    image::check(tree, &services, &mut found);
    keys::check(tree, now, &mut found);
    url::check(tree, &servers, &mut found);
    for (path, text) in tree.texts() {
        let hits = scan(&shown(path), &code_of(path, text));
        found.findings.extend(hits.iter().filter_map(clients::finding));
    }
    verdict(name, tree, found)
}

fn verdict(name: &str, tree: &Tree, mut found: Found) -> Audit {
    found.findings.sort_by(|a, b| {
        (a.severity, &a.place, a.id, &a.evidence).cmp(&(b.severity, &b.place, b.id, &b.evidence))
    });
    found
        .findings
        .dedup_by(|a, b| a.id == b.id && a.place == b.place && a.evidence == b.evidence);
    let is_broken = found.findings.iter().any(|finding| finding.severity.breaks());
    if !found.sees_rules {
        found.miss(
            "a server".to_owned(),
            "no compose file, `docker run` line or postgresql.conf with rules for logins was found here",
        );
    }
    Audit {
        server: ServerFacts {
            host: name.to_owned(),
            files: Some(tree.entries.values().filter(|entry| !entry.is_dir).count()),
            ..ServerFacts::default()
        },
        verdict: match (is_broken, found.sees_rules) {
            (true, _) => Verdict::Broken,
            (false, true) => Verdict::Holds,
            (false, false) => Verdict::Undetermined,
        },
        findings: found.findings,
        sessions: Vec::new(),
        unseen: found.unseen,
    }
}

/// Every service that compose files and `docker run` lines describe.
fn services(tree: &Tree, found: &mut Found) -> Vec<Service> {
    let mut all = service::of_compose_files(tree, found);
    all.extend(run_line::services(tree));
    all
}

/// A file with all lines emptied that only talk: of a text for people just what it gives to be typed or pasted counts.
fn code_of(path: &Path, text: &str) -> String {
    let is_prose = path.extension().is_some_and(|extension| {
        ["md", "markdown", "rst", "txt", "adoc"]
            .iter()
            .any(|known| extension == *known)
    });
    if !is_prose {
        return text.to_owned();
    }
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        fenced ^= is_fence;
        lines.push(
            if fenced && !is_fence || line.contains("://") || line.starts_with("    ") {
                line
            } else {
                ""
            },
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
