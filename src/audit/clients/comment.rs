//! What of a line is in force: comments are not. The signs of many languages are known, none of them is parsed; where that
//! leaves a doubt the text counts as code.

/// What begins a comment at the beginning of a line.
const WHOLE: [&str; 6] = ["//", "#", ";", "-- ", "* ", "<!--"];

/// Goes through a text line by line.
#[derive(Debug, Default)]
pub(super) struct Comments {
    /// In a comment that began on an earlier line.
    is_inside: bool,
}

impl Comments {
    /// The line without what is a comment in it.
    pub fn without(&mut self, line: &str) -> String {
        let trimmed = line.trim_start();
        let inside = if self.is_inside {
            trimmed
        } else if let Some(inside) = trimmed.strip_prefix("/*") {
            inside
        } else if WHOLE.iter().any(|sign| trimmed.starts_with(sign)) {
            return String::new();
        } else {
            return code(line);
        };
        let code = inside.split_once("*/").map(|(_, code)| code);
        self.is_inside = code.is_none();
        code.map_or_else(String::new, |code| self.without(code))
    }
}

/// Without comments behind code, and between: outside of quotes, and where a blank stands before them (`://` is none).
fn code(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut quote = None;
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let is_free = quote.is_none() && kept.ends_with(char::is_whitespace);
        if is_free && (letter == '#' || rest.starts_with("//")) {
            break;
        }
        if is_free && let Some((_, behind)) = rest.strip_prefix("/*").and_then(|rest| rest.split_once("*/")) {
            rest = behind;
            continue;
        }
        match quote {
            None if matches!(letter, '"' | '\'' | '`') => quote = Some(letter),
            Some(open) if open == letter => quote = None,
            _ => {}
        }
        kept.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    kept
}
