//! From the text of an advanced regular expression to its tree.

use std::iter::Peekable;
use std::str::Chars;

/// A node of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// One character of a set.
    Set(Set),
    /// A place, not a character.
    At(Place),
    /// One behind the other; with none, nothing.
    Sequence(Vec<Self>),
    /// One of them.
    Either(Vec<Self>),
    /// So many times.
    Repeat {
        node: Box<Self>,
        least: u16,
        /// `None`: without end.
        most: Option<u16>,
    },
}

/// Ranges of characters, or all but them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Set {
    pub ranges: Vec<(char, char)>,
    pub negated: bool,
}

impl Set {
    fn of(c: char) -> Self {
        Self {
            ranges: vec![(c, c)],
            negated: false,
        }
    }

    pub fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }
}

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    End,
    WordStart,
    WordEnd,
    WordEdge,
    NoWordEdge,
}

/// Why there is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// PostgreSQL refuses it, in these words.
    Invalid(&'static str),
    /// It is not followed here.
    Beyond,
}

use Refused::{Beyond, Invalid};

const PARENTHESES: Refused = Invalid("parentheses () not balanced");
const BRACKETS: Refused = Invalid("brackets [] not balanced");
const BRACES: Refused = Invalid("braces {} not balanced");
const REPETITION: Refused = Invalid("invalid repetition count(s)");
const QUANTIFIER: Refused = Invalid("quantifier operand invalid");
const ESCAPE: Refused = Invalid("invalid escape \\ sequence");
const RANGE: Refused = Invalid("invalid character range");
const CLASS: Refused = Invalid("invalid character class");

/// Deeper nesting than any name needs.
const DEEPEST: usize = 100;

