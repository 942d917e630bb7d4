//! Whatever a server's files hold and whatever a stage makes of them: taken back, or undone, each is as it was, by its
//! bytes, its mode, its owner and its attributes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/mod.rs"]
mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use pgtls::apply::Project;
use pgtls::apply::live::{Live, LiveChange, Plan, Trial, Wanted};
use pgtls::conf::Dialect;
use pgtls::harden::{ServerFiles, Stage, Wish, plan};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use support::{Account, Job, scratch};
use zeroize::Zeroizing;

/// Bytes, mode, owner, group and one attribute.
type Seen = (Vec<u8>, u32, u32, u32, Option<Vec<u8>>);

const ATTRIBUTE: &str = "user.pgtls-test";

fn seen(dir: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, meta) = (entry.path(), entry.metadata().unwrap());
        assert!(meta.is_file(), "{} is left", path.display());
        let mut value = [0; 64];
        let attribute = getxattr(&path, ATTRIBUTE, &mut value[..]);
        let state = (
            fs::read(&path).unwrap(),
            meta.mode() & 0o7777,
            meta.uid(),
            meta.gid(),
            attribute.ok().map(|length| value[..length].to_vec()),
        );
        all.insert(path, state);
    }
    all
}

/// Lines as they are found in the wild, and worse; each line may end in any way.
fn lines(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![8 => Just(&b"\n"[..]), 2 => Just(&b"\r\n"[..])];
    let line = (prop::sample::select(pieces), end).prop_map(|(text, end)| [text, end].concat());
    (vec(line, 0..12), any::<bool>()).prop_map(|(lines, is_ended)| {
        let mut bytes = lines.concat();
        if !is_ended {
            bytes.truncate(bytes.len().saturating_sub(1));
        }
        bytes
    })
}

const CONF: &[&[u8]] = &[
    b"",
    b"# caf\xe9 \xff\xfe",
    b"\t ",
    b"port = 5433   # a port",
    b"SSL = 'off'\t# for now",
    b"#ssl = on",
    b"ssl off",
    b"ssl_min_protocol_version='TLSv1'",
    b"ssl_max_protocol_version = 'TLSv1.2' # so",
    b"ssl_ciphers = 'HIGH:!aNULL'  ",
    b"ssl_cert_file = '/etc/ssl/certs/it''s.pem'",
    b"work_mem = 4MB;",
    b"include_if_exists 'more.conf'",
    b"log_line_prefix = '%m [%p] '   # '",
];

const HBA: &[&[u8]] = &[
    b"",
    b"# \xc3\xa4\xe4\x80 everybody",
    b"local   all   all                    peer   # six",
    b"host\tall\tall\t127.0.0.1/32\tscram-sha-256",
    b"host    all             all             ::1/128                 md5",
    b"hostssl all all 10.0.0.0 255.0.0.0 scram-sha-256 clientcert=verify-ca",
    b"hostnossl all old 10.0.0.0/8 md5",
    b"hostnogssenc \"all\" app,other 0.0.0.0/0 scram-sha-256",
    b"host replication all samenet trust",
    b"host all evil all reject",
    b"hostgssenc all all all gss",
    b"host \"a \"\"b\" +admins .example.org ldap ldapserver=x ldapprefix=\"cn=\"",
];

fn change(path: &Path, before: Option<Vec<u8>>, after: Option<(Vec<u8>, u32)>) -> LiveChange {
    LiveChange {
        path: path.to_path_buf(),
        before: before.map(Zeroizing::new),
        after: after.map(|(content, mode)| Wanted {
            content: Zeroizing::new(content),
            mode,
            owner: None,
        }),
    }
}

struct Case<'a> {
    kit: &'a Path,
    data: &'a Path,
}

impl Case<'_> {
    fn put(&self, project: &pgtls::apply::Locked, files: &[LiveChange], undoes: Option<u32>) -> Trial {
        let plan = Plan {
            name: "any",
            data: self.data,
            files,
            alteration: None,
            undoes,
            with_previous: false,
            way: None,
        };
        let trial = Live::of(self.kit).begin(project, &plan).unwrap();
        trial.stage(files).unwrap();
        trial.place().unwrap();
        trial
    }
}

/// How a file looks: its mode, and whether it is somebody else's.
type Look = (u32, bool);

/// Lays the three files there.
fn lay(data: &Path, files: [&[u8]; 3], looks: &[Look]) {
    for ((name, bytes), (mode, is_given)) in NAMES.into_iter().zip(files).zip(looks) {
        let path = data.join(name);
        fs::write(&path, bytes).unwrap();
        if *is_given && Account::is_root() {
            let other = Account::ordinary();
            chown(&path, Some(other.uid), Some(other.gid)).unwrap();
        }
        fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
        // Where the file system has none there is none to lose.
        let _ = setxattr(&path, ATTRIBUTE, name.as_bytes(), XattrFlags::empty());
    }
}

const NAMES: [&str; 3] = ["postgresql.conf", "more.conf", "pg_hba.conf"];

