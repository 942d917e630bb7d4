//! The lesson's screens: every scene as it ends, at two sizes, and its keys.

use std::time::Duration;

use super::stage::Stage;
use crate::conninfo::SslMode;
use crate::engine::Event;
use crate::engine::demo::{Caller, Frame, Middle, Playground, Scene, Side, Start, Told, Yours};
use crate::setup::Answers;
use crate::verify::modes::{Cell, CellOutcome, Meets};
use crate::wizard::lesson::{self, Auto, Lesson, Message as Happens, Order, Outcome};
use crate::wizard::look::Seen;
use crate::wizard::message::{Effect, Message};

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];
const BASE: &str = "psql \"host=db.bank.example dbname=bank user=ann sslmode=";
const ROOT: &str = " sslrootcert=root.crt\"";

impl Stage {
    /// A lesson whose stage is set.
    fn lesson(size: (u16, u16), auto: Option<Auto>) -> Self {
        let mut stage = Self::new(size);
        let lesson = Lesson::new(true, Scene::ALL.to_vec(), auto, Playground::default());
        lesson::begin(&mut stage.model, lesson);
        stage.happens(Happens::Opened(
            "psql 17.10".into(),
            "PostgreSQL 17 on 127.0.0.1 port 5433".into(),
        ));
        stage.keys("Enter");
        stage
    }

    fn happens(&mut self, message: Happens) -> &mut Self {
        self.send(Message::Lesson(message));
        if let Some(look) = self.look {
            look(self);
        }
        self
    }

    fn told(&mut self, told: Told) -> &mut Self {
        self.happens(Happens::Told(Event::Lesson(told)))
    }

    fn act(&mut self, title: &str, command: &str, middle: Middle) -> &mut Self {
        self.told(Told::Act {
            title: title.into(),
            command: command.into(),
            caller: Caller::Ann,
            middle,
        })
    }

    /// An impostor logs in itself.
    fn impostor_logs_in(&mut self, title: &str, files: &str) -> &mut Self {
        self.told(Told::Act {
            title: title.into(),
            command: format!("{BASE}require{files}\""),
            caller: Caller::Impostor,
            middle: Middle::Nobody,
        })
        .wire(&ASKED)
        .wire(&SEALED[..4])
    }

    fn server(&mut self, says: &str) -> &mut Self {
        self.told(Told::Server(says.into()))
    }

    fn wire(&mut self, frames: &[(char, &str, &str)]) -> &mut Self {
        for (from, name, content) in frames {
            let readable = !name.starts_with("TLS");
            self.told(Told::Wire(Frame {
                from: if *from == '>' { Side::Client } else { Side::Server },
                name: (*name).into(),
                content: (*content).into(),
                readable,
                private: ["Query", "DataRow", "PasswordMessage"].contains(name),
            }));
        }
        self
    }

    fn impostor(&mut self, says: &[&str]) -> &mut Self {
        for says in says {
            self.told(Told::Impostor(format!("impostor: {says}")));
        }
        self
    }

    fn client(&mut self, ok: bool, says: &str) -> &mut Self {
        self.told(Told::Client {
            ok,
            says: says.into(),
        })
    }

    fn played(&mut self, scene: Scene) -> &mut Self {
        let seen = scene.text().expected.clone();
        self.happens(Happens::Played(
            scene,
            Outcome {
                holds: Some(true),
                shown: true,
                observed: seen,
            },
        ))
    }

