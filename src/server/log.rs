//! The server's log: read as it grows, and made safe to show.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The most that is read of a log at a time.
const WINDOW: u64 = 1 << 20;
/// The longest line that is shown, in characters.
const LINE: usize = 1000;

/// One line of text from elsewhere, safe to show: control and bidirectional-override characters become
/// `\u{…}`, tabs become blanks, and it is cut at a bounded length.
pub(super) fn printable(line: &str) -> String {
    let mut shown = String::with_capacity(line.len().min(LINE));
    for (count, character) in line.chars().enumerate() {
        if count == LINE {
            shown.push('…');
            break;
        }
        match character {
            '\t' => shown.push(' '),
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {
                shown.extend(character.escape_unicode());
            }
            _ if character.is_control() => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

/// Follows a log from where it ended when the following began.
pub(super) struct Tail {
    path: PathBuf,
    offset: u64,
    partial: Vec<u8>,
}

impl Tail {
    /// From the log's present end.
    pub(super) fn at_end(path: &Path) -> Self {
        let offset = std::fs::metadata(path).map_or(0, |found| found.len());
        Self {
            path: path.to_owned(),
            offset,
            partial: Vec::new(),
        }
    }

    /// The whole lines written since the last call, printable. A log that cannot be read has no lines.
    pub(super) fn lines(&mut self) -> Vec<String> {
        let mut read = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.path)
            && file.seek(SeekFrom::Start(self.offset)).is_ok()
            && file.take(WINDOW).read_to_end(&mut read).is_ok()
        {
            self.offset += read.len() as u64;
            self.partial.append(&mut read);
        }
        let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        String::from_utf8_lossy(&whole).lines().map(printable).collect()
    }
}
