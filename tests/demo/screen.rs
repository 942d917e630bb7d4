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
    screen.expect("Without TLS, whoever is on the wire reads along.");
    screen.expect("StartupMessage");
    screen.send("\r");
    screen.expect("SCRAM keeps the password itself");
    notes.expect("1 of 8  Plaintext");
    screen.send("3");
    screen.expect("What is done in between");
    screen.send(" ");
    shows_words(&screen, "channel binding required but not supported");
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
