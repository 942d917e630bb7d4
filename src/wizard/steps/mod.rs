//! The steps, one file each. A step is a line of [`STEPS`]: what it asks, when it is shown, what happens when it is
//! entered, which keys mean something of its own there, and how it is drawn. Steps know nothing of one another, save by
//! name ([`place`]).

mod certificates;
mod connect;
mod harden;
mod names;
mod protection;
mod review;
mod start;
mod verify;
mod write;

use ratatui::layout::Rect;

use super::field::{Field, Kind};
use super::keymap::Action;
use super::message::Effect;
use super::model::Model;
use super::teach;
use super::widgets::{Canvas, Page, questions};

pub use connect::{command, commands, page as connect_page, ways};
pub use harden::{about as about_stage, after_a_fall, command as harden_command};
pub use review::word as change_word;
pub use verify::{ModeLine, may_be_mended, mode_lines};

/// One step.
pub trait Step: Sync {
    /// Its name, which does not change.
    fn name(&self) -> &'static str;

    /// Its title on the rail.
    fn title(&self) -> &'static str;

    /// Whether the answers lead through it.
    fn shown(&self, model: &Model) -> bool {
        model.form.makes()
    }

    /// The questions that it may ask.
    fn fields(&self) -> &'static [Field] {
        &[]
    }

    /// Whether this is the step that asks it, where it is asked at all.
    fn owns(&self, _: &Model, field: Field) -> bool {
        self.fields().contains(&field)
    }

    /// What happens when one comes to it.
    fn enter(&self, _: &mut Model) -> Vec<Effect> {
        Vec::new()
    }

    /// What a key does here; `None` leaves it to what it does everywhere.
    fn act(&self, _: &mut Model, _: Action) -> Option<Vec<Effect>> {
        None
    }

    /// Whether one may go on from here. (That answers are right is seen to before.)
    fn may_go_on(&self, _: &Model) -> bool {
        true
    }

    /// Whether what it did has failed.
    fn failed(&self, _: &Model) -> bool {
        false
    }

    /// What it shows beside the questions, for the room that is left.
    fn picture(&self, _: &Model, _columns: usize) -> Page {
        Page::default()
    }

    /// Draws it: the questions, the picture below, and where there is room an explanation at the side.
    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        let (main, side) = split(area);
        let columns = usize::from(main.width);
        let mut page = questions(model, columns);
        let picture = self.picture(model, columns);
        if picture.height() > 0 {
            page.blank();
            page.append(picture);
        }
        let room = usize::from(main.height);
        if let Some(side) = side {
            explanation(model, usize::from(side.width)).paint(canvas, side);
        } else {
            let below = explanation(model, columns);
            if page.height() + 1 + below.height() <= room {
                let top = u16::try_from(room - below.height()).unwrap_or(0);
                let place = Rect::new(main.x, main.y + top, main.width, main.height - top);
                below.paint(canvas, place);
            }
        }
        page.paint(canvas, main);
    }
}

/// The steps, in order.
pub const STEPS: &[&dyn Step] = &[
    &start::Start,
    &harden::Server,
    &protection::Protection,
    &names::Names,
    &certificates::Certificates,
    &harden::Request,
    &harden::Stages,
    &harden::Clients,
    &harden::Plan,
    &harden::Attempt,
    &review::Review,
    &write::Write,
    &verify::Verify,
    &connect::Connect,
];

/// Where the step of this name stands in [`STEPS`].
#[must_use]
pub fn place(name: &str) -> usize {
    STEPS.iter().position(|step| step.name() == name).unwrap_or(0)
}

/// The area of what is asked, and at its side, where there is room, that of what explains it.
fn split(area: Rect) -> (Rect, Option<Rect>) {
    const SIDE: u16 = 36;
    const LEAST: u16 = 56;
    if area.width < LEAST + SIDE + 4 {
        return (area, None);
    }
    let main = Rect {
        width: (area.width - SIDE - 4).min(100),
        ..area
    };
    let side = Rect::new(
        main.right() + 4,
        area.y,
        SIDE.max(area.width - main.width - 4).min(64),
        area.height,
    );
    (main, Some(side))
}

/// What there is to say about the question with the focus.
fn explanation(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let mut page = Page::default();
    if let Some(field) = model.focused() {
        // The title of a choice stands beside it already.
        if !matches!(field.spec().kind, Kind::Choice(_)) {
            page.text(field.spec().label, theme.bold());
        }
        page.words(teach::about(field), columns, 0, theme.dim());
    }
    page
}
