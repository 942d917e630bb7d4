//! What the program's tests share: real PostgreSQL servers, certificates from the `openssl` command, clean processes.
//!
//! Nothing here uses pgtls as a library: a test that builds its world with these is a witness from outside.
//! Everything started is tied to the test process (killed with it) and everything written lies below [`tmp`],
//! which `tests/run` removes; a bare `cargo test` removes what earlier bare runs left.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part of this module"
)]
#![allow(
    clippy::unwrap_used,
    reason = "test support: a failure here is a failed test, at the line that failed"
)]

mod account;
mod disk;
mod docker;
mod fault;
mod pki;
mod port;
mod postgres;
mod process;
mod project;
mod random;
pub mod scene;
mod server;
mod terminal;
pub mod workshop;

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use account::Account;
pub use disk::{Tree, differences, tree};
pub use docker::{Alone, Contained, Docker, Using};
pub use fault::{Mount, has_strace};
pub use pki::{Ca, Leaf, request};
pub use port::free_port;
pub use postgres::{Postgres, cache, psql, psql_as, psql_job, psycopg};
pub use process::{Job, Outcome, Running, pgtls, pgtls_bin, spawn_tied};
pub use project::Project;
pub use random::Random;
pub use server::{Builder, TestServer, template};
pub use terminal::Pty;

/// Environment variable in every process that tests start: `tests/run` finds the ones left behind by it.
pub const MARK: &str = "PGTLS_TEST_MARK";

/// The value of [`MARK`].
pub fn mark() -> String {
    std::env::var("PGTLS_TEST_RUN").unwrap_or_else(|_| format!("pid-{}", std::process::id()))
}

/// Letters and digits of this run alone: in the name of every project directory, and so of every sandbox, also of
/// those that root's pgtls keeps elsewhere.
pub fn tag() -> String {
    mark().rsplit('.').next().unwrap_or_default().replace('-', "")
}

/// Whether a skip of what continuous integration must have is a failure.
fn strict() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Notes, for the table of `tests/run`, that the running test is skipped; the caller returns after it.
///
/// # Panics
/// If `required` and `CI=true`.
pub fn skip(why: &str, required: bool) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed").to_owned();
    assert!(
        !(required && strict()),
        "{name} may not be skipped with CI=true: {why}"
    );
    eprintln!("SKIP {name}: {why}");
    if let Ok(file) = std::env::var("PGTLS_TEST_SKIPS") {
        let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{}\t{name}\t{why}", env!("CARGO_CRATE_NAME")).unwrap();
    }
}

/// A directory of this process's own that every account can enter, on memory where there is `/dev/shm`.
pub fn tmp() -> &'static Path {
    static TMP: OnceLock<PathBuf> = OnceLock::new();
    TMP.get_or_init(|| {
        let parent = std::env::var_os("PGTLS_TEST_TMP").map_or_else(bare_parent, PathBuf::from);
        let own = parent.join(std::process::id().to_string());
        fs::create_dir_all(&own).unwrap();
        open_to_all(&own);
        own
    })
}

/// Where a bare `cargo test` works; removes what processes that are gone left there.
fn bare_parent() -> PathBuf {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    };
    let parent = base.join(format!("pgtls-tests-{}", Account::current().name));
    fs::create_dir_all(&parent).unwrap();
    open_to_all(&parent);
    for entry in fs::read_dir(&parent).unwrap().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    parent
}

/// Mode 0755.
pub fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// A new empty directory below [`tmp`], mode 0755; `name` makes it recognisable.
pub fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let dir = tmp().join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&dir).unwrap();
    open_to_all(&dir);
    dir
}

/// Asks until `ready` answers; panics with `what` after `bound`.
pub fn wait_for<T>(what: &str, bound: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ready() {
            return answer;
        }
        assert!(begun.elapsed() < bound, "{what}: not within {bound:?}");
        std::thread::sleep(Duration::from_millis(4));
    }
}

/// The processes that work in a directory or name it in their arguments, one `PID COMMAND` each.
pub fn processes_in(dir: &Path) -> Vec<String> {
    let text = dir.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        let works_there = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        // `…/tmp-12` is not below `…/tmp-1`.
        let names_it = arguments
            .match_indices(&*text)
            .any(|(at, _)| !arguments[at + text.len()..].starts_with(|next: char| next.is_alphanumeric()));
        if works_there || names_it {
            found.push(format!("{name} {arguments}"));
        }
    }
    found
}
