//! `pgtls harden`, and what `pgtls undo` does about it.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::conninfo::Environment;
use crate::engine::harden::{self, Hardening, Hindrance, Proposal, Survey, Tried};
use crate::engine::{self, Error, Means};
use crate::harden::{Altered, Impact, Seen, Sightings, Stage};
use crate::verify::Probe;

use super::args::{Global, HardenArgs, HardenStage, LeastTls, UndoArgs};
use super::manage;
use super::output::{Output, object};
use super::prompt::Prompt;
use super::verify::{given, timeout};
use super::{Exit, drive};

#[derive(Debug, Serialize)]
struct Report<'a> {
    stage: &'static str,
    dir: String,
    server: ServerRow,
    in_force: bool,
    files: Vec<FileRow>,
    /// Altered over SQL, where the files are out of reach.
    settings: &'a [Altered],
    impact: &'a Impact,
    probes: &'a [Probe],
    /// Seconds to confirm it in.
    confirm_within: Option<u64>,
    /// Why it is not in force.
    why: Option<&'a str>,
    /// What to do about that.
    remedies: &'a [String],
    /// What the server's log says of it.
    log: &'a [String],
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ServerRow {
    version: String,
    config_file: String,
    hba_file: String,
}

#[derive(Debug, Serialize)]
struct FileRow {
    path: String,
    new: bool,
    diff: String,
}

impl From<HardenStage> for Stage {
    fn from(stage: HardenStage) -> Self {
        match stage {
            HardenStage::On => Self::On,
            HardenStage::Watch => Self::Watch,
            HardenStage::Require => Self::Require,
            HardenStage::Mtls => Self::Mtls,
            HardenStage::Floor => Self::Floor,
        }
    }
}

/// Runs the command.
pub fn run(global: &Global, args: &HardenArgs, output: Output) -> Result<Exit, Error> {
    if args.confirm {
        return confirm(global, output);
    }
    let prompt = Prompt::new(global);
    let Some(stage) = args.stage.map(Stage::from) else {
        return standing(global, args, prompt, output);
    };
    let stage = match stage {
        Stage::Mtls if args.ask => Stage::Ask,
        _ if args.ask => {
            return Err(Error::DoesNotFit {
                what: format!("--ask is about client certificates, and the stage {stage} is not"),
                remedy: "say --stage mtls --ask".to_owned(),
            });
        }
        stage => stage,
    };
    if stage != Stage::Floor && args.least_tls.is_some() {
        return Err(Error::DoesNotFit {
            what: format!("--least-tls is about the stage floor, and not about {stage}"),
            remedy: "say --stage floor --least-tls 1.2 or 1.3".to_owned(),
        });
    }
    let hardening = hardening(global, args, stage, prompt, output)?;
    let tell = output.teller();
    harden::settle(&global.dir, &tell)?;
    if stage == Stage::Watch {
        return watch(global, args, &hardening, output);
    }
    drive(async {
        let mut survey = Box::pin(harden::survey(&hardening)).await?;
        let proposal = harden::propose(&hardening, &survey).await?;
        // Whoever is asked sees what is asked about.
        if !(output.is_quiet() && global.yes) {
            show(&proposal, &survey, output);
        }
        show_impact(&proposal.impact, output);
        // Each is agreed to by a word of its own.
        let displaces = proposal.displaces().filter(|_| !args.replace_certificate);
        let turns_away = proposal.turns_away().filter(|_| !args.accept_lockout);
        if let Some((why, remedy)) = displaces.or(turns_away) {
            output.failure(&why, &[remedy.to_owned()]);
            tell_json(&proposal, &survey, &nothing(why), output);
            return Ok(Exit::Broken);
        }
        if let (Err(why), false) = (&survey.reach, proposal.is_empty())
            && !proposal.is_within_reach(&survey)
        {
            return bundle(&survey, &proposal, why, output);
        }
        if !proposal.is_empty() {
            prompt.consent("Try it?", "nothing was written", "say --yes to put it in force")?;
        }
        let tried = Box::pin(harden::attempt(&hardening, &mut survey, &proposal, &tell)).await?;
        tell_end(&proposal, &tried, output);
        tell_json(&proposal, &survey, &tried, output);
        let exit = if tried.failure.is_none() {
            Exit::Holds
        } else {
            Exit::Broken
        };
        survey
            .session
            .close(crate::dial::Deadline::after(Duration::from_secs(1)))
            .await;
        Ok(exit)
    })
}

