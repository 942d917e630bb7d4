//! All probes of one server, side by side.

use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::conninfo::SslMode;
use crate::dial::{
    Address, ClientIdentity, FirstAnswer, HandshakeFault, LoginFailure, Lost, NothingVerified, SslAnswer,
    StartupFailure, Stream, TlsSettings, handshake, login, old_tls_hello, open, plaintext_startup,
    ssl_request, startup_over,
};
use crate::judge::TrustStore;
use crate::pki::{Algorithm, Authority};
use crate::setup::Mode;

use super::cause::Cause;
use super::connect;
use super::finding::Finding;
use super::lookup::{self, Tried};
use super::refusals::{self, Control, OtherName};
use super::report::{Outcome, Probe, ProbeId, Report};
use super::serving::{self, Conversation};
use super::sql;
use super::target::{Admin, Target};

/// Tests every promise, telling each probe as it is done.
pub async fn prove(target: &Target, tell: &dyn Fn(&Probe)) -> Report {
    let (sender, control) = watch::channel(None);
    let stranger = stranger(target);
    let mtls = target.expect == Mode::Mtls;
    let ((mut probes, presented), plaintext, old, none, foreign, other, ca, name) = tokio::join!(
        serving(target, sender, tell),
        timed(ProbeId::PlaintextRefused, without_tls(target), tell),
        timed(ProbeId::OldTlsRefused, old_tls(target), tell),
        when(
            mtls,
            timed(
                ProbeId::NoCertificateRefused,
                no_certificate(target, control.clone()),
                tell
            )
        ),
        when(
            mtls,
            timed(
                ProbeId::ForeignCertificateRefused,
                foreign_certificate(target, stranger.as_ref()),
                tell
            )
        ),
        when(
            mtls,
            timed(
                ProbeId::OtherNameRefused,
                other_name(target, control.clone()),
                tell
            )
        ),
        timed(ProbeId::WrongCaNoticed, wrong_ca(target, stranger.as_ref()), tell),
        timed(
            ProbeId::WrongNameNoticed,
            wrong_name(target, control.clone()),
            tell
        ),
    );
    probes.extend([plaintext, old, ca, name]);
    probes.extend([none, foreign, other].into_iter().flatten());
    probes.sort_by_key(|probe| probe.id);
    once(&mut probes);
    let no_line = probes
        .iter()
        .any(|probe| probe.cause == Some(Cause::HbaNoEntryTls));
    if let Some(spared) = target.spared {
        spare(&mut probes, spared, target.by_socket);
    }
    Report::over(target, probes, presented, no_line)
}

/// Leaves out what is no promise yet, and what only a login could tell for which there is no password, or no line of
/// `pg_hba.conf` where the role comes in over the socket. What holds all the same
/// is told.
fn spare(probes: &mut Vec<Probe>, spared: &[ProbeId], by_socket: bool) {
    let cannot_log_in = |probe: &Probe| {
        let has_no_line = by_socket && probe.cause == Some(Cause::HbaNoEntryTls);
        probe.id == ProbeId::Authenticated && (has_no_line || probe.cause == Some(Cause::PasswordMissing))
    };
    let no_login = probes.iter().any(cannot_log_in);
    let is_of_login = |probe: &Probe| {
        cannot_log_in(probe)
            || (matches!(probe.outcome, Outcome::Open | Outcome::NotTried)
                && matches!(
                    probe.id,
                    ProbeId::ServerAgrees
                        | ProbeId::OtherNameRefused
                        | ProbeId::HbaHasNoPlaintextWayIn
                        | ProbeId::SettingsInForce
                ))
    };
    probes.retain(|probe| {
        probe.outcome == Outcome::Holds || !(spared.contains(&probe.id) || (no_login && is_of_login(probe)))
    });
}

/// Why a server is not reached is said once.
fn once(probes: &mut [Probe]) {
    let reach = probes.iter().find(|probe| probe.id == ProbeId::Reach);
    let Some(why) = reach
        .filter(|reach| reach.outcome == Outcome::Broken)
        .map(|reach| reach.observed.clone())
    else {
        return;
    };
    for probe in probes
        .iter_mut()
        .filter(|probe| probe.outcome == Outcome::Open && probe.observed == why)
    {
        "the server was not reached".clone_into(&mut probe.observed);
    }
}

async fn timed(id: ProbeId, asking: impl Future<Output = Finding>, tell: &dyn Fn(&Probe)) -> Probe {
    let since = Instant::now();
    let probe = asking.await.told(id, since.elapsed());
    tell(&probe);
    probe
}

async fn when<T>(wanted: bool, asking: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(asking.await) } else { None }
}

