//! The last line: the keys that act here, from the table that handles them, and where one is.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::engine::demo::Scene;

use super::super::keymap;
use super::super::lesson::Part;
use super::super::model::Model;
use super::{Canvas, width};

/// Draws the footer.
pub fn footer(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let shown = model.shown_steps();
    let here = shown
        .iter()
        .position(|at| *at == model.at)
        .map_or(0, |place| place + 1);
    let count = match &model.lesson {
        Some(lesson) if matches!(lesson.part, Part::Intro | Part::Leaving) => String::new(),
        Some(lesson) => format!("{} of {} ", lesson.scene.place() + 1, Scene::ALL.len()),
        None => format!("{here} of {} ", shown.len()),
    };
    let room = usize::from(area.width).saturating_sub(width(&count) + 2);
    let mut hints = keymap::hints(model);
    let wide = |hints: &[(String, &str)]| -> usize {
        1 + hints
            .iter()
            .map(|(keys, says)| width(keys) + width(says) + 4)
            .sum::<usize>()
    };
    // How to go on, and where all keys are, are the last to make way; in the lesson also how to leave it.
    let stays = |says: &str| model.lesson.is_some() && says == "leave";
    while wide(&hints) > room + 3 {
        let least = hints
            .iter()
            .rposition(|(keys, says)| keys != "Enter" && *says != "keys" && !stays(says));
        match least {
            Some(least) => _ = hints.remove(least),
            None => break,
        }
    }
    let mut spans = vec![Span::raw(" ")];
    for (keys, says) in hints {
        spans.push(Span::styled(keys, theme.bold()));
        spans.push(Span::styled(format!(" {says}   "), theme.dim()));
    }
    canvas.line(area, &Line::from(spans));
    let wide = u16::try_from(width(&count)).unwrap_or(0).min(area.width);
    canvas.text(
        Rect::new(area.right() - wide, area.y, wide, 1),
        &count,
        theme.dim(),
    );
}
