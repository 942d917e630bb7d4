//! What must be seen for a stage to be in force: the certificate that is served, the probes, a new login of the admin.

use std::sync::Arc;
use std::time::Duration;

use crate::apply::live::Witness;
use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::dial::{
    Address, Deadline, FirstAnswer, HandshakeFault, Lost, NothingVerified, SslAnswer, StartupFailure, Stream,
    TlsSettings, TlsVersion, handshake, open, ssl_request, startup_over,
};
use crate::engine::audit::as_psql;
use crate::engine::{Error, Event, Means, Teller, manage, target};
use crate::harden::Stage;
use crate::pki::Certificate;
use crate::setup::Mode;
use crate::verify::{self, Outcome, Probe, ProbeId, Target, prove};

use super::kit::{proof_conninfo, show_certificate};
use super::over_sql::{Login, mark_of};
use super::survey::tcp_address;
use super::{Hardening, Proposal, Survey};

/// How often a probe is asked that finds nothing out.
const ATTEMPTS: u32 = 3;

/// All that is asked for, in an order in which what each stage wants stands together.
const ASKED: [ProbeId; 9] = [
    ProbeId::OldTlsRefused,
    ProbeId::Reach,
    ProbeId::SslOffered,
    ProbeId::Handshake,
    ProbeId::Chain,
    ProbeId::HostName,
    ProbeId::Validity,
    ProbeId::PlaintextRefused,
    ProbeId::ForeignCertificateRefused,
];

/// Where certificates are asked for: one that is shown is looked at.
const WHEN_ASKED: [ProbeId; 7] = [
    ProbeId::Reach,
    ProbeId::SslOffered,
    ProbeId::Handshake,
    ProbeId::Chain,
    ProbeId::HostName,
    ProbeId::Validity,
    ProbeId::ForeignCertificateRefused,
];

/// What must be seen for a stage to be in force.
#[must_use]
pub const fn promises(stage: Stage) -> &'static [ProbeId] {
    if matches!(stage, Stage::Ask) {
        return &WHEN_ASKED;
    }
    let (first, end) = match stage {
        Stage::On | Stage::Watch | Stage::Ask => (1, 7),
        Stage::Require => (1, 8),
        Stage::Mtls => (1, 9),
        Stage::Floor => (0, 7),
    };
    ASKED.split_at(end).0.split_at(first).1
}

