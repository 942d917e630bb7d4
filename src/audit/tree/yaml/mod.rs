//! YAML as compose files use it (<https://yaml.org/spec/1.2.2/>), each value with the line it stands on.
//!
//! Block and flow collections, scalars of every style, anchors, aliases and merge keys are read; tags are passed over,
//! complex keys and further documents are not. What cannot be read is said with its line: it is never guessed at.

mod flow;

use std::collections::HashMap;

use flow::Flow;

/// A value, and the line of its key or dash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar; what a plain one means is left to whoever asks.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order.
    Map(Vec<(String, Node)>),
}

/// Why a text is not read: its line, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub why: &'static str,
}

/// Aliases may multiply without end.
const MOST_NODES: usize = 50_000;
const DEEPEST: usize = 60;

impl Node {
    /// The value of a key.
    pub fn at(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node)
    }

    /// The entries of a mapping; of anything else none.
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; of anything else none.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Text(_) => 0,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }
}

/// Reads the first document.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader {
        lines: Vec::new(),
        raw: text.lines().collect(),
        at: 0,
        anchors: HashMap::new(),
        nodes: 0,
    };
    for (index, raw) in text.lines().enumerate() {
        let bare = raw.trim_end();
        let begins = bare == "---" || bare.starts_with("--- ");
        if bare == "..." || (begins && !reader.lines.is_empty()) {
            break;
        }
        let indent = raw.len() - raw.trim_start_matches(' ').len();
        let content = raw[indent..].trim_end();
        if begins
            || content.is_empty()
            || content.starts_with('#')
            || (indent == 0 && content.starts_with('%'))
        {
            continue;
        }
        reader.lines.push(Line {
            number: index + 1,
            indent,
            text: content.to_owned(),
        });
    }
    let node = reader.block(0, 0, 1)?;
    match reader.lines.get(reader.at) {
        Some(line) => Err(fault(line.number, "a line that belongs to nothing above it")),
        None => Ok(node),
    }
}

struct Line {
    number: usize,
    indent: usize,
    text: String,
}

struct Reader<'a> {
    lines: Vec<Line>,
    raw: Vec<&'a str>,
    at: usize,
    anchors: HashMap<String, Node>,
    nodes: usize,
}

const fn fault(line: usize, why: &'static str) -> Fault {
    Fault { line, why }
}

