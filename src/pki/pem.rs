//! PEM blocks (RFC 7468), read as OpenSSL reads them (`PEM_read_bio(3)`), no more and no less leniently: a file that
//! PostgreSQL or libpq would refuse is refused here too.
//!
//! Text before, between and after blocks is skipped, line ends may be CRLF, lines may have any length, blanks may stand
//! in them. A blank line ends a header (RFC 1421 section 4.4), whether there is one or not; after it only the last line
//! may differ from 64 characters, and another blank line is a fault. What is read is bounded: files come from people and
//! from other programs.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{self, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::text::excerpt;

/// More than any CA bundle in use (Mozilla's is a quarter of this).
const MOST_BYTES: usize = 1 << 20;
const MOST_BLOCKS: usize = 1000;

/// Why a file is no PEM file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No block at all; `found` says what the bytes look like.
    #[error("expected PEM (a \"-----BEGIN …-----\" line), found {found}")]
    NoBlock {
        /// What the bytes look like, with the remedy where one is known.
        found: &'static str,
    },
    /// More than one mebibyte.
    #[error("the file is larger than 1 MiB, more than any key or CA bundle")]
    TooLarge,
    /// More than a thousand blocks.
    #[error("the file holds more than 1000 PEM blocks")]
    TooMany,
    /// A BEGIN line without its END line.
    #[error("the block \"BEGIN {label}\" has no \"END {label}\" line: the file seems cut off")]
    Unfinished {
        /// What stands after BEGIN.
        label: String,
    },
    /// Something other than base64 between BEGIN and END.
    #[error("the text between BEGIN {label} and END {label} is not base64: the file seems damaged")]
    NotBase64 {
        /// What stands after BEGIN.
        label: String,
    },
    /// A header, or lines after one, that OpenSSL does not take.
    #[error("the block \"BEGIN {label}\" is not laid out as OpenSSL wants it: {fault}")]
    Layout {
        /// What stands after BEGIN.
        label: String,
        /// What is wrong.
        fault: &'static str,
    },
}

/// One block: `-----BEGIN label-----`, header lines, base64, `-----END label-----`.
pub(super) struct Block {
    pub(super) label: String,
    /// RFC 1421 headers (`Proc-Type`, `DEK-Info`), in order.
    pub(super) headers: Vec<(String, String)>,
    /// How long the header is, of whatever form.
    header_length: usize,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl Block {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// The bytes of a block that must not be encrypted: OpenSSL takes any header for the beginning of an encrypted one.
    pub(super) fn in_the_clear(&self) -> Result<&[u8], PemError> {
        if self.header_length > 0 {
            return Err(self.faulty("it has a header, and only encrypted keys have one"));
        }
        Ok(&self.bytes)
    }

    /// Whether the header is so long that OpenSSL takes the block for encrypted without looking.
    pub(super) const fn has_long_header(&self) -> bool {
        self.header_length > 10
    }

    /// Whether it says that it is encrypted; a header that says anything else is a fault.
    pub(super) fn is_encrypted(&self) -> Result<bool, PemError> {
        match self.headers.first() {
            None if self.header_length == 0 => Ok(false),
            Some((name, value))
                if name == "Proc-Type"
                    && value
                        .split_once(',')
                        .is_some_and(|(four, kind)| four == "4" && kind.trim_ascii() == "ENCRYPTED") =>
            {
                Ok(true)
            }
            _ => Err(self.faulty("its header does not begin with Proc-Type: 4,ENCRYPTED")),
        }
    }

    pub(super) fn faulty(&self, fault: &'static str) -> PemError {
        PemError::Layout {
            label: self.label.clone(),
            fault,
        }
    }
}

/// Lines as OpenSSL gets them: at most 254 bytes at a time, cut at a NUL, and none after one that begins with it.
struct Lines<'a> {
    rest: &'a [u8],
    /// At the start of the file or behind a block, where a byte order mark is passed over.
    at_start: bool,
    /// The last line went on beyond what was read of it.
    is_partial: bool,
}

impl<'a> Lines<'a> {
    const LONGEST: usize = 254;

