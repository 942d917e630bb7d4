//! One attempt: one address, with TLS or without, from the first packet to the session.

use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;

use crate::conninfo::TargetSessionAttrs;
use crate::dial::{
    Address, Deadline, Handshake, HandshakeFailure, HandshakeFault, Negotiation, OpenError, Session,
    SslAnswer, Stream, TlsFacts, TlsSession, login, open_as_owner, open_with, ssl_request,
};

use crate::server::account_name;

use super::super::client::{Dialler, Server};
use super::super::finding::Finding;
use super::super::report::{Outcome, ProbeId};
use super::super::target::Target;
use super::super::{Cause, serving};
use super::{common, refusal, route};

/// With TLS, or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Plaintext,
    Tls,
}

/// What libpq does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It gives up, whatever is left to try.
    Nothing,
    /// It tries the other way, if `sslmode` has one.
    OtherWay,
    /// It tries the next address of this server.
    Address,
    /// It tries the next server.
    Server,
}

/// What a server has proven by its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    Nothing,
    Chain,
    ChainAndName,
}

/// How far one attempt came.
#[derive(Debug)]
pub struct Attempt {
    /// The server's place in the list.
    pub server: usize,
    /// What was dialled.
    pub address: String,
    /// How it was made; `None`: over a Unix socket, which knows only one way.
    pub way: Option<Way>,
    /// Our port, if it is one over TCP.
    pub port: Option<u16>,
    /// What was found, in order.
    pub found: Vec<(ProbeId, Finding, Duration)>,
    /// What libpq does next, if there is no session.
    pub next: Next,
    /// The session, if it came so far.
    pub session: Option<Session>,
    /// The connection, where the other way goes on over the same one.
    pub kept: Option<Stream>,
    /// What the server has proven.
    pub proven: Proven,
    /// The chain that it presented, leaf first.
    pub presented: Vec<CertificateDer<'static>>,
}

impl Attempt {
    fn new(address: String, way: Option<Way>) -> Self {
        Self {
            server: 0,
            address,
            way,
            port: None,
            found: Vec::new(),
            next: Next::Nothing,
            session: None,
            kept: None,
            proven: Proven::Nothing,
            presented: Vec::new(),
        }
    }

    /// Whether it was over TCP without TLS.
    pub fn is_plaintext(&self) -> bool {
        self.way == Some(Way::Plaintext)
    }

    /// Of that server.
    pub fn of(mut self, server: usize) -> Self {
        self.server = server;
        self
    }

    /// Whether its failure is no refusal but the lack of an answer.
    pub fn is_open(&self) -> bool {
        self.found
            .iter()
            .any(|(_, finding, _)| finding.outcome == Outcome::Open)
    }

    /// One line on how it failed; `None` if it did not.
    pub fn summary(&self) -> Option<String> {
        let (_, finding, _) = self
            .found
            .iter()
            .find(|(_, finding, _)| matches!(finding.outcome, Outcome::Broken | Outcome::Open))?;
        let way = match self.way {
            None => "",
            Some(Way::Plaintext) => " without TLS",
            Some(Way::Tls) => " over TLS",
        };
        let said = finding
            .evidence
            .first()
            .map_or_else(String::new, |line| format!(" ({line})"));
        Some(format!("{}{way}: {}{said}", self.address, finding.observed))
    }

    fn add(&mut self, id: ProbeId, finding: Finding, since: Instant) {
        self.found.push((id, finding, since.elapsed()));
    }

    fn fail(mut self, id: ProbeId, finding: Finding, since: Instant, next: Next) -> Self {
        self.add(id, finding, since);
        self.next = next;
        self
    }
}

/// A server whose port or address is none.
pub fn no_place(why: &str) -> Attempt {
    let finding = Finding::broken(why).because(Cause::BadConninfo);
    Attempt::new(String::new(), None).fail(ProbeId::Reach, finding, Instant::now(), Next::Server)
}

/// A server that cannot be reached at all.
pub fn unreachable(target: &Target, server: &Server, error: &OpenError) -> Attempt {
    let finding = refusal::unreachable(target, server, error);
    Attempt::new(server.label.clone(), None).fail(ProbeId::Reach, finding, Instant::now(), Next::Server)
}

async fn opened(target: &Target, address: &Address, deadline: Deadline) -> Result<Stream, OpenError> {
    match address {
        Address::Unix(path) if target.client.dialler == Dialler::Owner => open_as_owner(path, deadline).await,
        _ => open_with(address, target.client.tcp, deadline).await,
    }
}

