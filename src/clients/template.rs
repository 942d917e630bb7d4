//! The template language of the descriptions.
//!
//! | | |
//! |---|---|
//! | `{{name}}` | the value, quoted in the client's own style |
//! | `{{name\|url\|json}}` | the value through these styles, first to last; `raw` is none |
//! | `{{name\|json-inner}}` | as it stands between the quotes |
//! | `{{#name}}…{{/name}}` | only where the value is there |
//! | `{{^name}}…{{/name}}` | only where it is not |
//!
//! A section's tag alone on a line takes its line with it. Values are put in once and never read again, so that
//! nothing in them is taken for a tag.

use super::quote::Style;

/// What is wrong with a template, or with its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A value is used that is not there.
    Missing(String),
    /// The template itself is malformed; a test reads them all.
    Malformed(String),
}

/// Fills in a text whose values are written as they are; `None` where a value is missing or the text is malformed.
#[must_use]
pub fn fill_in(template: &str, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    fill(template, Style::Raw, value).ok()
}

/// What stands between the braces.
enum Tag<'t> {
    /// A section begins, wanted where the value is there, or where it is not.
    Begin { name: &'t str, where_there: bool },
    /// It ends.
    End(&'t str),
    /// A value.
    Value(&'t str),
}

impl<'t> Tag<'t> {
    fn read(text: &'t str) -> Self {
        let section = |name, where_there| Self::Begin { name, where_there };
        match text.split_at_checked(1) {
            Some(("#", name)) => section(name, true),
            Some(("^", name)) => section(name, false),
            Some(("/", name)) => Self::End(name),
            _ => Self::Value(text),
        }
    }
}

/// Fills a template in. `value` gives what a name stands for.
pub(super) fn fill(
    template: &str,
    style: Style,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Fault> {
    let mut out = String::with_capacity(template.len() * 2);
    // The open sections: their names, and whether what is in them is wanted.
    let mut sections: Vec<(&str, bool)> = Vec::new();
    let mut rest = template;
    // Whether `rest` begins where a line of the template begins.
    let mut at_line = true;
    while let Some((before, after)) = rest.split_once("{{") {
        let (tag, after) = after
            .split_once("}}")
            .ok_or_else(|| Fault::Malformed("a tag has no end".to_owned()))?;
        let wanted = sections.iter().all(|(_, wanted)| *wanted);
        if wanted {
            out.push_str(before);
        }
        let tag = Tag::read(tag);
        let indent = before.rfind('\n').map_or(before, |at| &before[at + 1..]);
        let is_alone = (at_line || before.contains('\n')) && indent.trim().is_empty();
        rest = after;
        at_line = false;
        if let (false, true, Some(next)) = (matches!(tag, Tag::Value(_)), is_alone, after.strip_prefix('\n'))
        {
            if wanted {
                out.truncate(out.len() - indent.len());
            }
            rest = next;
            at_line = true;
        }
        match tag {
            Tag::Begin { name, where_there } => sections.push((name, value(name).is_some() == where_there)),
            Tag::End(name) => match sections.pop() {
                Some((open, _)) if open == name => {}
                _ => return Err(Fault::Malformed(format!("the end of {name} ends nothing"))),
            },
            Tag::Value(text) if wanted => out.push_str(&expression(text, style, value)?),
            Tag::Value(_) => {}
        }
    }
    if !sections.is_empty() {
        return Err(Fault::Malformed("a section has no end".to_owned()));
    }
    out.push_str(rest);
    Ok(out)
}

fn expression(tag: &str, style: Style, value: &dyn Fn(&str) -> Option<String>) -> Result<String, Fault> {
    let mut parts = tag.split('|');
    let name = parts.next().unwrap_or_default();
    let mut text = value(name).ok_or_else(|| Fault::Missing(name.to_owned()))?;
    let mut styled = false;
    for part in parts {
        let (part, inner) = match part.strip_suffix("-inner") {
            Some(part) => (part, true),
            None => (part, false),
        };
        let style = Style::named(part).ok_or_else(|| Fault::Malformed(format!("no style {part}")))?;
        text = if inner {
            style.inner(&text)
        } else {
            style.quote(&text)
        };
        styled = true;
    }
    Ok(if styled { text } else { style.quote(&text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String, Fault> {
        fill(template, Style::Json, &|name| match name {
            "host" => Some("a \"b\" {{host}}".to_owned()),
            "port" => Some("5432".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn values_are_quoted_and_never_read_again() {
        assert_eq!(
            filled("h={{host}} p={{port|raw}}\n").as_deref(),
            Ok("h=\"a \\\"b\\\" {{host}}\" p=5432\n")
        );
        assert_eq!(
            filled("\"x {{host|json-inner}}\"").as_deref(),
            Ok("\"x a \\\"b\\\" {{host}}\"")
        );
        assert_eq!(
            filled("{{host|url|json}}").as_deref(),
            Ok("\"a%20%22b%22%20%7B%7Bhost%7D%7D\"")
        );
    }

    #[test]
    fn sections_stand_for_their_lines() {
        assert_eq!(
            filled("a\n  {{#host}}\nb\n  {{/host}}\nc\n").as_deref(),
            Ok("a\nb\nc\n")
        );
        assert_eq!(filled("a\n{{^host}}\nb\n{{/host}}\nc\n").as_deref(), Ok("a\nc\n"));
        assert_eq!(
            filled("a{{#cert}} b{{/cert}}{{^cert}} c{{/cert}}\n").as_deref(),
            Ok("a c\n")
        );
        assert_eq!(
            filled("{{#host}}\n1\n{{#cert}}\n2 {{cert}}\n{{/cert}}\n{{/host}}\n3").as_deref(),
            Ok("1\n3")
        );
        assert_eq!(
            filled("{{#host}}\n{{#port}}\nx\n{{/port}}\n{{/host}}\n").as_deref(),
            Ok("x\n")
        );
        assert_eq!(
            filled("x {{port|raw}}{{#host}}\ny{{/host}}\n").as_deref(),
            Ok("x 5432\ny\n")
        );
    }

    #[test]
    fn what_is_missing_or_malformed_is_said() {
        assert_eq!(filled("{{cert}}"), Err(Fault::Missing("cert".to_owned())));
        for template in [
            "{{host",
            "{{#host}}",
            "{{/host}}",
            "{{#host}}{{/port}}",
            "{{host|upside-down}}",
        ] {
            assert!(matches!(filled(template), Err(Fault::Malformed(_))), "{template}");
        }
    }
}