/// The proof: the certificate that is served, the probes, a new login of the admin, and the one that is held.
pub(super) async fn proof(
    hardening: &Hardening,
    survey: &mut Survey,
    proposal: &Proposal,
    probes: &mut Vec<Probe>,
    tell: &Teller,
) -> Result<(), String> {
    let words = |error: Error| error.to_string();
    if let Some(wanted) = &proposal.leaf {
        serves(survey, wanted).await?;
    }
    let stage = proposal.stage;
    let mut admin = hardening.conninfo.clone();
    as_psql(&mut admin, &hardening.env);
    let dialled = dialled(&admin, survey, proposal).map_err(words)?;
    let mut means = hardening.means.clone();
    means.expect = Some(expected(proposal.stage));
    let dialled = target(dialled, &hardening.env, &means).await.map_err(words)?;
    promised(&dialled, proposal.stage, probes, tell).await?;
    if wants_only_tls13(proposal) {
        only_tls13(&dialled).await?;
    }
    if stage.is_about_clients() {
        let list = survey
            .setting("ssl_crl_file")
            .filter(|file| !file.is_empty())
            .map(|file| format!("; {file} (ssl_crl_file) must hold a list of the project's CA too"));
        let explain = |why: String| why + list.as_deref().unwrap_or_default();
        certificate_looked_at(&dialled, stage, proposal.client.is_some())
            .await
            .map_err(explain)?;
        // The admin may have none of the project's: then somebody else's stands for all of that CA.
        if dialled.identity.is_none()
            && let Some(kit) = proposal.project.kits.iter().find(|kit| kit.cn.is_some())
        {
            let mut conninfo =
                proof_conninfo(&proposal.project, &admin, survey, proposal.own_root, false).map_err(words)?;
            conninfo.set(Keyword::User, kit.role.clone());
            show_certificate(&mut conninfo, &proposal.project, &kit.role);
            let other = target(conninfo, &hardening.env, &means).await.map_err(words)?;
            certificate_looked_at(&other, stage, false)
                .await
                .map_err(explain)?;
        }
    }
    as_next_time(&mut admin, survey, proposal);
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

/// Has the admin come in as from now on: where certificates are demanded, with that of the kit.
fn as_next_time(admin: &mut Conninfo, survey: &Survey, proposal: &Proposal) {
    if proposal.stage == Stage::Mtls && survey.own.address.is_some() {
        show_certificate(admin, &proposal.project, &survey.own.user);
    }
}

/// How the server is dialled for the proof.
fn dialled(admin: &Conninfo, survey: &Survey, proposal: &Proposal) -> Result<Conninfo, Error> {
    let shows = proposal.stage.is_about_clients();
    let mut conninfo = proof_conninfo(&proposal.project, admin, survey, proposal.own_root, shows)?;
    if let Some(client) = &proposal.client {
        client.show(&mut conninfo);
    }
    Ok(conninfo)
}

const fn expected(stage: Stage) -> Mode {
    match stage {
        Stage::Ask | Stage::Mtls => Mode::Mtls,
        _ => Mode::OneWay,
    }
}

fn wants_only_tls13(proposal: &Proposal) -> bool {
    let wanted = ("ssl_min_protocol_version".to_owned(), "TLSv1.3".to_owned());
    proposal.wanted.contains(&wanted)
}

/// It presents that certificate.
async fn serves(survey: &Survey, wanted: &Certificate) -> Result<(), String> {
    let words = |error: Error| error.to_string();
    let (ip, port) = tcp_address(survey).map_err(words)?;
    let served = manage::presented(&ip.to_string(), port, survey.deadline())
        .await
        .map_err(words)?;
    if served.first() == Some(wanted) {
        return Ok(());
    }
    Err(
        "the server still serves another certificate: it did not take the new one, and its log says why"
            .to_owned(),
    )
}

/// Every probe of a stage holds.
async fn promised(
    dialled: &Target,
    stage: Stage,
    probes: &mut Vec<Probe>,
    tell: &Teller,
) -> Result<(), String> {
    let wanted = promises(stage);
    for left in (0..ATTEMPTS).rev() {
        let report = Box::pin(prove(dialled, &|probe| tell.tell(Event::Probe(probe.clone())))).await;
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
    Ok(())
}

/// How it was proven, for whoever is to keep it later.
pub(super) async fn witness(
    hardening: &Hardening,
    survey: &mut Survey,
    proposal: &Proposal,
) -> Result<Witness, Error> {
    let mut admin = Login::of(hardening).conninfo;
    let dialled = dialled(&admin, survey, proposal)?;
    as_next_time(&mut admin, survey, proposal);
    Ok(Witness {
        conninfo: dialled.to_keyword_value(),
        server: mark_of(survey).await?,
        timeout: u64::try_from(survey.target.timeout.as_millis()).unwrap_or(u64::MAX),
        leaf: proposal.leaf.as_ref().map(Certificate::fingerprint_sha256),
        only_tls13: wants_only_tls13(proposal),
        admin: admin.to_keyword_value(),
    })
}

/// Whether what a try was proven by holds still: the certificate that is served, and the probes. Nobody logs in for it.
pub(super) async fn holds_still(witness: &Witness, stage: Stage, means: &Means) -> Result<(), String> {
    let words = |error: Error| error.to_string();
    let conninfo = Conninfo::parse(&witness.conninfo).map_err(|error| error.to_string())?;
    let mut means = means.clone();
    means.expect = Some(expected(stage));
    let dialled = target(conninfo, &Environment::current(), &means)
        .await
        .map_err(words)?;
    if let (Some(wanted), Address::Tcp { addresses, .. }) = (&witness.leaf, &dialled.address)
        && let Some(first) = addresses.first()
    {
        let deadline = Deadline::after(means.timeout);
        let served = manage::presented(&first.ip().to_string(), first.port(), deadline).await;
        let served = served.map_err(words)?;
        if served.first().map(Certificate::fingerprint_sha256).as_ref() != Some(wanted) {
            return Err("the server serves another certificate than the one of the stage".to_owned());
        }
    }
    promised(&dialled, stage, &mut Vec::new(), &Teller::silent()).await?;
    if witness.only_tls13 {
        only_tls13(&dialled).await?;
    }
    if stage.is_about_clients() {
        certificate_looked_at(&dialled, stage, false).await?;
    }
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

/// With the certificate the server goes on; without it the login is turned away, or where it is only asked for goes on too. Where neither goes on, nobody of that role
/// comes in from here, and that alone shows nothing; of one that was named for it (`is_named`) it is a failure.
async fn certificate_looked_at(target: &Target, stage: Stage, is_named: bool) -> Result<(), String> {
    let plain = TlsSettings::new(Arc::new(NothingVerified)).with_sni_for(&target.host);
    let Some(identity) = &target.identity else {
        return Ok(());
    };
    match first_answer(target, &plain.clone().with_identity(identity.clone())).await? {
        Ok(FirstAnswer::AuthenticationRequest(_) | FirstAnswer::Admitted) => {}
        Ok(FirstAnswer::Refused(message)) if is_named => {
            return Err(format!(
                "the server refuses the client certificate that was named, as {}: {message}",
                crate::pki::printable(&target.user)
            ));
        }
        Ok(FirstAnswer::Refused(_)) => return Ok(()),
        // Such as a revocation list that knows nothing of the new CA.
        Err(error) => {
            let whose = if is_named {
                "that was named"
            } else {
                "of the project"
            };
            return Err(format!(
                "the server turns a client certificate {whose} away: {error}"
            ));
        }
    }
    match first_answer(target, &plain).await? {
        Ok(FirstAnswer::Refused(message)) if stage == Stage::Ask => Err(format!(
            "a login without a client certificate is refused, where it is only asked for: {message}"
        )),
        Ok(FirstAnswer::Refused(_)) => Ok(()),
        Ok(_) if stage == Stage::Ask => Ok(()),
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
