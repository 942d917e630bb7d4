//! What an eavesdropper sees on the wire: the messages of PostgreSQL's protocol while they can be read, TLS records once
//! they cannot (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, RFC 8446, 5.1).

use std::fmt::Write as _;

use crate::dial::End;

/// How much of a frame's content is shown.
const MOST_SHOWN: usize = 160;
/// How many bytes that cannot be read are shown.
const MOST_BYTES: usize = 24;
/// A message that is longer is no message: whatever follows is shown as bytes.
const LONGEST: usize = 1 << 20;

/// What a `ServerHello` has in place of a random number where it asks for another `ClientHello` (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// Whoever answers it.
    Server,
}

/// One message, or one TLS record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it.
    pub from: Side,
    /// Its name, as the protocol calls it.
    pub name: String,
    /// What is in it, escaped: text where it can be read, else bytes in hexadecimal.
    pub content: String,
    /// Whether whoever listens can read it.
    pub readable: bool,
    /// Whether it carries what a person would not have others know.
    pub private: bool,
}

/// Follows both directions of one connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    client: Stream,
    server: Stream,
    /// Answers that are still owed to requests for TLS.
    asked: usize,
    /// Whether the server wants the password in clear.
    wants_password: bool,
    /// Whether the server has asked for the TLS handshake to begin anew (RFC 8446, 4.1.4).
    asked_anew: bool,
}

#[derive(Debug, Default)]
struct Stream {
    kept: Vec<u8>,
    mode: Mode,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Packets without a type.
    #[default]
    Before,
    Messages,
    Tls,
    /// Neither: shown as bytes.
    Unknown,
}

impl Reader {
    /// Takes what passed; gives the frames that are whole now.
    pub fn feed(&mut self, from: End, bytes: &[u8]) -> Vec<Frame> {
        let side = match from {
            End::Client => Side::Client,
            End::Server => Side::Server,
        };
        self.stream(side).kept.extend_from_slice(bytes);
        let mut frames: Vec<Frame> = Vec::new();
        while let Some(frame) = self.next(side) {
            // A server tells a dozen parameters at login: one line is enough.
            match frames.last_mut() {
                Some(last) if last.name == frame.name && frame.name == "ParameterStatus" => {
                    "…".clone_into(&mut last.content);
                }
                _ => frames.push(frame),
            }
        }
        frames
    }

