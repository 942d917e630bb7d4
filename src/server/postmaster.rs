//! `postmaster.pid`: what a running server says of itself, and whether that is still true.
//!
//! Its lines (PostgreSQL's `src/include/utils/pidfile.h`): process, data directory, start time, port, socket
//! directory, listen address, shared memory key, status. A crash leaves the file behind, and the process
//! number may since belong to anybody: nothing is signalled before it is known to be the server of this data.

use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::files::read;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    /// The data directory, as the server was started with it.
    pub(super) data: PathBuf,
    pub(super) port: u16,
    pub(super) socket_dir: PathBuf,
    pub(super) ready: bool,
}

impl PidFile {
    /// The file in `data`; `None` where there is none, or none that is whole yet.
    pub(super) fn read(data: &Path) -> Option<Self> {
        let (content, _) = read(&data.join("postmaster.pid"), 16 << 10).ok()?;
        Self::parse(std::str::from_utf8(&content).ok()?, data)
    }

    fn parse(text: &str, data: &Path) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        // `-` for a stand-alone backend, which is no server.
        let pid = lines.first()?.parse().ok().filter(|&pid: &u32| pid > 1)?;
        Some(Self {
            pid,
            data: PathBuf::from(lines.get(1).copied().unwrap_or_default()),
            port: lines
                .get(3)
                .and_then(|port| port.parse().ok())
                .unwrap_or_default(),
            socket_dir: normal(&data.join(lines.get(4).copied().unwrap_or_default())),
            ready: lines.get(7).is_some_and(|status| status.starts_with("ready")),
        })
    }

    /// The server of `data`, if it is alive.
    pub(super) fn alive(data: &Path) -> Option<Self> {
        Self::read(data).filter(|file| is_server_of(file.pid, data))
    }
}

/// Whether `pid` is, now, a process at work in `data`: a postmaster changes to its data directory and stays.
pub(super) fn is_server_of(pid: u32, data: &Path) -> bool {
    let Some(process) = number(pid) else { return false };
    if cfg!(target_os = "linux") {
        // A zombie has no working directory, a stranger another, and those of other accounts may not be read.
        let place = |path: &Path| metadata(path).map(|found| (found.dev(), found.ino())).ok();
        let there = place(&PathBuf::from(format!("/proc/{pid}/cwd")));
        return there.is_some() && there == place(data);
    }
    if test_kill_process(process).is_err() {
        return false;
    }
    let listing = std::process::Command::new("ps")
        .args(["-ww", "-o", "stat=,command=", "-p", &pid.to_string()])
        .output();
    listing.is_ok_and(|listing| {
        let says = String::from_utf8_lossy(&listing.stdout).into_owned();
        !says.trim_start().starts_with('Z')
            && says.contains("postgres")
            && says.contains(&*data.to_string_lossy())
    })
}

/// Sends `signal` to the server of `data`, if `pid` is that.
pub(super) fn signal(pid: u32, data: &Path, signal: Signal) -> bool {
    is_server_of(pid, data) && number(pid).is_some_and(|process| kill_process(process, signal).is_ok())
}

/// The server at work in `data`, also where its `postmaster.pid` counts in a container's own numbers.
pub(super) fn find(data: &Path) -> Option<u32> {
    if let Some(file) = PidFile::alive(data) {
        return Some(file.pid);
    }
    let parent = |pid: u32| -> Option<u32> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))?
            .trim()
            .parse()
            .ok()
    };
    let is_postgres = |pid: u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("post"))
            && is_server_of(pid, data)
    };
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_postgres(*pid))
        .find(|pid| parent(*pid).is_none_or(|parent| !is_postgres(parent)))
}

/// Has the server of `data` read its files again; `false` where there is none that we may signal.
#[must_use]
pub fn reload(data: &Path) -> bool {
    find(data).is_some_and(|pid| signal(pid, data, Signal::HUP))
}

/// Whether [`reload`] would reach a server.
#[must_use]
pub fn can_reload(data: &Path) -> bool {
    find(data)
        .and_then(number)
        .is_some_and(|process| test_kill_process(process).is_ok())
}

/// Whether the server of `data` has a file as a mount of its own, by its own name for it: it goes on reading what was
/// mounted, whatever takes the file's place here (proc(5), `mountinfo`).
#[must_use]
pub fn has_as_mount(data: &Path, path: &Path) -> bool {
    let mounts = find(data).and_then(|pid| std::fs::read(format!("/proc/{pid}/mountinfo")).ok());
    let wanted = path.as_os_str().as_encoded_bytes();
    mounts
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .any(|line| {
            let point = line.split(|byte| *byte == b' ').nth(4);
            point.is_some_and(|point| unescaped(point) == wanted)
        })
}

/// Blanks, line ends and backslashes stand there as three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code = code
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = code {
            out.push(byte);
            rest = &after[3..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// The file into which the standard error of the server of `data` goes; `None` where that is none, or not for us to see.
#[must_use]
pub fn log_file(data: &Path) -> Option<PathBuf> {
    let file = std::fs::read_link(format!("/proc/{}/fd/2", find(data)?)).ok()?;
    metadata(&file).ok()?.is_file().then_some(file)
}

fn number(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// `a/b/../c` as `a/c`: for people and for the length of socket paths.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescaped(br"/a\040b\134c\012"), b"/a b\\c\n");
        assert_eq!(unescaped(br"/a\"), br"/a\");
    }

    #[test]
    fn reads_what_a_server_writes() {
        let text =
            "4711\n/p/.pgtls/data\n1795348549\n5433\n../run\nlocalhost\n 10027009        60\nready   \n";
        let file = PidFile::parse(text, Path::new("/p/.pgtls/data")).unwrap();
        assert_eq!((file.pid, file.port, file.ready), (4711, 5433, true));
        assert_eq!(file.socket_dir, Path::new("/p/.pgtls/run"));
        assert!(
            !PidFile::parse(&text.replace("ready   ", "starting"), Path::new("/d"))
                .unwrap()
                .ready
        );
        for junk in ["", "-4711\n", "0\n", "1\n", "x", "99999999999\n"] {
            assert_eq!(PidFile::parse(junk, Path::new("/d")), None, "{junk:?}");
        }
    }

    #[test]
    fn a_number_that_now_belongs_to_another_is_not_our_server() {
        let data = tempfile::tempdir().unwrap();
        let us = std::process::id();
        std::fs::write(
            data.path().join("postmaster.pid"),
            format!("{us}\n{}\n", data.path().display()),
        )
        .unwrap();
        assert_eq!(PidFile::read(data.path()).unwrap().pid, us);
        assert_eq!(PidFile::alive(data.path()), None);
        assert!(!signal(us, data.path(), Signal::KILL), "we would not be here");
    }
}
