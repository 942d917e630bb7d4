//! The table of keys.

use crossterm::event::{KeyCode, KeyModifiers};
use tui_input::InputRequest;

use super::super::model::Model;
use super::Action;
use super::when::{
    act_ended, acting, always, asking, at_the_end, at_the_start, beside_wizard, choosing, compared,
    connecting, explaining_free, faulty, free, has_modes, has_time, in_files, in_lesson, in_lines, in_list,
    in_review, intro_goes_on, introduced, is_big, looked, may_accept, may_bundle, may_compare, may_explain,
    may_go_back, may_go_on, may_try, may_watch, mendable, not_staged, on_modes, on_stages, open, plan_failed,
    planned, playing, probing, proven, reading, running, scene_before, scene_follows, several, stuck,
    suggests, tried, trying, undecided, unseen, waiting, waiting_to_keep, watching, windowed,
};

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(pub KeyCode, pub KeyModifiers);

/// Keys that mean the same, and when they do.
pub struct Binding {
    pub keys: &'static [Key],
    pub action: Action,
    /// What it does, in a word or two.
    pub says: &'static str,
    /// Whether the footer shows it.
    pub shown: bool,
    pub when: fn(&Model) -> bool,
}

pub const fn key(code: KeyCode) -> Key {
    Key(code, KeyModifiers::NONE)
}

const fn char(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::CONTROL)
}

const fn alt(code: KeyCode) -> Key {
    Key(code, KeyModifiers::ALT)
}

const fn shown(
    keys: &'static [Key],
    action: Action,
    says: &'static str,
    when: fn(&Model) -> bool,
) -> Binding {
    Binding {
        keys,
        action,
        says,
        shown: true,
        when,
    }
}

const fn also(keys: &'static [Key], action: Action, says: &'static str, when: fn(&Model) -> bool) -> Binding {
    Binding {
        shown: false,
        ..shown(keys, action, says, when)
    }
}

/// How one goes on in the lesson. Clickers for slides send Page Up and Page Down.
const GO_ON: &[Key] = &[
    key(KeyCode::Enter),
    char(' '),
    key(KeyCode::Right),
    key(KeyCode::PageDown),
];

