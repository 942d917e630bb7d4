//! The lesson on a person's own server: what it shows there, what it does not, what is refused, and that nothing is left of it.

use super::*;

use support::{Ca, Leaf, TestServer, psql_as};

/// What nobody but the lesson makes.
const MADE: &str = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_[^t]' UNION ALL SELECT datname FROM pg_database \
                    UNION ALL SELECT usename || application_name FROM pg_stat_activity \
                    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1";
const LOOPBACK: &str = "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256";
const OVER_TLS: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256";
const PASSWORD: &str = "of the boss";

/// A server with a login that may make roles and databases, and no more.
fn builder(postgres: &Postgres, hba: &str) -> support::Builder {
    TestServer::builder(postgres)
        .conf("password_encryption = 'scram-sha-256'")
        // What a person has set for himself is not the lesson's affair.
        .conf("search_path = 'nowhere'")
        .hba(hba)
        .sql(&format!(
            "CREATE ROLE boss LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'"
        ))
}

fn boss(server: &TestServer) -> String {
    format!("host=localhost port={} user=boss dbname=postgres", server.port)
}

/// `pgtls demo` on it, with a psql that writes down what it prints.
fn demo(conninfo: &str, tmp: &Path, psql: &Path) -> Job {
    let path = format!("{}:{}", psql.display(), std::env::var("PATH").unwrap());
    pgtls(["demo", "--json", conninfo])
        .env("PGPASSWORD", PASSWORD)
        .env("TMPDIR", tmp)
        .env("PATH", path)
}

/// Roles, databases, sessions, and the server's own files.
#[derive(Debug, PartialEq)]
struct State(String, Vec<String>);

fn state(server: &TestServer) -> State {
    let made = psql_as(&Account::server(), &server.socket(), MADE)
        .expect_ok("psql")
        .stdout;
    let files = [
        "postgresql.conf",
        "postgresql.auto.conf",
        "pg_hba.conf",
        "pg_ident.conf",
    ];
    let read = |file: &str| fs::read_to_string(server.data.join(file)).unwrap();
    State(made, files.map(read).to_vec())
}

#[track_caller]
fn is_as_before(server: &TestServer, before: &State, tmp: &Path) {
    let begun = Instant::now();
    loop {
        let now = state(server);
        if now == *before {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{now:#?} is not {before:#?}\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(4));
    }
    nothing_is_left(tmp, &[]);
}

/// A scene by scene account: `+` as expected, `0` not shown, anything else is neither.
fn account(report: &Value) -> String {
    let sign = |scene: &Value| match (&scene["holds"], &scene["not_shown"]) {
        (Value::Bool(true), Value::Null) => '+',
        (Value::Null, Value::String(_)) => '0',
        _ => '-',
    };
    report["scenes"].as_array().unwrap().iter().map(sign).collect()
}

#[test]
fn it_shows_what_can_be_shown_and_says_what_cannot() {
    let servers: Vec<_> = [13, 18]
        .into_iter()
        .filter_map(Postgres::find)
        .flat_map(|postgres| ["none", "own", "self-signed", "unknown"].map(|tls| (postgres.clone(), tls)))
        .collect();
    std::thread::scope(|scope| {
        for (postgres, tls) in servers {
            scope.spawn(move || shows(&postgres, tls));
        }
    });
}

fn shows(postgres: &Postgres, tls: &str) {
    let ca = Ca::new("the person's own CA");
    let leaf = ca.server(&["db.person.example"]);
    let server = match tls {
        "none" => builder(postgres, LOOPBACK),
        // Whoever has TLS may have shut plaintext out.
        "own" => builder(postgres, OVER_TLS).tls(&leaf),
        "self-signed" => builder(postgres, LOOPBACK).tls(&Leaf::self_signed(&["db.person.example"])),
        _ => builder(postgres, LOOPBACK).tls(&leaf),
    }
    .start();
    let before = state(&server);
    let (programs, record) = programs(postgres);
    let tmp = temporary(&Account::current());
    let conninfo = match tls {
        "own" => format!("{} sslrootcert={}", boss(&server), ca.cert.display()),
        _ => boss(&server),
    };
    // Some scenes cannot be shown, and are not counted as if they had been.
    let run = demo(&conninfo, &tmp, &programs).run().expect_status(4);
    let report = run.json();
    let expected = match tls {
        "own" => "0++++00+",
        "unknown" => "++++0000",
        _ => "+++++00+",
    };
    assert_eq!(account(&report), expected, "{tls}: {report:#}");
    assert_eq!(report["holds"], Value::Null);
    let says = report["server"].as_str().unwrap();
    let (whose, why) = match tls {
        "none" => ("pgtls speaks it in front", "(TLS by pgtls, in front of it)"),
        "own" => (
            "its own certificate for db.person.example (verified by",
            "lets nobody in without TLS",
        ),
        "self-signed" => ("self-signed: the client is given that very certificate", ""),
        _ => (
            "cannot verify (its certificate is issued by CN=the person's own CA",
            "name one with sslrootcert",
        ),
    };
    assert!(says.contains(whose), "{tls}: {says}");
    assert!(run.stdout.contains(why), "{tls}: {}", run.stdout);
    // Whose TLS it is stands where it matters: in front of a server without any it is not the server's.
    let own = run.stdout.matches("(TLS by pgtls, in front of it)").count();
    assert_eq!(own > 0, tls == "none", "{tls}: {}", run.stdout);

    // What the eavesdropper has, looked through by ourselves.
    if tls != "own" {
        let plain = captured(scene(&report, "plaintext"));
        assert!(contains(&plain[0], QUERY) && contains(&plain[0], TRUTH), "{tls}");
    }
    for id in ["require", "verify-ca", "verify-full"] {
        for bytes in captured(scene(&report, id)) {
            assert_eq!(&bytes[..9], b"\0\0\0\x08\x04\xd2\x16\x2fS", "{tls}: {id}");
            assert!(
                !contains(&bytes, "SELECT") && !contains(&bytes, "balance"),
                "{tls}: {id}"
            );
        }
    }
    // What psql printed, by its own record.
    let record = fs::read_to_string(record).unwrap();
    let printed = |mode: &str, what: &str| {
        record.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.any(|word| word == format!("sslmode={mode}")) && line.split('\t').nth(1) == Some(what)
        })
    };
    assert!(printed("require", FORGED), "{record}");
    assert!(!printed("verify-full", FORGED), "{record}");
    assert_eq!(printed("verify-full", TRUTH), tls != "unknown", "{tls}: {record}");
    is_as_before(&server, &before, &tmp);
}