/// Out of reach: what its administrator needs is written instead.
fn bundle(survey: &Survey, proposal: &Proposal, why: &str, output: Output) -> Result<Exit, Error> {
    let dir = harden::bundle(survey, proposal)?;
    output.failure(
        why,
        &[format!(
            "all that the server's administrator needs is in {}: begin with RUNBOOK.md",
            dir.display()
        )],
    );
    let mut tried = nothing(why.to_owned());
    tried.notes.push(format!("bundle: {}", dir.display()));
    tell_json(proposal, survey, &tried, output);
    Ok(Exit::Environment)
}

fn hardening(
    global: &Global,
    args: &HardenArgs,
    stage: Stage,
    prompt: Prompt,
    output: Output,
) -> Result<Hardening, Error> {
    let conninfo = given(args.conninfo.as_deref().unwrap_or_default(), output)?;
    let env = Environment::current();
    let locked = engine::locked_key(conninfo.clone(), &env);
    let means = Means {
        admin: None,
        expect: None,
        other: None,
        dir: global.dir.clone(),
        key_passphrase: match &locked {
            Some(key) => prompt.passphrase(None, &[key])?,
            None => None,
        },
        timeout: timeout(args.timeout)?,
        now: OffsetDateTime::now_utc(),
    };
    Ok(Hardening {
        conninfo,
        env,
        means,
        request: super::request::request_for_live(global, &args.setup, prompt)?,
        config_dir: args.config_dir.clone(),
        stage,
        only_tls13: args.least_tls.map(|least| least == LeastTls::Tls13),
        client: args.client_cert.clone().zip(args.client_key.clone()),
        confirm_within: args.confirm_within.map(u64::from),
    })
}

fn nothing(why: String) -> Tried {
    Tried {
        probes: Vec::new(),
        is_taken_back: true,
        failure: Some(why),
        remedies: Vec::new(),
        log: Vec::new(),
        confirm_within: None,
        notes: Vec::new(),
    }
}

fn show(proposal: &Proposal, survey: &Survey, output: Output) {
    output.heading(format_args!(
        "Stage {}: {} (PostgreSQL {})",
        proposal.stage,
        proposal.stage.means(),
        survey.version
    ));
    for note in survey.login_note().iter().chain(&proposal.notes) {
        output.remark(note);
    }
    for file in &proposal.files {
        output.diff(&file.diff);
    }
    for (_, diff) in proposal.settings_diff(survey) {
        output.diff(&diff);
    }
    if proposal.is_empty() {
        output.say("The server's files say all of it already");
    }
    if let Some(replaced) = &proposal.replaces {
        output.heading("Would be replaced");
        output.say(format_args!("  {}", replaced.says));
    }
}

fn show_impact(impact: &Impact, output: Output) {
    for (heading, all) in [
        ("Would be refused", &impact.refused),
        ("May be refused", &impact.may_be_refused),
        ("Cannot be told", &impact.unsure),
    ] {
        if !all.is_empty() {
            output.heading(heading);
        }
        for affected in all {
            output.say(format_args!("  {}", affected.sentence()));
        }
    }
}

fn tell_end(proposal: &Proposal, tried: &Tried, output: Output) {
    for note in &tried.notes {
        output.remark(note);
    }
    if let (Some(replaced), None) = (&proposal.replaces, &tried.failure) {
        output.say(format_args!("\nReplaced: {}", replaced.says));
    }
    let dir = proposal.project_dir().display();
    if let (None, Some(what)) = (&tried.failure, proposal.to_hand_out()) {
        output.remark(what);
    }
    match (&tried.failure, tried.confirm_within) {
        (Some(why), _) => {
            output.promise(
                Some(false),
                &format!("The stage {} is not in force", proposal.stage),
            );
            output.failure_in_log(why, &tried.remedies, &tried.log);
            output.remark(if tried.is_taken_back {
                "the server's files and settings are as they were"
            } else {
                "`pgtls harden` without --stage says where the server stands"
            });
        }
        (None, Some(seconds)) => {
            output.promise(
                Some(true),
                &format!(
                    "In force and proven: {}; it is taken back in {seconds} seconds unless you keep it",
                    proposal.stage.means()
                ),
            );
            output.say(format_args!("  pgtls harden --confirm --dir {dir}     keep it"));
            output.say(format_args!(
                "  pgtls undo --dir {dir}                 go back now"
            ));
        }
        (None, None) => {
            output.promise(
                Some(true),
                &format!("In force and proven: {}", proposal.stage.means()),
            );
            if !output.is_quiet() {
                output.say(format_args!("  pgtls undo --dir {dir}     takes it back"));
            }
        }
    }
}

