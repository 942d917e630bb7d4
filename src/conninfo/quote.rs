//! How a person's own text is shown back to them: in quotes, bounded, with nothing that moves the cursor.

use std::fmt::{self, Write as _};

/// Longest text that is shown whole.
const LIMIT: usize = 120;

/// A text made safe for a terminal and for one line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Escapes control, bidirectional and other invisible characters; cuts what is too long.
    pub fn new(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len().min(LIMIT) + 2);
        for (count, character) in text.chars().enumerate() {
            if count == LIMIT {
                shown.push('…');
                break;
            }
            match character {
                '"' | '\'' | '\\' => shown.push(character),
                other => shown.extend(other.escape_debug()),
            }
        }
        Self(shown)
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        f.write_str(&self.0)?;
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_could_lie() {
        assert_eq!(Quoted::new("a\x1b[2Jb\n").to_string(), r#""a\u{1b}[2Jb\n""#);
        assert_eq!(Quoted::new("a\u{202e}b").to_string(), r#""a\u{202e}b""#);
        assert_eq!(Quoted::new("grün").to_string(), "\"grün\"");
        assert!(Quoted::new(&"x".repeat(1_000_000)).to_string().len() < 200);
    }
}