    /// Everything that happens in a scene, in the words of a real one.
    #[expect(
        clippy::too_many_lines,
        reason = "one scene after the other, which is how it is read"
    )]
    fn plays(&mut self, scene: Scene) -> &mut Self {
        let own = || Middle::Impostor("self-signed certificate".into());
        let other = || Middle::Impostor("mail.bank.example, your CA".into());
        match scene {
            Scene::Plaintext => {
                self.act("Without TLS", &format!("{BASE}disable\""), Middle::Nobody)
                    .wire(&PLAIN)
                    .client(true, "4217");
            }
            Scene::Prefer => {
                let command = format!("{BASE}prefer\"");
                self.act("Nobody but the eavesdropper", &command, Middle::Nobody)
                    .wire(&ASKED)
                    .wire(&SEALED)
                    .client(true, "4217");
                self.act("The impostor answers no", &command, Middle::Downgrader)
                    .wire(&[('>', "SSLRequest", "may we speak TLS?"), ('<', "N", "no")])
                    .wire(&PLAIN[..1])
                    .wire(&[
                        ('<', "Authentication", "your password, in clear, please"),
                        ('>', "PasswordMessage", "the password, in clear: 26 characters"),
                    ])
                    .wire(&PLAIN[4..])
                    .impostor(&THEFT[1..])
                    .client(true, "13 (the truth is 4217)");
            }
            Scene::Require => {
                self.act("A self-signed certificate", &format!("{BASE}require\""), own())
                    .wire(&ASKED)
                    .wire(&SEALED)
                    .impostor(&THEFT)
                    .client(true, "13 (the truth is 4217)");
                let bound = format!("{BASE}require channel_binding=require\"");
                self.act(
                    "Again, with channel_binding=require: only a login tied to the certificate",
                    &bound,
                    own(),
                )
                .wire(&ASKED)
                .wire(&SEALED[..4])
                .impostor(&THEFT[..2])
                .impostor(&["asked for the password in clear, which is no such login: the client broke off"])
                .client(
                    false,
                    "channel binding required but not supported by server's authentication request",
                );
            }
            Scene::VerifyCa => {
                let command = format!("{BASE}verify-ca{ROOT}");
                self.act("A self-signed certificate", &command, own())
                    .wire(&ASKED)
                    .impostor(&["the client broke the handshake off with TLS alert 48 (unknown_ca): I do not know that CA"])
                    .client(false, "SSL error: certificate verify failed");
                self.act(
                    "Wrong name: signed by your own CA, for mail.bank.example",
                    &command,
                    other(),
                )
                .wire(&ASKED)
                .wire(&SEALED)
                .impostor(&THEFT)
                .client(true, "13 (the truth is 4217)");
            }
            Scene::VerifyFull => {
                let command = format!("{BASE}verify-full{ROOT}");
                self.act("A self-signed certificate", &command, own())
                    .wire(&ASKED)
                    .impostor(&["the client broke the handshake off with TLS alert 48 (unknown_ca): I do not know that CA"])
                    .client(false, "SSL error: certificate verify failed");
                self.act("Wrong name: signed by your own CA, for mail.bank.example", &command, other())
                    .wire(&ASKED)
                    .wire(&SEALED[..2])
                    .impostor(&THEFT[..1])
                    .client(
                        false,
                        "server certificate for \"mail.bank.example\" does not match host name \"db.bank.example\"",
                    );
                self.act(
                    "The true server, under the name that was dialled",
                    &command,
                    Middle::Nobody,
                )
                .wire(&ASKED)
                .wire(&SEALED)
                .client(true, "4217");
            }
            Scene::MutualTls => {
                self.act("The theft, as in scene 3", &format!("{BASE}require\""), own())
                    .wire(&ASKED)
                    .wire(&SEALED)
                    .impostor(&THEFT)
                    .client(true, "13 (the truth is 4217)");
                self.act(
                    "The server's owner now demands a client certificate, too",
                    "hostssl bank ann 127.0.0.1/32 scram-sha-256 clientcert=verify-full",
                    Middle::Alone,
                )
                .server("pg_hba.conf has this line now, and was read again.");
                self.impostor_logs_in("Stolen password alone", "")
                    .client(false, "FATAL: connection requires a valid client certificate")
                    .server("says the same to a client without any password: it was not even asked for");
                self.impostor_logs_in(
                    "With a certificate of another CA",
                    " sslcert=other-ca.crt sslkey=other-ca.key",
                )
                .client(false, "SSL error: tlsv1 alert unknown ca")
                .server("broke the handshake off with the alert unknown_ca: I do not know that CA");
                self.impostor_logs_in("Bob's, of the right CA", " sslcert=bob.crt sslkey=bob.key")
                    .wire(&SEALED[4..])
                    .client(false, "FATAL: password authentication failed for user \"ann\"")
                    .server("refuses in the words for a wrong password, but the password was right");
                let command =
                    format!("{BASE}verify-full sslrootcert=root.crt sslcert=client.crt sslkey=client.key\"");
                self.act(
                    "Ann, with her password and her certificate",
                    &command,
                    Middle::Nobody,
                )
                .wire(&ASKED)
                .wire(&SEALED)
                .client(true, "4217");
            }
            Scene::Renewal => {
                let command = format!("{BASE}verify-full{ROOT}");
                self.act("A session is opened, and stays open", &command, Middle::Alone);
                self.server("serves certificate 59:8e:51:82… until 2027-11-27")
                    .server("the open session answers, from server process 812");
                let reloaded = "new server.crt and server.key, then a reload (SIGHUP): no restart";
                let changed = "The server is given a certificate that ended yesterday";
                self.act(changed, reloaded, Middle::Alone)
                    .server("serves certificate 42:6c:28:30… now, which ended on 2026-11-24");
                self.act("A new client, while it is expired", &command, Middle::Nobody)
                    .wire(&ASKED)
                    .client(false, "SSL error: certificate verify failed")
                    .server("the open session answers, from server process 812");
                self.act("The server is given a new certificate", reloaded, Middle::Alone)
                    .server("serves certificate 56:53:18:a4… now, until 2027-02-23");
                self.act("A new client, after the renewal", &command, Middle::Nobody)
                    .wire(&ASKED)
                    .wire(&SEALED)
                    .client(true, "4217")
                    .server("the open session answers, from server process 812");
            }
            Scene::Matrix => {
                self.act(
                    "Every mode in every situation",
                    &format!("{BASE}verify-full{ROOT}"),
                    Middle::Nobody,
                );
                for (mode, stops) in MODES {
                    for (meets, stopped) in Meets::ALL.into_iter().zip(stops.chars()) {
                        self.happens(Happens::Told(cell(mode, meets, stopped)));
                    }
                }
            }
        }
        self.played(scene)
    }
}

