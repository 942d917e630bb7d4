//! What must hold on any server, whatever its files: before, after each stage, and after everything was taken back.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::stage::{Stage, Transcript};
use super::super::support::{Outcome, Postgres, Tree, differences, processes_in, tree};
use super::super::witness::{Trust, own};
use super::Messy;
use super::walk::{self, End, Held, Kind, Login};

/// What the server makes of its files.
const SETTINGS: &str = "select name, setting, source, sourcefile, sourceline from pg_settings where name like 'ssl%' or source \
    in ('configuration file', 'command line') order by 1";

/// What of it a stage is about.
const RULES: &str = "select line_number, type, database, user_name, address, netmask, auth_method, options, error from \
    pg_hba_file_rules";

const TCP: [Kind; 2] = [Kind::Plain, Kind::Tls];

struct Trial<'a> {
    messy: &'a Messy,
    stage: Stage<'a>,
    transcript: &'a Transcript,
    trust: Option<Trust>,
    held: Vec<Held>,
}

/// A state that an undo leads back to.
struct State {
    after: &'static str,
    tree: Tree,
    settings: String,
    logins: Vec<Login>,
}

/// Hardens that server, stage by stage, and takes it back.
///
/// # Panics
/// If anything is not as it must be; the transcript then tells the rest.
pub fn run(messy: &Messy, postgres: &Postgres, transcript: &Transcript) {
    let mut trial = Trial {
        messy,
        stage: Stage::set(&messy.case, postgres, transcript),
        transcript,
        trust: None,
        held: Vec::new(),
    };
    let logins = trial.walk(&TCP);
    let used = lines_used(&trial.stage.server.log());
    trial.audit(&logins, Some(&used));
    let mut states = vec![State {
        after: "nothing",
        tree: tree(&trial.stage.server),
        settings: trial.settings(),
        logins,
    }];
    trial.hold(&states[0].logins);
    trial.standing();
    for name in ["on", "watch", "require", "mtls", "floor"] {
        if name == "watch" {
            trial.watch();
            continue;
        }
        let Some(now) = trial.stage(name, &states) else {
            break;
        };
        states.push(now);
    }
    trial.held.clear();
    trial.go_back(states);
    let left = processes_in(&trial.stage.kit);
    assert!(left.is_empty(), "left behind: {left:?}");
}

