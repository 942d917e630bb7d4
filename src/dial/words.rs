//! Plain words for what the operating system and a peer say: nothing raw reaches a person.

use std::io;

/// An [`io::ErrorKind`] in words, without error numbers.
pub(super) fn io_words(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by the other side",
        io::ErrorKind::ConnectionAborted => "connection aborted",
        io::ErrorKind::NotConnected => "not connected",
        io::ErrorKind::BrokenPipe => "the other side had already closed the connection",
        io::ErrorKind::AddrNotAvailable => "address not available on this machine",
        io::ErrorKind::HostUnreachable => "no route to the host",
        io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        io::ErrorKind::NetworkDown => "the network is down",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::NotFound => "no such file or directory",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::UnexpectedEof => "connection closed in the middle",
        io::ErrorKind::InvalidInput => "not a usable address",
        io::ErrorKind::InvalidData => "an answer that makes no sense",
        kind => return kind.to_string(),
    };
    words.to_owned()
}

/// Text of a peer made safe to show: at most `limit` characters of it, escaped.
pub(super) fn printable(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => crate::pki::printable(text),
        Some((end, _)) => crate::pki::printable(&text[..end]) + "…",
    }
}

/// [`printable`] for bytes that may not be UTF-8.
pub(super) fn printable_bytes(bytes: &[u8], limit: usize) -> String {
    // Four bytes a character at most: no more of a long message need be decoded.
    let kept = &bytes[..bytes.len().min(limit.saturating_mul(4))];
    let mut shown = printable(&String::from_utf8_lossy(kept), limit);
    if kept.len() < bytes.len() && !shown.ends_with('…') {
        shown.push('…');
    }
    shown
}
