//! What must work: from the first packet to the login, one conversation, told probe by probe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::dial::{
    Address, Alert, HandshakeFailure, HandshakeFault, LoginFailure, Lost, NothingVerified, OpenError,
    QueryFailure, Session, SslAnswer, TlsFacts, TlsSession, TlsSettings, handshake, login, open, ssl_request,
};
use crate::judge::{Purpose, judge_chain, judge_name};
use crate::pki::Certificate;

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
        offers_tls: false,
    };

    let since = Instant::now();
    let mut stream = match open(&target.address, target.deadline()).await {
        Ok(stream) => stream,
        Err(error) => {
            talk.add(ProbeId::Reach, unreachable(&error), since);
            return talk.stop(ProbeId::Reach, "the server was not reached");
        }
    };
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
    let finding = offered(&ssl_request(&mut stream, target.deadline()).await);
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
            .map_or_else(|_| no_handshake(&failure.fault), agreed),
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
                our_certificate_refused(*alert, target),
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
        Err(refusal) if refusal.cause.is_undetermined() => Finding::open(refusal.to_string()),
        Err(refusal) => Finding::broken(refusal.to_string()).remedy(super::remedy::chain(&refusal, target)),
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
    let name = match judge_name(&leaf, &target.host) {
        Ok(_) => Finding::holds(format!("valid for {}", target.host)),
        Err(refusal) => Finding::broken(refusal.to_string()).remedy(super::remedy::host_name(target)),
    };
    talk.add(
        ProbeId::HostName,
        name.evidence(format!("the certificate is for {names}")),
        since,
    );

    let since = Instant::now();
    let validity = match &parsed {
        Some(leaf) => dates(leaf, target.now),
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

fn dates(leaf: &Certificate, now: OffsetDateTime) -> Finding {
    let (from, to) = (super::day(leaf.not_before()), super::day(leaf.not_after()));
    let finding = if now < leaf.not_before() {
        Finding::broken(format!(
            "not valid before {from}: this clock or the server's certificate is wrong"
        ))
        .remedy("check the clocks of both machines; else reissue the certificate")
    } else if now > leaf.not_after() {
        Finding::broken(format!("expired on {to}")).remedy(super::remedy::RENEW)
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
    let mut session = match login(session, &target.credentials(), target.deadline()).await {
        Ok(session) => session,
        Err(failure) => {
            talk.add(ProbeId::Authenticated, not_let_in(&failure, target), since);
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

fn unreachable(error: &OpenError) -> Finding {
    match error {
        OpenError::TimedOut { .. } | OpenError::Other { .. } => Finding::open(error.to_string()),
        _ => Finding::broken(error.to_string())
            .remedy("start the server, or correct host and port; it must listen there (listen_addresses)"),
    }
}

fn offered(answer: &Result<SslAnswer, Lost>) -> Finding {
    match answer {
        Ok(SslAnswer::Accepts) => Finding::holds("the server offers TLS"),
        Ok(SslAnswer::Refuses) => Finding::broken("the server does not offer TLS: ssl is off, or a proxy is in between")
            .evidence("answer to SSLRequest: N")
            .remedy("set ssl = on with ssl_cert_file and ssl_key_file, then reload; a pooler in between needs its own TLS"),
        Ok(SslAnswer::Error(message)) => Finding::open("the server answered with an error").evidence(message.to_string()),
        Ok(SslAnswer::Stuffed(bytes)) => {
            Finding::broken("somebody stuffs bytes into the connection before TLS begins")
                .evidence(format!("after the answer to SSLRequest came: {bytes}"))
                .remedy("do not use this path: whatever is in between alters the connection")
        }
        Ok(SslAnswer::Garbage(bytes)) => {
            Finding::open("the answer is not PostgreSQL's").evidence(format!("answer to SSLRequest: {bytes}"))
        }
        Err(lost) => Finding::open(lost.to_string()),
    }
}

pub fn agreed(facts: &TlsFacts) -> Finding {
    Finding::holds(format!("{}, {}, {}", facts.protocol, facts.cipher, facts.group))
}

fn no_handshake(fault: &HandshakeFault) -> Finding {
    match fault {
        HandshakeFault::Lost(Lost::Alert(alert @ Alert::PROTOCOL_VERSION)) => Finding::broken(
            "the server speaks neither TLS 1.2 nor 1.3",
        )
        .evidence(alert.to_string())
        .remedy("set ssl_min_protocol_version = 'TLSv1.2', leave ssl_max_protocol_version empty, and reload"),
        HandshakeFault::NotTls | HandshakeFault::Misbehaved(_) | HandshakeFault::WithoutAlpn => {
            Finding::broken(fault.to_string())
        }
        // What this TLS library cannot speak says nothing about what psql would do.
        _ => Finding::open(fault.to_string()),
    }
}

fn our_certificate_refused(alert: Alert, target: &Target) -> Finding {
    let finding = Finding::broken(format!(
        "the server refuses our client certificate: {}",
        meaning(alert)
    ));
    finding
        .evidence(alert.to_string())
        .remedy(super::remedy::client_certificate(target))
}

/// What OpenSSL means by an alert about a client certificate.
fn meaning(alert: Alert) -> &'static str {
    match alert {
        Alert::UNKNOWN_CA => "it does not know the CA that issued it (or lacks that CA's revocation list)",
        Alert::CERTIFICATE_EXPIRED => "it has expired (or the server's revocation list has)",
        Alert::CERTIFICATE_REVOKED => "it is revoked",
        Alert::UNSUPPORTED_CERTIFICATE => "it is not made for clients",
        Alert::BAD_CERTIFICATE => "it is not valid (yet), or cannot be read",
        Alert::CERTIFICATE_REQUIRED => "it wants one and got none",
        _ => "it does not say why",
    }
}

fn not_let_in(failure: &LoginFailure, target: &Target) -> Finding {
    match failure {
        LoginFailure::Server(message) if message.sqlstate.starts_with("28") => {
            Finding::broken("the server refuses the login")
                .evidence(message.to_string())
                .remedy(super::remedy::login(message, target))
        }
        LoginFailure::Lost(Lost::Alert(alert)) if alert.is_about_our_certificate() => {
            our_certificate_refused(*alert, target)
        }
        LoginFailure::PasswordNeeded(_) => Finding::broken(failure.to_string())
            .remedy("give the password in PGPASSWORD or in a passfile of mode 0600"),
        LoginFailure::Session(message) if !message.sqlstate.starts_with("53") => {
            Finding::broken("the server refuses the session").evidence(message.to_string())
        }
        LoginFailure::NotAllowed(_)
        | LoginFailure::CertificateUnused { .. }
        | LoginFailure::NoChannelBinding(_)
        | LoginFailure::BindingUndefined
        | LoginFailure::PlusWithoutTls
        | LoginFailure::Authentication(_)
        | LoginFailure::Unsendable => Finding::broken(failure.to_string()),
        LoginFailure::Server(message) | LoginFailure::Session(message) => {
            Finding::open("the server refuses for a reason that is not the login's")
                .evidence(message.to_string())
        }
        LoginFailure::Unsupported(_)
        | LoginFailure::Lost(_)
        | LoginFailure::Wire(_)
        | LoginFailure::TooLarge => Finding::open(failure.to_string()),
    }
}