#[test]
fn what_cannot_be_a_stage_is_refused_with_words() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let server = builder(&postgres, LOOPBACK)
        .sql("CREATE ROLE poor LOGIN PASSWORD 'of the boss'")
        .sql("CREATE ROLE half LOGIN CREATEDB PASSWORD 'of the boss'")
        .start();
    let strict = builder(&postgres, "host all boss 127.0.0.1/32 scram-sha-256").start();
    let socket_only = builder(&postgres, "")
        .argument("-c")
        .argument("listen_addresses=")
        .start();
    let servers = [&server, &strict, &socket_only];
    let before = servers.map(state);
    let tmp = temporary(&Account::current());
    let port = server.port;
    let nobody = support::free_port();
    let cases: &[(String, i32, &[&str])] = &[
        (
            "host=192.0.2.1 user=boss".into(),
            2,
            &["loopback only", "192.0.2.1"],
        ),
        (
            format!("host=localhost,192.0.2.1 port={port} user=boss"),
            2,
            &["loopback only", "192.0.2.1"],
        ),
        (
            format!("host=localhost hostaddr=198.51.100.7 port={port} user=boss"),
            2,
            &["198.51.100.7"],
        ),
        (
            format!("host=localhost hostaddr=0.0.0.0 port={port} user=boss"),
            2,
            &["0.0.0.0"],
        ),
        (
            "postgresql://boss@[2001:db8::1]/postgres".into(),
            2,
            &["2001:db8::1", "without a connection string"],
        ),
        ("host=nowhere.invalid user=boss".into(), 1, &["nowhere.invalid"]),
        (
            format!("host=localhost port={nobody} user=boss"),
            1,
            &["connection refused"],
        ),
        (
            format!("host=localhost port={port} user=boss password=wrong dbname=postgres"),
            1,
            &["password"],
        ),
        (
            format!("host=localhost port={port} user=poor dbname=postgres"),
            3,
            &["poor may not", "CREATEROLE and CREATEDB"],
        ),
        (
            format!("host=localhost port={port} user=half dbname=postgres"),
            3,
            &["it lacks CREATEROLE\n", "superuser"],
        ),
        (
            boss(&strict),
            3,
            &[
                "no pg_hba.conf entry",
                "host all all 127.0.0.1/32 scram-sha-256",
                "nothing of yours was changed",
            ],
        ),
        (
            socket_only.socket(),
            3,
            &["over TCP on loopback", "listen_addresses"],
        ),
    ];
    let programs = programs(&postgres).0;
    for (conninfo, status, words) in cases {
        let run = demo(conninfo, &tmp, &programs).run().expect_status(*status);
        for word in *words {
            assert!(run.stderr.contains(word), "{conninfo}: {word}: {}", run.stderr);
        }
        assert!(!run.stderr.contains("os error"), "{}", run.stderr);
    }
    for (server, before) in servers.into_iter().zip(&before) {
        is_as_before(server, before, &tmp);
    }
}

