//! A picture of who proves what to whom.

use ratatui::text::Span;

use super::super::model::Model;
use super::{Page, Row, clip, pad, width};

/// Draws it for the answers as they are.
#[must_use]
pub fn diagram(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let form = &model.form;
    let host = form.text(super::super::field::Field::Host);
    let role = form.text(super::super::field::Field::User);
    // Two boxes of twelve columns and the arrows between them.
    let middle = columns.saturating_sub(27).min(44);
    if middle < 24 {
        return Page::default();
    }
    let from_server = format!("\"I am {}\", says its CA", clip(&super::visible(&host), 18));
    let from_client = if form.is_mtls() {
        let both = if form.wants_password() {
            ", and a password"
        } else {
            ""
        };
        format!("\"I am {}\", says its CA{both}", clip(&super::visible(&role), 14))
    } else {
        "a password, inside the tunnel".to_owned()
    };
    let mut page = Page::default();
    let boxed = |text: &str| format!("│{}│", centre(text, 10));
    let line = |left: &str, between: &str, right: &str| {
        Row::new(vec![
            Span::raw(" "),
            Span::raw(left.to_owned()),
            Span::styled(
                format!(" {} ", pad(between, middle)),
                theme.accent().remove_modifier(ratatui::style::Modifier::BOLD),
            ),
            Span::raw(right.to_owned()),
        ])
    };
    let stroke = "─".repeat(middle.saturating_sub(1));
    page.row(line(
        "┌──────────┐",
        &centre(&from_server, middle),
        "┌──────────┐",
    ));
    page.row(line(&boxed("client"), &format!("◂{stroke}"), &boxed("server")));
    page.row(line(
        &boxed(&clip(&super::visible(&role), 10)),
        &format!("{stroke}▸"),
        &boxed(&clip(&super::visible(&host), 10)),
    ));
    page.row(line(
        "└──────────┘",
        &centre(&from_client, middle),
        "└──────────┘",
    ));
    page
}

fn centre(text: &str, columns: usize) -> String {
    let text = clip(text, columns);
    let free = columns.saturating_sub(width(&text));
    pad(&format!("{}{text}", " ".repeat(free / 2)), columns)
}