    const fn new(file: &'a [u8]) -> Self {
        Self {
            rest: file,
            at_start: true,
            is_partial: false,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let most = &self.rest[..self.rest.len().min(Self::LONGEST)];
        let length = most
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(most.len(), |at| at + 1);
        let (mut line, rest) = self.rest.split_at(length);
        self.rest = rest;
        if let Some(nul) = line.iter().position(|byte| *byte == 0) {
            line = &line[..nul];
        }
        if line.is_empty() {
            self.rest = &[];
            return None;
        }
        self.is_partial = line.len() == Self::LONGEST && !line.ends_with(b"\n");
        if std::mem::take(&mut self.at_start) {
            line = line
                .strip_prefix(BYTE_ORDER_MARK)
                .filter(|after| !after.is_empty())
                .unwrap_or(line);
        }
        // A `char` of C has a sign: bytes beyond ASCII count as below the blank.
        let end = line
            .iter()
            .rposition(|byte| byte.is_ascii_graphic() || *byte == 0x7f)
            .map_or(0, |last| last + 1);
        Some(&line[..end])
    }
}

/// Every block of the file, in order; at least one.
pub(super) fn blocks(file: &[u8]) -> Result<Vec<Block>, PemError> {
    if file.len() > MOST_BYTES {
        return Err(PemError::TooLarge);
    }
    let mut blocks = Vec::new();
    let mut lines = Lines::new(file);
    while let Some(line) = lines.next() {
        let Some(label) = label(line) else {
            continue;
        };
        if blocks.len() == MOST_BLOCKS {
            return Err(PemError::TooMany);
        }
        blocks.push(block(label, &mut lines)?);
        lines.at_start = true;
    }
    if blocks.is_empty() {
        return Err(PemError::NoBlock {
            found: resemblance(file),
        });
    }
    Ok(blocks)
}

fn block(label: &[u8], lines: &mut Lines<'_>) -> Result<Block, PemError> {
    const LINE: usize = 64;
    // Bounded and printable: it goes into messages.
    let shown = || excerpt(&String::from_utf8_lossy(label));
    let faulty = |fault| {
        Err(PemError::Layout {
            label: shown(),
            fault,
        })
    };
    let mut header: Option<Vec<&[u8]>> = None;
    let mut body = Vec::new();
    let (mut in_header, mut ended, mut was_partial) = (false, false, false);
    while let Some(line) = lines.next() {
        in_header |= header.is_none() && line.contains(&b':');
        let goes_on = std::mem::replace(&mut was_partial, lines.is_partial);
        if line.is_empty() {
            if goes_on {
                continue;
            }
            if header.is_some() {
                return faulty("it has two blank lines");
            }
            header = Some(std::mem::take(&mut body));
            continue;
        }
        if let Some(end) = line.strip_prefix(b"-----END ") {
            if end.strip_prefix(label) != Some(b"-----") {
                break;
            }
            if header.is_none() && in_header {
                return faulty("its header does not end in a blank line");
            }
            let header = header.unwrap_or_default();
            let bytes = decode(&body).ok_or_else(|| PemError::NotBase64 { label: shown() })?;
            if bytes.is_empty() {
                return faulty("it is empty");
            }
            return Ok(Block {
                label: shown(),
                headers: header.iter().filter_map(|line| field(line)).collect(),
                header_length: header.iter().map(|line| line.len() + 1).sum(),
                bytes,
            });
        }
        if ended {
            return faulty("after a blank line, lines other than the last are 64 characters long");
        }
        if header.is_some() {
            if line.len() > LINE {
                return faulty("after a blank line, lines are at most 64 characters long");
            }
            ended = line.len() < LINE;
        }
        body.push(line);
    }
    Err(PemError::Unfinished { label: shown() })
}

/// One line of a header: a name, a colon, a value.
fn field(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    Some((text(&line[..colon]), text(&line[colon + 1..])))
}

/// Base64 as `EVP_DecodeUpdate(3)` reads it: blanks anywhere, and nothing after a `-`.
fn decode(lines: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
    const OPENSSL: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    // Sized at once: growing would leave copies of a secret behind in freed memory.
    let mut base64 = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
    let characters = lines.iter().flat_map(|line| line.iter().copied());
    base64.extend(
        characters
            .take_while(|byte| *byte != b'-')
            .filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r')),
    );
    OPENSSL.decode(&*base64).ok().map(Zeroizing::new)
}

fn label(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")
}

fn resemblance(file: &[u8]) -> &'static str {
    match file {
        [] => "an empty file",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "UTF-16 text: save it as UTF-8 (PowerShell's \">\" writes UTF-16)"
        }
        [0x30, 0x80..=0xff, ..] => {
            "binary data that looks like DER or PKCS#12: convert it with \"openssl x509 -inform DER\" (a \
             certificate), \"openssl pkey -inform DER\" (a key) or \"openssl pkcs12 -nodes\" (.p12, .pfx)"
        }
        _ if file.starts_with(b"ssh-") => "an SSH public key",
        _ if std::str::from_utf8(file).is_err() => "binary data",
        _ => "other text",
    }
}

