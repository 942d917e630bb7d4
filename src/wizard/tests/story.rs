//! Storyboards: each test reads as a film of the screen.

use ratatui::style::{Color, Modifier};
use secrecy::ExposeSecret;

use super::stage::{Stage, cells, fault, landed, matrix, preview, report, told};
use crate::engine::Step as Part;
use crate::verify::{Outcome, ProbeId};
use crate::wizard::field::Field;
use crate::wizard::look::Seen;
use crate::wizard::message::{Effect, Message, Question, Reply, Target};
use crate::wizard::model::{ModesState, Popup};
use crate::wizard::steps::{command, place};
use crate::wizard::theme::Theme;

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

/// Plays a script at both sizes.
fn play(script: impl Fn(&mut Stage)) {
    for size in SIZES {
        script(&mut Stage::new(size));
    }
}

#[test]
fn enter_alone_goes_all_the_way() {
    play(|stage| {
        stage.shot("start");
        stage.keys("Enter").shot("protection");
        stage.keys("Enter").shot("names");
        stage.keys("Enter").shot("certificates");
        stage.keys("Enter").shot("review_pending");
        let number = stage.model.review.number;
        assert!(
            matches!(stage.effects[..], [Effect::Preview(1, _), Effect::Keep(_)]),
            "{:?}",
            stage.effects
        );
        // Enter goes nowhere before there is something to agree to.
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("review"));
        stage.send(Message::Preview(number, Ok(preview()))).shot("review");
        stage.keys("Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Up(_), Effect::Keep(_)]),
            "{:?}",
            stage.effects
        );
        for event in told() {
            stage.send(Message::Told(event));
        }
        stage
            .send(Message::Tick(std::time::Duration::from_millis(2100)))
            .shot("write_running");
        stage.send(Message::Done(Ok(landed()))).shot("write_done");
        stage.keys("Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Prove(None), Effect::Keep(_)]),
            "{:?}",
            stage.effects
        );
        for probe in &report(None).probes[..6] {
            stage.send(Message::Probe(probe.clone()));
        }
        stage.shot("verify_running");
        stage.send(Message::Proven(Ok(report(None)))).shot("verify_done");
        stage.keys("Enter").shot("connect");
        stage.keys("Right").shot("connect_python");
        stage.keys("c");
        assert!(matches!(&stage.effects[..], [Effect::Copy(text)] if text.starts_with("import psycopg")));
        stage.keys("Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Keep(None), Effect::Quit]),
            "{:?}",
            stage.effects
        );
    });
}

#[test]
fn mutual_tls_changes_the_picture_and_the_questions() {
    play(|stage| {
        stage.keys("Enter Down").shot("protection_mtls");
        assert_eq!(stage.style_of("▸ ").fg, Some(Color::Cyan));
        stage.keys("Tab Down Enter Enter").shot("certificates_mtls");
        assert_eq!(stage.model.job().flags.auth.as_deref(), Some("scram+cert"));
        // Back to one way: what hung on it goes along, and nothing is wrong.
        stage.keys("Esc Esc Up");
        assert_eq!(stage.model.job().flags.mode.as_deref(), Some("one-way"));
        assert_eq!(stage.model.job().flags.auth, None);
        assert!(stage.model.checked.setup.is_some());
    });
}

#[test]
fn what_is_wrong_is_said_beside_it_and_never_bars_the_way_back() {
    play(|stage| {
        stage
            .keys("Enter Enter Down Down Down bad_name. Tab 70000 Tab")
            .shot("names_faults");
        let reds = stage.style_of("✗ ");
        assert_eq!(reds.fg, Some(Color::Red));
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("names"), "forward is barred");
        assert_eq!(
            stage.model.focused(),
            Some(Field::Host),
            "the cursor is at the fault"
        );
        stage.keys("Esc");
        assert_eq!(stage.model.at, place("protection"), "back is not");
        stage.shot("rail_problem");
        stage.keys("Enter");
        assert_eq!(
            stage.model.form.given(Field::Port),
            ["70000"],
            "and what was typed is still there"
        );
    });
}

