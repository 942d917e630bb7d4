//! At every stage those who should come in do, others do not, and `undo` gives back the bytes.

use std::fs;
use std::time::Duration;

use crate::live::{Live, plain, wait_until};
use crate::support::{Account, Ca, Job, Leaf, Postgres, TestServer, pgtls, scratch, skip};

const MAJORS: [u16; 4] = [13, 15, 17, 18];

#[test]
fn every_stage_holds_and_can_be_undone() {
    std::thread::scope(|scope| {
        for major in MAJORS {
            scope.spawn(move || {
                let Some(postgres) = Postgres::find(major) else {
                    return;
                };
                stages(&plain(&postgres));
            });
        }
    });
}

fn stages(live: &Live) {
    let before = live.files();
    assert!(!live.app("sslmode=require").ok);
    live.in_force("on", &[]);
    let full = live.full();
    assert!(live.app(&full).expect_ok("verify-full").stdout.contains('t'));
    live.app("sslmode=disable").expect_ok("not required yet");
    let on = live.files();

    live.in_force("require", &[]);
    live.app(&full).expect_ok("verify-full");
    assert!(!live.app("sslmode=disable").ok);
    let require = live.files();
    let hba = fs::read_to_string(live.server.data.join("pg_hba.conf")).unwrap();
    assert!(
        hba.contains("hostssl all             all             127.0.0.1/32            scram-sha-256"),
        "{hba}"
    );
    assert!(
        hba.contains("# six") && hba.contains("local all all trust"),
        "{hba}"
    );

    live.in_force("mtls", &[]);
    assert!(!live.app(&full).ok);
    live.app(&format!("{full} {}", live.certificate()))
        .expect_ok("with the certificate of the kit");
    assert!(!live.app("sslmode=disable").ok);

    live.in_force("floor", &[]);
    live.app(&format!("{full} {}", live.certificate()))
        .expect_ok("floor");

    live.undo();
    live.undo();
    assert!(live.files() == require);
    live.app(&full).expect_ok("without a certificate again");
    live.undo();
    assert!(live.files() == on);
    live.app("sslmode=disable").expect_ok("not required again");
    live.undo();
    assert!(live.files() == before);
    assert!(!live.app("sslmode=require").ok);
}

/// A certificate that signs itself: whoever pins it is told of, and it stays where it is named.
#[test]
fn a_self_signed_certificate_is_replaced_aloud_or_stays() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let leaf = Leaf::self_signed(&["localhost"]);
    let live = Live::new(
        TestServer::builder(&postgres)
            .tls(&leaf)
            .hba("host all all all scram-sha-256")
            .sql("create role app login password 'pw'")
            .start(),
    );
    let pinned = live.kit.join("pinned.crt");
    fs::copy(&leaf.cert, &pinned).unwrap();
    live.account.own(&pinned);
    let pins = || {
        live.app(&format!("sslmode=verify-full sslrootcert={}", pinned.display()))
            .ok
    };
    assert!(pins());
    let notes = |report: &serde_json::Value| report["notes"].to_string();

    let report = live.in_force("on", &[]);
    let said = notes(&report);
    assert!(said.contains("self-signed") && said.contains("pin it"), "{said}");
    assert!(!pins(), "the new one is of another CA");
    live.app(&live.full()).expect_ok("with the root of the kit");
    live.undo();
    assert!(wait_until(Duration::from_secs(60), pins));

    // Whoever names it keeps it.
    let conninfo = format!("{} sslrootcert={}", live.server.socket(), pinned.display());
    for stage in ["on", "require"] {
        let report = live
            .pgtls(&["harden", &conninfo, "--yes", "--stage", stage])
            .arg("--config-dir")
            .arg(&live.server.data)
            .run()
            .expect_status(0)
            .json();
        let said = notes(&report);
        assert!(said.contains("stays") && !said.contains("pin it"), "{said}");
        assert!(pins());
        let kit = live.kit.join("clients/postgres/root.crt");
        live.app(&format!("sslmode=verify-full sslrootcert={}", kit.display()))
            .expect_ok("the kit verifies the certificate that stays");
    }
    assert!(!live.app("sslmode=disable").ok);
}

