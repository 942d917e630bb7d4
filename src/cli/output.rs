//! How the command line talks: progress and words on standard error, results on standard output.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::Exit;
use super::args::{Color, Global};
use crate::engine::{Error, Event, Teller};
use crate::verify::modes::CellOutcome;
use crate::verify::{Group, Outcome, Probe, Report, Verdict};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new()
    .fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)))
    .bold();
const OPEN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// Words on standard error, with the end of the line. What cannot be written there, because it is closed or its disk is
/// full, is no reason to break off a journey.
macro_rules! told {
    ($($words:tt)*) => { $crate::cli::output::to_stderr(&format!("{}\n", format_args!($($words)*))) };
}
pub(super) use told;

/// Whether a line of progress stands open, to be written over by its end.
static IS_LINE_OPEN: AtomicBool = AtomicBool::new(false);

/// Writes at once, so that lines of two programs do not run into one another. What comes in place of an open line's end
/// begins below it: that line says what did not come to its end.
pub fn to_stderr(text: &str) {
    let mut stderr = anstream::stderr().lock();
    if IS_LINE_OPEN.swap(false, Ordering::Relaxed) {
        let _ = stderr.write_all(b"\n");
    }
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Where and how to write.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    loudness: Loudness,
    live: bool,
    signs: Signs,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loudness {
    Quiet,
    Usual,
    Verbose,
}

/// The signs of this terminal: a sign always stands beside a word or a place that says the same.
#[derive(Debug, Clone, Copy)]
struct Signs {
    good: &'static str,
    bad: &'static str,
    open: &'static str,
    idle: &'static str,
    busy: &'static str,
}

const UNICODE: Signs = Signs {
    good: "✓",
    bad: "✗",
    open: "?",
    idle: "○",
    busy: "◐",
};
const ASCII: Signs = Signs {
    good: "ok",
    bad: "NO",
    open: "??",
    idle: "--",
    busy: "..",
};

impl Output {
    /// Reads how to talk from the flags, the locale and the terminal.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self {
            json: global.json,
            loudness: match (global.verbose > 0, global.quiet) {
                (true, _) => Loudness::Verbose,
                (false, true) => Loudness::Quiet,
                (false, false) => Loudness::Usual,
            },
            live: std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb"),
            signs: if utf8_locale() { UNICODE } else { ASCII },
        }
    }

    /// Whether one JSON object is wanted on standard output.
    #[must_use]
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Whether more is wanted.
    #[must_use]
    pub fn is_verbose(self) -> bool {
        self.loudness == Loudness::Verbose
    }

    /// Whether only what went wrong is wanted.
    #[must_use]
    pub fn is_quiet(self) -> bool {
        self.loudness == Loudness::Quiet
    }

    /// A result: standard output for people, or standard error where standard output carries JSON.
    pub fn say(&self, text: impl Display) {
        if IS_LINE_OPEN.load(Ordering::Relaxed) {
            to_stderr("");
        }
        // A reader that has gone away (`pgtls plan | head`) is no failure of ours.
        let _ = if self.json {
            writeln!(anstream::stderr(), "{text}")
        } else {
            writeln!(anstream::stdout(), "{text}")
        };
    }

    /// A remark on standard error; not said with `--quiet`.
    pub fn remark(&self, text: impl Display) {
        if self.loudness > Loudness::Quiet {
            told!("{DIM}{text}{DIM:#}");
        }
    }

    /// A heading with air above it.
    pub fn heading(&self, text: impl Display) {
        self.say(format_args!("\n{BOLD}{text}{BOLD:#}"));
    }

    /// A failure: what failed, why, what to do.
    pub fn failure(&self, what: impl Display, remedies: &[String]) {
        told!("{BAD}{} error:{BAD:#} {what}", self.signs.bad);
        for remedy in remedies {
            told!("  {BOLD}→{BOLD:#} {remedy}");
        }
    }

    /// What a no leaves, as a sentence.
    pub fn declined(error: &Error) {
        let text = error.to_string();
        let mut rest = text.chars();
        let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
        told!("{first}{}.", rest.as_str());
    }

    /// An error of a journey, with the lines of the server's log that show it.
    pub fn error(&self, error: &Error) {
        self.failure_in_log(error, &error.remedies(), error.log());
    }

    /// A failure, with the lines of the server's log that show it.
    pub fn failure_in_log(&self, what: impl Display, remedies: &[String], log: &[String]) {
        self.failure(what, remedies);
        for line in log {
            told!("  {DIM}server log:{DIM:#} {line}");
        }
    }

    /// A unified diff.
    pub fn diff(&self, diff: &str) {
        for line in diff.lines() {
            match line.as_bytes() {
                [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => {
                    self.say(format_args!("{BOLD}{line}{BOLD:#}"));
                }
                [b'+', ..] => self.say(format_args!("{GOOD}{line}{GOOD:#}")),
                [b'-', ..] => self.say(format_args!("{BAD}{line}{BAD:#}")),
                _ => self.say(line),
            }
        }
        self.say("");
    }

    /// What somebody would think of something, and why.
    pub fn opinion(&self, accepts: Option<bool>, question: &str, why: &str) {
        let (style, sign, word) = match accepts {
            Some(true) => (GOOD, self.signs.good, "accepts"),
            Some(false) => (BAD, self.signs.bad, "refuses"),
            None => (OPEN, self.signs.open, "cannot be told"),
        };
        self.say(format_args!("  {style}{sign}{style:#} {question}: {word}: {why}"));
    }

    /// Whether a promise holds, and the sentence that says it; with `--quiet` only where it does not.
    pub fn promise(&self, holds: Option<bool>, sentence: &str) {
        if self.is_quiet() && holds == Some(true) {
            return;
        }
        let (style, sign) = match holds {
            Some(true) => (GOOD, self.signs.good),
            Some(false) => (BAD, self.signs.bad),
            None => (OPEN, self.signs.open),
        };
        self.say(format_args!("\n{style}{sign} {sentence}{style:#}"));
    }

    /// One of many targets; with `--quiet` only one that fails or is unclear.
    pub fn target(&self, holds: Option<bool>, place: &str, days: &str, took: Duration, headline: &str) {
        if self.is_quiet() && holds == Some(true) {
            return;
        }
        let (style, sign, word) = match holds {
            Some(true) => (GOOD, self.signs.good, "holds"),
            Some(false) => (BAD, self.signs.bad, "fails"),
            None => (OPEN, self.signs.open, "unclear"),
        };
        let took = brief(took);
        self.say(format_args!(
            "{style}{sign} {word:<8}{style:#}{place:<44} {days:>10} {DIM}{took:>8}{DIM:#}"
        ));
        if holds != Some(true) || self.is_verbose() {
            self.say(format_args!("           {headline}"));
        }
    }

    /// The heads of the matrix of modes.
    pub fn columns(&self, corner: &str, names: impl Iterator<Item = &'static str>) {
        let line = names.fold(format!("  {corner:<13} "), |line, name| {
            format!("{line}{name:<13}")
        });
        self.say(line.trim_end());
    }

    /// A row of it.
    pub fn cells(&self, name: &str, outcomes: impl Iterator<Item = CellOutcome>) {
        let line = outcomes.fold(format!("  {BOLD}{name:<13}{BOLD:#} "), |line, outcome| {
            let (style, word) = cell_word(outcome);
            // Padded outside the colours, so that the columns stand with and without them.
            format!("{line}{style}{word}{style:#}{:1$}", "", 13 - word.len())
        });
        self.say(line.trim_end());
    }

    /// A cell of that matrix with what shows it.
    pub fn cell(&self, outcome: CellOutcome, name: &str, observed: &str, evidence: &[String]) {
        let (style, word) = cell_word(outcome);
        self.say(format_args!("  {name:<13} {style}{word:<12}{style:#} {observed}"));
        for line in evidence {
            self.say(format_args!("      {DIM}evidence{DIM:#} {line}"));
        }
    }

    /// A listener that shows a journey's events as they come.
    #[must_use]
    pub fn teller(self) -> Teller {
        let over = || {
            if IS_LINE_OPEN.swap(false, Ordering::Relaxed) {
                "\r\x1b[2K"
            } else {
                ""
            }
        };
        Teller::new(move |event| match event {
            Event::Begin(step) if self.live && self.loudness > Loudness::Quiet => {
                let busy = self.signs.busy;
                let clear = over();
                to_stderr(&format!("{clear}{DIM}{busy} {}…{DIM:#}", step.doing()));
                IS_LINE_OPEN.store(true, Ordering::Relaxed);
            }
            Event::Done { note, took, .. } if self.loudness > Loudness::Quiet => {
                let good = self.signs.good;
                let clear = over();
                told!("{clear}{GOOD}{good}{GOOD:#} {note} {DIM}{}{DIM:#}", brief(took));
            }
            Event::Notice(text) => told!("{}{OPEN}note:{OPEN:#} {text}", over()),
            Event::Log(line) if self.is_verbose() => told!("{}{DIM}| {line}{DIM:#}", over()),
            _ => {}
        })
    }

    /// The probes in their groups, the headline first; with `--quiet` only those that do not hold.
    pub fn report(&self, report: &Report) {
        if self.is_quiet() && report.verdict == Verdict::Verified {
            return;
        }
        // The sign says what the exit status says.
        let holds = match Exit::from(report.verdict) {
            Exit::Holds => Some(true),
            Exit::Undetermined => None,
            _ => Some(false),
        };
        self.promise(holds, &report.headline);
        let width = report
            .probes
            .iter()
            .map(|probe| probe.observed.chars().count())
            .max()
            .unwrap_or(0)
            .min(64);
        for group in Group::ALL {
            let failed = |probe: &Probe| matches!(probe.outcome, Outcome::Broken | Outcome::Open);
            let probes: Vec<_> = report
                .probes
                .iter()
                .filter(|probe| probe.id.group() == group && (!self.is_quiet() || failed(probe)))
                .collect();
            if !probes.is_empty() {
                self.heading(group.title());
                for probe in probes {
                    self.probe(probe, width);
                }
            }
        }
    }

    fn probe(&self, probe: &Probe, width: usize) {
        let (style, sign) = match probe.outcome {
            Outcome::Holds => (GOOD, self.signs.good),
            Outcome::Broken => (BAD, self.signs.bad),
            Outcome::Open => (OPEN, self.signs.open),
            Outcome::NotTried => (DIM, self.signs.idle),
        };
        let name = probe.id.name();
        let took = if probe.outcome == Outcome::NotTried {
            String::new()
        } else {
            brief(probe.took)
        };
        let observed = &probe.observed;
        self.say(format_args!(
            "  {style}{sign}{style:#} {name:<28} {observed:<width$} {DIM}{took:>8}{DIM:#}"
        ));
        let wanted = matches!(probe.outcome, Outcome::Broken | Outcome::Open);
        if wanted {
            self.say(format_args!("      {DIM}expected{DIM:#} {}", probe.id.expected()));
        }
        if wanted || self.is_verbose() {
            for line in &probe.evidence {
                self.say(format_args!("      {DIM}evidence{DIM:#} {line}"));
            }
        }
        if let Some(remedy) = probe
            .remedy
            .as_ref()
            .filter(|_| probe.outcome != Outcome::Holds || self.is_verbose())
        {
            self.say(format_args!("      {BOLD}remedy{BOLD:#}   {remedy}"));
        }
    }
}

