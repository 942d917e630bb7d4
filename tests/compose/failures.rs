//! What goes wrong around containers: found before anything is started where it can be, told with its remedy, and mended
//! by running again.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{Account, Alone, Contained, Docker, Job, Outcome, pgtls_bin, psql_as};

const TLS: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

fn engine() -> Option<Docker> {
    Docker::find().filter(|docker| docker.has("postgres:17"))
}

fn works(it: &Contained) {
    let answer = psql_as(&it.project.account, &it.conninfo("app"), TLS).expect_ok("psql");
    assert_eq!(answer.stdout, "t\n");
}

/// Refused for the environment, with these words, and nothing was started.
fn refused(it: &Contained, outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.status, Some(3), "{}{}", outcome.stdout, outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
    }
    assert!(
        outcome.stderr.contains('→') || outcome.stderr.contains("->"),
        "no remedy: {}",
        outcome.stderr
    );
    assert_eq!(it.container(), "", "a container was left");
}

/// `docker` as a script that stands in for it.
fn shim(it: &Contained, script: &str) -> PathBuf {
    let dir = it.dir().with_extension("bin");
    fs::create_dir_all(&dir).unwrap();
    let docker = dir.join("docker");
    fs::write(&docker, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn path_with(dir: &Path) -> String {
    format!("{}:{}", dir.display(), std::env::var("PATH").unwrap())
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "never: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn what_this_machine_lacks_is_said_before_anything_is_started() {
    let Some(docker) = engine() else { return };
    let it = Contained::new(&docker, &Account::current());
    let up = |it: &Contained| {
        it.pgtls(&[
            "up",
            "--mode",
            "one-way",
            "--run",
            "compose",
            "--image",
            "postgres:17",
            "--yes",
        ])
        .args(["--port", &it.project.port.to_string()])
    };
    // No engine at that address.
    let none = up(&it)
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .run();
    refused(&it, &none, &["engine"]);
    // No docker at all.
    let empty = it.dir().with_extension("none");
    fs::create_dir_all(&empty).unwrap();
    let absent = up(&it).env("PATH", empty.as_os_str()).run();
    refused(&it, &absent, &["docker"]);
    // An engine with other files than ours.
    let far = up(&it).env("DOCKER_HOST", "tcp://192.0.2.7:2376").run();
    refused(&it, &far, &["192.0.2.7"]);
    // Podman under Docker's name.
    let podman = shim(
        &it,
        "echo 'Emulate Docker CLI using podman.' >&2\ncase $1 in info) echo '{\"host\":{\"buildahVersion\":\"1.33\"}}';; *) exit 125;; esac",
    );
    let podman = up(&it).env("PATH", path_with(&podman)).run();
    refused(&it, &podman, &["podman"]);
    // Compose as a plugin is missing, as clients of two ages say it.
    for says in [
        "docker: 'compose' is not a docker command.",
        "docker: unknown command: docker compose",
    ] {
        let real = Job::new("sh").args(["-c", "command -v docker"]).run().stdout;
        let script = format!(
            "case $1 in compose) echo \"{says}\" >&2; exit 1;; esac\nexec {} \"$@\"",
            real.trim()
        );
        let dir = shim(&it, &script);
        let missing = up(&it).env("PATH", path_with(&dir)).run();
        refused(&it, &missing, &["compose"]);
    }
    // Nothing was written while nothing could be run.
    assert!(!it.dir().join("docker-compose.yml").exists());
    fs::remove_dir_all(it.dir().with_extension("bin")).unwrap();
    fs::remove_dir_all(empty).unwrap();
}

#[test]
fn an_account_without_permission_is_told_so() {
    let Some(docker) = engine().filter(|_| Account::is_root()) else {
        return;
    };
    let it = Contained::new(&docker, &Account::ordinary());
    // The same engine behind a socket that this account may not open.
    let socket = docker.host.trim_start_matches("unix://").to_owned();
    let closed = it.dir().with_extension("closed");
    fs::create_dir_all(&closed).unwrap();
    let own = closed.join("docker.sock");
    std::os::unix::fs::symlink(&socket, &own).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let outcome = it
        .pgtls(&["up", "--mode", "one-way", "--run", "compose", "--yes"])
        .env("DOCKER_HOST", format!("unix://{}", own.display()))
        .run();
    refused(&it, &outcome, &["permission"]);
    fs::remove_dir_all(closed).unwrap();
}

#[test]
fn a_port_that_is_taken_is_found_wherever_it_is() {
    let Some(docker) = engine() else { return };
    let it = Contained::new(&docker, &Account::current());
    let holder = TcpListener::bind(("127.0.0.1", it.project.port)).unwrap();
    refused(&it, &it.up("one-way", "postgres:17", &[]), &["is in use by"]);
    drop(holder);
    // On another address than the loopback's: it matters where every address is published.
    let holder = TcpListener::bind(("127.0.0.9", it.project.port)).unwrap();
    let open = it.up("one-way", "postgres:17", &["--allow", "10.0.0.0/8"]);
    refused(&it, &open, &["is in use by"]);
    it.up("one-way", "postgres:17", &[]).expect_status(0);
    works(&it);
    drop(holder);
    // By another container.
    let other = Contained::new(&docker, &Account::current());
    let port = it.project.port.to_string();
    let taken = other
        .pgtls(&[
            "up",
            "--mode",
            "one-way",
            "--run",
            "compose",
            "--image",
            "postgres:17",
            "--port",
            &port,
            "--yes",
        ])
        .run();
    refused(&other, &taken, &["port"]);
}

#[test]
fn a_volume_that_was_left_is_never_taken_or_deleted_unasked() {
    let Some(docker) = engine().filter(|docker| docker.has("postgres:15")) else {
        return;
    };
    let it = Contained::new(&docker, &Account::current());
    let volume = format!("{}_data", it.name());
    docker.run(&["volume", "create", &volume]).expect_ok("volume");
    // Somebody's data of 17, with a password of theirs.
    let foreign = format!("{}-foreign", it.name());
    docker
        .run(&[
            "run",
            "-d",
            "--name",
            &foreign,
            "-e",
            "POSTGRES_PASSWORD=theirs",
            "-v",
            &format!("{volume}:/var/lib/postgresql/data"),
            "--network",
            "none",
            "postgres:17",
        ])
        .expect_ok("run");
    let sql = |text: &str| docker.run(&["exec", "-u", "postgres", &foreign, "psql", "-XtAc", text]);
    wait_for("the other server", || {
        docker
            .run(&["logs", &foreign])
            .stdout
            .contains("init process complete")
            && sql("select 1").ok
    });
    sql("create role app login password 'theirs'").expect_ok("role");
    sql("create table kept as select 42 as n").expect_ok("table");
    docker.run(&["stop", &foreign]).expect_ok("stop");
    docker.run(&["rm", &foreign]).expect_ok("rm");

    // Another version: refused, and said which.
    let other = it.up("one-way", "postgres:15", &[]);
    assert_eq!(other.status, Some(3), "{}", other.stderr);
    assert!(
        other.stderr.contains("17") && other.stderr.contains("15"),
        "{}",
        other.stderr
    );
    // The same version: not by --yes, which would set passwords in it.
    let unasked = it.up("one-way", "postgres:17", &[]);
    assert_eq!(unasked.status, Some(2), "{}", unasked.stderr);
    assert!(
        unasked.stderr.contains("--adopt") && unasked.stderr.contains(&volume),
        "{}",
        unasked.stderr
    );
    assert_eq!(it.container(), "");
    // Said aloud it is used as it is, and the login holds all the same.
    it.up("one-way", "postgres:17", &["--adopt"]).expect_status(0);
    works(&it);
    let kept = it.docker.run(&[
        "exec",
        "-u",
        "postgres",
        &it.container(),
        "psql",
        "-XtAc",
        "select n from kept",
    ]);
    assert_eq!(kept.stdout, "42\n");
    // From then on it is ours: another image of another version is refused again.
    it.pgtls(&["down"]).run().expect_status(0);
    let other = it.up("one-way", "postgres:15", &[]);
    assert_eq!(other.status, Some(3), "{}", other.stderr);
    it.up("one-way", "postgres:17", &[]).expect_status(0);
    works(&it);
}

#[test]
fn interrupted_and_killed_runs_are_run_again() {
    let Some(docker) = engine() else { return };
    for signal in ["INT", "KILL"] {
        let it = Contained::new(&docker, &Account::current());
        let mut running = it
            .pgtls(&[
                "up",
                "--mode",
                "mtls",
                "--run",
                "compose",
                "--image",
                "postgres:17",
                "--yes",
            ])
            .args(["--port", &it.project.port.to_string()])
            .start();
        wait_for("a container", || {
            !it.container().is_empty() || !running.is_running()
        });
        running.signal(signal);
        let ended = running.wait();
        assert!(!ended.ok, "it had ended by itself: {}", ended.stderr);
        if signal == "INT" {
            let state = docker.run(&["ps", "-q", "--filter", &it.mark()]);
            assert_eq!(state.stdout, "", "an interrupted run leaves no server running");
        }
        it.pgtls(&["up", "--yes"]).run().expect_status(0);
        works(&it);
        it.pgtls(&["verify"]).run().expect_status(0);
    }
}

#[test]
fn a_key_that_only_the_container_was_to_see_keeps_its_owner() {
    let Some(docker) = engine().filter(|_| Account::is_root()) else {
        return;
    };
    let it = Contained::new(&docker, &Account::ordinary());
    let up = format!(
        "umask 077; exec {} up --mode mtls --run compose --image postgres:17 --port {} --yes --json --dir {}",
        pgtls_bin().display(),
        it.project.port,
        it.dir().display()
    );
    docker
        .given(Job::new("sh"))
        .args(["-c", &up])
        .account(&it.project.account)
        .run()
        .expect_status(0);
    works(&it);
    // A wrong owner on the host (root copied a key there) does not matter to the container, which has its own copy.
    let key = it.dir().join("server/server.key");
    std::os::unix::fs::chown(&key, Some(0), Some(0)).unwrap();
    docker.compose(it.dir(), &["restart"]).expect_ok("restart");
    docker
        .compose(it.dir(), &["up", "-d", "--wait"])
        .expect_ok("ready");
    works(&it);
    it.project.account.own(&key);
    // A mode change, with `docker compose` by hand in between.
    docker.compose(it.dir(), &["stop"]).expect_ok("stop");
    let container = it.container();
    it.pgtls(&["up", "--mode", "one-way", "--yes"])
        .run()
        .expect_status(0);
    works(&it);
    assert_eq!(it.container(), container, "a mode is changed by a reload");
    docker.compose(it.dir(), &["down"]).expect_ok("down");
    it.pgtls(&["up", "--mode", "mtls", "--yes"])
        .run()
        .expect_status(0);
    works(&it);
}

#[test]
fn two_projects_of_one_name_do_not_take_each_other_s_containers() {
    let Some(docker) = engine() else { return };
    let it = Contained::new(&docker, &Account::current());
    it.up("one-way", "postgres:17", &[]).expect_status(0);
    // A directory of the same name elsewhere.
    let name = it.dir().file_name().unwrap().to_owned();
    let mut other = Contained::new(&docker, &Account::current());
    other.project.dir.push(&name);
    fs::create_dir(&other.project.dir).unwrap();
    // And 18 one-way, by the way.
    let image = if docker.has("postgres:18") {
        "postgres:18"
    } else {
        "postgres:17"
    };
    other.up("one-way", image, &[]).expect_status(0);
    works(&it);
    works(&other);
    let names = docker
        .run(&["ps", "--format", "{{.Label \"com.docker.compose.project\"}}"])
        .stdout;
    assert!(
        names.lines().any(|line| line == format!("{}-2", it.name())),
        "{names}"
    );
    other
        .pgtls(&["down", "--volumes", "--yes"])
        .run()
        .expect_status(0);
    works(&it);
}

#[test]
fn where_it_runs_is_changed_and_the_old_server_stops() {
    let Some(docker) = engine() else { return };
    let Some(postgres) = crate::support::Postgres::any() else {
        return;
    };
    let it = Contained::new(&docker, &Account::current());
    it.project.up("one-way", &postgres).run().expect_status(0);
    works(&it);
    let moved = it.up("one-way", "postgres:17", &[]).expect_status(0);
    assert!(moved.stderr.contains("stopped the sandbox"), "{}", moved.stderr);
    works(&it);
    assert_ne!(it.container(), "");
    let back = it
        .pgtls(&["up", "--run", "sandbox", "--yes"])
        .arg("--pg-bin")
        .arg(&postgres.bin)
        .run()
        .expect_status(0);
    assert!(back.stderr.contains("stopped the container"), "{}", back.stderr);
    works(&it);
    let state = docker.run(&["ps", "-q", "--filter", &it.mark()]);
    assert_eq!(state.stdout, "");
    // The sandbox's data goes here: a later `down --volumes` is about the container's.
    it.pgtls(&["down", "--volumes", "--yes"]).run().expect_status(0);
    // The compose file went with the first change: whose the volume is, somebody has to say.
    let unasked = it.up("one-way", "postgres:17", &[]);
    assert_eq!(unasked.status, Some(2), "{}", unasked.stderr);
    it.up("one-way", "postgres:17", &["--adopt"]).expect_status(0);
    works(&it);
}

#[test]
fn the_server_comes_back_with_the_engine() {
    let Some(docker) = engine() else { return };
    let mut alone = Alone::wait();
    let it = alone.project(&docker, &Account::current());
    it.up("one-way", "postgres:17", &[]).expect_status(0);
    let container = it.container();
    if alone.restart(&docker).is_none() {
        return;
    }
    wait_for("the server's return", || {
        psql_as(&it.project.account, &it.conninfo("app"), TLS).ok
    });
    works(&it);
    assert_eq!(it.container(), container);
    it.pgtls(&["verify"]).run().expect_status(0);
    it.pgtls(&["up", "--yes"]).run().expect_status(0);
    assert_eq!(it.container(), container, "nothing changed, nothing is made anew");
}

#[test]
fn the_superuser_inside_is_asked_what_no_login_may_ask() {
    let Some(docker) = engine() else { return };
    let it = Contained::new(&docker, &Account::current());
    let up = it.up("mtls", "postgres:17", &[]).expect_status(0).json();
    let holds = |report: &serde_json::Value, id: &str| {
        let probes = report["probes"].as_array().unwrap();
        let probe = probes.iter().find(|probe| probe["id"] == id).unwrap();
        probe["holds"].clone()
    };
    for id in ["hba-has-no-plaintext-way-in", "settings-in-force"] {
        assert_eq!(holds(&up["verify"], id), true, "{id}");
    }
    // And it sees what is wrong: a line that admits plaintext, written behind our back.
    let hba = it.dir().join("server/pg_hba.conf");
    let text = fs::read_to_string(&hba).unwrap();
    fs::write(
        &hba,
        text.replace("host     all", "host app app all scram-sha-256\nhost     all"),
    )
    .unwrap();
    docker
        .compose(
            it.dir(),
            &["exec", "-T", "db", "sh", "/etc/pgtls/entry.sh", "reload"],
        )
        .expect_ok("reload");
    let verify = it.pgtls(&["verify", "--json"]).run();
    assert_eq!(verify.status, Some(1), "{}", verify.stdout);
    assert_eq!(holds(&verify.json(), "hba-has-no-plaintext-way-in"), false);
}

#[test]
fn a_first_start_that_fails_leaves_no_half_made_volume() {
    let Some(docker) = engine() else { return };
    let it = Contained::new(&docker, &Account::current());
    // An image that follows the official one, and has a script that fails when the database is made.
    let image = format!("{}-fails:17", it.name());
    let build = format!(
        "printf 'FROM postgres:17\\nRUN echo exit 1 >/docker-entrypoint-initdb.d/00-fails.sh\\n' | \
         docker build --quiet --network none --tag {image} -"
    );
    docker
        .given(Job::new("sh"))
        .args(["-c", &build])
        .env("DOCKER_BUILDKIT", "0")
        .run()
        .expect_ok("build");
    let failed = it.up("one-way", &image, &[]);
    assert!(!failed.ok, "{}", failed.stdout);
    assert!(failed.stderr.contains("deleted the volume"), "{}", failed.stderr);
    let volumes = docker.run(&["volume", "ls", "-q"]).stdout;
    assert!(!volumes.contains(&format!("{}_data", it.name())), "{volumes}");
    it.up("one-way", "postgres:17", &[]).expect_status(0);
    works(&it);
    docker.run(&["image", "rm", "--force", &image]).expect_ok("rmi");
}

#[test]
fn a_neighbour_dials_the_service_by_its_name_beside_a_db_of_theirs() {
    let Some(docker) = engine() else { return };
    let it = Contained::new(&docker, &Account::current());
    let theirs = "services:\n  db:\n    image: postgres:17\n    entrypoint: [sleep, '600']\n";
    fs::write(it.dir().join("docker-compose.yml"), theirs).unwrap();
    it.up("one-way", "postgres:17", &[]).expect_status(0);
    works(&it);
    let password = fs::read_to_string(it.dir().join("clients/app/passfile")).unwrap();
    let password = password
        .lines()
        .next()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let kit = format!("{}:/kit:ro", it.dir().join("clients/app").display());
    let network = format!("{}_default", it.name());
    let conninfo = "host=db-tls port=5432 dbname=app user=app sslmode=verify-full sslrootcert=/kit/root.crt";
    let neighbour = docker
        .given(Job::new("docker"))
        .args([
            "run",
            "--rm",
            "--network",
            &network,
            "--volume",
            &kit,
            "--env",
            "PGPASSWORD",
        ])
        .args([
            "--entrypoint",
            "psql",
            "postgres:17",
            "-XtAc",
            TLS,
            "-d",
            conninfo,
        ])
        .env("PGPASSWORD", &password)
        .run()
        .expect_ok("psql beside it");
    assert_eq!(neighbour.stdout, "t\n");
    // Theirs was neither started nor changed, and outlives ours.
    let services = docker.compose(it.dir(), &["ps", "--all", "--services"]).stdout;
    assert_eq!(services, "db-tls\n");
    it.pgtls(&["down", "--volumes", "--yes"]).run().expect_status(0);
    assert_eq!(
        fs::read_to_string(it.dir().join("docker-compose.yml")).unwrap(),
        theirs
    );
}
