//! Lines for plaintext alone: whoever comes by one, and by no other, is shut out for good once TLS is required.

use super::{Draft, Prevented};
use crate::conf::hba::{Kind, Method};
use crate::conf::simulate::{Channel, Outcome, Simulator, World, outcome, samples};

/// Each of those lines, in a sentence. Whoever comes by it was perhaps never seen.
pub fn shut_out(draft: &Draft<'_>, world: &World) -> Result<Vec<String>, Prevented> {
    /// Of each line a few stand for all.
    const MOST: usize = 50;
    let before = draft.before();
    let after = draft.rules()?;
    let world = World {
        maps: Some(draft.maps()?),
        ..world.clone()
    };
    let (then, now) = (
        Simulator::new(after.rules(), &world),
        Simulator::new(before.rules(), &world),
    );
    let lines = before
        .rules()
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.record.kind == Kind::HostNoSsl && rule.record.method != Method::Reject);
    let is_shut_out = |at: usize, rule| {
        samples(std::slice::from_ref(rule), MOST)
            .into_iter()
            .any(|mut client| {
                let Channel::Plain(ip) = client.channel else {
                    return false;
                };
                // One above it decides.
                if now.decide(&client).record != Some(at) {
                    return false;
                }
                client.channel = Channel::Tls(ip, Some(client.user.clone()));
                let decision = then.decide(&client);
                matches!(
                    outcome(after.rules(), &decision, &client, &world),
                    Outcome::Refused(_)
                )
            })
    };
    Ok(lines
        .filter(|(at, rule)| is_shut_out(*at, rule))
        .map(|(_, rule)| {
            format!(
                "{} ({}) is for plaintext alone, and goes: whoever comes by it has no other way in, with TLS either. A line for \
                 them that begins with hostssl gives them one",
                rule.place, rule.record
            )
        })
        .collect())
}
