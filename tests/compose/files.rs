//! What is written on request: the files alone, the `docker run` line, a `.env` for an application.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::{Account, Contained, Docker, Job, psql_as};

const TLS: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// The first fenced block of CONNECT.md that runs a container.
fn run_line(it: &Contained) -> String {
    let text = fs::read_to_string(it.dir().join("CONNECT.md")).unwrap();
    let begin = text.find("docker run --detach").unwrap();
    let length = text[begin..].find("```").unwrap();
    text[begin..begin + length].trim().to_owned()
}

#[test]
fn the_files_alone_serve_a_docker_run_line_and_an_application() {
    let Some(docker) = Docker::find().filter(|docker| docker.has("postgres:17")) else {
        return;
    };
    let it = Contained::new(&docker, &Account::current());
    let account = &it.project.account;
    it.pgtls(&[
        "apply",
        "--mode",
        "one-way",
        "--compose",
        "--image",
        "postgres:17",
        "--yes",
    ])
    .args(["--port", &it.project.port.to_string()])
    .run()
    .expect_status(0);
    assert_eq!(it.container(), "", "apply starts nothing");
    // What we write ourselves has no finding that breaks anything.
    let audit = it.pgtls(&["audit", "--json"]).run().expect_status(0).json();
    let worst: Vec<&str> = audit["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| !["low", "info"].contains(&finding["severity"].as_str().unwrap()))
        .map(|finding| finding["id"].as_str().unwrap())
        .collect();
    assert!(worst.is_empty(), "{worst:?}");

    // An engine that tests/run starts has no default network.
    let network = format!("{}-alone", it.name());
    docker.run(&["network", "create", &network]).expect_ok("network");
    let line = run_line(&it).replacen("--detach", &format!("--detach --network {network}"), 1);
    docker
        .given(Job::new("sh"))
        .args(["-c", &line])
        .dir(it.dir())
        .run()
        .expect_ok("the line");
    let conninfo = it.conninfo("app");
    let begun = Instant::now();
    while !psql_as(account, &conninfo, TLS).ok {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "the server never answered"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(psql_as(account, &conninfo, TLS).expect_ok("psql").stdout, "t\n");
    let plain = psql_as(account, &format!("{conninfo} sslmode=disable"), TLS);
    assert!(plain.stderr.contains("no encryption"), "{}", plain.stderr);
    it.pgtls(&["verify"]).run().expect_status(0);
    application(&it);
}

/// An application beside it, with lines of its own: `.env` without and with the password, psql the witness.
fn application(it: &Contained) {
    let app = it.dir().with_extension("app");
    fs::create_dir(&app).unwrap();
    fs::write(app.join(".env"), "SECRET_KEY=theirs\n").unwrap();
    fs::write(app.join(".gitignore"), "node_modules").unwrap();
    let dotenv = |args: &[&str]| {
        it.pgtls(&["connect", "--yes", "--dotenv", app.to_str().unwrap()])
            .args(args)
            .run()
            .expect_status(0)
    };
    let password = fs::read_to_string(it.dir().join("clients/app/passfile")).unwrap();
    let password = password
        .lines()
        .next()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let by_env =
        "set -a; . ./.env; exec psql -XtAc \"select ssl from pg_stat_ssl where pid = pg_backend_pid()\"";
    let by_url = by_env.replace("psql -XtAc", "psql \"$DATABASE_URL\" -XtAc");
    let connects = || {
        for script in [by_env, by_url.as_str()] {
            let answer = Job::new("sh")
                .args(["-c", script])
                .dir(&app)
                .run()
                .expect_ok("psql by .env");
            assert_eq!(answer.stdout, "t\n");
        }
    };
    let mode = || fs::metadata(app.join(".env")).unwrap().permissions().mode() & 0o777;
    dotenv(&[]);
    let text = fs::read_to_string(app.join(".env")).unwrap();
    assert!(
        text.starts_with("SECRET_KEY=theirs\n")
            && text.contains("DATABASE_URL=")
            && !text.contains(&password)
    );
    assert_eq!(
        fs::read_to_string(app.join(".gitignore")).unwrap(),
        "node_modules"
    );
    connects();
    dotenv(&["--with-password"]);
    let text = fs::read_to_string(app.join(".env")).unwrap();
    assert!(
        text.starts_with("SECRET_KEY=theirs\n") && text.contains(&password) && !text.contains("PGPASSFILE")
    );
    assert_eq!(text.matches("DATABASE_URL=").count(), 1);
    assert_eq!(mode(), 0o600);
    assert_eq!(
        fs::read_to_string(app.join(".gitignore")).unwrap(),
        "node_modules\n/.env\n"
    );
    connects();
    // And not over a variable of the person's own.
    fs::write(app.join(".env"), "DATABASE_URL=theirs\n").unwrap();
    let refused = it
        .pgtls(&["connect", "--yes", "--dotenv", app.to_str().unwrap()])
        .run();
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert_eq!(
        fs::read_to_string(app.join(".env")).unwrap(),
        "DATABASE_URL=theirs\n"
    );
    fs::remove_dir_all(app).unwrap();
}