/// What each mode does, in the order of [`Meets::ALL`]: connects, refuses, unprotected.
const MODES: [(SslMode, &str); 6] = [
    (SslMode::Disable, "UUUUU"),
    (SslMode::Allow, "UUUUU"),
    (SslMode::Prefer, "CUUUU"),
    (SslMode::Require, "CUUUR"),
    (SslMode::VerifyCa, "CRRUR"),
    (SslMode::VerifyFull, "CRRRR"),
];

fn cell(sslmode: SslMode, meets: Meets, what: char) -> Event {
    Event::Cell {
        sslmode,
        root_file: !matches!(sslmode, SslMode::Allow | SslMode::Prefer | SslMode::Require),
        cell: Cell {
            meets,
            outcome: match what {
                'C' => CellOutcome::Connects,
                'R' => CellOutcome::Refuses,
                _ => CellOutcome::Unprotected,
            },
            observed: String::new(),
            evidence: Vec::new(),
            took: Duration::ZERO,
        },
    }
}

const PLAIN: [(char, &str, &str); 9] = [
    ('>', "StartupMessage", "user=ann database=bank"),
    ('<', "Authentication", "SCRAM-SHA-256"),
    ('>', "SASLResponse", "a proof, not the password"),
    ('<', "Authentication", "Ok"),
    ('<', "ReadyForQuery", ""),
    ('>', "Query", "SELECT balance FROM accounts WHERE owner = 'ann'"),
    ('<', "DataRow", "4217"),
    ('<', "CommandComplete", "SELECT 1"),
    ('>', "Terminate", ""),
];

const ASKED: [(char, &str, &str); 4] = [
    ('>', "SSLRequest", "may we speak TLS?"),
    ('<', "S", "yes"),
    (
        '>',
        "TLS ClientHello",
        "16 03 01 01 3b 01 00 01 37 03 03 8c d1 0f 7a 90 3e …",
    ),
    (
        '<',
        "TLS ServerHello",
        "16 03 03 00 7a 02 00 00 76 03 03 68 b7 af 1c 2d fe …",
    ),
];

const SEALED: [(char, &str, &str); 6] = [
    (
        '<',
        "TLS data",
        "17 03 03 02 fa 5d 55 9c 76 8b 93 cf 61 03 ab 22 b8 …",
    ),
    (
        '>',
        "TLS data",
        "17 03 03 00 45 e3 a1 5a 48 ac f9 1f 0c c6 15 c2 5a …",
    ),
    (
        '<',
        "TLS data",
        "17 03 03 00 b3 8d fd e2 cc a5 20 97 81 37 bb 1b 0e …",
    ),
    (
        '>',
        "TLS data",
        "17 03 03 00 13 bb 8e c6 82 c6 10 cc 12 89 db b7 13 …",
    ),
    (
        '<',
        "TLS data",
        "17 03 03 00 55 39 ed ae 0a 05 34 00 15 a4 d8 9f a0 …",
    ),
    (
        '>',
        "TLS data",
        "17 03 03 00 16 77 6b 11 12 5b 00 81 6e 69 22 69 2f …",
    ),
];

