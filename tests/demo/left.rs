//! Nothing is left, whatever ends a lesson.

use super::*;

/// However it ends, and whenever: no process and no directory is left.
#[test]
fn whatever_ends_it_nothing_is_left() {
    if Postgres::any().is_none() {
        return;
    }
    let cases = [
        ("INT", "initdb", Account::ordinary()),
        ("KILL", "initdb", Account::ordinary()),
        ("TERM", "postmaster.pid", Account::ordinary()),
        ("KILL", "postmaster.pid", Account::ordinary()),
        ("HUP", "clients/ann/anywhere", Account::ordinary()),
        ("KILL", "clients/ann/anywhere", Account::current()),
    ];
    std::thread::scope(|scope| {
        for (signal, moment, account) in cases {
            scope.spawn(move || ended(signal, moment, &account));
        }
    });
}

fn ended(signal: &str, moment: &str, account: &Account) {
    let tmp = temporary(account);
    let mut lesson = pgtls(["demo", "--json"])
        .env("TMPDIR", &tmp)
        .account(account)
        .start();
    let file = wait_for(&format!("{signal}: {moment}"), Duration::from_secs(60), || {
        let dir = fs::read_dir(&tmp).unwrap().flatten().next()?.path();
        let found = match moment {
            "initdb" => dir.join(".pgtls/data").exists() || processes_in(&dir).len() > 1,
            "postmaster.pid" => dir.join(".pgtls/data/postmaster.pid").exists(),
            below => dir.join(below).exists(),
        };
        found.then_some(dir)
    });
    let root = if Account::is_root() && account.uid == 0 {
        homes(&tmp)
    } else {
        Vec::new()
    };
    assert!(lesson.is_running(), "{signal} at {moment}: it was over already");
    lesson.signal(signal);
    let outcome: Outcome = lesson.wait();
    assert!(!outcome.ok, "{signal} at {moment}");
    assert!(file.starts_with(&tmp));
    nothing_is_left(&tmp, &root);
}
