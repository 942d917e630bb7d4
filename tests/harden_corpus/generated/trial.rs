//! What must hold on any server, whatever its files: before, after each stage, and after everything was taken back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::stage::{Stage, Transcript};
use super::super::support::{Account, Outcome, Postgres, Tree, differences, processes_in, psql_as, tree};
use super::super::witness::{Trust, own};
use super::Messy;
use super::claims::{self, Used, foretold, found, judged, lines_used};
use super::walk::{self, Held, Kind, Login};

/// What the server makes of its files.
const SETTINGS: &str = "select name, setting, source, sourcefile, sourceline from pg_settings where name like 'ssl%' or source \
    in ('configuration file', 'command line') order by 1";

/// What of it a stage is about.
const RULES: &str = "select line_number, type, database, user_name, address, netmask, auth_method, options, error from \
    pg_hba_file_rules";

const TCP: [Kind; 2] = [Kind::Plain, Kind::Tls];

struct Trial<'a> {
    messy: &'a Messy,
    major: u16,
    stage: Stage<'a>,
    transcript: &'a Transcript,
    trust: Option<Trust>,
    held: Vec<Held>,
}

/// A state that an undo leads back to.
pub struct State {
    pub after: &'static str,
    /// Whether certificates are wanted, and whether plaintext is turned away.
    pub certificates: bool,
    pub no_plaintext: bool,
    tree: Tree,
    lowest: String,
    settings: String,
    pub logins: Vec<Login>,
}

