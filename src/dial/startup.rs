//! The first answer to a `StartupMessage`, and nothing after it: how probes learn whether a server would
//! let somebody in, without ever sending a password.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::wire::{MOST_ASIDES, Message, ReadError, TERMINATE, read_message, shown, startup_message};
use super::words::printable;
use super::{AuthMethod, Deadline, Lost, ServerMessage, Stream, TlsSession, WireError};

/// What a server answers first to a `StartupMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstAnswer {
    /// It wants a proof: the connection itself, with its kind of transport, is admitted by `pg_hba.conf`.
    AuthenticationRequest(AuthMethod),
    /// It lets us in without a proof (or the client certificate was proof enough).
    Admitted,
    /// It refuses.
    Refused(ServerMessage),
}

/// Why there is no first answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupFailure {
    /// The link ended; in TLS 1.3 this is where a refused client certificate shows as an alert.
    #[error(transparent)]
    Lost(Lost),
    /// The server does not speak the protocol.
    #[error(transparent)]
    Wire(WireError),
    /// The user or database name cannot be sent.
    #[error("the user or database name is too long or holds a zero byte")]
    Unsendable,
}

impl From<ReadError> for StartupFailure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Lost(lost) => Self::Lost(lost),
            ReadError::Wire(wire) => Self::Wire(wire),
        }
    }
}

/// Asks in plaintext. The stream is used up: nobody can go on and send a secret over it.
pub async fn plaintext_startup(
    stream: Stream,
    user: &str,
    dbname: &str,
    deadline: Deadline,
) -> Result<FirstAnswer, StartupFailure> {
    first_answer(stream, user, dbname, deadline).await
}

/// Asks over TLS.
pub async fn startup_over(
    session: TlsSession,
    user: &str,
    dbname: &str,
    deadline: Deadline,
) -> Result<FirstAnswer, StartupFailure> {
    first_answer(session, user, dbname, deadline).await
}

async fn first_answer<S>(
    mut stream: S,
    user: &str,
    dbname: &str,
    deadline: Deadline,
) -> Result<FirstAnswer, StartupFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let parameters = [
        ("user", user),
        ("database", dbname),
        ("application_name", "pgtls"),
    ];
    let message = startup_message(&parameters).ok_or(StartupFailure::Unsendable)?;
    let answer = deadline
        .bound(async {
            stream.write_all(&message).await.map_err(Lost::from)?;
            stream.flush().await.map_err(Lost::from)?;
            read_answer(&mut stream).await
        })
        .await
        .map_err(|late| StartupFailure::Lost(late.into()))??;
    if answer == FirstAnswer::Admitted {
        // The answer is known; whether the farewell arrives changes nothing.
        let _ = deadline.bound(stream.write_all(&TERMINATE)).await;
    }
    let _ = deadline.bound(stream.shutdown()).await;
    Ok(answer)
}

async fn read_answer<S>(stream: &mut S) -> Result<FirstAnswer, ReadError>
where
    S: AsyncRead + Unpin,
{
    for _ in 0..MOST_ASIDES {
        let Message { kind, body } = read_message(stream).await?;
        match kind {
            b'R' => {
                return Ok(match AuthMethod::from_body(&body)? {
                    None => FirstAnswer::Admitted,
                    Some(method) => FirstAnswer::AuthenticationRequest(method),
                });
            }
            b'E' => return Ok(FirstAnswer::Refused(ServerMessage::from_body(&body))),
            // NoticeResponse, ParameterStatus, NegotiateProtocolVersion.
            b'N' | b'S' | b'v' => {}
            other => {
                let found = printable(&format!("a message '{}'", shown(other)), 32);
                return Err(WireError::Unexpected {
                    asked: "StartupMessage",
                    found,
                }
                .into());
            }
        }
    }
    Err(WireError::Endless(MOST_ASIDES).into())
}
