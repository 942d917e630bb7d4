//! Faults at every write: killed, out of room, forbidden, two at once. `strace` kills the program, or makes the kernel
//! refuse, at each single call that changes the disk; afterwards the directory is as before, finished, or taken back.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use support::{Account, Job, Mount, Outcome, Project, has_strace, pgtls, pgtls_bin, scratch, skip};

/// The calls by which a program changes a disk. What `openat` makes is seen at the next of them: opening what is there
/// changes nothing, and is most of what it does.
const CALLS: [&str; 9] = [
    "mkdirat",
    "write",
    "fsync",
    "fchmod",
    "fchown",
    "renameat",
    "renameat2",
    "unlinkat",
    "ftruncate",
];

/// Every file with its mode and content.
type Files = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// A journey over a directory, which can be put back to its beginning.
struct Scene {
    project: Project,
    /// How it is at the beginning, books included.
    start: PathBuf,
    /// What the journey starts from.
    before: Files,
    args: Vec<&'static str>,
}

impl Scene {
    fn new(prepare: &[&[&str]], args: &[&'static str]) -> Self {
        let project = Project::new(&Account::current());
        for command in prepare {
            project.pgtls(command).run().expect_status(0);
        }
        let start = scratch("start");
        copy(&project.dir, &start);
        Self {
            before: project.files(),
            start,
            args: args.to_vec(),
            project,
        }
    }

    fn reset(&self) {
        copy(&self.start, &self.project.dir);
    }

    fn run(&self) -> Outcome {
        self.project.pgtls(&self.args).run()
    }

    fn undo(&self) -> Outcome {
        self.project.pgtls(&["undo"]).run()
    }

    /// How often the journey makes each call that changes something.
    fn calls(&self) -> Vec<(&'static str, usize)> {
        self.reset();
        let log = scratch("trace").join("log");
        self.strace(&["-o", log.to_str().unwrap()]).expect_status(0);
        let log = fs::read_to_string(log).unwrap();
        CALLS
            .into_iter()
            .map(|call| (call, log.matches(&format!(" {call}(")).count()))
            .collect()
    }

    fn strace(&self, options: &[&str]) -> Outcome {
        Job::new("strace")
            .args(["-f", "-e"])
            .arg(format!("trace={}", CALLS.join(",")))
            .args(options)
            .arg(pgtls_bin())
            .args(&self.args)
            .arg("--dir")
            .arg(&self.project.dir)
            .run()
    }

    /// For each call of the journey: the fault, and what must hold after it.
    fn at_every_call(&self, fault: &str, check: impl Fn(&str, &Outcome)) {
        let mut tried = 0;
        for (call, count) in self.calls() {
            for when in 1..=count {
                self.reset();
                let outcome = self.strace(&[
                    "-o",
                    "/dev/null",
                    "-e",
                    &format!("inject={call}:{fault}:when={when}"),
                ]);
                check(&format!("{fault} at {call} {when}"), &outcome);
                tried += 1;
            }
        }
        assert!(tried > 20, "only {tried} faults were tried");
    }
}

/// Makes `to` an exact copy of `from`.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(entry.path()).unwrap();
        } else {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    Job::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .run()
        .expect_ok("cp");
}

