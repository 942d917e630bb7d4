//! Bytes and paths that others wrote, made safe to look at: escaped and bounded.

use std::fmt::Write as _;
use std::path::Path;

/// Longest line of a diff, in characters.
const LINE: usize = 400;

/// A path for an error message: control and bidirectional characters escaped.
pub(super) fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy(), usize::MAX)
}

/// One line of a file: bytes that are not UTF-8 as `\xNN`, what could deceive a terminal or its reader as
/// `\u{…}`, and no longer than a line of reasonable text.
#[must_use]
pub fn line(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    escaped(&text, LINE)
}

fn escaped(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == limit {
            out.push('…');
            break;
        }
        if c != '\t' && is_deceptive(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, and the invisible and bidirectional ones of Unicode TR 36 and TR 39.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_escaped_and_bounded() {
        assert_eq!(line(b"caf\xc3\xa9\tok"), "café\tok");
        assert_eq!(line(b"\x1b[2Jx\xff"), "\\u{1b}[2Jx\\xff");
        assert_eq!(line("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(line(&[b'a'; 10_000]).chars().count(), LINE + 1);
    }
}
