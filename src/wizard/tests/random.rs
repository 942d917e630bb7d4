//! Random events at random sizes: nothing panics, nothing is drawn outside, no answer is lost by moving about.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::harden::happenings;
use super::stage::{Stage, cells, fault, landed, matrix, preview, report, told};
use crate::verify::{Outcome, ProbeId};
use crate::wizard::message::{Message, Question, Target};
use crate::wizard::steps::STEPS;
use crate::wizard::view::view;

/// Keys that only move.
fn moving() -> impl Strategy<Value = Message> {
    let codes = prop_oneof![
        Just(KeyCode::Enter),
        Just(KeyCode::Esc),
        Just(KeyCode::Tab),
        Just(KeyCode::BackTab),
        Just(KeyCode::Home),
        Just(KeyCode::End),
        Just(KeyCode::F(1)),
        Just(KeyCode::F(2)),
    ];
    prop_oneof![
        8 => codes.prop_map(|code| Message::Key(KeyEvent::new(code, KeyModifiers::NONE))),
        2 => (0_usize..STEPS.len()).prop_map(|step| Message::Click(Target::Step(step))),
        1 => (1_u16..160, 1_u16..60).prop_map(|(columns, rows)| Message::Resize(columns, rows)),
    ]
}

fn anything() -> impl Strategy<Value = Message> {
    let modifiers = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        1 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
        1 => Just(KeyModifiers::SHIFT),
    ];
    let codes = prop_oneof![
        3 => any::<char>().prop_map(KeyCode::Char),
        4 => prop::sample::select("abcdghjklmrsqw?12345678 .-=/数é\u{301}".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        2 => Just(KeyCode::Up),
        4 => Just(KeyCode::Down),
        1 => Just(KeyCode::Left),
        2 => Just(KeyCode::Right),
        1 => Just(KeyCode::Backspace),
        1 => Just(KeyCode::Delete),
    ];
    let targets = prop_oneof![
        (0_usize..STEPS.len()).prop_map(Target::Step),
        (0_usize..12, 0_usize..8).prop_map(|(place, row)| Target::Row(place, row)),
        (0_usize..30).prop_map(Target::Item),
        (0_usize..30).prop_map(Target::Line),
        (0_usize..4).prop_map(Target::Button),
    ];
    let asked = Question::Edited {
        path: "server/pg_hba.conf".into(),
        diff: "-a\n+b".into(),
        may_be_left: true,
    };
    prop_oneof![
        20 => (codes, modifiers).prop_map(|(code, modifiers)| Message::Key(KeyEvent::new(code, modifiers))),
        10 => moving(),
        3 => any::<String>().prop_map(Message::Paste),
        4 => targets.prop_map(Message::Click),
        2 => (-3_i16..4).prop_map(Message::Scroll),
        2 => (0_u64..6).prop_map(|number| Message::Preview(number, Ok(preview()))),
        1 => (0_u64..6).prop_map(|number| Message::Preview(number, Err(fault()))),
        2 => prop::sample::select(told()).prop_map(Message::Told),
        1 => Just(Message::Asked(asked)),
        1 => Just(Message::Done(Ok(landed()))),
        1 => Just(Message::Done(Err(fault()))),
        1 => Just(Message::Cancelled("Broken off.".into())),
        1 => prop::sample::select(ProbeId::ALL.to_vec()).prop_map(|id| Message::Probe(super::stage::probe(id, Outcome::Open))),
        1 => Just(Message::Proven(Ok(report(None)))),
        1 => Just(Message::Proven(Err(fault()))),
        2 => ((0_u64..6), prop::sample::select(cells())).prop_map(|(number, cell)| Message::Cell(number, cell)),
        1 => (0_u64..6).prop_map(|number| Message::Matrix(number, Ok(matrix()))),
        1 => (0_u64..6).prop_map(|number| Message::Matrix(number, Err(fault()))),
        6 => ((0_u64..9), prop::sample::select(happenings())).prop_map(|(number, what)| Message::Harden(number, what)),
    ]
}

/// Draws at the model's size, and looks whether all is inside.
fn draw(stage: &Stage) {
    let (columns, rows) = stage.model.size;
    let area = Rect::new(0, 0, columns, rows);
    let mut buffer = Buffer::empty(area);
    let drawn = view(&stage.model, &mut buffer);
    for hit in &drawn.hits {
        assert_eq!(
            hit.area.intersection(area),
            hit.area,
            "a click is outside: {hit:?}"
        );
    }
    if let Some(cursor) = drawn.cursor {
        assert!(
            area.contains(cursor),
            "the cursor is outside: {cursor:?} at {columns}x{rows}"
        );
    }
    for cell in &buffer.content {
        assert!(!cell.symbol().contains(char::is_control), "{:?}", cell.symbol());
    }
}

/// What was answered, without rows that hold nothing.
fn answers(stage: &Stage) -> Vec<(String, Vec<String>)> {
    stage
        .model
        .form
        .all_given()
        .map(|(field, rows)| {
            let rows = rows
                .iter()
                .filter(|row| !row.trim().is_empty())
                .cloned()
                .collect();
            (format!("{field:?}"), rows)
        })
        .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_events_at_any_size_break_it(
        size in (1_u16..160, 1_u16..60),
        events in prop::collection::vec(anything(), 1..60),
    ) {
        let mut stage = Stage::new(size);
        draw(&stage);
        for event in events {
            stage.send(event);
            draw(&stage);
        }
    }

    #[test]
    fn moving_about_loses_no_answer(
        before in prop::collection::vec(anything(), 1..40),
        moves in prop::collection::vec(moving(), 1..40),
    ) {
        let mut stage = Stage::new((80, 24));
        for event in before {
            stage.send(event);
        }
        let given = answers(&stage);
        for event in moves {
            stage.send(event);
            prop_assert_eq!(&answers(&stage), &given);
        }
    }
}
