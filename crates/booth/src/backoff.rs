//! How long to wait before the next try.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Exponential back-off with full jitter: a try waits a random time between zero and a limit that doubles with each
/// failure in a row. Full jitter spreads a fleet that lost the same server at the same moment
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Debug, Clone)]
pub struct BackoffConfig {
    /// Limit of the first wait, and the spread added to a wait that the server named.
    pub base: Duration,
    /// The limit grows no further.
    pub max: Duration,
    /// A longer `Retry-After` is cut to this.
    pub retry_after_max: Duration,
    /// Makes the jitter repeatable; absent: from the system's random source.
    pub seed: Option<u64>,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(200),
            max: Duration::from_secs(60),
            retry_after_max: Duration::from_secs(600),
            seed: None,
        }
    }
}

/// The waits of one sender.
#[derive(Debug)]
pub(crate) struct Backoff {
    config: BackoffConfig,
    failures: u32,
    random: StdRng,
}

impl Backoff {
    pub(crate) fn new(config: BackoffConfig) -> Self {
        let random = config.seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        Self { config, failures: 0, random }
    }

    /// Something went through: the next failure is a first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure. Never shorter than what the server asked for.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let doubled = self.config.base.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        match retry_after {
            Some(asked) => {
                asked.min(self.config.retry_after_max).saturating_add(Self::up_to(&mut self.random, self.config.base))
            }
            None => Self::up_to(&mut self.random, doubled.min(self.config.max)),
        }
    }

    fn up_to(random: &mut StdRng, limit: Duration) -> Duration {
        limit.mul_f64(random.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeded() -> Backoff {
        Backoff::new(BackoffConfig { seed: Some(7), ..BackoffConfig::default() })
    }

    #[test]
    fn the_limit_doubles_up_to_the_maximum_and_the_wait_fills_it() {
        // given many senders that fail again and again
        let mut longest = [Duration::ZERO; 20];
        let mut shortest = [Duration::MAX; 20];
        let mut backoff = seeded();
        for _ in 0..500 {
            backoff.reset();
            for (longest, shortest) in longest.iter_mut().zip(&mut shortest) {
                let wait = backoff.next(None);
                *longest = wait.max(*longest);
                *shortest = wait.min(*shortest);
            }
        }
        // then each wait lies anywhere below its own limit
        for (failures, (longest, shortest)) in longest.iter().zip(&shortest).enumerate() {
            let limit = Duration::from_millis(200 << failures.min(10)).min(Duration::from_secs(60));
            assert!(*longest <= limit && *longest > limit.mul_f64(0.95), "{failures}: {longest:?} of {limit:?}");
            assert!(*shortest < limit.mul_f64(0.05), "{failures}: {shortest:?} of {limit:?}");
        }
    }

    #[test]
    fn a_wait_the_server_names_is_a_lower_bound_within_reason() {
        let mut backoff = seeded();
        for _ in 0..100 {
            let wait = backoff.next(Some(Duration::from_secs(5)));
            assert!(wait >= Duration::from_secs(5) && wait <= Duration::from_millis(5_200), "{wait:?}");
        }
        let wait = backoff.next(Some(Duration::from_secs(86_400)));
        assert!(wait <= Duration::from_millis(600_200), "{wait:?}");
    }
}
