//! `pg_hba.conf`: which lines change so that nobody comes in without TLS, or without a certificate.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::{ClientProof, Draft, Prevented, Wish};
use crate::conf::hba::{Addresses, ClientCert, Database, Kind, Method, Role, Rule};
use crate::conf::{Edit, Edits, Line, Lines};

/// The map of ours in `pg_ident.conf`.
const MAP: &str = "pgtls";

/// `host` becomes `hostssl`; a line that is about plaintext alone becomes a comment; and at the head stands what everybody
/// should be able to read: no TLS, no entry. Lines for sockets, for GSSAPI encryption, and those that reject stay. To
/// `hostnossl` an encryption by GSSAPI is none: where a line lets somebody in with it, that stands at the end.
pub fn require_tls(draft: &mut Draft<'_>) -> Result<(), Prevented> {
    let rules = draft.rules()?;
    let mut edits = Editing::default();
    for rule in rules.rules() {
        if rule.record.method == Method::Reject {
            continue;
        }
        match rule.record.kind {
            // hostnogssenc is with TLS or without.
            Kind::Host | Kind::HostNoGssEnc => edits.replace(draft, rule, 0, "hostssl")?,
            Kind::HostNoSsl => edits.comment_out(draft, rule)?,
            Kind::Local | Kind::HostSsl | Kind::HostGssEnc => {}
        }
    }
    let reject = |database: &[Database]| {
        !rules.rules().iter().any(|rule| {
            let record = &rule.record;
            record.method == Method::Reject
                && record.kind == Kind::HostNoSsl
                && record.databases.iter().any(|name| database.contains(name))
                && record.roles.contains(&Role::All)
                && record.addresses == Addresses::All
        })
    };
    let mut head = Vec::new();
    if reject(&[Database::All]) {
        head.push("hostnossl all all all reject");
    }
    if reject(&[Database::Replication]) {
        head.push("hostnossl replication all all reject");
    }
    let has_gss = rules
        .rules()
        .iter()
        .any(|rule| rule.record.kind == Kind::HostGssEnc && rule.record.method != Method::Reject);
    if has_gss {
        edits.append(draft, &head)?;
    } else if !head.is_empty() {
        edits.insert_at_head(draft, &head)?;
    }
    edits.apply(draft)
}

/// Every line that lets somebody in over TLS asks for a certificate of the role's own name.
pub fn require_certificates(draft: &mut Draft<'_>, wish: &Wish) -> Result<(), Prevented> {
    let rules = draft.rules()?;
    let mut edits = Editing::default();
    for rule in rules.rules() {
        let record = &rule.record;
        if record.kind != Kind::HostSsl || record.method == Method::Reject || record.method == Method::Cert {
            continue;
        }
        match wish.proof {
            ClientProof::Alone => edits.method_cert(draft, rule, !wish.maps.is_empty())?,
            ClientProof::Beside if record.options.clientcert == Some(ClientCert::VerifyFull) => {}
            ClientProof::Beside => edits.clientcert(draft, rule)?,
        }
    }
    edits.apply(draft)?;
    if wish.proof == ClientProof::Alone && !wish.maps.is_empty() {
        write_map(draft, &wish.maps)?;
    }
    Ok(())
}

/// The map: every client's name to its role.
fn write_map(draft: &mut Draft<'_>, maps: &[(String, String)]) -> Result<(), Prevented> {
    let path = draft.server.ident.clone();
    let mut bytes = draft.bytes(&path).unwrap_or_default();
    let present = draft.maps()?;
    for (name, role) in maps {
        let is_there = present.mappings().iter().any(|mapping| {
            &*mapping.map == MAP.as_bytes()
                && mapping.system == crate::conf::ident::SystemName::Named(name.as_bytes().into())
                && mapping.role == Role::Named(role.as_bytes().into())
        });
        if is_there {
            continue;
        }
        let lines = Lines::parse(bytes, draft.server.dialect);
        let text = format!("{MAP} {} {}", quoted(name), quoted(role));
        let edits = Edits::new(vec![lines.append(&text)]);
        bytes = edits
            .and_then(|edits| edits.apply(lines.bytes()))
            .ok_or_else(|| overlap(&path))?;
    }
    draft.put(&path, bytes);
    Ok(())
}

/// A name as these files take it whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn overlap(path: &Path) -> Prevented {
    Prevented::Line {
        place: path.display().to_string(),
        why: "its lines could not be told apart",
    }
}

/// Edits of several files.
#[derive(Default)]
struct Editing {
    files: BTreeMap<PathBuf, OneFile>,
}

struct OneFile {
    lines: Lines,
    edits: Vec<Edit>,
    /// A file that is included twice is edited once.
    edited: HashSet<usize>,
}