const THEFT: [&str; 7] = [
    "the client completed TLSv1.3 with it",
    "read user ann, database bank",
    "asked for the password, and read it: 26 characters",
    "logged in to the server with it",
    "read the query SELECT balance FROM accounts WHERE owner = 'ann'",
    "read the answer 4217",
    "changed 4217 to 13",
];

#[test]
fn every_scene_at_two_sizes() {
    for size in SIZES {
        let mut stage = Stage::lesson(size, None);
        for scene in Scene::ALL {
            assert!(
                matches!(stage.effects.as_slice(), [Effect::Lesson(Order::Play(played))] if *played == scene),
                "{:?}",
                stage.effects
            );
            stage.plays(scene);
            stage.shot(&format!("lesson_{}", scene.name()));
            stage.keys("Enter");
        }
    }
}

/// What a person's own server does not show is told apart from what could not be found out.
#[test]
fn on_a_persons_own_server_what_is_not_shown_is_said() {
    for size in SIZES {
        let mut stage = on_a_persons_own(size);
        stage.plays(Scene::Plaintext);
        stage.keys("6");
        stage.happens(Happens::Played(
            Scene::MutualTls,
            Outcome {
                holds: None,
                shown: false,
                observed: format!("not shown on your server: {}", Scene::MutualTls.text().not_yours),
            },
        ));
        stage.shot("lesson_yours_not_shown");
        stage.keys("b");
        assert!(
            stage.text().contains("not shown on your server"),
            "{}",
            stage.text()
        );
        stage.keys("b Enter");
        assert!(stage.text().contains("✓ ○ ○ ○ ○ – ●"), "{}", stage.text());
        stage.keys("8");
        stage.plays(Scene::Matrix);
        assert!(
            stage.text().contains("Every mode in every situation"),
            "{}",
            stage.text()
        );
    }
}

#[test]
fn the_back_row_can_read_it_too() {
    for size in SIZES {
        let mut stage = Stage::lesson(size, None);
        stage.keys("3");
        stage.plays(Scene::Require);
        stage.keys("b");
        stage.shot("lesson_big");
    }
}

/// All of the letters, on the smallest screen that is usual.
#[test]
fn no_scene_has_letters_cut_off() {
    let size = SIZES[0];
    for mut stage in [Stage::lesson(size, None), on_a_persons_own(size)] {
        for scene in Scene::ALL {
            stage.keys(&(scene.place() + 1).to_string());
            stage.plays(scene);
            stage.keys("b");
            let screen = stage.text();
            for line in &scene.text().big {
                for row in lesson::letters::rows(line, usize::from(size.0) - 2, stage.model.theme) {
                    assert!(screen.contains(row.trim_end()), "{scene:?}: {row}\n{screen}");
                }
            }
            stage.keys("b");
        }
    }
}

/// A lesson on a person's own server, whose stage is set.
fn on_a_persons_own(size: (u16, u16)) -> Stage {
    let mut stage = Stage::new(size);
    let yours = Playground::Yours(Yours {
        conninfo: "host=localhost user=postgres".parse().unwrap(),
        key_passphrase: None,
    });
    let lesson = Lesson::new(true, Scene::ALL.to_vec(), None, yours);
    lesson::begin(&mut stage.model, lesson);
    stage.happens(Happens::Progress("PostgreSQL 17, your own, at localhost".into()));
    stage.shot("lesson_yours_opening");
    stage.happens(Happens::Opened(
        "psql 17.10".into(),
        "PostgreSQL 17 on 127.0.0.1 port 5432, yours".into(),
    ));
    stage.keys("Enter");
    stage
}

#[test]
fn nothing_is_lost_on_a_small_screen_or_without_signs() {
    let mut stage = Stage::lesson((60, 18), None);
    for scene in Scene::ALL {
        stage.keys(&(scene.place() + 1).to_string());
        stage.plays(scene);
        stage.shot(&format!("lesson_small_{}", scene.name()));
        stage
            .keys("b")
            .shot(&format!("lesson_small_big_{}", scene.name()));
        stage.keys("b");
    }
    let mut stage = Stage::lesson((80, 24), None);
    stage.model.theme.unicode = false;
    stage.keys("3");
    stage.plays(Scene::Require);
    assert!(stage.text().is_ascii(), "{}", stage.text());
    stage.shot("lesson_ascii");
}

