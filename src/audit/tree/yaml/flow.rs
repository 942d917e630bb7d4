//! Flow collections and quoted texts: `[a, b]`, `{a: b}`, `"a"`.

use super::{DEEPEST, Fault, Reader, Value, fault, plain};

/// A flow value on what is now one line.
pub(super) struct Flow<'a, 'b, 'c> {
    pub(super) rest: &'a str,
    pub(super) line: usize,
    pub(super) reader: &'b mut Reader<'c>,
    pub(super) depth: usize,
}

impl Flow<'_, '_, '_> {
    pub(super) fn value(&mut self) -> Result<Value, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(fault(self.line, "it is nested too deeply"));
        }
        self.rest = self.rest.trim_start();
        let value = match self.rest.chars().next() {
            Some(open @ ('[' | '{')) => {
                self.rest = &self.rest[1..];
                self.collection(open == '{')?
            }
            Some(quote @ ('"' | '\'')) => Value::Text(self.quoted(quote)?),
            _ => {
                let end = self
                    .rest
                    .char_indices()
                    .find(|(at, char)| {
                        matches!(char, ',' | ']' | '}')
                            || (*char == ':' && self.rest[at + 1..].starts_with([' ', ',', ']', '}']))
                    })
                    .map_or(self.rest.len(), |(at, _)| at);
                let text = self.rest[..end].trim().to_owned();
                self.rest = &self.rest[end..];
                match text.strip_prefix('*') {
                    Some(name) => match self.reader.anchors.get(name).cloned() {
                        Some(node) => {
                            self.reader.nodes += node.size();
                            node.value
                        }
                        None => return Err(fault(self.line, "an alias of nothing above it")),
                    },
                    None => plain(text),
                }
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn collection(&mut self, is_map: bool) -> Result<Value, Fault> {
        let close = if is_map { '}' } else { ']' };
        let (mut items, mut entries) = (Vec::new(), Vec::new());
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Ok(if is_map {
                    Value::Map(entries)
                } else {
                    Value::List(items)
                });
            }
            if self.rest.is_empty() {
                return Err(fault(self.line, "a bracket that is never closed"));
            }
            let value = self.value()?;
            self.rest = self.rest.trim_start();
            let paired = self.rest.strip_prefix(':');
            if let Some(rest) = paired {
                self.rest = rest;
            }
            match (value, is_map, paired) {
                (Value::Text(key), true, Some(_)) => {
                    let value = self.value()?;
                    let node = self.reader.node(self.line, value)?;
                    entries.push((key, node));
                }
                (Value::Text(key), true, None) => {
                    let node = self.reader.node(self.line, Value::Null)?;
                    entries.push((key, node));
                }
                (value, false, None) => {
                    let node = self.reader.node(self.line, value)?;
                    items.push(node);
                }
                _ => return Err(fault(self.line, "a flow collection of an unusual form")),
            }
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None if self.rest.starts_with(close) => {}
                None => return Err(fault(self.line, "a comma is missing")),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                    chars.next();
                    text.push('\'');
                }
                char if char == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                char => text.push(char),
            }
        }
        Err(fault(self.line, "a quote that is never closed"))
    }
}
