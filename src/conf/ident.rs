//! `pg_ident.conf`: which outside name may be which role
//! (<https://www.postgresql.org/docs/current/auth-username-maps.html>).

use std::collections::BTreeMap;
use std::path::Path;

use super::expand::tokenize;
use super::hba::{Broken, Name, Problem, Role, excerpt, lossy, role};
use super::pattern::Pattern;
use super::token::Token;
use super::{Dialect, Files, Place, Unreadable};

/// The outside name of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemName {
    /// That name.
    Named(Name),
    /// Names that match an expression, in every version.
    Pattern(Pattern),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Where it stands.
    pub place: Place,
    /// The map it belongs to.
    pub map: Name,
    /// The name that a certificate, a system or a directory gives.
    pub system: SystemName,
    /// The roles it may be. Before 16 this is always a name, which may hold `\1`.
    pub role: Role,
}

/// All mappings of a `pg_ident.conf` and the files it includes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maps {
    mappings: Vec<Mapping>,
    broken: Vec<Broken>,
}

impl Maps {
    /// Reads the file and what it includes, as a server of that version does.
    pub fn load(path: &Path, files: &dyn Files, dialect: Dialect) -> Result<Self, Unreadable> {
        let mut maps = Self::default();
        tokenize(path, files, dialect, |line| {
            let read = match line.fault {
                Some(fault) => Err(Problem::new(fault)),
                None => read(&line.fields, &line.place, dialect),
            };
            match read {
                Ok(mapping) => maps.mappings.push(mapping),
                Err(problem) => maps.broken.push(Broken {
                    text: excerpt(&line.fields),
                    place: line.place,
                    problem,
                }),
            }
        })?;
        Ok(maps)
    }

    /// Reads a text that includes nothing.
    #[must_use]
    pub fn parse(text: &[u8], dialect: Dialect) -> Self {
        let path = Path::new("/pg_ident.conf");
        let files = BTreeMap::from([(path.to_path_buf(), text.to_vec())]);
        // The one file is there.
        Self::load(path, &files, dialect).unwrap_or_default()
    }

    /// The mappings, in order.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The lines that PostgreSQL refuses: with one of them, none of the new maps is taken.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }
}

fn read(fields: &[Vec<Token>], place: &Place, dialect: Dialect) -> Result<Mapping, Problem> {
    let mut fields = fields.iter();
    let mut next = || match fields.next().map(Vec::as_slice) {
        Some([token]) => Ok(token),
        Some(_) => Err(Problem::new("multiple values in ident field")),
        None => Err(Problem::new("missing entry at end of line")),
    };
    let (map, system, name) = (next()?, next()?, next()?);
    // In the outside name a slash begins an expression in every version.
    let system = match system.text.strip_prefix(b"/") {
        None => SystemName::Named(system.text.clone()),
        Some(source) => SystemName::Pattern(Pattern::new(source).map_err(|why| {
            Problem::new(format!(
                "invalid regular expression \"{}\": {}",
                lossy(source),
                why.0
            ))
        })?),
    };
    let role = if dialect.has_includes_and_patterns() {
        role(name, dialect)?
    } else {
        Role::Named(name.text.clone())
    };
    Ok(Mapping {
        place: place.clone(),
        map: map.text.clone(),
        system,
        role,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_roles_are_known_from_16_on() {
        let role = |line: &str, major| {
            let maps = Maps::parse(line.as_bytes(), Dialect::of(major));
            assert!(maps.broken().is_empty());
            maps.mappings()[0].role.clone()
        };
        assert_eq!(role("m s all", 16), Role::All);
        assert_eq!(role("m s all", 15), Role::Named((*b"all").into()));
        assert_eq!(role("m s \"all\"", 16), Role::Named((*b"all").into()));
        assert_eq!(role("m s +g", 16), Role::MemberOf((*b"g").into()));
        assert_eq!(role("m s /x", 15), Role::Named((*b"/x").into()));
        assert!(matches!(role("m s \"/x\"", 16), Role::Pattern(_)));
    }

    #[test]
    fn broken_lines_say_why() {
        let maps = Maps::parse(b"m s\nm a,b r\nm /( r\nm s r more\n", Dialect::of(15));
        let told: Vec<_> = maps
            .broken()
            .iter()
            .map(|broken| broken.problem.to_string())
            .collect();
        assert_eq!(
            told,
            [
                "missing entry at end of line",
                "multiple values in ident field",
                "invalid regular expression \"(\": parentheses () not balanced",
            ]
        );
        assert_eq!(maps.mappings().len(), 1);
    }
}