#[test]
fn a_connection_string_is_judged_as_it_is_typed() {
    play(|stage| {
        stage
            .keys("Down Down Tab")
            .type_in("host=db sslmod=verify-full")
            .shot("start_bad_conninfo");
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("start"));
        // What is wrong with it is forgotten with the choice that asked for it.
        stage.keys("Up Up Enter");
        assert_eq!(stage.model.at, place("protection"));
    });
}

#[test]
fn lists_are_edited_in_place() {
    let mut stage = Stage::new((80, 24));
    // The suggestion, a name of its own, and one row taken out.
    stage.keys("Enter Enter Down Down Down Right Down db.example.org Up Up Ctrl-d");
    assert_eq!(
        stage.model.form.rows(Field::Host),
        ["localhost", "127.0.0.1", "shop-1", "db.example.org"]
    );
    // A row without text is none.
    stage.keys("Down Ctrl-u Down");
    assert_eq!(
        stage.model.form.rows(Field::Host),
        ["localhost", "127.0.0.1", "shop-1"]
    );
}

#[test]
fn text_is_edited_as_in_any_field() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter Enter Tab Tab Tab");
    assert_eq!(stage.model.focused(), Some(Field::User));
    stage
        .type_in("数据 base")
        .keys("Ctrl-Left Back Home Del Ctrl-e !");
    assert_eq!(stage.model.form.given(Field::User), ["据base!"]);
    let cursor = stage.drawn().cursor.unwrap();
    stage.keys("Left");
    let one_left = stage.drawn().cursor.unwrap();
    assert_eq!(cursor.x - one_left.x, 1);
    stage.keys("Home Right");
    assert_eq!(
        one_left.x - stage.drawn().cursor.unwrap().x,
        4,
        "a wide character has two columns"
    );
    // Letters are letters here, and nothing leaves.
    stage.keys("Ctrl-u").type_in("q?hjkl1");
    assert_eq!(stage.model.form.given(Field::User), ["q?hjkl1"]);
}

#[test]
fn a_paste_goes_in_as_text_and_each_line_of_a_list_is_a_row() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter Enter Down Down Down");
    stage.send(Message::Paste("db.example.org\r\n10.0.0.7\n\n".into()));
    assert_eq!(
        stage.model.form.rows(Field::Host),
        ["localhost", "127.0.0.1", "::1", "db.example.org", "10.0.0.7"]
    );
    stage.keys("Tab");
    stage.send(Message::Paste("54\n33".into()));
    assert_eq!(stage.model.form.given(Field::Port), ["54 33"]);
    assert!(stage.model.checked.of(Field::Port).count() == 1);
}

#[test]
fn what_could_act_on_a_terminal_is_made_visible() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter Enter Tab Tab");
    stage.send(Message::Paste("a\u{1b}[31mb\u{202e}c".into()));
    let raw: String = stage
        .buffer()
        .content
        .iter()
        .map(|cell| cell.symbol().to_owned())
        .collect();
    assert!(!raw.contains(['\u{1b}', '\u{202e}']), "{raw:?}");
    assert!(stage.text().contains("a�[31mb�c"), "{}", stage.text());
    stage.keys("Tab");
    assert!(
        stage.text().contains("a\\u{1b}[31mb\\u{202e}c"),
        "{}",
        stage.text()
    );
}

