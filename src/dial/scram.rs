//! SCRAM messages of the server's as libpq takes them, where that differs from what tokio-postgres does with them
//! (fe-auth-scram.c; RFC 5802 section 7).

/// What is to become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scram {
    /// Both take it, or both do not.
    Common,
    /// libpq does not take it.
    Malformed(&'static str),
    /// libpq goes on where we cannot.
    Beyond(&'static str),
}

/// Beyond this tokio-postgres does not count; libpq has no such limit.
const MOST_ITERATIONS: u64 = 100_000;

/// `read_server_first_message`: the number is read by `strtol(3)` and is at least 1; what follows it is passed over.
pub(super) fn challenge(message: &[u8]) -> Scram {
    let mut attributes = message.split(|byte| *byte == b',');
    let Some(count) = attributes.nth(2).and_then(|third| third.strip_prefix(b"i=")) else {
        return Scram::Common;
    };
    let blanks = count
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b)
        .count();
    let unsigned = count[blanks..].strip_prefix(b"+").unwrap_or(&count[blanks..]);
    let number = str::from_utf8(unsigned)
        .ok()
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u64>().ok());
    match number {
        None | Some(0) => Scram::Malformed("an iteration count that is none"),
        Some(many) if many > MOST_ITERATIONS => {
            Scram::Beyond("the server asks for more iterations of SCRAM than are counted here")
        }
        Some(_) if unsigned.len() < count.len() || attributes.next().is_some() => {
            Scram::Beyond("the server's challenge has more in it than SCRAM-SHA-256 needs")
        }
        Some(_) => Scram::Common,
    }
}

/// `read_server_final_message`: what follows the signature is passed over.
pub(super) fn verdict(message: &[u8]) -> Scram {
    if message.starts_with(b"v=") && message.contains(&b',') {
        return Scram::Beyond("the server's proof has more in it than SCRAM-SHA-256 needs");
    }
    Scram::Common
}

#[cfg(test)]
mod tests {
    use super::*;

    /// fe-auth-scram.c, `read_server_first_message` and `read_server_final_message`.
    #[test]
    fn libpq_counts_by_strtol_and_passes_over_what_follows() {
        let counted = |count: &str| challenge(format!("r=abc,s=c2FsdA==,i={count}").as_bytes());
        for count in ["1", "4096", "04096", "100000"] {
            assert_eq!(counted(count), Scram::Common, "{count}");
        }
        for count in ["0", "-1", "", "x", "4096x", "0x10", "+", " "] {
            assert!(matches!(counted(count), Scram::Malformed(_)), "{count}");
        }
        for count in ["100001", " 4096", "+1", "4096,x=1"] {
            assert!(matches!(counted(count), Scram::Beyond(_)), "{count}");
        }
        for broken in [&b""[..], b"r=abc", b"r=abc,s=x", b"e=no"] {
            assert_eq!(challenge(broken), Scram::Common);
        }
        assert_eq!(verdict(b"v=AAAA"), Scram::Common);
        assert_eq!(verdict(b"e=no,x"), Scram::Common);
        assert!(matches!(verdict(b"v=AAAA,x=1"), Scram::Beyond(_)));
    }
}
