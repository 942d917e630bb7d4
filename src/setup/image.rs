//! The image that a container is made from.

use std::fmt;

/// The versions whose configuration we know.
const MAJORS: std::ops::RangeInclusive<u16> = 13..=18;
/// The longest reference that engines take: 255 characters of name, 128 of tag, a digest.
const LONGEST: usize = 500;

/// A reference to an image (`postgres:17-alpine`), safe in a YAML file and on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    reference: String,
    major: Option<u16>,
}

impl Image {
    /// The newest major version whose configuration we know.
    pub const NEWEST: u16 = *MAJORS.end();

    /// The official image of a major version.
    #[must_use]
    pub fn official(major: u16) -> Self {
        Self {
            reference: format!("postgres:{major}"),
            major: Some(major),
        }
    }

    /// Reads a reference: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. A refusal is a reason and a remedy.
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        let refuse = |reason: &str, remedy: String| Err((reason.to_owned(), remedy));
        let usual = || format!("give one such as postgres:{}", Self::NEWEST);
        if text.is_empty() {
            return refuse("the image's name is empty", usual());
        }
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte));
        if text.len() > LONGEST || !is_plain || !text.starts_with(|first: char| first.is_ascii_alphanumeric())
        {
            return refuse("this is no name of an image", usual());
        }
        let named = text.split('@').next().unwrap_or(text);
        // A colon before the last slash belongs to the registry's port.
        let last = named.rsplit('/').next().unwrap_or(named);
        let (repository, tag) = last.split_once(':').unwrap_or((last, "latest"));
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refuse("the name of an image is written in lower case", usual());
        }
        let leading = number(tag);
        if let Some(major) = leading.filter(|major| repository == "postgres" && !MAJORS.contains(major)) {
            return Err((
                format!("pgtls does not know the configuration of PostgreSQL {major}"),
                format!("give an image of {} to {}", MAJORS.start(), MAJORS.end()),
            ));
        }
        Ok(Self {
            reference: text.to_owned(),
            major: image_major(text).filter(|major| MAJORS.contains(major)),
        })
    }

    /// The reference as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.reference
    }

    /// The major version of PostgreSQL in it, as far as its name says so (`17-alpine`, `latest-pg16`).
    #[must_use]
    pub const fn major(&self) -> Option<u16> {
        self.major
    }
}

/// The major version of PostgreSQL that the name of an image tells, also one that we know no more of.
#[must_use]
pub fn image_major(reference: &str) -> Option<u16> {
    let named = reference.split('@').next().unwrap_or(reference);
    let last = named.rsplit('/').next().unwrap_or(named);
    let (_, tag) = last.split_once(':')?;
    let marked = tag
        .match_indices("pg")
        .find_map(|(at, sign)| number(&tag[at + sign.len()..]));
    marked.or_else(|| number(tag))
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference)
    }
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u16> {
    let end = text
        .find(|next: char| !next.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_where_the_name_says_it() {
        for (text, major) in [
            ("postgres:17", Some(17)),
            ("postgres:17.5-alpine3.21", Some(17)),
            ("docker.io/library/postgres:13-bookworm", Some(13)),
            ("localhost:5000/postgres", None),
            ("localhost:5000/team/postgres:15", Some(15)),
            ("postgres:alpine", None),
            ("postgis/postgis:16-3.4", Some(16)),
            ("pgvector/pgvector:pg17", Some(17)),
            ("timescale/timescaledb:2.17.2-pg16", Some(16)),
            ("registry.example/db:3", None),
            ("postgres:17@sha256:00ff", Some(17)),
        ] {
            let image = Image::parse(text).unwrap();
            assert_eq!((image.as_str(), image.major()), (text, major));
        }
    }

    #[test]
    fn what_no_engine_takes_is_refused() {
        for text in [
            "",
            "-v",
            "postgres 17",
            "postgres:17\nservices:",
            "postgres:$TAG",
            "Postgres:17",
            "postgres:12",
            "postgres:19",
            "\"x\"",
            "a#b",
        ] {
            assert!(Image::parse(text).is_err(), "{text:?}");
        }
    }
}
