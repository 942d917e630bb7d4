//! One file, somewhere outside of a project, that a person asked for by name and that others read while it changes:
//! replaced whole or not at all. Nothing secret; not journaled, for the next run replaces it anyway.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Replaces `path` by `content`: readers see the old content or the new. A symbolic link is followed; `mode` is that of a
/// new file, and the mode of one that is there is kept. What is there and no file is left as it is, with [`ErrorKind::InvalidInput`].
pub fn publish(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mode = match fs::metadata(path) {
        Ok(meta) if meta.is_file() => meta.permissions().mode() & 0o7777,
        Ok(_) => return Err(ErrorKind::InvalidInput.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => mode,
        Err(error) => return Err(error),
    };
    let dir = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    // A collector reads files by their ending: this one has none that it knows.
    let mut new = tempfile::Builder::new()
        .prefix(".pgtls-")
        .suffix(".new")
        .tempfile_in(&dir)?;
    new.write_all(content)?;
    new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    fs::File::open(&dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgtls.prom");
        publish(&path, b"one", 0o644).unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((fs::read(&path).unwrap(), mode()), (b"one".to_vec(), 0o644));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let before = fs::File::open(&path).unwrap();
        publish(&path, b"two", 0o644).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode()), (b"two".to_vec(), 0o600));
        // Whoever had it open still reads the old one.
        assert_eq!(std::io::read_to_string(before).unwrap(), "one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_and_what_is_no_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        publish(&link, b"new", 0o644).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let kind = |path: &Path| publish(path, b"x", 0o644).unwrap_err().kind();
        assert_eq!(kind(dir.path()), ErrorKind::InvalidInput);
        assert_eq!(kind(&dir.path().join("no/such/dir/file")), ErrorKind::NotFound);
    }
}
