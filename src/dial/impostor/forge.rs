//! What comes back from the server, read along row by row, and changed on its way where that is wanted
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, `DataRow`).

use crate::dial::words::printable_bytes;

use super::heard::{Overheard, Teller};

/// A row that is longer passes unread.
const MOST_OF_A_ROW: usize = 64 * 1024;
/// How much of a row is told.
const MOST_TOLD: usize = 240;
/// Type and length of a message.
const HEADER: usize = 5;

/// A value that is taken out of a result, and what is put in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgery {
    /// The value, in text format, as a whole column of a row.
    pub from: String,
    /// What the client gets instead.
    pub to: String,
}

/// Follows the messages of a server, from behind the authentication on.
#[derive(Debug)]
pub(super) struct Forger {
    tell: Teller,
    forgery: Option<Forgery>,
    /// A message that is not whole yet: its header, or a row from its beginning.
    kept: Vec<u8>,
    /// What is left of a message that passes unread.
    left: usize,
}

impl Forger {
    pub fn new(forgery: Option<Forgery>, tell: Teller) -> Self {
        Self {
            tell,
            forgery,
            kept: Vec::new(),
            left: 0,
        }
    }

    /// Takes what the server sent, in pieces of any size; gives what the client gets now.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() {
            if self.left > 0 {
                let (now, later) = bytes.split_at(bytes.len().min(self.left));
                out.extend_from_slice(now);
                self.left -= now.len();
                bytes = later;
                continue;
            }
            let wanted = self.wanted();
            let (now, later) = bytes.split_at(bytes.len().min(wanted - self.kept.len()));
            self.kept.extend_from_slice(now);
            bytes = later;
            if self.kept.len() < wanted {
                continue;
            }
            let grown = self.wanted();
            if grown > wanted {
                continue;
            }
            let message = std::mem::take(&mut self.kept);
            if let [b'D', _, _, _, _, body @ ..] = message.as_slice()
                && !body.is_empty()
            {
                out.extend(self.row(body).unwrap_or(message));
            } else {
                self.left = body_length(&message).unwrap_or(usize::MAX);
                out.extend(message);
            }
        }
        out
    }

    /// How many bytes of the message that is coming in must be there: of a row all, of others the header.
    fn wanted(&self) -> usize {
        match (self.kept.first(), body_length(&self.kept)) {
            (Some(b'D'), Some(length)) if length <= MOST_OF_A_ROW => HEADER + length,
            _ => HEADER,
        }
    }

    /// Tells a row, and gives it changed if it holds what is to be changed.
    fn row(&self, body: &[u8]) -> Option<Vec<u8>> {
        let columns = columns(body)?;
        let texts: Vec<_> = columns
            .iter()
            .map(|column| column.map_or_else(|| "NULL".to_owned(), |value| printable_bytes(value, MOST_TOLD)))
            .collect();
        self.tell.tell(Overheard::Row(printable_bytes(
            texts.join(" | ").as_bytes(),
            MOST_TOLD,
        )));
        let forgery = self.forgery.as_ref()?;
        if !columns.contains(&Some(forgery.from.as_bytes())) {
            return None;
        }
        let mut changed = body.get(..2)?.to_vec();
        for column in columns {
            match column {
                None => changed.extend((-1_i32).to_be_bytes()),
                Some(value) => {
                    let value = if value == forgery.from.as_bytes() {
                        forgery.to.as_bytes()
                    } else {
                        value
                    };
                    changed.extend(u32::try_from(value.len()).ok()?.to_be_bytes());
                    changed.extend_from_slice(value);
                }
            }
        }
        self.tell.tell(Overheard::Changed(forgery.clone()));
        Some(crate::dial::wire::message(b'D', &[&changed]))
    }
}

/// The length of a message's body, once its header is there.
fn body_length(message: &[u8]) -> Option<usize> {
    let length: [u8; 4] = message.get(1..HEADER)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length).checked_sub(4)?).ok()
}

/// The columns of a row; `None` inside is SQL's null.
fn columns(body: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let (count, mut rest) = body.split_first_chunk()?;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, behind) = rest.split_first_chunk()?;
        // A negative length is SQL's null, and nothing follows it.
        if let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) {
            let (value, behind) = behind.split_at_checked(length)?;
            columns.push(Some(value));
            rest = behind;
        } else {
            columns.push(None);
            rest = behind;
        }
    }
    rest.is_empty().then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::wire::message;
    use tokio::sync::mpsc;

    fn row(values: &[Option<&str>]) -> Vec<u8> {
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            match value {
                None => body.extend((-1_i32).to_be_bytes()),
                Some(value) => {
                    body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                    body.extend(value.as_bytes());
                }
            }
        }
        message(b'D', &[&body])
    }

    fn forge(stream: &[u8], piece: usize, forgery: Option<Forgery>) -> (Vec<u8>, Vec<String>) {
        let (tell, mut heard) = mpsc::channel(64);
        let mut forger = Forger::new(forgery, Teller::new(1, tell));
        let out = stream
            .chunks(piece)
            .flat_map(|piece| forger.pass(piece))
            .collect();
        let mut told = Vec::new();
        while let Ok(heard) = heard.try_recv() {
            told.push(format!("{:?}", heard.what));
        }
        (out, told)
    }

    fn hundred() -> Forgery {
        Forgery {
            from: "100".into(),
            to: "1000000".into(),
        }
    }

    #[test]
    fn a_value_is_changed_wherever_the_stream_is_cut() {
        let before = [message(b'S', &[b"a\0b\0"]), message(b'T', &[&[0; 40]])].concat();
        let after = [message(b'C', &[b"SELECT 1\0"]), message(b'Z', &[b"I"])].concat();
        let rows = [
            row(&[Some("ann"), None, Some("100")]),
            row(&[Some("1000"), Some("")]),
        ]
        .concat();
        let changed = [
            row(&[Some("ann"), None, Some("1000000")]),
            row(&[Some("1000"), Some("")]),
        ]
        .concat();
        let stream = [&before[..], &rows, &after].concat();
        let expected = [&before[..], &changed, &after].concat();
        for piece in 1..=stream.len() {
            let (out, told) = forge(&stream, piece, Some(hundred()));
            assert_eq!(out, expected, "in pieces of {piece}");
            assert_eq!(told.len(), 3, "{told:?}");
            assert!(told[0].contains("ann | NULL | 100"), "{told:?}");
        }
        assert_eq!(
            forge(&stream, 7, None).0,
            stream,
            "unchanged where nothing is wanted"
        );
    }

    #[test]
    fn what_is_no_row_passes_as_it_is() {
        let huge = message(b'D', &[&vec![7; MOST_OF_A_ROW + 1]]);
        let short = message(b'D', &[]);
        let lying = message(b'D', &[&[0, 9, 0, 0, 0, 3, b'1', b'0', b'0']]);
        let stream = [&huge[..], &short, &lying, b"Z\0\0\0\x03", &[1; 100]].concat();
        for piece in [1, 5, 1000, stream.len()] {
            let (out, told) = forge(&stream, piece, Some(hundred()));
            assert!(out == stream, "in pieces of {piece}");
            assert!(told.is_empty(), "{told:?}");
        }
    }
}
