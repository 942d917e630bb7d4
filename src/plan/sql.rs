//! Names and texts as SQL writes them.

/// A quoted identifier (<https://www.postgresql.org/docs/current/sql-syntax-lexical.html>).
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted literal; with `standard_conforming_strings`, which is on in every server we start, a backslash is one.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_their_quotes() {
        assert_eq!(identifier("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
        assert_eq!(literal("o'brien"), "'o''brien'");
    }
}
