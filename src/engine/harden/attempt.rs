//! The try: write, reload, prove; and back, if any of it does not come to its end.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::apply::live::{Live, Moment, Plan, Trial, WayIn, Witness};
use crate::apply::{self, Locked, Policy, compare_beside};
use crate::dial::QueryFailure;
use crate::engine::complaint::Log;
use crate::engine::{Error, Step, Teller};
use crate::harden::is_same;
use crate::server::{self, Watchdog};
use crate::verify::Outcome;

use super::clients;
use super::others::nobody_else;
use super::over_sql::{self, Login, Side};
use super::proof::{proof, witness};
use super::survey::settings;
use super::{Hardening, Proposal, Survey, Tried};

/// How long the server may take to read its files again.
const RELOAD: Duration = Duration::from_secs(30);

/// Puts a stage in force and proves it. When this returns without having kept it, everything is as it was.
pub async fn attempt(
    hardening: &Hardening,
    survey: &mut Survey,
    proposal: &Proposal,
    tell: &Teller,
) -> Result<Tried, Error> {
    let dir = &proposal.project.dir;
    clients::can_be_proven(proposal)?;
    if !proposal.is_empty()
        && let Some(line) = views(survey).await?.first()
    {
        return Err(Error::NotInForce {
            what: format!("the server does not take its files as they are: {line}"),
            remedy: "mend that line first: the server would not start again as it is; nothing was written"
                .to_owned(),
        });
    }
    let mut tried = Tried {
        probes: Vec::new(),
        failure: None,
        remedies: Vec::new(),
        log: Vec::new(),
        is_taken_back: true,
        confirm_within: None,
        notes: Vec::new(),
    };
    let step = tell.begin(Step::Write);
    let project = apply::Project::create(dir)?;
    let with_previous = write_kit(&project, proposal, &mut tried.notes)?;
    let way = way_in(hardening, survey);
    if proposal.is_empty() {
        Live::of(dir).put_way(&way)?;
        step.done("the server's files say so already");
        tried.failure = as_it_is(hardening, survey, proposal, &mut tried, tell)
            .await
            .err();
        return Ok(tried);
    }
    let alteration = match &proposal.settings {
        Some(altered) => Some(over_sql::change(hardening, survey, altered).await?),
        None => None,
    };
    let data = survey.map.here(&survey.server.data);
    let plan = Plan {
        name: proposal.stage.name(),
        data: &data,
        files: &proposal.changes,
        alteration: alteration.as_ref(),
        undoes: None,
        with_previous,
        way: Some(&way),
    };
    let trial = Live::of(dir).begin(&project, &plan)?;
    let started = match &alteration {
        Some(_) => Watchdog::start_with(dir, Some(&Login::of(hardening).handed())),
        None => Watchdog::start(dir),
    };
    let mut watchdog = match started {
        Ok(watchdog) => watchdog,
        Err(error) => {
            trial.go_back(|| ())?;
            return Err(error.into());
        }
    };
    let deadline = survey.deadline();
    let log = Log::end(&mut survey.session, Some(&data), deadline).await;
    let mut outcome = Box::pin(async {
        step.done(write(survey, proposal, &trial).await?);
        reload(survey, proposal, tell).await?;
        let step = tell.begin(Step::Verify);
        Box::pin(proof(hardening, survey, proposal, &mut tried.probes, tell)).await?;
        step.done(format!("{} promises tested", tried.probes.len()));
        was_loaded(survey, proposal, log.clone()).await?;
        if !watchdog.is_alive() {
            return Err("the watchdog, which would have taken it back, was ended by somebody".to_owned());
        }
        Ok(())
    })
    .await;
    if let Err(why) = &mut outcome {
        explain(survey, log, why, &mut tried).await;
    }
    let witness = match (&outcome, hardening.confirm_within) {
        (Ok(()), Some(_)) => Some(witness(hardening, survey, proposal).await),
        _ => None,
    };
    decide(
        hardening.confirm_within.zip(witness),
        survey,
        trial,
        watchdog,
        outcome,
        &mut tried,
    )
    .await?;
    Ok(tried)
}

/// Writes what the stage puts into the kit; whether there was anything.
fn write_kit(project: &Locked, proposal: &Proposal, notes: &mut Vec<String>) -> Result<bool, Error> {
    let kit = compare_beside(project, &proposal.project.plan.artifacts)?;
    if kit.is_empty() {
        return Ok(false);
    }
    let by = format!("harden --stage {}", proposal.stage);
    apply::write(project, kit.by(&by), Policy::KeepCopy)?;
    notes.extend(proposal.project.gathered.made.clone());
    if !proposal.own_root {
        notes.push(
            "the certificate in force stays: what the kit's own CA issues for the server is not used"
                .to_owned(),
        );
    }
    Ok(true)
}