/// Another certificate of the project comes under names of its own: the server may be started at any moment in between.
#[test]
fn a_pair_in_use_is_never_written_over() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let mut live = plain(&postgres);
    let in_use = |live: &Live| {
        let name = live.server.sql("show ssl_cert_file").stdout.trim().to_owned();
        let bytes = fs::read(live.server.data.join(&name)).unwrap();
        (name, bytes)
    };
    live.in_force("on", &[]);
    let mut seen = vec![in_use(&live)];
    for hosts in [&["a.example"][..], &["a.example", "b.example"], &["c.example"]] {
        let mut args = vec!["--host", "localhost"];
        args.extend(hosts.iter().flat_map(|host| ["--host", host]));
        live.in_force("on", &args);
        let now = in_use(&live);
        let (name, before) = seen.last().unwrap();
        assert_ne!(now.0, *name);
        assert_eq!(fs::read(live.server.data.join(name)).unwrap(), *before);
        assert!(live.server.restart(), "{}", live.server.log());
        live.app(&live.full()).expect_ok("the new pair");
        seen.push(now);
    }
    live.undo();
    assert!(wait_until(Duration::from_secs(60), || in_use(&live) == seen[2]));
    live.app(&live.full()).expect_ok("the pair before");
}

/// A list that has ended refuses everybody of its CA, and says so; those of the project's CA come in by its own list.
#[test]
fn lists_of_other_cas_do_not_shut_the_projects_clients_out() {
    for major in [13, 18] {
        let Some(postgres) = Postgres::find(major) else {
            return;
        };
        let company = Ca::new("company");
        let live = Live::new(
            TestServer::builder(&postgres)
                .tls(&company.server(&["localhost"]))
                .client_ca(&company.cert)
                .client_crl(&company.list(&[], -20, -10))
                .conf("password_encryption = 'scram-sha-256'")
                .hba("hostssl all batch all cert\nhost all all all scram-sha-256")
                .sql("create role app login password 'pw'; create role batch login")
                .start(),
        );
        let root = live.kit.join("company.crt");
        fs::copy(&company.cert, &root).unwrap();
        live.account.own(&root);
        let conninfo = format!("{} sslrootcert={}", live.server.socket(), root.display());
        let before = live.files();
        let report = live
            .pgtls(&["harden", &conninfo, "--yes", "--stage", "mtls", "--client", "app"])
            .arg("--config-dir")
            .arg(&live.server.data)
            .run()
            .expect_status(0)
            .json();
        let said = report["notes"].to_string();
        assert!(said.contains("ended on") && said.contains("--crl FILE"), "{said}");
        assert!(said.contains("holds no list"), "{said}");
        let full = format!("sslmode=verify-full sslrootcert={}", root.display());
        live.app(&format!("{full} {}", live.certificate()))
            .expect_ok("a certificate of the project");
        assert!(!live.app(&full).ok);
        live.undo();
        live.ends_as(&before, true, "undone");
    }
}

#[test]
fn where_it_stands_is_told_and_nothing_is_written() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let live = plain(&postgres);
    let before = live.files();
    let stands = || {
        let report = live
            .pgtls(&["harden", &live.server.socket()])
            .arg("--config-dir")
            .arg(&live.server.data)
            .run()
            .expect_status(0)
            .json();
        let done = report["stages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["in_files"] == true);
        (done.count(), report["next"].clone())
    };
    assert_eq!(stands(), (0, "on".into()));
    assert!(live.files() == before);
    live.in_force("on", &[]);
    // Whoever never watched does not know who still comes without TLS; who saw nobody does.
    assert_eq!(stands(), (1, "watch".into()));
    live.stage("watch", &["--for", "0"]).expect_status(0);
    assert_eq!(stands(), (1, "require".into()));
    let report = live.in_force("require", &[]);
    assert!(
        !report["notes"].to_string().contains("nobody has watched"),
        "{report:#}"
    );
    assert_eq!(stands(), (2, "mtls".into()));
    // What is said to come next can be typed so, and shows no password.
    let conninfo = format!("{} password='hunter2 of old'", live.server.socket());
    let go_on = || {
        let run = pgtls(["harden", &conninfo, "--dir"])
            .arg(&live.kit)
            .arg("--config-dir")
            .arg(&live.server.data)
            .account(&live.account)
            .run()
            .expect_status(0);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
        let (_, next) = run.stderr.split_once("next: pgtls ").unwrap();
        let command = format!("exec \"$0\" {} --yes", next.lines().next().unwrap());
        Job::new("sh")
            .args(["-c", &command])
            .arg(pgtls(["harden"]).program())
            .account(&live.account)
            .run()
            .expect_status(0);
        command
    };
    assert!(go_on().contains("--stage mtls --ask"));
    assert_eq!(stands(), (2, "mtls".into()), "asked for, not demanded");
    assert!(!go_on().contains("--ask"));
    assert_eq!(stands(), (3, "floor".into()));
}

