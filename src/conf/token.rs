//! Lines, fields and tokens of `pg_hba.conf` and `pg_ident.conf`, exactly as `hba.c` cuts them
//! (<https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>).
//!
//! Nothing is refused here that the server takes: an open quote ends with its line, `a ,b` is two fields, and
//! `a, b` is one.

use std::borrow::Cow;
use std::ops::Range;

use super::Dialect;

/// One token: a word of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Its text, without quotes.
    pub text: Box<[u8]>,
    /// Whether it began with a quote, so that keywords, `@` and `+` have no meaning in it.
    pub quoted: bool,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        &*self.text == text.as_bytes()
    }

    /// Whether it is that keyword, which a quoted token never is.
    pub fn is_keyword(&self, keyword: &str) -> bool {
        !self.quoted && self.is(keyword)
    }
}

/// A field as it was cut: its tokens, and the bytes of the line it takes up (offsets in the logical line).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub tokens: Vec<Token>,
    pub span: Range<usize>,
}

/// A line as the server reads it: physical lines, joined where a backslash says so.
#[derive(Debug, Clone)]
pub(super) struct Logical<'a> {
    /// The number of its first physical line, from 1.
    pub number: usize,
    /// Its bytes in the file, ends of lines included.
    pub bytes: Range<usize>,
    /// What is cut into fields.
    pub text: Cow<'a, [u8]>,
    /// Where the pieces of `text` behind the first come from: offset in `text`, offset in the file.
    pieces: Vec<(usize, usize)>,
    /// Why it cannot be read at all.
    pub fault: Option<&'static str>,
}

impl Logical<'_> {
    /// Where a part of `text` stands in the file.
    pub fn in_file(&self, span: &Range<usize>) -> Range<usize> {
        let place = |offset: usize, end: bool| {
            let piece = self
                .pieces
                .iter()
                .rev()
                // The end of a part belongs to the piece its last byte is in.
                .find(|(start, _)| if end { *start < offset } else { *start <= offset });
            let (start, at) = piece.copied().unwrap_or((0, self.bytes.start));
            at + offset.saturating_sub(start)
        };
        place(span.start, false)..place(span.end, span.end > span.start)
    }
}

/// The text of the fault of a line with a zero byte, where C's string functions lose their way.
pub(super) const ZERO_BYTE: &str = "the line holds a zero byte";
pub(super) const TOKEN_TOO_LONG: &str = "authentication file token too long";

/// Cuts a file into logical lines.
pub(super) fn logical_lines(bytes: &[u8], dialect: Dialect) -> impl Iterator<Item = Logical<'_>> {
    let mut at = 0;
    let mut number = 1;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let line = logical_line(bytes, at, number, dialect);
        number += line.pieces.len() + 1;
        at = line.bytes.end;
        Some(line)
    })
}

fn logical_line(bytes: &[u8], start: usize, number: usize, dialect: Dialect) -> Logical<'_> {
    let mut end = physical_end(bytes, start);
    let mut line = Logical {
        number,
        bytes: start..end,
        text: Cow::Borrowed(strip(&bytes[start..end])),
        pieces: Vec::new(),
        fault: None,
    };
    if dialect.continues_lines() {
        // A backslash counts only behind the place where the last one stood (`next line` after two backslashes).
        let mut joined = 0;
        while line.text.len() > joined && line.text.ends_with(b"\\") {
            let text = line.text.to_mut();
            text.pop();
            joined = text.len();
            if end >= bytes.len() {
                break;
            }
            let next = end;
            end = physical_end(bytes, next);
            line.pieces.push((joined, next));
            text.extend_from_slice(&bytes[next..end]);
            let kept = strip(text).len();
            text.truncate(kept);
        }
        line.bytes.end = end;
    }
    if line.text.contains(&0) {
        line.fault = Some(ZERO_BYTE);
    }
    line
}

/// Behind the end of the physical line that starts there.
fn physical_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    start
        + rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |at| at + 1)
}

fn strip(mut text: &[u8]) -> &[u8] {
    while let [head @ .., b'\n' | b'\r'] = text {
        text = head;
    }
    text
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Cuts the next field out of a line, from `at` on; `None` at its end or at a comment.
pub(super) fn next_field(
    text: &[u8],
    at: &mut usize,
    dialect: Dialect,
) -> Result<Option<Field>, &'static str> {
    let mut tokens = Vec::with_capacity(1);
    let span = cut_field(text, at, dialect, |cut| {
        tokens.push(Token {
            text: cut.text.into(),
            quoted: cut.quoted,
        });
    })?;
    Ok(span.map(|span| Field { tokens, span }))
}

/// The same, where only its place is asked for.
pub(super) fn next_span(
    text: &[u8],
    at: &mut usize,
    dialect: Dialect,
) -> Result<Option<Range<usize>>, &'static str> {
    cut_field(text, at, dialect, |_| {})
}

fn cut_field<'a>(
    text: &'a [u8],
    at: &mut usize,
    dialect: Dialect,
    mut take: impl FnMut(Cut<'a>),
) -> Result<Option<Range<usize>>, &'static str> {
    let mut field: Option<Range<usize>> = None;
    while let Some(cut) = next_token(text, at, dialect)? {
        field.get_or_insert_with(|| cut.span.clone()).end = cut.span.end;
        let is_last = !cut.comma;
        take(cut);
        if is_last {
            break;
        }
    }
    Ok(field)
}

struct Cut<'a> {
    text: Cow<'a, [u8]>,
    quoted: bool,
    span: Range<usize>,
    /// Whether a comma ended it.
    comma: bool,
}