impl Trial<'_> {
    fn walk(&self, asked: &[Kind]) -> Vec<Login> {
        let server = &self.stage.server;
        match walk::all(
            server,
            &self.messy.people,
            asked,
            self.trust.as_ref(),
            &self.stage.kit,
        ) {
            Ok(logins) => logins,
            Err(why) => panic!("{why}"),
        }
    }

    fn settings(&self) -> String {
        let server = &self.stage.server;
        server.sql(SETTINGS).stdout + &server.sql(RULES).stdout
    }

    /// Some of those who came in stay from now on.
    fn hold(&mut self, logins: &[Login]) {
        let server = &self.stage.server;
        let came: Vec<_> = logins
            .iter()
            .filter(|login| login.end.is_in() && !self.messy.people[login.who].way.replication)
            .collect();
        // Of each way, not of one alone.
        for kind in [Kind::Local, Kind::Plain, Kind::Tls] {
            for login in came.iter().filter(|login| login.kind == kind).take(2) {
                let person = &self.messy.people[login.who];
                let conninfo = walk::conninfo(server, person, kind, self.trust.as_ref(), &self.stage.kit);
                self.held.push(walk::hold(server, person, login, &conninfo));
            }
        }
    }

    /// Nobody who stays is dropped.
    fn all_stay(&self) {
        let names = self
            .stage
            .server
            .sql("select application_name from pg_stat_activity")
            .stdout;
        for held in &self.held {
            assert!(
                names.lines().any(|name| name == held.name),
                "{} was dropped",
                held.name
            );
        }
    }

    fn standing(&self) {
        let mut arguments = vec![
            "harden".to_owned(),
            self.stage.admin.clone(),
            "--config-dir".to_owned(),
        ];
        arguments.push(self.stage.site.etc.display().to_string());
        arguments.push("--json".to_owned());
        let outcome = self.stage.pgtls(&arguments);
        if outcome.status != Some(0) {
            self.turned_down(&outcome);
        }
    }

    fn watch(&self) {
        let outcome = self.stage.harden_with("watch", &["--for", "0"]);
        assert!(
            outcome.status == Some(0),
            "--stage watch: status {:?}",
            outcome.status
        );
        let plaintext = self.held.iter().filter(|held| held.kind == Kind::Plain).count();
        let json = outcome.json();
        assert!(
            json["plaintext"].as_u64().unwrap_or_default() >= plaintext as u64,
            "watch does not see the {plaintext} sessions in plaintext"
        );
    }

    /// The refusal says why, in words that are right on this server.
    fn turned_down(&self, outcome: &Outcome) {
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(
            self.messy.turned_down.iter().any(|words| said.contains(words)),
            "turned down (status {:?}) without a reason that is right here ({:?})",
            outcome.status,
            self.messy.turned_down
        );
    }

    /// Puts a stage in force, and sees who comes in then; `None` if the server is one that cannot be hardened.
    fn stage(&mut self, name: &'static str, states: &[State]) -> Option<State> {
        let before = states.last().unwrap();
        let mut outcome = self.stage.harden_with(name, &[]);
        let mut is_forced = false;
        if outcome.status != Some(0) {
            self.nothing_changed(name, before);
            let json = if outcome.stdout.is_empty() {
                Value::Null
            } else {
                outcome.json()
            };
            let is_of_sessions = json["why"]
                .as_str()
                .is_some_and(|why| why.contains("would be refused"));
            let is_of_certificate = outcome.stderr.contains("--accept-lockout") && !is_of_sessions;
            if is_of_certificate {
                self.turned_down(&outcome);
            }
            if !is_of_sessions && !is_of_certificate {
                self.turned_down(&outcome);
                return None;
            }
            if is_of_sessions {
                let refused = json["impact"]["refused"].as_array().map_or(0, Vec::len);
                assert!(refused > 0, "turned down for nobody");
            }
            outcome = self.stage.harden_with(name, &["--accept-lockout"]);
            is_forced = true;
        }
        if outcome.status != Some(0) {
            self.nothing_changed(name, before);
            self.turned_down(&outcome);
            return None;
        }
        let json = outcome.json();
        if !is_forced {
            let refused = json["impact"]["refused"].as_array().map_or(0, Vec::len);
            assert!(
                refused == 0,
                "--stage {name} went on though sessions would be refused"
            );
        }
        let now = tree(&self.stage.server);
        self.transcript.note(&differences(&before.tree, &now).join("\n"));
        self.all_stay();
        if name == "on" {
            let ca = self.stage.kit.join("ca");
            let cert = ca.join("root.crt");
            let is_kept = json["notes"].as_array().is_some_and(|notes| {
                notes.iter().any(|note| {
                    note.as_str()
                        .is_some_and(|note| note.contains("under your own root"))
                })
            });
            assert!(
                is_kept || !self.messy.keeps_certificate,
                "the certificate that the admin verifies is put aside"
            );
            let root = if is_kept {
                own().ca.cert.clone()
            } else {
                cert.clone()
            };
            self.trust = Some(Trust::with_root(&root, &cert, &ca.join("ca.key")));
        }
        let asked: &[Kind] = match name {
            "on" => &[Kind::Plain, Kind::Prefer, Kind::Tls],
            "require" => &TCP,
            // Root's kits are not the witness' to read.
            _ if self.messy.case.as_root => &[Kind::Plain, Kind::Tls, Kind::Certificate],
            _ => &[Kind::Plain, Kind::Tls, Kind::Certificate, Kind::Kit],
        };
        let logins = self.walk(asked);
        let is_alone = self.messy.is_alone();
        let wrong = judged(name, states, &logins, is_alone);
        let wrong = [wrong, self.foretold(&json, &logins)].concat();
        if !wrong.is_empty() {
            let log = self.stage.server.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            self.transcript.note("the server's log ends with");
            tail.iter().rev().for_each(|line| self.transcript.note(line));
            panic!("after {name}:\n{}", wrong.join("\n"));
        }
        self.audit(&logins, None);
        Some(State {
            after: name,
            tree: now,
            settings: self.settings(),
            logins,
        })
    }

    fn nothing_changed(&self, name: &str, before: &State) {
        let left = differences(&before.tree, &tree(&self.stage.server));
        assert!(
            left.is_empty(),
            "--stage {name}, turned down, left: {}",
            left.join("\n")
        );
        let settings = self.settings();
        assert!(
            settings == before.settings,
            "--stage {name}, turned down, left other settings in force: {}",
            lines_that_differ(&before.settings, &settings)
        );
        self.all_stay();
    }

    /// Whom the plan said to turn away is turned away, and nobody else of those who stay.
    fn foretold(&self, json: &Value, logins: &[Login]) -> Vec<String> {
        let names = |list: &str| -> BTreeSet<String> {
            let rows = json["impact"][list].as_array().cloned().unwrap_or_default();
            rows.iter()
                .filter_map(|row| row["application"].as_str().map(str::to_owned))
                .collect()
        };
        let (refused, unsure) = (names("refused"), names("unsure"));
        let mut wrong = Vec::new();
        for held in self.held.iter().filter(|held| !unsure.contains(&held.name)) {
            let Some(login) = logins
                .iter()
                .find(|login| login.who == held.who && login.kind == held.kind)
            else {
                continue;
            };
            if refused.contains(&held.name) == login.end.is_in() {
                wrong.push(format!(
                    "{}the plan said of {:?} that it would {}be refused",
                    login.told,
                    held.name,
                    if login.end.is_in() { "" } else { "not " }
                ));
            }
        }
        wrong
    }

    /// `pgtls audit` never fails, and what it claims is so.
    fn audit(&self, logins: &[Login], used: Option<&BTreeSet<(Option<String>, u64)>>) {
        let mut arguments = vec!["audit".to_owned(), self.stage.admin.clone(), "--json".to_owned()];
        arguments.extend([
            "--config-dir".to_owned(),
            self.stage.site.etc.display().to_string(),
        ]);
        let outcome = self.stage.pgtls(&arguments);
        assert!(
            matches!(outcome.status, Some(0 | 1)),
            "audit: status {:?}",
            outcome.status
        );
        let json = outcome.json();
        let findings = json["findings"].as_array().unwrap();
        let of = |ids: &[&str]| -> Vec<&Value> {
            findings
                .iter()
                .filter(|finding| ids.contains(&finding["id"].as_str().unwrap()))
                .collect()
        };
        let open = of(&[
            "plaintext-way-in",
            "plaintext-way-in-loopback",
            "password-in-clear",
            "replication-plaintext",
            "trust-remote",
            "trust-loopback",
        ]);
        if let Some(login) = logins
            .iter()
            .find(|login| login.kind == Kind::Plain && login.end.is_in())
        {
            assert!(!open.is_empty(), "{}audit sees no way in without TLS", login.told);
        }
        for finding in of(&["hba-shadowed", "hba-shadowed-cert"]) {
            let place = finding["where"].as_str().unwrap();
            let (file, line) = place.rsplit_once(':').unwrap();
            let line: u64 = line.parse().unwrap();
            if let Some(used) = used {
                let is_used = used.contains(&(Some(file.to_owned()), line))
                    || (used.contains(&(None, line))
                        && Path::new(file).file_name() == self.hba().file_name());
                assert!(
                    !is_used,
                    "{place} decides over a login, and is said never to be reached"
                );
            }
        }
    }

    fn hba(&self) -> std::path::PathBuf {
        self.stage.server.sql("show hba_file").stdout.trim_end().into()
    }

    /// Takes everything back, stage by stage: then everything is, and everybody fares, as before.
    fn go_back(&mut self, mut states: Vec<State>) {
        while states.len() > 1 {
            let last = states.pop().unwrap();
            let before = states.last().unwrap();
            // A stage that changed nothing left nothing to undo.
            if last.tree == before.tree {
                continue;
            }
            let outcome = self.stage.pgtls(&["undo".into(), "--json".into()]);
            assert!(
                outcome.status == Some(0),
                "undo of {}: status {:?}",
                last.after,
                outcome.status
            );
            let left = differences(&before.tree, &tree(&self.stage.server));
            assert!(
                left.is_empty(),
                "undo of {} is not exact: {}",
                last.after,
                left.join("\n")
            );
            // The signal is enough for pgtls; the server may take a moment.
            let begun = Instant::now();
            let mut settings = self.settings();
            while settings != before.settings && begun.elapsed() < Duration::from_secs(30) {
                settings = self.settings();
            }
            assert!(
                settings == before.settings,
                "undo of {} left other settings in force: {}",
                last.after,
                lines_that_differ(&before.settings, &settings)
            );
        }
        self.trust = None;
        let first = &states[0];
        let wrong: Vec<_> = self
            .walk(&TCP)
            .into_iter()
            .filter(|login| {
                found(&first.logins, login.who, login.kind).is_none_or(|then| then.end != login.end)
            })
            .map(|login| login.told)
            .collect();
        assert!(wrong.is_empty(), "after all undos:\n{}", wrong.join("\n"));
    }
}

