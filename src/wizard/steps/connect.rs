//! How to connect, where everything is, and the command that would have done the same.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::plan::shell;

use super::super::field::{Field, Kind};
use super::super::form::CHECK;
use super::super::keymap::Action;
use super::super::message::{Effect, Target};
use super::super::model::{JourneyState, Model};
use super::super::widgets::{Canvas, Page, visible, width};
use super::Step;

/// The step.
#[derive(Debug)]
pub struct Connect;

impl Step for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    fn title(&self) -> &'static str {
        "Connect"
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        let count = ways(model).len();
        match action {
            Action::Left | Action::Up => model.tab = (model.tab + count.max(1) - 1) % count.max(1),
            Action::Right | Action::Down => model.tab = (model.tab + 1) % count.max(1),
            Action::Copy => {
                let (_, text) = ways(model).get(model.tab)?.clone();
                return Some(vec![Effect::Copy(text)]);
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        let theme = canvas.theme;
        let columns = usize::from(area.width);
        let ways = ways(model);
        let mut x = area.x;
        for (index, (name, _)) in ways.iter().enumerate() {
            let here = index == model.tab;
            let text = format!(" {name} ");
            let wide = u16::try_from(width(&text)).unwrap_or(0);
            let place = Rect::new(x, area.y, wide, 1).intersection(area);
            let style = if here {
                theme.accent().patch(theme.cursor())
            } else {
                Style::new()
            };
            canvas.line(place, &Line::from(Span::styled(text, style)));
            canvas.hit(place, Target::Item(index));
            x += wide + 1;
        }
        let mut page = Page::default();
        if let Some((_, text)) = ways.get(model.tab) {
            for line in text.lines() {
                page.words(&visible(line), columns, 1, Style::new());
            }
        }
        page.blank();
        page.text("Next", theme.bold());
        let JourneyState::Landed(landed) = &model.journey.state else {
            page.paint(canvas, area);
            return;
        };
        let dir = shell(&landed.dir);
        let mut say = |command: String, what: &str| {
            page.pair(
                &format!(" {command}"),
                what,
                columns,
                46.min(columns / 2),
                (Style::new(), theme.dim()),
            );
        };
        if landed.port.is_some() {
            say(format!("pgtls down --dir {dir}"), "stop it; the data stays");
            say(format!("pgtls up --dir {dir}"), "start it again");
        }
        say(format!("pgtls verify --dir {dir}"), "prove it again, any time");
        say(
            format!("pgtls renew --dir {dir}"),
            "new certificates, before the old ones end",
        );
        say(format!("pgtls undo --dir {dir}"), "take back what was written");
        page.blank();
        page.text("The same in one command", theme.bold());
        page.words(&visible(&command(model)), columns, 1, Style::new());
        let body = Rect {
            y: area.y + 2.min(area.height),
            height: area.height.saturating_sub(2),
            ..area
        };
        page.paint(canvas, body);
    }
}

/// The ways to connect: the name of a language, and its text.
#[must_use]
pub fn ways(model: &Model) -> &[(String, String)] {
    match &model.journey.state {
        JourneyState::Landed(landed) => &landed.ways,
        _ => &[],
    }
}

/// The command line that does what was answered.
#[must_use]
pub fn command(model: &Model) -> String {
    let form = &model.form;
    let mut words = vec!["pgtls".to_owned()];
    let dir = || shell(&model.dir.to_string_lossy());
    if form.only_checks() {
        words.push("verify".to_owned());
        words.extend(form.given(Field::Conninfo).iter().map(|text| shell(text)));
        if model.dir.as_os_str() != "." {
            words.extend(["--dir".to_owned(), dir()]);
        }
        return words.join(" ");
    }
    words.push("up".to_owned());
    if model.dir.as_os_str() != "." {
        words.extend(["--dir".to_owned(), dir()]);
    }
    let flags = form.flags();
    for field in Field::ALL.into_iter().filter(|field| form.asks(*field)) {
        let spec = field.spec();
        if spec.flag.is_empty() {
            continue;
        }
        // What setup is told although nobody answered it, the command has to say too.
        let rows = match field {
            Field::Mode => flags.mode.iter().cloned().collect(),
            Field::Run => flags.run.iter().filter(|run| *run != CHECK).cloned().collect(),
            Field::Auth => flags.auth.iter().cloned().collect(),
            Field::Algorithm => flags.algorithm.iter().cloned().collect(),
            _ if matches!(spec.kind, Kind::Choice(_)) => Vec::new(),
            _ => form.given(field).to_vec(),
        };
        for row in rows.iter().filter(|row| !row.trim().is_empty()) {
            words.extend([spec.flag.to_owned(), shell(row)]);
        }
    }
    words.join(" ")
}