    fn stream(&mut self, side: Side) -> &mut Stream {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn next(&mut self, side: Side) -> Option<Frame> {
        let first = *self.stream(side).kept.first()?;
        match (side, self.stream(side).mode) {
            (Side::Client, Mode::Before) if first == 0x16 => {
                self.client.mode = Mode::Tls;
                self.next(side)
            }
            (Side::Client, Mode::Before) => self.packet(),
            (Side::Server, Mode::Before) if self.asked > 0 => Some(self.answer(first)),
            (Side::Server, Mode::Before) => {
                self.server.mode = if self.client.mode == Mode::Tls {
                    Mode::Tls
                } else {
                    Mode::Messages
                };
                self.next(side)
            }
            (_, Mode::Messages) => self.message(side),
            (_, Mode::Tls) => self.record(side),
            (_, Mode::Unknown) => {
                let bytes = std::mem::take(&mut self.stream(side).kept);
                Some(frame(side, "?", hex(&bytes), false))
            }
        }
    }

    /// The first packets of a client.
    fn packet(&mut self) -> Option<Frame> {
        let packet = take(&mut self.client, 0, 4)?;
        let code = packet.get(4..8).unwrap_or_default();
        match code {
            [0x04, 0xd2, 0x16, 0x2f] => {
                self.asked += 1;
                Some(frame(
                    Side::Client,
                    "SSLRequest",
                    "may we speak TLS?".to_owned(),
                    true,
                ))
            }
            [0x04, 0xd2, 0x16, 0x30] => {
                self.asked += 1;
                Some(frame(Side::Client, "GSSENCRequest", String::new(), true))
            }
            [0, 3, ..] => {
                self.client.mode = Mode::Messages;
                let words: Vec<_> = packet[8..]
                    .split(|byte| *byte == 0)
                    .filter(|word| !word.is_empty())
                    .map(readable)
                    .collect();
                let content: Vec<_> = words.chunks(2).map(|pair| pair.join("=")).take(2).collect();
                Some(Frame {
                    private: true,
                    ..frame(Side::Client, "StartupMessage", content.join(" "), true)
                })
            }
            _ => {
                self.client.mode = Mode::Unknown;
                Some(frame(Side::Client, "?", hex(&packet), false))
            }
        }
    }

    /// The one byte that answers a request for encryption.
    fn answer(&mut self, byte: u8) -> Frame {
        self.server.kept.remove(0);
        self.asked -= 1;
        match byte {
            b'S' => {
                self.client.mode = Mode::Tls;
                self.server.mode = Mode::Tls;
                frame(Side::Server, "S", "yes".to_owned(), true)
            }
            b'N' => frame(Side::Server, "N", "no".to_owned(), true),
            byte => {
                // An error in place of an answer: the rest of it follows.
                self.server.kept.insert(0, byte);
                self.asked = 0;
                self.server.mode = Mode::Messages;
                self.message(Side::Server)
                    .unwrap_or_else(|| frame(Side::Server, "?", String::new(), false))
            }
        }
    }

    fn message(&mut self, side: Side) -> Option<Frame> {
        let message = take(self.stream(side), 1, 4)?;
        let body = message.get(5..).unwrap_or_default();
        let kind = *message.first()?;
        let (name, content, private) = match (side, kind) {
            (Side::Client, b'Q') => ("Query", text(body), true),
            (Side::Client, b'P') => ("Parse", text(body.splitn(2, |byte| *byte == 0).nth(1)?), true),
            (Side::Client, b'p') if self.wants_password => {
                self.wants_password = false;
                let length = body.len().saturating_sub(1);
                (
                    "PasswordMessage",
                    format!("the password, in clear: {length} characters"),
                    true,
                )
            }
            (Side::Client, b'p') => ("SASLResponse", "a proof, not the password".to_owned(), false),
            (Side::Client, b'X') => ("Terminate", String::new(), false),
            (Side::Server, b'R') => {
                let (content, clear) = authentication(body);
                self.wants_password = clear;
                ("Authentication", content, clear)
            }
            (Side::Server, b'S') => ("ParameterStatus", pair(body), false),
            (Side::Server, b'K') => ("BackendKeyData", "the key that cancels queries".to_owned(), false),
            (Side::Server, b'Z') => ("ReadyForQuery", String::new(), false),
            (Side::Server, b'T') => ("RowDescription", text(body.get(2..)?), false),
            (Side::Server, b'D') => ("DataRow", row(body), true),
            (Side::Server, b'C') => ("CommandComplete", text(body), false),
            (Side::Server, b'E') => ("ErrorResponse", field(body, b'M'), false),
            (Side::Server, b'N') => ("NoticeResponse", field(body, b'M'), false),
            (_, kind) if kind.is_ascii_alphanumeric() => {
                return Some(frame(side, &char::from(kind).to_string(), hex(body), true));
            }
            _ => {
                self.stream(side).mode = Mode::Unknown;
                return Some(frame(side, "?", hex(&message), false));
            }
        };
        Some(Frame {
            private,
            ..frame(side, name, content, true)
        })
    }

    fn record(&mut self, side: Side) -> Option<Frame> {
        let stream = self.stream(side);
        let (kind, length) = match stream.kept.as_slice() {
            [kind @ 20..=23, 3, _, high, low, ..] => (*kind, usize::from(u16::from_be_bytes([*high, *low]))),
            [_, _, _, _, _, ..] => {
                stream.mode = Mode::Unknown;
                return self.next(side);
            }
            _ => return None,
        };
        if stream.kept.len() < 5 + length {
            return None;
        }
        let record: Vec<u8> = stream.kept.drain(..5 + length).collect();
        let is_asked_anew = std::mem::take(&mut self.asked_anew);
        let name = match (kind, record.get(5)) {
            (20, _) => "ChangeCipherSpec",
            (21, _) => "TLS alert",
            (22, Some(1)) if is_asked_anew => {
                return Some(frame(
                    side,
                    "TLS ClientHello",
                    "again, as asked".to_owned(),
                    false,
                ));
            }
            (22, Some(1)) => "TLS ClientHello",
            (22, Some(2)) if record.get(11..43) == Some(&RETRY) => {
                self.asked_anew = true;
                let content = "once more, with another kind of key".to_owned();
                return Some(frame(side, "HelloRetryRequest", content, false));
            }
            (22, Some(2)) => "TLS ServerHello",
            (22, _) => "TLS handshake",
            _ => "TLS data",
        };
        // Between the request and what answers it nothing but this may pass.
        self.asked_anew = is_asked_anew && kind == 20;
        Some(frame(side, name, hex(&record), false))
    }
}

fn frame(from: Side, name: &str, content: String, readable: bool) -> Frame {
    Frame {
        from,
        name: name.to_owned(),
        content,
        readable,
        private: false,
    }
}

/// A whole message with its length at `at`, which counts itself; `None` while it is not whole.
fn take(stream: &mut Stream, at: usize, width: usize) -> Option<Vec<u8>> {
    let length: [u8; 4] = stream.kept.get(at..at + width)?.try_into().ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    if !(width..=LONGEST).contains(&length) {
        stream.mode = Mode::Unknown;
        return Some(std::mem::take(&mut stream.kept));
    }
    (stream.kept.len() >= at + length).then(|| stream.kept.drain(..at + length).collect())
}

/// What the server asks for; whether it is the password itself.
fn authentication(body: &[u8]) -> (String, bool) {
    let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
    match code {
        Some(0) => ("Ok".to_owned(), false),
        Some(3) => ("your password, in clear, please".to_owned(), true),
        Some(5) => ("MD5".to_owned(), false),
        Some(10) => {
            let mechanisms: Vec<_> = body[4..]
                .split(|byte| *byte == 0)
                .filter(|name| !name.is_empty())
                .map(readable)
                .collect();
            (mechanisms.join(", "), false)
        }
        Some(11 | 12) => ("SCRAM goes on".to_owned(), false),
        _ => (String::new(), false),
    }
}

/// Two texts, each with a NUL behind it.
fn pair(body: &[u8]) -> String {
    let words: Vec<_> = body.split(|byte| *byte == 0).take(2).map(readable).collect();
    words.join("=")
}

fn field(body: &[u8], wanted: u8) -> String {
    body.split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&wanted))
        .map_or_else(String::new, |field| readable(&field[1..]))
}

