//! A case on a live server: its files put in place, hardened stage by stage, and taken back stage by stage.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use super::case::{Case, Place};
use super::site::Site;
use super::support::{
    Account, Outcome, Postgres, TestServer, Tree, differences, pgtls, processes_in, scratch, tree,
};
use super::witness::{self, NAMES, Trust, has_v6, own};

/// What was done and said, for whoever reads about a failure.
#[derive(Default)]
pub struct Transcript(Mutex<String>);

impl Transcript {
    pub fn note(&self, text: &str) {
        writeln!(
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            "{text}"
        )
        .unwrap();
    }

    pub fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

/// The stage that is set.
pub struct Stage<'a> {
    case: &'a Case,
    pub server: TestServer,
    pub site: Site,
    pub kit: PathBuf,
    account: Account,
    pub admin: String,
    transcript: &'a Transcript,
    trust: OnceLock<Trust>,
}

/// Runs a case on that version.
///
/// # Panics
/// If anything is not as the case says; the transcript then tells the rest.
pub fn run(case: &Case, postgres: &Postgres, transcript: &Transcript) {
    let stage = Stage::set(case, postgres, transcript);
    let original = tree(&stage.server);
    stage.facts(0);
    // The states of the disk, and after which stage each of them was: a stage that changed nothing makes none.
    let mut states: Vec<(usize, Tree)> = vec![(0, original)];
    for (at, name) in case.stages.iter().enumerate() {
        if let Some((refused, words)) = &case.refused
            && refused == name
        {
            stage.refused(name, words);
            let left = differences(&states.last().unwrap().1, &tree(&stage.server));
            assert!(left.is_empty(), "a refusal left: {}", left.join("\n"));
            stage.facts(at + 1);
            break;
        }
        let outcome = stage.harden(name);
        assert!(
            outcome.status == Some(0),
            "--stage {name}: status {:?}",
            outcome.status
        );
        let json = outcome.json();
        assert!(json.is_object(), "--stage {name} --json: {json}");
        let now = tree(&stage.server);
        let changed = differences(&states.last().unwrap().1, &now);
        transcript.note(&changed.join("\n"));
        if !changed.is_empty() {
            states.push((at + 1, now));
        }
        stage.facts(at + 1);
    }
    while states.len() > 1 {
        states.pop();
        let outcome = stage.pgtls(&["undo".into()]);
        assert!(outcome.status == Some(0), "undo: status {:?}", outcome.status);
        let (at, before) = states.last().unwrap();
        let left = differences(before, &tree(&stage.server));
        assert!(left.is_empty(), "undo to {at} is not exact: {}", left.join("\n"));
        stage.facts(*at);
    }
    let left = processes_in(&stage.kit);
    assert!(left.is_empty(), "left behind: {left:?}");
}

impl<'a> Stage<'a> {
    pub fn set(case: &'a Case, postgres: &Postgres, transcript: &'a Transcript) -> Self {
        let site = Site::new(case, postgres);
        let server = site.start(case, postgres);
        let kit = scratch("kit");
        let account = if case.as_root {
            Account::current()
        } else {
            Account::server()
        };
        account.own(&kit);
        let socket = server.socket();
        let admin = case.admin.as_deref().map_or(socket, |admin| site.fill(admin));
        let stage = Self {
            case,
            server,
            site,
            kit,
            account,
            admin,
            transcript,
            trust: OnceLock::new(),
        };
        for statement in &case.sql {
            stage.server.sql(statement);
        }
        stage
    }

    pub fn pgtls(&self, arguments: &[String]) -> Outcome {
        let job = pgtls(arguments)
            .arg("--dir")
            .arg(&self.kit)
            .account(&self.account);
        let outcome = job.env("PGPASSWORD", "secret").run();
        self.transcript.note(&format!(
            "$ pgtls {} --dir {}\n{}{}status {:?}",
            arguments.join(" "),
            self.kit.display(),
            outcome.stdout,
            outcome.stderr,
            outcome.status
        ));
        outcome
    }

    fn harden(&self, stage: &str) -> Outcome {
        self.harden_with(stage, &[])
    }

    pub fn harden_with(&self, stage: &str, more: &[&str]) -> Outcome {
        let mut arguments = vec!["harden".to_owned(), self.admin.clone(), "--config-dir".to_owned()];
        arguments.push(self.site.etc.display().to_string());
        for name in NAMES {
            arguments.extend(["--host".to_owned(), name.to_owned()]);
        }
        arguments.extend(self.case.setup(stage).map(|argument| self.site.fill(argument)));
        arguments.extend(["--stage", stage, "--yes", "--json"].map(str::to_owned));
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        self.pgtls(&arguments)
    }

    fn refused(&self, stage: &str, words: &[String]) {
        let outcome = self.harden(stage);
        assert!(
            matches!(outcome.status, Some(1..=3)),
            "--stage {stage} is not turned down: status {:?}",
            outcome.status
        );
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        for word in words {
            assert!(said.contains(word.as_str()), "the refusal does not say {word:?}");
        }
    }

    /// Whom clients trust by now.
    fn trust(&self, at: usize) -> Option<&Trust> {
        if !self.case.kit_is_trusted {
            return Some(
                self.trust
                    .get_or_init(|| Trust::new(&own().ca.cert, &own().ca.key)),
            );
        }
        let ca = self.kit.join("ca");
        (at > 0).then(|| {
            self.trust
                .get_or_init(|| Trust::new(&ca.join("root.crt"), &ca.join("ca.key")))
        })
    }

    /// Everybody comes, before (0) or after that stage, and comes in or does not.
    fn facts(&self, at: usize) {
        let when = match at {
            0 => "before".to_owned(),
            at => format!("after {}", self.case.stages[at - 1]),
        };
        // A trust in a file that the server's account cannot read is none: psql takes a copy.
        let mut wrong = Vec::new();
        for fact in &self.case.facts {
            let Some(expected) = fact.comes_in[at] else {
                continue;
            };
            if fact.way.place == Place::V6 && !has_v6() {
                continue;
            }
            match witness::login(&self.server, fact, self.trust(at), &self.kit) {
                Err(why) => wrong.push(why),
                Ok(login) => {
                    if login.comes_in != expected {
                        let [is, should] = [login.comes_in, expected].map(|is| if is { "in" } else { "out" });
                        wrong.push(format!(
                            "psql '{}'\n{}{} over {:?} is {is} and should be {should}",
                            login.conninfo, login.said, fact.role, fact.way
                        ));
                    }
                }
            }
        }
        if !wrong.is_empty() {
            let log = self.server.log();
            let tail: Vec<_> = log.lines().rev().take(20).collect();
            self.transcript.note("the server's log ends with");
            tail.iter().rev().for_each(|line| self.transcript.note(line));
            panic!("{when}:\n{}", wrong.join("\n"));
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.kit));
    }
}
