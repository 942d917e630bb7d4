//! The `key=value` form
//! (<https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>).

use std::iter::Peekable;
use std::str::Chars;

use zeroize::Zeroizing;

use super::quote::Quoted;
use super::settings::accept;
use super::{Conninfo, Error};

/// Reads pairs until the end: blanks around `=` and between pairs are free, values may be in single quotes,
/// and a backslash makes the next character literal, in quotes or not.
pub(super) fn parse(text: &str) -> Result<Conninfo, Error> {
    let mut conninfo = Conninfo::new();
    let mut reader = Reader {
        rest: text.chars().peekable(),
        position: 1,
    };
    // A word after a secret may be the rest of it (`password=two words`): it is then not repeated.
    let mut after_secret = false;
    loop {
        reader.skip_blanks();
        let position = reader.position;
        let Some(name) = reader.name() else {
            return Ok(conninfo);
        };
        reader.skip_blanks();
        if !reader.take('=') {
            let word = (!after_secret).then(|| Quoted::new(&name));
            return Err(Error::MissingEquals { word, position });
        }
        reader.skip_blanks();
        let value = reader.value().ok_or_else(|| Error::UnterminatedQuote {
            keyword: Quoted::new(&name),
        })?;
        let keyword = accept(&mut conninfo, &name, &value, after_secret)?;
        after_secret = keyword.is_secret();
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// Of the next character, from 1.
    position: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        self.position += 1;
        self.rest.next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.rest.peek() == Some(&wanted);
        if found {
            self.next();
        }
        found
    }

    fn skip_blanks(&mut self) {
        while self.rest.peek().copied().is_some_and(is_blank) {
            self.next();
        }
    }

    /// Everything up to `=` or a blank; `None` at the end of the text.
    fn name(&mut self) -> Option<String> {
        self.rest.peek()?;
        let mut name = String::new();
        while let Some(character) = self.rest.peek().copied().filter(|c| *c != '=' && !is_blank(*c)) {
            name.push(character);
            self.next();
        }
        Some(name)
    }

    /// A value; `None` when its closing quote is missing.
    fn value(&mut self) -> Option<Zeroizing<String>> {
        let quoted = self.take('\'');
        let mut value = Zeroizing::new(String::new());
        loop {
            let Some(character) = self.rest.peek().copied() else {
                return (!quoted).then_some(value);
            };
            if !quoted && is_blank(character) {
                return Some(value);
            }
            self.next();
            match character {
                '\'' if quoted => return Some(value),
                // A backslash at the very end stands for nothing.
                '\\' => value.extend(self.next()),
                other => value.push(other),
            }
        }
    }
}

/// C's `isspace` in the C locale, which is what libpq asks.
pub(super) const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_password_is_not_repeated() {
        for text in [
            "password=my hunter2",
            "password=my hunter2=x",
            "host=a password = 'x' hunter2",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        assert!(
            parse("host=my word")
                .unwrap_err()
                .to_string()
                .contains("\"word\" at character 9")
        );
        // A plain typing error after a password is still named.
        let error = parse("password=x sslmod=require").unwrap_err().to_string();
        assert!(error.contains("sslmode"), "{error}");
    }
}
