//! PEM blocks (RFC 7468), read as leniently as OpenSSL reads them.
//!
//! Text before, between and after blocks is skipped, line ends may be CRLF, lines may have any length. What is
//! read is bounded: files come from people and from other programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
}

/// One block: `-----BEGIN label-----`, header lines, base64, `-----END label-----`.
pub(super) struct Block {
    pub(super) label: String,
    /// RFC 1421 headers (`Proc-Type`, `DEK-Info`), in order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl Block {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }
}

/// Every block of the file, in order; at least one.
pub(super) fn blocks(file: &[u8]) -> Result<Vec<Block>, PemError> {
    if file.len() > MOST_BYTES {
        return Err(PemError::TooLarge);
    }
    let mut blocks = Vec::new();
    let mut lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, b"-----BEGIN ") else {
            continue;
        };
        if blocks.len() == MOST_BLOCKS {
            return Err(PemError::TooMany);
        }
        blocks.push(block(label, &mut lines)?);
    }
    if blocks.is_empty() {
        return Err(PemError::NoBlock {
            found: resemblance(file),
        });
    }
    Ok(blocks)
}

fn block<'a>(label: String, lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<Block, PemError> {
    let end = format!("-----END {label}-----");
    let mut headers = Vec::new();
    let mut body = Vec::new();
    for line in lines {
        let line = line.trim_ascii();
        if line == end.as_bytes() {
            return Ok(Block {
                bytes: decode(&body).ok_or_else(|| PemError::NotBase64 { label: label.clone() })?,
                label,
                headers,
            });
        }
        if line.starts_with(b"-----BEGIN ") {
            break;
        }
        match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
                headers.push((text(&line[..colon]), text(&line[colon + 1..])));
            }
            None => body.push(line),
        }
    }
    Err(PemError::Unfinished { label })
}

fn decode(lines: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
    // Sized at once: growing would leave copies of a secret behind in freed memory.
    let mut base64 = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
    for line in lines {
        base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
    }
    STANDARD.decode(&*base64).ok().map(Zeroizing::new)
}

fn label(line: &[u8], start: &[u8]) -> Option<String> {
    let label = line.strip_prefix(start)?.strip_suffix(b"-----")?;
    // Bounded and printable: it goes into messages.
    Some(excerpt(&String::from_utf8_lossy(label)))
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
    let base64 = Zeroizing::new(STANDARD.encode(der));
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
            (
                b"-----BEGIN A-----\nAQID\n-----BEGIN A-----\n-----END A-----",
                "cut off",
            ),
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
        let many = "-----BEGIN A-----\n-----END A-----\n".repeat(MOST_BLOCKS + 1);
        assert_eq!(blocks(many.as_bytes()).err(), Some(PemError::TooMany));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let bytes = vec![0xa5; length];
            let text = encode("X Y", &bytes);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(blocks(text.as_bytes()).unwrap()[0].bytes[..], bytes[..]);
        }
    }
}
