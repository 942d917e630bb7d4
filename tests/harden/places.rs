//! Files that cannot be replaced: on a mount that is read-only, a mount of their own, held by an attribute, of another
//! account. It is said before anything is written, and nothing of the server's is touched. What mounts is done in a mount
//! namespace of its own (unshare(1)).

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::live::{Live, plain};
use crate::support::{Account, Ca, Job, Outcome, Postgres, TestServer, differences, pgtls_bin, skip, tree};

/// A server whose files root can reach, and a project of root's.
fn of_root() -> Option<Live> {
    if !Account::is_root() {
        skip("only root mounts, and sets attributes", false);
        return None;
    }
    let mut live = plain(&Postgres::find(17)?);
    live.account = Account::current();
    live.account.own(&live.kit);
    Some(live)
}

/// Runs pgtls after a command that changes what this process sees of the disk.
fn pgtls_after(live: &Live, before: &str, at: &Path, args: &[&str]) -> Outcome {
    Job::new("unshare")
        .args(["-m", "sh", "-c"])
        .arg(format!("{before} && shift && exec \"$@\""))
        .arg("sh")
        .arg(at)
        .arg(pgtls_bin())
        .args(args)
        .arg("--dir")
        .arg(&live.kit)
        .run()
}

/// The stage is turned down with these words, by the overview as well, and nothing is another.
#[track_caller]
fn turned_down(live: &Live, run: &dyn Fn(&[&str]) -> Outcome, words: &[&str]) {
    let before = tree(&live.server);
    let socket = live.server.socket();
    let data = live.server.data.display().to_string();
    let harden = |more: &[&str]| {
        let mut args = vec!["harden", &socket, "--config-dir", &data];
        args.extend_from_slice(more);
        run(&args)
    };
    let refused = harden(&["--stage", "require", "--yes"]);
    assert!(
        matches!(refused.status, Some(1..=3)),
        "{}{}",
        refused.stdout,
        refused.stderr
    );
    let overview = harden(&[]).expect_status(0);
    let overview = format!("{}{}", overview.stdout, overview.stderr);
    for word in words.iter().chain(&["Nothing was written"]) {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
        assert!(overview.contains(word), "{word}: {overview}");
    }
    let left = differences(&before, &tree(&live.server));
    assert!(left.is_empty(), "{}", left.join("\n"));
    assert!(!live.server.log().contains("SIGHUP"), "nothing was tried");
}

#[test]
fn a_directory_that_is_mounted_read_only() {
    let Some(live) = of_root() else { return };
    let data = &live.server.data;
    let before = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\"";
    turned_down(
        &live,
        &|args| pgtls_after(&live, before, data, args),
        &["mounted read-only", data.to_str().unwrap(), "mount it writable"],
    );
}

#[test]
fn a_file_that_is_a_mount_of_its_own() {
    let Some(live) = of_root() else { return };
    let hba = live.server.data.join("pg_hba.conf");
    let before = "mount --bind \"$1\" \"$1\"";
    turned_down(
        &live,
        &|args| pgtls_after(&live, before, &hba, args),
        &["pg_hba.conf", "mount of its own", "mount the directory"],
    );
}

/// The server is in a container whose file is a mount: whatever takes the file's place here, it reads the old one.
#[test]
fn a_file_that_is_a_mount_for_the_server() {
    if !Account::is_root() {
        return skip("only root mounts", false);
    }
    let Some(postgres) = Postgres::find(16).or_else(|| Postgres::find(18)) else {
        return;
    };
    let server = TestServer::builder(&postgres)
        .hba("host all all all scram-sha-256")
        .mounted("pg_hba.conf")
        .start();
    let mut live = Live::new(server);
    live.account = Account::current();
    live.account.own(&live.kit);
    turned_down(
        &live,
        &|args| live.pgtls(args).run(),
        &["pg_hba.conf", "mount of its own", "mount the directory"],
    );
}

/// Takes an attribute away again, whatever becomes of the test.
struct Held<'a>(&'a Path, &'static str);

impl<'a> Held<'a> {
    fn by(path: &'a Path, attribute: &'static str) -> Option<Self> {
        let set = Job::new("chattr").arg(format!("+{attribute}")).arg(path).run();
        if !set.ok {
            skip("this file system has no such attributes", false);
            return None;
        }
        Some(Self(path, attribute))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        Job::new("chattr").arg(format!("-{}", self.1)).arg(self.0).run();
    }
}