#[test]
fn the_review_explains_each_line_and_leads_to_the_step_that_decided_it() {
    play(|stage| {
        stage.keys("Enter Enter Enter Enter");
        stage.send(Message::Preview(1, Ok(preview())));
        stage
            .keys("Down Down Down Down Tab Down Down Down Down")
            .shot("review_line");
        stage.keys("d").shot("review_diff");
        assert_eq!(stage.style_of("+host").fg, Some(Color::Green));
        stage.keys("d Down Down Down Down F2").shot("review_why");
        stage.keys("Esc s");
        assert!(matches!(stage.effects[..], [Effect::Save(_)]));
        stage.keys("g");
        assert_eq!(
            stage.model.at,
            place("names"),
            "the reject line follows from who may come"
        );
        // A key is described, and nothing of it is there to be shown.
        stage.keys("Alt-5 Tab Up Up").shot("review_key");
    });
}

#[test]
fn a_preview_that_fails_says_why_and_a_late_one_is_passed_over() {
    play(|stage| {
        stage.keys("Enter Enter Enter Enter");
        stage.send(Message::Preview(7, Ok(preview())));
        assert!(
            stage.model.review.preview().is_none(),
            "it was not the one that was asked for"
        );
        stage
            .send(Message::Preview(1, Err(fault())))
            .shot("review_failed");
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("review"));
        stage.keys("Esc Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Preview(2, _), ..]),
            "coming back tries again"
        );
    });
}

#[test]
fn a_journey_that_fails_or_is_broken_off_can_be_tried_again() {
    play(|stage| {
        stage.keys("Enter Enter Enter Enter");
        stage.send(Message::Preview(1, Ok(preview()))).keys("Enter");
        for event in told() {
            stage.send(Message::Told(event));
        }
        stage.send(Message::Done(Err(fault()))).shot("write_failed");
        stage.keys("g");
        assert_eq!(stage.model.at, place("names"), "the port is decided there");
        stage.keys("Alt-6");
        assert!(
            matches!(stage.effects[..], [Effect::Up(_), _]),
            "coming back tries again"
        );
        stage.send(Message::Done(Err(fault()))).keys("r");
        assert!(matches!(stage.effects[..], [Effect::Up(_)]));
        stage.keys("Esc");
        assert!(matches!(stage.effects[..], [Effect::Cancel]));
        stage.shot("write_cancelling");
        stage.send(Message::Cancelled(
            "Broken off. What was written is taken back, and no server was left.".into(),
        ));
        stage.shot("write_cancelled");
        stage.keys("Esc");
        assert_eq!(stage.model.at, place("review"));
    });
}

#[test]
fn leaving_in_the_middle_asks_once_with_the_safe_answer_first() {
    play(|stage| {
        stage.keys("Enter Enter Enter Enter");
        stage
            .send(Message::Preview(1, Ok(preview())))
            .keys("Enter q")
            .shot("leave");
        assert_eq!(stage.style_of(" Stay ").add_modifier, Modifier::REVERSED);
        stage.keys("Enter");
        assert_eq!(stage.model.popup, None);
        stage.keys("q Right Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Keep(Some(_)), Effect::Quit]),
            "{:?}",
            stage.effects
        );
        stage.keys("Ctrl-c Ctrl-c");
        assert!(
            matches!(stage.effects[..], [Effect::Keep(Some(_)), Effect::Quit]),
            "twice Ctrl-C always leaves"
        );
    });
}

/// A note that is longer than the line it stands in, and a list that is longer than its room, lose no letter.
#[test]
fn nothing_is_cut_on_small_screens() {
    for size in [(60, 18), (80, 24)] {
        let mut stage = Stage::new(size);
        let note = "Copied, if this terminal lets programs copy (OSC 52). `pgtls connect` prints it too.";
        stage.model.note = Some(note.into());
        let shown = stage.text();
        for word in note.split(' ') {
            assert!(shown.contains(word), "{word} is not in\n{shown}");
        }
        stage.keys("Enter Enter Enter Enter");
        stage.send(Message::Preview(1, Ok(preview())));
        let shown = stage.text();
        for word in "Files: 6 new, 1 changed. Port 5433. Nothing is written yet.".split(' ') {
            assert!(shown.contains(word), "{word} is not in\n{shown}");
        }
        // The last line names keys by the same sign.
        let body: Vec<_> = shown.lines().take(usize::from(size.1) - 1).collect();
        let scrolls = body.iter().any(|line| line.contains('↓'));
        assert_eq!(scrolls, size == (60, 18), "{shown}");
        let in_a_word = |line: &&&str| line.contains("ne↓") || line.contains("change↓");
        assert_eq!(body.iter().find(in_a_word), None, "{shown}");
    }
}

