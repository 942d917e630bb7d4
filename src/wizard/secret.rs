//! A password on its way from the keyboard to the server: never drawn, never kept, wiped when it has gone. In a connection
//! string that is typed, a sign stands in the place of each of its characters, and those are apart, in memory that is wiped.

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::conninfo::Keyword;

/// Characters that are taken: more than any password is long.
const LONGEST: usize = 1024;

/// What is typed unseen.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Typed(Zeroizing<String>);

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed")
    }
}

impl Typed {
    /// Nothing yet; the memory is there from the start, so that no copy is left behind by growing.
    #[must_use]
    pub fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(4 * LONGEST)))
    }

    /// One more character.
    pub fn push(&mut self, c: char) {
        if self.0.chars().count() < LONGEST && !c.is_control() {
            self.0.push(c);
        }
    }

    /// One less.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its characters.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        self.0.chars()
    }

    /// As a secret.
    #[must_use]
    pub fn reveal(&self) -> SecretString {
        SecretString::from(self.0.as_str())
    }
}

/// In the place of a character of a password: nobody's text has it (it is of a private area of Unicode).
pub const HIDDEN: char = '\u{F8FE}';

/// A connection string without the characters of its passwords, a sign in the place of each; and those characters.
#[must_use]
pub fn hide(real: &[char]) -> (String, Typed) {
    let ranges: Vec<_> = in_keywords(real).into_iter().chain(in_uri(real)).collect();
    let mut secret = Typed::default();
    let mut text = String::with_capacity(4 * real.len());
    for (at, c) in real.iter().enumerate() {
        if ranges.iter().any(|range| range.contains(&at)) {
            if secret.is_empty() {
                // All the memory from the start: no copy is left behind by growing.
                secret = Typed(Zeroizing::new(String::with_capacity(4 * real.len())));
            }
            secret.0.push(*c);
            text.push(HIDDEN);
        } else {
            text.push(*c);
        }
    }
    (text, secret)
}

/// The whole of a connection string again.
#[must_use]
pub fn revealed(text: &str, secret: Option<&Typed>) -> Zeroizing<Vec<char>> {
    let mut real = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut apart = secret.into_iter().flat_map(Typed::chars);
    for c in text.chars() {
        if c == HIDDEN {
            real.extend(apart.next());
        } else {
            real.push(c);
        }
    }
    real
}

/// Such a text as it is shown.
#[must_use]
pub fn shown(text: &str) -> String {
    text.replace(HIDDEN, "•")
}

/// The values of secret keywords (`password = 'x'`, or `password=x` in the query of a URI), closed or not yet.
fn in_keywords(chars: &[char]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let is_uri = scheme(chars).is_some();
    let parts = |c: char| c.is_whitespace() || (is_uri && matches!(c, '?' | '&'));
    let mut at = 0;
    while at < chars.len() {
        if at > 0 && !parts(chars[at - 1]) {
            at += 1;
            continue;
        }
        let name = chars[at..]
            .iter()
            .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
            .collect::<String>();
        let skip = |from: usize| from + chars[from..].iter().take_while(|c| c.is_whitespace()).count();
        let equals = skip(at + name.len());
        let secret = [Keyword::Password, Keyword::Sslpassword]
            .iter()
            .any(|keyword| keyword.name() == name);
        if !secret || chars.get(equals) != Some(&'=') {
            at += 1;
            continue;
        }
        let start = if is_uri { equals + 1 } else { skip(equals + 1) };
        let end = end_of_value(chars, start, &parts);
        found.push(start..end);
        at = end.max(at + 1);
    }
    found
}

fn end_of_value(chars: &[char], start: usize, parts: &dyn Fn(char) -> bool) -> usize {
    let quoted = chars.get(start) == Some(&'\'');
    let mut at = start + usize::from(quoted);
    while let Some(c) = chars.get(at) {
        match c {
            '\\' => at += 1,
            '\'' if quoted => return at + 1,
            c if !quoted && parts(*c) => return at,
            _ => {}
        }
        at += 1;
    }
    chars.len()
}

/// The password of `postgresql://user:password@host`, also before its `@` is there.
fn in_uri(chars: &[char]) -> Option<std::ops::Range<usize>> {
    let start = scheme(chars)?;
    let authority = &chars[start..];
    let colon = authority.iter().position(|c| matches!(c, ':' | '@' | '/'))?;
    if authority[colon] != ':' {
        return None;
    }
    let rest = &authority[colon + 1..];
    let end = rest.iter().position(|c| *c == '@').or_else(|| {
        // A port, as far as can be seen.
        let number = rest
            .iter()
            .all(|c| c.is_ascii_digit() || matches!(c, '/' | '?' | '&'));
        (!number && !rest.contains(&'/')).then_some(rest.len())
    })?;
    Some(start + colon + 1..start + colon + 1 + end)
}

/// Where the authority of a URI begins.
fn scheme(chars: &[char]) -> Option<usize> {
    ["postgresql://", "postgres://"]
        .iter()
        .find(|scheme| chars.iter().copied().take(scheme.len()).eq(scheme.chars()))
        .map(|scheme| scheme.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_password_is_shown_and_nothing_moves() {
        for (text, shown) in [
            ("host=db password=pw user=ann", "host=db password=•• user=ann"),
            ("password = 'p w\\' x' host=db", "password = ••••••••• host=db"),
            ("user=ann password='open", "user=ann password=•••••"),
            ("sslpassword=x passfile=/a", "sslpassword=• passfile=/a"),
            ("host=db user=password", "host=db user=password"),
            ("postgresql://ann:pw@db/shop", "postgresql://ann:••@db/shop"),
            ("postgres://ann:hunter", "postgres://ann:••••••"),
            ("postgresql://db:5432/shop", "postgresql://db:5432/shop"),
            (
                "postgresql://db/shop?password=pw&x=y",
                "postgresql://db/shop?password=••&x=y",
            ),
        ] {
            let real: Vec<char> = text.chars().collect();
            let (hidden, secret) = hide(&real);
            assert_eq!(super::shown(&hidden), shown);
            assert_eq!(hidden.chars().count(), real.len());
            assert_eq!(*revealed(&hidden, Some(&secret)), real);
        }
        assert_eq!(format!("{:?}", Typed(Zeroizing::new("pw".to_owned()))), "Typed");
    }
}
