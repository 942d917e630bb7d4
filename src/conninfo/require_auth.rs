//! `require_auth`: which ways of logging in the client puts up with.

use super::keyword::nearest;
use super::settings::Settings;
use super::{AuthMethod, Error, Keyword};

/// The methods that are admitted, or with `!` in front of each, those that are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequireAuth {
    /// As listed.
    methods: Vec<AuthMethod>,
    /// Whether the list forbids.
    negated: bool,
}

impl RequireAuth {
    /// Whether the server may log us in this way.
    #[must_use]
    pub fn allows(&self, method: AuthMethod) -> bool {
        self.methods.contains(&method) != self.negated
    }

    /// The list, and whether it forbids.
    #[must_use]
    pub fn methods(&self) -> (&[AuthMethod], bool) {
        (&self.methods, self.negated)
    }

    /// Reads the comma list; blanks are not skipped. A value that is there and empty lists nothing, and what
    /// is not listed but asks for no proof is let through all the same (fe-auth.c, `check_expected_areq`).
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, Error> {
        let list = match settings.get(Keyword::RequireAuth) {
            None => return Ok(None),
            Some("") => {
                return Ok(Some(Self {
                    methods: vec![AuthMethod::None],
                    negated: false,
                }));
            }
            Some(list) => list,
        };
        let mut methods = Vec::new();
        let negated = list.starts_with('!');
        for item in list.split(',') {
            let (name, forbids) = item.strip_prefix('!').map_or((item, false), |name| (name, true));
            let bad = |what: String| settings.bad_value(Keyword::RequireAuth, list, what, String::new());
            let Some(method) = AuthMethod::from_word(name) else {
                let hint = nearest(
                    &name.trim().to_ascii_lowercase(),
                    AuthMethod::WORDS.iter().copied(),
                )
                .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
                let words = AuthMethod::WORDS.join(", ");
                let expected = format!("a list of {words} without blanks, all or none with ! in front");
                return Err(settings.bad_value(Keyword::RequireAuth, list, expected, hint));
            };
            if forbids != negated {
                return Err(bad(
                    "either methods that are admitted, or only methods with ! in front".to_owned(),
                ));
            }
            if methods.contains(&method) {
                return Err(bad(format!("each method once, {method} is there twice")));
            }
            methods.push(method);
        }
        Ok(Some(Self { methods, negated }))
    }
}