/// Makes one. `may_go_on`: there is another way after this one; `kept`: the connection to go on over.
pub async fn make(
    target: &Target,
    server: &Server,
    address: &Address,
    way: Way,
    wanted: TargetSessionAttrs,
    may_go_on: bool,
    kept: Option<Stream>,
) -> Attempt {
    let deadline = route::deadline(target);
    let over_socket = matches!(address, Address::Unix(_));
    let mut attempt = Attempt::new(address.to_string(), (!over_socket).then_some(way));

    let since = Instant::now();
    let stream = match kept {
        Some(stream) => stream,
        None => match opened(target, address, deadline).await {
            Ok(stream) => stream,
            Err(error) => {
                let finding = refusal::unreachable(target, server, &error);
                return attempt.fail(ProbeId::Reach, finding, since, Next::Address);
            }
        },
    };
    attempt.port = stream.local_port();
    if let Some(peer) = target.client.peer.as_ref().filter(|_| over_socket) {
        let actual = stream.peer_uid();
        // libpq compares names: what the account at the other end is called first.
        let is_called_otherwise = actual.map(account_name).is_some_and(|name| {
            Some(&name) != actual.map(|uid| uid.to_string()).as_ref() && name != peer.name
        });
        if peer.uid.is_none() || peer.uid != actual || is_called_otherwise {
            let finding = refusal::wrong_peer(target, server, peer, actual);
            return attempt.fail(ProbeId::Reach, finding, since, Next::Nothing);
        }
    }
    attempt.add(
        ProbeId::Reach,
        Finding::holds(format!("{address} answers")),
        since,
    );
    if let Some(what) = &target.client.unspoken {
        let finding = refusal::unknown(target, server, Cause::AuthUnspoken, what.clone());
        return attempt.fail(ProbeId::Authenticated, finding, since, Next::Nothing);
    }
    match way {
        Way::Plaintext => enter(attempt, target, server, stream, None, wanted, deadline).await,
        Way::Tls => {
            with_tls(
                attempt, target, server, address, stream, wanted, may_go_on, deadline,
            )
            .await
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of a conversation, and what it has led to so far"
)]
async fn with_tls(
    mut attempt: Attempt,
    target: &Target,
    server: &Server,
    address: &Address,
    mut stream: Stream,
    wanted: TargetSessionAttrs,
    may_go_on: bool,
    deadline: Deadline,
) -> Attempt {
    let since = Instant::now();
    // Got ready while the server makes a process for us; whether it is wanted shows then.
    let ready = || match target.client.fault() {
        None => Ok(Handshake::new(&target.client.settings(server, target.now))),
        Some(fault) => Err(fault),
    };
    let ready = if target.client.negotiation == Negotiation::Direct {
        attempt.add(
            ProbeId::SslOffered,
            Finding::holds("TLS begins at once, without asking (sslnegotiation=direct)"),
            since,
        );
        ready()
    } else {
        let (answer, ready) = tokio::join!(ssl_request(&mut stream, deadline), async { ready() });
        let finding = refusal::offered(target, server, &answer);
        match answer {
            Ok(SslAnswer::Accepts) => attempt.add(ProbeId::SslOffered, finding, since),
            Ok(SslAnswer::Refuses) => {
                if may_go_on {
                    attempt.kept = Some(stream);
                }
                return attempt.fail(ProbeId::SslOffered, finding, since, Next::OtherWay);
            }
            _ => return attempt.fail(ProbeId::SslOffered, finding, since, Next::Nothing),
        }
        ready
    };

    let since = Instant::now();
    let shaken = match ready {
        Ok(Ok(ready)) => ready.over(stream, deadline).await,
        Ok(Err(failure)) => Err(failure),
        Err(fault) => {
            let finding = refusal::file(target, server, fault);
            return attempt.fail(ProbeId::Handshake, finding, since, Next::OtherWay);
        }
    };
    match shaken {
        Ok(session) => {
            let facts = session.facts().clone();
            attempt.presented.clone_from(&facts.presented);
            attempt.add(ProbeId::Handshake, serving::agreed(&facts), since);
            judged(&mut attempt, server, &facts);
            enter(attempt, target, server, session, Some(&facts), wanted, deadline).await
        }
        Err(failure) => {
            attempt.presented.clone_from(&failure.presented);
            let (id, finding, next) = not_shaken(target, server, address, &failure, deadline).await;
            if id > ProbeId::Handshake {
                attempt.add(
                    ProbeId::Handshake,
                    Finding::holds("the server began it with a certificate"),
                    since,
                );
            }
            attempt.fail(id, finding, since, next)
        }
    }
}

/// Where the handshake failed; a TLS that is strange to us is looked into.
async fn not_shaken(
    target: &Target,
    server: &Server,
    address: &Address,
    failure: &HandshakeFailure,
    deadline: Deadline,
) -> (ProbeId, Finding, Next) {
    // A server that had come as far as its certificate had agreed on the TLS: what it refuses then is something else.
    let had_agreed = matches!(failure.fault, HandshakeFault::Lost(_)) && !failure.presented.is_empty();
    if !had_agreed && common::needs_a_second_look(&failure.fault) {
        let offer = common::second_look(target, address, deadline).await;
        let finding = common::nothing_in_common(target, server, &failure.fault, offer);
        return (ProbeId::Handshake, finding, Next::OtherWay);
    }
    refusal::handshake(target, server, failure)
}

/// What the handshake has proven.
fn judged(attempt: &mut Attempt, server: &Server, facts: &TlsFacts) {
    let since = Instant::now();
    if let Some(path) = &facts.judged.path {
        attempt.proven = Proven::Chain;
        let anchor = path.certificates.last();
        let root = anchor.map_or_else(String::new, |anchor| anchor.subject.clone());
        attempt.add(
            ProbeId::Chain,
            Finding::holds(format!("it leads to the trusted root \"{root}\"")),
            since,
        );
        if let Some(leaf) = path.certificates.first().and_then(|leaf| leaf.not_after) {
            let finding = Finding::holds(format!("valid until {}", super::super::day(leaf)));
            attempt.add(ProbeId::Validity, finding, since);
        }
    }
    if let Some(name) = &facts.judged.name {
        attempt.proven = Proven::ChainAndName;
        let finding = Finding::holds(format!("valid for {}", server.label))
            .evidence(format!("by the name {} in the certificate", name.name));
        attempt.add(ProbeId::HostName, finding, since);
    }
}

/// Anything that a login runs over.
trait Carrier: Into<crate::dial::Link> {}
impl Carrier for Stream {}
impl Carrier for TlsSession {}

async fn enter(
    mut attempt: Attempt,
    target: &Target,
    server: &Server,
    link: impl Carrier,
    facts: Option<&TlsFacts>,
    wanted: TargetSessionAttrs,
    deadline: Deadline,
) -> Attempt {
    let since = Instant::now();
    if let Some(what) = &target.client.unspoken_login {
        let finding = refusal::unknown(target, server, Cause::AuthUnspoken, what.clone());
        return attempt.fail(ProbeId::Authenticated, finding, since, Next::Nothing);
    }
    let mut session = match login(link, &target.client.credentials(server), deadline).await {
        Ok(session) => session,
        Err(failure) => {
            let (finding, next) = refusal::login(target, server, facts, &failure);
            return attempt.fail(ProbeId::Authenticated, finding, since, next);
        }
    };
    if let Err(finding) = is_new_enough(target, &session) {
        session.close(deadline).await;
        return attempt.fail(ProbeId::Authenticated, finding, since, Next::Nothing);
    }
    if let Err(finding) = is_wanted(target, server, &mut session, wanted, deadline).await {
        session.close(deadline).await;
        return attempt.fail(ProbeId::Authenticated, finding, since, Next::Server);
    }
    let finding = Finding::holds(format!(
        "logged in as {} to {}",
        crate::pki::printable(&target.client.user),
        crate::pki::printable(&target.client.dbname)
    ));
    let version = session.parameter("server_version").map(crate::pki::printable);
    let finding = version.iter().fold(finding, |finding, version| {
        finding.evidence(format!("PostgreSQL {version}"))
    });
    attempt.add(ProbeId::Authenticated, finding, since);
    attempt.session = Some(session);
    attempt
}

/// `min_protocol_version=3.2`: spoken by PostgreSQL from 18 on
/// (<https://www.postgresql.org/docs/18/protocol.html#PROTOCOL-VERSIONS>). The session here is one of 3.0 all the same.
fn is_new_enough(target: &Target, session: &Session) -> Result<(), Finding> {
    let version = session.parameter("server_version").unwrap_or_default();
    let major = version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if !target.client.newest_protocol || major.is_some_and(|major| major >= 18) {
        return Ok(());
    }
    Err(
        Finding::broken("the server speaks version 3.0 of the protocol, and min_protocol_version is 3.2")
            .evidence(format!("PostgreSQL {}", crate::pki::printable(version)))
            .because(Cause::Protocol)
            .remedy("leave min_protocol_version out; PostgreSQL speaks 3.2 from version 18 on"),
    )
}

/// `target_session_attrs`: servers from 14 on tell by themselves, older ones are asked.
async fn is_wanted(
    target: &Target,
    server: &Server,
    session: &mut Session,
    wanted: TargetSessionAttrs,
    deadline: Deadline,
) -> Result<(), Finding> {
    const READ_ONLY: &str = "SHOW transaction_read_only";
    const STANDBY: &str = "SELECT pg_catalog.pg_is_in_recovery()";
    let (sql, expected) = match wanted {
        TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby => return Ok(()),
        TargetSessionAttrs::ReadWrite => (READ_ONLY, "off"),
        TargetSessionAttrs::ReadOnly => (READ_ONLY, "on"),
        TargetSessionAttrs::Primary => (STANDBY, "f"),
        TargetSessionAttrs::Standby => (STANDBY, "t"),
    };
    let rows = session
        .query(sql, deadline)
        .await
        .map_err(|failure| Finding::open(failure.to_string()))?;
    let found = rows
        .rows
        .first()
        .and_then(|row| row.first())
        .and_then(Option::as_deref);
    if found == Some(expected) {
        return Ok(());
    }
    Err(Finding::broken(format!(
        "the server is not what target_session_attrs={} asks for",
        wanted.word()
    ))
    .evidence(format!(
        "{sql}: {}",
        crate::pki::printable(found.unwrap_or("nothing"))
    ))
    .because(Cause::SessionAttributes)
    .remedy(Cause::SessionAttributes.remedy(&target.client.words(server))))
}