#[test]
fn a_file_or_a_directory_that_an_attribute_holds() {
    let Some(live) = of_root() else { return };
    let data = live.server.data.clone();
    let hba = data.join("pg_hba.conf");
    for (path, attribute) in [(&hba, "i"), (&hba, "a"), (&data, "a")] {
        let Some(_held) = Held::by(path, attribute) else {
            return;
        };
        let off = format!("chattr -{attribute} {}", path.display());
        turned_down(&live, &|args| live.pgtls(args).run(), &[&off]);
    }
    // One that is held since is not half undone either.
    live.in_force("on", &[]);
    let on = tree(&live.server);
    live.in_force("require", &[]);
    let required = tree(&live.server);
    {
        let Some(_held) = Held::by(&hba, "i") else { return };
        let refused = live.pgtls(&["undo"]).run().expect_status(3);
        assert!(refused.stderr.contains("chattr -i"), "{}", refused.stderr);
        let left = differences(&required, &tree(&live.server));
        assert!(left.is_empty(), "{}", left.join("\n"));
        assert!(!live.app("sslmode=disable").ok, "it is in force still");
    }
    live.undo();
    let left = differences(&on, &tree(&live.server));
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// The server's account may read the file, and neither write it nor give another its owner.
#[test]
fn a_file_of_another_account() {
    if !Account::is_root() {
        return skip("only root gives files away", false);
    }
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres);
    let group = Account::server().gid;
    let data = live.server.data.clone();
    let hba = data.join("pg_hba.conf");
    let run = |args: &[&str]| live.pgtls(args).run();

    chown(&hba, Some(0), Some(group)).unwrap();
    fs::set_permissions(&hba, fs::Permissions::from_mode(0o640)).unwrap();
    turned_down(&live, &run, &["pg_hba.conf", "belongs to user id 0", "as root"]);

    // Nor may it be of a group that the account is not in.
    chown(&hba, Some(Account::server().uid), Some(0)).unwrap();
    turned_down(&live, &run, &["pg_hba.conf", "belongs to the group 0", "as root"]);

    // The directory of the rules is root's.
    chown(&hba, Some(Account::server().uid), Some(group)).unwrap();
    let etc = live.server.dir().join("etc");
    fs::create_dir(&etc).unwrap();
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&hba, etc.join("pg_hba.conf")).unwrap();
    std::os::unix::fs::symlink("../etc/pg_hba.conf", &hba).unwrap();
    turned_down(&live, &run, &["pg_hba.conf", "may not write in", "as root"]);

    // Root may, and it stays whose it is.
    let mut live = live;
    live.account = Account::current();
    live.account.own(&live.kit);
    chown(etc.join("pg_hba.conf"), Some(0), Some(group)).unwrap();
    let before = tree(&live.server);
    live.in_force("on", &[]);
    live.in_force("require", &[]);
    assert!(fs::symlink_metadata(&hba).unwrap().is_symlink());
    let meta = fs::metadata(&hba).unwrap();
    assert_eq!(
        (
            std::os::unix::fs::MetadataExt::uid(&meta),
            meta.permissions().mode() & 0o777
        ),
        (0, 0o640)
    );
    live.undo();
    live.undo();
    let left = differences(&before, &tree(&live.server));
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// `pgtls renew` says the same of the pair.
#[test]
fn a_pair_that_cannot_be_replaced() {
    if !Account::is_root() {
        return skip("only root mounts, and sets attributes", false);
    }
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let company = Ca::new("company");
    let mut live = Live::new(
        TestServer::builder(&postgres)
            .tls(&company.server(&["localhost"]))
            .start(),
    );
    live.account = Account::current();
    live.account.own(&live.kit);
    let next = company.server(&["localhost"]);
    let conninfo = format!("{} sslrootcert={}", live.server.socket(), company.cert.display());
    let data = live.server.data.clone();
    let directory = data.display().to_string();
    let [cert, key] = [&next.cert, &next.key].map(|path| path.display().to_string());
    let renew = [
        "renew",
        &conninfo,
        "--config-dir",
        &directory,
        "--cert",
        &cert,
        "--key",
        &key,
        "--yes",
    ];
    let before = tree(&live.server);
    let refused = |outcome: Outcome, word: &str| {
        assert!(
            matches!(outcome.status, Some(1..=3)),
            "{word}: {}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        let left = differences(&before, &tree(&live.server));
        assert!(left.is_empty(), "{word}: {}", left.join("\n"));
    };
    let mount = "mount --bind \"$1\" \"$1\"";
    let file = data.join("server.crt");
    refused(pgtls_after(&live, mount, &file, &renew), "mount of its own");
    let read_only = format!("{mount} && mount -o remount,ro,bind \"$1\"");
    refused(pgtls_after(&live, &read_only, &data, &renew), "mounted read-only");
    if let Some(_held) = Held::by(&data.join("server.key"), "i") {
        refused(live.pgtls(&renew).run(), "chattr -i");
    }
    live.pgtls(&renew).run().expect_status(0);
    assert_ne!(before, tree(&live.server));
    if let Some(_held) = Held::by(&file, "i") {
        let stays = tree(&live.server);
        let outcome = live.pgtls(&["undo"]).run().expect_status(3);
        assert!(outcome.stderr.contains("chattr -i"), "{}", outcome.stderr);
        assert!(differences(&stays, &tree(&live.server)).is_empty());
    }
    live.pgtls(&["undo"]).run().expect_status(0);
    let left = differences(&before, &tree(&live.server));
    assert!(left.is_empty(), "{}", left.join("\n"));
}