/// How the server was reached, for whoever comes back to it.
fn way_in(hardening: &Hardening, survey: &Survey) -> WayIn {
    let conf = survey.server.conf.parent().filter(|_| survey.reach.is_ok());
    WayIn {
        conninfo: hardening.conninfo.to_keyword_value(),
        config_dir: conf.map(|directory| crate::engine::absolute(&survey.map.here(directory))),
    }
}

/// Proves what the files say already; that is no proof of files that the server has not read.
async fn as_it_is(
    hardening: &Hardening,
    survey: &mut Survey,
    proposal: &Proposal,
    tried: &mut Tried,
    tell: &Teller,
) -> Result<(), String> {
    let step = tell.begin(Step::Verify);
    let proven = Box::pin(proof(hardening, survey, proposal, &mut tried.probes, tell)).await;
    let Some((unread, remedy)) = survey.unread_note() else {
        proven?;
        step.done("proven");
        return Ok(());
    };
    tried.remedies.push(remedy.to_owned());
    let why = proven.err().map(|why| format!("{why}; ")).unwrap_or_default();
    Err(format!(
        "{why}its files say so, and what is in force are older ones: {unread}"
    ))
}

/// Whether TLS was loaded anew, where the stage wants that: not all of it shows from outside, and the log says so alone.
async fn was_loaded(survey: &mut Survey, proposal: &Proposal, log: Option<Log>) -> Result<(), String> {
    let deadline = survey.deadline();
    match log.filter(|_| proposal.loads_tls) {
        None => Ok(()),
        Some(log) => match log.complaint(&mut survey.session, deadline).await {
            Some(complaint) => Err(complaint.says),
            None => Ok(()),
        },
    }
}

/// Why it fell, and what to do: SQL says that all is well where TLS was not loaded, and only the log says why not.
async fn explain(survey: &mut Survey, log: Option<Log>, why: &mut String, tried: &mut Tried) {
    let deadline = survey.deadline();
    let complaint = match log {
        Some(log) => log.complaint(&mut survey.session, deadline).await,
        None => None,
    };
    if let Some(complaint) = complaint {
        *why = format!("the server did not load TLS anew: {}", complaint.says);
        tried.remedies.push(complaint.remedy);
        tried.log.push(complaint.line);
        return;
    }
    let broken = tried.probes.iter().find(|probe| probe.outcome != Outcome::Holds);
    tried
        .remedies
        .extend(broken.and_then(|probe| probe.remedy.clone()));
}

/// Writes the files, or alters the settings; gives what was done, in words.
async fn write(survey: &mut Survey, proposal: &Proposal, trial: &Trial) -> Result<String, String> {
    let Some(change) = &trial.record().alteration else {
        trial
            .stage(&proposal.changes)
            .map_err(|error| error.to_string())?;
        // Of two that began at once each sees the other by now.
        let files = trial.record().paths().filter_map(Path::parent);
        nobody_else(&proposal.project.dir, &files.collect::<Vec<_>>()).map_err(|error| error.to_string())?;
        trial.place().map_err(|error| error.to_string())?;
        return Ok(format!(
            "{} of the server's files written",
            proposal.changes.len()
        ));
    };
    let limit = survey.limit();
    over_sql::put(&mut survey.session, &limit, change, Side::After).await?;
    Ok(format!(
        "{} of the server's settings altered",
        change.settings.len()
    ))
}

/// Keeps it, lets it wait to be confirmed, or takes it back.
async fn decide(
    confirm: Option<(u64, Result<Witness, Error>)>,
    survey: &mut Survey,
    mut trial: Trial,
    watchdog: Watchdog,
    outcome: Result<(), String>,
    tried: &mut Tried,
) -> Result<(), Error> {
    match (outcome, confirm) {
        (Ok(()), None) => {
            let is_kept = trial.keep()?;
            watchdog.dismiss();
            if !is_kept {
                tried.is_taken_back = false;
                tried.failure = Some("the watchdog took it back meanwhile".to_owned());
            }
        }
        (Ok(()), Some((seconds, witness))) => {
            let waits = match Moment::after(seconds).zip(witness.ok()) {
                Some((until, witness)) => {
                    trial.wait_until(until, witness).is_ok_and(|stands| stands)
                        && watchdog.wait_for_confirmation()
                }
                None => false,
            };
            if waits {
                tried.confirm_within = Some(seconds);
            } else {
                let why = "nobody would have taken it back in time: the deadline could not be set";
                // The watchdog has lost us, and goes back as well.
                back(survey, &trial, why, tried).await?;
            }
        }
        (Err(why), _) => {
            if back(survey, &trial, &why, tried).await? {
                watchdog.dismiss();
            }
        }
    }
    Ok(())
}

