//! Where to look first: the ledger's table lies in months of `posted_at`, and each part that may hold an account is opened
//! to find out. What is wanted mostly lies in the newest months, and what lies in others need not be opened for it.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, Utc};
use clickhouse::query::Query;

/// So much before the newest moment lies in the first window, or more: on the first of a month it takes the month before.
const FIRST_MS: i64 = 7 * 86_400_000;
/// How many months more the second one takes.
const SECOND_MONTHS: u32 = 3;

/// From this moment on, not including the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Window {
    pub(super) const CONDITION: &str = "posted_at >= fromUnixTimestamp64Milli({window_from:Int64}, 'UTC') \
         AND posted_at < fromUnixTimestamp64Milli({window_to:Int64}, 'UTC')";

    pub(super) fn bind(self, query: Query) -> Query {
        query.param("window_from", self.from_ms).param("window_to", self.to_ms)
    }
}

/// The least and the largest moment of the column.
const MIN_MS: i64 = -2_208_988_800_000;
const MAX_MS: i64 = 10_413_792_000_000;

/// Windows that hold all that was posted by `posted_by_ms`, newest first. They share no month.
///
/// Entries of an account are posted in order, so that all of a window are newer than all of the next.
pub(super) fn windows(posted_by_ms: i64) -> Vec<Window> {
    let first = DateTime::<Utc>::from_timestamp_millis(posted_by_ms.saturating_sub(FIRST_MS));
    let first = first.and_then(|at| NaiveDate::from_ymd_opt(at.year(), at.month(), 1));
    let second = first.and_then(|first| first.checked_sub_months(Months::new(SECOND_MONTHS)));
    let edges =
        [first, second].map(|day| day.map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis()));
    let edges = edges.into_iter().flatten().filter(|edge| (MIN_MS + 1..MAX_MS).contains(edge));
    let mut to_ms = MAX_MS;
    let mut windows = Vec::with_capacity(3);
    for from_ms in edges.chain([MIN_MS]) {
        windows.push(Window { from_ms, to_ms });
        to_ms = from_ms;
    }
    windows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollbooth_schemas::time::{parse_rfc3339_ms, rfc3339};

    use super::*;

    fn edges(posted_by: &str) -> Vec<String> {
        let windows = windows(parse_rfc3339_ms(posted_by).unwrap());
        windows.iter().take(2).map(|window| rfc3339(window.from_ms)).collect()
    }

    #[test]
    fn the_newest_month_comes_first_and_early_in_it_the_one_before() {
        assert_eq!(edges("2026-11-26T10:00:00Z"), ["2026-11-01T00:00:00.000Z", "2026-08-01T00:00:00.000Z"]);
        assert_eq!(edges("2026-03-07T23:00:00Z"), ["2026-02-01T00:00:00.000Z", "2025-11-01T00:00:00.000Z"]);
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_and_leave_nothing_out(posted_by_ms: i64) {
            let windows = windows(posted_by_ms);
            prop_assert_eq!((windows[0].to_ms, windows.last().unwrap().from_ms), (MAX_MS, MIN_MS));
            prop_assert!(windows.windows(2).all(|pair| pair[0].from_ms == pair[1].to_ms));
            prop_assert!(windows.iter().all(|window| window.from_ms < window.to_ms));
        }
    }
}