fn tell_json(proposal: &Proposal, survey: &Survey, tried: &Tried, output: Output) {
    if !output.json() {
        return;
    }
    object(&Report {
        stage: proposal.stage.name(),
        dir: proposal.project_dir().display().to_string(),
        server: ServerRow {
            version: survey.version.clone(),
            config_file: survey.server.conf.display().to_string(),
            hba_file: survey.server.hba.display().to_string(),
        },
        in_force: tried.failure.is_none(),
        files: proposal
            .files
            .iter()
            .map(|file| FileRow {
                path: file.path.display().to_string(),
                new: file.is_new,
                diff: file.diff.clone(),
            })
            .collect(),
        settings: proposal.settings.as_deref().unwrap_or_default(),
        impact: &proposal.impact,
        probes: &tried.probes,
        confirm_within: tried.confirm_within,
        why: tried.failure.as_deref(),
        remedies: &tried.remedies,
        log: &tried.log,
        notes: survey
            .login_note()
            .iter()
            .chain(&proposal.notes)
            .chain(&tried.notes)
            .chain(proposal.replaces.as_ref().map(|replaced| &replaced.says))
            .cloned()
            .collect(),
    });
}

#[derive(Debug, Serialize)]
struct StandingReport {
    dir: String,
    /// What is undecided, in a sentence.
    pending: Option<String>,
    /// As whom root logged in, in a sentence.
    login: Option<String>,
    version: String,
    stages: Vec<StandingRow>,
    /// Whether clients are asked for certificates of the kit's CA.
    asks_for_certificates: bool,
    /// What goes with the next stage.
    next_option: Option<&'static str>,
    next: Option<&'static str>,
    /// Files that were changed since the server last read them, so that what is in force is older.
    unread: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StandingRow {
    stage: &'static str,
    means: &'static str,
    in_files: bool,
    /// Whether the server has read them, too.
    done: bool,
    /// Sessions that were seen and that it would turn away.
    would_refuse: u64,
    /// Sessions that were seen and that it may turn away.
    may_refuse: u64,
    /// What keeps it from coming into force until it is mended.
    hindrance: Option<Hindrance>,
}

/// Without a stage: where the server stands, and what comes next. Nothing is written.
fn standing(global: &Global, args: &HardenArgs, prompt: Prompt, output: Output) -> Result<Exit, Error> {
    let mut hardening = hardening(global, args, Stage::On, prompt, output)?;
    let (report, stages, unread) = drive(async {
        let survey = Box::pin(harden::survey(&hardening)).await?;
        let stages = harden::standing(&mut hardening, &survey).await?;
        let asks = Box::pin(harden::is_asked(&mut hardening, &survey)).await;
        let (next, next_option) = next(&stages, asks, harden::has_watched(&global.dir));
        let report = StandingReport {
            dir: engine::absolute(&global.dir).display().to_string(),
            pending: harden::pending(&global.dir),
            login: survey.login_note(),
            version: survey.version.clone(),
            next: next.map(Stage::name),
            next_option,
            asks_for_certificates: asks,
            stages: stages
                .iter()
                .map(|row| StandingRow {
                    stage: row.stage.name(),
                    means: row.stage.means(),
                    in_files: row.in_files,
                    done: row.is_done(),
                    would_refuse: row.would_refuse,
                    may_refuse: row.may_refuse,
                    hindrance: row.hindrance.clone(),
                })
                .collect(),
            unread: survey
                .unread
                .iter()
                .map(|file| file.path.display().to_string())
                .collect(),
        };
        Ok((report, stages, survey.unread_note()))
    })?;
    if output.json() {
        object(&report);
        return Ok(Exit::Holds);
    }
    output.heading(format_args!(
        "Where this server stands (PostgreSQL {})",
        report.version
    ));
    if let Some(note) = &report.login {
        output.remark(note);
    }
    for row in &report.stages {
        say_row(row, report.asks_for_certificates, output);
    }
    let hindrances = harden::hindrances(&stages);
    if !hindrances.is_empty() {
        output.heading("In the way");
    }
    for (stages, hindrance) in hindrances {
        let stages: Vec<_> = stages.into_iter().map(Stage::name).collect();
        output.say(format_args!("  {}: {}", stages.join(", "), hindrance.what));
        for remedy in &hindrance.remedies {
            output.say(format_args!("    → {remedy}"));
        }
    }
    if let Some(pending) = &report.pending {
        output.remark(pending);
        return Ok(Exit::Holds);
    }
    if let Some((unread, remedy)) = &unread {
        output.remark(unread);
        output.remark(format_args!("next: {remedy}"));
        return Ok(Exit::Holds);
    }
    let in_the_way = stages
        .iter()
        .find(|row| !row.is_done() && row.hindrance.is_some());
    let stuck = in_the_way.filter(|row| report.next == Some(row.stage.name()));
    match report.next {
        Some(_) if stuck.is_some() => output.remark("next: what is in the way"),
        Some(next) => {
            match Stage::of_change(next) {
                Some(Stage::Watch) if report.next_option.is_some() => output.remark(
                    "TLS is offered. Nobody has watched yet who still comes without it; whoever knows goes on with --stage require.",
                ),
                Some(stage) => output.remark(stage.why_next()),
                None => {}
            }
            let option = report
                .next_option
                .map_or_else(String::new, |option| format!(" {option}"));
            output.remark(format_args!(
                "next: pgtls {} --stage {next}{option}",
                engine::typed()
            ));
        }
        None => output.remark("nothing is left to do"),
    }
    Ok(Exit::Holds)
}

fn say_row(row: &StandingRow, asks: bool, output: Output) {
    let word = match (row.done, &row.hindrance) {
        (true, _) => "done",
        (false, Some(_)) => "stuck",
        (false, None) => "open",
    };
    let unread = match (row.in_files, row.done) {
        (true, false) => "; its files say so, and the server has not read them",
        _ => "",
    };
    let sessions = |count, fate: &str| match count {
        0 => String::new(),
        1 => format!("; 1 session that was seen {fate} be refused"),
        many => format!("; {many} sessions that were seen {fate} be refused"),
    };
    let refused = sessions(row.would_refuse, "would") + &sessions(row.may_refuse, "may");
    let asked = if row.stage == Stage::Mtls.name() && !row.in_files && asks {
        "; certificates are asked for already"
    } else {
        ""
    };
    output.say(format_args!(
        "  {word:<5} {:<8} {}{asked}{unread}{refused}",
        row.stage, row.means
    ));
}

/// What comes next, and its option.
fn next(stages: &[harden::Standing], asks: bool, has_watched: bool) -> (Option<Stage>, Option<&'static str>) {
    match harden::next_stage(stages, asks) {
        Some(Stage::Require) if !has_watched => (Some(Stage::Watch), Some("--for 3600")),
        Some(Stage::Ask) => (Some(Stage::Mtls), Some("--ask")),
        next => (next, None),
    }
}

#[derive(Debug, Serialize)]
struct WatchReport<'a> {
    stage: &'static str,
    dir: String,
    seconds: u32,
    looks: u64,
    by_log: bool,
    missed: Option<u64>,
    plaintext: u64,
    /// Sessions over TLS without a client certificate, where the server asks for one.
    without_certificate: Option<u64>,
    /// Sessions over TLS of which the log alone tells, where the server asks for one.
    certificate_unknown: Option<u64>,
    seen: &'a crate::harden::Watched,
}