fn found(logins: &[Login], who: usize, kind: Kind) -> Option<&Login> {
    logins.iter().find(|login| login.who == who && login.kind == kind)
}

/// Who fares otherwise than they must after that stage. `is_alone`: a certificate takes the place of the password.
fn judged(stage: &str, states: &[State], logins: &[Login], is_alone: bool) -> Vec<String> {
    let before = &states.last().unwrap().logins;
    let of =
        |state: &State, login: &Login, kind| found(&state.logins, login.who, kind).map(|login| login.end);
    // With TLS and without a certificate, before certificates were wanted.
    let with_tls = |login: &Login| {
        let mut at = states
            .iter()
            .rev()
            .filter(|state| !matches!(state.after, "nothing" | "mtls" | "floor"));
        at.next().and_then(|state| of(state, login, Kind::Tls))
    };
    let mut wrong = Vec::new();
    for login in logins {
        let then = found(before, login.who, login.kind).map(|login| login.end);
        let first = of(&states[0], login, login.kind);
        let must = match (stage, login.kind) {
            // The socket is nobody's to close, and plaintext not yet.
            (_, Kind::Local) | ("on", Kind::Plain) => first,
            // Whoever comes as libpq comes by itself comes in as before.
            ("on", Kind::Prefer) => (of(&states[0], login, Kind::Plain) == Some(End::In)).then_some(End::In),
            ("on", Kind::Tls) => (first == Some(End::In)).then_some(End::In),
            ("require" | "mtls", Kind::Plain) => Some(End::ByTheRules),
            ("mtls", kind) => match with_tls(login) {
                Some(End::In) if kind == Kind::Tls => Some(End::NoCertificate),
                // A line that asked for certificates already, or a password that a certificate takes the place of.
                Some(End::NoCertificate) => None,
                Some(End::ByProof) if is_alone || kind == Kind::Tls => None,
                end => end,
            },
            _ => then,
        };
        if must.is_some_and(|must| must != login.end) {
            wrong.push(format!(
                "{}is {:?}, and should be {must:?}",
                login.told, login.end
            ));
        }
        if stage == "mtls" && login.kind == Kind::Tls && login.end.is_in() {
            wrong.push(format!("{}comes in without a certificate", login.told));
        }
    }
    wrong
}

