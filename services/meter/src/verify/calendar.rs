//! Days and months of a zone. Only ever from an instant to the local date, never back: an instant is a month's begin where
//! the local month differs from that of the millisecond before.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;

/// A month of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(i32, u32);

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0, self.1)
    }
}

impl Month {
    /// Of `2026-11`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
        let month = Self(first.year(), first.month());
        (format!("{month:?}") == text).then_some(month)
    }

    pub(super) fn next(self) -> Self {
        if self.1 == 12 { Self(self.0 + 1, 1) } else { Self(self.0, self.1 + 1) }
    }
}

/// A zone that nobody knows counts as UTC.
pub(super) fn zone(name: &str) -> Tz {
    tollbooth_schemas::zone::parse_zone(name).unwrap_or(Tz::UTC)
}

pub(super) fn day(zone: Tz, ms: i64) -> NaiveDate {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&zone).date_naive()
}

pub(super) fn month(zone: Tz, ms: i64) -> Month {
    let date = day(zone, ms);
    Month(date.year(), date.month())
}

/// The month that begins at an instant; `None`: none does.
pub(super) fn begins(zone: Tz, ms: i64) -> Option<Month> {
    let begun = month(zone, ms);
    (month(zone, ms.saturating_sub(1)) != begun).then_some(begun)
}
