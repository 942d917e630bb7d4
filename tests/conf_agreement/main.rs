//! The grammars against their witness: what each server's own views say of the same files.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod hba;

mod settings;
mod simulate;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use pgtls::conf::{Files, Unreadable};
use serde_json::Value;
use support::{Account, Leaf, Postgres, TestServer};

/// Majors that are compared; the others of this machine are too, where they are there.
const MAJORS: [u16; 6] = [13, 14, 15, 16, 17, 18];

/// A server of each version, TLS on.
fn servers() -> impl Iterator<Item = (u16, TestServer)> {
    let leaf = Leaf::self_signed(&["localhost"]);
    MAJORS.into_iter().filter_map(move |major| {
        let server = TestServer::builder(&Postgres::find(major)?).tls(&leaf).start();
        Some((major, server))
    })
}

/// Writes a file of the server's.
fn write(path: &Path, bytes: &[u8]) {
    let directory = path.parent().unwrap();
    if !directory.exists() {
        fs::create_dir_all(directory).unwrap();
        Account::server().own(directory);
    }
    fs::write(path, bytes).unwrap();
    Account::server().own(path);
}

/// The rows of a query as JSON objects.
fn rows(server: &TestServer, query: &str) -> Vec<Value> {
    let text = server
        .sql(&format!("select row_to_json(r) from ({query}) r"))
        .stdout;
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The files of this machine.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        fs::read(path).map_err(|error| unreadable(&error))
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        let entries = fs::read_dir(directory).map_err(|error| unreadable(&error))?;
        Ok(entries
            .flatten()
            .filter(|entry| !entry.path().is_dir())
            .map(|entry| entry.file_name().into_encoded_bytes())
            .collect())
    }
}

fn unreadable(error: &std::io::Error) -> Unreadable {
    match error.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Refused(error.to_string()),
    }
}