/// What is said first stays until a key is pressed, and may be read while the stage is set.
#[test]
fn what_is_said_first_waits_for_whoever_reads_it() {
    for size in SIZES {
        let mut stage = Stage::new(size);
        let lesson = Lesson::new(true, Scene::ALL.to_vec(), None, Playground::default());
        lesson::begin(&mut stage.model, lesson);
        stage.happens(Happens::Progress("made the CA CN=the lesson's CA".into()));
        stage.keys("Enter Left r 3");
        assert!(stage.effects.is_empty(), "there is no stage yet");
        assert!(stage.text().contains("Setting the stage"), "{}", stage.text());
        let opened = ("psql 17.10".into(), "PostgreSQL 17 on 127.0.0.1 port 5433".into());
        stage.happens(Happens::Opened(opened.0, opened.1));
        stage.happens(Happens::Tick(Duration::from_secs(600)));
        assert!(stage.effects.is_empty(), "{:?}", stage.effects);
        stage.shot("lesson_intro");
        stage.keys("Enter");
        assert!(matches!(
            stage.effects.as_slice(),
            [Effect::Lesson(Order::Play(Scene::Plaintext))]
        ));
        // The clock is that of the scenes.
        assert!(stage.text().contains("0:00"), "{}", stage.text());
    }
}

/// The end of an act stays until a key is pressed: a hasty one shows it, the next one leaves it.
#[test]
fn the_end_of_an_act_waits_too() {
    let mut stage = Stage::lesson((80, 24), None);
    stage.keys("5");
    stage.act("One", "psql", Middle::Nobody).client(true, "4217");
    assert!(stage.text().contains("Enter end of act"), "{}", stage.text());
    stage.keys("Enter");
    assert!(matches!(stage.effects.as_slice(), [Effect::Lesson(Order::Hurry)]));
    // News of a scene that was left are none.
    stage.happens(Happens::Rests(Scene::Prefer));
    assert!(stage.text().contains("Enter end of act"), "{}", stage.text());
    stage.happens(Happens::Rests(Scene::VerifyFull));
    stage.happens(Happens::Tick(Duration::from_secs(600)));
    assert!(stage.effects.is_empty(), "{:?}", stage.effects);
    assert!(stage.text().contains("Enter next act"), "{}", stage.text());
    stage.keys("Enter");
    assert!(matches!(stage.effects.as_slice(), [Effect::Lesson(Order::GoOn)]));
    stage.act("Two", "psql", Middle::Nobody).client(true, "4217");
    stage.played(Scene::VerifyFull);
    assert!(stage.text().contains("Enter next scene"), "{}", stage.text());
    stage.keys("8");
    stage.plays(Scene::Matrix);
    assert!(stage.text().contains("The end. 1 to 8"), "{}", stage.text());
    assert!(!stage.text().contains("Enter"), "{}", stage.text());
    stage.keys("Enter");
    assert!(stage.effects.is_empty(), "{:?}", stage.effects);
}

/// What can be read on the wire is whole, and so is how one leaves; at every size that the scenes are made for.
#[test]
fn nothing_that_matters_is_cut_off() {
    for size in [(80, 24), (100, 30), (120, 40)] {
        let mut stage = Stage::lesson(size, None);
        let words = |stage: &Stage, columns: std::ops::Range<usize>| -> String {
            let screen = stage.text();
            let lines = screen.lines().map(|line| -> String {
                let line: Vec<char> = line.chars().collect();
                line[columns.start.min(line.len())..columns.end.min(line.len())]
                    .iter()
                    .collect()
            });
            let all: Vec<String> = lines.collect();
            all.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
        };
        stage.keys("2");
        stage.plays(Scene::Prefer);
        // Columns of the wire's contents, and of what is done in between.
        let body = usize::from(size.0) - 2;
        let right = (body * 6 / 13).min(60);
        let wire = words(&stage, 21..1 + body - right - 2);
        for says in [
            "SELECT balance FROM accounts WHERE owner = 'ann'",
            "the password, in clear: 26 characters",
        ] {
            assert!(wire.contains(says), "{size:?}: {says}: {}", stage.text());
        }
        let between = words(&stage, 1 + body - right..usize::from(size.0));
        for says in &THEFT[1..] {
            assert!(between.contains(says), "{size:?}: {says}: {}", stage.text());
        }
        for scene in Scene::ALL {
            stage.keys(&(scene.place() + 1).to_string());
            assert!(stage.text().contains("q leave"), "{size:?}: {}", stage.text());
            stage.plays(scene);
            let screen = words(&stage, 0..usize::from(size.0));
            for says in ["q leave", "PostgreSQL 17", &scene.text().means] {
                assert!(screen.contains(says), "{size:?}: {says}: {}", stage.text());
            }
            let cut = stage.text().lines().any(|line| {
                let of_an_act = [" · ", " ✗ ", " ▸ "].iter().any(|sign| line.starts_with(sign));
                of_an_act && line.ends_with('…')
            });
            assert!(!cut, "{size:?}: {}", stage.text());
        }
    }
}

