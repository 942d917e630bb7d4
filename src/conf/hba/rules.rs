//! The rules of a `pg_hba.conf`, in the order in which the server asks them, its includes followed.

use std::path::Path;

use super::{Problem, Record};
use crate::conf::expand::{TokenLine, tokenize};
use crate::conf::{Dialect, Files, Place, Unreadable};

/// A record and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its file, and the number of its first line.
    pub place: Place,
    /// What it says.
    pub record: Record,
}

/// A line that PostgreSQL refuses: with one of them the server does not start, and a reload changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its file, and the number of its first line.
    pub place: Place,
    /// Its fields as they were cut, fit to be shown.
    pub text: String,
    /// Why.
    pub problem: Problem,
}

/// All rules of a `pg_hba.conf` and the files it includes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    broken: Vec<Broken>,
}

impl Rules {
    /// Reads the file and what it includes, as a server of that version does.
    pub fn load(path: &Path, files: &dyn Files, dialect: Dialect) -> Result<Self, Unreadable> {
        let mut rules = Self::default();
        tokenize(path, files, dialect, |line| rules.add(line, dialect))?;
        Ok(rules)
    }

    /// Reads a text that includes nothing.
    #[must_use]
    pub fn parse(text: &[u8], dialect: Dialect) -> Self {
        let path = Path::new("/pg_hba.conf");
        let files = std::collections::BTreeMap::from([(path.to_path_buf(), text.to_vec())]);
        // The one file is there.
        Self::load(path, &files, dialect).unwrap_or_default()
    }

    fn add(&mut self, line: TokenLine, dialect: Dialect) {
        let read = match line.fault {
            Some(fault) => Err(Problem::new(fault)),
            None => Record::read(&line.fields, dialect),
        };
        match read {
            Ok(record) => self.rules.push(Rule {
                place: line.place,
                record,
            }),
            Err(problem) => self.broken.push(Broken {
                text: excerpt(&line.fields),
                place: line.place,
                problem,
            }),
        }
    }

    /// The rules that the server would ask, in order, if no line were broken.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The lines that it refuses.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Whether a server would take the file: no line is broken, and there is a rule at all.
    #[must_use]
    pub fn is_loadable(&self) -> bool {
        self.broken.is_empty() && !self.rules.is_empty()
    }
}

/// The beginning of a line, its fields a blank apart.
pub(in crate::conf) fn excerpt(fields: &[Vec<crate::conf::token::Token>]) -> String {
    const MOST: usize = 160;
    let mut text = String::new();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        for (index, token) in field.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&super::shown(&token.text));
            if text.len() > MOST {
                return text.chars().take(MOST).chain(['…']).collect();
            }
        }
    }
    text
}
