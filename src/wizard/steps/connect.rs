//! How to connect, where everything is, and the command that would have done the same.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::plan::shell;
use crate::verify::{Outcome, ProbeId};

use super::super::field::{Field, Kind};
use super::super::form::CHECK;
use super::super::keymap::Action;
use super::super::message::{Effect, Landed, Target, Way};
use super::super::model::{JourneyState, Model};
use super::super::secret::shown;
use super::super::view::room;
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
        let count = ways(model).len().max(1);
        match action {
            Action::Left | Action::Right => {
                let by = if action == Action::Left { count - 1 } else { 1 };
                model.tab = (model.tab + by) % count;
                model.scrolled = 0;
            }
            Action::Up => model.scrolled = model.scrolled.saturating_sub(1),
            Action::Down => {
                let (columns, rows) = room(model.size);
                let end = page(model, columns)
                    .height()
                    .saturating_sub(rows.saturating_sub(2));
                model.scrolled = (model.scrolled + 1).min(end);
            }
            Action::CopyCommand => return Some(vec![Effect::Copy(command(model))]),
            Action::Copy => {
                let text = ways(model).get(model.tab)?.text.clone();
                return Some(vec![Effect::Copy(text)]);
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        model.scrolled = 0;
        Vec::new()
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        tabs(model, canvas, Rect { height: 1, ..area });
        let body = Rect {
            y: area.y + 2.min(area.height),
            height: area.height.saturating_sub(2),
            ..area
        };
        page(model, usize::from(area.width))
            .scrolled(model.scrolled)
            .paint(canvas, body);
    }
}

/// The snippet, what to do next, and what to know.
#[must_use]
pub fn page(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let mut page = Page::default();
    let way = ways(model).get(model.tab);
    if let Some(way) = way {
        page.text(way.title.clone(), theme.bold());
        for line in way.text.lines() {
            snippet(&mut page, &visible(line), columns);
        }
        page.blank();
    }
    next(model, &mut page, columns);
    if let Some(way) = way.filter(|way| !way.notes.is_empty()) {
        page.blank();
        page.text("Good to know", theme.bold());
        for note in &way.notes {
            page.pair(" ·", &visible(note), columns, 3, (theme.dim(), theme.dim()));
        }
    }
    page
}

/// A line of code: what is too long goes on below, deeper, and cut anywhere rather than between words.
fn snippet(page: &mut Page, line: &str, columns: usize) {
    let indent = line.len() - line.trim_start().len();
    for (index, part) in super::super::widgets::wrap(line.trim_start(), columns.saturating_sub(indent + 5))
        .into_iter()
        .enumerate()
    {
        let deeper = if index == 0 { 1 } else { 5 };
        page.text(format!("{}{part}", " ".repeat(indent + deeper)), Style::new());
    }
}

/// The languages side by side, scrolled so that the chosen one is seen.
fn tabs(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let ways = ways(model);
    let wide = |way: &Way| width(&way.name) + 3;
    let room = usize::from(area.width);
    let mut first = 0;
    while first < model.tab
        && ways[first..=model.tab.min(ways.len() - 1)]
            .iter()
            .map(wide)
            .sum::<usize>()
            > room
    {
        first += 1;
    }
    let mut x = area.x;
    for (index, way) in ways.iter().enumerate().skip(first) {
        let place = Rect::new(x, area.y, u16::try_from(wide(way) - 1).unwrap_or(0), 1).intersection(area);
        if usize::from(place.width) < wide(way) - 1 {
            return;
        }
        let style = if index == model.tab {
            theme.accent().patch(theme.cursor())
        } else {
            Style::new()
        };
        canvas.text(place, &format!(" {} ", way.name), style);
        canvas.hit(place, Target::Item(index));
        x = place.right() + 1;
    }
}

/// What to do from here.
fn next(model: &Model, page: &mut Page, columns: usize) {
    let theme = model.theme;
    let JourneyState::Landed(landed) = &model.journey.state else {
        return;
    };
    page.text("The same in one command", theme.bold());
    page.words(&visible(&command(model)), columns, 1, Style::new());
    page.blank();
    page.text("Next", theme.bold());
    for (command, what) in commands(model, landed) {
        page.pair(
            &format!(" {command}"),
            &what,
            columns,
            16 + dir_flag(model).len(),
            (Style::new(), theme.dim()),
        );
    }
    page.words(
        &format!(
            "Everything is in {}; RUNBOOK.md there says more.",
            visible(&landed.dir)
        ),
        columns,
        1,
        theme.dim(),
    );
}

/// The commands that go on from what was made, and what each does.
#[must_use]
pub fn commands(model: &Model, landed: &Landed) -> Vec<(String, String)> {
    let mut commands = vec![("verify", "prove it again, any time".to_owned())];
    if landed.port.is_some() {
        commands.push(("down", "stop it; the data stays".to_owned()));
        commands.push(("up", "start it again".to_owned()));
    }
    commands.push(("renew", renewal(model)));
    commands.push(("undo", "take back what was written".to_owned()));
    let dir = dir_flag(model);
    commands
        .into_iter()
        .map(|(command, what)| (format!("pgtls {command}{dir}"), what))
        .collect()
}

/// When new certificates are due, as far as the proof has told.
fn renewal(model: &Model) -> String {
    let probes = &model.proof.probes;
    let validity = probes
        .iter()
        .find(|probe| probe.id == ProbeId::Validity && probe.outcome == Outcome::Holds);
    validity.map_or_else(
        || "new certificates, before these end".to_owned(),
        |probe| format!("new certificates: {}", visible(&probe.observed)),
    )
}

fn dir_flag(model: &Model) -> String {
    if model.dir.as_os_str() == "." {
        String::new()
    } else {
        format!(" --dir {}", shell(&model.dir.to_string_lossy()))
    }
}

/// The ways to connect.
#[must_use]
pub fn ways(model: &Model) -> &[Way] {
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
    let dir = dir_flag(model);
    if form.only_checks() {
        words.push(format!("verify{dir}"));
        // A password is for no command line: it is asked for, or comes from a passfile.
        let typed = match form.conninfo(Field::Conninfo) {
            Ok(conninfo) if form.has_password(Field::Conninfo) => vec![conninfo.to_keyword_value()],
            _ => form.given(Field::Conninfo).to_vec(),
        };
        words.extend(typed.iter().map(|text| shell(&shown(text))));
        return words.join(" ");
    }
    words.push(format!("up{dir}"));
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
