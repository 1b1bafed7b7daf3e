//! The sizes a timeline can be cut into.

use crate::calendar::TimeRange;
use tollbooth_schemas::time::DAY_MS;

/// Size of a bucket, in the local calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// `15m`.
    Quarter,
    /// `hour`.
    Hour,
    /// `day`, from local midnight.
    Day,
    /// `week`, from Monday.
    Week,
    /// `month`.
    Month,
    /// `year`.
    Year,
}

impl Bucket {
    /// Every size.
    pub const ALL: [Self; 6] = [Self::Quarter, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The word in parameters, answers and labels.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Quarter => "15m",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The size of a word; `auto` is not one, see [`Bucket::auto`].
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| bucket.code() == code)
    }

    /// What `auto` stands for: hours up to 2 days, days up to 92, weeks up to 2 years, months beyond.
    #[must_use]
    pub const fn auto(range: TimeRange) -> Self {
        // A local day of 25 hours is still a day.
        let days = (range.to_ms.saturating_sub(range.from_ms) - 2 * HOUR_MS) / DAY_MS;
        match days {
            ..2 => Self::Hour,
            2..92 => Self::Day,
            92..731 => Self::Week,
            _ => Self::Month,
        }
    }
}

const HOUR_MS: i64 = 3_600_000;
