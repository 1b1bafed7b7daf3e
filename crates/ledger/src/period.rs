//! Months, as plan fees name them.

use std::{fmt, str::FromStr};

/// A month of the calendar, `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Period {
    year: u16,
    month: u8,
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
