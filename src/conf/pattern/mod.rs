//! Regular expressions of `pg_hba.conf` and `pg_ident.conf`: PostgreSQL's advanced expressions
//! (<https://www.postgresql.org/docs/current/functions-matching.html#POSIX-SYNTAX-DETAILS>), as far as they are regular.
//!
//! Back references, look-around, collating elements and options inside the expression are not followed: such an
//! expression is [`Pattern::is_beyond`], and whether it matches is never guessed. Matching takes time in proportion to
//! the text, whatever the expression.

mod parse;
mod run;
mod shape;

use std::fmt;
use std::sync::Arc;

use parse::{Refused, parse};
use run::Program;

/// A regular expression that PostgreSQL takes.
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    program: Option<Arc<Program>>,
}

/// Why PostgreSQL refuses a regular expression, in its words (`parentheses () not balanced`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid(pub &'static str);

impl Pattern {
    /// Reads what stands behind the `/`.
    pub(super) fn new(source: &[u8]) -> Result<Self, Invalid> {
        let text = String::from_utf8_lossy(source);
        let program = if std::str::from_utf8(source).is_ok() {
            match parse(&text) {
                Ok(node) => Program::new(&node).map(Arc::new),
                Err(Refused::Invalid(why)) => return Err(Invalid(why)),
                Err(Refused::Beyond) => None,
            }
        } else {
            None
        };
        Ok(Self {
            source: text.into(),
            program,
        })
    }

    /// The expression, without the `/`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is beyond what is followed here.
    #[must_use]
    pub const fn is_beyond(&self) -> bool {
        self.program.is_none()
    }

    /// Whether it matches somewhere in the text; `None` where that cannot be told.
    #[must_use]
    pub fn matches(&self, text: &str) -> Option<bool> {
        self.program.as_ref().map(|program| program.matches(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_anywhere_unless_tied() {
        for (source, matching, others) in [
            ("", &["", "x"][..], &[][..]),
            ("b", &["abc", "b"], &["ac", "B"]),
            ("^a.c$", &["abc", "a\nc"], &["xabc", "abcd", "ac"]),
            (
                "^(app|shop)[0-9]+$",
                &["app1", "shop42"],
                &["app", "appx", "xapp1"],
            ),
            (r"^db\d{2,3}$", &["db12", "db123"], &["db1", "db1234"]),
            (r"\Aa\w*\Z", &["a", "a_9"], &["ba", "a-"]),
            ("^[^a-c]*$", &["", "xyz"], &["xaz"]),
            ("^[[:upper:]]+$", &["AB"], &["Ab", "Ä"]),
            (r"^[\d_]+$", &["1_2"], &["a"]),
            (r"\mapp\M", &["my app", "app-1"], &["apple", "myapp"]),
            ("^a{0}$", &[""], &["a"]),
            ("^(a|b)*?c$", &["c", "abac"], &["ab"]),
            ("^[]-]$", &["]", "-"], &["a"]),
            (r"^a\.b$", &["a.b"], &["axb"]),
            ("^a{,}$", &["a{,}"], &["a"]),
            ("(?:ab)+$", &["ab", "xabab"], &["a"]),
        ] {
            let pattern = Pattern::new(source.as_bytes()).unwrap();
            for text in matching {
                assert_eq!(pattern.matches(text), Some(true), "{source} on {text}");
            }
            for text in others {
                assert_eq!(pattern.matches(text), Some(false), "{source} on {text}");
            }
        }
    }

    #[test]
    fn what_is_not_regular_is_not_guessed() {
        for source in [
            r"(a)\1", "a(?=b)", "(?<!a)b", "[[=a=]]", "[[.a.]]", "(?i)a", "***=a.b", "***:a",
        ] {
            let pattern = Pattern::new(source.as_bytes()).unwrap();
            assert!(pattern.is_beyond() && pattern.matches("ab").is_none(), "{source}");
        }
    }

    #[test]
    fn a_hostile_expression_costs_no_more_than_its_text() {
        let pattern = Pattern::new(b"^(((a*)*)*)*$").unwrap();
        assert_eq!(pattern.matches(&format!("{}b", "a".repeat(2000))), Some(false));
        assert!(
            Pattern::new(b"((((a{255}){255}){255}){255})")
                .unwrap()
                .is_beyond()
        );
    }
}
