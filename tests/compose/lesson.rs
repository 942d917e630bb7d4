//! `pgtls demo --run compose`: the lesson with a server in a container, which is gone with all that belongs to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{
    Account, Docker, Job, Outcome, Pty, Using, pgtls, processes_in, scratch, tag, wait_for,
};

/// However long an engine takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);

fn engine() -> Option<(Docker, Using)> {
    let docker = Docker::find().filter(|docker| docker.has("postgres:17"))?;
    Some((docker, Using::begin()))
}

/// A place for temporary files where nothing else is.
fn temporary(account: &Account) -> PathBuf {
    let dir = scratch(&format!("tmp{}", tag()));
    std::os::unix::fs::chown(&dir, Some(account.uid), Some(account.gid)).unwrap();
    dir
}

/// `pgtls demo --run compose --image postgres:17 ARGS`.
fn lesson(docker: &Docker, tmp: &Path, account: &Account, args: &[&str]) -> Job {
    docker
        .given(pgtls(["demo", "--run", "compose", "--image", "postgres:17"]))
        .args(args)
        .env("TMPDIR", tmp)
        .account(account)
}

/// The directory of the lesson there, once it has a compose file.
fn dir_of(tmp: &Path) -> Option<PathBuf> {
    let dir = fs::read_dir(tmp).unwrap().flatten().next()?.path();
    dir.join("docker-compose.yml").exists().then_some(dir)
}

/// What the engine has of the lesson in that directory: containers, volumes, networks, by compose's own label.
fn in_the_engine(docker: &Docker, dir: &Path) -> String {
    let name = dir.file_name().unwrap().to_string_lossy().to_lowercase();
    let label = format!("label=com.docker.compose.project={name}");
    let volume = format!("name={name}");
    [
        &["ps", "-aq", "--filter", &label][..],
        &["network", "ls", "-q", "--filter", &label],
        &["volume", "ls", "-q", "--filter", &volume],
    ]
    .map(|args| docker.run(args).expect_ok("docker").stdout)
    .concat()
}

/// No directory, no process, and nothing in the engine.
#[track_caller]
fn nothing_is_left(docker: &Docker, tmp: &Path, dir: &Path) {
    wait_for("nothing is left", LONG, || {
        let is_empty = fs::read_dir(tmp).unwrap().next().is_none();
        (is_empty && processes_in(tmp).is_empty() && in_the_engine(docker, dir).is_empty()).then_some(())
    });
}

