//! The answer over all probes, and the sentence that says it.

use rustls::pki_types::CertificateDer;

use crate::setup::Mode;

use super::report::{Group, Outcome, Probe, ProbeId, Report, Verdict};
use super::target::Target;

/// What must have been seen before anything may be called verified.
const PROOF: [ProbeId; 6] = [
    ProbeId::SslOffered,
    ProbeId::Handshake,
    ProbeId::Chain,
    ProbeId::HostName,
    ProbeId::Validity,
    ProbeId::Authenticated,
];

impl Report {
    /// The report over these probes, which are in the order of [`ProbeId::ALL`].
    ///
    /// `no_line`: that nobody logged in was for want of a line of `pg_hba.conf`, not of a password.
    pub(super) fn over(
        target: &Target,
        probes: Vec<Probe>,
        presented: Vec<CertificateDer<'static>>,
        no_line: bool,
    ) -> Self {
        let verdict = verdict(&probes);
        let headline = headline(verdict, &probes, target, no_line);
        let cause = probes
            .iter()
            .filter(|probe| matches!(probe.outcome, Outcome::Broken | Outcome::Open))
            .find_map(|probe| probe.cause);
        Self {
            verdict,
            cause,
            headline,
            probes,
            presented,
        }
    }

    /// The probe of this name, if it was among those asked.
    #[must_use]
    pub fn probe(&self, id: ProbeId) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.id == id)
    }
}

fn verdict(probes: &[Probe]) -> Verdict {
    let outcome = |id| {
        probes
            .iter()
            .find(|probe| probe.id == id)
            .map(|probe| probe.outcome)
    };
    let any = |wanted| probes.iter().any(|probe| probe.outcome == wanted);
    let let_in = outcome(ProbeId::Authenticated) == Some(Outcome::Holds);
    if any(Outcome::Broken) {
        return if let_in {
            Verdict::Connected
        } else {
            Verdict::Refused
        };
    }
    // A login is left out only where there is no password for it, and then the rest is the proof.
    let is_proven = |id| match outcome(id) {
        None => id == ProbeId::Authenticated,
        Some(outcome) => outcome == Outcome::Holds,
    };
    let proven = PROOF.into_iter().all(is_proven);
    if proven && !any(Outcome::Open) {
        Verdict::Verified
    } else {
        Verdict::Undetermined
    }
}

fn headline(verdict: Verdict, probes: &[Probe], target: &Target, no_line: bool) -> String {
    let address = &target.address;
    let mode = match target.expect {
        Mode::OneWay => "one-way TLS",
        Mode::Mtls => "mutual TLS",
    };
    let first = |wanted| probes.iter().find(|probe| probe.outcome == wanted);
    let broken = probes
        .iter()
        .filter(|probe| probe.outcome == Outcome::Broken)
        .count();
    let and_more = if broken > 1 {
        match broken - 1 {
            1 => "; one more promise does not hold".to_owned(),
            others => format!("; {others} more promises do not hold"),
        }
    } else {
        String::new()
    };
    let because = |wanted| {
        first(wanted).map_or_else(String::new, |probe| {
            format!("{}: {}", probe.id.name(), probe.observed)
        })
    };
    match verdict {
        Verdict::Verified => {
            let refused = probes
                .iter()
                .filter(|p| p.id.group() == Group::MustBeRefused && p.outcome == Outcome::Holds)
                .count();
            let untested = probes.iter().filter(|p| p.outcome == Outcome::NotTried).count();
            let untested = match untested {
                0 => String::new(),
                n => format!(" ({n} could not be asked here)"),
            };
            let logged_in = probes.iter().any(|probe| probe.id == ProbeId::Authenticated);
            let login = if logged_in {
                String::new()
            } else if no_line {
                format!(
                    "; nobody logged in, since {} comes in over the server's socket: no line of pg_hba.conf is for it over TCP",
                    crate::pki::printable(&target.user)
                )
            } else {
                "; nobody logged in, since the role's password is not at hand (PGPASSWORD, ~/.pgpass)"
                    .to_owned()
            };
            format!(
                "Verified: verify-full over {mode} to {address}; {refused} things that must be refused are \
                 refused{untested}{login}"
            )
        }
        Verdict::Connected => format!(
            "Not verified: {address} lets us in, but {}{and_more}",
            because(Outcome::Broken)
        ),
        Verdict::Refused => format!("Not verified: {}{and_more}", because(Outcome::Broken)),
        Verdict::Undetermined => format!("Could not be found out: {}", because(Outcome::Open)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn probes(exceptions: &[(ProbeId, Outcome)]) -> Vec<Probe> {
        ProbeId::ALL
            .into_iter()
            .map(|id| Probe {
                id,
                outcome: exceptions
                    .iter()
                    .find(|(e, _)| *e == id)
                    .map_or(Outcome::Holds, |(_, o)| *o),
                observed: String::new(),
                evidence: Vec::new(),
                took: Duration::ZERO,
                remedy: None,
                cause: None,
            })
            .collect()
    }

    #[test]
    fn only_what_was_seen_makes_it_verified() {
        assert_eq!(verdict(&probes(&[])), Verdict::Verified);
        for id in ProbeId::ALL {
            assert_ne!(
                verdict(&probes(&[(id, Outcome::Broken)])),
                Verdict::Verified,
                "{}",
                id.name()
            );
            assert_eq!(
                verdict(&probes(&[(id, Outcome::Open)])),
                Verdict::Undetermined,
                "{}",
                id.name()
            );
        }
        for id in PROOF {
            assert_eq!(
                verdict(&probes(&[(id, Outcome::NotTried)])),
                Verdict::Undetermined,
                "{}",
                id.name()
            );
        }
        assert_eq!(verdict(&[]), Verdict::Undetermined);
    }

    #[test]
    fn a_broken_promise_of_a_server_that_lets_us_in_is_connected() {
        assert_eq!(
            verdict(&probes(&[(ProbeId::PlaintextRefused, Outcome::Broken)])),
            Verdict::Connected
        );
        let not_in = [
            (ProbeId::Chain, Outcome::Broken),
            (ProbeId::Authenticated, Outcome::NotTried),
        ];
        assert_eq!(verdict(&probes(&not_in)), Verdict::Refused);
    }
}
