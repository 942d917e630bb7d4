//! `pgtls demo`: every scene for real, with a psql that keeps its own record; and nothing is left, whatever ends it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::{Account, Job, Outcome, Postgres, Pty, open_to_all, pgtls, processes_in, scratch, wait_for};

const QUERY: &str = "SELECT balance FROM accounts WHERE owner = 'ann'";
const TRUTH: &str = "4217";
const FORGED: &str = "13";

/// A directory of programs: the server's own, and a psql that writes down what it was asked and what it printed.
fn programs(postgres: &Postgres) -> (PathBuf, PathBuf) {
    let dir = scratch("programs");
    let record = scratch("record").join("psql");
    for program in ["postgres", "initdb"] {
        let real = postgres.bin.join(program);
        // PostgreSQL finds its own files from where its program lies.
        let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
        executable(&dir.join(program), &script);
    }
    let psql = ["/usr/lib/postgresql/15/bin/psql", "/usr/bin/psql"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("psql is here");
    let script = format!(
        "#!/bin/bash\n[[ \" $* \" == *' -c '* ]] || exec '{psql}' \"$@\"\nout=$('{psql}' \"$@\")\nstatus=$?\nprintf '%s\\n' \"$out\"\n\
         printf '%s\\t%s\\t%s\\n' $status \"$out\" \"$*\" >>'{}'\nexit $status\n",
        record.display()
    );
    executable(&dir.join("psql"), &script);
    (dir, record)
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn scene<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|scene| scene["id"] == id)
        .unwrap()
}

/// The eavesdropper's bytes, one for each connection.
fn captured(scene: &Value) -> Vec<Vec<u8>> {
    let all = scene["captured"].as_array().unwrap().iter();
    all.map(|bytes| STANDARD.decode(bytes.as_str().unwrap()).unwrap())
        .collect()
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes
        .windows(words.len())
        .any(|window| window == words.as_bytes())
}

