//! Parameters with where each came from, and the door through which written ones come in.

use secrecy::{ExposeSecret, SecretString};

use super::keyword::nearest;
use super::quote::Quoted;
use super::{Conninfo, Error, Keyword, Origin};

/// Puts a written parameter into `conninfo`; gives the keyword it ended up under.
///
/// `requiressl` is a historical spelling that libpq still reads as an sslmode. `after_secret` withholds an
/// unknown keyword that nothing resembles: it may be a piece of the secret before it.
pub(super) fn accept(
    conninfo: &mut Conninfo,
    name: &str,
    value: &str,
    after_secret: bool,
) -> Result<Keyword, Error> {
    if name == "requiressl" {
        let mode = if value.starts_with('1') {
            "require"
        } else {
            "prefer"
        };
        conninfo.set(Keyword::Sslmode, mode);
        return Ok(Keyword::Sslmode);
    }
    let Some(keyword) = Keyword::from_name(name) else {
        return Err(unknown(name, after_secret));
    };
    conninfo.set(keyword, value);
    Ok(keyword)
}

/// The error for a keyword that libpq 18 does not have.
pub(super) fn unknown(name: &str, after_secret: bool) -> Error {
    let near = Keyword::nearest(name);
    let hint = match (name, near) {
        ("servicefile", _) => {
            ": libpq 18 has no such keyword; name the file in the variable PGSERVICEFILE".to_owned()
        }
        ("ssl", _) => ": write sslmode=require (only a URI may say ssl=true)".to_owned(),
        ("database" | "db", _) => ": did you mean \"dbname\"?".to_owned(),
        (_, Some(near)) => format!(": did you mean \"{near}\"?"),
        (_, None) if after_secret => {
            ": put a value with spaces in single quotes ('…'), and \\ before a quote in it".to_owned()
        }
        (_, None) => String::new(),
    };
    let withheld = after_secret && near.is_none();
    Error::UnknownKeyword {
        keyword: (!withheld).then(|| Quoted::new(name)),
        hint,
    }
}

/// Parameters in layers; the first layer to name a keyword wins.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    entries: Vec<(Keyword, SecretString, Origin)>,
}

impl Settings {
    /// The connection string's layer.
    pub(super) fn explicit(conninfo: Conninfo) -> Self {
        let entries = conninfo
            .entries
            .into_iter()
            .map(|(keyword, value)| (keyword, value, Origin::Explicit))
            .collect();
        Self { entries }
    }

    /// Adds a value of a lower layer, unless the keyword is already set.
    pub(super) fn add(&mut self, keyword: Keyword, value: &str, origin: Origin) {
        if self.secret(keyword).is_none() {
            self.entries.push((keyword, SecretString::from(value), origin));
        }
    }

    /// The value of a keyword, even an empty one.
    pub(super) fn get(&self, keyword: Keyword) -> Option<&str> {
        self.secret(keyword).map(ExposeSecret::expose_secret)
    }

    /// The value of a keyword where libpq takes an empty one for none.
    pub(super) fn filled(&self, keyword: Keyword) -> Option<&str> {
        self.get(keyword).filter(|value| !value.is_empty())
    }

    /// The guarded value.
    pub(super) fn secret(&self, keyword: Keyword) -> Option<&SecretString> {
        self.entries
            .iter()
            .find(|(known, ..)| *known == keyword)
            .map(|(_, value, _)| value)
    }

    /// [`Self::filled`], guarded.
    pub(super) fn filled_secret(&self, keyword: Keyword) -> Option<&SecretString> {
        self.secret(keyword)
            .filter(|value| !value.expose_secret().is_empty())
    }

    /// Who set a keyword.
    pub(super) fn origin(&self, keyword: Keyword) -> &Origin {
        self.entries
            .iter()
            .find(|(known, ..)| *known == keyword)
            .map_or(&Origin::Default, |(_, _, origin)| origin)
    }

    /// The error for a value that is not one of `allowed`.
    pub(super) fn bad_word(&self, keyword: Keyword, found: &str, allowed: &[&'static str]) -> Error {
        let typed = found.trim().to_ascii_lowercase().replace('_', "-");
        let hint = nearest(&typed, allowed.iter().copied())
            .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        let expected = match allowed {
            [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => allowed.concat(),
        };
        self.bad_value(keyword, found, expected, hint)
    }

    /// The error for a value that does not do.
    pub(super) fn bad_value(&self, keyword: Keyword, found: &str, expected: String, hint: String) -> Error {
        let origin = Box::new(self.origin(keyword).clone());
        Error::BadValue {
            keyword,
            value: Quoted::new(found),
            origin,
            expected,
            hint,
        }
    }
}
