//! Living with a server of pgtls's own: taken back, moved, started by other programs.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::{Account, Outcome, Postgres, Project, pgtls, psql_as};

/// psql as its one client, by the kit.
fn comes_in(project: &Project) -> Outcome {
    let kit = project.kit();
    let conninfo = format!(
        "host=localhost port={} user=app dbname=app sslmode=verify-full sslrootcert={} passfile={}",
        project.port,
        kit.join("root.crt").display(),
        kit.join("passfile").display()
    );
    psql_as(&project.account, &conninfo, "select 1")
}

#[test]
fn with_a_password_that_is_taken_back_its_role_comes_in() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::ordinary());
    project.up("one-way", &postgres).run().expect_status(0);
    let first = fs::read(project.kit().join("passfile")).unwrap();
    let new = project.dir.join("new");
    fs::write(&new, "another-one\n").unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    project.account.own(&new);
    let given = ["--password-file", new.to_str().unwrap()];
    project
        .up("one-way", &postgres)
        .args(given)
        .run()
        .expect_status(0);
    assert_ne!(fs::read(project.kit().join("passfile")).unwrap(), first);
    comes_in(&project).expect_ok("with the new one");
    project.pgtls(&["undo", "--yes"]).run().expect_status(0);
    assert_eq!(fs::read(project.kit().join("passfile")).unwrap(), first);
    comes_in(&project).expect_ok("with the one from before");
}

#[test]
fn a_project_that_is_moved_while_its_server_runs_is_started_again() {
    let Some(postgres) = Postgres::any() else { return };
    let mut project = Project::named(&Account::ordinary(), "here");
    project.up("one-way", &postgres).run().expect_status(0);
    let there = project.dir.with_file_name("there");
    fs::rename(&project.dir, &there).unwrap();
    project.dir = there;
    let said = project.pgtls(&["verify"]).run().expect_status(1).stdout;
    assert!(
        !said.contains(":  is not in force") && !said.contains("( line 0)"),
        "{said}"
    );
    assert!(said.contains("`pgtls down`, then `pgtls up`"), "{said}");
    let again = project.up("one-way", &postgres).run().expect_status(0);
    assert!(
        again.stderr.contains("moved while its server ran"),
        "{}",
        again.stderr
    );
    comes_in(&project).expect_ok("after the move");
}

#[test]
fn data_of_one_version_is_not_run_by_another() {
    let (Some(new), Some(old)) = (Postgres::find(18), Postgres::find(17)) else {
        return;
    };
    let project = Project::new(&Account::ordinary());
    project.up("one-way", &new).run().expect_status(0);
    project.pgtls(&["down"]).run().expect_status(0);
    let refused = project
        .up("one-way", &old)
        .args(["--pg-version", "17"])
        .run()
        .expect_status(3);
    let data = project.dir.join(".pgtls/data");
    for word in [
        "is of PostgreSQL 18",
        data.to_str().unwrap(),
        "use --pg-version 18",
    ] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
}

#[test]
fn a_sandbox_is_audited_by_all_that_it_reads() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::ordinary());
    project.up("one-way", &postgres).run().expect_status(0);
    let said = || {
        pgtls(["audit"])
            .arg(&project.dir)
            .account(&project.account)
            .run()
            .stdout
    };
    let all = said();
    assert!(
        !all.contains("trust-socket") && !all.contains("could not open"),
        "{all}"
    );
    // Where others come to the socket it is told.
    fs::set_permissions(project.dir.join(".pgtls/run"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(said().contains("trust-socket"));
}
