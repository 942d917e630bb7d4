//! The lines of `pg_hba.conf` and `pg_ident.conf` with the files that they name put in: `@file` in a list, and
//! `include`, `include_if_exists`, `include_dir` (16 and later).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::files::{DEEPEST, MOST_FILES, beside, configuration_files};
use super::hba::shown;
use super::token::{Token, logical_lines, next_field};
use super::{Dialect, Files, Unreadable};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The number of the line, from 1; of the first, where several are joined.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}",
            crate::pki::printable(&self.file.to_string_lossy()),
            self.line
        )
    }
}

/// A line that is neither empty nor a comment nor an include.
#[derive(Debug, Clone)]
pub(super) struct TokenLine {
    pub place: Place,
    pub fields: Vec<Vec<Token>>,
    /// Why its fields cannot be known.
    pub fault: Option<String>,
}

/// Reads a file and all that it names, and gives the lines one by one: a hundred thousand of them are not held twice.
pub(super) fn tokenize(
    path: &Path,
    files: &dyn Files,
    dialect: Dialect,
    mut take: impl FnMut(TokenLine),
) -> Result<(), Unreadable> {
    let mut reader = Reader {
        files,
        dialect,
        opened: 0,
        bytes: 0,
    };
    let bytes = files.read(path)?;
    reader.lines(path, &bytes, 0, &mut take);
    Ok(())
}

/// More than all files of a real configuration hold together.
const MOST_BYTES: usize = 256 << 20;

struct Reader<'a> {
    files: &'a dyn Files,
    dialect: Dialect,
    opened: usize,
    bytes: usize,
}

enum Failure {
    Missing(String),
    Other(String),
}

impl Failure {
    fn text(self) -> String {
        match self {
            Self::Missing(text) | Self::Other(text) => text,
        }
    }
}

