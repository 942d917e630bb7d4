//! A session that is logged in: small questions, bounded answers.

use std::fmt;
use std::sync::Arc;

use tokio_postgres::{Client, Connection, SimpleQueryMessage};

use super::guard::{Guard, MOST_RESULT_BYTES, Watch};
use super::{Deadline, Link, LoginFailure, Lost, ServerMessage, TlsFacts};

/// A session. Dropping it closes the socket; [`Session::close`] says goodbye first.
pub struct Session {
    client: Client,
    /// Polled along with every query; `None` once it has ended.
    connection: Option<Connection<Link, Guard>>,
    tls: Option<TlsFacts>,
    watch: Arc<Watch>,
}

/// The rows of one query, as text. The values are data as the server sent them: escape before showing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The values; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The value in a row and a named column; `None` also where there is no such row or column.
    #[must_use]
    pub fn value(&self, row: usize, column: &str) -> Option<&str> {
        let column = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(column)?.as_deref()
    }
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryFailure {
    /// The server said no, and why.
    #[error("the server refused the query: {0}")]
    Server(ServerMessage),
    /// The answer is more than anything we ask for.
    #[error("the server's answer is larger than {} MiB", MOST_RESULT_BYTES >> 20)]
    TooLarge,
    /// The link ended.
    #[error(transparent)]
    Lost(Lost),
    /// The server's bytes are not the protocol's, in words.
    #[error("the server's answer makes no sense: {0}")]
    Garbage(String),
}

impl Session {
    pub(super) fn new(
        client: Client,
        connection: Connection<Link, Guard>,
        tls: Option<TlsFacts>,
        watch: Arc<Watch>,
    ) -> Self {
        Self {
            client,
            connection: Some(connection),
            tls,
            watch,
        }
    }

    /// What was agreed on in the TLS handshake; `None` in plaintext and over a Unix socket.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// A parameter that the server reported at login, such as `server_version`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.connection.as_ref()?.parameter(name)
    }

    /// Runs one SQL string (simple query protocol) and gives the rows of its last result. After a
    /// time-out the session is over.
    pub async fn query(&mut self, sql: &str, deadline: Deadline) -> Result<Rows, QueryFailure> {
        self.watch.refill();
        // Taken, and given back only if all is well: a query dropped half-way ends the session.
        let Some(mut connection) = self.connection.take() else {
            return Err(QueryFailure::Lost(Lost::Closed));
        };
        let asking = self.client.simple_query(sql);
        tokio::pin!(asking);
        let outcome = deadline
            .bound(async {
                let ended = tokio::select! {
                    biased;
                    outcome = &mut asking => return (outcome, None, Some(connection)),
                    ended = &mut connection => ended,
                };
                // What has been received is in the client's channel, which ends with the connection.
                drop(connection);
                (asking.await, Some(ended), None)
            })
            .await;
        let (outcome, ended, connection) = outcome.map_err(|late| QueryFailure::Lost(late.into()))?;
        self.connection = connection;
        match (outcome, ended) {
            (Ok(messages), _) => Ok(rows(messages)),
            // "Closed" is all that the client knows; the connection knows why.
            (Err(error), Some(Err(cause))) if error.is_closed() => Err(failure(&cause)),
            (Err(error), _) => Err(failure(&error)),
        }
    }

    /// Says goodbye (Terminate, `close_notify`), so that the server's log stays clean.
    pub async fn close(self, deadline: Deadline) {
        drop(self.client);
        if let Some(connection) = self.connection {
            // The answer is known; whether the farewell arrives changes nothing.
            let _ = deadline.bound(connection).await;
        }
    }
}

fn failure(error: &tokio_postgres::Error) -> QueryFailure {
    match LoginFailure::from(error) {
        LoginFailure::TooLarge => QueryFailure::TooLarge,
        LoginFailure::Server(message) => QueryFailure::Server(message),
        LoginFailure::Lost(lost) => QueryFailure::Lost(lost),
        other => QueryFailure::Garbage(other.to_string()),
    }
}

/// A value as text. One that is no UTF-8 (the name of a file, a role of another encoding's making) is only marked as such.
fn text(value: Result<Option<&str>, tokio_postgres::Error>) -> Option<String> {
    value.unwrap_or(Some("\u{fffd}")).map(str::to_owned)
}

fn rows(messages: Vec<SimpleQueryMessage>) -> Rows {
    let mut result = Rows::default();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                result.columns = columns.iter().map(|column| column.name().to_owned()).collect();
                result.rows.clear();
            }
            SimpleQueryMessage::Row(row) => {
                result
                    .rows
                    .push((0..row.len()).map(|index| text(row.try_get(index))).collect());
            }
            _ => {}
        }
    }
    result
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
