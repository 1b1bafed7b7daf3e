//! How far behind the inputs are, in records and in time.

use std::time::{Duration, Instant};

use crate::metrics::Input;

/// How often the ends are asked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The age of the oldest record that is not committed, as far as it is known: never more than it is.
#[derive(Debug)]
pub(super) struct Lag {
    /// By input: nothing older than this waits.
    oldest_ms: [i64; 2],
    looked: Instant,
}

impl Lag {
    /// As of an assignment: what waits then may have waited for longer, which is found out with the first record.
    pub(super) fn new(now_ms: i64, now: Instant) -> Self {
        Self { oldest_ms: [now_ms; 2], looked: now }
    }

    /// Whether it is time to look again; counts as the look.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now.saturating_duration_since(self.looked) > LOOK_EVERY;
        if is_due {
            self.looked = now;
        }
        is_due
    }

    /// The append time of the first record in hand, or of the last one committed: what waits is not older.
    pub(super) fn reached(&mut self, input: Input, appended_ms: Option<i64>) {
        if let Some(appended_ms) = appended_ms {
            self.oldest_ms[input as usize] = appended_ms;
        }
    }

    /// What is to be shown where `records` lie between the next offset and the end: the seconds the oldest has waited.
    pub(super) fn seconds(&mut self, input: Input, records: i64, now_ms: i64) -> i64 {
        let oldest_ms = &mut self.oldest_ms[input as usize];
        if records == 0 {
            // Whatever waits later was appended after this; the last record may be a week old.
            *oldest_ms = now_ms.max(*oldest_ms);
            return 0;
        }
        (now_ms - *oldest_ms).max(0) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_of_which_nothing_was_read_ages_from_the_assignment_on() {
        let mut lag = Lag::new(1_000_000, Instant::now());
        assert_eq!(lag.seconds(Input::Usage, 5, 1_030_000), 30);
        assert_eq!(lag.seconds(Input::Commands, 0, 1_030_000), 0);
        // Once a record is in hand its own age counts.
        lag.reached(Input::Usage, Some(400_000));
        assert_eq!(lag.seconds(Input::Usage, 5, 1_030_000), 630);
        // A record without a time changes nothing.
        lag.reached(Input::Usage, None);
        assert_eq!(lag.seconds(Input::Usage, 5, 1_031_000), 631);
    }

    #[test]
    fn a_record_after_a_quiet_week_is_not_a_week_late() {
        let mut lag = Lag::new(0, Instant::now());
        lag.reached(Input::Usage, Some(0));
        let week_ms = 7 * 86_400_000;
        assert_eq!(lag.seconds(Input::Usage, 0, week_ms), 0);
        assert_eq!(lag.seconds(Input::Usage, 1, week_ms + 5_000), 5);
        // A clock behind the broker's is no negative age.
        lag.reached(Input::Usage, Some(week_ms + 60_000));
        assert_eq!(lag.seconds(Input::Usage, 1, week_ms + 5_000), 0);
    }
}