/// Certificates and keys belong together and lead to the root, by openssl's word; keys are nobody else's.
fn whole(project: &Project, when: &str) {
    for (certificate, key) in [
        ("ca/root.crt", "ca/ca.key"),
        ("server/server.crt", "server/server.key"),
        ("clients/app/client.crt", "clients/app/client.key"),
    ] {
        let public = |args: &[&str], file: &str| {
            Job::new("openssl")
                .args(args)
                .arg("-in")
                .arg(project.dir.join(file))
                .run()
                .expect_ok(when)
                .stdout
        };
        assert_eq!(
            public(&["x509", "-noout", "-pubkey"], certificate),
            public(&["pkey", "-pubout"], key),
            "{when}: {certificate} is not of {key}"
        );
        Job::new("openssl")
            .args(["verify", "-CAfile"])
            .arg(project.dir.join("ca/root.crt"))
            .arg(project.dir.join(certificate))
            .run()
            .expect_ok(when);
        let mode = fs::metadata(project.dir.join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{when}: {key}");
    }
}

/// As after a run that nothing disturbed.
fn tidy(project: &Project, when: &str) {
    whole(project, when);
    assert!(
        !project.dir.join(".pgtls/staging").exists(),
        "{when}: something is left in staging"
    );
}

const APPLY: [&str; 6] = ["apply", "--mode", "mtls", "--run", "none", "--yes"];
const CHANGE: [&str; 8] = [
    "apply",
    "--yes",
    "--host",
    "db.example.test",
    "--host",
    "localhost",
    "--client",
    "app",
];

/// After a kill the next run finishes it, and so does `undo` take it back, exactly.
fn killed(scene: &Scene) {
    let left = scratch("left");
    scene.at_every_call("signal=SIGKILL", |when, outcome| {
        assert_eq!(
            outcome.status, None,
            "{when}: it was not killed: {}",
            outcome.stderr
        );
        copy(&scene.project.dir, &left);

        let undone = scene.undo();
        let nothing = undone.status != Some(0);
        assert!(
            scene.project.files() == scene.before,
            "{when}: undo ({}) left {:?}",
            undone.stderr,
            scene.project.files().keys()
        );
        assert!(
            !nothing || undone.stderr.contains("undo") || undone.stderr.contains("no pgtls project"),
            "{when}: {}",
            undone.stderr
        );

        copy(&left, &scene.project.dir);
        scene.run().expect_status(0);
        tidy(&scene.project, when);
        let after = scene.project.files();
        scene.run().expect_status(0);
        assert!(
            after == scene.project.files(),
            "{when}: another run changed files"
        );
    });
}

#[test]
fn killed_at_every_write_of_a_first_apply() {
    if has_strace() {
        killed(&Scene::new(&[], &APPLY));
    }
}

#[test]
fn killed_at_every_write_of_a_change() {
    if has_strace() {
        // A write of before, so that `undo` has something else to take back by mistake.
        let scene = Scene::new(&[&APPLY], &CHANGE);
        let first = scene.before.clone();
        let left = scratch("left");
        scene.at_every_call("signal=SIGKILL", |when, outcome| {
            assert_eq!(
                outcome.status, None,
                "{when}: it was not killed: {}",
                outcome.stderr
            );
            copy(&scene.project.dir, &left);
            scene.run().expect_status(0);
            tidy(&scene.project, when);
            assert!(
                scene.project.files()[Path::new("pgtls.toml")]
                    .1
                    .windows(7)
                    .any(|text| text == b"example"),
                "{when}: the change is not there"
            );
            // Finished, it is taken back as a whole.
            scene.undo().expect_status(0);
            assert!(
                scene.project.files() == first,
                "{when}: undo after the next run is not exact"
            );
            // As it was left, `undo` gives either side of the change or of the write before it, never half.
            copy(&left, &scene.project.dir);
            scene.undo().expect_status(0);
            let files = scene.project.files();
            assert!(
                files == first || files.is_empty(),
                "{when}: undo left {:?}",
                files.keys()
            );
        });
    }
}

/// An `undo` that is killed is finished by the next one.
#[test]
fn killed_at_every_write_of_an_undo() {
    if !has_strace() {
        return;
    }
    let scene = Scene::new(&[&APPLY, &CHANGE], &["undo"]);
    let (changed, original) = {
        let changed = scene.project.files();
        scene.undo().expect_status(0);
        (changed, scene.project.files())
    };
    scene.at_every_call("signal=SIGKILL", |when, outcome| {
        assert_eq!(
            outcome.status, None,
            "{when}: it was not killed: {}",
            outcome.stderr
        );
        // The next run of any kind brings it to one side.
        scene.project.pgtls(&["apply", "--yes"]).run().expect_status(0);
        tidy(&scene.project, when);
        let files = scene.project.files();
        assert!(
            files == changed || files == original,
            "{when}: neither side: {:?}",
            files.keys()
        );
    });
}

/// The kernel refuses: nothing has changed, and the message says what and what to do, or the run went on without it.
fn refused(error: &str, words: &str, prepare: &[&[&str]], args: &[&'static str]) {
    if !has_strace() {
        return;
    }
    let scene = Scene::new(prepare, args);
    scene.at_every_call(&format!("error={error}"), |when, outcome| {
        let files = scene.project.files();
        match outcome.status {
            Some(0) => whole(&scene.project, when),
            Some(3) => {
                assert!(
                    files == scene.before,
                    "{when}: not as before: {:?}\n{}",
                    files.keys(),
                    outcome.stderr
                );
                assert!(outcome.stderr.contains(words), "{when}: {}", outcome.stderr);
                for jargon in ["os error", "Os {", "panicked", "ENOSPC", "EIO"] {
                    assert!(!outcome.stderr.contains(jargon), "{when}: {}", outcome.stderr);
                }
            }
            status => panic!("{when}: status {status:?}\n{}", outcome.stderr),
        }
        scene.run().expect_status(0);
        tidy(&scene.project, when);
    });
}

#[test]
fn no_room_at_any_write_of_a_first_apply() {
    refused("ENOSPC", "disk is full", &[], &APPLY);
}

#[test]
fn no_room_at_any_write_of_a_change() {
    refused("ENOSPC", "disk is full", &[&APPLY], &CHANGE);
}

/// A file system without the flags of renameat2 (some network shares).
#[test]
fn a_file_system_that_cannot_exchange_is_written_too() {
    if !has_strace() {
        return;
    }
    for scene in [Scene::new(&[], &APPLY), Scene::new(&[&APPLY], &CHANGE)] {
        scene
            .strace(&["-o", "/dev/null", "-e", "inject=renameat2:error=EINVAL"])
            .expect_status(0);
        whole(&scene.project, "without exchange");
        scene.undo().expect_status(0);
        assert!(scene.project.files() == scene.before);
    }
}

/// A real file system that is full, of every size that is too small.
#[test]
fn a_full_file_system_is_left_as_it_was() {
    if !Account::is_root() {
        return skip("mounting a small file system takes root", false);
    }
    let mut failed = 0;
    for kib in (4..200).step_by(12) {
        let mount = Mount::tmpfs(&format!("size={kib}k"));
        let outcome = pgtls(APPLY).arg("--dir").arg(&mount.at).run();
        if outcome.status == Some(0) {
            continue;
        }
        failed += 1;
        let outcome = outcome.expect_status(3);
        assert!(outcome.stderr.contains("disk is full"), "{}", outcome.stderr);
        let left: Vec<_> = fs::read_dir(&mount.at).unwrap().flatten().collect();
        assert!(left.is_empty(), "{kib} KiB: {left:?}");
    }
    assert!(failed > 2, "no size was too small");
}

#[test]
fn a_read_only_directory_is_named() {
    let project = Project::new(&Account::ordinary());
    fs::set_permissions(&project.dir, fs::Permissions::from_mode(0o555)).unwrap();
    let outcome = project.pgtls(&APPLY).run().expect_status(3);
    assert!(
        outcome.stderr.contains(project.dir.to_str().unwrap()) && outcome.stderr.contains("permission"),
        "{}",
        outcome.stderr
    );
    if Account::is_root() {
        let mount = Mount::tmpfs("ro");
        let outcome = pgtls(APPLY).arg("--dir").arg(&mount.at).run().expect_status(3);
        assert!(outcome.stderr.contains("read-only"), "{}", outcome.stderr);
    }
}

/// One at a time: whoever comes second is told who is at it, and what the first wrote is whole.
#[test]
fn two_at_once_are_one_after_the_other() {
    let project = Project::new(&Account::ordinary());
    for _ in 0..5 {
        let running: Vec<_> = (0..4).map(|_| project.pgtls(&APPLY).start()).collect();
        let outcomes: Vec<_> = running.into_iter().map(support::Running::wait).collect();
        for outcome in &outcomes {
            assert!(
                outcome.status == Some(0)
                    || (outcome.status == Some(3) && outcome.stderr.contains("another")),
                "{:?}: {}",
                outcome.status,
                outcome.stderr
            );
        }
        assert!(outcomes.iter().any(|outcome| outcome.ok));
        whole(&project, "after four at once");
        project.pgtls(&["undo"]).run().expect_status(0);
    }
}

/// What a person put there is not lost: an edit is kept, and what is no file is not written through.
#[test]
fn an_edit_is_kept_and_a_link_is_not_followed() {
    let project = Project::new(&Account::ordinary());
    project.pgtls(&APPLY).run().expect_status(0);
    let hba = project.dir.join("server/pg_hba.conf");
    fs::write(&hba, "host all all all trust # mine\n").unwrap();
    let written = project.files();
    let outcome = project.pgtls(&CHANGE).run().expect_status(0);
    assert!(outcome.stderr.contains("kept"), "{}", outcome.stderr);
    assert_ne!(
        fs::read_to_string(&hba).unwrap(),
        "host all all all trust # mine\n"
    );
    let kept = fs::read_to_string(project.dir.join(".pgtls/kept/server/pg_hba.conf.1")).unwrap();
    assert_eq!(kept, "host all all all trust # mine\n");
    project.pgtls(&["undo"]).run().expect_status(0);
    assert!(project.files() == written, "undo brings back the edit itself");

    let precious = scratch("precious").join("precious");
    fs::write(&precious, "not yours").unwrap();
    fs::remove_file(&hba).unwrap();
    symlink(&precious, &hba).unwrap();
    let outcome = project.pgtls(&CHANGE).run().expect_status(3);
    assert!(
        outcome.stderr.contains("pg_hba.conf") && outcome.stderr.contains("symbolic link"),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read_to_string(&precious).unwrap(), "not yours");
}