impl Reader<'_> {
    /// The value whose lines are at least so far in; `line` is that of its key.
    fn block(&mut self, indent: usize, depth: usize, line: usize) -> Result<Node, Fault> {
        let Some(first) = self.lines.get(self.at).filter(|first| first.indent >= indent) else {
            return self.node(line, Value::Null);
        };
        if depth > DEEPEST {
            return Err(fault(first.number, "it is nested too deeply"));
        }
        if first.text.starts_with('\t') {
            return Err(fault(first.number, "a tab indents it"));
        }
        let (own, number) = (first.indent, first.number);
        if is_item(&first.text) {
            return self.list(own, depth, line);
        }
        if split_key(&first.text).is_some() {
            return self.map(own, depth, line);
        }
        let text = first.text.clone();
        self.at += 1;
        let mut node = self.scalar(&text, own, depth, number)?;
        node.line = line;
        Ok(node)
    }

    fn list(&mut self, indent: usize, depth: usize, line: usize) -> Result<Node, Fault> {
        let mut items = Vec::new();
        while let Some(next) = self.lines.get(self.at) {
            if next.indent != indent || !is_item(&next.text) {
                break;
            }
            let number = next.number;
            let rest = next.text[1..].trim_start();
            let inner = indent + next.text.len() - rest.len();
            items.push(if rest.is_empty() || rest.starts_with('#') {
                self.at += 1;
                self.block(indent + 1, depth + 1, number)?
            } else if is_item(rest) || split_key(rest).is_some() {
                // What follows the dash begins a block of its own, further in.
                let text = rest.to_owned();
                self.lines[self.at] = Line {
                    number,
                    indent: inner,
                    text,
                };
                self.block(inner, depth + 1, number)?
            } else {
                let text = rest.to_owned();
                self.at += 1;
                self.value(&text, indent, depth, number)?
            });
        }
        self.stray(indent)?;
        self.node(line, Value::List(items))
    }

    fn map(&mut self, indent: usize, depth: usize, line: usize) -> Result<Node, Fault> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        while let Some(next) = self.lines.get(self.at) {
            if next.indent != indent || is_item(&next.text) {
                break;
            }
            let number = next.number;
            if next.text.starts_with('\t') {
                return Err(fault(number, "a tab indents it"));
            }
            let Some((key, rest)) = split_key(&next.text) else {
                return Err(fault(number, "neither a key nor an item"));
            };
            let rest = rest.to_owned();
            self.at += 1;
            let node = self.value(&rest, indent, depth, number)?;
            if key == "<<" {
                merged.push(node);
            } else if entries.iter().any(|(known, _)| *known == key) {
                return Err(fault(number, "the same key a second time"));
            } else {
                entries.push((key, node));
            }
        }
        self.stray(indent)?;
        for source in &merged {
            let sources = if source.items().is_empty() {
                std::slice::from_ref(source)
            } else {
                source.items()
            };
            for (key, node) in sources.iter().flat_map(Node::entries) {
                if entries.iter().all(|(known, _)| known != key) {
                    entries.push((key.clone(), node.clone()));
                }
            }
        }
        self.node(line, Value::Map(entries))
    }

    /// What stands behind a key or a dash at `indent`, on its line and below it.
    fn value(&mut self, text: &str, indent: usize, depth: usize, line: usize) -> Result<Node, Fault> {
        let text = text.trim();
        if let Some((sign, rest)) = property(text) {
            let mut node = self.value(rest, indent, depth, line)?;
            if let Some(name) = sign.strip_prefix('&') {
                self.anchors.insert(name.to_owned(), node.clone());
            }
            node.line = line;
            return Ok(node);
        }
        if text.is_empty() || text.starts_with('#') {
            // A list may stand below its key without being further in.
            let level = self
                .lines
                .get(self.at)
                .is_some_and(|next| next.indent == indent && is_item(&next.text));
            return if level && self.is_below_key() {
                self.list(indent, depth + 1, line)
            } else {
                self.block(indent + 1, depth + 1, line)
            };
        }
        self.scalar(text, indent, depth, line)
    }

    /// Whether the line before is a key, not a dash: only then may a list be at its level.
    fn is_below_key(&self) -> bool {
        self.at
            .checked_sub(1)
            .and_then(|before| self.lines.get(before))
            .is_some_and(|before| !is_item(&before.text))
    }

    fn scalar(&mut self, text: &str, indent: usize, depth: usize, line: usize) -> Result<Node, Fault> {
        let value = match text.as_bytes().first() {
            Some(b'|' | b'>') => Value::Text(self.literal(text, indent, line)),
            Some(b'*') => {
                let name = text[1..].split([' ', ',']).next().unwrap_or_default();
                let Some(node) = self.anchors.get(name).cloned() else {
                    return Err(fault(line, "an alias of nothing above it"));
                };
                self.nodes += node.size();
                node.value
            }
            Some(b'[' | b'{' | b'"' | b'\'') => {
                let whole = self.gather(text, line)?;
                let mut flow = Flow {
                    rest: &whole,
                    line,
                    reader: self,
                    depth,
                };
                let value = flow.value()?;
                let behind = flow.rest.trim_start();
                if !behind.is_empty() && !behind.starts_with('#') {
                    return Err(fault(line, "something behind a value"));
                }
                value
            }
            _ => {
                let mut whole = without_comment(text).to_owned();
                while let Some(next) = self.lines.get(self.at).filter(|next| next.indent > indent) {
                    if split_key(&next.text).is_some() {
                        return Err(fault(next.number, "a key inside a text"));
                    }
                    whole.push(' ');
                    whole.push_str(without_comment(&next.text));
                    self.at += 1;
                }
                plain(whole)
            }
        };
        self.node(line, value)
    }

    /// A block scalar: everything below that is further in than its key.
    fn literal(&mut self, header: &str, indent: usize, line: usize) -> String {
        let mut lines: Vec<&str> = Vec::new();
        let mut last = line;
        for (index, raw) in self.raw.iter().enumerate().skip(line) {
            let own = raw.len() - raw.trim_start_matches(' ').len();
            if !raw.trim().is_empty() && own <= indent && !(indent == 0 && own > 0) {
                break;
            }
            lines.push(raw);
            last = index + 1;
        }
        while self.lines.get(self.at).is_some_and(|next| next.number <= last) {
            self.at += 1;
        }
        while lines.last().is_some_and(|raw| raw.trim().is_empty()) {
            lines.pop();
        }
        let margin = lines
            .iter()
            .filter(|raw| !raw.trim().is_empty())
            .map(|raw| raw.len() - raw.trim_start_matches(' ').len())
            .min()
            .unwrap_or_default();
        let cut: Vec<&str> = lines
            .iter()
            .map(|raw| raw.get(margin..).unwrap_or_default())
            .collect();
        cut.join(if header.starts_with('>') { " " } else { "\n" })
    }

    /// A quoted or flow value with the lines it goes on to.
    fn gather(&mut self, text: &str, line: usize) -> Result<String, Fault> {
        let mut whole = text.to_owned();
        while !is_closed(&whole) {
            let Some(next) = self.lines.get(self.at) else {
                return Err(fault(line, "a bracket or quote that is never closed"));
            };
            whole.push(' ');
            whole.push_str(&next.text);
            self.at += 1;
        }
        Ok(whole)
    }

    fn stray(&self, indent: usize) -> Result<(), Fault> {
        match self.lines.get(self.at) {
            Some(next) if next.indent > indent => {
                Err(fault(next.number, "it is further in than what is above it"))
            }
            _ => Ok(()),
        }
    }

    fn node(&mut self, line: usize, value: Value) -> Result<Node, Fault> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(fault(line, "there is too much in it"));
        }
        Ok(Node { line, value })
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// An anchor or a tag in front of a value.
fn property(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with(['&', '!']) {
        return None;
    }
    Some(text.split_once(char::is_whitespace).unwrap_or((text, "")))
}

