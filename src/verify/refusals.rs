//! What must be refused: a refusal counts only at the expected stage and with the expected sign.
//!
//! `pg_hba.conf` is asked in `ClientAuthentication` before any password is exchanged, and a refusal there has
//! SQLSTATE 28000. The message text is translated by the server's `lc_messages`, the SQLSTATE and the name
//! of the reporting function are not
//! (<https://www.postgresql.org/docs/current/protocol-error-fields.html>), so those decide. Whether the same
//! login succeeds with the right certificate is the control: without it a refusal may have another cause.

use crate::dial::{Alert, FirstAnswer, Lost, OldTls, ServerMessage, StartupFailure};

use super::finding::Finding;

/// `invalid_authorization_specification`: `pg_hba.conf`, a certificate, or a map refuses.
const REFUSED_BY_RULE: &str = "28000";
/// `invalid_password`: also what a password method with `clientcert=verify-full` says of a wrong name.
const WRONG_PASSWORD: &str = "28P01";

/// How the proper login went: what the refusals are measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The proper login succeeded, or came as far as to be asked for a password that is not at hand.
    LetIn,
    /// It did not, so a refusal of something else proves nothing.
    NotLetIn,
}

fn by_hba(message: &ServerMessage) -> bool {
    message.sqlstate == REFUSED_BY_RULE
        && message
            .routine
            .as_deref()
            .is_none_or(|routine| routine == "ClientAuthentication")
}

/// A login without TLS.
pub fn plaintext(answer: &Result<FirstAnswer, StartupFailure>) -> Finding {
    const REMEDY: &str = "in pg_hba.conf turn `host` lines into `hostssl`, or put `hostnossl all all all reject` \
                          above them; then reload";
    match answer {
        Ok(FirstAnswer::AuthenticationRequest(method)) => Finding::broken(format!(
            "admitted without TLS: the server asked for {method} in plaintext"
        ))
        .evidence("the server's first answer to a login without TLS was an authentication request")
        .remedy(REMEDY),
        Ok(FirstAnswer::Admitted) => Finding::broken("let in without TLS and without any proof")
            .evidence("the server's first answer to a login without TLS was AuthenticationOk")
            .remedy(REMEDY),
        Ok(FirstAnswer::Refused(message)) if by_hba(message) => {
            Finding::holds("refused by pg_hba.conf").evidence(message.to_string())
        }
        Ok(FirstAnswer::Refused(message)) => another_reason(message),
        Err(failure) => no_answer(failure),
    }
}

/// A login over TLS without a client certificate.
pub fn no_certificate(answer: &Result<FirstAnswer, StartupFailure>, control: Control) -> Finding {
    const REMEDY: &str = "in pg_hba.conf use method `cert`, or add `clientcert=verify-full`, on every `hostssl` \
                          line; then reload";
    match answer {
        Ok(FirstAnswer::AuthenticationRequest(method)) => Finding::broken(format!(
            "admitted without a client certificate: the server asked for {method}"
        ))
        .remedy(REMEDY),
        Ok(FirstAnswer::Admitted) => Finding::broken("let in without a client certificate").remedy(REMEDY),
        Ok(FirstAnswer::Refused(message)) if by_hba(message) => against(control, || {
            Finding::holds("refused: it wants a valid client certificate").evidence(message.to_string())
        }),
        Ok(FirstAnswer::Refused(message)) => another_reason(message),
        Err(StartupFailure::Lost(Lost::Alert(
            alert @ (Alert::CERTIFICATE_REQUIRED | Alert::HANDSHAKE_FAILURE),
        ))) => against(control, || {
            Finding::holds("refused in the handshake").evidence(alert.to_string())
        }),
        Err(failure) => no_answer(failure),
    }
}

