//! Months, as plan fees name them.

use std::{fmt, str::FromStr};

use tollbooth_schemas::zone::{Tz, month_of, month_start_ms, parse_zone};

/// A month of the calendar, `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Period {
    year: u16,
    month: u8,
}

impl Period {
    /// The month of an instant in a zone; `None` beyond the year 9999.
    pub(crate) fn of(zone: Tz, ms: i64) -> Option<Self> {
        let (year, month) = month_of(zone, ms)?;
        let year = u16::try_from(year).ok().filter(|year| *year <= 9_999)?;
        Some(Self { year, month: u8::try_from(month).ok()? })
    }

    /// The month after it.
    pub(crate) fn next(self) -> Self {
        if self.month < 12 {
            Self { month: self.month.saturating_add(1), ..self }
        } else {
            Self { year: self.year.saturating_add(1), month: 1 }
        }
    }

    /// When it begins in a zone.
    pub(crate) fn start_ms(self, zone: Tz) -> Option<i64> {
        month_start_ms(zone, self.year.into(), self.month.into())
    }
}

/// The zone of an account. Openings name one that is known; what an old ledger names otherwise counts as UTC.
pub(crate) fn zone_of(name: &str) -> Tz {
    parse_zone(name).unwrap_or(Tz::UTC)
}

impl FromStr for Period {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(())?;
        if !digits(year, 4) || !digits(month, 2) {
            return Err(());
        }
        let (year, month) = (year.parse().map_err(|_| ())?, month.parse().map_err(|_| ())?);
        if (1..=12).contains(&month) { Ok(Self { year, month }) } else { Err(()) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}