/// A key and what stands behind its colon.
fn split_key(text: &str) -> Option<(String, &str)> {
    if let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) {
        let end = text[1..].find(quote)? + 1;
        let rest = text[end + 1..].trim_start().strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with(' ')).then(|| (text[1..end].to_owned(), rest));
    }
    if text.starts_with(['[', '{', '#', '|', '>', '*', '&', '!', '?']) && !text.starts_with("<<") {
        return None;
    }
    let at = text
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| text[at + 1..].is_empty() || text[at + 1..].starts_with([' ', '\t']))?;
    let key = text[..at].trim_end();
    (!key.contains(" #")).then(|| (key.to_owned(), &text[at + 1..]))
}

fn without_comment(text: &str) -> &str {
    text.find(" #").map_or(text, |at| &text[..at]).trim_end()
}

fn plain(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => Value::Text(text),
    }
}

/// Whether every quote and bracket is closed.
fn is_closed(text: &str) -> bool {
    let (mut depth, mut quote) = (0usize, None);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some('\''), '\'') if chars.peek() == Some(&'\'') => {
                chars.next();
            }
            (Some(open), char) if open == char => quote = None,
            (None, '"' | '\'') => quote = Some(char),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth == 0 && quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "~".to_owned(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| format!("{key}={}", shown(node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn the_forms_of_compose_files_are_read() {
        for (text, expected) in [
            ("a: 1\nb:\n  c: x y # z\n", r#"{a="1" b={c="x y"}}"#),
            (
                "a:\n- x\n- y: 1\n  z: 2\nb: ~\n",
                r#"{a=["x" {y="1" z="2"}] b=~}"#,
            ),
            (
                "a:\n  - - 1\n    - 2\n  -\n    k: v\n",
                r#"{a=[["1" "2"] {k="v"}]}"#,
            ),
            (
                "a: [x, 'y, z', \"q\\n\"]\nb: {c: d, e: [f]}\n",
                r#"{a=["x" "y, z" "q\n"] b={c="d" e=["f"]}}"#,
            ),
            ("a: [\n  x,\n  y\n]\nb: 1\n", r#"{a=["x" "y"] b="1"}"#),
            (
                "a: >\n  -c x\n  -c y\nb: |-\n  l1\n    l2\n",
                r#"{a="-c x -c y" b="l1\n  l2"}"#,
            ),
            (
                "a: &d\n  k: v\nb:\n  <<: *d\n  z: 1\n",
                r#"{a={k="v"} b={z="1" k="v"}}"#,
            ),
            ("---\n# c\na: !reset []\n...\nb: 1\n", r"{a=[]}"),
            (
                "\"a b\": 'it''s'\nu: http://x:1/#y\n",
                r#"{a b="it's" u="http://x:1/#y"}"#,
            ),
            (
                "a: word\n  goes on\nb: 5432:5432\n",
                r#"{a="word goes on" b="5432:5432"}"#,
            ),
            ("", "~"),
        ] {
            assert_eq!(shown(&parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn every_value_knows_its_line() {
        let node = parse("services:\n  db:\n    ports:\n      - 'a'\n      - b\n    image: x\n").unwrap();
        let service = node.at("services").unwrap().at("db").unwrap();
        assert_eq!(service.line, 2);
        assert_eq!(service.at("ports").unwrap().items()[1].line, 5);
        assert_eq!(service.at("image").unwrap().line, 6);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (text, line) in [
            ("a: 1\n  b: 2\n", 2),
            ("a: [1, 2\n", 1),
            ("a: *x\n", 1),
            ("a: 1\na: 2\n", 2),
            ("a:\n\tb: 1\n", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
        let aliases = |n: usize| vec![format!("*a{}", n - 1); 9].join(", ");
        let lines: Vec<String> = (1..12)
            .map(|n| format!("a{n}: &a{n} [{}]\n", aliases(n)))
            .collect();
        let bomb = format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{}", lines.concat());
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(10_000)).is_err());
    }
}