/// Whether to leave is asked about what is under way; once that has ended, the question would say what is not so.
#[test]
fn what_has_ended_is_not_asked_about_any_more() {
    for end in [
        Message::Done(Ok(landed())),
        Message::Done(Err(fault())),
        Message::Cancelled("Broken off.".into()),
    ] {
        play(|stage| {
            stage.keys("Enter Enter Enter Enter");
            stage
                .send(Message::Preview(1, Ok(preview())))
                .keys("Enter Ctrl-c");
            assert!(stage.text().contains("Leave?"));
            stage.send(end.clone());
            assert!(!stage.text().contains("Leave?"), "{}", stage.text());
            stage.keys("Ctrl-c");
            assert!(
                matches!(stage.effects[..], [Effect::Keep(_), Effect::Quit]),
                "nothing is under way: {:?}",
                stage.effects
            );
        });
    }
}

#[test]
fn the_journey_asks_on_the_screen() {
    play(|stage| {
        stage.keys("Enter Enter Enter Enter");
        stage.send(Message::Preview(1, Ok(preview()))).keys("Enter");
        let edited = Question::Edited {
            path: "server/pg_hba.conf".into(),
            diff: "--- server/pg_hba.conf (0600)\n+++ server/pg_hba.conf (0600)\n@@ -1 +1 @@\n-# mine\n+# pgtls's".into(),
            may_be_left: true,
        };
        stage.send(Message::Asked(edited.clone())).shot("asked_edited");
        stage.keys("Right Enter");
        assert!(matches!(stage.effects[..], [Effect::Answer(Reply::Leave)]));
        stage.send(Message::Asked(edited)).keys("Esc");
        assert!(
            matches!(stage.effects[..], [Effect::Answer(Reply::No)]),
            "Esc is the safe answer"
        );
        let fetch = Question::Fetch {
            what: "postgresql17 through pip, 17 MB".into(),
            into: "~/.cache/pgtls/binaries".into(),
            caveat: None,
        };
        stage.send(Message::Asked(fetch)).shot("asked_fetch");
        stage.keys("Enter");
        assert!(matches!(stage.effects[..], [Effect::Answer(Reply::Yes)]));
        let adopt = Question::Adopt {
            means: crate::engine::adopting("shop-db_data", 17),
        };
        stage.send(Message::Asked(adopt.clone())).shot("asked_adopt");
        stage.keys("Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Answer(Reply::No)]),
            "Enter touches no data"
        );
        stage.send(Message::Asked(adopt)).keys("Left Enter");
        assert!(matches!(stage.effects[..], [Effect::Answer(Reply::Yes)]));
        let discard = Question::Discard {
            means: crate::engine::discarding("shop-db_data"),
        };
        stage.send(Message::Asked(discard)).shot("asked_discard");
        stage.keys("Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Answer(Reply::No)]),
            "Enter deletes nothing"
        );
    });
}

