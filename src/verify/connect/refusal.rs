//! What each failure means: its cause, its evidence, what to do, and what libpq does next.

use crate::dial::{
    Alert, AuthMethod, HandshakeFailure, HandshakeFault, LoginFailure, Lost, Negotiation, OpenError, Refusal,
    ServerMessage, SslAnswer, TlsFacts,
};
use crate::judge::{Cause as ChainCause, NameCause, NameRefusal};
use crate::pki::Certificate;
use crate::server::account_name;

use super::super::cause::{Cause, Words};
use super::super::client::{FileFault, Peer, Place, Server};
use super::super::finding::Finding;
use super::super::languages;
use super::super::report::ProbeId;
use super::super::target::Target;
use super::attempt::Next;

/// A refusal of a cause, with the cause's own remedy.
pub(super) fn broken(target: &Target, server: &Server, cause: Cause, observed: impl Into<String>) -> Finding {
    blame(Finding::broken(observed), cause, &target.client.words(server))
}

/// No answer, with what that is.
pub(super) fn unknown(
    target: &Target,
    server: &Server,
    cause: Cause,
    observed: impl Into<String>,
) -> Finding {
    blame(Finding::open(observed), cause, &target.client.words(server))
}

fn blame(finding: Finding, cause: Cause, words: &Words) -> Finding {
    finding.because(cause).remedy(cause.remedy(words))
}

/// Whether libpq gives up by itself at this moment: only with a `connect_timeout`, and only if we waited so long.
fn late(target: &Target, server: &Server, observed: impl Into<String>) -> Finding {
    let gives_up = target
        .client
        .patience
        .is_some_and(|patience| patience <= target.timeout);
    if gives_up {
        broken(target, server, Cause::Timeout, observed)
    } else {
        unknown(target, server, Cause::Timeout, observed)
    }
}

/// The way to the server.
pub fn unreachable(target: &Target, server: &Server, error: &OpenError) -> Finding {
    let cause = match error {
        OpenError::TimedOut { .. } => return late(target, server, error.to_string()),
        OpenError::NoSuchHost { .. } => Cause::HostUnknown,
        OpenError::Refused { .. } => Cause::ConnectionRefused,
        OpenError::NoSuchSocket { .. } => Cause::NoSocket,
        OpenError::Permission { .. } if matches!(server.place, Place::Socket(_)) => Cause::SocketDenied,
        OpenError::Permission { .. } | OpenError::Other { .. } => Cause::Unreachable,
        OpenError::Option { .. } => Cause::BadConninfo,
    };
    broken(target, server, cause, error.to_string())
}

/// The server at a socket runs as somebody else.
pub fn wrong_peer(target: &Target, server: &Server, wanted: &Peer, actual: Option<u32>) -> Finding {
    let name = crate::pki::printable(&wanted.name);
    let known = actual.is_some_and(|uid| account_name(uid) != uid.to_string());
    let actual = actual.map_or_else(|| "an unknown account".to_owned(), |uid| format!("user id {uid}"));
    // libpq compares the name of the account that it finds at the other end: what that is called decides.
    if wanted.uid.is_some() || known {
        let observed = format!("the server at the socket runs as {actual}, not as {name}");
        broken(target, server, Cause::WrongPeer, observed)
    } else {
        let observed = format!("this machine's list of accounts has no {name}; the server runs as {actual}");
        unknown(target, server, Cause::WrongPeer, observed)
    }
}

/// The answer to the request for TLS.
pub fn offered(target: &Target, server: &Server, answer: &Result<SslAnswer, Lost>) -> Finding {
    match answer {
        Ok(SslAnswer::Accepts) => Finding::holds("the server offers TLS"),
        Ok(SslAnswer::Refuses) => broken(
            target,
            server,
            Cause::NoSsl,
            "the server does not offer TLS: ssl is off, or a proxy is in between",
        )
        .evidence("answer to SSLRequest: N"),
        Ok(SslAnswer::Error(message)) => broken(
            target,
            server,
            Cause::ErrorBeforeTls,
            "the server answered with an error",
        )
        .evidence(message.to_string()),
        Ok(SslAnswer::Stuffed(bytes)) => broken(
            target,
            server,
            Cause::StuffedBytes,
            "somebody stuffs bytes into the connection before TLS begins",
        )
        .evidence(format!("after the answer to SSLRequest came: {bytes}")),
        Ok(SslAnswer::Garbage(bytes)) => broken(
            target,
            server,
            Cause::NotPostgres,
            "the answer is not PostgreSQL's",
        )
        .evidence(format!("answer to SSLRequest: {bytes}")),
        Err(lost) => ended(target, server, lost),
    }
}