impl Editing {
    fn line(
        &mut self,
        draft: &Draft<'_>,
        rule: &Rule,
        edit: impl FnOnce(&Lines, &Line) -> Option<Vec<Edit>>,
    ) -> Result<(), Prevented> {
        let file = self.file(draft, &rule.place.file)?;
        if !file.edited.insert(rule.place.line) {
            return Ok(());
        }
        let made = file
            .lines
            .line(rule.place.line)
            .and_then(|line| edit(&file.lines, line));
        let made = made.ok_or_else(|| Prevented::Line {
            place: rule.place.to_string(),
            why: "it has not the fields that it should have",
        })?;
        file.edits.extend(made);
        Ok(())
    }

    fn file(&mut self, draft: &Draft<'_>, path: &Path) -> Result<&mut OneFile, Prevented> {
        if !self.files.contains_key(path) {
            let file = OneFile {
                lines: Lines::parse(draft.bytes(path)?, draft.server.dialect),
                edits: Vec::new(),
                edited: HashSet::new(),
            };
            self.files.insert(path.to_path_buf(), file);
        }
        self.files.get_mut(path).ok_or_else(|| overlap(path))
    }

    fn replace(&mut self, draft: &Draft<'_>, rule: &Rule, field: usize, with: &str) -> Result<(), Prevented> {
        self.line(draft, rule, |lines, line| {
            Some(vec![lines.replace(line, field, with)?])
        })
    }

    fn comment_out(&mut self, draft: &Draft<'_>, rule: &Rule) -> Result<(), Prevented> {
        self.line(draft, rule, |lines, line| Some(vec![lines.comment_out(line)]))
    }

    /// `clientcert=verify-full`, in the place of every other `clientcert`, of which the last counts, or behind the last field.
    fn clientcert(&mut self, draft: &Draft<'_>, rule: &Rule) -> Result<(), Prevented> {
        const OPTION: &str = "clientcert=verify-full";
        self.line(draft, rule, |lines, line| {
            let is_one = |at: &usize| {
                lines
                    .word(line, *at)
                    .is_some_and(|word| word.starts_with(b"clientcert="))
            };
            let present: Vec<usize> = (4..line.fields.len()).filter(is_one).collect();
            if present.is_empty() {
                return Some(vec![lines.push(line, OPTION)?]);
            }
            present
                .into_iter()
                .map(|at| lines.replace(line, at, OPTION))
                .collect()
        })
    }

    /// The method `cert` in the place of the present one, and of its options.
    fn method_cert(&mut self, draft: &Draft<'_>, rule: &Rule, with_map: bool) -> Result<(), Prevented> {
        let with = if with_map {
            format!("cert map={MAP}")
        } else {
            "cert".to_owned()
        };
        let method = rule.record.method.as_str();
        self.line(draft, rule, |lines, line| {
            // The method is the first field behind the address that reads like it: masks do not.
            let at = (4..line.fields.len()).find(|at| {
                lines
                    .word(line, *at)
                    .is_some_and(|word| *word == *method.as_bytes())
            })?;
            let end = line.fields.last()?.end;
            Some(vec![Edit {
                at: line.fields[at].start..end,
                with: with.into_bytes(),
            }])
        })
    }

    /// Before the first line that is about TCP, or about other files.
    fn insert_at_head(&mut self, draft: &Draft<'_>, head: &[&str]) -> Result<(), Prevented> {
        let file = self.file(draft, &draft.server.hba)?;
        let lines = &file.lines;
        let is_local = |line: &Line| lines.word(line, 0).is_some_and(|kind| *kind == *b"local");
        let new: Vec<Edit> = if let Some(line) = lines.lines().iter().find(|line| !is_local(line)) {
            head.iter().map(|text| lines.insert_before(line, text)).collect()
        } else {
            return self.append(draft, head);
        };
        // Before what the same line may have been given.
        file.edits.splice(0..0, new);
        Ok(())
    }

    /// Behind all other lines.
    fn append(&mut self, draft: &Draft<'_>, tail: &[&str]) -> Result<(), Prevented> {
        if tail.is_empty() {
            return Ok(());
        }
        let file = self.file(draft, &draft.server.hba)?;
        // One edit: of two at the end each would end the line before.
        let is_crlf = file.lines.bytes().windows(2).any(|pair| pair == b"\r\n");
        let edit = file.lines.append(&tail.join(if is_crlf { "\r\n" } else { "\n" }));
        file.edits.push(edit);
        Ok(())
    }

    fn apply(self, draft: &mut Draft<'_>) -> Result<(), Prevented> {
        for (path, file) in self.files {
            let bytes = Edits::new(file.edits)
                .and_then(|edits| edits.apply(file.lines.bytes()))
                .ok_or_else(|| overlap(&path))?;
            draft.put(&path, bytes);
        }
        Ok(())
    }
}
