//! What a server says in an `ErrorResponse` or a `NoticeResponse`, made safe to show.

use std::fmt;

use super::words::{printable, printable_bytes};

const LONGEST_FIELD: usize = 1024;
const LONGEST_CODE: usize = 16;

/// The fields of an `ErrorResponse` that pgtls uses
/// (<https://www.postgresql.org/docs/current/protocol-error-fields.html>). Every text is bounded and has
/// its control and bidirectional characters escaped: a server is not trusted with a person's terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// `FATAL`, `ERROR`, `NOTICE`, ...: untranslated where the server says so (9.6 and later).
    pub severity: String,
    /// The five characters of the SQLSTATE, such as `28000`.
    pub sqlstate: String,
    /// The primary message, in the server's language.
    pub message: String,
    /// The detail, if any.
    pub detail: Option<String>,
    /// The hint, if any.
    pub hint: Option<String>,
    /// The server's source file that reported it.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<String>,
    /// The C function that reported it: the same in every language, such as `ClientAuthentication`.
    pub routine: Option<String>,
}

impl ServerMessage {
    /// Reads the body of an `ErrorResponse` or `NoticeResponse`: fields of a type byte and a text ended by
    /// NUL, ended by a NUL. Unknown fields are passed over, a missing end is forgiven.
    #[must_use]
    pub fn from_body(body: &[u8]) -> Self {
        let mut message = Self::default();
        let mut untranslated = false;
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, value)) = field.split_first() else {
                continue;
            };
            let text = || printable_bytes(value, LONGEST_FIELD);
            let code = || printable_bytes(value, LONGEST_CODE);
            match kind {
                b'V' => {
                    message.severity = code();
                    untranslated = true;
                }
                b'S' if !untranslated => message.severity = code(),
                b'C' => message.sqlstate = code(),
                b'M' => message.message = text(),
                b'D' => message.detail = Some(text()),
                b'H' => message.hint = Some(text()),
                b'F' => message.file = Some(text()),
                b'L' => message.line = Some(code()),
                b'R' => message.routine = Some(text()),
                _ => {}
            }
        }
        message
    }

    /// A text without fields, as a server sends it that cannot fork (`ereport` is not up yet) or that
    /// speaks the protocol before 7.4.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        Self {
            message: printable_bytes(text.trim_ascii(), LONGEST_FIELD),
            ..Self::default()
        }
    }
}

impl From<&tokio_postgres::error::DbError> for ServerMessage {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        let text = |text: &str| printable(text, LONGEST_FIELD);
        let severity = error
            .parsed_severity()
            .map_or_else(|| error.severity().to_owned(), |s| s.to_string());
        Self {
            severity: printable(&severity, LONGEST_CODE),
            sqlstate: printable(error.code().code(), LONGEST_CODE),
            message: text(error.message()),
            detail: error.detail().map(text),
            hint: error.hint().map(text),
            file: error.file().map(text),
            line: error.line().map(|line| line.to_string()),
            routine: error.routine().map(text),
        }
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.severity.is_empty() {
            write!(f, "{}: ", self.severity)?;
        }
        f.write_str(&self.message)?;
        if !self.sqlstate.is_empty() {
            write!(f, " (SQLSTATE {})", self.sqlstate)?;
        }
        if let Some(detail) = &self.detail {
            write!(f, "; detail: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}
