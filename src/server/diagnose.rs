//! From the server's own lines to the cause and what to do about it.
//!
//! The texts are in `assets/remedies.toml`, once; which line means which is here. PostgreSQL's messages are
//! read untranslated: the sandbox sets `lc_messages` to `C`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// What a line of the server's log means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Its key in `assets/remedies.toml`, stable, for programs.
    pub slug: &'static str,
    /// What is wrong, in plain words.
    pub says: String,
    /// What to do about it.
    pub remedy: String,
    /// The line it was read from.
    pub line: String,
}

/// Texts of one cause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remedy {
    says: String,
    remedy: String,
}

/// The file: the causes of a server's own lines, beside those of `verify`.
#[derive(Debug, Default, Deserialize)]
struct Texts {
    #[serde(rename = "verify")]
    _verify: serde::de::IgnoredAny,
    #[serde(flatten)]
    server: BTreeMap<String, Remedy>,
}

static REMEDIES: LazyLock<BTreeMap<String, Remedy>> = LazyLock::new(|| {
    toml::from_str::<Texts>(include_str!("../../assets/remedies.toml"))
        .unwrap_or_default()
        .server
});

/// A cause is known by all of these fragments, in one line, in this order. The first that fits is taken.
const SIGNS: &[(&str, &[&str])] = &[
    (
        "key-mode",
        &["private key file \"", "\" has group or world access"],
    ),
    (
        "key-owner",
        &[
            "private key file \"",
            "\" must be owned by the database user or root",
        ],
    ),
    (
        "key-not-regular",
        &["private key file \"", "\" is not a regular file"],
    ),
    (
        "key-missing",
        &[
            "could not access private key file \"",
            "\": No such file or directory",
        ],
    ),
    (
        "key-unreadable",
        &["could not access private key file \"", "\": Permission denied"],
    ),
    (
        "key-unreadable",
        &["could not load private key file \"", "\": Permission denied"],
    ),
    (
        "key-passphrase",
        &[
            "private key file \"",
            "\" cannot be reloaded because it requires a passphrase",
        ],
    ),
    ("pair-mismatch", &["key values mismatch"]),
    ("pair-mismatch", &["key type mismatch"]),
    (
        "certificate-missing",
        &[
            "could not load server certificate file \"",
            "\": No such file or directory",
        ],
    ),
    (
        "certificate-unreadable",
        &[
            "could not load server certificate file \"",
            "\": Permission denied",
        ],
    ),
    (
        "certificate-weak",
        &["could not load server certificate file \"", "\": ", "md too weak"],
    ),
    (
        "certificate-weak",
        &[
            "could not load server certificate file \"",
            "\": ",
            "key too small",
        ],
    ),
    (
        "certificate-bad",
        &["could not load server certificate file \"", "\": "],
    ),
    ("key-bad", &["could not load private key file \"", "\": "]),
    (
        "ca-missing",
        &[
            "could not load root certificate file \"",
            "\": No such file or directory",
        ],
    ),
    ("ca-bad", &["could not load root certificate file \"", "\": "]),
    (
        "crl-bad",
        &["could not load SSL certificate revocation list file \"", "\": "],
    ),
    ("tls-range", &["could not set SSL protocol version range"]),
    ("tls-ciphers", &["could not set the cipher list"]),
    ("tls-curve", &["ECDH: "]),
    ("no-tls-build", &["SSL is not supported by this build"]),
    ("hba-clientcert", &["invalid value for clientcert: \"", "\""]),
    (
        "hba-cert-on-host",
        &["cert authentication is only supported on hostssl connections"],
    ),
    (
        "hba-needs-ca",
        &["client certificates can only be checked if a root certificate store is available"],
    ),
    (
        "hba-no-tls",
        &["hostssl record cannot match because SSL is disabled"],
    ),
    ("hba-bad", &["pg_hba.conf\" line "]),
    ("hba-bad", &["pg_hba.conf", " contains no entries"]),
    ("hba-unreadable", &["could not open ", "pg_hba.conf\": "]),
    ("port-taken", &["could not bind IPv", "Address already in use"]),
    ("port-taken", &["could not create listen socket for \""]),
    ("port-forbidden", &["could not bind IPv", "Permission denied"]),
    (
        "setting-unknown",
        &["unrecognized configuration parameter \"", "\""],
    ),
    (
        "setting-restart",
        &[
            "parameter \"",
            "\" cannot be changed without restarting the server",
        ],
    ),
    ("setting-bad", &["invalid value for parameter \"", "\""]),
    ("setting-bad", &["syntax error in file \"", "\" line "]),
    (
        "setting-bad",
        &["is outside the valid range for parameter \"", "\""],
    ),
    (
        "config-missing",
        &["could not access the server configuration file \"", "\": "],
    ),
    (
        "config-missing",
        &["could not open configuration file \"", "\": "],
    ),
    ("data-in-use", &["lock file \"", "\" already exists"]),
    (
        "data-in-use",
        &["pre-existing shared memory block", "is still in use"],
    ),
    ("data-mode", &["data directory \"", "\" has invalid permissions"]),
    ("data-owner", &["data directory \"", "\" has wrong ownership"]),
    ("data-not-empty", &["directory \"", "\" exists but is not empty"]),
    ("data-version", &["database files are incompatible with server"]),
    (
        "data-existing",
        &["Database directory appears to contain a database; Skipping initialization"],
    ),
    (
        "docker-denied",
        &["permission denied while trying to connect to the "],
    ),
    ("docker-down", &["Cannot connect to the Docker daemon at "]),
    ("docker-down", &["failed to connect to the docker API at "]),
    ("compose-absent", &["unknown command: docker compose"]),
    ("compose-absent", &["'compose' is not a docker command"]),
    (
        "container-port",
        &[
            "driver failed programming external connectivity",
            "address already in use",
        ],
    ),
    (
        "container-port",
        &["failed to set up container networking", "address already in use"],
    ),
    ("container-port", &["port is already allocated"]),
    ("container-source", &["bind source path does not exist"]),
    ("container-entry", &["/etc/pgtls/entry.sh", "No such file"]),
    ("container-entry", &["pgtls: /etc/pgtls/", " is missing"]),
    (
        "container-unreadable",
        &["pgtls: /etc/pgtls/", " cannot be read by uid "],
    ),
    ("image-not-official", &["docker-entrypoint.sh", "not found"]),
    ("superuser-absent", &["role \"postgres\" does not exist"]),
    (
        "image-18-volume",
        &["in 18+, these Docker images are configured to store database data"],
    ),
    ("disk-full", &["No space left on device"]),
    (
        "memory",
        &["could not map anonymous shared memory", "Cannot allocate memory"],
    ),
    ("semaphores", &["could not create semaphores"]),
    ("socket-path", &["Unix-domain socket path \"", "\" is too long"]),
    ("library-missing", &["error while loading shared libraries: "]),
    (
        "root",
        &["\"root\" execution of the PostgreSQL server is not permitted"],
    ),
    ("root", &["cannot be run as root"]),
    ("locale", &["invalid locale name"]),
    ("locale", &["invalid locale settings"]),
    ("config-errors", &["configuration file \"", "\" contains errors"]),
    ("hba-bad", &["could not load ", "pg_hba.conf"]),
    ("hba-not-reloaded", &["pg_hba.conf", "was not reloaded"]),
    ("tls-not-reloaded", &["SSL configuration was not reloaded"]),
];

