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
    screen.expect("disable: no TLS. Whoever is on the wire reads along.");
    screen.expect("StartupMessage");
    screen.send("\r");
    shows_words(&screen, "and that is SCRAM's doing");
    notes.expect("1 of 8  disable");
    screen.send("3");
    screen.expect("What is done in between");
    screen.send(" ");
    shows_words(&screen, "channel binding required but not supported");
    shows_words(&screen, "Any certificate will do");
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
    (
        "disable",
        &[
            "SELECT balance FROM accounts",
            "the eavesdropper read the query, and the answer 4217",
        ],
    ),
    (
        "prefer",
        &[
            "made 13 of 4217",
            "without a word, and gave its password in clear",
        ],
    ),
    (
        "require",
        &[
            "the client printed 13 (the truth is 4217)",
            "channel binding required but not supported",
        ],
    ),
    (
        "verify-ca",
        &["the one for mail.bank.example got through, and the client printed 13"],
    ),
    (
        "verify-full",
        &["right after it, before anything was sent; the true server answered 4217"],
    ),
    (
        "Client certificates",
        &["connection requires a valid client certificate", "Ann: 4217"],
    ),
    (
        "Expiry and renewal",
        &[
            "certificate verify failed",
            "answered throughout, by the same server process",
        ],
    ),
    (
        "All six modes",
        &["UNPROTECTED", "refuses 4 impostors; no other does"],
    ),
];

fn scene_by_scene(size: (u16, u16), colour: bool) {
    let (tmp, home) = (temporary(&Account::current()), scratch("home"));
    let mut env = own(&tmp, &home).to_vec();
    if !colour {
        env.push(("NO_COLOR", "1".to_owned()));
    }
    let texts: toml::Table = include_str!("../../assets/demo.toml").parse().unwrap();
    let mut screen = on_a_terminal(&["demo"], size, &env);
    for (index, (title, seen)) in SEEN.into_iter().enumerate() {
        if index == 0 {
            screen.expect("StartupMessage");
        }
        // What is still to be shown comes at once.
        screen.send(&format!("{}\r", index + 1));
        let text = |key: &str| texts["scene"][index][key].as_str().unwrap().to_owned();
        shows_words(&screen, &text("means"));
        for words in [title, &text("says"), &format!("{} of 8", index + 1)] {
            shows_words(&screen, words);
        }
        for words in seen {
            // What has scrolled away was to be seen, too: the bytes that the terminal got have it.
            screen.until(words, |shown| {
                let all: Vec<_> = shown.split_whitespace().collect();
                all.join(" ").contains(words) || was_shown(&screen, words)
            });
        }
    }
    // All of them went as they were to.
    screen.expect("✓ ✓ ✓ ✓ ✓ ✓ ✓ ●");
    if !colour {
        screen.is_without_colour();
    }
    screen.send("q");
    assert_eq!(screen.wait(), 0);
    nothing_is_left(&tmp, &[]);
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
            ("require", "TLS ClientHello", "q"),
            ("require", "read the query", "KILL"),
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
        while True: sys.stdout.buffer.write(os.read(fd, 4096)); sys.stdout.buffer.flush()\n";
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