/// A cell's word; capitals say what a colour would.
const fn cell_word(outcome: CellOutcome) -> (Style, &'static str) {
    match outcome {
        CellOutcome::Connects => (GOOD, "connects"),
        CellOutcome::Refuses => (GOOD, "refuses"),
        CellOutcome::Unprotected => (BAD, "UNPROTECTED"),
        CellOutcome::Open => (OPEN, "unclear"),
        CellOutcome::NotTried => (DIM, "not tried"),
    }
}

/// Prints a document on standard output, as it is.
pub fn text(document: &str) {
    // A reader that has gone away is no failure of ours.
    let _ = std::io::stdout().write_all(document.as_bytes());
}

/// Prints one JSON object on a line of its own, for results that come one by one.
pub fn line_object(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    }
}

/// Prints the one JSON object of `--json`.
pub fn object(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// A duration as people read it: `12 ms`, `1.4 s`.
#[must_use]
pub fn brief(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1e3;
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1e3)
    }
}

/// Whether colours are wanted on standard output.
#[must_use]
pub fn colour(when: Color) -> bool {
    match when {
        Color::Always => true,
        Color::Never => false,
        // An empty NO_COLOR is none (https://no-color.org).
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Whether the locale's encoding is UTF-8.
#[must_use]
pub fn utf8_locale() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}
