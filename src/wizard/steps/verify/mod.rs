//! The proof: every promise tried, as it comes in; and beside it what each `sslmode` is worth.

mod modes;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use secrecy::SecretString;

use crate::setup::Run;
use crate::verify::{Group, Outcome, Probe, ProbeId, Verdict};

use super::super::field::Field;
use super::super::keymap::Action;
use super::super::message::{Effect, Target};
use super::super::model::{Journey, Model, ModesState, Popup, Proof, ProofState};
use super::super::theme::Theme;
use super::super::widgets::{Canvas, Page, Row, brief, clip, pad, visible};
use super::Step;

pub use modes::{ModeLine, lines as mode_lines};

/// The step.
#[derive(Debug)]
pub struct Verify;

impl Step for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn title(&self) -> &'static str {
        "Verify"
    }

    fn shown(&self, model: &Model) -> bool {
        !model.form.hardens()
    }

    fn enter(&self, model: &mut Model) -> Vec<Effect> {
        model.modes.shown = false;
        let waits = model.form.text(Field::Run) == Run::None.name();
        if waits || !matches!(model.proof.state, ProofState::None) {
            return Vec::new();
        }
        begin(model)
    }

    fn act(&self, model: &mut Model, action: Action) -> Option<Vec<Effect>> {
        if model.modes.shown {
            return modes::act(model, action);
        }
        match action {
            Action::Modes => Some(modes::open(model)),
            Action::Again if !is_busy(model) => Some(begin(model)),
            Action::Mend if may_be_mended(model) => {
                model.journey = Journey::default();
                Some(super::super::update::enter(model, super::place("write")))
            }
            Action::Up => {
                model.proof.selected = model.proof.selected.saturating_sub(1);
                Some(Vec::new())
            }
            Action::Down => {
                let last = ordered(&model.proof).len().saturating_sub(1);
                model.proof.selected = (model.proof.selected + 1).min(last);
                Some(Vec::new())
            }
            Action::Why => {
                let probe = ordered(&model.proof)
                    .get(model.proof.selected)
                    .copied()
                    .cloned()?;
                let mut text = vec![
                    format!("Expected: {}", probe.id.expected()),
                    format!("Seen: {}", probe.observed),
                ];
                text.extend(probe.evidence.iter().map(|line| format!("  {line}")));
                text.extend(probe.remedy.iter().map(|remedy| format!("Remedy: {remedy}")));
                model.open(Popup::Why(probe.id.name().to_owned(), text.join("\n")));
                Some(Vec::new())
            }
            _ => None,
        }
    }

    fn may_go_on(&self, model: &Model) -> bool {
        !matches!(model.proof.state, ProofState::Running)
    }

    fn failed(&self, model: &Model) -> bool {
        match &model.proof.state {
            ProofState::Done(report) => report.verdict != Verdict::Verified,
            ProofState::Failed(_) => true,
            _ => false,
        }
    }

    fn draw(&self, model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
        if model.modes.shown {
            return modes::draw(model, canvas, area);
        }
        let theme = canvas.theme;
        let columns = usize::from(area.width);
        let proof = &model.proof;
        let mut head = Page::default();
        match &proof.state {
            ProofState::None => {
                head.text("○ Your server is still to be set up", theme.bold());
                head.blank();
                head.words(WAITS, columns, 0, Style::new());
            }
            ProofState::Running => {
                head.row(Row::new(vec![
                    Span::styled("◐ ", theme.accent()),
                    Span::styled(
                        format!("Trying every promise, {}", brief(proof.elapsed)),
                        theme.bold(),
                    ),
                ]));
            }
            ProofState::Failed(fault) => super::write::fault_page(&mut head, theme, fault, columns),
            ProofState::Done(report) => {
                let (sign, style) = match report.verdict {
                    Verdict::Verified => ("✓ ", theme.good()),
                    Verdict::Connected | Verdict::Refused => ("✗ ", theme.bad()),
                    Verdict::Undetermined => ("? ", theme.warn()),
                };
                head.words(
                    &format!("{sign}{}", visible(&report.headline)),
                    columns,
                    0,
                    style.patch(theme.bold()),
                );
            }
        }
        let used = u16::try_from(head.height()).unwrap_or(0).min(area.height);
        head.paint(canvas, Rect { height: used, ..area });
        if proof.probes.is_empty() && !matches!(proof.state, ProofState::Running) {
            return;
        }
        let body = Rect {
            y: area.y + used + 1,
            height: area.height.saturating_sub(used + 1),
            ..area
        };
        let mut below = evidence(model, columns);
        if model.is_roomy() && matches!(proof.state, ProofState::Done(_)) {
            below.blank();
            below.append(handshake(model, columns));
        }
        let (work, rest) = columns_of(model, body.width);
        let two = body.width >= TWO;
        let wanted = if two {
            work.height().max(rest.height())
        } else {
            work.height() + 1 + rest.height()
        };
        let tall = u16::try_from(below.height()).unwrap_or(0).min(body.height / 2);
        let top = Rect {
            height: u16::try_from(wanted)
                .unwrap_or(u16::MAX)
                .min(body.height.saturating_sub(tall + 1)),
            ..body
        };
        paint_groups(work, rest, two, canvas, top);
        below.paint(
            canvas,
            Rect {
                y: top.bottom() + 1,
                height: body.bottom().saturating_sub(top.bottom() + 1),
                ..body
            },
        );
    }
}

