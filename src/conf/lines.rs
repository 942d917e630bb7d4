//! A `pg_hba.conf` or `pg_ident.conf` as it stands: every byte, and where its fields are.

use std::ops::Range;

use super::edit::{aligned, line_end};
use super::token::{logical_lines, next_field, next_span};
use super::{Dialect, Edit};

/// The file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    bytes: Vec<u8>,
    all: Vec<Line>,
    dialect: Dialect,
}

/// A line that has fields; several of the file's, where a backslash joins them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The number of its first line, from 1.
    pub number: usize,
    /// Its bytes, with the end of the line.
    pub bytes: Range<usize>,
    /// The bytes of its fields, quotes included.
    pub fields: Vec<Range<usize>>,
}

impl Lines {
    /// Reads a file; any bytes are one.
    #[must_use]
    pub fn parse(bytes: Vec<u8>, dialect: Dialect) -> Self {
        let mut lines = Vec::new();
        for logical in logical_lines(&bytes, dialect) {
            let mut fields = Vec::new();
            let mut at = 0;
            while at < logical.text.len() {
                match next_span(&logical.text, &mut at, dialect) {
                    Ok(Some(span)) => fields.push(logical.in_file(&span)),
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
            if !fields.is_empty() {
                lines.push(Line {
                    number: logical.number,
                    bytes: logical.bytes.clone(),
                    fields,
                });
            }
        }
        Self {
            bytes,
            all: lines,
            dialect,
        }
    }

    /// The file, byte by byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The lines that have fields.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.all
    }

    /// The line with fields that begins at that number.
    #[must_use]
    pub fn line(&self, number: usize) -> Option<&Line> {
        let at = self.all.binary_search_by_key(&number, |line| line.number).ok()?;
        self.all.get(at)
    }

    /// What a field says: its first word, without quotes and joined where a backslash parts it.
    #[must_use]
    pub fn word(&self, line: &Line, field: usize) -> Option<Box<[u8]>> {
        let bytes = self.bytes.get(line.fields.get(field)?.clone())?;
        let logical = logical_lines(bytes, self.dialect).next()?;
        let field = next_field(&logical.text, &mut 0, self.dialect).ok()??;
        field.tokens.into_iter().next().map(|token| token.text)
    }

    /// Writes another field in the place of one, and leaves what follows in its column.
    #[must_use]
    pub fn replace(&self, line: &Line, field: usize, with: &str) -> Option<Edit> {
        Some(aligned(
            &self.bytes,
            line.fields.get(field)?.clone(),
            with.as_bytes(),
        ))
    }

    /// Adds a field behind the last one; where that has a quote open, it is closed.
    #[must_use]
    pub fn push(&self, line: &Line, field: &str) -> Option<Edit> {
        let last = line.fields.last()?;
        let text = self.bytes.get(last.clone())?;
        let is_open = text.iter().fold(false, |open, byte| open ^ (*byte == b'"'));
        let between: &[u8] = if is_open { b"\" " } else { b" " };
        Some(Edit {
            at: last.end..last.end,
            with: [between, field.as_bytes()].concat(),
        })
    }

    /// Makes a line a comment.
    #[must_use]
    pub fn comment_out(&self, line: &Line) -> Edit {
        Edit {
            at: line.bytes.start..line.bytes.start,
            with: b"# ".to_vec(),
        }
    }

    /// Puts a line before another.
    #[must_use]
    pub fn insert_before(&self, line: &Line, text: &str) -> Edit {
        Edit {
            at: line.bytes.start..line.bytes.start,
            with: [text.as_bytes(), line_end(&self.bytes)].concat(),
        }
    }

    /// Puts a line at the end. A last line without its end gets one; one that a backslash leaves open gets two, so that
    /// nothing joins it.
    #[must_use]
    pub fn append(&self, text: &str) -> Edit {
        let end = line_end(&self.bytes);
        let mut with = Vec::new();
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"\n") {
            with.extend_from_slice(end);
        }
        if self.is_left_open() {
            with.extend_from_slice(end);
        }
        with.extend_from_slice(text.as_bytes());
        with.extend_from_slice(end);
        Edit {
            at: self.bytes.len()..self.bytes.len(),
            with,
        }
    }