/// Hardens that server, stage by stage, and takes it back.
///
/// # Panics
/// If anything is not as it must be; the transcript then tells the rest.
pub fn run(messy: &Messy, postgres: &Postgres, transcript: &Transcript) {
    let mut trial = Trial {
        messy,
        major: postgres.major,
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
        certificates: false,
        no_plaintext: false,
        tree: tree(&trial.stage.server),
        lowest: trial.lowest(),
        settings: trial.settings(),
        logins,
    }];
    trial.hold(&states[0].logins);
    trial.standing();
    for _ in 0..if messy.twice { 2 } else { 1 } {
        for name in messy.stages {
            if *name == "watch" {
                trial.watch();
                continue;
            }
            let Some(now) = trial.stage(name, &states) else {
                break;
            };
            states.push(now);
        }
        trial.go_back(&mut states);
    }
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
        server.sql(SETTINGS).stdout + &psql_as(&Account::server(), &server.socket(), RULES).stdout
    }

    /// Polls: a signal is enough for pgtls, and the server may take a moment.
    fn settings_in_time(&self, wanted: &str) -> String {
        let begun = Instant::now();
        let mut settings = self.settings();
        while settings != wanted && begun.elapsed() < Duration::from_secs(60) {
            settings = self.settings();
        }
        settings
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
        let mut json = self.put_in_force(name, before)?;
        if self.messy.reconsidered == Some(name) && tree(&self.stage.server) != before.tree {
            let outcome = self.stage.pgtls(&["undo".into()]);
            assert!(outcome.status == Some(0), "undo: status {:?}", outcome.status);
            self.nothing_changed(name, before);
            json = self.put_in_force(name, before)?;
        }
        let now = tree(&self.stage.server);
        self.transcript.note(&differences(&before.tree, &now).join("\n"));
        self.all_stay();
        self.learn(name, &json);
        let certificates = before.certificates || name == "mtls";
        let asked: &[Kind] = match name {
            "on" => &[Kind::Plain, Kind::Prefer, Kind::Tls],
            "floor" | "require" if !certificates => &TCP,
            // Root's kits are not the witness' to read.
            _ if self.messy.case.as_root => &[Kind::Plain, Kind::Tls, Kind::Certificate],
            _ => &[Kind::Plain, Kind::Tls, Kind::Certificate, Kind::Kit],
        };
        let logins = self.walk(asked);
        let rules = claims::rules(&self.stage.server, self.major);
        let wrong = [
            judged(name, states, &logins, self.messy.is_alone()),
            foretold(&json["impact"], &self.held, &before.logins, &logins, &rules),
            self.weaker(before),
        ]
        .concat();
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
            certificates,
            no_plaintext: before.no_plaintext || matches!(name, "require" | "mtls"),
            tree: now,
            lowest: self.lowest(),
            settings: self.settings(),
            logins,
        })
    }

    /// What pgtls said of it; where somebody who stays would be turned away, it is asked twice.
    fn put_in_force(&self, name: &str, before: &State) -> Option<Value> {
        let waits: &[&str] = if self.messy.confirmed == Some(name) {
            &["--confirm-within", "3600"]
        } else {
            &[]
        };
        let refused = |json: &Value| json["impact"]["refused"].as_array().map_or(0, Vec::len);
        let mut outcome = self.stage.harden_with(name, waits);
        let is_at_once = outcome.status == Some(0);
        if !is_at_once && outcome.stderr.contains("--accept-lockout") {
            self.nothing_changed(name, before);
            if refused(&outcome.json()) == 0 {
                self.turned_down(&outcome);
            }
            let words = [&["--accept-lockout"], waits].concat();
            outcome = self.stage.harden_with(name, &words);
        }
        if outcome.status != Some(0) {
            self.nothing_changed(name, before);
            self.turned_down(&outcome);
            return None;
        }
        let json = outcome.json();
        assert!(
            !is_at_once || refused(&json) == 0,
            "--stage {name} went on though sessions would be refused"
        );
        if json["confirm_within"].as_u64().is_some() {
            let outcome = self.stage.pgtls(&["harden".into(), "--confirm".into()]);
            assert!(
                outcome.status == Some(0),
                "--confirm: status {:?}",
                outcome.status
            );
        }
        Some(json)
    }

    /// Whom clients trust from now on, and how the administrator comes.
    fn learn(&mut self, name: &str, json: &Value) {
        if self.trust.is_none() {
            let ca = self.stage.kit.join("ca");
            let cert = ca.join("root.crt");
            let notes = json["notes"].as_array().unwrap();
            let mut notes = notes.iter().filter_map(Value::as_str);
            let is_kept = notes.any(|note| note.contains("under your own root"));
            assert!(
                is_kept || !self.messy.keeps_certificate,
                "the certificate that the admin verifies is put aside"
            );
            let root = if is_kept { &own().ca.cert } else { &cert };
            self.trust = Some(Trust::with_root(root, &cert, &ca.join("ca.key")));
        }
        let admin = &mut self.stage.admin;
        if name == "mtls" && admin.contains("hostaddr") && !admin.contains("sslcert") {
            let own = self.stage.kit.join("clients/dba");
            *admin = format!(
                "{admin} sslcert={0}/client.crt sslkey={0}/client.key",
                own.display()
            );
        }
    }

    /// What is spoken at least, and by which ciphers.
    fn lowest(&self) -> String {
        let sql = "select current_setting('ssl_min_protocol_version')";
        self.stage.server.sql(sql).stdout
    }

    /// No stage lowers what is spoken at least.
    fn weaker(&self, before: &State) -> Vec<String> {
        let now = self.lowest();
        (now < before.lowest)
            .then(|| format!("ssl_min_protocol_version was {} and is {now}", before.lowest))
            .into_iter()
            .collect()
    }

    /// Neither a byte nor a setting is another, and nobody was dropped.
    fn nothing_changed(&self, name: &str, before: &State) {
        let left = differences(&before.tree, &tree(&self.stage.server));
        assert!(left.is_empty(), "{name} left: {}", left.join("\n"));
        let settings = self.settings_in_time(&before.settings);
        assert!(
            settings == before.settings,
            "{name} left other settings in force: {}",
            lines_that_differ(&before.settings, &settings)
        );
        self.all_stay();
    }

    /// `pgtls audit` never fails, and what it claims is so.
    fn audit(&self, logins: &[Login], used: Option<&Used>) {
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
        let wrong = claims::wrong(
            &outcome.json(),
            logins,
            &claims::rules(&self.stage.server, self.major),
            used,
        );
        assert!(wrong.is_empty(), "audit: {}", wrong.join("\n"));
    }

    /// Takes everything back, stage by stage: then everything is, and everybody fares, as before.
    fn go_back(&mut self, states: &mut Vec<State>) {
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
            self.nothing_changed(&format!("undo of {}", last.after), before);
        }
        self.all_stay();
        self.trust = None;
        self.stage.admin = self.stage.site.fill(
            self.messy
                .case
                .admin
                .as_deref()
                .unwrap_or(&self.stage.server.socket()),
        );
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

fn lines_that_differ(before: &str, after: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, after) = (lines(before), lines(after));
    let gone = before.difference(&after).map(|line| format!("-{line}"));
    let come = after.difference(&before).map(|line| format!("+{line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}