/// Causes that only repeat that something failed: taken if nothing says why.
const VAGUE: [&str; 3] = ["config-errors", "hba-not-reloaded", "tls-not-reloaded"];

/// The cause of a failure, from the lines it left; `None` if we know none of them.
#[must_use]
pub fn diagnose(lines: &[String]) -> Option<Diagnosis> {
    let mut found = all(lines);
    let first = found
        .iter()
        .position(|one| !VAGUE.contains(&one.slug))
        .unwrap_or_default();
    (!found.is_empty()).then(|| found.swap_remove(first))
}

/// Every cause that the lines give away, each once, in their order.
#[must_use]
pub(super) fn all(lines: &[String]) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for line in lines {
        if let Some(one) = read(line).filter(|one| found.iter().all(|other| other.slug != one.slug)) {
            found.push(one);
        }
    }
    found
}

/// A cause that was found by looking. `what` stands for `{what}` in its texts, `line` shows it.
pub(super) fn told(slug: &'static str, what: &str, line: &str) -> Diagnosis {
    let fill = |text: &str| text.trim().replace("{what}", what);
    let (says, remedy) = REMEDIES.get(slug).map_or_else(
        || (line.to_owned(), String::new()),
        |texts| (fill(&texts.says), fill(&texts.remedy)),
    );
    Diagnosis {
        slug,
        says,
        remedy,
        line: line.to_owned(),
    }
}

