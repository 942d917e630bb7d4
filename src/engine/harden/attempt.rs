//! The try: write, reload, prove; and back, if any of it does not come to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::apply::live::{Live, Moment, Trial};
use crate::apply::{self, Policy, compare_beside};
use crate::conf::settings::boolean;
use crate::conninfo::Keyword;
use crate::dial::{
    Deadline, FirstAnswer, HandshakeFault, Lost, NothingVerified, QueryFailure, SslAnswer, StartupFailure,
    Stream, TlsSettings, TlsVersion, handshake, open, ssl_request, startup_over,
};
use crate::engine::audit::as_psql;
use crate::engine::{Error, Event, Step, Teller, manage, target};
use crate::harden::Stage;
use crate::server::{self, Watchdog};
use crate::setup::Mode;
use crate::verify::{self, Outcome, Probe, ProbeId, Target, prove};

use super::kit::{proof_conninfo, show_certificate};
use super::survey::{settings, tcp_address};
use super::{Hardening, Proposal, Survey, Tried};

/// How often a probe is asked that finds nothing out.
const ATTEMPTS: u32 = 3;
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
        is_taken_back: true,
        confirm_within: None,
        notes: Vec::new(),
    };
    let step = tell.begin(Step::Write);
    let project = apply::Project::create(dir)?;
    let kit = compare_beside(&project, &proposal.project.plan.artifacts)?;
    if !kit.is_empty() {
        apply::write(&project, kit, Policy::KeepCopy)?;
    }
    if proposal.is_empty() {
        step.done("the server's files say so already");
        let step = tell.begin(Step::Verify);
        tried.failure = Box::pin(proof(hardening, survey, proposal, &mut tried.probes, tell))
            .await
            .err();
        step.done("proven");
        return Ok(tried);
    }
    let data = survey.map.here(&survey.server.data);
    let mut trial = Live::of(dir).begin(&project, proposal.stage.name(), &data, &proposal.changes, None)?;
    let mut watchdog = match Watchdog::start(dir) {
        Ok(watchdog) => watchdog,
        Err(error) => {
            trial.go_back(|| ())?;
            return Err(error.into());
        }
    };
    let outcome = Box::pin(async {
        trial
            .stage(&proposal.changes)
            .and_then(|()| trial.place())
            .map_err(|error| error.to_string())?;
        step.done(format!(
            "{} of the server's files written",
            proposal.changes.len()
        ));
        reload(survey, proposal, tell).await?;
        let step = tell.begin(Step::Verify);
        Box::pin(proof(hardening, survey, proposal, &mut tried.probes, tell)).await?;
        step.done(format!("{} promises tested", tried.probes.len()));
        if !watchdog.is_alive() {
            return Err("the watchdog, which would have taken it back, was ended by somebody".to_owned());
        }
        Ok(())
    })
    .await;
    match (outcome, hardening.confirm_within) {
        (Ok(()), None) => {
            let is_kept = trial.keep()?;
            watchdog.dismiss();
            if !is_kept {
                tried.is_taken_back = false;
                tried.failure = Some("the watchdog took it back meanwhile".to_owned());
            }
        }
        (Ok(()), Some(seconds)) => {
            let until = Moment::after(seconds);
            let waits = match until {
                Some(until) => {
                    trial.wait_until(until).is_ok_and(|stands| stands) && watchdog.wait_for_confirmation()
                }
                None => false,
            };
            if waits {
                tried.confirm_within = Some(seconds);
            } else {
                let why = "nobody would have taken it back in time: the deadline could not be set";
                back(survey, &trial, why, &mut tried).await?;
            }
        }
        (Err(why), _) => {
            back(survey, &trial, &why, &mut tried).await?;
            watchdog.dismiss();
        }
    }
    Ok(tried)
}

