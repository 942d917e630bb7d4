//! A `postgresql.conf` as it stands: every byte, and where its settings are.

use std::ops::Range;

use super::scan::{self, Kind};
use super::value::{quote, unquote};
use crate::conf::Edit;
use crate::conf::edit::{aligned, line_end};

/// The file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    faults: Vec<Syntax>,
}

/// A line that sets or includes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of its line, from 1.
    pub number: usize,
    /// Its bytes, with the end of the line.
    pub bytes: Range<usize>,
    /// Where its name is.
    pub name: Range<usize>,
    /// Where its value is, quotes included.
    pub value: Range<usize>,
    /// What its value says.
    pub text: Vec<u8>,
}

/// A line that PostgreSQL cannot read: with one of them the server does not start, and a reload changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syntax {
    /// The number of the line.
    pub number: usize,
    /// The token at which it stopped; `None` at the end of the line.
    pub near: Option<String>,
}

/// After so many errors PostgreSQL reads no further.
const MOST_FAULTS: usize = 100;

impl Document {
    /// Reads a file; any bytes are one.
    #[must_use]
    pub fn parse(bytes: Vec<u8>) -> Self {
        let mut document = Self {
            bytes: Vec::new(),
            entries: Vec::new(),
            faults: Vec::new(),
        };
        let mut at = 0;
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if document.faults.len() < MOST_FAULTS {
                document.read(
                    index + 1,
                    line.strip_suffix(b"\n").unwrap_or(line),
                    at..at + line.len(),
                );
            }
            at += line.len();
        }
        document.bytes = bytes;
        document
    }

    fn read(&mut self, number: usize, line: &[u8], bytes: Range<usize>) {
        let in_file = |span: &Range<usize>| bytes.start + span.start..bytes.start + span.end;
        let Some((kind, name)) = scan::next(line, 0) else {
            return;
        };
        let mut wrong = (!kind.is_name()).then(|| Some(name.clone()));
        let mut entry = None;
        if wrong.is_none() {
            let mut value = scan::next(line, name.end);
            if let Some((Kind::Equals, equals)) = &value {
                value = scan::next(line, equals.end);
            }
            match value {
                Some((kind, value)) if kind.is_value() => {
                    wrong = scan::next(line, value.end).map(|(_, more)| Some(more));
                    let text = &line[value.clone()];
                    entry = Some(Entry {
                        number,
                        name: in_file(&name),
                        value: in_file(&value),
                        text: if kind == Kind::String {
                            unquote(text)
                        } else {
                            text.to_vec()
                        },
                        bytes: bytes.clone(),
                    });
                }
                other => wrong = Some(other.map(|(_, span)| span)),
            }
        }
        match (wrong, entry) {
            (Some(near), _) => self.faults.push(Syntax {
                number,
                near: near.map(|span| crate::pki::printable(&String::from_utf8_lossy(&line[span]))),
            }),
            (None, Some(entry)) => self.entries.push(entry),
            (None, None) => {}
        }
    }

    /// The file, byte by byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its settings and includes, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The lines that PostgreSQL cannot read.
    #[must_use]
    pub fn faults(&self) -> &[Syntax] {
        &self.faults
    }

    /// The name of an entry, as it is written.
    #[must_use]
    pub fn name(&self, entry: &Entry) -> String {
        String::from_utf8_lossy(&self.bytes[entry.name.clone()]).into_owned()
    }

    /// The entry that this file means for a setting: the last one. Names differ in letter case alone.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .rev()
            .find(|entry| self.bytes[entry.name.clone()].eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Sets a setting: in its last entry, where it has one; else behind its commented default, else at the end.
    /// `None` where it has that value already.
    #[must_use]
    pub fn set(&self, name: &str, value: &str) -> Option<Edit> {
        let written = written(value);
        if let Some(entry) = self.last(name) {
            return (entry.text != value.as_bytes())
                .then(|| aligned(&self.bytes, entry.value.clone(), &written));
        }
        let line = [name.as_bytes(), b" = ", &written].concat();
        Some(self.insert(self.behind_default(name), &line))
    }

    /// Makes the line of an entry a comment.
    #[must_use]
    pub fn comment_out(&self, entry: &Entry) -> Edit {
        Edit {
            at: entry.bytes.start..entry.bytes.start,
            with: b"#".to_vec(),
        }
    }

    /// Where the line behind `#name = …` begins.
    fn behind_default(&self, name: &str) -> Option<usize> {
        let mut at = 0;
        let mut found = None;
        for line in self.bytes.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            let text = line.trim_ascii_start();
            if let Some(text) = text.strip_prefix(b"#")
                && let text = text.trim_ascii_start()
                && let Some((head, rest)) = text.split_at_checked(name.len())
                && head.eq_ignore_ascii_case(name.as_bytes())
                && rest.trim_ascii_start().starts_with(b"=")
            {
                found = Some(at);
            }
        }
        found
    }

    fn insert(&self, at: Option<usize>, line: &[u8]) -> Edit {
        let end = line_end(&self.bytes);
        let at = at.unwrap_or(self.bytes.len());
        let mut with = Vec::new();
        if at > 0 && self.bytes[at - 1] != b'\n' {
            with.extend_from_slice(end);
        }
        with.extend_from_slice(line);
        with.extend_from_slice(end);
        Edit { at: at..at, with }
    }
}

