//! The password file (<https://www.postgresql.org/docs/18/libpq-pgpass.html>).

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::error::words;
use super::quote::Quoted;

/// More than this is no password file.
const FILE_LIMIT: u64 = 16 << 20;

/// Whose password is wanted.
pub(super) struct Wanted<'a> {
    /// The host's name, its address, or `localhost` for the default socket.
    pub(super) host: &'a str,
    /// The port as the person wrote it.
    pub(super) port: &'a str,
    /// The database.
    pub(super) dbname: &'a str,
    /// The user.
    pub(super) user: &'a str,
}

/// The content of a password file that may be used; else a warning, or nothing where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let name = Quoted::new(&path.to_string_lossy());
    let unreadable =
        |error: &std::io::Error| format!("the password file {name} cannot be read: {}", words(error.kind()));
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    if !metadata.is_file() {
        return Err(format!(
            "the password file {name} is ignored: it is not a plain file"
        ));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "the password file {name} is ignored: others may read or change it; run: chmod 600 {name}"
        ));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(
        usize::try_from(metadata.len().min(FILE_LIMIT)).unwrap_or(0),
    ));
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    file.take(FILE_LIMIT)
        .read_to_end(&mut content)
        .map_err(|error| unreadable(&error))?;
    Ok(Some(content))
}

/// The password of the first line that fits; an empty one is none.
pub(super) fn find(content: &[u8], wanted: &Wanted<'_>) -> Option<SecretString> {
    let content = without_nul(content);
    let password = content.split(|byte| *byte == b'\n').find_map(|line| {
        let end = line
            .iter()
            .rposition(|byte| *byte != b'\r')
            .map_or(0, |last| last + 1);
        let line = &line[..end];
        if line.starts_with(b"#") {
            return None;
        }
        let rest = field(line, wanted.host)?;
        let rest = field(rest, wanted.port)?;
        let rest = field(rest, wanted.dbname)?;
        field(rest, wanted.user)
    })?;
    let password = unescape(password);
    let password = std::str::from_utf8(&password)
        .ok()
        .filter(|text| !text.is_empty())?;
    Some(SecretString::from(password))
}

/// The content as a C string function sees it: what follows a NUL in a line, its end too, is not there (`fgets` and `strlen` in
/// libpq), so that the next line goes on where it stood.
fn without_nul(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut seen = Zeroizing::new(Vec::with_capacity(content.len()));
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
        seen.extend_from_slice(&line[..end]);
    }
    seen
}

/// What follows a field that fits: `*`, or the wanted text with `\` before `:` and `\`, then `:`.
///
/// A colon that the wanted text has at that place needs no backslash, so `::1` may be written plainly.
fn field<'a>(line: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut rest = line;
    for byte in wanted.bytes() {
        rest = rest.strip_prefix(b"\\").unwrap_or(rest).strip_prefix(&[byte])?;
    }
    rest.strip_prefix(b":")
}

/// The last field: up to a colon without backslash, backslashes taken out (a final one stays).
fn unescape(field: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut password = Zeroizing::new(Vec::with_capacity(field.len()));
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => break,
            b'\\' => password.push(bytes.next().unwrap_or(b'\\')),
            other => password.push(other),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn password(content: &str, host: &str) -> Option<String> {
        let wanted = Wanted {
            host,
            port: "5432",
            dbname: "app",
            user: "alice",
        };
        find(content.as_bytes(), &wanted).map(|secret| secret.expose_secret().to_owned())
    }

    /// libpq's `passwordFromFile` reads with `fgets` and goes on after `strlen`.
    #[test]
    fn a_nul_joins_two_lines() {
        assert_eq!(password("a\0b\n*:*:*:alice:right\n", "h"), None);
        assert_eq!(
            password("*:\0x\n*:*:alice:right\n", "h").as_deref(),
            Some("right")
        );
        assert_eq!(
            password("*:*:*:alice:ri\0\nght\n*:*:*:alice:other", "h").as_deref(),
            Some("right")
        );
    }

    #[test]
    fn the_first_line_that_fits_decides() {
        for (content, expected) in [
            ("h:5432:app:alice:pw\n", Some("pw")),
            ("h:5432:app:alice:pw", Some("pw")),
            ("h:5432:app:alice:pw\r\n", Some("pw")),
            ("h:5432:app:bob:no\n*:*:*:*:pw\n", Some("pw")),
            ("#*:*:*:*:no\n\n*:*:*:alice:pw\n", Some("pw")),
            ("*:*:*:*: p w \n", Some(" p w ")),
            (r"*:*:*:*:p\:w\\x\y", Some(r"p:w\xy")),
            (r"*:*:*:*:pw\", Some(r"pw\")),
            ("*:*:*:*:p:w\n", Some("p")),
            ("*:*:*:*:\n*:*:*:*:pw\n", None),
            ("*:*:*:pw\n", None),
            (" *:*:*:*:pw\n", None),
            ("**:*:*:*:pw\n", None),
            (r"\*:*:*:*:pw", None),
            ("H:*:*:*:pw\n", None),
            (r"\h:*:*:*:pw", Some("pw")),
        ] {
            assert_eq!(password(content, "h").as_deref(), expected, "{content:?}");
        }
        assert_eq!(password("::1:5432:app:alice:pw", "::1").as_deref(), Some("pw"));
        assert_eq!(password(r"\:\:1:5432:app:alice:pw", "::1").as_deref(), Some("pw"));
    }
}