fn evidence(scene: &Value) -> String {
    let lines = scene["evidence"].as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A place for temporary files where nothing else is.
fn temporary(account: &Account) -> PathBuf {
    let dir = scratch(&format!("tmp{}", support::tag()));
    if *account != Account::current() {
        std::os::unix::fs::chown(&dir, Some(account.uid), Some(account.gid)).unwrap();
    }
    dir
}

/// No process, no directory, and nothing that is kept elsewhere for root.
#[track_caller]
fn nothing_is_left(tmp: &Path, homes: &[PathBuf]) {
    wait_for("nothing is left", Duration::from_secs(60), || {
        let empty = fs::read_dir(tmp).unwrap().next().is_none();
        (empty && processes_in(tmp).is_empty()).then_some(())
    });
    wait_for("no home is left", Duration::from_secs(60), || {
        homes
            .iter()
            .all(|home| !home.exists() && processes_in(home).is_empty())
            .then_some(())
    });
}

/// The homes of lessons below that place for temporary files that root's servers have now.
fn homes(tmp: &Path) -> Vec<PathBuf> {
    let homes = fs::read_dir("/var/lib/pgtls").into_iter().flatten().flatten();
    homes
        .map(|home| home.path())
        .filter(|home| {
            // Whose it is stands in it.
            let project = fs::read_to_string(home.join("project")).unwrap_or_default();
            Path::new(project.trim_end()).starts_with(tmp)
        })
        .collect()
}

#[test]
fn every_scene_holds_and_the_wire_says_so() {
    let Some(postgres) = Postgres::any() else { return };
    let (programs, record) = programs(&postgres);
    let tmp = temporary(&Account::current());
    let run = pgtls(["demo", "--json", "--pg-bin"])
        .arg(&programs)
        .env("TMPDIR", &tmp)
        .run()
        .expect_status(0);
    let report = run.json();
    let ids: Vec<_> = report["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["id"])
        .collect();
    assert_eq!(
        ids,
        [
            "plaintext",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
            "mutual-tls",
            "renewal",
            "matrix"
        ]
    );
    for scene in report["scenes"].as_array().unwrap() {
        assert_eq!(scene["holds"], true, "{scene:#}");
    }

    // What the eavesdropper has, looked through by ourselves.
    let plain = captured(scene(&report, "plaintext"));
    assert!(contains(&plain[0], QUERY) && contains(&plain[0], TRUTH));
    let prefer = captured(scene(&report, "prefer"));
    assert!(!contains(&prefer[0], QUERY) && contains(&prefer[1], QUERY));
    assert_eq!(
        &prefer[1][..9],
        b"\0\0\0\x08\x04\xd2\x16\x2fN",
        "asked, and told no"
    );
    for id in ["require", "verify-ca", "verify-full", "mutual-tls", "renewal"] {
        let connections = captured(scene(&report, id));
        assert!(connections.len() >= 2, "{id}");
        for bytes in connections {
            assert_eq!(&bytes[..9], b"\0\0\0\x08\x04\xd2\x16\x2fS", "{id}");
            assert!(bytes.len() > 500, "{id}: {} bytes", bytes.len());
            for words in [QUERY, "SELECT", "balance", "database"] {
                assert!(!contains(&bytes, words), "{id}: {words} is on the wire");
            }
        }
    }

    // What psql printed, by its own record.
    let record = fs::read_to_string(record).unwrap();
    let runs: Vec<(&str, &str, &str)> = record
        .lines()
        .map(|line| {
            let mut columns = line.splitn(3, '\t');
            let mut next = || columns.next().unwrap();
            (next(), next(), next())
        })
        .collect();
    let printed = |mode: &str| -> Vec<&str> {
        runs.iter()
            .filter(|(_, _, arguments)| {
                arguments
                    .split_whitespace()
                    .any(|word| word == format!("sslmode={mode}"))
            })
            .map(|(_, printed, _)| *printed)
            .collect()
    };
    assert!(printed("require").contains(&FORGED), "{record}");
    assert!(printed("verify-ca").contains(&FORGED), "{record}");
    let strict = printed("verify-full");
    assert!(strict.contains(&TRUTH) && !strict.contains(&FORGED), "{record}");
    let bound = runs
        .iter()
        .find(|(_, _, arguments)| arguments.contains("channel_binding=require"));
    assert_eq!(
        bound.map(|(status, printed, _)| (*status != "0", *printed)),
        Some((true, ""))
    );

    // Whose words they are.
    assert!(evidence(scene(&report, "verify-full")).contains(
        "server certificate for \"mail.bank.example\" does not match host name \"db.bank.example\""
    ));
    assert!(evidence(scene(&report, "verify-full")).contains("alert 48 (unknown_ca)"));
    assert!(
        evidence(scene(&report, "mutual-tls")).contains("connection requires a valid client certificate")
    );
    assert!(evidence(scene(&report, "renewal")).contains("certificate verify failed"));
    // A password is counted, and never told.
    let passwords = run.stdout.matches("read it: ").count();
    assert!(passwords >= 4, "{passwords}");
    nothing_is_left(&tmp, &[]);
}

/// Without a psql our own client shows the same, as an ordinary account, on other servers.
#[test]
fn without_psql_it_is_the_same() {
    let account = Account::ordinary();
    std::thread::scope(|scope| {
        for major in [13, 18] {
            let account = &account;
            scope.spawn(move || {
                let Some(postgres) = Postgres::find(major) else {
                    return;
                };
                let programs = scratch("programs");
                for program in ["postgres", "initdb"] {
                    symlink(postgres.bin.join(program), programs.join(program)).unwrap();
                }
                let tmp = temporary(account);
                let report = pgtls(["demo", "--json", "--pg-bin"])
                    .arg(&postgres.bin)
                    .env("PATH", "/nonexistent")
                    .env("TMPDIR", &tmp)
                    .account(account)
                    .run()
                    .expect_status(0)
                    .json();
                assert_eq!(report["holds"], true);
                let connections = captured(scene(&report, "require"));
                assert!(!contains(&connections[0], QUERY));
                nothing_is_left(&tmp, &[]);
            });
        }
    });
}

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

#[test]
fn a_scene_can_be_picked_and_a_wrong_name_is_told() {
    if Postgres::any().is_none() {
        return;
    }
    let tmp = temporary(&Account::current());
    let run = pgtls(["demo", "--scene", "verify-full"])
        .env("TMPDIR", &tmp)
        .run()
        .expect_status(0);
    for words in [
        "5 of 8: verify-full",
        "sslmode=verify-full sslrootcert=root.crt",
        "client to server: SSLRequest may we speak TLS?",
        "client: refused: server certificate for \"mail.bank.example\" does not match",
        "1 of 1 scenes went as they were expected to",
    ] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    let wrong = pgtls(["demo", "--scene", "verify-some", "--json"])
        .run()
        .expect_status(2);
    assert!(
        wrong.stderr.contains("plaintext, prefer, require"),
        "{}",
        wrong.stderr
    );
    nothing_is_left(&tmp, &[]);
}

/// The keeper removes nothing that no lesson made.
#[test]
fn the_keeper_leaves_alone_what_is_not_a_lesson() {
    let dir = scratch("pgtls-lesson-not");
    open_to_all(&dir);
    fs::write(dir.join("mine"), "x").unwrap();
    let run = Job::new(support::pgtls_bin())
        .args(["keep-lesson"])
        .arg(&dir)
        .run();
    assert!(!run.ok && dir.join("mine").exists(), "{}", run.stderr);
}

/// Environment of a terminal whose lesson has a home and a place for temporary files of its own.
fn own(tmp: &Path, home: &Path) -> [(&'static str, String); 2] {
    [
        ("TMPDIR", tmp.display().to_string()),
        ("HOME", home.display().to_string()),
    ]
}

fn on_a_terminal(arguments: &[&str], size: (u16, u16), env: &[(&'static str, String)]) -> Pty {
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Pty::pgtls(arguments, &scratch("here"), size, &env)
}

#[test]
fn on_the_screen_with_notes_beside_it() {
    if Postgres::any().is_none() {
        return;
    }
    let (tmp, home) = (temporary(&Account::current()), scratch("home"));
    let env = own(&tmp, &home);
    let mut notes = on_a_terminal(&["demo", "--notes"], (80, 24), &env);
    let mut screen = on_a_terminal(&["demo"], (80, 24), &env);
    screen.expect("Without TLS, whoever is on the wire reads along.");
    screen.expect("StartupMessage");
    screen.send("\r");
    screen.expect("SCRAM keeps the password itself");
    notes.expect("1 of 8  Plaintext");
    screen.send("3");
    screen.expect("What is done in between");
    screen.send(" ");
    // However the lines are broken.
    screen.until("why channel binding stops the impostor", |screen| {
        let words: Vec<_> = screen.split_whitespace().collect();
        words
            .join(" ")
            .contains("channel binding required but not supported")
    });
    screen.expect("require takes any certificate");
    notes.expect("3 of 8  require");
    screen.send("b");
    screen.expect("█");
    screen.send("b8");
    screen.expect("UNPROTECTED");
    screen.send("\r");
    screen.expect("Only the last line stops everybody");
    screen.send("q");
    assert_eq!(screen.wait(), 0);
    notes.send("\x03");
    assert_eq!(notes.wait(), 0);
    nothing_is_left(&tmp, &[]);
}

/// In the middle of a scene, by key, by signal, and killed.
#[test]
fn leaving_the_screen_leaves_nothing() {
    if Postgres::any().is_none() {
        return;
    }
    std::thread::scope(|scope| {
        for way in ["q", "TERM", "KILL", "HUP"] {
            scope.spawn(move || {
                let (tmp, home) = (temporary(&Account::current()), scratch("home"));
                let mut screen = on_a_terminal(&["demo", "--scene", "require"], (120, 40), &own(&tmp, &home));
                screen.expect("TLS ClientHello");
                match way {
                    "q" => screen.send("q"),
                    signal => {
                        Job::new("kill")
                            .args([&format!("-{signal}"), &screen.pid().to_string()])
                            .run()
                            .expect_ok("kill");
                    }
                }
                screen.wait();
                nothing_is_left(&tmp, &[]);
            });
        }
    });
}

#[test]
fn a_recording_replays_to_the_same_screens() {
    if Postgres::any().is_none() {
        return;
    }
    let tmp = temporary(&Account::current());
    let dir = scratch("recording");
    let cast = dir.join("lesson.cast");
    pgtls(["demo", "--auto", "1", "--scene", "plaintext", "--record"])
        .arg(&cast)
        .env("TMPDIR", &tmp)
        .run()
        .expect_status(0);
    // The format's description: a header, then [time, code, data] on lines of their own.
    let text = fs::read_to_string(&cast).unwrap();
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    assert_eq!(
        (&header["version"], &header["width"], &header["height"]),
        (&2.into(), &100.into(), &30.into())
    );
    let cells = |count| std::num::NonZero::new(count).unwrap();
    let mut screen = vt100::Parser::new(cells(30), cells(100), 0);
    let (mut before, mut shown) = (0.0, Vec::new());
    for event in lines {
        let [time, code, data] = event.as_array().unwrap().as_slice() else {
            panic!("{event}")
        };
        assert_eq!(code, "o");
        assert!(time.as_f64().unwrap() >= before, "{time} after {before}");
        before = time.as_f64().unwrap();
        screen.process(data.as_str().unwrap().as_bytes());
        shown.push(screen.screen().contents());
    }
    let last = shown.last().unwrap();
    for words in [
        "Without TLS, whoever is on the wire reads along.",
        "4217",
        "SCRAM keeps the password itself",
        "1 of 8",
    ] {
        assert!(last.contains(words), "{words}: {last}");
    }
    assert!(shown.iter().any(|screen| screen.contains("Setting the stage")));
    // The same frames as a picture that any browser shows.
    let svg = cast.with_extension("svg");
    let script = "import sys, xml.dom.minidom as d; print(d.parse(sys.argv[1]).documentElement.tagName)";
    let parsed = Job::new("python3")
        .args(["-c", script])
        .arg(&svg)
        .run()
        .expect_ok("python3");
    assert_eq!(parsed.stdout.trim(), "svg");
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(
        picture.contains(">4217<") || picture.contains("4217</text>"),
        "the answer is in it"
    );
    nothing_is_left(&tmp, &[]);
}

/// What README shows was recorded by the program, from the scenes as they are today.
#[test]
fn the_picture_of_the_readme_is_current() {
    let picture = include_str!("../assets/demo.svg");
    assert!(picture.len() < 200_000, "{} bytes", picture.len());
    let texts: toml::Table = include_str!("../assets/demo.toml").parse().unwrap();
    for scene in texts["scene"].as_array().unwrap() {
        let id = scene["id"].as_str().unwrap();
        if ["plaintext", "require", "verify-full"].contains(&id) {
            for text in ["says", "title"] {
                let words = scene[text].as_str().unwrap();
                assert!(
                    picture.contains(words),
                    "{id}: {words}: record it anew, see README"
                );
            }
        }
    }
    assert!(include_str!("../README.md").contains("assets/demo.svg"));
}

#[test]
fn the_notes_can_be_printed() {
    let notes = pgtls(["demo", "--notes"]).run().expect_status(0).stdout;
    for words in ["1 of 8  Plaintext", "8 of 8  All six modes", "Next: verify-ca."] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
}