/// A server that lets everybody in without a password; a login over its socket, as superuser; no psql; only `::1`.
#[test]
fn it_is_the_same_where_nobody_needs_a_password() {
    let Some(postgres) = Postgres::any() else { return };
    // Its certificate carries no name but an address.
    let server = builder(&postgres, "host all all ::1/128 trust")
        .tls(&Leaf::self_signed(&["127.0.0.1"]))
        .start();
    let before = state(&server);
    let tmp = temporary(&Account::current());
    let run = pgtls(["demo", "--json", &server.socket()])
        .env("TMPDIR", &tmp)
        .env("PATH", "/nonexistent")
        .run();
    let report = run.expect_status(4).json();
    assert_eq!(account(&report), "+++++00+", "{report:#}");
    assert!(report["server"].as_str().unwrap().contains(" on ::1 port "));
    // An impostor asks for the password though the server would not, and gets it.
    assert!(evidence(scene(&report, "require")).contains("read it: 30 characters"));
    is_as_before(&server, &before, &tmp);
}

/// On a screen: what is not on this machine is refused before anything is drawn, what does not answer is told again behind it.
#[test]
fn on_the_screen_it_is_refused_with_words_too() {
    let env = |tmp: &Path| {
        [
            ("TMPDIR", tmp.display().to_string()),
            ("PGPASSWORD", PASSWORD.to_owned()),
        ]
    };
    let tmp = temporary(&Account::current());
    let open = |conninfo: &str| {
        let env = env(&tmp);
        let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Pty::pgtls(&["demo", conninfo], &scratch("here"), (80, 24), &env)
    };
    let mut far = open("host=192.0.2.1 user=boss");
    assert_eq!(far.wait(), 2);
    shows_words(&far, "on this machine's loopback only: 192.0.2.1 is 192.0.2.1");
    assert!(!contains(&far.bytes(), "\x1b[?1049h"), "no screen was taken");
    let nobody = support::free_port();
    let mut silent = open(&format!("host=localhost port={nobody} user=boss"));
    silent.expect("The lesson could not begin");
    silent.send("q");
    assert_eq!(silent.wait(), 3);
    shows_words(&silent, "the lesson could not go on: logging in to localhost");
    nothing_is_left(&tmp, &[]);
}

/// However it ends, and whenever: no role, no database, no session; and what a killed keeper left, the next lesson removes.
#[test]
fn nothing_is_left_on_the_server_whatever_ends_it() {
    std::thread::scope(|scope| {
        for major in [13, 18] {
            let Some(postgres) = Postgres::find(major) else {
                continue;
            };
            scope.spawn(move || {
                let server = builder(&postgres, LOOPBACK).start();
                let before = state(&server);
                for (signal, moment) in [
                    ("TERM", "role"),
                    ("INT", "database"),
                    ("KILL", "role"),
                    ("KILL", "database"),
                    ("HUP", "session"),
                    ("KILL", "session"),
                ] {
                    ends(&server, &before, signal, moment);
                }
                for way in ["q", "\x03"] {
                    left_by_key(&server, &before, way);
                }
                killed_with_its_keeper(&server, &before);
            });
        }
    });
}

/// Whether the lesson has got that far on the server.
fn has(server: &TestServer, moment: &str) -> bool {
    let from = match moment {
        "role" => "pg_roles WHERE rolname",
        "database" => "pg_database WHERE datname",
        "guest" => "pg_stat_activity WHERE application_name",
        _ => "pg_stat_activity WHERE usename",
    };
    let sql = format!("SELECT count(*) FROM {from} ~ '^pgtls_lesson_'");
    let count = psql_as(&Account::server(), &server.socket(), &sql).expect_ok("psql");
    count.stdout.trim() != "0"
}

fn ends(server: &TestServer, before: &State, signal: &str, moment: &str) {
    let tmp = temporary(&Account::current());
    let mut lesson = demo(&boss(server), &tmp, Path::new("/nonexistent")).start();
    wait_for(moment, Duration::from_secs(60), || {
        (has(server, moment) || !lesson.is_running()).then_some(())
    });
    lesson.signal(signal);
    lesson.wait();
    is_as_before(server, before, &tmp);
}