#[test]
fn a_broken_promise_shows_evidence_and_remedy() {
    play(|stage| {
        stage
            .keys("Down Down Tab")
            .type_in("host=localhost dbname=app")
            .shot("start_check");
        stage.keys("Enter");
        let asked = |effects: &[Effect]| matches!(effects, [Effect::Prove(Some(text)), _] if text.expose_secret() == "host=localhost dbname=app");
        assert!(asked(&stage.effects), "{:?}", stage.effects);
        stage.send(Message::Proven(Ok(report(Some((
            ProbeId::HostName,
            Outcome::Broken,
        ))))));
        stage.shot("verify_broken");
        assert_eq!(stage.style_of("✗ host").fg, Some(Color::Red));
        stage.keys("F2").shot("verify_why");
        stage.keys("Esc r").send(Message::Proven(Ok(report(Some((
            ProbeId::OldTlsRefused,
            Outcome::Open,
        ))))));
        stage.shot("verify_open");
        stage
            .keys("r")
            .send(Message::Proven(Err(fault())))
            .shot("verify_failed");
    });
}

#[test]
fn a_promise_that_is_broken_here_is_put_right_by_writing_again() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter Enter Enter Enter");
    stage.send(Message::Preview(1, Ok(preview()))).keys("Enter");
    stage.send(Message::Done(Ok(landed()))).keys("Enter");
    stage.send(Message::Proven(Ok(report(None))));
    assert!(!stage.text().contains("f fix"), "nothing is to be put right");
    stage.keys("r");
    let broken = report(Some((ProbeId::PlaintextRefused, Outcome::Broken)));
    stage.send(Message::Proven(Ok(broken)));
    assert!(stage.text().contains("f fix"), "{}", stage.text());
    stage.keys("f");
    assert_eq!(stage.model.at, place("write"));
    assert!(
        matches!(stage.effects[..], [Effect::Up(_), Effect::Keep(_)]),
        "{:?}",
        stage.effects
    );
    stage.send(Message::Done(Ok(landed()))).keys("Enter");
    assert!(
        matches!(stage.effects[..], [Effect::Prove(None), ..]),
        "and it is proven again"
    );
}

#[test]
fn only_the_files_waits_for_the_persons_server() {
    play(|stage| {
        stage.keys("Down Enter Enter Enter Enter");
        stage.send(Message::Preview(1, Ok(preview()))).keys("Enter");
        let mut files = landed();
        files.port = None;
        stage.send(Message::Done(Ok(files))).keys("Enter");
        assert!(
            matches!(stage.effects[..], [Effect::Keep(_)]),
            "nothing is dialled unasked"
        );
        stage.shot("verify_waits");
        stage.keys("Enter").shot("connect_files");
        assert_eq!(command(&stage.model), "pgtls up --run none --mode one-way");
    });
}

#[test]
fn the_keys_are_shown_from_the_table_that_handles_them() {
    play(|stage| {
        stage.keys("?").shot("help_start");
        assert_eq!(stage.model.popup, Some(Popup::Help));
        stage.keys("Esc Enter Enter F1").shot("help_typing");
    });
}

#[test]
fn the_rail_is_jumped_to_but_not_ahead() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter Enter");
    stage.send(Message::Click(Target::Step(place("start"))));
    assert_eq!(stage.model.at, place("start"));
    stage.keys("3");
    assert_eq!(stage.model.at, place("names"));
    stage.keys("Alt-7");
    assert_eq!(stage.model.at, place("names"));
    assert!(stage.text().contains("Verify comes later"));
}

#[test]
fn a_click_chooses_what_was_drawn_there() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter");
    let drawn = stage.drawn();
    let hit = drawn
        .hits
        .iter()
        .find(|hit| hit.target == Target::Row(0, 1))
        .unwrap();
    let line = stage
        .text()
        .lines()
        .nth(usize::from(hit.area.y))
        .unwrap()
        .to_owned();
    assert!(line.contains("Mutual TLS"), "{line}");
    stage.send(Message::Click(hit.target));
    assert!(stage.model.form.is_mtls());
}

#[test]
fn a_choice_that_cannot_be_carried_out_is_not_shown() {
    play(|stage| {
        stage
            .send(Message::Seen(Seen::default()))
            .shot("start_without_postgres");
        assert!(!stage.text().contains("A database, now"));
        assert_eq!(stage.model.job().flags.run.as_deref(), Some("none"));
    });
}

