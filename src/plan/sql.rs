//! Names and texts as SQL writes them.

use crate::clients::Style;

/// A quoted identifier (<https://www.postgresql.org/docs/current/sql-syntax-lexical.html>).
#[must_use]
pub fn identifier(name: &str) -> String {
    Style::Identifier.quote(name)
}

/// A quoted literal, whatever `standard_conforming_strings` says.
#[must_use]
pub fn literal(text: &str) -> String {
    Style::Sql.quote(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_their_quotes() {
        assert_eq!(identifier("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
        assert_eq!(literal("o'brien"), "'o''brien'");
        assert_eq!(literal("\\' OR 1"), "E'\\\\'' OR 1'");
    }
}