fn row(body: &[u8]) -> String {
    let mut columns = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let (value, behind) = behind.split_at(length.min(behind.len()));
        columns.push(readable(value));
        rest = behind;
    }
    columns.join(" | ")
}

/// A text that ends with a NUL.
fn text(bytes: &[u8]) -> String {
    readable(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(MOST_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    crate::pki::printable(&shown)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(MOST_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x} ");
    }
    if bytes.len() > MOST_BYTES {
        text.push('…');
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    const ASK: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

    fn conversation() -> Vec<(End, Vec<u8>)> {
        let startup = b"\0\0\0\x20\0\x03\0\0user\0ann\0database\0bank\0\0";
        vec![
            (End::Client, ASK.to_vec()),
            (End::Server, b"N".to_vec()),
            (End::Client, startup.to_vec()),
            (End::Server, message(b'R', &[0, 0, 0, 3])),
            (End::Client, message(b'p', b"secret\0")),
            (
                End::Server,
                [
                    message(b'R', &[0; 4]),
                    message(b'S', b"a\0b\0"),
                    message(b'S', b"c\0d\0"),
                ]
                .concat(),
            ),
            (End::Client, message(b'Q', b"SELECT '\x1b[2J'\0")),
            (End::Server, message(b'D', &[0, 1, 0, 0, 0, 2, b'4', b'2'])),
        ]
    }

    #[test]
    fn reads_what_can_be_read_wherever_it_is_cut() {
        for piece in [1, 3, 1000] {
            let mut reader = Reader::default();
            let mut told = Vec::new();
            for (from, bytes) in conversation() {
                for piece in bytes.chunks(piece) {
                    told.extend(reader.feed(from, piece));
                }
            }
            let names: Vec<_> = told.iter().map(|frame| frame.name.as_str()).collect();
            assert!(names.starts_with(&[
                "SSLRequest",
                "N",
                "StartupMessage",
                "Authentication",
                "PasswordMessage"
            ]));
            let all = format!("{told:?}");
            assert!(all.contains("user=ann database=bank"), "{all}");
            assert!(!all.contains("secret"), "{all}");
            assert!(all.contains("in clear: 6 characters"), "{all}");
            assert!(!all.contains('\x1b'), "{all}");
            assert_eq!(told.last().unwrap().content, "42");
            assert!(told.iter().all(|frame| frame.readable));
        }
    }

    #[test]
    fn records_are_not_read() {
        let mut reader = Reader::default();
        reader.feed(End::Client, &ASK);
        reader.feed(End::Server, b"S");
        let hello = [&[0x16, 3, 1, 0, 4, 1][..], &[0; 3]].concat();
        let data = [&[0x17, 3, 3, 0, 3][..], b"\xff\x00\x01"].concat();
        let told = [
            reader.feed(End::Client, &[hello, data].concat()),
            reader.feed(End::Server, b"junk!"),
        ]
        .concat();
        let names: Vec<_> = told
            .iter()
            .map(|frame| (frame.name.as_str(), frame.readable))
            .collect();
        assert_eq!(
            names,
            [("TLS ClientHello", false), ("TLS data", false), ("?", false)]
        );
    }

    #[test]
    fn a_second_hello_is_told_from_a_second_connection() {
        let hello =
            |kind: u8, random: &[u8; 32]| [&[0x16, 3, 3, 0, 38, kind, 0, 0, 34, 3, 3][..], random].concat();
        let change = [0x14, 3, 3, 0, 1, 1];
        let mut reader = Reader::default();
        reader.feed(End::Client, &ASK);
        reader.feed(End::Server, b"S");
        let told = [
            reader.feed(End::Client, &hello(1, &[7; 32])),
            reader.feed(End::Server, &[hello(2, &RETRY), change.to_vec()].concat()),
            reader.feed(End::Client, &[change.to_vec(), hello(1, &[7; 32])].concat()),
            reader.feed(End::Server, &hello(2, &[8; 32])),
        ]
        .concat();
        let names: Vec<_> = told.iter().map(|frame| frame.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "TLS ClientHello",
                "HelloRetryRequest",
                "ChangeCipherSpec",
                "ChangeCipherSpec",
                "TLS ClientHello",
                "TLS ServerHello"
            ]
        );
        assert_eq!(told[4].content, "again, as asked");
        assert!(told.iter().all(|frame| !frame.readable));
    }

    #[test]
    fn junk_is_shown_and_never_panics() {
        for junk in [
            &b"\0\0\0\x03"[..],
            b"\xff\xff\xff\xff",
            b"GET / HTTP/1.1",
            &[0; 64],
        ] {
            let mut reader = Reader::default();
            reader.feed(End::Client, junk);
            reader.feed(End::Server, junk);
            reader.feed(End::Server, b"S");
            reader.feed(End::Client, junk);
        }
    }
}
