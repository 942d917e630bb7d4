//! One moment by which a conversation must be over, handed from step to step.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// The moment at which we stop waiting. Copied into every step of one conversation, so that the steps
/// share one allowance instead of each having its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    allowed: Duration,
}

/// The deadline passed; carries the whole allowance, which is what a person set with `--timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {:.1} seconds", .0.as_secs_f64())]
pub struct Elapsed(pub Duration);

impl Deadline {
    /// A deadline `allowed` from now.
    #[must_use]
    pub fn after(allowed: Duration) -> Self {
        // A century stands for "never": adding more could overflow the clock.
        let allowed = allowed.min(Duration::from_secs(100 * 365 * 86_400));
        Self {
            at: Instant::now() + allowed,
            allowed,
        }
    }

    /// What is left; zero once it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// An earlier deadline: an equal part of what is left for each of `shares` attempts.
    #[must_use]
    pub fn share(&self, shares: usize) -> Self {
        let shares = u32::try_from(shares.max(1)).unwrap_or(u32::MAX);
        let part = self.remaining() / shares;
        Self {
            at: (Instant::now() + part).min(self.at),
            allowed: part,
        }
    }

    /// Waits for `work`, dropping it when the deadline passes.
    pub async fn bound<F: Future>(&self, work: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout_at(self.at, work)
            .await
            .map_err(|_| Elapsed(self.allowed))
    }
}
