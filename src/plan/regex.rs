//! Literal names where PostgreSQL reads a regular expression.
//!
//! A name that begins with `/` is a regular expression even in quotes: a system user name in `pg_ident.conf`
//! always, database and role names in `pg_hba.conf` and role names in `pg_ident.conf` from PostgreSQL 16
//! (<https://www.postgresql.org/docs/current/auth-username-maps.html>,
//! <https://www.postgresql.org/docs/16/release-16.html>). It is written as an anchored expression that matches
//! that name alone.

/// The expression, with its leading `/`, that matches `name` and nothing else
/// (<https://www.postgresql.org/docs/current/functions-matching.html#POSIX-ESCAPE-SEQUENCES>: a backslash before
/// a character that is no letter or digit makes it ordinary).
pub(super) fn exactly(name: &str) -> String {
    let mut expression = String::from("/^");
    for char in name.chars() {
        if char.is_ascii_punctuation() && char != '_' {
            expression.push('\\');
        }
        expression.push(char);
    }
    expression.push('$');
    expression
}

#[cfg(test)]
mod tests {
    use super::exactly;

    #[test]
    fn punctuation_is_made_ordinary() {
        assert_eq!(exactly("/srv/a.b_c (1)"), "/^\\/srv\\/a\\.b_c \\(1\\)$");
    }
}
