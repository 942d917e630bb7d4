//! Passwords that stand in code: found, and taken out of what is shown.

/// The password of a URL: between the colon behind the user and the last `@` before the host.
fn password_in_url(line: &str) -> Option<std::ops::Range<usize>> {
    let scheme = ["postgres://", "postgresql://"]
        .into_iter()
        .filter_map(|scheme| line.find(scheme).map(|at| at + scheme.len()))
        .min()?;
    let rest = &line[scheme..];
    let end = rest
        .find(|c: char| {
            c == '/' || c == '?' || c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
        })
        .unwrap_or(rest.len());
    let authority = &rest[..end];
    let at = authority.rfind('@')?;
    let colon = authority[..at].find(':')?;
    (colon + 1 < at).then_some(scheme + colon + 1..scheme + at)
}

/// Whether a password stands in a URL or a connection string of the line.
pub(super) fn is_in(line: &str) -> bool {
    password_in_url(line).is_some_and(|range| is_one(&line[range])) || quoted(line).any(is_in_string)
}

/// A place for one that is put in later is none.
fn is_one(password: &str) -> bool {
    !password.is_empty()
        && !password.starts_with(['$', '{', '<', '%', ':', '@', '?'])
        && !password.contains("${")
        && !password.starts_with("***")
}

/// What stands between quotes.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.find(['"', '\'', '`'])?;
        let inside = &rest[start + 1..];
        let end = inside.find(rest[start..].chars().next()?)?;
        rest = &inside[end + 1..];
        Some(&inside[..end])
    })
}

/// Whether this is a connection string with a password: `host=db password=…` or `Host=db;Password=…`.
fn is_in_string(text: &str) -> bool {
    let mut has_place = false;
    let mut has_password = false;
    for (key, value) in text.split([' ', ';']).filter_map(|part| part.split_once('=')) {
        match key.to_ascii_lowercase().as_str() {
            "host" | "hostaddr" | "server" | "dbname" | "database" => has_place = true,
            "password" | "pwd" => has_password |= is_one(value),
            _ => {}
        }
    }
    has_place && has_password
}

/// The line with every password of a URL or a `password=` taken out: a report is read by many.
pub(super) fn without_passwords(line: &str) -> String {
    let mut shown = line.to_owned();
    if let Some(range) = password_in_url(&shown) {
        shown.replace_range(range, "…");
    }
    let mut from = 0;
    while let Some(at) = shown[from..]
        .to_ascii_lowercase()
        .find("password")
        .map(|at| from + at)
    {
        let rest = &shown[at + "password".len()..];
        let gap = rest
            .find(|c: char| !matches!(c, ' ' | '=' | ':' | '"' | '\'' | '>' | '('))
            .unwrap_or(rest.len());
        let start = at + "password".len() + gap;
        let has_sign = rest[..gap].contains(['=', ':']);
        let length = shown[start..]
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | ')' | '@'))
            .unwrap_or(shown.len() - start);
        if has_sign && length > 0 {
            shown.replace_range(start..start + length, "…");
        }
        from = start.min(shown.len());
        while !shown.is_char_boundary(from) {
            from += 1;
        }
    }
    shown
}