#[test]
fn every_scene_holds_in_a_container_too() {
    let Some((docker, _using)) = engine() else { return };
    let account = Account::ordinary();
    let tmp = temporary(&account);
    let mut running = lesson(&docker, &tmp, &account, &["--json"]).start();
    let dir = wait_for("the lesson is written", LONG, || dir_of(&tmp));
    // Nobody but this machine reaches it.
    let runs = wait_for("the container runs", LONG, || {
        if !running.is_running() {
            return Some(None);
        }
        let label = format!("label=com.docker.compose.project.working_dir={}", dir.display());
        let format = "{{.ID}} {{.Ports}}";
        let listed = docker.run(&["ps", "--filter", &label, "--format", format]).stdout;
        let (id, ports) = listed.trim().split_once(' ')?;
        Some(Some((id.to_owned(), ports.to_owned())))
    });
    let Some((id, published)) = runs else {
        panic!("it is over already: {:?}", running.wait());
    };
    assert!(
        published.starts_with("127.0.0.1:") && published.ends_with("->5432/tcp"),
        "{published}"
    );
    // Nor does it come back after a restart of the machine, when no keeper is there any more.
    let policy = ["inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", &id];
    let policy = docker.run(&policy).expect_ok("docker").stdout;
    // Compose says nothing, which means no.
    assert!(matches!(policy.trim(), "" | "no"), "{policy}");
    let report = running.wait().expect_status(0).json();
    let scenes = report["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), 8);
    for scene in scenes {
        assert_eq!(scene["holds"], true, "{scene:#}");
    }
    let server = report["server"].as_str().unwrap();
    assert!(
        server.starts_with("PostgreSQL 17 on 127.0.0.1 port ") && server.ends_with(", in a container"),
        "{server}"
    );
    nothing_is_left(&docker, &tmp, &dir);
}

/// At moments of its start and of its scenes, by the one signal that nobody can handle, and by one that everybody should.
#[test]
fn whatever_ends_it_the_engine_has_nothing_of_it() {
    let Some((docker, _using)) = engine() else { return };
    std::thread::scope(|scope| {
        for (signal, moment) in [
            ("KILL", "docker-compose.yml"),
            ("KILL", "home"),
            ("TERM", "docker-compose.yml"),
            ("HUP", "home"),
        ] {
            let docker = &docker;
            scope.spawn(move || ended(docker, signal, moment));
        }
    });
}

fn ended(docker: &Docker, signal: &str, moment: &str) {
    let account = Account::ordinary();
    let tmp = temporary(&account);
    let mut lesson = lesson(docker, &tmp, &account, &["--json"]).start();
    let dir = wait_for("the lesson is written", LONG, || dir_of(&tmp));
    wait_for(moment, LONG, || {
        // Its first start takes longer than this takes to see; then psql is at work.
        let is_there = match moment {
            "home" => processes_in(&tmp)
                .iter()
                .any(|process| process.contains("sslmode=")),
            file => dir.join(file).exists() && !in_the_engine(docker, &dir).is_empty(),
        };
        (is_there || !lesson.is_running()).then_some(())
    });
    assert!(lesson.is_running(), "{signal} at {moment}: it was over already");
    lesson.signal(signal);
    assert!(!lesson.wait().ok, "{signal} at {moment}");
    nothing_is_left(docker, &tmp, &dir);
}

#[test]
fn on_the_screen() {
    let Some((docker, _using)) = engine() else { return };
    let (tmp, home) = (temporary(&Account::current()), scratch("home"));
    let env = [
        ("TMPDIR", tmp.display().to_string()),
        ("HOME", home.display().to_string()),
        ("DOCKER_HOST", docker.host.clone()),
        ("DOCKER_CONFIG", docker.config.display().to_string()),
    ];
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let args = ["demo", "--run", "compose", "--image", "postgres:17"];
    let mut screen = Pty::pgtls(&args, &scratch("here"), (80, 24), &env);
    screen.expect("the container runs on port");
    let dir = dir_of(&tmp).unwrap();
    screen.expect("Enter start");
    // A scene for which the server's rules are changed, and one for which it is asked many times.
    screen.send("6\r");
    for act in [
        "clientcert=verify-full",
        "connection requires a valid client certificate",
        "unknown ca",
        "password authentication failed",
        "client  4217",
    ] {
        screen.expect("Enter next act");
        screen.send("\r\r");
        screen.expect(act);
    }
    screen.expect("The password alone opens nothing now");
    screen.send("8\r");
    screen.expect("Only verify-full refuses all 4");
    screen.send("q");
    assert_eq!(screen.wait(), 0);
    nothing_is_left(&docker, &tmp, &dir);
}

/// What is in the way is said as `pgtls up --run compose` says it.
#[test]
fn what_is_in_the_way_is_said_as_up_says_it() {
    let Some((docker, _using)) = engine() else { return };
    let empty = scratch("empty");
    // An image at a registry that nobody can reach.
    let absent = ["--image", "localhost:1/postgres:17"];
    let here = ["--image", "postgres:17"];
    let none = ("DOCKER_HOST", "unix:///nonexistent/docker.sock".to_owned());
    let mut cases = vec![
        (none, here, Account::current(), "engine"),
        (
            ("PATH", empty.display().to_string()),
            here,
            Account::current(),
            "docker command",
        ),
        (
            ("DOCKER_CONFIG", empty.display().to_string()),
            here,
            Account::current(),
            "compose plugin",
        ),
        (
            ("TERM", "dumb".to_owned()),
            absent,
            Account::current(),
            "could not be pulled",
        ),
    ];
    if Account::is_root() {
        // The same engine behind a socket that this account may not open.
        let closed = scratch("closed");
        let socket = docker.host.trim_start_matches("unix://");
        std::os::unix::fs::symlink(socket, closed.join("docker.sock")).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let host = format!("unix://{}/docker.sock", closed.display());
        cases.push((("DOCKER_HOST", host), here, Account::ordinary(), "may not use"));
    }
    for ((name, value), image, account, words) in cases {
        let tmp = temporary(&account);
        let project = scratch("project");
        std::os::unix::fs::chown(&project, Some(account.uid), Some(account.gid)).unwrap();
        let refused = |job: Job| {
            let outcome = docker
                .given(job)
                .args(image)
                .env("TMPDIR", &tmp)
                .env(name, &value)
                .account(&account)
                .run()
                .expect_status(3);
            said(&outcome)
        };
        let of_up =
            refused(pgtls(["up", "--mode", "mtls", "--run", "compose", "--yes", "--dir"]).arg(&project));
        let of_the_lesson = refused(pgtls(["demo", "--run", "compose"]));
        assert_eq!(of_the_lesson, of_up, "{name}={value}");
        assert!(of_up.contains(words), "{name}={value}: {of_up}");
        assert!(fs::read_dir(&tmp).unwrap().next().is_none(), "{name}={value}");
    }
}

/// The lines that say what failed, and what to do.
fn said(outcome: &Outcome) -> String {
    let lines = outcome.stderr.lines();
    let all: Vec<_> = lines
        .filter(|line| line.starts_with(['✗', '→']) || line.trim_start().starts_with('→'))
        .collect();
    assert!(all.len() >= 2, "{}", outcome.stderr);
    all.join("\n")
}

/// Where it is to run is said in one way.
#[test]
fn a_server_that_is_there_is_not_started_anywhere() {
    for (args, words) in [
        (
            &["--run", "compose", "host=localhost"][..],
            "--run says how a server is started",
        ),
        (
            &["--image", "postgres:17", "host=localhost"],
            "--image says how a server is started",
        ),
        (&["--run", "none"], "--run none starts no server"),
        (&["--run", "somewhere"], "there is no such way to run PostgreSQL"),
        (&["--image", "postgres:17"], "an image is for a container"),
        (
            &["--run", "compose", "--pg-bin", "/usr/bin"],
            "a container brings PostgreSQL's programs along",
        ),
    ] {
        let outcome = pgtls(["demo", "--json"]).args(args).run().expect_status(2);
        assert!(outcome.stderr.contains(words), "{args:?}: {}", outcome.stderr);
    }
}

/// The keeper takes nothing down that no lesson made.
#[test]
fn the_keeper_leaves_a_project_alone() {
    let Some((docker, _using)) = engine() else { return };
    let dir = scratch("pgtls-lesson-not");
    let project = dir.join("project");
    fs::create_dir(&project).unwrap();
    docker
        .given(pgtls([
            "apply",
            "--mode",
            "one-way",
            "--run",
            "compose",
            "--image",
            "postgres:17",
            "--yes",
            "--dir",
        ]))
        .arg(&project)
        .run()
        .expect_status(0);
    assert!(project.join("docker-compose.yml").exists());
    // One that says what it was called for.
    let (bin, record) = (scratch("bin"), scratch("record").join("docker"));
    let script = format!("#!/bin/sh\necho \"$@\" >>'{}'\n", record.display());
    fs::write(bin.join("docker"), script).unwrap();
    fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let kept = docker
        .given(pgtls(["keep-lesson"]))
        .arg(&project)
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .run();
    assert!(!kept.ok && project.join("docker-compose.yml").exists());
    assert!(!record.exists(), "{}", fs::read_to_string(&record).unwrap());
}