fn ended(target: &Target, server: &Server, lost: &Lost) -> Finding {
    match lost {
        Lost::TimedOut(_) => late(target, server, lost.to_string()),
        Lost::Tls(_) => broken(target, server, Cause::TlsBroken, lost.to_string()),
        _ => broken(target, server, Cause::ConnectionLost, lost.to_string()),
    }
}

/// A file of the client's.
pub fn file(target: &Target, server: &Server, fault: &FileFault) -> Finding {
    let words = target
        .client
        .words(server)
        .with("file", &fault.file.display().to_string());
    let why = crate::pki::printable(&fault.why);
    let finding = if fault.cause == Cause::TlsUnspoken {
        Finding::open(why)
    } else {
        Finding::broken(why)
    };
    blame(finding, fault.cause, &words)
}

/// A handshake that failed for a reason that psql would have, too: at which step, and what libpq does next.
pub fn handshake(target: &Target, server: &Server, failure: &HandshakeFailure) -> (ProbeId, Finding, Next) {
    let direct = target.client.negotiation == Negotiation::Direct;
    let at_handshake = |finding| (ProbeId::Handshake, finding, Next::OtherWay);
    match &failure.fault {
        HandshakeFault::Refused(refusal) => {
            let (id, finding) = certificate(target, server, failure, refusal);
            (id, finding, Next::OtherWay)
        }
        HandshakeFault::Lost(Lost::Alert(alert)) if alert.is_about_our_certificate() => (
            ProbeId::Authenticated,
            our_certificate(target, server, *alert),
            Next::OtherWay,
        ),
        HandshakeFault::WithoutAlpn | HandshakeFault::Lost(Lost::Alert(Alert::NO_APPLICATION_PROTOCOL)) => {
            at_handshake(broken(target, server, Cause::DirectTls, failure.to_string()))
        }
        HandshakeFault::NoCertificate => {
            let cause = Cause::ServerCertificate(ChainCause::NoCertificate);
            (
                ProbeId::Chain,
                broken(target, server, cause, failure.to_string()),
                Next::OtherWay,
            )
        }
        HandshakeFault::NotTls | HandshakeFault::Lost(Lost::Closed | Lost::Reset) if direct => {
            let observed = "the server does not take TLS without being asked first (sslnegotiation=direct)";
            at_handshake(broken(target, server, Cause::DirectTls, observed).evidence(failure.to_string()))
        }
        HandshakeFault::Lost(lost @ Lost::TimedOut(_)) => (
            ProbeId::Handshake,
            late(target, server, lost.to_string()),
            Next::Address,
        ),
        HandshakeFault::Lost(lost) => at_handshake(ended(target, server, lost)),
        other => at_handshake(broken(target, server, Cause::TlsBroken, other.to_string())),
    }
}

/// A certificate of the server's that libpq refuses.
fn certificate(
    target: &Target,
    server: &Server,
    failure: &HandshakeFailure,
    refusal: &Refusal,
) -> (ProbeId, Finding) {
    let leaf = failure
        .presented
        .first()
        .and_then(|der| Certificate::from_der(der).ok());
    match refusal {
        Refusal::Chain(refused) => {
            let is_about_dates = matches!(refused.cause, ChainCause::Expired | ChainCause::NotYetValid);
            let id = if is_about_dates {
                ProbeId::Validity
            } else {
                ProbeId::Chain
            };
            (id, chain(target, server, leaf.as_ref(), refused))
        }
        Refusal::Name(refused) => (ProbeId::HostName, name(target, server, leaf.as_ref(), refused)),
    }
}

fn subject_of(leaf: Option<&Certificate>) -> String {
    leaf.map_or_else(|| "it".to_owned(), |leaf| leaf.subject().to_owned())
}