/// The words of a screen, in their order; what is drawn between them is none.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What must be read whole while a scene is played, and what at its end.
fn sentences(lesson: &Lesson) -> (Vec<String>, Vec<String>) {
    let text = lesson.scene.text();
    let mut now = Vec::new();
    if let Some(act) = lesson.acts.last().filter(|_| lesson.scene != Scene::Matrix) {
        now.extend([act.title.clone(), act.command.clone()]);
        now.extend(act.end.iter().map(|(_, says)| says.clone()));
        now.extend(act.lines.last().map(|line| match line {
            lesson::Line::Wire(frame) if frame.readable => frame.content.clone(),
            lesson::Line::Wire(_) => String::new(),
            lesson::Line::Impostor(says) | lesson::Line::Server(says) => says.clone(),
        }));
    }
    if let Some((mode, ..)) = lesson.cells.last() {
        let known = crate::wizard::teach::sslmodes();
        let adds = known.iter().find(|one| one.name == mode.word());
        // The first adds nothing to nothing, and what `allow` adds depends on the server.
        let adds = adds.filter(|_| !matches!(mode, SslMode::Disable | SslMode::Allow));
        now.extend(adds.map(|mode| mode.adds.clone()));
        now.push("impostors in between".into());
    }
    let mut end = vec![text.means.clone()];
    if lesson.scene != Scene::Matrix {
        let last = lesson.acts.last().and_then(|act| act.end.clone());
        end.extend(last.map(|(_, says)| says));
        let past = &lesson.acts[..lesson.acts.len() - 1];
        end.extend(past.iter().map(|act| act.title.clone()));
        end.extend(
            past.iter()
                .filter_map(|act| act.end.clone())
                .map(|(_, says)| says),
        );
    }
    (now, end)
}

/// What can be read on the screen: lines from edge to edge, and those that stand side by side each for themselves.
fn readable(stage: &Stage) -> [String; 3] {
    let columns = usize::from(stage.model.size.0) - 2;
    let left = 1 + columns - (columns * 6 / 13).min(60) - 2;
    let screen = stage.text();
    let part = |of: fn(&str, usize) -> String| {
        let lines: Vec<_> = screen.lines().map(|line| of(line, left)).collect();
        words(&lines.join("\n"))
    };
    [
        words(&screen),
        part(|line, left| line.chars().take(left).collect()),
        part(|line, left| line.chars().skip(left).collect()),
    ]
}

/// Whatever is said is whole on every screen: each sentence when it is said, and at the end of a scene all that came of it.
#[test]
fn no_sentence_is_cut_on_any_screen() {
    let sizes = [
        (60, 18),
        (60, 40),
        (75, 20),
        (76, 19),
        (79, 23),
        (80, 24),
        (100, 18),
        (120, 40),
        (160, 24),
    ];
    for size in sizes {
        for scene in Scene::ALL {
            let mut stage = Stage::lesson(size, None);
            stage.keys(&(scene.place() + 1).to_string());
            stage.look = Some(|stage| {
                let lesson = stage.model.lesson.as_ref().unwrap();
                let (now, end) = sentences(lesson);
                let wanted = if lesson.outcome.is_some() { end } else { now };
                let read = readable(stage);
                for sentence in wanted {
                    assert!(
                        read.iter().any(|read| read.contains(&words(&sentence))),
                        "{:?}, {:?}: {sentence:?} is not in\n{}",
                        stage.model.size,
                        lesson.scene,
                        stage.text()
                    );
                }
            });
            stage.plays(scene);
            stage.keys("b");
            let big = words(&scene.text().big.join(" "));
            let is_spelled = readable(&stage)[0].contains(&big);
            let is_drawn = stage.text().contains(['█', '▀']);
            assert!(is_spelled || is_drawn, "{size:?}, {scene:?}\n{}", stage.text());
        }
    }
}