/// A client certificate of a CA that the server has never heard of; `asked` is whether the server asked for
/// a certificate at all.
pub fn foreign_certificate(answer: &Result<FirstAnswer, StartupFailure>, asked: bool) -> Finding {
    const REMEDY: &str = "set ssl_ca_file to the CA that issues client certificates and nothing wider; in \
                          pg_hba.conf use method `cert` or `clientcert=verify-full`; then reload";
    let unasked = || {
        Finding::broken("the server never asks for a client certificate (ssl_ca_file is empty)")
            .remedy(REMEDY)
    };
    match answer {
        Ok(FirstAnswer::AuthenticationRequest(_) | FirstAnswer::Admitted) if !asked => unasked(),
        Ok(FirstAnswer::AuthenticationRequest(method)) => Finding::broken(format!(
            "a certificate of an unknown CA is accepted: the server asked for {method}"
        ))
        .remedy(REMEDY),
        Ok(FirstAnswer::Admitted) => {
            Finding::broken("let in with a certificate of an unknown CA").remedy(REMEDY)
        }
        Ok(FirstAnswer::Refused(message)) if !asked => unasked().evidence(message.to_string()),
        Ok(FirstAnswer::Refused(message)) => another_reason(message),
        Err(StartupFailure::Lost(Lost::Alert(alert))) if alert.is_about_our_certificate() => {
            Finding::holds("refused in the handshake").evidence(alert.to_string())
        }
        Err(failure) => no_answer(failure),
    }
}

/// How a login with another name's certificate, and the right password if there is one, ended.
#[derive(Debug)]
pub enum OtherName {
    /// It was let in.
    LetIn,
    /// The server refused.
    Refused(ServerMessage),
    /// The certificate itself was turned away in the handshake.
    Alert(Alert),
    /// There is no clear answer.
    Unclear(String),
}

/// A client certificate of the right CA for another name, dialling the role that is admitted.
pub fn other_name(answer: &OtherName, control: Control) -> Finding {
    const REMEDY: &str = "in pg_hba.conf use method `cert` or `clientcert=verify-full`: `clientcert=verify-ca` takes \
                          any certificate of the CA, whatever its name; then reload";
    match answer {
        OtherName::LetIn => Finding::broken("let in with a certificate for another name").remedy(REMEDY),
        OtherName::Refused(message)
            if [REFUSED_BY_RULE, WRONG_PASSWORD].contains(&message.sqlstate.as_str()) =>
        {
            against(control, || {
                Finding::holds("refused: its name is not that of the role").evidence(message.to_string())
            })
        }
        OtherName::Refused(message) => another_reason(message),
        OtherName::Alert(alert) => {
            Finding::open("the certificate itself was turned away, so its name was never looked at")
                .evidence(alert.to_string())
        }
        OtherName::Unclear(reason) => Finding::open(reason.clone()),
    }
}

/// A TLS 1.1 hello.
pub fn old_tls(answer: &Result<OldTls, Lost>) -> Finding {
    const REMEDY: &str = "set ssl_min_protocol_version = 'TLSv1.2' and reload";
    match answer {
        Ok(OldTls::ServerHello(version)) => {
            let name = match version {
                0x0302 => "TLS 1.1",
                0x0301 => "TLS 1.0",
                0x0300 => "SSL 3.0",
                _ => "a newer version than was offered",
            };
            Finding::broken(format!("the server accepts {name}"))
                .evidence(format!("ServerHello with version {version:#06x}"))
                .remedy(REMEDY)
        }
        Ok(OldTls::Alert(alert @ Alert::PROTOCOL_VERSION)) => {
            Finding::holds("refused by setting").evidence(alert.to_string())
        }
        Ok(OldTls::Alert(alert @ Alert::INTERNAL_ERROR)) => {
            Finding::holds("refused by OpenSSL's security level, though the setting allows it")
                .evidence(alert.to_string())
                .evidence("ssl_min_protocol_version allows it; another OpenSSL policy would let it in")
                .remedy(REMEDY)
        }
        Ok(OldTls::Alert(alert)) => Finding::open("refused for a reason that says nothing about the version")
            .evidence(alert.to_string()),
        Ok(OldTls::Closed) => Finding::open("the server closed the connection without saying why"),
        Ok(OldTls::Reset) => Finding::open("the connection was reset without a reason"),
        Ok(OldTls::Garbage(bytes)) => {
            Finding::open(format!("the server answered something that is not TLS: {bytes}"))
        }
        Err(lost) => Finding::open(lost.to_string()),
    }
}

fn against(control: Control, holds: impl FnOnce() -> Finding) -> Finding {
    match control {
        Control::LetIn => holds(),
        Control::NotLetIn => {
            let Finding { evidence, .. } = holds();
            let open = Finding::open("refused, but so is the proper login: the cause may be another");
            evidence.into_iter().fold(open, Finding::evidence)
        }
    }
}

fn another_reason(message: &ServerMessage) -> Finding {
    Finding::open("the server refused for another reason").evidence(message.to_string())
}

fn no_answer(failure: &StartupFailure) -> Finding {
    Finding::open(failure.to_string())
}
