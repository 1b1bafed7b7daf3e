//! Where to look first: the ledger's table lies in months of `posted_at`, and each part that may hold an account is opened
//! to find out. Of an account that is busy the newest entries lie in the newest month, and the others need not be opened
//! for them.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime};
use clickhouse::query::Query;

/// So much before the newest moment lies in the first window, or more: early in a month it takes the month before.
const FIRST_MS: i64 = 7 * 86_400_000;
/// The first window holds so many times what is wanted, by the account's average.
const PLENTY: i128 = 2;
/// Where it would take more than one of so many parts of the account's life, all of it is asked at once.
const SHARE_MAX: i128 = 2;
/// The least moment of the column, and the one after the largest.
const MIN_MS: i64 = -2_208_988_800_000;
const END_MS: i64 = 10_413_792_000_000;

/// From this moment on, not including the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Window {
    from_ms: i64,
    to_ms: i64,
}

impl Window {
    /// Every moment there is.
    pub(super) const ALL: Self = Self { from_ms: MIN_MS, to_ms: END_MS };

    pub(super) const CONDITION: &str = "posted_at >= fromUnixTimestamp64Milli({window_from:Int64}, 'UTC') \
         AND posted_at < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')";

    pub(super) fn bind(self, query: Query) -> Query {
        query.param("window_from", self.from_ms).param("window_to", self.to_ms)
    }
}

/// When an account's entries were posted, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// None of those that are asked for was posted later.
    pub by_ms: i64,
    /// When the account was opened.
    pub opened_at_ms: i64,
    /// How many entries there are at most.
    pub entries: u64,
}

impl Posted {
    /// As of an account so quiet that all of it is asked for at once.
    pub(super) const fn at_once(self) -> Self {
        Self { entries: 0, opened_at_ms: i64::MIN, ..self }
    }

    /// Two windows that hold everything and share no month, the newest first; or one, where the newest months do not hold
    /// what is wanted as far as can be guessed.
    ///
    /// Entries of an account are posted in order, so that all of the first are newer than all of the second.
    pub(super) fn windows(self, wanted: usize) -> Vec<Window> {
        let edge_ms = self.first_ms(wanted).and_then(|first_ms| month_start_ms(self.by_ms.saturating_sub(first_ms)));
        let Some(edge_ms) = edge_ms else { return vec![Window::ALL] };
        vec![Window { from_ms: edge_ms, ..Window::ALL }, Window { to_ms: edge_ms, ..Window::ALL }]
    }

    /// How far back the first window must reach; `None`: nearly over the whole life.
    fn first_ms(self, wanted: usize) -> Option<i64> {
        let life_ms = i128::from(self.by_ms) - i128::from(self.opened_at_ms);
        let needed_ms = (life_ms * PLENTY * wanted as i128).checked_div(i128::from(self.entries))?;
        if needed_ms <= i128::from(FIRST_MS) {
            // There is so much, or it is too young for an average.
            return Some(FIRST_MS);
        }
        i64::try_from(needed_ms).ok().filter(|_| needed_ms * SHARE_MAX <= life_ms)
    }
}

fn month_start_ms(at_ms: i64) -> Option<i64> {
    let at = DateTime::from_timestamp_millis(at_ms)?;
    let start = NaiveDate::from_ymd_opt(at.year(), at.month(), 1)?.and_time(NaiveTime::MIN).and_utc();
    Some(start.timestamp_millis()).filter(|start_ms| (MIN_MS + 1..END_MS).contains(start_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollbooth_schemas::time::{parse_rfc3339_ms, rfc3339};

    use super::*;

    fn ms(text: &str) -> i64 {
        parse_rfc3339_ms(text).unwrap()
    }

    fn edge(by: &str, entries: u64) -> Option<String> {
        let posted = Posted { by_ms: ms(by), opened_at_ms: ms("2026-01-01T00:00:00Z"), entries };
        let windows = posted.windows(50);
        (windows.len() == 2).then(|| rfc3339(windows[0].from_ms))
    }

    #[test]
    fn of_a_busy_account_the_newest_month_comes_first_and_early_in_it_the_one_before() {
        assert_eq!(edge("2026-11-26T10:00:00Z", 100_000), Some("2026-11-01T00:00:00.000Z".to_owned()));
        assert_eq!(edge("2026-11-07T23:00:00Z", 100_000), Some("2026-10-01T00:00:00.000Z".to_owned()));
    }

    #[test]
    fn of_a_quieter_one_come_as_many_months_as_hold_a_page_and_of_a_quiet_one_all() {
        // 330 days: of 1,000 entries 33 days hold a page twice over, of 300 entries 110 days, of 199 more than half
        for (entries, first) in
            [(1_000, Some("2026-10-01T00:00:00.000Z")), (300, Some("2026-08-01T00:00:00.000Z")), (199, None), (0, None)]
        {
            assert_eq!(edge("2026-11-27T00:00:00Z", entries), first.map(str::to_owned), "{entries}");
        }
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_and_leave_nothing_out(by_ms: i64, opened_at_ms: i64, entries: u64, wanted in 0..1_000_usize) {
            let windows = Posted { by_ms, opened_at_ms, entries }.windows(wanted);
            prop_assert_eq!((windows[0].to_ms, windows.last().unwrap().from_ms), (END_MS, MIN_MS));
            prop_assert!(windows.windows(2).all(|pair| pair[0].from_ms == pair[1].to_ms));
            prop_assert!(windows.iter().all(|window| window.from_ms < window.to_ms));
        }
    }
}