/// Takes it back at once, and sees that the server follows.
async fn back(survey: &mut Survey, trial: &Trial, why: &str, tried: &mut Tried) -> Result<(), Error> {
    let data = trial.record().data.clone();
    let loaded = load_time(survey).await;
    let taken = trial.go_back(|| _ = server::reload(&data))?;
    tried.failure = Some(why.to_owned());
    let Some(taken) = taken else {
        tried.is_taken_back = false;
        tried.notes.push(
            "somebody else decided over this change meanwhile: its watchdog, or another run of pgtls"
                .to_owned(),
        );
        return Ok(());
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
    Ok(())
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
        let same = value == *wanted || boolean(&value).is_some_and(|is| Some(is) == boolean(wanted));
        if !same {
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

/// What must be seen for a stage to be in force.
const fn promises(stage: Stage) -> &'static [ProbeId] {
    use ProbeId as P;
    match stage {
        Stage::On | Stage::Watch => &[
            P::Reach,
            P::SslOffered,
            P::Handshake,
            P::Chain,
            P::HostName,
            P::Validity,
        ],
        Stage::Require => &[
            P::Reach,
            P::SslOffered,
            P::Handshake,
            P::Chain,
            P::HostName,
            P::Validity,
            P::PlaintextRefused,
        ],
        Stage::Mtls => &[
            P::Reach,
            P::SslOffered,
            P::Handshake,
            P::Chain,
            P::HostName,
            P::Validity,
            P::PlaintextRefused,
            P::ForeignCertificateRefused,
        ],
        Stage::Floor => &[
            P::Reach,
            P::SslOffered,
            P::Handshake,
            P::Chain,
            P::HostName,
            P::Validity,
            P::OldTlsRefused,
        ],
    }
}

/// The proof: the certificate that is served, the probes, a new login of the admin, and the one that is held.
async fn proof(
    hardening: &Hardening,
    survey: &mut Survey,
    proposal: &Proposal,
    probes: &mut Vec<Probe>,
    tell: &Teller,
) -> Result<(), String> {
    let words = |error: Error| error.to_string();
    let (ip, port) = tcp_address(survey).map_err(words)?;
    if let Some(wanted) = &proposal.leaf {
        let served = manage::presented(&ip.to_string(), port, survey.deadline())
            .await
            .map_err(words)?;
        if served.first() != Some(wanted) {
            return Err(
                "the server still serves another certificate: it did not take the new one, and its log says why".to_owned(),
            );
        }
    }
    let is_mtls = proposal.stage == Stage::Mtls;
    let mut admin = hardening.conninfo.clone();
    as_psql(&mut admin, &hardening.env);
    let conninfo =
        proof_conninfo(&proposal.project, &admin, survey, proposal.own_root, is_mtls).map_err(words)?;
    let mut means = hardening.means.clone();
    means.expect = Some(if is_mtls { Mode::Mtls } else { Mode::OneWay });
    let dialled = target(conninfo, &hardening.env, &means).await.map_err(words)?;
    let wanted = promises(proposal.stage);
    for left in (0..ATTEMPTS).rev() {
        let report = Box::pin(prove(&dialled, &|probe| tell.tell(Event::Probe(probe.clone())))).await;
        *probes = report
            .probes
            .into_iter()
            .filter(|probe| wanted.contains(&probe.id))
            .collect();
        let Some(failed) = probes.iter().find(|probe| probe.outcome != Outcome::Holds) else {
            break;
        };
        // A full server, or a lost packet, says nothing: it is asked again.
        if left > 0 && failed.outcome != Outcome::Broken {
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        }
        let evidence = failed.evidence.first().map(|line| format!(" ({line})"));
        return Err(format!(
            "{} is not proven: {}{}",
            failed.id.name(),
            failed.observed,
            evidence.unwrap_or_default()
        ));
    }
    if proposal
        .wanted
        .contains(&("ssl_min_protocol_version".to_owned(), "TLSv1.3".to_owned()))
    {
        only_tls13(&dialled).await?;
    }
    if is_mtls {
        let list = survey
            .setting("ssl_crl_file")
            .filter(|file| !file.is_empty())
            .map(|file| format!("; {file} (ssl_crl_file) must hold a list of the project's CA too"));
        let explain = |why: String| why + list.as_deref().unwrap_or_default();
        certificate_wanted(&dialled).await.map_err(explain)?;
        // The admin may have none of the project's: then somebody else's stands for all of that CA.
        if dialled.identity.is_none()
            && let Some(kit) = proposal.project.kits.iter().find(|kit| kit.cn.is_some())
        {
            let mut conninfo =
                proof_conninfo(&proposal.project, &admin, survey, proposal.own_root, false).map_err(words)?;
            conninfo.set(Keyword::User, kit.role.clone());
            show_certificate(&mut conninfo, &proposal.project, &kit.role);
            let other = target(conninfo, &hardening.env, &means).await.map_err(words)?;
            certificate_wanted(&other).await.map_err(explain)?;
        }
        if survey.own.address.is_some() {
            show_certificate(&mut admin, &proposal.project, &survey.own.user);
        }
    }
    // As the admin will come in next time.
    let again = target(admin, &hardening.env, &hardening.means)
        .await
        .map_err(words)?;
    let session = verify::enter(&again)
        .await
        .map_err(|why| format!("the admin cannot log in any more: {why}"))?;
    session.close(survey.deadline()).await;
    survey
        .ask("asking over the session that is held", "SELECT 1 AS one")
        .await
        .map_err(words)?;
    Ok(())
}

/// A hello that offers TLS 1.2 at most is turned away.
async fn only_tls13(target: &Target) -> Result<(), String> {
    let mut settings = TlsSettings::new(Arc::new(NothingVerified)).with_sni_for(&target.host);
    settings.max_version = TlsVersion::Tls12;
    let deadline = Deadline::after(target.timeout);
    let stream = accepted(target, deadline).await?;
    match handshake(stream, &settings, deadline).await {
        Ok(_) => Err("TLS 1.2 is still spoken".to_owned()),
        Err(failure) => match failure.fault {
            HandshakeFault::Lost(Lost::Alert(_)) => Ok(()),
            fault => Err(format!("whether TLS 1.2 is turned away cannot be told: {fault}")),
        },
    }
}

/// With the kit's certificate the server goes on, without it the login is turned away. Where neither goes on, nobody of
/// that role comes in from here, and that alone shows nothing.
async fn certificate_wanted(target: &Target) -> Result<(), String> {
    let plain = TlsSettings::new(Arc::new(NothingVerified)).with_sni_for(&target.host);
    let Some(identity) = &target.identity else {
        return Ok(());
    };
    match first_answer(target, &plain.clone().with_identity(identity.clone())).await? {
        Ok(FirstAnswer::AuthenticationRequest(_) | FirstAnswer::Admitted) => {}
        Ok(FirstAnswer::Refused(_)) => return Ok(()),
        // Such as a revocation list that knows nothing of the new CA.
        Err(error) => {
            return Err(format!(
                "the server turns a client certificate of the project away: {error}"
            ));
        }
    }
    match first_answer(target, &plain).await? {
        Ok(FirstAnswer::Refused(_)) => Ok(()),
        Ok(_) => Err("a login without a client certificate is still let on".to_owned()),
        Err(error) => Err(format!("a login without a client certificate: {error}")),
    }
}

async fn accepted(target: &Target, deadline: Deadline) -> Result<Stream, String> {
    let mut stream = open(&target.address, deadline)
        .await
        .map_err(|error| error.to_string())?;
    match ssl_request(&mut stream, deadline).await {
        Ok(SslAnswer::Accepts) => Ok(stream),
        _ => Err("the server offers no TLS".to_owned()),
    }
}

async fn first_answer(
    target: &Target,
    settings: &TlsSettings,
) -> Result<Result<FirstAnswer, StartupFailure>, String> {
    let deadline = Deadline::after(target.timeout);
    let stream = accepted(target, deadline).await?;
    let session = handshake(stream, settings, deadline)
        .await
        .map_err(|failure| failure.to_string())?;
    Ok(startup_over(session, &target.user, &target.dbname, deadline).await)
}