/// Takes it back at once, and sees that the server follows; `false` if that is left to the watchdog.
async fn back(survey: &mut Survey, trial: &Trial, why: &str, tried: &mut Tried) -> Result<bool, Error> {
    tried.failure = Some(why.to_owned());
    let data = trial.record().data.clone();
    let loaded = load_time(survey).await;
    let taken = match &trial.record().alteration {
        Some(change) => {
            let limit = survey.limit();
            match over_sql::take_back(trial, change, &mut survey.session, &limit).await {
                Ok(taken) => taken,
                Err(error) => {
                    tried.is_taken_back = false;
                    tried.notes.push(format!(
                        "this session could not take it back ({error}); the watchdog does, over its own"
                    ));
                    return Ok(false);
                }
            }
        }
        None => trial.go_back(|| _ = server::reload(&data))?,
    };
    let Some(taken) = taken else {
        tried.is_taken_back = false;
        tried.notes.push(
            "somebody else decided over this change meanwhile: its watchdog, or another run of pgtls"
                .to_owned(),
        );
        return Ok(true);
    };
    for path in taken.kept {
        tried.notes.push(format!(
            "somebody changed a file meanwhile; what they made of it is {}",
            path.display()
        ));
    }
    // The signal is enough; that it was heard is worth a moment.
    if loaded.is_some() {
        let until = Instant::now() + RELOAD;
        while load_time(survey).await == loaded && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(true)
}

/// When the server last read its files, as the held session knows it.
async fn load_time(survey: &mut Survey) -> Option<String> {
    let sql = "SELECT pg_conf_load_time()::text AS at";
    let rows = survey.ask("asking when the files were read", sql).await.ok()?;
    rows.value(0, "at").map(str::to_owned)
}

/// What the server says is wrong with its files.
async fn views(survey: &mut Survey) -> Result<Vec<String>, Error> {
    // A setting that waits for a restart has an error there too, and is none.
    const SETTINGS: &str = "SELECT coalesce(f.sourcefile, '') || ':' || coalesce(f.sourceline, 0) || ': ' \
        || coalesce(f.name, '') || ': ' || f.error AS line FROM pg_file_settings f LEFT JOIN pg_settings s \
        ON s.name = lower(f.name) WHERE f.error IS NOT NULL \
        AND NOT (f.error = 'setting could not be applied' AND coalesce(s.context, '') = 'postmaster') LIMIT 100";
    let rows = match survey.session.query(SETTINGS, survey.deadline()).await {
        Ok(rows) => rows,
        // A name in a file that is no text of this database keeps the whole view back.
        Err(QueryFailure::Server(_)) => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::Database {
                doing: "asking for errors in the files (pg_file_settings)".to_owned(),
                why: error.to_string(),
            });
        }
    };
    Ok((0..rows.rows.len())
        .filter_map(|at| rows.value(at, "line").map(crate::pki::printable))
        .collect())
}

/// Lines that the server does not take; of some it does not say why. A line that it takes, and that can never match (of
/// GSSAPI in a build without it), has an error there too.
const RULES: &str = "SELECT line_number AS line, coalesce(error, 'PostgreSQL does not say why') AS error \
    FROM pg_hba_file_rules WHERE type IS NULL LIMIT 1";

/// Has the server read the files, and sees that it took them.
async fn reload(survey: &mut Survey, proposal: &Proposal, tell: &Teller) -> Result<(), String> {
    let words = |error: Error| error.to_string();
    for (path, bytes) in &proposal.read_back {
        if !survey.reads(path, bytes).await.map_err(words)? {
            return Err(format!(
                "the server does not read what was written to {}",
                path.display()
            ));
        }
    }
    if let Some(line) = views(survey).await.map_err(words)?.first() {
        return Err(format!("the server would not take its files: {line}"));
    }
    let step = tell.begin(Step::Reload);
    let loaded = load_time(survey).await;
    survey
        .ask("having the server read its files", "SELECT pg_reload_conf()")
        .await
        .map_err(words)?;
    let until = Instant::now() + RELOAD;
    loop {
        let now = load_time(survey).await;
        if now.is_some() && now != loaded {
            break;
        }
        if Instant::now() >= until {
            return Err("the server did not read its files again".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let deadline = survey.deadline();
    let in_force = settings(&mut survey.session, deadline).await.map_err(words)?;
    for (name, wanted) in &proposal.wanted {
        let (value, source) = in_force.get(name).cloned().unwrap_or_default();
        if !is_same(name, &value, wanted) {
            return Err(format!(
                "{name} is {value} after the reload, not {wanted} (it comes from: {source})"
            ));
        }
    }
    survey.in_force = in_force;
    let deadline = survey.deadline();
    if let Ok(rows) = survey.session.query(RULES, deadline).await
        && let Some(line) = rows.value(0, "line")
    {
        let error = crate::pki::printable(rows.value(0, "error").unwrap_or_default());
        return Err(format!(
            "the server does not take its rules: line {line}: {error}"
        ));
    }
    step.done("the server has read its files again");
    Ok(())
}