/// What is said first is more than a small screen has room for: it is scrolled, and the keys for it are named.
#[test]
fn what_is_said_first_is_whole_on_a_small_screen_too() {
    for size in [(60, 18), (80, 24), (120, 40)] {
        let mut stage = Stage::new(size);
        let lesson = Lesson::new(true, Scene::ALL.to_vec(), None, Playground::default());
        lesson::begin(&mut stage.model, lesson);
        stage.happens(Happens::Progress("made the CA CN=the lesson's CA".into()));
        assert!(stage.text().contains("made the CA"), "{}", stage.text());
        stage.happens(Happens::Opened("psql 17.10".into(), "PostgreSQL 17".into()));
        let mut left = crate::engine::demo::intro().then.clone();
        left.extend(
            crate::engine::demo::intro()
                .cast
                .iter()
                .map(|[_, does]| does.clone()),
        );
        let mut pressed = 0;
        while pressed < 20 {
            assert!(stage.text().contains("The stage is set."), "{}", stage.text());
            let read = words(&stage.text());
            left.retain(|says| !read.contains(&words(says)));
            if left.is_empty() {
                break;
            }
            assert!(stage.text().contains("read on"), "{}", stage.text());
            stage.keys("Down");
            pressed += 1;
        }
        assert!(left.is_empty(), "{size:?}: {left:?}");
        assert!(size.0 == 60 || pressed == 0, "{size:?}: {pressed}");
        stage.keys("Enter");
    }
}

#[test]
fn a_presenter_goes_where_he_wants() {
    let mut stage = Stage::lesson((80, 24), None);
    // What is still to be shown of an act comes at once, and only then what follows.
    stage.keys("Enter");
    assert!(matches!(stage.effects.as_slice(), [Effect::Lesson(Order::Hurry)]));
    stage.plays(Scene::Plaintext);
    stage.keys("Space");
    assert!(stage.text().contains("2 of 8"), "{}", stage.text());
    stage.keys("7");
    assert!(matches!(
        stage.effects.as_slice(),
        [Effect::Lesson(Order::Play(Scene::Renewal))]
    ));
    // The end of a scene that was left does not end the one that is shown.
    stage.played(Scene::Prefer);
    assert!(stage.model.lesson.as_ref().unwrap().outcome.is_none());
    stage.keys("r");
    assert!(matches!(
        stage.effects.as_slice(),
        [Effect::Lesson(Order::Play(Scene::Renewal))]
    ));
    stage.keys("Left");
    assert!(stage.text().contains("6 of 8"), "{}", stage.text());
    stage.keys("n");
    assert!(stage.text().contains("stolen for real"), "{}", stage.text());
    stage.keys("Esc ?");
    for says in [
        "end of act",
        "scene before",
        "scene again",
        "presenter's notes",
        "to a scene",
    ] {
        assert!(stage.text().contains(says), "{says}: {}", stage.text());
    }
    assert_eq!(stage.text().matches("leave").count(), 1, "{}", stage.text());
    // The notes are closed by the key that opens them.
    stage.keys("Esc n");
    assert!(stage.text().contains("stolen for real"), "{}", stage.text());
    stage.keys("n");
    assert!(!stage.text().contains("stolen for real"), "{}", stage.text());
    stage.keys("b");
    assert!(stage.model.lesson.as_ref().unwrap().big);
    stage.keys("b q");
    assert!(matches!(stage.effects.as_slice(), [Effect::Quit]));
    assert!(stage.text().contains("Taking the stage down"), "{}", stage.text());
}

