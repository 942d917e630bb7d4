//! Reads along what a client sends, in pieces of any size, and keeps no more of a message than is told.

use crate::dial::wire::{GSSENC_REQUEST, SSL_REQUEST};
use crate::dial::words::printable_bytes;

use super::heard::{Overheard, Teller};

/// How much of a query is told.
const MOST_OF_A_QUERY: usize = 240;
/// How much of a message is kept while it comes in.
const MOST_KEPT: usize = 2048;
/// The longest startup packet that PostgreSQL takes (`MAX_STARTUP_PACKET_LENGTH`).
pub(super) const LONGEST_STARTUP: usize = 10_000;

/// Follows the messages of one client.
#[derive(Debug)]
pub(super) struct Ear {
    tell: Teller,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Packets without a type, until the startup packet; holds what has come of one.
    Before(Vec<u8>),
    /// A message's type and length; holds what has come of them.
    Header(Vec<u8>),
    /// A message's body.
    Body { kind: u8, kept: Vec<u8>, left: usize },
    /// Nothing to be read: TLS, or no PostgreSQL.
    Deaf,
}

impl Ear {
    /// From the first byte of a connection on.
    pub fn from_the_start(tell: Teller) -> Self {
        Self {
            tell,
            state: State::Before(Vec::new()),
        }
    }

    /// From behind the startup packet on.
    pub fn after_startup(tell: Teller) -> Self {
        Self {
            tell,
            state: State::Header(Vec::new()),
        }
    }

    /// Whether what is sent cannot be read.
    pub const fn is_deaf(&self) -> bool {
        matches!(self.state, State::Deaf)
    }

    /// Reads on.
    pub fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Deaf => return,
                State::Before(kept) => {
                    kept.push(bytes[0]);
                    bytes = &bytes[1..];
                    if let Some(next) = before(kept, &self.tell) {
                        self.state = next;
                    }
                }
                State::Header(kept) => {
                    kept.push(bytes[0]);
                    bytes = &bytes[1..];
                    if let [kind, length @ ..] = kept.as_slice()
                        && let Ok(length) = <[u8; 4]>::try_from(length)
                    {
                        self.state = match u32::from_be_bytes(length).checked_sub(4).map(usize::try_from) {
                            Some(Ok(left)) => body(*kind, Vec::new(), left, &self.tell),
                            _ => State::Deaf,
                        };
                    }
                }
                State::Body { kind, kept, left } => {
                    let (now, later) = bytes.split_at(bytes.len().min(*left));
                    let room = MOST_KEPT.saturating_sub(kept.len()).min(now.len());
                    kept.extend_from_slice(&now[..room]);
                    bytes = later;
                    self.state = body(*kind, std::mem::take(kept), *left - now.len(), &self.tell);
                }
            }
        }
    }
}

/// What follows a packet without a type; `None` while it is not whole.
fn before(kept: &mut Vec<u8>, tell: &Teller) -> Option<State> {
    if kept.first() == Some(&0x16) {
        tell.tell(Overheard::AskedForTls);
        return Some(State::Deaf);
    }
    let length = usize::try_from(u32::from_be_bytes(*kept.first_chunk()?)).ok()?;
    if !(8..=LONGEST_STARTUP).contains(&length) {
        return Some(State::Deaf);
    }
    if kept.len() < length {
        return None;
    }
    let packet = std::mem::take(kept);
    if packet == SSL_REQUEST {
        tell.tell(Overheard::AskedForTls);
        return None;
    }
    if packet == GSSENC_REQUEST {
        return None;
    }
    let Some(startup) = Startup::read(&packet) else {
        return Some(State::Deaf);
    };
    tell.tell(startup.heard(false));
    Some(State::Header(Vec::new()))
}

fn body(kind: u8, kept: Vec<u8>, left: usize, tell: &Teller) -> State {
    if left > 0 {
        return State::Body { kind, kept, left };
    }
    match kind {
        b'Q' => tell.tell(Overheard::Query(text(&kept))),
        // The name of the prepared statement stands first.
        b'P' => {
            let query = kept
                .iter()
                .position(|byte| *byte == 0)
                .map_or(&[][..], |end| &kept[end + 1..]);
            tell.tell(Overheard::Query(text(query)));
        }
        b'p' => tell.tell(Overheard::Proof(kept.len())),
        _ => {}
    }
    State::Header(Vec::new())
}

/// A text that ends with a NUL, cut and safe to print.
fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    printable_bytes(text, MOST_OF_A_QUERY)
}

/// A `StartupMessage`, as far as it is told.
#[derive(Debug)]
pub(super) struct Startup {
    user: String,
    database: String,
}

impl Startup {
    /// Reads a whole packet of protocol 3.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let version = u32::from_be_bytes(*packet.get(4..)?.first_chunk()?);
        if version >> 16 != 3 {
            return None;
        }
        let mut words = packet.get(8..)?.split(|byte| *byte == 0);
        let (mut user, mut database) = (None, None);
        while let (Some(name), Some(value)) = (words.next().filter(|name| !name.is_empty()), words.next()) {
            match name {
                b"user" => user = Some(printable_bytes(value, 64)),
                b"database" => database = Some(printable_bytes(value, 64)),
                _ => {}
            }
        }
        let user = user?;
        Some(Self {
            database: database.unwrap_or_else(|| user.clone()),
            user,
        })
    }

    /// What is told of it.
    pub fn heard(&self, tls: bool) -> Overheard {
        Overheard::Startup {
            user: self.user.clone(),
            database: self.database.clone(),
            tls,
        }
    }
}