    fn is_left_open(&self) -> bool {
        let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        text.strip_suffix(b"\r").unwrap_or(text).ends_with(b"\\")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conf::Edits;

    fn lines(text: &str) -> Lines {
        Lines::parse(text.as_bytes().to_vec(), Dialect::of(18))
    }

    fn after(lines: &Lines, edit: Edit) -> String {
        let edits = Edits::new(vec![edit]).unwrap();
        String::from_utf8(edits.apply(lines.bytes()).unwrap()).unwrap()
    }

    #[test]
    fn an_edit_touches_its_own_line_alone() {
        let file = lines("# TYPE DB\r\nhost    all  all  all  md5 # old\r\n\r\nlocal all all peer\r\n");
        let line = file.line(2).unwrap();
        assert_eq!(
            after(&file, file.replace(line, 0, "hostssl").unwrap()),
            "# TYPE DB\r\nhostssl all  all  all  md5 # old\r\n\r\nlocal all all peer\r\n"
        );
        assert_eq!(
            after(&file, file.push(line, "clientcert=verify-full").unwrap()),
            "# TYPE DB\r\nhost    all  all  all  md5 clientcert=verify-full # old\r\n\r\nlocal all all peer\r\n"
        );
        assert_eq!(
            after(&file, file.comment_out(line)),
            "# TYPE DB\r\n# host    all  all  all  md5 # old\r\n\r\nlocal all all peer\r\n"
        );
        assert_eq!(
            after(&file, file.insert_before(line, "hostnossl all all all reject")),
            "# TYPE DB\r\nhostnossl all all all reject\r\nhost    all  all  all  md5 # old\r\n\r\nlocal all all peer\r\n"
        );
    }

    #[test]
    fn a_last_line_is_ended_before_another_follows() {
        assert_eq!(after(&lines("a b"), lines("a b").append("c")), "a b\nc\n");
        assert_eq!(after(&lines("a\r\n"), lines("a\r\n").append("c")), "a\r\nc\r\n");
        assert_eq!(after(&lines("a \\"), lines("a \\").append("c")), "a \\\n\nc\n");
        assert_eq!(after(&lines(""), lines("").append("c")), "c\n");
    }

    #[test]
    fn joined_lines_are_edited_where_their_fields_are() {
        let file = lines("host all \\\n  all all \\\n  md5\n");
        let line = file.line(1).unwrap();
        assert_eq!(
            after(&file, file.replace(line, 4, "scram-sha-256").unwrap()),
            "host all \\\n  all all \\\n  scram-sha-256\n"
        );
    }

    #[test]
    fn a_field_is_read_through_its_quotes() {
        let file = lines("\"ho\"st all all all m\\\nd5 \"x=y z");
        let line = file.line(1).unwrap();
        let words: Vec<_> = (0..6)
            .map(|at| String::from_utf8(file.word(line, at).unwrap().into()).unwrap())
            .collect();
        assert_eq!(words, ["host", "all", "all", "all", "md5", "x=y z"]);
        assert_eq!(file.word(line, 6), None);
        let pushed = after(&file, file.push(line, "map=m").unwrap());
        assert!(pushed.ends_with("\"x=y z\" map=m"), "{pushed}");
    }

    fn file() -> impl Strategy<Value = Vec<u8>> {
        const PIECES: [&[u8]; 15] = [
            b"host", b"all", b" ", b"  ", b"\t", b"\n", b"\r\n", b"\\\n", b"\\\r\n", b"\"", b",", b"#",
            b"\0", b"\xff", b"x=y",
        ];
        let piece = prop::sample::select(&PIECES[..]);
        prop_oneof![
            proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat()),
            proptest::collection::vec(any::<u8>(), 0..200),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_and_every_edit_can_be_undone(
            bytes in file(), major in 13u16..=18, which in any::<prop::sample::Index>(), field in 0usize..4, how in 0u8..5,
        ) {
            let file = Lines::parse(bytes.clone(), Dialect::of(major));
            prop_assert_eq!(file.bytes(), &bytes);
            let edit = if file.lines().is_empty() {
                file.append("local all all peer")
            } else {
                let line = which.get(file.lines());
                for field in &line.fields {
                    prop_assert!(line.bytes.start <= field.start && field.start < field.end && field.end <= line.bytes.end);
                }
                match how {
                    0 => file.replace(line, field, "reject").unwrap_or_else(|| file.comment_out(line)),
                    1 => file.push(line, "map=x").unwrap(),
                    2 => file.comment_out(line),
                    3 => file.insert_before(line, "local all all peer"),
                    _ => file.append("local all all peer"),
                }
            };
            let edits = Edits::new(vec![edit.clone()]).unwrap();
            let changed = edits.apply(&bytes).unwrap();
            prop_assert_eq!(&changed[..edit.at.start], &bytes[..edit.at.start]);
            prop_assert!(changed.ends_with(&bytes[edit.at.end..]));
            prop_assert_eq!(edits.inverse(&bytes).unwrap().apply(&changed).unwrap(), bytes);
        }
    }
}
