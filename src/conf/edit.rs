//! Changes to the bytes of a file, each with its way back.

use std::ops::Range;

/// Bytes to be put in the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub at: Range<usize>,
    /// What takes its place.
    pub with: Vec<u8>,
}

/// Edits of one file that do not touch each other, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edits(Vec<Edit>);

impl Edits {
    /// Puts edits in order; `None` if two of them overlap. Insertions at one place keep their order.
    #[must_use]
    pub fn new(mut edits: Vec<Edit>) -> Option<Self> {
        edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
        edits
            .windows(2)
            .all(|pair| pair[0].at.end <= pair[1].at.start)
            .then_some(Self(edits))
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes after the edits; `None` if they were made for another file, which ends sooner.
    #[must_use]
    pub fn apply(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut changed = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for edit in &self.0 {
            changed.extend_from_slice(bytes.get(at..edit.at.start)?);
            changed.extend_from_slice(&edit.with);
            at = edit.at.end;
        }
        changed.extend_from_slice(bytes.get(at..)?);
        Some(changed)
    }

    /// The edits that lead from what [`Edits::apply`] gives back to these bytes.
    #[must_use]
    pub fn inverse(&self, bytes: &[u8]) -> Option<Self> {
        let mut inverse = Vec::with_capacity(self.0.len());
        let (mut removed, mut added) = (0, 0);
        for edit in &self.0 {
            let start = edit.at.start - removed + added;
            inverse.push(Edit {
                at: start..start + edit.with.len(),
                with: bytes.get(edit.at.clone())?.to_vec(),
            });
            removed += edit.at.len();
            added += edit.with.len();
        }
        Some(Self(inverse))
    }
}

/// The end of line that a file uses: that of its first line.
pub(super) fn line_end(bytes: &[u8]) -> &'static [u8] {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) if at > 0 && bytes[at - 1] == b'\r' => b"\r\n",
        _ => b"\n",
    }
}

/// Puts `with` in the place of `at` and keeps what follows in its column: where blanks separate the two, they give way,
/// all but one, or grow.
pub(super) fn aligned(bytes: &[u8], at: Range<usize>, with: &[u8]) -> Edit {
    let rest = &bytes[at.end..];
    let gap = rest.iter().take_while(|byte| **byte == b' ').count();
    // One blank, a tab or the end of the line hold no column.
    let holds_column = gap > 1
        && rest
            .get(gap)
            .is_some_and(|next| !matches!(next, b'\r' | b'\n' | b'\t'));
    let mut text = with.to_vec();
    let mut end = at.end;
    if holds_column {
        let column = at.len() + gap;
        let blanks = column.saturating_sub(width(with)).max(1);
        text.resize(with.len() + blanks, b' ');
        end += gap;
    }
    Edit {
        at: at.start..end,
        with: text,
    }
}

/// Columns that a text takes: characters where it is UTF-8, else bytes.
fn width(text: &[u8]) -> usize {
    std::str::from_utf8(text).map_or(text.len(), |text| text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_keeps_its_column() {
        let edit = |line: &str, at: Range<usize>, with: &str| {
            let edits = Edits::new(vec![aligned(line.as_bytes(), at, with.as_bytes())]).unwrap();
            String::from_utf8(edits.apply(line.as_bytes()).unwrap()).unwrap()
        };
        assert_eq!(edit("host    all", 0..4, "hostssl"), "hostssl all");
        assert_eq!(edit("host     all", 0..4, "hostssl"), "hostssl  all");
        assert_eq!(edit("host  all", 0..4, "hostssl"), "hostssl all");
        assert_eq!(edit("host all", 0..4, "hostssl"), "hostssl all");
        assert_eq!(edit("host\tall", 0..4, "hostssl"), "hostssl\tall");
        assert_eq!(edit("hostssl  all", 0..7, "host"), "host     all");
        assert_eq!(edit("hostssl   \r\n", 0..7, "host"), "host   \r\n");
    }

    #[test]
    fn edits_that_touch_each_other_are_none() {
        let edit = |at: Range<usize>| Edit {
            at,
            with: b"x".to_vec(),
        };
        assert!(Edits::new(vec![edit(0..3), edit(2..4)]).is_none());
        assert!(Edits::new(vec![edit(3..3), edit(0..3), edit(3..3)]).is_some());
        assert!(Edits::new(vec![edit(5..6)]).unwrap().apply(b"abc").is_none());
    }
}
