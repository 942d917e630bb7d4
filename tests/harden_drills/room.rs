//! No room: file systems that are full or read-only, under the server's files or under the kit.

use std::fs;
use std::path::Path;

use super::ground::{End, Ground, plaintext};
use super::support::{Account, Mount, Postgres, TestServer, skip};

/// A server whose `postgresql.conf` and `pg_hba.conf` lie on that file system.
fn ground_on(postgres: &Postgres, mount: &Mount) -> Ground {
    let account = Account::server();
    account.own(&mount.at);
    let conf = mount.at.join("postgresql.conf");
    let hba = mount.at.join("pg_hba.conf");
    fs::write(&conf, format!("hba_file = '{}'\nssl = off\n", hba.display())).unwrap();
    fs::write(
        &hba,
        "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    account.own(&conf);
    account.own(&hba);
    let server = plaintext(postgres)
        .argument("-c")
        .argument(&format!("config_file={}", conf.display()))
        .argument("-c")
        .argument("dynamic_shared_memory_type=mmap")
        .start();
    let mut ground = Ground::of(server);
    ground.etc.clone_from(&mount.at);
    ground
}

/// The bytes of the files of a directory.
fn files(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap_or_default()))
        .collect();
    files.sort();
    files
}

/// Fills a file system but for so many bytes.
fn fill(mount: &Mount, left: u64) {
    let path = mount.at.join("zz-fill");
    let block = vec![0_u8; 4096];
    let mut file = fs::File::create(&path).unwrap();
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(left)).unwrap();
}

#[test]
fn a_full_file_system_under_the_server_s_files() {
    if !Account::is_root() {
        return skip("mounting a small file system takes root", false);
    }
    let Some(postgres) = Postgres::any() else { return };
    let mount = Mount::tmpfs("size=256k");
    let mut ground = ground_on(&postgres, &mount);
    let mut failed = 0;
    for left in [0, 4096, 8192, 12288, 16384, 24576] {
        let when = format!("{left} bytes left");
        fill(&mount, left);
        let before = files(&mount.at);
        let outcome = ground.harden("on", &[]).run();
        ground.settles(&when);
        match outcome.status {
            Some(0) => {
                ground.is_as_planned("on", &when);
                let undone = ground.pgtls(&["undo"]).run();
                assert_eq!(undone.status, Some(0), "{when}: {}", undone.stderr);
            }
            Some(1 | 3) => {
                failed += 1;
                assert!(
                    outcome.stderr.contains("disk is full"),
                    "{when}: {}",
                    outcome.stderr
                );
            }
            status => panic!("{when}: {status:?} {}", outcome.stderr),
        }
        ground.is_as_it_was(&when);
        assert!(files(&mount.at) == before, "{when}: not as it was");
        ground.restarts(&when);
        fs::remove_file(mount.at.join("zz-fill")).unwrap();
    }
    assert!(failed > 0, "no size was too small");
}

/// Full after the try: the way back takes no room.
#[test]
fn a_file_system_that_fills_up_before_it_is_confirmed() {
    if !Account::is_root() {
        return skip("mounting a small file system takes root", false);
    }
    let Some(postgres) = Postgres::any() else { return };
    let (conf, kit) = (Mount::tmpfs("size=256k"), Mount::tmpfs("size=1m"));
    let mut ground = ground_on(&postgres, &conf);
    ground.account.own(&kit.at);
    ground.kit.clone_from(&kit.at);
    let before = files(&conf.at);
    ground
        .harden("on", &["--confirm-within", "3"])
        .run()
        .expect_status(0);
    fill(&conf, 0);
    fill(&kit, 0);
    ground.settles("full");
    fs::remove_file(conf.at.join("zz-fill")).unwrap();
    ground.is_as_it_was("full");
    assert!(files(&conf.at) == before, "not as it was");
    ground.restarts("full");
}

#[test]
fn a_kit_on_a_full_file_system() {
    if !Account::is_root() {
        return skip("mounting a small file system takes root", false);
    }
    let Some(mut ground) = Ground::new() else { return };
    let mut failed = 0;
    for size in [16, 48, 80, 112, 144, 176] {
        let when = format!("{size} KiB");
        let mount = Mount::tmpfs(&format!("size={size}k"));
        ground.account.own(&mount.at);
        let own = std::mem::replace(&mut ground.kit, mount.at.clone());
        let outcome = ground.harden("on", &[]).run();
        let end = ground.ends_as_said("on", &when, &outcome);
        if end == End::AsPlanned {
            ground.undo(&when);
        } else {
            failed += 1;
        }
        ground.kit = own;
    }
    assert!(failed > 0, "no size was too small");
}

#[test]
fn a_read_only_file_system() {
    if !Account::is_root() {
        return skip("mounting takes root", false);
    }
    let Some(postgres) = Postgres::any() else { return };
    let mount = Mount::tmpfs("size=256k");
    let mut ground = ground_on(&postgres, &mount);
    let before = files(&mount.at);
    mount.remount("ro");
    for account in [Account::server(), Account::current()] {
        ground.account = account;
        let outcome = ground.harden("on", &[]).run();
        ground.settles("read-only");
        assert!(
            matches!(outcome.status, Some(1 | 3)),
            "{:?} {}",
            outcome.status,
            outcome.stderr
        );
        assert!(outcome.stderr.contains("read-only"), "{}", outcome.stderr);
        ground.is_as_it_was("read-only");
        assert!(files(&mount.at) == before, "not as it was");
    }
    ground.restarts("read-only");
}

/// Files that belong to somebody else: said, and nothing is half done.
#[test]
fn files_of_somebody_else() {
    if !Account::is_root() {
        return skip("acting as another account takes root", false);
    }
    let Some(mut ground) = Ground::new() else { return };
    ground.account = Account::ordinary();
    ground.account.own(&ground.kit);
    let admin = TestServer::socket(&ground.server).replace("user=postgres", "user=dba password=secret");
    let admin = admin.replace(
        &format!("host={}", ground.server.dir().display()),
        "host=127.0.0.1 sslmode=prefer",
    );
    let outcome = ground.harden_as(&admin, "on", &[]).run();
    assert!(
        matches!(outcome.status, Some(1 | 3)),
        "{:?} {}",
        outcome.status,
        outcome.stderr
    );
    ground.settles("somebody else's");
    ground.account = Account::server();
    ground.is_as_it_was("somebody else's");
}