fn watch(global: &Global, args: &HardenArgs, hardening: &Hardening, output: Output) -> Result<Exit, Error> {
    let (look, asks) = drive(async {
        let mut survey = Box::pin(harden::survey(hardening)).await?;
        if args.afresh {
            harden::forget(&global.dir)?;
        }
        let asks = survey.setting("ssl_ca_file").is_some_and(|file| !file.is_empty());
        let look = harden::watch(
            &mut survey,
            &global.dir,
            Duration::from_secs(args.watch_for.into()),
            &|_, _| ControlFlow::Continue(()),
        )
        .await?;
        Ok((look, asks))
    })?;
    let bare = look.all.without_certificate();
    let unknown: Vec<_> = look
        .certificate_unknown
        .iter()
        .map(|(seen, sightings)| (seen, *sightings))
        .collect();
    let count = |seen: &[(&Seen, Sightings)]| seen.iter().map(|(_, sightings)| sightings.sessions).sum();
    let plain: Vec<_> = look.all.iter().filter(|(seen, _)| seen.is_plaintext()).collect();
    if output.json() {
        object(&WatchReport {
            stage: Stage::Watch.name(),
            dir: engine::absolute(&global.dir).display().to_string(),
            seconds: args.watch_for,
            looks: look.looks,
            by_log: look.by_log,
            missed: look.missed,
            plaintext: count(&plain),
            without_certificate: asks.then(|| count(&bare)),
            certificate_unknown: asks.then(|| count(&unknown)),
            seen: &look.all,
        });
        return Ok(Exit::Holds);
    }
    say_seen("Seen without TLS, now and before", &plain, output);
    if asks {
        say_seen("Seen with TLS, but without a client certificate", &bare, output);
        if !unknown.is_empty() {
            let heading = "Came with TLS and went; whether with a client certificate is not known";
            say_seen(heading, &unknown, output);
        }
    }
    output.say(look.reach());
    Ok(Exit::Holds)
}