#[test]
fn every_size_has_its_screen() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter Down");
    for size in [
        (60, 18),
        (59, 24),
        (80, 17),
        (100, 30),
        (200, 60),
        (20, 3),
        (1, 1),
    ] {
        stage.send(Message::Resize(size.0, size.1)).shot("size");
    }
    stage.keys("Ctrl-c");
    assert!(
        stage.effects.iter().any(|effect| matches!(effect, Effect::Quit)),
        "it still quits"
    );
}

#[test]
fn without_colour_and_unicode_everything_is_still_said() {
    let mut stage = Stage::new((80, 24));
    stage.model.theme = Theme {
        colour: false,
        unicode: false,
    };
    stage.keys("Enter Down").shot("plain");
    let buffer = stage.buffer();
    assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    assert!(stage.style_of("> Mutual").add_modifier.contains(Modifier::BOLD));
}

#[test]
fn a_part_that_is_passed_over_is_not_told_as_failed() {
    let mut stage = Stage::new((80, 24));
    stage.keys("Enter Enter Enter Enter");
    stage.send(Message::Preview(1, Ok(preview()))).keys("Enter");
    for part in [Part::Init, Part::Start] {
        stage.send(Message::Told(crate::engine::Event::Begin(part)));
    }
    assert!(!stage.text().contains('✗'), "{}", stage.text());
}

/// Every sslmode, from the proof and back, filled in as it comes.
#[test]
fn every_sslmode_beside_the_proof() {
    play(|stage| {
        proven(stage);
        stage.keys("m");
        let number = stage.model.modes.number;
        assert!(
            matches!(stage.effects[..], [Effect::Modes(asked, None)] if asked == number),
            "{:?}",
            stage.effects
        );
        for cell in cells().into_iter().take(17) {
            stage.send(Message::Cell(number, cell));
        }
        stage.send(Message::Tick(std::time::Duration::from_millis(430)));
        stage.shot("modes_running");
        stage
            .send(Message::Matrix(number, Ok(matrix())))
            .keys("Up Up Right Right Right")
            .shot("modes_done");
        assert_eq!(stage.style_of("✓ verify-full").fg, Some(Color::Green));
        stage.keys("F2").shot("modes_why");
        // The window closes, then the matrix does; what was found is still there when it is opened again.
        stage.keys("Esc Esc");
        assert!(stage.text().contains("Must work"), "{}", stage.text());
        stage.keys("m");
        assert!(stage.effects.is_empty() && stage.text().contains("verify-ca"));
        // A run that was overtaken tells nothing any more.
        stage.keys("r");
        stage.send(Message::Matrix(number, Ok(matrix())));
        assert!(matches!(stage.model.modes.state, ModesState::Running));
        stage
            .send(Message::Matrix(number + 1, Err(fault())))
            .shot("modes_failed");
        // Enter goes on from here, too.
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("connect"));
    });
}

#[test]
fn a_client_without_a_root_file_has_one_table() {
    let mut stage = Stage::new((80, 24));
    proven(&mut stage);
    stage.keys("m");
    let number = stage.model.modes.number;
    assert!(stage.text().contains("without a root file"), "it has its place");
    let mut bare = matrix();
    bare.without_root_file.clear();
    for row in &mut bare.rows {
        row.root_file = false;
    }
    stage.send(Message::Matrix(number, Ok(bare)));
    assert!(!stage.text().contains("without a root file"), "{}", stage.text());
}

/// To the end of the proof.
fn proven(stage: &mut Stage) {
    stage.keys("Enter Enter Enter Enter");
    let number = stage.model.review.number;
    stage.send(Message::Preview(number, Ok(preview()))).keys("Enter");
    stage.send(Message::Done(Ok(landed()))).keys("Enter");
    stage.send(Message::Proven(Ok(report(None))));
}
