//! The few forms of YAML that a compose file of ours needs, in block style.

use crate::plan::artifact::Line;
use crate::plan::why::short;

/// The longest line that linters take without a word.
const WIDTH: usize = 80;
/// Words that YAML 1.1 or 1.2 reads as something else than text.
const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// A file that grows line by line.
#[derive(Default)]
pub(super) struct Yaml {
    pub(super) lines: Vec<Line>,
}

impl Yaml {
    /// A line as it is, at a level of two blanks each.
    pub(super) fn put(&mut self, level: usize, text: &str) -> &mut Self {
        self.lines.push(Line::plain(indented(level, text)));
        self
    }

    /// An empty line.
    pub(super) fn gap(&mut self) -> &mut Self {
        self.lines.push(Line::plain(""));
        self
    }

    /// A comment, on as many lines as it takes.
    pub(super) fn comment(&mut self, level: usize, text: &str) -> &mut Self {
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if 2 * level + line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.put(level, &line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.put(level, &line)
    }

    /// A line with its reason above it.
    pub(super) fn because(&mut self, level: usize, why: &'static str, text: &str) -> &mut Self {
        self.reason(level, why);
        self.lines.push(Line::because(indented(level, text), why));
        self
    }

    /// The reason for what follows.
    pub(super) fn reason(&mut self, level: usize, why: &'static str) -> &mut Self {
        self.comment(level, &format!("{}.", short(why)));
        if let Some(line) = self.lines.last_mut() {
            line.why = Some(why);
        }
        self
    }

    /// A key and a text that may be of any length.
    pub(super) fn pair(&mut self, level: usize, key: &str, value: &str) -> &mut Self {
        let line = format!("{key}: {}", scalar(value));
        if 2 * level + line.chars().count() <= WIDTH {
            return self.put(level, &line);
        }
        self.put(level, &format!("{key}: >-")).put(level + 1, value)
    }

    /// A sequence of texts.
    pub(super) fn items<T: AsRef<str>>(&mut self, level: usize, items: &[T]) -> &mut Self {
        for item in items {
            self.put(level, &format!("- {}", scalar(item.as_ref())));
        }
        self
    }
}

fn indented(level: usize, text: &str) -> String {
    format!("{:1$}{text}", "", 2 * level)
}

/// A text: plain where YAML reads it as just that, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || "./".contains(first))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"./_:@=-".contains(&byte))
        && !text.ends_with(':')
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        assert_eq!(scalar("postgres:17-alpine"), "postgres:17-alpine");
        assert_eq!(scalar("127.0.0.1:5432:5432"), "\"127.0.0.1:5432:5432\"");
        for text in ["123", "on", "No", "null", "a: b", "-c", "x:", "1e3"] {
            assert!(scalar(text).starts_with('"') || text == "-c", "{text}");
        }
        assert_eq!(scalar("-c"), "\"-c\"");
        assert_eq!(scalar("a\"b"), "\"a\\\"b\"");
    }

    #[test]
    fn long_comments_are_parted_and_long_values_folded() {
        let mut yaml = Yaml::default();
        yaml.comment(2, &"word ".repeat(40))
            .pair(2, "image", &"x".repeat(90));
        assert!(
            yaml.lines
                .iter()
                .rev()
                .skip(1)
                .all(|line| line.text.len() <= WIDTH)
        );
        assert_eq!(yaml.lines.iter().rev().nth(1).unwrap().text, "    image: >-");
    }
}
