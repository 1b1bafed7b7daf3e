//! `from`, `to` and `tz` as parameters: parsing, defaults, bounds, and how edges are written.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, Offset, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use tollbooth_schemas::time::parse_rfc3339_ms;
use tollbooth_schemas::zone::{ZoneError, parse_zone};

use super::Bucket;
use super::edges::{floor_date, local, start_of_date, step};

/// A half-open range of instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First millisecond.
    pub from_ms: i64,
    /// First millisecond after it; later than `from_ms`.
    pub to_ms: i64,
}

/// Why `from`, `to` or `tz` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The zone that was asked for is none.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The account was opened in a zone that the database of this release does not have.
    #[error("must be given: the account's own zone is not known here")]
    StoredZone,
    /// Neither an instant nor a date.
    #[error("must be an RFC 3339 time like 2026-11-21T20:15:00Z, or a local date like 2026-11-21, from 1970 to 2199")]
    Edge,
    /// `to` is not after `from`.
    #[error("must be after from")]
    Empty,
}

const YEARS: std::ops::Range<i32> = 1970..2200;

/// The zone of a request: the one it names, or that of its account.
///
/// What is asked for is read strictly. What the ledger holds was accepted once and is for ever, so that every zone of the
/// database is taken, `CET` as well.
///
/// # Errors
/// [`RangeError::Zone`] for the former, [`RangeError::StoredZone`] for the latter.
pub fn resolve_zone(asked: Option<&str>, stored: &str) -> Result<Tz, RangeError> {
    match asked {
        Some(name) => Ok(parse_zone(name)?),
        None => stored.parse().map_err(|_| RangeError::StoredZone),
    }
}

/// Reads an instant, or a date as the moment it begins in `zone`.
///
/// # Errors
/// [`RangeError::Edge`].
pub fn parse_edge(text: &str, zone: Tz) -> Result<i64, RangeError> {
    let ms = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        // `%Y-%m-%d` also reads 2026-1-2 and signed years.
        Ok(date) if text.len() == 10 && YEARS.contains(&date.year()) => start_of_date(zone, date),
        Ok(_) => return Err(RangeError::Edge),
        Err(_) => parse_rfc3339_ms(text).ok_or(RangeError::Edge)?,
    };
    let year = DateTime::<Utc>::from_timestamp_millis(ms).map(|instant| instant.year());
    match year {
        // A zone ahead of UTC begins 1970 in 1969.
        Some(year) if YEARS.contains(&(year + i32::from(year == 1969))) => Ok(ms),
        _ => Err(RangeError::Edge),
    }
}

/// The range of two optional parameters. Without `to` it ends with the local day of `now_ms`; without `from` it begins
/// with the local month that `to` ends in.
///
/// # Errors
/// [`RangeError::Empty`].
pub fn resolve_range(from_ms: Option<i64>, to_ms: Option<i64>, zone: Tz, now_ms: i64) -> Result<TimeRange, RangeError> {
    let to_ms = to_ms.unwrap_or_else(|| start_of_date(zone, step(Bucket::Day, local(zone, now_ms).date())));
    let from_ms =
        from_ms.unwrap_or_else(|| start_of_date(zone, floor_date(Bucket::Month, local(zone, to_ms - 1).date())));
    if from_ms < to_ms { Ok(TimeRange { from_ms, to_ms }) } else { Err(RangeError::Empty) }
}

/// An edge as it is written: RFC 3339 with the zone's offset at that instant.
#[must_use]
pub fn edge_text(ms: i64, zone: Tz) -> String {
    let Some(instant) = DateTime::<Utc>::from_timestamp_millis(ms) else { return "out of range".to_owned() };
    let offset: FixedOffset = zone.offset_from_utc_datetime(&instant.naive_utc()).fix();
    // RFC 3339 offsets have no seconds; those of local mean time are written in UTC.
    if offset.local_minus_utc() % 60 != 0 {
        return instant.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    }
    instant.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}
