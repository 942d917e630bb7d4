//! Values: in quotes and out of them, yes and no, amounts with a unit.

/// A value in single quotes, whatever is in it; an end of line becomes `\n`.
#[must_use]
pub fn quote(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in text {
        match byte {
            b'\'' => quoted.extend_from_slice(b"''"),
            b'\\' => quoted.extend_from_slice(b"\\\\"),
            b'\n' => quoted.extend_from_slice(b"\\n"),
            b'\r' => quoted.extend_from_slice(b"\\r"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// What stands in a quoted value (`DeescapeQuotedString`).
pub(super) fn unquote(quoted: &[u8]) -> Vec<u8> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'\\' => match rest.next() {
                None => break,
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(digit @ b'0'..=b'7') => {
                    let mut value = digit - b'0';
                    for _ in 0..2 {
                        let Some(digit) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) else {
                            break;
                        };
                        // As in C: what does not fit into a byte is lost.
                        value = value.wrapping_shl(3) | (digit - b'0');
                    }
                    value
                }
                Some(other) => other,
            },
            b'\'' => {
                rest.next_if_eq(&b'\'');
                b'\''
            }
            byte => byte,
        };
        // What C takes for the end.
        if byte == 0 {
            break;
        }
        text.push(byte);
    }
    text
}

/// Yes or no, as `parse_bool` reads it: any unambiguous beginning of `true`, `false`, `yes`, `no`; `on`, `off`, `1`, `0`.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text);
    match text.as_str() {
        "on" | "1" => Some(true),
        "off" | "of" | "0" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

/// An amount of memory or of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// A bare number: the unit is the setting's own.
    Bare(i64),
    /// Bytes.
    Bytes(i64),
    /// Microseconds.
    Microseconds(i64),
}

impl Quantity {
    /// Reads a number with a unit (`4MB`, `1.5 GB`, `500ms`, `0x10`); units are case-sensitive.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        let (sign, body) = match text.as_bytes() {
            [b'-', ..] => (-1.0, &text[1..]),
            [b'+', ..] => (1.0, &text[1..]),
            _ => (1.0, text),
        };
        let (value, unit) = if let Some(hex) = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
            let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            (f64::from(u32::from_str_radix(&hex[..end], 16).ok()?), &hex[end..])
        } else {
            let end = number_end(body);
            (body[..end].parse().ok()?, &body[end..])
        };
        let (one, scale): (fn(i64) -> Self, f64) = match unit.trim_start() {
            "" => (Self::Bare, 1.0),
            "B" => (Self::Bytes, 1.0),
            "kB" => (Self::Bytes, 1024.0),
            "MB" => (Self::Bytes, 1_048_576.0),
            "GB" => (Self::Bytes, 1_073_741_824.0),
            "TB" => (Self::Bytes, 1_099_511_627_776.0),
            "us" => (Self::Microseconds, 1.0),
            "ms" => (Self::Microseconds, 1e3),
            "s" => (Self::Microseconds, 1e6),
            "min" => (Self::Microseconds, 60e6),
            "h" => (Self::Microseconds, 3600e6),
            "d" => (Self::Microseconds, 86_400e6),
            _ => return None,
        };
        let value: f64 = sign * value * scale;
        let rounded = value.round_ties_even();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "within the range of i64, checked in the same expression"
        )]
        (rounded.abs() < 9.0e18).then_some(one(rounded as i64))
    }
}

/// Behind the decimal number that a text begins with.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end += 1;
        end += digits(end);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if signed <= bytes.len() && digits(signed) > 0 {
            end = signed + digits(signed);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_those_of_c() {
        for (quoted, text) in [
            (r"'a''b'", &b"a'b"[..]),
            (r"'\'\\\n\t\101\7x'", b"'\\\n\tA\x07x"),
            (r"'\q'", b"q"),
            (r"'a\0b'", b"a"),
            ("''", b""),
        ] {
            assert_eq!(unquote(quoted.as_bytes()), text, "{quoted}");
        }
    }

    #[test]
    fn amounts_have_units() {
        use Quantity::{Bare, Bytes, Microseconds};
        for (text, amount) in [
            ("4MB", Bytes(4 << 20)),
            ("1.5 GB", Bytes(3 << 29)),
            ("0x10", Bare(16)),
            (" -1 ", Bare(-1)),
            ("500ms", Microseconds(500_000)),
            ("1min", Microseconds(60_000_000)),
            ("1e3s", Microseconds(1_000_000_000)),
        ] {
            assert_eq!(Quantity::parse(text), Some(amount), "{text}");
        }
        for text in ["", "MB", "4mb", "4 Mb", "1h2", "four", "1e99", "--1"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn yes_and_no_have_many_words() {
        for (text, value) in [
            ("on", Some(true)),
            ("ON", Some(true)),
            ("t", Some(true)),
            ("ye", Some(true)),
            ("1", Some(true)),
            ("off", Some(false)),
            ("of", Some(false)),
            ("n", Some(false)),
            ("o", None),
            ("", None),
            ("truely", None),
        ] {
            assert_eq!(boolean(text), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn quoting_is_undone_by_reading(text in proptest::collection::vec(1u8..=255, 0..40)) {
            prop_assert_eq!(unquote(&quote(&text)), text);
        }
    }
}
