//! One file that pgtls wants on disk.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// One planned file, relative to the project directory.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Relative to the project directory; never absolute, never with `..`.
    pub path: PathBuf,
    /// Permission bits, such as `0o600`.
    pub mode: u32,
    /// What is in it.
    pub content: Content,
}

/// What a planned file holds, and so how it may be shown.
#[derive(Clone)]
pub enum Content {
    /// Text for people to read: shown as a diff.
    Text(Vec<Line>),
    /// Public but not for reading (a certificate in PEM): shown by its description.
    Public {
        /// The bytes of the file.
        bytes: Vec<u8>,
        /// One line that says what it is (`certificate of localhost, SHA-256 ab:cd…`).
        description: String,
    },
    /// Never shown, only described by a fingerprint that gives nothing away.
    Secret {
        /// The bytes of the file.
        bytes: Zeroizing<Vec<u8>>,
        /// One line that says what it is (`P-256 private key, public key SHA-256 ab:cd…`).
        description: String,
    },
}

/// A line of a planned text file, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line without its line feed.
    pub text: String,
    /// Key of the explanation in `assets/why.toml`, for lines that deserve one.
    pub why: Option<&'static str>,
}

impl Content {
    /// The bytes as they go to disk; text lines end in LF.
    #[must_use]
    pub fn bytes(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Text(lines) => {
                let mut text = String::new();
                for line in lines {
                    text.push_str(&line.text);
                    text.push('\n');
                }
                Zeroizing::new(text.into_bytes())
            }
            Self::Public { bytes, .. } => Zeroizing::new(bytes.clone()),
            Self::Secret { bytes, .. } => bytes.clone(),
        }
    }

    /// Whether the content must never be shown.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Secret { .. })
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(lines) => f.debug_tuple("Text").field(&lines.len()).finish(),
            Self::Public { description, .. } | Self::Secret { description, .. } => f.write_str(description),
        }
    }
}

impl Artifact {
    /// A text file.
    pub(super) fn text(path: impl Into<PathBuf>, mode: u32, lines: Vec<Line>) -> Self {
        Self {
            path: path.into(),
            mode,
            content: Content::Text(lines),
        }
    }
}

impl Line {
    /// A line that needs no explanation.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            why: None,
        }
    }

    /// A line with the key of its explanation.
    pub(super) fn because(text: impl Into<String>, why: &'static str) -> Self {
        Self {
            text: text.into(),
            why: Some(why),
        }
    }
}
