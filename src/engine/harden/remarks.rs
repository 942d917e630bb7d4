//! What a person should know of a stage beside its plan.

use std::collections::BTreeSet;

use crate::harden::{Seen, Stage, TlsSeen, Watched};

use super::Survey;

/// What the remarks are about.
pub struct About<'a> {
    /// The stage.
    pub stage: Stage,
    /// Names and addresses of the server's new certificate, if it gets one.
    pub hosts: Option<&'a [String]>,
    /// Whether anybody has watched.
    pub has_watched: bool,
    /// Which version of TLS is the least, and why.
    pub least: Least,
}

/// Which version of TLS a floor leaves as the least, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// TLS 1.3, as the person says.
    Said13,
    /// TLS 1.2, as the person says.
    Said12,
    /// TLS 1.3: everybody who was seen speaks it.
    All13,
    /// TLS 1.2: not everybody does.
    NotAll13,
    /// TLS 1.2: of those who come without TLS nobody knows.
    SomePlain,
    /// TLS 1.2: nobody but the admin was seen.
    NobodySeen,
}

impl Least {
    /// What was said, or else what is safe by those who were seen, the admin among them.
    pub fn of(said: Option<bool>, watched: &Watched, own: Option<&TlsSeen>) -> Self {
        let with_tls = |(seen, _): &(&Seen, _)| seen.tls.is_some();
        let known: BTreeSet<_> = watched
            .iter()
            .filter(with_tls)
            .map(|(seen, _)| seen.client())
            .collect();
        let mut plain = watched.iter().filter(|(seen, _)| seen.is_plaintext());
        let mut others = watched
            .iter()
            .filter_map(|(seen, _)| seen.tls.as_ref())
            .peekable();
        match said {
            Some(true) => Self::Said13,
            Some(false) => Self::Said12,
            None if others.peek().is_none() => Self::NobodySeen,
            None if others.chain(own).any(|tls| tls.version != "TLSv1.3") => Self::NotAll13,
            None if plain.any(|(seen, _)| !known.contains(&seen.client())) => Self::SomePlain,
            None => Self::All13,
        }
    }

    /// Whether TLS 1.2 is turned away.
    pub const fn is_13(self) -> bool {
        matches!(self, Self::Said13 | Self::All13)
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Said13 => "TLS 1.3 becomes the least",
            Self::Said12 => "TLS 1.2 is the least; where it is TLS 1.3 already, that stays",
            Self::All13 => {
                "TLS 1.3 becomes the least: everybody who was seen speaks it. --least-tls 1.2 leaves 1.2 to those who were not"
            }
            Self::NotAll13 => "TLS 1.2 stays the least: not everybody who was seen speaks TLS 1.3",
            Self::SomePlain => {
                "TLS 1.2 stays the least: some were seen without TLS alone, so that nobody knows whether they speak 1.3.                  --least-tls 1.3 demands it"
            }
            Self::NobodySeen => {
                "TLS 1.2 stays the least: nobody else was seen over TLS, so that nobody knows who speaks 1.3. --stage watch looks, \
                 and --least-tls 1.3 demands it"
            }
        }
    }
}

/// The remarks, each a sentence or two.
pub fn remarks(survey: &Survey, about: &About<'_>) -> Vec<String> {
    [
        about
            .hosts
            .and_then(|hosts| for_this_machine_alone(survey, hosts)),
        nobody_watched(about),
        (about.stage == Stage::Floor).then(|| about.least.in_words().to_owned()),
        stay_in_plaintext(survey, about.stage),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn for_this_machine_alone(survey: &Survey, hosts: &[String]) -> Option<String> {
    let is_here = |name: &str| matches!(name, "localhost" | "127.0.0.1" | "::1");
    let listens = survey.setting("listen_addresses")?;
    let is_reached = listens
        .split(',')
        .map(str::trim)
        .any(|address| !address.is_empty() && !is_here(address));
    (is_reached && hosts.iter().all(|name| is_here(name))).then(|| {
        format!(
            "the new certificate is for this machine's own names alone ({}), and the server listens on {}: clients elsewhere would \
             refuse it under verify-full. Name what they dial with --host",
            hosts.join(", "),
            crate::pki::printable(listens)
        )
    })
}

fn nobody_watched(about: &About<'_>) -> Option<String> {
    (about.stage == Stage::Require && !about.has_watched).then(|| {
        "nobody has watched yet: only those who are connected now were asked. --stage watch looks for longer, and knows those who \
         come by night"
            .to_owned()
    })
}

/// A reload ends no session.
fn stay_in_plaintext(survey: &Survey, stage: Stage) -> Option<String> {
    if !matches!(stage, Stage::Require | Stage::Mtls) {
        return None;
    }
    let open: u64 = survey
        .watched
        .iter()
        .filter(|(seen, _): &(&Seen, _)| seen.is_plaintext())
        .map(|(_, sightings)| sightings.sessions)
        .sum();
    let which = match open {
        0 => return None,
        1 => "one session that is open without TLS stays so until it ends".to_owned(),
        many => format!("{many} sessions that are open without TLS stay so until they end"),
    };
    Some(format!(
        "{which}. To end it at once, when the stage is in force: SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN \
         pg_stat_ssl USING (pid) WHERE NOT ssl AND client_addr IS NOT NULL AND pid <> pg_backend_pid()"
    ))
}