/// A value as it is written: bare where that says the same.
fn written(value: &str) -> Vec<u8> {
    match scan::next(value.as_bytes(), 0) {
        Some((Kind::Id | Kind::Number, span)) if span == (0..value.len()) => value.into(),
        _ => quote(value.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conf::Edits;

    fn set(text: &str, name: &str, value: &str) -> String {
        let document = Document::parse(text.as_bytes().to_vec());
        let edits = Edits::new(document.set(name, value).into_iter().collect()).unwrap();
        String::from_utf8(edits.apply(document.bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_setting_is_changed_where_it_stands() {
        assert_eq!(
            set("ssl = off      # no\r\nport=1\r\n", "ssl", "on"),
            "ssl = on       # no\r\nport=1\r\n"
        );
        assert_eq!(
            set("ssl off\nSSL 'off' # last\n", "ssl", "on"),
            "ssl off\nSSL on # last\n"
        );
        assert_eq!(set("ssl = on\n", "ssl", "on"), "ssl = on\n");
        assert_eq!(
            set("# a\n#ssl = off\t\t# change\nport = 1", "ssl", "on"),
            "# a\n#ssl = off\t\t# change\nssl = on\nport = 1"
        );
        assert_eq!(
            set("port = 1", "ssl_cert_file", "/a b'.crt"),
            "port = 1\nssl_cert_file = '/a b''.crt'\n"
        );
        assert_eq!(set("#ssl = off", "ssl", "on"), "#ssl = off\nssl = on\n");
        assert_eq!(
            set("#ssl_ca_file = ''\n", "ssl", "on"),
            "#ssl_ca_file = ''\nssl = on\n"
        );
        assert_eq!(set("", "x.y", "1min"), "x.y = 1min\n");
    }

    #[test]
    fn lines_that_cannot_be_read_are_told() {
        let document = Document::parse(b"ssl =\n= on\nport = 1 2\nwork_mem 4MB\n'x' y\nbad.".to_vec());
        let faults: Vec<_> = document
            .faults()
            .iter()
            .map(|f| (f.number, f.near.as_deref()))
            .collect();
        assert_eq!(
            faults,
            [
                (1, None),
                (2, Some("=")),
                (3, Some("2")),
                (5, Some("'x'")),
                (6, Some("bad."))
            ]
        );
        assert_eq!(document.entries().len(), 1);
    }

    const PIECES: [&[u8]; 14] = [
        b"ssl",
        b"=",
        b" ",
        b"\n",
        b"\r\n",
        b"'",
        b"#",
        b"on",
        b"\\",
        b"\0",
        b"\xff",
        b".",
        b"4MB",
        b"#ssl = off",
    ];

    proptest! {
        #[test]
        fn any_bytes_come_back_and_every_setting_can_be_undone(
            pieces in proptest::collection::vec(prop::sample::select(&PIECES[..]), 0..40),
            value in "[a-z' \\\\]{0,6}",
        ) {
            let bytes = pieces.concat();
            let document = Document::parse(bytes.clone());
            prop_assert_eq!(document.bytes(), &bytes);
            let Some(edit) = document.set("ssl", &value) else { return Ok(()) };
            let edits = Edits::new(vec![edit]).unwrap();
            let changed = edits.apply(&bytes).unwrap();
            let after = Document::parse(changed.clone());
            prop_assert_eq!(&after.last("ssl").unwrap().text, value.as_bytes());
            prop_assert_eq!(after.faults().len(), document.faults().len());
            prop_assert_eq!(edits.inverse(&bytes).unwrap().apply(&changed).unwrap(), bytes);
        }
    }
}