/// The table; the first that fits counts.
pub const BINDINGS: &[Binding] = &[
    // Windows.
    also(&[key(KeyCode::Up), char('k')], Action::Up, "scroll", windowed),
    also(&[key(KeyCode::Down), char('j')], Action::Down, "scroll", windowed),
    shown(
        &[key(KeyCode::Enter), char(' ')],
        Action::Continue,
        "choose",
        asking,
    ),
    shown(
        &[
            key(KeyCode::Left),
            key(KeyCode::Up),
            key(KeyCode::BackTab),
            char('h'),
            char('k'),
        ],
        Action::Left,
        "move",
        asking,
    ),
    shown(
        &[
            key(KeyCode::Right),
            key(KeyCode::Down),
            key(KeyCode::Tab),
            char('l'),
            char('j'),
        ],
        Action::Right,
        "move",
        asking,
    ),
    shown(&[key(KeyCode::Esc)], Action::Back, "no", asking),
    shown(&[key(KeyCode::Enter)], Action::Continue, "log in", unseen),
    shown(&[key(KeyCode::Esc)], Action::Back, "no", unseen),
    also(
        &[key(KeyCode::Backspace), ctrl('h')],
        Action::Edit(InputRequest::DeletePrevChar),
        "delete before",
        unseen,
    ),
    shown(
        &[ctrl('u')],
        Action::Edit(InputRequest::DeleteLine),
        "delete all",
        unseen,
    ),
    shown(
        &[
            key(KeyCode::Esc),
            key(KeyCode::Enter),
            char('?'),
            char('q'),
            char(' '),
            key(KeyCode::F(1)),
            key(KeyCode::F(2)),
            char('n'),
            char('w'),
        ],
        Action::Back,
        "close",
        reading,
    ),
    // The lesson.
    shown(GO_ON, Action::Continue, "start", introduced),
    shown(
        &[key(KeyCode::Up), char('k')],
        Action::Up,
        "read on",
        intro_goes_on,
    ),
    shown(
        &[key(KeyCode::Down), char('j')],
        Action::Down,
        "read on",
        intro_goes_on,
    ),
    shown(GO_ON, Action::Continue, "end of act", acting),
    shown(GO_ON, Action::Continue, "next act", act_ended),
    shown(GO_ON, Action::Continue, "next scene", scene_follows),
    shown(
        &[key(KeyCode::Left), key(KeyCode::PageUp), key(KeyCode::Esc)],
        Action::Back,
        "scene before",
        scene_before,
    ),
    shown(&[char('r')], Action::Again, "scene again", playing),
    shown(&[char('r')], Action::Again, "try again", not_staged),
    shown(&[char('b')], Action::Big, "normal letters", is_big),
    shown(&[char('b')], Action::Big, "big letters", playing),
    shown(
        &[char('n'), char('w'), key(KeyCode::F(2))],
        Action::Why,
        "presenter's notes",
        playing,
    ),
    also(
        &[key(KeyCode::Up), char('k')],
        Action::Up,
        "scroll what passed",
        playing,
    ),
    also(
        &[key(KeyCode::Down), char('j')],
        Action::Down,
        "scroll what passed",
        playing,
    ),
    shown(&[char('?'), key(KeyCode::F(1))], Action::Help, "keys", in_lesson),
    shown(&[char('q'), ctrl('c')], Action::Quit, "leave", in_lesson),
    also(&[key(KeyCode::Esc)], Action::Quit, "leave", beside_wizard),
    also(&[char('1')], Action::Step(1), "to scene 1", in_lesson),
    also(&[char('2')], Action::Step(2), "to scene 2", in_lesson),
    also(&[char('3')], Action::Step(3), "to scene 3", in_lesson),
    also(&[char('4')], Action::Step(4), "to scene 4", in_lesson),
    also(&[char('5')], Action::Step(5), "to scene 5", in_lesson),
    also(&[char('6')], Action::Step(6), "to scene 6", in_lesson),
    also(&[char('7')], Action::Step(7), "to scene 7", in_lesson),
    also(&[char('8')], Action::Step(8), "to scene 8", in_lesson),
    shown(&[char('d')], Action::Lesson, "the lesson", at_the_start),
    // Hardening.
    shown(&[key(KeyCode::Up), char('k')], Action::Up, "stage", on_stages),
    shown(&[key(KeyCode::Down), char('j')], Action::Down, "stage", on_stages),
    shown(
        &[key(KeyCode::Left), char('-'), char('h')],
        Action::Less,
        "time",
        may_watch,
    ),
    shown(
        &[key(KeyCode::Right), char('+'), char('l')],
        Action::More,
        "time",
        may_watch,
    ),
    shown(&[key(KeyCode::Enter)], Action::Continue, "watch", may_watch),
    shown(
        &[key(KeyCode::Esc), char('c')],
        Action::Cancel,
        "end it",
        watching,
    ),
    shown(&[char('r')], Action::Again, "look again", looked),
    shown(&[char('a')], Action::Accept, "accept", may_accept),
    shown(&[key(KeyCode::Enter)], Action::Continue, "write it", may_bundle),
    shown(&[key(KeyCode::Enter)], Action::Continue, "try it", may_try),
    shown(&[char('-')], Action::Less, "time", has_time),
    shown(&[char('+')], Action::More, "time", has_time),
    shown(&[char('r')], Action::Again, "again", plan_failed),
    shown(&[key(KeyCode::F(2)), char('w')], Action::Why, "for whom", planned),
    shown(&[char('k'), char('y')], Action::Keep, "keep it", waiting_to_keep),
    shown(
        &[key(KeyCode::Esc), char('u')],
        Action::Cancel,
        "go back now",
        waiting_to_keep,
    ),
    shown(
        &[key(KeyCode::Esc), char('c')],
        Action::Cancel,
        "break off",
        trying,
    ),
    also(&[key(KeyCode::Enter)], Action::Continue, "nothing yet", undecided),
    shown(&[key(KeyCode::Enter)], Action::Continue, "to the stages", tried),
    shown(&[char('x')], Action::CopyCommand, "copy the command", tried),
    // Steps of their own.
    shown(&[key(KeyCode::Up), char('k')], Action::Up, "file", in_files),
    shown(&[key(KeyCode::Down), char('j')], Action::Down, "file", in_files),
    shown(&[key(KeyCode::Up), char('k')], Action::Up, "line", in_lines),
    shown(&[key(KeyCode::Down), char('j')], Action::Down, "line", in_lines),
    shown(
        &[
            key(KeyCode::Tab),
            key(KeyCode::BackTab),
            key(KeyCode::Right),
            key(KeyCode::Left),
            char('l'),
            char('h'),
        ],
        Action::Next,
        "lines",
        in_files,
    ),
    shown(
        &[
            key(KeyCode::Tab),
            key(KeyCode::BackTab),
            key(KeyCode::Left),
            key(KeyCode::Right),
            char('h'),
            char('l'),
        ],
        Action::Next,
        "files",
        in_lines,
    ),
    shown(&[char('d')], Action::Diff, "diff", in_review),
    shown(&[char('g')], Action::Decided, "go to the step", in_review),
    shown(&[char('g')], Action::Decided, "go to the step", faulty),
    shown(&[char('s')], Action::Save, "save answers", in_review),
    shown(
        &[key(KeyCode::Esc), char('c')],
        Action::Cancel,
        "break off",
        running,
    ),
    shown(&[char('r')], Action::Again, "try again", stuck),
    shown(&[key(KeyCode::Up), char('k')], Action::Up, "probe", probing),
    shown(&[key(KeyCode::Down), char('j')], Action::Down, "probe", probing),
    shown(&[char('f')], Action::Mend, "fix it", mendable),
    shown(&[char('r')], Action::Again, "try now", waiting),
    shown(&[char('m')], Action::Modes, "all sslmodes", may_compare),
    shown(&[char('r')], Action::Again, "run again", proven),
    shown(&[key(KeyCode::Up), char('k')], Action::Up, "sslmode", has_modes),
    shown(
        &[key(KeyCode::Down), char('j')],
        Action::Down,
        "sslmode",
        has_modes,
    ),
    shown(
        &[key(KeyCode::Left), key(KeyCode::BackTab), char('h')],
        Action::Left,
        "column",
        has_modes,
    ),
    shown(
        &[key(KeyCode::Right), key(KeyCode::Tab), char('l')],
        Action::Right,
        "column",
        has_modes,
    ),
    shown(&[key(KeyCode::F(2)), char('w')], Action::Why, "why", has_modes),
    shown(&[char('m'), key(KeyCode::Esc)], Action::Modes, "proof", on_modes),
    shown(&[char('r')], Action::Again, "run again", compared),
    shown(
        &[key(KeyCode::Left), key(KeyCode::BackTab), char('h')],
        Action::Left,
        "way",
        connecting,
    ),
    shown(
        &[key(KeyCode::Right), key(KeyCode::Tab), char('l')],
        Action::Right,
        "way",
        connecting,
    ),
    also(&[key(KeyCode::Up), char('k')], Action::Up, "scroll", connecting),
    also(
        &[key(KeyCode::Down), char('j')],
        Action::Down,
        "scroll",
        connecting,
    ),
    shown(&[char('c'), char('y')], Action::Copy, "copy", connecting),
    shown(&[char('x')], Action::CopyCommand, "copy the command", connecting),
    // Questions.
    shown(&[key(KeyCode::Up)], Action::Up, "choose", choosing),
    shown(&[key(KeyCode::Down)], Action::Down, "choose", choosing),
    also(
        &[char('k'), char('h'), key(KeyCode::Left)],
        Action::Up,
        "choose the one before",
        choosing,
    ),
    also(
        &[char('j'), char('l'), key(KeyCode::Right), char(' ')],
        Action::Down,
        "choose the next",
        choosing,
    ),
    shown(&[key(KeyCode::Up)], Action::Up, "move", Model::is_typing),
    shown(&[key(KeyCode::Down)], Action::Down, "move", Model::is_typing),
    shown(&[key(KeyCode::Right)], Action::Suggested, "take it", suggests),
    shown(&[ctrl('d')], Action::Remove, "remove", in_list),
    also(&[key(KeyCode::Tab)], Action::Next, "next question", several),
    also(
        &[key(KeyCode::BackTab)],
        Action::Previous,
        "question before",
        several,
    ),
    also(
        &[key(KeyCode::Left), ctrl('b')],
        Action::Edit(InputRequest::GoToPrevChar),
        "one to the left",
        Model::is_typing,
    ),
    also(
        &[key(KeyCode::Right), ctrl('f')],
        Action::Edit(InputRequest::GoToNextChar),
        "one to the right",
        Model::is_typing,
    ),
    also(
        &[
            Key(KeyCode::Left, KeyModifiers::CONTROL),
            alt(KeyCode::Left),
            alt(KeyCode::Char('b')),
        ],
        Action::Edit(InputRequest::GoToPrevWord),
        "word to the left",
        Model::is_typing,
    ),
    also(
        &[
            Key(KeyCode::Right, KeyModifiers::CONTROL),
            alt(KeyCode::Right),
            alt(KeyCode::Char('f')),
        ],
        Action::Edit(InputRequest::GoToNextWord),
        "word to the right",
        Model::is_typing,
    ),
    also(
        &[key(KeyCode::Home), ctrl('a')],
        Action::Edit(InputRequest::GoToStart),
        "to the start",
        Model::is_typing,
    ),
    also(
        &[key(KeyCode::End), ctrl('e')],
        Action::Edit(InputRequest::GoToEnd),
        "to the end",
        Model::is_typing,
    ),
    also(
        &[key(KeyCode::Backspace), ctrl('h')],
        Action::Edit(InputRequest::DeletePrevChar),
        "delete before",
        Model::is_typing,
    ),
    also(
        &[key(KeyCode::Delete)],
        Action::Edit(InputRequest::DeleteNextChar),
        "delete after",
        Model::is_typing,
    ),
    also(
        &[ctrl('w'), alt(KeyCode::Backspace)],
        Action::Edit(InputRequest::DeletePrevWord),
        "delete the word",
        Model::is_typing,
    ),
    also(
        &[ctrl('u')],
        Action::Edit(InputRequest::DeleteLine),
        "delete all",
        Model::is_typing,
    ),
    also(
        &[ctrl('k')],
        Action::Edit(InputRequest::DeleteTillEnd),
        "delete to the end",
        Model::is_typing,
    ),
    // Everywhere.
    shown(&[key(KeyCode::Enter)], Action::Continue, "continue", may_go_on),
    shown(
        &[key(KeyCode::Enter), char('q')],
        Action::Quit,
        "leave",
        at_the_end,
    ),
    also(
        &[key(KeyCode::Enter)],
        Action::Continue,
        "continue, once it may",
        open,
    ),
    shown(&[key(KeyCode::Esc)], Action::Back, "back", may_go_back),
    shown(
        &[key(KeyCode::F(2)), char('w')],
        Action::Why,
        "why",
        explaining_free,
    ),
    shown(&[key(KeyCode::F(2))], Action::Why, "why", may_explain),
    shown(&[char('?'), key(KeyCode::F(1))], Action::Help, "keys", free),
    shown(&[key(KeyCode::F(1))], Action::Help, "keys", open),
    shown(&[char('q'), ctrl('c')], Action::Quit, "leave", free),
    also(&[ctrl('c'), ctrl('q')], Action::Quit, "leave", always),
    also(
        &[ctrl('z')],
        Action::Suspend,
        "to the shell, `fg` comes back",
        always,
    ),
    also(
        &[char('1'), alt(KeyCode::Char('1'))],
        Action::Step(1),
        "to step 1",
        free,
    ),
    also(
        &[char('2'), alt(KeyCode::Char('2'))],
        Action::Step(2),
        "to step 2",
        free,
    ),
    also(
        &[char('3'), alt(KeyCode::Char('3'))],
        Action::Step(3),
        "to step 3",
        free,
    ),
    also(
        &[char('4'), alt(KeyCode::Char('4'))],
        Action::Step(4),
        "to step 4",
        free,
    ),
    also(
        &[char('5'), alt(KeyCode::Char('5'))],
        Action::Step(5),
        "to step 5",
        free,
    ),
    also(
        &[char('6'), alt(KeyCode::Char('6'))],
        Action::Step(6),
        "to step 6",
        free,
    ),
    also(
        &[char('7'), alt(KeyCode::Char('7'))],
        Action::Step(7),
        "to step 7",
        free,
    ),
    also(
        &[char('8'), alt(KeyCode::Char('8'))],
        Action::Step(8),
        "to step 8",
        free,
    ),
    also(&[alt(KeyCode::Char('1'))], Action::Step(1), "to step 1", open),
    also(&[alt(KeyCode::Char('2'))], Action::Step(2), "to step 2", open),
    also(&[alt(KeyCode::Char('3'))], Action::Step(3), "to step 3", open),
    also(&[alt(KeyCode::Char('4'))], Action::Step(4), "to step 4", open),
    also(&[alt(KeyCode::Char('5'))], Action::Step(5), "to step 5", open),
    also(&[alt(KeyCode::Char('6'))], Action::Step(6), "to step 6", open),
    also(&[alt(KeyCode::Char('7'))], Action::Step(7), "to step 7", open),
    also(&[alt(KeyCode::Char('8'))], Action::Step(8), "to step 8", open),
];