/// One block with lines of 64 characters.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(general_purpose::STANDARD.encode(der));
    let lines = base64.len().div_ceil(64);
    let mut text = Zeroizing::new(String::with_capacity(base64.len() + lines + 2 * label.len() + 34));
    let capacity = text.capacity();
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every index is a character boundary.
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    debug_assert_eq!(
        text.capacity(),
        capacity,
        "a reallocation leaves a copy of the secret"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_and_crlf_are_skipped() {
        let file = b"subject=x\r\n\xff\xfe junk\r\n-----BEGIN A-----\r\nAQ\r\nID\r\n-----END A-----\r\nend\n\
                     -----BEGIN B-----\nProc-Type: 4,ENCRYPTED\n\nBAUG\n-----END B-----";
        let blocks = blocks(file).unwrap();
        assert_eq!(
            (blocks[0].label.as_str(), &blocks[0].bytes[..]),
            ("A", &[1, 2, 3][..])
        );
        assert_eq!(
            (blocks[1].label.as_str(), &blocks[1].bytes[..]),
            ("B", &[4, 5, 6][..])
        );
        assert_eq!(blocks[1].header("Proc-Type"), Some("4,ENCRYPTED"));
    }

    #[test]
    fn each_fault_is_named() {
        let cases: [(&[u8], &str); 7] = [
            (b"", "an empty file"),
            (b"\xff\xfe-\0-\0", "UTF-16"),
            (b"\x30\x82\x01\x00", "DER"),
            (b"hello", "other text"),
            (b"-----BEGIN A-----\nAQID\n", "cut off"),
            (b"-----BEGIN A-----\nAQID\n-----END B-----", "cut off"),
            (b"-----BEGIN A-----\n!!\n-----END A-----\n", "not base64"),
        ];
        for (file, expected) in cases {
            let error = blocks(file).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(
            blocks(&vec![b'a'; MOST_BYTES + 1]).err(),
            Some(PemError::TooLarge)
        );
        let many = "-----BEGIN A-----\nAQID\n-----END A-----\n".repeat(MOST_BLOCKS + 1);
        assert_eq!(blocks(many.as_bytes()).err(), Some(PemError::TooMany));
    }

    fn one(file: &[u8]) -> Result<Vec<u8>, PemError> {
        let blocks = blocks(file)?;
        blocks[0].in_the_clear().map(<[u8]>::to_vec)
    }

    /// `PEM_read_bio(3)`: lines have any length and may have blanks around and in them, the label ends the line.
    #[test]
    fn the_base64_is_read_as_leniently_as_openssl_reads_it() {
        for body in [
            "AQID",
            "AQ\r\nID",
            " AQ\n\tID ",
            "A Q\tID",
            "AQ\nI\nD",
            "AQID\u{7f}-rest",
            "AQID-",
        ] {
            let file = format!("-----BEGIN A----- \n{body}\n-----END A-----\t\n");
            let read = one(file.as_bytes());
            if body.contains('\u{7f}') {
                assert!(read.is_err(), "{body:?}");
            } else {
                assert_eq!(read, Ok(vec![1, 2, 3]), "{body:?}");
            }
        }
        // Bits that are left over may be anything.
        assert_eq!(one(b"-----BEGIN A-----\nAR==\n-----END A-----"), Ok(vec![1]));
        let long = format!("-----BEGIN A-----\n{}\n-----END A-----", "AQID".repeat(500));
        assert_eq!(one(long.as_bytes()).unwrap().len(), 1500);
        for body in [
            "AQ",
            "AQI",
            "AQ=",
            "A===",
            "AQ==AQID",
            "AQ_D",
            "AQ\u{b}ID",
            "#AQID",
            "",
        ] {
            let file = format!("-----BEGIN A-----\n{body}\n-----END A-----\n");
            assert!(one(file.as_bytes()).is_err(), "{body:?}");
        }
    }

    /// The same: what is not the beginning of a line, to the letter, begins and ends no block.
    #[test]
    fn the_lines_around_a_block_are_read_to_the_letter() {
        let rest = "AQID\n-----END A-----\n";
        for begin in [
            "-----Begin A-----",
            " -----BEGIN A-----",
            "-----BEGIN A----",
            "-----BEGIN A-----x",
        ] {
            let file = format!("{begin}\n{rest}");
            assert!(
                matches!(one(file.as_bytes()), Err(PemError::NoBlock { .. })),
                "{begin}"
            );
        }
        for end in [
            "",
            " -----END A-----",
            "----END A-----",
            "-----END B-----",
            "-----END A----- x",
        ] {
            let file = format!("-----BEGIN A-----\nAQID\n{end}\n");
            assert!(one(file.as_bytes()).is_err(), "{end}");
        }
        // Lines end in LF; with CR alone there is but one.
        assert!(one(b"-----BEGIN A-----\rAQID\r-----END A-----\r").is_err());
        // The first of two beginnings counts, and its base64 ends where the other begins.
        let twice = format!("-----BEGIN A-----\nBAUG\n-----BEGIN A-----\n{rest}");
        assert_eq!(one(twice.as_bytes()), Ok(vec![4, 5, 6]));
    }

    /// A byte order mark is passed over before a block; a line that begins with a NUL ends the file.
    #[test]
    fn marks_of_bytes_and_nuls_are_taken_as_openssl_takes_them() {
        let block = "-----BEGIN A-----\nAQID\n-----END A-----\n";
        let all = |file: String| blocks(file.as_bytes()).map_or(0, |blocks| blocks.len());
        assert_eq!(all(format!("\u{feff}{block}\u{feff}{block}")), 2);
        assert_eq!(all(format!("text\n\u{feff}{block}")), 0);
        assert_eq!(all(format!("{block}\0\n{block}")), 1);
        assert_eq!(all(format!("{block}x\0\n{block}")), 2);
        assert!(blocks(b"-----BEGIN A-----\nAQID\n\0\n-----END A-----\n").is_err());
    }

    /// RFC 1421 section 4.4, as OpenSSL has it: a blank line ends a header, and what follows is in lines of 64.
    #[test]
    fn a_blank_line_makes_a_header() {
        let line = "A".repeat(64);
        let read = |body: &str| one(format!("-----BEGIN A-----\n{body}\n-----END A-----\n").as_bytes());
        assert_eq!(read(&format!("\n{line}\nAQID")).unwrap().len(), 51);
        for (body, fault) in [
            (format!("Comment: x\n\n{line}"), "it has a header"),
            (format!("{line}\n\nAQID"), "it has a header"),
            ("Comment: x\nAQID".to_owned(), "does not end"),
            (format!("\nAQID\n{line}"), "other than the last"),
            (format!("\n{line}AQID"), "at most 64"),
            (format!("\n{line}\n\nAQID"), "two blank lines"),
        ] {
            let error = read(&body).unwrap_err().to_string();
            assert!(error.contains(fault), "{body}: {error}");
        }
        // A line of 254 characters that ends there is followed by no blank one.
        assert!(read(&"A".repeat(252)).is_ok());
        assert!(read(&format!("{}\nAQID", "A".repeat(256))).is_ok());
    }

    /// `PEM_do_header(3)`: what has a header is encrypted, or a fault.
    #[test]
    fn a_header_says_encrypted_or_is_a_fault() {
        let says = |header: &str| {
            let file = format!("-----BEGIN A-----\n{header}\n\nAQID\n-----END A-----\n");
            blocks(file.as_bytes()).unwrap()[0].is_encrypted()
        };
        assert_eq!(says("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00"), Ok(true));
        for header in [
            "Proc-Type: 4,CLEAR",
            "Proc-Type: 5,ENCRYPTED",
            "Comment: x",
            "DEK-Info: x",
        ] {
            assert!(says(header).is_err(), "{header}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for length in [1, 47, 48, 49, 96, 1000] {
            let bytes = vec![0xa5; length];
            let text = encode("X Y", &bytes);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(blocks(text.as_bytes()).unwrap()[0].bytes[..], bytes[..]);
        }
    }
}
