//! From how a connection ended, and what was overheard meanwhile, to a cell.

use secrecy::{ExposeSecret, SecretString};

use crate::dial::{Heard, Overheard};
use crate::verify::finding::Finding;
use crate::verify::{Cause, Outcome};

use super::{CellOutcome, SOMEBODY_ELSE};

/// What only the server should ever read.
pub const SECRET_QUERY: &str = "SELECT 'for the server only'";

/// How a connection ended.
#[derive(Debug)]
pub enum Ending {
    /// With a session.
    Session {
        /// What came back to the query, or why nothing did.
        answer: Result<String, String>,
        /// What the client agreed on; `None`: no TLS.
        tls: Option<String>,
        /// Whether the certificate carries the other name by which the client dialled, if it did.
        is_named: bool,
    },
    /// The server refused; its words.
    ServerRefused(String),
    /// The client refused; why.
    ClientRefused(String),
    /// The client refused, because the server has no TLS; in words.
    WithoutTls(String),
    /// Neither.
    Unclear(String),
}

impl From<Finding> for Ending {
    /// A refusal is one only with the sign of a refusal; all else, a lost connection and a full server, says nothing.
    fn from(finding: Finding) -> Self {
        let why = match finding.evidence.first() {
            Some(evidence) => format!("{}: {evidence}", finding.observed),
            None => finding.observed,
        };
        if finding.outcome != Outcome::Broken {
            return Self::Unclear(why);
        }
        match finding.cause {
            Some(Cause::NoSsl) => Self::WithoutTls(why),
            Some(
                Cause::ServerCertificate(_)
                | Cause::ServerName(_)
                | Cause::BadConninfo
                | Cause::RootMissing
                | Cause::RootUnreadable
                | Cause::CertUnreadable
                | Cause::CertWeak
                | Cause::KeyMissing
                | Cause::KeyNotFile
                | Cause::KeyMode
                | Cause::KeyUnreadable
                | Cause::KeyPassphrase
                | Cause::KeyMismatch
                | Cause::PasswordMissing
                | Cause::ChannelBinding
                | Cause::ChannelBindingNoDigest
                | Cause::ChannelBindingStripped
                | Cause::RequireAuth
                | Cause::CertMode
                | Cause::ServerUnproven
                | Cause::SessionAttributes,
            ) => Self::ClientRefused(why),
            Some(
                Cause::ClientUntrusted
                | Cause::ClientExpired
                | Cause::ClientRevoked
                | Cause::ClientPurpose
                | Cause::ClientBad
                | Cause::ClientRequired
                | Cause::ClientWrongUser
                | Cause::ServerNoCa
                | Cause::HbaNoEntryPlain
                | Cause::HbaNoEntryTls
                | Cause::HbaReject
                | Cause::Password
                | Cause::NoRole
                | Cause::RoleMayNotLogin
                | Cause::NoDatabase,
            ) => Self::ServerRefused(why),
            _ => Self::Unclear(why),
        }
    }
}

/// What came of it, and the sentence that says it.
type Judged = (CellOutcome, String);

/// The server itself, behind a wiretap.
pub fn as_it_is(ending: Ending, heard: &[Heard]) -> Judged {
    match ending {
        Ending::Session {
            answer: Ok(_), tls, ..
        } => match (tls, read(heard).query) {
            (None, true) => (
                CellOutcome::Unprotected,
                "connects without TLS: whoever is on the wire reads along".to_owned(),
            ),
            (Some(tls), false) => (CellOutcome::Connects, format!("connects over {tls}")),
            (Some(_), true) => (
                CellOutcome::Open,
                "the client says TLS, and yet the wire could be read".to_owned(),
            ),
            (None, false) => (
                CellOutcome::Open,
                "connects without TLS, but nothing was overheard".to_owned(),
            ),
        },
        Ending::Session { answer: Err(why), .. } => (CellOutcome::Open, format!("let in, but then: {why}")),
        Ending::ServerRefused(why) => (CellOutcome::Refuses, format!("the server refuses: {why}")),
        Ending::ClientRefused(why) | Ending::WithoutTls(why) => {
            (CellOutcome::Refuses, format!("the client refuses: {why}"))
        }
        Ending::Unclear(why) => (CellOutcome::Open, why),
    }
}

