//! Reading the files that a person names or that an earlier run left. Never writes.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::Error;

/// No file that is read here is larger than this.
const LARGEST: u64 = 4 << 20;

/// The bytes of a file, `None` if there is none.
pub fn read(what: &'static str, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    read_bounded(what, path, LARGEST)
}

/// [`read`] with a bound of its own, whole MiB.
pub(super) fn read_bounded(
    what: &'static str,
    path: &Path,
    most: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let fail = |why: &str, remedy: &str| Error::File {
        what,
        path: path.to_path_buf(),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
    };
    let words = |error: std::io::Error| {
        fail(
            &crate::server::words(&error),
            "check its name, and that you may read it",
        )
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(words(error)),
    };
    if !file.metadata().map_err(words)?.is_file() {
        return Err(fail("it is no regular file", "name a file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(most + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > most {
        let why = format!("it is larger than {} MiB", most >> 20);
        return Err(fail(&why, "name the right file"));
    }
    Ok(Some(bytes))
}

/// The bytes of a file that must be there.
pub fn must_read(what: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    read(what, path)?.ok_or_else(|| Error::File {
        what,
        path: path.to_path_buf(),
        why: "there is no such file".to_owned(),
        remedy: "check its name".to_owned(),
    })
}

/// A secret of one line, from a file that nobody else may read.
pub fn secret(what: &'static str, path: &Path) -> Result<SecretString, Error> {
    let bytes = must_read(what, path)?;
    let fail = |why: String, remedy: String| Error::File {
        what,
        path: path.to_path_buf(),
        why,
        remedy,
    };
    let mode = std::fs::metadata(path).map_or(0, |meta| meta.mode() & 0o777);
    if mode & 0o077 != 0 {
        return Err(fail(
            format!("others may read it (its mode is {mode:04o})"),
            format!("chmod 600 {}", path.display()),
        ));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        fail(
            "it is not text".to_owned(),
            "save it as UTF-8, one line".to_owned(),
        )
    })?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(fail(
            "it is empty".to_owned(),
            "put the secret into it, one line".to_owned(),
        ));
    }
    if line.len() > 1000 || line.contains(['\n', '\r', '\0']) {
        return Err(fail(
            "it holds more than one line of 1000 bytes".to_owned(),
            "put only the secret into it".to_owned(),
        ));
    }
    Ok(SecretString::from(line))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn file(dir: &tempfile::TempDir, content: &[u8], mode: u32) -> std::path::PathBuf {
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_is_one_line_that_nobody_else_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let read = |content: &[u8], mode| secret("the password file", &file(&dir, content, mode));
        assert_eq!(
            read(b"correct horse\n", 0o600).unwrap().expose_secret(),
            "correct horse"
        );
        assert_eq!(
            read(b"correct horse\r\n", 0o400).unwrap().expose_secret(),
            "correct horse"
        );
        for (content, mode, wanted) in [
            (&b"x\n"[..], 0o644, "others may read it"),
            (b"x\n", 0o640, "others may read it"),
            (b"", 0o600, "empty"),
            (b"\n", 0o600, "empty"),
            (b"a\nb\n", 0o600, "more than one line"),
            (b"\xff\xfe", 0o600, "not text"),
        ] {
            let error = read(content, mode).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