#[test]
fn it_goes_on_by_itself_where_it_is_told_to() {
    let auto = |again| {
        Some(Auto {
            pause: Duration::from_secs(5),
            again,
        })
    };
    let tick = |stage: &mut Stage, seconds| {
        stage.happens(Happens::Tick(Duration::from_secs(seconds)));
    };
    let mut stage = Stage::new((80, 24));
    let lesson = Lesson::new(true, Scene::ALL.to_vec(), auto(true), Playground::default());
    lesson::begin(&mut stage.model, lesson);
    tick(&mut stage, 50);
    assert!(stage.effects.is_empty(), "the stage does not stand");
    stage.happens(Happens::Opened("psql 17.10".into(), "PostgreSQL 17".into()));
    // However long ago the tick before it was, it is looked at from now on.
    tick(&mut stage, 55);
    assert!(stage.effects.is_empty(), "what is said first has just come");
    tick(&mut stage, 59);
    assert!(stage.effects.is_empty(), "what is said first is still read");
    tick(&mut stage, 60);
    assert!(matches!(
        stage.effects.as_slice(),
        [Effect::Lesson(Order::Play(Scene::Plaintext))]
    ));
    tick(&mut stage, 90);
    assert!(stage.effects.is_empty(), "the act is not over");
    stage.happens(Happens::Rests(Scene::Plaintext));
    tick(&mut stage, 90);
    tick(&mut stage, 94);
    assert!(stage.effects.is_empty(), "its end is still looked at");
    tick(&mut stage, 95);
    assert!(matches!(stage.effects.as_slice(), [Effect::Lesson(Order::GoOn)]));
    tick(&mut stage, 100);
    assert!(stage.effects.is_empty(), "the scene is not over");
    stage.plays(Scene::Plaintext);
    tick(&mut stage, 100);
    tick(&mut stage, 104);
    assert!(stage.effects.is_empty(), "it is still looked at");
    tick(&mut stage, 105);
    assert!(matches!(
        stage.effects.as_slice(),
        [Effect::Lesson(Order::Play(Scene::Prefer))]
    ));
    stage.keys("8");
    stage.plays(Scene::Matrix);
    tick(&mut stage, 110);
    tick(&mut stage, 120);
    assert!(matches!(
        stage.effects.as_slice(),
        [Effect::Lesson(Order::Play(Scene::Plaintext))]
    ));
    let mut once = Stage::lesson((80, 24), auto(false));
    once.keys("8");
    once.plays(Scene::Matrix);
    tick(&mut once, 110);
    tick(&mut once, 120);
    assert!(matches!(once.effects.as_slice(), [Effect::Quit]));
}

#[test]
fn the_wizard_opens_it_and_is_there_again_afterwards() {
    let mut stage = Stage::new((80, 24));
    stage.keys("d");
    assert!(matches!(
        stage.effects.as_slice(),
        [Effect::Lesson(Order::Open(_))]
    ));
    stage.happens(Happens::Notice("pulling postgres:18".into()));
    stage.happens(Happens::Progress("postgres:18 on Docker 28.5 (Debian)".into()));
    for words in [
        "Setting the stage",
        "· pulling postgres:18",
        "✓ postgres:18 on Docker",
    ] {
        assert!(stage.text().contains(words), "{words}: {}", stage.text());
    }
    stage.keys("q");
    assert!(matches!(stage.effects.as_slice(), [Effect::Lesson(Order::Close)]));
    assert!(stage.text().contains("What do you want?"), "{}", stage.text());
    // Late news of a lesson that was left are nothing.
    stage.played(Scene::Plaintext);
    assert!(stage.model.lesson.is_none());
}

/// Where the person's own server is to run, and only where something can run it.
#[test]
fn from_the_wizard_its_server_runs_where_the_persons_own_is_to_run() {
    let opened = |docker: Option<&str>, postgres: &[&str]| {
        let mut stage = Stage::new((80, 24));
        stage.model.form.seen = Some(Seen {
            docker: docker.map(str::to_owned),
            postgres: postgres.iter().map(ToString::to_string).collect(),
            ..super::stage::seen()
        });
        stage.keys("d");
        match stage.effects.as_slice() {
            [Effect::Lesson(Order::Open(playground))] => playground.clone(),
            effects => panic!("{effects:?}"),
        }
    };
    let contained = Start::new(&Answers {
        run: Some("compose".to_owned()),
        ..Answers::default()
    });
    let engine = Some("engine 28.5, Debian");
    assert_eq!(opened(engine, &[]), Playground::Own(contained.unwrap()));
    assert_eq!(opened(engine, &["17.10"]), Playground::default());
    assert_eq!(opened(None, &[]), Playground::default());
}

#[test]
fn a_lesson_that_cannot_begin_says_why() {
    let mut stage = Stage::new((80, 24));
    stage.keys("d");
    stage.happens(Happens::Failed(super::stage::fault()));
    let screen = stage.text();
    assert!(screen.contains("port 5433 on 127.0.0.1 is in use"), "{screen}");
    stage.keys("r");
    assert!(matches!(
        stage.effects.as_slice(),
        [Effect::Lesson(Order::Open(_))]
    ));
    stage.keys("Esc");
    assert!(stage.model.lesson.is_none());
}
