//! Showing text that others wrote: names from certificates, host names from files.

use std::fmt::Write as _;

/// The text with everything made visible that could change what a terminal or a reader sees.
///
/// Control characters, bidirectional overrides, zero-width and separator characters come out as `\n`, `\t` or
/// `\u{202e}`; all else, non-ASCII letters included, stays. For people only: compare the original.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_deceptive(c) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Characters without a glyph of their own that act on their surroundings (Unicode `Cc`, `Cf`, `Zl`, `Zp`).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// `text`, printable and cut to what fits into a message.
pub(super) fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => printable(text),
        Some((end, _)) => printable(&text[..end]) + "…",
    }
}

/// Bytes as `ab:cd:ef`, the way fingerprints are compared by eye.
#[must_use]
pub(super) fn colon_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_characters_are_shown_as_escapes() {
        let cases = [
            ("plain Zoë 数", "plain Zoë 数"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("txt\u{202e}exe", "txt\\u{202e}exe"),
            ("zero\u{200b}width\u{2028}", "zero\\u{200b}width\\u{2028}"),
            ("\u{9b}0m\0", "\\u{9b}0m\\u{0}"),
        ];
        for (text, expected) in cases {
            assert_eq!(printable(text), expected);
        }
    }

    #[test]
    fn excerpts_are_short() {
        assert_eq!(excerpt(&"é".repeat(500)).chars().count(), 81);
        assert_eq!(excerpt("short"), "short");
    }
}
