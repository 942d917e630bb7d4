//! A project directory of pgtls: what `pgtls up` made is taken down when dropped.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Account, Job, Postgres, pgtls, scratch};

/// A directory and the account that works in it.
pub struct Project {
    /// The directory given as `--dir`.
    pub dir: PathBuf,
    /// Who runs pgtls there.
    pub account: Account,
    /// A port that was free when the project was made: tests side by side would all be given the first free one.
    pub port: u16,
}

impl Project {
    /// An empty directory that the account owns.
    pub fn new(account: &Account) -> Self {
        let dir = scratch(&super::tag());
        account.own(&dir);
        let port = super::free_port();
        Self {
            dir,
            account: account.clone(),
            port,
        }
    }

    /// The same in a directory of that name, whose characters may be anything.
    pub fn named(account: &Account, name: &str) -> Self {
        let mut project = Self::new(account);
        project.dir.push(name);
        fs::create_dir(&project.dir).unwrap();
        account.own(&project.dir);
        project
    }

    /// `pgtls COMMAND ARGS --dir DIR`, run by the account.
    pub fn pgtls(&self, args: &[&str]) -> Job {
        pgtls(args).arg("--dir").arg(&self.dir).account(&self.account)
    }

    /// `pgtls up --mode MODE --run sandbox --port PORT --yes --json` with that server.
    pub fn up(&self, mode: &str, postgres: &Postgres) -> Job {
        self.pgtls(&["up", "--mode", mode, "--run", "sandbox", "--yes", "--json"])
            .args(["--port", &self.port.to_string(), "--pg-bin"])
            .arg(&postgres.bin)
    }

    /// The directory of its only client kit.
    pub fn kit(&self) -> PathBuf {
        let kits = fs::read_dir(self.dir.join("clients")).unwrap();
        let kits: Vec<_> = kits.map(|kit| kit.unwrap().path()).collect();
        assert_eq!(kits.len(), 1, "{kits:?}");
        kits[0].clone()
    }

    /// Every file with its mode and content, without what a running server or a lock changes (`.pgtls/`).
    pub fn files(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        self.collect(&self.dir, &mut files);
        files
    }

    fn collect(&self, dir: &Path, files: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let relative = path.strip_prefix(&self.dir).unwrap().to_owned();
            if relative.starts_with(".pgtls") {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                self.collect(&path, files);
            } else {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                files.insert(relative, (mode, fs::read(&path).unwrap()));
            }
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // As root the data lies elsewhere, below /var/lib: only pgtls itself knows where.
        self.pgtls(&["down", "--volumes", "--yes"]).start().finish();
        drop(fs::remove_dir_all(&self.dir));
    }
}