pub(super) fn parse(text: &str) -> Result<Node, Refused> {
    if text.starts_with("***") {
        return Err(Beyond);
    }
    let mut parser = Parser {
        rest: text.chars().peekable(),
        depth: 0,
    };
    let node = parser.either()?;
    match parser.rest.next() {
        None => Ok(node),
        Some(_) => Err(PARENTHESES),
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn takes(&mut self, c: char) -> bool {
        self.rest.next_if_eq(&c).is_some()
    }

    fn either(&mut self) -> Result<Node, Refused> {
        let mut branches = vec![self.sequence()?];
        while self.takes('|') {
            branches.push(self.sequence()?);
        }
        Ok(if branches.len() == 1 {
            branches.remove(0)
        } else {
            Node::Either(branches)
        })
    }

    fn sequence(&mut self) -> Result<Node, Refused> {
        let mut nodes = Vec::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '|' | ')')) {
            let node = self.atom(c)?;
            nodes.push(self.repeated(node)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn atom(&mut self, c: char) -> Result<Node, Refused> {
        Ok(match c {
            '.' => Node::Set(Set {
                ranges: Vec::new(),
                negated: true,
            }),
            '^' => Node::At(Place::Start),
            '$' => Node::At(Place::End),
            '[' => self.bracket()?,
            '(' => self.group()?,
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err(QUANTIFIER),
            // A brace begins a bound only before a digit.
            '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => return Err(QUANTIFIER),
            c => Node::Set(Set::of(c)),
        })
    }

    fn group(&mut self) -> Result<Node, Refused> {
        if self.takes('?') && !self.takes(':') {
            return Err(Beyond);
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Beyond);
        }
        let node = self.either()?;
        self.depth -= 1;
        if self.takes(')') {
            Ok(node)
        } else {
            Err(PARENTHESES)
        }
    }

    fn repeated(&mut self, node: Node) -> Result<Node, Refused> {
        let Some(c) = self.rest.peek().copied() else {
            return Ok(node);
        };
        let (least, most) = match c {
            '*' => (0, None),
            '+' => (1, None),
            '?' => (0, Some(1)),
            '{' => {
                let mut ahead = self.rest.clone();
                ahead.next();
                if !ahead.peek().is_some_and(char::is_ascii_digit) {
                    return Ok(node);
                }
                self.rest.next();
                return self.bound(node);
            }
            _ => return Ok(node),
        };
        self.rest.next();
        self.quantified(node, least, most)
    }

    fn bound(&mut self, node: Node) -> Result<Node, Refused> {
        let least = self.count()?.unwrap_or(0);
        let most = if self.takes(',') {
            self.count()?
        } else {
            Some(least)
        };
        if !self.takes('}') {
            return Err(if self.rest.peek().is_none() {
                BRACES
            } else {
                REPETITION
            });
        }
        if most.is_some_and(|most| most < least) {
            return Err(REPETITION);
        }
        self.quantified(node, least, most)
    }

    fn count(&mut self) -> Result<Option<u16>, Refused> {
        let mut count = None;
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            let value = count.unwrap_or(0) * 10 + u16::try_from(digit.to_digit(10).unwrap_or(0)).unwrap_or(0);
            // DUPMAX.
            if value > 255 {
                return Err(REPETITION);
            }
            count = Some(value);
        }
        Ok(count)
    }

    fn quantified(&mut self, node: Node, least: u16, most: Option<u16>) -> Result<Node, Refused> {
        // Not greedy: which match, not whether there is one.
        self.takes('?');
        if matches!(node, Node::At(_)) {
            return Err(QUANTIFIER);
        }
        match self.rest.peek() {
            Some('*' | '+' | '?') => Err(QUANTIFIER),
            _ => Ok(Node::Repeat {
                node: Box::new(node),
                least,
                most,
            }),
        }
    }

    fn escape(&mut self) -> Result<Node, Refused> {
        let Some(c) = self.rest.next() else {
            return Err(ESCAPE);
        };
        if let Some(set) = class_escape(c) {
            return Ok(Node::Set(set));
        }
        Ok(match c {
            'A' => Node::At(Place::Start),
            'Z' => Node::At(Place::End),
            'm' => Node::At(Place::WordStart),
            'M' => Node::At(Place::WordEnd),
            'y' => Node::At(Place::WordEdge),
            'Y' => Node::At(Place::NoWordEdge),
            c if !c.is_ascii_alphanumeric() => Node::Set(Set::of(c)),
            'n' | 'r' | 't' | 'f' | 'v' | 'a' | 'B' => Node::Set(Set::of(character_escape(c).ok_or(Beyond)?)),
            // Back references, numbers of characters.
            _ => return Err(Beyond),
        })
    }

    fn bracket(&mut self) -> Result<Node, Refused> {
        let mut set = Set {
            ranges: Vec::new(),
            negated: self.takes('^'),
        };
        let mut first = true;
        loop {
            let c = self.rest.next().ok_or(BRACKETS)?;
            if c == ']' && !first {
                return Ok(Node::Set(set));
            }
            let starts_range = match c {
                '[' => self.bracket_term(&mut set)?,
                '\\' => {
                    let c = self.rest.next().ok_or(ESCAPE)?;
                    if let Some(class) = class_escape(c) {
                        if class.negated {
                            return Err(Beyond);
                        }
                        set.ranges.extend(class.ranges);
                        None
                    } else if c.is_ascii_alphanumeric() {
                        Some(character_escape(c).ok_or(Beyond)?)
                    } else {
                        Some(c)
                    }
                }
                c => Some(c),
            };
            first = false;
            let Some(low) = starts_range else { continue };
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                self.rest.next();
                let high = self.rest.next().ok_or(BRACKETS)?;
                if matches!(high, '[' | '\\') {
                    return Err(Beyond);
                }
                if high < low {
                    return Err(RANGE);
                }
                set.ranges.push((low, high));
            } else {
                set.ranges.push((low, low));
            }
        }
    }

    /// What follows a `[` inside of brackets; the character, if it is only that.
    fn bracket_term(&mut self, set: &mut Set) -> Result<Option<char>, Refused> {
        match self.rest.peek() {
            Some(':') => {
                self.rest.next();
                let mut name = String::new();
                loop {
                    match self.rest.next().ok_or(BRACKETS)? {
                        ':' => break,
                        c => name.push(c),
                    }
                }
                if !self.takes(']') {
                    return Err(BRACKETS);
                }
                set.ranges.extend(class(&name).ok_or(CLASS)?);
                Ok(None)
            }
            Some('.' | '=') => Err(Beyond),
            _ => Ok(Some('[')),
        }
    }
}

fn class_escape(c: char) -> Option<Set> {
    let name = match c.to_ascii_lowercase() {
        'd' => "digit",
        's' => "space",
        'w' => "word",
        _ => return None,
    };
    Some(Set {
        ranges: class(name)?,
        negated: c.is_ascii_uppercase(),
    })
}

fn character_escape(c: char) -> Option<char> {
    Some(match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'f' => '\x0c',
        'v' => '\x0b',
        'a' => '\x07',
        'B' => '\\',
        _ => return None,
    })
}

/// The classes under the C collation, which is what these files are read with.
fn class(name: &str) -> Option<Vec<(char, char)>> {
    Some(match name {
        "alnum" => vec![('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => vec![('A', 'Z'), ('a', 'z')],
        "ascii" => vec![('\0', '\x7f')],
        "blank" => vec![('\t', '\t'), (' ', ' ')],
        "cntrl" => vec![('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => vec![('0', '9')],
        "graph" => vec![('!', '~')],
        "lower" => vec![('a', 'z')],
        "print" => vec![(' ', '~')],
        "punct" => vec![('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => vec![('\t', '\r'), (' ', ' ')],
        "upper" => vec![('A', 'Z')],
        "word" => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => vec![('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}