/// A chain that does not hold.
pub fn chain(
    target: &Target,
    server: &Server,
    leaf: Option<&Certificate>,
    refused: &crate::judge::Refusal,
) -> Finding {
    let at_fault = refused.certificate.as_ref();
    let subject = at_fault.map_or_else(|| subject_of(leaf), |at_fault| at_fault.subject.clone());
    let finding = if refused.cause.is_undetermined() {
        Finding::open(refused.to_string())
    } else {
        Finding::broken(refused.to_string())
    };
    let words = target.client.words(server).with("subject", &subject);
    let finding = blame(finding, Cause::ServerCertificate(refused.cause), &words);
    let finding = at_fault.into_iter().fold(finding, |finding, at_fault| {
        finding.evidence(format!(
            "certificate {} (0 is the server's own): {} · issuer {} · SHA-256 {}",
            at_fault.depth, at_fault.subject, at_fault.issuer, at_fault.sha256
        ))
    });
    let finding = match refused.trusted.as_slice() {
        [] => finding.evidence("no self-signed certificate is trusted"),
        trusted => finding.evidence(format!("trusted: {}", trusted.join("; "))),
    };
    refused.openssl.iter().fold(finding, |finding, error| {
        finding.evidence(format!("OpenSSL's error {}: {}", error.code, error.text))
    })
}

/// A certificate for other hosts.
pub fn name(target: &Target, server: &Server, leaf: Option<&Certificate>, refused: &NameRefusal) -> Finding {
    let cause = match refused.cause {
        NameCause::Malformed => Cause::ServerCertificate(ChainCause::Malformed),
        cause => Cause::ServerName(cause),
    };
    let names = leaf.map(super::super::names_of).unwrap_or_default();
    let words = target
        .client
        .words(server)
        .with("names", &names)
        .with("subject", &subject_of(leaf));
    blame(Finding::broken(refused.to_string()), cause, &words)
        .evidence(format!("the certificate is for {names}"))
        .evidence(format!("psql says: {}", refused.libpq))
}

/// The server's alert about our certificate.
pub fn our_certificate(target: &Target, server: &Server, alert: Alert) -> Finding {
    let sends = matches!(target.client.identity, Ok(Some(_)));
    let cause = match alert {
        _ if !sends => Cause::ClientRequired,
        Alert::CERTIFICATE_REQUIRED => Cause::ClientRequired,
        Alert::UNKNOWN_CA => Cause::ClientUntrusted,
        Alert::CERTIFICATE_EXPIRED => Cause::ClientExpired,
        Alert::CERTIFICATE_REVOKED => Cause::ClientRevoked,
        Alert::UNSUPPORTED_CERTIFICATE => Cause::ClientPurpose,
        _ => Cause::ClientBad,
    };
    broken(target, server, cause, "the server refuses our client certificate").evidence(alert.to_string())
}

/// A login that failed, and what libpq does next: after an error of the server's it may try the other way, after a
/// decision of its own it does not.
pub fn login(
    target: &Target,
    server: &Server,
    facts: Option<&TlsFacts>,
    failure: &LoginFailure,
) -> (Finding, Next) {
    let words = failure.to_string();
    let give_up = |cause| (broken(target, server, cause, words.clone()), Next::Nothing);
    match failure {
        LoginFailure::Server(message) => {
            let next = if message.sqlstate == NOT_READY {
                Next::Server
            } else {
                Next::OtherWay
            };
            (refused(target, server, facts, message), next)
        }
        LoginFailure::Session(message) => (refused(target, server, facts, message), Next::Nothing),
        LoginFailure::Lost(Lost::Alert(alert)) if alert.is_about_our_certificate() => {
            (our_certificate(target, server, *alert), Next::Nothing)
        }
        LoginFailure::Lost(lost @ Lost::TimedOut(_)) => {
            (late(target, server, lost.to_string()), Next::Address)
        }
        LoginFailure::Lost(lost) => (ended(target, server, lost), Next::Nothing),
        LoginFailure::PasswordNeeded(_) => give_up(Cause::PasswordMissing),
        LoginFailure::NotAllowed(_) => give_up(Cause::RequireAuth),
        LoginFailure::NoChannelBinding(_) => give_up(Cause::ChannelBinding),
        LoginFailure::CertificateUnused { .. } => give_up(Cause::CertMode),
        LoginFailure::BindingUndefined => give_up(Cause::ChannelBindingNoDigest),
        LoginFailure::PlusWithoutTls => give_up(Cause::ChannelBindingStripped),
        LoginFailure::Authentication(_) | LoginFailure::Unproven { libpq_goes_on: false } => {
            give_up(Cause::ServerUnproven)
        }
        LoginFailure::Unproven { libpq_goes_on: true } => (
            unknown(target, server, Cause::ServerUnproven, words.clone()),
            Next::Nothing,
        ),
        LoginFailure::Unsendable => give_up(Cause::BadConninfo),
        LoginFailure::Beyond(_)
        | LoginFailure::Unsupported(AuthMethod::Gss | AuthMethod::Sspi | AuthMethod::Sasl(_)) => (
            unknown(target, server, Cause::AuthUnspoken, words.clone()),
            Next::Nothing,
        ),
        LoginFailure::Wire(_) | LoginFailure::TooLarge | LoginFailure::Unsupported(_) => {
            give_up(Cause::Protocol)
        }
    }
}

