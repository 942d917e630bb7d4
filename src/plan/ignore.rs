//! `.gitignore`: everything secret, in a block of our own; a person's own lines stay as they are.

use super::artifact::Line;

const BEGIN: &str = "# pgtls: secrets, never to be committed";
const END: &str = "# pgtls: end";
const PATTERNS: [&str; 11] = [
    "/ca/*.key",
    "/server/*.key",
    "/request/*.key",
    "/server/roles.sql",
    "/db.env",
    "/clients/*/*.key",
    "/clients/*/passfile",
    "/clients/*/*.p12",
    "/clients/*/*.pk8",
    "/clients/*/p12.password",
    "/.pgtls/",
];

/// The file, with our block where it was, or at the end of what the person has.
pub(super) fn lines(existing: Option<&str>) -> Vec<Line> {
    let block = || [BEGIN].into_iter().chain(PATTERNS).chain([END]).map(Line::plain);
    let Some(existing) = existing.filter(|text| !text.is_empty()) else {
        return block().collect();
    };
    // Parted at LF alone: a CR is part of a line and stays.
    let mut theirs: Vec<&str> = existing.split('\n').collect();
    if theirs.last() == Some(&"") {
        theirs.pop();
    }
    let begin = theirs.iter().position(|line| line.trim_end() == BEGIN);
    let end = begin.and_then(|begin| {
        theirs[begin..]
            .iter()
            .position(|line| line.trim_end() == END)
            .map(|n| begin + n)
    });
    match (begin, end) {
        (Some(begin), Some(end)) => theirs[..begin]
            .iter()
            .copied()
            .map(Line::plain)
            .chain(block())
            .chain(theirs[end + 1..].iter().copied().map(Line::plain))
            .collect(),
        _ => theirs
            .iter()
            .copied()
            .map(Line::plain)
            .chain([Line::plain("")])
            .chain(block())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| line.text.clone() + "\n").collect()
    }

    #[test]
    fn what_a_person_has_is_kept_and_our_block_stays_one() {
        let fresh = text(&lines(None));
        assert_eq!(text(&lines(Some(&fresh))), fresh);
        let mixed = text(&lines(Some("target\r\n*.log")));
        assert!(mixed.starts_with("target\r\n*.log\n\n# pgtls:"), "{mixed}");
        assert_eq!(text(&lines(Some(&mixed))), mixed);
        let below = format!("{mixed}later\n");
        assert_eq!(text(&lines(Some(&below))), below);
        let old = below.replace("/.pgtls/\n", "");
        assert_eq!(text(&lines(Some(&old))), below);
    }
}
