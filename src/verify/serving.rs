//! What must work: from the first packet to the login, one conversation, told probe by probe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::dial::{
    Address, Alert, HandshakeFailure, HandshakeFault, LoginFailure, Lost, NothingVerified, OpenError,
    QueryFailure, Session, SslAnswer, TlsFacts, TlsSession, TlsSettings, handshake, login, open, ssl_request,
};
use crate::judge::{Cause as ChainCause, Purpose, judge_chain, judge_name};
use crate::pki::Certificate;

use super::cause::Cause;
use super::connect::refusal;
use super::finding::Finding;
use super::report::ProbeId;
use super::settings;
use super::target::Target;

/// How far the conversation came.
pub struct Conversation {
    /// What was found, in order.
    pub found: Vec<(ProbeId, Finding, Duration)>,
    /// The verified session, if there is one.
    pub session: Option<Session>,
    /// What the server presented.
    pub presented: Vec<CertificateDer<'static>>,
    /// Our port, of the connection that must work.
    pub port: Option<u16>,
    /// Whether the server speaks TLS at all: without it nothing about certificates can be asked.
    pub offers_tls: bool,
}

impl Conversation {
    fn add(&mut self, id: ProbeId, finding: Finding, since: Instant) {
        self.found.push((id, finding, since.elapsed()));
    }

    /// Everything after a step that failed was not tried.
    fn stop(mut self, after: ProbeId, why: &str) -> Self {
        let rest = [
            ProbeId::SslOffered,
            ProbeId::Handshake,
            ProbeId::Chain,
            ProbeId::HostName,
            ProbeId::Validity,
            ProbeId::Authenticated,
            ProbeId::ServerAgrees,
        ];
        for id in rest.into_iter().filter(|id| *id > after) {
            self.found.push((id, Finding::not_tried(why), Duration::ZERO));
        }
        self
    }
}

/// Holds the conversation.
pub async fn converse(target: &Target) -> Conversation {
    let mut talk = Conversation {
        found: Vec::new(),
        session: None,
        presented: Vec::new(),
        port: None,
        offers_tls: false,
    };

    let since = Instant::now();
    let mut stream = match open(&target.address, target.deadline()).await {
        Ok(stream) => stream,
        Err(error) => {
            talk.add(ProbeId::Reach, unreachable(target, &error), since);
            return talk.stop(ProbeId::Reach, "the server was not reached");
        }
    };
    talk.port = stream.local_port();
    talk.add(
        ProbeId::Reach,
        Finding::holds(format!("{} answers", target.address)),
        since,
    );

    let since = Instant::now();
    if matches!(target.address, Address::Unix(_)) {
        let finding = Finding::broken("a Unix socket carries no TLS: nothing is proven about the network")
            .remedy("dial a host name or address over TCP");
        talk.add(ProbeId::SslOffered, finding, since);
        return talk.stop(ProbeId::SslOffered, "there is no TLS");
    }
    let finding = offered(target, &ssl_request(&mut stream, target.deadline()).await);
    talk.offers_tls = finding.outcome == super::Outcome::Holds;
    talk.add(ProbeId::SslOffered, finding, since);
    if !talk.offers_tls {
        return talk.stop(ProbeId::SslOffered, "there is no TLS");
    }

    let since = Instant::now();
    match handshake(stream, &target.verify_full(), target.deadline()).await {
        Ok(session) => {
            let facts = session.facts().clone();
            talk.add(ProbeId::Handshake, agreed(&facts), since);
            talk.presented.clone_from(&facts.presented);
            certificates(&mut talk, target);
            enter(talk, target, session, &facts).await
        }
        Err(failure) => turned_away(talk, target, failure, since).await,
    }
}

/// The verified handshake did not come about: look again without verifying, to tell whose fault it is.
async fn turned_away(
    mut talk: Conversation,
    target: &Target,
    failure: HandshakeFailure,
    since: Instant,
) -> Conversation {
    let looked = look(target).await;
    talk.presented = match &looked {
        Ok(facts) if failure.presented.is_empty() => facts.presented.clone(),
        _ => failure.presented.clone(),
    };
    talk.add(
        ProbeId::Handshake,
        looked
            .as_ref()
            .map_or_else(|_| no_handshake(target, &failure.fault), agreed),
        since,
    );
    if talk.presented.is_empty() {
        return talk.stop(ProbeId::Handshake, "there was no certificate to look at");
    }
    certificates(&mut talk, target);
    let since = Instant::now();
    match (&failure.fault, looked) {
        (HandshakeFault::Lost(Lost::Alert(alert)), Ok(_)) if alert.is_about_our_certificate() => {
            talk.add(
                ProbeId::Authenticated,
                refusal::our_certificate(target, target.server(), *alert),
                since,
            );
            talk.stop(ProbeId::Authenticated, "there was no login")
        }
        (HandshakeFault::Refused(_), _) => talk.stop(
            ProbeId::Validity,
            "the server did not prove itself, so nothing was sent to it",
        ),
        _ => talk.stop(ProbeId::Validity, "there was no verified handshake"),
    }
}