/// Whether writing and starting again may help: it puts right what somebody changed, or what has run out.
#[must_use]
pub fn may_be_mended(model: &Model) -> bool {
    Verify.failed(model) && model.has_landed() && model.form.text(Field::Run) == Run::Sandbox.name()
}

fn begin(model: &mut Model) -> Vec<Effect> {
    model.proof = Proof {
        state: ProofState::Running,
        ..Proof::default()
    };
    // What was found of the modes was about the server as it was before.
    model.forget_modes();
    vec![Effect::Prove(dialled(model))]
}

/// The connection string that is checked; `None`: the project's own.
fn dialled(model: &Model) -> Option<SecretString> {
    let form = &model.form;
    form.conninfo_text(Field::Conninfo).filter(|_| form.only_checks())
}

/// Whether something is being tried.
const fn is_busy(model: &Model) -> bool {
    matches!(model.proof.state, ProofState::Running) || matches!(model.modes.state, ModesState::Running)
}

impl Proof {
    /// Where the probe stands that is to be looked at first: the first one that is broken, or else open.
    #[must_use]
    pub fn worst(&self) -> usize {
        let order = ordered(self);
        let first = |wanted| order.iter().position(|probe| probe.outcome == wanted);
        first(Outcome::Broken)
            .or_else(|| first(Outcome::Open))
            .unwrap_or(0)
    }
}

/// The probes in the order of the screen: group by group.
fn ordered(proof: &Proof) -> Vec<&Probe> {
    Group::ALL
        .into_iter()
        .flat_map(|group| proof.probes.iter().filter(move |probe| probe.id.group() == group))
        .collect()
}

const WAITS: &str = "RUNBOOK.md says how to install these files in it. Once it runs with them, press r here, or run \
                     `pgtls verify` in this directory at any time: every promise is then tried against it.";

/// The width from which the groups stand side by side.
const TWO: u16 = 54;

/// What must work, and what must be refused or noticed.
fn columns_of(model: &Model, width: u16) -> (Page, Page) {
    let columns = usize::from(if width >= TWO { width / 2 } else { width }).saturating_sub(1);
    (
        column(model, &[Group::MustWork], columns),
        column(model, &[Group::MustBeRefused, Group::WeWouldNotice], columns),
    )
}

fn paint_groups(work: Page, rest: Page, two: bool, canvas: &mut Canvas<'_>, area: Rect) {
    if two {
        let half = area.width / 2;
        work.paint(canvas, Rect { width: half, ..area });
        rest.paint(
            canvas,
            Rect {
                x: area.x + half,
                width: area.width - half,
                ..area
            },
        );
    } else {
        let mut page = work;
        page.blank();
        page.append(rest);
        page.paint(canvas, area);
    }
}