/// The lines of `pg_hba.conf` that decided over a login, by the server's log: the file where it says one, and the line.
fn lines_used(log: &str) -> BTreeSet<(Option<String>, u64)> {
    let number = |text: &str| -> Option<u64> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let mut used = BTreeSet::new();
    for line in log.lines() {
        // `Connection matched file "…" line 7: "…"` (16), `Connection matched pg_hba.conf line 7: "…"` (15).
        if let Some((_, rest)) = line.split_once("Connection matched ") {
            let file = rest.strip_prefix("file \"").and_then(|rest| rest.split_once('"'));
            let rest = file.map_or(rest, |(_, rest)| rest);
            if let Some(line) = rest.split_once("line ").and_then(|(_, rest)| number(rest)) {
                used.insert((file.map(|(file, _)| file.to_owned()), line));
            }
        }
        // `connection authenticated: identity="app" method=md5 (…/pg_hba.conf:7)` (14).
        if let Some((_, rest)) = line.split_once("connection authenticated: ")
            && let Some((_, place)) = rest.rsplit_once(" (")
            && let Some((file, line)) = place.trim_end_matches(')').rsplit_once(':')
            && let Some(line) = number(line)
        {
            used.insert((Some(file.to_owned()), line));
        }
    }
    used
}

fn lines_that_differ(before: &str, after: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, after) = (lines(before), lines(after));
    let gone = before.difference(&after).map(|line| format!("-{line}"));
    let come = after.difference(&before).map(|line| format!("+{line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}
