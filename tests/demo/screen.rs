//! The lesson in a real terminal.

use super::*;

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
    for who in ["client", "server", "eavesdropper", "impostor", "root.crt"] {
        screen.expect(who);
    }
    // Nothing begins before somebody wants it to.
    screen.expect("Enter start");
    assert!(!was_shown(&screen, "StartupMessage"));
    screen.send("\r");
    screen.expect("disable: no TLS. Whoever is on the wire reads along.");
    screen.expect("StartupMessage");
    screen.send("\r");
    shows_words(&screen, "a login that proves the password without sending it");
    notes.expect("1 of 8  disable");
    screen.send("3");
    screen.expect("What is done in between");
    screen.send(" ");
    screen.expect("Enter next act");
    // The first act stands as it ended, and the second has not begun.
    shows_words(&screen, "13 (the truth is 4217)");
    assert!(!was_shown(&screen, "channel binding required but not supported"));
    screen.send(" ");
    screen.expect("channel_binding=require");
    screen.send(" ");
    shows_words(&screen, "channel binding required but not supported");
    shows_words(&screen, "it checks no certificate");
    notes.expect("3 of 8  require");
    screen.send("b");
    screen.expect("█");
    screen.send("b8");
    screen.expect("UNPROTECTED");
    screen.send("\r");
    screen.expect("Only verify-full refuses all 4");
    screen.expect("The end. 1 to 8 plays a scene again, q leaves.");
    screen.send("q");
    assert_eq!(screen.wait(), 0);
    assert!(was_shown(&screen, "Taking the stage down"));
    notes.send("\x03");
    assert_eq!(notes.wait(), 0);
    nothing_is_left(&tmp, &[]);
}

/// Each scene is reached, played, and its outcome stands on the screen; with colours and without.
#[test]
fn every_scene_is_played_on_the_screen() {
    if Postgres::any().is_none() {
        return;
    }
    std::thread::scope(|scope| {
        for (size, colour) in [((80, 24), true), ((120, 40), false)] {
            scope.spawn(move || scene_by_scene(size, colour));
        }
    });
}

/// What is to be seen at the end of each scene, beside what follows from it: in the order of the scenes.
const SEEN: [(&str, &[&str]); 8] = [
    ("disable", &["SELECT balance FROM accounts", "4217"]),
    ("prefer", &["changed 4217 to 13", "13 (the truth is 4217)"]),
    (
        "require",
        &[
            "13 (the truth is 4217)",
            "channel binding required but not supported",
        ],
    ),
    (
        "verify-ca",
        &[
            "certificate verify failed",
            "mail.bank.example",
            "13 (the truth is 4217)",
        ],
    ),
    (
        "verify-full",
        &["certificate verify failed", "does not match host name", "4217"],
    ),
    (
        "Client certificates",
        &[
            "connection requires a valid client certificate",
            "says the same to a client without",
            "tlsv1 alert unknown ca",
            "FATAL: password authentication failed for user \"ann\"",
            "4217",
        ],
    ),
    (
        "Expiry and renewal",
        &["certificate verify failed", "the open session answers, from"],
    ),
    ("All six modes", &["UNPROTECTED", "The end."]),
];

fn scene_by_scene(size: (u16, u16), colour: bool) {
    let (tmp, home) = (temporary(&Account::current()), scratch("home"));
    let mut env = own(&tmp, &home).to_vec();
    if !colour {
        env.push(("NO_COLOR", "1".to_owned()));
    }
    let texts: toml::Table = include_str!("../../assets/demo.toml").parse().unwrap();
    let mut logged = false;
    let mut screen = on_a_terminal(&["demo"], size, &env);
    for (index, (title, seen)) in SEEN.into_iter().enumerate() {
        if index == 0 {
            screen.expect("Enter start");
        }
        // As each of its acts ended.
        let mut ends = String::new();
        play(&mut screen, index + 1, |shown| {
            assert!(shown.contains("q leave"), "{shown}");
            ends.push_str(shown);
            if shown.contains("▸ Bob's, of the right CA") {
                // The password was right: it is the name that the server's own log complains of.
                let log = log_of_the_server(&tmp);
                let says =
                    "certificate validation (clientcert=verify-full) failed for user \"ann\": CN mismatch";
                assert!(log.contains(says), "{log}");
                logged = true;
            }
        });
        let text = |key: &str| texts["scene"][index][key].as_str().unwrap().to_owned();
        shows_words(&screen, &text("means"));
        for words in [title, &text("says"), &format!("{} of 8", index + 1)] {
            shows_words(&screen, words);
        }
        let ends: Vec<_> = ends.split_whitespace().collect();
        let ends = ends.join(" ");
        for words in seen {
            assert!(ends.contains(words), "{words}: {ends}");
        }
    }
    assert!(logged, "the act with another role's certificate was seen");
    // All of them went as they were to.
    screen.expect("✓ ✓ ✓ ✓ ✓ ✓ ✓ ●");
    if !colour {
        screen.is_without_colour();
    }
    screen.send("q");
    assert_eq!(screen.wait(), 0);
    nothing_is_left(&tmp, &[]);
}

