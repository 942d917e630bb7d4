//! The closed set of causes for which a connection does not come about, each with its words.
//!
//! libpq prints `certificate verify failed` for two dozen different faults of a certificate; here each has a name
//! of its own. The texts are in `assets/remedies.toml`, once, under `verify`; `docs/causes.md` is made from them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize, Serializer};

use crate::judge::{self, NameCause};

/// Simple causes: variant, slug, what it means.
macro_rules! causes {
    ($($variant:ident $slug:literal $doc:literal,)*) => {
        /// Why libpq does not connect, or why that cannot be told.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Cause {
            /// The server's chain does not hold.
            ServerCertificate(judge::Cause),
            /// The server's certificate is not for the host.
            ServerName(NameCause),
            $(#[doc = $doc] $variant,)*
        }

        const SIMPLE: &[(Cause, &str)] = &[$((Cause::$variant, $slug),)*];
    };
}

causes! {
    BadConninfo "bad-conninfo" "The connection string itself is refused.",
    HostUnknown "host-unknown" "The host name has no address.",
    ConnectionRefused "connection-refused" "Nothing listens there.",
    NoSocket "no-socket" "There is no such Unix socket.",
    SocketDenied "socket-denied" "This account may not connect to the Unix socket.",
    Unreachable "unreachable" "The network or the operating system is in the way.",
    Timeout "timeout" "No answer in time.",
    ConnectionLost "connection-lost" "The server ended the connection without saying why.",
    WrongPeer "wrong-peer" "The server at the socket runs as another account than `requirepeer`.",
    NoSsl "server-has-no-ssl" "The server offers no TLS.",
    StuffedBytes "stuffed-bytes" "Somebody writes into the connection before TLS begins.",
    NotPostgres "not-postgres" "What answers is no PostgreSQL.",
    ErrorBeforeTls "server-error-before-tls" "The server answered the `SSLRequest` with an error.",
    RootMissing "client-rootcert-missing" "The root file does not exist.",
    RootUnreadable "client-rootcert-unreadable" "The root file holds nothing that can be read.",
    CertUnreadable "client-cert-unreadable" "The client certificate cannot be read.",
    CertWeak "client-cert-weak" "OpenSSL finds the client certificate too weak to load.",
    KeyMissing "client-key-missing" "There is a client certificate and no key.",
    KeyNotFile "client-key-not-file" "The key is no regular file.",
    KeyMode "client-key-mode" "Others may read the key.",
    KeyUnreadable "client-key-unreadable" "The key cannot be read.",
    KeyPassphrase "client-key-passphrase" "The key is encrypted, and no passphrase opens it.",
    KeyMismatch "client-key-mismatch" "Certificate and key do not belong together.",
    TlsVersion "tls-version" "No TLS version that both sides speak.",
    NothingInCommon "handshake" "No cipher suite, group or signature that both sides know.",
    TlsBroken "tls-broken" "The server's TLS is wrong, or it does not hold its certificate's key.",
    DirectTls "direct-tls" "The server does not take TLS without an `SSLRequest`.",
    TlsUnspoken "tls-unspoken" "TLS that psql would speak and pgtls does not.",
    ClientUntrusted "client-cert-untrusted" "The server does not know the CA of the client certificate.",
    ClientExpired "client-cert-expired" "The server finds the client certificate expired.",
    ClientRevoked "client-cert-revoked" "The server finds the client certificate revoked.",
    ClientPurpose "client-cert-purpose" "The client certificate is not made for clients.",
    ClientBad "client-cert-bad" "The server finds the client certificate bad in another way.",
    ClientRequired "client-cert-required" "The server wants a client certificate.",
    ClientWrongUser "client-cert-wrong-user" "The certificate's name is not that of the role.",
    ServerNoCa "server-no-ca" "`pg_hba.conf` wants certificates, and the server has no CA to judge them by.",
    HbaNoEntryPlain "hba-no-entry-plain" "No line of `pg_hba.conf` is for this login without TLS.",
    HbaNoEntryTls "hba-no-entry-ssl" "No line of `pg_hba.conf` is for this login over TLS.",
    HbaReject "hba-reject" "A line of `pg_hba.conf` rejects this login.",
    Password "password" "The server does not accept the password.",
    PasswordMissing "password-missing" "The server wants a password, and there is none.",
    NoRole "no-role" "There is no such role.",
    RoleMayNotLogin "role-may-not-login" "The role may not log in.",
    NoDatabase "no-database" "There is no such database.",
    TooManyConnections "too-many-connections" "The server has no connection left.",
    NotReady "server-not-ready" "The server is starting up or shutting down.",
    PeerAccount "peer-account" "Over a Unix socket the server goes by the operating system's account, which is not the role's.",
    LoginRefused "login-refused" "The server refuses the session for another reason.",
    ChannelBinding "channel-binding" "Channel binding is required, and the login has none.",
    ChannelBindingNoDigest "channel-binding-no-digest" "SCRAM cannot be bound to this certificate.",
    ChannelBindingStripped "channel-binding-stripped" "Something in between ends the TLS.",
    RequireAuth "require-auth" "`require_auth` forbids the way in which the server wants to log us in.",
    CertMode "sslcertmode" "`sslcertmode=require`, and no client certificate was used.",
    AuthUnspoken "auth-unspoken" "A login that psql would do and pgtls does not speak.",
    ServerUnproven "server-unproven" "The server does not know the password either.",
    SessionAttributes "session-attributes" "The server is not of the kind that `target_session_attrs` asks for.",
    Protocol "protocol" "The server breaks the rules of the protocol.",
}

/// The texts of one cause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    says: String,
    psql: String,
    remedy: String,
}