/// A handshake that verifies nothing and shows nothing: for its parameters only.
async fn look(target: &Target) -> Result<TlsFacts, HandshakeFault> {
    let deadline = target.deadline();
    let lost = |text: String| HandshakeFault::Lost(Lost::Other(text));
    let mut stream = open(&target.address, deadline)
        .await
        .map_err(|e| lost(e.to_string()))?;
    match ssl_request(&mut stream, deadline).await {
        Ok(SslAnswer::Accepts) => {}
        other => return Err(lost(format!("{other:?}"))),
    }
    let settings = TlsSettings::new(Arc::new(NothingVerified)).with_sni_for(&target.host);
    handshake(stream, &settings, deadline)
        .await
        .map(|s| s.facts().clone())
        .map_err(|failure| failure.fault)
}

/// Chain, name and dates are three promises: an expired certificate of the right CA for the right name
/// breaks one of them.
fn certificates(talk: &mut Conversation, target: &Target) {
    let Some(leaf) = talk.presented.first().cloned() else {
        return;
    };
    let parsed = Certificate::from_der(&leaf).ok();

    let since = Instant::now();
    let at = parsed
        .as_ref()
        .map_or(target.now, |leaf| within(leaf, target.now));
    let chain = match judge_chain(&talk.presented, &target.trust, Purpose::Server, at) {
        Ok(_) => {
            let issuer = parsed.as_ref().map_or("?", Certificate::issuer);
            Finding::holds(format!("issued by {issuer}, trusted by {}", target.trust_file))
        }
        // Without roots nothing holds, and the file is what is wrong.
        Err(_) if target.client.root.is_err() => match &target.client.root {
            Err(fault) => refusal::file(target, target.server(), fault),
            Ok(_) => Finding::broken("no root is trusted"),
        },
        Err(refused) => refusal::chain(target, target.server(), parsed.as_ref(), &refused),
    };
    let chain = talk
        .presented
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .enumerate()
        .fold(chain, |finding, (depth, certificate)| {
            finding.evidence(format!(
                "{depth}: {} · issuer {} · {} · {} · SHA-256 {}",
                certificate.subject(),
                certificate.issuer(),
                certificate.key_description(),
                certificate.signature_algorithm(),
                certificate.fingerprint_sha256()
            ))
        });
    talk.add(ProbeId::Chain, chain, since);

    let since = Instant::now();
    let names = parsed.as_ref().map(super::names_of).unwrap_or_default();
    let name = match judge_name(&leaf, target.name()) {
        Ok(_) => Finding::holds(format!("valid for {}", target.host))
            .evidence(format!("the certificate is for {names}")),
        Err(refused) => refusal::name(target, target.server(), parsed.as_ref(), &refused),
    };
    talk.add(ProbeId::HostName, name, since);

    let since = Instant::now();
    let validity = match &parsed {
        Some(leaf) => dates(leaf, target),
        None => Finding::broken("the certificate cannot be read"),
    };
    talk.add(ProbeId::Validity, validity, since);
}

fn within(leaf: &Certificate, now: OffsetDateTime) -> OffsetDateTime {
    if leaf.not_before() <= leaf.not_after() {
        now.clamp(leaf.not_before(), leaf.not_after())
    } else {
        now
    }
}

fn dates(leaf: &Certificate, target: &Target) -> Finding {
    let now = target.now;
    let because = |finding: Finding, cause| {
        let cause = Cause::ServerCertificate(cause);
        let words = target
            .client
            .words(target.server())
            .with("subject", leaf.subject());
        finding.because(cause).remedy(cause.remedy(&words))
    };
    let (from, to) = (super::day(leaf.not_before()), super::day(leaf.not_after()));
    let finding = if now < leaf.not_before() {
        let observed = format!("not valid before {from}: this clock or the server's certificate is wrong");
        because(Finding::broken(observed), ChainCause::NotYetValid)
    } else if now > leaf.not_after() {
        because(Finding::broken(format!("expired on {to}")), ChainCause::Expired)
    } else {
        match leaf.days_left(now) {
            1 => Finding::holds(format!("1 day left, until {to}")),
            days => Finding::holds(format!("{days} days left, until {to}")),
        }
    };
    finding.evidence(format!("valid from {from} to {to}"))
}