/// What the lesson's server has logged.
fn log_of_the_server(tmp: &Path) -> String {
    let lesson = fs::read_dir(tmp).unwrap().flatten().map(|entry| entry.path());
    let places = lesson.chain(homes(tmp));
    let logs = places.filter_map(|place| fs::read_to_string(place.join(".pgtls/log/server.log")).ok());
    logs.collect()
}

/// Whether these words were ever written, in one piece.
fn was_shown(screen: &Pty, words: &str) -> bool {
    contains(&screen.bytes(), words)
}

/// At several moments, by key, by signal, by the end of the terminal, and killed.
#[test]
fn leaving_the_screen_leaves_nothing() {
    if Postgres::any().is_none() {
        return;
    }
    std::thread::scope(|scope| {
        for (scene, moment, way) in [
            ("plaintext", "Setting the stage", "TERM"),
            ("plaintext", "Enter start", "q"),
            ("require", "TLS ClientHello", "q"),
            ("require", "Enter next act", "KILL"),
            ("mutual-tls", "clientcert=verify-full", "HUP"),
            ("renewal", "the open session answers", "the end of the terminal"),
            ("matrix", "UNPROTECTED", "\x03"),
        ] {
            scope.spawn(move || left_at(scene, moment, way));
        }
    });
}

fn left_at(scene: &str, moment: &str, way: &str) {
    let (tmp, home) = (temporary(&Account::current()), scratch("home"));
    let env = own(&tmp, &home);
    let size = (120, 40);
    if way == "the end of the terminal" {
        return hung_up(scene, &tmp, &env);
    }
    let mut screen = on_a_terminal(&["demo", "--scene", scene], size, &env);
    if !["Setting the stage", "Enter start"].contains(&moment) {
        screen.expect("Enter start");
        loop {
            screen.send("\r");
            screen.until("the next act is on", |shown| shown.contains("Enter end of act"));
            let is_there = |shown: &str| shown.contains(moment);
            screen.until(&format!("{moment:?}, or the end of an act"), |shown| {
                is_there(shown) || shown.contains("Enter next act")
            });
            if is_there(&screen.text()) {
                break;
            }
        }
    }
    shows_words(&screen, moment);
    match way {
        "q" | "\x03" => screen.send(way),
        signal => {
            Job::new("kill")
                .args([&format!("-{signal}"), &screen.pid().to_string()])
                .run()
                .expect_ok("kill");
        }
    }
    screen.wait();
    nothing_is_left(&tmp, &[]);
}

/// The terminal itself ends: whoever has its other end is killed, and the kernel hangs up.
fn hung_up(scene: &str, tmp: &Path, env: &[(&'static str, String)]) {
    const TERMINAL: &str = "import fcntl, os, pty, struct, sys, termios\n\
        pid, fd = pty.fork()\n\
        if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n\
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))\n\
        while True:\n    \
            seen = os.read(fd, 4096); sys.stdout.buffer.write(seen); sys.stdout.buffer.flush()\n    \
            if b' start ' in seen: os.write(fd, b'\\r')\n";
    let mut terminal = Job::new("python3")
        .args(["-c", TERMINAL])
        .arg(support::pgtls_bin())
        .args(["demo", "--scene", scene])
        .env("TERM", "xterm-256color")
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    for (name, value) in env {
        terminal = terminal.env(name, value);
    }
    let mut terminal = terminal.start();
    wait_for("psql is connected", Duration::from_secs(60), || {
        assert!(terminal.is_running());
        processes_in(tmp)
            .iter()
            .any(|process| process.contains("psql") && process.contains("sslrootcert="))
            .then_some(())
    });
    terminal.signal("KILL");
    terminal.wait();
    nothing_is_left(tmp, &[]);
}