fn say_seen(heading: &str, seen: &[(&Seen, Sightings)], output: Output) {
    output.heading(heading);
    for (seen, sightings) in seen {
        let last = crate::harden::moment(sightings.last);
        output.say(format_args!(
            "  {}, last seen {last}",
            seen.words(sightings.sessions)
        ));
    }
    if seen.is_empty() {
        output.say("  nobody");
    }
}

#[derive(Debug, Serialize)]
struct Confirmed {
    stage: String,
    in_force: bool,
    /// What could not be looked at.
    notes: Vec<String>,
}

fn confirm(global: &Global, output: Output) -> Result<Exit, Error> {
    let kept = drive(harden::confirm(&global.dir))?;
    let record = kept.record;
    if output.json() {
        object(&Confirmed {
            stage: record.name,
            in_force: true,
            notes: kept.notes,
        });
    } else {
        for note in &kept.notes {
            output.remark(note);
        }
        output.promise(
            Some(true),
            &format!("Kept: the stage {}", crate::pki::printable(&record.name)),
        );
    }
    Ok(Exit::Holds)
}

/// The process that takes a change back when nobody keeps it.
pub fn watchdog(global: &Global) -> Result<Exit, Error> {
    harden::keep_watch(&global.dir)?;
    Ok(Exit::Holds)
}

#[derive(Debug, Serialize)]
struct Undone {
    dir: String,
    stage: String,
    no_longer: Option<&'static str>,
    files: Vec<UndoneRow>,
    /// Of the kit, relative to it.
    kit: Vec<manage::UndoneRow>,
    settings: Vec<String>,
    kept: Vec<String>,
    reloaded: bool,
    remaining: usize,
}

#[derive(Debug, Serialize)]
struct UndoneRow {
    path: String,
    exists: bool,
}

/// Takes the last stage back; `None` where there is none.
pub fn undo(global: &Global, args: &UndoArgs, output: Output) -> Result<Option<Exit>, Error> {
    let admin = args
        .admin
        .as_deref()
        .map(|text| given(text, output))
        .transpose()?;
    let Some(undone) = harden::undo_stage_as(&global.dir, admin.as_ref(), &output.teller())? else {
        return Ok(None);
    };
    if output.json() {
        object(&Undone {
            dir: engine::absolute(&global.dir).display().to_string(),
            no_longer: Stage::of_change(&undone.stage).map(Stage::without),
            stage: undone.stage,
            kit: undone
                .kit
                .map_or_else(Vec::new, |kit| manage::UndoneRow::all(&kit.files)),
            files: undone
                .files
                .iter()
                .map(|path| UndoneRow {
                    path: path.display().to_string(),
                    exists: path.exists(),
                })
                .collect(),
            settings: undone.settings,
            kept: undone
                .kept
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            reloaded: undone.reloaded,
            remaining: engine::undos_left(&global.dir)?,
        });
        return Ok(Some(Exit::Holds));
    }
    for path in &undone.files {
        let word = if path.exists() { "restored" } else { "removed" };
        output.say(format_args!("  {word:<8} {}", path.display()));
    }
    for name in &undone.settings {
        output.say(format_args!("  restored {name}"));
    }
    if let Some(kit) = &undone.kit {
        manage::say_files(kit, output);
    }
    output.remark(if undone.reloaded {
        "the server has been told to read them"
    } else {
        "no server runs there: it reads them when it starts"
    });
    manage::say_remaining(engine::undos_left(&global.dir)?, output);
    Ok(Some(Exit::Holds))
}