/// The groups below one another. While the proof runs, what is still to come has its place already.
fn column(model: &Model, groups: &[Group], columns: usize) -> Page {
    let theme = model.theme;
    let order = ordered(&model.proof);
    let running = matches!(model.proof.state, ProofState::Running);
    let mut page = Page::default();
    for group in groups {
        page.blank();
        page.text(group.title(), theme.bold());
        for id in ProbeId::ALL.into_iter().filter(|id| id.group() == *group) {
            let found = order.iter().position(|probe| probe.id == id);
            let Some(place) = found else {
                if running
                    && (model.form.is_mtls()
                        || !id.name().contains("certificate") && id != ProbeId::OtherNameRefused)
                {
                    page.text(format!("  ○ {}", label(id)), theme.dim());
                }
                continue;
            };
            let probe = order[place];
            let here = place == model.proof.selected;
            let (sign, style) = match probe.outcome {
                Outcome::Holds => ("✓", theme.good()),
                Outcome::Broken => ("✗", theme.bad()),
                Outcome::Open => ("?", theme.warn()),
                Outcome::NotTried => ("○", theme.dim()),
            };
            let took = match probe.outcome {
                Outcome::NotTried => "not tried".to_owned(),
                _ => brief(probe.took),
            };
            // In a narrow column the time makes way.
            let (room, took) = if columns >= 36 {
                (columns.saturating_sub(13), format!("{took:>9}"))
            } else {
                (columns.saturating_sub(4), String::new())
            };
            page.row(
                Row::new(vec![
                    Span::styled(if here { "▸ " } else { "  " }, theme.accent()),
                    Span::styled(format!("{sign} "), style),
                    Span::styled(
                        pad(label(id), room),
                        if here { theme.bold() } else { Style::new() },
                    ),
                    Span::styled(took, theme.dim()),
                ])
                .hit(Target::Item(place))
                .focus(here),
            );
        }
    }
    page
}

/// A probe in a few words.
pub const fn label(id: ProbeId) -> &'static str {
    match id {
        ProbeId::Reach => "answers",
        ProbeId::SslOffered => "offers TLS",
        ProbeId::Handshake => "handshake",
        ProbeId::Chain => "chain to the root",
        ProbeId::HostName => "host name",
        ProbeId::Validity => "within its dates",
        ProbeId::Authenticated => "login",
        ProbeId::ServerAgrees => "server agrees",
        ProbeId::PlaintextRefused => "plaintext",
        ProbeId::OldTlsRefused => "TLS 1.1",
        ProbeId::NoCertificateRefused => "no certificate",
        ProbeId::ForeignCertificateRefused => "another CA's certificate",
        ProbeId::OtherNameRefused => "another's certificate",
        ProbeId::WrongCaNoticed => "an impostor's CA",
        ProbeId::WrongNameNoticed => "a wrong name",
        ProbeId::HbaHasNoPlaintextWayIn => "no plaintext rule",
        ProbeId::SettingsInForce => "settings in force",
    }
}

/// What was agreed, and with whom.
fn handshake(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let mut page = Page::default();
    page.text("The connection", theme.bold());
    for (name, id) in [
        ("TLS", ProbeId::Handshake),
        ("Chain", ProbeId::Chain),
        ("Name", ProbeId::HostName),
        ("Dates", ProbeId::Validity),
        ("Login", ProbeId::Authenticated),
    ] {
        if let Some(probe) = model.proof.probes.iter().find(|probe| probe.id == id) {
            let style = if probe.outcome == Outcome::Holds {
                Style::new()
            } else {
                theme.warn()
            };
            page.pair(name, &visible(&probe.observed), columns, 10, (theme.dim(), style));
        }
    }
    page
}

/// What shows the result of the probe that is looked at.
fn evidence(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let order = ordered(&model.proof);
    let mut page = Page::default();
    let Some(probe) = order.get(model.proof.selected) else {
        return page;
    };
    page.text(
        clip(&format!("{}: {}", probe.id.name(), probe.id.expected()), columns),
        theme.bold(),
    );
    seen(
        &mut page,
        theme,
        columns,
        (&probe.observed, Style::new()),
        &probe.evidence,
    );
    if let Some(remedy) = probe.remedy.as_ref().filter(|_| probe.outcome != Outcome::Holds) {
        page.pair(
            "Remedy",
            &visible(remedy),
            columns,
            10,
            (theme.bold(), theme.bold()),
        );
    }
    page
}

/// What was seen, and what shows it.
fn seen(
    page: &mut Page,
    theme: Theme,
    columns: usize,
    (observed, style): (&str, Style),
    evidence: &[String],
) {
    page.pair("Seen", &visible(observed), columns, 10, (theme.dim(), style));
    for line in evidence {
        page.pair(
            "Evidence",
            &visible(line),
            columns,
            10,
            (theme.dim(), theme.dim()),
        );
    }
}