fn next_token<'a>(text: &'a [u8], at: &mut usize, dialect: Dialect) -> Result<Option<Cut<'a>>, &'static str> {
    let most = dialect.longest_token().unwrap_or(usize::MAX);
    let rest = text.get(*at..).unwrap_or_default();
    let gap = rest
        .iter()
        .position(|byte| !is_blank(*byte) && *byte != b',')
        .unwrap_or(rest.len());
    let start = *at + gap;
    *at = start;
    let rest = &rest[gap..];
    // Most are plain words, which are what stands in the line: files of a hundred thousand lines are read here.
    let length = rest
        .iter()
        .position(|byte| is_blank(*byte) || matches!(byte, b',' | b'#' | b'"'))
        .unwrap_or(rest.len());
    let next = rest.get(length);
    if next == Some(&b'"') {
        return quoted_token(text, at, most);
    }
    let comma = next == Some(&b',');
    if length > most || (length == most && comma) {
        *at = text.len();
        return Err(TOKEN_TOO_LONG);
    }
    let end = start + length;
    *at = if next == Some(&b'#') { text.len() } else { end };
    Ok((length > 0).then(|| Cut {
        text: Cow::Borrowed(&rest[..length]),
        quoted: false,
        span: start..end,
        comma,
    }))
}

/// A token that has quotes in it.
fn quoted_token<'a>(text: &[u8], at: &mut usize, most: usize) -> Result<Option<Cut<'a>>, &'static str> {
    let start = *at;
    let mut token = Vec::new();
    let (mut in_quote, mut was_quote) = (false, false);
    let mut quoted = false;
    let mut comma = false;
    let mut end = start;
    while let Some(&byte) = text.get(*at) {
        if is_blank(byte) && !in_quote {
            break;
        }
        if byte == b'#' && !in_quote {
            *at = text.len();
            break;
        }
        if token.len() >= most {
            *at = text.len();
            return Err(TOKEN_TOO_LONG);
        }
        if byte == b',' && !in_quote {
            comma = true;
            break;
        }
        if byte != b'"' || was_quote {
            token.push(byte);
        }
        was_quote = in_quote && byte == b'"' && !was_quote;
        if byte == b'"' {
            in_quote = !in_quote;
            quoted |= token.is_empty();
        }
        *at += 1;
        end = *at;
    }
    Ok(Some(Cut {
        text: Cow::Owned(token),
        quoted,
        span: start..end,
        comma,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<Vec<(String, bool)>> {
        let mut at = 0;
        let mut fields = Vec::new();
        while at < line.len() {
            if let Some(field) = next_field(line.as_bytes(), &mut at, Dialect::of(18)).unwrap() {
                fields.push(
                    field
                        .tokens
                        .iter()
                        .map(|token| (String::from_utf8_lossy(&token.text).into_owned(), token.quoted))
                        .collect(),
                );
            }
        }
        fields
    }

    fn bare(words: &[&str]) -> Vec<(String, bool)> {
        words.iter().map(|word| ((*word).to_owned(), false)).collect()
    }

    #[test]
    fn fields_are_cut_at_blanks_and_lists_at_commas() {
        assert_eq!(cut("a b\tc"), [bare(&["a"]), bare(&["b"]), bare(&["c"])]);
        assert_eq!(cut("a, b ,c"), [bare(&["a", "b"]), bare(&["c"])]);
        assert_eq!(cut(",,a,,b,"), [bare(&["a", "b"])]);
        assert_eq!(cut("a#b, c"), [bare(&["a"])]);
        assert_eq!(cut("a,#b"), [bare(&["a"])]);
        assert_eq!(cut("  # all"), Vec::<Vec<_>>::new());
    }

    #[test]
    fn quotes_join_and_take_meaning_away() {
        let quoted = |text: &str| vec![vec![(text.to_owned(), true)]];
        assert_eq!(cut(r#""a b, #c""#), quoted("a b, #c"));
        assert_eq!(cut(r#""a""b""#), quoted("a\"b"));
        assert_eq!(cut(r#""""#), quoted(""));
        assert_eq!(cut(r#""open # to the end"#), quoted("open # to the end"));
        assert_eq!(cut(r#"a"b c"d"#), [bare(&["ab cd"])]);
        assert_eq!(cut(r#"a""b"#), [bare(&["ab"])]);
        assert_eq!(cut(r#"a""""b"#), [bare(&["a\"b"])]);
    }

    #[test]
    fn lines_are_joined_from_14_on() {
        let lines = |text: &str, major| -> Vec<(usize, String)> {
            logical_lines(text.as_bytes(), Dialect::of(major))
                .map(|line| (line.number, String::from_utf8_lossy(&line.text).into_owned()))
                .collect()
        };
        let text = "a \\\r\nb\\\\\n\nc\n\\\n\\";
        let at = |number, text: &str| (number, text.to_owned());
        assert_eq!(lines(text, 14), [at(1, "a b\\"), at(4, "c"), at(5, "")]);
        assert_eq!(
            lines(text, 13),
            [
                at(1, "a \\"),
                at(2, "b\\\\"),
                at(3, ""),
                at(4, "c"),
                at(5, "\\"),
                at(6, "\\")
            ]
        );
    }

    #[test]
    fn parts_of_joined_lines_are_found_in_the_file() {
        let text = b"x\nhost \\\n all\\\nmost y\n";
        let line = logical_lines(text, Dialect::of(18)).nth(1).unwrap();
        assert_eq!(&*line.text, b"host  allmost y");
        assert_eq!(line.bytes, 2..text.len());
        assert_eq!(&text[line.in_file(&(0..4))], b"host");
        assert_eq!(&text[line.in_file(&(6..13))], b"all\\\nmost");
        assert_eq!(&text[line.in_file(&(6..9))], b"all");
        assert_eq!(&text[line.in_file(&(14..15))], b"y");
    }
}