/// Logs in over the verified session, and asks the server what it sees.
async fn enter(
    mut talk: Conversation,
    target: &Target,
    session: TlsSession,
    facts: &TlsFacts,
) -> Conversation {
    let since = Instant::now();
    if let Err(fault) = &target.client.identity {
        let finding = refusal::file(target, target.server(), fault);
        talk.add(ProbeId::Authenticated, finding, since);
        return talk.stop(ProbeId::Authenticated, "libpq would not go on with that file");
    }
    let mut session = match login(session, &target.credentials(), target.deadline()).await {
        Ok(session) => session,
        Err(failure) => {
            let finding = not_let_in(&failure, facts, target);
            talk.add(ProbeId::Authenticated, finding, since);
            return talk.stop(ProbeId::Authenticated, "there was no login");
        }
    };
    let finding = Finding::holds(format!(
        "logged in as {} to {}",
        shown(&target.user),
        shown(&target.dbname)
    ));
    let version = session.parameter("server_version").map(shown);
    let finding = version
        .iter()
        .fold(finding, |f, version| f.evidence(format!("PostgreSQL {version}")));
    talk.add(ProbeId::Authenticated, finding, since);

    let since = Instant::now();
    let seen = settings::Seen {
        protocol: facts.protocol.to_owned(),
        cipher: facts.cipher.to_owned(),
        sent_certificate: facts.sent_certificate,
    };
    let finding = match session.query(settings::SESSION, target.deadline()).await {
        Ok(rows) => settings::server_agrees(&rows.rows, &seen),
        Err(failure) => unanswered(&failure),
    };
    talk.add(ProbeId::ServerAgrees, finding, since);
    talk.session = Some(session);
    talk
}

fn shown(text: &str) -> String {
    crate::pki::printable(text)
}

/// A question that the server did not answer.
pub fn unanswered(failure: &QueryFailure) -> Finding {
    match failure {
        QueryFailure::Server(message) if message.sqlstate == "42501" => {
            Finding::not_tried("this login may not ask: it needs a superuser").evidence(message.to_string())
        }
        other => Finding::open(other.to_string()),
    }
}

fn unreachable(target: &Target, error: &OpenError) -> Finding {
    let told = refusal::unreachable(target, target.server(), error);
    match error {
        OpenError::TimedOut { .. } | OpenError::Option { .. } | OpenError::Other { .. } => told.left_open(),
        _ => told,
    }
}

fn offered(target: &Target, answer: &Result<SslAnswer, Lost>) -> Finding {
    let told = refusal::offered(target, target.server(), answer);
    match answer {
        Ok(SslAnswer::Error(_) | SslAnswer::Garbage(_)) | Err(_) => told.left_open(),
        Ok(_) => told,
    }
}

pub fn agreed(facts: &TlsFacts) -> Finding {
    Finding::holds(format!("{}, {}, {}", facts.protocol, facts.cipher, facts.group))
}

fn no_handshake(target: &Target, fault: &HandshakeFault) -> Finding {
    let because = |finding: Finding, cause: Cause| {
        finding
            .because(cause)
            .remedy(cause.remedy(&target.client.words(target.server())))
    };
    match fault {
        HandshakeFault::Lost(Lost::Alert(alert @ Alert::PROTOCOL_VERSION)) => because(
            Finding::broken("the server speaks neither TLS 1.2 nor 1.3").evidence(alert.to_string()),
            Cause::TlsVersion,
        ),
        HandshakeFault::NotTls
        | HandshakeFault::Misbehaved(_)
        | HandshakeFault::NoCertificate
        | HandshakeFault::WithoutAlpn => because(Finding::broken(fault.to_string()), Cause::TlsBroken),
        // What this TLS library cannot speak says nothing about what psql would do.
        _ => Finding::open(fault.to_string()),
    }
}

/// What is no answer about the login (a full server, a lost connection, no such database) leaves the promise open.
fn not_let_in(failure: &LoginFailure, facts: &TlsFacts, target: &Target) -> Finding {
    let (told, _) = refusal::login(target, target.server(), Some(facts), failure);
    match failure {
        LoginFailure::Server(message) | LoginFailure::Session(message)
            if matches!(message.sqlstate.get(..2), Some("3D" | "53" | "57")) =>
        {
            told.left_open()
        }
        LoginFailure::Lost(Lost::Alert(alert)) if alert.is_about_our_certificate() => told,
        LoginFailure::Lost(_) | LoginFailure::Wire(_) | LoginFailure::TooLarge => told.left_open(),
        _ => told,
    }
}
