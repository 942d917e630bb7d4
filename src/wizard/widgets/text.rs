//! Text measured in columns, and made safe to show.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::pki::printable;

/// Columns that a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text cut to so many columns; what is cut ends in `…`.
#[must_use]
pub fn clip(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text filled up with spaces to so many columns, or cut to them.
#[must_use]
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = clip(text, columns);
    let missing = columns.saturating_sub(out.width());
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// The text in lines of at most so many columns, broken between words where it can be.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        if !line.is_empty() && line.width() + 1 + word.width() > columns {
            lines.push(std::mem::take(&mut line));
        }
        while rest.width() > columns {
            let (head, tail) = split(rest, columns);
            lines.push(head.to_owned());
            rest = tail;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(rest);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Parts a text after so many columns, but never before its first character.
fn split(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// What others wrote, made visible: nothing in it acts on the terminal.
#[must_use]
pub fn visible(text: &str) -> String {
    printable(text)
}

/// A duration as people read it: `12 ms`, `1.4 s`.
#[must_use]
pub fn brief(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1e3;
    if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1e3)
    }
}

/// Minutes and seconds: `2:07`.
#[must_use]
pub fn brief_clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_within() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("数据库", 1), ["数", "据", "库"]);
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        assert_eq!(clip("数据库", 5), "数据…");
        assert_eq!(clip("数据库", 4), "数…");
        assert_eq!(pad("数", 4), "数  ");
        assert_eq!(clip("abc", 0), "");
    }
}
