//! How a value is written in each language: once per quoting style.
//!
//! Values are paths and names, so any text without a NUL: spaces, quotes, backslashes, line feeds, other alphabets.
//! What a style gives, the language's own reader turns back into exactly that text.

use std::fmt::Write as _;

use serde::Deserialize;

/// A way to write text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// As it is.
    Raw,
    /// A word of a POSIX shell, in quotes only where it needs them.
    Sh,
    /// A string literal that JSON, YAML, JavaScript, Python, Go and C# read alike.
    Json,
    /// A string literal of Java and Kotlin, in ASCII: which encoding their compilers expect depends on the locale.
    Java,
    /// A value of a Java `.properties` file, in ASCII for the same reason.
    Properties,
    /// A string literal of Rust.
    Rust,
    /// A string literal of Elixir, where `#{` begins an expression.
    Elixir,
    /// A string literal in single quotes that Ruby and PHP read alike.
    Single,
    /// An SQL string literal, whatever `standard_conforming_strings` says.
    Sql,
    /// An SQL identifier.
    Identifier,
    /// A value in a libpq connection string.
    Conninfo,
    /// A value of `pgbouncer.ini`.
    Pgbouncer,
    /// Percent-encoded for any part of a URI.
    Url,
    /// A host in a URI: an IPv6 address in brackets.
    UrlHost,
    /// Text of an XML element or attribute.
    Xml,
}

impl Style {
    /// The style of that name in a template.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name);
        Self::deserialize(name).ok()
    }

    /// The text in this style.
    #[must_use]
    pub fn quote(self, text: &str) -> String {
        match self {
            Self::Raw => text.to_owned(),
            Self::Sh => shell(text),
            Self::Json => serde_json::Value::from(text).to_string(),
            Self::Java => format!("\"{}\"", java(text, false)),
            Self::Properties => java(text, true),
            Self::Rust => format!(
                "\"{}\"",
                escaped(text, "\"\\", |out, c| _ =
                    write!(out, "\\u{{{:x}}}", u32::from(c)))
            ),
            Self::Elixir => {
                format!(
                    "\"{}\"",
                    escaped(text, "\"\\#", |out, c| _ = write!(out, "\\u{:04X}", u32::from(c)))
                )
            }
            Self::Single => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
            Self::Sql if text.contains('\\') => {
                format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
            }
            Self::Sql | Self::Pgbouncer => format!("'{}'", text.replace('\'', "''")),
            Self::Identifier => format!("\"{}\"", text.replace('"', "\"\"")),
            Self::Conninfo => conninfo(text),
            Self::UrlHost if text.contains(':') => format!("[{text}]"),
            Self::Url | Self::UrlHost => percent(text),
            Self::Xml => text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;")
                .replace('\'', "&apos;"),
        }
    }

    /// The text as it stands between the quotes of this style, to go on a literal that has more in it.
    pub(super) fn inner(self, text: &str) -> String {
        let quoted = match self {
            // These two leave the quotes out where they can.
            Self::Sh => return text.replace('\'', "'\\''"),
            Self::Conninfo => return text.replace('\\', r"\\").replace('\'', r"\'"),
            _ => self.quote(text),
        };
        quoted
            .get(1..quoted.len().saturating_sub(1))
            .unwrap_or_default()
            .to_owned()
    }
}

/// A word for a POSIX shell: in quotes unless plainly a word.
fn shell(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-:@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Java's escapes (JLS 3.3 and 3.10.7; `java.util.Properties.load` for values of properties).
fn java(text: &str, properties: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, c) in text.char_indices() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' if !properties => out.push_str("\\\""),
            ' ' if properties && index == 0 => out.push_str("\\ "),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

/// A backslash before each of `special`; controls as `control` writes them.
fn escaped(text: &str, special: &str, control: impl Fn(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if special.contains(c) => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c.is_control() => control(&mut out, c),
            _ => out.push(c),
        }
    }
    out
}

/// Everything but RFC 3986's unreserved characters (section 2.3).
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>
fn conninfo(text: &str) -> String {
    let plain = |b: u8| b > b' ' && b < 0x7f && b != b'\'' && b != b'\\';
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_own_way() {
        let text = "it's \"a\" \\ d\u{e9} #{x} $y\n\u{1}";
        for (style, wanted) in [
            (Style::Raw, text),
            (Style::Sh, "'it'\\''s \"a\" \\ d\u{e9} #{x} $y\n\u{1}'"),
            (Style::Json, r#""it's \"a\" \\ dé #{x} $y\n\u0001""#),
            (Style::Java, r#""it's \"a\" \\ d\u00e9 #{x} $y\n\u0001""#),
            (Style::Properties, r#"it's "a" \\ d\u00e9 #{x} $y\n\u0001"#),
            (Style::Rust, r#""it's \"a\" \\ dé #{x} $y\n\u{1}""#),
            (Style::Elixir, r#""it's \"a\" \\ dé \#{x} $y\n\u0001""#),
            (Style::Single, "'it\\'s \"a\" \\\\ d\u{e9} #{x} $y\n\u{1}'"),
            (Style::Sql, "E'it''s \"a\" \\\\ d\u{e9} #{x} $y\n\u{1}'"),
            (Style::Pgbouncer, "'it''s \"a\" \\ d\u{e9} #{x} $y\n\u{1}'"),
            (Style::Identifier, "\"it's \"\"a\"\" \\ d\u{e9} #{x} $y\n\u{1}\""),
            (Style::Conninfo, "'it\\'s \"a\" \\\\ d\u{e9} #{x} $y\n\u{1}'"),
            (
                Style::Url,
                "it%27s%20%22a%22%20%5C%20d%C3%A9%20%23%7Bx%7D%20%24y%0A%01",
            ),
            (Style::Xml, "it&apos;s &quot;a&quot; \\ d\u{e9} #{x} $y\n\u{1}"),
        ] {
            assert_eq!(style.quote(text), wanted, "{style:?}");
        }
    }

    #[test]
    fn what_needs_no_quotes_has_none() {
        assert_eq!(Style::Sh.quote("/srv/a-b.crt"), "/srv/a-b.crt");
        assert_eq!(Style::Sh.quote(""), "''");
        assert_eq!(Style::Conninfo.quote("/srv/a-b.crt"), "/srv/a-b.crt");
        assert_eq!(Style::Sql.quote("a'b"), "'a''b'");
        assert_eq!(Style::UrlHost.quote("::1"), "[::1]");
        assert_eq!(Style::UrlHost.quote("db.example.org"), "db.example.org");
        assert_eq!(Style::Properties.quote(" a"), "\\ a");
        assert_eq!(Style::Java.quote("\u{1f600}"), "\"\\ud83d\\ude00\"");
    }
}
