//! How much an account spends: its charges of the last 24 hours, by the hour they were posted in.

const HOUR_MS: i64 = 3_600_000;
/// Hours that are kept, the running one included.
pub(crate) const WINDOW_HOURS: u8 = 24;
const HOURS: usize = 24;

/// Charges by the hour.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Burn {
    /// The newest hour, counted from the epoch.
    pub(crate) hour: i64,
    /// That hour's charges, in micro-units, then those of the hour before it, and so on.
    pub(crate) charges: [i128; HOURS],
}

fn hour_of(at_ms: i64) -> i64 {
    at_ms.checked_div(HOUR_MS).unwrap_or_default()
}

impl Burn {
    /// Posting time never goes back.
    pub(crate) fn add(&mut self, at_ms: i64, charge_micros: u64) {
        let hours = usize::try_from(hour_of(at_ms).saturating_sub(self.hour)).unwrap_or_default();
        let gone = hours.min(self.charges.len());
        self.charges.rotate_right(gone);
        self.charges.iter_mut().take(gone).for_each(|charge| *charge = 0);
        self.hour = self.hour.max(hour_of(at_ms));
        if let Some(newest) = self.charges.first_mut() {
            *newest = newest.saturating_add(i128::from(charge_micros));
        }
    }

    /// In the hour of an instant and the 23 before it.
    pub(crate) fn spent(&self, at_ms: i64) -> i128 {
        let gone = usize::try_from(hour_of(at_ms).saturating_sub(self.hour)).unwrap_or_default();
        let kept = self.charges.len().saturating_sub(gone);
        self.charges.iter().take(kept).fold(0, |sum, charge| sum.saturating_add(*charge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_counts_for_its_hour_and_the_twenty_three_after_it() {
        let mut burn = Burn::default();
        let at = |hour: i64| (500_000 + hour) * HOUR_MS + 59 * 60_000;
        burn.add(at(0), 5);
        burn.add(at(0), 2);
        burn.add(at(23), 10);
        assert_eq!(
            [at(0), at(23), at(24), at(46), at(47), at(500)].map(|at_ms| burn.spent(at_ms)),
            [17, 17, 10, 10, 0, 0]
        );
        burn.add(at(24), 100);
        assert_eq!(burn.spent(at(24)), 110);
        burn.add(at(100), 1);
        assert_eq!(burn.spent(at(100)), 1);
    }
}
