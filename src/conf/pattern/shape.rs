//! What an expression leaves open: whether it is tied to the whole text, and what its first parentheses can hold.

use super::Pattern;
use super::parse::{Node, Place, parse};

impl Pattern {
    /// Whether a match always begins where the text does and ends where it ends; `None` where that cannot be told.
    #[must_use]
    pub fn is_tied(&self) -> Option<bool> {
        let node = parse(&self.source).ok()?;
        Some(begins(&node, Place::Start, true) && begins(&node, Place::End, false))
    }

    /// Whether the first parentheses, which `\1` stands for, can hold exactly that text; `None` where that cannot be told.
    #[must_use]
    pub fn can_hold(&self, text: &str) -> Option<bool> {
        self.matches("")?;
        let (from, to) = self.first_group()?;
        let whole = format!("^(?:{})$", &self.source[from + 1..to]);
        Self::new(whole.as_bytes()).ok()?.matches(text)
    }

    /// A text that matches, with this one in the first parentheses, if one is found by taking the rest as it is written.
    #[must_use]
    pub fn example(&self, text: &str) -> Option<String> {
        let (from, to) = self.first_group()?;
        let plain = |part: &str| part.replace(['^', '$', '\\'], "").replace(".*", "");
        let example = format!(
            "{}{text}{}",
            plain(&self.source[..from]),
            plain(&self.source[to + 1..])
        );
        (self.matches(&example) == Some(true)).then_some(example)
    }

    /// Where the first parentheses that catch something open and close.
    fn first_group(&self) -> Option<(usize, usize)> {
        let bytes = self.source.as_bytes();
        let (mut open, mut depth, mut at) = (None, 0usize, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 1,
                // A bracket that stands first in brackets is one of them.
                b'[' => {
                    at += usize::from(bytes.get(at + 1) == Some(&b'^')) + 1;
                    at += bytes.get(at + 1..)?.iter().position(|c| *c == b']')? + 1;
                }
                b'(' => {
                    if open.is_none() && bytes.get(at + 1) != Some(&b'?') {
                        open = Some((at, depth));
                    }
                    depth += 1;
                }
                b')' => {
                    depth = depth.checked_sub(1)?;
                    if let Some((from, outer)) = open
                        && outer == depth
                    {
                        return Some((from, at));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }
}

/// Whether every way through the node meets that place before (or, from behind, after) it takes a character.
fn begins(node: &Node, place: Place, from_front: bool) -> bool {
    let inner = |node: &Node| begins(node, place, from_front);
    match node {
        Node::Set(_) => false,
        Node::At(at) => *at == place,
        Node::Sequence(nodes) => {
            let mut nodes: Vec<_> = nodes.iter().collect();
            if !from_front {
                nodes.reverse();
            }
            for node in nodes {
                if inner(node) {
                    return true;
                }
                if !matches!(node, Node::At(_)) {
                    return false;
                }
            }
            false
        }
        Node::Either(branches) => branches.iter().all(inner),
        Node::Repeat { node, least, .. } => *least > 0 && inner(node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(source: &str) -> Pattern {
        Pattern::new(source.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_tied_is_tied_at_both_ends() {
        for source in [
            "^(.*)-svc$",
            r"\A[a-z]+\Z",
            "^a$|^b$",
            "(^a$)",
            "^(a|b)$",
            r"^\mapp$",
            "^$",
        ] {
            assert_eq!(pattern(source).is_tied(), Some(true), "{source}");
        }
        for source in ["([a-z]+)@acme", "^a", "a$", "^a|b$", "(^)?a$", ".*", r"\^a\$", ""] {
            assert_eq!(pattern(source).is_tied(), Some(false), "{source}");
        }
        assert_eq!(pattern("^(?!postgres)(.*)$").is_tied(), None);
    }

    #[test]
    fn what_the_first_parentheses_can_hold_is_told() {
        for (source, can) in [
            ("^(.*)-svc$", Some(true)),
            ("([a-z]+)@acme", Some(true)),
            (r"^\(([a-z]+)\)$", Some(true)),
            ("^[()](?:x)([^]()]*)$", Some(true)),
            ("^(app_[a-z]+)@acme$", Some(false)),
            ("^((app|shop)[0-9]+)$", Some(false)),
            ("^[0-9]+$", None),
            ("^(?!postgres)(.*)$", None),
        ] {
            assert_eq!(pattern(source).can_hold("postgres"), can, "{source}");
        }
        assert_eq!(
            pattern(r"^(.*)@acme\.example$").example("postgres").as_deref(),
            Some("postgres@acme.example")
        );
        assert_eq!(pattern("^([a-z]+)[0-9]{3}$").example("postgres"), None);
    }
}