/// What a stage makes of them, and a new file; `None` where it can make nothing of them.
fn changes(
    data: &Path,
    before: &BTreeMap<PathBuf, Seen>,
    stage: Stage,
    major: u16,
) -> Option<Vec<LiveChange>> {
    let held: BTreeMap<PathBuf, Vec<u8>> = before
        .iter()
        .map(|(path, state)| (path.clone(), state.0.clone()))
        .collect();
    let server = ServerFiles::in_data(data, Dialect::of(major), Box::new(held));
    let wish = Wish {
        pair: Some(("server.crt".to_owned(), "server.key".to_owned())),
        client_ca: Some("root.crt".to_owned()),
        ..Wish::of(stage)
    };
    let draft = plan(&server, &wish).ok()?;
    let mut changes: Vec<_> = draft
        .changes()
        .map(|(path, old, new)| change(path, old, Some((new.to_vec(), 0o600))))
        .collect();
    changes.push(change(
        &data.join("server.key"),
        None,
        Some((b"key".to_vec(), 0o600)),
    ));
    Some(changes)
}

/// There, back before anybody kept it, there again, kept, undone.
fn there_and_back(case: &Case<'_>, changes: &[LiveChange], before: &BTreeMap<PathBuf, Seen>) {
    let project = Project::create(case.kit).unwrap();
    let trial = case.put(&project, changes, None);
    assert!(trial.go_back(|| ()).unwrap().is_some());
    assert_eq!(seen(case.data), *before);

    let kept = case.put(&project, changes, None);
    assert!(kept.keep().unwrap());
    let after = seen(case.data);
    for (path, state) in before {
        let now = &after[path];
        assert_eq!(
            (now.1, now.2, now.3, &now.4),
            (state.1, state.2, state.3, &state.4),
            "{}",
            path.display()
        );
    }
    for change in changes {
        assert_eq!(after[&change.path].0, *change.after.as_ref().unwrap().content);
    }
    let (inverse, edited) = Live::of(case.kit).last().unwrap().unwrap().inverse().unwrap();
    assert!(edited.is_empty());
    let undo = case.put(&project, &inverse, Some(kept.number()));
    assert!(undo.keep().unwrap());
    assert_eq!(seen(case.data), *before);
}

#[test]
fn a_stage_taken_back_or_undone_leaves_every_file_as_it_was() {
    const CASES: u32 = 120;
    let planned = Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let files = (lines(CONF), lines(CONF), lines(HBA));
    let stage = prop::sample::select(&[Stage::On, Stage::Require, Stage::Mtls, Stage::Floor][..]);
    let major = prop::sample::select(&[13_u16, 16, 18][..]);
    let mode = prop::sample::select(&[0o600_u32, 0o640, 0o644][..]);
    let looks = vec((mode, any::<bool>()), 3);
    let outcome = runner.run(
        &(files, stage, major, looks),
        |((conf, more, hba), stage, major, looks)| {
            let (kit, dir) = (scratch("kit"), scratch("files"));
            let data = dir.canonicalize().unwrap();
            let hba = [&b"host all all all scram-sha-256\n"[..], &hba].concat();
            lay(&data, [&conf, &more, &hba], &looks);
            let before = seen(&data);
            if let Some(changes) = changes(&data, &before, stage, major) {
                planned.set(planned.get() + u32::from(changes.len() > 1));
                let case = Case {
                    kit: &kit,
                    data: &data,
                };
                there_and_back(&case, &changes, &before);
            }
            fs::remove_dir_all(&kit).unwrap();
            fs::remove_dir_all(&dir).unwrap();
            Ok(())
        },
    );
    outcome.unwrap();
    let planned = planned.get();
    assert!(
        planned >= CASES / 4,
        "only {planned} were planned: the files are too broken"
    );
}

/// An access control list that lets one account more read, as Linux keeps it (acl(5)).
fn list(reader: u32) -> Vec<u8> {
    const NOBODY_IN_PARTICULAR: u32 = u32::MAX;
    let entries = [
        (0x01_u16, 6_u16, NOBODY_IN_PARTICULAR),
        (0x02, 4, reader),
        (0x04, 0, NOBODY_IN_PARTICULAR),
        (0x10, 4, NOBODY_IN_PARTICULAR),
        (0x20, 0, NOBODY_IN_PARTICULAR),
    ];
    let entries = entries.iter().flat_map(|(tag, rights, id)| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    });
    2_u32.to_le_bytes().into_iter().chain(entries).collect()
}

/// A file that another account reads by an access control list is read by it afterwards, and by nobody else.
#[test]
fn access_control_lists_stay() {
    let (kit, dir) = (scratch("kit"), scratch("files"));
    let data = dir.canonicalize().unwrap();
    let path = data.join("pg_hba.conf");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let reader = Account::ordinary();
    let given = setxattr(
        &path,
        "system.posix_acl_access",
        &list(reader.uid),
        XattrFlags::empty(),
    );
    let reads = || Job::new("cat").arg(&path).account(&reader).run();
    if given.is_err() {
        support::skip("this file system has no access control lists", false);
    } else if !Account::is_root() {
        support::skip("only root can be another account", false);
    } else {
        assert_eq!(reads().stdout, "old");
        let before = fs::metadata(&path).unwrap().mode();
        let project = Project::create(&kit).unwrap();
        let case = Case {
            kit: &kit,
            data: &data,
        };
        let changes = [change(
            &path,
            Some(b"old".to_vec()),
            Some((b"new".to_vec(), 0o600)),
        )];
        assert!(case.put(&project, &changes, None).keep().unwrap());
        assert_eq!(reads().stdout, "new");
        assert_eq!(fs::metadata(&path).unwrap().mode(), before);
        let mut value = [0; 64];
        let length = getxattr(&path, "system.posix_acl_access", &mut value[..]).unwrap();
        assert_eq!(value[..length], list(reader.uid));
    }
    fs::remove_dir_all(&kit).unwrap();
    fs::remove_dir_all(&dir).unwrap();
}
