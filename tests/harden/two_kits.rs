//! One server, two kits: while a try of one waits, the other is told so, and touches nothing.

use std::fs;

use crate::live::{plain, wait_until};
use crate::support::{Job, Outcome, Postgres, pgtls, scratch};

#[test]
fn while_one_kit_tries_another_changes_nothing() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres);
    let other = scratch("kit2");
    live.account.own(&other);
    let run = |args: &[&str]| pgtls(args).arg("--dir").arg(&other).account(&live.account).run();
    let socket = live.server.socket();
    let stage = |stage: &str| run(&["harden", &socket, "--yes", "--stage", stage]);
    let data = live.server.data.to_str().unwrap();
    stage("on").expect_status(0);
    // The first kit's certificate stays.
    let conninfo = format!("{socket} sslrootcert={}", other.join("ca/root.crt").display());
    let within = ["--stage", "require", "--confirm-within", "600", "--yes"];
    live.pgtls(&["harden", &conninfo])
        .args(within)
        .run()
        .expect_status(0);
    let tried = live.files();

    let renew = || run(&["renew", &socket, "--config-dir", data, "--yes"]);
    let names_it = |outcome: Outcome| {
        let said = outcome.expect_status(3).stderr;
        let kit = live.kit.to_str().unwrap();
        assert!(said.contains("a try of another kit"), "{said}");
        for word in [
            kit,
            "the stage require waits",
            "--confirm --dir",
            "pgtls undo --dir",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(live.files() == tried);
    };
    names_it(stage("mtls"));
    names_it(stage("floor"));
    names_it(run(&["undo"]));
    names_it(renew());
    let stands = run(&["harden", &socket]).expect_status(0);
    assert!(
        stands.stdout.contains("a try of another kit"),
        "{}",
        stands.stdout
    );
    // It is said what to do, and not that TLS is off.
    assert!(
        stands.stderr.contains("next: what is in the way") && !stands.stderr.contains("TLS is not on yet"),
        "{}",
        stands.stderr
    );

    // Nobody watches any more: what lies there says it still.
    Job::new("pkill")
        .args(["-KILL", "-f", &format!("watchdog --dir {}", live.kit.display())])
        .run()
        .expect_ok("pkill");
    let said = stage("floor").expect_status(3).stderr;
    assert!(said.contains("-before is that file as it was before"), "{said}");
    assert!(said.contains("`mv ") && said.contains("`rm "), "{said}");
    assert!(live.files() == tried);

    // What a kit has decided is in nobody's way, and what it has not is its own to decide.
    live.pgtls(&["harden", "--confirm"]).run().expect_status(0);
    stage("floor").expect_status(0);
    run(&["undo"]).expect_status(0);
    assert!(!live.app("sslmode=disable").ok);
    assert!(wait_until(std::time::Duration::from_secs(60), || live
        .app("sslmode=require")
        .ok));
    drop(fs::remove_dir_all(&other));
}
