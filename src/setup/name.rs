//! The rules for names: roles and databases (PostgreSQL), common names (X.509).

/// `NAMEDATALEN - 1`: longer identifiers are cut by PostgreSQL without an error
/// (<https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>).
const LONGEST_IDENTIFIER: usize = 63;

/// `ub-common-name` (RFC 5280, appendix A.1), in characters.
const LONGEST_COMMON_NAME: usize = 64;

/// A reason and a remedy.
type Refusal = (String, String);

fn refuse<T>(reason: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refusal> {
    Err((reason.into(), remedy.into()))
}

fn identifier(name: &str, what: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return refuse(format!("the {what} name is empty"), format!("name a {what}"));
    }
    if name.chars().any(char::is_control) {
        return refuse(
            format!("a {what} name with a control character or a line feed cannot stand in pg_hba.conf"),
            "choose a name without it",
        );
    }
    if name.len() > LONGEST_IDENTIFIER {
        return refuse(
            format!(
                "the {what} name has {} bytes, and PostgreSQL cuts names after {LONGEST_IDENTIFIER}",
                name.len()
            ),
            format!("choose a name of at most {LONGEST_IDENTIFIER} bytes in UTF-8"),
        );
    }
    Ok(())
}

/// Whether a setup can name that role.
#[must_use]
pub fn is_role(name: &str) -> bool {
    role(name).is_ok()
}

/// Whether a setup can name that database.
#[must_use]
pub fn is_database(name: &str) -> bool {
    database(name).is_ok()
}

/// Whether a role of this name can be made, and named in `pg_hba.conf`
/// (<https://www.postgresql.org/docs/current/sql-createrole.html>).
pub(super) fn role(name: &str) -> Result<(), Refusal> {
    identifier(name, "role")?;
    if name.starts_with("pg_") {
        return refuse(
            "PostgreSQL keeps role names that begin with pg_ for itself",
            "choose another name",
        );
    }
    match name {
        "public" | "none" => refuse(
            format!("PostgreSQL reserves the role name {name}"),
            "choose another name",
        ),
        "all" => refuse(
            "in pg_hba.conf all means every role, and access is given by name here",
            "name the role, or add one [[access]] table for each role",
        ),
        _ => Ok(()),
    }
}

/// Whether a database of this name can be made, entered, and named in `pg_hba.conf`
/// (<https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>).
pub(super) fn database(name: &str) -> Result<(), Refusal> {
    identifier(name, "database")?;
    match name {
        "all" | "sameuser" | "samerole" | "samegroup" | "replication" => refuse(
            format!("{name} is a keyword of pg_hba.conf, and access is given by name here"),
            "name the databases in an [[access]] table",
        ),
        "template0" | "template1" => refuse(
            "this database is a template that new databases are copied from",
            "choose a database of your own",
        ),
        _ => Ok(()),
    }
}

/// Whether a certificate can carry this common name and PostgreSQL can compare it.
pub(super) fn common_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return refuse(
            "the common name is empty",
            "give the client a name, such as that of its role",
        );
    }
    if name.chars().any(char::is_control) {
        return refuse(
            "the common name holds a control character or a line feed",
            "choose a name without it",
        );
    }
    let length = name.chars().count();
    if length > LONGEST_COMMON_NAME {
        return refuse(
            format!("the common name has {length} characters, and X.509 allows {LONGEST_COMMON_NAME}"),
            format!("choose a name of at most {LONGEST_COMMON_NAME} characters"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_can_hold_is_let_through() {
        for name in [
            "app",
            "Größe",
            "with space",
            "o'brien",
            "say \"hi\"",
            "+plus",
            "@at",
            "a,b",
            "#1",
            "a\\b",
        ] {
            assert_eq!(role(name), Ok(()), "{name}");
            assert_eq!(database(name), Ok(()), "{name}");
        }
        assert_eq!(role(&"x".repeat(63)), Ok(()));
        assert_eq!(database("pg_shop"), Ok(()));
    }

    #[test]
    fn what_it_cannot_is_refused() {
        for name in [
            "",
            "a\nb",
            "a\0b",
            "pg_me",
            "public",
            "none",
            "all",
            &"x".repeat(64),
            &"ä".repeat(32),
        ] {
            assert!(role(name).is_err(), "{name:?}");
        }
        for name in ["", "a\rb", "all", "replication", "sameuser", "template0"] {
            assert!(database(name).is_err(), "{name:?}");
        }
        assert!(common_name(&"ä".repeat(64)).is_ok());
        assert!(common_name(&"a".repeat(65)).is_err());
        assert!(common_name("").is_err());
    }
}
