//! The accounts that tests act as: root may become another one, everybody else is only themselves.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::tmp;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its login name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
}

impl Account {
    /// Who runs the tests.
    pub fn current() -> Self {
        let own = fs::metadata("/proc/self").unwrap();
        Self::by_uid(own.uid()).unwrap_or_else(|| Self {
            name: own.uid().to_string(),
            uid: own.uid(),
            gid: own.gid(),
        })
    }

    /// Whether the tests run as root.
    pub fn is_root() -> bool {
        Self::current().uid == 0
    }

    /// Who PostgreSQL runs as in tests: it refuses root.
    pub fn server() -> Self {
        if !Self::is_root() {
            return Self::current();
        }
        Self::by_name("postgres").unwrap_or_else(Self::ordinary)
    }

    /// A user without privileges: `nobody` when the tests run as root.
    pub fn ordinary() -> Self {
        if !Self::is_root() {
            return Self::current();
        }
        Self::by_name("nobody").unwrap_or_else(|| panic!("no account nobody on this machine"))
    }

    /// A private home directory below the test directory, mode 0700; one per account and process.
    pub fn home(&self) -> PathBuf {
        static LOCK: Mutex<()> = Mutex::new(());
        let _guard = LOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let home = tmp().join(format!("home-{}", self.name));
        if !home.exists() {
            fs::create_dir(&home).unwrap();
            self.own(&home);
            fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        home
    }

    /// Makes the account the owner of a file or directory (not of what is in it).
    pub fn own(&self, path: &Path) {
        if Self::is_root() {
            chown(path, Some(self.uid), Some(self.gid)).unwrap();
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::find(|fields| fields[0] == name)
    }

    fn by_uid(uid: u32) -> Option<Self> {
        Self::find(|fields| fields[2] == uid.to_string())
    }

    fn find(wanted: impl Fn(&[&str]) -> bool) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").unwrap();
        users.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            (fields.len() >= 4 && wanted(&fields)).then(|| Self {
                name: fields[0].to_owned(),
                uid: fields[2].parse().unwrap(),
                gid: fields[3].parse().unwrap(),
            })
        })
    }
}
