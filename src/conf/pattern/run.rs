//! Matching: every way through the expression at once, character by character, so that no expression takes more than
//! its size times the length of the text.

use super::parse::{Node, Place, Set};

/// More steps than any expression about names has.
const MOST_STEPS: usize = 20_000;

#[derive(Debug)]
enum Step {
    Take(Set),
    At(Place),
    Jump(usize),
    Fork(usize, usize),
    Done,
}

/// An expression made ready to run.
#[derive(Debug)]
pub(super) struct Program {
    steps: Vec<Step>,
}

impl Program {
    /// `None` if it is too large.
    pub fn new(node: &Node) -> Option<Self> {
        let mut program = Self { steps: Vec::new() };
        program.add(node)?;
        program.push(Step::Done)?;
        Some(program)
    }

    fn push(&mut self, step: Step) -> Option<usize> {
        (self.steps.len() < MOST_STEPS).then(|| self.steps.push(step))?;
        Some(self.steps.len() - 1)
    }

    fn add(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Set(set) => drop(self.push(Step::Take(set.clone()))?),
            Node::At(place) => drop(self.push(Step::At(*place))?),
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.add(node))?,
            Node::Either(branches) => {
                let mut ends = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    if index + 1 == branches.len() {
                        self.add(branch)?;
                    } else {
                        let fork = self.push(Step::Jump(0))?;
                        self.add(branch)?;
                        ends.push(self.push(Step::Jump(0))?);
                        self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
                    }
                }
                for end in ends {
                    self.steps[end] = Step::Jump(self.steps.len());
                }
            }
            Node::Repeat { node, least, most } => {
                for _ in 0..*least {
                    self.add(node)?;
                }
                if let Some(most) = most {
                    let mut skips = Vec::new();
                    for _ in *least..*most {
                        skips.push(self.push(Step::Jump(0))?);
                        self.add(node)?;
                    }
                    for skip in skips {
                        self.steps[skip] = Step::Fork(skip + 1, self.steps.len());
                    }
                } else {
                    let fork = self.push(Step::Jump(0))?;
                    self.add(node)?;
                    self.push(Step::Jump(fork))?;
                    self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
                }
            }
        }
        Some(())
    }

    /// Whether it matches somewhere.
    pub fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let mut here = States::new(self.steps.len());
        let mut next = States::new(self.steps.len());
        for at in 0..=chars.len() {
            // A match may begin at every place.
            if self.reach(0, &chars, at, &mut here) {
                return true;
            }
            let Some(&c) = chars.get(at) else { return false };
            next.clear();
            for &state in &here.list {
                if let Step::Take(set) = &self.steps[state]
                    && set.contains(c)
                    && self.reach(state + 1, &chars, at + 1, &mut next)
                {
                    return true;
                }
            }
            std::mem::swap(&mut here, &mut next);
        }
        false
    }

    /// Adds every step that is reached without taking a character; true if the end is among them.
    fn reach(&self, from: usize, chars: &[char], at: usize, states: &mut States) -> bool {
        let mut open = vec![from];
        while let Some(state) = open.pop() {
            if !states.insert(state) {
                continue;
            }
            match &self.steps[state] {
                Step::Done => return true,
                Step::Jump(to) => open.push(*to),
                Step::Fork(one, other) => open.extend([*one, *other]),
                Step::At(place) if is_at(*place, chars, at) => open.push(state + 1),
                Step::Take(_) | Step::At(_) => {}
            }
        }
        false
    }
}

fn is_at(place: Place, chars: &[char], at: usize) -> bool {
    let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_');
    let before = is_word(at.checked_sub(1).and_then(|at| chars.get(at)));
    let after = is_word(chars.get(at));
    match place {
        Place::Start => at == 0,
        Place::End => at == chars.len(),
        Place::WordStart => !before && after,
        Place::WordEnd => before && !after,
        Place::WordEdge => before != after,
        Place::NoWordEdge => before == after,
    }
}

/// The steps that are reached, each once.
struct States {
    list: Vec<usize>,
    seen: Vec<bool>,
}

impl States {
    fn new(steps: usize) -> Self {
        Self {
            list: Vec::new(),
            seen: vec![false; steps],
        }
    }

    fn insert(&mut self, state: usize) -> bool {
        let new = !self.seen[state];
        if new {
            self.seen[state] = true;
            self.list.push(state);
        }
        new
    }

    fn clear(&mut self) {
        for state in self.list.drain(..) {
            self.seen[state] = false;
        }
    }
}
