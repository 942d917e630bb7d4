//! The tokens of one line of `postgresql.conf`, as `guc-file.l` takes them: the longest that fits.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `name`.
    Id,
    /// `extension.name`.
    QualifiedId,
    /// In single quotes.
    String,
    /// A bare word that is no name, such as a path.
    Unquoted,
    /// A number, with or without a unit or a fraction.
    Number,
    /// `=`.
    Equals,
    /// A character that begins nothing.
    Wrong,
}

impl Kind {
    pub const fn is_name(self) -> bool {
        matches!(self, Self::Id | Self::QualifiedId)
    }

    pub const fn is_value(self) -> bool {
        matches!(self, Self::Id | Self::String | Self::Unquoted | Self::Number)
    }
}

/// The next token of a line (which holds no end of line), from `at` on; `None` at its end or at a comment.
pub(super) fn next(line: &[u8], at: usize) -> Option<(Kind, Range<usize>)> {
    let blanks = line[at..]
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
        .count();
    let start = at + blanks;
    let rest = &line[start..];
    let (kind, length) = match rest.first()? {
        b'#' => return None,
        b'=' => (Kind::Equals, 1),
        b'\'' => string(rest),
        byte if is_letter(*byte) => word(rest),
        _ => number(rest),
    };
    Some((kind, start..start + length))
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn is_letter_or_digit(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit()
}

fn word(rest: &[u8]) -> (Kind, usize) {
    let length = rest
        .iter()
        .take_while(|byte| is_letter_or_digit(**byte) || b"-._:/".contains(byte))
        .count();
    let mut parts = rest[..length].split(|byte| *byte == b'.');
    let is_id = |part: &[u8]| {
        part.first().is_some_and(|byte| is_letter(*byte)) && part.iter().all(|byte| is_letter_or_digit(*byte))
    };
    let kind = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) if is_id(name) => Kind::Id,
        (Some(class), Some(name), None) if is_id(class) && is_id(name) => Kind::QualifiedId,
        _ => Kind::Unquoted,
    };
    (kind, length)
}

fn string(rest: &[u8]) -> (Kind, usize) {
    let mut end = None;
    let mut at = 1;
    loop {
        match rest.get(at) {
            Some(b'\\') if at + 1 < rest.len() => at += 2,
            None | Some(b'\\') => break,
            Some(b'\'') => {
                // The last quote that can end it does: a doubled one that leads nowhere is an end and a stray quote.
                end = Some(at + 1);
                if rest.get(at + 1) != Some(&b'\'') {
                    break;
                }
                at += 2;
            }
            Some(_) => at += 1,
        }
    }
    end.map_or((Kind::Wrong, 1), |end| (Kind::String, end))
}

fn number(rest: &[u8]) -> (Kind, usize) {
    let count =
        |from: usize, is: fn(&u8) -> bool| rest[from.min(rest.len())..].iter().take_while(|b| is(b)).count();
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    let digits = count(sign, u8::is_ascii_digit);
    let mut longest = 0;
    if digits > 0 {
        let hex = if rest[sign..].starts_with(b"0x") {
            count(sign + 2, u8::is_ascii_hexdigit)
        } else {
            0
        };
        let body = if hex > 0 { 2 + hex } else { digits };
        longest = sign + body;
        longest += count(longest, u8::is_ascii_alphabetic);
    }
    if rest.get(sign + digits) == Some(&b'.') {
        let mut real = sign + digits + 1;
        real += count(real, u8::is_ascii_digit);
        if matches!(rest.get(real), Some(b'e' | b'E')) {
            let signed = real + 1 + usize::from(matches!(rest.get(real + 1), Some(b'+' | b'-')));
            let exponent = count(signed, u8::is_ascii_digit);
            if exponent > 0 {
                real = signed + exponent;
            }
        }
        longest = longest.max(real);
    }
    if longest == 0 {
        (Kind::Wrong, 1)
    } else {
        (Kind::Number, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(line: &str) -> Vec<(Kind, &str)> {
        let mut at = 0;
        let mut tokens = Vec::new();
        while let Some((kind, span)) = next(line.as_bytes(), at) {
            at = span.end;
            tokens.push((kind, &line[span]));
        }
        tokens
    }

    #[test]
    fn the_longest_token_is_taken() {
        use Kind::*;
        assert_eq!(
            tokens("port = 5432 # x"),
            [(Id, "port"), (Equals, "="), (Number, "5432")]
        );
        assert_eq!(
            tokens("a.b=x.y"),
            [(QualifiedId, "a.b"), (Equals, "="), (QualifiedId, "x.y")]
        );
        assert_eq!(tokens("a.b.c"), [(Unquoted, "a.b.c")]);
        assert_eq!(tokens("x /tmp"), [(Id, "x"), (Wrong, "/"), (Id, "tmp")]);
        assert_eq!(tokens("x a/b-c:d"), [(Id, "x"), (Unquoted, "a/b-c:d")]);
        assert_eq!(
            tokens("4MB 0x1F 1.5e3 -.5 1e5"),
            [
                (Number, "4MB"),
                (Number, "0x1F"),
                (Number, "1.5e3"),
                (Number, "-.5"),
                (Number, "1e"),
                (Number, "5"),
            ]
        );
        assert_eq!(tokens("1.5GB"), [(Number, "1.5"), (Id, "GB")]);
        assert_eq!(
            tokens(r"'a''b' 'c\'d' 'e'#'f'"),
            [(String, "'a''b'"), (String, r"'c\'d'"), (String, "'e'")]
        );
        assert_eq!(tokens("'a'''"), [(String, "'a'''")]);
        assert_eq!(tokens("'a''"), [(String, "'a'"), (Wrong, "'")]);
        assert_eq!(tokens("'a"), [(Wrong, "'"), (Id, "a")]);
    }
}