fn read(line: &str) -> Option<Diagnosis> {
    let &(slug, _) = SIGNS.iter().find(|(_, signs)| {
        let mut rest = line;
        signs
            .iter()
            .all(|sign| rest.split_once(sign).map(|(_, after)| rest = after).is_some())
    })?;
    let what = line
        .split_once('"')
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("it", |(what, _)| what);
    Some(told(slug, what, message(line)))
}

/// A log line without its time stamp and process number.
fn message(line: &str) -> &str {
    [
        "FATAL:  ",
        "PANIC:  ",
        "ERROR:  ",
        "WARNING:  ",
        "LOG:  ",
        "HINT:  ",
        "DETAIL:  ",
    ]
    .iter()
    .find_map(|level| line.find(level))
    .map_or(line, |at| &line[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Causes that are found by looking, before any line shows them.
    const SEEN: [&str; 10] = [
        "docker-absent",
        "docker-podman",
        "docker-remote",
        "docker-windows",
        "docker-failed",
        "compose-old",
        "image-absent",
        "compose-name-taken",
        "volume-version",
        "container-failed",
    ];

    fn of(line: &str) -> Diagnosis {
        diagnose(&[line.to_owned()]).unwrap_or_else(|| panic!("no diagnosis: {line}"))
    }

    #[test]
    fn every_sign_has_its_texts_and_every_text_its_sign() {
        let file: Texts = toml::from_str(include_str!("../../assets/remedies.toml")).unwrap();
        let texts = file.server;
        for (slug, _) in SIGNS {
            assert!(texts.contains_key(*slug), "no text for {slug}");
        }
        for slug in SEEN {
            assert!(texts.contains_key(slug), "no text for {slug}");
        }
        for slug in texts.keys() {
            let known = SIGNS.iter().any(|(sign, _)| sign == slug) || SEEN.contains(&slug.as_str());
            assert!(known, "nothing means {slug}");
        }
    }

    #[test]
    fn names_the_file_that_the_line_names() {
        let found = of(
            "2026-11-22 11:55:49.849 UTC [17781] FATAL:  private key file \"/p/server/server.key\" has group or world access",
        );
        assert_eq!(found.slug, "key-mode");
        assert!(
            found.says.contains("/p/server/server.key") && found.remedy.contains("0600"),
            "{found:?}"
        );
        assert_eq!(
            found.line,
            "FATAL:  private key file \"/p/server/server.key\" has group or world access"
        );
    }

    #[test]
    fn the_reason_is_preferred_to_the_announcement() {
        let lines = [
            "LOG:  received SIGHUP, reloading configuration files",
            "LOG:  SSL configuration was not reloaded",
            "LOG:  could not load server certificate file \"s.crt\": No such file or directory",
        ]
        .map(str::to_owned);
        assert_eq!(diagnose(&lines).unwrap().slug, "certificate-missing");
        assert_eq!(diagnose(&lines[..2]).unwrap().slug, "tls-not-reloaded");
        assert_eq!(diagnose(&lines[..1]), None);
    }
}
