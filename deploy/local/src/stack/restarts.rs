//! How often a service that ended on its own is started again.

use std::time::{Duration, Instant};

/// Within this time ...
const WINDOW: Duration = Duration::from_secs(600);
/// ... it is started again this often, each time after a longer pause: what it could not bear may be about to pass.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15)];

/// The bound in words.
pub(crate) const BOUND: &str = "3 times in 10 minutes";

/// The latest restarts of one service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Restarts(Vec<Instant>);

impl Restarts {
    /// The service has ended: how long to wait before it is started again, `None` where it is not.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Duration> {
        self.0.retain(|at| now.duration_since(*at) < WINDOW);
        let pause = PAUSES.get(self.0.len()).copied()?;
        self.0.push(now);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_restarts_in_ten_minutes_and_no_more() {
        let mut restarts = Restarts::default();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let pauses: Vec<_> = [0, 10, 500, 599].into_iter().map(|seconds| restarts.next(after(seconds))).collect();
        assert_eq!(pauses, [Some(PAUSES[0]), Some(PAUSES[1]), Some(PAUSES[2]), None]);
        // The first one is forgotten; the third is not.
        assert_eq!(restarts.next(after(600)), Some(PAUSES[2]));
        assert_eq!(restarts.next(after(605)), None);
        // After a good while it begins anew.
        assert_eq!(restarts.next(after(2000)), Some(PAUSES[0]));
    }
}