/// An impostor in the way: what counts is what it read, however the connection ended.
pub fn in_front_of_an_impostor(ending: Ending, heard: &[Heard]) -> Judged {
    let read = read(heard);
    match ending {
        _ if read.password || read.query => (CellOutcome::Unprotected, format!("the impostor read {read}")),
        Ending::Session { .. } => (
            CellOutcome::Open,
            "let in, but the impostor read nothing".to_owned(),
        ),
        Ending::ClientRefused(why) | Ending::WithoutTls(why) => {
            (CellOutcome::Refuses, format!("the client refuses: {why}"))
        }
        Ending::ServerRefused(why) | Ending::Unclear(why) => (CellOutcome::Open, why),
    }
}

/// The server's own certificate under a name that it does not carry: what counts is whether the client goes on, since
/// whoever holds any certificate of that CA could then be the server.
pub fn under_another_name(ending: Ending, heard: &[Heard]) -> Judged {
    let read = read(heard);
    let goes_on = |so: &str| {
        (
            CellOutcome::Unprotected,
            format!("the client goes on with a certificate that is not for {SOMEBODY_ELSE}: {so}"),
        )
    };
    match ending {
        _ if read.password || read.query => (CellOutcome::Unprotected, format!("the impostor read {read}")),
        Ending::Session { is_named: true, .. } => (
            CellOutcome::Open,
            format!("the server's certificate is even for {SOMEBODY_ELSE}"),
        ),
        Ending::Session { tls: Some(tls), .. } => goes_on(&tls),
        Ending::Session { tls: None, .. } => (
            CellOutcome::Open,
            "let in without TLS, but the impostor read nothing".to_owned(),
        ),
        Ending::WithoutTls(_) => (
            CellOutcome::NotTried,
            "the server shows no certificate that could be dialled by another name".to_owned(),
        ),
        Ending::ClientRefused(why) => (CellOutcome::Refuses, format!("the client refuses: {why}")),
        // The server had its say only because the client had taken its certificate.
        Ending::ServerRefused(why) if heard.iter().any(is_encrypted) => goes_on(&why),
        Ending::ServerRefused(why) | Ending::Unclear(why) => (CellOutcome::Open, why),
    }
}

fn is_encrypted(heard: &Heard) -> bool {
    matches!(heard.what, Overheard::Encrypted { .. })
}

/// What the impostor could read.
#[derive(Debug, Default, Clone, Copy)]
struct Read {
    password: bool,
    query: bool,
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.password, self.query) {
            (true, true) => "the password and the query",
            (true, false) => "the password",
            (false, true) => "the query",
            (false, false) => "nothing",
        })
    }
}

fn read(heard: &[Heard]) -> Read {
    Read {
        password: heard
            .iter()
            .any(|heard| matches!(heard.what, Overheard::Password(_))),
        query: heard
            .iter()
            .any(|heard| matches!(&heard.what, Overheard::Query(query) if query == SECRET_QUERY)),
    }
}

/// What was overheard, in words; a password is compared and never shown.
pub fn evidence(heard: &[Heard], expected: Option<&SecretString>) -> Vec<String> {
    let mut lines = Vec::new();
    for Heard { what, .. } in heard {
        lines.push(match what {
            Overheard::Connected
            | Overheard::Dialled(_)
            | Overheard::AskedForTls
            | Overheard::Ended(_)
            | Overheard::Row(_)
            | Overheard::Changed(_)
            | Overheard::Bytes { .. } => continue,
            Overheard::TlsCompleted {
                protocol,
                showed_certificate,
            } => format!(
                "the client completed a TLS handshake with the impostor: {protocol}{}",
                if *showed_certificate {
                    ", and showed its own certificate"
                } else {
                    ""
                }
            ),
            Overheard::Alert(alert) => format!("the client ended the handshake with {alert}"),
            Overheard::Encrypted { sent, received } => {
                format!(
                    "on the wire: {sent} bytes to the server and {received} back, all of them TLS records"
                )
            }
            Overheard::Startup { user, database, tls } => format!(
                "read {}: startup packet, user {user}, database {database}",
                if *tls {
                    "inside its own TLS"
                } else {
                    "in plaintext"
                }
            ),
            Overheard::Password(password) => {
                let same =
                    expected.is_some_and(|expected| expected.expose_secret() == password.expose_secret());
                format!(
                    "read: the password, {} characters{}",
                    password.expose_secret().chars().count(),
                    if same { ", the right one" } else { "" }
                )
            }
            Overheard::Proof(length) => format!("read: a proof of the password, {length} bytes"),
            Overheard::Relayed => {
                "the impostor logged in to the server in the client's name, and relayed the session"
                    .to_owned()
            }
            Overheard::Pretends { why } => format!("the impostor answered in the server's place ({why})"),
            Overheard::Query(query) => format!("read: the query {query}"),
        });
    }
    lines
}
