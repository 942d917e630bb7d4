//! The table of sslmodes: whom each stops, and which one clients will use.

use ratatui::style::Style;
use ratatui::text::Span;

use super::super::teach;
use super::super::theme::Theme;
use super::{Page, Row, pad};

/// Draws the table, with its title where there is room for one.
#[must_use]
pub fn sslmodes(theme: Theme, columns: usize, titled: bool) -> Page {
    let mut page = Page::default();
    // The last column says it in full where there is room.
    let heads = if columns >= 80 {
        [
            "sslmode",
            "eavesdropper",
            "impostor",
            "impostor with a certificate of your CA",
        ]
    } else {
        ["sslmode", "eavesdropper", "impostor", "… of your own CA"]
    };
    if titled {
        page.text("Whom each sslmode of a client stops", theme.bold());
    }
    page.row(Row::new(vec![
        Span::raw("   "),
        Span::styled(pad(heads[0], 13), theme.dim()),
        Span::styled(pad(heads[1], 14), theme.dim()),
        Span::styled(pad(heads[2], 10), theme.dim()),
        Span::styled(heads[3], theme.dim()),
    ]));
    for mode in teach::sslmodes() {
        let ours = mode.name == "verify-full";
        let style = if ours { theme.accent() } else { Style::new() };
        let cell = |stops: bool, wide: usize| {
            let (sign, style) = if stops {
                ("✓", theme.good())
            } else {
                ("–", theme.dim())
            };
            let half = wide / 2;
            Span::styled(
                format!("{}{}", " ".repeat(half - 1), pad(sign, wide - half + 1)),
                style,
            )
        };
        page.row(Row::new(vec![
            Span::styled(if ours { " ▸ " } else { "   " }, style),
            Span::styled(pad(&mode.name, 13), style),
            cell(mode.eavesdropper, 14),
            cell(mode.impostor, 10),
            cell(mode.impostor_with_certificate, 14),
            Span::styled(if ours && columns >= 60 { "yours" } else { "" }, style),
        ]));
    }
    page
}