/// Where the machine is so busy that the keeper begins when the lesson is over and its directory gone.
#[test]
fn a_keeper_that_comes_late_removes_it_all_the_same() {
    if !support::has_strace() {
        return;
    }
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    // The lesson ends as soon as its role is made, which may not log in.
    let server = builder(&postgres, "host all boss 127.0.0.1/32 scram-sha-256").start();
    let before = state(&server);
    let tmp = temporary(&Account::current());
    let lesson = pgtls(["demo", "--json", &boss(&server)]);
    let run = Job::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=execve"])
        .args(["-e", "inject=execve:delay_enter=5s"])
        .arg(lesson.program())
        .args(lesson.arguments())
        .env("PGPASSWORD", PASSWORD)
        .env("TMPDIR", &tmp)
        .run()
        .expect_status(3);
    assert!(run.stderr.contains("no pg_hba.conf entry"), "{}", run.stderr);
    is_as_before(&server, &before, &tmp);
}

/// A server that ends in the middle takes the role with it: that is said, and the next lesson removes it.
#[test]
fn what_could_not_be_removed_is_said() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let mut server = builder(&postgres, LOOPBACK).start();
    let before = state(&server);
    let tmp = temporary(&Account::current());
    let mut lesson = demo(&boss(&server), &tmp, Path::new("/nonexistent")).start();
    wait_for("a role", Duration::from_secs(60), || {
        assert!(lesson.is_running(), "it was over already");
        has(&server, "role").then_some(())
    });
    server.stop();
    let run = lesson.wait();
    assert!(
        matches!(run.status, Some(1 | 3)),
        "{:?} {}",
        run.status,
        run.stderr
    );
    assert!(
        run.stderr.contains("could not be removed from your server"),
        "{}",
        run.stderr
    );
    nothing_is_left(&tmp, &[]);
    assert!(server.restart());
    assert!(has(&server, "role"));
    the_next_one_removes_it(&server, &tmp);
    is_as_before(&server, &before, &tmp);
}

/// What a lesson could not remove, the next one on that server does, and says so.
#[track_caller]
fn the_next_one_removes_it(server: &TestServer, tmp: &Path) {
    let next = demo(&boss(server), tmp, Path::new("/nonexistent"))
        .run()
        .expect_status(4);
    assert!(
        next.stderr.contains("which an earlier lesson had left"),
        "{}",
        next.stderr
    );
}

fn on_a_screen(server: &TestServer, tmp: &Path) -> Pty {
    let home = scratch("home");
    let env = [
        ("TMPDIR", tmp.to_str().unwrap()),
        ("HOME", home.to_str().unwrap()),
        ("PGPASSWORD", PASSWORD),
    ];
    Pty::pgtls(&["demo", &boss(server)], &scratch("here"), (80, 24), &env)
}

fn left_by_key(server: &TestServer, before: &State, way: &str) {
    let tmp = temporary(&Account::current());
    let mut screen = on_a_screen(server, &tmp);
    screen.expect("Enter start");
    screen.send("\r");
    screen.expect("StartupMessage");
    assert!(has(server, "database"));
    screen.send(way);
    assert_eq!(screen.wait(), 0);
    is_as_before(server, before, &tmp);
}

fn killed_with_its_keeper(server: &TestServer, before: &State) {
    let tmp = temporary(&Account::current());
    let mut screen = on_a_screen(server, &tmp);
    screen.expect("Enter start");
    screen.send("\r");
    screen.expect("yours");
    play(&mut screen, 1, |_| {});
    shows_words(&screen, "a login that proves the password without sending it");
    // Another lesson on the same server leaves one that is under way alone.
    let other = temporary(&Account::current());
    let run = demo(&boss(server), &other, Path::new("/nonexistent"))
        .run()
        .expect_status(4);
    assert!(!run.stderr.contains("earlier lesson"), "{}", run.stderr);
    play(&mut screen, 5, |_| {});
    shows_words(&screen, "verify-full adds the name.");
    for process in processes_in(&tmp) {
        let pid = process.split(' ').next().unwrap();
        Job::new("kill").args(["-KILL", pid]).run();
    }
    Job::new("kill")
        .args(["-KILL", &screen.pid().to_string()])
        .run()
        .expect_ok("kill");
    screen.wait();
    assert!(has(server, "role"), "nobody was there to remove it");
    wait_for("the server sees that it is gone", Duration::from_secs(60), || {
        (!has(server, "guest")).then_some(())
    });
    the_next_one_removes_it(server, &other);
    wait_for("the server is as before", Duration::from_secs(60), || {
        (state(server) == *before).then_some(())
    });
}