#[test]
fn out_of_reach_its_administrator_gets_a_bundle() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let live = plain(&postgres);
    live.server.sql("create role boss superuser login password 'pw'");
    let stranger = Account::ordinary();
    if stranger == live.account {
        return skip("only root can be another account", false);
    }
    let before = live.files();
    stranger.own(&live.kit);
    let conninfo = format!(
        "host=localhost port={} user=boss password=pw dbname=postgres",
        live.server.port
    );
    let report = live
        .pgtls(&["harden", &conninfo, "--yes", "--stage", "require"])
        .account(&stranger)
        .run()
        .expect_status(3)
        .json();
    assert_eq!(report["in_force"], false);
    assert!(live.files() == before);
    let made = live.kit.join("bundle/require");
    for script in ["apply.sh", "rollback.sh"] {
        Job::new("shellcheck")
            .arg(made.join(script))
            .run()
            .expect_ok(script);
    }
    assert!(
        fs::read_to_string(made.join("RUNBOOK.md"))
            .unwrap()
            .contains("+hostnossl all all all reject")
    );

    // As the administrator would have it there.
    let there = scratch("bundle");
    Job::new("cp")
        .arg("-r")
        .arg(made.join("."))
        .arg(&there)
        .run()
        .expect_ok("cp");
    Job::new("chown")
        .args(["-R", &live.account.name])
        .arg(&there)
        .run()
        .expect_ok("chown");
    let run = |script: &str, more: &[&str]| {
        Job::new("sh")
            .arg(there.join(script))
            .args(more)
            .account(&live.account)
            .run()
            .expect_ok(script)
    };
    run("apply.sh", &[]);
    let root = format!(
        "sslmode=verify-full sslrootcert={}",
        live.kit.join("ca/root.crt").display()
    );
    Job::new("chmod").args(["-R", "a+rX"]).arg(&live.kit).run();
    let holds = wait_until(Duration::from_secs(60), || {
        live.app(&root).ok && !live.app("sslmode=disable").ok
    });
    assert!(holds, "{}", live.server.log());
    run("rollback.sh", &[]);
    live.ends_as(&before, true, "rolled back");

    // Nobody says that it may stay.
    run("apply.sh", &["1"]);
    live.ends_as(&before, true, "nobody kept it");
    fs::remove_dir_all(&there).unwrap();
}

/// For cron: nothing but what is wrong.
#[test]
fn quiet_and_agreed_to_it_says_nothing_but_what_is_wrong() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let live = plain(&postgres);
    let quiet = |stage: &str| {
        pgtls([
            "harden",
            &live.server.socket(),
            "--yes",
            "--quiet",
            "--stage",
            stage,
        ])
        .arg("--config-dir")
        .arg(&live.server.data)
        .arg("--dir")
        .arg(&live.kit)
        .account(&live.account)
        .run()
    };
    let on = quiet("on").expect_status(0);
    assert_eq!((on.stdout.as_str(), on.stderr.as_str()), ("", ""));
    // What is wrong is said.
    let wrong = live.pgtls(&[
        "harden",
        "host=/nowhere user=postgres",
        "--yes",
        "--quiet",
        "--stage",
        "on",
    ]);
    let wrong = wrong.run();
    assert_ne!(wrong.status, Some(0));
    assert!(wrong.stderr.contains("/nowhere"), "{}", wrong.stderr);
}