const NOT_READY: &str = "57P03";

/// An error message of the server's, by what no translation changes: SQLSTATE and reporting function
/// (<https://www.postgresql.org/docs/current/protocol-error-fields.html>), and only where these leave it open by the text.
fn refused(target: &Target, server: &Server, facts: Option<&TlsFacts>, message: &ServerMessage) -> Finding {
    let sent = facts.is_some_and(|facts| facts.sent_certificate);
    let says = |text: &str| message.message.contains(text);
    let routine = message.routine.as_deref().unwrap_or_default();
    let (cause, observed) = match (message.sqlstate.as_str(), routine) {
        ("28P01", _) => (Cause::Password, "the server does not accept the password"),
        ("28000", "InitializeSessionUserId") if languages::may_not_log_in(&message.message) => {
            (Cause::RoleMayNotLogin, "the role may not log in")
        }
        ("28000", "InitializeSessionUserId") => (Cause::NoRole, "there is no such role"),
        ("28000", "ClientAuthentication") if languages::rejects(&message.message) => {
            (Cause::HbaReject, "a line of pg_hba.conf rejects this login")
        }
        ("28000", "ClientAuthentication") if says("pg_hba.conf") && facts.is_none() => (
            Cause::HbaNoEntryPlain,
            "no line of pg_hba.conf is for this login without TLS",
        ),
        ("28000", "ClientAuthentication") if says("pg_hba.conf") => {
            (Cause::HbaNoEntryTls, "no line of pg_hba.conf is for this login")
        }
        ("28000", "ClientAuthentication") => (Cause::ClientRequired, "the server wants a client certificate"),
        ("28000", "auth_failed")
            if matches!(server.place, Place::Socket(_)) && languages::is_about_peer(&message.message) =>
        {
            (
                Cause::PeerAccount,
                "the account that runs this command may not be this role",
            )
        }
        ("28000", _) if sent => (
            Cause::ClientWrongUser,
            "the server does not take our certificate for this role",
        ),
        ("F0000", "ClientAuthentication") => (
            Cause::ServerNoCa,
            "the server wants client certificates and has no CA to judge them by",
        ),
        ("3D000", _) => (Cause::NoDatabase, "there is no such database"),
        ("53300", _) => (Cause::TooManyConnections, "the server has no connection left"),
        (NOT_READY, _) => (Cause::NotReady, "the server is not ready"),
        _ => (Cause::LoginRefused, "the server refuses the session"),
    };
    let finding = broken(target, server, cause, observed).evidence(message.to_string());
    match (cause, own_name(target)) {
        (Cause::Password, Some(name)) if sent && name != target.client.user => finding.evidence(format!(
            "our certificate's name is \"{}\", not \"{}\": with clientcert=verify-full the server calls that a wrong password, too",
            crate::pki::printable(&name),
            crate::pki::printable(&target.client.user)
        )),
        (Cause::ClientWrongUser, Some(name)) => {
            finding.evidence(format!("our certificate's name is \"{}\"", crate::pki::printable(&name)))
        }
        _ => finding,
    }
}

/// The common name of the certificate that we show.
fn own_name(target: &Target) -> Option<String> {
    let identity = target.client.identity.as_ref().ok()?.as_ref()?;
    let leaf = Certificate::from_der(identity.leaf()?).ok()?;
    leaf.common_name().map(str::to_owned)
}
