//! Why a text is no host name.

/// Why a text is no host name; each says what was found and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// Nothing, or only blanks.
    #[error(
        "the host name is empty: write the name or address that clients dial, such as localhost or db.example.com"
    )]
    Empty,
    /// Blanks or commas in it.
    #[error("\"{found}\" holds a blank or a comma: give each name on its own (--host NAME, repeated)")]
    Several {
        /// The text.
        found: String,
    },
    /// `postgres://…`
    #[error("\"{found}\" is a URL: write only its host{}", instead(host.as_deref()))]
    Url {
        /// The text.
        found: String,
        /// The host within it, where one could be made out.
        host: Option<String>,
    },
    /// `user@host`
    #[error("\"{found}\" names a user as well: write only the host{}", instead(host.as_deref()))]
    User {
        /// The text.
        found: String,
        /// The host within it, where one could be made out.
        host: Option<String>,
    },
    /// `host:5432`
    #[error(
        "\"{found}\" holds a port: write only the host{}; the port goes into --port",
        instead(host.as_deref())
    )]
    Port {
        /// The text.
        found: String,
        /// The host within it, where one could be made out.
        host: Option<String>,
    },
    /// `10.0.0.0/8`
    #[error(
        "\"{found}\" is a range of addresses: write the one that clients dial; a range goes into --allow"
    )]
    Range {
        /// The text.
        found: String,
    },
    /// `/var/run/postgresql`, `host/path`
    #[error(
        "\"{found}\" holds a path: write the name or address that clients dial over TCP{}; there is no TLS on \
         Unix sockets",
        instead(host.as_deref())
    )]
    Path {
        /// The text.
        found: String,
        /// The host within it, where one could be made out.
        host: Option<String>,
    },
    /// `fe80::1%eth0`
    #[error(
        "\"{found}\" holds a network interface: a certificate carries only the address{}",
        instead(host.as_deref())
    )]
    Zone {
        /// The text.
        found: String,
        /// The address within it, where one could be made out.
        host: Option<String>,
    },
    /// `0.0.0.0`, `::`, `*`
    #[error(
        "\"{found}\" is where a server listens, and nobody dials it: write the names and addresses that clients dial"
    )]
    Listening {
        /// The text.
        found: String,
    },
    /// `db.example.com.`
    #[error(
        "\"{found}\" ends with a dot: libpq compares names letter by letter and certificates carry none, so leave \
         it out{}",
        instead(host.as_deref())
    )]
    TrailingDot {
        /// The text.
        found: String,
        /// The name without it, where that is one.
        host: Option<String>,
    },
    /// `127.1`, `10.0.0.256`, `[::1`
    #[error(
        "\"{found}\" looks like an IP address but is none: IPv4 is four numbers from 0 to 255 without leading \
         zeros (192.0.2.10), IPv6 is written like 2001:db8::10"
    )]
    BrokenAddress {
        /// The text.
        found: String,
    },
    /// `db*.example.com`, `*`
    #[error("\"{found}\": \"*\" may stand only for the whole first label of a name, as in *.example.com")]
    Wildcard {
        /// The text.
        found: String,
    },
    /// More than 253 characters.
    #[error("\"{found}\" has {length} characters: a DNS name has at most 253")]
    TooLong {
        /// How it starts.
        found: String,
        /// In characters of its ASCII form.
        length: usize,
    },
    /// A label of no or more than 63 characters.
    #[error("\"{found}\": the part \"{label}\" has {length} characters; each part between dots has 1 to 63")]
    Label {
        /// The text.
        found: String,
        /// The label.
        label: String,
        /// Its length in ASCII form.
        length: usize,
    },
    /// A character that no host name has.
    #[error(
        "\"{found}\" holds the character \"{character}\": host names have letters, digits, hyphens, underscores and dots"
    )]
    Character {
        /// The text.
        found: String,
        /// The first such character, safe to show.
        character: String,
    },
    /// A label that starts or ends with a hyphen.
    #[error("\"{found}\": the part \"{label}\" starts or ends with a hyphen, which no host name does")]
    Hyphen {
        /// The text.
        found: String,
        /// The label.
        label: String,
    },
    /// Non-ASCII letters, or `xn--`, that IDNA does not allow.
    #[error("\"{found}\" is no valid international domain name (UTS 46)")]
    Idna {
        /// The text.
        found: String,
    },
}

fn instead(host: Option<&str>) -> String {
    host.map_or_else(String::new, |host| format!(" (\"{host}\")"))
}