static TEXTS: LazyLock<BTreeMap<String, Texts>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        verify: BTreeMap<String, Texts>,
    }
    toml::from_str::<File>(include_str!("../../assets/remedies.toml"))
        .map(|file| file.verify)
        .unwrap_or_default()
});

impl Cause {
    /// Every cause.
    pub fn all() -> impl Iterator<Item = Self> {
        let names = [
            NameCause::NoHost,
            NameCause::HostMismatch,
            NameCause::NoNames,
            NameCause::NulInName,
            NameCause::BadIpAddress,
        ];
        let (first, last): (Vec<(Self, &str)>, Vec<_>) = SIMPLE
            .iter()
            .partition(|(cause, _)| cause.precedes_certificates());
        first
            .into_iter()
            .map(|(cause, _)| cause)
            .chain(judge::Cause::ALL.into_iter().map(Self::ServerCertificate))
            .chain(names.into_iter().map(Self::ServerName))
            .chain(last.into_iter().map(|(cause, _)| cause))
    }

    /// Whether it comes before anything is known of the server's certificate: the order of the table.
    fn precedes_certificates(self) -> bool {
        let place = |wanted| SIMPLE.iter().position(|(cause, _)| *cause == wanted);
        place(self) <= place(Self::TlsUnspoken)
    }

    /// The stable name that reports and scripts use.
    #[must_use]
    pub fn slug(self) -> String {
        match self {
            // A certificate that cannot be read is one fault, whoever stumbles over it.
            Self::ServerName(NameCause::Malformed) => Self::ServerCertificate(judge::Cause::Malformed).slug(),
            Self::ServerCertificate(cause) => format!("server-cert-{cause}"),
            Self::ServerName(cause) => cause.slug().to_owned(),
            simple => SIMPLE
                .iter()
                .find(|(cause, _)| *cause == simple)
                .map_or("unknown", |(_, slug)| slug)
                .to_owned(),
        }
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn says(self) -> &'static str {
        self.texts().map_or("", |texts| texts.says.trim())
    }

    /// What psql prints in its place, with `X` for what varies.
    #[must_use]
    pub fn psql(self) -> &'static str {
        self.texts().map_or("", |texts| texts.psql.trim())
    }

    /// What to do about it, in the person's own names.
    #[must_use]
    pub fn remedy(self, words: &Words) -> String {
        words.fill(self.texts().map_or("", |texts| texts.remedy.trim()))
    }

    fn texts(self) -> Option<&'static Texts> {
        TEXTS.get(&self.slug())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.slug())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.slug())
    }
}

/// The person's own names for what a remedy speaks of; safe to show.
#[derive(Debug, Clone, Default)]
pub struct Words(BTreeMap<&'static str, String>);

impl Words {
    /// With one more: `{name}` in a text becomes `value`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, crate::pki::printable(value));
        self
    }

    fn fill(&self, text: &str) -> String {
        // Only the text's own braces are looked at: a value cannot bring in another.
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                filled.push('{');
                rest = after;
                continue;
            };
            filled.push_str(self.0.get(name).map_or("it", String::as_str));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// `docs/causes.md`: the table of all causes, in Markdown.
#[must_use]
pub fn causes_page() -> String {
    const HEAD: &str = "# Why a connection does not come about\n\n\
        `pgtls verify` says which of these it is: in its sentence, and as `cause` in `--json` (of the report, and of the \
        probe that failed). libpq prints one text for many of them; the third column shows it, with X for what varies. \
        Words in capitals stand for your own names and files. This page is made from `assets/remedies.toml`.\n\n\
        | Cause | What it means | psql says | What to do |\n|---|---|---|---|\n";
    let cell = |text: &str| {
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('|', "\\|")
    };
    let words = NAMES.into_iter().fold(Words::default(), |words, name| {
        words.with(name, &name.to_uppercase())
    });
    let mut page = HEAD.to_owned();
    for cause in Cause::all() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{cause}` | {} | {} | {} |",
            cell(cause.says()),
            cell(cause.psql()),
            cell(&cause.remedy(&words))
        );
    }
    page
}

/// What a remedy may speak of.
const NAMES: [&str; 10] = [
    "host", "port", "user", "database", "root", "cert", "key", "file", "names", "subject",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own_and_its_texts_and_no_text_is_left_over() {
        let slugs: Vec<String> = Cause::all().map(Cause::slug).collect();
        let set: BTreeSet<&String> = slugs.iter().collect();
        assert_eq!(set.len(), slugs.len(), "a slug stands for two causes");
        let texts: BTreeSet<&String> = TEXTS.keys().collect();
        assert_eq!(set, texts);
        for (slug, texts) in TEXTS.iter() {
            assert!(
                !texts.says.is_empty() && !texts.remedy.is_empty() && !texts.psql.is_empty(),
                "{slug}"
            );
        }
    }

    #[test]
    fn a_remedy_names_the_persons_own_files_and_nothing_can_bring_in_more() {
        let words = Words::default()
            .with("file", "/k/{user}\u{1b}")
            .with("user", "eve");
        assert_eq!(
            words.fill("chmod 600 {file}, {missing} {"),
            "chmod 600 /k/{user}\\u{1b}, it {"
        );
        assert!(Cause::KeyMode.remedy(&words).contains("chmod 600 /k/"));
    }

    #[test]
    fn the_remedies_only_speak_of_what_is_known() {
        for (slug, texts) in TEXTS.iter() {
            for part in texts.remedy.split('{').skip(1) {
                let name = part.split('}').next().unwrap();
                assert!(NAMES.contains(&name), "{slug}: {{{name}}}");
            }
        }
    }
}
