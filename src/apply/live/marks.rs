//! The second names that tries keep beside a server's files, of whatever kit: where one lies a change is not decided.

use std::path::{Path, PathBuf};

/// What is in every such name.
pub(super) const INFIX: &str = ".pgtls-";
/// How the second name of an old file ends.
pub(super) const BEFORE: &str = "before";

/// The second name of a file as it was before a try.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The file.
    pub file: PathBuf,
    /// Its second name.
    pub name: PathBuf,
    /// Which try it belongs to.
    pub mark: String,
}

/// Those in these directories.
#[must_use]
pub fn marks(directories: &[&Path]) -> Vec<Mark> {
    let entries = directories
        .iter()
        .filter_map(|directory| std::fs::read_dir(directory).ok());
    let mut all: Vec<_> = entries
        .flatten()
        .flatten()
        .filter_map(|entry| read(&entry.path()))
        .collect();
    all.sort();
    all.dedup();
    all
}

fn read(name: &Path) -> Option<Mark> {
    let text = name.file_name()?.to_str()?.strip_prefix('.')?;
    let (file, rest) = text.rsplit_once(INFIX)?;
    let (mark, what) = rest.split_once('-')?;
    (what == BEFORE && mark.len() == 8 && mark.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| Mark {
        file: name.with_file_name(file),
        name: name.to_path_buf(),
        mark: mark.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_second_names_are_taken_for_such() {
        let mark = read(Path::new("/etc/.pg_hba.conf.pgtls-01ab23cd-before")).unwrap();
        assert_eq!(mark.file, Path::new("/etc/pg_hba.conf"));
        assert_eq!(mark.mark, "01ab23cd");
        for other in [
            "/etc/pg_hba.conf.pgtls-01ab23cd-before",
            "/etc/.pg_hba.conf.pgtls-01ab23cd-new",
            "/etc/.pg_hba.conf.pgtls-01ab-before",
            "/etc/.pgtls-01ab23cd45ef",
        ] {
            assert_eq!(read(Path::new(other)), None, "{other}");
        }
    }
}