impl Reader<'_> {
    fn lines(&mut self, path: &Path, bytes: &[u8], depth: usize, take: &mut dyn FnMut(TokenLine)) {
        let file: Arc<Path> = path.into();
        for logical in logical_lines(bytes, self.dialect) {
            let mut line = TokenLine {
                place: Place {
                    file: Arc::clone(&file),
                    line: logical.number,
                },
                fields: Vec::new(),
                fault: logical.fault.map(str::to_owned),
            };
            let mut at = 0;
            while line.fault.is_none() && at < logical.text.len() {
                match next_field(&logical.text, &mut at, self.dialect) {
                    Ok(None) => {}
                    Ok(Some(field)) => {
                        let tokens = self.expand(&file, field.tokens, depth, &mut line.fault);
                        // A field whose file is empty is no field at all: what follows moves up.
                        if !tokens.is_empty() {
                            line.fields.push(tokens);
                        }
                    }
                    Err(fault) => line.fault = Some(fault.to_owned()),
                }
            }
            if line.fields.is_empty() && line.fault.is_none() {
                continue;
            }
            if line.fault.is_none()
                && self.dialect.has_includes_and_patterns()
                && self.include(&mut line, depth, take)
            {
                continue;
            }
            take(line);
        }
    }

    /// The tokens of a field with those of the files it names in their places.
    fn expand(
        &mut self,
        file: &Path,
        tokens: Vec<Token>,
        depth: usize,
        fault: &mut Option<String>,
    ) -> Vec<Token> {
        let is_file = |token: &Token| !token.quoted && token.text.len() > 1 && token.text.starts_with(b"@");
        if !tokens.iter().any(is_file) {
            return tokens;
        }
        let mut expanded = Vec::new();
        for token in tokens {
            if !is_file(&token) {
                expanded.push(token);
                continue;
            }
            let path = beside(file, &token.text[1..]);
            let opened = self.open(&path, depth + 1);
            match opened {
                Ok(bytes) => {
                    let mut lines = Vec::new();
                    self.lines(&path, &bytes, depth + 1, &mut |line| lines.push(line));
                    for line in lines {
                        if line.fault.is_some() {
                            *fault = line.fault;
                            return expanded;
                        }
                        expanded.extend(line.fields.into_iter().flatten());
                    }
                }
                Err(failure) => {
                    *fault = Some(if self.dialect.has_includes_and_patterns() {
                        failure.text()
                    } else {
                        format!(
                            "could not open secondary authentication file \"{}\" as \"{}\": {}",
                            shown(&token.text),
                            path.display(),
                            failure.text().rsplit(": ").next().unwrap_or_default()
                        )
                    });
                    return expanded;
                }
            }
        }
        expanded
    }

    /// Follows an include; true if the line was one and is done with.
    fn include(&mut self, line: &mut TokenLine, depth: usize, take: &mut dyn FnMut(TokenLine)) -> bool {
        let [first, second] = line.fields.as_slice() else {
            return false;
        };
        let (Some(directive), Some(name)) = (first.first(), second.first()) else {
            return false;
        };
        let may_lack = directive.is("include_if_exists");
        let path = beside(&line.place.file, &name.text);
        if directive.is("include") || may_lack {
            return match self.follow(&path, depth + 1, take) {
                Ok(()) => true,
                Err(Failure::Missing(_)) if may_lack => true,
                Err(failure) => {
                    line.fault = Some(failure.text());
                    false
                }
            };
        }
        if !directive.is("include_dir") {
            return false;
        }
        if name.text.iter().all(|byte| b" \t\r\n".contains(byte)) {
            line.fault = Some("empty configuration directory name".to_owned());
            return false;
        }
        let faults: Vec<String> = match configuration_files(self.files, &path) {
            Ok(paths) => paths
                .iter()
                .filter_map(|path| self.follow(path, depth + 1, take).err())
                .map(Failure::text)
                .collect(),
            Err(_) => vec![format!("could not open directory \"{}\"", path.display())],
        };
        if faults.is_empty() {
            return true;
        }
        line.fault = Some(faults.join("\n"));
        false
    }

    fn follow(&mut self, path: &Path, depth: usize, take: &mut dyn FnMut(TokenLine)) -> Result<(), Failure> {
        let bytes = self.open(path, depth)?;
        self.lines(path, &bytes, depth, take);
        Ok(())
    }

    fn open(&mut self, path: &Path, depth: usize) -> Result<Vec<u8>, Failure> {
        let fail = |why: &str| format!("could not open file \"{}\": {why}", path.display());
        // Before 16 only the number of open files bounds it: there, as much as we can bear.
        let deepest = if self.dialect.has_includes_and_patterns() {
            DEEPEST
        } else {
            10 * DEEPEST
        };
        if depth > deepest {
            return Err(Failure::Other(fail("maximum nesting depth exceeded")));
        }
        self.opened += 1;
        if self.opened > MOST_FILES || self.bytes > MOST_BYTES {
            return Err(Failure::Other(fail("too many files are named by one another")));
        }
        let bytes = self.files.read(path).map_err(|why| match why {
            Unreadable::Missing => Failure::Missing(fail(&why.to_string())),
            Unreadable::Refused(_) => Failure::Other(fail(&why.to_string())),
        })?;
        self.bytes += bytes.len();
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;

    fn told(major: u16, files: &[(&str, &str)]) -> Vec<String> {
        let map: BTreeMap<_, _> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
            .collect();
        let mut lines = Vec::new();
        tokenize(Path::new(files[0].0), &map, Dialect::of(major), |line| {
            lines.push(line);
        })
        .unwrap();
        lines
            .into_iter()
            .map(|line| {
                let fields = super::super::hba::excerpt(&line.fields);
                line.fault.map_or(format!("{} {fields}", line.place), |fault| {
                    format!("{} !{fault}", line.place)
                })
            })
            .collect()
    }

    #[test]
    fn files_in_lists_are_put_in_their_place() {
        let files = [
            (
                "/c/hba",
                "local @dbs,x @d/users peer\nlocal \"@dbs\" all peer\nlocal @none all peer",
            ),
            ("/c/dbs", "a b, c # d\n"),
            ("/c/d/users", "u\n@more"),
            ("/c/d/more", "v\n"),
        ];
        assert_eq!(
            told(18, &files)[..2],
            ["/c/hba:1 local a,b,c,x u,v peer", "/c/hba:2 local @dbs all peer"]
        );
        assert_eq!(
            told(18, &files)[2],
            "/c/hba:3 !could not open file \"/c/none\": No such file or directory"
        );
        assert_eq!(
            told(15, &files)[2],
            "/c/hba:3 !could not open secondary authentication file \"@none\" as \"/c/none\": No such file or directory"
        );
    }

    #[test]
    fn includes_are_followed_from_16_on() {
        let files = [
            (
                "/c/hba",
                "a\ninclude d/x.conf\ninclude_if_exists none\ninclude_dir d\nb\ninclude none\ninclude_dir e",
            ),
            ("/c/d/x.conf", "x\n\ny"),
            ("/c/d/a.conf", "z"),
        ];
        assert_eq!(
            told(16, &files),
            [
                "/c/hba:1 a",
                "/c/d/x.conf:1 x",
                "/c/d/x.conf:3 y",
                "/c/d/a.conf:1 z",
                "/c/d/x.conf:1 x",
                "/c/d/x.conf:3 y",
                "/c/hba:5 b",
                "/c/hba:6 !could not open file \"/c/none\": No such file or directory",
                "/c/hba:7 !could not open directory \"/c/e\"",
            ]
        );
        assert_eq!(told(15, &files)[1], "/c/hba:2 include d/x.conf");
    }

    #[test]
    fn files_that_name_themselves_end() {
        let told = told(18, &[("/c/hba", "include hba\nx")]);
        assert_eq!(
            told.iter()
                .filter(|line| line.contains("maximum nesting depth"))
                .count(),
            1
        );
        assert_eq!(told.len(), 12);
        let bomb = "include hba\ninclude hba\ninclude hba\ninclude hba\ninclude hba\ninclude hba\n";
        assert!(super::tests::told(18, &[("/c/hba", bomb)]).len() < 100_000);
        assert!(super::tests::told(15, &[("/c/hba", "@hba @hba")]).len() == 1);
    }
}