/// The conversation that must work, and what can be asked once it does.
async fn serving(
    target: &Target,
    known: watch::Sender<Option<Known>>,
    tell: &dyn Fn(&Probe),
) -> (Vec<Probe>, Vec<CertificateDer<'static>>) {
    let mut talk = serving::converse(target).await;
    let tried = Tried {
        plaintext: false,
        port: talk.port,
    };
    if let Some(admin) = &target.admin {
        lookup::explain(target, admin, &mut talk.found, tried).await;
    }
    // Nobody may be waiting any more; that is fine.
    let _ = known.send(Some(Known::of(&talk)));
    let mut found = std::mem::take(&mut talk.found);
    found.extend(sql::ask(target, &mut talk).await);
    if let Some(session) = talk.session.take() {
        session.close(target.deadline()).await;
    }
    let probes: Vec<_> = found
        .into_iter()
        .map(|(id, finding, took)| finding.told(id, took))
        .collect();
    probes.iter().for_each(tell);
    (probes, talk.presented)
}

/// What the conversation that must work tells the others.
#[derive(Debug, Clone, Copy)]
struct Known {
    control: Control,
    chain_holds: bool,
}

impl Known {
    fn of(talk: &Conversation) -> Self {
        let holds = |wanted| {
            talk.found
                .iter()
                .any(|(id, f, _)| *id == wanted && f.outcome == Outcome::Holds)
        };
        // For a password only those are asked whom it lets on so far: the rules, and the certificate, are behind them.
        let asks_for_password = talk
            .found
            .iter()
            .any(|(id, f, _)| *id == ProbeId::Authenticated && f.cause == Some(Cause::PasswordMissing));
        Self {
            control: if holds(ProbeId::Authenticated) || asks_for_password {
                Control::LetIn
            } else {
                Control::NotLetIn
            },
            chain_holds: holds(ProbeId::Chain) && holds(ProbeId::Validity),
        }
    }
}

async fn known(mut control: watch::Receiver<Option<Known>>) -> Known {
    match control
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|known| *known)
    {
        Some(known) => known,
        None => Known {
            control: Control::NotLetIn,
            chain_holds: false,
        },
    }
}

/// A CA that nobody has heard of, and a client certificate of it for the role.
struct Stranger {
    trust: Arc<TrustStore>,
    identity: ClientIdentity,
}

fn stranger(target: &Target) -> Option<Stranger> {
    let authority = Authority::create("a CA that nobody trusts", Algorithm::P256, 2, target.now).ok()?;
    let name = if target.user.len() > 64 {
        "stranger"
    } else {
        &target.user
    };
    let client = authority
        .issue_client(name, Algorithm::P256, 1, target.now)
        .ok()?;
    let trust = TrustStore::new(&[authority.certificate().der().to_vec()], &[]).ok()?;
    Some(Stranger {
        trust: Arc::new(trust),
        identity: ClientIdentity::from_pki(&client).ok()?,
    })
}

/// A connection on which the server has agreed to speak TLS.
async fn accepted(target: &Target) -> Result<Stream, Finding> {
    let deadline = target.deadline();
    let mut stream = open(&target.address, deadline)
        .await
        .map_err(|error| Finding::open(error.to_string()))?;
    match ssl_request(&mut stream, deadline).await {
        Ok(SslAnswer::Accepts) => Ok(stream),
        Ok(SslAnswer::Refuses) => Err(Finding::not_tried("the server offers no TLS")),
        Ok(SslAnswer::Error(message)) => {
            Err(Finding::open("the server answered with an error").evidence(message.to_string()))
        }
        Ok(SslAnswer::Stuffed(_) | SslAnswer::Garbage(_)) => {
            Err(Finding::open("the answer is not PostgreSQL's"))
        }
        Err(lost) => Err(Finding::open(lost.to_string())),
    }
}

async fn without_tls(target: &Target) -> Finding {
    if matches!(target.address, Address::Unix(_)) {
        return Finding::not_tried(
            "over a Unix socket there is no TLS to ask for: dial a host name or address to have it tried",
        );
    }
    let deadline = target.deadline();
    match open(&target.address, deadline).await {
        Ok(stream) => {
            refusals::plaintext(&plaintext_startup(stream, &target.user, &target.dbname, deadline).await)
        }
        Err(error) => Finding::open(error.to_string()),
    }
}

async fn old_tls(target: &Target) -> Finding {
    match accepted(target).await {
        Ok(stream) => refusals::old_tls(&old_tls_hello(stream, target.deadline()).await),
        Err(finding) => finding,
    }
}

/// How far a startup with these settings comes, and whether the server asked for a certificate.
async fn startup(
    target: &Target,
    settings: &TlsSettings,
) -> Result<(Result<FirstAnswer, StartupFailure>, bool), Finding> {
    let stream = accepted(target).await?;
    Ok(match handshake(stream, settings, target.deadline()).await {
        Ok(session) => {
            let asked = session.facts().asked_for_certificate;
            (
                startup_over(session, &target.user, &target.dbname, target.deadline()).await,
                asked,
            )
        }
        Err(failure) => {
            let lost = match failure.fault {
                HandshakeFault::Lost(lost) => lost,
                other => Lost::Other(other.to_string()),
            };
            (Err(StartupFailure::Lost(lost)), failure.asked_for_certificate)
        }
    })
}

/// Settings that judge nothing: what the server does with us is the question here, and nothing secret is sent.
fn unverified(target: &Target) -> TlsSettings {
    TlsSettings::new(Arc::new(NothingVerified)).with_sni_for(&target.host)
}

