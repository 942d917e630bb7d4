//! How a conversation can end without the answer that was asked for.

use std::io;
use std::time::Duration;

use super::words::{io_words, printable};
use super::{Alert, Elapsed};

/// The link ended before the answer came. None of these but an alert says why the server ended it: a
/// bare end of file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The server sent a TLS alert.
    #[error("the server ended the connection with {0}")]
    Alert(Alert),
    /// The server closed the connection without a word.
    #[error("the server closed the connection without an answer")]
    Closed,
    /// The connection was reset.
    #[error("the connection was reset")]
    Reset,
    /// The deadline passed.
    #[error("no answer within {:.1} seconds", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The TLS layer found the server's bytes wrong.
    #[error("the server's TLS records are wrong: {0}")]
    Tls(String),
    /// Anything else, in words.
    #[error("the connection failed: {0}")]
    Other(String),
}

impl From<Elapsed> for Lost {
    fn from(late: Elapsed) -> Self {
        Self::TimedOut(late.0)
    }
}

impl From<&rustls::Error> for Lost {
    fn from(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(Alert(u8::from(*alert))),
            other => Self::Tls(printable(&other.to_string(), 300)),
        }
    }
}

impl From<&io::Error> for Lost {
    fn from(error: &io::Error) -> Self {
        if let Some(tls) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return Self::from(tls);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Self::Closed,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            _ => Self::Other(io_words(error)),
        }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}