async fn no_certificate(target: &Target, control: watch::Receiver<Option<Known>>) -> Finding {
    match startup(target, &unverified(target)).await {
        Ok((answer, _)) => refusals::no_certificate(&answer, known(control).await.control),
        Err(finding) => finding,
    }
}

async fn foreign_certificate(target: &Target, stranger: Option<&Stranger>) -> Finding {
    let Some(stranger) = stranger else {
        return Finding::open("no certificate of another CA could be made");
    };
    match startup(
        target,
        &unverified(target).with_identity(stranger.identity.clone()),
    )
    .await
    {
        Ok((answer, asked)) => refusals::foreign_certificate(&answer, asked),
        Err(finding) => finding,
    }
}

async fn other_name(target: &Target, control: watch::Receiver<Option<Known>>) -> Finding {
    let Some(other) = &target.other else {
        return Finding::not_tried("needs a certificate of the same CA for another name").remedy(
            "give one with --other-cert and --other-key, or the project's directory with --dir where the CA's key is",
        );
    };
    let stream = match accepted(target).await {
        Ok(stream) => stream,
        Err(finding) => return finding,
    };
    // A password may follow, so the server has to prove itself first.
    let settings = target.verify_full().with_identity(other.clone());
    let answer = match handshake(stream, &settings, target.deadline()).await {
        Ok(session) => match login(session, &target.credentials(), target.deadline()).await {
            Ok(session) => {
                session.close(target.deadline()).await;
                OtherName::LetIn
            }
            Err(LoginFailure::Server(message)) => OtherName::Refused(message),
            Err(LoginFailure::Lost(Lost::Alert(alert))) => OtherName::Alert(alert),
            Err(failure) => OtherName::Unclear(failure.to_string()),
        },
        Err(failure) => match failure.fault {
            HandshakeFault::Lost(Lost::Alert(alert)) => OtherName::Alert(alert),
            HandshakeFault::Refused(_) => return Finding::not_tried("the server did not prove itself"),
            fault => OtherName::Unclear(fault.to_string()),
        },
    };
    refusals::other_name(&answer, known(control).await.control)
}

/// Would we notice a server of another CA? The same handshake, trusting only a CA that is not this server's.
async fn wrong_ca(target: &Target, stranger: Option<&Stranger>) -> Finding {
    if !matches!(target.sslmode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return overlooked(target, "of any CA");
    }
    let Some(stranger) = stranger else {
        return Finding::open("no other CA could be made");
    };
    let settings =
        TlsSettings::new(Arc::new(target.strict(&stranger.trust, &target.host))).with_sni_for(&target.host);
    noticed(target, &settings, "a chain to a CA that is not this server's").await
}

/// Would we notice a server of another name? The same handshake, wanting a name that no certificate carries
/// (RFC 2606: `.invalid` never exists).
async fn wrong_name(target: &Target, control: watch::Receiver<Option<Known>>) -> Finding {
    const NAME: &str = "somebody-else.invalid";
    if target.sslmode != SslMode::VerifyFull {
        return overlooked(target, "for any name");
    }
    let settings = TlsSettings::new(Arc::new(target.strict(&target.trust, NAME))).with_sni_for(&target.host);
    let finding = noticed(target, &settings, "a certificate for another name").await;
    if finding.outcome == Outcome::Holds && !known(control).await.chain_holds {
        return Finding::not_tried("the certificate is refused before its name is looked at");
    }
    finding
}

/// A client that goes by a weaker `sslmode` does not notice, whatever we would have seen.
fn overlooked(target: &Target, what: &str) -> Finding {
    Finding::broken(format!(
        "sslmode={} accepts a server certificate {what}",
        target.sslmode.word()
    ))
    .remedy("connect with sslmode=verify-full, and sslrootcert naming the root of the server's CA")
}

async fn noticed(target: &Target, settings: &TlsSettings, what: &str) -> Finding {
    let stream = match accepted(target).await {
        Ok(stream) => stream,
        Err(finding) => return finding,
    };
    match handshake(stream, settings, target.deadline()).await {
        Ok(_) => Finding::broken(format!("we accepted {what}")).remedy("report this as a defect of pgtls"),
        Err(failure) => match failure.fault {
            HandshakeFault::Refused(refusal) => {
                Finding::holds("refused before anything was sent").evidence(refusal.to_string())
            }
            fault => Finding::open(fault.to_string()),
        },
    }
}

/// A superuser's session; else why there is none.
pub async fn superuser(target: &Target, admin: &Admin) -> Result<crate::dial::Session, String> {
    match admin {
        Admin::Socket {
            address,
            user,
            dbname,
        } => {
            let stream = open(address, target.deadline())
                .await
                .map_err(|error| error.to_string())?;
            let credentials = crate::dial::Credentials::new(user, dbname);
            login(stream, &credentials, target.deadline())
                .await
                .map_err(|error| error.to_string())
        }
        Admin::Login(own) => connect::enter(own).await,
    }
}
